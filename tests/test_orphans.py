# SPDX-License-Identifier: MIT
"""Who becomes the parent of a container's orphans, and who reaps them: its first process where it
has a pid namespace, else `hako run` in the foreground, unless --no-subreaper says otherwise."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

from harness import kernel, mountinfo, private
from harness.kernel import alive, eventually
from harness.runtime import SCALE

CGROUP = pathlib.Path(private.CGROUP)
# two orphans: one lives on, one has ended at once
ORPHANS = "(sleep 1000 & true); (sleep 0.01 & true); "


def sleeper(folder):
    """The orphan of ORPHANS that lives on, in that cgroup."""
    return next((pid for pid in kernel.cgroup_pids(folder)
                 if kernel.cmdline(pid)[-1:] == ["1000"]), None)


def zombies_of(parent):
    found = []
    for folder in kernel.PROC.glob("[0-9]*"):
        try:
            state = kernel.stat(folder.name)
        except OSError:
            continue
        if int(state[1]) == parent and state[0] == "Z":
            found.append(int(folder.name))
    return found


@pytest.fixture
def family(request, bundle):
    """family(name, *options, shared): the foreground runtime, its container's first process, and
    the orphan that lives, as pids of the host."""
    started = []

    def make(name, *options, shared=True):
        runtime = request.getfixturevalue(name)
        b = bundle().sh(ORPHANS + "exec sleep 999")
        box = runtime.container(b.without_namespace("pid") if shared else b)
        process = runtime.popen("run", *options, "--bundle", b, box.id, stdin=subprocess.DEVNULL)
        folder = eventually(lambda: box.status == "running" and kernel.cgroup_path(box.pid))
        started.append((process, folder))
        return process, box.pid, eventually(lambda: sleeper(folder))

    yield make
    for process, folder in started:
        with process:
            if folder.exists():
                (folder / "cgroup.kill").write_text("1")
            process.wait(10 * SCALE)


@pytest.mark.parametrize("name", ["runtime", "runc", "crun"])
def test_without_a_pid_namespace(family, name):
    process, pid, orphan = family(name)
    assert kernel.ppid(pid) == process.pid
    eventually(lambda: kernel.ppid(orphan) == process.pid)
    eventually(lambda: zombies_of(process.pid) == [])  # what has ended is reaped


@pytest.mark.parametrize("name", ["runtime", "runc"])
def test_no_subreaper(family, name):
    process, pid, orphan = family(name, "--no-subreaper")
    assert kernel.ppid(pid) == process.pid
    eventually(lambda: kernel.ppid(orphan) == os.getpid())  # the next one up, which is this test


@pytest.mark.parametrize("options", [(), ("--no-subreaper",)])
def test_with_a_pid_namespace(family, options):
    _, pid, orphan = family("runtime", *options, shared=False)
    eventually(lambda: kernel.ppid(orphan) == pid)


def test_detached(runtime, bundle):
    """Nobody stays: orphans are those of the caller, as the container's first process is."""
    box = runtime.container(bundle().sh(ORPHANS + "exec sleep 999").without_namespace("pid"))
    box.run("--detach")
    eventually(lambda: [kernel.ppid(pid) for pid in kernel.cgroup_pids(CGROUP / box.id)]
               == 2 * [os.getpid()])


def test_exec_adopts_nobody(runtime, bundle, background):
    """An orphan of an added process belongs to the container."""
    box = runtime.container(bundle("/bin/sleep", "998"))
    box.run("--detach")
    background("exec", box.id, "/bin/sh", "-c", ORPHANS + "exec sleep 999")
    orphan = eventually(lambda: sleeper(CGROUP / box.id))
    eventually(lambda: kernel.ppid(orphan) == box.pid)


@pytest.mark.parametrize("options", [(), ("--no-subreaper",)])
def test_nobody_outlives_the_run(family, options):
    process, pid, orphan = family("runtime", *options)
    os.kill(pid, signal.SIGTERM)
    assert process.wait(10 * SCALE) == 128 + signal.SIGTERM
    eventually(lambda: not alive(orphan))


def test_hook_of_a_create_that_was_killed(runtime, bundle, leaks):
    """No hook runs before the state tells whose it is: here that never gets there."""
    b = bundle().without_namespace("pid")
    b.config["hooks"] = {"createContainer": [{"path": "/bin/sleep", "args": ["sleep", "1000"]}]}
    box = runtime.container(b)
    argv = runtime.argv("create", "--bundle", b, box.id)
    inject = "inject=/^renameat:delay_enter=100000000"
    with subprocess.Popen(["strace", "-o", "/dev/null", "-e", inject, *argv],
                          env=runtime.environment) as tracer:
        init = eventually(lambda: min(kernel.cgroup_pids(CGROUP / box.id)))
        eventually(lambda: "/sys/fs/cgroup" in mountinfo.of_process(init))
        time.sleep(0.2)
        for pid in kernel.children(tracer.pid):
            os.kill(pid, signal.SIGKILL)
        tracer.kill()
    box.delete("--force")
    assert leaks.wait() == []
