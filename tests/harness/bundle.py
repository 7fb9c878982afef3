# SPDX-License-Identifier: MIT
"""Bundles: a busybox root filesystem and a config.json held as a dict until it is needed."""

import copy
import json
import os
import pathlib
import shutil
import subprocess

from harness import observed

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
COVERAGE = os.environ.get("HAKO_COVERAGE")  # make cov: where processes write their counters
CHANGED = os.environ.get("HAKO_CHANGED")  # a property, see observed.py

CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
CONFIG = {
    "ociVersion": "1.0.2",
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": ["/bin/true"],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "cwd": "/",
        "capabilities": {s: CAPABILITIES for s in ("bounding", "effective", "permitted")},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": False},
    "hostname": "hako",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
         "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
         "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
    ],
    "linux": {
        "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                        "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                          "/proc/sysrq-trigger"],
    },
}


def build_static(source):
    """Compile a C program of this folder, once for all workers; returns its path."""
    source = HERE / source
    program = TOP / "build" / "tests" / "harness" / source.stem
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        scratch = f"{program}.{os.getpid()}"
        subprocess.run(["cc", "-static", "-O1", "-Wall", "-Wextra", "-o", scratch, source],
                       check=True)
        os.rename(scratch, program)
    return program


def make_template(path, busybox="/bin/busybox"):
    """The tree every root filesystem is copied from."""
    for name in ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var"):
        (path / name).mkdir(parents=True)
    (path / "tmp").chmod(0o1777)
    shutil.copy(busybox, path / "bin" / "busybox")
    shutil.copy(build_static("probe.c"), path / "bin" / "probe")
    for applet in subprocess.check_output([busybox, "--list"], text=True).split():
        if applet != "busybox":
            (path / "bin" / applet).symlink_to("busybox")
    (path / "sbin").symlink_to("bin")
    (path / "usr" / "bin").symlink_to("../bin")
    (path / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n"
                                         "user:x:1000:1000:user:/home/user:/bin/sh\n")
    (path / "etc" / "group").write_text("root:x:0:\ntty:x:5:\nuser:x:1000:\n")
    return path


def copy_or_link(source, target, **how):
    """Programs are big and nobody writes to them: a hard link serves."""
    if os.path.getsize(source) > 100_000:
        return os.link(source, target)
    return shutil.copy2(source, target, **how)


class Bundle:
    """path/rootfs and path/config.json. The config is written whenever a command line needs it."""

    def __init__(self, path, template, args=(), owner=None):
        self.path, self.rootfs = path, path / "rootfs"
        self.config = copy.deepcopy(CONFIG)
        self.owner = owner
        path.mkdir(parents=True)
        shutil.copytree(template, self.rootfs, symlinks=True,
                        copy_function=copy_or_link if owner is None else shutil.copy2)
        if owner is not None:
            subprocess.run(["chown", "-hR", f"{owner.uid}:{owner.gid}", path], check=True)
        if args:
            self.args(*args)

    def __fspath__(self):
        self.save()
        return str(self.path)

    def save(self):
        config = self.config
        if config is not None:
            if COVERAGE:
                config = config | {"mounts": config.get("mounts", []) + [
                    {"destination": COVERAGE, "source": COVERAGE, "options": ["rbind"]}]}
            if CHANGED:
                config = observed.change(copy.deepcopy(config), CHANGED)
            (self.path / "config.json").write_text(json.dumps(config, indent=1))
        return self

    def write(self, text):
        """A config.json that is not to be had from a dict: broken, huge, with odd numbers."""
        self.config = None
        (self.path / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
        return self

    process = property(lambda self: self.config["process"])
    linux = property(lambda self: self.config["linux"])
    mounts = property(lambda self: self.config["mounts"])

    def args(self, *args):
        self.process["args"] = [str(arg) for arg in args]
        return self

    def sh(self, script):
        return self.args("/bin/sh", "-c", script)

    def env(self, **values):
        self.process["env"] += [f"{name}={value}" for name, value in values.items()]
        return self

    def capabilities(self, *names, sets=("bounding", "effective", "permitted")):
        self.process["capabilities"].update({s: list(names) for s in sets})
        return self

    def mount(self, destination, source, *options, type="bind"):
        self.mounts.append({"destination": destination, "source": os.fspath(source),
                            "type": type, "options": list(options or ("rbind",))})
        return self

    def without_mount(self, *destinations):
        self.config["mounts"] = [m for m in self.mounts if m["destination"] not in destinations]
        return self

    def namespace(self, type, path=None):
        """Add or replace one; with a path it is joined."""
        self.without_namespace(type)
        self.linux["namespaces"].append({"type": type} | ({"path": str(path)} if path else {}))
        return self

    def without_namespace(self, *types):
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] not in types]
        return self

    def user_namespace(self, uids=((0, 1_000_000, 65536),), gids=None):
        """Mappings are (inside, outside, size); the rootfs is not shifted."""
        keys = ("containerID", "hostID", "size")
        self.linux["uidMappings"] = [dict(zip(keys, row)) for row in uids]
        self.linux["gidMappings"] = [dict(zip(keys, row)) for row in gids or uids]
        return self.namespace("user")

    def rootless(self):
        """What an ordinary user may ask for: itself as root, no sysfs or cgroup of its own."""
        self.user_namespace([(0, self.owner.uid, 1)], [(0, self.owner.gid, 1)])
        self.without_namespace("network")
        self.without_mount("/sys", "/sys/fs/cgroup")
        self.mount("/sys", "/sys", "rbind", "nosuid", "noexec", "nodev", "ro")
        for mount in self.mounts:
            mount["options"] = [o for o in mount.get("options", []) if o != "gid=5"]
        return self

    def file(self, path, text="", mode=0o644):
        """A file in the root filesystem."""
        target = self.rootfs / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)
        return target
