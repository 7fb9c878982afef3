# SPDX-License-Identifier: MIT
"""A terminal for a program to run on, and the socket that a detached container's terminal
comes from."""

import array
import fcntl
import os
import select
import socket
import struct
import termios
import time

from .runtime import SCALE


def winsize(fd):
    """(rows, columns)."""
    return struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))[:2]


def set_winsize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Master:
    """The side of a pty that a person sits at."""

    def __init__(self, fd):
        self.fd, self.seen = fd, b""
        os.set_blocking(fd, False)

    def read(self, timeout=0.2):
        """What has been written, or b"" when nothing comes or nobody has it open."""
        if not select.select([self.fd], [], [], timeout)[0]:
            return b""
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: the other side is closed
            time.sleep(0.02)
            data = b""
        self.seen += data
        return data

    def send(self, text):
        os.write(self.fd, text.encode())
        return self

    def expect(self, text, timeout=10):
        """Read until the text has come; returns what came with it, and forgets that."""
        end = time.monotonic() + timeout * SCALE
        while text.encode() not in self.seen:
            assert time.monotonic() < end, f"no {text!r} in {self.seen!r}"
            self.read()
        before, _, self.seen = self.seen.partition(text.encode())
        return before.decode("utf-8", "replace") + text

    def hung_up(self, timeout=10):
        """Nobody has the other side open, or will not have it in a moment."""
        poll = select.poll()
        poll.register(self.fd, 0)
        return bool(poll.poll(timeout * SCALE * 1000))

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


class Terminal(Master):
    """A pty of this test's own; start programs with **terminal.popen()."""

    def __init__(self):
        master, self.slave = os.openpty()
        super().__init__(master)
        set_winsize(self.slave, 33, 111)

    def popen(self, leader=True):
        """Keywords for subprocess.Popen: its streams are the terminal, its own session's one."""

        def lead():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        streams = {name: self.slave for name in ("stdin", "stdout", "stderr")}
        return streams | ({"preexec_fn": lead} if leader else {})

    modes = property(lambda self: termios.tcgetattr(self.slave))

    def is_raw(self):
        return not self.modes[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def wait_raw(self, raw=True, timeout=10):
        end = time.monotonic() + timeout * SCALE
        while self.is_raw() != raw:
            assert time.monotonic() < end, f"raw: {not raw}"
            time.sleep(0.01)

    def leave(self):
        """What has been started has it; the test keeps its own side."""
        if self.slave >= 0:
            os.close(self.slave)
        self.slave = -1

    def close(self):
        super().close()
        self.leave()


class ConsoleSocket:
    """As conmon and containerd's shim have it: takes one connection and one descriptor."""

    def __init__(self, path):
        self.path = str(path)
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        folder = os.open(os.path.dirname(self.path), os.O_PATH)
        self.server.bind(f"/proc/self/fd/{folder}/{os.path.basename(self.path)}")
        os.close(folder)
        self.server.listen(1)
        self.server.settimeout(10 * SCALE)
        self.payload = None

    def receive_fd(self):
        """There must be one message, and one descriptor in it."""
        with self.server.accept()[0] as connection:
            connection.settimeout(10 * SCALE)
            fds = array.array("i")
            self.payload, ancillary, flags, _ = connection.recvmsg(
                4096, socket.CMSG_SPACE(16 * fds.itemsize))
            assert not flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC)
            for level, kind, data in ancillary:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                fds.frombytes(data)
            rest = connection.recv(1)
        assert len(fds) == 1 and len(ancillary) == 1 and self.payload and rest == b""
        return fds[0]

    def receive(self):
        """A Master."""
        return Master(self.receive_fd())

    def close(self):
        self.server.close()
