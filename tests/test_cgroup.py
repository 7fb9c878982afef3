# SPDX-License-Identifier: MIT
"""linux.cgroupsPath and linux.resources on cgroup v2, and on a hybrid machine."""

import os
import pathlib
import subprocess
import time

import pytest

from harness import private
from harness.kernel import alive, cgroup_pids, cmdline, eventually
from harness.refused import refused
from harness.runtime import run

ROOT = pathlib.Path(private.CGROUP)


def path_of(pid):
    """The cgroup of a process, as the machine sees it."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as rows:
        return next(row[3:].rstrip("\n") for row in rows if row.startswith("0::"))


@pytest.fixture
def sleeper(runtime, bundle):
    """sleeper(cgroupsPath): a running container."""
    def make(path=None, **resources):
        b = bundle("/bin/sleep", "1000")
        if path is not None:
            b.linux["cgroupsPath"] = path
        if resources:
            b.linux["resources"] = resources
        box = runtime.container(b)
        box.create()
        box.start()
        return box

    return make


@pytest.fixture
def group(token):
    """A cgroup of the test's own, removed with everything below it."""
    folder = ROOT / f"{token}-own"
    folder.mkdir()
    yield folder
    (folder / "cgroup.freeze").write_text("0")
    for path, _, _ in os.walk(folder, topdown=False):
        os.rmdir(path)


@pytest.fixture
def occupant():
    """occupant(cgroup): a process in it."""
    made = []

    def make(folder):
        process = subprocess.Popen(["sleep", "1000"], env={})
        (folder / "cgroup.procs").write_text(str(process.pid))
        made.append(process)
        return process

    yield make
    for process in made:
        process.kill()
        process.wait()


# --- path ---

@pytest.mark.parametrize("path, expected", [
    (None, "/{id}"), ("", "/{id}"), ("/{token}", "/{token}"), ("{token}", "/{token}"),
    ("/{own}/a/b", "/{own}/a/b"),
    ("{own}/a", "/{own}/a"), ("//{own}//x/./", "/{own}/x"),
    # what looks like a way out leads nowhere but into the tree
    ("/../../../{token}", "/{token}"), ("../../{token}", "/{token}"),
    ("/{own}/x/../../{token}", "/{token}"),
    ("/{own}/../../../../tmp/../{token}", "/{token}"),
])
def test_path(sleeper, token, group, path, expected):
    names = {"token": token, "own": group.name}
    box = sleeper(path and path.format(**names))
    expected = expected.format(id=box.id, **names)
    assert path_of(box.pid) == expected
    assert path_of(int((ROOT / expected[1:] / "cgroup.procs").read_text())) == expected
    box.delete("--force")
    assert not (ROOT / expected[1:]).exists()
    assert group.exists()


@pytest.mark.parametrize("path", ["/", "/..", "../..", ".", "/x/..", "//"])
def test_root_of_the_tree_is_refused(runtime, bundle, path):
    b = bundle()
    b.linux["cgroupsPath"] = path
    assert "root" in refused(runtime, b, "/linux/cgroupsPath")


@pytest.mark.parametrize("path, message", [("/{own}/" + "x/" * 2100, "name too long"),
                                           ("/{own}/cgroup.procs/x", "not a directory")])
def test_path_that_cannot_be(runtime, bundle, group, path, message):
    b = bundle()
    b.linux["cgroupsPath"] = path.format(own=group.name)
    assert message in refused(runtime, b, "/linux/cgroupsPath")


def test_outside_of_the_tree_nothing_is_made(runtime, bundle, token, tmp_path):
    """Not even where the names exist."""
    b = bundle()
    for path in (f"/../../..{tmp_path}/{token}", f"../../../../tmp/{token}", f"/../{token}"):
        b.linux["cgroupsPath"] = path
        runtime.run_bundle(b)
    for folder in ("/", "/tmp", "/sys", "/sys/fs", tmp_path):
        assert token not in os.listdir(folder)
    for path, _, _ in os.walk(ROOT / "tmp", topdown=False):
        os.rmdir(path)


def test_existing_empty_one_is_used(sleeper, group):
    box = sleeper(f"/{group.name}")
    assert path_of(box.pid) == f"/{group.name}"
    box.delete("--force")
    group.mkdir(exist_ok=True)


def test_existing_one_with_processes_is_left_alone(runtime, bundle, group, occupant):
    process = occupant(group)
    b = bundle()
    b.linux["cgroupsPath"] = f"/{group.name}"
    message = refused(runtime, b, "/linux/cgroupsPath")
    assert "container's cgroup is not empty: 1 process(es) found" in message
    assert process.poll() is None and path_of(process.pid) == f"/{group.name}"
    process.kill()
    process.wait()


def test_cgroup_of_another_container_is_left_alone(runtime, bundle, sleeper, token):
    first = sleeper(f"/{token}")
    b = bundle()
    b.linux["cgroupsPath"] = f"/{token}"
    assert "not empty" in refused(runtime, b, "/linux/cgroupsPath")
    assert first.status == "running"


def test_existing_frozen_one_is_left_alone(runtime, bundle, group):
    (group / "cgroup.freeze").write_text("1")
    b = bundle()
    b.linux["cgroupsPath"] = f"/{group.name}"
    assert "container's cgroup unexpectedly frozen" in refused(runtime, b, "/linux/cgroupsPath")
    assert (group / "cgroup.freeze").read_text() == "1\n"


def test_frozen_parent(runtime, bundle, group):
    """Nothing could ever run there: an error, not a create that hangs."""
    (group / "cgroup.freeze").write_text("1")
    b = bundle()
    b.linux["cgroupsPath"] = f"/{group.name}/below"
    assert "container's cgroup unexpectedly frozen" in refused(runtime, b, "/linux/cgroupsPath")
    assert not (group / "below").exists()


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("command", ["kill ID KILL", "kill --all ID KILL", "delete --force ID"])
def test_parent_that_is_frozen_later(runtime, sleeper, group, command, paused):
    """SIGKILL has its effect all the same: nothing waits for a thaw that does not come."""
    box = sleeper(f"/{group.name}/below")
    if paused:
        runtime.run("pause", box.id)
    (group / "cgroup.freeze").write_text("1")
    for words in (command.replace("ID", box.id).split(), ["delete", "--force", box.id]):
        start = time.monotonic()
        runtime.run(*words)
        assert time.monotonic() - start < 9  # 10 s are what hako waits at most
    assert not (group / "below").exists()
    (group / "cgroup.freeze").write_text("0")


def test_first_instruction_is_in_the_cgroup(runtime, bundle, token):
    """Nothing is moved later: even what init makes before the program runs is there."""
    b = bundle("/bin/true")
    b.linux["cgroupsPath"] = f"/{token}"
    b.config["hooks"] = {"createContainer": [
        {"path": "/bin/sh", "args": ["sh", "-c", f"cat /proc/self/cgroup >{b.path}/seen"]}]}
    trace = b.path / "trace"
    argv = ["strace", "-f", "-o", trace, "-e", "trace=clone3,write,openat", *runtime.argv(
        "run", "--bundle", b, runtime.new_id())]
    run(argv, env=runtime.environment)
    calls = trace.read_text()
    assert "CLONE_INTO_CGROUP" in calls
    assert 'cgroup.procs", O_W' not in calls and 'cgroup.procs", O_RDWR' not in calls
    assert "0::/" in (b.path / "seen").read_text().split()


def test_removed_with_sub_cgroups(runtime, bundle, token):
    b = bundle().sh("cd /sys/fs/cgroup && mkdir -p a/b c && echo $$ >a/b/cgroup.procs || exit;"
                    "(sleep 1000 & sleep 999) & echo ready; exec sleep 1000")
    b.linux["cgroupsPath"] = f"/{token}"
    next(m for m in b.mounts if m["type"] == "cgroup")["options"] = ["nosuid", "nodev", "noexec"]
    box = runtime.container(b)
    out = box.create()
    box.start()
    eventually(lambda: "ready" in out.stdout)
    assert (ROOT / token / "a/b").is_dir() and (ROOT / token / "c").is_dir()
    box.kill("KILL")
    box.wait_for("stopped")
    box.delete()
    assert not (ROOT / token).exists()


def test_failing_create_leaves_no_cgroup(runtime, bundle, token):
    b = bundle("/absent")
    b.linux["cgroupsPath"] = f"/{token}"
    refused(runtime, b, "/process/args", "create")
    assert not (ROOT / token).exists()


@pytest.mark.parametrize("made, count", [
    ("sleep 500 & sleep 500 & wait", 2),
    ("for i in 1 2 3 4 5; do (setsid sleep 500 &) ; done; sleep 500", 6)])
def test_delete_without_pid_namespace_kills_everyone(runtime, bundle, token, made, count):
    b = bundle().without_namespace("pid").sh(made)
    b.linux["cgroupsPath"] = f"/{token}"
    box = runtime.container(b)
    box.create()
    box.start()
    eventually(lambda: list(map(cmdline, cgroup_pids(ROOT / token))).count(["sleep", "500"])
               == count)
    pids = cgroup_pids(ROOT / token)
    assert len(pids) >= 3
    box.delete("--force")
    assert not (ROOT / token).exists()
    eventually(lambda: not any(map(alive, pids)))


# --- limits ---

PAGES = "hugetlb.2MB"


@pytest.mark.parametrize("resources, pointer, controller, file", [
    ({"memory": {"limit": 1 << 26}}, "memory/limit", "memory", "memory.max"),
    ({"memory": {"reservation": 1 << 26}}, "memory/reservation", "memory", "memory.low"),
    ({"memory": {"limit": 1 << 26, "swap": 1 << 27}}, "memory/limit", "memory", "memory.max"),
    ({"pids": {"limit": 5}}, "pids/limit", "pids", "pids.max"),
    ({"pids": {"limit": 0}}, "pids/limit", "pids", "pids.max"),
    ({"cpu": {"shares": 512}}, "cpu/shares", "cpu", "cpu.weight"),
    ({"cpu": {"quota": 50000, "period": 100000}}, "cpu/quota", "cpu", "cpu.max"),
    ({"cpu": {"period": 50000}}, "cpu/period", "cpu", "cpu.max"),
    ({"cpu": {"idle": 1}}, "cpu/idle", "cpu", "cpu.idle"),
    ({"cpu": {"burst": 5000}}, "cpu/burst", "cpu", "cpu.max.burst"),
    ({"cpu": {"cpus": "0"}}, "cpu/cpus", "cpuset", "cpuset.cpus"),
    ({"cpu": {"mems": "0"}}, "cpu/mems", "cpuset", "cpuset.mems"),
    ({"unified": {"memory.high": "1000000"}}, "unified/memory.high", "memory", "memory.high"),
    ({"unified": {"io.weight": "100"}}, "unified/io.weight", "io", "io.weight"),
    ({"unified": {"nothing.max": "1"}}, "unified/nothing.max", "nothing", "nothing.max"),
])
def test_limit_without_its_controller(runtime, bundle, token, resources, pointer, controller, file):
    """The error names property, file, controller, and what is there instead."""
    available = (ROOT / "cgroup.controllers").read_text().split()
    assert "hugetlb" in available and controller not in available, "this machine is not for it"
    b = bundle("/bin/true")
    b.linux.update(cgroupsPath=f"/{token}", resources=resources)
    message = refused(runtime, b, f"/linux/resources/{pointer}")
    assert f"no {file}: the {controller} controller" in message and "hugetlb" in message
    assert not (ROOT / token).exists()


def test_unified(sleeper, token):
    box = sleeper(f"/{token}", unified={f"{PAGES}.max": "4194304", f"{PAGES}.rsvd.max": "2097152",
                                        "cgroup.max.depth": "3", "cgroup.max.descendants": "7"})
    files = {name: (ROOT / token / name).read_text() for name in (
        f"{PAGES}.max", f"{PAGES}.rsvd.max", "cgroup.max.depth", "cgroup.max.descendants")}
    assert list(files.values()) == ["4194304\n", "2097152\n", "3\n", "7\n"]
    assert "hugetlb" in (ROOT / "cgroup.subtree_control").read_text()
    assert box.status == "running"


def test_controllers_are_handed_down(sleeper, group):
    box = sleeper(f"/{group.name}/a/b", unified={f"{PAGES}.max": "2097152"})
    assert (group / f"a/b/{PAGES}.max").read_text() == "2097152\n"
    box.delete("--force")


@pytest.mark.parametrize("name", ["runtime", "runc", "crun"])
def test_controllers_without_a_limit(request, bundle, group, name):
    """Engines read what a container uses, and a container may manage cgroups of its own."""
    runtime = request.getfixturevalue(name)
    b = bundle("/bin/sleep", "1000")
    b.linux["cgroupsPath"] = f"/{group.name}/a/b"
    next(m for m in b.mounts if m["type"] == "cgroup")["options"] = ["nosuid", "nodev", "noexec"]
    box = runtime.container(b)
    box.create()
    box.start()
    available = (ROOT / "cgroup.controllers").read_text()
    assert box.exec("/bin/cat", "/sys/fs/cgroup/cgroup.controllers").stdout == available
    if "hugetlb" in available:
        assert (group / f"a/b/{PAGES}.current").read_text() == "0\n"
    box.delete("--force")
    (group / "a").rmdir()


@pytest.mark.parametrize("unified, pointer", [
    ({f"{PAGES}.max": "many"}, f"/{PAGES}.max"), ({f"{PAGES}.current": "1"}, f"/{PAGES}.current"),
    ({"../x": "1"}, "/..~1x"),
    ({"a/b": "1"}, "/a~1b"), ({"..": "1"}, "/.."), ({"": "1"}, "/"),
    ({PAGES + ".max": 5}, f"/{PAGES}.max")])
def test_unified_that_cannot_be(runtime, bundle, token, unified, pointer):
    b = bundle()
    b.linux.update(cgroupsPath=f"/{token}", resources={"unified": unified})
    refused(runtime, b, "/linux/resources/unified" + pointer)
    assert not (ROOT / token).exists()


@pytest.mark.parametrize("resources", [
    {}, {"memory": {}}, {"memory": {"limit": 0}}, {"cpu": {}}, {"cpu": {"shares": 0}},
    {"cpu": {"quota": 0}}, {"pids": {}}, {"pids": {"limit": -1}},
    {"memory": {"limit": -1}, "devices": []}, {"cpu": {"quota": -1}}])
def test_limits_that_limit_nothing(runtime, bundle, resources):
    """An engine's zeros: unset. No limit at all needs no controller either."""
    b = bundle("/bin/true")
    b.linux["resources"] = resources
    runtime.run_bundle(b)


@pytest.mark.parametrize("resources, pointer", [
    ({"memory": {"swap": 1 << 27}}, "memory/swap"),
    ({"memory": {"limit": 2000, "swap": 1000}}, "memory/swap"),
    ({"memory": {"limit": -2}}, "memory/limit"), ({"memory": {"limit": "1g"}}, "memory/limit"),
    ({"cpu": {"idle": 2}}, "cpu/idle"), ({"rdma": {"x": {}}}, "rdma/x"),
])
def test_refused_limits(runtime, bundle, resources, pointer):
    b = bundle()
    b.linux["resources"] = resources
    refused(runtime, b, f"/linux/resources/{pointer}")


def test_limits_of_v1_are_skipped(runtime, bundle):
    """Engines send them: a warning, and an error under --strict."""
    b = bundle("/bin/true")
    b.linux["resources"] = {"memory": {"swappiness": 50, "kernel": 1 << 26,
                                       "disableOOMKiller": True}}
    runtime.options = ["--log-level", "warning"]
    log = runtime.run_bundle(b).stderr
    assert all(f"/linux/resources/memory/{name}" in log
               for name in ("swappiness", "kernel", "disableOOMKiller"))
    runtime.options = ["--strict"]
    assert "strict" in refused(runtime, b)


# --- without, hybrid ---

def test_disabled(runtime, bundle):
    """--cgroup-manager disabled: the container stays where its runtime is."""
    runtime.options = ["--cgroup-manager", "disabled"]
    b = bundle("/bin/sleep", "1000").without_mount("/sys/fs/cgroup")
    box = runtime.container(b)
    box.create()
    box.start()
    assert path_of(box.pid) == path_of("self")
    assert [folder for folder, _, _ in os.walk(ROOT) if box.id in folder] == []
    assert box.probe()["pid"] > 1 and box.status == "running"
    box.delete("--force")


def test_disabled_and_limited(runtime, bundle):
    runtime.options = ["--cgroup-manager", "disabled"]
    b = bundle()
    b.linux["resources"] = {"pids": {"limit": 5}}
    assert "cgroups are disabled" in refused(runtime, b, "/linux/resources")


@pytest.fixture
def hybrid(make_runtime, hako, tmp_path):
    """hako in a mount namespace as on a hybrid machine: v1 at /sys/fs/cgroup, v2 at unified."""
    script = tmp_path / "hybrid"
    script.write_text(f"""#!/bin/sh -e
        exec unshare --mount sh -ec 'umount /sys/fs/cgroup; mount -t tmpfs t /sys/fs/cgroup
        mkdir /sys/fs/cgroup/unified /sys/fs/cgroup/memory
        mount -t cgroup2 c /sys/fs/cgroup/unified
        exec {hako} "$@"' sh "$@"
    """)
    script.chmod(0o755)
    return make_runtime(script)


def test_hybrid(hybrid, bundle, token):
    """v2 gives tracking, freezing, killing and the device filter."""
    b = bundle("/bin/sleep", "1000")
    b.linux.update(cgroupsPath=f"/{token}", resources={"devices": [{"allow": False}]},
                   devices=[{"path": "/dev/it", "type": "c", "major": 1, "minor": 100}])
    box = hybrid.container(b)
    box.create()
    box.start()
    assert path_of(box.pid) == f"/{token}"
    seen = box.probe("r:/dev/it", "cat:/sys/fs/cgroup/cgroup.procs")
    assert seen["tests"]["r:/dev/it"] == "EPERM"
    assert seen["tests"]["cat:/sys/fs/cgroup/cgroup.procs"].startswith("1\n")
    hybrid.run("pause", box.id)
    assert box.status == "paused" and "frozen 1" in (ROOT / token / "cgroup.events").read_text()
    hybrid.run("resume", box.id)
    hybrid.run("kill", "--all", box.id, "KILL")
    box.wait_for("stopped")
    box.delete()
    assert not (ROOT / token).exists()


def test_limits_on_a_hybrid_machine(hybrid, bundle, token):
    b = bundle()
    b.linux.update(cgroupsPath=f"/{token}", resources={"memory": {"limit": 1 << 26}})
    message = refused(hybrid, b, "/linux/resources/memory/limit")
    assert f"/sys/fs/cgroup/unified/{token}" in message and "hybrid" in message


def test_no_cgroup_v2_at_all(make_runtime, hako, bundle, tmp_path):
    script = tmp_path / "none"
    script.write_text(f"""#!/bin/sh
        exec unshare --mount sh -ec 'umount /sys/fs/cgroup; exec {hako} "$@"' sh "$@"\n""")
    script.chmod(0o755)
    runtime = make_runtime(script)
    assert "no cgroup v2 hierarchy" in refused(runtime, bundle())
    runtime.options = ["--cgroup-manager=disabled"]
    runtime.run_bundle(bundle().without_mount("/sys/fs/cgroup"))


def outermost():
    """The farthest ancestor whose mount namespace may be entered: where the tests were started."""
    pid, found = os.getpid(), None
    while pid > 0:
        try:
            os.readlink(f"/proc/{pid}/ns/mnt")
        except PermissionError:
            break
        found = pid
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            pid = int(stat.read().rpartition(")")[2].split()[1])
    return found


def test_on_the_machine_itself(make_runtime, hako, bundle, token, tmp_path):
    """Outside of the tests' mount namespace, with whatever cgroups the machine has."""
    enter = f"nsenter --mount=/proc/{outermost()}/ns/mnt"
    script = tmp_path / "outside"
    script.write_text(f'#!/bin/sh\nexec {enter} {hako} "$@"\n')
    script.chmod(0o755)
    runtime = make_runtime(script)
    b = bundle("/bin/sleep", "1000")
    b.linux["cgroupsPath"] = f"/{token}"
    box = runtime.container(b)
    box.create()
    box.start()
    assert path_of(box.pid) == f"/{token}"
    assert "/sys/fs/cgroup cgroup2" in box.exec("/bin/cat", "/proc/mounts").stdout
    box.delete("--force")
    assert not (ROOT / token).exists()
