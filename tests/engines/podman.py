# SPDX-License-Identifier: MIT
"""Podman with a runtime of our choice."""

import json
import pathlib

from harness.runtime import run

from . import image, manual

MANUAL = "/etc/containers/containers.conf.d/hako.conf"
# Ordinary containers have no network: it makes up most of their time.
ENGINE = 'cgroup_manager = "{}"\nevents_logger = "file"\n'
CONTAINERS = '[containers]\nnetns = "none"\nlog_driver = "k8s-file"\n'


def write_config(path, hako=None, manager="cgroupfs", engine="", containers=""):
    """Settings for tests; with hako, a path, what the manual says is in the same file."""
    theirs = manual.files()[MANUAL].replace(manual.HAKO, str(hako)) if hako else "[engine]\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(theirs.replace("[engine]\n", f"[engine]\n{ENGINE.format(manager)}{engine}\n", 1)
                    + CONTAINERS + containers + "\n")
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
        return self.container(self.started[-1])

    def container(self, id):
        return Container(self, id)

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
