# SPDX-License-Identifier: MIT
"""Podman of an ordinary user who has a session of systemd's: limits, which it delegates."""

import pytest

from harness.kernel import cgroup_path, frozen, status

pytestmark = pytest.mark.essential
SLEEP = ("sleep", "1000")


@pytest.mark.driver
def test_limits(user_podman):
    container = user_podman.start("--memory", "64m", "--pids-limit", "50", "--", *SLEEP)
    folder = cgroup_path(container.pid)
    assert "user@1000.service" in folder.parts and folder.name.endswith(".scope")
    assert (folder / "memory.max").read_text() == f"{64 << 20}\n"
    assert (folder / "pids.max").read_text() == "50\n"
    container.update("--memory", "48m")
    assert (folder / "memory.max").read_text() == f"{48 << 20}\n"
    container.pause()
    assert frozen(folder)
    container.unpause()
    assert user_podman("stats", "--no-stream", "--format", "{{.PIDs}}", container.id).stdout == "1\n"
    container.rm("--force", "--time", "0")
    assert not folder.exists()


def test_pod(user_podman):
    user_podman("pod", "create", "--infra=false", "--name", "pod")
    container = user_podman.start("--pod", "pod", "--", *SLEEP)
    assert status(container.pid, "Uid").split() == ["1000"] * 4
    user_podman("pod", "rm", "--force", "--time", "0", "pod")


def test_systemd_in_a_container(user_podman):
    out = user_podman.run("--systemd", "always", "--", "sh", "-c", "mkdir /sys/fs/cgroup/init.scope && "
                          "echo $$ >/sys/fs/cgroup/init.scope/cgroup.procs && cat /proc/self/cgroup")
    assert out.stdout == "0::/init.scope\n"
