# SPDX-License-Identifier: MIT
"""silent.py PID FOLDER [answer]: mounts a FUSE filesystem in the mount namespace of that process
whose server never answers; with "answer" it does until something is looked for. It ends, and
whoever waits for it is let go, with its standard input."""

import ctypes
import os
import struct
import sys
import threading

CLONE_NEWNS = 0x20000
INIT = 26
libc = ctypes.CDLL(None, use_errno=True)


def call(function, *args):
    if getattr(libc, function)(*args) != 0:
        raise OSError(ctypes.get_errno(), function)


def answer_the_first(fuse):
    request = os.read(fuse, 1 << 20)
    _, opcode, unique = struct.unpack_from("<IIQ", request)
    assert opcode == INIT
    body = struct.pack("<IIIIHHIIHH32x", 7, 31, 65536, 0, 12, 9, 65536, 1, 32, 0)
    os.write(fuse, struct.pack("<IiQ", 16 + len(body), 0, unique) + body)
    while True:  # they are read: whoever has asked cannot even be killed
        os.read(fuse, 1 << 20)


def main():
    pid, folder, *answer = sys.argv[1:]
    fuse = os.open("/dev/fuse", os.O_RDWR)
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    call("setns", namespace, CLONE_NEWNS)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other"
    call("mount", b"silent", folder.encode(), b"fuse.silent", ctypes.c_ulong(0), options.encode())
    if answer:
        threading.Thread(target=answer_the_first, args=[fuse], daemon=True).start()
    print("mounted", flush=True)
    sys.stdin.read()
    call("umount2", folder.encode(), 2)
    os._exit(0)


main()
