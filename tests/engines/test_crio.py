# SPDX-License-Identifier: MIT
"""A node's CRI-O: its calls, with the conmon that it has between itself and most of them."""

import os
import signal

import pytest

from harness.bundle import Bundle
from harness.kernel import alive, cgroup_path, cgroup_pids, cmdline, eventually, frozen, namespaces, ppid
from harness.runtime import SCALE

from .conftest import SYSTEMD
from .crio import STDERR, TIMED_OUT, Container, Crio, Failed, NotFound

SLEEP = ("sleep", "1000")
MIB = 1 << 20


@pytest.fixture
def make(request, runtime, template, tmp_path, nothing_left):
    """make(*argv): a container that has been created."""
    crio, made = Crio(runtime, tmp_path, SYSTEMD), []

    def create(*argv, resources=None, without=(), **how):
        id = f"{tmp_path.name.replace('_', '-')}-{len(made)}"
        bundle = Bundle(tmp_path / f"bundle{len(made)}", template, argv)
        bundle.linux["cgroupsPath"] = f"system.slice:crio:{id}" if SYSTEMD else f"/crio-{id}"
        bundle.linux["resources"] = resources or {}
        for kind in without:
            bundle.without_namespace(kind)
        made.append(Container(crio, bundle, id, **how))
        return made[-1].create()

    yield create
    for container in made:
        container.clean()


@pytest.mark.cannot("crun", "1.8 has no such command")
def test_features(runtime, tmp_path):
    assert Crio(runtime, tmp_path, SYSTEMD).features()["linux"]["namespaces"]


@pytest.mark.driver
@pytest.mark.essential
@pytest.mark.cannot("crun", "1.8 says \"No such process\"; CRI-O looks for small letters")
def test_life(make):
    box = make("sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.1; done")
    state, pid = box.state(), box.pid
    assert (state["status"], state["pid"], state["id"]) == ("created", pid, box.id)
    box.start()
    eventually(lambda: box.log() == ("up\n", ""), seconds=30)
    assert box.state()["status"] == "running"
    folder = cgroup_path(pid)
    assert cmdline(ppid(pid))[0].endswith("conmon") and box.id in folder.name
    assert folder.name.endswith(".scope") == SYSTEMD
    box.crio.call("pause", box.id)
    assert frozen(folder) and box.state()["status"] == "paused"
    state = box.stop(30)  # which resumes it
    assert (state["status"], state["exit code"], state["pid"]) == ("stopped", 5, 0)
    assert box.log() == ("up\nbye\n", "")
    with pytest.raises(NotFound):
        box.kill(box.id, "KILL")
    box.delete()
    box.delete()
    assert not folder.exists()
    with pytest.raises(Failed):
        box.state()


def test_stop_kills_who_will_not(make):
    box = make(*SLEEP).start()
    assert box.stop(1)["exit code"] == 137


@pytest.mark.essential
def test_exec_sync(make):
    box = make(*SLEEP).start()
    ran = box.exec_sync("sh", "-c", "readlink /proc/self/ns/pid; printf part; echo err >&2; exit 3")
    assert (ran.code, ran.stdout, ran.stderr) == (3, f"{namespaces(box.pid)['pid']}\npart", "err\n")
    with pytest.raises(Failed, match="(?i)no such file or directory"):
        box.exec_sync("/nonesuch")
    with pytest.raises(Failed, match="executable file .*not found"):
        box.exec_sync("nonesuch")
    ran = box.exec_sync(*SLEEP, timeout=1)
    assert (ran.code, ran.stderr) == (-1, TIMED_OUT)
    eventually(lambda: cgroup_pids(cgroup_path(box.pid)) == {box.pid}, seconds=20)
    assert box.exec_sync("true").code == 0


def test_exec(make):
    """A stream without a terminal: the runtime is the child of CRI-O itself."""
    box = make(*SLEEP).start()
    ran = box.exec("sh", "-c", "cat; echo err >&2; exit 3", input="in\n")
    assert (ran.code, ran.stdout, ran.stderr) == (3, "in\n", "err\n")
    assert box.exec("sh", "-c", "kill -TERM $$").code == 128 + signal.SIGTERM
    ran = box.exec("/nonesuch")
    assert ran.code == 255 and "no such file or directory" in ran.stderr.lower()


def test_exec_terminal(make, on_terminal):
    box = make(*SLEEP).start()
    process, terminal = on_terminal(*box.exec_argv(["sh"], terminal=True))
    terminal.expect("# ", timeout=40)
    terminal.send("until stty size | grep 33; do sleep 0.1; done; exit 6\n").expect("33 111", timeout=30)
    assert process.wait(60 * SCALE) == 6


@pytest.mark.essential
def test_attach_terminal(make):
    box = make("sh", "-c", "until stty size | grep '22 99'; do sleep 0.1; done; read x; echo \"<$x>\"; "
               "exit 4", terminal=True)
    attached = box.attach()
    box.start()
    attached.resize(22, 99)
    attached.expect("22 99")
    assert box.exec_sync("sh", "-c", "tty; exit 7").code == 7
    attached.send("typed\n")
    attached.expect("<typed>")
    assert box.state()["exit code"] == 4
    attached.close()


def test_attach(make):
    """conmon keeps the container's input open for the next one."""
    box = make("sh", "-c", "while read x; do echo \"<$x>\"; echo \"!$x\" >&2; done", stdin=True).start()
    for text in ("one", "two"):
        attached = box.attach()
        attached.send(text + "\n")
        attached.expect(f"<{text}>")
        attached.expect(f"!{text}", STDERR)
        attached.close()
    assert box.stop(1)["exit code"] == 137


@pytest.mark.parametrize("command, words", [
    ("nonesuch", "executable file .*not found"), ("/nonesuch", "(?i)no such file or directory"),
    ("/etc/notes", "(?i)permission denied")])
def test_not_a_program(make, command, words):
    with pytest.raises(Failed, match=words):
        make(command)


def test_pids_of_the_node(make):
    """Whoever is left when its first process has ended, is killed by `kill -a`."""
    box = make("sh", "-c", "sleep 999 & exec sleep 1000", without=["pid"]).start()
    folder = cgroup_path(box.pid)
    eventually(lambda: len(cgroup_pids(folder)) == 2, seconds=20)
    os.kill(box.pid, signal.SIGKILL)
    assert box.state()["exit code"] == 137
    box.kill("-a", box.id, "9")
    eventually(lambda: not folder.exists() or not cgroup_pids(folder), seconds=20)


@pytest.mark.driver
@pytest.mark.essential
def test_limits_and_update(make):
    box = make(*SLEEP, resources={"memory": {"limit": 64 * MIB}, "cpu": {"quota": 50000, "period": 100000}})
    folder = cgroup_path(box.start().pid)
    read = lambda name: (folder / name).read_text().strip()
    assert (read("memory.max"), read("cpu.max")) == (str(64 * MIB), "50000 100000")
    box.update({"memory": {"limit": 48 * MIB}, "cpu": {"quota": 25000, "period": 100000}})
    assert (read("memory.max"), read("cpu.max")) == (str(48 * MIB), "25000 100000")


def test_out_of_memory(make):
    box = make("tail", "/dev/zero", resources={"memory": {"limit": 32 * MIB, "swap": 32 * MIB}}).start()
    eventually(lambda: not alive(box.pid), seconds=60)
    assert box.state()["exit code"] == 137  # conmon 2.1.6 says no more, whatever the runtime
