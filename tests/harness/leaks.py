# SPDX-License-Identifier: MIT
"""What a test left behind: processes, cgroups, mounts, state. Found by the test's token."""

import os
import pathlib
import signal
import time

from . import private
from .runtime import SCALE


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def zombie(process):
    stat = read(process / "stat")
    return not stat or stat.rsplit(b")", 1)[1].split()[0] in (b"Z", b"X")


def processes(token):
    """Pids whose environment, command line or cgroup names the token."""
    needle = token.encode()
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid() or zombie(process):
            continue
        if any(needle in read(process / name) for name in ("environ", "cgroup", "cmdline")):
            found.append(int(process.name))
    return found


def cgroups(token):
    """Directories whose name holds the token, the deepest first."""
    return [folder for folder, _, _ in os.walk(private.CGROUP, topdown=False) if token in folder]


def new_mounts(before):
    known = {row[0] for row in before}
    return [row for row in private.mounts() if row[0] not in known]


def states(roots):
    """Entries of the runtimes' --root; names that begin with a dot are caches."""
    return [str(entry) for root in roots if root.is_dir()
            for entry in root.iterdir() if not entry.name.startswith(".")]


class Leaks:
    def __init__(self, token, roots):
        self.token, self.roots, self.before = token, roots, private.mounts()

    def find(self):
        found = {"process": [f"{pid} {read(pathlib.Path(f'/proc/{pid}/cmdline'))!r}"
                             for pid in processes(self.token)],
                 "cgroup": cgroups(self.token),
                 "mount": [f"{point} ({fstype})" for _, point, fstype in new_mounts(self.before)],
                 "state": states(self.roots)}
        return [f"{kind}: {what}" for kind, rows in found.items() for what in rows]

    def wait(self, seconds=10):
        """What is left when everything had its time to end."""
        end = time.monotonic() + seconds * SCALE
        while found := self.find():
            if time.monotonic() > end:
                break
            time.sleep(0.05)
            reap()
        return found

    def clean(self):
        for folder in cgroups(self.token):
            for name, value in (("cgroup.freeze", "0"), ("cgroup.kill", "1")):
                try:
                    pathlib.Path(folder, name).write_text(value)
                except OSError:
                    pass
        for pid in processes(self.token):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for _, point, _ in reversed(new_mounts(self.before)):
            try:
                private.umount(point)
            except OSError:
                pass
        end = time.monotonic() + 5 * SCALE
        while processes(self.token) and time.monotonic() < end:
            time.sleep(0.01)
        reap()
        for folder in cgroups(self.token):
            try:
                os.rmdir(folder)
            except OSError:
                pass


def reap():
    """Orphans of containers are our children: see private.become_subreaper()."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass
