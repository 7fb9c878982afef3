# SPDX-License-Identifier: MIT
"""linux.namespaces, timeOffsets, hostname, domainname (config-linux.md "Namespaces"): compared by
what /proc/PID/ns links to."""

import os
import socket
import subprocess

import pytest

from harness.kernel import cmdline, eventually
from harness.refused import refused

# type in config.json -> name in /proc/PID/ns
FILES = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts", "user": "user",
         "cgroup": "cgroup", "time": "time"}
PLAIN = ("pid", "network", "mount", "ipc", "uts", "cgroup")  # what a bundle has


def own(kind, pid="self"):
    return os.readlink(f"/proc/{pid}/ns/{FILES[kind]}")


def bare(bundle, *namespaces):
    """A config that needs no namespace: no mounts, no names."""
    bundle.config.pop("hostname")
    bundle.config["mounts"] = []
    bundle.linux.update(maskedPaths=[], readonlyPaths=[],
                        namespaces=[{"type": n} for n in namespaces])
    return bundle


@pytest.fixture
def other(runtime, bundle):
    """A running container with a namespace of every type but user."""
    b = bundle("/bin/sleep", "1000").namespace("time")
    box = runtime.container(b)
    box.create()
    box.start()
    eventually(lambda: cmdline(box.pid) == ["/bin/sleep", "1000"])
    return box


@pytest.fixture
def holder():
    """holder(*unshare options): the pid of a process in namespaces of its own."""
    made = []

    def make(*options):
        process = subprocess.Popen(["unshare", *options, "sh", "-c", "echo; exec sleep 1000"],
                                   stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]})
        made.append(process)
        process.stdout.read(1)  # it has unshared
        return process.pid

    yield make
    for process in made:
        process.kill()
        process.wait()
        process.stdout.close()


# --- new, absent ---

@pytest.mark.parametrize("kind", FILES)
def test_one_new(runtime, bundle, kind):
    """One of a kind is new and all others are those of the runtime."""
    b = bare(bundle(), "mount")
    b.mount("/proc", "/proc", "rbind").mount("/dev", "tmpfs", "mode=755", type="tmpfs")
    b.user_namespace() if kind == "user" else b.namespace(kind)
    seen = runtime.probe(b)["namespaces"]
    assert {k for k in FILES if seen[FILES[k]] != own(k)} == {kind, "mount"}
    assert seen["pid_for_children"] == seen["pid"] and seen["time_for_children"] == seen["time"]


def test_none_at_all(runtime, bundle, tmp_path):
    """The runtime's own everywhere; the root is changed all the same."""
    b = bare(bundle()).sh("echo $$; ls /; readlink -f /..; hostname")
    pid, *names, top, hostname = runtime.run_bundle(b, cwd=tmp_path).stdout.split()
    assert set(names) == set(os.listdir(b.rootfs)) and top == "/"
    assert (int(pid) > 1, hostname) == (True, socket.gethostname())


def test_all_new(runtime, bundle):
    b = bundle().namespace("time").user_namespace()
    seen = runtime.probe(b)
    assert [kind for kind in FILES if seen["namespaces"][FILES[kind]] == own(kind)] == []
    assert [seen[name] for name in ("pid", "ppid", "sid", "pgid")] == [1, 0, 1, 1]


def test_pid_namespace_of_the_runtime(runtime, bundle):
    seen = runtime.probe(bundle().without_namespace("pid"))
    assert seen["namespaces"]["pid"] == own("pid") and seen["pid"] > 1


@pytest.mark.parametrize("namespaces, pointer", [
    ([{"type": "pid"}, {"type": "pid"}], "/linux/namespaces/1/type"),
    ([{"type": "net"}], "/linux/namespaces/0/type"),
    ([{"type": "mount"}, {"path": "/proc/1/ns/pid"}], "/linux/namespaces/1"),
    ([{"type": "network", "path": "proc/self/ns/net"}], "/linux/namespaces/0/path"),
])
def test_refused(runtime, bundle, namespaces, pointer):
    b = bare(bundle())
    b.linux["namespaces"] = namespaces
    refused(runtime, b, pointer)


# --- joined by path ---

@pytest.mark.parametrize("kind", [k for k in FILES if k not in ("user", "mount")])
def test_joined(runtime, bundle, other, kind):
    b = bundle().namespace(kind, f"/proc/{other.pid}/ns/{FILES[kind]}")
    if kind == "uts":
        b.config.pop("hostname")
    seen = runtime.probe(b)
    same = {k for k in FILES if seen["namespaces"][FILES[k]] == own(k, other.pid)}
    assert same == {kind, "user"}
    assert seen["hostname"] == "hako"
    assert (seen["pid"] > 1) == (kind == "pid")


def test_joined_through_a_bound_file(runtime, bundle, holder, tmp_path):
    """As network plugins keep them: a file that the namespace is mounted on."""
    pid = holder("--net")
    file = tmp_path / "netns"
    file.touch()
    subprocess.run(["mount", "--bind", f"/proc/{pid}/ns/net", file], check=True)
    try:
        seen = runtime.probe(bundle().namespace("network", file))
    finally:
        subprocess.run(["umount", file], check=True)
    assert seen["namespaces"]["net"] == own("network", pid)


def test_joined_mount_namespace(runtime, bundle, holder):
    """The rootfs is where the joined namespace has it; nobody else's root moves."""
    b = bundle()
    pid = holder("--mount", "--propagation=private")
    b.namespace("mount", f"/proc/{pid}/ns/mnt")
    before = os.readlink(f"/proc/{pid}/root")
    seen = runtime.probe(b, "d:/bin", f"d:{b.path}")
    assert seen["namespaces"]["mnt"] == own("mount", pid)
    assert seen["tests"] == {"d:/bin": "ok", f"d:{b.path}": "ENOENT"}
    assert os.readlink(f"/proc/{pid}/root") == before
    assert os.path.exists(f"/proc/{pid}/root/{b.rootfs}")


def test_all_of_another_container(runtime, bundle, other):
    """Like the second container of a pod; a mount namespace of its own."""
    b = bundle()
    for kind in set(FILES) - {"user", "mount"}:
        b.namespace(kind, f"/proc/{other.pid}/ns/{FILES[kind]}")
    b.config.pop("hostname")
    seen = runtime.probe(b)
    assert {k for k in FILES if seen["namespaces"][FILES[k]] != own(k, other.pid)} == {"mount"}
    assert "sleep" in other.exec("/bin/ps").stdout and other.status == "running"


def test_pid_namespace_joined(runtime, bundle, other):
    """Init is in it from the first instruction, and the runtime's own children stay outside."""
    b = bundle("/bin/ps", "-o", "pid,args").namespace("pid", f"/proc/{other.pid}/ns/pid")
    rows = [row.split(None, 1) for row in runtime.run_bundle(b).stdout.splitlines()[1:]]
    assert [args for _, args in rows] == ["/bin/sleep 1000", "/bin/ps -o pid,args"]
    assert rows[0][0] == "1"


def test_delete_in_a_joined_pid_namespace_kills_all(runtime, bundle, other):
    """The end of init does not end this pid namespace: its children are found by the cgroup."""
    b = bundle().namespace("pid", f"/proc/{other.pid}/ns/pid")
    box = runtime.container(b.sh("sleep 998 & setsid sleep 999 & exec sleep 997"))
    box.create()
    box.start()
    eventually(lambda: other.exec("/bin/ps", "-o", "args").stdout.count("\nsleep 99") == 3)
    box.delete("--force")
    left = other.exec("/bin/ps", "-o", "args").stdout
    assert "sleep 99" not in left and "sleep 1000" in left


@pytest.mark.parametrize("kind", FILES)
def test_wrong_type(runtime, bundle, kind):
    wrong = "ipc" if kind == "network" else "net"
    b = bundle().namespace(kind, f"/proc/self/ns/{wrong}")
    message = refused(runtime, b, f"/linux/namespaces/{len(b.linux['namespaces']) - 1}/path")
    assert f"is not a {kind} namespace" in message


@pytest.mark.parametrize("path, message", [("/proc/0/ns/net", "no such file"),
                                           ("/etc/passwd", "is not a network"),
                                           ("/dev/zero", "is not a network"),
                                           ("/", "is not a network"),
                                           ("{fifo}", "is not a network"),
                                           ("/dev/null", "is not a network")])
def test_path_that_is_no_namespace(runtime, bundle, tmp_path, path, message):
    os.mkfifo(tmp_path / "fifo")
    b = bundle().namespace("network", path.format(fifo=tmp_path / "fifo"))
    assert message in refused(runtime, b, "/linux/namespaces/5/path")


def test_user_namespace_joined(runtime, bundle, holder):
    """An intermediate joins it first, so that the new namespaces belong to it."""
    pid = holder("--user", "--map-root-user")
    b = bundle().namespace("user", f"/proc/{pid}/ns/user").capabilities("CAP_SYS_ADMIN")
    next(m for m in b.mounts if m["type"]
         == "devpts")["options"].remove("gid=5")  # it is not mapped
    seen = runtime.probe(b, "m:/tmp")
    assert seen["namespaces"]["user"] == own("user", pid)
    assert {k for k in FILES if seen["namespaces"][FILES[k]] == own(k)} == {"time"}
    assert seen["uid_map"][0].split() == ["0", "0",
                                          "1"] and seen["status"]["Uid"].split() == ["0"] * 4
    assert seen["tests"] == {"m:/tmp": "ok"}  # the mount namespace is one it has power over


def test_user_and_pid_namespace_of_another_container(runtime, bundle):
    first = runtime.container(bundle("/bin/sleep", "1000").user_namespace())
    first.create()
    first.start()
    b = bundle().namespace("user", f"/proc/{first.pid}/ns/user")
    b.namespace("pid", f"/proc/{first.pid}/ns/pid").namespace("network",
                                                              f"/proc/{first.pid}/ns/net")
    seen = runtime.probe(b)
    assert [k for k in FILES if seen["namespaces"][FILES[k]]
            == own(k, first.pid)] == ["pid", "network", "user", "time"]
    assert seen["pid"] > 1 and seen["uid_map"][0].split() == ["0", "1000000", "65536"]


@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "pid", "time"])
@pytest.mark.parametrize("joined", [False, True], ids=["new", "joined"])
def test_namespace_of_another_user_namespace(runtime, bundle, other, holder, kind, joined):
    """Root of the user namespace has no rights to it: it is joined before, and by exec as well."""
    path = f"/proc/{holder('--user', '--map-root-user')}/ns/user" if joined else None
    b = bare(bundle("/bin/sleep", "1000"), "mount")
    b.mount("/proc", "/proc", "rbind").mount("/dev", "tmpfs", "mode=755", type="tmpfs")
    b.namespace("user", path) if joined else b.user_namespace()
    b.namespace(kind, f"/proc/{other.pid}/ns/{FILES[kind]}")
    box = runtime.container(b)
    box.create()
    box.start()
    for seen in ({k: own(k, box.pid) for k in FILES},
                 {k: box.probe()["namespaces"][FILES[k]] for k in FILES}):
        assert seen[kind] == own(kind, other.pid) != own(kind)
        assert seen["user"] == (own("user", path.split("/")[2]) if joined else seen["user"])
        assert {k for k in FILES if seen[k] != own(k)} == {"mount", "user", kind}


def test_own_user_namespace_cannot_be_joined(runtime, bundle):
    """setns(2) refuses it: whoever asks for this wants no user namespace at all."""
    b = bundle().namespace("user", "/proc/self/ns/user")
    pointer = f"/linux/namespaces/{len(b.linux['namespaces']) - 1}/path"
    assert "who is in it already needs no user namespace" in refused(runtime, b, pointer)


def test_exec_joins_all(runtime, bundle):
    b = bundle("/bin/sleep", "1000").namespace("time").user_namespace()
    box = runtime.container(b)
    box.create()
    box.start()
    seen = box.probe()
    assert {k: seen["namespaces"][FILES[k]] for k in FILES} == {k: own(k, box.pid) for k in FILES}


# --- time ---

def uptime():
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0])


@pytest.mark.parametrize("offsets, lines", [
    ({"monotonic": {"secs": 1000, "nanosecs": 5}, "boottime": {"secs": 864000}},
     ["monotonic 1000 5", "boottime 864000 0"]),
    ({"boottime": {"secs": 3600}}, ["monotonic 0 0", "boottime 3600 0"]),
    ({"boottime": {"secs": -1, "nanosecs": 7}}, ["monotonic 0 0", "boottime -1 7"]),
    ({"monotonic": {"nanosecs": 999999999}}, ["monotonic 0 999999999", "boottime 0 0"]),
    ({}, ["monotonic 0 0", "boottime 0 0"]),
    (None, ["monotonic 0 0", "boottime 0 0"]),
])
def test_time_offsets(runtime, bundle, offsets, lines):
    b = bundle("/bin/sleep", "1000").namespace("time")
    if offsets is not None:
        b.linux["timeOffsets"] = offsets
    box = runtime.container(b)
    box.create()
    box.start()
    with open(f"/proc/{box.pid}/timens_offsets", encoding="ascii") as file:
        assert [" ".join(row.split()) for row in file] == lines
    before = uptime()
    seen = box.probe("cat:/proc/uptime")
    assert [" ".join(row.split()) for row in seen["timens_offsets"]] == lines
    inside = float(seen["tests"]["cat:/proc/uptime"].split()[0]) - int(lines[1].split()[1])
    assert before - 1 < inside < uptime() + 1
    assert seen["namespaces"]["time"] == own("time", box.pid) != own("time")


def test_time_offsets_in_a_user_namespace(runtime, bundle):
    b = bundle().namespace("time").user_namespace()
    b.linux["timeOffsets"] = {"boottime": {"secs": 7200}}
    assert runtime.probe(b)["timens_offsets"][1].split() == ["boottime", "7200", "0"]


@pytest.mark.parametrize("path, offsets, pointer", [
    (None, {"boottime": {"secs": -10**15}}, "/linux/timeOffsets"),
    ("/proc/self/ns/time", {"boottime": {"secs": 1}}, "/linux/timeOffsets"),
    (None, {"boottime": {"nanosecs": 10**9}}, "/linux/timeOffsets/boottime/nanosecs"),
    (None, {"monotonic": {"secs": 1}, "realtime": {"secs": 1}}, "/linux/timeOffsets/realtime")])
def test_refused_offsets(runtime, bundle, path, offsets, pointer):
    b = bundle().namespace("time", path)
    b.linux["timeOffsets"] = offsets
    refused(runtime, b, pointer)


def test_offsets_without_namespace(runtime, bundle):
    b = bundle()
    b.linux["timeOffsets"] = {"boottime": {"secs": 1}}
    assert "time" in refused(runtime, b, "/linux/timeOffsets")


# --- network, names, cgroup ---

def test_loopback_is_up(runtime, bundle):
    b = bundle().sh("ip link show lo; ping -c 1 -W 30 127.0.0.1")
    out = runtime.run_bundle(b.capabilities("CAP_NET_RAW")).stdout
    assert "LOOPBACK,UP,LOWER_UP" in out and "1 packets received" in out
    seen = runtime.probe(bundle())
    assert [row.split(":")[0].strip() for row in seen["interfaces"][2:]] == ["lo"]


def test_loopback_of_a_joined_namespace_is_left_alone(runtime, bundle, holder):
    b = bundle().namespace("network", f"/proc/{holder('--net')}/ns/net").sh("ip link show lo")
    assert "UP" not in runtime.run_bundle(b).stdout.split("mtu")[0]


def test_names(runtime, bundle):
    b = bundle()
    b.config.update(hostname="a-host.example", domainname="example.org")
    before = os.uname()
    seen = runtime.probe(b)
    assert (seen["hostname"], seen["domainname"]) == ("a-host.example", "example.org")
    assert os.uname() == before


def test_no_names(runtime, bundle):
    """A new UTS namespace starts with the runtime's names."""
    b = bundle()
    b.config.pop("hostname")
    assert runtime.probe(b)["hostname"] == socket.gethostname()


@pytest.mark.parametrize("name", ["hostname", "domainname"])
def test_names_need_a_namespace(runtime, bundle, name):
    b = bundle().without_namespace("uts")
    b.config.pop("hostname")
    b.config[name] = "changed"
    before = os.uname(), open("/proc/sys/kernel/domainname", encoding="ascii").read()
    assert "uts" in refused(runtime, b, f"/{name}")
    assert (os.uname(), open("/proc/sys/kernel/domainname", encoding="ascii").read()) == before


def test_name_that_is_too_long(runtime, bundle):
    b = bundle()
    b.config["hostname"] = "x" * 65
    refused(runtime, b, "/hostname")


@pytest.mark.parametrize("how", ["new", "absent"])
def test_root_of_the_cgroup_namespace(runtime, bundle, token, how):
    b = bundle()
    b.linux["cgroupsPath"] = f"/{token}"
    if how == "absent":
        b.without_namespace("cgroup")
    line = next(row for row in runtime.probe(b)["cgroup"] if row.startswith("0::"))
    assert line == {"new": "0::/", "absent": f"0::/{token}"}[how]
