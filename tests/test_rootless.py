# SPDX-License-Identifier: MIT
"""hako run by an ordinary user: what works, and that what does not says so in one line."""

import json
import os
import pathlib
import subprocess

import pytest

from harness import mountinfo, private
from harness.refused import refused
from harness.runtime import run, wait_exit

ROOT = pathlib.Path(private.CGROUP)


@pytest.fixture
def own(bundle, user):
    """own(*args): a bundle of the user's, with what an ordinary user may ask for."""
    return lambda *args: bundle(*args, owner=user).rootless()


@pytest.fixture
def box(rootless, own):
    """A running container of the user's."""
    made = rootless.container(own("/bin/sleep", "1000"))
    made.create()
    made.start()
    return made


def test_spec(rootless, bundle, user):
    """What `spec --rootless` writes runs as it is."""
    b = bundle(owner=user)
    (b.path / "config.json").unlink(missing_ok=True)
    rootless.run("spec", "--rootless", "--bundle", b.path)
    b.config = json.loads((b.path / "config.json").read_text())
    b.process["env"] += [f"HAKO_TEST={rootless.token}"]
    seen = rootless.probe(b, "c:/dev/shm/new", "c:/new", "w:/dev/null", "d:/sys/class")
    assert seen["tests"] == {"c:/dev/shm/new": "ok", "c:/new": "EROFS", "w:/dev/null": "ok",
                             "d:/sys/class": "ok"}
    assert seen["uid_map"][0].split() == ["0", str(user.uid), "1"] and seen["hostname"] == "hako"
    found = mountinfo.parse(seen["mounts"])
    assert found["/sys/fs/cgroup"].type == "cgroup2" and "ro" in found["/sys/fs/cgroup"].options


def test_run(rootless, own, user):
    seen = rootless.probe(own(), "r:/etc/passwd", "c:/new", "w:/dev/null", "k:/tmp/node",
                          "cat:/proc/keys")
    assert seen["tests"] == {"r:/etc/passwd": "ok", "c:/new": "ok", "w:/dev/null": "ok",
                             "k:/tmp/node": "EPERM",
                             "cat:/proc/keys": ""}
    assert seen["status"]["Uid"].split() == seen["status"]["Gid"].split() == ["0"] * 4
    assert (seen["setgroups"], seen["pid"], seen["hostname"]) == ("deny", 1, "hako")
    for kind in ("user", "mnt", "pid", "ipc", "uts", "cgroup"):
        assert seen["namespaces"][kind] != os.readlink(f"/proc/self/ns/{kind}")
    found = mountinfo.parse(seen["mounts"])
    assert found.keys() >= {"/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/sys", "/dev/null"}
    assert list(rootless.root.glob("[!.]*")) == []


def test_files_belong_to_the_user(rootless, own, user):
    b = own().sh("touch /new; stat -c '%u:%g' /new /etc/passwd")
    assert rootless.run_bundle(b).stdout == "0:0\n0:0\n"
    made = (b.rootfs / "new").stat()
    assert (made.st_uid, made.st_gid) == (user.uid, user.gid)


def test_life(rootless, own, user):
    box = rootless.container(own("/bin/sh", "-c",
                                 "trap 'exit 7' TERM; echo up; while :; do sleep 0.02; done"))
    out = box.create()
    pid = box.pid
    assert box.status == "created" and os.stat(f"/proc/{pid}").st_uid in (0, user.uid)
    box.start()
    box.wait_for("running")
    assert box.exec("/bin/sh", "-c", "echo $$; id -u; exit 3", check=False).returncode == 3
    seen = box.probe("r:/etc/passwd", options=["--env", "A=1", "--cwd", "/tmp"])
    assert seen["namespaces"]["user"] == os.readlink(f"/proc/{pid}/ns/user")
    assert seen["cwd"] == "/tmp" and "A=1" in seen["env"]
    assert [row["id"] for row in rootless.run("list", "--format", "json").json()] == [box.id]
    while "up" not in out.stdout:
        pass
    box.kill("TERM")
    assert wait_exit(pid) == 7
    box.wait_for("stopped")
    box.delete()
    assert rootless.run("state", box.id, check=False).returncode == 1


def test_exec_as_another_user_is_refused(box):
    """Only one id is mapped."""
    result = box.exec("/bin/true", options=["--user", "1000"], check=False)
    assert result.returncode == 255 and "mapped" in result.stderr


def test_kill_and_delete_by_force(box):
    pid = box.pid
    box.delete("--force")
    assert not os.path.exists(f"/proc/{pid}/ns") or wait_exit(pid) == 137
    assert box.runtime.run("delete", "--force", box.id).returncode == 0


def test_default_root(rootless, own, user):
    """Below XDG_RUNTIME_DIR; without the variable an error that says what to do."""
    b = own("/bin/true")
    argv = [rootless.path, "run", "--bundle", os.fspath(b), f"{rootless.token}-default"]
    env = {**rootless.environment, **user.env}
    as_user = {"user": user.uid, "group": user.gid, "extra_groups": [], "text": True,
               "check": False,
               "stderr": subprocess.PIPE, "cwd": user.home}
    assert subprocess.run(argv, env=env, **as_user).returncode == 0
    folder = pathlib.Path(user.env["XDG_RUNTIME_DIR"]) / "hako"
    assert folder.stat().st_mode & 0o077 == 0
    del env["XDG_RUNTIME_DIR"]
    result = subprocess.run(argv, env=env, **as_user)
    assert result.returncode != 0 and "XDG_RUNTIME_DIR" in result.stderr
    assert result.stderr.count("\n") == 1


# --- ids ---

def test_subordinate_ids(rootless, own, user):
    """newuidmap and newgidmap write what /etc/subuid grants."""
    first, count = user.subuid
    b = own().user_namespace([(0, user.uid, 1), (1, first, count)],
                             [(0, user.gid, 1), (1, first, count)])
    b.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5]}
    b.rootfs.joinpath("tmp").chmod(0o1777)
    seen = rootless.probe(b, "c:/tmp/new")
    assert seen["status"]["Uid"].split() == ["1000"] * 4
    assert seen["status"]["Groups"].split() == ["5"]
    assert seen["setgroups"] == "allow"
    assert (b.rootfs / "tmp/new").stat().st_uid == first + 999


@pytest.mark.parametrize("uids, pointer", [
    ([(0, 0, 1)], "uidMappings"), ([(0, 64777, 1), (1, 1, 100)], "uidMappings"),
    ([(0, 64777, 2)], "uidMappings"),
    ([(0, 1_879_048_192 - 1, 2)], "uidMappings")])
def test_ids_of_others(rootless, own, user, uids, pointer):
    b = own().user_namespace(uids, [(0, user.gid, 1)])
    assert "subuid" in refused(rootless, b, f"/linux/{pointer}")


def test_without_newuidmap(rootless, own, user):
    first, count = user.subuid
    b = own().user_namespace([(0, user.uid, 1), (1, first, count)], [(0, user.gid, 1)])
    rootless.environment["PATH"] = "/nowhere"
    assert "newuidmap" in refused(rootless, b, "/linux/uidMappings")


def test_additional_groups_with_one_id(rootless, own):
    """setgroups had to be given up: an error, not another set of groups."""
    b = own()
    b.process["user"] = {"uid": 0, "gid": 0, "additionalGids": [0]}
    result = rootless.run_bundle(b, check=False)
    assert result.returncode == 1 or result.stdout == ""
    rootless.options = ["--strict", "--cgroup-manager", "disabled"]
    assert "groups" in refused(rootless, b)


# --- what is not to be had ---

def test_without_a_user_namespace(rootless, own):
    b = own().without_namespace("user")
    b.linux.pop("uidMappings")
    b.linux.pop("gidMappings")
    assert "operation not permitted" in refused(rootless, b)


@pytest.mark.parametrize("resources, pointer", [
    ({"pids": {"limit": 5}}, "pids/limit"), ({"memory": {"limit": 1 << 26}}, "memory/limit"),
    ({"unified": {"cgroup.max.depth": "3"}}, "unified/cgroup.max.depth")])
def test_limits_without_a_delegated_cgroup(rootless, own, resources, pointer):
    b = own()
    b.linux["resources"] = resources
    assert "delegate" in refused(rootless, b, f"/linux/resources/{pointer}")


def test_no_cgroup_is_a_fallback(rootless, own):
    rootless.options = ["--log-level", "warning"]
    assert "without a cgroup" in rootless.run_bundle(own("/bin/true")).stderr
    rootless.options = ["--strict"]
    assert "without a cgroup" in refused(rootless, own("/bin/true"))


def test_pause_without_a_cgroup(box):
    result = box.runtime.run("pause", box.id, check=False)
    assert result.returncode == 1 and "no cgroup" in result.stderr


def test_sources_that_the_user_cannot_reach(rootless, own, tmp_path):
    (tmp_path / "secret/below").mkdir(mode=0o700, parents=True)
    (tmp_path / "secret").chmod(0o700)
    b = own().mount("/tmp", tmp_path / "secret", "bind")  # it can be bound, and not be read
    assert rootless.probe(b, "d:/tmp", "d:/tmp/below")["tests"] == {"d:/tmp": "EACCES",
                                                                    "d:/tmp/below": "EACCES"}
    b.mounts[-1]["source"] += "/below"
    assert "permission denied" in refused(rootless, b, f"/mounts/{len(b.mounts) - 1}/source")


def test_flags_of_the_hosts_mounts_stay(rootless, own, user):
    volume = user.home / "volume"
    volume.mkdir(exist_ok=True)
    os.chown(volume, user.uid, user.gid)
    private.mount("tmpfs", volume, "tmpfs", 2 | 4 | 1)  # nosuid, nodev, read-only
    try:
        b = own().mount("/tmp", volume, "bind")
        assert mountinfo.parse(rootless.probe(b)["mounts"])["/tmp"].options >= {"nosuid", "nodev",
                                                                                "ro"}
        b.mounts[-1]["options"] = ["bind", "rw"]
        assert "may not clear" in refused(rootless, b)
    finally:
        private.umount(volume)


# --- with a delegated cgroup ---

@pytest.fixture
def delegated(token, user):
    """A cgroup that belongs to the user, with one for the runtime in it."""
    folder = ROOT / f"{token}-user"
    (folder / "runtime").mkdir(parents=True)
    for path in (folder, folder / "runtime"):
        os.chown(path, user.uid, user.gid)
        for name in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            os.chown(path / name, user.uid, user.gid)
    yield folder
    for path, _, _ in os.walk(folder, topdown=False):
        os.rmdir(path)


def test_delegated_cgroup(rootless, own, delegated, user):
    """cgroupsPath below it: tracked, limited, paused, and removed in the end."""
    b = own("/bin/sleep", "1000")
    b.linux.update(cgroupsPath=f"/{delegated.name}/box",
                   resources={"unified": {"cgroup.max.depth": "3"}})
    argv = rootless.argv("create", "--bundle", b, box_id := rootless.new_id())
    script = f'echo $$ >{delegated}/runtime/cgroup.procs; exec setpriv --reuid {user.uid} ' \
             f'--regid {user.gid} --clear-groups "$@"'
    run(["sh", "-c", script, "sh", *argv], env={**rootless.environment, **user.env}, cwd=user.home)
    box = rootless.container(b, box_id)
    box.start()
    assert (delegated / "box/cgroup.procs").read_text() == f"{box.pid}\n"
    assert (delegated / "box/cgroup.max.depth").read_text() == "3\n"
    rootless.run("pause", box.id)
    assert box.status == "paused"
    rootless.run("resume", box.id)
    box.delete("--force")
    assert not (delegated / "box").exists()
