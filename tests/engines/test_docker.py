# SPDX-License-Identifier: MIT
"""Docker, and Swarm on one node and on two."""

import json
import os
import pathlib
import signal

import pytest

from harness import private
from harness.kernel import (alive, cgroup_path, cgroup_pids, cmdline, eventually, frozen, namespaces,
                            ppid, status)
from harness.runtime import SCALE, run

from . import image
from .conftest import SYSTEMD
from .docker import Daemon, Docker

pytestmark = pytest.mark.docker
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
@pytest.mark.cannot("crun", "Docker 20.10 does not know its words: 125")
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

@pytest.mark.driver
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
    container.stop("--time", "60")
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

@pytest.mark.driver
@pytest.mark.essential
@pytest.mark.cannot("crun", "1.8 refuses the kernel memory that Docker's update has")
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
    """When all processes are dead, Docker may have no time to see why."""
    limits = ("--memory", "32m", "--memory-swap", "32m")
    assert docker.start(*limits, "--", "tail", "/dev/zero").wait(timeout=120).stdout == "137\n"
    survivor = docker.start(*limits, "--", "sh", "-c", "tail /dev/zero; exec sleep 1000")
    eventually(lambda: docker("events", "--filter", f"container={survivor.id}", "--filter",
                              "event=oom", "--since", "1h", "--until", "0s").stdout, seconds=60)
    survivor.kill()
    assert survivor.wait().stdout == "137\n" and survivor.state["OOMKilled"]


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


# --- Amazon ECS ---

@pytest.fixture
def task_parent():
    """The cgroup that the agent has made for a task, with the task's limits."""
    if SYSTEMD:
        name = "ecstasks-0123456789abcdef.slice"
        run(["systemctl", "start", name])
        run(["systemctl", "set-property", "--runtime", name, "MemoryMax=128M", "CPUQuota=50%"])
        yield name
        run(["systemctl", "stop", name, "ecstasks.slice"])
        run(["systemctl", "revert", name])
        return
    folder = pathlib.Path("/sys/fs/cgroup/ecs/0123456789abcdef")
    folder.mkdir(parents=True)
    yield "/ecs/0123456789abcdef"
    for made in (folder, folder.parent):
        eventually(lambda: made.rmdir() is None, seconds=20)


@pytest.mark.driver
@pytest.mark.essential
@pytest.mark.cannot("runc", "1.1 takes the hard limit of open files as the soft one in exec")
def test_ecs_task(task_parent, docker):
    """As the agent asks: a container that holds the namespaces, others that share them, in the
    cgroup of the task."""
    pause = docker.start("--cgroup-parent", task_parent, "--ipc", "shareable", "--", *SLEEP)
    docker.always = docker.always[:2]
    shared = [f"--{kind}=container:{pause.id}" for kind in ("network", "ipc", "pid")]
    box = docker.start("--cgroup-parent", task_parent, *shared, "--memory", "64m",
                       "--memory-reservation", "32m", "--cpu-shares", "256",
                       "--ulimit", "nofile=1024:4096", "--", *SLEEP)
    folder = cgroup_path(box.pid)
    assert folder.parent == cgroup_path(pause.pid).parent
    assert folder.parent.name == task_parent.rpartition("/")[2]
    mine, theirs = namespaces(box.pid), namespaces(pause.pid)
    assert {kind for kind in ("net", "ipc", "pid", "mnt") if mine[kind] == theirs[kind]} == {
        "net", "ipc", "pid"}
    assert (limit(box.pid, "memory.max"), limit(box.pid, "memory.low")) == (str(64 << 20), str(32 << 20))
    assert box.exec("sh", "-c", "ulimit -n; ulimit -Hn").stdout.split() == ["1024", "4096"]
    pid = box.pid
    box.stop("--time", "1")
    assert not alive(pid) and alive(pause.pid)
    for container in (box, pause):
        container.rm("--force")


# --- Swarm ---

FIRST, SECOND = "10.99.0.1", "10.99.0.2"


@pytest.fixture
def swarm_at(docker, dockerd, runtime):
    """swarm_at(address): a node whose default runtime is that under test: services have no other."""
    dockerd.reload(**{"default-runtime": runtime.name})

    def init(address):
        docker("swarm", "init", "--advertise-addr", address, "--listen-addr", f"{address}:2377")
        return docker

    yield init
    docker("swarm", "leave", "--force", status=None)
    eventually(lambda: docker.containers() == [], seconds=60)
    dockerd.reload()


def create_service(swarm, replicas):
    swarm("service", "create", "--detach", "--name", "box", "--replicas", str(replicas),
          "--network", "host", "--restart-delay", "1s", "--limit-memory", "32m", "--no-resolve-image",
          image.NAME, *SLEEP)


def tasks(node):
    """{pid: what Docker knows of it} of those that run on a node."""
    ids = node("ps", "--quiet", "--no-trunc", "--filter", "status=running").stdout.split()
    found = json.loads(node("inspect", *ids).stdout) if ids else []
    return {each["State"]["Pid"]: each for each in found}


def running(node, number):
    """When there are so many: those."""
    return eventually(lambda: len(found := tasks(node)) == number and found, seconds=120)


@pytest.mark.essential
@pytest.mark.timeout(600)
def test_swarm(swarm_at, runtime):
    swarm = swarm_at("127.0.0.1")
    create_service(swarm, 3)
    first = running(swarm, 3)
    for pid, task in first.items():
        assert task["HostConfig"]["Runtime"] == runtime.name
        assert cmdline(pid) == list(SLEEP) and limit(pid, "memory.max") == str(32 << 20)
    killed = min(first)
    os.kill(killed, signal.SIGKILL)
    replaced = eventually(lambda: len(now := tasks(swarm)) == 3 and killed not in now and now, seconds=120)
    assert len(set(replaced) - set(first)) == 1
    swarm("service", "scale", "--detach", "box=5")
    running(swarm, 5)
    swarm("service", "scale", "--detach", "box=2")
    running(swarm, 2)
    swarm("service", "rm", "box")
    eventually(lambda: tasks(swarm) == {} and swarm.containers() == [], seconds=120)


def mount_points():
    return {point for _, point, _ in private.mounts()}


@pytest.fixture
def second(docker, daemon, runtime, archive, dockerd):
    """Docker of another node: its network is a namespace, and a veth leads there."""
    before = mount_points()
    for command in ("netns add second", "link add first0 type veth peer name second0 netns second",
                    f"addr add {FIRST}/24 dev first0", "link set first0 up", "-n second link set lo up",
                    f"-n second addr add {SECOND}/24 dev second0", "-n second link set second0 up"):
        run(["ip", *command.split()])
    folder = pathlib.Path("/var/lib/second")
    folder.mkdir(exist_ok=True)
    other = Daemon(daemon.address, folder / "log", dockerd.runtimes, folder, "/run/netns/second",
                   **{"default-runtime": runtime.name}).start()
    made = Docker(runtime.name, other.socket)
    made("load", "--input", archive)
    yield made
    made("swarm", "leave", "--force", status=None)
    eventually(lambda: made.containers() == [], seconds=60)
    other.stop()
    run(["ip", "link", "del", "first0"])
    run(["ip", "netns", "del", "second"])
    for point in mount_points() - before:  # those do not go by themselves
        if point == "/run/netns" or point.startswith(f"{folder}/"):
            private.umount(point)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_nodes(swarm_at, second, runtime):
    """Work is spread, what is killed comes back, and a node that is drained hands over."""
    first = swarm_at(FIRST)
    token = first("swarm", "join-token", "--quiet", "worker").stdout.strip()
    second("swarm", "join", "--token", token, "--advertise-addr", SECOND, "--listen-addr",
           f"{SECOND}:2377", f"{FIRST}:2377")
    create_service(first, 2)
    nodes = running(first, 1), running(second, 1)
    for pid, task in {**nodes[0], **nodes[1]}.items():
        assert task["HostConfig"]["Runtime"] == runtime.name
        assert cmdline(pid) == list(SLEEP) and limit(pid, "memory.max") == str(32 << 20)
    killed = min(nodes[1])
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: len(tasks(first) | tasks(second)) == 2 and not alive(killed), seconds=120)
    worker = second("info", "--format", "{{.Swarm.NodeID}}").stdout.strip()
    first("node", "update", "--availability", "drain", worker)
    running(first, 2)
    eventually(lambda: tasks(second) == {}, seconds=120)
    first("service", "rm", "box")
    eventually(lambda: tasks(first) == {}, seconds=120)
