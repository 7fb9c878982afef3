# SPDX-License-Identifier: MIT
"""A hostile root filesystem, and hostile neighbours in the container. Each layout has led another
runtime astray once; whether hako refuses or goes on, nothing outside may change."""

import hashlib
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

from harness import leaks, private
from harness.bundle import build_static
from harness.kernel import cgroup_pids, cmdline, eventually
from harness.refused import refused
from harness.runtime import MARK, SCALE, cpu_seconds, run


def picture(folder):
    """Names, kinds, modes, contents of a tree of the host."""
    return {str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_uid,
                                            path.lstat().st_rdev,
                                           path.read_bytes() if path.is_file() else None)
            for path in sorted(pathlib.Path(folder).rglob("*"))}


@pytest.fixture
def outside(tmp_path):
    """A folder of the host with what an attack would change; it must be as it was in the end."""
    folder = tmp_path / "outside"
    for name in ("sub", "sys/net/ipv4", "self/attr"):
        (folder / name).mkdir(parents=True)
    for name in ("ptmx", "null", "file", "sub/file", "sys/net/ipv4/ip_forward",
                 "self/oom_score_adj", "self/attr/exec"):
        (folder / name).write_text("the host's")
    before, mounts = picture(folder), private.mounts()
    yield folder
    assert picture(folder) == before
    assert private.mounts() == mounts


def attempt(runtime, bundle):
    """A run that may be refused, but in one line and at once."""
    result = runtime.run_bundle(bundle, check=False)
    assert result.returncode == 0 or (result.returncode == 1 and result.stderr.count("\n")
                                      == 1), result
    return result


def replace(path, target):
    """A symbolic link in the place of whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


# --- /dev ---

@pytest.mark.parametrize("target", ["{outside}", "../../../../../../../../..{outside}",
                                    "/proc/self/cwd", "{outside}/absent",
                                    "/proc/1/root{outside}", "dev"])
@pytest.mark.parametrize("mounted", [True, False])
def test_dev_is_a_link(runtime, bundle, outside, target, mounted):
    """CVE-2026-41579, CVE-2026-47766: nodes and links made through it, ptmx replaced."""
    b = bundle("/bin/true")
    replace(b.rootfs / "dev", target.format(outside=outside))
    if not mounted:
        b.without_mount("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    attempt(runtime, b)


@pytest.mark.parametrize("name", ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "fd",
                                  "core", "pts", "shm"])
def test_entry_of_dev_is_a_link(runtime, bundle, outside, name):
    b = bundle("/bin/true").without_mount("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    replace(b.rootfs / "dev" / name, outside / "file")
    result = attempt(runtime, b)
    assert (result.returncode == 1) == (name in ("null", "zero", "full", "random", "urandom",
                                                 "tty"))


@pytest.mark.parametrize("path, links", [("/link/node", {"link": "{outside}"}),
                                         ("/a/b/node", {"a": "{outside}"}),
                                         ("/a/b/node", {"a/b": "../../../..{outside}"}),
                                         ("/../..{outside}/node", {}),
                                         ("/dev/../../..{outside}/node", {}),
                                         ("/link", {"link": "{outside}/file"}),
                                         ("/link", {"link": "{outside}/absent"})])
@pytest.mark.parametrize("userns", [False, True])
def test_devices_of_the_config(runtime, bundle, outside, path, links, userns):
    b = bundle("/bin/true")
    for name, target in links.items():
        replace(b.rootfs / name, target.format(outside=outside))
    b.linux["devices"] = [{"path": path.format(outside=outside), "type": "p" if userns else "c",
                           "major": 1, "minor": 3}]
    if userns:
        b.user_namespace()
        os.chown(b.rootfs, 1_000_000, 1_000_000)
    attempt(runtime, b)


@pytest.mark.parametrize("kind", ["link", "file", "zero", "absent", "link to itself"])
def test_null_of_a_bound_dev(runtime, bundle, outside, kind):
    """CVE-2025-31133: what masks a file is the host's null device, not a name of the container."""
    b = bundle().without_mount("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    dev = b.path / "dev"
    dev.mkdir()
    {"link": lambda: (dev / "null").symlink_to("/proc/sys/kernel/core_pattern"),
     "absent": lambda: None,
     "file": lambda: (dev / "null").write_text("a file"),
     "link to itself": lambda: (dev / "null").symlink_to("null"),
     "zero": lambda: os.mknod(dev / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 5))}[kind]()
    before = picture(dev)
    b.mount("/dev", dev, "bind").file("/etc/masked", "secret")
    b.mounts.append({"destination": "/proc", "type": "proc", "source": "proc"})
    b.config["mounts"] = b.mounts[-1:] + b.mounts[:-1]
    b.without_mount("/sys/fs/cgroup")
    b.linux["maskedPaths"] = ["/etc/masked", "/proc/keys"]
    b.sh("stat -c '%t:%T' /etc/masked; cat /etc/masked")
    core_pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_bytes()
    assert runtime.run_bundle(b).stdout == "1:3\n"
    assert picture(dev) == before
    assert pathlib.Path("/proc/sys/kernel/core_pattern").read_bytes() == core_pattern


# --- /proc, /sys ---

@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("target", ["{outside}", "elsewhere", "/tmp", "../../../../../{outside}",
                                    "/", "proc", "tmp/absent"])
def test_proc_and_sys_are_links(runtime, bundle, outside, name, target):
    """CVE-2019-19921, CVE-2023-27561, CVE-2025-54867: settings written to files of the image."""
    b = bundle("/bin/true").without_mount("/sys/fs/cgroup")
    b.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    (b.rootfs / "elsewhere").mkdir()
    replace(b.rootfs / name, target.format(outside=outside))
    assert f"/{name}" in refused(runtime, b)
    assert os.listdir(b.rootfs / "elsewhere") == []


@pytest.mark.parametrize("kind", ["files", "link", "fifo"])
def test_fake_proc_against_sysctl(runtime, bundle, outside, kind):
    """CVE-2025-52881: /proc of the container is the image's; it is the real sysctl that is set."""
    b = bundle().without_mount("/proc")
    b.linux.update(sysctl={"net.ipv4.ip_forward": "1"}, maskedPaths=[], readonlyPaths=[])
    fake = b.rootfs / "proc/sys/net/ipv4/ip_forward"
    fake.parent.mkdir(parents=True)
    {"files": lambda: fake.write_text("fake"), "link": lambda: fake.symlink_to(outside / "file"),
     "fifo": lambda: os.mkfifo(fake)}[kind]()
    b.capabilities("CAP_SYS_ADMIN").sh("mkdir /tmp/real; mount -t proc p /tmp/real;"
                                       "cat /tmp/real/sys/net/ipv4/ip_forward")
    assert runtime.run_bundle(b).stdout == "1\n"
    assert kind != "files" or fake.read_text() == "fake"


def test_fake_proc_bound_over_proc(runtime, bundle, outside):
    b = bundle("/bin/true").mount("/proc", outside, "bind")
    b.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    assert "not a procfs" in refused(runtime, b, "/mounts/7")


def test_fake_proc_against_exec(runtime, bundle, token):
    """Settings of a process that joins are not written to names of the container."""
    b = bundle().capabilities("CAP_SYS_ADMIN").sh("""
        mount -t tmpfs t /proc; cd /proc; mkdir -p self/attr thread-self/attr
        for f in self/oom_score_adj self/attr/exec self/setgroups thread-self/attr/exec; do
        echo fake >$f; done
        for i in $(seq 1 999); do ln -s self $i; done; echo ready; exec sleep 1000""")
    b.process["oomScoreAdj"] = 100
    b.linux.update(maskedPaths=[], readonlyPaths=[])
    box = runtime.container(b)
    out = box.create()
    box.start()
    eventually(lambda: "ready" in out.stdout)
    box.exec("/bin/sh", "-c", f": {token}; sleep 100 & exec cat /proc/self/oom_score_adj",
             options=["--detach"])
    # cat has ended: whoever is looked at below stays
    eventually(lambda: sorted(map(cmdline, cgroup_pids(f"/sys/fs/cgroup/{box.id}"))) == [
        ["sleep", "100"], ["sleep", "1000"]])
    result = box.exec("/bin/cat", *(f"/proc/{f}" for f in ("self/oom_score_adj", "self/attr/exec",
                                                           "self/setgroups")))
    assert result.stdout == "fake\n" * 3
    for pid in cgroup_pids(f"/sys/fs/cgroup/{box.id}"):
        assert pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text() == "100\n"


# --- mount targets that move ---

@pytest.mark.parametrize("destination, links", [
    ("/link", {"link": "{outside}"}), ("/link/new", {"link": "{outside}"}),
    ("/a/b/new", {"a": "../../../../..{outside}"}),
    ("/link/../../../../../..{outside}", {"link": "tmp"}),
    ("/x/new", {"x": "y", "y": "z", "z": "{outside}"}),
    ("/fd/new", {"fd": "/proc/self/fd"}), ("/cwd/new", {"cwd": "/proc/self/cwd"}),
    ("/root", {"root": "/proc/1/root"}),
    ("/link/new", {"link": "{outside}/absent"}), ("/../../..{outside}/new", {}),
])
@pytest.mark.parametrize("kind", ["bind", "tmpfs", "file"])
def test_mount_through_links(runtime, bundle, outside, tmp_path, destination, links, kind):
    """CVE-2021-30465, CVE-2015-1335, CVE-2024-45310: nothing is made or mounted outside."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source/file").write_text("")
    b = bundle("/bin/true")
    for name, target in links.items():
        replace(b.rootfs / name, target.format(outside=outside))
    source = tmp_path / "source" / ("file" if kind == "file" else "")
    b.mount(destination.format(outside=outside), source, "size=4k" if kind == "tmpfs" else "bind",
            type=kind)
    attempt(runtime, b)


@pytest.mark.timeout(180)
def test_mount_targets_that_are_renamed_meanwhile(runtime, bundle, outside, tmp_path):
    """CVE-2024-45310, CVE-2021-30465: below a name that is now a folder, now a link."""
    b = bundle("/bin/true")
    (b.rootfs / "a").mkdir()
    (b.rootfs / "b").symlink_to(outside)
    (tmp_path / "source").mkdir()
    for i in range(24):
        b.mount(f"/a/dir{i}/deep", tmp_path / "source" if i % 2 else "tmpfs", "bind" if i % 2
                else "size=4k",
                type="bind" if i % 2 else "tmpfs")
    with subprocess.Popen([build_static("swap.c"), b.rootfs, "a", "b"]) as swapper:
        try:
            outcomes = {attempt(runtime, b).returncode for _ in range(60)}
            assert swapper.poll() is None
        finally:
            swapper.kill()
    assert 0 in outcomes or 1 in outcomes
    assert sorted(os.listdir(outside)) == ["file", "null", "ptmx", "self", "sub", "sys"]


def test_masks_that_are_links(runtime, bundle, outside):
    b = bundle("/bin/true")
    for i, target in enumerate(("{outside}/file", "/proc/self/root{outside}/file",
                                "../../../..{outside}/file")):
        (b.rootfs / f"tmp/{i}").symlink_to(target.format(outside=outside))
    b.linux.update(maskedPaths=["/tmp/0", "/tmp/2"], readonlyPaths=["/tmp/0", "/tmp/2"])
    runtime.run_bundle(b)
    b.linux["maskedPaths"] = ["/tmp/1"]
    attempt(runtime, b)
    (outside / "file").write_text("the host's")  # still writable


def test_tmpcopyup_copies_nothing_of_the_host(runtime, bundle, outside):
    b = bundle().mount("/data", "tmpfs", "tmpcopyup", "mode=755", type="tmpfs")
    (b.rootfs / "data").mkdir()
    (b.rootfs / "data/link").symlink_to(outside / "file")
    (b.rootfs / "data/dir").symlink_to(outside)
    os.mkfifo(b.rootfs / "data/fifo")
    out = runtime.run_bundle(b.sh("cd /data; cat link; ls dir/; find . -type l | sort")).stdout
    assert out == "./dir\n./link\n"


# --- working directory, descriptors ---

def run_with_open_root(runtime, fd, *args):
    """A careless caller: / of the host is open as that descriptor."""
    script = "import os, sys; n = int(sys.argv[1]); os.dup2(os.open('/', os.O_RDONLY), n);" \
             "os.set_inheritable(n, True); os.execv(sys.argv[2], sys.argv[2:])"
    return subprocess.run(["/usr/bin/python3", "-c", script, str(fd), *runtime.argv(*args)],
                          check=False, text=True,
                          env=runtime.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("number", range(3, 15))
@pytest.mark.parametrize("leaked", ["the same", 9])
def test_cwd_by_a_descriptor(runtime, bundle, number, leaked):
    """CVE-2024-21626: a directory of the host, open in hako, or left open by its caller."""
    b = bundle("/bin/cat", "etc/hostname")
    b.process["cwd"] = f"/proc/self/fd/{number}"
    result = run_with_open_root(runtime, number if leaked == "the same" else leaked, "run",
                                "--bundle", b, runtime.new_id())
    assert result.returncode == 1 and "/process/cwd" in result.stderr, result
    assert result.stdout == ""


def test_preserved_descriptor_is_no_way_out(runtime, bundle):
    """--preserve-fds passes a directory of the host on purpose; to start in it is refused."""
    b = bundle("/bin/true")
    b.process["cwd"] = "/proc/self/fd/3"
    result = run_with_open_root(runtime, 3, "run", "--preserve-fds", "1", "--bundle", b,
                                runtime.new_id())
    assert result.returncode == 1 and "/process/cwd" in result.stderr, result


@pytest.mark.parametrize("number", range(3, 15))
def test_cwd_by_a_descriptor_in_exec(runtime, bundle, number):
    box = runtime.container(bundle("/bin/sleep", "1000"))
    box.create()
    box.start()
    result = run_with_open_root(runtime, number, "exec", "--cwd", f"/proc/self/fd/{number}",
                                box.id, "/bin/pwd")
    assert result.returncode == 255 and f"chdir to /proc/self/fd/{number}" in result.stderr, result


@pytest.mark.parametrize("cwd", ["/proc/self/cwd", "/proc/1/cwd", "/proc/self/root/..", "/link",
                                 "/proc/self/fd/../cwd",
                                 "/proc/thread-self/fd/7"])
def test_cwd_by_other_links(runtime, bundle, cwd):
    b = bundle("/bin/sh", "-c", "pwd -P; ls /bin/busybox")
    (b.rootfs / "link").symlink_to("/proc/self/cwd/../../../..")
    b.process["cwd"] = cwd
    result = runtime.run_bundle(b, check=False)
    if result.returncode != 1:
        assert result.stdout.startswith("/") and "/bin/busybox" in result.stdout


# --- /etc/passwd ---

@pytest.mark.parametrize("kind", ["fifo", "zero", "line", "lines", "directory", "link", "loop",
                                  "socket", "nul", "unreadable"])
def test_passwd(runtime, bundle, outside, kind):
    """Read for HOME: no hang, no crash, no file of the host."""
    b = bundle("/bin/sh", "-c", "echo $HOME")
    passwd = b.rootfs / "etc/passwd"
    passwd.unlink()
    (outside / "file").write_text("root:x:0:0::/outside:/bin/sh\n") if kind == "link" else None
    {"fifo": lambda: os.mkfifo(passwd), "directory": passwd.mkdir,
     "loop": lambda: passwd.symlink_to("passwd"),
     "zero": lambda: os.mknod(passwd, 0o644 | stat.S_IFCHR, os.makedev(1, 5)),
     "line": lambda: passwd.write_bytes(b"x" * 50_000_000),
     "link": lambda: passwd.symlink_to(outside / "file"),
     "lines": lambda: passwd.write_bytes(b"a:b:c:d\n" * 6_000_000 + b"root:x:0:0::/far:/bin/sh\n"),
     "socket": lambda: socket.socket(socket.AF_UNIX).bind(os.path.relpath(passwd)),
     "nul": lambda: passwd.write_bytes(b"\0" * 4096 + b"root:x:0:0::/r\0oot:/bin/sh\n\xff\xfe"),
     "unreadable": lambda: passwd.write_text("root:x:0:0::/kept:/bin/sh\n")}[kind]()
    before = cpu_seconds()
    out = runtime.run_bundle(b).stdout
    assert cpu_seconds() - before < 5 * SCALE
    assert out in {"line": "/\n", "lines": "/\n/far\n",
                   "unreadable": "/kept\n"}.get(kind, "/\n/root\n/r\n")
    if kind == "link":
        (outside / "file").write_text("the host's")


# --- the runtime's own binary ---

def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


@pytest.fixture
def own_copy(make_runtime, hako, session_path):
    """A hako that an attack may overwrite without harm to the other tests."""
    folder = session_path("copy")
    copy = pathlib.Path(shutil.copy(hako, folder / "hako"))
    copy.chmod(0o755)
    before = digest(copy)
    yield make_runtime(copy)
    assert digest(copy) == before


def with_watcher(bundle):
    shutil.copy(build_static("watch.c"), bundle.rootfs / "bin/watcher")
    return bundle


@pytest.mark.timeout(180)
@pytest.mark.parametrize("userns", [False, True])
def test_watcher_gets_neither_the_binary_nor_the_host(own_copy, bundle, tmp_path, userns):
    """CVE-2019-5736, CVE-2016-9962: a neighbour with CAP_SYS_PTRACE, while processes are added."""
    (tmp_path / "secret").write_text("")
    b = with_watcher(bundle("/bin/watcher", tmp_path / "secret"))
    b.capabilities("CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN",
                   "CAP_FOWNER")
    if userns:
        b.user_namespace()
    box = own_copy.container(b)
    reader, writer = os.pipe()
    out = box.create(stdin=reader)
    box.start()
    eventually(lambda: "watching" in out.stdout)
    for _ in range(20):
        box.exec("/bin/true")
        box.exec("/proc/self/exe", "--version", check=False)
    pid = box.pid
    os.write(writer, b"\n")
    box.wait_for("stopped")
    os.close(reader)
    os.close(writer)
    lines = out.stdout.splitlines()
    assert lines[-1].startswith("held") and pid
    assert [line for line in lines if line.startswith("secret")] == []
    assert "overwritten" not in lines
    assert "opened for writing" not in lines


def test_tracer_gets_neither_capabilities_nor_the_environment(runtime, bundle):
    """CVE-2016-9962: what a process that exec adds has before it executes its program."""
    b = bundle("/bin/seize").capabilities("CAP_SYS_PTRACE", "CAP_SYS_CHROOT")
    shutil.copy(build_static("seize.c"), b.rootfs / "bin/seize")
    box = runtime.container(b)
    out = box.create()
    box.start()
    eventually(lambda: "watching" in out.stdout)
    add = lambda: box.exec("/bin/true", env={"SECRET": "of the caller"})
    for _ in range(20):
        add()
    eventually(lambda: "seized" in out.stdout or add() is None)  # it may have been too slow
    box.kill("KILL")
    lines = [line.split(" ", 3) for line in out.stdout.splitlines() if line.startswith("seized")]
    assert lines and "of the caller" not in out.stdout
    given = 1 << 19 | 1 << 18
    needed = 1 << 0 | 1 << 1 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 24  # chown, DAC, ids, bounding, limits
    for _, permitted, bounding, _ in lines:
        assert int(permitted, 16) & ~(given | needed) == 0, lines
        assert int(bounding, 16) == given, lines


def cannot_be_written(path):
    with pytest.raises(OSError) as error:
        os.open(path, os.O_WRONLY)
    return error.value.strerror in ("Read-only file system", "Text file busy",
                                    "Operation not permitted")


@pytest.mark.parametrize("how", ["start", "exec"])
def test_program_is_the_runtime_itself(own_copy, bundle, how):
    """args: /proc/self/exe. What it names must not be written to, then or later."""
    itself = ["/proc/self/exe", "--log", "/tmp/fifo", "list"]  # it waits for a reader
    b = bundle(*itself if how == "start" else ["/bin/sleep", "1000"])
    os.mkfifo(b.rootfs / "tmp/fifo")
    for libraries in ("/lib", "/lib64", "/usr/lib"):  # should it not be linked statically
        if os.path.isdir(libraries):
            b.mount(libraries, libraries, "rbind", "ro")
    box = own_copy.container(b)
    box.create()
    box.start()
    pid = box.pid
    if how == "exec":
        box.exec(*itself, options=["--detach", "--pid-file", b.path / "pid"])
        pid = int((b.path / "pid").read_text())
    fd = os.open(f"/proc/{pid}/exe", os.O_RDONLY)
    assert os.fstat(fd).st_size == os.stat(own_copy.path).st_size  # it is hako that runs there
    assert cannot_be_written(f"/proc/{pid}/exe")
    os.kill(pid, signal.SIGKILL)
    while os.path.exists(f"/proc/{pid}/exe"):
        leaks.reap()
        time.sleep(0.01)
    assert cannot_be_written(f"/proc/self/fd/{fd}")
    os.close(fd)


def test_protected_binary_in_the_waiting_container(own_copy, bundle):
    """Between create and start init is hako: its binary is on a read-only mount, or sealed."""
    box = own_copy.container(bundle("/bin/sleep", "1000"))
    box.create()
    exe = f"/proc/{box.pid}/exe"
    fd = os.open(exe, os.O_RDONLY)
    assert cannot_be_written(exe) and cannot_be_written(f"/proc/self/fd/{fd}")
    box.start()
    while os.readlink(exe) != "/bin/busybox":
        time.sleep(0.01)
    assert cannot_be_written(f"/proc/self/fd/{fd}")  # nobody runs it any more
    os.close(fd)


# --- what the image cannot do to the others ---

@pytest.fixture
def own_dev(tmp_path):
    """A /dev of the test's own, as a machine has it."""
    folder = tmp_path / "own dev"
    folder.mkdir()
    private.mount("tmpfs", folder, "tmpfs")
    for name, major, minor in (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("tty", 5, 0),
                               ("random", 1, 8), ("urandom", 1, 9), ("ptmx", 5, 2)):
        os.mknod(folder / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
    (folder / "pts").mkdir()
    private.mount(folder, "/dev", None, private.MS_BIND)
    yield pathlib.Path("/dev")
    private.umount("/dev")
    private.umount(folder)


@pytest.mark.parametrize("path", ["/", "/proc/.."])
@pytest.mark.parametrize("covered", [False, True])
def test_rootfs_is_the_hosts_root(runtime, bundle, own_dev, path, covered):
    """Absurd, but not destructive: nothing of the host's mounts and devices changes."""
    b = bundle("/bin/sh", "-c", "ls /dev")
    b.config["root"] = {"path": path, "readonly": True}
    b.config["mounts"] = [{"destination": "/dev", "type": "tmpfs", "source": "dev"}] * covered
    b.linux.update(maskedPaths=[], readonlyPaths=[])
    before = private.mounts(), picture(own_dev)
    found = attempt(runtime, b).stdout.split()
    assert (private.mounts(), picture(own_dev)) == before
    assert ("core" in found, "null" in found) == (covered, True)


def test_devtmpfs_is_not_filled(hako, bundle):
    """There is one for the whole machine."""
    b = bundle().without_mount("/dev")
    assert "/dev/ptmx ->" in run([hako, "plan", b]).stdout
    b.mounts.insert(1, {"destination": "/dev", "type": "devtmpfs", "source": "dev"})
    assert "/dev/ptmx ->" not in run([hako, "plan", b]).stdout


def test_environment_of_the_runtime_is_not_kept(runtime, bundle):
    """While it waits for `start` others in its pid namespace may see it."""
    box = runtime.container(bundle("/bin/sleep", "1000"))
    box.create(env={"SECRET": "of the caller"})
    assert b"SECRET" not in pathlib.Path(f"/proc/{box.pid}/environ").read_bytes()


def test_environment_of_the_runtime_is_not_passed(runtime, bundle):
    b = bundle("/bin/cat", "/proc/self/environ")
    out = runtime.run_bundle(b, env={"SECRET": "of the caller", "LD_PRELOAD": "/absent"}).stdout
    assert "SECRET" not in out and "LD_PRELOAD" not in out and MARK in out
