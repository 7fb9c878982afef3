# SPDX-License-Identifier: MIT
"""What the kernel says of processes and cgroups, for tests to compare with."""

import contextlib
import os
import pathlib
import time

import pytest

from . import private
from .runtime import SCALE

PROC = pathlib.Path("/proc")


def eventually(condition, seconds=20):
    """Wait until condition() is true and return its value; it may fail meanwhile."""
    end = time.monotonic() + seconds * SCALE
    while True:
        try:
            if value := condition():
                return value
        except (OSError, ValueError, IndexError, AssertionError):
            pass
        if time.monotonic() > end:
            pytest.fail("it did not come true in time")
        time.sleep(0.01)


def stat(pid):
    """Fields of /proc/PID/stat after the name: state, ppid, ... (proc(5) counts from 3)."""
    return (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()


def alive(pid):
    try:
        return stat(pid)[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ppid(pid):
    return int(stat(pid)[1])


def start_time(pid):
    return int(stat(pid)[19])


def cmdline(pid):
    return (PROC / str(pid) / "cmdline").read_text().split("\0")[:-1]


def signals(pid, which):
    """SigIgn, SigCgt, ... of /proc/PID/status, a bit for each signal."""
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(which + ":")), 16)


def namespaces(pid):
    folder = PROC / str(pid) / "ns"
    return {name: os.readlink(folder / name) for name in os.listdir(folder)}


def descriptors(pid):
    """{number: what it is} of the open descriptors; it may be closing some."""
    folder, found = PROC / str(pid) / "fd", {}
    for fd in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            found[int(fd)] = os.readlink(folder / fd)
    return found


def children(of=None, zombies=False):
    """Pids of the children of a process, of this one by default."""
    of, found = of or os.getpid(), set()
    for process in PROC.glob("[0-9]*"):
        try:
            if ppid(process.name) == of and (zombies or alive(process.name)):
                found.add(int(process.name))
        except OSError:
            pass
    return found


def cgroup_path(pid):
    """The folder of the cgroup a process is in."""
    lines = (PROC / str(pid) / "cgroup").read_text().splitlines()
    return pathlib.Path(private.CGROUP + next(l for l in lines if l.startswith("0::"))[3:])


def cgroup_pids(path):
    """Pids in a cgroup and below it."""
    os.stat(path)
    return {int(pid) for procs in pathlib.Path(path).rglob("cgroup.procs")
            for pid in procs.read_text().split()}


def frozen(path):
    return "frozen 1" in (pathlib.Path(path) / "cgroup.events").read_text()


def status(pid, field):
    """A line of /proc/PID/status."""
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith(field + ":"):
            return line.split(":", 1)[1].strip()
    raise KeyError(field)
