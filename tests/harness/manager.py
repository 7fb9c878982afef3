# SPDX-License-Identifier: MIT
"""A service manager's side of sd_notify(3): NOTIFY_SOCKET."""

import array
import os
import socket
import struct

from .runtime import SCALE

SO_PASSCRED, SCM_CREDENTIALS = 16, 2


class Manager:
    """Listens at path, or with "@name" at an abstract address."""

    def __init__(self, path):
        self.path = str(path)
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.server.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
        if self.path.startswith("@"):
            self.server.bind("\0" + self.path[1:])
        else:
            folder = os.open(os.path.dirname(self.path), os.O_PATH)
            self.server.bind(f"/proc/self/fd/{folder}/{os.path.basename(self.path)}")
            os.close(folder)
        self.env = {"NOTIFY_SOCKET": self.path}
        self.sender = None  # pid of who has sent the last message

    def receive(self, timeout=10):
        """(text, descriptors) of one message; None when none comes."""
        self.server.settimeout(timeout * SCALE)
        fds = array.array("i")
        try:
            text, ancillary, *_ = self.server.recvmsg(4096, 256)
        except TimeoutError:
            return None
        for _, kind, data in ancillary:
            if kind == socket.SCM_RIGHTS:
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
            elif kind == SCM_CREDENTIALS:
                self.sender = struct.unpack("iii", data)[0]
        return text.decode(), list(fds)

    def ready(self, timeout=10):
        """{name: value} of a message without descriptors."""
        text, fds = self.receive(timeout)
        assert fds == []
        return dict(line.split("=", 1) for line in text.splitlines())

    def barrier(self, timeout=10):
        """The descriptor of BARRIER=1, which comes alone; closing it is the answer."""
        text, fds = self.receive(timeout)
        assert (text, len(fds)) == ("BARRIER=1", 1)
        return fds[0]

    def silent(self, timeout=0.2):
        return self.receive(timeout) is None

    def close(self):
        self.server.close()
