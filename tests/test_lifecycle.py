# SPDX-License-Identifier: MIT
"""create, start, kill, pause, delete, run: what a container goes through, and what is refused."""

import json
import os
import pathlib
import re
import resource
import select
import signal
import subprocess
import time

import pytest

from harness import kernel, leaks as leak, private
from harness.kernel import alive, eventually
from harness.refused import refused
from harness.runtime import SCALE, run, wait_exit

SLEEP = ("/bin/sleep", "1000")
CGROUP = pathlib.Path(private.CGROUP)


@pytest.fixture
def box_in(runtime, bundle):
    """box_in(status): a container that sleeps, brought to that status."""

    def make(status, b=None):
        box = runtime.container(b or bundle(*SLEEP))
        box.create()
        if status == "paused-created":
            runtime.run("pause", box.id)
        if status not in ("created", "paused-created"):
            box.start()
        if status == "paused":
            runtime.run("pause", box.id)
        if status == "stopped":
            box.kill("KILL")
            box.wait_for("stopped")
        return box

    return make


def with_fds(runtime, redirections, *args, **how):
    """Run hako with descriptors that a shell has redirected: `3<FILE`, `1>&-`."""
    return run(["sh", "-c", f'exec "$@" {redirections}', "sh", *runtime.argv(*args)],
               env=runtime.environment, **how)


# --- statuses ----------------------------------------------------------------

def test_from_create_to_delete(runtime, bundle):
    box = runtime.container(bundle(*SLEEP))
    box.create()
    pid, folder = box.pid, CGROUP / box.id
    assert box.status == "created"
    assert kernel.cgroup_pids(folder) == {pid}
    assert kernel.cmdline(pid) != list(SLEEP)  # the program is not there yet
    box.start()
    assert (box.status, box.pid) == ("running", pid)
    assert kernel.cmdline(pid) == list(SLEEP)
    box.kill("KILL")
    assert wait_exit(pid) == 137
    assert (box.status, box.pid) == ("stopped", 0)
    box.delete()
    assert not folder.exists()
    assert os.listdir(runtime.root) == []
    assert "does not exist" in runtime.run("state", box.id, check=False).stderr


def test_a_zombie_is_stopped(box_in):
    box = box_in("running")
    pid = box.pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: kernel.stat(pid)[0] == "Z")  # nobody has waited for it
    assert (box.status, box.pid) == ("stopped", 0)


def test_pause_and_resume(runtime, box_in):
    box = box_in("running")
    runtime.run("pause", box.id)
    assert (kernel.frozen(CGROUP / box.id), box.status) == (True, "paused")
    runtime.run("resume", box.id)
    assert (kernel.frozen(CGROUP / box.id), box.status) == (False, "running")


def test_init_killed_while_created(box_in):
    box = box_in("created")
    os.kill(box.pid, signal.SIGKILL)
    box.wait_for("stopped")
    result = box.start(check=False)
    assert result.returncode == 1
    assert "cannot start a container that has stopped" in result.stderr
    box.delete()


REFUSED = [
    # status, command, exit status, message
    ("created", "resume", 1, "container not paused"),
    ("running", "start", 1, "cannot start an already running container"),
    ("running", "delete", 1, "that is not stopped: running"),
    ("running", "resume", 1, "container not paused"),
    ("paused", "start", 1, "cannot start"),
    ("paused", "delete", 1, "that is not stopped: paused"),
    ("paused", "pause", 1, "container not running"),
    ("paused", "exec ID /bin/true", 255, "cannot exec in a paused container"),
    ("paused-created", "start", 1, "cannot start"),
    ("paused-created", "exec ID /bin/true", 255, "cannot exec in a paused container"),
    ("stopped", "start", 1, "cannot start a container that has stopped"),
    ("stopped", "kill", 1, "container not running"),
    ("stopped", "kill ID KILL", 1, "container not running"),
    ("stopped", "kill ID 0", 1, "container not running"),
    ("stopped", "pause", 1, "container not running"),
    ("stopped", "resume", 1, "container not running"),
    ("stopped", "exec ID /bin/true", 255, "cannot exec in a stopped container"),
]


@pytest.mark.parametrize("status, command, code, message", REFUSED)
def test_refused_without_effect(runtime, box_in, status, command, code, message):
    box = box_in(status)
    look = lambda: (box.state(), sorted(os.listdir(runtime.root / box.id)),
                    kernel.frozen(CGROUP / box.id))
    before = look()
    words = command.split() if "ID" in command else [command, "ID"]
    result = runtime.run(*[box.id if w == "ID" else w for w in words], check=False, timeout=9)
    assert (result.returncode, result.stderr.count("\n")) == (code, 1), result
    assert message in result.stderr
    assert look() == before


@pytest.mark.parametrize("command, code", [
    ("start", 1), ("state", 1), ("kill", 1), ("kill --all", 1), ("delete", 1), ("pause", 1),
    ("resume", 1), ("ps", 1), ("exec", 255), ("delete --force", 0)])
@pytest.mark.parametrize("root_exists", [True, False])
def test_missing_container(runtime, root_exists, command, code):
    if root_exists:
        runtime.root.mkdir()
    operands = ["/bin/true"] if command == "exec" else []
    result = runtime.run(*command.split(), runtime.new_id(), *operands, check=False)
    assert result.returncode == code
    assert ("does not exist" in result.stderr) == (code != 0)
    assert runtime.root.exists() == root_exists


@pytest.mark.parametrize("status", ["created", "stopped"])
def test_delete(runtime, box_in, status):
    box = box_in(status)
    pid = kernel.cgroup_pids(CGROUP / box.id)
    box.delete()
    eventually(lambda: not any(alive(p) for p in pid))
    assert not (CGROUP / box.id).exists()
    assert os.listdir(runtime.root) == []


@pytest.mark.parametrize("status", ["created", "running", "paused", "paused-created", "stopped"])
@pytest.mark.parametrize("own_pids", [True, False])
def test_delete_force(runtime, bundle, box_in, status, own_pids):
    b = bundle(*SLEEP)
    box = box_in(status, b if own_pids else b.without_namespace("pid"))
    pids = kernel.cgroup_pids(CGROUP / box.id)
    assert len(pids) == (status != "stopped")
    box.delete("--force")
    eventually(lambda: not any(alive(pid) for pid in pids))
    assert not (CGROUP / box.id).exists()
    assert os.listdir(runtime.root) == []


def test_delete_removes_cgroups_inside(bundle, box_in):
    b = bundle().sh("mkdir -p /sys/fs/cgroup/a/b /sys/fs/cgroup/c; exec sleep 1000")
    b.mounts[-1]["options"].remove("ro")
    box = box_in("running", b)
    eventually(lambda: (CGROUP / box.id / "c").exists())
    box.delete("--force")
    assert not (CGROUP / box.id).exists()


def test_delete_removes_cgroups_however_deep(bundle, box_in):
    """Beside and below others, with a process in the deepest."""
    b = bundle().sh("""cd /sys/fs/cgroup && for i in $(seq 100); do mkdir a b; cd b; done
        sleep 1000 & echo $! >cgroup.procs; mkdir /sys/fs/cgroup/c; exec sleep 1000""")
    b.mounts[-1]["options"].remove("ro")
    box = box_in("running", b)
    eventually(lambda: (CGROUP / box.id / "c").exists())
    begin = time.monotonic()
    box.delete("--force")
    assert time.monotonic() - begin < 9 * SCALE
    assert not (CGROUP / box.id).exists()


def test_delete_when_init_is_gone_and_others_live(runtime, bundle):
    b = bundle().sh("sleep 1000 & sleep 1000 & exit 0").without_namespace("pid")
    box = runtime.container(b)
    box.create()
    box.start()
    box.wait_for("stopped")
    left = kernel.cgroup_pids(CGROUP / box.id)
    assert len(left) == 2 and all(alive(pid) for pid in left)
    box.delete()
    eventually(lambda: not any(alive(pid) for pid in left))
    assert not (CGROUP / box.id).exists()


def test_smallest_config(runtime, bundle):
    """Without /linux there is no namespace of its own, only another root."""
    b = bundle().sh("ls -d /home /bin; exec sleep 1000")
    b.config = {key: b.config[key] for key in ("ociVersion", "root", "process")}
    before = private.mounts()
    box = runtime.container(b)
    created = box.create()
    box.start()
    eventually(lambda: "/bin\n" in created.stdout and "/home: No such file" in created.stderr)
    assert kernel.namespaces(box.pid) == kernel.namespaces(os.getpid())
    assert box.exec("/bin/ls", "-d", "/bin").stdout == "/bin\n"
    assert private.mounts() == before
    box.delete("--force")
    assert private.mounts() == before


# --- identity ---------------------------------------------------------------------

def test_an_id_is_taken_once(runtime, bundle, box_in):
    box = box_in("running")
    before = box.state()
    for command in ("create", "run"):
        result = runtime.run(command, "--bundle", bundle("/bin/true"), box.id, check=False)
        assert result.returncode == 1
        assert "already exists" in result.stderr
    assert box.state() == before
    assert alive(box.pid)


def test_an_id_can_be_used_again(runtime, bundle):
    box = runtime.container(bundle().sh("echo $$"))
    assert [box.run().stdout for _ in range(3)] == ["1\n"] * 3


BAD_IDS = ["", ".", "..", ".hidden", "a/b", "../a", "/", "a b", "a\n", "ä", "a%b", "a:b", "*",
           "x" * 256]


@pytest.mark.parametrize("command, code", [
    ("create", 1), ("run", 1), ("start", 1), ("state", 1), ("kill", 1), ("delete", 1),
    ("delete --force", 1), ("pause", 1), ("resume", 1), ("ps", 1), ("exec", 255)])
def test_bad_ids(runtime, bundle, command, code):
    runtime.root.mkdir()
    (runtime.base / "a").mkdir()  # what ../a would be
    operands = ["/bin/true"] if command == "exec" else []
    b = bundle()
    b.save()
    for id in BAD_IDS:
        result = runtime.run(*command.split(), id, *operands, check=False, cwd=b.path)
        assert result.returncode == code, result
        assert "invalid container ID format" in result.stderr, result
        if id == "a/b":
            assert "invalid character '/'" in result.stderr
    assert os.listdir(runtime.root) == []
    assert (runtime.base / "a").exists()


@pytest.mark.parametrize("suffix", ["a", "A-Z_0.9+", "-", "." + "x" * 200])
def test_good_ids(runtime, bundle, token, suffix):
    id = token + suffix
    runtime.ids.append(id)
    runtime.run("create", "--bundle", bundle(*SLEEP), id)
    assert runtime.run("state", id).json()["id"] == id
    assert (CGROUP / id).is_dir()


def test_config_edited_after_create(runtime, bundle):
    b = bundle().sh("echo $COLOUR; hostname; exec sleep 1000").env(COLOUR="red")
    box = runtime.container(b)
    created = box.create()
    b.args("/bin/false").env(COLOUR="blue").config.update(hostname="other")
    b.config["hooks"] = {"poststop": [{"path": "/bin/touch", "args": ["touch", f"{b.path}/ran"]}]}
    b.save()
    box.start()
    eventually(lambda: created.stdout == "red\nhako\n")
    assert box.exec("/bin/sh", "-c", "echo $COLOUR").stdout == "red\n"
    (b.path / "config.json").unlink()
    assert box.exec("/bin/hostname").stdout == "hako\n"
    box.delete("--force")
    assert not (b.path / "ran").exists()


def test_without_a_process(runtime, bundle):
    b = bundle()
    del b.config["process"]
    box = runtime.container(b)
    box.create()
    pid = box.pid
    for _ in range(2):
        result = box.start(check=False)
        assert result.returncode == 1
        assert "config.json has no /process" in result.stderr
        assert (box.status, box.pid) == ("created", pid)
    box.delete()
    assert "config.json has no /process" in refused(runtime, b)


# --- parentage, pid file, descriptors -----------------------------------------------

@pytest.mark.parametrize("command", ["create", "run --detach", "exec --detach"])
@pytest.mark.parametrize("joined_user_namespace", [False, True])
def test_the_process_becomes_ours(runtime, bundle, box_in, token, tmp_path, command,
                                  joined_user_namespace):
    b = bundle(*SLEEP)
    if joined_user_namespace:  # hako needs a process in between
        other = box_in("created", bundle(*SLEEP).user_namespace(((0, 0, 65536),)))
        b.namespace("user", f"/proc/{other.pid}/ns/user").without_namespace("cgroup")
        b.linux.pop("sysctl", None)
    if command == "exec --detach":
        box = box_in("running", b)
        operands = [box.id, *SLEEP]
    else:
        operands = ["--bundle", b, runtime.new_id()]
    ours, processes = kernel.children(), set(leak.processes(token))
    runtime.run(*command.split(), "--pid-file", tmp_path / "pid", *operands)
    pid = int((tmp_path / "pid").read_text())
    assert kernel.children() - ours == {pid}
    assert set(leak.processes(token)) - processes == {pid}  # no hako stays behind


@pytest.mark.parametrize("command", ["create", "run --detach", "exec --detach"])
def test_nothing_else_holds_the_callers_output(runtime, bundle, box_in, background, command):
    silent = ["/bin/sh", "-c", "exec <&- >&- 2>&- sleep 1000"]
    box = box_in("running") if "exec" in command else runtime.container(bundle(*silent))
    operands = [box.id, *silent] if "exec" in command else ["--bundle", box.bundle, box.id]
    process = background(*command.split(), *operands, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.wait(20 * SCALE) == 0
    if command == "create":
        assert select.select([process.stdout], [], [], 0.05)[0] == []  # init holds it
        box.start()
    assert select.select([process.stdout], [], [], 20 * SCALE)[0] == [process.stdout]
    assert process.stdout.read() == b""
    assert box.status == "running"


@pytest.mark.parametrize("command", ["create", "run", "run --detach"])
def test_pid_file(runtime, bundle, tmp_path, command):
    file, link = tmp_path / "box.pid", tmp_path / "link"
    file.write_text("an old one")
    os.link(file, link)
    b = bundle(*SLEEP) if command != "run" else bundle("/bin/true")
    box = runtime.container(b)
    runtime.run(*command.split(), "--pid-file", "box.pid", "--bundle", b, box.id, cwd=tmp_path,
                umask=0o027)
    text = file.read_text()
    assert text.isdigit() and not file.with_name("box.pid~").exists()
    assert link.read_text() == "an old one"  # renamed over, not written into
    assert file.stat().st_mode & 0o777 == 0o640
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
    if command != "run":
        assert int(text) == box.pid


def test_pid_file_that_cannot_be_written(runtime, bundle, leaks):
    b = bundle(*SLEEP)
    result = runtime.run("create", "--pid-file", "/none/pid", "--bundle", b, runtime.new_id(),
                         check=False)
    assert result.returncode == 1
    assert "write the pid file /none/pid: no such file or directory" in result.stderr
    assert leaks.wait() == []


def test_no_pid_file_after_a_failure(runtime, bundle, tmp_path):
    result = runtime.run_bundle(bundle("/bin/none"), "--pid-file", tmp_path / "pid", check=False)
    assert result.returncode == 1
    assert not (tmp_path / "pid").exists()


def test_descriptors_of_the_caller(runtime, bundle, tmp_path):
    (tmp_path / "a").write_text("")
    b = bundle("/bin/probe")
    seen = with_fds(runtime, f"3<{tmp_path}/a 7<{tmp_path}/a 9</", "run", "--bundle", b,
                    runtime.new_id()).json()
    assert sorted(seen["fds"]) == ["0", "1", "2"]


@pytest.mark.parametrize("count, expected", [(0, []), (1, ["3"]), (2, ["3", "4"])])
def test_preserve_fds(runtime, bundle, tmp_path, count, expected):
    for name in "abc":
        (tmp_path / name).write_text("")
    b = bundle("/bin/probe")
    open_them = " ".join(f"{n}<{tmp_path}/{name}" for n, name in enumerate("abc", 3))
    seen = with_fds(runtime, open_them, "run", "--preserve-fds", str(count), "--bundle", b,
                    runtime.new_id()).json()
    assert sorted(seen["fds"]) == ["0", "1", "2", *expected]
    assert [seen["fds"][n] for n in expected] == [f"{tmp_path}/{c}" for c in "ab"[:count]]


@pytest.mark.parametrize("count, code, message", [
    ("2", 1, "descriptor 4 is not open"), ("x", 64, "not a number"), ("-1", 64, "not a number"),
    ("100000", 64, "not a number")])
def test_preserve_fds_refused(runtime, bundle, count, code, message):
    result = with_fds(runtime, "3</", "run", "--preserve-fds", count, "--bundle", bundle(),
                      runtime.new_id(), check=False)
    assert (result.returncode, message in result.stderr) == (code, True), result


@pytest.mark.parametrize("closed", [{0}, {1}, {2}, {0, 1, 2}])
def test_closed_standard_streams(runtime, bundle, closed):
    box = runtime.container(bundle(*SLEEP))
    with_fds(runtime, " ".join(f"{fd}>&-" for fd in closed),
             "create", "--bundle", box.bundle, box.id)
    box.start()
    seen = kernel.descriptors(box.pid)
    assert sorted(seen) == [0, 1, 2]
    assert [seen[fd] for fd in closed] == ["/dev/null"] * len(closed)


# --- start --------------------------------------------------------------------------

BROKEN = {
    "exec format error": (b"\x7fELF\x02\x01\x01 not a program", "exec format error"),
    "empty": (b"", "exec format error"),
    "missing interpreter": (b"#!/bin/none\n", "no such file or directory"),
}


@pytest.mark.parametrize("command", ["start", "run", "exec"])
@pytest.mark.parametrize("content, message", BROKEN.values(), ids=BROKEN.keys())
def test_execve_failures_are_reported(runtime, bundle, box_in, leaks, command, content, message):
    b = bundle("/bin/broken")
    program = b.rootfs / "bin" / "broken"
    program.write_bytes(content)
    program.chmod(0o755)
    if command == "exec":
        box = box_in("running", b.args(*SLEEP))
        result = box.exec("/bin/broken", check=False)
        assert box.status == "running"
    elif command == "run":
        result = runtime.run_bundle(b, check=False)
    else:
        box = runtime.container(b)
        box.create()
        pid = box.pid
        result = box.start(check=False)
        eventually(lambda: not alive(pid))
    assert result.returncode == (255 if command == "exec" else 1)
    assert result.stderr.count("\n") == 1
    assert f'exec: "/bin/broken": {message}' in result.stderr
    if command == "run":
        assert leaks.wait() == []


# --- run -----------------------------------------------------------------------------

@pytest.mark.parametrize("script, code", [
    ("exit 0", 0), ("exit 1", 1), ("exit 77", 77), ("exit 255", 255), ("kill -TERM $$", 143),
    ("kill -KILL $$", 137), ("kill -SEGV $$", 139), ("kill -USR1 $$", 138)])
def test_run_exit_status(runtime, bundle, script, code):
    b = bundle().sh(script).without_namespace("pid")
    result = runtime.run_bundle(b, check=False)
    assert (result.returncode, result.stderr) == (code, "")
    assert os.listdir(runtime.root) == []


def test_run_exit_status_of_a_killed_init(runtime, bundle, background):
    box = runtime.container(bundle(*SLEEP))
    process = background("run", "--bundle", box.bundle, box.id)
    eventually(lambda: box.status == "running")
    box.kill("KILL")
    assert process.wait(20 * SCALE) == 137


def test_run_passes_standard_streams_through(runtime, bundle):
    result = runtime.run_bundle(bundle().sh("cat; echo err >&2"), input="through")
    assert (result.stdout, result.stderr) == ("through", "err\n")
    assert runtime.run_bundle(bundle("/bin/cat"), stdin=subprocess.DEVNULL).stdout == ""


def test_create_gives_its_streams_to_the_process(runtime, bundle, tmp_path):
    box = runtime.container(bundle().sh("read line; echo got $line"))
    created = box.create(input="a line\n")
    (tmp_path / "other").write_text("not this\n")
    with (tmp_path / "other").open() as other:
        started = box.start(stdin=other)
    eventually(lambda: created.stdout == "got a line\n")
    assert started.stdout == ""


@pytest.mark.parametrize("name", ["CHLD", "PIPE", "HUP", "INT", "USR1", "RTMIN-2", "RTMAX"])
def test_signals_that_the_caller_ignores(runtime, bundle, name):
    """conmon ignores SIGPIPE, nohup SIGHUP; without SIGCHLD nobody could be waited for."""
    ignore = {"preexec_fn": lambda: private.set_signal(number(name), private.SIG_IGN)}
    b = bundle().sh("grep SigIgn /proc/self/status; exit 3")
    marker = b.path / "hook"
    b.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": [
        "sh", "-c", f"grep SigIgn /proc/self/status >{marker}"]}]}
    result = runtime.run_bundle(b, check=False, **ignore)
    assert (result.returncode, result.stdout) == (3, f"SigIgn:\t{'0' * 16}\n")
    assert marker.read_text() == result.stdout
    box = runtime.container(bundle(*SLEEP))
    box.create(**ignore)
    box.start()
    assert box.exec("grep", "SigIgn", "/proc/self/status", **ignore).stdout == result.stdout


def test_no_signal_is_blocked(runtime, bundle):
    assert runtime.probe(bundle())["status"]["SigBlk"] == "0" * 16


FORWARDED = ("HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "ALRM", "CONT", "TSTP", "RTMIN+1")


def number(name):
    base, offset = re.fullmatch(r"([A-Z0-9]+?)([+-]\d+)?", name).groups()
    return getattr(signal, f"SIG{base}") + int(offset or 0)


def test_run_forwards_signals(runtime, bundle, background):
    names = (*FORWARDED, "CHLD", "WINCH", "URG")
    traps = " ".join(f"trap 'echo {name}' {number(name):d};" for name in names)
    # no child that ends, for CHLD; a signal just before the read waits for its end
    box = runtime.container(bundle().sh(f"mkfifo /f; {traps} echo ready; "
                                        "while :; do read -t 1 x <>/f; done"))
    process = background("run", "--bundle", box.bundle, box.id, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    for name in ("WINCH", "URG", "CHLD"):  # these stay with hako
        process.send_signal(number(name))
    for name in FORWARDED:
        process.send_signal(number(name))
        assert process.stdout.readline() == f"{name}\n"
    process.kill()  # the container lives on
    process.wait()
    assert box.status == "running"
    box.delete("--force")
    assert process.stdout.read() == ""


@pytest.mark.parametrize("kind", [
    "createRuntime", "createContainer", "startContainer", "poststart"])
@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_run_interrupted_before_it_runs(runtime, bundle, background, leaks, kind, name):
    b = bundle(*SLEEP)
    started = b.rootfs / "started" if kind == "startContainer" else b.path / "started"
    target = "/started" if kind == "startContainer" else started
    b.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c",
                                                             f"echo >{target}; exec sleep 1000"]}]}
    process = background("run", "--bundle", b, runtime.new_id(), stderr=subprocess.PIPE, text=True)
    eventually(started.exists)
    process.send_signal(number(name))
    assert process.wait(20 * SCALE) == 1
    assert process.stderr.read().count("\n") == 1
    assert leaks.wait() == []


def test_run_detach(runtime, bundle, tmp_path):
    box = runtime.container(bundle(*SLEEP))
    box.run("--detach", "--pid-file", tmp_path / "pid")
    pid = int((tmp_path / "pid").read_text())
    assert (box.status, box.pid, kernel.cmdline(pid)) == ("running", pid, list(SLEEP))
    box.kill("KILL")
    assert wait_exit(pid) == 137
    assert box.status == "stopped"  # it is not deleted


def test_run_keep(runtime, bundle):
    box = runtime.container(bundle().sh("exit 5"))
    assert box.run("--keep", check=False).returncode == 5
    assert box.status == "stopped"
    assert "already exists" in box.run(check=False).stderr
    box.delete()
    assert box.run(check=False).returncode == 5


def test_run_deleted_by_another(runtime, bundle, background):
    box = runtime.container(bundle(*SLEEP))
    process = background("run", "--bundle", box.bundle, box.id, stderr=subprocess.PIPE)
    eventually(lambda: box.status == "running")
    box.delete("--force")
    assert process.wait(20 * SCALE) == 137
    assert process.stderr.read() == b""


@pytest.mark.parametrize("options", [(), ("--no-subreaper",)])
def test_run_ends_with_its_process(runtime, bundle, leaks, options):
    b = bundle().sh("sleep 1000 & sleep 1000 & exit 4").without_namespace("pid")
    assert runtime.run_bundle(b, *options, check=False).returncode == 4
    assert leaks.wait() == []


# --- kill ------------------------------------------------------------------------------

SIGNALS = [("15", "TERM"), ("TERM", "TERM"), ("SIGTERM", "TERM"), ("sigterm", "TERM"),
           ("10", "USR1"), ("usr1", "USR1"), ("SIGHUP", "HUP"), ("37", "37"), ("RTMIN+3", "37"),
           ("SIGRTMIN+3", "37"), (None, "TERM")]


def test_kill_signals(runtime, bundle):
    names = ("TERM", "USR1", "HUP", "37")
    traps = " ".join(f"trap 'echo {name}' {name};" for name in names)
    box = runtime.container(bundle().sh(f"{traps} echo ready; while :; do sleep 0.02; done"))
    created = box.create()
    box.start()
    lines = ["ready"]
    eventually(lambda: created.stdout.split() == lines)
    for text, name in SIGNALS:
        box.kill(*[text] if text else [])
        lines.append(name)
        eventually(lambda: created.stdout.split() == lines)
    for text in ("NONE", "SIG", "", "-1", "65", "1000000", "9x", " 9", "0x9", "RTMIN+31",
                 "RTMIN-1"):
        result = box.kill(text, check=False)
        assert (result.returncode, "unknown signal" in result.stderr) == (1, True), result
    assert (box.status, created.stdout.split()) == ("running", lines)


@pytest.mark.parametrize("own_pids", [True, False])
@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "KILL"])
def test_kill_of_a_created_container(runtime, bundle, own_pids, name):
    """It ends, though init of a pid namespace is deaf to most signals; its program is not."""
    b = bundle().sh(f"trap 'exit 7' {name}; echo ready; while :; do sleep 0.01; done")
    box = runtime.container(b if own_pids else b.without_namespace("pid"))
    created = box.create()
    pid = box.pid
    box.kill(name)
    assert wait_exit(pid) == 128 + getattr(signal, f"SIG{name}")
    assert box.status == "stopped"
    assert "has stopped" in box.start(check=False).stderr
    box.delete()
    if name == "KILL":
        return
    created = box.create()
    box.start()
    pid = box.pid
    eventually(lambda: created.stdout == "ready\n")
    box.kill(name)
    assert wait_exit(pid) == 7


def test_kill_right_after_create(runtime, bundle):
    """Init may not have run since it was told that `create` ends: nothing is lost."""
    box = runtime.container(bundle(*SLEEP))
    late = "inject=recvfrom:delay_exit=400000"  # whatever it is told
    run(["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", late,
         *runtime.argv("create", "--bundle", box.bundle, box.id)], env=runtime.environment)
    pid = box.pid
    box.kill("TERM")
    assert wait_exit(pid) == 143


def test_kill_of_a_paused_container(box_in):
    box = box_in("paused")
    pid = box.pid
    box.kill("KILL")
    assert wait_exit(pid) == 137


SHELL = "trap 'echo init' TERM; sleep 1000 & sleep 1000 & echo ready; while :; do wait; done"


@pytest.mark.parametrize("own_pids", [True, False])
@pytest.mark.parametrize("args, left", [
    (("TERM",), 3), (("TERM", "--all"), 1), (("KILL", "--all"), 0), (("KILL",), 0)])
def test_kill_reaches(runtime, bundle, own_pids, args, left):
    b = bundle().sh(SHELL)
    box = runtime.container(b if own_pids else b.without_namespace("pid"))
    created = box.create()
    box.start()
    # a process that is just executing has no command line
    eventually(lambda: sorted(kernel.cmdline(pid)[:1] for pid in kernel.cgroup_pids(CGROUP / box.id))
               == [["/bin/sh"], ["sleep"], ["sleep"]] and created.stdout == "ready\n")
    signal_name, *options = args
    runtime.run("kill", *options, box.id, signal_name)
    eventually(lambda: len([p for p in kernel.cgroup_pids(CGROUP / box.id) if alive(p)]) == left)
    if left > 0:
        eventually(lambda: created.stdout == "ready\ninit\n")
        assert box.status == "running"


@pytest.mark.parametrize("options", [["--all"], []])
def test_kill_when_init_is_gone(runtime, bundle, options):
    """SIGKILL ends a container, also one whose init has left others behind."""
    b = bundle().sh("sleep 1000 & exit 0").without_namespace("pid")
    box = runtime.container(b)
    box.create()
    box.start()
    box.wait_for("stopped")
    left = kernel.cgroup_pids(CGROUP / box.id)
    assert len(left) == 1 and box.kill("TERM", check=False).returncode == 1
    runtime.run("kill", *options, box.id, "KILL")
    eventually(lambda: kernel.cgroup_pids(CGROUP / box.id) == set())
    # nobody is left: no error for --all, as engines expect
    result = runtime.run("kill", *options, box.id, "KILL", check=False)
    assert result.returncode == (not options)
    assert result.stderr.endswith("" if options else "container not running\n")
    os.rmdir(CGROUP / box.id)  # as systemd does with a scope that is empty
    for name in ("KILL", "TERM"):
        assert runtime.run("kill", *options, box.id, name, check=False).returncode == (not options)
    assert runtime.run("ps", "--format", "json", box.id).json() == []


def test_delete_before_there_was_an_init(runtime, box_in):
    """A create that was killed early has not seen yet that the cgroup is another's."""
    box, other = box_in("stopped"), box_in("running")
    path = runtime.root / box.id / "state.json"
    state = json.loads(path.read_text())
    (CGROUP / state["cgroupPath"].lstrip("/")).rmdir()
    cgroup = kernel.cgroup_path(other.pid)
    state.update(pid=0, startTime=0, cgroupPath=f"/{cgroup.relative_to(CGROUP)}")
    path.write_text(json.dumps(state))
    box.delete("--force")
    assert not path.parent.exists()
    assert other.status == "running" and kernel.cgroup_pids(cgroup) == {other.pid}


@pytest.mark.parametrize("own_pids", [True, False])
@pytest.mark.parametrize("options", [[], ["--all"]])
def test_delete_right_after_kill(runtime, bundle, background, own_pids, options):
    """The process is not gone yet: there is another, whose parent does not wait for it."""
    b = bundle(*SLEEP)
    box = runtime.container(b if own_pids else b.without_namespace("pid"))
    box.create()
    box.start()
    added = background("exec", box.id, *SLEEP)
    eventually(lambda: [kernel.cmdline(pid) for pid in kernel.cgroup_pids(CGROUP / box.id)]
               == [list(SLEEP)] * 2)
    added.send_signal(signal.SIGSTOP)
    runtime.run("kill", *options, box.id, "KILL")
    box.delete()
    assert not (CGROUP / box.id).exists() and box.id not in os.listdir(runtime.root)
    added.send_signal(signal.SIGCONT)
    assert added.wait(10 * SCALE) == 137


# --- kill and delete by an expression ------------------------------------------------------------

def test_regex(runtime, box_in):
    """All that match, somewhere in the id; --force as well; none is no error."""
    boxes = [box_in(status) for status in ("running", "paused", "stopped", "created")]
    last = boxes[0].id[-1], boxes[1].id[-1]
    runtime.run("kill", "--regex", f"{runtime.token}-({last[0]}|{last[1]})$", "KILL")
    for box in boxes[:2]:
        box.wait_for("stopped")
    assert [box.status for box in boxes] == ["stopped"] * 3 + ["created"]
    runtime.run("delete", "-r", f"{runtime.token}-[{last[0]}{last[1]}]$")
    assert runtime.run("list", "-q").stdout.split() == [box.id for box in boxes[2:]]
    runtime.run("kill", "-r", "^no-such-", "9")
    runtime.run("delete", "--force", "--regex", ".")
    assert runtime.run("list", "-q").stdout == ""


@pytest.mark.parametrize("options", [[], ["--force"]])
def test_regex_of_many(runtime, bundle, options):
    """More than there may be descriptors; --force has those that no state tells of, too."""
    b = bundle("/bin/true")
    for i in range(30):
        box = runtime.container(b)
        box.create()
        if options and i % 2:
            (runtime.root / box.id / "state.json").write_text("")
        else:
            box.start()
            box.wait_for("stopped")
    runtime.run("delete", *options, "--regex", ".",
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16)))
    assert list(runtime.root.glob("[!.]*")) == []


def test_regex_goes_on_after_a_failure(runtime, box_in):
    running, stopped = box_in("running"), box_in("stopped")
    result = runtime.run("delete", "--regex", runtime.token, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert f"{running.id}: cannot delete container {running.id} that is not stopped: running" in (
        result.stderr)
    assert runtime.run("list", "-q").stdout.split() == [running.id] != [stopped.id]
    assert running.status == "running"


@pytest.mark.parametrize("line, code, message", [
    ("kill --regex ( TERM", 64, "--regex \"(\": "), ("delete --regex x[", 64, "--regex"),
    ("kill --regex . NONE", 1, 'unknown signal "NONE"'), ("kill --regex . TERM", 0, ""),
    ("delete --regex .", 0, ""), ("delete --force --regex .", 0, "")])
def test_regex_without_containers(runtime, line, code, message):
    result = runtime.run(*line.split(), check=False)
    assert result.returncode == code and message in result.stderr, result
    assert not runtime.root.exists()
