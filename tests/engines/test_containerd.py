# SPDX-License-Identifier: MIT
"""containerd through ctr and its shim."""

import os
import signal

import pytest

from harness.kernel import (alive, cgroup_path, cgroup_pids, cmdline, eventually, frozen, namespaces,
                            ppid, status)
from harness.runtime import SCALE

SLEEP = ("sleep", "1000")


@pytest.fixture
def sleeper(containerd):
    return containerd.start("--", *SLEEP)


# --- in the foreground ---

@pytest.mark.essential
def test_run(containerd):
    ran = containerd.run("--", "sh", "-c", "echo out; echo err >&2; exit 7", status=7)
    assert (ran.stdout, ran.stderr.splitlines()[0]) == ("out\n", "err")


def test_run_reads_stdin(containerd):
    """ctr 1.6 does not say when its own standard input has come to its end."""
    assert containerd.run("--", "head", "-n", "2", input="one\ntwo\n").stdout == "one\ntwo\n"


@pytest.mark.essential
@pytest.mark.parametrize("command, words", [
    ("nonesuch", ["executable file", "not found in $path"]),
    ("/nonesuch", ["no such file or directory"]),
    ("/etc/notes", ["permission denied"]),
])
def test_run_not_a_program(containerd, runtime, command, words):
    """What the runtime wrote into its log reaches the user."""
    ran = containerd.run("--", command, status=1)
    assert all(word in ran.stderr.lower() for word in words), ran
    assert command in ran.stderr or runtime.name == "crun"


def test_run_in_terminal(containerd, on_terminal):
    argv, _ = containerd.run_argv("--rm", "--tty", "--", "sh")
    process, terminal = on_terminal(*containerd.argv(*argv))
    terminal.expect("# ", timeout=40)
    # ctr tells the size after the start
    terminal.send("tty; until stty size | grep 33; do sleep 0.1; done\n").expect("/dev/pts/0", timeout=20)
    terminal.expect("33 111", timeout=20)
    terminal.send("exit 6\n")
    assert process.wait(60 * SCALE) == 6


# --- detached ---

@pytest.mark.essential
def test_detached(containerd, sleeper):
    pid = sleeper.pid
    assert sleeper.status == "RUNNING"
    assert cmdline(pid) == list(SLEEP)
    assert "containerd-shim" in cmdline(ppid(pid))[0]
    assert cgroup_pids(cgroup_path(pid)) == {pid}
    ours, theirs = namespaces("self"), namespaces(pid)
    # this version of ctr asks for a cgroup namespace
    assert {name for name in ours if ours[name] == theirs[name]} <= {
        "user", "time", "time_for_children", "cgroup"}
    sleeper.remove()
    assert not alive(pid)


@pytest.mark.essential
def test_kill(containerd, sleeper):
    pid, folder = sleeper.pid, cgroup_path(sleeper.pid)
    sleeper.kill(options=["--signal", "KILL"])
    sleeper.wait_for("STOPPED")
    assert not alive(pid)
    assert "exit code 137" in sleeper.delete().stderr
    assert not folder.exists()


def test_kill_all(containerd):
    task = containerd.start("--", "sh", "-c", "sleep 999 & sleep 1000; true")
    folder = cgroup_path(task.pid)
    pids = eventually(lambda: len(cgroup_pids(folder)) == 3 and cgroup_pids(folder), seconds=20)
    task.kill(options=["--signal", "KILL", "--all"])
    task.wait_for("STOPPED")
    assert not any(map(alive, pids))


def test_status_of_a_signal_handler(containerd):
    task = containerd.start("--", "sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.1; done")
    # the handler is there
    eventually(lambda: int(status(task.pid, "SigCgt"), 16) & 1 << 14, seconds=20)
    task.kill()
    task.wait_for("STOPPED")
    assert "exit code 9" in task.delete().stderr


def test_delete_of_running(containerd, sleeper):
    pid = sleeper.pid
    sleeper.delete(status=1)
    assert alive(pid)
    sleeper.remove()
    assert not alive(pid)


def test_pause(containerd, sleeper):
    folder = cgroup_path(sleeper.pid)
    sleeper.pause()
    assert frozen(folder) and sleeper.status == "PAUSED"
    sleeper.exec("true", status=1)
    sleeper.resume()
    assert not frozen(folder) and sleeper.status == "RUNNING"
    sleeper.exec("true")


def test_ps(containerd):
    task = containerd.start("--", "sh", "-c", "sleep 999 & sleep 1000; true")
    folder = cgroup_path(task.pid)
    pids = eventually(lambda: len(cgroup_pids(folder)) == 3 and cgroup_pids(folder), seconds=20)
    rows = task.ps().stdout.splitlines()[1:]
    assert {int(row.split()[0]) for row in rows} == pids


def test_metrics(containerd, sleeper):
    out = sleeper.metrics().stdout
    assert "pids.current" in out and "memory.usage" in out


# --- exec ---

@pytest.mark.essential
def test_exec(containerd, sleeper):
    ran = sleeper.exec("sh", "-c", "readlink /proc/self/ns/pid; echo err >&2; exit 7", status=7)
    assert ran.stdout == namespaces(sleeper.pid)["pid"] + "\n"
    assert ran.stderr.splitlines()[0] == "err"


def test_exec_options(containerd, sleeper):
    ran = sleeper.exec("sh", "-c", "id -u; id -g; pwd; cat", input="in\n",
                       options=["--user", "1000:1001", "--cwd", "/tmp"])
    assert ran.stdout == "1000\n1001\n/tmp\nin\n"


def test_exec_detached(containerd, sleeper):
    sleeper.exec("sleep", "999", options=["--detach"])
    pids = eventually(lambda: cgroup_pids(cgroup_path(sleeper.pid)) - {sleeper.pid}, seconds=20)
    assert [cmdline(pid) for pid in pids] == [["sleep", "999"]]
    assert "containerd-shim" in cmdline(ppid(*pids))[0]
    sleeper.remove()
    assert not any(map(alive, pids))


def test_exec_not_a_program(containerd, sleeper):
    ran = sleeper.exec("/nonesuch", status=1)
    assert "/nonesuch" in ran.stderr and "no such file or directory" in ran.stderr.lower()


def test_exec_terminal(containerd, sleeper, on_terminal):
    argv = containerd.argv("tasks", "exec", "--exec-id", "terminal", "--tty", sleeper.id, "sh")
    process, terminal = on_terminal(*argv)
    terminal.expect("# ", timeout=40)
    terminal.send("tty\n").expect("/dev/pts/0", timeout=20)
    terminal.send("exit 5\n")
    assert process.wait(60 * SCALE) == 5


# --- what options become ---

@pytest.mark.essential
def test_limits(containerd):
    task = containerd.start("--memory-limit", str(64 << 20), "--cpus", "0.5", "--", *SLEEP)
    folder = cgroup_path(task.pid)
    assert (folder / "memory.max").read_text() == f"{64 << 20}\n"
    assert (folder / "cpu.max").read_text() == "50000 100000\n"


def test_cgroup(containerd):
    task = containerd.start("--cgroup", "/own/box", "--", *SLEEP)
    folder = cgroup_path(task.pid)
    assert folder.parts[-2:] == ("own", "box")
    task.remove()
    assert not folder.exists()
    folder.parent.rmdir()  # whoever names a parent, owns it


def test_process_options(containerd):
    out = containerd.run("--cwd", "/tmp", "--env", "A=b c", "--", "sh", "-c", "pwd; echo $A").stdout
    assert out.splitlines() == ["/tmp", "b c"]


def test_privileges(containerd):
    task = containerd.start("--seccomp", "--", *SLEEP)
    assert status(task.pid, "Seccomp") == "2" and status(task.pid, "NoNewPrivs") == "1"
    assert status(task.pid, "CapEff") != status("self", "CapEff")
    full = containerd.start("--privileged", "--", *SLEEP)
    assert status(full.pid, "CapEff") == status("self", "CapEff")


def test_mounts(containerd, tmp_path):
    (tmp_path / "file").write_text("here\n")
    ran = containerd.run("--mount", f"type=bind,src={tmp_path},dst=/mnt,options=rbind:ro",
                         "--read-only", "--", "sh", "-c", "cat /mnt/file; touch /mnt/x /x; true")
    assert ran.stdout == "here\n" and ran.stderr.count("Read-only") == 2


def test_device(containerd):
    ran = containerd.run("--device", "/dev/vda", "--", "sh", "-c",
                         "stat -c '%F %t' /dev/vda; head -c 1 /dev/vda | wc -c; "
                         "mknod /kmsg c 1 11; head -c 1 /kmsg; true")
    assert ran.stdout.splitlines() == ["block special file fe", "1"]
    assert "not permitted" in ran.stderr


def test_host_network(containerd):
    task = containerd.start("--net-host", "--", *SLEEP)
    assert namespaces(task.pid)["net"] == namespaces("self")["net"]


def test_missing_mount_source(containerd):
    ran = containerd.run("--mount", "type=bind,src=/nonesuch,dst=/mnt,options=rbind", "--", "true",
                         status=1)
    assert "/nonesuch" in ran.stderr and "no such file or directory" in ran.stderr.lower()


@pytest.mark.essential
def test_shim_killed(containerd, sleeper):
    """containerd cleans up with `delete --force` when it finds that the shim has gone."""
    pid, folder = sleeper.pid, cgroup_path(sleeper.pid)
    os.kill(ppid(pid), signal.SIGKILL)
    assert eventually(lambda: not alive(pid) and not folder.exists(), seconds=30)
    eventually(lambda: sleeper.id not in containerd.ctr("tasks", "ls").stdout, seconds=30)
