# SPDX-License-Identifier: MIT
"""coverage.py BUILD: lines that ran, a row per source file, from the .gcda files below BUILD.

The bundles of the tests mount BUILD, so that a container's first process can write its counters
when it executes its program. What ends by _exit or a signal, or runs as somebody who may not
write there, is not counted."""

import collections
import json
import pathlib
import subprocess
import sys


def main():
    build = pathlib.Path(sys.argv[1])
    data = sorted(map(str, (build / "src").glob("**/*.gcda")))
    if not data:
        sys.exit(f"coverage: nothing in {build} ran")
    out = subprocess.run(["gcov", "--json-format", "--stdout", *data], text=True, check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    lines = collections.defaultdict(lambda: collections.defaultdict(int))
    for record in out.splitlines():
        for file in json.loads(record)["files"]:
            if file["file"].startswith("src/"):
                for line in file["lines"]:
                    lines[file["file"]][line["line_number"]] += line["count"]
    ran = {name: sum(count > 0 for count in counts.values()) for name, counts in lines.items()}
    for name in sorted(lines):
        print(f"{100 * ran[name] / len(lines[name]):6.1f} %  {ran[name]:5} of {len(lines[name]):5}  {name}")
    total = sum(map(len, lines.values()))
    print(f"{100 * sum(ran.values()) / total:6.1f} %  {sum(ran.values()):5} of {total:5}  total")


if __name__ == "__main__":
    main()
