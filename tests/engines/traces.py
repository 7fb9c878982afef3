# SPDX-License-Identifier: MIT
"""What the containers of an engine could leave behind, on a machine where nothing else changes."""

import os
import pathlib
import time

from harness import private
from harness.leaks import read, zombie
from harness.runtime import SCALE

# state of the runtimes, of shims, of the engines
STATES = ("/run/hako", "/run/crun", "/run/runc", "/run/user/*/hako", "/run/user/*/crun",
          "/run/user/*/runc", "/run/containerd/runc/*",
          "/run/containerd/io.containerd.runtime.v2.task/*", "/run/docker/runtime-*/moby", "/run/netns", "/tmp/conmon-term*",
          "/tmp/pty*")

# what Podman makes and takes away when it likes
ITS_OWN = {"cgroup /sys/fs/cgroup/podman_probe", "mount /var/lib/containers/storage/overlay (ext4)"}


def processes():
    """Of programs, not of the kernel; the names, because the command line may be rewritten."""
    own = os.getpid()
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        if int(folder.name) != own and (folder / "exe").exists() and not zombie(folder):
            command = read(folder / "cmdline").replace(b"\0", b" ").decode("utf-8", "replace")
            if not command.startswith("dockerd "):  # which one test starts again
                yield f"process {folder.name}", command.strip()


def entries():
    for pattern in STATES:
        for folder in pathlib.Path("/").glob(pattern.lstrip("/")):
            if folder.is_dir():
                yield from (f"file {entry}" for entry in folder.iterdir()
                            if not entry.name.startswith("."))  # caches
            else:
                yield f"file {folder}"


def traces():
    """{trace: more about it}"""
    found = dict(processes())
    found |= {f"cgroup {folder}": "" for folder, _, _ in os.walk(private.CGROUP)}
    found |= {f"mount {point} ({fstype})": "" for _, point, fstype in private.mounts()}
    found |= {entry: "" for entry in entries()}
    return found


def left_since(before, seconds=20):
    """What is there and was not, when everything had its time to end."""
    end = time.monotonic() + seconds * SCALE
    while left := {what: more for what, more in traces().items()
                   if what not in before and what not in ITS_OWN}:
        if time.monotonic() > end:
            break
        time.sleep(0.1)
    return [f"{what} {more}".rstrip() for what, more in sorted(left.items())]
