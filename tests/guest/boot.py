#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""boot.py [SCRIPT...], boot.py --debian [--systemd] -- COMMAND: virtual machines with a kernel of
Debian and cgroup v2, in which root runs a command: QEMU, software emulation. machine() boots one:

    small       a tmpfs with busybox and what files= brings: up in 3 seconds. This is where the
                scripts of this folder run hako
    Debian      root=rootfs(): systemd, Podman, Buildah, containerd, Docker; a disk that is as
                new in every guest; with systemd=True that is process 1

The initial file system has init, which goes on to the real root; there /guest has main (process
1 unless that is systemd), serve and the command. Serial ports: the console, the output of the
command, and a tar archive of what it left in /guest/out with its exit status.
"""

import argparse
import ctypes
import io
import lzma
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness.program import libraries  # noqa: E402

SCRIPTS = sorted(path for path in HERE.glob("*.sh") if path.name != "lib.sh")
SELINUX = HERE / "selinux.sh"  # in a guest of its own, the others have AppArmor
INITRAMFS = HERE / "initramfs.sh"  # the same, with a root that stays what it has been
RDMA = HERE / "rdma.sh"  # with a kernel that has a device for it: those for clouds have none
ALONE = (SELINUX, INITRAMFS, RDMA)
RDMA_KERNEL = "linux-image-amd64"
SCALE = float(os.environ.get("HAKO_TIMEOUT_SCALE", "1"))
LIMIT = 480  # seconds
PROGRAM_PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"  # ordinary users have these not in theirs
APPARMOR_PARSER = "/sbin/apparmor_parser"
# Two nodes of memory, for what chooses between them.
NODES = ["-object", "memory-backend-ram,id=m0,size=512M", "-numa", "node,memdev=m0,cpus=0",
         "-object", "memory-backend-ram,id=m1,size=512M", "-numa", "node,memdev=m1,cpus=1"]

# One thread for all processors: with a thread each, QEMU 7.2 runs into int3 instructions that
# the kernel has patched away on the other one, and the guest panics. It is no slower.
QEMU = ["qemu-system-x86_64", "-accel", "tcg,thread=single,tb-size=512",
        "-cpu", "max,la57=off", "-M", "q35,usb=off,vmport=off",
        "-nodefaults", "-display", "none", "-no-reboot"]
KERNEL_OPTIONS = ("console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check "
                  "random.trust_cpu=on audit=0")
# What a disk needs, in the order of their dependencies; newer kernels have some built in.
DISK_MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev",
                "virtio_pci", "virtio_blk")
# What scripts load: a disk without a disk, and its scheduler; RDMA over any network.
TEST_MODULES = ("configfs", "null_blk", "bfq")
RDMA_MODULES = ("udp_tunnel", "ip6_udp_tunnel", "ib_core", "ib_uverbs", "crc32_generic", "rdma_rxe")


class Unavailable(Exception):
    """Something the guest needs cannot be had here."""


class Result:
    """status: of the command, None when the guest did not come to its end; output: of the
    command; console: everything else that was said; files: what it left, {name: bytes}."""

    def __init__(self, output, console, archive):
        self.output, self.console, self.files = output, console, {}
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                self.files = {os.path.normpath(member.name): tar.extractfile(member).read()
                              for member in tar if member.isfile()}
        except tarfile.TarError:
            pass
        status = self.files.pop("status", None)
        self.status = None if status is None else int(status)


# --- what a guest is made of ------------------------------------------------

def need(*programs):
    for program, package in programs:
        if shutil.which(program, path=PROGRAM_PATH) is None:
            raise Unavailable(f"{package} is not installed: tests/install-deps engines")


def path_from(script, *words):
    """What a script of this folder makes or finds in the cache."""
    run = subprocess.run([HERE / script, *words], stdin=subprocess.DEVNULL, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if run.returncode != 0:
        raise Unavailable(run.stderr.strip())
    return pathlib.Path(run.stdout.strip())


def kernel(package=None):
    """The path of a kernel, fetched when there is none."""
    return path_from("kernel", *[package] * bool(package))


def rootfs():
    """The path of an image with Debian and the engines, built when there is none."""
    return path_from("rootfs")


def modules_of(image):
    """The folder of the modules of a kernel, None when it came alone."""
    folder = image.parent.parent / "lib/modules"
    return folder if folder.is_dir() else None


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    if pathlib.Path(source).is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def copy_modules(modules, names, folder):
    """{name of the file there: module}, those that there are."""
    folder.mkdir(parents=True)
    for target, name in names.items():
        for source in modules.rglob(f"{name}.ko*"):
            content = source.read_bytes()
            if source.suffix == ".xz":
                content = lzma.decompress(content)
            (folder / f"{target}.ko").write_bytes(content)


def make_initrd(target, files, settings, modules, disks):
    """A cpio archive with what the guest begins with; files go below /root, {path: source}."""
    folder = target.with_suffix(".d")
    copy(HERE / "init", folder / "init")
    copy("/bin/busybox", folder / "bin/busybox")
    (folder / "settings").write_text("".join(f"{key}={shlex.quote(value)}\n"
                                             for key, value in settings.items()))
    if disks and modules:  # in an order in which they can be loaded
        copy_modules(modules, {f"{number}-{name}": name for number, name in enumerate(DISK_MODULES)},
                     folder / "modules")
    if modules:
        copy_modules(modules, {name: name for name in TEST_MODULES + RDMA_MODULES},
                     folder / "root/guest/modules")
    for name, source in files.items():
        copy(source, folder / "root" / name.lstrip("/"))
    listed = "".join(f"{path.relative_to(folder)}\n" for path in sorted(folder.rglob("*")))
    with open(target, "wb") as archive:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=folder,
                       input=listed.encode(), stdout=archive, check=True)


def make_disk(target, folder):
    """An ext4 image of a folder."""
    kilobytes = int(subprocess.check_output(["du", "-sk", "--apparent-size", folder]).split()[0])
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", folder, target,
                    f"{kilobytes * 5 // 4 + 16384}k"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   env=os.environ | {"PATH": PROGRAM_PATH})


# --- running it -------------------------------------------------------------

def run_qemu(argv, seconds, echo):
    """Until the guest powers off or its time is over; it does not outlive us. Returns what comes
    from its standard output, and an explanation when there is one."""
    prctl = ctypes.CDLL(None).prctl
    PR_SET_PDEATHSIG = 1
    output, late = [], threading.Event()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          errors="replace", bufsize=1,
                          preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)) as qemu:
        timer = threading.Timer(seconds, lambda: (late.set(), qemu.kill()))
        timer.start()
        try:
            for line in qemu.stdout:
                output.append(line)
                if echo:
                    print(line, end="", flush=True)
        finally:
            timer.cancel()
            qemu.kill()
    why = f"the guest did not finish in {seconds:.0f} seconds\n" if late.is_set() else ""
    return "".join(output), why


def machine(command, *, root=None, systemd=False, files=None, folders=None, env=None,
            seconds=LIMIT * SCALE, memory=1024, processors=2, options="", hardware=(),
            package=None, initramfs=False, echo=False):
    """Run a command in a new guest, in /guest. files: {path there: file or folder here}, for
    what is small; folders: {path there: folder here}, each a disk of its own. options: more for
    the kernel; hardware: more for QEMU; package: of another kernel; initramfs: that stays the
    root. echo: show the output as it comes. Raises Unavailable when there can be no guest."""
    need(("qemu-system-x86_64", "qemu-system-x86"), ("cpio", "cpio"),
         ("/bin/busybox", "busybox-static"), ("mke2fs", "e2fsprogs"))
    image = kernel(package)
    modules = modules_of(image)
    disks, folders = [], dict(folders or {})
    if root:
        disks.append(root)
        if not modules or not list(modules.glob("*/modules.dep.bin")):
            raise Unavailable(f"{image} has no modules, or kmod is not installed")
        folders["/lib/modules"] = modules

    with tempfile.TemporaryDirectory(prefix="hako-guest.") as folder:
        folder = pathlib.Path(folder)
        (folder / "command").write_text(
            "#!/bin/sh\n" + "".join(f"export {key}={shlex.quote(value)}\n"
                                    for key, value in (env or {}).items())
            + f"exec {shlex.join(map(str, command))}\n")
        (folder / "command").chmod(0o755)
        mounts = []
        for path, source in folders.items():
            mounts.append(f"vd{chr(ord('a') + len(disks))}:{path}")
            disks.append(folder / f"disk{len(disks)}")
            make_disk(disks[-1], source)
        make_initrd(folder / "initrd",
                    {"guest/main": HERE / "main", "guest/serve": HERE / "serve",
                     "guest/command": folder / "command",
                     **({} if root else {"bin/busybox": "/bin/busybox"}),
                     **({"etc/systemd/system": HERE / "systemd"} if systemd else {}),
                     **(files or {})},
                    {"stay": "yes" * initramfs, "disk": "vda" if root else "", "folders": " ".join(mounts),
                     "init": "/sbin/init" if systemd else "/guest/main"},
                    modules, disks)
        drives = [f"if=virtio,format=raw,snapshot=on,cache=unsafe,file={disk}" for disk in disks]
        output, why = run_qemu(
            [*QEMU, *hardware, "-smp", str(processors), "-m", str(memory),
             "-serial", f"file:{folder}/console", "-serial", "stdio",
             "-serial", f"file:{folder}/archive",
             *(word for drive in drives for word in ("-drive", drive)),
             "-kernel", image, "-initrd", folder / "initrd",
             "-append", f"{KERNEL_OPTIONS} {options}" + " systemd.unit=guest.target" * systemd],
            seconds, echo)
        return Result(output, (folder / "console").read_text(errors="replace") + why,
                      (folder / "archive").read_bytes())


# --- the scripts of this folder ---------------------------------------------

class Checks:
    """checks: {name: (ok, seconds, text)}, in order; finished: all scripts came to their end;
    missing: {name: why it could not be tried}."""

    def __init__(self, result):
        self.console, self.checks, self.missing = result.console, {}, {}
        self.finished = result.status == 0
        name = None
        for line in result.output.splitlines():
            if match := re.fullmatch(r"(not )?ok (\S+) (\S+) (\S+)", line):
                name = match[2]
                self.checks[name] = not match[1], float(match[4]) - float(match[3]), ""
            elif line.startswith("#") and name:
                ok, seconds, before = self.checks[name]
                self.checks[name] = ok, seconds, before + line[2:] + "\n"

    def add(self, other):
        self.console += other.console
        self.checks |= other.checks
        self.finished = self.finished and other.finished


def parts(scripts):
    """What runs in one guest each."""
    return [[s for s in scripts if s not in ALONE], *([s] for s in ALONE if s in scripts)]


def names(scripts=SCRIPTS):
    """The checks that the scripts will report."""
    scripts = [pathlib.Path(script).absolute() for script in scripts]
    return [name for script in sum(parts(scripts), [])
            for name in re.findall(r"^check (\S+)", pathlib.Path(script).read_text(), re.MULTILINE)]


def boot_one(hako, scripts, seconds):
    programs = {"bin/hako": hako, "bin/apparmor_parser": APPARMOR_PARSER}
    if crun := shutil.which("crun"):  # to compare with
        programs["bin/crun"] = crun
    if RDMA in scripts:
        programs["bin/rdma"] = shutil.which("rdma", path=PROGRAM_PATH)
    files = programs | {path: path for program in programs.values() for path in libraries(program)}
    files |= {"guest/lib.sh": HERE / "lib.sh"}
    files |= {f"guest/{script.name}": script for script in scripts}
    run = "; ".join(f"sh {shlex.quote(script.name)} 2>/dev/console" for script in scripts)
    selinux = SELINUX in scripts
    with tempfile.TemporaryDirectory(prefix="hako-policy.") as folder:
        if selinux:
            policy = pathlib.Path(folder, "policy")
            subprocess.run(["checkpolicy", "--handle-unknown", "allow", "-o", policy,
                            SELINUX.with_suffix(".conf")], check=True, stdout=subprocess.DEVNULL)
            files["guest/policy"] = policy
        disk = {} if scripts[0] in ALONE else {"/disk": HERE / "systemd"}  # of whatever is small
        return Checks(machine(["sh", "-c", f"{run}; exit 0"], files=files, folders=disk, seconds=seconds,
                              options="security=selinux" * selinux, hardware=NODES,
                              package=RDMA_KERNEL if RDMA in scripts else None,
                              initramfs=INITRAMFS in scripts))


def boot(hako, scripts=SCRIPTS, seconds=LIMIT * SCALE):
    """Run the scripts in a new small guest, or more."""
    need((APPARMOR_PARSER, "apparmor"), ("checkpolicy", "checkpolicy"), ("rdma", "iproute2"))
    scripts = [pathlib.Path(script).absolute() for script in scripts]
    result = Checks(Result("", "", b""))
    result.finished = True
    for part in filter(None, parts(scripts)):
        try:
            result.add(boot_one(hako, part, seconds))
        except Unavailable as reason:
            if RDMA not in part:
                raise
            result.missing = {name: str(reason) for name in names(part)}
    return result


def main():
    parser = argparse.ArgumentParser(description="Run scripts of checks in a small guest, or a "
                                     "command in one with Debian, and hako in its PATH.")
    parser.add_argument("--debian", action="store_true", help="run a command: --debian -- podman info")
    parser.add_argument("--systemd", action="store_true", help="the same, with systemd as process 1")
    parser.add_argument("words", nargs="*", metavar="SCRIPT", help="or the command; all of them here")
    options = parser.parse_args()
    hako = os.environ.get("HAKO") or HERE.parent.parent / "hako"
    try:
        if options.debian or options.systemd:
            sys.exit(run_command(hako, options.words or ["uname", "-a"], options.systemd))
        run_scripts(hako, options.words or SCRIPTS)
    except Unavailable as reason:
        sys.exit(f"boot.py: {reason}")


def run_command(hako, command, systemd):
    result = machine(command, root=rootfs(), systemd=systemd, memory=2048, echo=True,
                     files={"usr/local/bin/hako": hako})
    if result.status is None:
        print(result.console, file=sys.stderr)
        return 1
    return result.status


def run_scripts(hako, scripts):
    result = boot(hako, scripts)
    for name, (ok, seconds, text) in result.checks.items():
        print(f"{'ok' if ok else 'FAIL':4} {seconds:6.2f} s  {name}")
        print(text, end="")
    for name, reason in result.missing.items():
        print(f"skip           {name}: {reason}")
    if not result.finished:
        print(result.console, "boot.py: the guest did not finish", sep="")
    sys.exit(not (result.finished and all(ok for ok, *_ in result.checks.values())))


if __name__ == "__main__":
    main()
