# SPDX-License-Identifier: MIT
"""containerd as Kubernetes' kubelet uses it: pods and their containers, by a RuntimeClass."""

import json
import pathlib
import re

import grpc
import pytest

from harness.kernel import (alive, cgroup_path, cgroup_pids, cmdline, eventually, namespaces, ppid,
                            status)

from . import manual
from .cri import Stream

SLEEP = ["sleep", "1000"]
POD, CONTAINER, NODE = range(3)  # whose namespace
RUNNING, EXITED = 1, 2


class Pod:
    """A sandbox of that handler, and its containers; network: POD or NODE."""

    def __init__(self, cri, handler, parent, image, folder, network=NODE, privileged=0, **settings):
        self.cri, self.image, self.folder = cri, image, folder
        self.namespaces = {"network": network, "pid": CONTAINER}
        self.config = {
            "metadata": {"name": "pod", "uid": folder.name, "namespace": "tests"},
            "hostname": "box" if network == POD else "", "log_directory": str(folder),
            "linux": {"cgroup_parent": parent, **settings, "security_context": {
                "namespace_options": self.namespaces, "privileged": privileged}}}
        self.id = cri.RunPodSandbox(config=self.config, runtime_handler=handler)["id"]
        self.containers = []

    @property
    def pid(self):
        return json.loads(self.cri.PodSandboxStatus(id=self.id, verbose=1)["info"]["info"])["pid"]

    def create(self, *command, resources=None, **config):
        security = {"namespace_options": self.namespaces} | config.pop("security", {})
        linux = {"security_context": security} | ({"resources": resources} if resources else {})
        number = len(self.containers)
        made = self.cri.CreateContainer(pod=self.id, sandbox_config=self.config, config={
            "metadata": {"name": f"box{number}"}, "image": {"image": self.image},
            "command": command, "log_path": f"{number}.log", "linux": linux, **config})
        self.containers.append(Container(self, made["id"], self.folder / f"{number}.log"))
        return self.containers[-1]

    def start(self, *command, **config):
        container = self.create(*command, **config)
        self.cri.StartContainer(id=container.id)
        return container

    def remove(self):
        self.cri.StopPodSandbox(id=self.id)
        self.cri.RemovePodSandbox(id=self.id)


class Container:
    def __init__(self, pod, id, log):
        self.pod, self.cri, self.id, self.log_file = pod, pod.cri, id, log

    status = property(lambda self: self.cri.ContainerStatus(id=self.id)["status"])

    @property
    def pid(self):
        return json.loads(self.cri.ContainerStatus(id=self.id, verbose=1)["info"]["info"])["pid"]

    def exec(self, *command, code=0):
        ran = self.cri.ExecSync(id=self.id, cmd=command, timeout=60)
        assert ran["exit_code"] == code, ran
        return ran["stdout"].decode()

    def wait(self):
        """Until it has ended: its exit status."""
        return eventually(lambda: self.status["state"] == EXITED and self.status, seconds=30)["exit_code"]

    def log(self):
        """[(stream, line)]"""
        return [tuple(line.split(" ", 3)[1::2]) for line in self.log_file.read_text().splitlines()]


@pytest.fixture
def make_pod(cri, runtime, pods_parent, pause_image, tmp_path):
    made = []

    def make(**settings):
        made.append(Pod(cri, runtime.name, pods_parent, pause_image, tmp_path, **settings))
        return made[-1]

    yield make
    for pod in made:
        pod.remove()


@pytest.fixture
def pod(make_pod):
    return make_pod()


def limit(pid, file):
    return (cgroup_path(pid) / file).read_text().strip()


# --- pods ---

@pytest.mark.driver
@pytest.mark.essential
def test_pod(pod, runtime, pods_parent):
    container = pod.start(*SLEEP)
    pid, sandbox = container.pid, pod.pid
    assert pod.cri.PodSandboxStatus(id=pod.id)["status"] == {
        "id": pod.id, "state": 0, "runtime_handler": runtime.name}
    assert container.status["state"] == RUNNING and cmdline(pid) == SLEEP
    assert ppid(pid) == ppid(sandbox)  # one shim for all of a pod
    assert cgroup_pids(cgroup_path(pid)) == {pid} and container.id in str(cgroup_path(pid))
    assert cgroup_path(pid).parent == cgroup_path(sandbox).parent
    assert cgroup_path(pid).parent.name == pods_parent.lstrip("/")
    mine, theirs = namespaces(pid), namespaces(sandbox)
    assert {name for name in ("ipc", "uts", "net", "pid", "mnt") if mine[name] == theirs[name]} >= {
        "ipc", "net"}
    assert mine["pid"] != theirs["pid"] and mine["mnt"] != theirs["mnt"]
    pod.cri.StopPodSandbox(id=pod.id)
    assert not alive(pid) and not alive(sandbox)


def test_handler_of_the_manual(cri, pods_parent, pause_image, tmp_path):
    """RuntimeClass, NodeConfig and containerd's configuration agree; it is the default as well."""
    page = manual.PAGE.read_text()
    name, = re.findall(r"^handler: (\S+)", page, re.MULTILINE)
    assert f"runtimes.{name}]" in manual.files()["/etc/containerd/config.toml"]
    assert f"\"io.containerd.cri.v1.runtime\".containerd.runtimes.{name}]" in page
    for handler in (name, ""):
        pod = Pod(cri, handler, pods_parent, pause_image, tmp_path)
        info = cri.PodSandboxStatus(id=pod.id, verbose=1)["info"]["info"]
        assert manual.HAKO in info
        pod.remove()


def test_unknown_handler(cri, pods_parent, pause_image, tmp_path):
    with pytest.raises(grpc.RpcError, match="nonesuch"):
        Pod(cri, "nonesuch", pods_parent, pause_image, tmp_path)


def test_shared_pids(make_pod):
    pod = make_pod()
    shared = {"namespace_options": {"network": NODE, "pid": POD}}
    container = pod.start(*SLEEP, security=shared)
    assert namespaces(container.pid)["pid"] == namespaces(pod.pid)["pid"]


@pytest.mark.essential
def test_network(make_pod):
    """The engine makes the namespace and its network; the runtime joins. Sysctls belong to it."""
    pod = make_pod(network=POD, sysctls={"net.ipv4.ip_default_ttl": "77"})
    container = pod.start(*SLEEP)
    out = container.exec("sh", "-c", "hostname; cat /proc/sys/net/ipv4/ip_default_ttl; "
                         "ip -o -4 addr | awk '{print $2}'")
    assert out.split() == ["box", "77", "lo", "eth0"]
    assert namespaces(container.pid)["uts"] == namespaces(pod.pid)["uts"]


# --- containers ---

def test_exit_and_log(pod):
    container = pod.start("sh", "-c", "echo out; echo err >&2; exit 3")
    assert container.wait() == 3
    eventually(lambda: sorted(container.log()) == [("stderr", "err"), ("stdout", "out")], seconds=20)
    again = pod.start("sh", "-c", "exit 0")  # as kubelet restarts it
    assert again.wait() == 0 and again.status["reason"] == "Completed"


@pytest.mark.essential
def test_not_a_program(pod):
    container = pod.create("/nonesuch")
    with pytest.raises(grpc.RpcError, match="(?i)no such file or directory"):
        pod.cri.StartContainer(id=container.id)
    assert container.status["state"] == EXITED
    assert container.status["reason"] == "StartError" and container.status["exit_code"] == 128


@pytest.mark.driver
@pytest.mark.essential
def test_stop(pod):
    container = pod.start("sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; "
                          "while :; do sleep 0.1; done")
    eventually(lambda: container.log(), seconds=30)
    pod.cri.StopContainer(id=container.id, timeout=30)
    assert container.status["exit_code"] == 5
    deaf = pod.start(*SLEEP)
    folder = cgroup_path(deaf.pid)
    pod.cri.StopContainer(id=deaf.id, timeout=1)
    assert deaf.status["exit_code"] == 137 and not folder.exists()
    pod.cri.RemoveContainer(id=deaf.id)


@pytest.mark.essential
def test_exec(pod):
    container = pod.start(*SLEEP)
    ran = pod.cri.ExecSync(id=container.id, cmd=["sh", "-c", "readlink /proc/self/ns/pid; echo e >&2; exit 7"],
                           timeout=60)
    assert ran == {"stdout": f"{namespaces(container.pid)['pid']}\n".encode(), "stderr": b"e\n",
                   "exit_code": 7}
    with pytest.raises(grpc.RpcError, match="(?i)no such file or directory"):
        pod.cri.ExecSync(id=container.id, cmd=["/nonesuch"], timeout=60)
    with pytest.raises(grpc.RpcError, match="timeout"):
        pod.cri.ExecSync(id=container.id, cmd=["sleep", "100"], timeout=1)
    eventually(lambda: cgroup_pids(cgroup_path(container.pid)) == {container.pid}, seconds=20)


def test_exec_terminal(pod):
    container = pod.start(*SLEEP)
    stream = Stream(pod.cri.Exec(id=container.id, cmd=["sh"], tty=1, stdin=1, stdout=1)["url"])
    stream.expect(Stream.STDOUT, b"# ")
    stream.send(Stream.RESIZE, b'{"Width":99,"Height":22}')
    stream.send(Stream.STDIN, b"tty; until stty size | grep 22; do sleep 0.1; done; exit 4\n")
    assert stream.status() == 4
    assert b"/dev/pts/0" in stream.seen[Stream.STDOUT] and b"22 99" in stream.seen[Stream.STDOUT]
    stream.close()


@pytest.mark.driver
@pytest.mark.essential
def test_resources(pod):
    container = pod.start(*SLEEP, resources={
        "memory_limit_in_bytes": 64 << 20, "cpu_quota": 50000, "cpu_period": 100000,
        "cpu_shares": 512, "cpuset_cpus": "1", "oom_score_adj": 500,
        "unified": {"memory.high": str(48 << 20)}})
    files = ("memory.max", "cpu.max", "cpuset.cpus", "memory.high")
    assert [limit(container.pid, file) for file in files] == [
        str(64 << 20), "50000 100000", "1", str(48 << 20)]
    assert pathlib.Path(f"/proc/{container.pid}/oom_score_adj").read_text() == "500\n"
    pod.cri.UpdateContainerResources(id=container.id, linux={
        "memory_limit_in_bytes": 96 << 20, "cpu_quota": 25000, "cpu_period": 100000,
        "cpuset_cpus": "0"})
    assert [limit(container.pid, file) for file in files[:3]] == [str(96 << 20), "25000 100000", "0"]
    stats = pod.cri.ContainerStats(id=container.id)["stats"]
    assert stats["memory"]["value"]["value"] > 0 and stats["cpu"]["value"]["value"] > 0


@pytest.mark.essential
def test_over_memory(pod):
    """When all processes are dead, containerd may have no time to see why."""
    resources = {"memory_limit_in_bytes": 32 << 20, "unified": {"memory.swap.max": "0"}}
    assert pod.start("tail", "/dev/zero", resources=resources).wait() == 137
    survivor = pod.start("sh", "-c", "tail /dev/zero; exec sleep 1000", resources=resources)
    eventually(lambda: survivor.status["reason"] == "OOMKilled", seconds=30)


def test_security(pod):
    container = pod.start(*SLEEP, security={
        "run_as_user": {"value": 1000}, "run_as_group": {"value": 1000}, "supplemental_groups": [1001],
        "capabilities": {"drop_capabilities": ["ALL"], "add_capabilities": ["NET_RAW"]},
        "no_new_privs": 1, "readonly_rootfs": 1, "seccomp": {"profile_type": 0},
        "masked_paths": ["/proc/kcore"], "readonly_paths": ["/proc/sys"]})
    pid = container.pid
    assert [status(pid, field) for field in ("CapBnd", "NoNewPrivs", "Seccomp")] == [
        f"{1 << 13:016x}", "1", "2"]
    assert status(pid, "Uid").split() == ["1000"] * 4 and "1001" in status(pid, "Groups")
    out = container.exec("sh", "-c", "touch /x 2>&1; wc -c </proc/kcore; "
                         "echo 1 2>&1 >/proc/sys/kernel/panic; id -u")
    assert "Read-only" in out and out.split()[-1] == "1000"


def test_privileged(make_pod):
    pod = make_pod(privileged=1)
    container = pod.start(*SLEEP, security={"privileged": 1})
    assert status(container.pid, "CapEff") == status("self", "CapEff")
    assert status(container.pid, "Seccomp") == "0"
    container.exec("sh", "-c", "head -c 1 /dev/vda && echo 0 >/proc/sys/kernel/panic")


def test_mounts_and_devices(pod, tmp_path):
    (tmp_path / "file").write_text("here\n")
    container = pod.start(*SLEEP, mounts=[
        {"container_path": "/a", "host_path": str(tmp_path), "propagation": 1},
        {"container_path": "/b", "host_path": str(tmp_path), "readonly": 1}],
        devices=[{"container_path": "/dev/disk", "host_path": "/dev/vda", "permissions": "r"}],
        envs=[{"key": "X", "value": "a b"}], working_dir="/tmp")
    out = container.exec("sh", "-c", "cat /b/file; touch /b/x 2>&1; touch /a/y; echo $X; pwd; "
                         "stat -c %t /dev/disk; head -c 1 /dev/disk | wc -c; (echo x >/dev/disk) 2>&1; true")
    assert out.splitlines()[0] == "here" and "Read-only" in out and "not permitted" in out
    assert [word for word in ("a b", "/tmp", "fe", "1") if word not in out.splitlines()] == []
    assert (tmp_path / "y").exists() and not (tmp_path / "x").exists()
