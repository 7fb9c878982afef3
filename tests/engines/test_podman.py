# SPDX-License-Identifier: MIT
"""Podman as root: the life of a container, and what its options become."""

import signal

import pytest

from harness.kernel import (alive, cgroup_path, cgroup_pids, cmdline, eventually, frozen, namespaces,
                            ppid, status)
from harness.runtime import SCALE, run

from . import image
from .conftest import SYSTEMD

SLEEP = ("sleep", "1000")


@pytest.fixture
def sleeper(podman):
    return podman.start("--", *SLEEP)


def limit(pid, file):
    return (cgroup_path(pid) / file).read_text().strip()


def remove(folder):
    """A cgroup that is the test's own, with what Podman makes in it."""
    for below in folder.iterdir():
        if below.is_dir():
            below.rmdir()
    folder.rmdir()
    return True


# --- in the foreground ---

@pytest.mark.essential
def test_run(podman):
    ran = podman.run("--", "sh", "-c", "echo out; echo err >&2; exit 7", status=7)
    assert (ran.stdout, ran.stderr) == ("out\n", "err\n")
    assert podman.containers() == []


def test_run_reads_stdin(podman):
    assert podman.run("--interactive", "--", "cat", input="one\ntwo\n").stdout == "one\ntwo\n"


def test_run_much_output(podman):
    ran = podman.run("--", "sh", "-c", "yes 123456789 | tr -d '\\n' | head -c 1000000")
    assert len(ran.stdout) == 1000000


def test_run_killed_by_signal(podman):
    podman.run("--", "sh", "-c", "(sleep 0.1; kill -TERM $PPID) & trap 'exit 9' TERM; wait; exit 9",
               status=9)
    podman.run("--init", "--", "sh", "-c", "kill -KILL $$", status=137)


@pytest.mark.essential
@pytest.mark.parametrize("command, code, words", [
    ("nonesuch", 127, ["executable file", "not found"]),
    ("/nonesuch", 127, ["no such file or directory"]),
    ("/etc/notes", 126, ["permission denied"]),
    ("/etc", 126, []),
])
def test_run_not_a_program(podman, runtime, command, code, words):
    ran = podman.run("--", command, status=code)
    assert all(word in ran.stderr.lower() for word in words), ran
    assert command in ran.stderr or runtime.name == "crun"
    assert podman.containers() == []


def test_run_bad_option(podman):
    podman.run("--no-such-option", "--", "true", status=125)


# --- detached ---

@pytest.mark.essential
def test_detached(podman, sleeper):
    state, pid = sleeper.state, sleeper.pid
    assert (state["Status"], state["Running"], state["Paused"]) == ("running", True, False)
    assert cmdline(pid) == list(SLEEP)
    assert cmdline(ppid(pid))[0].endswith("conmon")
    assert cgroup_pids(cgroup_path(pid)) == {pid}
    assert sleeper.id in str(cgroup_path(pid))
    ours, theirs = namespaces("self"), namespaces(pid)
    assert {name for name in ours if ours[name] == theirs[name]} == {
        "user", "time", "time_for_children"}


def test_logs(podman):
    container = podman.start("--", "sh", "-c", "echo one; echo two >&2; echo three")
    container.wait()
    logs = container.logs()
    assert (logs.stdout, logs.stderr) == ("one\nthree\n", "two\n")


def test_wait_and_exit_code(podman):
    container = podman.start("--", "sh", "-c", "exit 3")
    assert container.wait().stdout == "3\n"
    assert (container.state["Status"], container.state["ExitCode"]) == ("exited", 3)


@pytest.mark.driver
@pytest.mark.essential
def test_stop(podman):
    container = podman.start("--", "sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; "
                             "while :; do sleep 0.1; done")
    pid, folder = container.pid, cgroup_path(container.pid)
    eventually(lambda: "up" in container.logs().stdout, seconds=30)
    container.stop("--time", "60")
    assert not alive(pid) and not folder.exists()
    assert container.state["ExitCode"] == 5
    assert container.logs().stdout == "up\nbye\n"


def test_stop_kills_who_will_not(podman, sleeper):
    """Process 1 of a pid namespace gets no signal that it does not handle."""
    pid = sleeper.pid
    sleeper.stop("--time", "1")
    assert not alive(pid)
    assert sleeper.state["ExitCode"] == 137


def test_start_again(podman):
    container = podman.start("--", "sh", "-c", "echo x >>/count; cat /count | wc -l; sleep 1000")
    first = container.pid
    eventually(lambda: container.logs().stdout == "1\n", seconds=30)
    container.restart("--time", "0")
    eventually(lambda: container.logs().stdout.split() == ["1", "2"], seconds=30)
    assert not alive(first) and alive(container.pid)


def test_create_and_start(podman):
    id = podman("create", "--rm", image.NAME, "sh", "-c", "echo hello; exit 4").stdout.strip()
    assert podman("start", "--attach", id, status=4).stdout == "hello\n"


def test_kill(podman):
    container = podman.start("--", "sh", "-c", "trap 'echo usr1' USR1; echo up; "
                             "while :; do sleep 0.1; done")
    eventually(lambda: "up" in container.logs().stdout, seconds=30)
    container.kill("--signal", "USR1")
    eventually(lambda: "usr1" in container.logs().stdout, seconds=30)
    container.kill()
    assert eventually(lambda: container.state["ExitCode"], seconds=30) == 128 + signal.SIGKILL


def test_rm_force(podman, sleeper):
    pid, folder = sleeper.pid, cgroup_path(sleeper.pid)
    sleeper.rm(status=2)
    assert alive(pid)
    sleeper.rm("--force", "--time", "0")
    assert not alive(pid) and not folder.exists()
    assert podman.containers() == []


@pytest.mark.essential
def test_pause(podman, sleeper):
    folder = cgroup_path(sleeper.pid)
    sleeper.pause()
    assert frozen(folder) and sleeper.state["Status"] == "paused"
    sleeper.exec("true", status=255)
    sleeper.unpause()
    assert not frozen(folder) and sleeper.state["Status"] == "running"
    sleeper.exec("true")


def test_rm_of_paused(podman, sleeper):
    pid = sleeper.pid
    sleeper.pause()
    sleeper.rm("--force", "--time", "0")
    assert not alive(pid)


def test_top(podman, sleeper):
    rows = sleeper.top().stdout.splitlines()
    assert len(rows) == 2 and " ".join(SLEEP) in rows[1]


# --- exec ---

@pytest.mark.essential
def test_exec(podman, sleeper):
    ran = sleeper.exec("sh", "-c", "echo out; echo err >&2; exit 7", status=7)
    assert (ran.stdout, ran.stderr) == ("out\n", "err\n")


def test_exec_sees_the_container(podman, sleeper):
    out = sleeper.exec("sh", "-c", "readlink /proc/self/ns/pid; tr '\\0' ' ' </proc/1/cmdline")
    assert out.stdout.splitlines() == [namespaces(sleeper.pid)["pid"], " ".join(SLEEP) + " "]


def test_exec_options(podman, sleeper):
    ran = sleeper.exec("sh", "-c", "id -u; id -g; pwd; echo $X; cat",
                       options=["--user", "user", "--workdir", "/tmp", "--env", "X=a b",
                                "--interactive"], input="in\n")
    assert ran.stdout == "1000\n1000\n/tmp\na b\nin\n"


def test_exec_detached(podman, sleeper):
    sleeper.exec("sleep", "999", options=["--detach"])
    pids = eventually(lambda: cgroup_pids(cgroup_path(sleeper.pid)) - {sleeper.pid}, seconds=20)
    assert [cmdline(pid) for pid in pids] == [["sleep", "999"]]
    assert cmdline(ppid(*pids))[0].endswith("conmon")
    sleeper.stop("--time", "0")
    assert not any(map(alive, pids))


@pytest.mark.parametrize("command, code", [("nonesuch", 127), ("/etc/notes", 126), ("/etc", 126)])
def test_exec_not_a_program(podman, sleeper, command, code):
    sleeper.exec(command, status=code)


def test_exec_killed_by_signal(podman, sleeper):
    sleeper.exec("sh", "-c", "kill -TERM $$", status=143)


# --- terminals ---

def test_terminal(podman):
    ran = podman.run("--tty", "--", "sh", "-c", "tty; ls -l /dev/console; test -t 0 && test -t 2")
    tty, console = ran.stdout.splitlines()
    assert tty == "/dev/pts/0" and console.startswith("c")


def test_terminal_detached(podman):
    container = podman.start("--tty", "--", "sh", "-c", "tty; sleep 1000")
    eventually(lambda: container.logs().stdout == "/dev/pts/0\r\n", seconds=30)
    assert int(status(container.pid, "NSsid").split()[-1]) == 1


@pytest.mark.essential
def test_exec_terminal(podman, sleeper):
    assert sleeper.exec("sh", "-c", "tty; exit 3", options=["--tty"], status=3).stdout == \
        "/dev/pts/0\r\n"


def test_interactive(podman, on_terminal):
    process, terminal = on_terminal(*podman.argv, "run", "--rm", "--interactive", "--tty",
                                    image.NAME, "sh")
    terminal.expect("# ", timeout=40)
    terminal.send("stty size\n").expect("33 111", timeout=20)
    terminal.send("exit 6\n")
    assert process.wait(60 * SCALE) == 6


# --- limits ---

@pytest.mark.driver
@pytest.mark.essential
def test_limits(podman):
    container = podman.start("--memory", "64m", "--memory-swap", "64m", "--cpus", "0.5",
                             "--pids-limit", "50", "--cpuset-cpus", "1", "--cpu-shares", "512",
                             "--", *SLEEP)
    files = ("memory.max", "memory.swap.max", "cpu.max", "pids.max", "cpuset.cpus")
    found = {file: limit(container.pid, file) for file in files}
    assert found == {"memory.max": str(64 << 20), "memory.swap.max": "0",
                     "cpu.max": "50000 100000", "pids.max": "50", "cpuset.cpus": "1"}
    assert int(limit(container.pid, "cpu.weight")) in (20, 59)  # old and new conversion


def test_over_memory(podman):
    container = podman.start("--memory", "32m", "--memory-swap", "32m", "--", "tail", "/dev/zero")
    assert container.wait().stdout == "137\n"


@pytest.mark.essential
def test_update(podman, sleeper):
    sleeper.update("--memory", "48m", "--cpus", "0.25")
    assert limit(sleeper.pid, "memory.max") == str(48 << 20)
    assert limit(sleeper.pid, "cpu.max") == "25000 100000"


@pytest.mark.essential
def test_stats(podman, sleeper):
    out = podman("stats", "--no-stream", "--format", "{{.ID}} {{.PIDs}}", sleeper.id).stdout
    assert out.split() == [sleeper.id[:12], "1"]


def test_cgroup_parent(podman):
    above = "parent-deeper.slice" if SYSTEMD else "/libpod_parent/deeper"
    container = podman.start("--cgroup-parent", above, "--", *SLEEP)
    parent = cgroup_path(container.pid).parent
    assert parent.name == above.rpartition("/")[2]
    container.rm("--force", "--time", "0")
    if SYSTEMD:
        run(["systemctl", "stop", above, "parent.slice"])
    else:
        eventually(lambda: remove(parent), seconds=20)


@pytest.mark.essential
@pytest.mark.cannot("runc", "no --cgroup-manager")
def test_no_cgroup(podman):
    container = podman.start("--cgroups", "disabled", "--", *SLEEP)
    assert container.id not in str(cgroup_path(container.pid))
    container.stop("--time", "0")


# --- what options become ---

def test_process_options(podman):
    out = podman.run("--user", "user", "--group-add", "extra", "--workdir", "/tmp", "--env", "A=b c",
                     "--hostname", "box", "--ulimit", "nofile=300:400", "--umask", "0077", "--",
                     "sh", "-c", "id -u; id -G; pwd; echo $A; hostname; ulimit -n; umask").stdout
    assert out.splitlines() == ["1000", "1000 1001", "/tmp", "b c", "box", "300", "0077"]


@pytest.mark.essential
def test_privileges(podman):
    drop = podman.start("--cap-drop", "all", "--cap-add", "net_raw", "--security-opt",
                        "no-new-privileges", "--", *SLEEP).pid
    assert [status(drop, field) for field in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")] == [
        f"{1 << 13:016x}", f"{1 << 13:016x}", "1", "2"]
    full = podman.start("--privileged", "--", *SLEEP).pid
    assert status(full, "CapEff") == status("self", "CapEff")
    assert status(full, "Seccomp") == "0"


def test_seccomp(podman):
    """Podman's own profile: no new namespaces without the capability."""
    assert "not permitted" in podman.run("--", "unshare", "-m", "true", status=1).stderr


@pytest.mark.essential
def test_mounts(podman, tmp_path):
    (tmp_path / "file").write_text("here\n")
    ran = podman.run("--volume", f"{tmp_path}:/a", "--volume", f"{tmp_path}:/b:ro",
                     "--tmpfs", "/c:size=1m,mode=700", "--shm-size", "2m", "--",
                     "sh", "-c", "cat /b/file; echo x >/a/new; echo x >/b/other; "
                     "df -k /c /dev/shm | awk '{print $2}'; stat -c %a /c")
    assert ran.stdout.splitlines() == ["here", "1K-blocks", "1024", "2048", "700"]
    assert "Read-only" in ran.stderr
    assert (tmp_path / "new").read_text() == "x\n" and not (tmp_path / "other").exists()


def test_missing_volume(podman):
    podman.run("--volume", "/nonesuch:/a", "--", "true", status=125)


def test_read_only(podman):
    ran = podman.run("--read-only", "--", "sh", "-c", "touch /file; touch /tmp/file && echo tmp")
    assert "Read-only" in ran.stderr and ran.stdout == "tmp\n"


def test_masked(podman):
    ran = podman.run("--", "sh", "-c", "cat /proc/kcore | wc -c; ls /proc/acpi | wc -l; "
                     "echo 0 >/proc/sys/kernel/panic; touch /sys/x; true")
    assert ran.stdout.split() == ["0", "0"]
    assert ran.stderr.count("Read-only") == 2


def test_devices(podman):
    ran = podman.run("--device", "/dev/vda:/dev/disk:r", "--cap-add", "mknod", "--", "sh", "-c",
                     "stat -c '%F %t' /dev/disk; head -c 1 /dev/disk | wc -c; echo x >/dev/disk; "
                     "mknod /kmsg c 1 11; head -c 1 /kmsg; true")
    assert ran.stdout.splitlines() == ["block special file fe", "1"]
    assert ran.stderr.count("not permitted") == 2


def test_sysctl(podman):
    out = podman.run("--sysctl", "net.ipv4.ip_default_ttl=77", "--sysctl", "kernel.msgmax=4242",
                     "--", "cat", "/proc/sys/net/ipv4/ip_default_ttl", "/proc/sys/kernel/msgmax")
    assert out.stdout.split() == ["77", "4242"]


def test_oom_score_and_init(podman):
    container = podman.start("--oom-score-adj", "500", "--init", "--", *SLEEP)
    with open(f"/proc/{container.pid}/oom_score_adj") as file:
        assert file.read() == "500\n"
    assert "catatonit" in cmdline(container.pid)[0] or "init" in cmdline(container.pid)[0]


@pytest.mark.parametrize("name, option", [("pid", "--pid"), ("ipc", "--ipc"), ("uts", "--uts"),
                                          ("net", "--network"), ("cgroup", "--cgroupns")])
def test_host_namespace(podman, name, option):
    container = podman.start(option, "host", "--", *SLEEP)
    assert namespaces(container.pid)[name] == namespaces("self")[name]
    container.stop("--time", "0")


def test_other_container_namespaces(podman, sleeper):
    other = podman.start(*(f"--{kind}=container:{sleeper.id}" for kind in ("pid", "ipc", "network")),
                         "--", *SLEEP)
    mine, theirs = namespaces(sleeper.pid), namespaces(other.pid)
    assert {name for name in ("pid", "ipc", "net", "mnt") if mine[name] == theirs[name]} == {
        "pid", "ipc", "net"}
    other.rm("--force", "--time", "0")
    assert alive(sleeper.pid)


def test_user_namespace(podman):
    container = podman.start("--uidmap", "0:100000:1000", "--gidmap", "0:200000:1000", "--", *SLEEP)
    assert status(container.pid, "Uid").split() == ["100000"] * 4
    assert status(container.pid, "Gid").split() == ["200000"] * 4
    assert container.exec("sh", "-c", "id -u; touch /tmp/x; stat -c %u /tmp/x").stdout == "0\n0\n"


def test_network(bridge, podman):
    out = podman.run("--network", "bridge", "--", "sh", "-c",
                     "ip -o -4 addr | awk '{print $2}'; ip route | grep -c default").stdout
    assert out.split() == ["lo", "eth0", "1"]


def test_copy_and_commit(podman, sleeper, tmp_path):
    sleeper.exec("sh", "-c", "echo made >/made")
    podman("cp", f"{sleeper.id}:/made", tmp_path / "made")
    assert (tmp_path / "made").read_text() == "made\n"
    podman("commit", "--quiet", sleeper.id, "localhost/committed")
    assert podman("run", "--rm", "localhost/committed", "cat", "/made").stdout == "made\n"
    podman("rmi", "localhost/committed")


def test_pod(podman):
    podman("pod", "create", "--infra=false", "--name", "pod")
    container = podman.start("--pod", "pod", "--", *SLEEP)
    assert podman("pod", "ps", "--format", "{{.Status}}").stdout == "Running\n"
    podman("pod", "rm", "--force", "--time", "0", "pod")
    assert podman.containers() == [] and container.id


@pytest.mark.essential
@pytest.mark.cannot("crun", "this Podman's cgroup of a pod denies mknod of /dev/null")
@pytest.mark.cannot("runc", "this Podman's cgroup of a pod denies opening /dev/null")
def test_pod_with_infra(podman):
    podman("pod", "create", "--name", "pod")
    try:
        container = podman.start("--pod", "pod", "--", *SLEEP)
        infra, = {*podman.containers()} - {container.id}
        folder = cgroup_path(container.pid)
        assert container.exec("echo", "hello").stdout == "hello\n"
        infra = podman("inspect", "--format", "{{.State.Pid}}", infra).stdout
        mine, theirs = namespaces(container.pid), namespaces(int(infra))
        assert {name for name in ("net", "ipc", "uts", "pid", "mnt") if mine[name] == theirs[name]} == {
            "net", "ipc", "uts"}
        assert folder.parent == cgroup_path(int(infra)).parent
    finally:
        podman("pod", "rm", "--force", "--time", "0", "pod")
    assert not folder.exists()


def test_runtime_by_its_path(podman, runtime):
    podman.argv[podman.argv.index(runtime.name)] = str(runtime)
    assert podman.run("--", "echo", "hello").stdout == "hello\n"
    assert runtime.name in podman("info", "--format", "{{.Host.OCIRuntime.Version}}").stdout
