# SPDX-License-Identifier: MIT
"""maskedPaths and readonlyPaths (config-linux.md): what a process with every capability that root
of a container can have is still refused."""

import os

import pytest

from harness import mountinfo
from harness.refused import refused

NULL = "character special file 1:3"


@pytest.fixture
def masked(runtime, bundle):
    """masked(paths, script, prepare): output of a script in a container that masks these paths."""
    def run(paths, script, prepare=lambda bundle: None, **linux):
        b = bundle().sh(script).capabilities("CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH",
                                             "CAP_FOWNER")
        b.linux.update({"maskedPaths": list(paths), "readonlyPaths": [], **linux})
        b.file("/etc/secret", "secret")
        b.file("/folder/secret", "secret")
        prepare(b)
        return runtime.run_bundle(b)

    return run


def test_masked_file(masked):
    result = masked(["/etc/secret"],
                    "cat /etc/secret; echo x >/etc/secret; stat -c '%F %t:%T' /etc/secret")
    assert (result.stdout, result.stderr) == (NULL + "\n", "")


def test_masked_file_of_the_host_is_untouched(masked, bundle):
    made = []
    masked(["/etc/secret"], "echo x >/etc/secret", made.append)
    assert (made[0].rootfs / "etc/secret").read_text() == "secret"


def test_masked_directory(masked):
    result = masked(["/folder"], "ls -A /folder; touch /folder/new; mkdir /folder/sub; true")
    assert result.stdout == "" and result.stderr.count("Read-only file system") == 2


@pytest.mark.parametrize("paths, covered", [
    (["/etc/secret"] * 3, {"/etc/secret"}),
    (["/folder", "/folder", "/folder/"], {"/folder"}),
    (["/etc/secret/", "/./etc//secret"], {"/etc/secret"}),
    (["/folder", "/folder/secret"], {"/folder"}),  # hidden already
    (["/folder/secret", "/folder"], {"/folder", "/folder/secret"}),
    (["/folder/secret"], {"/folder/secret"}),
    (["/absent", "/absent/below", "/etc/secret/below", "/proc/absent"], set()),
    (["/folder/../etc/./secret", "//folder"], {"/etc/secret", "/folder"}),
    (["/etc", "/folder", "/var", "/usr"], {"/etc", "/folder", "/var", "/usr"}),
    (["/tmp/link"], {"/etc/secret"}),
    (["/tmp/dangling", "/tmp/loop"], None),
])
def test_which_paths(runtime, bundle, paths, covered):
    b = bundle()
    b.linux.update(maskedPaths=paths, readonlyPaths=[])
    b.file("/etc/secret", "secret")
    b.file("/folder/secret", "secret")
    (b.rootfs / "tmp/link").symlink_to("/etc/secret")
    (b.rootfs / "tmp/dangling").symlink_to("/nowhere")
    (b.rootfs / "tmp/loop").symlink_to("loop")
    if covered is None:  # whether it leads to a secret cannot be told
        assert "/tmp/loop" in refused(runtime, b, "/linux/maskedPaths/1")
        return
    before = {"/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"}
    points = [mountinfo.Mount(line).point for line in runtime.probe(b)["mounts"]]
    assert sorted(p for p in points if p not in before) == sorted(covered)  # each once


def test_directories_share_one_tmpfs(runtime, bundle):
    b = bundle()
    b.linux.update(maskedPaths=["/etc", "/var", "/tmp", "/usr"], readonlyPaths=[])
    found = mountinfo.parse(runtime.probe(b)["mounts"])
    covers = [found[path] for path in b.linux["maskedPaths"]]
    assert len({m.line.split()[2] for m in covers}) == 1  # one device number
    for m in covers:
        assert m.type == "tmpfs" and m.options >= {"ro", "nosuid", "nodev", "noexec"}
        assert "ro" in m.superblock


def test_a_container_cannot_uncover(masked):
    result = masked(["/etc/secret", "/folder"],
                    "umount /etc/secret; mount -o remount,rw /folder; cat /etc/secret")
    assert "secret" not in result.stdout


def test_kernel_files(runtime, bundle):
    """The usual list, under /proc and /sys."""
    b = bundle().capabilities("CAP_DAC_OVERRIDE", "CAP_SYS_PTRACE")
    masks = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/proc/scsi",
             "/sys/kernel/notes", "/proc/self/environ", "/sys/fs/cgroup"]
    b.linux["maskedPaths"] = [path for path in masks if os.path.exists(path)
                              or path.startswith("/proc/self")]
    seen = runtime.probe(b, *(f"cat:{path}" for path in b.linux["maskedPaths"]
                              if not os.path.isdir(path)))
    found = mountinfo.parse(seen["mounts"])
    assert len(b.linux["maskedPaths"]) >= 5
    assert set(seen["tests"].values()) == {""}
    for path in b.linux["maskedPaths"]:
        point = path.replace("self", "1")
        assert found[point].type == "tmpfs" if os.path.isdir(path) else "null" in found[point].root


def test_masked_paths_in_user_namespace(runtime, bundle):
    b = bundle().user_namespace()
    b.file("/etc/secret", "secret")
    b.file("/folder/secret", "secret")
    b.linux["maskedPaths"] = ["/etc/secret", "/folder", "/proc/keys"]
    seen = runtime.probe(b, "cat:/etc/secret", "r:/folder/secret", "c:/folder/new",
                         "cat:/proc/keys")
    assert seen["tests"] == {"cat:/etc/secret": "", "r:/folder/secret": "ENOENT",
                             "c:/folder/new": "EROFS",
                             "cat:/proc/keys": ""}


# --- read-only ---

def test_readonly_paths(runtime, bundle):
    b = bundle().capabilities("CAP_DAC_OVERRIDE", "CAP_NET_ADMIN", "CAP_SYS_ADMIN")
    b.file("/folder/sub/file", "text")
    b.linux.update(maskedPaths=[], readonlyPaths=["/proc/sys", "/etc/passwd", "/folder", "/folder",
                                                  "/absent"])
    seen = runtime.probe(b, "w:/proc/sys/net/ipv4/ip_forward", "w:/etc/passwd",
                         "w:/folder/sub/file",
                         "c:/folder/new", "w:/etc/group", "cat:/folder/sub/file", "r:/absent")
    assert seen["tests"] == {
        "w:/proc/sys/net/ipv4/ip_forward": "EROFS", "w:/etc/passwd": "EROFS",
        "w:/folder/sub/file": "EROFS",
        "c:/folder/new": "EROFS", "w:/etc/group": "ok", "cat:/folder/sub/file": "text",
        "r:/absent": "ENOENT"}
    found = mountinfo.parse(seen["mounts"])
    assert all("ro" in found[path].options for path in ("/proc/sys", "/etc/passwd", "/folder"))
    assert "rw" in found["/proc"].options


def test_readonly_keeps_the_options_of_the_mount(runtime, bundle):
    b = bundle().mount("/data", "tmpfs", "nosuid", "nodev", "noexec", "noatime", type="tmpfs")
    (b.rootfs / "data").mkdir()
    b.linux.update(maskedPaths=[], readonlyPaths=["/data"])
    found = mountinfo.parse(runtime.probe(b)["mounts"])
    assert found["/data"].options >= {"ro", "nosuid", "nodev", "noexec", "noatime"}


def test_readonly_is_recursive(runtime, bundle):
    """A mount below a read-only path is no way to write there."""
    b = bundle().mount("/data", "tmpfs", "size=8k", type="tmpfs").mount("/data/sub", "tmpfs",
                                                                        "size=8k", type="tmpfs")
    b.linux.update(maskedPaths=[], readonlyPaths=["/data"])
    assert runtime.probe(b, "c:/data/x", "c:/data/sub/x")["tests"] == {"c:/data/x": "EROFS",
                                                                       "c:/data/sub/x": "EROFS"}


def test_masked_and_readonly(runtime, bundle):
    b = bundle()
    b.file("/folder/secret", "secret")
    b.file("/folder/open", "open")
    b.linux.update(maskedPaths=["/folder/secret"], readonlyPaths=["/folder", "/folder/secret"])
    assert runtime.probe(b, "cat:/folder/secret", "cat:/folder/open", "c:/folder/new")["tests"] == {
        "cat:/folder/secret": "", "cat:/folder/open": "open", "c:/folder/new": "EROFS"}


def test_exec_sees_the_same(runtime, bundle):
    b = bundle("/bin/sleep", "100")
    b.file("/etc/secret", "secret")
    b.linux.update(maskedPaths=["/etc/secret"], readonlyPaths=["/etc/passwd"])
    box = runtime.container(b)
    box.create()
    box.start()
    assert box.probe("cat:/etc/secret", "w:/etc/passwd")["tests"] == {
        "cat:/etc/secret": "", "w:/etc/passwd": "EROFS"}


@pytest.mark.parametrize("member", ["maskedPaths", "readonlyPaths"])
def test_relative_paths_are_refused(runtime, bundle, member):
    b = bundle()
    b.linux[member] = ["/etc", "relative"]
    refused(runtime, b, f"/linux/{member}/1")


def test_links_stay_inside(runtime, bundle, tmp_path):
    """A link of the image leads to a path of the image, not of the host."""
    (tmp_path / "host").write_text("host")
    b = bundle()
    (b.rootfs / "etc/mask").symlink_to(tmp_path / "host")
    (b.rootfs / "etc/readonly").symlink_to("../../../../../../.." + str(tmp_path / "host"))
    b.linux.update(maskedPaths=["/etc/mask"], readonlyPaths=["/etc/readonly"])
    runtime.run_bundle(b)
    (tmp_path / "host").write_text("still writable")
