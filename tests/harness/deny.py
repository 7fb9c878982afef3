# SPDX-License-Identifier: MIT
"""A system call that fails, for hako and everything it starts, as on a host that forbids it."""

import ctypes
import errno
import struct

LD_NR, JEQ, RET = 0x20, 0x15, 0x06  # of linux/bpf_common.h
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, FILTER = 22, 38, 2
NUMBERS = {"x86_64": {"pivot_root": 155}, "aarch64": {"pivot_root": 41}}

libc = ctypes.CDLL(None, use_errno=True)


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def deny(machine, name, code=errno.EINVAL):
    """A preexec_fn for subprocess; needs root, so that no_new_privs stays as it is."""
    rows = [(LD_NR, 0, 0, 0), (JEQ, 0, 1, NUMBERS[machine][name]),
            (RET, 0, 0, RET_ERRNO | code), (RET, 0, 0, RET_ALLOW)]
    text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
    program = Program(len(rows), ctypes.addressof(text))

    def apply():
        if libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(program)) != 0:
            raise OSError(ctypes.get_errno(), "seccomp")
        assert text  # kept alive

    return apply
