# SPDX-License-Identifier: MIT
"""hako in a container of hako's: what works there, which fallbacks are taken, which errors said."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from harness import mountinfo, private, program
from harness.runtime import run

ROOT = pathlib.Path(private.CGROUP)

EVERY = sorted(f"CAP_{name.upper()}" for name in (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable "
    "net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio "
    "sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time "
    "sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog "
    "wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore").split())


@pytest.fixture
def outer(bundle, hako):
    """A container as engines call it privileged: every capability, nothing masked, cgroups."""
    b = bundle().capabilities(*EVERY)
    b.process["noNewPrivileges"] = False
    b.linux.pop("maskedPaths")
    b.linux.pop("readonlyPaths")
    for mount in b.mounts:
        mount["options"] = [o for o in mount.get("options", []) if o != "ro"]
    program.install(hako, b.rootfs, "bin/hako")
    return b


@pytest.fixture
def nest(runtime, outer):
    """nest(inner, *options): run hako in the outer container on a bundle, as its first process."""
    def run(inner, *globals, options=(), args=None, **how):
        inner.save()
        shutil.rmtree(outer.rootfs / "inner", ignore_errors=True)
        shutil.copytree(inner.path, outer.rootfs / "inner", symlinks=True)
        if "uidMappings" in outer.linux:
            subprocess.run(["chown", "-hR", "1000000:1000000", outer.rootfs / "inner"], check=True)
        outer.args(*(args or ("/bin/hako", *globals, "run", *options, "--bundle", "/inner", "in")))
        return runtime.run_bundle(outer, **how)
    return run


def user_namespace(outer):
    """The outer container's root is another user outside."""
    outer.user_namespace()
    subprocess.run(["chown", "-hR", "1000000:1000000", outer.path], check=True)
    return outer


def masked(outer):
    """What engines hide. In a user namespace of its own nobody can take such a cover off."""
    outer.linux["maskedPaths"] = ["/proc/keys", "/sys/firmware"]
    outer.linux["readonlyPaths"] = ["/proc/sys"]
    return outer


def cgroup_mount(outer):
    return next(m for m in outer.mounts if m["type"] == "cgroup")


def fails(nest, inner, *options):
    """The one line of the error of the inner hako."""
    result = nest(inner, *options, check=False)
    assert result.returncode == 1 and re.fullmatch(r"hako: .*\n", result.stderr), result
    return result.stderr


# --- where it works as on a host ---

@pytest.mark.parametrize("inner", ["plain", "userns"])
@pytest.mark.parametrize("outside", ["plain", "userns"])
def test_in_a_privileged_container(nest, outer, bundle, outside, inner):
    """With and without user namespaces: nothing is left out, --strict agrees."""
    b = bundle("/bin/probe", "cat:/proc/self/cgroup", "w:/dev/null", "k:/tmp/node", "c:/new",
               "d:/sys/class/net", "cat:/proc/keys")
    if outside == "userns":
        user_namespace(outer)
    if inner == "userns":
        b.user_namespace([(0, 1000, 1000)])
        (b.rootfs / "tmp").chmod(0o1777)
    seen = nest(b, "--strict").json()
    assert (seen["pid"], seen["hostname"]) == (1, "hako")
    for kind in ("mnt", "pid", "ipc", "uts", "net", "cgroup"):
        assert seen["namespaces"][kind] != os.readlink(f"/proc/self/ns/{kind}")
    tests = seen["tests"]
    assert tests.pop("cat:/proc/self/cgroup").splitlines()[-1] == "0::/"
    assert tests.pop("c:/new") == ("EACCES" if inner == "userns" else "ok")
    assert tests == {"w:/dev/null": "ok", "k:/tmp/node": "EPERM", "d:/sys/class/net": "ok",
                     "cat:/proc/keys": ""}  # /dev/null is over it
    found = mountinfo.parse(seen["mounts"])
    assert found["/proc"].type == "proc" and found["/sys"].type == "sysfs"
    made = "tmpfs" if (outside, inner) == ("plain", "plain") else found["/dev/null"].type
    assert made in ("tmpfs", "devtmpfs")
    expected = {"plain": 0, "userns": 1000}[inner]
    assert seen["uid_map"][0].split()[:2] == ["0", str(expected)] or inner == "plain"


@pytest.mark.parametrize("outside", ["plain", "userns", "without a cgroup namespace"])
def test_a_cgroup_of_its_own(nest, outer, bundle, runtime, outside, token):
    """Below that of the outer container, which the outer hako has handed over to its root."""
    if outside == "userns":
        user_namespace(outer)
    if outside == "without a cgroup namespace":
        outer.without_namespace("cgroup")
    outer.linux["cgroupsPath"] = f"/{token}"
    b = bundle("/bin/sleep", "1000")
    b.linux["resources"] = {"unified": {"cgroup.max.depth": "3"}}
    b.save()
    shutil.copytree(b.path, outer.rootfs / "inner", symlinks=True)
    outer.sh("""set -e
        hako create --bundle /inner in; hako start in
        hako pause in; grep 'frozen 1' /sys/fs/cgroup/in/cgroup.events; hako resume in
        cat /sys/fs/cgroup/in/cgroup.max.depth
        hako exec in cat /proc/self/cgroup | tail -n 1
        hako ps --format json in | tr ',' '\n' | wc -l
        hako kill --all in KILL
        until hako state in | grep -q stopped; do sleep 0.1; done
        hako delete in; ls /sys/fs/cgroup | grep -c '^in$' || :; hako list""")
    out = runtime.run_bundle(outer).stdout.split("\n")
    assert out[:4] == ["frozen 1", "3", "0::/", "1"] and out[4] == "0"
    assert out[5].split()[:2] == ["ID", "PID"]


def test_two_levels(nest, outer, bundle, hako):
    """A container in a container in a container."""
    middle = bundle().capabilities(*EVERY)
    middle.process["noNewPrivileges"] = False
    program.install(hako, middle.rootfs, "bin/hako")
    for mount in middle.mounts:
        mount["options"] = [o for o in mount.get("options", []) if o != "ro"]
    inner = bundle("/bin/cat", "/proc/self/cgroup").save()
    shutil.copytree(inner.path, middle.rootfs / "inner", symlinks=True)
    middle.args("/bin/hako", "run", "--bundle", "/inner", "in")
    assert nest(middle).stdout.splitlines()[-1] == "0::/"


def test_default_root(nest, outer, bundle):
    """Without XDG_RUNTIME_DIR root of the container keeps its containers in /run/hako."""
    user_namespace(outer)
    nest(bundle("/bin/true"), options=["--keep"])
    assert json.loads((outer.rootfs / "run/hako/in/state.json").read_text())["id"] == "in"
    outer.env(XDG_RUNTIME_DIR="/tmp")
    nest(bundle("/bin/true"), options=["--keep"])
    assert (outer.rootfs / "tmp/hako/in/state.json").exists()


def test_default_root_of_the_machines_root(nest, outer, bundle):
    """XDG_RUNTIME_DIR is not for root: engines call hako with and without it."""
    outer.env(XDG_RUNTIME_DIR="/tmp")
    nest(bundle("/bin/true"), options=["--keep"])
    assert (outer.rootfs / "run/hako/in/state.json").exists()
    assert not (outer.rootfs / "tmp/hako").exists()


def test_oom_score(nest, outer, bundle):
    """Written before init cannot be written to any more, also by root of a user namespace."""
    user_namespace(outer)
    b = bundle()
    b.process["oomScoreAdj"] = 300
    for _ in range(5):
        assert nest(b.args("/bin/probe")).json()["oom_score_adj"] == "300"


# --- what is masked outside ---

def test_procfs_of_its_own_where_one_is_masked(nest, outer, bundle):
    """It would show what the outer container must not see: an error that names the cover."""
    masked(outer)
    message = fails(nest, bundle("/bin/true").user_namespace([(0, 1000, 1000)]))
    assert "/mounts/0" in message and "operation not permitted" in message
    assert "must not show what is covered" in message and "/proc/" in message
    nest(bundle("/bin/true"), "--strict")  # without a user namespace nothing is hidden from root


def test_procfs_that_is_shared_where_it_is_masked(nest, outer, bundle):
    """With the same processes the existing one may be shown, with its covers."""
    masked(outer)
    b = bundle("/bin/probe", "cat:/proc/keys", "w:/proc/sys/kernel/hostname", "d:/sys/firmware",
               "cat:/proc/1/comm")
    b.user_namespace([(0, 0, 1000)]).without_namespace("pid", "network")
    result = nest(b, "--log-level", "warning")
    seen = result.json()
    assert seen["tests"] == {"cat:/proc/keys": "", "w:/proc/sys/kernel/hostname": "EROFS",
                             "d:/sys/firmware": "ok", "cat:/proc/1/comm": "hako"}
    assert result.stderr.count("mount-bound") == 2
    assert "/proc is bound instead" in result.stderr and "/sys is bound instead" in result.stderr
    assert "/proc is bound instead" in fails(nest, b, "--strict")


# --- cgroups ---

def test_read_only_cgroups(nest, outer, bundle):
    """In a user namespace none is needed when none is asked for. Root of the machine may want a
    device filter, and must say that it does not."""
    cgroup_mount(outer)["options"].append("ro")
    message = fails(nest, bundle("/bin/true"))
    assert "/sys/fs/cgroup/in: read-only file system" in message
    assert "--cgroup-manager disabled" in message
    assert "device-filter-none" in nest(bundle("/bin/true"), "--cgroup-manager", "disabled",
                                        "--log-level", "warning").stderr
    user_namespace(outer)
    nest(bundle("/bin/true"), "--strict")
    for change, pointer in (({"cgroupsPath": "/x"}, "/linux/cgroupsPath"),
                            ({"resources": {"pids": {"limit": 5}}},
                             "/linux/resources/pids/limit")):
        b = bundle("/bin/true")
        b.linux.update(change)
        message = fails(nest, b)
        assert f" {pointer}: " in message and "read-only file system" in message


def test_no_cgroups(nest, outer, bundle):
    outer.without_mount("/sys/fs/cgroup")
    b = bundle("/bin/true").without_mount("/sys/fs/cgroup")
    assert "no cgroup v2 hierarchy" in fails(nest, b)
    user_namespace(outer)
    nest(b, "--strict")


def limited(bundle, *args):
    b = bundle(*args)
    b.linux["resources"] = {"unified": {"hugetlb.2MB.max": "2097152"}}
    return b


@pytest.mark.parametrize("outside", ["plain", "userns"])
def test_limits_where_hako_is_alone(nest, outer, bundle, outside, token):
    """As the first process: it makes room for the controllers, and comes back afterwards."""
    if outside == "userns":
        user_namespace(outer)
    outer.linux["cgroupsPath"] = f"/{token}"
    inner = limited(bundle).sh("cat /outside/in/hugetlb.2MB.max /outside/cgroup.subtree_control;"
                               "cd /outside; ls -d */; cat hako/cgroup.procs | wc -l; exit 7")
    inner.mount("/outside", "/sys/fs/cgroup", "bind", "ro")
    result = nest(inner, check=False)
    assert result.returncode == 7
    assert result.stdout.splitlines() == ["2097152", "hugetlb", "hako/", "in/", "1"]


def test_nothing_is_left_where_hako_was_alone(rootless, bundle, user, token):
    """Neither after success nor after failure: processes could live there again."""
    group = ROOT / token
    (ROOT / "cgroup.subtree_control").write_text("+hugetlb")
    group.mkdir()
    for name in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
        os.chown(group / name, user.uid, user.gid)
    enter = f'echo $$ >{group}/cgroup.procs; exec setpriv --reuid {user.uid} --regid {user.gid} ' \
            '--clear-groups "$@"'
    for args, status in ((["/bin/sh", "-c", "exit 5"], 5), (["/absent"], 1)):
        b = limited(lambda *a: bundle(*a, owner=user).rootless(), *args)
        argv = rootless.argv("run", "--bundle", b, rootless.new_id())
        result = run(["sh", "-c", enter, "sh", *argv], env={**rootless.environment, **user.env},
                     cwd=user.home, check=False)
        assert result.returncode == status, result
        assert (group / "cgroup.subtree_control").read_text().strip() == ""
        assert [path for path in group.iterdir() if path.is_dir()] == []
    group.rmdir()


def test_limits_below_a_cgroup_with_processes(nest, outer, bundle):
    """Those of others are not moved: an error that names their cgroup."""
    message = fails(lambda *a, **k: nest(*a, args=[
        "/bin/sh", "-c", "sleep 1000 & hako run --bundle /inner in"], **k), limited(bundle))
    assert "/linux/resources/unified/hugetlb.2MB.max" in message
    assert "/sys/fs/cgroup has processes of its own" in message


@pytest.mark.parametrize("command", ["create", "run --detach"])
def test_limits_of_who_does_not_stay(nest, outer, bundle, command):
    """It could not come back: nothing is moved."""
    message = fails(lambda *a, **k: nest(*a, args=[
        "/bin/sh", "-c", f"exec hako {command} --bundle /inner in"], **k), limited(bundle))
    assert "/sys/fs/cgroup has processes of its own" in message


# --- fewer privileges ---

@pytest.mark.parametrize("without, inner, message", [
    ("CAP_MKNOD", "plain", None),
    ("CAP_SYS_ADMIN", "plain", "root without CAP_SYS_ADMIN needs a user namespace"),
    ("CAP_SYS_ADMIN", "userns", None),
    ("CAP_SETUID", "userns", "it takes CAP_SETUID"), ("CAP_SETGID", "userns", "it takes CAP_SETGID"),
    ("CAP_SYS_CHROOT", "plain", None), ("CAP_NET_ADMIN", "userns", None),
])
def test_without_a_capability(nest, outer, bundle, without, inner, message):
    outer.capabilities(*(c for c in EVERY if c != without))
    b = bundle("/bin/probe", "w:/dev/null")
    if inner == "userns":
        b.user_namespace([(0, 0, 1000)])
    if message is not None:
        assert message in fails(nest, b)
        return
    seen = nest(b).json()
    assert seen["tests"] == {"w:/dev/null": "ok"}
    if without == "CAP_MKNOD":  # the outer container's nodes
        assert mountinfo.parse(seen["mounts"])["/dev/null"].root == "/null"


def test_ids_that_the_outer_container_does_not_have(nest, outer, bundle):
    user_namespace(outer)
    message = fails(nest, bundle("/bin/true").user_namespace([(0, 0, 1000), (1000, 65000, 1000)]))
    assert " /linux/gidMappings/1: " in message and "does not have them all" in message
    assert "65000 to 65999" in message


@pytest.mark.parametrize("code", [1, 38])
@pytest.mark.parametrize("call, certain", [
    ("clone3", True), ("open_tree", True), ("mount_setattr", True), ("openat2", True),
    ("move_mount", False), ("fsopen", False), ("fsmount", False), ("fsconfig", True),
    ("pivot_root", False)])
def test_system_call_that_is_filtered(nest, outer, bundle, call, certain, code):
    """EPERM or ENOSYS, as profiles of engines answer: the error says that it was a filter."""
    outer.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": code}]}
    message = fails(nest, bundle("/bin/true"))
    assert {1: "operation not permitted", 38: "function not implemented"}[code] in message
    if certain or code == 38:
        assert f"a seccomp filter around hako refuses {call}" in message
    else:  # the kernel might have said so too
        assert "hako runs under a seccomp filter" in message


def test_device_filter_that_cannot_be_loaded(nest, outer, bundle):
    """Root of the machine gets an error; in a user namespace there are no devices to protect."""
    outer.capabilities(*(c for c in EVERY if c not in ("CAP_BPF", "CAP_SYS_ADMIN")))
    b = bundle("/bin/true").user_namespace([(0, 0, 1000)])
    b.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    message = fails(nest, b)
    assert " /linux/resources/devices: " in message and "device filter" in message
    outer.capabilities(*EVERY)
    user_namespace(outer)
    b = bundle("/bin/true")
    b.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    assert "device-filter-none" in nest(b, "--log-level", "warning").stderr
    assert "device-filter-none" in nest(b, "--log-level", "warning").stderr
    assert "no device filter" in fails(nest, b, "--strict")
