# SPDX-License-Identifier: MIT
"""hako run by an ordinary user: what works, and that what does not says so in one line."""

import contextlib
import json
import os
import pathlib
import subprocess

import pytest

from harness import mountinfo, private
from harness.kernel import alive, cgroup_path, cgroup_pids, cmdline, eventually, frozen
from harness.refused import refused
from harness.runtime import SCALE, run, wait_exit

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


def test_spec_of_runc(rootless, bundle, user, runc):
    """Without a network namespace of its own and with /sys as rbind, as runc writes it."""
    b = bundle(owner=user)
    (b.path / "config.json").unlink(missing_ok=True)
    run([runc.path, "spec", "--rootless", "--bundle", b.path], user=user, env=runc.environment)
    b.config = json.loads((b.path / "config.json").read_text())
    b.process["terminal"] = False
    b.process["env"] += [f"HAKO_TEST={rootless.token}"]
    seen = rootless.probe(b, "d:/sys/class/net", "c:/sys/new", "w:/dev/null")
    assert seen["tests"] == {"d:/sys/class/net": "ok", "c:/sys/new": "EROFS", "w:/dev/null": "ok"}
    assert seen["uid_map"][0].split() == ["0", str(user.uid), "1"]


def test_spec_of_a_user_whom_no_file_knows(rootless, bundle, user, tmp_path):
    """Any uid will do, also without a line in passwd and subuid."""
    somebody = 3_456_789
    b = bundle()
    subprocess.run(["chown", "-hR", f"{somebody}:{somebody + 1}", b.path], check=True)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    os.chown(home, somebody, somebody + 1)
    (b.path / "config.json").unlink(missing_ok=True)
    how = {"cwd": b.path,
           "env": {**rootless.environment, "XDG_RUNTIME_DIR": os.fspath(home)}}
    as_somebody = ["setpriv", "--reuid", somebody, "--regid", somebody + 1, "--clear-groups"]
    run([*map(str, as_somebody), rootless.path, "spec", "--rootless"], **how)
    b.config = json.loads((b.path / "config.json").read_text())
    b.process["terminal"] = False
    b.save()
    result = run([*map(str, as_somebody), rootless.path, "run", f"{rootless.token}-somebody"],
                 input="id -u; cat /proc/self/uid_map /proc/self/gid_map", **how)
    assert result.stdout.split() == ["0", "0", str(somebody), "1", "0", str(somebody + 1), "1"]
    assert os.listdir(home) == ["hako"] and os.listdir(home / "hako") == [".cache"]


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


@pytest.fixture
def default(rootless, user):
    """default(COMMAND...): hako without --root, as the user."""
    def call(*args, check=True, **environment):
        env = {**rootless.environment, **user.env, **environment}
        env = {name: value for name, value in env.items() if value is not None}
        return subprocess.run(
            [os.fspath(arg) for arg in (rootless.path, *args)], env=env, user=user.uid,
            group=user.gid, extra_groups=[], cwd=user.home, text=True, check=check,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return call


def test_default_root(default, own, user, token):
    """Below XDG_RUNTIME_DIR, for nobody else, and sticky: what is old there may be cleaned up."""
    default("run", "--bundle", own("/bin/true"), f"{token}-default")
    folder = pathlib.Path(user.env["XDG_RUNTIME_DIR"]) / "hako"
    assert folder.stat().st_mode & 0o7777 == 0o1700 and os.listdir(folder) == []
    assert default("list", "--format", "json").stdout == "null\n"


@pytest.mark.parametrize("value, message", [
    (None, "set XDG_RUNTIME_DIR"), ("", "set XDG_RUNTIME_DIR"), ("relative", "set XDG_RUNTIME_DIR"),
    ("/nowhere/at/all", "/nowhere: permission denied"), ("/proc/self/comm", "not a directory"),
])
def test_default_root_that_cannot_be(default, own, token, value, message):
    for command in (["run", "--bundle", own("/bin/true"), f"{token}-x"],
                    ["create", "--bundle", own("/bin/true"), f"{token}-x"]):
        result = default(*command, check=False, XDG_RUNTIME_DIR=value)
        assert result.returncode == 1 and result.stderr.count("\n") == 1, result
        assert "XDG_RUNTIME_DIR" in result.stderr and "--root" in result.stderr
        assert message in result.stderr or "permission denied" in result.stderr


@pytest.mark.parametrize("owner, mode, message", [(0, 0o755, "belongs to user 0"),
                                                  (None, 0o777, "other users may write"),
                                                  (None, 0o720, "other users may write")])
def test_default_root_of_others(default, own, user, token, tmp_path, owner, mode, message):
    """State that somebody else could have planted is not looked at."""
    folder = tmp_path / "hako"
    folder.mkdir()
    os.chown(folder, user.uid if owner is None else owner, user.gid)
    folder.chmod(mode)
    for command in (["list"], ["state", "x"], ["run", "--bundle", own("/bin/true"), f"{token}-x"]):
        result = default(*command, check=False, XDG_RUNTIME_DIR=os.fspath(tmp_path))
        assert result.returncode == 1 and message in result.stderr, result
    assert os.listdir(folder) == []


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


def test_exec_that_fails_gives_nothing_away(rootless, own, user, tmp_path):
    """A file of the caller stays its own: inside, its number means another user."""
    first, count = user.subuid
    assert user.uid < count
    box = rootless.container(own("/bin/sleep", "1000").user_namespace(
        [(0, user.uid, 1), (1, first, count)], [(0, user.gid, 1), (1, first, count)]))
    box.create()
    box.start()
    file = tmp_path / "process.json"
    file.write_text(json.dumps({"args": ["/bin/true"], "cwd": "/",
                                "scheduler": {"policy": "SCHED_FIFO", "priority": 10}}))
    tmp_path.chmod(0o755)
    with open(tmp_path / "out", "wb") as out:
        os.fchown(out.fileno(), user.uid, user.gid)
        exec = rootless.popen("exec", "--process", file, box.id, stdout=out, stderr=subprocess.PIPE)
        said = exec.communicate()[1]
        assert b"scheduler" in said and os.fstat(out.fileno()).st_uid == user.uid, said


def test_several_ranges_with_gaps(rootless, own, user):
    first, _ = user.subuid
    uids = [(0, first + 500, 1), (5, user.uid, 1), (1000, first, 300), (60000, first + 1000, 7)]
    gids = [(0, user.gid, 1), (33, first + 2, 5), (70000, first + 60000, 5536)]
    seen = rootless.probe(own().user_namespace(uids, gids))
    assert [tuple(map(int, row.split())) for row in seen["uid_map"]] == uids
    assert [tuple(map(int, row.split())) for row in seen["gid_map"]] == gids
    assert seen["setgroups"] == "allow" and seen["status"]["Uid"].split() == ["0"] * 4


def test_groups_are_denied_only_with_the_own_gid_alone(rootless, own, user):
    """newuidmap for the uids has nothing to do with setgroups."""
    first, count = user.subuid
    b = own().user_namespace([(0, user.uid, 1), (1, first, count)], [(0, user.gid, 1)])
    assert rootless.probe(b)["setgroups"] == "deny"
    b.user_namespace([(0, user.uid, 1)], [(0, user.gid, 1), (1, first, count)])
    b.process["user"] = {"uid": 0, "gid": 7, "additionalGids": [3, 65536]}
    seen = rootless.probe(b)
    assert seen["setgroups"] == "allow" and seen["status"]["Groups"].split() == ["3", "65536"]
    assert seen["status"]["Gid"].split() == ["7"] * 4


def test_own_id_as_another_than_root(rootless, own, user):
    """Nobody is root in that namespace; the process is still who it is outside."""
    b = own().user_namespace([(1000, user.uid, 1)], [(1001, user.gid, 1)])
    b.process["user"] = {"uid": 1000, "gid": 1001}
    seen = rootless.probe(b, "c:/tmp/new")
    assert seen["status"]["Uid"].split() == ["1000"] * 4
    assert seen["status"]["Gid"].split() == ["1001"] * 4
    assert (b.rootfs / "tmp/new").stat().st_uid == user.uid
    b.process["user"] = {"uid": 0, "gid": 1001}
    assert "unmapped uid 0" in refused(rootless, b, "/process/user/uid")


SUBIDS = "grants 1879048192 to 1879113727"


@pytest.mark.parametrize("uids, row, ids", [
    ([(0, 0, 1)], 0, "0 to 0"), ([(0, 64777, 1), (1, 1, 100)], 1, "1 to 100"),
    ([(0, 64777, 2)], 0, "64777 to 64778"),
    ([(0, 1_879_048_192 - 1, 2)], 0, "1879048191 to 1879048192"),
    ([(0, 64777, 1), (1, 1_879_048_192, 65535), (65536, 1_879_048_192 + 65535, 2)], 2,
     "1879113727 to 1879113728")])
def test_ids_of_others(rootless, own, user, uids, row, ids):
    """What newuidmap says, the row that is not granted, the file, and what that grants."""
    b = own().user_namespace(uids, [(0, user.gid, 1)])
    message = refused(rootless, b, f"/linux/uidMappings/{row}")
    assert f"newuidmap: uid range [{uids[row][0]}-" in message and SUBIDS in message
    assert f"no line of /etc/subuid grants the ids {ids} to {user.name}" in message
    b = own().user_namespace([(0, user.uid, 1)], [(0, user.gid, 1), (1, 12, 1)])
    message = refused(rootless, b, "/linux/gidMappings/1")
    assert "newgidmap" in message and "no line of /etc/subgid grants the ids 12 to 12" in message


def test_user_without_a_line(rootless, own, user):
    b = own().user_namespace([(0, user.uid, 1), (1, 100, 5)], [(0, user.gid, 1)])
    empty = user.home / "empty"
    empty.write_text("somebody:100:65536\n")
    private.mount(empty, "/etc/subuid", None, private.MS_BIND)
    try:
        message = refused(rootless, b, "/linux/uidMappings/1")
        assert f"it has no line for {user.name} at all" in message
        empty.write_text(f"{user.uid}:90:15\n")  # by number
        assert rootless.probe(b)["uid_map"][1].split() == ["1", "100", "5"]
    finally:
        private.umount("/etc/subuid")


def test_without_newuidmap(rootless, own, user):
    first, count = user.subuid
    b = own().user_namespace([(0, user.uid, 1), (1, first, count)], [(0, user.gid, 1)])
    rootless.environment["PATH"] = "/nowhere"
    message = refused(rootless, b, "/linux/uidMappings")
    assert "run newuidmap" in message and "no such file" in message and "uidmap" in message


@pytest.mark.parametrize("script, message", [
    ("echo no reason >&2; exit 3", ": no reason"), ("exit 1", "does not say why"),
    ("kill -9 $$", "does not say why"), ("yes no >&2; exit 1", ": no")])
def test_newuidmap_that_fails(rootless, own, user, tmp_path, script, message):
    first, count = user.subuid
    b = own().user_namespace([(0, user.uid, 1), (1, first, count)], [(0, user.gid, 1)])
    (tmp_path / "newuidmap").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "newuidmap").chmod(0o755)
    rootless.environment["PATH"] = f"{tmp_path}:{rootless.environment['PATH']}"
    assert message in refused(rootless, b, "/linux/uidMappings")


def test_additional_groups_with_one_id(rootless, own):
    """setgroups had to be given up: an error, not another set of groups."""
    b = own()
    b.process["user"] = {"uid": 0, "gid": 0, "additionalGids": [0]}
    result = rootless.run_bundle(b, check=False)
    assert result.returncode == 1 or result.stdout == ""
    rootless.options = ["--strict", "--cgroup-manager", "disabled"]
    assert "groups" in refused(rootless, b)


# --- without a cgroup ---

@pytest.mark.parametrize("resources, pointer", [
    ({"pids": {"limit": 5}}, "pids/limit"), ({"memory": {"limit": 1 << 26}}, "memory/limit"),
    ({"unified": {"cgroup.max.depth": "3"}}, "unified/cgroup.max.depth")])
def test_limits_without_a_delegated_cgroup(rootless, own, user, resources, pointer):
    """The file in the way, its owner, and what to do."""
    b = own()
    b.linux["resources"] = resources
    message = refused(rootless, b, f"/linux/resources/{pointer}")
    assert "a limit needs a cgroup: /sys/fs/cgroup belongs to root (uid 0)" in message
    assert f"{user.name} (uid {user.uid}) may not write" in message and "delegated" in message


def test_path_without_a_delegated_cgroup(rootless, own, token):
    """To ask for a place is to ask for a cgroup: crun and runc refuse it too."""
    b = own()
    (ROOT / token).mkdir()
    try:
        for path, owned in ((f"/{token}-box", ""), (f"/{token}/box", f"/{token}"),
                            (f"/{token}/deep/er", f"/{token}"), ("box", "")):
            b.linux["cgroupsPath"] = path
            message = refused(rootless, b, "/linux/cgroupsPath")
            assert f"/sys/fs/cgroup{owned} belongs to root (uid 0)" in message
    finally:
        (ROOT / token).rmdir()


def test_nothing_asked_no_cgroup(rootless, own, token):
    """None is needed, none is made, and that is no fallback: --strict agrees."""
    rootless.options = ["--strict", "--log-level", "info"]
    b = own("/bin/cat", "/proc/self/cgroup").without_namespace("cgroup")
    result = rootless.run_bundle(b)
    assert "the container has no cgroup of its own: /sys/fs/cgroup belongs to root" in result.stderr
    assert "0::/\n" in result.stdout
    assert not [folder for folder, _, _ in os.walk(ROOT) if token in folder]
    rootless.options = ["--log-level", "warning"]
    assert rootless.run_bundle(own("/bin/true")).stderr == ""


def test_writable_view_of_the_callers_cgroup_is_refused(rootless, own, user):
    """A cgroup mount of a container without a cgroup shows the caller's: for reading only."""
    b = own().mount("/sys/fs/cgroup", "cgroup", "rw", type="cgroup")
    rootless.options = ["--log-level", "warning"]
    b.args("/bin/grep", "cgroup2", "/proc/self/mountinfo")
    result = rootless.run_bundle(b)
    assert " /sys/fs/cgroup ro," in result.stdout and "cgroup-readonly" in result.stderr
    rootless.options = ["--strict"]
    refused(rootless, b)


@pytest.fixture
def crowd(rootless, own):
    """A container without a cgroup, with processes that nobody but the kernel knows together."""
    made = rootless.container(own().sh(
        "trap 'echo term >>/got' TERM; (setsid sleep 1000 &); sleep 1000 & echo up;"
        "while :; do sleep 0.05; done"))
    out = made.create()
    made.start()
    eventually(lambda: "up" in out.stdout)
    with made.runtime.popen("exec", made.id, "/bin/sleep", "1000") as added:
        eventually(lambda: len(sleeps(members(made.pid))) == 3)
        yield made, added
        added.kill()


def members(pid):
    """Pids in the pid namespace of that process."""
    namespace = os.readlink(f"/proc/{pid}/ns/pid")
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{name}/ns/pid") == namespace and alive(name):
                found.add(int(name))
        except OSError:
            pass
    return found


def sleeps(pids):
    """Those that do not end within the test, as those of the shell's loop do."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            if cmdline(pid) in (["sleep", "1000"], ["/bin/sleep", "1000"]):
                found.add(pid)
    return found


def test_ps_without_a_cgroup(crowd):
    box, _ = crowd
    expected = sleeps(members(box.pid))
    listed = set(box.runtime.run("ps", "--format", "json", box.id).json())
    assert len(expected) == 3 and box.pid in listed and sleeps(listed) == expected
    assert os.getpid() not in listed
    table = box.runtime.run("ps", box.id, "-e", "-o", "pid,args").stdout
    assert sum(line.endswith("sleep 1000") for line in table.splitlines()) == 3


def test_kill_all_without_a_cgroup(crowd):
    box, added = crowd
    sleeping = sleeps(members(box.pid))
    box.runtime.run("kill", "--all", box.id, "TERM")
    eventually(lambda: not any(alive(pid) for pid in sleeping))
    assert added.wait(10 * SCALE) == 128 + 15
    eventually(lambda: (box.bundle.rootfs / "got").exists())
    assert box.status == "running"
    box.runtime.run("kill", "--all", box.id, "KILL")
    box.wait_for("stopped")
    box.runtime.run("kill", "--all", box.id, "KILL")  # as with a cgroup: nobody is left
    assert wait_exit(int(json.loads((box.runtime.root / box.id / "state.json").read_text())["pid"])) == 137


def test_delete_without_a_cgroup(crowd):
    box, added = crowd
    everybody = members(box.pid)
    box.delete("--force")
    assert added.wait(10 * SCALE) == 137
    eventually(lambda: not any(alive(pid) for pid in everybody))


def test_processes_of_a_created_container(rootless, own):
    """Its first process cannot be looked into, and is the only one."""
    box = rootless.container(own("/bin/true"))
    box.create()
    assert rootless.run("ps", "--format", "json", box.id).json() == [box.pid]
    result = box.exec("/bin/true", check=False)
    assert result.returncode == 255 and "not started yet" in result.stderr
    box.delete()


@pytest.mark.parametrize("how", ["1", "2"])
def test_procfs_that_hides_processes(rootless, own, user, tmp_path, how):
    """hidepid= hides a container that waits for its start, also from the user whose it is."""
    script = tmp_path / "hidden"
    script.write_text(f"""#!/bin/sh
        exec unshare --mount sh -ec 'mount -t proc -o hidepid={how} proc /proc
        exec setpriv --reuid {user.uid} --regid {user.gid} --clear-groups {rootless.path} "$@"' sh "$@"\n""")
    script.chmod(0o755)
    def call(*args):
        return run([script, *rootless.argv(*args)[1:]], env={**rootless.environment, **user.env},
                   cwd=user.home)
    b = own("/bin/sleep", "1000")
    for end in (["kill", "KILL"], ["delete"], ["start"]):
        name = rootless.new_id()
        call("create", "--bundle", b, name)
        shown = call("state", name).json()
        assert shown["status"] == "created" and alive(shown["pid"])
        assert call("ps", "--format", "json", name).json() == [shown["pid"]]
        call(end[0], name, *end[1:])
        if end[0] == "start":
            assert call("state", name).json()["status"] == "running"
            assert call("exec", name, "id", "-u").stdout == "0\n"
        elif end[0] == "kill":
            eventually(lambda: call("state", name).json()["status"] == "stopped")
        call("delete", "--force", name)
        eventually(lambda: not alive(shown["pid"]))


def test_neither_cgroup_nor_pid_namespace(rootless, own):
    """Whose processes are whose is not to be known, and hako does not pretend."""
    b = own("/bin/sleep", "1000").without_namespace("pid").without_mount("/proc")
    b.mount("/proc", "/proc", "rbind")
    b.linux.pop("maskedPaths")
    b.linux.pop("readonlyPaths")
    box = rootless.container(b)
    box.create()
    box.start()
    pid = box.pid
    for command in (["ps", "-f", "json", box.id], ["kill", "--all", box.id, "TERM"]):
        result = rootless.run(*command, check=False)
        assert result.returncode == 1 and "cannot be told from others" in result.stderr
    assert box.status == "running"
    rootless.options = ["--strict"]
    assert "first process" in box.kill("KILL", check=False).stderr
    assert box.status == "running"
    rootless.options = ["--log-level", "warning"]
    assert "first process" in box.kill("KILL").stderr
    assert wait_exit(pid) == 137
    box.delete()


def test_pause_without_a_cgroup(box):
    for command in ("pause", "resume"):
        result = box.runtime.run(command, box.id, check=False)
        assert result.returncode == 1
    result = box.runtime.run("pause", box.id, check=False)
    assert "no cgroup of its own: none was delegated" in result.stderr
    assert box.status == "running"


def test_no_cgroup_v2_at_all(make_runtime, rootless, own, user, tmp_path):
    script = tmp_path / "none"
    script.write_text(f"""#!/bin/sh
        exec unshare --mount sh -ec 'umount /sys/fs/cgroup
        exec setpriv --reuid {user.uid} --regid {user.gid} --clear-groups {rootless.path} "$@"' sh "$@"\n""")
    script.chmod(0o755)
    b = own("/bin/true")
    argv = [script, *rootless.argv("run", "--bundle", b, rootless.new_id())[1:]]
    run(argv, env={**rootless.environment, **user.env}, cwd=user.home)
    b.linux["resources"] = {"pids": {"limit": 5}}
    argv = [script, *rootless.argv("run", "--bundle", b, rootless.new_id())[1:]]
    result = run(argv, env={**rootless.environment, **user.env}, cwd=user.home, check=False)
    assert result.returncode == 1
    assert "a limit needs a cgroup: no cgroup v2 hierarchy" in result.stderr


# --- what is not to be had ---

def test_without_a_user_namespace(rootless, own):
    b = own().without_namespace("user")
    b.linux.pop("uidMappings")
    b.linux.pop("gidMappings")
    message = refused(rootless, b, "/linux/namespaces")
    assert "operation not permitted" in message and "spec --rootless" in message


def test_sources_that_the_user_cannot_reach(rootless, own, tmp_path):
    (tmp_path / "secret/below").mkdir(mode=0o700, parents=True)
    (tmp_path / "secret").chmod(0o700)
    b = own().mount("/tmp", tmp_path / "secret", "bind")  # it can be bound, and not be read
    assert rootless.probe(b, "d:/tmp", "d:/tmp/below")["tests"] == {"d:/tmp": "EACCES",
                                                                    "d:/tmp/below": "EACCES"}
    b.mounts[-1]["source"] += "/below"
    assert "permission denied" in refused(rootless, b, f"/mounts/{len(b.mounts) - 1}/source")


@pytest.mark.parametrize("subordinate", [False, True])
def test_source_that_a_group_of_the_user_opens(rootless, own, user, tmp_path, subordinate):
    """The groups of the caller count for what is opened, and are gone before the program."""
    (tmp_path / "shared/below").mkdir(parents=True)
    (tmp_path / "shared/below/file").write_text("seen")
    os.chown(tmp_path / "shared", 0, 54321)
    (tmp_path / "shared").chmod(0o750)
    b = own("/bin/sh", "-c", "cat /tmp/file; grep Groups /proc/self/status")
    b.mount("/tmp", tmp_path / "shared/below", "bind")
    if subordinate:
        first, count = user.subuid
        b.user_namespace([(0, user.uid, 1), (1, first, count)], [(0, user.gid, 1), (1, first, count)])
    with rootless.popen("run", "--bundle", b, rootless.new_id(), extra_groups=[54321],
                        stdout=subprocess.PIPE) as process:
        seen = process.communicate(timeout=30 * SCALE)[0].decode()
    assert process.returncode == 0 and seen.startswith("seenGroups:")
    assert not subordinate or seen.split() == ["seenGroups:"]


def test_flags_of_the_hosts_mounts_stay(rootless, own, user):
    volume = user.home / "volume"
    volume.mkdir(exist_ok=True)
    os.chown(volume, user.uid, user.gid)
    private.mount("tmpfs", volume, "tmpfs", 2 | 4 | 1)  # nosuid, nodev, read-only
    try:
        b = own().mount("/tmp", volume, "bind")
        assert mountinfo.parse(rootless.probe(b)["mounts"])["/tmp"].options >= {"nosuid", "nodev",
                                                                                "ro"}
        b.mounts[-1]["options"] = ["bind", "suid"]
        assert "may not clear" in refused(rootless, b)
    finally:
        private.umount(volume)


def test_a_read_only_source_stays_read_only(rootless, own, user):
    """Engines write rw for every volume that is not to be read-only."""
    volume = user.home / "readonly"
    volume.mkdir(exist_ok=True)
    private.mount("tmpfs", volume, "tmpfs", 2 | 4 | 1)
    try:
        b = own().mount("/tmp", volume, "rbind", "rw", "rprivate")
        assert mountinfo.parse(rootless.probe(b)["mounts"])["/tmp"].options >= {"nosuid", "nodev",
                                                                                "ro"}
        box = rootless.container(b.sh("sleep 1000"))
        assert "mount-readonly" in rootless.run("--log-level", "warning", "run", "--detach", "-b",
                                                b, box.id).stderr
        rootless.run("verify", "--only", "mounts./tmp.readonly", box.id)
        box.delete("--force")
        rootless.options.append("--strict")
        assert "stays read-only" in refused(rootless, b)
    finally:
        private.umount(volume)


# --- with a delegated cgroup ---

PAGES = "hugetlb.2MB.max"  # a controller that this machine has in v2


def give(path, user):
    for name in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
        os.chown(path / name, user.uid, user.gid)


@pytest.fixture
def delegated(token, user):
    """A cgroup that belongs to the user, with one for the runtime in it."""
    (ROOT / "cgroup.subtree_control").write_text("+hugetlb")
    folder = ROOT / f"{token}-user"
    (folder / "runtime").mkdir(parents=True)
    for path in (folder, folder / "runtime"):
        give(path, user)
    yield folder
    for path, _, _ in os.walk(folder, topdown=False):
        os.rmdir(path)


@contextlib.contextmanager
def within(folder):
    """Whatever is started meanwhile is born in that cgroup."""
    before = cgroup_path(os.getpid())
    (folder / "cgroup.procs").write_text(f"{os.getpid()}")
    try:
        yield
    finally:
        (before / "cgroup.procs").write_text(f"{os.getpid()}")


@pytest.mark.parametrize("path, expected", [
    ("/{delegated}/box", "box"), ("/{delegated}/a/b", "a/b"), ("a/b", "a/b"), ("box", "box"),
    (None, "{id}"), ("/{delegated}/runtime/below", "runtime/below"),
    ("/../{delegated}/x/../box", "box"), ("../box", None)])
def test_delegated_cgroup(rootless, own, delegated, path, expected):
    """Tracked, limited, paused, and removed in the end; a relative path is beside the caller's."""
    b = own("/bin/sleep", "1000")
    if path is not None:
        b.linux["cgroupsPath"] = path.format(delegated=delegated.name)
    b.linux["resources"] = {"unified": {"cgroup.max.depth": "3"}}
    box = rootless.container(b)
    with within(delegated / "runtime"):
        if expected is None:
            assert "/sys/fs/cgroup belongs to root" in refused(rootless, b, "/linux/resources/"
                                                               "unified/cgroup.max.depth")
            return
        box.create()
        box.start()
        seen = box.probe("cat:/proc/self/cgroup")
    group = delegated / expected.format(id=box.id)
    assert cgroup_path(box.pid) == group and group.stat().st_uid == rootless.user.uid
    assert seen["tests"]["cat:/proc/self/cgroup"].splitlines()[-1] == "0::/"
    assert (group / "cgroup.max.depth").read_text() == "3\n"
    assert rootless.run("ps", "-f", "json", box.id).json() == [box.pid]
    rootless.run("pause", box.id)
    assert box.status == "paused" and frozen(group)
    rootless.run("resume", box.id)
    rootless.run("kill", "--all", box.id, "KILL")
    box.wait_for("stopped")
    box.delete()
    assert not group.exists()
    while group.parent != delegated and group.parent.name != "runtime":
        group = group.parent
        group.rmdir()


def test_delegated_controllers(rootless, own, delegated):
    """A limit is handed down from the user's cgroup, which has no processes."""
    b = own("/bin/sleep", "1000")
    b.linux["resources"] = {"unified": {PAGES: "4194304"}}
    box = rootless.container(b)
    with within(delegated / "runtime"):
        box.create()
    assert (delegated / box.id / PAGES).read_text() == "4194304\n"
    assert (delegated / "cgroup.subtree_control").read_text() == "hugetlb\n"
    box.delete("--force")
    assert not (delegated / box.id).exists()


def test_only_the_callers_own_cgroup_is_delegated(rootless, own, delegated):
    """The one above is root's: the container is below. With processes of its own the caller's
    cgroup hands no controllers down; hako moves nobody but says so."""
    os.chown(delegated, 0, 0)
    b = own("/bin/sleep", "1000")
    b.linux["resources"] = {"unified": {"cgroup.max.depth": "3"}}
    box = rootless.container(b)
    with within(delegated / "runtime"):
        box.create()
        assert cgroup_path(box.pid) == delegated / "runtime" / box.id
        box.delete("--force")
        (delegated / "cgroup.subtree_control").write_text("+hugetlb")
        b.linux["resources"] = {"unified": {PAGES: "4194304"}}
        message = refused(rootless, b, f"/linux/resources/unified/{PAGES}")
    assert f"{delegated}/runtime has processes of its own" in message


def test_controllers_that_root_does_not_hand_down(rootless, own, delegated):
    """The file that is in the way, and its owner."""
    os.chown(delegated / "cgroup.subtree_control", 0, 0)
    b = own("/bin/sleep", "1000")
    b.linux["resources"] = {"unified": {PAGES: "4194304"}}
    with within(delegated / "runtime"):
        message = refused(rootless, b, f"/linux/resources/unified/{PAGES}")
    assert f"{delegated}/cgroup.subtree_control belongs to root (uid 0)" in message
    assert sorted(p.name for p in delegated.iterdir() if p.is_dir()) == ["runtime"]


def test_limit_in_a_cgroup_that_root_has_made(rootless, own, delegated, user):
    """It is fit for a container, but its limits are root's."""
    (delegated / "cgroup.subtree_control").write_text("+hugetlb")
    (delegated / "box").mkdir()
    give(delegated / "box", user)
    b = own("/bin/sleep", "1000")
    b.linux.update(cgroupsPath="box", resources={"unified": {PAGES: "4194304"}})
    with within(delegated / "runtime"):
        message = refused(rootless, b, f"/linux/resources/unified/{PAGES}")
    assert f"{delegated}/box/{PAGES} belongs to root (uid 0)" in message


def test_caller_outside_of_the_delegated_cgroup(rootless, own, delegated, user):
    """To start a process there takes the right to move one: cgroup.procs of the common ancestor."""
    b = own("/bin/sleep", "1000")
    b.linux["cgroupsPath"] = f"/{delegated.name}/box"
    message = refused(rootless, b, "/linux/cgroupsPath")
    assert "/sys/fs/cgroup/cgroup.procs belongs to root (uid 0)" in message
    assert not (delegated / "box").exists()
    box = rootless.container(b)
    with within(delegated / "runtime"):
        box.create()
        box.start()
    result = box.exec("/bin/true", check=False)
    assert result.returncode == 255
    assert "/sys/fs/cgroup/cgroup.procs belongs to root (uid 0)" in result.stderr
    rootless.run("pause", box.id)  # its files are the user's, wherever the user is
    rootless.run("resume", box.id)
    box.delete("--force")
    assert not (delegated / "box").exists()


def test_delegated_cgroup_of_subordinate_ids(rootless, own, delegated, user):
    """Processes of other ids in a cgroup of the user's, with cgroups below it."""
    first, count = user.subuid
    b = own().user_namespace([(0, user.uid, 1), (1, first, count)],
                             [(0, user.gid, 1), (1, first, count)])
    b.mount("/sys/fs/cgroup", "cgroup", "rw", type="cgroup")
    b.sh("mkdir -p /sys/fs/cgroup/a/b && echo 0 >/sys/fs/cgroup/a/b/cgroup.procs && echo up;"
         "exec sleep 1000")
    box = rootless.container(b)
    with within(delegated / "runtime"):
        out = box.create()
        box.start()
        eventually(lambda: "up" in out.stdout)
        added = box.exec("/bin/sleep", "1000", options=["--detach", "--user", "500:500"])
    assert added.returncode == 0
    eventually(lambda: len(cgroup_pids(delegated / box.id)) == 2)
    eventually(lambda: {os.stat(f"/proc/{pid}").st_uid for pid in cgroup_pids(delegated / box.id)}
               == {user.uid, first + 499})  # of who executes a program it is root's for a moment
    box.delete("--force")
    assert not (delegated / box.id).exists()
