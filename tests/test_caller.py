# SPDX-License-Identifier: MIT
"""hako called where engines and people call it without being root: as root of a user namespace
that somebody has made before (podman unshare, buildah unshare, unshare -r), and in a chroot."""

import json
import os
import shutil
import subprocess

import pytest

from harness import mountinfo, private, program
from harness.kernel import cmdline, eventually
from harness.refused import WHERE
from harness.runtime import run


@pytest.fixture
def inside(rootless, user):
    """inside(["unshare", ...], COMMAND...): hako's command, by the user in such a namespace."""
    def call(way, *args, check=True, **environment):
        env = {**rootless.environment, **user.env, **environment}
        argv = ["setpriv", "--reuid", user.uid, "--regid", user.gid, "--clear-groups", *way,
                *rootless.argv(*args)]
        return run(list(map(str, argv)), env=env, cwd=user.home, check=check)
    return call


OWN = ["unshare", "--user", "--map-root-user"]
OWN_MOUNTS = [*OWN, "--mount"]
MAPPED = ["unshare", "--user", "--map-root-user", "--map-auto"]
MAPPED_MOUNTS = [*MAPPED, "--mount"]
WAYS = {"own": OWN, "own and mounts": OWN_MOUNTS, "mapped": MAPPED, "mapped and mounts": MAPPED_MOUNTS}


def refused_inside(inside, way, rootless, bundle, pointer=None):
    result = inside(way, "run", "--bundle", bundle, rootless.new_id(), check=False)
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result
    if pointer is not None:
        assert WHERE.search(result.stderr)[3] == pointer, result
    return result.stderr


@pytest.mark.parametrize("way", WAYS)
def test_config_without_a_user_namespace(inside, rootless, bundle, user, way):
    """What engines write that have made the namespace themselves: the caller is root, its devices
    are bound, its cgroup may not be had."""
    b = bundle("/bin/probe", "w:/dev/null", "k:/tmp/node", "c:/tmp/new", "d:/sys/class/net",
               owner=user)
    seen = inside(WAYS[way], "run", "--bundle", b, rootless.new_id()).json()
    assert seen["tests"] == {"w:/dev/null": "ok", "k:/tmp/node": "EPERM", "c:/tmp/new": "ok",
                             "d:/sys/class/net": "ok"}
    assert seen["status"]["Uid"].split() == ["0"] * 4 and seen["pid"] == 1
    assert seen["uid_map"][0].split() == ["0", str(user.uid), "1"]
    assert len(seen["uid_map"]) == (2 if "mapped" in way else 1)
    assert (b.rootfs / "tmp/new").stat().st_uid == user.uid
    found = mountinfo.parse(seen["mounts"])
    assert found["/proc"].type == "proc" and found["/sys"].type == "sysfs"
    gid = [option for option in found["/dev/pts"].superblock if option.startswith("gid=")]
    assert gid == ([f"gid={user.subgid[0] + 4}"] if "mapped" in way else [])


@pytest.mark.parametrize("way", WAYS)
def test_spec_rootless(inside, rootless, bundle, user, way):
    """One more user namespace, as root of this one: written by hako itself, no newuidmap."""
    b = bundle(owner=user)
    (b.path / "config.json").unlink(missing_ok=True)
    inside(WAYS[way], "spec", "--rootless", "--bundle", b.path)
    b.config = json.loads((b.path / "config.json").read_text())
    b.process["env"] += [f"HAKO_TEST={rootless.token}"]
    b.args("/bin/probe")
    seen = inside(WAYS[way], "run", "--bundle", b, rootless.new_id(), PATH="/nowhere:/usr/bin").json()
    assert seen["uid_map"] == ["0 0 1"] or seen["uid_map"][0].split() == ["0", "0", "1"]
    assert seen["setgroups"] == ("allow" if "mapped" in way else "deny")


def test_ids_of_the_namespace(inside, rootless, bundle, user):
    """Any ids that it has, without a helper; others are refused by row."""
    b = bundle("/bin/probe", owner=user).user_namespace([(0, 1, 10), (10, 0, 1), (50, 500, 99)])
    b.process["user"] = {"uid": 52, "gid": 3, "additionalGids": [9]}
    subprocess.run(["chmod", "-R", "a+rX", b.path], check=True)
    (b.path.parent).chmod(0o711)
    user.home.chmod(0o711)
    seen = inside(MAPPED_MOUNTS, "run", "--bundle", b, rootless.new_id()).json()
    assert [tuple(map(int, row.split())) for row in seen["uid_map"]] == [(0, 1, 10), (10, 0, 1),
                                                                        (50, 500, 99)]
    assert seen["status"]["Uid"].split() == ["52"] * 4 and seen["status"]["Groups"].split() == ["9"]
    b.process["user"] = {"uid": 0, "gid": 0}
    b.user_namespace([(0, 0, 1)], [(0, 0, 1), (1, 65000, 1000)])
    message = refused_inside(inside, MAPPED_MOUNTS, rootless, b, "/linux/gidMappings/1")
    assert "65000 to 65999" in message and "does not have them all" in message


def test_process_of_another_user(inside, rootless, bundle, user):
    b = bundle("/bin/probe", "c:/tmp/new", owner=user)
    b.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [7]}
    (b.rootfs / "tmp").chmod(0o1777)
    seen = inside(MAPPED_MOUNTS, "run", "--bundle", b, rootless.new_id()).json()
    assert seen["status"]["Uid"].split() == ["1000"] * 4 and seen["status"]["Groups"].split() == ["7"]
    assert (b.rootfs / "tmp/new").stat().st_uid == user.subuid[0] + 999


def test_groups_that_the_namespace_denies(inside, rootless, bundle, user):
    b = bundle("/bin/probe", owner=user)
    b.process["user"] = {"uid": 0, "gid": 0, "additionalGids": [0]}
    rootless.options = ["--log-level", "warning"]
    result = inside(OWN, "run", "--bundle", b, rootless.new_id())
    assert "groups-denied" in result.stderr
    rootless.options = ["--strict"]
    assert "groups" in refused_inside(inside, OWN, rootless, b)


@pytest.mark.parametrize("way", ["own", "mapped and mounts"])
def test_life(inside, rootless, bundle, user, way):
    """Each command is a call of its own, in a user namespace of its own, as engines do it: what
    the kernel lets one such namespace do to another's container."""
    b = bundle("/bin/sleep", "1000", owner=user)
    holder = subprocess.Popen(
        list(map(str, ["setpriv", "--reuid", user.uid, "--regid", user.gid, "--clear-groups",
                       *WAYS[way], "sleep", "1000"])),
        env={**rootless.environment, **user.env}, cwd=user.home)
    try:
        eventually(lambda: cmdline(holder.pid) == ["sleep", "1000"], seconds=20)
        enter = ["nsenter", "--user", "--preserve-credentials", "--target", str(holder.pid)]
        if "mounts" in way:
            enter.append("--mount")
        name = rootless.new_id()
        call = lambda *args, **how: inside(enter, *args, **how)
        call("create", "--bundle", b, name)
        assert call("state", name).json()["status"] == "created"
        call("start", name)
        pid = call("state", name).json()["pid"]
        assert call("exec", name, "/bin/sh", "-c", "id -u; exit 3", check=False).stdout == "0\n"
        assert call("ps", "--format", "json", name).json() == [pid]
        assert "running" in call("list").stdout
        result = call("pause", name, check=False)
        assert result.returncode == 1 and "no cgroup" in result.stderr
        call("kill", "--all", name, "KILL")
        eventually(lambda: call("state", name).json()["status"] == "stopped")
        call("delete", name)
        assert call("delete", "--force", name).returncode == 0
    finally:
        holder.kill()
        holder.wait()


def test_default_root(rootless, bundle, user, token):
    """That of the user who is root there."""
    b = bundle("/bin/true", owner=user)
    as_user = list(map(str, ["setpriv", "--reuid", user.uid, "--regid", user.gid, "--clear-groups"]))
    how = {"env": {**rootless.environment, **user.env}, "cwd": user.home}
    run([*as_user, *OWN, rootless.path, "run", "--keep", "--bundle", b, f"{token}-root"], **how)
    folder = os.path.join(user.env["XDG_RUNTIME_DIR"], "hako", f"{token}-root")
    assert os.path.exists(folder)
    listed = run([*as_user, rootless.path, "list", "--quiet"], **how).stdout
    assert f"{token}-root\n" in listed
    run([*as_user, *OWN, rootless.path, "delete", f"{token}-root"], **how)
    assert not os.path.exists(folder)
    del how["env"]["XDG_RUNTIME_DIR"]
    result = run([*as_user, *OWN, rootless.path, "run", "--bundle", b, f"{token}-root"], check=False,
                 **how)
    assert result.returncode == 1 and "/run/hako" in result.stderr


def test_as_buildah_writes_it(inside, rootless, bundle, user):
    """Rootless, without a network namespace: /sys is the host's, and its cgroups are covered."""
    b = bundle("/bin/probe", "d:/sys/fs/cgroup", "d:/sys/class/net", "w:/dev/null", owner=user)
    (b.path / "empty").mkdir(mode=0)
    os.chown(b.path / "empty", user.uid, user.gid)
    b.without_namespace("network", "cgroup")
    common = ["private", "nodev", "noexec", "nosuid"]
    b.config["mounts"] = []
    for destination, source, kind, options in (
            ("/dev", "/dev", "tmpfs", ["private", "strictatime", "noexec", "nosuid", "mode=755",
                                       "size=65536k"]),
            ("/dev/mqueue", "mqueue", "mqueue", common),
            ("/dev/pts", "pts", "devpts", ["private", "noexec", "nosuid", "newinstance",
                                           "ptmxmode=0666", "mode=0620"]),
            ("/dev/shm", "shm", "tmpfs", [*common, "mode=1777", "size=65536k"]),
            ("/proc", "/proc", "proc", common),
            ("/sys", "/sys", "bind", ["rbind", *common, "ro"]),
            ("/sys/fs/cgroup", b.path / "empty", "bind", ["rprivate", "bind", "nodev", "noexec",
                                                          "nosuid", "ro"])):
        b.mount(destination, source, *options, type=kind)
    b.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    for way in WAYS.values():
        seen = inside(way, "run", "--no-new-keyring", "--bundle", b, rootless.new_id()).json()
        assert seen["tests"] == {"d:/sys/fs/cgroup": "EACCES", "d:/sys/class/net": "ok",
                                 "w:/dev/null": "ok"}


def test_without_a_mapping(inside, rootless, bundle, user):
    """Nobody can make a namespace who is nobody in the one he is in."""
    b = bundle("/bin/true", owner=user).rootless()
    message = refused_inside(inside, ["unshare", "--user"], rootless, b, "/linux/namespaces")
    assert "operation not permitted" in message and "is not mapped" in message


def test_oom_score(inside, rootless, bundle, user):
    b = bundle("/bin/probe", owner=user)
    b.process["oomScoreAdj"] = 300
    for way in WAYS.values():
        seen = inside(way, "run", "--bundle", b, rootless.new_id()).json()
        assert seen["oom_score_adj"] == "300"


def test_memfd_that_may_not_be_executed(make_runtime, hako, bundle, tmp_path):
    """Where a sysctl of the pid namespace wants that, a protected copy of hako has to ask."""
    sysctl = "/proc/sys/vm/memfd_noexec"
    if not os.path.exists(sysctl):
        pytest.skip("this kernel has no sysctl vm.memfd_noexec")
    script = tmp_path / "noexec"
    # without rights over the mounts hako cannot clone the one of its binary
    script.write_text(f"""#!/bin/sh
        exec unshare --pid --fork --mount-proc sh -ec 'echo 1 >{sysctl}
        exec unshare --user --map-root-user {hako} "$@"' sh "$@"\n""")
    script.chmod(0o755)
    runtime = make_runtime(script)
    runtime.run_bundle(bundle("/bin/true").user_namespace([(0, 0, 1)]))


# --- in a chroot ---

@pytest.fixture(params=["directory", "mount"])
def jail(request, tmp_path, hako):
    """A root with hako in it, which is the root of a mount or is not."""
    folder = tmp_path / "jail"
    for name in ("bin", "proc", "sys", "dev", "run", "tmp"):
        (folder / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", folder / "bin/sh")
    program.install(hako, folder, "bin/hako")
    if request.param == "mount":
        private.mount(folder, folder, None, private.MS_BIND)
    for name in ("proc", "sys", "dev"):
        private.mount(f"/{name}", folder / name, None, private.MS_BIND | private.MS_REC)
    yield folder
    for name in ("proc", "sys", "dev"):
        private.umount(folder / name)
    if request.param == "mount":
        private.umount(folder)


@pytest.fixture
def jailed(jail, make_runtime, tmp_path):
    """hako in the jail; its --root and bundles are the same paths there."""
    script = tmp_path / "jailed"
    script.write_text(f"#!/bin/sh\nexec chroot {jail} /bin/hako \"$@\"\n")
    script.chmod(0o755)
    runtime = make_runtime(script)
    inside = jail / str(tmp_path).lstrip("/")
    inside.mkdir(parents=True)
    runtime.base, runtime.root = inside / "base", inside / "root"
    runtime.argv = lambda *args: [str(script), "--root", f"{tmp_path}/root", *runtime.options,
                                  *map(os.fspath, args)]
    return runtime


def visible(pid):
    """What is in the root of the mount namespace of a process, wherever its own root is."""
    argv = ["nsenter", "--mount", "--target", str(pid), "/bin/busybox", "ls", "/"]
    return run(argv, check=False).stdout.split()


@pytest.mark.parametrize("propagation", [None, "shared", "private"])
@pytest.mark.parametrize("capability", ["CAP_SYS_CHROOT", "CAP_KILL"])
def test_chroot(jailed, jail, bundle, tmp_path, capability, propagation):
    """The container's root takes the place of the machine's, and not only of the chroot's: who may
    chroot could else go there."""
    b = bundle("/bin/sleep", "1000").capabilities(capability)
    if propagation is not None:
        b.linux["rootfsPropagation"] = propagation
    b.save()
    shutil.copytree(b.path, jail / str(tmp_path).lstrip("/") / "b", symlinks=True)
    before = open("/proc/self/mountinfo", encoding="utf-8").read()
    name = jailed.new_id()
    jailed.run("create", "--bundle", f"{tmp_path}/b", name)
    jailed.run("start", name)
    pid = jailed.run("state", name).json()["pid"]
    expected = sorted(os.listdir(b.rootfs))
    assert sorted(os.listdir(f"/proc/{pid}/root")) == expected
    if capability == "CAP_SYS_CHROOT":
        assert sorted(visible(pid)) == expected
    assert jailed.run("exec", name, "/bin/cat", "/etc/passwd").stdout.startswith("root:")
    assert open("/proc/self/mountinfo", encoding="utf-8").read() == before
    jailed.run("delete", "--force", name)


def test_user_namespace_in_a_chroot(jailed, jail, bundle, tmp_path):
    """The kernel makes none."""
    b = bundle("/bin/true").user_namespace().save()
    shutil.copytree(b.path, jail / str(tmp_path).lstrip("/") / "b", symlinks=True)
    result = jailed.run("run", "--bundle", f"{tmp_path}/b", jailed.new_id(), check=False)
    assert result.returncode == 1 and "operation not permitted" in result.stderr
