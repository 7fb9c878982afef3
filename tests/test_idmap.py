# SPDX-License-Identifier: MIT
"""Idmapped mounts (config.md "Mounts": uidMappings, gidMappings, idmap, ridmap): which owners a
container sees, and which ones its files get."""

import os
import subprocess

import pytest

from harness import mountinfo, private
from harness.refused import refused

KEYS = ("containerID", "hostID", "size")
USERNS = [(0, 1_000_000, 65536)]


def maps(uids, gids=None):
    """The properties of a mount; rows are (on the filesystem, on the host, how many)."""
    return {name: [dict(zip(KEYS, row)) for row in rows]
            for name, rows in (("uidMappings", uids), ("gidMappings", gids or uids))}


@pytest.fixture
def volume(tmp_path):
    """A directory whose files belong to the ids they are named after."""
    folder = tmp_path / "volume"
    folder.mkdir()
    folder.chmod(0o777)
    for uid, gid in ((0, 0), (3, 4), (9, 9), (1000, 1001)):
        (folder / f"{uid}.{gid}").write_text(f"{uid}.{gid}\n")
        os.chown(folder / f"{uid}.{gid}", uid, gid)
    return folder


@pytest.fixture
def tree(volume):
    """The same with another mount in it, at sub."""
    (volume / "sub").mkdir()
    private.mount(volume, volume / "sub", None, private.MS_BIND)
    yield volume
    private.umount(volume / "sub")


def owners(runtime, b, folder="/data", files="0.0 3.4 9.9 1000.1001"):
    """{file: "uid:gid"} as the container sees them."""
    out = runtime.run_bundle(b.sh(f"cd {folder} && stat -c '%n %u:%g' {files}")).stdout
    return dict(line.split() for line in out.splitlines())


def plain(b):
    return b


def with_userns(b):
    """Root of the namespace makes mount points."""
    os.chown(b.rootfs, 1_000_000, 1_000_000)
    return b.user_namespace(USERNS)


# --- what is seen ---

@pytest.mark.parametrize("options", [["bind", "idmap"], ["rbind", "idmap"], ["rbind", "ridmap"],
                                     ["bind", "ridmap"], ["bind"]])
def test_own_mappings(runtime, bundle, volume, options):
    b = bundle().mount("/data", volume, *options)
    b.mounts[-1].update(maps([(0, 5000, 4)], [(0, 6000, 1), (4, 7000, 2)]))
    assert owners(runtime, b) == {"0.0": "5000:6000", "3.4": "5003:7000", "9.9": "65534:65534",
                                  "1000.1001": "65534:65534"}


def test_mountinfo(runtime, bundle, volume):
    b = bundle().mount("/data", volume, "bind", "idmap", "ro", "nosuid").mount("/plain", volume,
                                                                               "bind")
    b.mounts[-2].update(maps([(0, 5000, 4)]))
    found = mountinfo.parse(runtime.probe(b)["mounts"])
    assert found["/data"].options >= {"ro", "nosuid", "idmapped"}
    assert "idmapped" not in found["/plain"].options


@pytest.mark.parametrize("word", ["idmap", "ridmap"])
def test_mappings_of_the_user_namespace(runtime, bundle, volume, word):
    b = with_userns(bundle()).mount("/data", volume, "bind", word).mount("/plain", volume, "bind")
    assert owners(runtime, b) == {name: name.replace(".", ":")
                                  for name in ("0.0", "3.4", "9.9", "1000.1001")}
    assert set(owners(runtime, b, "/plain").values()) == {"65534:65534"}


def test_the_same_mappings_as_the_user_namespace(runtime, bundle, volume):
    b = with_userns(bundle()).mount("/data", volume, "bind", "idmap")
    b.mounts[-1].update(maps(USERNS))
    assert owners(runtime, b)["3.4"] == "3:4"


def test_other_mappings_than_the_user_namespace(runtime, bundle, volume):
    b = with_userns(bundle()).mount("/data", volume, "bind", "idmap")
    b.mounts[-1].update(maps([(0, 1_000_100, 4)], [(0, 1_000_200, 5)]))
    assert owners(runtime, b) == {"0.0": "100:200", "3.4": "103:204", "9.9": "65534:65534",
                                  "1000.1001": "65534:65534"}


def test_joined_user_namespace(runtime, bundle, volume):
    """Its mappings, whether config.json repeats them or not."""
    box = runtime.container(with_userns(bundle("/bin/sleep", "1000")))
    box.create()
    box.start()
    b = with_userns(bundle()).mount("/data", volume, "bind", "idmap")
    b.linux.pop("uidMappings"), b.linux.pop("gidMappings")
    b.namespace("user", f"/proc/{box.pid}/ns/user")
    assert owners(runtime, b)["3.4"] == "3:4"
    b.user_namespace(USERNS).namespace("user", f"/proc/{box.pid}/ns/user")
    b.mounts[-1].update(maps(USERNS))
    assert owners(runtime, b)["1000.1001"] == "1000:1001"


@pytest.mark.parametrize("prepare, mapping", [(plain, [(0, 5000, 10)]), (with_userns, USERNS)])
@pytest.mark.parametrize("word, below", [("idmap", False), ("ridmap", True)])
def test_recursion(runtime, bundle, tree, prepare, mapping, word, below):
    b = prepare(bundle()).mount("/data", tree, "rbind", word)
    b.mounts[-1].update(maps(mapping))
    found = mountinfo.parse(runtime.probe(b)["mounts"])
    assert "idmapped" in found["/data"].options
    assert ("idmapped" in found["/data/sub"].options) == below
    mapped = "5003:5004" if prepare is plain else "3:4"
    unmapped = "3:4" if prepare is plain else "65534:65534"
    assert owners(runtime, b, files="3.4 sub/3.4") == {"3.4": mapped,
                                                       "sub/3.4": mapped if below else unmapped}


# --- what is written ---

def test_new_files(runtime, bundle, volume):
    """They belong on the filesystem to whom the mapping says; others can make none."""
    b = bundle().mount("/data", volume, "bind", "idmap")
    b.mounts[-1].update(maps([(0, 5000, 4)], [(0, 5000, 1), (4, 5004, 1), (7, 6000, 1)]))
    b.process["user"] = {"uid": 5003, "gid": 6000}
    runtime.run_bundle(b.sh("touch /data/new && echo x >>/data/3.4"))
    assert (os.stat(volume / "new").st_uid, os.stat(volume / "new").st_gid) == (3, 7)
    assert (volume / "3.4").read_text() == "3.4\nx\n"
    b.process["user"] = {"uid": 0, "gid": 0}
    result = runtime.run_bundle(b.sh("touch /data/other"), check=False)
    assert result.returncode == 1 and "too large" in result.stderr  # EOVERFLOW
    assert not (volume / "other").exists()


def test_new_files_with_a_user_namespace(runtime, bundle, volume):
    b = with_userns(bundle()).mount("/data", volume, "bind", "idmap").capabilities("CAP_CHOWN")
    runtime.run_bundle(b.sh("touch /data/root /data/given; chown 33:44 /data/given"))
    assert [(s.st_uid, s.st_gid) for s in (os.stat(volume / "root"), os.stat(volume / "given"))
            ] == [(0, 0), (33, 44)]


# --- sources ---

def test_relative_source_and_file(runtime, bundle, tmp_path):
    b = bundle()
    (b.path / "data").mkdir()
    (b.path / "data/file").write_text("content")
    for name, source in (("/data", "data"), ("/etc/group", "./data/file")):
        b.mount(name, source, "bind", "idmap")
        b.mounts[-1].update(maps([(0, 5000, 4)]))
    out = runtime.run_bundle(b.sh("stat -c %u /data/file /etc/group; cat /etc/group"),
                             cwd=tmp_path).stdout
    assert out == "5000\n5000\ncontent"


def test_source_that_an_earlier_mount_provides(runtime, bundle, volume):
    b = bundle().mount("/first", volume, "bind")
    b.mount("/second", b.rootfs / "first", "bind", "idmap")
    b.mounts[-1].update(maps([(0, 5000, 4)]))
    out = runtime.run_bundle(b.sh("stat -c %u /first/0.0 /second/0.0")).stdout
    assert out == "0\n5000\n"


def test_source_inside_the_rootfs_with_a_user_namespace(runtime, bundle):
    b = with_userns(bundle()).mount("/second", "rootfs/tmp", "bind", "idmap")
    assert "cannot be inside the rootfs" in refused(runtime, b, "/mounts/7/source")


def test_source_that_root_of_the_namespace_cannot_reach(runtime, bundle, volume):
    volume.parent.chmod(0o700)
    try:
        b = with_userns(bundle()).mount("/data", volume, "bind", "idmap")
        assert owners(runtime, b)["3.4"] == "3:4"
    finally:
        volume.parent.chmod(0o711)


@pytest.mark.parametrize("prepare", [plain, with_userns])
def test_missing_source(runtime, bundle, tmp_path, prepare):
    b = prepare(bundle()).mount("/data", tmp_path / "absent", "bind", "idmap")
    b.mounts[-1].update(maps([(0, 5000, 4)]))
    assert "no such file or directory" in refused(runtime, b, "/mounts/7/source")


# --- the option with its own mappings ---

@pytest.mark.parametrize("value, expected", [
    ("uids=0-5000-4;gids=0-6000-1#4-7000-1", {"0.0": "5000:6000", "3.4": "5003:7000"}),
    ("gids=4-1-1;uids=3-2-1", {"3.4": "2:1", "9.9": "65534:65534"}),
])
@pytest.mark.parametrize("word", ["idmap", "ridmap"])
def test_option(runtime, bundle, volume, word, value, expected):
    b = bundle().mount("/data", volume, "bind", f"{word}={value}")
    assert owners(runtime, b).items() >= expected.items()


def test_option_relative_to_the_user_namespace(runtime, bundle, volume):
    """@: the second number is an id of the container, here over the seam of two ranges."""
    b = with_userns(bundle()).user_namespace([(0, 1_000_000, 2), (2, 3_000_000, 1000)])
    b.mount("/data", volume, "bind", "idmap=uids=@0-0-4#9-3000007-1;gids=@0-500-10")
    assert owners(runtime, b) == {"0.0": "0:500", "3.4": "3:504", "9.9": "9:509",
                                  "1000.1001": "65534:65534"}


def test_mappings_win_over_the_option(runtime, bundle, volume):
    b = bundle().mount("/data", volume, "bind", "idmap=uids=0-7-10;gids=0-7-10")
    b.mounts[-1].update(maps([(0, 5000, 10)]))
    assert owners(runtime, b)["3.4"] == "5003:5004"


# --- errors ---

@pytest.mark.parametrize("option, message", [
    ("idmap", "needs uidMappings and gidMappings, or a container with a user namespace"),
    ("ridmap", "needs uidMappings and gidMappings"),
    ("idmap=uid=0-1-1", '"uid=0-1-1" is neither uids=... nor gids=...'),
    ("idmap=", '"" is neither'),
    ("idmap=uids=0-x-1;gids=0-1-1", '"0-x-1" is not a mapping: expected ID-ID-SIZE'),
    ("idmap=uids=0-1;gids=0-1-1", '"0-1" is not a mapping'),
    ("idmap=uids=0-1-1-1;gids=0-1-1", '"0-1-1-1" is not a mapping'),
    ("idmap=uids=0-1-0;gids=0-1-1", '"0-1-0" is not a mapping'),
    ("idmap=uids=;gids=0-1-1", '"" is not a mapping'),
    ("idmap=uids=0-4294967295-1;gids=0-1-1", '"0-4294967295-1" is not a mapping'),
    ("idmap=uids=0-1-1", "both uids=... and gids=... are needed"),
    ("ridmap=gids=0-1-1", "both uids=... and gids=... are needed"),
    ("ridmap=uids=0-1-5#3-50-1;gids=0-1-1", "overlaps mapping 0"),
    ("idmap=uids=0-1-1;gids=" + "#".join(f"{i}-{i}-1" for i in range(341)), "the kernel takes 340"),
    ("idmap=uids=@0-1-1;gids=0-1-1", "not within the mappings of the container's user namespace"),
])
def test_option_that_means_nothing(runtime, bundle, volume, option, message):
    b = bundle().mount("/data", volume, "bind", option)
    assert message in refused(runtime, b, "/mounts/7/options/1")


def test_relative_option_over_the_end_of_the_user_namespace(runtime, bundle, volume):
    b = with_userns(bundle()).mount("/data", volume, "bind", "idmap=uids=@0-65530-7;gids=@0-1-1")
    assert "not within the mappings" in refused(runtime, b, "/mounts/7/options/1")


@pytest.mark.parametrize("mount", [{"type": "tmpfs", "options": ["idmap"]},
                                   {"type": "tmpfs", "options": ["ridmap", "size=4k"]},
                                   {"type": "none", "options": ["remount", "bind", "idmap"]}])
def test_only_bind_mounts(runtime, bundle, mount):
    b = bundle()
    b.mounts.append({"destination": "/data", "source": "none", **mount, **maps([(0, 5000, 4)])})
    index = next(i for i, word in enumerate(mount["options"]) if "idmap" in word)
    assert "only a bind mount can be idmapped" in refused(runtime, b,
                                                          f"/mounts/7/options/{index}")


@pytest.mark.parametrize("source", ["/proc", "/sys", "/sys/fs/cgroup"])
@pytest.mark.parametrize("prepare", [plain, with_userns])
def test_filesystem_that_cannot_be_idmapped(runtime, bundle, prepare, source):
    b = prepare(bundle()).mount("/data", source, "bind", "idmap")
    b.mounts[-1].update(maps([(0, 1_000_000, 4)]))
    message = refused(runtime, b, "/mounts/7/options/1")
    assert f"this kernel cannot do it for the filesystem of {source}" in message


def test_mappings_that_the_kernel_refuses_name_the_property(runtime, bundle, volume):
    """340 lines are the most; without an option the mappings themselves are to blame."""
    b = bundle().mount("/data", "/proc", "bind")
    b.mounts[-1].update(maps([(i, 5000 + i, 1) for i in range(340)]))
    refused(runtime, b, "/mounts/7/uidMappings")
    b.mounts[-1]["source"] = str(volume)
    assert owners(runtime, b, files="0.0 9.9") == {"0.0": "5000:5000", "9.9": "5009:5009"}


def test_source_that_is_idmapped_already(runtime, bundle, volume):
    b = bundle().mount("/first", volume, "bind", "idmap")
    b.mount("/second", b.rootfs / "first", "bind", "idmap")
    for mount in b.mounts[-2:]:
        mount.update(maps([(0, 5000, 4)]))
    assert "operation not permitted" in refused(runtime, b, "/mounts/8/options/1")


def test_rootless(rootless, bundle, user):
    b = bundle(owner=user).rootless().mount("/data", user.home, "bind", "idmap")
    assert "only root can make idmapped mounts" in refused(
        rootless, b, f"/mounts/{len(b.mounts) - 1}/options/1")


# --- traces ---

def test_one_namespace_for_the_same_mappings(runtime, bundle, volume, tmp_path):
    """A user namespace is made for mappings that differ, and none for the container's own."""
    def processes(b):
        trace = tmp_path / "trace"
        argv = runtime.argv("run", "--bundle", b, runtime.new_id())
        subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=clone,clone3,fork,vfork", *argv],
                       env=runtime.environment, check=True, stdin=subprocess.DEVNULL)
        return sum("CLONE_NEWUSER" in line for line in trace.read_text().splitlines())

    b = bundle()
    for i in range(5):
        b.mount(f"/m/{i}", volume, "bind", "idmap")
        b.mounts[-1].update(maps([(0, 5000 + i % 2, 4)]))
    assert processes(b) == 2
    b = with_userns(bundle())
    for i in range(3):
        b.mount(f"/m/{i}", volume, "bind", "idmap")
    b.mounts[-1].update(maps(USERNS))
    assert processes(b) == 1  # the container's


def test_nothing_stays_behind(runtime, bundle, volume):
    """No descriptor in the container, no process, no mount."""
    before = private.mounts()
    b = bundle("/bin/sleep", "1000").mount("/data", volume, "bind", "idmap")
    b.mounts[-1].update(maps([(0, 5000, 4)]))
    box = runtime.container(b)
    box.create()
    box.start()
    assert {os.readlink(f"/proc/{box.pid}/fd/{n}") for n in os.listdir(f"/proc/{box.pid}/fd")
            if int(n) > 2} == set()
    assert private.mounts() == before


@pytest.mark.parametrize("prepare", [plain, with_userns])
@pytest.mark.parametrize("word", ["idmap", "ridmap"])
def test_as_crun_does_it(runtime, crun, bundle, volume, prepare, word):
    b = prepare(bundle()).mount("/data", volume, "rbind", word)
    b.mounts[-1].update(maps([(0, 1_000_100, 4)]))
    assert owners(runtime, b) == owners(crun, b)
