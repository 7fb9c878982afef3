# SPDX-License-Identifier: MIT
"""`hako verify`: a container as it was made holds; whatever changes afterwards, in the kernel or
in what is expected, is found, and nothing else is. A check without such a change fails here."""

import ctypes
import json
import os
import pathlib
import resource
import subprocess
import time
import xml.etree.ElementTree as xml

import pytest

from harness import kernel, private
from harness.kernel import eventually
from harness.runtime import run
from test_seccomp import DOCKER

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_IOPRIO_SET = 251
PROBLEMS = ("drift", "unknown")


def verify(c, *options, check=True):
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
