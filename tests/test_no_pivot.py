# SPDX-License-Identifier: MIT
"""--no-pivot: the root is entered also where pivot_root(2) is refused, as it is on an initramfs.
Here a seccomp filter refuses it; what lies below the container's root is then the host's root,
and the container must not get there. guest/initramfs.sh has the real case."""

import os
import platform
import subprocess

import pytest

from harness import mountinfo, private
from harness.deny import deny
from harness.kernel import eventually
from harness.refused import refused
from harness.runtime import run

SLEEP = ("/bin/sleep", "1000")
ADMIN = ("CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SETFCAP", "CAP_SETUID", "CAP_SETGID",
         "CAP_DAC_OVERRIDE")
# what a container can try to get below its root, or to a procfs without masks
TRIES = {
    "unmount": "umount -l /",
    "unmount in a copy": "unshare -m umount -l /",
    "unmount in a copy of a copy": "unshare -m unshare -m umount -l /",
    "move": "mkdir -p /x && mount --move / /x",
    "whole procfs": "unshare -Urmpf mount -t proc proc /proc",
    "whole procfs in a pid namespace": "unshare -Urmpf sh -c 'mount -t proc proc /tmp'",
    "whole sysfs": "unshare -Urmn mount -t sysfs sysfs /sys",
    "leave by ..": "mkdir -p /tmp/x && chroot /tmp/x /../../../../../../../bin/true",
}


@pytest.fixture
def no_pivot(make_runtime, hako):
    """A runtime where pivot_root(2) fails, and every command that needs it has --no-pivot."""
    made = make_runtime(hako)
    usual = made.run

    def run(*args, **how):
        if args[0] in ("run", "create"):
            args = (args[0], "--no-pivot", *args[1:])
        return usual(*args, **{"preexec_fn": deny(platform.machine(), "pivot_root"), **how})

    made.run = run
    return made


def in_namespace_of(pid, *argv):
    """Run a command at the root of the container's mount namespace: where setns(2) leads to."""
    return subprocess.run(["nsenter", f"--target={pid}", "--mount", "--pid", *argv], check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def test_without_the_option(runtime, bundle, leaks):
    result = runtime.run_bundle(bundle(), check=False,
                                preexec_fn=deny(platform.machine(), "pivot_root"))
    assert result.returncode == 1
    assert "/root/path: " in result.stderr and "--no-pivot" in result.stderr
    assert leaks.wait() == []


@pytest.mark.parametrize("name", ["crun", "runc"])
def test_where_it_can_be_pivoted(runtime, request, bundle, name):
    """The option asks for nothing then: the same container as without, and as others have it."""
    def look(r, *options):
        return sorted(mountinfo.parse(r.run_bundle(bundle("/bin/probe"), *options)
                                      .json()["mounts"]))
    assert look(runtime, "--no-pivot") == look(runtime)
    assert look(runtime, "--no-pivot") == look(request.getfixturevalue(name), "--no-pivot")


def test_what_the_process_sees(no_pivot, runtime, bundle):
    """Nothing is different but the ids of mounts."""
    seen, usual = no_pivot.probe(bundle(), "d:/.."), runtime.probe(bundle(), "d:/..")
    for one in (seen, usual):
        one["mounts"] = {point: (m.type, m.options, m.kinds)
                         for point, m in mountinfo.parse(one["mounts"]).items()}
        one["fds"] = sorted(one["fds"])
        for name in ("namespaces", "keyring", "keyring_id", "status", "cgroup"):
            del one[name]
    assert seen == usual


@pytest.mark.parametrize("readonly", [True, False])
def test_volumes_and_readonly(no_pivot, bundle, tmp_path, readonly):
    (tmp_path / "volume").mkdir()
    b = bundle().mount("/made/volume", tmp_path / "volume", "bind")
    b.config["root"]["readonly"] = readonly
    seen = no_pivot.probe(b, "c:/new", "c:/made/volume/new", "c:/dev/shm/new")
    assert seen["tests"] == {"c:/new": "EROFS" if readonly else "ok",
                             "c:/made/volume/new": "ok", "c:/dev/shm/new": "ok"}
    assert (tmp_path / "volume/new").exists()


def test_hooks_and_exec(no_pivot, bundle, tmp_path):
    b = bundle(*SLEEP)
    names = {"createRuntime", "createContainer", "poststart", "poststop"}
    b.config["hooks"] = {name: [{"path": "/bin/sh", "args": ["sh", "-c", f"cat >{tmp_path}/{name}"]}]
                         for name in names}
    b.config["hooks"]["startContainer"] = [{"path": "/bin/touch", "args": ["touch", "/ran"]}]
    box = no_pivot.container(b)
    box.create()
    box.start()
    assert (b.rootfs / "ran").exists()
    assert box.exec("/bin/ls", "/").stdout == "".join(
        f"{name}\n" for name in sorted(os.listdir(b.rootfs)))
    box.delete("--force")
    assert names <= set(os.listdir(tmp_path))


# --- nothing of the host ---

@pytest.mark.parametrize("name", TRIES)
@pytest.mark.parametrize("user_namespace", [False, True])
def test_ways_out(no_pivot, bundle, name, user_namespace):
    b = bundle().capabilities(*ADMIN)
    b.process["noNewPrivileges"] = False
    if user_namespace:
        b.user_namespace()
        for folder in ("tmp", ""):
            os.chown(b.rootfs / folder, 1_000_000, 1_000_000)
    b.sh(f"{TRIES[name]} && echo out; exit 0")
    result = no_pivot.run_bundle(b)
    assert result.stdout == "" and result.stderr != ""


@pytest.mark.parametrize("user_namespace", [False, True])
def test_the_namespace_ends_at_the_root(no_pivot, bundle, user_namespace):
    b = bundle(*SLEEP)
    box = no_pivot.container(b.user_namespace() if user_namespace else b)
    box.run("--detach")
    b.file("/witness")
    assert "witness" in in_namespace_of(box.pid, "/bin/ls", "/").split()
    points = {m.point for m in map(mountinfo.Mount, in_namespace_of(
        box.pid, "/bin/cat", "/proc/self/mountinfo").splitlines())}
    assert points == mountinfo.of_process(box.pid).keys()


@pytest.mark.parametrize("mode", [None, "private", "rprivate", "slave", "rslave", "unbindable",
                                  "runbindable"])
def test_propagation(no_pivot, bundle, mode):
    """Nothing that is taken off here is taken off on the host."""
    b = bundle(*SLEEP)
    if mode:
        b.linux["rootfsPropagation"] = mode
    before = private.mounts()
    box = no_pivot.container(b)
    box.run("--detach")
    kinds = mountinfo.of_process(box.pid)["/"].kinds
    assert kinds == ({"unbindable"} if mode and "unbindable" in mode else set())
    assert private.mounts() == before


@pytest.mark.parametrize("mode", ["shared", "rshared"])
def test_shared_mounts_stay_shared(no_pivot, bundle, tmp_path, mode):
    """They cannot be locked; that is said, and is an error with --strict."""
    volume = tmp_path / "shared"
    volume.mkdir()
    private.mount("tmpfs", volume, "tmpfs")
    private.mount(None, volume, None, 0x100000)  # MS_SHARED
    (volume / "sub").mkdir()
    (volume / "theirs").mkdir()
    for _ in range(2):  # one on the other
        private.mount("tmpfs", volume / "theirs", "tmpfs")
    try:
        b = bundle().mount("/volume", volume, "rbind", "rshared").capabilities("CAP_SYS_ADMIN")
        b.linux["rootfsPropagation"] = mode
        before = private.mounts()
        box = no_pivot.container(b.sh("mount -t tmpfs t /volume/sub && exec sleep 1000"))
        no_pivot.options = ["--log-level", "warning"]
        assert "root-unlocked" in box.run("--detach").stderr
        eventually(lambda: len(private.mounts()) == len(before) + 1)
        private.umount(volume / "sub")
        assert private.mounts() == before
        box.delete("--force")
        no_pivot.options = ["--strict"]
        assert "cannot be locked" in refused(no_pivot, b)
        assert private.mounts() == before
    finally:
        for target in (volume / "theirs", volume / "theirs", volume):
            private.umount(target)
    no_pivot.options = []


def test_odd_mounts_of_the_host(no_pivot, bundle, tmp_path):
    """Names with spaces, one mount on another, and one that hides others."""
    folder = tmp_path / "with space\\and\ttab"
    (folder / "below").mkdir(parents=True)
    targets = [folder / "below", folder, folder]
    for target in targets:
        private.mount("tmpfs", target, "tmpfs")
    before = private.mounts()
    try:
        box = no_pivot.container(bundle(*SLEEP))
        box.run("--detach")
        points = {m.point for m in map(mountinfo.Mount, in_namespace_of(
            box.pid, "/bin/cat", "/proc/self/mountinfo").splitlines())}
        assert points == mountinfo.of_process(box.pid).keys()
        assert private.mounts() == before
    finally:
        for target in reversed(targets):
            private.umount(target)


def test_unbindable_volume(no_pivot, runtime, bundle, tmp_path):
    """It cannot come along."""
    (tmp_path / "volume").mkdir()
    b = bundle().mount("/volume", tmp_path / "volume", "rbind", "unbindable")
    assert "unbindable" in refused(no_pivot, b, f"/mounts/{len(b.mounts) - 1}/options")
    kinds = mountinfo.parse(runtime.probe(b)["mounts"])["/volume"].kinds
    assert kinds == {"unbindable"}


@pytest.mark.parametrize("name", TRIES)
def test_hako_in_a_user_namespace(no_pivot, bundle, name):
    """The host's mounts are locked although the container has no user namespace of its own."""
    b = bundle().sh(f"id -u >&2; {TRIES[name]} && echo out; exit 0").capabilities(*ADMIN)
    b.process["noNewPrivileges"] = False
    b.without_namespace("cgroup", "network")
    b.without_mount("/sys", "/sys/fs/cgroup", "/dev/mqueue")
    b.mounts[1]["options"] = b.mounts[2]["options"] = []
    result = run(["unshare", "-Urmp", "--mount-proc", "-f", *no_pivot.argv(
        "run", "--no-pivot", "--bundle", b, no_pivot.new_id())], env=no_pivot.environment,
        preexec_fn=deny(platform.machine(), "pivot_root"))
    assert result.stdout == "" and result.stderr.startswith("0\n") and len(result.stderr) > 3
