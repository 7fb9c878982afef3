# SPDX-License-Identifier: MIT
"""Podman as root: user namespaces, pods, builds, and all that is more than a container's life."""

import json
import os
import pathlib
import subprocess

import pytest

from harness import private
from harness.kernel import alive, cgroup_path, cmdline, eventually, namespaces, status
from harness.manager import Manager
from harness.runtime import run

from . import image

SLEEP = ("sleep", "1000")
# Of the guest's systemd, with /usr on /host.
LIBRARIES = "/host/lib/x86_64-linux-gnu"
READY = (f"{LIBRARIES}/ld-linux-x86-64.so.2 --library-path {LIBRARIES}:{LIBRARIES}/systemd "
         "/host/bin/systemd-notify --ready && exec sleep 1000")


@pytest.fixture
def sleeper(podman):
    return podman.start("--", *SLEEP)


@pytest.fixture
def disk_path():
    """A folder on ext4: not every filesystem of this kernel can be mounted with other owners."""
    folder = pathlib.Path("/var/tmp/box")
    folder.mkdir()
    yield folder
    subprocess.run(["rm", "-r", folder], check=True)


# --- the runtime ---

def test_runtime_of_the_manual(podman):
    """containers.conf makes hako the runtime of all; the file stands where the manual puts it."""
    split = podman.argv.index("--runtime")
    podman.argv = podman.argv[:split] + podman.argv[split + 2:]
    assert podman("info", "--format", "{{.Host.OCIRuntime.Name}}").stdout == "hako\n"
    container = podman.start("--", *SLEEP)
    assert container.inspect()["OCIRuntime"] == "hako"


def test_checkpoint_is_refused(podman, sleeper, runtime):
    if runtime.name == "hako":
        ran = podman("container", "checkpoint", sleeper.id, status=125)
        assert "checkpoint/restore" in ran.stderr
    assert alive(sleeper.pid)


# --- user namespaces ---

@pytest.mark.essential
def test_userns_auto(podman):
    container = podman.start("--userns", "auto:size=2000", "--", *SLEEP)
    uid = int(status(container.pid, "Uid").split()[0])
    assert uid >= 1000000
    out = container.exec("sh", "-c", "cat /proc/self/uid_map; id -u; touch /tmp/x; stat -c %u /tmp/x")
    assert out.stdout.split() == ["0", str(uid), "2000", "0", "0"]


@pytest.mark.essential
@pytest.mark.cannot("runc", "1.1 knows no idmapped mounts")
def test_idmapped_volume(podman, disk_path):
    (disk_path / "file").write_text("")
    ran = podman.run("--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000",
                     "--mount", f"type=bind,source={disk_path},destination=/mnt,idmap", "--",
                     "sh", "-c", "stat -c %u /mnt/file; touch /mnt/new")
    assert ran.stdout == "0\n" and (disk_path / "new").stat().st_uid == 0


def test_user_namespace_of_another(podman):
    first = podman.start("--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000", "--", *SLEEP)
    second = podman.start("--userns", f"container:{first.id}", "--", *SLEEP)
    assert namespaces(first.pid)["user"] == namespaces(second.pid)["user"]
    second.rm("--force", "--time", "0")


# --- mounts ---

def test_propagation(podman, disk_path):
    """rslave: what the host mounts later is seen inside, and nothing the other way."""
    container = podman.start("--volume", f"{disk_path}:/mnt:rslave", "--cap-add", "sys_admin",
                             "--security-opt", "seccomp=unconfined", "--", *SLEEP)
    (disk_path / "later").mkdir()
    private.mount("tmpfs", disk_path / "later", "tmpfs")
    try:
        (disk_path / "later" / "file").touch()
        assert container.exec("ls", "/mnt/later").stdout == "file\n"
        container.exec("sh", "-c", "mkdir /mnt/inner && mount -t tmpfs none /mnt/inner "
                       "&& touch /mnt/inner/x")
        assert list((disk_path / "inner").iterdir()) == []
    finally:
        private.umount(disk_path / "later")


def test_volume_and_tmpfs(podman):
    ran = podman.run("--mount", "type=tmpfs,destination=/c,tmpfs-size=1m,tmpfs-mode=700",
                     "--mount", "type=volume,destination=/v", "--mount", "type=devpts,destination=/pts",
                     "--", "sh", "-c", "df -k /c | awk 'NR == 2 {print $2}'; stat -c %a /c; "
                     "touch /v/x && ls /pts")
    assert ran.stdout.split() == ["1024", "700", "ptmx"]


# --- privileges ---

def test_seccomp_profile(podman, tmp_path):
    (tmp_path / "profile.json").write_text(json.dumps({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}))
    ran = podman.run("--security-opt", f"seccomp={tmp_path}/profile.json", "--", "mkdir", "/x", status=1)
    assert "No space left" in ran.stderr
    podman.run("--security-opt", "seccomp=unconfined", "--", "unshare", "-U", "true")


@pytest.mark.essential
def test_io_limits_and_ulimits(podman):
    container = podman.start("--device-write-bps", "/dev/vda:1mb", "--ulimit", "core=0:0",
                             "--ulimit", "nofile=100:200", "--memory-reservation", "16m", "--", *SLEEP)
    folder = cgroup_path(container.pid)
    assert "wbps=1048576" in (folder / "io.max").read_text()
    assert (folder / "memory.low").read_text() == f"{16 << 20}\n"
    limits = pathlib.Path(f"/proc/{container.pid}/limits").read_text().splitlines()
    assert next(line for line in limits if "open files" in line).split()[3:5] == ["100", "200"]


def test_preserve_fds(podman, tmp_path):
    """One more than the standard streams, and it can be written to."""
    podman.argv = ["sh", "-c", f"exec 3>{tmp_path}/out && exec \"$@\"", "sh", *podman.argv]
    podman.run("--preserve-fds", "1", "--", "sh", "-c", "echo through >&3")
    assert (tmp_path / "out").read_text() == "through\n"


# --- services ---

@pytest.mark.essential
def test_ready(podman, tmp_path):
    """--sdnotify=container: what the container says to its manager reaches the host's."""
    manager = Manager(tmp_path / "notify")
    podman.env = os.environ | manager.env
    container = podman.start("--sdnotify", "container", "--volume", "/usr:/host:ro", "--", "sh", "-c",
                             READY)
    said = ""
    while "READY=1" not in said:
        said += manager.receive(30)[0] + "\n"
    assert "MAINPID=" in said
    podman.env = None
    eventually(lambda: cmdline(container.pid) == list(SLEEP), seconds=20)
    manager.server.close()


@pytest.mark.essential
def test_systemd_in_a_container(podman):
    """What Podman prepares for it: a cgroup of its own to write to, and tmpfs where it wants them."""
    out = podman.run("--systemd", "always", "--", "sh", "-c", "mkdir /sys/fs/cgroup/init.scope && "
                     "echo $$ >/sys/fs/cgroup/init.scope/cgroup.procs && grep 0:: /proc/self/cgroup; "
                     "stat -f -c %T /run /tmp /var/log/journal; echo $container").stdout
    assert out.split() == ["0::/init.scope", "tmpfs", "tmpfs", "tmpfs", "podman"]


def test_health(podman):
    container = podman.start("--health-cmd", "test -e /healthy", "--health-interval", "disable",
                             "--health-retries", "1", "--", *SLEEP)
    podman("healthcheck", "run", container.id, status=1)
    container.exec("touch", "/healthy")
    podman("healthcheck", "run", container.id)
    assert container.inspect()["State"]["Health"]["Status"] == "healthy"


def test_restart_policy(podman):
    container = podman.start("--restart", "on-failure:2", "--", "sh", "-c", "echo once; exit 3")
    eventually(lambda: container.logs().stdout == "once\n" * 3
               and container.state["Status"] == "exited", seconds=60)
    assert container.state["ExitCode"] == 3


def test_attach(podman):
    container = podman.start("--interactive", "--", "cat")
    ran = container.attach(input="to cat\n", timeout=60)
    assert ran.stdout.strip() == "to cat"


# --- pods ---

@pytest.mark.essential
@pytest.mark.cannot("crun", "this Podman's cgroup of a pod denies mknod of /dev/null")
@pytest.mark.cannot("runc", "this Podman's cgroup of a pod denies opening /dev/null")
def test_kube_play(podman, tmp_path):
    (tmp_path / "pod.yaml").write_text(json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "kube"}, "spec": {
            "containers": [{
                "name": "box", "image": image.NAME, "command": list(SLEEP), "imagePullPolicy": "Never",
                "env": [{"name": "X", "value": "a b"}],
                "securityContext": {"runAsUser": 1000, "readOnlyRootFilesystem": True,
                                    "capabilities": {"drop": ["ALL"]}},
                "resources": {"limits": {"memory": "64Mi"}}}]}}))  # JSON is YAML
    podman("kube", "play", "--network", "none", tmp_path / "pod.yaml")
    try:
        podman.started = []
        box = podman.container(podman("inspect", "--format", "{{.Id}}", "kube-box").stdout.strip())
        assert status(box.pid, "Uid").split() == ["1000"] * 4
        assert status(box.pid, "CapBnd") == "0" * 16
        assert (cgroup_path(box.pid) / "memory.max").read_text() == f"{64 << 20}\n"
        assert box.exec("sh", "-c", "echo $X; touch /x 2>&1; true").stdout.startswith("a b\n")
    finally:
        podman("kube", "down", tmp_path / "pod.yaml", status=None)
        podman("pod", "rm", "--force", "--all", "--time", "0", status=None)


# --- builds ---

CONTAINERFILE = f"""
FROM {image.NAME}
RUN id -u >/made && readlink /proc/self/ns/pid >>/made
USER user
RUN id -u; exit 0
RUN --mount=type=tmpfs,target=/scratch touch /scratch/x
USER root
RUN hostname >/host
"""


@pytest.fixture
def containerfile(tmp_path):
    (tmp_path / "Containerfile").write_text(CONTAINERFILE)
    return tmp_path


def test_podman_build(podman, containerfile):
    ran = podman("build", "--network", "none", "--isolation", "oci", "--tag", "built", containerfile)
    assert "1000" in ran.stdout
    out = podman("run", "--rm", "built", "cat", "/made").stdout.split()
    assert out[0] == "0" and out[1] != os.readlink("/proc/self/ns/pid")
    podman("rmi", "built")


@pytest.mark.essential
def test_buildah(podman, runtime, containerfile):
    """Its storage is that of Podman."""
    def build(*steps):
        if steps:
            text = "\n".join([f"FROM {image.NAME}", *steps])
            (containerfile / "Containerfile").write_text(text)
        return run(["buildah", "bud", "--isolation", "oci", "--runtime", runtime, "--network", "none",
                    "--tag", "built", containerfile], check=False, timeout=120)

    ran = build()
    assert ran.returncode == 0 and "1000" in ran.stdout, ran
    assert podman("run", "--rm", "built", "cat", "/made").stdout.startswith("0\npid:")
    ran = build("RUN echo out; exit 9")
    assert ran.returncode != 0 and "out" in ran.stdout and "exit status 9" in ran.stderr, ran
    ran = build('RUN ["/nonesuch"]')
    assert ran.returncode != 0 and "no such file or directory" in ran.stderr.lower(), ran
    run(["buildah", "rm", "--all"], timeout=60)
    podman("rmi", "--force", "built")
