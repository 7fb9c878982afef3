# SPDX-License-Identifier: MIT
"""root, rootfsPropagation, and that nothing of the host's tree is left to be seen."""

import os
import time

import pytest

from harness import mountinfo, private
from harness.refused import refused
from harness.runtime import SCALE

MS_SHARED, MS_REC = 0x100000, 0x4000


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
    private.mount(tmp, target, None, 0x1000)  # MS_BIND; shared, as its parent is
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
    seen = runtime.probe(b, "d:/", f"d:{tmp_path}", "d:/..", "d:/proc/1/root/work")
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
    None: (set(), {"master"}),
    "private": (set(), set()), "rprivate": (set(), set()),
    "slave": (set(), {"master"}), "rslave": (set(), {"master"}),
    "shared": ({"shared"}, {"shared"}), "rshared": ({"shared"}, {"shared"}),
    "unbindable": ({"unbindable"}, set()), "runbindable": ({"unbindable"}, {"unbindable"}),
}


@pytest.mark.parametrize("mode", PROPAGATION)
def test_propagation(runtime, bundle, shared, mode):
    b = bundle().mount("/volume", shared, "rbind")
    if mode:
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
def test_events_of_a_volume(runtime, bundle, shared, mode, option, to_container, to_host):
    """A mount on the host is seen in the container or not, and the other way round."""
    (shared / "theirs").mkdir()
    b = bundle().mount("/volume", shared, "rbind", option).capabilities("CAP_SYS_ADMIN")
    if mode:
        b.linux["rootfsPropagation"] = mode
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
