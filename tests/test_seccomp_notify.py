# SPDX-License-Identifier: MIT
"""SCMP_ACT_NOTIFY (config-linux.md "Seccomp", "The Container Process State"): an agent is given the
listener, and decides what system calls of the container do."""

import errno
import os
import signal
import socket
import subprocess
import time

import pytest

from harness.agent import CONTINUE, Agent
from harness.kernel import cmdline, descriptors, eventually, signals, status
from harness.refused import refused
from harness.runtime import SCALE, wait_exit
from test_seccomp import KILLED, MINIMAL, X86, profile, program_of, rule

pytestmark = pytest.mark.skipif(not X86, reason="system calls are numbered as on x86_64")

GETPGRP, MKDIR, EXECVE, UMASK, GETPPID, EXIT_GROUP = 111, 83, 59, 95, 110, 231


def notify(*names, args=None):
    return rule(*names, action="SCMP_ACT_NOTIFY", args=args)


@pytest.fixture
def make_agent(tmp_path):
    """make_agent(answer): an Agent, its path in .path."""
    made = []

    def make(answer=lambda *call: CONTINUE, path=None, **how):
        path = path or tmp_path / f"agent{len(made)}.sock"
        made.append(Agent(path, answer, **how))
        made[-1].path = str(path)
        return made[-1]

    yield make
    for agent in made:
        agent.close()
    assert [agent.errors for agent in made if agent.errors] == []


def answers(table):
    """An answer for each number; what is not in the table goes on."""
    return lambda pid, number, arguments: table.get(number, CONTINUE)


def notified(b, agent, *names, **more):
    b.linux["seccomp"] = profile(notify(*names), listenerPath=str(getattr(agent, "path", agent)),
                                 **more)
    return b


# --- what the agent decides ---

def test_values_and_errors(runtime, bundle, make_agent):
    agent = make_agent(answers({GETPGRP: OSError(errno.ENOMSG, ""), MKDIR: 0}))
    b = notified(bundle(), agent, "getpgrp", "mkdir", "sched_yield")
    # mkdir(NULL) would be EFAULT
    seen = runtime.probe(b, f"s:{GETPGRP}", f"s:{MKDIR}", "s:24")
    assert seen["tests"] == {f"s:{GETPGRP}": "ENOMSG", f"s:{MKDIR}": "ok", "s:24": "ok"}
    assert agent.numbers() == [GETPGRP, MKDIR, 24]
    assert (seen["status"]["Seccomp"], seen["status"]["Seccomp_filters"]) == ("2", "1")
    assert seen["status"]["Threads"] == "1"


def test_faked_calls(runtime, bundle, make_agent):
    """mkdir succeeds and makes nothing, getppid gives a number of the agent's."""
    agent = make_agent(answers({MKDIR: 0, GETPPID: 4242}))
    b = notified(bundle().sh("mkdir /made && ls -d /made; echo $PPID"), agent, "mkdir", "getppid")
    result = runtime.run_bundle(b)
    assert result.stdout == "4242\n" and "/made" in result.stderr
    assert not (b.rootfs / "made").exists()
    assert MKDIR in agent.numbers()


def test_pid_of_the_caller(runtime, bundle, make_agent):
    """As the agent sees it: the same that the message named."""
    agent = make_agent()
    runtime.run_bundle(notified(bundle("/bin/probe", f"s:{GETPGRP}"), agent, "getpgrp"))
    assert [pid for pid, _, _ in agent.calls] == [agent.told(1)[0][0]["pid"]]


def test_arguments(runtime, bundle, make_agent):
    agent = make_agent(answers({24: OSError(errno.ENOMSG, "")}))
    b = bundle()
    b.linux["seccomp"] = profile(notify("sched_yield", args=[(1, "SCMP_CMP_EQ", 7)]),
                                 listenerPath=agent.path)
    seen = runtime.probe(b, "s:24,0,7", "s:24,0,8", "s:24,7,0")
    assert list(seen["tests"].values()) == ["ENOMSG", "ok", "ok"]
    assert [call[2][:2] for call in agent.calls] == [[0, 7]]


# --- what the agent is told ---

def test_message_of_run(runtime, bundle, make_agent):
    agent = make_agent()
    b = notified(bundle(), agent, "getpgrp", listenerMetadata="MKNOD=/dev/null\n\u00fc")
    b.config["annotations"] = {"com.example.key": "value"}
    runtime.run_bundle(b)
    (message, descriptors), = agent.told(1)
    state = message.pop("state")
    pid = message.pop("pid")
    assert descriptors == 1 and pid > 1 and state["pid"] == pid
    assert message == {"ociVersion": "1.3.0", "fds": ["seccompFd"],
                       "metadata": "MKNOD=/dev/null\n\u00fc"}
    assert (state["ociVersion"], state["id"], state["status"], state["bundle"],
            state["annotations"]) == ("1.3.0", runtime.ids[-1], "creating", str(b.path),
                                      {"com.example.key": "value"})


def late(b, why):
    """What init does until `start` must not be filtered: only then the listener is made."""
    if why == "a call of hako's":
        b.linux["seccomp"]["syscalls"].append(notify("close"))
    if why == "a call that is not allowed":
        b.linux["seccomp"].update(defaultAction="SCMP_ACT_ERRNO")
        b.linux["seccomp"]["syscalls"].append(
            rule(*MINIMAL, "nanosleep", "clock_nanosleep", "getppid", action="SCMP_ACT_ALLOW"))
    if why == "a hook":
        b.config["hooks"] = {"startContainer": [{"path": "/bin/true"}]}
    return b


@pytest.mark.parametrize("why", [None, "a call of hako's", "a call that is not allowed", "a hook"])
def test_message_of_create_or_start_and_of_exec(runtime, bundle, make_agent, tmp_path, why):
    agent = make_agent()
    b = late(notified(bundle("/bin/sleep", "1000"), agent, "getpgrp", listenerMetadata="words"), why)
    b.config["annotations"] = {"key": "value"}
    box = runtime.container(b)
    box.create()
    assert len(agent.told(1) if why is None else agent.messages) == (1 if why is None else 0)
    filters = "1" if why is None else "0"
    assert status(box.pid, "Seccomp_filters") == filters and box.status == "created"
    box.start()
    (message, _), = agent.told(1)
    assert (message["pid"], message["metadata"], message["state"]["status"]) == (
        box.pid, "words", "creating" if why is None else "created")
    eventually(lambda: cmdline(box.pid)[0] == "/bin/sleep")
    assert status(box.pid, "Seccomp_filters") == "1"
    for key in ("id", "bundle", "annotations"):
        assert message["state"][key] == box.state()[key]
    box.exec("/bin/sleep", "1000", options=["--detach", "--pid-file", tmp_path / "pid"])
    message, descriptors = agent.told(2)[1]
    pid = int((tmp_path / "pid").read_text())
    assert (message["pid"], message["state"]["pid"], message["state"]["status"], descriptors) == (
        pid, box.pid, "running", 1)
    assert message["metadata"] == "words" and pid != box.pid


def test_no_metadata(runtime, bundle, make_agent):
    agent = make_agent()
    runtime.run_bundle(notified(bundle(), agent, "getpgrp"))
    assert "metadata" not in agent.told(1)[0][0]


def test_as_crun_does_it(crun, runtime, bundle, make_agent):
    """The parts that the specification names; the shape of the state too."""
    agent = make_agent()
    b = notified(bundle(), agent, "getpgrp", listenerMetadata="words")
    b.config["annotations"] = {"key": "value"}
    for each in (crun, runtime):
        each.run_bundle(b)
    (theirs, n), (ours, m) = agent.told(2)
    assert n == m and ours.keys() >= theirs.keys() - {"ociVersion"}
    assert {type(ours[key]) for key in theirs} == {type(theirs[key]) for key in theirs}
    for key in ("fds", "metadata"):
        assert ours[key] == theirs[key]
    assert ours["state"]["annotations"] == theirs["state"]["annotations"]


# --- nothing of hako's own is filtered ---

EVERYTHING = ["execve", "read", "write", "close", "sendmsg", "recvmsg", "sendto", "recvfrom", "poll",
              "ppoll", "exit", "exit_group", "futex", "nanosleep", "clock_nanosleep", "mmap",
              "munmap", "clone", "clone3", "dup", "dup3", "fcntl", "prctl", "seccomp", "getpid",
              "openat", "openat2", "ioctl", "kill", "tgkill", "rt_sigaction", "rt_sigreturn",
              "rt_sigprocmask", "setsockopt", "accept4", "close_range", "pidfd_getfd", "brk"]


def begin(runtime, b, how, *program):
    """Run a program by one of the three commands; its exit status."""
    b.args(*program)
    if how == "run":
        return runtime.run_bundle(b, check=False).returncode
    box = runtime.container(b)
    if how == "start":
        box.create()
        pid = box.pid
        box.start()
        return wait_exit(pid)
    b.args("/bin/busybox", "sleep", "1000")
    box.create()
    box.start()
    return box.exec(*program, check=False).returncode


@pytest.mark.parametrize("nnp", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("how", ["run", "start", "exec"])
def test_every_call_may_be_notified(runtime, bundle, make_agent, nnp, uid, how):
    """Also execve, and what it takes to pass a descriptor on: the first call that is seen is
    execve, on behalf of the program."""
    agent = make_agent()
    b = notified(bundle(), agent, *EVERYTHING)
    b.process.update(noNewPrivileges=nnp, user={"uid": uid, "gid": uid})
    assert begin(runtime, b, how, "/bin/busybox", "false") == 1
    pid = agent.told(2 if how == "exec" else 1)[-1][0]["pid"]
    numbers = [number for caller, number, _ in agent.calls if caller == pid]
    assert numbers[0] == EXECVE and numbers.count(EXECVE) == 1 and numbers[-1] == EXIT_GROUP


@pytest.mark.parametrize("nnp", [True, False])
@pytest.mark.parametrize("how", ["run", "start", "exec"])
def test_every_other_call_may_kill(runtime, bundle, make_agent, nnp, how):
    agent = make_agent(answers({GETPPID: 1}))
    b = bundle()
    b.process.update(noNewPrivileges=nnp)
    b.linux["seccomp"] = profile(
        rule(*MINIMAL, "nanosleep", "clock_nanosleep", action="SCMP_ACT_ALLOW"),
        notify("getppid"), default="SCMP_ACT_KILL_PROCESS", listenerPath=agent.path)
    assert begin(runtime, b, how, "/bin/busybox", "false") == 1
    assert begin(runtime, b, how, "/bin/busybox", "ls") == KILLED


def test_agent_that_refuses_the_program(runtime, bundle, make_agent):
    agent = make_agent(answers({EXECVE: OSError(errno.EACCES, "")}))
    assert "permission denied" in refused(runtime, notified(bundle(), agent, "execve"),
                                          "/process/args")


# --- agents that are not there ---

@pytest.mark.parametrize("what", ["absent", "file", "deaf"])
@pytest.mark.parametrize("how", ["run", "create", "start", "exec"])
def test_no_agent(runtime, bundle, make_agent, tmp_path, what, how):
    """An error, and nothing was executed; what there is no socket for is an error of create."""
    path = tmp_path / "socket"
    b = notified(bundle().sh("echo ran >/tmp/ran; exec sleep 1000"), path, "getpgrp")
    if how == "start":
        late(b, "a call of hako's")
    if how == "exec":
        agent = make_agent(path=path)
        box = runtime.container(b.args("/bin/sleep", "1000"))
        box.create()
        box.start()
        path.unlink()
    if what == "file":
        path.touch()
    if what == "deaf":
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).bind(str(path))
    message = {"absent": "no such file or directory", "file": "socket operation on non-socket",
               "deaf": "connection refused"}[what]
    if how == "exec":
        result = box.exec("/bin/touch", "/tmp/ran", check=False)
        assert result.returncode == 255 and message in result.stderr, result
        assert box.status == "running" and len(agent.told(1)) == 1
    elif how == "run" or what != "deaf":
        assert message in refused(runtime, b, "/linux/seccomp/listenerPath",
                                  command="run" if how == "run" else "create")
    elif how == "create":
        assert message in refused(runtime, b, command="create")
    else:
        box = runtime.container(b)
        box.create()
        result = box.start(check=False)
        assert result.returncode == 1 and message in result.stderr, result
        assert runtime.run("state", box.id, check=False).returncode != 0
    assert not (b.rootfs / "tmp/ran").exists()


@pytest.mark.parametrize("end", ["TERM", "KILL", "delete"])
def test_filter_of_a_created_container(runtime, bundle, make_agent, end):
    """It ends as without one."""
    box = runtime.container(notified(bundle("/bin/sleep", "1000"), make_agent(), "getpgrp"))
    box.create()
    if end != "delete":
        box.kill(end)
        box.wait_for("stopped")
    box.delete("--force")


def test_agent_that_lets_go(runtime, bundle, make_agent):
    """Without a listener the kernel says ENOSYS."""
    agent = make_agent(keep=False)
    b = notified(bundle().sh("sleep 0.3; mkdir /made"), agent, "mkdir")
    result = runtime.run_bundle(b, check=False)
    assert "not implemented" in result.stderr and len(agent.told(1)) == 1


def test_agent_that_goes_away_before_it_reads(runtime, bundle, tmp_path):
    """The message was sent: that is all that is asked of the runtime."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen(1)
        b = notified(bundle("/bin/probe", f"s:{GETPGRP}"), path, "getpgrp")
        process = runtime.popen("run", "--bundle", b, runtime.new_id(), stdout=subprocess.PIPE)
        with process:
            connection, _ = server.accept()
            text, fds, _, _ = socket.recv_fds(connection, 1 << 16, 1)
            assert text and len(fds) == 1
            os.close(fds[0])
            connection.close()
            assert '"ENOSYS"' in process.communicate(timeout=20 * SCALE)[0].decode()


def test_runtime_that_is_killed_meanwhile(runtime, bundle, make_agent, tmp_path):
    """Whatever call of `run` is the last: no process stays, none burns time waiting."""
    agent = make_agent()
    b = notified(bundle("/bin/sleep", "1000"), agent, "getpgrp")
    trace = tmp_path / "trace"

    def run(*inject):
        argv = runtime.argv("run", "--bundle", b, runtime.new_id())
        return subprocess.Popen(["strace", "-o", trace, *inject, *argv], env=runtime.environment,
                                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    for call in ("connect", "sendmsg", "recvmsg"):
        with run("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL") as process:
            assert process.wait(20 * SCALE) != 0
        assert "killed by SIGKILL" in trace.read_text()
        eventually(lambda: not runtime.run("list", "-q").stdout or
                   runtime.run("state", runtime.ids[-1]).json()["status"] == "stopped")
        runtime.run("delete", "--force", runtime.ids[-1])


# --- whom to tell ---

def test_receiver_of_the_annotation(runtime, bundle, make_agent):
    agent = make_agent()
    b = bundle()
    b.linux["seccomp"] = profile(notify("getpgrp"))
    b.config["annotations"] = {"run.oci.seccomp.receiver": agent.path}
    assert runtime.probe(b, f"s:{GETPGRP}")["tests"] == {f"s:{GETPGRP}": "ok"}
    assert agent.numbers() == [GETPGRP]


def test_receiver_of_the_environment(runtime, bundle, make_agent):
    """Of create, as there is nothing to decide at start."""
    agent = make_agent()
    b = bundle()
    b.linux["seccomp"] = profile(notify("getpgrp"))
    env = {"RUN_OCI_SECCOMP_RECEIVER": agent.path}
    runtime.run_bundle(b, env=env)
    box = runtime.container(b.args("/bin/sleep", "1000"))
    box.create(env=env)
    box.start()
    box.exec("/bin/true", env=env)
    assert len(agent.told(3)) == 3
    assert "listenerPath" in box.exec("/bin/true", check=False).stderr


def test_order_of_receivers(runtime, bundle, make_agent):
    first, second, third = make_agent(), make_agent(), make_agent()
    env = {"RUN_OCI_SECCOMP_RECEIVER": third.path}
    b = notified(bundle(), first, "getpgrp")
    b.config["annotations"] = {"run.oci.seccomp.receiver": second.path}
    runtime.run_bundle(b, env=env)
    del b.linux["seccomp"]["listenerPath"]
    runtime.run_bundle(b, env=env)
    assert len(first.told(1)) == len(second.told(1)) == 1 and third.messages == []


def test_path_below_the_bundle(runtime, bundle, make_agent, tmp_path):
    b = bundle()
    agent = make_agent(path=b.path / "agent")
    runtime.run_bundle(notified(b, "agent", "getpgrp"), cwd=tmp_path)
    assert len(agent.told(1)) == 1


def test_long_path(runtime, bundle, make_agent, tmp_path):
    folder = tmp_path / "/".join(["x" * 200] * 3)
    folder.mkdir(parents=True)
    before = os.getcwd()
    os.chdir(folder)
    try:
        agent = make_agent(path="agent")
    finally:
        os.chdir(before)
    runtime.run_bundle(notified(bundle(), folder / "agent", "getpgrp"))
    assert len(agent.told(1)) == 1


def test_path_is_required(runtime, bundle):
    b = bundle()
    b.linux["seccomp"] = profile(notify("getpgrp"))
    assert "listenerPath" in refused(runtime, b, "/linux/seccomp/syscalls/0/action")


@pytest.mark.parametrize("metadata", [{}, {"listenerMetadata": "words"}])
def test_path_without_notification_is_ignored(runtime, bundle, tmp_path, metadata):
    b = bundle()
    b.linux["seccomp"] = profile(rule("getpgrp"), listenerPath=str(tmp_path / "absent"), **metadata)
    runtime.run_bundle(b)


# --- with other parts ---

@pytest.mark.parametrize("flags", [[], ["TSYNC"], ["LOG", "SPEC_ALLOW"], ["WAIT_KILLABLE_RECV"],
                                   ["TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"]])
def test_flags(runtime, bundle, make_agent, flags):
    agent = make_agent(answers({GETPGRP: OSError(errno.ENOMSG, "")}))
    b = notified(bundle(), agent, "getpgrp",
                 flags=[f"SECCOMP_FILTER_FLAG_{flag}" for flag in flags])
    assert runtime.probe(b, f"s:{GETPGRP}")["tests"] == {f"s:{GETPGRP}": "ENOMSG"}


@pytest.mark.parametrize("flags", [[], ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]])
def test_signal_during_a_call(runtime, bundle, make_agent, flags):
    """WAIT_KILLABLE_RECV: once the agent has the call, only a fatal signal ends it; else it is gone
    when the agent answers."""
    def is_pending(pid):
        return bool(signals(pid, "ShdPnd") & 1 << (signal.SIGUSR1 - 1))

    def answer(pid, number, arguments):
        if len(agent.calls) == 1:
            os.kill(pid, signal.SIGUSR1)
            if flags:
                time.sleep(0.2)
            eventually(lambda: is_pending(pid) == bool(flags))
        return 0

    agent = make_agent(answer)
    b = notified(bundle().sh("trap 'echo trapped' USR1; umask 077; echo done"), agent, "umask",
                 flags=flags)
    assert runtime.run_bundle(b).stdout == "trapped\ndone\n"
    assert agent.gone == ([] if flags else [UMASK])


def test_user_namespace(runtime, bundle, make_agent):
    agent = make_agent(answers({GETPGRP: OSError(errno.ENOMSG, "")}))
    b = notified(bundle().user_namespace(), agent, "getpgrp")
    assert runtime.probe(b, f"s:{GETPGRP}")["tests"] == {f"s:{GETPGRP}": "ENOMSG"}


def test_rootless(rootless, bundle, user, make_agent):
    agent = make_agent(answers({GETPGRP: OSError(errno.ENOMSG, "")}))
    b = notified(bundle(owner=user).rootless(), agent, "getpgrp")
    assert rootless.probe(b, f"s:{GETPGRP}")["tests"] == {f"s:{GETPGRP}": "ENOMSG"}


def test_nothing_stays_open(runtime, bundle, make_agent):
    """Neither listener nor agent's socket is left to the container; hako has let go of both."""
    agent = make_agent()
    b = notified(bundle("/bin/sleep", "1000"), agent, "getpgrp")
    box = runtime.container(b)
    process = runtime.popen("run", "--bundle", b, box.id)
    with process:
        eventually(lambda: box.status == "running")
        eventually(lambda: descriptors(box.pid).keys() == {0, 1, 2})
        eventually(lambda: not any("seccomp" in link
                                   for link in descriptors(process.pid).values()))
        box.kill("KILL")
        assert process.wait(10 * SCALE) == 137


def test_hooks_come_before(runtime, bundle, make_agent):
    """startContainer hooks are not filtered: mkdir is not notified."""
    agent = make_agent(answers({MKDIR: 0}))
    b = notified(bundle(), agent, "mkdir")
    b.config["hooks"] = {"startContainer": [{"path": "/bin/mkdir", "args": ["mkdir", "/tmp/d"]}]}
    runtime.run_bundle(b)
    assert (b.rootfs / "tmp/d").is_dir() and agent.calls == []


def test_cached_program(runtime, bundle, make_agent):
    agent = make_agent()
    b = notified(bundle("/bin/sleep", "1000"), agent, "getpgrp")
    programs = []
    for _ in range(2):
        box = runtime.container(b)
        box.create()
        box.start()
        programs.append(program_of(box.pid))
        box.delete("--force")
    assert programs[0] == programs[1] and len(agent.told(2)) == 2


def test_many_at_once(runtime, bundle, make_agent):
    agent = make_agent(answers({GETPPID: 7}))
    b = notified(bundle().sh("echo $PPID"), agent, "getppid")
    b.save()
    started = [runtime.popen("run", "--bundle", b.path, runtime.new_id(), stdout=subprocess.PIPE)
               for _ in range(12)]
    outputs = []
    for process in started:
        with process:
            outputs.append(process.communicate(timeout=40 * SCALE)[0])
    assert outputs == [b"7\n"] * 12 and len(agent.told(12)) == 12


def test_without_notification_there_is_no_thread(runtime, bundle, tmp_path):
    b = bundle()
    b.linux["seccomp"] = profile(rule("getpgrp"))
    argv = runtime.argv("run", "--bundle", b, runtime.new_id())
    subprocess.run(["strace", "-f", "-o", tmp_path / "trace", "-e", "trace=clone,clone3", *argv],
                   env=runtime.environment, check=True, stdin=subprocess.DEVNULL)
    assert "CLONE_THREAD" not in (tmp_path / "trace").read_text()
