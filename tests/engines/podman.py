# SPDX-License-Identifier: MIT
"""Podman with a runtime of our choice."""

import json
import pathlib

from harness.runtime import run

from . import image

# Podman goes by the name of the runtime: what it may ask of one, and whether errors are JSON.
# (Its manual has an s too many in "nocgroup".)
# Ordinary containers have no network: it makes up most of their time.
CONFIG = """
[engine]
cgroup_manager = "{manager}"
events_logger = "file"
runtime_supports_json = ["crun", "runc", "hako"]
runtime_supports_nocgroup = ["crun", "hako"]
{engine}
[engine.runtimes]
hako = ["{hako}"]
[containers]
netns = "none"
log_driver = "k8s-file"
{containers}
"""


def write_config(path, hako, manager="cgroupfs", engine="", containers=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONFIG.format(hako=hako, manager=manager, engine=engine, containers=containers))
    return path


class Podman:
    """podman("run", ...) is `podman --runtime RUNTIME run ...`; status is what it must end with,
    None for anything."""

    def __init__(self, runtime, options=(), prefix=(), env=None, runroot="/run/containers/storage"):
        self.argv = [*prefix, "podman", *options, "--runtime", runtime]
        self.env, self.runroot, self.started = env, pathlib.Path(runroot), []
        self.always = []  # options of every container

    def __call__(self, *args, status=0, timeout=90, **how):
        ran = run([*self.argv, *args], check=False, timeout=timeout, env=self.env, **how)
        assert status in (None, ran.returncode), ran
        return ran

    def run(self, *args, **how):
        """`podman run --rm` of the image: options, then --, then the command."""
        split = args.index("--")
        return self("run", "--rm", *self.always, *args[:split], image.NAME, *args[split + 1:], **how)

    def start(self, *args, **how):
        """The same with --detach."""
        split = args.index("--")
        ran = self("run", "--detach", *self.always, *args[:split], image.NAME, *args[split + 1:],
                   **how)
        self.started.append(ran.stdout.strip())
        return Container(self, self.started[-1])

    def containers(self):
        return self("ps", "--all", "--quiet", "--no-trunc").stdout.split()

    def clean(self, everything=False):
        """Remove what was started, or, after a failure, everything."""
        if everything:
            self("rm", "--force", "--all", "--time", "0", status=None)
        elif self.started:
            self("rm", "--force", "--ignore", "--time", "0", *self.started)


class Container:
    """One that runs detached. Its methods are Podman's commands: container.pause()."""

    def __init__(self, podman, id):
        self.podman, self.id = podman, id

    def __getattr__(self, command):
        return lambda *options, **how: self.podman(command, *options, self.id, **how)

    def exec(self, *command, options=(), **how):
        return self.podman("exec", *options, self.id, *command, **how)

    def inspect(self):
        return json.loads(self.podman("container", "inspect", self.id).stdout)[0]

    state = property(lambda self: self.inspect()["State"])

    @property
    def pid(self):
        """Of its first process, as conmon has it from the runtime."""
        file, = self.podman.runroot.glob(f"*-containers/{self.id}/userdata/pidfile")
        return int(file.read_text())
