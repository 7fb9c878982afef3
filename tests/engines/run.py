#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py [--report FILE] [--systemd] [PYTEST ARGUMENT...]: the tests of this folder, in a guest
with Debian's engines. Paths are relative to tests/: engines/test_podman.py -k limits --runtimes hako.
Exit status: that of pytest; 77 when there can be no guest."""

import argparse
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from guest import boot  # noqa: E402

LIMIT = 2400  # seconds
NO_GUEST = 77
# Debian's engines ask for an AppArmor profile wherever the kernel has AppArmor.
OPTIONS = "apparmor=0"
PASSED_ON = ("HAKO_MUST_RUN", "HAKO_TIMEOUT_SCALE")


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--systemd", action="store_true")
    options, args = parser.parse_known_args()
    if not any(arg.startswith("engines") for arg in args):
        args = ["engines", *args]
    hako = os.environ.get("HAKO") or HERE.parent.parent / "hako"
    command = ["python3", "-B", "-m", "pytest", "-v", "-rfEx", "--no-header", "--tb=short",
               "-p", "no:cacheprovider", "--color=no", "--durations=15",
               "--junitxml=out/report.xml", "--rootdir=engines", *args]
    try:
        result = boot.machine(
            command, root=boot.rootfs(), systemd=options.systemd, echo=True, memory=2048, seconds=LIMIT * boot.SCALE,
            options=OPTIONS, env={key: os.environ[key] for key in PASSED_ON if key in os.environ},
            files={"usr/local/bin/hako": hako, "guest/engines": HERE,
                   "man/hako-engines.7": HERE.parent.parent / "man/hako-engines.7",
                   "guest/harness": HERE.parent / "harness"})
    except boot.Unavailable as reason:
        print(f"engines: {reason}", file=sys.stderr)
        return NO_GUEST
    if options.report and "report.xml" in result.files:
        options.report.write_bytes(result.files["report.xml"])
    if result.status is None:
        print(result.console, file=sys.stderr)
        return 1
    return result.status


if __name__ == "__main__":
    sys.exit(main())
