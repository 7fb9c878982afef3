# SPDX-License-Identifier: MIT
"""What the specification's own validation programs ask of a runtime, as far as no other file of
these tests has it by the way."""

import os
import pathlib
import stat

import pytest

from harness import mountinfo, private
from harness.kernel import eventually
from harness.refused import refused

SPECIAL = {"character": stat.S_IFCHR, "block": stat.S_IFBLK, "pipe": stat.S_IFIFO}


@pytest.mark.parametrize("member", ["maskedPaths", "readonlyPaths"])
@pytest.mark.parametrize("kind", SPECIAL)
def test_special_files(runtime, bundle, kind, member):
    """A masked one is /dev/null; a read-only one cannot be removed, nor its mode be changed."""
    b = bundle()
    b.linux.update({"maskedPaths": [], "readonlyPaths": [], member: ["/special", "/folder/special"]})
    (b.rootfs / "folder").mkdir()
    for path in ("special", "folder/special"):
        os.mknod(b.rootfs / path, SPECIAL[kind] | 0o666, os.makedev(1, 5))
    mode = stat.S_IMODE(os.stat(b.rootfs / "special").st_mode)
    null = os.stat("/dev/null")
    b.sh("for f in /special /folder/special; do stat -c '%F %t:%T' $f; chmod 600 $f; rm -f $f; done")
    result = runtime.run_bundle(b, check=False)
    device = {"character": "character special file 1:5", "block": "block special file 1:5",
              "pipe": "fifo 0:0"}[kind]
    if member == "maskedPaths":
        device = "character special file 1:3"
    assert result.stdout.splitlines() == [device] * 2, result
    assert result.stderr.count("Read-only file system") == 2
    assert result.stderr.count("resource busy") == 2
    assert os.stat("/dev/null").st_mode == null.st_mode
    for path in ("special", "folder/special"):  # the host's are as they were
        assert stat.S_IFMT(os.stat(b.rootfs / path).st_mode) == SPECIAL[kind]
        assert stat.S_IMODE(os.stat(b.rootfs / path).st_mode) == mode


def test_mounts_are_in_order(runtime, bundle, tmp_path):
    """mountinfo lists them as they were made."""
    b = bundle()
    for n in range(9, 0, -1):
        b.mount(f"/m/{n}", *(("tmpfs",) if n % 2 else (tmp_path,)),
                *(("size=4k",) if n % 2 else ("rbind",)), type="tmpfs" if n % 2 else "bind")
    points = [mountinfo.Mount(line).point for line in runtime.probe(b)["mounts"]]
    wanted = [mount["destination"] for mount in b.mounts]
    assert [point for point in points if point in wanted] == wanted


def test_what_nobody_knows_is_no_error(runtime, bundle):
    b = bundle()
    b.config["annotations"] = {"org.example.nobody.knows": ""}
    b.config["unknown"] = {"more": [1, {"x": None}]}
    b.process["unknown"] = b.linux["unknown"] = b.mounts[0]["unknown"] = "word"
    box = runtime.container(b.sh("sleep 1000"))
    assert box.create().stderr == ""
    assert box.state()["annotations"] == {"org.example.nobody.knows": ""}


@pytest.mark.parametrize("version", ["invalid", "", "1", "1.0", "2.0.0", "0.5.0", "01.0.0", "1.0.0-"])
def test_versions_that_are_none(runtime, bundle, version):
    b = bundle()
    b.config["ociVersion"] = version
    refused(runtime, b, "/ociVersion")


def test_delete_removes_only_what_create_made(runtime, bundle, token):
    """A cgroup and a mount of somebody else, in which the container has been, stay."""
    other = pathlib.Path(private.CGROUP, f"{token}-other")
    other.mkdir()
    try:
        box = runtime.container(bundle("/bin/sleep", "1000"))
        box.create()
        own = pathlib.Path(private.CGROUP, pathlib.Path(
            f"/proc/{box.pid}/cgroup").read_text().strip().rpartition("::/")[2])
        (other / "cgroup.procs").write_text(str(box.pid))
        box.start()
        box.delete("--force")
        eventually(lambda: (other / "cgroup.procs").read_text() == "")
        assert (other.exists(), own.exists()) == (True, False)
    finally:
        other.rmdir()


def test_start_has_no_effect_twice(runtime, bundle):
    """Neither on a running container nor on one that has ended; the program ran once."""
    box = runtime.container(bundle().sh("echo x >>/ran; test -e /go || sleep 1000"))
    box.create()
    assert not (box.bundle.rootfs / "ran").exists()  # not before start
    box.start()
    eventually((box.bundle.rootfs / "ran").exists)
    assert "already running" in box.start(check=False).stderr
    assert box.status == "running"
    box.kill("KILL")
    box.wait_for("stopped")
    assert "has stopped" in box.start(check=False).stderr
    assert (box.bundle.rootfs / "ran").read_text() == "x\n"
