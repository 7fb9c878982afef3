#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""boot.py [SCRIPT...]: a small virtual machine with a kernel of Debian and cgroup v2, in which
root runs hako: QEMU, software emulation. All there is in it comes with the initial file system:

    /init               goes on to a real root
    /root/              what becomes the root: ./bin/{busybox,hako,apparmor_parser}, libraries
    /root/guest/        main (process 1), lib.sh, tests/: the scripts to be run

The scripts write to the second serial port, everything else to the first, the console.
"""

import argparse
import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = sorted(path for path in HERE.glob("*.sh") if path.name != "lib.sh")
SELINUX = HERE / "selinux.sh"  # in a guest of its own, the others have AppArmor
SCALE = float(os.environ.get("HAKO_TIMEOUT_SCALE", "1"))
LIMIT = 480  # seconds
APPARMOR_PARSER = "/sbin/apparmor_parser"

# One thread for both processors: with a thread each, QEMU 7.2 runs into int3 instructions that
# the kernel has patched away on the other one, and the guest panics. It is no slower.
QEMU = ["qemu-system-x86_64", "-accel", "tcg,thread=single,tb-size=512", "-smp", "2", "-m", "1024",
        "-cpu", "max,la57=off", "-M", "q35,usb=off,vmport=off",
        "-object", "memory-backend-ram,id=m0,size=512M", "-numa", "node,memdev=m0,cpus=0",
        "-object", "memory-backend-ram,id=m1,size=512M", "-numa", "node,memdev=m1,cpus=1",
        "-nodefaults", "-display", "none", "-no-reboot"]
KERNEL_OPTIONS = ("console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check "
                  "random.trust_cpu=on audit=0")


class Unavailable(Exception):
    """Something the guest needs cannot be had here."""


class Result:
    """checks: {name: (ok, seconds, text)}, in order; finished: all scripts came to their end."""

    def __init__(self, text, console):
        self.console, self.checks, self.finished = console, {}, False
        name = None
        for line in text.splitlines():
            if match := re.fullmatch(r"(not )?ok (\S+) (\S+) (\S+)", line):
                name = match[2]
                self.checks[name] = not match[1], float(match[4]) - float(match[3]), ""
            elif line.startswith("#") and name:
                ok, seconds, before = self.checks[name]
                self.checks[name] = ok, seconds, before + line[2:] + "\n"
            elif line == "end":
                self.finished = True

    def add(self, other):
        self.console += other.console
        self.checks |= other.checks
        self.finished = self.finished and other.finished


def names(scripts=SCRIPTS):
    """The checks that the scripts will report."""
    return [name for script in sorted(scripts, key=lambda script: script == SELINUX)
            for name in re.findall(r"^check (\S+)", pathlib.Path(script).read_text(), re.MULTILINE)]


def kernel():
    """The path of a kernel, fetched when there is none."""
    run = subprocess.run([HERE / "kernel"], stdin=subprocess.DEVNULL, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if run.returncode != 0:
        raise Unavailable(run.stderr.strip())
    return run.stdout.strip()


def libraries(program):
    """The dynamic linker and the libraries of a program; none when it is static."""
    listed = subprocess.run(["ldd", program], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL).stdout
    return re.findall(r"(/\S+) \(0x", listed)


def make_initrd(target, hako, scripts):
    """A cpio archive of what the guest needs."""
    programs = {"busybox": "/bin/busybox", "hako": hako, "apparmor_parser": APPARMOR_PARSER}
    files = {f"root/bin/{name}": path for name, path in programs.items()}
    files |= {"init": HERE / "init", "root/guest/main": HERE / "main",
              "root/guest/lib.sh": HERE / "lib.sh"}
    files |= {f"root/guest/tests/{number}-{script.name}": script
              for number, script in enumerate(map(pathlib.Path, scripts))}
    files |= {f"root{path}": path for program in programs.values() for path in libraries(program)}
    folder = target.with_suffix(".d")
    for name, source in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / name)
    if SELINUX in scripts:
        subprocess.run(["checkpolicy", "--handle-unknown", "allow", "-o",
                        folder / "root/guest/policy", SELINUX.with_suffix(".conf")],
                       check=True, stdout=subprocess.DEVNULL)
    listed = "".join(f"{path.relative_to(folder)}\n" for path in sorted(folder.rglob("*")))
    with open(target, "wb") as archive:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=folder,
                       input=listed.encode(), stdout=archive, check=True)


def run_qemu(argv, seconds):
    """Until the guest powers off or its time is over; it does not outlive us."""
    prctl = ctypes.CDLL(None).prctl
    PR_SET_PDEATHSIG = 1
    qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True,
                            preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
    try:
        return qemu.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        return f"the guest did not finish in {seconds:.0f} seconds\n"
    finally:
        qemu.kill()
        qemu.wait()


def contents(path):
    return path.read_text(errors="replace") if path.exists() else ""


def boot_one(hako, scripts, seconds):
    options = KERNEL_OPTIONS + (" security=selinux" if SELINUX in scripts else "")
    image = kernel()
    with tempfile.TemporaryDirectory(prefix="hako-guest.") as folder:
        initrd, console, results = (pathlib.Path(folder, name)
                                    for name in ("initrd", "console", "results"))
        make_initrd(initrd, hako, scripts)
        said = run_qemu([*QEMU, "-serial", f"file:{console}", "-serial", f"file:{results}",
                         "-kernel", image, "-initrd", initrd, "-append", options], seconds)
        return Result(contents(results), contents(console) + said)


def boot(hako, scripts=SCRIPTS, seconds=LIMIT * SCALE):
    """Run the scripts in a new guest, or two; raises Unavailable when there can be none."""
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"), ("cpio", "cpio"),
                             ("/bin/busybox", "busybox-static"), (APPARMOR_PARSER, "apparmor"),
                             ("checkpolicy", "checkpolicy")):
        if shutil.which(program) is None:
            raise Unavailable(f"{package} is not installed: tests/install-deps guest")
    scripts = [pathlib.Path(script).absolute() for script in scripts]
    parts = [[s for s in scripts if s != SELINUX], [s for s in scripts if s == SELINUX]]
    results = [boot_one(hako, part, seconds) for part in parts if part]
    for other in results[1:]:
        results[0].add(other)
    return results[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scripts", nargs="*", default=SCRIPTS, metavar="SCRIPT")
    options = parser.parse_args()
    hako = os.environ.get("HAKO") or HERE.parent.parent / "hako"
    try:
        result = boot(hako, options.scripts)
    except Unavailable as reason:
        sys.exit(f"boot.py: {reason}")
    for name, (ok, seconds, text) in result.checks.items():
        print(f"{'ok' if ok else 'FAIL':4} {seconds:6.2f} s  {name}")
        print(text, end="")
    if not result.finished:
        print(result.console, "boot.py: the guest did not finish", sep="")
    sys.exit(not (result.finished and all(ok for ok, *_ in result.checks.values())))


if __name__ == "__main__":
    main()
