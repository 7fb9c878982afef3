# SPDX-License-Identifier: MIT
"""--pidfd-socket of create, run and exec: the caller gets a pidfd of the process, and with it a
word that says which kind of process it is, as runc does (since 1.2)."""

import os
import re
import select
import signal
import socket
import subprocess

import pytest

from harness.kernel import alive, eventually
from harness.runtime import SCALE, wait_exit
from harness.terminal import ConsoleSocket

SLEEP = ("/bin/sleep", "1000")


@pytest.fixture
def receiver(tmp_path):
    socket = ConsoleSocket(tmp_path / "pidfd.sock")
    yield socket
    socket.close()


def pid_of(pidfd):
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as info:
        return int(re.search(r"^Pid:\s+(-?\d+)$", info.read(), re.MULTILINE)[1])


def ended(pidfd):
    """A pidfd becomes readable when its process ends."""
    return select.select([pidfd], [], [], 0)[0] == [pidfd]


@pytest.mark.parametrize("pid_namespace", [True, False])
def test_create(runtime, bundle, receiver, pid_namespace):
    b = bundle(*SLEEP)
    box = runtime.container(b if pid_namespace else b.without_namespace("pid"))
    box.create("--pidfd-socket", receiver.path)
    pidfd = receiver.receive_fd()
    pid = box.pid
    assert (receiver.payload, pid_of(pidfd), ended(pidfd)) == (b"standard", pid, False)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    eventually(lambda: ended(pidfd))
    assert (wait_exit(pid), box.status) == (137, "stopped")
    os.close(pidfd)


def test_run_detached(runtime, bundle, receiver):
    box = runtime.container(bundle(*SLEEP))
    box.run("--detach", "--pidfd-socket", receiver.path)
    pidfd = receiver.receive_fd()
    assert (receiver.payload, pid_of(pidfd)) == (b"standard", box.pid)
    os.close(pidfd)


def test_run_in_the_foreground(runtime, bundle, receiver, background):
    box = runtime.container(bundle(*SLEEP))
    process = background("run", "--pidfd-socket", receiver.path, "--bundle", box.bundle, box.id)
    pidfd = receiver.receive_fd()
    eventually(lambda: box.status == "running")
    assert pid_of(pidfd) == box.pid
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert process.wait(10 * SCALE) == 137
    assert ended(pidfd) and pid_of(pidfd) == -1
    os.close(pidfd)


@pytest.mark.parametrize("pid_namespace", [True, False])
def test_exec(runtime, bundle, receiver, tmp_path, pid_namespace):
    b = bundle(*SLEEP)
    box = runtime.container(b if pid_namespace else b.without_namespace("pid"))
    box.run("--detach")
    box.exec(*SLEEP, options=("--detach", "--pid-file", tmp_path / "pid", "--pidfd-socket",
                              receiver.path))
    pidfd, pid = receiver.receive_fd(), int((tmp_path / "pid").read_text())
    assert (receiver.payload, pid_of(pidfd)) == (b"setns", pid)
    signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    assert wait_exit(pid) == 143
    assert box.status == "running"
    os.close(pidfd)


def test_exec_of_a_short_process(runtime, bundle, receiver):
    """It may have ended before its pidfd arrives; its exit status is told all the same."""
    box = runtime.container(bundle(*SLEEP))
    box.run("--detach")
    result = box.exec("/bin/sh", "-c", "exit 3", options=("--pidfd-socket", receiver.path),
                      check=False)
    assert result.returncode == 3
    pidfd = receiver.receive_fd()
    assert ended(pidfd)
    os.close(pidfd)


def test_nothing_of_it_in_the_container(runtime, bundle, receiver):
    seen = runtime.run_bundle(bundle("/bin/probe"), "--pidfd-socket", receiver.path).json()
    assert sorted(seen["fds"]) == ["0", "1", "2"]
    os.close(receiver.receive_fd())


def test_long_path(runtime, bundle, tmp_path):
    """Longer than a socket address, and relative to the caller's directory."""
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    receiver = ConsoleSocket(folder / "s")
    for path, cwd in ((receiver.path, "/"), (f"{folder.name}/s", tmp_path)):
        box = runtime.container(bundle(*SLEEP))
        box.create("--pidfd-socket", path, cwd=cwd)
        pidfd = receiver.receive_fd()
        assert pid_of(pidfd) == box.pid
        os.close(pidfd)
    receiver.close()


@pytest.mark.parametrize("kind", ["missing", "regular", "directory", "deaf", "datagram", "empty"])
@pytest.mark.parametrize("command, code", [("create", 1), ("run", 1), ("exec", 255)])
def test_socket_that_cannot_be(runtime, bundle, leaks, tmp_path, kind, command, code):
    path = tmp_path / "socket"
    server = socket.socket(socket.AF_UNIX,
                           socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
    if kind == "regular":
        path.write_text("")
    elif kind == "directory":
        path.mkdir()
    elif kind in ("deaf", "datagram"):
        server.bind(str(path))
    box = runtime.container(bundle(*SLEEP))
    operands = ["--bundle", box.bundle, box.id]
    if command == "exec":
        box.run("--detach")
        operands = [box.id, "/bin/touch", "/tmp/ran"]
    result = runtime.run(command, "--pidfd-socket", "" if kind == "empty" else path, *operands,
                         check=False)
    assert (result.returncode, result.stderr.count("\n")) == (code, 1), result
    assert "connect to the pidfd socket" in result.stderr
    if command == "exec":
        assert not (box.bundle.rootfs / "tmp/ran").exists()
    else:
        assert leaks.wait() == []
    server.close()


@pytest.mark.parametrize("command", ["create", "run"])
def test_receiver_that_leaves(runtime, bundle, receiver, background, leaks, tmp_path, command):
    """It accepts and goes away, while a hook keeps hako busy: the container is taken back."""
    b = bundle(*SLEEP)
    script = f"touch {tmp_path}/begun; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done"
    b.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script],
                                            "env": ["PATH=/usr/bin:/bin"]}]}
    process = background(command, "--pidfd-socket", receiver.path, "--pid-file", tmp_path / "pid",
                         "--bundle", b, runtime.new_id(), stderr=subprocess.PIPE, text=True)
    eventually((tmp_path / "begun").exists)
    receiver.server.accept()[0].close()
    (tmp_path / "go").touch()
    assert process.wait(10 * SCALE) == 1
    assert "send the pidfd through the pidfd socket" in process.stderr.read()
    assert not (tmp_path / "pid").exists()
    assert leaks.wait() == []


def test_together_with_a_terminal(runtime, bundle, receiver, tmp_path):
    console = ConsoleSocket(tmp_path / "console.sock")
    b = bundle(*SLEEP)
    b.process["terminal"] = True
    box = runtime.container(b)
    box.create("--console-socket", console.path, "--pidfd-socket", receiver.path)
    master, pidfd = console.receive(), receiver.receive_fd()
    assert pid_of(pidfd) == box.pid and alive(box.pid)
    master.close()
    os.close(pidfd)
    console.close()
