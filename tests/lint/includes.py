# SPDX-License-Identifier: MIT
"""Folders are the dependency order: includes point down only, a layer knows no other layer, and
each library is included in one place."""

import pathlib
import re
import sys

MAY_USE = {
    "main": {"cmd", "oci", "run", "sys"},
    "cmd": {"cmd", "oci", "run", "sys"},
    "run": {"run", "layer", "oci", "sys"},
    "layer": {"oci", "sys"},
    "oci": {"oci", "sys"},
    "sys": {"sys"},
}
# The vocabulary between the folders; it has no module of its own.
VOCABULARY = {"plan": {"cmd", "run", "layer"}, "layer": {"run", "layer"}, "config": {"cmd", "run", "layer", "oci"}}
LIBRARIES = {
    r"yajl/": r"src/oci/json\w*\.c",
    r"seccomp\.h": r"src/layer/seccomp\w*\.c",
    r"sys/capability\.h": r"src/layer/credentials\.c",
    r"libmnl/": r"src/(layer/netdevices_link|sys/mnl)\.c",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def stem(module):
    """Files of one layer share the first word: mounts, mounts_plan, mount_options."""
    return module.split("_")[0].rstrip("s")


def folder_of(source):
    return "main" if source.parent.name == "src" else source.parent.name


def problem(source, folder, quote, name, homes):
    if quote == "<":
        for library, place in LIBRARIES.items():
            if re.match(library, name) and not re.fullmatch(place, str(source)):
                return f"<{name}> belongs into {place}"
        return None
    if not name.startswith("hako/"):
        return "project headers are included as hako/NAME.h"
    module = pathlib.PurePath(name).stem
    if module in VOCABULARY:
        return None if folder in VOCABULARY[module] | {"main"} else f"{folder} does not know {name}"
    home = homes.get(module)
    if home is None:
        return f"no src/*/{module}*.c stands behind {name}"
    if home in MAY_USE[folder]:
        return None
    if home == folder == "layer" and stem(module) == stem(source.stem):
        return None
    return f"{folder} must not use {home} ({name})"


def main():
    sources = sorted(pathlib.Path("src").glob("**/*.c"))
    homes = {source.stem: folder_of(source) for source in sources}
    for header in pathlib.Path("include/hako").glob("*.h"):  # step.h: steps.c; json.h: json_a.c, ...
        parts = {folder_of(s) for s in sources
                 if s.stem == header.stem + "s" or s.stem.startswith(header.stem + "_")}
        if header.stem not in homes and len(parts) == 1:
            homes[header.stem] = parts.pop()
    failed = False
    for source in sources:
        for quote, name in INCLUDE.findall(source.read_text()):
            if text := problem(source, folder_of(source), quote, name, homes):
                print(f"{source}: {text}")
                failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
