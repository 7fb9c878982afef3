# SPDX-License-Identifier: MIT
"""mounts[] (config.md, "Mounts"): what /proc/self/mountinfo of the container says afterwards."""

import os
import stat
import time

import pytest

from harness import mountinfo, private
from harness.refused import refused
from harness.runtime import SCALE

MS_SHARED, MS_REC, MS_BIND = 0x100000, 0x4000, 0x1000
OUTCOMES = {"suid": "nosuid", "dev": "nodev", "exec": "noexec", "symfollow": "nosymfollow"}


def mounted(runtime, bundle, *tests):
    """The container's mounts by mount point."""
    return mountinfo.parse(runtime.probe(bundle, *tests)["mounts"])


def shell(runtime, bundle, script):
    return runtime.run_bundle(bundle.sh(script)).stdout


@pytest.fixture
def volume(tmp_path):
    """volume(name, **files): a directory of the host, with files."""
    def make(name="volume", **files):
        folder = tmp_path / name
        folder.mkdir(mode=0o755)
        for file, text in files.items():
            (folder / file).write_text(text)
        return folder

    return make


@pytest.fixture
def tree(tmp_path):
    """A shared tmpfs of the host with another in it, at tree/sub."""
    top = tmp_path / "tree"
    for folder in (top, top / "sub"):
        folder.mkdir()
        private.mount("tmpfs", folder, "tmpfs")
    private.mount(None, top, None, MS_SHARED | MS_REC)
    yield top
    private.umount(top)


# --- options ---

# options of one mount -> what must and what must not be among the flags of mountinfo
ATTRIBUTES = {
    "": ("rw relatime", "ro nosuid nodev noexec noatime nodiratime nosymfollow"),
    "defaults": ("rw relatime", "nosuid nodev noexec"),
    "ro": ("ro", "rw"),
    "rw": ("rw", "ro"),
    "ro,rw": ("rw", "ro"),
    "rw,ro": ("ro", "rw"),
    "nosuid": ("nosuid", ""),
    "nosuid,suid": ("", "nosuid"),
    "suid,nosuid": ("nosuid", ""),
    "nodev": ("nodev", ""),
    "nodev,dev": ("", "nodev"),
    "noexec": ("noexec", ""),
    "noexec,exec": ("", "noexec"),
    "nosymfollow": ("nosymfollow", ""),
    "nosymfollow,symfollow": ("", "nosymfollow"),
    "nodiratime": ("nodiratime relatime", ""),
    "nodiratime,diratime": ("relatime", "nodiratime"),
    "noatime": ("noatime", "relatime"),
    "noatime,atime": ("relatime", "noatime"),
    "noatime,relatime": ("relatime", "noatime"),
    "strictatime": ("", "relatime noatime"),
    "strictatime,nostrictatime": ("relatime", "noatime"),
    "strictatime,relatime": ("relatime", ""),
    "relatime,norelatime": ("relatime", "noatime"),
    "nosuid,nodev,noexec,ro,noatime": ("nosuid nodev noexec ro noatime", "relatime"),
}
# options of a filesystem's superblock; as options of a bind mount they change nothing
SUPERBLOCK = {
    "sync": ("sync", ""), "sync,async": ("", "sync"), "dirsync": ("dirsync", ""),
    "lazytime": ("lazytime", ""), "lazytime,nolazytime": ("", "lazytime"), "silent": ("rw", ""),
    "loud": ("rw", ""), "mand": ("rw", ""), "nomand": ("rw", ""), "iversion": ("rw", ""),
    "noiversion": ("rw", ""), "size=8k": ("size=8k", ""), "nr_inodes=7,mode=711":
    ("nr_inodes=7 mode=711", ""),
}


def differences(table, seen):
    """Rows of the table that were not obeyed; seen[options] is a set of flags."""
    return {options: seen[options] for options, (must, must_not) in table.items()
            if not set(must.split()) <= seen[options] or set(must_not.split()) & seen[options]}


@pytest.mark.parametrize("kind", ["tmpfs", "bind", "rbind"])
def test_attributes(runtime, bundle, volume, kind):
    b, source = bundle(), volume()
    for i, options in enumerate(ATTRIBUTES):
        words = [word for word in options.split(",") if word]
        if kind == "tmpfs":
            b.mount(f"/m/{i}", "tmpfs", *words or ["defaults"], type="tmpfs")
        else:
            b.mount(f"/m/{i}", source, kind, *words)
    found = mounted(runtime, b)
    assert differences(ATTRIBUTES, {options: found[f"/m/{i}"].options
                                    for i, options in enumerate(ATTRIBUTES)}) == {}


def test_superblock_options(runtime, bundle):
    b = bundle()
    for i, options in enumerate(SUPERBLOCK):
        # an option of the filesystem may also hold several
        words = options.split(",") if "=" not in options else [options]
        b.mount(f"/m/{i}", "tmpfs", *words, type="tmpfs")
    found = mounted(runtime, b)
    assert differences(SUPERBLOCK, {options: found[f"/m/{i}"].superblock
                                    for i, options in enumerate(SUPERBLOCK)}) == {}


def test_commas_that_belong_to_a_value(runtime, bundle, tmp_path):
    """overlayfs has them escaped, the list of nodes in a policy of tmpfs has them as they are."""
    lower, upper, work = (tmp_path / name for name in ("lower,1", "upper,1", "work,1"))
    for folder in (lower, upper, work):
        folder.mkdir()
    (lower / "file").write_text("below")
    escaped = [str(folder).replace(",", "\\,") for folder in (lower, upper, work)]
    b = bundle().mount("/m/overlay", "overlay", f"lowerdir={escaped[0]},upperdir={escaped[1]}",
                       f"workdir={escaped[2]}", type="overlay")
    b.mount("/m/tmpfs", "tmpfs", "mpol=interleave:0,0,mode=711,nr_inodes=7", type="tmpfs")
    script = "cat /m/overlay/file; touch /m/overlay/new; grep ' /m/tmpfs ' /proc/mounts"
    seen = shell(runtime, b, script)
    assert seen.startswith("below") and (upper / "new").exists()
    assert {"mpol=interleave:0", "mode=711", "nr_inodes=7"} <= set(seen.split()[-3].split(","))


# option -> flags of the top mount and of the one below it, which was mounted nosuid
RECURSIVE = {
    "ro": ("ro", "rw nosuid"),
    "rro": ("ro", "ro nosuid"),
    "rro,rw": ("ro", "ro"),
    "rrw": ("rw", "rw nosuid"),
    "rnosuid": ("nosuid", "nosuid"),
    "rsuid": ("", ""),
    "rnodev": ("nodev", "nodev nosuid"),
    "rnodev,rdev": ("", "nosuid"),
    "rnoexec": ("noexec", "noexec"),
    "rnoexec,rexec": ("", ""),
    "rnoatime": ("noatime", "noatime"),
    "rnoatime,ratime": ("relatime", "relatime"),
    "rnoatime,rrelatime": ("relatime", "relatime"),
    "rnorelatime": ("relatime", "relatime"),
    "rstrictatime": ("", ""),
    "rstrictatime,rnostrictatime": ("relatime", "relatime"),
    "rnodiratime": ("nodiratime", "nodiratime"),
    "rnodiratime,rdiratime": ("relatime", "relatime"),
    "rnosymfollow": ("nosymfollow", "nosymfollow"),
    "rnosymfollow,rsymfollow": ("", ""),
}
CLEARED = {"rsuid": "nosuid", "rrw": "ro", "rstrictatime": "relatime", "rnodev,rdev": "nodev",
           "rnoexec,rexec": "noexec", "rnosymfollow,rsymfollow": "nosymfollow",
           "rnodiratime,rdiratime": "nodiratime"}


def test_recursive_attributes(runtime, bundle):
    b = bundle()
    b.mount("/tree", "tmpfs", "nosuid", type="tmpfs")
    b.mount("/tree/sub", "tmpfs", "nosuid", type="tmpfs")
    for i, options in enumerate(RECURSIVE):
        # the tree that an earlier mount has made, seen from outside; its top starts without nosuid
        b.mount(f"/m/{i}", b.rootfs / "tree", "rbind", "suid", *options.split(","))
    found = mounted(runtime, b)
    wrong = {}
    for i, (options, expected) in enumerate(RECURSIVE.items()):
        for point, must in zip((f"/m/{i}", f"/m/{i}/sub"), expected):
            flags = found[point].options
            if not set(must.split()) <= flags or CLEARED.get(options) in flags:
                wrong[options, point] = flags
    assert wrong == {}


@pytest.mark.parametrize("kind", ["private", "shared", "slave", "unbindable"])
@pytest.mark.parametrize("recursive", ["", "r"])
@pytest.mark.parametrize("root, inherited", [("private", set()), ("slave", {"master"}),
                                             ("shared", {"shared"})])
def test_propagation(runtime, bundle, tree, kind, recursive, root, inherited):
    b = bundle().mount("/tree", tree, "rbind", recursive + kind)
    b.linux["rootfsPropagation"] = root
    found = mounted(runtime, b)
    changed = {"private": set(), "unbindable": {"unbindable"}, "shared": {"shared"} | inherited,
               "slave": {"master"} if inherited else set()}[kind]
    assert found["/tree"].kinds == changed
    assert found["/tree/sub"].kinds == (changed if recursive else inherited)


def test_propagation_of_two_kinds(runtime, bundle, tree):
    """A slave that passes on: what slave,shared means."""
    b = bundle().mount("/tree", tree, "rbind", "rslave", "rshared")
    found = mounted(runtime, b)
    assert found["/tree"].kinds == found["/tree/sub"].kinds == {"shared", "master"}


# --- binds ---

def test_bind_of_directory_takes_only_the_top(runtime, bundle, tree):
    (tree / "sub/below").write_text("")
    b = bundle().mount("/one", tree, "bind").mount("/all", tree, "rbind")
    assert shell(runtime, b, "ls /one/sub; echo; ls /all/sub") == "\nbelow\n"


def test_bind_of_file(runtime, bundle, volume):
    source = volume(file="of the host")
    b = bundle().mount("/etc/passwd", source / "file", "bind",
                       "ro").mount("/new/f", source / "file", "bind")
    assert shell(runtime, b,
                 "cat /etc/passwd; echo changed >/new/f; ! touch /etc/passwd") == "of the host"
    assert (source / "file").read_text() == "changed\n"


def test_bind_of_special_file(runtime, bundle, volume):
    os.mkfifo((source := volume()) / "fifo")
    b = bundle().mount("/fifo", source / "fifo", "bind")
    assert shell(runtime, b, "stat -c %F /fifo") == "fifo\n"


def test_relative_source_is_below_the_bundle(runtime, bundle, tmp_path):
    b = bundle()
    (b.path / "data").mkdir()
    (b.path / "data/which").write_text("the bundle's")
    (tmp_path / "data").mkdir()
    b.mount("/data", "data", "bind").mount("/again", "./data/../data", "bind")
    b.sh("cat /data/which /again/which")
    assert runtime.run_bundle(b, cwd=tmp_path).stdout == "the bundle's" * 2


def test_destination_that_the_host_sees_in_the_rootfs(runtime, bundle, volume):
    """runc takes the one for the other."""
    b = bundle()
    b.mount(f"{b.rootfs}/a/b", volume(), "bind").mount(f"{b.rootfs}-not", volume("v2"), "bind")
    points = mounted(runtime, b).keys()
    assert {"/a/b", f"{b.rootfs}-not"} <= points and f"{b.rootfs}/a/b" not in points


def test_relative_destination_is_below_the_root(runtime, bundle, volume):
    b = bundle().mount("data", volume(), "bind").mount("./more//of/../it/", volume("v2"), "bind")
    assert {"/data", "/more/it"} <= mounted(runtime, b).keys()


def test_mount_points_are_made(runtime, bundle, volume):
    source = volume(file="")
    b = bundle().mount("/made/a/dir", source, "bind").mount("/made/a/file", source / "file", "bind")
    b.mount("/made/tmp", "tmpfs", "size=4k", type="tmpfs")
    b.args("/bin/true")
    runtime.run_bundle(b, umask=0o077)
    modes = {path: stat.filemode((b.rootfs / path).stat().st_mode)
             for path in ("made", "made/a", "made/a/dir", "made/a/file", "made/tmp")}
    directory = "drwxr-xr-x"
    assert modes == {"made": directory, "made/a": directory, "made/a/dir": directory,
                     "made/a/file": "-rw-r--r--", "made/tmp": directory}
    assert {(b.rootfs / path).stat().st_uid for path in modes} == {0}


def test_new_directories_in_a_setgid_directory(runtime, bundle, volume):
    b = bundle().mount("/shared/new", volume(), "bind")
    (b.rootfs / "shared").mkdir()
    os.chown(b.rootfs / "shared", 0, 1000)
    (b.rootfs / "shared").chmod(0o2775)
    runtime.run_bundle(b)
    assert (b.rootfs / "shared/new").stat().st_gid == 1000


@pytest.mark.parametrize("destination, source", [("/etc/passwd", "volume"),
                                                 ("/etc", "volume/file")])
def test_file_on_directory(runtime, bundle, volume, destination, source):
    folder = volume(file="")
    b = bundle().mount(destination, folder.parent / source, "bind")
    assert "not a directory" in refused(runtime, b, "/mounts/7")


@pytest.mark.parametrize("source", ["absent", "file/below"])
def test_missing_source(runtime, bundle, volume, source):
    b = bundle().mount("/data", volume(file="") / source, "bind")
    assert f"bind mount source {b.mounts[-1]['source']}: no" in refused(runtime, b,
                                                                        "/mounts/7/source")
    assert not (b.rootfs / "data").exists()


def test_source_that_an_earlier_mount_provides(runtime, bundle):
    b = bundle().mount("/first", "tmpfs", "mode=700", type="tmpfs")
    b.mount("/second", b.rootfs / "first", "bind")
    b.mount("/third", "rootfs/second", "bind")
    assert shell(runtime, b, "echo through >/first/file; cat /third/file") == "through\n"


def test_order(runtime, bundle, volume):
    """The later mount covers the earlier one."""
    b = bundle().mount("/data", volume("one", a=""), "bind").mount("/data", volume("two", b=""),
                                                                   "bind")
    assert shell(runtime, b, "ls /data") == "b\n"


def test_changes_of_a_bind_reach_the_host_and_its_mounts_do_not(runtime, bundle, volume):
    source = volume()
    before = private.mounts()
    b = bundle().mount("/data", source, "bind").mount("/data/inner", "tmpfs", "size=4k",
                                                      type="tmpfs")
    assert shell(runtime, b, "touch /data/seen /data/inner/hidden; ls /data") == "inner\nseen\n"
    assert sorted(os.listdir(source)) == ["inner", "seen"] and os.listdir(source / "inner") == []
    assert private.mounts() == before


# --- tmpfs ---

def test_mode_of_tmpfs(runtime, bundle):
    b = bundle()
    for name, mode in {"private": 0o700, "sticky": 0o1777, "explicit": 0o700}.items():
        (b.rootfs / name).mkdir()
        (b.rootfs / name).chmod(mode)
    for name in ("private", "sticky", "new"):
        b.mount(f"/{name}", "tmpfs", "nosuid", type="tmpfs")
    b.mount("/explicit", "tmpfs", "mode=0751", type="tmpfs")
    # a new one has the kernel's default
    assert shell(runtime, b, "stat -c '%n %a' /private /sticky /new /explicit").split() == [
        "/private", "700", "/sticky", "1777", "/new", "1777", "/explicit", "751"]


def test_readonly_tmpfs_takes_later_mounts(runtime, bundle, volume):
    b = bundle().mount("/ro", "tmpfs", "ro", type="tmpfs")
    b.mount("/ro/dir", volume(), "bind").mount("/ro/tmp", "tmpfs", "size=4k", type="tmpfs")
    assert shell(runtime, b, "touch /ro/dir/x /ro/tmp/x; touch /ro/x 2>&1; ls /ro") == (
        "touch: /ro/x: Read-only file system\ndir\ntmp\n")


def test_readonly_dev(runtime, bundle):
    b = bundle()
    next(m for m in b.mounts if m["destination"] == "/dev")["options"].append("ro")
    seen = runtime.probe(b, "c:/dev/new", "w:/dev/null", "r:/dev/ptmx", "c:/dev/shm/new")
    assert mountinfo.parse(seen["mounts"])["/dev"].options >= {"ro", "nosuid"}
    assert seen["tests"] == {"c:/dev/new": "EROFS", "w:/dev/null": "ok", "r:/dev/ptmx": "ok",
                             "c:/dev/shm/new": "ok"}


def test_tmpcopyup(runtime, bundle):
    b = bundle().mount("/data", "tmpfs", "tmpcopyup", "size=1m",
                       type="tmpfs").capabilities("CAP_DAC_OVERRIDE")
    b.file("/data/sub/file", "content", 0o640)
    (b.rootfs / "data/link").symlink_to("/etc/passwd")
    (b.rootfs / "data/dangling").symlink_to("nowhere")
    os.mkfifo(b.rootfs / "data/fifo")
    os.chown(b.rootfs / "data/sub/file", 5, 7)
    os.chown(b.rootfs / "data/sub", 8, 9)
    (b.rootfs / "data/sub").chmod(0o2750)
    (b.rootfs / "data").chmod(0o711)
    os.chown(b.rootfs / "data", 11, 12)
    os.utime(b.rootfs / "data/sub/file", (1000, 2000))
    out = shell(runtime, b, "cd /data; stat -c '%n %a %u:%g' . sub sub/file;"
                            "stat -c '%Y %F' sub/file; cat sub/file; readlink link; readlink dangling;"
                            "stat -c %F fifo;"
                            "rm -r sub fifo; touch new")
    assert out.splitlines() == [". 711 11:12", "sub 2750 8:9", "sub/file 640 5:7",
                                "2000 regular file",
                                "content/etc/passwd", "nowhere", "fifo"]
    assert sorted(os.listdir(b.rootfs / "data")) == ["dangling", "fifo", "link", "sub"]


@pytest.mark.parametrize("type, options", [("none", ["bind", "tmpcopyup"]),
                                           ("proc", ["tmpcopyup"])])
def test_tmpcopyup_is_for_tmpfs(runtime, bundle, volume, type, options):
    b = bundle().mount("/data", volume(), *options, type=type)
    assert "tmpcopyup is only for tmpfs" in refused(
        runtime, b, f"/mounts/7/options/{options.index('tmpcopyup')}")


# --- remounts ---

def test_remount(runtime, bundle, volume):
    b = bundle().mount("/tmpfs", "tmpfs", "size=4k", "nosuid",
                       type="tmpfs").mount("/bind", volume(), "bind")
    b.mount("/tmpfs", "", "remount", "size=8k", "nodev", type="tmpfs")
    b.mount("/bind", "", "bind", "remount", "ro", "noexec")
    found = mounted(runtime, b)
    assert "size=8k" in found["/tmpfs"].superblock
    assert found["/tmpfs"].options >= {"rw", "nosuid", "nodev"}
    assert found["/bind"].options >= {"ro", "noexec"}


def test_remount_of_nothing(runtime, bundle):
    b = bundle().mount("/absent", "", "remount", "ro")
    assert "no such file or directory" in refused(runtime, b, "/mounts/7")
    assert not (b.rootfs / "absent").exists()


# --- the kernel's own filesystems ---

def test_default_filesystems(runtime, bundle):
    seen = runtime.probe(bundle(), "r:/proc/self/status", "d:/sys/class", "c:/dev/mqueue/queue",
                         "c:/dev/shm/segment", "r:/dev/ptmx", "d:/dev/pts", "c:/sys/new")
    found = mountinfo.parse(seen["mounts"])
    assert {p: m.type for p, m in found.items()
            if p.startswith(("/dev", "/proc", "/sys"))}.items() >= {
        "/proc": "proc", "/dev": "tmpfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs",
        "/dev/mqueue": "mqueue", "/sys": "sysfs", "/sys/fs/cgroup": "cgroup2"}.items()
    assert found["/dev/pts"].superblock >= {"gid=5", "mode=620", "ptmxmode=666"}
    assert found["/sys"].options >= {"ro", "nosuid", "nodev", "noexec"}
    assert found["/dev"].superblock >= {"mode=755", "size=65536k"}
    assert seen["tests"].pop("c:/sys/new") == "EROFS"
    assert set(seen["tests"].values()) == {"ok"}


def test_devpts_is_new(runtime, bundle):
    assert shell(runtime, bundle(),
                 "ls /dev/pts; exec 3<>/dev/ptmx; ls /dev/pts") == "ptmx\n0\nptmx\n"


def test_cgroup_with_namespace_shows_only_the_own_part(runtime, bundle, token):
    b = bundle()
    b.linux["cgroupsPath"] = f"/{token}"
    seen = runtime.probe(b, "cat:/sys/fs/cgroup/cgroup.procs", "w:/sys/fs/cgroup/cgroup.procs")
    found = mountinfo.parse(seen["mounts"])["/sys/fs/cgroup"]
    assert (found.root, found.type) == ("/", "cgroup2") and "ro" in found.options
    assert "0::/" in seen["cgroup"]
    assert seen["tests"] == {"cat:/sys/fs/cgroup/cgroup.procs": "1",
                             "w:/sys/fs/cgroup/cgroup.procs": "EROFS"}


@pytest.mark.parametrize("type", ["cgroup", "cgroup2"])
@pytest.mark.parametrize("name", ["runtime", "runc", "crun"])
def test_cgroup_without_namespace_shows_all(request, bundle, token, name, type):
    """The path that /proc/self/cgroup gives is the one below /sys/fs/cgroup."""
    b = bundle().without_namespace("cgroup")
    b.linux["cgroupsPath"] = f"/{token}"
    next(m for m in b.mounts if m["type"] == "cgroup")["type"] = type
    procs = f"/sys/fs/cgroup/{token}/cgroup.procs"
    seen = request.getfixturevalue(name).probe(b, f"cat:{procs}", f"w:{procs}")
    found = mountinfo.parse(seen["mounts"])["/sys/fs/cgroup"]
    assert (found.root, found.type) == ("/", "cgroup2")
    assert found.options >= {"ro", "nosuid", "nodev", "noexec"}
    assert f"0::/{token}" in seen["cgroup"]
    assert seen["tests"] == {f"cat:{procs}": "1", f"w:{procs}": "EROFS"}


def test_writable_cgroup(runtime, bundle, token):
    b = bundle()
    next(m for m in b.mounts if m["type"] == "cgroup")["options"] = ["nosuid", "noexec", "nodev"]
    script = "cd /sys/fs/cgroup; mkdir sub; echo $$ >sub/cgroup.procs; cat sub/cgroup.procs"
    assert "1\n" in shell(runtime, b, script)


# --- errors ---

@pytest.mark.parametrize("mount, pointer, message", [
    ({"type": "nosuchfs"}, "/mounts/7/type", 'filesystem type "nosuchfs": no such device'),
    ({"type": "tmpfs", "options": ["size=bogus"]}, "/mounts/7/options/0", "size"),
    ({"type": "tmpfs", "options": ["ro", "bogus"]}, "/mounts/7/options/1", "bogus"),
    ({"type": "tmpfs", "options": ["mode=1,bogus=1"]}, "/mounts/7/options/0", "bogus"),
    ({"type": ""}, "/mounts/7/type", "type is missing; a bind mount has bind or rbind"),
    ({"type": None}, "/mounts/7/type", "type is missing; a bind mount has bind or rbind"),
    ({"type": "bind", "options": ["ro"]}, "/mounts/7/type", "a bind mount has bind or rbind"),
    ({"type": "bind", "source": "/etc", "options": ["bind", "size=4k"]}, "/mounts/7/options/1",
     'option "size=4k" has no meaning for a bind mount'),
    ({"type": "bind", "source": "/etc", "options": ["rbind", "bogus"]}, "/mounts/7/options/1",
     'option "bogus" has no meaning for a bind mount'),
    ({"type": "bind", "options": ["bind"]}, "/mounts/7", "source"),
    ({"type": "tmpfs", "options": ["rprivate", "shared", "slave"]}, "/mounts/7/options/2", "propagation"),
    ({"destination": "/"}, "/mounts/7/destination", ""),
    ({"destination": "."}, "/mounts/7/destination", ""),
    ({"destination": "/a/../.."}, "/mounts/7/destination", ""),
    ({"destination": "/" + "x" * 256}, "/mounts/7", "file name too long"),
    ({"destination": "/etc/passwd/below"}, "/mounts/7", "not a directory"),
])
def test_refused(runtime, bundle, mount, pointer, message):
    b = bundle()
    b.mounts.append({"destination": "/data", "source": "none", "type": "tmpfs", **mount})
    if mount.get("options") == ["bind"]:
        del b.mounts[-1]["source"]
    assert message in refused(runtime, b, pointer)


# --- destinations that hold symbolic links ---

@pytest.mark.parametrize("links, destination, lands", [
    ({"link": "target"}, "/link", "/target"),
    ({"link": "/target"}, "/link/sub", "/target/sub"),
    ({"link": "../../../../target"}, "/link", "/target"),
    ({"link": "/nowhere/at/all"}, "/link", "/nowhere/at/all"),
    ({"link": "nowhere"}, "/link/sub", "/nowhere/sub"),
    ({"a": "b", "b": "/c/../target"}, "/a/x", "/target/x"),
    ({"link": "target"}, "/link/../beside", "/beside"),
    ({"link": "{outside}"}, "/link", "{outside}"),
    ({"link": "{outside}/absent"}, "/link/sub", "{outside}/absent/sub"),
])
@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_linked_destination(runtime, bundle, volume, links, destination, lands, kind):
    outside = volume("outside", witness="")
    b = bundle()
    (b.rootfs / "target").mkdir()
    (b.rootfs / "c").mkdir()
    lands = lands.format(outside=outside)
    for link, target in links.items():
        (b.rootfs / link).symlink_to(target.format(outside=outside))
    b.mount(destination, volume(), "bind" if kind == "bind" else "size=4k", type=kind)
    assert lands in mounted(runtime, b)
    assert os.listdir(outside) == ["witness"]


@pytest.mark.parametrize("target", ["file", "/etc/passwd", "/new/file", "../../new",
                                    "{outside}/absent"])
def test_linked_destination_of_a_file(runtime, bundle, volume, target):
    outside = volume("outside", witness="")
    b = bundle().mount("/link", volume(file="content") / "file", "bind")
    (b.rootfs / "link").symlink_to(target.format(outside=outside))
    assert shell(runtime, b,
                 "cat /link; readlink /link") == f"content{target.format(outside=outside)}\n"
    assert os.listdir(outside) == ["witness"]


@pytest.mark.parametrize("target, message", [("loop", "too many levels of symbolic links"),
                                             ("/", "leads to the root"),
                                             ("/proc/1", "leads into /proc"),
                                             ("/proc/self/root", "")])
def test_links_that_must_not_be_followed(runtime, bundle, volume, target, message):
    b = bundle().mount("/loop", volume(), "bind")
    (b.rootfs / "loop").symlink_to(target)
    assert message in refused(runtime, b, "/mounts/7")


@pytest.mark.parametrize("destination", ["/proc", "/sys"])
@pytest.mark.parametrize("made", [True, False])
def test_proc_and_sys_must_be_real(runtime, bundle, destination, made):
    b = bundle()
    b.config["mounts"] = [m for m in b.mounts if not m["destination"].startswith("/sys/")]
    (b.rootfs / destination[1:]).rmdir()
    (b.rootfs / destination[1:]).symlink_to("elsewhere")
    if made:
        (b.rootfs / "elsewhere").mkdir()
    i = next(i for i, m in enumerate(b.mounts) if m["destination"] == destination)
    assert "symbolic link" in refused(runtime, b, f"/mounts/{i}")


# --- symbolic links that are not followed ---

@pytest.fixture
def linked(volume):
    """A directory with a file, a directory, and links to both and to nowhere."""
    folder = volume(file="content")
    (folder / "dir").mkdir()
    for target in ("file", "dir", "nowhere"):
        (folder / f"to-{target}").symlink_to(target)
    return folder


@pytest.mark.parametrize("target", ["file", "dir", "nowhere"])
@pytest.mark.parametrize("existing", [False, True])
def test_copy_symlink(runtime, bundle, linked, target, existing):
    """The link is made anew; one with the same content is as good."""
    b = bundle().mount("/made/link", linked / f"to-{target}", "bind", "copy-symlink")
    if existing:
        (b.rootfs / "made").mkdir()
        (b.rootfs / "made/link").symlink_to(target)
    assert not {"/made/link", f"/made/{target}"} & mounted(runtime, b).keys()
    assert os.readlink(b.rootfs / "made/link") == target


@pytest.mark.parametrize("existing", ["link", "file", "directory"])
def test_copy_symlink_onto_something_else(runtime, bundle, linked, existing):
    b = bundle().mount("/made", linked / "to-file", "bind", "copy-symlink")
    made = b.rootfs / "made"
    {"link": lambda: made.symlink_to("elsewhere"), "file": made.touch,
     "directory": made.mkdir}[existing]()
    assert "make the symbolic link /made: file exists" in refused(runtime, b, "/mounts/7")


@pytest.mark.parametrize("type, options, message", [
    ("tmpfs", ["copy-symlink"], "copy-symlink is only for bind mounts"),
    ("tmpfs", ["src-nofollow"], "src-nofollow is only for bind mounts"),
    ("none", ["remount", "bind", "dest-nofollow"], "dest-nofollow is only for bind mounts"),
    ("bind", ["bind", "copy-symlink", "dest-nofollow"], "copy-symlink excludes"),
    ("bind", ["bind", "src-nofollow", "copy-symlink"], "copy-symlink excludes"),
])
def test_link_options_that_mean_nothing(runtime, bundle, linked, type, options, message):
    b = bundle().mount("/made", linked / "to-file", *options, type=type)
    word = message.split()[0]
    assert message in refused(runtime, b, f"/mounts/7/options/{options.index(word)}")


def test_copy_symlink_of_something_else_is_a_bind(runtime, bundle, linked):
    b = bundle().mount("/made", linked / "file", "bind", "ro", "copy-symlink")
    assert "ro" in mounted(runtime, b)["/made"].options
    assert shell(runtime, b, "cat /made") == "content"


def test_copied_symlink_stays_inside(runtime, bundle, linked, volume):
    """Its parent is looked up in the rootfs, and what it points to is nobody's business."""
    outside = volume("outside", witness="")
    (linked / "out").symlink_to(outside)
    b = bundle().mount("/way/link", linked / "out", "bind", "copy-symlink")
    (b.rootfs / "way").symlink_to(outside)
    runtime.run_bundle(b)
    assert os.listdir(outside) == ["witness"]
    assert os.readlink(b.rootfs / str(outside)[1:] / "link") == str(outside)


@pytest.mark.parametrize("target", ["file", "nowhere"])
def test_copy_symlink_with_a_user_namespace(runtime, bundle, linked, target):
    """A link that leads nowhere is one as well, also where only the caller may look."""
    linked.chmod(0o700)
    b = bundle().user_namespace().mount("/tmp/link", linked / f"to-{target}", "bind",
                                        "copy-symlink")
    runtime.run_bundle(b)
    link = b.rootfs / "tmp/link"
    assert (os.readlink(link), os.lstat(link).st_uid) == (target, 1_000_000)


@pytest.mark.parametrize("target", ["file", "dir", "nowhere"])
@pytest.mark.parametrize("kind", ["bind", "rbind"])
def test_source_nofollow(runtime, bundle, linked, target, kind):
    """A link is mounted as a link, on a file that is made for it."""
    b = bundle().mount("/made", linked / f"to-{target}", kind, "src-nofollow")
    assert shell(runtime, b, "readlink /made") == f"{target}\n"
    assert stat.S_ISREG((b.rootfs / "made").lstat().st_mode)


def test_source_nofollow_of_a_directory(runtime, bundle, linked):
    b = bundle().mount("/made", linked, "bind", "src-nofollow")
    assert shell(runtime, b, "cat /made/file") == "content"


@pytest.mark.parametrize("target", ["etc/passwd", "/etc/passwd", "nowhere", "/proc/self/stat"])
def test_destination_nofollow(runtime, bundle, linked, target):
    """The link itself is covered; what it points to is not touched."""
    b = bundle().mount("/link", linked / "file", "bind", "dest-nofollow")
    (b.rootfs / "link").symlink_to(target)
    found = mounted(runtime, b, "cat:/etc/passwd")
    assert "/link" in found and f"/{target}".replace("//", "/") not in found
    assert shell(runtime, b, "cat /link; head -c 4 /etc/passwd") == "contentroot"
    assert os.readlink(b.rootfs / "link") == target and not (b.rootfs / "nowhere").exists()


@pytest.mark.parametrize("destination, point", [("/dir/file", "/etc/file"), ("/new/f", "/new/f"),
                                                ("/dir/new", "/etc/new")])
def test_destination_nofollow_without_a_link_at_the_end(runtime, bundle, linked, destination,
                                                        point):
    b = bundle().mount(destination, linked / "file", "bind", "dest-nofollow")
    (b.rootfs / "dir").symlink_to("etc")
    (b.rootfs / "etc/file").touch()
    assert point in mounted(runtime, b)


def test_destination_nofollow_still_keeps_out_of_proc(runtime, bundle, linked):
    b = bundle().mount("/dir/version", linked / "file", "bind", "dest-nofollow")
    (b.rootfs / "dir").symlink_to("proc")
    assert "leads into /proc" in refused(runtime, b, "/mounts/7")


def test_link_on_a_link(runtime, bundle, linked):
    b = bundle().mount("/link", linked / "to-dir", "bind", "src-nofollow", "dest-nofollow")
    (b.rootfs / "link").symlink_to("etc")
    assert shell(runtime, b, "readlink /link") == "dir\n"
    assert os.readlink(b.rootfs / "link") == "etc"


# --- /proc ---

@pytest.mark.parametrize("file", ["cpuinfo", "diskstats", "loadavg", "meminfo", "stat", "swaps",
                                  "uptime"])
def test_files_that_may_cover_those_of_proc(runtime, bundle, volume, file):
    b = bundle().mount(f"/proc/{file}", volume(fake="made up") / "fake", "bind")
    assert shell(runtime, b, f"cat /proc/{file}") == "made up"


@pytest.mark.parametrize("destination", ["/proc/self/attr", "/proc/sys/kernel/core_pattern",
                                         "/proc/1",
                                         "/proc/", "/./proc/../proc/version", "/proc/meminfo/x"])
def test_mounts_over_proc_are_refused(runtime, bundle, volume, destination):
    b = bundle().mount(destination, volume(), "bind")
    assert "proc" in refused(runtime, b)


def test_filesystem_on_proc_must_be_proc(runtime, bundle):
    b = bundle().without_mount("/proc").mount("/proc", "tmpfs", "size=4k", type="tmpfs")
    assert "/proc must be of type proc" in refused(runtime, b, "/mounts/6/destination")


def test_bind_of_a_procfs_on_proc(runtime, bundle):
    b = bundle().without_mount("/proc").mount("/proc", "/proc", "rbind")
    b.linux["maskedPaths"] = b.linux["readonlyPaths"] = []
    b.without_namespace("pid")
    assert int(shell(runtime, b, "ls /proc | grep -c '^[0-9]'")) > 1


# --- scale ---

def test_thousand_mounts(runtime, bundle, volume):
    b, source = bundle(), volume()
    for i in range(1000):
        b.mount(f"/m/{i}", source, "bind", "ro")
    start = time.monotonic()
    found = mounted(runtime, b)
    assert time.monotonic() - start < 5 * SCALE
    assert sum(p.startswith("/m/") and "ro" in m.options for p, m in found.items()) == 1000


def test_long_paths(runtime, bundle):
    long = "/".join("x" * 250 for _ in range(15))  # with the bundle's path almost PATH_MAX
    b = bundle().mount(f"/{long}", "tmpfs", "size=4k", type="tmpfs")
    assert "/" + long in mounted(runtime, b)
    b.mounts[-1]["destination"] = "/" + "/".join("x" * 250 for _ in range(17))
    assert "name too long" in refused(runtime, b)
