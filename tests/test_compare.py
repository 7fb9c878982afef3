# SPDX-License-Identifier: MIT
"""One bundle, three runtimes: what a process sees must be the same, or the difference stands in
DIFFERENCES with its reason."""

import os
import re

import pytest

from harness import mountinfo
from test_mounts import ATTRIBUTES, RECURSIVE
from test_seccomp import DOCKER

SKIPPED_STATUS = {"Pid", "Tgid", "NSpid", "NSpgid", "NSsid", "NStgid", "PPid", "TracerPid",
                  "State", "FDSize",
                  "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches",
                  "Speculation_Store_Bypass",
                  "SpeculationIndirectBranch", "untag_mask", "SigQ"}
SCRIPT = r"""
find /dev -maxdepth 1 | sort | while read f; do stat -c '%n %F %a %u:%g %t:%T' $f; done
echo
for s in net/ipv4/ip_unprivileged_port_start net/core/somaxconn kernel/msgmax kernel/domainname; do
echo $s $(cat /proc/sys/$s); done
echo; stat -c '%n %F %a %u:%g' / /made /made/file /tmpfs /etc/masked 2>&1; true
"""


TESTS = [f"{how}:{path}" for how in "rw" for path in (
    "/proc/sys/kernel/hostname", "/proc/kcore", "/etc/masked", "/dev/null", "/dev/tty",
    "/sys/kernel", "/new")]
TESTS += ["c:/new", "d:/proc/acpi", "cat:/proc/keys", "c:/sys/fs/cgroup/x", "c:/proc/sys/x",
          "m:/tmp", "k:/tmp/node",
          "s:250", "s:600", "s:165"]


def plain(b):
    b.env(A="1", HOME="")


def userns(b):
    b.user_namespace()
    b.mounts[:] = [m for m in b.mounts if m["destination"] not in ("/made/dir", "/made/file")]
    for name in ("made", "tmpfs"):
        (b.rootfs / name).mkdir()
        os.chown(b.rootfs / name, 1_000_000, 1_000_000)
    b.linux["devices"] = []  # runc binds a FIFO of the host


def user(b):
    b.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 10], "umask": 0o027}
    b.process["capabilities"].update(inheritable=["CAP_KILL"], ambient=["CAP_KILL"])
    b.process.update(noNewPrivileges=False, oomScoreAdj=200, cwd="/tmp")


def readonly(b):
    b.config["root"]["readonly"] = True
    b.linux["rootfsPropagation"] = "private"
    b.process["rlimits"] = [{"type": f"RLIMIT_{name}", "soft": 100, "hard": 200}
                            for name in ("NOFILE", "NPROC", "CORE")]


def seccomp(b):
    b.linux["seccomp"] = DOCKER


def shared(b):
    """Namespaces of the runtime, no cgroup namespace."""
    b.without_namespace("cgroup", "ipc", "pid", "network")
    b.without_mount("/dev/mqueue", "/sys")


def options(b):
    """Every option alone; of two that contradict each other hako obeys the later, as mount(8)."""
    (b.rootfs / "tmp").chmod(0o1777)
    for i, word in enumerate(w for w in ATTRIBUTES if "," not in w and w != "defaults"
                             and "symfollow" not in w):
        b.mount(f"/m/{i}", "tmpfs", *[word] * bool(word), "size=4k", type="tmpfs")
        b.mount(f"/b/{i}", b.path / "dir", "bind", *[word] * bool(word))


def recursive(b):
    for i, word in enumerate(w for w in RECURSIVE if "," not in w and "symfollow" not in w):
        b.mount(f"/r/{i}", b.path / "dir", "rbind", word)


RUNS = [(name, change) for change in (plain, userns, user, readonly, seccomp, shared, options)
        for name in ("crun", "runc")]
RUNS += [("runc", recursive)]  # crun 1.8 fails with rnoatime

NULLS = "mount /(etc/masked|proc/keys|proc/timer_list)"
NODES = "(mount|dev) /dev/(full|null|random|tty|urandom|zero)"
OUTSIDE = "in a user namespace others bind the host's nodes; hako's own belong to its root"
EMPTY = "hako's empty tmpfs is nosuid, nodev and noexec as well"
DIFFERENCES = {  # what may differ from crun 1.8 and runc 1.1, and why
    "crun": {
        "env": "an empty HOME is looked up like a missing one, as runc does",
        "keyring": "name and permissions are those of runc",
        NULLS: "hako's is nosuid and noexec as well: no difference to who opens it",
        "mount /(proc/acpi|sys/firmware)": EMPTY,
        "stat /made": "crun gives directories that it makes the sticky bit",
        "stat /tmpfs": "a tmpfs takes the mode of the directory below it, as with runc",
        "dev /dev/mqueue": "made with the namespaces by one clone3, before anyone is root of them",
        NODES: OUTSIDE,
        "tests s:600": "a system call newer than the profile is ENOSYS, as with runc",
    },
    "runc": {
        "domainname|sysctl kernel/domainname": "runc 1.1 does not know the property",
        "dev /dev/core": "runc makes the link only where /proc/kcore exists",
        NULLS: "runc takes the container's null device, hako the host's, read-only",
        NODES: OUTSIDE,
        "mount /(proc/acpi|sys/firmware)": EMPTY,
        "dev /dev/mqueue": "made with the namespaces by one clone3, before anyone is root of them",
        "keyring": "in a user namespace runc cannot widen the permissions",
    },
}


def prepare(bundle, change):
    b = bundle()
    b.rootfs.chmod(0o755)
    (b.path / "dir").mkdir()
    (b.path / "file").write_text("")
    b.file("/etc/masked", "x")
    b.mount("/made/dir", b.path / "dir", "bind", "rprivate").mount("/made/file", b.path / "file",
                                                                   "bind", "ro")
    b.mount("/tmpfs", "tmpfs", "nosuid", "size=1m", type="tmpfs")
    b.linux["maskedPaths"] += ["/etc/masked"]
    b.linux["devices"] = [{"path": "/dev/pipe", "type": "p", "fileMode": 0o640, "uid": 3, "gid": 4}]
    b.config["domainname"] = "example.org"
    change(b)
    return b


def normal_options(words):
    return " ".join(sorted(words))


def observe(runtime, bundle, change):
    """{aspect: value}, without what differs from run to run."""
    # standard input is a pipe: crun 1.8 gives /dev/null of the host to the container's user
    seen = runtime.probe(prepare(bundle, change), *TESTS, input="")
    found = {f"mount {point}": f"{m.type} {normal_options(m.options)} {sorted(m.kinds)}"
             for point, m in mountinfo.parse(seen.pop("mounts")).items()}
    found |= {f"namespace {k}": "own" if v == os.readlink(f"/proc/self/ns/{k}") else "new"
              for k, v in seen.pop("namespaces").items()}
    found |= {f"status {k}": v for k, v in seen.pop("status").items()
              if k not in SKIPPED_STATUS and not k.startswith(("Vm", "Rss", "Huge", "x86"))}
    for name in ("tests", "limits"):
        found |= {f"{name} {k}": v for k, v in seen.pop(name).items()}
    found["env"] = {k: v for k, v in (e.split("=", 1) for e in seen.pop("env"))
                    if not k.startswith("HAKO")}
    found["fds"] = sorted(seen.pop("fds"))
    found["keyring"] = re.sub("hk[0-9a-f]+-[0-9]+", "ID", str(seen.pop("keyring")))
    found["cgroup"] = [re.sub("hk[0-9a-f]+-[0-9]+", "ID", row) for row in seen.pop("cgroup")
                       if row.startswith("0::")]
    seen.pop("keyring_id")
    for name in ("pid", "ppid", "sid", "pgid", "interfaces"):
        found[name] = bool(seen[name]) if change is shared else seen[name]
        seen.pop(name)
    out = runtime.run_bundle(prepare(bundle, change).sh(SCRIPT), input="").stdout
    for part, text in zip(("dev", "sysctl", "stat"), out.split("\n\n")):
        found |= {f"{part} {row.split()[0]}": " ".join(row.split()[1:])
                  for row in text.splitlines()}
    return found | seen


@pytest.mark.parametrize("name, change", RUNS, ids=lambda value: getattr(value, "__name__", value))
def test_compare(runtime, request, bundle, name, change):
    other = request.getfixturevalue(name)
    ours, theirs = observe(runtime, bundle, change), observe(other, bundle, change)
    different = {key: (ours.get(key), theirs.get(key))
                 for key in sorted(ours.keys() | theirs.keys())
                 if ours.get(key) != theirs.get(key)}
    known = re.compile("|".join(DIFFERENCES[name]))
    assert {key: both for key, both in different.items() if not known.fullmatch(key)} == {}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_known_differences_are_few(runtime, request, bundle, name):
    """With nothing special in the config only masks, names and the like differ."""
    other = request.getfixturevalue(name)
    ours, theirs = observe(runtime, bundle, lambda b: None), observe(other, bundle, lambda b: None)
    assert len(ours) > 150 and sum(ours.get(key) != theirs.get(key) for key in ours) <= 9
