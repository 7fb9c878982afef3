# SPDX-License-Identifier: MIT
"""Device nodes, the links of /dev (config-linux.md "Devices", "Default Devices"), and the filter
on the cgroup that decides which devices may be used."""

import os
import stat

import pytest

from harness import mountinfo
from harness.refused import refused

DEFAULTS = {"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9",
            "tty": "5:0"}
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
         "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx", "core": "/proc/kcore"}
CHARACTER, BLOCK, FIFO = "character special file", "block special file", "fifo"


def device(path, type="c", major=1, minor=3, **more):
    numbers = {} if major is None else {"major": major, "minor": minor}
    return {"path": path, "type": type, **numbers, **more}


def listed(runtime, bundle, *paths):
    """{path: (kind, mode, uid:gid, major:minor)}"""
    script = "stat -c '%n;%F;%a;%u:%g;%t:%T' " + " ".join(paths)
    rows = [row.split(";") for row in runtime.run_bundle(bundle.sh(script)).stdout.splitlines()]
    numbers = [tuple(int(n, 16) for n in row[4].split(":")) for row in rows]
    return {row[0]: (row[1], row[2], row[3], "%d:%d" % n) for row, n in zip(rows, numbers)}


# --- nodes ---

@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_defaults(runtime, bundle, umask):
    b = bundle()
    b.sh("cd /dev; stat -c '%n %F %a %u:%g %t:%T' " + " ".join(DEFAULTS))
    found = runtime.run_bundle(b, umask=umask)
    assert found.stdout.splitlines() == [
        f"{name} {CHARACTER} 666 0:0 {numbers}" for name, numbers in DEFAULTS.items()]
    assert runtime.run_bundle(b.sh("cd /dev; ls -A")).stdout.split() == sorted(
        [*DEFAULTS, *LINKS, "mqueue", "pts", "shm"])


def test_defaults_work(runtime, bundle):
    script = "head -c 3 /dev/zero | od -An -tx1; echo x >/dev/full;" \
             "head -c 8 /dev/urandom | wc -c; cat /dev/null"
    result = runtime.run_bundle(bundle().sh(script))
    assert result.stdout.split() == ["00", "00", "00", "8"]
    assert "No space left on device" in result.stderr


def test_links(runtime, bundle):
    b = bundle().sh(f"cd /dev; for l in {' '.join(LINKS)}; do readlink $l; done;"
                    "echo through >>/dev/stdout")
    assert runtime.run_bundle(b).stdout.split() == [*LINKS.values(), "through"]


def test_ptmx_is_the_containers(runtime, bundle):
    b = bundle().sh("stat -L -c '%t:%T' /dev/ptmx; exec 3<>/dev/ptmx; ls /dev/pts")
    assert runtime.run_bundle(b).stdout.split() == ["5:2", "0", "ptmx"]


@pytest.mark.parametrize("userns", [False, True])
def test_ptmx_of_the_config_is_the_link(runtime, bundle, userns):
    """Engines that list every device of the host list it as well."""
    b = bundle().sh("readlink /dev/ptmx")
    if userns:
        b.user_namespace()
    b.linux["devices"] = [{"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2}]
    assert runtime.run_bundle(b).stdout == "pts/ptmx\n"


def test_links_of_the_image_stay_but_for_ptmx(runtime, bundle):
    b = bundle().without_mount("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    for name in ("fd", "ptmx", "core"):
        (b.rootfs / "dev" / name).symlink_to("the/images")
    (b.rootfs / "dev/stdin").write_text("a file")
    runtime.run_bundle(b)
    dev = b.rootfs / "dev"
    assert [os.readlink(dev / name) for name in ("fd", "core", "ptmx", "stdout")] == [
        "the/images", "the/images", "pts/ptmx", "/proc/self/fd/1"]
    assert (dev / "stdin").read_text() == "a file"


def test_devices_without_a_mount_on_dev(runtime, bundle):
    b = bundle().without_mount("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    runtime.run_bundle(b)
    made = (b.rootfs / "dev/null").stat()
    assert stat.S_ISCHR(made.st_mode) and made.st_rdev == os.makedev(1, 3)
    runtime.run_bundle(b)  # they are there already


@pytest.mark.parametrize("kind, numbers, expected", [
    ("c", (1, 7), CHARACTER), ("u", (1, 7), CHARACTER), ("b", (7, 200), BLOCK), ("p", None, FIFO),
    ("p", (1, 3), FIFO)])
@pytest.mark.parametrize("path", ["/dev/it", "/dev/sub/dir/it", "/it", "/new/folder/it"])
def test_custom(runtime, bundle, kind, numbers, expected, path):
    b = bundle()
    major, minor = numbers or (None, None)
    b.linux["devices"] = [device(path, kind, major, minor, fileMode=0o640, uid=5, gid=7)]
    b.process["user"]["umask"] = 0o077
    seen = "0:0" if kind == "p" else "%d:%d" % numbers
    assert listed(runtime, b, path) == {path: (expected, "640", "5:7", seen)}


def test_custom_mode_with_type(runtime, bundle):
    """As engines copy it from a device of the host."""
    b = bundle()
    b.linux["devices"] = [device("/dev/copied", fileMode=stat.S_IFCHR | 0o640)]
    assert listed(runtime, b, "/dev/copied")["/dev/copied"] == (CHARACTER, "640", "0:0", "1:3")


def test_custom_defaults(runtime, bundle):
    b = bundle()
    b.linux["devices"] = [device("/dev/plain"), device("/dev/zero", minor=5, fileMode=0o600, uid=3)]
    assert listed(runtime, b, "/dev/plain", "/dev/zero", "/dev/null") == {
        "/dev/plain": (CHARACTER, "666", "0:0", "1:3"),
        "/dev/null": (CHARACTER, "666", "0:0", "1:3"),
        "/dev/zero": (CHARACTER, "600", "3:0", "1:5")}  # the config's row stands for the default


@pytest.mark.parametrize("userns", [False, True])
def test_listed_twice(runtime, bundle, userns):
    """As Docker does for --device /dev/dri --device /dev/dri/card0."""
    b = bundle()
    if userns:
        b.user_namespace()
    b.linux["devices"] = [device(p, fileMode=0o640, gid=7) for p in ("/dev/a", "/dev/b", "/dev/a")]
    b.linux["devices"] += [device("/dev/pipe", "p", None)] * 2
    expected = (CHARACTER, "640", "0:7", "1:3")
    assert listed(runtime, b, "/dev/a", "/dev/b") == {"/dev/a": expected, "/dev/b": expected}
    runtime.container(b, runtime.new_id()).create()


def test_existing_device(runtime, bundle):
    b = bundle()
    b.linux["devices"] = [device("/there")]
    os.mknod(b.rootfs / "there", 0o644 | stat.S_IFCHR, os.makedev(1, 3))
    assert listed(runtime, b, "/there")["/there"][3] == "1:3"


@pytest.mark.parametrize("present", ["file", "directory", "link", "other", "block", "fifo"])
def test_conflict(runtime, bundle, present):
    b = bundle()
    b.linux["devices"] = [device("/dev/sub/ok"), device("/there")]
    there = b.rootfs / "there"
    {"file": lambda: there.write_text("kept"), "directory": there.mkdir,
     "fifo": lambda: os.mkfifo(there),
     "link": lambda: there.symlink_to("/dev/null"),
     "other": lambda: os.mknod(there, 0o600 | stat.S_IFCHR, os.makedev(1, 5)),
     "block": lambda: os.mknod(there, 0o600 | stat.S_IFBLK, os.makedev(1, 3))}[present]()
    before = there.lstat()
    assert "/there exists" in refused(runtime, b, "/linux/devices/1")
    assert there.lstat()[:8] == before[:8]


@pytest.mark.parametrize("devices, pointer", [
    ([device("/a"), device("/a", minor=5)], "/linux/devices/1/path"),
    ([device("/a"), device("/b"), device("/a", fileMode=0o600)], "/linux/devices/2/path"),
    ([device("/a"), device("/a", "b")], "/linux/devices/1/path"),
    ([device("/a", major=None)], "/linux/devices/0"),
    ([device("/a", "x")], "/linux/devices/0/type"),
    ([device("a")], "/linux/devices/0/path"), ([device("/a", major=-1)], "/linux/devices/0/major"),
    ([device("/a/..")], "/linux/devices/0"), ([device("/")], "/linux/devices/0"),
])
def test_refused(runtime, bundle, devices, pointer):
    b = bundle()
    b.linux["devices"] = devices
    refused(runtime, b, pointer)


@pytest.mark.parametrize("kind", ["bind", "rbind"])
def test_bound_dev_is_untouched(runtime, bundle, tmp_path, kind):
    source = tmp_path / "dev"
    source.mkdir()
    (source / "ptmx").write_text("a file")
    b = bundle().without_mount("/dev/pts", "/dev/shm", "/dev/mqueue",
                               "/dev").mount("/dev", source, kind)
    assert runtime.run_bundle(b.sh("ls -A /dev")).stdout == "ptmx\n"
    assert os.listdir(source) == ["ptmx"] and (source / "ptmx").read_text() == "a file"


def test_devices_of_the_config_go_into_a_bound_dev(runtime, bundle, tmp_path):
    (tmp_path / "dev").mkdir()
    b = bundle().without_mount("/dev/pts", "/dev/shm", "/dev/mqueue",
                               "/dev").mount("/dev", tmp_path / "dev", "bind")
    b.linux["devices"] = [device("/dev/mine")]
    assert runtime.run_bundle(b.sh("ls -A /dev")).stdout == "mine\n"


def test_devices_without_mount_namespace(runtime, bundle):
    """The root is the container's by chroot alone, and /dev is the image's."""
    b = bundle()
    b.config["mounts"], b.linux["maskedPaths"], b.linux["readonlyPaths"] = [], [], []
    b.without_namespace("mount")
    assert runtime.run_bundle(b.sh("ls -A /dev")).stdout == ""
    assert os.listdir(b.rootfs / "dev") == []


# --- filter ---

def rule(allow, type=None, major=None, minor=None, access=None):
    row = {"allow": allow, "type": type, "major": major, "minor": minor, "access": access}
    return {key: value for key, value in row.items() if value is not None}


# numbers without a device behind them: what may be opened is not there
NODES = {"/n/0": ("c", 1, 100), "/n/1": ("c", 1, 101), "/n/2": ("c", 10, 100),
         "/n/3": ("b", 200, 100)}
ERRNO = {"y": {"ENXIO", "ENODEV"}, "n": {"EPERM"}}
DENY = rule(False)
FILTERS = [  # for every node: may be opened to read, to write; the rules
    ("yy yy yy yy", []),
    ("nn nn nn nn", [DENY]),
    ("nn nn nn nn", [rule(False, access="rwm")]),
    ("nn nn nn nn", [rule(False, "a")]),
    ("yy yy yy yy", [rule(True)]),
    ("nn yy nn nn", [DENY, rule(True, "c", 1, 101, "rwm")]),
    ("nn yn nn nn", [DENY, rule(True, "c", 1, 101, "r")]),
    ("nn ny nn nn", [DENY, rule(True, "c", 1, 101, "w")]),
    ("nn nn nn nn", [DENY, rule(True, "c", 1, 101, "m")]),
    ("nn yy nn nn", [DENY, rule(True, "c", 1, 101, "r"), rule(True, "c", 1, 101, "w")]),
    ("yy yy nn nn", [DENY, rule(True, "c", 1)]),
    ("yy nn yy nn", [DENY, rule(True, "c", None, 100)]),
    ("yy yy yy nn", [DENY, rule(True, "c")]),
    ("nn nn nn yy", [DENY, rule(True, "b")]),
    ("nn nn nn yn", [DENY, rule(True, "b", 200, 100, "r")]),
    ("yy yy yy nn", [DENY, rule(True, "c", -1, -1, "rwm")]),
    # a later rule decides
    ("yy nn yy yy", [rule(True), rule(False, "c", 1, 101)]),
    ("yy yn yy yy", [rule(True), rule(False, "c", 1, 101, "w")]),
    ("yy yy yy yy", [rule(False, "c", 1, 101), rule(True)]),
    ("nn yy nn nn", [DENY, rule(True, "c", 1), rule(False, "c", 1, 100)]),
    ("yy yy nn nn", [DENY, rule(False, "c", 1, 100), rule(True, "c", 1)]),
    ("yy yy yy nn", [DENY, rule(True, "a"), rule(False, "b", 200)]),
    ("nn yy nn nn", [rule(True, "c", 1, 101)]),
    ("nn nn nn yy", [rule(True), rule(False, "c")]),
]


def openings(runtime, bundle, nodes):
    """What the kernel says to each opening: first to read, then to write."""
    tests = [f"{how}:{node}" for node in nodes for how in "rw"]
    return runtime.probe(bundle, *tests)["tests"]


@pytest.mark.parametrize("expected, rules", FILTERS)
def test_filter(runtime, bundle, expected, rules):
    b = bundle()
    b.linux["devices"] = [device(path, *numbers) for path, numbers in NODES.items()]
    if rules:
        b.linux["resources"] = {"devices": rules}
    found = openings(runtime, b, NODES)
    answers = zip(found.items(), expected.replace(" ", ""))
    assert [test for test, answer in answers if test[1] not in ERRNO[answer]] == []


def test_default_rules_stand(runtime, bundle):
    """Whatever the config says, without these nothing runs; making any node is harmless."""
    b = bundle().capabilities("CAP_MKNOD")
    b.linux["resources"] = {"devices": [DENY, rule(False, "c", 1, 3, "rwm")]}
    b.linux["devices"] = [device("/dev/console2", "c", 5, 1), device("/dev/tun", "c", 10, 200)]
    found = runtime.probe(b, *(f"w:/dev/{name}" for name in DEFAULTS), "w:/dev/ptmx",
                          "r:/dev/console2",
                          "r:/dev/tun", "k:/made", "w:/made")["tests"]
    assert found.pop("r:/dev/console2") == "EPERM"
    assert found.pop("r:/dev/tun") != "EPERM"
    assert found.pop("w:/dev/tty") == "ENXIO"  # there is no terminal
    assert set(found.values()) == {"ok"}


@pytest.mark.parametrize("access, made", [("rw", "EPERM"), ("m", "ok")])
def test_mknod_needs_capability_and_filter(runtime, bundle, access, made):
    b = bundle().capabilities(*["CAP_MKNOD"] if made == "ok" else [])
    b.linux["resources"] = {"devices": [DENY, rule(True, "c", 1, 3, access)]}
    assert runtime.probe(b, "k:/made")["tests"] == {"k:/made": made}


def test_filter_holds_for_exec(runtime, bundle):
    b = bundle("/bin/sleep", "100")
    b.linux["devices"] = [device(path, *numbers) for path, numbers in NODES.items()]
    b.linux["resources"] = {"devices": [DENY]}
    box = runtime.container(b)
    box.create()
    box.start()
    assert set(box.probe(*(f"r:{node}" for node in NODES))["tests"].values()) == {"EPERM"}


def test_filter_of_many_rules(runtime, bundle):
    b = bundle()
    b.linux["devices"] = [device(path, *numbers) for path, numbers in NODES.items()]
    b.linux["resources"] = {"devices": [DENY] + [rule(True, "bc"[i % 2], 300 + i, i, "rwm")
                                                 for i in range(400)]
                            + [rule(True, "c", 1, 101, "rw")]}
    found = openings(runtime, b, NODES)
    assert [code == "EPERM" for code in found.values()] == [True, True, False, False] + [True] * 4


@pytest.mark.parametrize("row, pointer", [
    (rule(True, "d"), "type"), (rule(True, "c", access="x"), "access"),
    (rule(True, "c", 1 << 33), "major"),
    ({"type": "c"}, None)])
def test_refused_rules(runtime, bundle, row, pointer):
    b = bundle()
    b.linux["resources"] = {"devices": [DENY, row]}
    refused(runtime, b, "/linux/resources/devices/1" + (f"/{pointer}" if pointer else ""))


def test_devices_in_user_namespace(runtime, bundle):
    b = bundle().user_namespace()
    seen = runtime.probe(b, *(f"w:/dev/{name}" for name in DEFAULTS if name != "tty"))
    assert set(seen["tests"].values()) == {"ok"}
    found = mountinfo.parse(seen["mounts"])
    for name in DEFAULTS:
        assert {"nosuid", "noexec"} <= set(found[f"/dev/{name}"].options)
    assert [point for point in found if found[point].source == "devices"] == [
        f"/dev/{name}" for name in DEFAULTS]
    assert listed(runtime, b, "/dev/null", "/dev/tty") == {
        "/dev/null": (CHARACTER, "666", "0:0", "1:3"), "/dev/tty": (CHARACTER, "666", "0:0", "5:0")}


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_devices_in_user_namespace_need_no_node_on_the_host(runtime, bundle, umask):
    b = bundle().user_namespace()
    b.linux["devices"] = [device("/dev/absent-here", fileMode=0o640, uid=5, gid=7),
                          device("/dev/a/b", "b", 7, 200), device("/dev/null2", "p", None)]
    assert listed(runtime, b, "/dev/absent-here", "/dev/a/b", "/dev/null2") == {
        "/dev/absent-here": (CHARACTER, "640", "5:7", "1:3"),
        "/dev/a/b": (BLOCK, "666", "0:0", "7:200"), "/dev/null2": (FIFO, "666", "0:0", "0:0")}
    assert not os.path.exists("/dev/absent-here")


def test_devices_in_user_namespace_with_unmapped_owner(runtime, bundle):
    b = bundle().user_namespace()
    b.linux["devices"] = [device("/dev/theirs", gid=70000)]
    assert "group 70000 is not mapped" in refused(runtime, b, "/linux/devices/0")


def test_devices_of_an_ordinary_user_are_the_hosts(rootless, bundle, user):
    b = bundle(owner=user).rootless()
    assert listed(rootless, b, "/dev/null") == {"/dev/null": (CHARACTER, "666", "65534:65534",
                                                              "1:3")}
    b.linux["devices"] = [device("/dev/absent-here")]
    assert "mknod is not allowed here" in refused(rootless, b, "/linux/devices/0")
