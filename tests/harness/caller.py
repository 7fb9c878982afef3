# SPDX-License-Identifier: MIT
"""The process of a clients.Client: starts programs and waits for its children, as it is told
through a socket. `caller.py SOCKET TRAITS`; it ends when the other end of the socket does."""

import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
import termios

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
MESSAGE_MAX, FDS_MAX, APART = 1 << 16, 64, 200

libc = ctypes.CDLL(None)


def signals(names):
    return {signal.Signals[name] for name in names}


def become(request, fds):
    """In the child: the program, with these descriptors and no others."""
    os.chdir(request["cwd"])
    fds = [os.dup2(fd, APART + i) for i, fd in enumerate(fds)]  # out of the way of each other
    for fd, number in zip(fds, request["numbers"]):
        os.dup2(fd, number)
    if request.get("foreground"):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd not in request["numbers"]:
            libc.close(fd)
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):  # Python has changed them
        signal.signal(number, signal.SIG_DFL)
    for number in signals(request.get("ignored", [])):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, signals(request.get("blocked", [])))
    if name := request.get("death_signal"):
        libc.prctl(PR_SET_PDEATHSIG, int(signal.Signals[name]))
    os.execve(request["start"][0], request["start"], request["environment"])


def start(request, fds):
    pid = os.fork()
    if pid == 0:
        try:
            become(request, fds)
        finally:
            os._exit(111)
    return pid


def wait(pid):
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return None
    return code if code >= 0 else 128 - code


def serve(connection):
    while True:
        message, fds, _, _ = socket.recv_fds(connection, MESSAGE_MAX, FDS_MAX)
        if not message:
            return
        request = json.loads(message)
        answer = start(request, fds) if "start" in request else wait(request["wait"])
        for fd in fds:
            os.close(fd)
        connection.send(json.dumps(answer).encode())


if __name__ == "__main__":
    if json.loads(sys.argv[2]).get("subreaper"):
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    serve(socket.socket(fileno=int(sys.argv[1])))
