# SPDX-License-Identifier: MIT
"""Bundles, config.json and state files that are wrong in every way: one clear line, the right
exit status, at once, in little memory, and nothing is left."""

import json
import os
import pathlib
import socket

import pytest

from harness import kernel, private
from harness.kernel import alive, eventually
from harness.runtime import SCALE, cpu_seconds, run

SLEEP = ("/bin/sleep", "1000")
CGROUP = pathlib.Path(private.CGROUP)
MEMORY_KIB = 100_000
SECONDS = 5  # a machine that stands still may count as work


@pytest.fixture
def limited(hako):
    """Words before a command that give it little memory; sanitizers need more."""
    if b"__asan_init" in pathlib.Path(hako).read_bytes():
        return []
    return ["sh", "-c", f'ulimit -v {MEMORY_KIB}; exec "$@"', "sh"]


@pytest.fixture
def refused(runtime, limited):
    """refused(args...): the error text of a hako that fails as it should."""

    def call(*args, code=1, **how):
        before = cpu_seconds()
        argv = [*limited, *runtime.argv(*args)]
        result = run(argv, env=runtime.environment, check=False, timeout=20, **how)
        assert cpu_seconds() - before < SECONDS * SCALE, result
        assert (result.returncode, result.stdout) == (code, ""), result
        assert result.stderr.startswith("hako: error: ") and result.stderr.count("\n") == 1, result
        assert "out of memory" not in result.stderr
        return result.stderr

    return call


@pytest.fixture
def not_created(runtime, refused, leaks):
    """not_created(bundle): create and run refuse it, and nothing is left."""

    def call(bundle, message, commands=("create", "run")):
        path = os.fspath(bundle)
        for command in commands:
            text = refused(command, "--bundle", path, runtime.new_id())
            assert message in text
        assert leaks.wait() == []

    return call


# --- the bundle --------------------------------------------------------------------

def test_missing_bundle(not_created, tmp_path):
    not_created(tmp_path / "none", "bundle")
    (tmp_path / "file").write_text("")
    not_created(tmp_path / "file", "not a directory")
    not_created(str(tmp_path / ("x" * 300)), "file name too long")
    not_created(str(tmp_path) + "/x" * 5000, "no such file or directory")


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def hundred_megabytes(path):
    with path.open("w") as file:
        file.write('{"a": "')
        for _ in range(100):
            file.write("x" * 1_000_000)
        file.write('"}')


def full_of_zeros(path):
    path.write_bytes(b"")
    os.truncate(path, 100_000_000)


def text(content):
    """A file of that text, or bytes."""
    content = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(content)


MANY = json.dumps({f"k{n}": n for n in range(300_000)})
FILES = {
    "missing": (lambda path: None, "no such file or directory"),
    "fifo": (make_fifo, "regular file"),
    "socket": (make_socket, "config.json"),
    "directory": (lambda path: path.mkdir(), "config.json"),
    "link to /dev/zero": (lambda path: path.symlink_to("/dev/zero"), "config.json"),
    "link to itself": (lambda path: path.symlink_to(path), "config.json"),
    "100 MB": (hundred_megabytes, "config.json"),
    "100 MB of nothing": (full_of_zeros, "config.json"),
    "empty": (text(""), "config.json:1:1"),
    "blanks": (text(" \n \n"), "config.json"),
    "null": (text("null"), "expected an object, found"),
    "a number": (text("5"), "expected an object, found"),
    "a string": (text('"x"'), "expected an object, found"),
    "an array": (text("[]"), "expected an object, found"),
    "nothing in it": (text("{}"), "ociVersion is missing"),
    "two values": (text("{} {}"), "config.json:1:4"),
    "300,000 members": (text(MANY), "config.json"),
    "a million arrays": (text("[" * 1_000_000), "config.json:1:65"),
    "a million objects": (text('{"a":' * 1_000_000), "config.json:1:"),
    "a long number": (text('{"ociVersion": ' + "1" * 1_000_000 + "}"), "config.json:1:16"),
    "a NUL": (text(b'{"ociVersion": "1.0.0\0"}'), "config.json:1:"),
    "bytes that are not UTF-8": (text(b'{"ociVersion": "\xff"}'), "config.json:1:"),
    "a program": (text(pathlib.Path("/bin/true").read_bytes()), "config.json:1:"),
}


@pytest.mark.parametrize("make, message", FILES.values(), ids=FILES.keys())
def test_config_file(not_created, bundle, make, message):
    b = bundle()
    b.config = None  # the harness writes none
    make(b.path / "config.json")
    not_created(b, message)


@pytest.mark.parametrize("what", ["config.json", "."])
def test_unreadable(rootless, bundle, user, what):
    b = bundle(owner=user).save()
    (b.path / what).chmod(0)
    result = rootless.run("create", "--bundle", b.path, rootless.new_id(), check=False)
    assert (result.returncode, "permission denied" in result.stderr) == (1, True)
    assert not rootless.root.exists() or os.listdir(rootless.root) == []


def full_config(bundle):
    b = bundle().user_namespace()
    b.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                      "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}
    b.linux["devices"] = [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 438}]
    b.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}], "pids": {"limit": 5},
                            "unified": {"hugetlb.2MB.max": "0"}}
    b.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    b.config["hooks"] = {"poststop": [
        {"path": "/bin/true", "args": ["true"], "env": ["A=B"], "timeout": 1}]}
    b.config["annotations"] = {"a": "b"}
    return b


def test_truncated_config(refused, hako, bundle):
    """At every 97th byte, and at the last."""
    b = full_config(bundle)
    text = json.dumps(b.config, indent=1).rstrip().encode()
    run([hako, "plan", b.write(text)])
    for length in [*range(0, len(text), 97), len(text) - 1]:
        b.write(text[:length])
        assert "config.json:" in refused("plan", b.path)


def places(value, path=()):
    """Every member and item of a document: where it is, and what."""
    if not isinstance(value, (dict, list)):
        return
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key), child
        yield from places(child, (*path, key))


def replaced(value, path, other):
    if not path:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], other)
    return copy


@pytest.mark.timeout(300)
def test_wrong_types(refused, bundle):
    """Each property of a config once with a value of another type: the error names its place."""
    b = full_config(bundle)
    config = b.config
    seen = 0
    for path, value in places(config):
        if path[:2] == ("linux", "resources") and path[-1] == "devices":
            continue
        pointer = "/" + "/".join(str(key).replace("/", "~1") for key in path)
        for other in ([], {}, "text", 5.5):
            if type(other) is type(value):
                continue
            b.write(json.dumps(replaced(config, path, other)))
            assert f" {pointer}: " in refused("plan", b.path), (path, other)
            seen += 1
    assert seen > 200


# --- what only shows when the container is made -------------------------------------------

def program(*args, **more):
    def change(b):
        b.args(*args)
        b.process.update(more)
    return change


def linux(**values):
    return lambda b: b.linux.update(values)


def root(path):
    return lambda b: b.config.update(root={"path": path})


def mount(*args, **more):
    return lambda b: b.mount("/mnt", *args, **more)


def network(path):
    return lambda b: b.namespace("network", path)


MISSING = "no such file or directory"
AT_CREATE = {
    # engines look for these words
    "no such command": (program("none"), 'exec: "none": executable file not found in $PATH'),
    "no such program": (program("/bin/none"), f'exec: "/bin/none": stat /bin/none: {MISSING}'),
    "below a file": (program("/etc/group/x"), "stat /etc/group/x: not a directory"),
    "not executable": (program("/etc/passwd"), 'exec: "/etc/passwd": permission denied'),
    "a folder": (program("/etc"), 'exec: "/etc": is a directory: permission denied'),
    "not on PATH": (program("sh", env=["PATH=/etc:/none"]), "executable file not found in $PATH"),
    "cwd is a file": (program("/bin/true", cwd="/etc/passwd"), "not a directory"),
    "cwd too long": (program("/bin/true", cwd="/" + "x" * 300), "file name too long"),
    "no rootfs": (root("none"), MISSING),
    "rootfs is a file": (root("config.json"), "not a directory"),
    "no bind source": (mount("/none", "bind"), MISSING),
    "no such filesystem": (mount("none", "rw", type="nonefs"), "no such device"),
    "bad data of a filesystem": (mount("tmpfs", "size=x", type="tmpfs"), "/mounts/7"),
    "no such namespace": (network("/proc/self/ns/none"), MISSING),
    "namespace of another type": (network("/proc/self/ns/uts"), "is not a network namespace"),
    "not a namespace": (network("/dev/null"), "is not a network namespace"),
    "no such sysctl": (linux(sysctl={"net.none": "1"}), "/linux/sysctl/net.none"),
    "bad value of a sysctl": (linux(sysctl={"net.ipv4.ip_forward": "x"}),
                              "/linux/sysctl/net.ipv4.ip_forward"),
    "no such cgroup file": (linux(resources={"unified": {"none.max": "1"}}),
                            "/linux/resources/unified/none.max"),
    "bad value of a cgroup file": (linux(resources={"unified": {"cgroup.max.depth": "x"}}),
                                   "cgroup.max.depth"),
    "root of the cgroups": (linux(cgroupsPath="/../.."), "is the root of the cgroup tree"),
    "cgroup below a file": (linux(cgroupsPath="/cgroup.procs/x"), "cgroup"),
    "cgroup's path too long": (linux(cgroupsPath="/" + "x" * 5000), "file name too long"),
}


@pytest.mark.parametrize("change, message", AT_CREATE.values(), ids=AT_CREATE.keys())
def test_refused_by_create(not_created, bundle, change, message):
    b = bundle()
    change(b)
    not_created(b, message)


def test_missing_controller_is_named(not_created, bundle):
    if "pids" in (CGROUP / "cgroup.controllers").read_text():
        pytest.skip("this machine has the pids controller")
    b = bundle()
    b.linux["resources"] = {"pids": {"limit": 5}}
    not_created(b, "pids")


def test_arguments_too_long(runtime, refused, bundle):
    b = bundle("/bin/true", "x" * 200_000)
    assert "argument list too long" in refused("run", "--bundle", b, runtime.new_id())
    box = runtime.container(b)
    box.create()
    assert "argument list too long" in refused("start", box.id)


def test_bundle_with_an_odd_name(runtime, bundle, tmp_path):
    """A name that JSON cannot hold is refused; any other works."""
    b = bundle("/bin/true")
    b.save()
    for name in ("\udcff", "a b\n\t\"\\", "grün"):
        path = tmp_path / name
        b.path.rename(path)
        id = runtime.new_id()
        created = runtime.run("create", "--bundle", path, id, check=False)
        if name == "\udcff":  # the byte 0xff
            assert (created.returncode, created.stderr.count("\n")) == (1, 1)
            assert "does not exist" in runtime.run("state", id, check=False).stderr
        else:
            assert runtime.run("state", id).json()["bundle"] == str(path)
            runtime.run("start", id)
            runtime.run("delete", "--force", id)
        path.rename(b.path)


def test_root_with_a_long_path(runtime, roots, refused, bundle, tmp_path):
    long_root = ("--root", "/x" * 3000)
    assert "file name too long" in refused(*long_root, "create", "--bundle", bundle(), "x")
    runtime.root = tmp_path / ("y" * 250)  # too long for the path of a socket
    roots.append(runtime.root)
    box = runtime.container(bundle(*SLEEP))
    box.create()
    box.start()
    assert box.status == "running"
    box.delete("--force")


# --- the state file ----------------------------------------------------------------------------

def write(content):
    return lambda path, state: path.write_bytes(content)


def edit(**changes):
    """The state with other values; None removes a property."""
    def change(path, state):
        state = {k: v for k, v in {**state, **changes}.items() if v is not None}
        path.write_text(json.dumps(state))
    return change


def instead(make):
    def change(path, state):
        path.unlink()
        make(path)
    return change


def half(path, state):
    text = path.read_bytes()
    path.write_bytes(text[:len(text) // 2])


DAMAGED = {
    "empty": write(b""),
    "half": half,
    "garbage": write(os.urandom(4096)),
    "zeros": write(bytes(4096)),
    "20 MB of blanks": write(b" " * 20_000_000),
    "20 MB of text": write(b'{"id": "' + b"x" * 20_000_000 + b'"}'),
    "deep": write(b"[" * 1_000_000),
    "null": write(b"null"),
    "missing": instead(lambda path: None),
    "a folder": instead(lambda path: path.mkdir()),
    "a fifo": instead(make_fifo),
    "a link to /dev/zero": instead(lambda path: path.symlink_to("/dev/zero")),
    "a link to itself": instead(lambda path: path.symlink_to(path)),
    "pid 1": edit(pid=1),
    "pid -1": edit(pid=-1),
    "pid too large": edit(pid=1 << 31),
    "pid is text": edit(pid="5"),
    "no pid": edit(pid=None),
    "no start time": edit(startTime=None),
    "start time is negative": edit(startTime=-5),
    "bundle is relative": edit(bundle="x"),
    "cgroup is relative": edit(cgroupPath="x"),
    "cgroup leads upwards": edit(cgroupPath="/x/../y"),
    "cgroup has empty parts": edit(cgroupPath="//x"),
    "cgroup ends in a slash": edit(cgroupPath="/x/"),
    "resctrl group is absolute": edit(resctrlPath="/x"),
    "resctrl group leads upwards": edit(resctrlPath="a/../.."),
    "resctrl group is the root": edit(resctrlPath="."),
    "hooks are text": edit(hooks="x"),
}


@pytest.fixture
def damage(runtime, bundle):
    """damage(how): a running container, with its state file spoiled."""

    def make(how, b=None):
        box = runtime.container(b or bundle(*SLEEP))
        box.create()
        box.start()
        pid = box.pid
        file = runtime.root / box.id / "state.json"
        how(file, json.loads(file.read_text()))
        return box, pid

    return make


@pytest.mark.parametrize("how", DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_state(runtime, refused, damage, how):
    box, pid = damage(how)
    for command in ("state", "start", "ps", "pause", "resume", "kill", "delete"):
        text = refused(command, box.id)
        assert f"{command} {box.id}: " in text and "does not exist" not in text
    refused("exec", box.id, "/bin/true", code=255)
    result = runtime.run("list", "-q", check=False)
    assert box.id not in result.stdout and f"list {box.id}: " in result.stderr
    assert alive(pid)
    result = box.delete("--force")
    assert result.stdout + result.stderr == ""
    eventually(lambda: not alive(pid))
    assert not (CGROUP / box.id).exists()
    assert os.listdir(runtime.root) == []
    assert box.bundle.args("/bin/true") and box.run().returncode == 0  # the id is free again


@pytest.mark.parametrize("how", [write(b""), instead(lambda path: None)])
@pytest.mark.parametrize("own_pids", [True, False])
def test_damaged_state_and_a_named_cgroup(bundle, damage, token, how, own_pids):
    b = bundle().sh("sleep 1000 & sleep 1000")
    b.linux["cgroupsPath"] = f"/{token}-named/sub"
    box, pid = damage(how, b if own_pids else b.without_namespace("pid"))
    assert kernel.cgroup_path(pid) == CGROUP / f"{token}-named/sub"
    box.delete("--force")
    eventually(lambda: not alive(pid))
    assert not (CGROUP / f"{token}-named/sub").exists()
    (CGROUP / f"{token}-named").rmdir()  # parents stay, as they do otherwise


@pytest.mark.parametrize("pid", [0, 2 ** 31 - 1])
def test_state_with_another_pid(damage, pid):
    """The container counts as stopped; deleting it kills by the cgroup."""
    box, real = damage(edit(pid=pid))
    assert (box.status, box.pid) == ("stopped", 0)
    assert "container not running" in box.kill("KILL", check=False).stderr
    assert alive(real)
    box.delete()
    eventually(lambda: not alive(real))
    assert not (CGROUP / box.id).exists()


def test_state_folder_that_is_something_else(runtime, refused, tmp_path):
    runtime.root.mkdir(mode=0o700)
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "state.json").write_text("{}")
    (runtime.root / "link").symlink_to(tmp_path / "target")
    (runtime.root / "file").write_text("")
    for id in ("link", "file"):
        for command in ("state", "kill", "delete"):
            refused(command, id)
        runtime.run("delete", "--force", id, check=False)
        assert runtime.run("list", "-q").stdout == ""
    assert (tmp_path / "target" / "state.json").read_text() == "{}"
    (runtime.root / "link").unlink()
    (runtime.root / "file").unlink()
