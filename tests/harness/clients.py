# SPDX-License-Identifier: MIT
"""Doubles of the programs that call a container runtime: conmon, containerd's shim, Buildah.

A Client is a process of its own (caller.py), so that it can be a subreaper that a container
becomes a child of, the leader of a session, and killed. It starts programs as its model does
(death signal, signals ignored, descriptors) and waits for them by pid; the test holds the other
ends of their pipes.
"""

import contextlib
import json
import os
import pathlib
import select
import socket
import subprocess
import sys
import tempfile
import time

from . import kernel
from .caller import MESSAGE_MAX
from .runtime import SCALE
from .terminal import Terminal

CALLER = pathlib.Path(__file__).with_name("caller.py")
PRESERVED = "preserved\n"  # what is in a descriptor of the kind "file"


class Call:
    """A program that a client has started, and what the test holds of its descriptors.

    kinds is {number: kind}: "null", "null<" (read only), "file", "socket", "terminal", "its
    terminal" (one for all), or one end of a pipe: "a>" is where pipe a is written, "a<" where it
    is read.
    """

    def __init__(self, kinds):
        self.kinds, self.pipes = kinds, {}
        self.pid = self.status = self.terminal = None
        self._open = contextlib.ExitStack()
        self.fds = [self._make(kind) for kind in kinds.values()]

    def _make(self, kind):
        keep = self._open.enter_context
        if kind in ("null", "null<"):
            return keep(open("/dev/null", "rb" if kind == "null<" else "r+b", 0)).fileno()
        if kind == "file":
            file = keep(tempfile.TemporaryFile(buffering=0))
            file.write(PRESERVED.encode())
            file.seek(0)
            return file.fileno()
        if kind == "socket":
            return [keep(end) for end in socket.socketpair()][1].fileno()
        if kind == "terminal":
            return keep(contextlib.closing(Terminal())).slave
        if kind == "its terminal":
            self.terminal = self.terminal or keep(contextlib.closing(Terminal()))
            return self.terminal.slave
        return self._pipe(kind[0])["<>".index(kind[1])].fileno()

    def _pipe(self, name):
        if name not in self.pipes:
            self.pipes[name] = [self._open.enter_context(open(fd, mode, 0))
                                for fd, mode in zip(os.pipe(), ("rb", "wb"))]
        return self.pipes[name]

    def started(self, pid):
        """The program has its standard streams: from now on they must not be open here too."""
        self.pid = pid
        for number in (0, 1, 2):
            name, end = (self.kinds[number] + "  ")[:2]
            if name in self.pipes:
                self.pipes[name]["<>".index(end)].close()
        if self.terminal:
            self.terminal.leave()

    def read(self, number, timeout=10):
        """All that comes through a standard stream until nobody has it open any more."""
        if not self.kinds[number].endswith(">"):
            return ""
        pipe, found = self.pipes[self.kinds[number][0]][0], b""
        end = time.monotonic() + timeout * SCALE
        while not pipe.closed and select.select([pipe], [], [], max(0, end - time.monotonic()))[0]:
            data = pipe.read(65536)
            found += data
            if not data:
                pipe.close()
        assert pipe.closed, f"descriptor {number} is still open somewhere, after {found!r}"
        return found.decode("utf-8", "replace")

    def write(self, text):
        """All there will ever be on standard input."""
        pipe = self.pipes[self.kinds[0][0]][1]
        pipe.write(text.encode())
        pipe.close()

    def close(self):
        self._open.close()


class Client:
    """What tells it from an ordinary process is in its traits: "subreaper", "leader" (of a
    session), "death_signal" of what it starts, the signals that those have "ignored", "blocked";
    "foreground" means that they lead sessions of their own, on the terminal that is their stdin.
    """

    def __init__(self, **traits):
        self.traits, self.calls = traits, []
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-IS", CALLER, str(theirs.fileno()), json.dumps(traits)],
                pass_fds=[theirs.fileno()], start_new_session="leader" in traits)
        self.pid = self._process.pid

    def _ask(self, timeout, request, fds=()):
        socket.send_fds(self._socket, [json.dumps(request).encode()], fds)
        self._socket.settimeout(timeout * SCALE)
        return json.loads(self._socket.recv(MESSAGE_MAX))

    def start(self, argv, *, kinds=None, environment=None, cwd="/", **traits):
        """Start a program. Nobody waits for its end yet."""
        call = Call(kinds or {0: "null", 1: "a>", 2: "b>"})
        self.calls.append(call)
        request = {"start": [os.fspath(word) for word in argv], "environment": environment or {},
                   "cwd": os.fspath(cwd), "numbers": list(call.kinds)}
        call.started(self._ask(10, self.traits | traits | request, call.fds))
        return call

    def call(self, argv, *, timeout=30, **how):
        """Start a program and wait for its end; call.status says how it ended."""
        call = self.start(argv, **how)
        call.status = self.wait(call.pid, timeout)
        return call

    def wait(self, pid, timeout=10):
        """The exit status of a child, started or adopted: 128 + n after a signal."""
        try:
            status = self._ask(timeout, {"wait": pid})
        except TimeoutError:
            raise AssertionError(f"process {pid} did not end") from None
        assert status is not None, f"process {pid} is not a child of its caller"
        return status

    def children(self):
        """Pids of all children, zombies too."""
        return kernel.children(self.pid, zombies=True)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def close(self):
        self._socket.close()
        self.kill()
        for call in self.calls:
            call.close()
