# SPDX-License-Identifier: MIT
"""The harness itself, proved with crun: what it reports is true, and no leak escapes it."""

import os
import signal
import subprocess

import pytest

from harness import kernel, private
from harness.runtime import run, wait_exit


def test_cgroup_v2_in_a_private_namespace():
    assert [(point, fstype) for _, point, fstype in private.mounts()
            if point.startswith("/sys/fs/cgroup")] == [("/sys/fs/cgroup", "cgroup2")]
    assert "shared:" not in open("/proc/self/mountinfo", encoding="utf-8").read()


def test_probe_sees_the_container(crun, bundle):
    b = bundle().env(COLOUR="grün")
    b.process["capabilities"]["bounding"] = ["CAP_KILL"]
    seen = crun.probe(b, "r:/bin/busybox", "w:/proc/sys/kernel/hostname", "r:/none", "cat:/etc/group")
    assert seen["hostname"] == "hako"
    assert seen["pid"] == 1
    assert f"COLOUR=gr{'ü'.encode().decode('latin-1')}n" in seen["env"]
    assert int(seen["status"]["CapBnd"], 16) == 1 << 5
    assert seen["limits"]["nofile"] == [1024, 1024]
    assert seen["tests"] == {"r:/bin/busybox": "ok", "r:/none": "ENOENT",
                             "w:/proc/sys/kernel/hostname": "EROFS",
                             "cat:/etc/group": "root:x:0:\ntty:x:5:\nuser:x:1000:"}
    for kind in ("pid", "net", "mnt", "ipc", "uts", "cgroup"):
        assert seen["namespaces"][kind] != os.readlink(f"/proc/self/ns/{kind}")


def test_life_of_a_container(crun, bundle):
    box = crun.container(bundle().sh("echo out; echo err >&2; exec sleep 100"))
    created = box.create()
    assert box.status == "created"
    pid = box.pid
    box.start()
    box.wait_for("running")
    assert box.exec("/bin/echo", "hello").stdout == "hello\n"
    assert box.probe()["namespaces"]["pid"] == os.readlink(f"/proc/{pid}/ns/pid")
    box.kill("KILL")
    assert wait_exit(pid) == 137
    assert (created.stdout, created.stderr) == ("out\n", "err\n")
    assert box.status == "stopped"
    box.delete()
    assert crun.container(b := bundle().sh("exit 3")).run(check=False).returncode == 3
    assert crun.run_bundle(b.sh("cat"), input="through").stdout == "through"


def test_failing_command_is_an_assertion(crun, bundle):
    with pytest.raises(AssertionError, match="exit 1"):
        crun.run_bundle(bundle("/bin/false"))
    with pytest.raises(AssertionError, match="timeout"):
        run(["sleep", "10"], timeout=0.1)


def test_bundles_do_not_touch_each_other(bundle, crun):
    first, second = bundle(), bundle()
    crun.run_bundle(first.sh("echo changed >>/etc/passwd; rm /bin/sh; touch /new"))
    assert "changed" in (first.rootfs / "etc/passwd").read_text()
    assert "changed" not in (second.rootfs / "etc/passwd").read_text()
    assert (second.rootfs / "bin/sh").is_symlink()


def test_ordinary_user(run_as_user, user):
    assert run_as_user("id", "-u").stdout == f"{user.uid}\n"
    assert run_as_user("sh", "-c", "echo ~; pwd").stdout == f"{user.home}\n" * 2
    mapped = run_as_user("unshare", "--map-auto", "-r", "cat", "/proc/self/uid_map").stdout.split()
    assert str(user.subuid[0]) in mapped  # newuidmap knows the user


def test_rootless_container(make_runtime, bundle, user, crun):
    rootless = make_runtime(crun.path, user)
    rootless.options = ["--cgroup-manager=disabled"]
    seen = rootless.probe(bundle(owner=user).rootless())
    assert seen["uid_map"][0].split() == ["0", str(user.uid), "1"]


def test_doubles_of_callers(conmon, double, token):
    """What they start is as with their models; nothing that still holds a stream escapes them."""
    environment = {"PATH": os.environ["PATH"], "HAKO_TEST": token}
    script = "sleep 1000 >&2 & echo $! $PPID; grep SigIgn /proc/self/status; kill -TERM $$"
    call = conmon.call(["/bin/sh", "-c", script], environment=environment)
    orphan, parent, *ignored = call.read(1).split()
    assert (call.status, int(parent), ignored[0]) == (143, conmon.pid, "SigIgn:")
    own = run(["grep", "SigIgn", "/proc/self/status"]).stdout.split()[1]
    assert int(ignored[1], 16) & ~int(own, 16) == 0x1000  # a shell may take some back
    assert conmon.children() == {int(orphan)} and kernel.ppid(orphan) == conmon.pid
    assert os.getsid(conmon.pid) == conmon.pid
    with pytest.raises(AssertionError, match="descriptor 2 is still open"):
        call.read(2, timeout=0.1)
    os.kill(int(orphan), signal.SIGKILL)
    assert (conmon.wait(int(orphan)), call.read(2)) == (137, "")
    podman = double("podman", "podman")
    other = podman.call(["/bin/sh", "-c", "cat; cat <&3; ls /proc/$$/fd"], environment=environment,
                        kinds={0: "null", 1: "a>", 2: "a>", 3: "file"})
    assert other.read(1).split() == ["preserved", "0", "1", "2", "3"]
    with pytest.raises(AssertionError, match="not a child"):
        podman.wait(os.getpid())


def test_death_signal_of_callers(shim, token):
    call = shim.start(["/bin/sleep", "1000"], environment={"HAKO_TEST": token})
    kernel.eventually(lambda: kernel.cmdline(call.pid) == ["/bin/sleep", "1000"])
    shim.kill()
    kernel.eventually(lambda: not kernel.alive(call.pid))


@pytest.mark.leaks
def test_leaks_are_found_and_removed(leaks, token, crun, bundle, tmp_path):
    box = crun.container(bundle("/bin/sleep", "100"))
    box.create()
    crun.ids.clear()  # nobody deletes it
    stray = subprocess.Popen(["sleep", "100"], env={"HAKO_TEST": token})
    target = tmp_path / "a target"
    target.mkdir()
    private.mount("tmpfs", target, "tmpfs")
    # right after execve a process has no environment to read yet
    kernel.eventually(lambda: token in (kernel.PROC / str(stray.pid) / "environ").read_text())
    found = "\n".join(leaks.find())
    for what in (f"process: {stray.pid} ", f"process: {box.pid} ", f"mount: {target} (tmpfs)",
                 f"{box.id}\n", f"state: {crun.root}/{box.id}"):
        assert what in found + "\n"
    leaks.clean()
    assert [row for row in leaks.find() if not row.startswith("state:")] == []
