# SPDX-License-Identifier: MIT
"""root, rootfsPropagation, and that nothing of the host's tree is left to be seen."""

import os
import time

import pytest

from harness import mountinfo, private
from harness.refused import refused
from harness.runtime import SCALE, run

MS_RDONLY, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_SHARED = 1, 8, 32, 0x1000, 0x4000, 0x100000


@pytest.fixture
def shared(tmp_path):
    """A shared tmpfs of the host, with a directory "below"."""
    top = tmp_path / "shared"
    top.mkdir()
    private.mount("tmpfs", top, "tmpfs")
    private.mount(None, top, None, MS_SHARED | MS_REC)
    (top / "below").mkdir()
    yield top
    private.umount(top)


def below(bundle, shared):
    """The bundle's rootfs as it would be on a machine whose / is shared: below a shared mount."""
    target = shared / "rootfs"
    os.rename(bundle.rootfs, tmp := bundle.path / "tree")
    target.mkdir()
    private.mount(tmp, target, None, MS_BIND)  # shared, as its parent is
    bundle.config["root"]["path"] = str(target)
    bundle.rootfs = target
    return bundle


def wait_for(condition):
    end = time.monotonic() + 10 * SCALE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# --- path, readonly ---

@pytest.mark.parametrize("path", ["rootfs", "./rootfs", "other/../rootfs", "{bundle}/rootfs",
                                  "{bundle}/link"])
def test_path(runtime, bundle, path):
    b = bundle()
    (b.path / "other").mkdir()
    (b.path / "link").symlink_to("rootfs")
    b.file("/etc/witness", "this one")
    b.config["root"]["path"] = path.format(bundle=b.path)
    seen = runtime.probe(b, "cat:/etc/witness")
    assert seen["tests"]["cat:/etc/witness"] == "this one"
    assert mountinfo.parse(seen["mounts"])["/"].root.endswith("/rootfs")


@pytest.mark.parametrize("path, message", [("absent", "no such file or directory"),
                                           ("file", "not a directory"),
                                           ("file/x", "not a directory"),
                                           ("loop", "symbolic links")])
def test_path_that_is_no_directory(runtime, bundle, path, message):
    b = bundle()
    (b.path / "file").write_text("")
    (b.path / "loop").symlink_to("loop")
    b.config["root"]["path"] = path
    assert message in refused(runtime, b, "/root/path")


def test_readonly(runtime, bundle, tmp_path):
    (tmp_path / "volume").mkdir()
    b = bundle().mount("/made/volume", tmp_path / "volume", "bind")
    b.config["root"]["readonly"] = True
    b.process["cwd"] = "/made/cwd"
    seen = runtime.probe(b, "c:/new", "w:/etc/passwd", "c:/made/volume/new", "c:/dev/shm/new",
                         "c:new")
    assert "ro" in mountinfo.parse(seen["mounts"])["/"].options
    assert seen["tests"] == {"c:/new": "EROFS", "w:/etc/passwd": "EROFS",
                             "c:/made/volume/new": "ok",
                             "c:/dev/shm/new": "ok", "c:new": "EROFS"}
    b.file("/etc/new", "the host still writes")


def test_readonly_false_is_writable(runtime, bundle):
    assert runtime.probe(bundle(), "c:/new", "w:/etc/passwd")["tests"] == {"c:/new": "ok",
                                                                           "w:/etc/passwd": "ok"}


# --- pivot ---

def test_nothing_of_the_host_is_left(runtime, bundle, tmp_path):
    b = bundle()
    host = os.stat("/")
    seen = runtime.probe(b, "d:/", f"d:{tmp_path}", "d:/..")
    points = mountinfo.parse(seen["mounts"])
    assert not any(p.startswith(str(tmp_path)) or p in ("/tmp", "/run", "/home") for p in points)
    mounts = [mountinfo.Mount(line) for line in seen["mounts"]]
    assert sum(m.point == "/" for m in mounts) == 1  # the old root is not stacked below or above
    known = {m.id for m in mounts}
    assert [m.point for m in mounts if m.parent not in known] == ["/"]
    assert seen["tests"][f"d:{tmp_path}"] == "ENOENT"
    inside = runtime.run_bundle(b.sh("stat -c '%d:%i' / /.. /../.. /proc/1/root/..")).stdout.split()
    assert len(set(inside)) == 1 and inside[0] != f"{host.st_dev}:{host.st_ino}"


def test_mounts_of_the_host_below_the_rootfs_come_along(runtime, bundle):
    b = bundle()
    (b.rootfs / "volume").mkdir()
    private.mount("tmpfs", b.rootfs / "volume", "tmpfs")
    (b.rootfs / "volume/file").write_text("there")
    try:
        assert runtime.probe(b, "cat:/volume/file")["tests"] == {"cat:/volume/file": "there"}
    finally:
        private.umount(b.rootfs / "volume")


# --- propagation ---

# rootfsPropagation -> of the container's root, of a mount that is shared on the host
PROPAGATION = {
    None: (set(), {"master"}), "": (set(), {"master"}),
    "private": (set(), set()), "rprivate": (set(), set()),
    "slave": (set(), {"master"}), "rslave": (set(), {"master"}),
    "shared": ({"shared"}, {"shared"}), "rshared": ({"shared"}, {"shared"}),
    "unbindable": ({"unbindable"}, set()), "runbindable": ({"unbindable"}, {"unbindable"}),
}


@pytest.mark.parametrize("mode", PROPAGATION)
def test_propagation(runtime, bundle, shared, mode):
    b = bundle().mount("/volume", shared, "rbind")
    if mode is not None:
        b.linux["rootfsPropagation"] = mode
    before = private.mounts()
    found = mountinfo.parse(runtime.probe(b)["mounts"])
    assert (found["/"].kinds, found["/volume"].kinds) == PROPAGATION[mode]
    assert private.mounts() == before


@pytest.mark.parametrize("mode", PROPAGATION)
def test_rootfs_on_a_shared_mount_leaks_nothing(runtime, bundle, shared, mode):
    b = below(bundle(), shared)
    b.mount("/inner", "tmpfs", "size=4k", type="tmpfs")
    if mode:
        b.linux["rootfsPropagation"] = mode
    b.capabilities("CAP_SYS_ADMIN")
    before = private.mounts()
    box = runtime.container(b.sh("mount -t tmpfs t /var && echo up && exec sleep 100"), None)
    out = box.create()
    assert private.mounts() == before
    box.start()
    wait_for(lambda: "up" in out.stdout)
    found = mountinfo.of_process(box.pid)
    assert found.keys() >= {"/", "/inner", "/proc", "/var"}
    assert private.mounts() == before  # what the container mounts by itself stays there as well
    box.delete("--force")
    assert private.mounts() == before


@pytest.mark.parametrize("mode, option, to_container, to_host", [
    (None, "rslave", True, False), (None, "rprivate", False, False),
    ("slave", "rshared", True, False),
    ("shared", "rshared", True, True), ("rshared", "rshared", True, True),
    ("shared", "rslave", True, False),
    ("shared", "rprivate", False, False), ("private", "rshared", False, False),
])
@pytest.mark.parametrize("userns", (False, True))
def test_events_of_a_volume(runtime, bundle, shared, userns, mode, option, to_container, to_host):
    """A mount on the host is seen in the container or not, and the other way round; from a user
    namespace none ever leaves."""
    (shared / "theirs").mkdir()
    b = bundle().mount("/volume", shared, "rbind", option).capabilities("CAP_SYS_ADMIN")
    if mode:
        b.linux["rootfsPropagation"] = mode
    if userns:
        b.user_namespace([(0, 0, 65536)])
    before = private.mounts()
    box = runtime.container(b.sh("mount -t tmpfs t /volume/theirs && echo up && exec sleep 100"),
                            None)
    out = box.create()
    private.mount("tmpfs", shared / "below", "tmpfs")
    box.start()
    wait_for(lambda: "up" in out.stdout)
    assert ("/volume/below" in mountinfo.of_process(box.pid)) == to_container
    assert (str(shared / "theirs") in mountinfo.of_process()) == to_host
    private.umount(shared / "below")
    assert "/volume/below" not in mountinfo.of_process(box.pid) or not to_container
    box.delete("--force")
    if to_host:  # it belongs to the host now
        private.umount(shared / "theirs")
    assert private.mounts() == before


def test_unbindable_root_cannot_be_bound(runtime, bundle):
    b = bundle().capabilities("CAP_SYS_ADMIN")
    b.linux["rootfsPropagation"] = "unbindable"
    result = runtime.run_bundle(b.sh("mount --bind /etc /var"), check=False)
    assert result.returncode != 0 and "Invalid argument" in result.stderr


def test_unknown_propagation(runtime, bundle):
    b = bundle()
    b.linux["rootfsPropagation"] = "public"
    assert "public" in refused(runtime, b, "/linux/rootfsPropagation")


# --- what a rootfs may lie on ---

@pytest.mark.parametrize("userns", (False, True))
@pytest.mark.parametrize("mode", PROPAGATION)
def test_machine_whose_mounts_are_all_shared(runtime, bundle, tmp_path, mode, userns):
    """As systemd leaves them. Only what is mounted on a shared volume comes back."""
    (tmp_path / "volume/theirs").mkdir(parents=True)
    b = bundle().mount("/volume", tmp_path / "volume", "rbind", "rslave")
    b.mount("/inner", "tmpfs", "size=4k", type="tmpfs").capabilities("CAP_SYS_ADMIN")
    if mode:
        b.linux["rootfsPropagation"] = mode
    if userns:
        b.user_namespace([(0, 0, 65536)])
    b.sh("mount -t tmpfs t /var && mount -t tmpfs t /inner && mount -t tmpfs t /volume/theirs")
    script = f"""cd {tmp_path}; mount -t tmpfs t volume; mkdir volume/theirs; mount --make-rshared /
        cat /proc/self/mountinfo >before; "$@"; cat /proc/self/mountinfo >after"""
    run(["unshare", "--mount", "sh", "-ec", script, "sh",
         *runtime.argv("run", "--bundle", b, runtime.new_id())], env=runtime.environment)
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()


def test_overlay(runtime, bundle):
    """What engines use: an overlay, which nobody holds when the container has gone."""
    b = bundle()
    for name in ("upper", "work", "merged"):
        (b.path / name).mkdir()
    data = f"lowerdir={b.rootfs},upperdir={b.path}/upper,workdir={b.path}/work"
    run(["mount", "-t", "overlay", "-o", data, "overlay", b.path / "merged"])
    try:
        b.config["root"]["path"] = "merged"
        found = mountinfo.parse(runtime.probe(b, "c:/new")["mounts"])
        assert found["/"].type == "overlay"
    finally:
        run(["umount", b.path / "merged"])  # not lazily: EBUSY would tell
    assert (b.path / "upper/new").exists() and not (b.rootfs / "new").exists()


def test_filesystem_that_is_read_only(runtime, bundle):
    """Mount points that are there are enough; one that is missing cannot be made."""
    b = bundle()
    private.mount(b.rootfs, b.rootfs, None, MS_BIND)
    private.mount(None, b.rootfs, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
    try:
        seen = runtime.probe(b, "c:/new", "c:/dev/shm/new")
        assert seen["tests"] == {"c:/new": "EROFS", "c:/dev/shm/new": "ok"}
        b.mount("/absent", "tmpfs", "size=4k", type="tmpfs")
        assert "read-only file system" in refused(runtime, b, "/mounts/7")
    finally:
        private.umount(b.rootfs)


def test_filesystem_without_programs(runtime, bundle):
    b = bundle("/bin/true")
    private.mount(b.rootfs, b.rootfs, None, MS_BIND)
    private.mount(None, b.rootfs, None, MS_BIND | MS_REMOUNT | MS_NOEXEC)
    try:
        assert 'exec: "/bin/true": permission denied' in refused(runtime, b, "/process/args")
    finally:
        private.umount(b.rootfs)


# --- in the mount namespace of the runtime -----------------------------------------------------

@pytest.fixture
def host(bundle, shared):
    """host(where, *args): a bundle without namespaces, in a folder or below a shared mount."""
    def make(where, *args):
        b = bundle(*args or ("/bin/sleep", "1000"))
        if where == "shared":
            b = below(b, shared)
        b.linux["namespaces"] = []
        b.config["root"]["readonly"] = True
        del b.config["hostname"]
        return b
    return make


def own_mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("where", ["folder", "shared"])
def test_mounts_of_the_host(runtime, host, where):
    """They are made on the rootfs, which is covered, and are gone with the container."""
    b = host(where)
    before = own_mounts()
    assert "covers " in runtime.run("plan", b.save().path).stdout
    box = runtime.container(b)
    box.create()
    box.start()
    assert os.readlink(f"/proc/{box.pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    inside = mountinfo.of_process(box.pid)
    rootfs = os.path.realpath(b.config["root"]["path"] if where == "shared" else b.rootfs)
    assert {"/", "/proc", "/dev", "/dev/pts", "/sys"} <= set(inside)
    assert "ro" in inside["/"].options and inside["/"].kinds == set()
    new = [line for line in own_mounts().splitlines() if line not in before]
    assert len(new) >= len(inside)
    assert all(line.split()[4].startswith(rootfs) for line in new)
    assert box.exec("/bin/cat", "/proc/keys").stdout == ""
    assert "Read-only" in box.exec("/bin/touch", "/x", check=False).stderr
    box.delete("--force")
    assert own_mounts() == before


def test_mounts_of_the_host_of_a_run(runtime, host):
    before = own_mounts()
    assert runtime.run_bundle(host("folder", "/bin/cat", "/proc/self/comm")).stdout == "cat\n"
    assert own_mounts() == before


def test_mounts_of_the_host_are_taken_back(runtime, host):
    b = host("folder")
    b.config["mounts"].append({"destination": "/tmp", "type": "sysfz"})
    before = own_mounts()
    refused(runtime, b, f"/mounts/{len(b.mounts) - 1}/type")
    assert own_mounts() == before


@pytest.mark.parametrize("call, command", [("statx", "create"), ("umount2", "create"),
                                           ("statx", "delete"),
                                           ("umount2", "delete"), ("read", "delete")])
def test_mounts_of_the_host_and_a_failing_call(runtime, host, tmp_path, call, command):
    """Mounts that cannot be taken off are not forgotten."""
    b = host("folder")
    hook = {"path": "/bin/false" if (call, command) == ("umount2", "create") else "/bin/true"}
    b.config["hooks"] = {"createRuntime": [hook]}
    box = runtime.container(b)
    before = own_mounts()
    argv = runtime.argv("create", "--bundle", b, box.id)
    if command == "delete":
        box.create()
        argv = runtime.argv("delete", "--force", box.id)
    trace = tmp_path / "trace"
    when, where = "1", []
    if call == "statx":  # sanitizers have some of their own
        where = ["-P", b.rootfs]
    if call == "read":  # that of mountinfo
        run(["strace", "-o", trace, "-e", "trace=read", "-y", *argv], env=runtime.environment)
        reads = trace.read_text().splitlines()
        when = str(next(i for i, row in enumerate(reads, 1) if "/mountinfo>" in row))
        box.create()
    result = run(["strace", "-qq", "-o", "/dev/null", "-e", f"inject={call}:error=EPERM:when={when}",
                  *where, *argv], env=runtime.environment, check=False)
    assert result.returncode == 1, result
    box.delete("--force")
    assert own_mounts() == before


def test_mounts_of_the_host_of_a_create_that_was_killed(runtime, host):
    b = host("folder")
    b.config["hooks"] = {"createContainer": [{"path": "/bin/sleep", "args": ["sleep", "1000"]}]}
    before = own_mounts()
    box = runtime.container(b)
    with runtime.popen("create", "--bundle", b, box.id) as process:
        wait_for(lambda: f"{b.rootfs}/sys" in own_mounts())
        process.kill()
    box.delete("--force")
    assert own_mounts() == before


def test_mounts_of_the_host_that_are_gone(runtime, host):
    """Somebody has unmounted the rootfs, and mounted something himself: that is his."""
    box = runtime.container(host("folder"))
    box.create()
    private.umount(box.bundle.rootfs)
    before = own_mounts()
    box.delete("--force")
    assert own_mounts() == before


@pytest.mark.parametrize("damage", [lambda file: file.write_text("{"), os.unlink])
def test_mounts_of_the_host_of_a_container_with_a_damaged_state(runtime, host, damage):
    box = runtime.container(host("folder"))
    before = own_mounts()
    box.create()
    box.start()
    damage(runtime.root / box.id / "state.json")
    box.delete("--force")
    assert own_mounts() == before


def test_mount_of_somebody_else_and_a_damaged_state(runtime, host):
    box = runtime.container(host("folder"))
    private.mount(box.bundle.rootfs, box.bundle.rootfs, None, private.MS_BIND)
    before = own_mounts()
    box.create()
    private.umount(box.bundle.rootfs)  # hako's, which is on it
    (runtime.root / box.id / "state.json").write_text("")
    box.delete("--force")
    assert own_mounts() == before
    private.umount(box.bundle.rootfs)


@pytest.mark.parametrize("change", ["user namespace", "/"])
def test_mounts_of_the_host_that_cannot_be(runtime, host, change):
    b = host("folder")
    b.config["mounts"] = [{"destination": "/tmp", "type": "tmpfs"}]
    if change == "/":
        b.config["root"] = {"path": "/"}
    else:
        b.user_namespace()
    assert "needs a namespace of type mount" in refused(runtime, b, "/mounts")
