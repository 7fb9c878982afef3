# SPDX-License-Identifier: MIT
"""A seccomp agent: takes listeners from a socket and answers the system calls they tell of."""

import errno
import fcntl
import json
import os
import select
import socket
import struct
import threading

from .kernel import eventually
from .runtime import SCALE

RECEIVE, SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_...
CALL = struct.Struct("QIIiIQ6Q")  # id, pid, flags, number, architecture, address, arguments
ANSWER = struct.Struct("QqiI")  # id, value, error, flags
CONTINUE = "continue"


class Agent(threading.Thread):
    """answer(pid, number, arguments) is the value to return, an OSError, or CONTINUE.

    `messages` are what came over the connections: (object, number of descriptors); `calls` the
    system calls that were notified: (pid, number, arguments)."""

    def __init__(self, path, answer=lambda *call: CONTINUE, keep=True):
        super().__init__(daemon=True)
        self.answer, self.keep = answer, keep
        self.messages, self.calls, self.gone, self.errors = [], [], [], []
        self.listeners = []
        self.stop, self.wake = os.pipe()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(str(path))
        self.socket.listen(16)
        os.chmod(path, 0o666) if str(path)[0] == "/" else None
        self.start()

    def close(self):
        os.close(self.wake)
        self.join(10 * SCALE)
        for fd in (self.stop, *self.listeners):
            os.close(fd)
        self.socket.close()

    def run(self):
        try:
            while True:
                ready = select.select([self.stop, self.socket, *self.listeners], [], [])[0]
                if self.stop in ready:
                    return
                for fd in ready:
                    self.accept() if fd is self.socket else self.serve(fd)
        except Exception as error:  # shown by the test that uses the agent
            self.errors.append(error)

    def accept(self):
        connection, _ = self.socket.accept()
        with connection:
            connection.settimeout(10 * SCALE)
            text, fds = b"", []
            while True:
                part, more, _, _ = socket.recv_fds(connection, 1 << 16, 4)
                fds += more
                text += part
                if not part:
                    break
        if not text:  # whoever connected has died before it could say anything
            return
        self.messages.append((json.loads(text), len(fds)))
        self.listeners += fds
        if not self.keep:
            while self.listeners:
                os.close(self.listeners.pop())

    def serve(self, listener):
        call = bytearray(CALL.size)
        try:
            fcntl.ioctl(listener, RECEIVE, call)
        except OSError as error:  # nobody is left, or who called is gone again
            if error.errno != errno.ENOENT:
                raise
            self.forget(listener)
            return
        id, pid, _, number, _, _, *arguments = CALL.unpack(call)
        self.calls.append((pid, number, arguments))
        value, code, flags = 0, 0, 0
        answer = self.answer(pid, number, arguments)
        if answer == CONTINUE:
            flags = 1
        elif isinstance(answer, OSError):
            code = -answer.errno
        else:
            value = answer
        try:
            fcntl.ioctl(listener, SEND, bytearray(ANSWER.pack(id, value, code, flags)))
        except OSError as error:  # interrupted or killed meanwhile
            self.gone.append(number)

    def forget(self, listener):
        """A listener without processes is readable for ever (POLLHUP)."""
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        if any(event & select.POLLHUP for _, event in poll.poll(0)):
            self.listeners.remove(listener)
            os.close(listener)

    def told(self, count):
        """The messages, when there are as many: what ended soon may not be read yet."""
        return eventually(lambda: len(self.messages) >= count and self.messages)

    def numbers(self):
        return [number for _, number, _ in self.calls]
