# SPDX-License-Identifier: MIT
"""containerd and its client ctr with a runtime of our choice."""

import contextlib
import itertools
import json
import subprocess
import time

from harness.runtime import SCALE, run

from . import image

CONFIG = """
version = 2
root = "{folder}/root"
state = "/run/containerd"
imports = {imports}
disabled_plugins = [{cri}"io.containerd.snapshotter.v1.aufs",
	"io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
	"io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt",
	"io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
address = "{folder}/socket"
"""


class Containerd:
    """A daemon of our own. It and its clients share /run/containerd."""

    def __init__(self, folder, prefix=()):
        self.folder, self.prefix, self.runtime = folder, prefix, None
        self._numbers = itertools.count(1)

    @property
    def address(self):
        return self.folder / "socket"

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder, prefix=(), cri=None):
        """cri: a file with the configuration of that plugin, without which it is not loaded."""
        self = cls(folder, prefix)
        config = folder / "config.toml"
        config.write_text(CONFIG.format(
            folder=folder, imports=json.dumps([str(cri)] if cri else []),
            cri="" if cri else '"io.containerd.grpc.v1.cri", '))
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen([*prefix, "containerd", "--config", config], stdout=log,
                                       stderr=log, stdin=subprocess.DEVNULL)
        try:
            self.wait(process)
            yield self
        finally:
            process.terminate()
            process.wait()

    def wait(self, process):
        end = time.monotonic() + 120 * SCALE
        while run(self.argv("version"), check=False).returncode != 0:
            assert process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.2)

    def argv(self, *args):
        return [*self.prefix, "ctr", "--address", self.address, *args]

    def ctr(self, *args, status=0, timeout=90, **how):
        """`ctr ARGS...`; status is what it must end with, None for anything."""
        ran = run(self.argv(*args), check=False, timeout=timeout, **how)
        assert status in (None, ran.returncode), ran
        return ran

    def run_argv(self, *args):
        """`ctr run` of the image: options, then --, then the command; and the id."""
        split, id = args.index("--"), f"c{next(self._numbers)}"
        return ["run", "--runc-binary", self.runtime, *args[:split], image.NAME, id,
                *args[split + 1:]], id

    def run(self, *args, **how):
        """In the foreground, removed at its end."""
        argv, _ = self.run_argv("--rm", *args)
        return self.ctr(*argv, **how)

    def start(self, *args, **how):
        argv, id = self.run_argv("--detach", *args)
        self.ctr(*argv, **how)
        return Task(self, id)

    def clean(self):
        for id in self.ctr("tasks", "ls", "--quiet").stdout.split():
            self.ctr("tasks", "delete", "--force", id, status=None)
        for id in self.ctr("containers", "ls", "--quiet").stdout.split():
            self.ctr("containers", "delete", id, status=None)


class Task:
    """One that runs detached. Its methods are ctr's commands for tasks: task.pause()."""

    def __init__(self, containerd, id):
        self.containerd, self.id = containerd, id
        self._numbers = itertools.count(1)

    def __getattr__(self, command):
        return lambda *args, options=(), **how: self.containerd.ctr(
            "tasks", command, *options, self.id, *args, **how)

    def exec(self, *command, options=(), **how):
        return self.containerd.ctr("tasks", "exec", "--exec-id", f"e{next(self._numbers)}", *options,
                                   self.id, *command, **how)

    def _row(self):
        """[pid, status] as `ctr tasks ls` has them."""
        for line in self.containerd.ctr("tasks", "ls").stdout.splitlines()[1:]:
            id, *rest = line.split()
            if id == self.id:
                return rest
        raise AssertionError(f"{self.id} is no task")

    pid = property(lambda self: int(self._row()[0]))
    status = property(lambda self: self._row()[1])

    def wait_for(self, status, seconds=20):
        end = time.monotonic() + seconds * SCALE
        while self.status != status:
            assert time.monotonic() < end, f"{self.id} is {self.status}, not {status}"
            time.sleep(0.1)

    def remove(self):
        """Task and container."""
        self.delete(options=["--force"], status=None)
        self.containerd.ctr("containers", "delete", self.id)

