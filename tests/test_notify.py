# SPDX-License-Identifier: MIT
"""NOTIFY_SOCKET: a container says that it is ready, and the service manager of the caller is told
(sd_notify(3))."""

import os
import signal
import subprocess
import time

import pytest

from harness import mountinfo, private
from harness.kernel import alive, cmdline, eventually, signals
from harness.manager import Manager
from harness.runtime import SCALE


FOLDER = "/run/notify"
SOCKET = f"NOTIFY_SOCKET={FOLDER}/notify.sock"
READY = "/bin/probe n:READY=1 >/dev/null; exec sleep 1000"
# hako lets go of the socket once the program runs
REFUSED = "until /bin/probe n:READY=1 | grep -o ECONNREFUSED; do sleep 0.01; done"
SLEEP = ("/bin/sleep", "1000")


@pytest.fixture
def manager(tmp_path):
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


@pytest.fixture
def in_background(runtime):
    """in_background(*args, env): a command of hako; killed when the test ends."""
    started = []

    def start(*args, **how):
        started.append(runtime.popen(*args, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                     text=True, **how))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


def gate(b, tmp_path, script=READY):
    """A bundle whose process runs the script when open(gate) has been called."""
    folder = tmp_path / "gate"
    folder.mkdir()
    b.mount("/gate", folder, "bind")
    b.sh(f"while [ ! -e /gate/open ]; do sleep 0.01; done; {script}")
    return folder / "open"


# --- what is in the container ---

@pytest.mark.parametrize("uid", [0, 1000])
def test_socket_in_the_container(runtime, bundle, manager, uid):
    b = bundle()
    b.process.update(user={"uid": uid, "gid": uid}, capabilities={})
    before = private.mounts()
    seen = runtime.probe(b, "n:STATUS=hello", f"c:{FOLDER}/x", f"w:{FOLDER}/notify.sock",
                         env=manager.env)
    assert SOCKET in seen["env"]
    mount = mountinfo.parse(seen["mounts"])[FOLDER]
    assert (mount.type, mount.kinds) == ("tmpfs", set())
    assert mount.options >= {"ro", "nosuid", "nodev", "noexec"}
    assert seen["tests"]["n:STATUS=hello"] == "ok"
    assert seen["tests"][f"c:{FOLDER}/x"] in ("EROFS", "EACCES")
    assert sorted(seen["fds"]) == ["0", "1", "2"]
    assert private.mounts() == before
    assert manager.silent()  # it was not ready


def test_without_a_manager(runtime, bundle):
    for env in ({}, {"NOTIFY_SOCKET": ""}):
        seen = runtime.probe(bundle().env(NOTIFY_SOCKET="own"), env=env)
        assert FOLDER not in mountinfo.parse(seen["mounts"])
        assert "NOTIFY_SOCKET=own" in seen["env"]


def test_what_the_config_says_is_replaced(runtime, bundle, manager):
    b = bundle().env(NOTIFY_SOCKET="/elsewhere")
    b.mount("/run", "tmpfs", "size=4k", "mode=755", type="tmpfs")  # is below ours
    seen = runtime.probe(b, "n:X=1", env=manager.env)
    assert [e for e in seen["env"] if e.startswith("NOTIFY")] == [SOCKET]
    assert seen["tests"]["n:X=1"] == "ok"


@pytest.mark.parametrize("target, message", [("/proc", "leads into /proc"),
                                             ("/", "leads to the root")])
def test_hostile_rootfs(runtime, bundle, manager, leaks, target, message):
    b = bundle()
    (b.rootfs / "run/notify").symlink_to(target)
    result = runtime.run_bundle(b, env=manager.env, check=False)
    assert (result.returncode, message in result.stderr) == (1, True), result
    assert leaks.wait() == []


def test_link_out_of_the_rootfs(runtime, bundle, manager, tmp_path):
    b = bundle()
    (tmp_path / "host").mkdir()
    (b.rootfs / "run").rmdir()
    (b.rootfs / "run").symlink_to(tmp_path / "host")
    seen = runtime.probe(b, "n:X=1", env=manager.env)
    assert seen["tests"]["n:X=1"] == "ok"
    assert list((tmp_path / "host").iterdir()) == []


@pytest.mark.parametrize("joined", [False, True])
def test_without_a_mount_namespace(runtime, bundle, manager, joined):
    """There is no place for it; that is said, and an error with --strict."""
    b = bundle().sh('echo "<$NOTIFY_SOCKET>"')
    if joined:
        b.namespace("mount", "/proc/self/ns/mnt")
    else:
        b.config = {key: b.config[key] for key in ("ociVersion", "root", "process")}
        before = private.mounts()
        runtime.options = ["--log-level", "warning"]
        result = runtime.run_bundle(b, env=manager.env)
        assert (result.stdout, "notify-none" in result.stderr) == ("<>\n", True)
        assert private.mounts() == before
    runtime.options = ["--strict"]
    result = runtime.run_bundle(b, env=manager.env, check=False)
    assert (result.returncode, "NOTIFY_SOCKET" in result.stderr) == (1, True)


def test_user_namespace(runtime, bundle, manager):
    b = bundle().user_namespace()
    (b.rootfs / "run/notify").mkdir()
    box = runtime.container(b.sh(READY))
    box.create(env=manager.env)
    start = runtime.popen("start", box.id, env=manager.env)
    assert manager.ready() == {"READY": "1", "MAINPID": str(box.pid)}
    os.close(manager.barrier())
    assert start.wait(10 * SCALE) == 0


def test_rootless(rootless, bundle, user, tmp_path):
    manager = Manager(user.home / rootless.token / "notify")
    os.chmod(manager.path, 0o777)
    b = bundle(owner=user).rootless().sh(READY)
    box = rootless.container(b)
    box.create(env=manager.env)
    start = rootless.popen("start", box.id, env=manager.env)
    assert manager.ready() == {"READY": "1", "MAINPID": str(box.pid)}
    os.close(manager.barrier())
    assert start.wait(10 * SCALE) == 0
    manager.close()


def test_exec_has_nothing_to_do_with_it(runtime, bundle, manager):
    box = runtime.container(bundle(*SLEEP))
    box.run("--detach")
    seen = box.probe("n:READY=1", env=manager.env)
    assert not [e for e in seen["env"] if e.startswith("NOTIFY")]
    assert manager.silent()


# --- start waits ---

def test_start_waits(runtime, bundle, manager, in_background, tmp_path):
    b = bundle()
    opened = gate(b, tmp_path)
    box = runtime.container(b)
    box.create(env=manager.env)
    assert manager.silent(0.1)
    start = in_background("start", box.id, env=manager.env)
    eventually(lambda: box.status == "running")
    assert start.poll() is None and manager.silent()
    assert box.exec("/bin/true").returncode == 0  # and nobody else has to wait
    opened.touch()
    assert manager.ready() == {"READY": "1", "MAINPID": str(box.pid)}
    assert manager.sender == start.pid
    barrier = manager.barrier()
    time.sleep(0.2)
    assert start.poll() is None  # until the manager has read it all
    os.close(barrier)
    assert start.wait(10 * SCALE) == 0
    assert alive(box.pid) and manager.silent()


def test_run_detached_waits(runtime, bundle, manager, in_background, tmp_path):
    b = bundle()
    opened = gate(b, tmp_path)
    box = runtime.container(b)
    process = in_background("run", "--detach", "--bundle", b, box.id, env=manager.env)
    eventually(lambda: box.status == "running")
    assert process.poll() is None and manager.silent()
    opened.touch()
    assert manager.ready() == {"READY": "1", "MAINPID": str(box.pid)}
    assert manager.sender == process.pid
    os.close(manager.barrier())
    assert process.wait(10 * SCALE) == 0


@pytest.mark.parametrize("command", ["start", "run --detach"])
@pytest.mark.parametrize("end", ["exit 0", "exit 3", "kill -KILL $$"])
def test_container_that_never_is_ready(runtime, bundle, manager, command, end):
    box = runtime.container(bundle().sh(f"/bin/probe n:STATUS=no >/dev/null; {end}"))
    operands = [box.id]
    if command == "start":
        box.create(env=manager.env)
    else:
        operands = ["--bundle", box.bundle, box.id]
    assert runtime.run(*command.split(), *operands, env=manager.env, timeout=10).returncode == 0
    assert manager.silent()


def test_ready_and_gone(runtime, bundle, manager, in_background):
    """It says so and ends before anybody has looked."""
    box = runtime.container(bundle().sh("/bin/probe n:READY=1 >/dev/null"))
    box.create(env=manager.env)
    pid = box.pid
    start = in_background("start", box.id, env=manager.env)
    assert manager.ready() == {"READY": "1", "MAINPID": str(pid)}
    os.close(manager.barrier())
    assert start.wait(10 * SCALE) == 0


def test_container_that_is_deleted_meanwhile(runtime, bundle, manager, in_background):
    box = runtime.container(bundle(*SLEEP))
    box.create(env=manager.env)
    start = in_background("start", box.id, env=manager.env)
    eventually(lambda: box.status == "running")
    box.delete("--force", timeout=5)
    assert start.wait(10 * SCALE) == 0
    assert manager.silent()


@pytest.mark.parametrize("message, ready", [
    ("READY=1", True), ("READY=1+", True), ("STATUS=x+READY=1", True), ("READY=1+STATUS=x", True),
    ("READY=0", False), ("READY=11", False), ("NOTREADY=1", False), ("STATUS=READY=1", False),
    ("ready=1", False), ("+", False), ("MAINPID=1+FDSTORE=1", False),
    ("STATUS=" + "x" * 3000 + "+READY=1", True)])
def test_messages(runtime, bundle, manager, in_background, message, ready):
    """Nothing but readiness is passed on, and not in the container's words."""
    box = runtime.container(bundle().sh(f"/bin/probe 'n:{message}' >/dev/null; sleep 0.3"))
    box.create(env=manager.env)
    pid = box.pid
    start = in_background("start", box.id, env=manager.env)
    if ready:
        assert manager.ready() == {"READY": "1", "MAINPID": str(pid)}
        os.close(manager.barrier())
    assert start.wait(10 * SCALE) == 0
    assert manager.silent()


def test_what_is_said_afterwards(runtime, bundle, manager, in_background, tmp_path):
    """Nobody listens any more, and nobody is kept waiting."""
    talk = " ".join(["n:WATCHDOG=1"] * 30)
    b = bundle()
    opened = gate(b, tmp_path, f"/bin/probe {talk}; exec sleep 1000")
    b.sh(f"/bin/probe n:READY=1 >/dev/null; {b.process['args'][-1]}")
    box = runtime.container(b)
    created = box.create(env=manager.env)
    start = in_background("start", box.id, env=manager.env)
    manager.ready()
    os.close(manager.barrier())
    assert start.wait(10 * SCALE) == 0
    opened.touch()
    eventually(lambda: created.stdout.endswith("}\n"))
    assert created.json()["tests"]["n:WATCHDOG=1"] == "ECONNREFUSED"


def test_much_is_said_before(runtime, bundle, manager, in_background):
    """More than a queue holds; all but the one word is dropped."""
    talk = " ".join(["n:STATUS=busy"] * 200)
    box = runtime.container(bundle().sh(f"/bin/probe {talk} n:READY=1 >/dev/null; sleep 1000"))
    box.create(env=manager.env)
    start = in_background("start", box.id, env=manager.env)
    assert manager.ready()["READY"] == "1"
    os.close(manager.barrier())
    assert start.wait(10 * SCALE) == 0


# --- the foreground ---

@pytest.mark.parametrize("terminal", [False, True])
def test_foreground(runtime, bundle, manager, in_background, tmp_path, terminal):
    """hako goes on with its work meanwhile; it is what the manager has started, and the
    process that it watches."""
    b = bundle()
    b.process["terminal"] = terminal
    opened = gate(b, tmp_path, "trap 'exit 7' TERM; /bin/probe n:READY=1 >/dev/null; "
                               "while :; do sleep 0.05; done")
    box = runtime.container(b)
    process = in_background("run", "--bundle", b, box.id, env=manager.env,
                            stdout=subprocess.DEVNULL)
    eventually(lambda: box.status == "running")
    assert manager.silent()
    opened.touch()
    assert manager.ready() == {"READY": "1", "MAINPID": str(process.pid)}
    assert manager.sender == process.pid
    assert manager.silent()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10 * SCALE) == 7


def test_foreground_passes_signals_on_before(runtime, bundle, manager, in_background):
    box = runtime.container(bundle().sh("trap 'exit 7' TERM; while :; do sleep 0.05; done"))
    process = in_background("run", "--bundle", box.bundle, box.id, env=manager.env)
    bit = 1 << (signal.SIGTERM - 1)
    eventually(lambda: cmdline(box.pid) == box.bundle.process["args"]
               and signals(box.pid, "SigCgt") & bit)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10 * SCALE) == 7
    assert manager.silent()


@pytest.mark.parametrize("script", ["/bin/probe n:READY=1 >/dev/null; exit 5",
                                    "/bin/probe n:READY=1 >/dev/null; sleep 0.5; exit 5"])
def test_foreground_of_a_short_process(runtime, bundle, manager, script):
    result = runtime.run_bundle(bundle().sh(script), env=manager.env, check=False)
    assert result.returncode == 5
    assert manager.ready()["READY"] == "1"


# --- managers ---

def test_abstract(runtime, bundle, in_background, token):
    manager = Manager(f"@{token}")
    box = runtime.container(bundle().sh(READY))
    box.create(env=manager.env)
    start = in_background("start", box.id, env=manager.env)
    assert manager.ready() == {"READY": "1", "MAINPID": str(box.pid)}
    os.close(manager.barrier())
    assert start.wait(10 * SCALE) == 0
    manager.close()


def test_long_path(runtime, bundle, in_background, tmp_path):
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    manager = Manager(folder / "notify")
    box = runtime.container(bundle().sh(READY))
    box.create(env=manager.env)
    start = in_background("start", box.id, env=manager.env)
    manager.ready()
    os.close(manager.barrier())
    assert start.wait(10 * SCALE) == 0
    manager.close()


@pytest.mark.parametrize("path", ["/nowhere", "/", "@nobody-is-here", "relative", "@" + "x" * 200,
                                  "gone"])
@pytest.mark.parametrize("command", ["start", "run", "run --detach"])
def test_manager_that_is_not_there(runtime, bundle, tmp_path, path, command):
    """A warning; the container runs, and what it says is for nobody."""
    if path == "gone":
        gone = Manager(tmp_path / "gone")
        path = gone.path
        gone.close()
    env = {"NOTIFY_SOCKET": path}
    b = bundle().sh(REFUSED)
    box = runtime.container(b)
    operands, output = ["--bundle", b, box.id], None
    if command == "start":
        output = box.create(env=env)
        operands = [box.id]
    runtime.options = ["--log-level", "warning"]
    result = runtime.run(*command.split(), *operands, env=env, timeout=10)
    assert f"connect to {path}" in result.stderr
    eventually(lambda: (output or result).stdout == "ECONNREFUSED\n")


def test_start_without_a_manager(runtime, bundle, manager):
    """`create` had one: the socket is in the container, and nobody listens."""
    box = runtime.container(bundle().sh(f"{REFUSED}; exec sleep 1000"))
    created = box.create(env=manager.env)
    box.start(timeout=10)
    eventually(lambda: created.stdout == "ECONNREFUSED\n")
    assert manager.silent()


def test_manager_only_at_start(runtime, bundle, manager):
    """There is nothing to wait for: the container cannot say anything."""
    box = runtime.container(bundle(*SLEEP))
    box.create()
    box.start(env=manager.env, timeout=10)
    assert manager.silent()


def test_manager_that_leaves(runtime, bundle, in_background, tmp_path):
    manager = Manager(tmp_path / "leaves")
    b = bundle()
    opened = gate(b, tmp_path)
    box = runtime.container(b)
    box.create(env=manager.env)
    start = in_background("start", box.id, env=manager.env)
    eventually(lambda: box.status == "running")
    manager.close()
    opened.touch()
    assert start.wait(10 * SCALE) == 0
    assert box.status == "running"


def test_manager_that_leaves_without_an_answer(runtime, bundle, in_background, tmp_path):
    """The descriptor of the barrier goes with it."""
    manager = Manager(tmp_path / "leaves")
    box = runtime.container(bundle().sh(READY))
    box.create(env=manager.env)
    start = in_background("start", box.id, env=manager.env)
    manager.ready()
    time.sleep(0.2)
    assert start.poll() is None
    manager.close()
    assert start.wait(10 * SCALE) == 0


# --- failures ---

@pytest.mark.parametrize("command", ["create", "run", "run --detach"])
def test_nothing_is_left_after_a_failure(runtime, bundle, manager, leaks, command):
    result = runtime.run(*command.split(), "--bundle", bundle("/bin/none"), runtime.new_id(),
                         env=manager.env, check=False)
    assert result.returncode == 1
    assert leaks.wait() == []


def test_state_folder_is_gone_with_the_container(runtime, bundle, manager, in_background):
    box = runtime.container(bundle().sh(READY))
    box.create(env=manager.env)
    assert sorted(os.listdir(runtime.root / box.id)) == ["config.json", "start.sock", "state.json"]
    in_background("start", box.id, env=manager.env)
    manager.ready()
    os.close(manager.barrier())
    box.delete("--force")
    assert os.listdir(runtime.root) == []


def test_readonly_rootfs_without_a_mount_point(runtime, bundle, manager):
    """root.readonly comes after the mount points are made."""
    b = bundle()
    (b.rootfs / "run").rmdir()
    b.config["root"]["readonly"] = True
    assert runtime.probe(b, "n:X=1", env=manager.env)["tests"]["n:X=1"] == "ok"


# --- others ---

@pytest.mark.parametrize("name", ["runtime", "runc"])
def test_as_runc_does(request, bundle, manager, name):
    """The same words for a manager, whoever writes them into how many messages."""
    runtime = request.getfixturevalue(name)
    box = runtime.container(bundle().sh(READY))
    box.create(env=manager.env)
    with runtime.popen("start", box.id, env=manager.env) as start:
        told = {}
        while "MAINPID" not in told:
            told |= manager.ready()
        assert told == {"READY": "1", "MAINPID": str(box.pid)}
        if name == "runtime":  # runc has it since 1.2
            os.close(manager.barrier())
        assert start.wait(10 * SCALE) == 0
