# SPDX-License-Identifier: MIT
"""`hako verify`: a container as it was made holds; whatever changes afterwards, in the kernel or
in what is expected, is found, and nothing else is. A check without such a change fails here."""

import ctypes
import json
import os
import pathlib
import resource
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

import pytest

from harness import kernel, private
from harness.kernel import eventually
from harness.runtime import SCALE, run
from test_seccomp import DOCKER

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_IOPRIO_SET = 251
PROBLEMS = ("drift", "unknown")
HARNESS = pathlib.Path(private.__file__).parent


def verify(c, *options):
    """{id: verdict}; the exit status says what is in there."""
    operand = [] if "--bundle" in options else [c.id]
    result = c.runtime.run("verify", "--format", "json", *options, *operand, check=False)
    document = result.json()
    found = {check["id"]: check for check in document["checks"]}
    assert len(found) == len(document["checks"]), "an id stands for one thing"
    outcomes = {check["outcome"] for check in found.values()}
    assert result.returncode == (1 if "drift" in outcomes else 2 if "unknown" in outcomes else 0)
    return found


def drift(c, *options):
    """The ids that do not hold."""
    return {id for id, check in verify(c, *options).items() if check["outcome"] in PROBLEMS}


def saved(c):
    return c.runtime.root / c.id / "config.json"


def edit(c, change, file="config.json"):
    """Something else is expected from now on."""
    path = c.runtime.root / c.id / file
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def inside(c, *argv, types="m"):
    """A command of the host in namespaces of the container; with m it is the container's file."""
    subprocess.run(["nsenter", "-t", str(c.pid), *(f"-{t}" for t in types), *argv], check=True,
                   capture_output=True)


# --- it finds what has changed -----------------------------------------------------------------

class Change:
    """A container, what happens to it, and the ids that must show it: those and no others."""

    def __init__(self, forms, ids, act, setup=None, running=False, only=(), create=()):
        self.forms, self.ids, self.act, self.setup = forms.split(), set(ids.split()), act, setup
        self.running, self.only, self.create = running, only, create


def config(change):
    """Of what was saved when the container was created."""
    return lambda c: edit(c, change)


def mount(*argv):
    return lambda c: inside(c, "/bin/busybox", *argv)


def volume(*options):
    def setup(b):
        (b.path / "data").mkdir()
        (b.path / "other").mkdir()
        b.mount("/data", b.path / "data", "bind", *options)
    return setup


def process(**values):
    return lambda b: b.process.update(values)


def move_out(c, pid=None):
    folder = pathlib.Path(private.CGROUP) / f"{c.id}-elsewhere"
    folder.mkdir()
    (folder / "cgroup.procs").write_text(str(pid or c.pid))


def move_another_out(c):
    child = c.exec("/bin/sleep", "1000", options=("--detach",))
    others = eventually(lambda: kernel.cgroup_pids(kernel.cgroup_path(c.pid)) - {c.pid})
    move_out(c, others.pop())
    assert child.returncode == 0


def lower_limit(c):
    resource.prlimit(c.pid, resource.RLIMIT_NOFILE, (512, 1024))


def write(path, text):
    return lambda c: pathlib.Path(str(path).format(pid=c.pid, id=c.id)).write_text(text)


def write_inside(types, path, text):
    return lambda c: inside(c, "/bin/sh", "-c", f"echo {text} >{path}", types=types)


def pin(c):
    os.sched_setaffinity(c.pid, {min(os.sched_getaffinity(c.pid))})


def set_io_priority(c):
    assert LIBC.syscall(SYS_IOPRIO_SET, 1, c.pid, 2 << 13 | 1) == 0


def mapped(b):
    b.user_namespace()
    for path in (b.rootfs, *b.rootfs.iterdir()):
        os.chown(path, 1_000_000, 1_000_000, follow_symlinks=False)


def idmapped(b):
    volume("idmap")(b)
    mappings = [{"containerID": 0, "hostID": 1000, "size": 1000}]
    b.mounts[-1].update(options=["bind"], uidMappings=mappings, gidMappings=mappings)


def without_idmap(d):
    for key in ("uidMappings", "gidMappings"):
        del d["mounts"][-1][key]


def shorten(key):
    return lambda d: d["linux"][key][0].update(size=1000)


def offsets(b):
    b.namespace("time").linux["timeOffsets"] = {"monotonic": {"secs": 100}}


def limited(b):
    b.linux["resources"] = {"unified": {"cgroup.max.descendants": "10"}}


def filtered(b):
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdirat", "mkdir"], "action": "SCMP_ACT_ERRNO"}]}


def chrooted(c):
    """A process that stands in a directory of the container's root."""
    c.exec("/bin/chroot", "/sub", "/bin/sleep", "1000", options=("--detach", "--cap=CAP_SYS_CHROOT"))
    def roots():
        return {pid for pid in kernel.cgroup_pids(kernel.cgroup_path(c.pid))
                if os.readlink(f"/proc/{pid}/root") == "/sub"}
    return ["--pid", str(eventually(roots).pop())]


def with_directory(b):
    (b.rootfs / "sub").mkdir()
    os.link(b.rootfs / "bin" / "busybox", b.rootfs / "sub" / "busybox")
    (b.rootfs / "sub" / "bin").mkdir()
    os.link(b.rootfs / "bin" / "busybox", b.rootfs / "sub" / "bin" / "sleep")
    b.process["capabilities"]["bounding"] = ["CAP_SYS_CHROOT"]


def capabilities(name, *values):
    return config(lambda d: d["process"]["capabilities"].update({name: list(values)}))


def user(**values):
    return config(lambda d: d["process"]["user"].update(values))


CHANGES = {
    "share a namespace": Change("ns.TYPE", "ns.ipc", config(
        lambda d: d["linux"].update(namespaces=[n for n in d["linux"]["namespaces"]
                                                if n["type"] != "ipc"]))),
    "join a namespace": Change("ns.TYPE", "ns.uts", config(
        lambda d: d["linux"]["namespaces"][3].update(path="/proc/1/ns/uts"))),
    "another root": Change("root.path", "root.path",
                           config(lambda d: d["root"].update(path="rootfs/tmp"))),
    "chroot": Change("root.pivot", "root.path root.pivot root.readonly", chrooted, with_directory,
                     running=True, only=("root",)),
    "read-only root": Change("root.readonly", "root.readonly",
                             mount("mount", "-o", "remount,bind,ro", "none", "/")),
    "shared root": Change("root.propagation", "root.propagation",
                          mount("mount", "--make-shared", "/")),
    "unmount": Change("mounts.DESTINATION.type", "mounts./dev/shm.type",
                      mount("umount", "/dev/shm")),
    "mount another type": Change("mounts.DESTINATION.type", "mounts./dev/shm.type mounts.extra "
                                 "mounts./dev/shm.source mounts./dev/shm.options",
                                 mount("mount", "-t", "proc", "proc", "/dev/shm")),
    "another source": Change("mounts.DESTINATION.source", "mounts./data.source",
                             config(lambda d: d["mounts"][-1].update(
                                 source=d["mounts"][-1]["source"][:-4] + "other")), volume()),
    "writable volume": Change("mounts.DESTINATION.readonly", "mounts./data.readonly",
                              mount("mount", "-o", "remount,bind,rw,nosuid", "none", "/data"),
                              volume("ro", "nosuid")),
    "executable volume": Change("mounts.DESTINATION.options", "mounts./data.options",
                                mount("mount", "-o", "remount,bind,nosuid", "none", "/data"),
                                volume("nosuid", "noexec")),
    "smaller tmpfs": Change("mounts.DESTINATION.data", "mounts./dev/shm.data",
                            mount("mount", "-o", "remount,nosuid,nodev,noexec,size=1m",
                                  "none", "/dev/shm")),
    "processes of others": Change("mounts.DESTINATION.data", "mounts./proc.data",
                                  mount("mount", "-o", "remount,hidepid=0", "none", "/proc"),
                                  lambda b: b.mount("/proc", "proc", "hidepid=2", type="proc")),
    "shared mount": Change("mounts.DESTINATION.propagation", "mounts./dev/shm.propagation",
                           mount("mount", "--make-shared", "/dev/shm")),
    "idmap": Change("mounts.DESTINATION.idmap", "mounts./data.idmap", config(without_idmap),
                    idmapped),
    "another mount": Change("mounts.extra", "mounts.extra",
                            mount("mount", "-t", "tmpfs", "x", "/tmp")),
    "mount over": Change("mounts.extra", "mounts.extra", mount(
        "mount", "-t", "tmpfs", "-o", "nosuid,nodev,noexec,size=64m", "shm", "/dev/shm")),
    "leave the cgroup": Change("cgroup.path cgroup.processes", "cgroup.path cgroup.processes",
                               move_out),
    "move another process": Change("cgroup.processes", "cgroup.processes", move_another_out,
                                   running=True),
    "OOM score": Change("process.oom_score_adj", "process.oom_score_adj",
                        write("/proc/{pid}/oom_score_adj", "200"), process(oomScoreAdj=100)),
    "rlimit": Change("rlimits.TYPE", "rlimits.RLIMIT_NOFILE", lower_limit),
    "affinity": Change("process.affinity", "process.affinity", pin),
    "scheduler": Change("process.scheduler", "process.scheduler",
                        lambda c: os.sched_setscheduler(c.pid, os.SCHED_OTHER,
                                                        os.sched_param(0)),
                        process(scheduler={"policy": "SCHED_BATCH"})),
    "I/O priority": Change("process.io_priority", "process.io_priority", set_io_priority,
                           process(ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 4})),
    "uid map": Change("idmap.uid", "idmap.uid", config(shorten("uidMappings")), mapped),
    "gid map": Change("idmap.gid", "idmap.gid", config(shorten("gidMappings")), mapped),
    "network device": Change("net.devices.NAME", "net.devices.eth9",
                             config(lambda d: d["linux"].update(netDevices={"eth9": {}}))),
    "another link": Change("net.extra", "net.extra", lambda c: inside(
        c, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", types="n")),
    "loopback": Change("net.loopback", "net.loopback", lambda c: inside(
        c, "ip", "link", "set", "lo", "down", types="n")),
    "limit": Change("cgroup.FILE", "cgroup.cgroup.max.descendants",
                    write(private.CGROUP + "/{id}/cgroup.max.descendants", "20"), limited),
    "device rule": Change("devices.filter", "devices.filter", config(
        lambda d: d["linux"].update(resources={"devices": [
            {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"}]}))),
    "resctrl": Change("resctrl.group", "resctrl.group", config(
        lambda d: d["linux"].update(intelRdt={"closID": "group"}))),
    "time offset": Change("time.CLOCK", "time.monotonic", config(
        lambda d: d["linux"]["timeOffsets"]["monotonic"].update(secs=200)), offsets),
    "hostname": Change("uts.hostname", "uts.hostname",
                       lambda c: inside(c, "hostname", "other", types="u")),
    "domainname": Change("uts.domainname", "uts.domainname",
                         write_inside("u", "/proc/sys/kernel/domainname", "other"),
                         lambda b: b.config.update(domainname="example.org")),
    "mode of a device": Change("devices.PATH", "devices./dev/zero",
                               lambda c: os.chmod(f"/proc/{c.pid}/root/dev/zero", 0o600)),
    "no ptmx": Change("devices.PATH", "devices./dev/ptmx",
                      lambda c: os.unlink(f"/proc/{c.pid}/root/dev/ptmx")),
    "sysctl": Change("sysctl.KEY", "sysctl.net.ipv4.ip_forward",
                     write_inside("n", "/proc/sys/net/ipv4/ip_forward", "1"),
                     lambda b: b.linux.update(sysctl={"net.ipv4.ip_forward": "0"})),
    "AppArmor profile": Change("label.apparmor", "label.apparmor", config(
        lambda d: d["process"].update(apparmorProfile="other"))),
    "SELinux label": Change("label.selinux", "label.selinux", config(
        lambda d: d["process"].update(selinuxLabel="a:b:c:s0"))),
    "read-only path": Change("readonly.PATH", "readonly./proc/sys", mount("umount", "/proc/sys")),
    "mount below a read-only path": Change(
        "readonly.PATH", "readonly./proc/sys mounts.extra",
        mount("mount", "-t", "tmpfs", "x", "/proc/sys/net")),
    "masked file": Change("masked.PATH", "masked./proc/keys", mount("umount", "/proc/keys")),
    "masked directory": Change("masked.PATH", "masked./sys/firmware",
                               mount("umount", "/sys/firmware")),
    "keyring": Change("process.keyring", "process.keyring", lambda c: edit(
        c, lambda d: d.update(callerKeyring=True), "state.json")),
    "personality": Change("process.personality", "process.personality", config(
        lambda d: d["linux"].update(personality={"domain": "LINUX32"})),
        lambda b: b.linux.update(personality={"domain": "LINUX"})),
    "working directory": Change("process.cwd", "process.cwd", config(
        lambda d: d["process"].update(cwd="/tmp"))),
    "environment": Change("process.env", "process.env", config(
        lambda d: d["process"]["env"].append("SECRET=1")), running=True),
    "one variable less": Change("process.env", "process.env", config(
        lambda d: d["process"]["env"].pop()), running=True),
    "descriptor": Change("process.descriptors", "process.descriptors", lambda c: edit(
        c, lambda d: d.update(preserveFds=0), "state.json"), running=True,
        create=("--preserve-fds", "1")),
    "uid": Change("user.uid", "user.uid", user(uid=1)),
    "gid": Change("user.gid", "user.gid", user(gid=1)),
    "groups": Change("user.groups", "user.groups", user(additionalGids=[5]),
                     process(user={"uid": 0, "gid": 0, "additionalGids": [6, 5]})),
    "umask": Change("user.umask", "user.umask", user(umask=0o77)),
    "bounding": Change("caps.bounding", "caps.bounding", capabilities("bounding")),
    "effective": Change("caps.effective", "caps.effective", capabilities("effective")),
    "permitted": Change("caps.permitted", "caps.permitted", capabilities(
        "permitted", "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_CHOWN")),
    "inheritable": Change("caps.inheritable", "caps.inheritable",
                          capabilities("inheritable", "CAP_KILL")),
    "ambient": Change("caps.ambient", "caps.ambient", capabilities("ambient", "CAP_KILL"),
                      lambda b: b.process["capabilities"].update(inheritable=["CAP_KILL"])),
    "no_new_privs": Change("process.no_new_privs", "process.no_new_privs", config(
        lambda d: d["process"].update(noNewPrivileges=False))),
    "memory policy": Change("process.memory_policy", "process.memory_policy", config(
        lambda d: d["linux"]["memoryPolicy"].update(mode="MPOL_INTERLEAVE")),
        lambda b: b.linux.update(memoryPolicy={"mode": "MPOL_BIND", "nodes": "0"}),
        running=True),
    "no filter": Change("seccomp.mode seccomp.filters", "seccomp.mode seccomp.filters", config(
        lambda d: d["linux"].pop("seccomp")), filtered, running=True),
    "another filter": Change("seccomp.filter", "seccomp.filter", config(
        lambda d: d["linux"]["seccomp"]["syscalls"][0]["names"].append("rmdir")), filtered,
        running=True),
}
ELSEWHERE = {"idmap.setgroups"}  # test_setgroups


@pytest.fixture
def make(runtime, bundle, tmp_path):
    """make(setup, running, create options): a container that sleeps."""
    folders = pathlib.Path(private.CGROUP)

    def call(setup=None, running=False, create=()):
        b = bundle("/bin/sleep", "1000")
        if setup:
            setup(b)
        c = runtime.container(b)
        # descriptor 3 is a file of the host
        line = runtime.argv("create", *create, "--bundle", b, c.id)
        run(["/bin/sh", "-c", 'exec 3>"$0"; exec "$@"', tmp_path / "kept", *line],
            env=runtime.environment)
        if running:
            c.start()
            eventually(lambda: kernel.cmdline(c.pid)[0] == "/bin/sleep")
        return c

    yield call
    runtime.clean()
    for folder in folders.glob(f"{runtime.token}*-elsewhere"):
        eventually(lambda: folder.rmdir() or True)


@pytest.mark.parametrize("name", CHANGES)
def test_change(make, name):
    change = CHANGES[name]
    only = [f"--only={pattern}" for pattern in change.only]
    c = make(change.setup, change.running, change.create)
    assert drift(c, *only) == set(), "before anything has changed"
    options = change.act(c)
    found = verify(c, *only, *(options if isinstance(options, list) else []))
    assert {id: f for id, f in found.items() if f["outcome"] in PROBLEMS}.keys() == change.ids


def test_every_check_has_a_change(hako, run_as_user):
    forms = {line.split()[0] for line in run_as_user(hako, "verify", "--list").stdout.splitlines()}
    tested = {form for change in CHANGES.values() for form in change.forms} | ELSEWHERE
    assert forms == tested


# --- it holds ----------------------------------------------------------------------------------

def busy(b):
    """Something of everything."""
    volume("ro", "nosuid")(b)
    b.mount("/tree", b.path, "rbind", "rslave")
    b.mount("/scratch", "tmpfs", "size=64k", "mode=0711", "noexec", type="tmpfs")
    b.mount("/scratch", "tmpfs", "remount", "ro", type="tmpfs")
    b.config["root"]["readonly"] = True
    b.process.update(
        user={"uid": 1000, "gid": 1001, "additionalGids": [7, 5], "umask": 0o27}, cwd="/tmp",
        oomScoreAdj=300, noNewPrivileges=False,
        scheduler={"policy": "SCHED_BATCH", "nice": 3},
        ioPriority={"class": "IOPRIO_CLASS_IDLE", "priority": 0})
    b.process["capabilities"].update(inheritable=["CAP_KILL"], ambient=["CAP_KILL"])
    b.linux.update(seccomp=DOCKER, personality={"domain": "LINUX"},
                   sysctl={"net.ipv4.ping_group_range": "0 1000", "kernel.msgmax": "9000"},
                   readonlyPaths=["/proc/sys", "/sys", "/data"])
    b.linux["devices"] = [{"path": "/dev/sub/fuse", "type": "c", "major": 10, "minor": 229,
                           "fileMode": 0o640, "uid": 3, "gid": 4}]
    b.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}],
                            "unified": {"cgroup.max.depth": "5", "cgroup.max.descendants": "max"}}
    b.config["domainname"] = "example.org"


def reworded(b):
    """Options that the kernel shows in other words, and mounts that others hide."""
    lower = b.path / "a b:c"
    (lower / "d").mkdir(parents=True)
    b.mount("/over", "overlay", "lowerdir=" + f"{lower}:{b.path}/rootfs".replace(":c:", r"\:c:"),
            type="overlay")
    for i, words in enumerate((["size=1%"], ["size=0x10000", "mode=01700"], ["size=010000"])):
        b.mount(f"/t{i}", "tmpfs", *words, type="tmpfs")
    b.mount("/t0", "tmpfs", "remount", "size=2m", "nr_inodes=1k", type="tmpfs")
    b.mount("/proc", "proc", "hidepid=2", type="proc")
    for folder in pathlib.Path("/sys/kernel/mm/hugepages").glob("hugepages-*"):
        kilobytes = int(folder.name[len("hugepages-"):-len("kB")])
        for size in (f"{kilobytes}KB", f"{kilobytes >> 10}MB")[:1 + (kilobytes >= 1024)]:
            b.mount(f"/{size}", "hugetlbfs", f"pagesize={size}", type="hugetlbfs")
    b.mount("/t1/hidden", "tmpfs", "nosuid", type="tmpfs")
    b.mount("/tree", "/dev", "rbind", "rslave").mount("/tree/pts", "tmpfs", "ro", type="tmpfs")
    b.linux["sysctl"] = {"net.ipv4.ip_local_reserved_ports": "3,1,2,9000-9005,9006",
                         "kernel.shmmax": "0x1000", "net.ipv4.conf.all.rp_filter": "01",
                         "net.core.somaxconn": "99", "net/core/somaxconn": "98",
                         "net.ipv4.ip_forward": ""}
    b.linux.update(maskedPaths=["/t1", "/proc/sys"], readonlyPaths=["/proc/sys/net"])


def slashes(b):
    """Paths that are written otherwise than mountinfo has them."""
    for path in ("/masked", "/kept", "/kept/below"):
        b.mount(path, "tmpfs", "nosuid", type="tmpfs")
    b.linux["maskedPaths"] += ["//masked/", "/./etc//masked-file"]
    b.linux["readonlyPaths"] += ["//kept/", "/kept//.", "//proc/sys"]
    (b.path / "rootfs/etc/masked-file").write_text("secret")


def host(b):
    """The runtime's namespaces, but for mounts."""
    b.linux["namespaces"] = [{"type": "mount"}]
    del b.config["hostname"]
    b.without_mount("/dev/mqueue", "/sys", "/sys/fs/cgroup")


@pytest.mark.parametrize("setup", [None, busy, reworded, slashes, mapped, idmapped, offsets,
                                   filtered, host],
                         ids=lambda setup: setup.__name__ if setup else "plain")
def test_holds(make, setup):
    c = make(setup)
    created = verify(c)
    assert {check["outcome"] for check in created.values()} == {"holds", "pending"}
    c.start()
    eventually(lambda: kernel.cmdline(c.pid)[0] == "/bin/sleep")
    running = verify(c)
    assert {check["outcome"] for check in running.values()} == {"holds"}
    assert created.keys() <= running.keys()
    c.runtime.run("pause", c.id)
    assert drift(c) == set()
    c.runtime.run("resume", c.id)


def test_exec(make):
    c = make(filtered, running=True)
    c.exec("/bin/sleep", "2000", options=("--detach",))
    pid = eventually(lambda: [p for p in kernel.cgroup_pids(kernel.cgroup_path(c.pid))
                              if kernel.cmdline(p) == ["/bin/sleep", "2000"]])[0]
    assert drift(c, "--pid", str(pid)) == set()
    c.exec("/bin/sleep", "3000", options=("--detach", "--user=7"))
    pid = eventually(lambda: [p for p in kernel.cgroup_pids(kernel.cgroup_path(c.pid))
                              if kernel.cmdline(p) == ["/bin/sleep", "3000"]])[0]
    assert drift(c, "--pid", str(pid)) == {"user.uid", "caps.effective", "caps.permitted"}


def test_setgroups(rootless, runtime, bundle, user):
    b = bundle("/bin/sleep", "1000", owner=user).rootless()
    c = rootless.container(b)
    c.create()
    c.start()
    eventually(lambda: kernel.cmdline(c.pid)[0] == "/bin/sleep")
    assert {id for id, check in verify(c).items() if check["outcome"] == "drift"} == set()
    # root would not have had to give it up
    result = runtime.run("verify", "--root", rootless.root, check=False)
    other = run([runtime.path, "--root", rootless.root, "verify", "--only=idmap.setgroups", c.id],
                check=False)
    assert result.returncode == 64 and other.returncode == 1
    assert "idmap.setgroups: expected allow, found deny" in other.stdout


def test_update_is_drift(make):
    """A limit that was raised, by whomever, is not the one of the config."""
    c = make(limited)
    folder = pathlib.Path(private.CGROUP) / c.id
    for value in ("11", "10"):
        (folder / "cgroup.max.descendants").write_text(value)
        assert drift(c) == (set() if value == "10" else {"cgroup.cgroup.max.descendants"})


def test_process_is_not_disturbed(make):
    c = make(filtered, running=True)
    eventually(lambda: kernel.stat(c.pid)[0] == "S")
    before = kernel.stat(c.pid)[0], kernel.status(c.pid, "TracerPid"), kernel.descriptors(c.pid)
    verify(c)
    eventually(lambda: kernel.stat(c.pid)[0] == before[0])
    assert before[1:] == (kernel.status(c.pid, "TracerPid"), kernel.descriptors(c.pid))


def test_leaked_directory(make):
    """A file of the host that stays open, though nobody was to get one."""
    c = make(running=True, create=("--preserve-fds", "1"))
    edit(c, lambda d: d.update(preserveFds=0), "state.json")
    assert "3 is /" in verify(c)["process.descriptors"]["found"]


# --- output ------------------------------------------------------------------------------------

@pytest.fixture
def changed(make):
    c = make(running=True)
    edit(c, lambda d: d.update(hostname='<"other"&>'))
    return c


def test_text(changed):
    c = changed
    result = c.runtime.run("verify", c.id, check=False)
    lines = result.stdout.splitlines()
    assert result.returncode == 1 and len(lines) == 2 and result.stderr == ""
    assert lines[0].startswith('drift    uts.hostname: expected <"other"&>, found hako (config.json:1:')
    assert lines[0].endswith("/hostname); it may have done that itself")
    assert lines[1].startswith(f"{c.id}: ") and lines[1].endswith(" hold, 1 drift")
    everything = c.runtime.run("verify", "--all", c.id, check=False).stdout.splitlines()
    assert len(everything) == len(verify(c)) + 1 and "holds    ns.pid: pid:[" in everything[0]


def test_json(changed):
    check = verify(changed)["uts.hostname"]
    at = check.pop("at")
    assert at.startswith("config.json:1:") and check == {
        "id": "uts.hostname", "outcome": "drift", "expected": '<"other"&>', "found": "hako",
        "pointer": "/hostname"}


def test_tap(changed):
    c = changed
    lines = c.runtime.run("verify", "--format=tap", c.id, check=False).stdout.splitlines()
    results = [line for line in lines if line.startswith(("ok ", "not ok "))]
    assert lines[0] == "TAP version 13" and lines[1] == f"1..{len(results)}"
    assert [line.split()[0 if line[0] == "o" else 1] for line in results] == ["ok"] * len(results)
    assert [line for line in results if line.startswith("not ok")] == [
        f"not ok {[id for id in verify(c)].index('uts.hostname') + 1} - uts.hostname"]
    assert '  expected: "<\\"other\\"&>"' in lines and '  found: "hako"' in lines


def test_junit(changed):
    c = changed
    suite = xml.fromstring(c.runtime.run("verify", "--format=junit", c.id, check=False).stdout)[0]
    assert suite.get("name") == c.id and suite.get("failures") == "1"
    assert int(suite.get("tests")) == len(suite) == len(verify(c))
    failures = [case for case in suite if len(case)]
    assert [case.get("name") for case in failures] == ["uts.hostname"]
    assert failures[0][0].tag == "failure"
    assert failures[0][0].get("message").startswith('expected <"other"&>, found hako')


@pytest.mark.parametrize("name, json_name, text", [
    (b"\xff\xfe", "\ufffd\ufffd", "??"), (b"\xef\xbf\xbf", "\uffff", "???"),
    (b"\xef\xbf\xbea", "\ufffea", "???a"), (b"\xc2\x85b", "\x85b", "??b"),
    (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd", "???"), (b"x\ny", "x\ny", "x?y"),
    (b"a]]>&'\"\\", "a]]>&'\"\\", "a]]>&'\"\\"), ("é\ufffd".encode(), "é\ufffd", "é\ufffd"),
])
def test_what_a_container_says_breaks_no_format(make, name, json_name, text):
    """XML, YAML and JSON do not have every byte; readers refuse the whole of what is not theirs."""
    c = make(running=True)
    program = f"import ctypes; n = {name!r}; ctypes.CDLL(None).sethostname(n, len(n))"
    inside(c, sys.executable, "-c", program, types="u")
    assert verify(c, "--only=uts")["uts.hostname"]["found"] == json_name
    lines = subprocess.run(c.runtime.argv("verify", "--format=tap", "--only=uts.hostname", c.id),
                           capture_output=True).stdout.decode().splitlines()
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert f'  found: "{quoted}"' in lines or name == b"x\ny" and '  found: "x\\x0ay"' in lines
    suite = xml.fromstring(subprocess.run(
        c.runtime.argv("verify", "--format=junit", c.id), capture_output=True).stdout)[0]
    assert f", found {text} (config" in suite.find("*/failure").get("message")


def test_pending_is_skipped(make):
    c = make()
    lines = c.runtime.run("verify", "--format=tap", c.id).stdout
    assert "process.env # SKIP the container is not started yet" in lines
    suite = xml.fromstring(c.runtime.run("verify", "--format=junit", c.id).stdout)[0]
    assert suite.get("skipped") == str(len(suite.findall("*/skipped"))) != "0"


def test_only_and_skip(changed):
    c = changed
    assert set(verify(c, "--only=uts", "--only=caps.ambient")) == {"uts.hostname", "caps.ambient"}
    assert {id.rsplit(".")[-1] for id in verify(c, "--only=mounts.*.type")} == {"type"}
    assert drift(c, "--skip=uts") == set() and len(verify(c, "--skip=uts")) > 50
    assert set(verify(c, "--only=mounts./proc")) == {
        f"mounts./proc.{what}" for what in ("type", "source", "readonly", "options",
                                            "propagation")}


@pytest.mark.parametrize("args, message", [
    ([], "missing operand"), (["--only=cups", "ID"], "there is no such check"),
    (["--skip=caps.bound", "ID"], "there is no such check"),
    (["--format=xml", "ID"], "not one of text, json, tap, junit"),
    (["--pid=0", "--bundle=.", ], "is not a process"), (["--pid=1"], "missing operand"),
    (["--bundle=.", "ID"], "either ID or")])
def test_usage(runtime, args, message):
    result = runtime.run("verify", *args, check=False)
    assert result.returncode == 64 and message in result.stderr


def test_nothing_is_left(changed):
    """Not to have looked is not to have seen that all is well."""
    c = changed
    for words in (["--only=resctrl"], ["--only=mounts./misspelt.readonly"], ["--skip=*"]):
        for format in ("text", "json", "tap", "junit"):
            result = c.runtime.run("verify", f"--format={format}", *words, c.id, check=False)
            assert result.returncode == 2 and result.stdout, result


@pytest.mark.parametrize("word", ["resctrl", "ns.pdi", "mounts./misspelt.readonly", "cpas.*"])
def test_nothing_of_one(changed, word):
    """Nor is what else was looked at an answer."""
    found = verify(changed, "--only=root", f"--only={word}")
    assert found.pop(word)["reason"] == "there is nothing of it to verify"
    assert {id.split(".")[0] for id in found} == {"root"}
    result = changed.runtime.run("verify", "--only=root", f"--only={word}", changed.id, check=False)
    assert result.returncode == 2 and f"unknown  {word}: " in result.stdout


KEYRINGS = """
import ctypes, platform, time
call = ctypes.CDLL(None).syscall
keyctl, add_key = {"x86_64": (250, 248), "aarch64": (219, 217)}[platform.machine()]
assert call(keyctl, 1, None) > 0
for number in range(2000):
    assert call(add_key, b"keyring", b"of-a-test-%d" % number, None, 0, -3) > 0
print("made", flush=True)
time.sleep(1000)
"""


def test_many_keyrings(make, runtime):
    """As on a machine with many containers."""
    c = make(running=True)
    with subprocess.Popen(["/usr/bin/python3", "-c", KEYRINGS], env=runtime.environment,
                          stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "made\n"
            assert len(pathlib.Path("/proc/keys").read_bytes()) > 128 << 10
            found = verify(c, "--only=process.keyring")
        finally:
            other.kill()
    assert found["process.keyring"]["outcome"] == "holds"


def test_nothing_to_verify(make, runtime):
    result = runtime.run("verify", "missing", check=False)
    assert result.returncode == 2 and "does not exist" in result.stderr
    c = make(running=True)
    c.kill("KILL")
    c.wait_for("stopped")
    result = runtime.run("verify", c.id, check=False)
    assert result.returncode == 2 and "not running" in result.stderr
    assert result.stdout == ""


def test_cost(make):
    """Of processor time, the helper's included; an ordinary container with Docker's profile."""
    c = make(lambda b: b.linux.update(seccomp=DOCKER), running=True)
    costs = []
    while len(costs) < 20 and min(costs, default=1) >= 0.05:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        c.runtime.verify(c.id)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert SCALE >= 4 or min(costs) < 0.05, costs  # 4: with sanitizers


# --- other runtimes ----------------------------------------------------------------------------

# What they do otherwise, and why.
KNOWN = {
    "crun": {
        "devices.filter": "none at all without linux.resources",
        "devices./dev/null": "given to the user of the process, whose standard input it is",
    },
    "runc": {},
}


def other_setup(b):
    b.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5, 6]}
    b.process.update(oomScoreAdj=100, cwd="/tmp")
    b.config["root"]["readonly"] = True
    volume("ro", "nosuid")(b)
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdirat", "mkdir"], "action": "SCMP_ACT_ERRNO"},
        {"names": ["personality"], "action": "SCMP_ACT_ERRNO",
         "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]}]}


@pytest.mark.parametrize("name", KNOWN)
def test_other_runtimes(request, runtime, bundle, name):
    other = request.getfixturevalue(name)
    b = bundle("/bin/sleep", "1000")
    other_setup(b)
    rules = [{"allow": False, "access": "rwm"},
             {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}]
    if name == "runc":  # crun raises a limit for it that root may not have
        b.linux["resources"] = {"devices": rules}
    c = other.container(b)
    c.create()
    c.start()
    eventually(lambda: kernel.cmdline(c.pid)[0] == "/bin/sleep")
    argv = ("--pid", str(c.pid), "--bundle", str(b.path))
    c.runtime = runtime
    try:
        assert drift(c, *argv) <= KNOWN[name].keys()
        # decided case by case: they are another compiler's programs
        for id in {"seccomp.filter", "devices.filter"} - KNOWN[name].keys():
            check = verify(c, *argv)[id]
            assert check["outcome"] == "holds" and "decide the same" in check["found"]
        rule = b.linux["seccomp"]["syscalls"][1]["args"][0]
        rule["value"] = 9
        rules[1]["minor"] = 230
        b.save()
        found = verify(c, *argv)
        assert " personality (" in found["seccomp.filter"]["found"]
        assert found["devices.filter"]["outcome"] == "drift"
        assert name == "crun" or "c 10:2" in found["devices.filter"]["found"]
    finally:
        c.runtime = other


# --- it comes to an end -------------------------------------------------------------------------

@pytest.fixture
def silent():
    """silent(container, folder, *options): a filesystem there whose server does not answer."""
    made = []

    def make(c, folder, *options):
        made.append(subprocess.Popen(
            [sys.executable, "-I", HARNESS / "silent.py", str(c.pid), folder, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert made[-1].stdout.readline() == b"mounted\n"

    yield make
    for server in made:
        with server:
            server.communicate()


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="the kernel has no FUSE")
@pytest.mark.parametrize("options", [(), ("answer",)], ids=["not at all", "but for the first"])
def test_a_server_that_does_not_answer(runtime, bundle, silent, options):
    """What is there cannot be determined; that takes seconds, and all else is as always."""
    b = bundle("/bin/sleep", "1000")
    for name in ("a", "b", "c", "d"):
        b.file(f"/data/{name}")
    b.linux["maskedPaths"] += ["/data/a", "/data/b"]
    b.linux["readonlyPaths"] += ["/data/c"]
    b.linux["devices"] = [{"path": "/data/null", "type": "c", "major": 1, "minor": 3}]
    b.mount("/data/d", "/etc", "bind")
    (b.rootfs / "data/d").unlink()
    b.process["cwd"] = "/tmp"
    c = runtime.container(b)
    c.create()
    c.start()
    eventually(lambda: kernel.cmdline(c.pid)[0] == "/bin/sleep")
    before = verify(c)
    assert {check["outcome"] for check in before.values()} == {"holds"}
    silent(c, "/data", *options)
    begin = time.monotonic()
    found = verify(c, "--skip=mounts.extra")
    assert time.monotonic() - begin < 15 * SCALE
    unknown = {id: check["reason"] for id, check in found.items() if check["outcome"] == "unknown"}
    lost = {"masked./data/a", "masked./data/b", "readonly./data/c", "devices./data/null",
            "mounts./data/d.type"}
    assert unknown == dict.fromkeys(lost, "its filesystem does not answer")
    assert found.keys() - lost == {id for id in before.keys() - lost
                                   if not id.startswith("mounts./data/d")} - {"mounts.extra"}
    assert {check["outcome"] for check in found.values()} == {"holds", "unknown"}
    assert verify(c, "--only=mounts.extra")["mounts.extra"]["outcome"] in PROBLEMS
    assert verify(c, "--only=masked./proc/keys").keys() == {"masked./proc/keys"}
