# SPDX-License-Identifier: MIT
"""First contact with Podman and containerd, as far as a host without controllers goes: each has
its own folders, and a /run that the machine does not see. engines/ has the rest, in a guest."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from engines import image, manual
from engines.containerd import Containerd, Task
from engines.podman import MANUAL, Podman, write_config
from harness.kernel import alive, cgroup_path, cmdline, eventually, frozen, namespaces, ppid

SLEEP = ("sleep", "1000")
pytestmark = pytest.mark.timeout(240)  # the first test waits for a daemon, and an image
# root may have no CAP_SYS_RESOURCE, and the hierarchy no controllers
CONTAINERS = 'pids_limit = 0\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]'


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="module")
def own_run():
    """The beginning of a command that sees an empty /run; and what is in there."""
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c",
         "mount -t tmpfs -o mode=755 run /run && echo ready && exec sleep 3600"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "ready\n"
        yield (["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt"],
               pathlib.Path(f"/proc/{holder.pid}/root/run"))
        holder.kill()


@pytest.fixture(scope="module")
def archive(session_path):
    return image.write(session_path("image") / "box.tar")


@pytest.fixture(scope="module")
def podman_folder(own_run, archive, session_path, hako):
    need("podman")
    folder = session_path("podman")
    config = write_config(folder / "containers.conf", hako, engine='lock_type = "file"',
                          containers=CONTAINERS)
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "CONTAINERS_CONF": str(config)}
    how = {"prefix": own_run[0], "env": env, "runroot": folder / "run", "options": [
        "--root", folder / "root", "--runroot", folder / "run", "--tmpdir", folder / "tmp",
        "--storage-driver", "vfs"]}
    Podman("hako", **how)("load", "--input", archive)
    return how


@pytest.fixture
def podman(podman_folder, own_run, token, leaks):
    """Its containers have cgroups below /TOKEN."""
    made = Podman("hako", **podman_folder)
    made.always = ["--cgroup-parent", f"/{token}"]
    yield made
    made.clean(everything=True)
    no_state(own_run[1] / "hako")
    for folder in (f"/sys/fs/cgroup/{token}/conmon", f"/sys/fs/cgroup/{token}"):
        if os.path.exists(folder):
            eventually(lambda: os.rmdir(folder) is None)  # a container's is not ours to remove


@pytest.fixture(scope="module")
def daemon(own_run, session_path):
    need("containerd")
    with Containerd.started(session_path("containerd"), prefix=own_run[0]) as containerd:
        yield containerd


@pytest.fixture
def containerd(daemon, own_run, hako, leaks):
    daemon.runtime = hako
    yield daemon
    daemon.clean()
    no_state(own_run[1] / "containerd/runc/default")


def no_state(folder):
    """Of hako, in the /run of the engine."""
    eventually(lambda: not [entry for entry in folder.iterdir() if not entry.name.startswith(".")])


@pytest.fixture
def task(containerd, bundle, token):
    """task(*argv): with a config of ours, because ctr's asks for limits."""

    def make(*argv, id=token):
        b = bundle(*argv)
        b.config["root"]["path"] = str(b.rootfs)  # containerd makes a bundle of its own
        b.linux["cgroupsPath"] = f"/{id}"
        containerd.ctr("run", "--detach", "--runc-binary", containerd.runtime,
                       "--config", b.save().path / "config.json", id)
        return Task(containerd, id)

    return make


# --- hako-engines(7) ---

def test_manual():
    """Its files can be read, name one program, and README has that of Podman. The rest of what is
    in them shows where the engines are."""
    tomllib = pytest.importorskip("tomllib")
    files = manual.files()
    for path, text in files.items():
        (json.loads if path.endswith(".json") else tomllib.loads)(text)
        assert manual.HAKO in text
    assert f"```toml\n{files[MANUAL].strip()}\n```" in (manual.PAGE.parent.parent / "README.md").read_text()
    crio = tomllib.loads(files["/etc/crio/crio.conf.d/10-hako.conf"])["crio"]["runtime"]
    assert crio["runtimes"][crio["default_runtime"]]["runtime_path"] == manual.HAKO


# --- Podman ---

def test_podman_run(podman):
    ran = podman.run("--", "sh", "-c", "echo out; echo err >&2; exit 7", status=7)
    assert (ran.stdout, ran.stderr) == ("out\n", "err\n")
    assert podman.run("--interactive", "--", "cat", input="in\n").stdout == "in\n"


def test_podman_status_of_what_is_no_program(podman):
    for command, code in (("nonesuch", 127), ("/nonesuch", 127), ("/etc/notes", 126), ("/etc", 126)):
        assert command in podman.run("--", command, status=code).stderr


def test_podman_detached(podman):
    container = podman.start("--", *SLEEP)
    pid, folder = container.pid, cgroup_path(container.pid)
    assert cmdline(pid) == list(SLEEP) and cmdline(ppid(pid))[0].endswith("conmon")
    assert namespaces(pid)["pid"] != namespaces("self")["pid"]
    ran = container.exec("sh", "-c", "readlink /proc/self/ns/pid; exit 3", status=3)
    assert ran.stdout == namespaces(pid)["pid"] + "\n"
    container.exec("nonesuch", status=127)
    container.pause()
    assert frozen(folder) and container.state["Status"] == "paused"
    container.unpause()
    assert not frozen(folder)
    container.stop("--time", "0")
    eventually(lambda: not alive(pid) and not folder.exists())
    assert container.state["ExitCode"] == 137


def test_podman_logs(podman):
    container = podman.start("--", "sh", "-c", "echo one; echo two >&2; exit 5")
    assert container.wait().stdout == "5\n"
    logs = container.logs()
    assert (logs.stdout, logs.stderr) == ("one\n", "two\n")


def test_podman_terminal(podman):
    container = podman.start("--tty", "--", "sh", "-c", "tty; sleep 1000")
    eventually(lambda: container.logs().stdout == "/dev/pts/0\r\n", seconds=20)
    assert container.exec("tty", options=["--tty"]).stdout == "/dev/pts/1\r\n"


# --- containerd ---

def test_containerd_task(task):
    box = task(*SLEEP)
    pid, folder = box.pid, cgroup_path(box.pid)
    assert cmdline(pid) == list(SLEEP) and "containerd-shim" in cmdline(ppid(pid))[0]
    ran = box.exec("sh", "-c", "readlink /proc/self/ns/pid; exit 3", status=3)
    assert ran.stdout == namespaces(pid)["pid"] + "\n"
    assert "/nonesuch" in box.exec("/nonesuch", status=1).stderr
    box.pause()
    assert frozen(folder) and box.status == "PAUSED"
    box.resume()
    assert not frozen(folder)
    assert box.ps().stdout.splitlines()[1].split()[0] == str(pid)
    box.delete(status=1)
    box.kill(options=["--signal", "KILL"])
    box.wait_for("STOPPED")
    assert not alive(pid)
    assert "exit code 137" in box.delete().stderr
    assert not folder.exists()


def test_containerd_shows_the_error(task):
    with pytest.raises(AssertionError, match="nonesuch.*no such file or directory"):
        task("/nonesuch")


@pytest.mark.timeout(300)
def test_hundred_tasks(containerd, task, token):
    """At once; nothing of them is left."""
    ids = [f"{token}-{number}" for number in range(100)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda id: task(*SLEEP, id=id), ids))
    listed = containerd.ctr("tasks", "ls").stdout.splitlines()[1:]
    pids = {line.split()[0]: int(line.split()[1]) for line in listed}
    assert set(pids) >= set(ids)
    assert all(cmdline(pids[id]) == list(SLEEP) for id in ids)
    assert len({namespaces(pids[id])["pid"] for id in ids}) == len(ids)
    containerd.ctr("tasks", "delete", "--force", *ids)
    containerd.ctr("containers", "delete", *ids)
    assert not any(alive(pids[id]) or os.path.exists(f"/sys/fs/cgroup/{id}") for id in ids)
