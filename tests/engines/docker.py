# SPDX-License-Identifier: MIT
"""Docker with a runtime of our choice."""

import json
import pathlib
import signal
import subprocess
import time

from harness.runtime import SCALE, run

from . import manual
from .podman import Container, Podman

CONFIG = "/etc/docker/daemon.json"


class Daemon:
    """dockerd on a containerd that runs already. settings: for its configuration, beside what the
    manual has; folder: where it keeps everything, its default when there is none; network: the
    namespace that is its host's."""

    def __init__(self, address, log, runtimes, folder=None, network=None, **settings):
        self.log, self.runtimes, self.settings = log, runtimes, settings
        self.config = pathlib.Path(folder / "daemon.json" if folder else CONFIG)
        self.run_folder = folder or pathlib.Path("/run")
        self.socket = self.run_folder / "docker.sock"
        self.argv = [*["nsenter", f"--net={network}"] * bool(network), "dockerd", "--config-file", self.config, "--containerd", address,
                     "--host", f"unix://{self.socket}", "--iptables=false", "--ip6tables=false",
                     "--init-path", "/usr/bin/catatonit"]
        if folder:
            self.argv += ["--data-root", folder / "data", "--exec-root", folder / "exec",
                          "--pidfile", folder / "pid", "--bridge", "none"]
        self.process = None

    def configure(self, **settings):
        """The manual's file, with further runtimes and settings."""
        config = json.loads(manual.files()[CONFIG])
        config["runtimes"] |= self.runtimes
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(json.dumps(config | self.settings | settings))

    def reload(self, seconds=30, **settings):
        self.configure(**settings)
        logged = self.log.stat().st_size
        self.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + seconds * SCALE
        while b"Reloaded configuration" not in self.log.read_bytes()[logged:]:
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)

    def start(self):
        self.configure()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 120 * SCALE
        while run(["docker", "--host", f"unix://{self.socket}", "version"],
                  check=False).returncode != 0:
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.2)
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Docker(Podman):
    """docker("run", ...), as Podman does it. Ordinary containers have no network."""

    def __init__(self, runtime, socket="/run/docker.sock"):
        self.argv = ["docker", "--host", f"unix://{socket}"]
        self.env, self.started = None, []
        self.always = ["--runtime", runtime, "--network", "none"]

    def container(self, id):
        return DockerContainer(self, id)

    def clean(self, everything=False):
        ids = self.containers() if everything else self.started
        if ids:
            self("rm", "--force", *ids, status=None)


class DockerContainer(Container):
    pid = property(lambda self: self.state["Pid"])
