# SPDX-License-Identifier: MIT
"""process.terminal: in the foreground, through --console-socket, for exec."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import termios
import time

import pytest

from harness.kernel import PROC, eventually, stat as stat_of
from harness.runtime import SCALE, wait_exit
from harness.terminal import ConsoleSocket, Terminal, set_winsize, winsize


@pytest.fixture
def terminal():
    made = Terminal()
    yield made
    made.close()


@pytest.fixture
def console(tmp_path):
    made = ConsoleSocket(tmp_path / "console.sock")
    yield made
    made.close()


@pytest.fixture
def tty(bundle):
    """tty(script): a bundle whose shell has a terminal."""

    def make(script, **how):
        made = bundle("/bin/sh", "-c", script, **how)
        made.process["terminal"] = True
        return made

    return make


@pytest.fixture
def on(terminal):
    """on(runtime, *args): in the foreground of the terminal; killed when the test ends."""
    started = []

    def start(runtime, *args, **how):
        started.append(runtime.popen(*args, **(terminal.popen() | how)))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


def ends(process, status=0, timeout=10):
    assert process.wait(timeout * SCALE) == status


# --- in the foreground ---

def test_shell_of_spec(runtime, bundle, on, terminal):
    """What everybody tries first."""
    b = bundle()
    runtime.run("spec", cwd=b.path)
    b.config = None
    process = on(runtime, "run", runtime.new_id(), cwd=b.path)
    terminal.expect("/ # ")
    terminal.send("tty; exit 7\n").expect("/dev/pts/0\r\n")
    ends(process, 7)


def test_foreground(runtime, tty, on, terminal):
    """A terminal of the container's own: its name means something inside, it controls the session,
    and /dev/console is the same."""
    b = tty("tty; stat -c 'console %t:%T' /dev/console; stat -c 'slave %t:%T' $(tty);"
            "read -r stat </proc/self/stat; echo $stat; exec </dev/tty; echo opened; ls /dev/pts")
    process = on(runtime, "run", "--bundle", b, runtime.new_id())
    assert "/dev/pts/0\r\n" in terminal.expect("/dev/pts/0\r\n")
    slave = terminal.expect("slave 88:0")
    assert "console 88:0" in slave
    fields = terminal.expect("opened").rsplit(")", 1)[1].split()
    assert int(fields[4]) == os.makedev(136, 0)  # tty_nr
    assert fields[2] == fields[3] == "1"  # process group, session
    ends(process)
    terminal.expect("0")


def test_modes_are_raw_and_come_back(runtime, tty, on, terminal):
    before = terminal.modes
    process = on(runtime, "run", "--bundle", tty("echo here; read -r x; exit 7"), runtime.new_id())
    terminal.expect("here\r\n")
    terminal.wait_raw()
    terminal.send("\n")
    ends(process, 7)
    assert terminal.modes == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_modes_come_back_after_a_signal(runtime, tty, on, terminal, number):
    """SIGTERM and SIGHUP are passed on, SIGKILL hits the container alone."""
    before = terminal.modes
    id = runtime.new_id()
    process = on(runtime, "run", "--bundle", tty("trap 'exit 3' TERM HUP; echo here; while :; do"
                                                 " sleep 0.05; done"), id)
    terminal.expect("here")
    terminal.wait_raw()
    if number == signal.SIGKILL:
        runtime.run("kill", id, "KILL")
    else:
        process.send_signal(number)
    ends(process, 137 if number == signal.SIGKILL else 3)
    assert terminal.modes == before


def test_modes_stay_when_nothing_starts(runtime, bundle, on, terminal):
    before = terminal.modes
    b = bundle("/no/such/program")
    b.process["terminal"] = True
    process = on(runtime, "run", "--bundle", b, runtime.new_id())
    ends(process, 1)
    assert "no such file" in terminal.expect("\r\n")
    assert terminal.modes == before


def test_keys_reach_the_process(runtime, tty, on, terminal):
    """^C is the container's; what is typed is echoed by its terminal alone."""
    b = tty("trap 'echo interrupted; exit 5' INT; echo here; read -r line; echo got $line;"
            "sleep 60 & wait")
    process = on(runtime, "run", "--bundle", b, runtime.new_id())
    terminal.expect("here")
    terminal.wait_raw()
    terminal.send("word\n")
    assert terminal.expect("got word").count("word") == 2
    terminal.send("\x03")
    terminal.expect("interrupted")
    ends(process, 5)


def test_size_follows_the_callers(runtime, tty, on, terminal):
    b = tty("stty size; trap 'stty size; exit' WINCH; echo here; while :; do sleep 0.05; done")
    process = on(runtime, "run", "--bundle", b, runtime.new_id())
    terminal.expect("here")
    assert terminal.seen is not None
    set_winsize(terminal.slave, 41, 123)
    terminal.expect("41 123")
    ends(process)


def test_size_of_the_caller(runtime, tty, on, terminal):
    process = on(runtime, "run", "--bundle", tty("stty size"), runtime.new_id())
    terminal.expect("33 111")
    ends(process)


def test_console_size(runtime, tty, on, terminal):
    b = tty("stty size")
    b.process["consoleSize"] = {"height": 12, "width": 34}
    process = on(runtime, "run", "--bundle", b, runtime.new_id())
    terminal.expect("12 34")
    ends(process)


def test_console_size_is_nothing_without_a_terminal(runtime, bundle):
    b = bundle("/bin/true")
    b.process["consoleSize"] = {"height": 12, "width": 34}
    runtime.run_bundle(b)


def test_owner_is_the_user(runtime, tty, on, terminal):
    b = tty("stat -c '%u %a' $(tty); stat -c 'console %u' /dev/console; : >/dev/console; echo done")
    b.process["user"] = {"uid": 1000, "gid": 1000}
    process = on(runtime, "run", "--bundle", b, runtime.new_id())
    terminal.expect("1000 620")
    terminal.expect("console 1000")
    terminal.expect("done")
    ends(process)


def test_user_namespace(runtime, tty, on, terminal):
    b = tty("stat -c '%u:%g' $(tty); id -u")
    b.user_namespace()
    b.process["user"] = {"uid": 7, "gid": 7}
    process = on(runtime, "run", "--bundle", b, runtime.new_id())
    terminal.expect("7:5")
    ends(process)


def test_rootless(rootless, bundle, user, on, terminal):
    b = bundle("/bin/sh", "-c", "tty; stat -c %u $(tty)", owner=user).rootless()
    b.process["terminal"] = True
    os.fchmod(terminal.slave, 0o666)
    process = on(rootless, "run", "--bundle", b, rootless.new_id())
    terminal.expect("/dev/pts/0\r\n0")
    ends(process)


def test_much_output_is_complete(runtime, tty, on, terminal):
    b = tty("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")
    process = on(runtime, "run", "--bundle", b, runtime.new_id())
    lines = terminal.expect("line 19999").split("\r\n")
    assert [line for line in lines if line] == [f"line {i}" for i in range(20000)]
    ends(process)


def test_background_processes_of_a_shared_pid_namespace(runtime, tty, on, terminal):
    """The end of the first process is the end, whoever else has the terminal open."""
    b = tty("sleep 60 & echo here").without_namespace("pid")
    process = on(runtime, "run", "--bundle", b, runtime.new_id())
    terminal.expect("here")
    ends(process)


def test_process_closes_the_terminal(runtime, tty, on, terminal):
    """Nobody has it open for a while: no busy loop, and later output still arrives."""
    b = tty("exec </dev/null >/dev/null 2>&1; sleep 1; exec >/dev/console; echo again")
    process = on(runtime, "run", "--bundle", b, runtime.new_id())
    terminal.expect("again")
    fields = stat_of(process.pid)  # nobody has reaped it
    assert int(fields[11]) + int(fields[12]) < 20 + 10 * SCALE  # clock ticks of 10 ms
    ends(process)


# --- standard streams that are no terminal ---

def test_input_from_a_pipe(runtime, tty):
    """The end of the input is the end for the process too."""
    done = runtime.run_bundle(tty("cat; echo end"), input="one\ntwo")
    assert done.stdout.replace("one\ntwo", "", 1).endswith("two" + "end\n")


def test_no_carriage_returns_into_a_pipe(runtime, tty):
    assert runtime.run_bundle(tty("echo one; echo two")).stdout == "one\ntwo\n"


def test_reader_that_has_gone(runtime, tty, tmp_path):
    """Nobody reads: the container goes on to its end, and no signal of ours reaches it."""
    read, write = os.pipe()
    os.close(read)
    done = runtime.run_bundle(tty("trap 'echo got >/tmp/got' PIPE; echo x; sleep 0.2; echo y; exit 4"),
                              stdout=write, check=False)
    os.close(write)
    assert done.returncode == 4 and done.stderr == ""


def full_pipe():
    """A pipe that takes nothing more; whoever holds both ends does not read."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, bytes(4096))
    os.set_blocking(write, True)
    return read, write


def test_reader_that_does_not_read(runtime, tty, background):
    """Signals are passed on all the same; a second one says that nobody will ever read."""
    box = runtime.container(tty("trap 'exit 7' TERM; echo x; sleep 1000 & wait"))
    read, write = full_pipe()
    process = background("run", "--bundle", box.bundle, box.id, stdin=subprocess.DEVNULL,
                         stdout=write)
    eventually(lambda: runtime.run("state", box.id, check=False).returncode == 0)
    box.wait_for("running")
    box.exec("sh", "-c", "until grep -q '^SigCgt:.*4...$' /proc/1/status; do sleep 0.01; done")
    init = PROC / str(box.pid)
    process.send_signal(signal.SIGTERM)
    eventually(lambda: not init.exists())  # not even as a zombie: no signal is passed on any more
    process.send_signal(signal.SIGTERM)
    ends(process, 7)
    os.close(read)
    os.close(write)


def test_deadline_while_nobody_reads(runtime, tty):
    read, write = full_pipe()
    done = runtime.run_bundle(tty("echo x; sleep 1000"), "--timeout", "1s", stdout=write,
                              check=False)
    os.close(read)
    os.close(write)
    assert done.returncode == 124


# --- job control ---

def job(terminal, argv, environment):
    """A shell's job in the background: a process group that is not the terminal's."""

    def lead():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            os.setpgid(0, 0)
            os.execve(argv[0], argv, environment)

        def foreground(*_):
            os.tcsetpgrp(0, child)
            os.kill(child, signal.SIGCONT)

        signal.signal(signal.SIGUSR1, foreground)
        os.write(3, str(child).encode())
        os.close(3)
        while True:
            pid, status = os.waitpid(child, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                os._exit(os.waitstatus_to_exitcode(status))

    return lead


def test_background_job(runtime, tty, terminal):
    """The terminal is somebody else's until hako is brought to the foreground."""
    before = terminal.modes
    b = tty("echo here; read -r x; echo got $x")
    read, write = os.pipe()
    environment = dict(runtime.environment)
    argv = runtime.argv("run", "--bundle", b, runtime.new_id())
    shell = os.fork()
    if shell == 0:
        try:
            for fd in (0, 1, 2):
                os.dup2(terminal.slave, fd)
            if write != 3:
                os.dup2(write, 3)
            job(terminal, argv, environment)()
        finally:
            os._exit(99)
    os.close(write)
    child = int(os.read(read, 32))
    os.close(read)
    try:
        terminal.expect("here")
        time.sleep(0.2)
        assert terminal.modes == before
        eventually(lambda: stat_of(child)[0] == "S")
        os.kill(shell, signal.SIGUSR1)
        terminal.wait_raw()
        terminal.send("word\n")
        terminal.expect("got word")
        assert os.waitstatus_to_exitcode(os.waitpid(shell, 0)[1]) == 0
        assert terminal.modes == before
    except BaseException:
        os.kill(shell, signal.SIGKILL)
        raise


# --- --console-socket ---

@pytest.mark.parametrize("name", ["runtime", "crun", "runc"])
def test_console_socket(request, name, tty, console):
    """One message with one descriptor, which is the pty; and nothing of the caller's is held."""
    runtime = request.getfixturevalue(name)
    b = tty("stty size; tty; read -r line; echo got $line; sleep 60")
    b.process["consoleSize"] = {"height": 12, "width": 34}
    c = runtime.container(b)
    c.create("--console-socket", console.path)
    master = console.receive()
    assert len(console.payload) < 4096
    assert stat.S_ISCHR(os.fstat(master.fd).st_mode) and os.isatty(master.fd)
    assert winsize(master.fd) == (12, 34)
    c.start()
    master.expect("12 34")
    master.expect("/dev/pts/0")
    master.send("word\n")
    master.expect("got word")
    for fd in (0, 1, 2):
        assert os.readlink(f"/proc/{c.pid}/fd/{fd}") == "/dev/pts/0"
    assert not [fd for fd in os.listdir(f"/proc/{c.pid}/fd") if int(fd) > 2 and int(fd) < 10]
    c.kill("KILL")
    c.wait_for("stopped")
    c.delete()
    master.close()


def test_run_detached(runtime, tty, console):
    c = runtime.container(tty("tty; read -r line; exit 3"))
    c.run("--detach", "--console-socket", console.path)
    master = console.receive()
    master.expect("/dev/pts/0")
    pid = c.pid
    master.send("x\n")
    assert wait_exit(pid) == 3
    master.close()


def test_run_in_the_foreground_with_a_socket(runtime, tty, console, background):
    """Somebody else serves the terminal; hako waits."""
    process = background("run", "--console-socket", console.path, "--bundle",
                         tty("echo here; read -r x; exit 6"), runtime.new_id())
    master = console.receive()
    master.expect("here")
    master.send("\n")
    ends(process, 6)
    master.close()


def test_socket_with_a_long_path(runtime, tty, tmp_path):
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    console = ConsoleSocket(folder / "console.sock")
    c = runtime.container(tty("sleep 60"))
    c.create("--console-socket", console.path)
    console.receive().close()
    console.close()


def test_socket_relative_to_the_caller(runtime, tty, console, tmp_path):
    c = runtime.container(tty("sleep 60"))
    c.create("--console-socket", "console.sock", cwd=tmp_path)
    console.receive().close()


@pytest.mark.parametrize("kind", ["missing", "file", "folder", "closed", "empty"])
def test_bad_socket(runtime, tty, tmp_path, kind):
    path = tmp_path / "console.sock"
    if kind == "file":
        path.write_text("")
    elif kind == "folder":
        path.mkdir()
    elif kind == "closed":
        with socket.socket(socket.AF_UNIX) as closed:
            closed.bind(str(path))
    done = runtime.container(tty("true")).create(
        "--console-socket", "" if kind == "empty" else path, check=False)
    assert done.returncode == 1 and "console socket" in done.stderr
    assert not runtime.root.exists() or not os.listdir(runtime.root)


def test_socket_that_nobody_reads(runtime, tty, console):
    """The message waits in the socket: create does not."""
    c = runtime.container(tty("sleep 60"))
    c.create("--console-socket", console.path, timeout=10)
    assert c.status == "created"


@pytest.mark.parametrize("command", [["create"], ["run", "--detach"]])
def test_socket_missing(runtime, tty, command):
    done = runtime.run(*command, "--bundle", tty("true"), runtime.new_id(), check=False)
    assert done.returncode == 1
    assert "/process/terminal" in done.stderr and "--console-socket" in done.stderr
    assert not runtime.root.exists() or not os.listdir(runtime.root)


def test_socket_without_a_terminal(runtime, bundle, console):
    done = runtime.container(bundle("/bin/true")).create("--console-socket", console.path,
                                                         check=False)
    assert done.returncode == 1 and "terminal" in done.stderr


# --- exec ---

@pytest.fixture
def running(runtime, bundle):
    c = runtime.container(bundle("/bin/sleep", "60"))
    c.run("--detach")
    return c


def test_exec(runtime, running, on, terminal):
    before = terminal.modes
    process = on(runtime, "exec", "-t", running.id, "/bin/sh", "-c",
                 "tty; stty size; read -r stat </proc/self/stat; echo $stat; read -r x; exit $x")
    terminal.expect("/dev/pts/0")
    fields = terminal.expect("\r\n") and terminal.expect("(sh)") and terminal.expect("\r\n").split()
    assert int(fields[4]) == os.makedev(136, 0)
    terminal.wait_raw()
    terminal.send("9\n")
    ends(process, 9)
    assert terminal.modes == before


def test_exec_size(runtime, running, on, terminal):
    process = on(runtime, "exec", "--tty", running.id, "/bin/sh", "-c", "stty size")
    terminal.expect("33 111")
    ends(process)


def test_exec_process_file(runtime, running, on, terminal, tmp_path, token):
    file = tmp_path / "process.json"
    file.write_text(json.dumps({
        "terminal": True, "args": ["/bin/sh", "-c", "stty size; stat -c %u $(tty)"], "cwd": "/",
        "env": ["PATH=/bin", f"HAKO_TEST={token}"], "user": {"uid": 8, "gid": 8},
        "consoleSize": {"height": 21, "width": 43}}))
    process = on(runtime, "exec", "--process", file, running.id)
    terminal.expect("21 43\r\n8")
    ends(process)


@pytest.mark.parametrize("name", ["runtime", "crun", "runc"])
def test_exec_console_socket(request, name, bundle, console, tmp_path, token):
    """As conmon calls it."""
    runtime = request.getfixturevalue(name)
    c = runtime.container(bundle("/bin/sleep", "60"))
    c.run("--detach")
    file = tmp_path / "process.json"
    file.write_text(json.dumps({
        "terminal": True, "args": ["/bin/sh", "-c", "tty; read -r x; exit $x"], "cwd": "/",
        "env": ["PATH=/bin", f"HAKO_TEST={token}"], "user": {"uid": 0, "gid": 0}}))
    pid_file = tmp_path / "pid"
    runtime.run("exec", "--pid-file", pid_file, "--process", file, "--detach", "--tty",
                "--console-socket", console.path, c.id)
    master = console.receive()
    master.expect("/dev/pts/0")
    master.send("4\n")
    assert wait_exit(int(pid_file.read_text())) == 4
    master.close()


def test_exec_console_socket_missing(running, tmp_path):
    done = running.exec("/bin/true", options=["-t", "-d", "--pid-file", tmp_path / "pid"],
                        check=False)
    assert done.returncode == 255 and "--console-socket" in done.stderr
    assert not (tmp_path / "pid").exists()


def test_exec_in_a_user_namespace(runtime, bundle, on, terminal):
    c = runtime.container(bundle("/bin/sleep", "60").user_namespace())
    c.run("--detach")
    process = on(runtime, "exec", "-t", "-u", "3:3", c.id, "/bin/sh", "-c", "stat -c %u $(tty)")
    terminal.expect("3")
    ends(process)


# --- traps in the rootfs ---

def test_console_is_a_link(runtime, tty, tmp_path):
    """A file of the host is neither made nor changed."""
    outside = tmp_path / "outside"
    b = tty("true").without_mount("/dev", "/dev/shm", "/dev/mqueue", "/dev/pts")
    (b.rootfs / "dev/console").symlink_to(outside)
    b.mount("/dev/pts", "devpts", "newinstance", "ptmxmode=0666", "mode=0620", type="devpts")
    done = runtime.run_bundle(b, check=False)
    assert done.returncode == 1 and "/dev/console" in done.stderr
    assert not outside.exists()


def test_console_of_the_image_is_kept(runtime, tty, tmp_path):
    b = tty("echo text >/dev/console").without_mount("/dev", "/dev/shm", "/dev/mqueue", "/dev/pts")
    (b.rootfs / "dev/console").write_text("kept")
    b.mount("/dev/pts", "devpts", "newinstance", "ptmxmode=0666", "mode=0620", type="devpts")
    assert runtime.run_bundle(b).stdout == "text\n"
    assert (b.rootfs / "dev/console").read_text() == "kept"


@pytest.mark.parametrize("kind", ["none", "file", "host's null"])
def test_no_devpts(runtime, tty, kind):
    b = tty("true").without_mount("/dev", "/dev/shm", "/dev/mqueue", "/dev/pts")
    folder = b.rootfs / "dev/pts"
    folder.mkdir()
    if kind != "none":
        (folder / "ptmx").touch()
    if kind == "host's null":
        b.mount("/dev/pts/ptmx", "/dev/null", "bind")
    done = runtime.run_bundle(b, check=False)
    assert done.returncode == 1
    assert "/process/terminal" in done.stderr and "/dev/pts/ptmx" in done.stderr


def test_second_container_has_a_terminal_of_its_own(runtime, tty, tmp_path):
    """Both are number 0 of a devpts of theirs."""
    sockets = [ConsoleSocket(tmp_path / f"{number}.sock") for number in range(2)]
    masters = []
    for console in sockets:
        c = runtime.container(tty("tty; sleep 60"))
        c.create("--console-socket", console.path)
        c.start()
        masters.append(console.receive())
    for master in masters:
        master.expect("/dev/pts/0")
        master.close()
    for console in sockets:
        console.close()
