# SPDX-License-Identifier: MIT
"""A private mount namespace for this process and its children, with cgroup v2 on /sys/fs/cgroup.

Nothing done here is seen by the machine: its own cgroup mounts stay as they are.
"""

import ctypes
import os
import stat
import tempfile

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
PR_SET_CHILD_SUBREAPER = 36
CGROUP = "/sys/fs/cgroup"
SYS_rt_sigaction = {"x86_64": 13, "aarch64": 134}[os.uname().machine]
SIG_DFL, SIG_IGN = 0, 1
KEPT_BY_LIBC = (32, 33)  # signals that signal(2) of libc does not touch

libc = ctypes.CDLL(None, use_errno=True)


def call(function, *args):
    args = [os.fsencode(a) if isinstance(a, (str, os.PathLike)) else a for a in args]
    if getattr(libc, function)(*args) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{function}: {os.strerror(code)}")


def mount(source, target, fstype=None, flags=0):
    call("mount", source, target, fstype, ctypes.c_ulong(flags), None)


def umount(target):
    call("umount2", target, MNT_DETACH)


def mounts():
    """[(mount id, mount point, filesystem type)] in the order they were made."""
    rows = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            fields = line.split()
            point = fields[4].encode("latin-1", "replace").decode("unicode_escape")
            rows.append((int(fields[0]), point, fields[fields.index("-") + 1]))
    return rows


def own_null():
    """A /dev/null of our own: crun 1.8 gives the one that is a standard stream to the container's
    user, and on the machine it would stay with that."""
    if any(point == "/dev/null" for _, point, _ in mounts()):
        return  # a parallel run's workers have that of the first process
    folder = tempfile.mkdtemp()
    mount("tmpfs", folder, "tmpfs")
    node = os.path.join(folder, "null")
    os.mknod(node, stat.S_IFCHR, os.makedev(1, 3))
    os.chmod(node, 0o666)
    mount(node, "/dev/null", None, MS_BIND)
    umount(folder)
    os.rmdir(folder)


def enter():
    """Make the namespace. Threads that are running already stay outside."""
    call("unshare", CLONE_NEWNS)
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    own_null()
    below = [row for row in mounts() if row[1] == CGROUP or row[1].startswith(CGROUP + "/")]
    if [fstype for _, _, fstype in below] == ["cgroup2"]:
        return
    for _, point, _ in reversed(below):
        umount(point)
    mount("cgroup2", CGROUP, "cgroup2")


def set_signal(number, action):
    """SIG_DFL or SIG_IGN, for any signal."""
    kernel_action = (ctypes.c_ulong * 4)(action)
    call("syscall", SYS_rt_sigaction, number, kernel_action, None, ctypes.c_size_t(8))


def inherit_no_signals():
    """Who has started us may ignore some, and runc leaves these to its containers."""
    for number in KEPT_BY_LIBC:
        set_signal(number, SIG_DFL)


def become_subreaper():
    """Containers whose runtime has gone become our children, as with conmon and the shim."""
    call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
