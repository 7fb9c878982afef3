# SPDX-License-Identifier: MIT
"""A new user namespace: uidMappings, gidMappings, and what root of it may and may not do."""

import os
import pathlib
import resource
import stat
import subprocess

import pytest

from harness import mountinfo, private
from harness.refused import refused

MAPS = {  # (inside, outside, size)...
    "one": [(0, 1_000_000, 65536)],
    "several": [(0, 1_000_000, 1), (1, 2_000_000, 999), (1000, 5000, 1), (70000, 3_000_000, 4)],
    "not from 0": [(0, 100_000, 1), (500, 200_000, 10)],
}


@pytest.mark.parametrize("name", MAPS)
def test_maps(runtime, bundle, name):
    rows, gids = MAPS[name], [(a, b + 7, n) for a, b, n in MAPS[name]]
    b = bundle("/bin/sleep", "1000").user_namespace(rows, gids)
    box = runtime.container(b)
    box.create()
    box.start()
    seen = box.probe()
    assert [tuple(map(int, row.split())) for row in seen["uid_map"]] == rows
    assert [tuple(map(int, row.split())) for row in seen["gid_map"]] == gids
    assert seen["setgroups"] == "allow"
    assert (os.stat(f"/proc/{box.pid}").st_uid, os.stat(f"/proc/{box.pid}").st_gid) == (rows[0][1],
                                                                                        gids[0][1])


def test_mount_point_that_cannot_be_made(runtime, bundle):
    b = bundle().user_namespace()
    b.mounts.append({"destination": "/absent", "type": "tmpfs", "source": "tmpfs"})
    os.chown(b.rootfs, 0, 0)
    b.rootfs.chmod(0o755)
    assert "make the mount point /absent: permission denied: where root of the container may not" \
        in refused(runtime, b, f"/mounts/{len(b.mounts) - 1}")


def test_user_of_the_process(runtime, bundle):
    b = bundle().user_namespace()
    b.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 65535]}
    seen = runtime.probe(b)["status"]
    assert (seen["Uid"].split(), seen["Gid"].split()) == (["1000"] * 4, ["1001"] * 4)
    assert seen["Groups"].split() == ["5", "65535"]


@pytest.mark.parametrize("user, pointer, message", [
    ({"uid": 65536, "gid": 0}, "uid", "unmapped uid 65536"),
    ({"uid": 0, "gid": 70000}, "gid", "unmapped gid 70000"),
    ({"uid": 0, "gid": 0, "additionalGids": [5, 65536]}, "additionalGids/1", "unmapped gid 65536")])
def test_unmapped_ids(runtime, bundle, user, pointer, message):
    b = bundle().user_namespace()
    b.process["user"] = user
    assert message in refused(runtime, b, f"/process/user/{pointer}")


@pytest.mark.parametrize("uids, gids, pointer", [
    ([], [(0, 1, 1)], "/linux/namespaces/6"), ([(0, 1, 1)], [], "/linux/namespaces/6"),
    ([(0, 1, 0)], None, "/linux/uidMappings/0/size"),
    ([(0, 1, 5), (3, 100, 2)], None, "/linux/uidMappings/1/containerID"),
    ([(0, 1, 5), (10, 4, 2)], None, "/linux/uidMappings/1/hostID"),
    ([(0, 2**32 - 2, 5)], None, "/linux/uidMappings/0/size"),
    ([(i, i + 1000, 1) for i in range(341)], None, "/linux/uidMappings"),
])
def test_maps_that_cannot_be(runtime, bundle, uids, gids, pointer):
    b = bundle().user_namespace(uids)
    if gids is not None:
        keys = ("containerID", "hostID", "size")
        b.linux["uidMappings"] = [dict(zip(keys, row)) for row in uids]
        b.linux["gidMappings"] = [dict(zip(keys, row)) for row in gids]
    refused(runtime, b, pointer)


def test_the_most_mappings_that_the_kernel_takes(runtime, bundle):
    rows = [(i, 1000 + 2 * i, 1) for i in range(340)]
    assert len(runtime.probe(bundle().user_namespace(rows))["uid_map"]) == 340


def test_mappings_of_more_text_than_the_kernel_takes(runtime, bundle):
    rows = [(i, 3_000_000_000 + 2 * i, 1) for i in range(340)]
    message = refused(runtime, bundle().user_namespace(rows), "/linux/gidMappings")
    assert f"less than {os.sysconf('SC_PAGESIZE')} bytes" in message


def test_mappings_without_namespace(runtime, bundle):
    b = bundle().user_namespace().without_namespace("user")
    assert "user" in refused(runtime, b)


def test_a_single_id_that_is_not_root(runtime, bundle):
    """Root of the namespace does not exist: the container's process does everything itself."""
    b = bundle().user_namespace([(1000, 0, 1)])
    b.process["user"] = {"uid": 1000, "gid": 1000}
    b.mounts[2]["options"].remove("gid=5")
    b.process["capabilities"] = {}
    seen = runtime.probe(b)
    assert seen["status"]["Uid"].split() == ["1000"] * 4 and seen["status"]["CapEff"] == "0" * 16


def test_mappings_with_neither_root_nor_the_caller(runtime, bundle):
    """Who makes mount points and files is the user of the process, as nobody else exists."""
    b = bundle("/bin/sleep", "1000").user_namespace([(1000, 1_000_042, 1)])
    b.process["user"] = {"uid": 1000, "gid": 1000}
    b.mounts[2]["options"].remove("gid=5")
    b.mount("/new/dir", "tmpfs", "size=4k", type="tmpfs")
    os.chown(b.rootfs, 1_000_042, 1_000_042)
    box = runtime.container(b)
    box.create()
    box.start()
    made = os.stat(b.rootfs / "new")
    assert (made.st_uid, made.st_gid) == (1_000_042, 1_000_042)
    assert box.probe()["status"]["Uid"].split() == ["1000"] * 4
    runtime.run("verify", box.id)


def test_ownership(runtime, bundle):
    """What the container makes belongs to its mapped ids on the host; other files are nobody's."""
    b = bundle().user_namespace().capabilities("CAP_CHOWN", "CAP_DAC_OVERRIDE")
    b.process["cwd"] = "/made/by/hako"
    os.chown(b.rootfs, 1_000_000, 1_000_000)
    runtime.run_bundle(b.sh("touch /new; mkdir /dir; touch /tmp/mine; chown 5:7 /new;"
                            "! touch /etc/passwd; stat -c '%u:%g' /etc/passwd | grep 65534:65534"))
    owners = {path: (os.lstat(b.rootfs / path).st_uid, os.lstat(b.rootfs / path).st_gid)
              for path in ("new", "dir", "tmp/mine", "made", "made/by/hako")}
    root = (1_000_000, 1_000_000)
    assert owners == {"new": (1_000_005, 1_000_007), "dir": root, "tmp/mine": root, "made": root,
                      "made/by/hako": root}


def test_capabilities_are_for_the_namespace_only(runtime, bundle, tmp_path):
    """Mounts, names and interfaces of its own; nothing of the host's."""
    b = bundle().user_namespace().capabilities("CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_MKNOD",
                                               "CAP_SYS_TIME",
                                               "CAP_DAC_OVERRIDE", "CAP_CHOWN")
    for folder in (tmp_path / "host", b.rootfs / "host"):
        folder.mkdir(mode=0o700)
    b.mount("/host", tmp_path / "host", "bind")
    seen = runtime.probe(b, "m:/tmp", "k:/tmp/node", "c:/host/new",
                         "w:/proc/sys/kernel/core_pattern")
    assert seen["tests"] == {"m:/tmp": "ok", "k:/tmp/node": "EPERM", "c:/host/new": "EACCES",
                             "w:/proc/sys/kernel/core_pattern": "EACCES"}
    b.sh("hostname changed && hostname; date -s 2001-01-01; true")
    result = runtime.run_bundle(b)
    assert result.stdout.split()[0] == "changed" and "not permitted" in result.stderr


def test_source_that_root_of_the_namespace_cannot_reach(runtime, bundle, tmp_path):
    """The parent opens sources and rootfs, with the caller's rights."""
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    (secret / "volume").mkdir(mode=0o777)
    (secret / "volume").chmod(0o777)
    (secret / "volume/file").write_text("seen")
    b = bundle().user_namespace().mount("/var", secret / "volume", "bind")
    b.mount("/etc/group", secret / "volume/file", "bind")
    (b.path / "hidden").mkdir(mode=0o700)
    os.rename(b.rootfs, b.path / "hidden/rootfs")
    b.rootfs = b.path / "hidden/rootfs"
    b.config["root"]["path"] = "hidden/rootfs"
    seen = runtime.probe(b, "cat:/var/file", "cat:/etc/group", "c:/var/new")
    assert seen["tests"] == {"cat:/var/file": "seen", "cat:/etc/group": "seen", "c:/var/new": "ok"}
    assert os.stat(secret / "volume/new").st_uid == 1_000_000


def test_more_sources_than_the_limit_of_descriptors(runtime, bundle, tmp_path):
    """The parent holds all of them at once: only there the soft limit is raised meanwhile."""
    b, limits = bundle().user_namespace(), (150, 4096)
    source = tmp_path / "source"
    source.mkdir(mode=0o755)
    for i in range(200):
        b.mount(f"/tmp/{i}", source, "bind")
    b.process["rlimits"] = []
    (b.rootfs / "tmp").chmod(0o777)
    told = tmp_path / "told"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"ulimit -Sn >>{told}; ulimit -Hn >>{told}"]}
    b.config["hooks"] = {"createRuntime": [hook], "createContainer": [hook]}
    told.touch()
    told.chmod(0o666)
    seen = runtime.run_bundle(
        b.sh("grep -c ' /tmp/' /proc/mounts; ulimit -Sn; ulimit -Hn"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits)).stdout
    assert seen.split() == ["200", "150", "4096"]
    assert told.read_text().split() == ["150", "4096"] * 2


def test_source_that_an_earlier_mount_provides(runtime, bundle):
    b = bundle().user_namespace().mount("/tmp", "tmpfs", "mode=777", type="tmpfs")
    b.mount("/var", b.rootfs / "tmp", "bind")
    (b.rootfs / "tmp/hidden").write_text("below the tmpfs")
    runtime.run_bundle(b.sh("test ! -e /var/hidden && touch /tmp/new && test -e /var/new"))


def test_filesystems(runtime, bundle):
    seen = runtime.probe(bundle().user_namespace(), "d:/sys/class/net", "c:/dev/shm/x",
                         "c:/dev/mqueue/x",
                         "r:/dev/ptmx", "w:/dev/null")
    found = mountinfo.parse(seen["mounts"])
    assert set(seen["tests"].values()) == {"ok"}
    assert found["/dev/pts"].superblock >= {"mode=620", "gid=1000005"}
    assert [found[p].type for p in ("/proc", "/sys", "/sys/fs/cgroup")] == [
        "proc", "sysfs", "cgroup2"]


def test_unmapped_group_of_devpts_is_left_out(runtime, bundle):
    b = bundle().user_namespace([(0, 1_000_000, 5)])
    found = mountinfo.parse(runtime.probe(b)["mounts"])["/dev/pts"]
    assert not any(option.startswith("gid=") for option in found.superblock)


def test_sysfs_without_a_network_namespace_of_its_own(runtime, bundle):
    """The kernel makes no new one: the host's, which shows the same network, without what is
    mounted below it. Only for reading; --strict wants to know."""
    b = bundle().user_namespace().without_namespace("network").without_mount("/sys/fs/cgroup")
    seen = runtime.probe(b, "d:/sys/class/net", "c:/sys/new", "d:/sys/fs/cgroup/cgroup.procs")
    found = mountinfo.parse(seen["mounts"])["/sys"]
    assert found.type == "sysfs" and found.options >= {"ro", "nosuid", "nodev", "noexec"}
    assert seen["tests"] == {"d:/sys/class/net": "ok", "c:/sys/new": "EROFS",
                             "d:/sys/fs/cgroup/cgroup.procs": "ENOENT"}
    assert seen["namespaces"]["net"] == os.readlink("/proc/self/ns/net")
    runtime.options = ["--strict"]
    assert "/sys is bound instead" in refused(runtime, b, "/mounts/5")
    runtime.options = []
    b.mounts[5]["options"].remove("ro")
    assert "only with the option ro" in refused(runtime, b, "/mounts/5/type")


def test_procfs_without_a_pid_namespace_of_its_own(runtime, bundle):
    """The same for /proc, when the container shares the processes of the host."""
    b = bundle().user_namespace().without_namespace("pid")
    seen = runtime.probe(b, f"cat:/proc/{os.getpid()}/comm", "r:/proc/1/root/etc/passwd")
    comm = pathlib.Path("/proc/self/comm").read_text().strip()
    assert seen["tests"] == {f"cat:/proc/{os.getpid()}/comm": comm,
                             "r:/proc/1/root/etc/passwd": "EACCES"}
    assert mountinfo.parse(seen["mounts"])["/proc"].type == "proc" and seen["pid"] > 1
    runtime.options = ["--strict"]
    assert "/proc is bound instead" in refused(runtime, b, "/mounts/0")
    runtime.options = []
    b.mounts[0]["options"] = ["hidepid=2"]
    assert "only without options of the filesystem" in refused(runtime, b, "/mounts/0")


def test_locked_flags_cannot_be_cleared(runtime, bundle, tmp_path):
    """What the host has mounted nosuid stays so, whatever the config says."""
    volume = tmp_path / "volume"
    volume.mkdir()
    private.mount("tmpfs", volume, "tmpfs", 2 | 4 | 8)  # nosuid, nodev, noexec
    try:
        for options in (["bind", "ro"], ["rbind"], ["bind", "nosuid"]):
            b = bundle().user_namespace().mount("/var", volume, *options)
            found = mountinfo.parse(runtime.probe(b)["mounts"])["/var"]
            assert found.options >= {"nosuid", "nodev", "noexec"}
    finally:
        private.umount(volume)


def test_rlimits(runtime, bundle):
    b = bundle().user_namespace()
    b.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 500, "hard": 600},
                            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    limits = runtime.probe(b)["limits"]
    assert (limits["nofile"], limits["core"]) == ([500, 600], [0, 0])


def test_rlimits_are_raised_by_the_parent(runtime, bundle):
    """Inside nobody may: the hard limit that hako was called with is lower."""
    b = bundle().user_namespace()
    b.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 300, "hard": 400}]
    can_raise = subprocess.run("ulimit -Hn 399 && ulimit -Hn 400", shell=True, check=False,
                               stderr=subprocess.DEVNULL).returncode == 0
    argv = runtime.argv("run", "--bundle", b, runtime.new_id())
    result = subprocess.run(["sh", "-c", 'ulimit -n 399; exec "$@"', "sh", *argv],
                            env=runtime.environment, check=False,
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if can_raise:
        assert result.returncode == 0, result.stderr
    else:  # CAP_SYS_RESOURCE is not to be had on this machine
        assert "/process/rlimits/0" in result.stderr and "operation not permitted" in result.stderr


def test_oom_score(runtime, bundle):
    b = bundle().user_namespace()
    b.process["oomScoreAdj"] = 300
    assert runtime.probe(b)["oom_score_adj"] == "300"


def test_exec(runtime, bundle, tmp_path):
    b = bundle("/bin/sleep", "1000").user_namespace()
    box = runtime.container(b)
    box.create()
    box.start()
    seen = box.probe(options=["--user", "1000:1001", "--additional-gids", "33"])
    assert seen["namespaces"]["user"] == os.readlink(f"/proc/{box.pid}/ns/user")
    assert (seen["status"]["Uid"].split()[0], seen["status"]["Gid"].split()[0]) == ("1000", "1001")
    assert "33" in seen["status"]["Groups"].split()
    os.chmod(b.rootfs / "tmp", 0o1777)
    box.exec("/bin/touch", "/tmp/by-exec", options=["--user", "7"])
    assert os.stat(b.rootfs / "tmp/by-exec").st_uid == 1_000_007
    result = box.exec("/bin/true", options=["--user", "70000"], check=False)
    assert result.returncode == 255 and "mapped" in result.stderr


def test_stdio_belongs_to_the_process(runtime, bundle, tmp_path):
    """What belongs to an id of the namespace: the caller's own files are out of its reach."""
    with open(tmp_path / "out", "w+", encoding="ascii") as out:
        os.fchown(out.fileno(), 1_000_000, 1_000_000)
        b = bundle().user_namespace().sh("echo again >>/dev/stdout")
        b.process["user"] = {"uid": 5, "gid": 5}
        runtime.run_bundle(b, stdout=out)
        assert os.fstat(out.fileno()).st_uid == 1_000_005
    assert (tmp_path / "out").read_text() == "again\n"
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) & 0o022 == 0
