# SPDX-License-Identifier: MIT
"""Docker, and Swarm on one node."""

import json
import os
import pathlib
import signal

import pytest

from harness.kernel import (alive, cgroup_path, cgroup_pids, cmdline, eventually, frozen, namespaces,
                            ppid, status)
from harness.runtime import SCALE

from . import image
from .docker import Daemon, Docker

SLEEP = ("sleep", "1000")


@pytest.fixture
def sleeper(docker):
    return docker.start("--", *SLEEP)


def limit(pid, file):
    return (cgroup_path(pid) / file).read_text().strip()


# --- in the foreground ---

@pytest.mark.essential
def test_run(docker):
    ran = docker.run("--interactive", "--", "sh", "-c", "cat; echo err >&2; exit 7", input="in\n",
                     status=7)
    assert (ran.stdout, ran.stderr) == ("in\n", "err\n")
    assert docker.containers() == []


@pytest.mark.essential
@pytest.mark.parametrize("command, code", [
    ("nonesuch", 127), ("/nonesuch", 127), ("/etc/notes", 126), ("/etc", 126)])
def test_not_a_program(docker, runtime, command, code):
    """Docker looks for words in what the runtime says."""
    ran = docker.run("--", command, status=code)
    assert command in ran.stderr or runtime.name == "crun"


def test_interactive(docker, on_terminal):
    process, terminal = on_terminal(*docker.argv, "run", "--rm", *docker.always, "--interactive",
                                    "--tty", image.NAME, "sh")
    terminal.expect("# ", timeout=60)
    terminal.send("until stty size | grep 33; do sleep 0.1; done\n").expect("33 111", timeout=30)
    terminal.send("exit 6\n")
    assert process.wait(60 * SCALE) == 6


# --- detached ---

@pytest.mark.essential
def test_detached(docker, runtime, sleeper):
    pid, folder = sleeper.pid, cgroup_path(sleeper.pid)
    assert sleeper.inspect()["HostConfig"]["Runtime"] == runtime.name
    assert cmdline(pid) == list(SLEEP)
    assert "containerd-shim" in cmdline(ppid(pid))[0]
    assert cgroup_pids(folder) == {pid} and sleeper.id in str(folder)
    ours, theirs = namespaces("self"), namespaces(pid)
    assert {name for name in ours if ours[name] == theirs[name]} == {
        "user", "time", "time_for_children"}
    assert " ".join(SLEEP) in sleeper.top().stdout
    out = docker("stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", sleeper.id).stdout
    assert out.split()[0] == "1" and not out.split()[1].startswith("0B")
    sleeper.stop("--time", "0")
    assert not alive(pid) and not folder.exists()
    assert sleeper.state["ExitCode"] == 137


def test_default_runtime(docker, runtime, dockerd):
    assert docker("info", "--format", "{{.DefaultRuntime}}").stdout == "hako\n"
    dockerd.reload(**{"default-runtime": runtime.name})
    docker.always = ["--network", "none"]
    container = docker.start("--", *SLEEP)
    assert container.inspect()["HostConfig"]["Runtime"] == runtime.name
    assert alive(container.pid)
    dockerd.reload()


def test_stop_and_logs(docker):
    container = docker.start("--", "sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; "
                             "while :; do sleep 0.1; done")
    eventually(lambda: "up" in container.logs().stdout, seconds=30)
    container.stop()
    assert container.state["ExitCode"] == 5
    assert container.logs().stdout == "up\nbye\n"
    container.start()
    eventually(lambda: alive(container.pid))


@pytest.mark.essential
def test_pause(docker, sleeper):
    folder = cgroup_path(sleeper.pid)
    sleeper.pause()
    assert frozen(folder) and sleeper.state["Paused"]
    sleeper.exec("true", status=1)
    sleeper.unpause()
    assert not frozen(folder)
    sleeper.exec("true")


def test_kill_and_restart_policy(docker):
    container = docker.start("--restart", "on-failure:2", "--", "sh", "-c", "exit 3")
    eventually(lambda: container.inspect()["RestartCount"] == 2
               and container.state["Status"] == "exited", seconds=60)
    assert container.state["ExitCode"] == 3
    container = docker.start("--restart", "always", "--", *SLEEP)
    first = container.pid
    os.kill(first, signal.SIGKILL)
    eventually(lambda: container.pid not in (0, first) and alive(container.pid), seconds=60)
    container.kill("--signal", "KILL")  # which Docker takes for the user's wish
    eventually(lambda: container.state["Status"] == "exited", seconds=30)


# --- exec ---

@pytest.mark.essential
def test_exec(docker, sleeper):
    ran = sleeper.exec("sh", "-c", "id -u; pwd; echo $X; readlink /proc/self/ns/pid; cat; exit 7",
                       options=["--user", "user", "--workdir", "/tmp", "--env", "X=a b",
                                "--interactive"], input="in\n", status=7)
    assert ran.stdout.splitlines() == ["1000", "/tmp", "a b", namespaces(sleeper.pid)["pid"], "in"]


@pytest.mark.parametrize("command", ["nonesuch", "/etc/notes"])
def test_exec_not_a_program(docker, runtime, sleeper, command):
    """This version of Docker makes no difference."""
    ran = sleeper.exec(command, status=126)
    assert command in ran.stdout + ran.stderr or runtime.name == "crun"


def test_exec_terminal(docker, sleeper, on_terminal):
    process, terminal = on_terminal(*docker.argv, "exec", "--interactive", "--tty", sleeper.id, "sh")
    terminal.expect("# ", timeout=60)
    terminal.send("tty; until stty size | grep 33; do sleep 0.1; done\n").expect("/dev/pts/0", timeout=30)
    terminal.expect("33 111", timeout=30)
    terminal.send("exit 5\n")
    assert process.wait(60 * SCALE) == 5


# --- what options become ---

@pytest.mark.essential
def test_limits_and_update(docker):
    container = docker.start("--memory", "64m", "--memory-swap", "64m", "--cpus", "0.5",
                             "--pids-limit", "50", "--cpuset-cpus", "1", "--cpu-shares", "512",
                             "--", *SLEEP)
    files = ("memory.max", "cpu.max", "pids.max", "cpuset.cpus")  # it asks for no limit of swap here
    found = {file: limit(container.pid, file) for file in files}
    assert found == {"memory.max": str(64 << 20), "cpu.max": "50000 100000", "pids.max": "50",
                     "cpuset.cpus": "1"}
    container.update("--memory", "48m", "--memory-swap", "48m", "--cpus", "0.25", "--pids-limit", "40")
    assert limit(container.pid, "memory.max") == str(48 << 20)
    assert limit(container.pid, "cpu.max") == "25000 100000"
    assert limit(container.pid, "pids.max") == "40"


def test_over_memory(docker):
    container = docker.start("--memory", "32m", "--memory-swap", "32m", "--", "tail", "/dev/zero")
    assert container.wait(timeout=120).stdout == "137\n"
    assert container.state["OOMKilled"]


def test_privileges(docker):
    drop = docker.start("--cap-drop", "all", "--cap-add", "net_raw", "--security-opt",
                        "no-new-privileges", "--init", "--", *SLEEP).pid
    assert [status(drop, field) for field in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")] == [
        f"{1 << 13:016x}", f"{1 << 13:016x}", "1", "2"]
    assert "init" in cmdline(drop)[0]
    full = docker.start("--privileged", "--", *SLEEP).pid
    # this version of Docker does not know the newest
    assert int(status(full, "CapEff"), 16) == (1 << 38) - 1 and status(full, "Seccomp") == "0"


def test_mounts(docker, tmp_path):
    (tmp_path / "file").write_text("here\n")
    ran = docker.run("--volume", f"{tmp_path}:/a", "--volume", f"{tmp_path}:/b:ro", "--read-only",
                     "--tmpfs", "/c:size=1m,mode=700", "--shm-size", "2m",
                     "--mount", "type=volume,target=/d", "--",
                     "sh", "-c", "cat /b/file; echo x >/a/new; echo x >/b/other; touch /e /d/f; "
                     "df -k /c /dev/shm | awk '{print $2}'; stat -c %a /c")
    assert ran.stdout.splitlines() == ["here", "1K-blocks", "1024", "2048", "700"]
    assert ran.stderr.count("Read-only") == 2
    assert (tmp_path / "new").read_text() == "x\n" and not (tmp_path / "other").exists()


def test_process_options(docker):
    out = docker.run("--user", "user", "--group-add", "extra", "--workdir", "/tmp", "--env", "A=b c",
                     "--hostname", "box", "--ulimit", "nofile=300:400", "--device", "/dev/vda:/dev/disk",
                     "--sysctl", "net.ipv4.ip_default_ttl=77", "--oom-score-adj", "500", "--",
                     "sh", "-c", "id -u; echo $(id -G | tr ' ' '\\n' | uniq); pwd; echo $A; hostname; "
                     "ulimit -n; stat -c %t /dev/disk; cat /proc/sys/net/ipv4/ip_default_ttl; "
                     "cat /proc/self/oom_score_adj").stdout
    assert out.splitlines() == ["1000", "1000 1001", "/tmp", "b c", "box", "300", "fe", "77", "500"]


def test_namespaces(docker, sleeper):
    """Of another container, and of the host."""
    other = docker.start("--pid", f"container:{sleeper.id}", "--ipc", "host", "--uts", "host", "--",
                         *SLEEP)
    mine, theirs, ours = (namespaces(pid) for pid in (other.pid, sleeper.pid, "self"))
    assert mine["pid"] == theirs["pid"] and mine["mnt"] != theirs["mnt"]
    assert {name for name in ("ipc", "uts", "net") if mine[name] == ours[name]} == {"ipc", "uts"}


def test_network(docker):
    """A veth that a hook of Docker's moves in."""
    docker.always = [docker.always[0], docker.always[1]]
    out = docker.run("--", "sh", "-c", "ip -o -4 addr | awk '{print $2}'; ip route | grep -c default")
    assert out.stdout.split() == ["lo", "eth0", "1"]


# --- the daemon ---

def test_live_restore(docker, dockerd):
    """Containers outlive the daemon, and the next one manages them."""
    dockerd.reload(**{"live-restore": True})
    container = docker.start("--", *SLEEP)
    pid = container.pid
    dockerd.stop()
    assert alive(pid)
    dockerd.settings["live-restore"] = True
    try:
        dockerd.start()
    finally:
        del dockerd.settings["live-restore"]
    assert container.pid == pid
    assert container.exec("echo", "hello").stdout == "hello\n"
    container.rm("--force")
    assert not alive(pid)
    dockerd.reload(**{"live-restore": False})


def test_user_namespace(docker, daemon, runtime, archive, dockerd):
    """A daemon of its own, in which root is an ordinary user."""
    folder = pathlib.Path("/var/lib/remapped")  # not where that user may not look
    folder.mkdir(exist_ok=True)
    remapped = Daemon(daemon.address, folder / "log", dockerd.runtimes, folder,
                      **{"userns-remap": "user"}).start()
    try:
        docker = Docker(runtime.name, remapped.socket)
        docker("load", "--input", archive)
        container = docker.start("--", *SLEEP)
        assert status(container.pid, "Uid").split() == ["100000"] * 4
        out = container.exec("sh", "-c", "id -u; touch /tmp/x; stat -c %u /tmp/x").stdout
        assert out == "0\n0\n"
        docker.clean()
    finally:
        remapped.stop()


# --- Swarm ---

@pytest.fixture
def swarm(docker, dockerd, runtime):
    """A node whose default runtime is that under test: services have no other."""
    dockerd.reload(**{"default-runtime": runtime.name})
    docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
    yield docker
    docker("swarm", "leave", "--force")
    eventually(lambda: docker.containers() == [], seconds=60)
    dockerd.reload()


@pytest.mark.essential
@pytest.mark.timeout(600)
def test_swarm(swarm, runtime):
    swarm("service", "create", "--detach", "--name", "box", "--replicas", "3", "--network", "host",
          "--restart-delay", "1s", "--limit-memory", "32m", "--no-resolve-image", image.NAME, *SLEEP)

    def tasks():
        ids = swarm("ps", "--quiet", "--no-trunc", "--filter", "status=running").stdout.split()
        found = json.loads(swarm("inspect", *ids).stdout) if ids else []
        return {each["State"]["Pid"]: each for each in found}

    def scaled(number):
        return eventually(lambda: len(tasks()) == number and tasks(), seconds=120)

    first = scaled(3)
    for pid, task in first.items():
        assert task["HostConfig"]["Runtime"] == runtime.name
        assert cmdline(pid) == list(SLEEP) and limit(pid, "memory.max") == str(32 << 20)
    killed = min(first)
    os.kill(killed, signal.SIGKILL)
    replaced = eventually(lambda: len(tasks()) == 3 and killed not in tasks() and tasks(), seconds=120)
    assert len(set(replaced) - set(first)) == 1
    swarm("service", "scale", "--detach", "box=5")
    scaled(5)
    swarm("service", "scale", "--detach", "box=2")
    scaled(2)
    swarm("service", "rm", "box")
    scaled_down = eventually(lambda: not tasks() and not swarm.containers(), seconds=120)
    assert scaled_down
