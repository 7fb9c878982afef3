# SPDX-License-Identifier: MIT
"""Kills, failing system calls, races, reused pids, fork bombs: nothing is left, nobody is hit."""

import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from harness import kernel, private
from harness.bundle import build_static
from harness.kernel import alive, eventually
from harness.runtime import SCALE, run

SLEEP = ("/bin/sleep", "1000")
CGROUP = pathlib.Path(private.CGROUP)
PARTS = 4  # of a sweep, so that the workers share it
CALL = re.compile(r"^(\w+)\(", re.MULTILINE)


def strace(runtime, options, *args, **how):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    argv = ["strace", "-qq", *map(str, options), *runtime.argv(*args)]
    return run(argv, env=runtime.environment, check=False, **how)


def calls(runtime, tmp_path, *args):
    """Names of the system calls of a command, in order."""
    strace(runtime, ["-o", tmp_path / "trace"], *args)
    return CALL.findall((tmp_path / "trace").read_text())


def images_start(names):
    """Where the last image of hako begins to work: it has closed what it inherited."""
    return len(names) - names[::-1].index("close_range")


def killed(runtime, n, *args):
    """Run a command and kill it where it makes its n-th system call."""
    result = strace(runtime, ["-o", "/dev/null", "-e", f"inject=all:signal=KILL:when={n}"], *args)
    assert result.returncode in (0, -9), result
    return result


# --- the runtime is killed --------------------------------------------------------------

def simple(b):
    return b


def everything(b):
    b.user_namespace(((0, 0, 65536),))
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                          "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}
    b.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}],
                            "unified": {"cgroup.max.depth": "3"}}
    b.config["hooks"] = {kind: [{"path": "/bin/true"}] for kind in (
        "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")}
    return b


def running(box):
    box.create()
    box.start()
    return box.pid


def clean_up(runtime, id, leaks, where):
    """What an engine does after a crash; then nothing may be left."""
    result = runtime.run("delete", "--force", id, check=False)
    assert (result.returncode, result.stderr) == (0, ""), (where, result)
    left = leaks.wait()
    assert left == [], (where, left)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("change", [simple, everything])
@pytest.mark.parametrize("part", range(PARTS))
def test_create_killed_anywhere(runtime, bundle, leaks, tmp_path, change, part):
    """At every system call from the claim on the id to the end, and at some before."""
    box = runtime.container(change(bundle(*SLEEP)))
    args = ("create", "--pid-file", tmp_path / "pid", "--bundle", box.bundle, box.id)
    names = calls(runtime, tmp_path, *args)
    box.delete("--force")
    claim = images_start(names) + names[images_start(names):].index("mkdirat")
    points = [*range(2, claim, 20), *range(claim, len(names) + 1)]
    assert len(points) >= 40
    for n in points[part::PARTS]:
        killed(runtime, n, *args)
        clean_up(runtime, box.id, leaks, (n, names[n - 1]))
    box.create()  # the id is free
    box.start()
    box.delete("--force")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("command", [
    "start", "delete --force", "kill", "pause", "exec --detach", "run"])
def test_other_commands_killed(runtime, bundle, leaks, tmp_path, command):
    """At a dozen points of each: the container is as before, as after, or can be deleted."""
    box = runtime.container(bundle(*SLEEP))
    operands = ["--bundle", bundle("/bin/true"), box.id] if command == "run" else [box.id]
    args = [*command.split(), *operands, *(SLEEP if "exec" in command else [])]
    prepare = {"run": [], "start": ["create"]}.get(command, ["create", "start"])
    for step in prepare:
        getattr(box, step)()
    names = calls(runtime, tmp_path, *args)
    first = images_start(names)
    box.delete("--force")
    assert len(names) - first >= 10
    for n in range(first, len(names) + 1, max(1, (len(names) - first) // 12)):
        for step in prepare:
            getattr(box, step)()
        killed(runtime, n, *args)
        clean_up(runtime, box.id, leaks, (n, names[n - 1]))


@pytest.mark.parametrize("call", ["pivot_root", "move_mount", "sethostname", "capset", "setresuid"])
def test_init_killed_while_it_builds(runtime, bundle, leaks, call):
    """Calls that only init makes. The parent says so, and takes back what was made."""
    result = strace(runtime, ["-f", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL"],
                    "create", "--bundle", bundle(*SLEEP), runtime.new_id())
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result
    assert "the other process ended" in result.stderr
    assert leaks.wait() == []


@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOBUFS"])
def test_exec_whose_intermediate_ends(runtime, bundle, fault):
    """It has cloned the process already, which holds the same end of their socket."""
    box = runtime.container(bundle(*SLEEP))
    running(box)
    result = strace(runtime, ["-f", "-o", "/dev/null", "-e", f"inject=sendto:{fault}:when=1"],
                    "exec", box.id, "/bin/touch", "/made")
    assert result.returncode == 255 and "the other process ended" in result.stderr, result
    assert eventually(lambda: kernel.cgroup_pids(CGROUP / box.id) == {box.pid})
    assert not (box.bundle.rootfs / "made").exists()


# --- system calls fail ---------------------------------------------------------------------

FATAL = [
    # call, errno, which one of a process
    ("mkdirat", "ENOSPC", 1), ("mkdirat", "EIO", 2), ("flock", "ENOLCK", 1),
    ("write", "ENOSPC", 1), ("write", "EIO", 2), ("socketpair", "EMFILE", 1),
    ("clone3", "ENOMEM", 1), ("clone3", "EAGAIN", 1), ("clone3", "EPERM", 1),
    ("clone3", "ENOSPC", 1), ("renameat", "ENOSPC", 1), ("renameat", "EIO", 1),
    ("openat2", "EMFILE", 1), ("openat2", "ENOMEM", 3), ("fsopen", "EPERM", 1),
    ("fsconfig", "ENOMEM", 1), ("fsmount", "EPERM", 1), ("move_mount", "ENOMEM", 1),
    ("move_mount", "EPERM", 4), ("pivot_root", "EBUSY", 1), ("umount2", "EPERM", 1),
    ("symlinkat", "ENOSPC", 1), ("sethostname", "EPERM", 1), ("setgroups", "EPERM", 1),
    ("setgroups", "ENOMEM", 1), ("setresgid", "EPERM", 1), ("setresuid", "EAGAIN", 1),
    ("capset", "EPERM", "1+"), ("keyctl", "EDQUOT", 1), ("sendto", "ENOBUFS", 1),
    ("recvfrom", "ENOMEM", 1),
]


@pytest.mark.parametrize("call, errno, when", FATAL)
def test_failing_call(runtime, bundle, leaks, call, errno, when):
    inject = f"inject={call}:error={errno}:when={when}"
    result = strace(runtime, ["-f", "-o", "/dev/null", "-e", inject],
                    "run", "--bundle", bundle("/bin/echo", "here"), runtime.new_id())
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1), result
    assert result.stderr.startswith("hako: error: ")
    assert leaks.wait() == []


def test_renames_elsewhere(runtime, bundle):
    """On a busy machine openat2(2) gives up on ".." many times in a row: nothing has failed."""
    result = strace(runtime, ["-f", "-o", "/dev/null",
                              "-e", "inject=openat2:error=EAGAIN:when=1..200"],
                    "run", "--bundle", bundle("/bin/echo", "here"), runtime.new_id())
    assert (result.returncode, result.stdout, result.stderr) == (0, "here\n", "")


@pytest.mark.parametrize("call, errno", [("bind", "EADDRINUSE"), ("listen", "ENOMEM")])
def test_failing_call_of_create(runtime, bundle, leaks, tmp_path, call, errno):
    result = strace(runtime, ["-o", "/dev/null", "-e", f"inject={call}:error={errno}"], "create",
                    "--pid-file", tmp_path / "pid", "--bundle", bundle(*SLEEP), runtime.new_id())
    assert (result.returncode, "make the socket for start" in result.stderr) == (1, True), result
    assert not (tmp_path / "pid").exists()
    assert leaks.wait() == []


def test_create_that_cannot_be_taken_back(runtime, bundle, leaks):
    """It says so, behind the reason why it failed."""
    b, id = bundle(*SLEEP), runtime.new_id()
    b.mount("/data", "nosuch")
    result = strace(runtime, ["-o", "/dev/null", "-e", "inject=unlinkat:error=EPERM"],
                    "create", "--bundle", b, id)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result
    reason, _, left = result.stderr.partition(f": what was made is left, `hako delete --force {id}` ")
    assert reason.endswith("nosuch: no such file or directory"), result
    assert left.startswith("removes it: remove the cgroup "), result
    runtime.run("delete", "--force", id)
    assert leaks.wait() == []


def test_process_without_a_pidfd(runtime, bundle):
    box = runtime.container(bundle(*SLEEP))
    running(box)
    strace(runtime, ["-o", box.bundle.path / "trace"], "exec", box.id, "/bin/true")
    count = CALL.findall((box.bundle.path / "trace").read_text()).count("pidfd_open")
    inject = f"inject=pidfd_open:error=EMFILE:when={count}"
    result = strace(runtime, ["-o", "/dev/null", "-e", inject], "exec", box.id, *SLEEP)
    assert result.returncode == 255 and "pidfd_open of init" in result.stderr, result
    assert eventually(lambda: kernel.cgroup_pids(CGROUP / box.id) == {box.pid})


LACKS = [("openat", "EMFILE"), ("openat", "ENFILE"), ("newfstatat", "ENOMEM"), ("read", "ENOMEM")]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("call, errno", LACKS)
def test_delete_of_a_running_container_that_lacks_something(runtime, bundle, tmp_path, call, errno):
    """How it is cannot be asked: that does not make it a stopped one."""
    box = runtime.container(bundle(*SLEEP))
    pid = running(box)
    for n in range(1, calls(runtime, tmp_path, "delete", box.id).count(call) + 1):
        inject = f"inject={call}:error={errno}:when={n}"
        result = strace(runtime, ["-o", "/dev/null", "-e", inject], "delete", box.id)
        assert result.returncode != 0 and alive(pid), (n, result)
        assert box.status == "running"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("call, errno", LACKS)
def test_delete_force_that_lacks_something(runtime, bundle, leaks, tmp_path, call, errno):
    """Nor a missing or a damaged one: it is deleted, or can still be."""
    box = runtime.container(bundle(*SLEEP))
    running(box)
    names = calls(runtime, tmp_path, "delete", "--force", box.id)
    for n in range(1, names.count(call) + 1):
        running(box)
        inject = f"inject={call}:error={errno}:when={n}"
        result = strace(runtime, ["-o", "/dev/null", "-e", inject], "delete", "--force", box.id)
        if result.returncode != 0:
            clean_up(runtime, box.id, leaks, (n, result))
        assert leaks.wait() == [], (n, result)


def test_delete_force_that_cannot_kill(runtime, bundle):
    """Nobody would find it once its state is gone."""
    runtime.options = ["--cgroup-manager", "disabled"]
    box = runtime.container(bundle(*SLEEP))
    pid = running(box)
    result = strace(runtime, ["-o", "/dev/null", "-e", "inject=pidfd_open:error=EMFILE"],
                    "delete", "--force", box.id)
    assert (result.returncode, "open init" in result.stderr) == (1, True), result
    assert alive(pid) and box.status == "running"


def test_start_that_cannot_take_the_socket(runtime, bundle, leaks):
    """With the socket's name there the container would count as created for ever."""
    box = runtime.container(bundle(*SLEEP))
    box.create()
    result = strace(runtime, ["-o", "/dev/null", "-e", "inject=unlinkat:error=EIO:when=1"],
                    "start", box.id)
    assert (result.returncode, "socket for start" in result.stderr) == (1, True), result
    assert leaks.wait() == []


ERRNOS = {"openat": "EMFILE", "openat2": "EMFILE", "mkdirat": "ENOSPC", "write": "ENOSPC",
          "renameat": "EIO", "clone3": "EAGAIN", "fork": "EAGAIN", "read": "EIO", "unlinkat": "EIO"}
LEFT_OUT = {"execve", "execveat", "brk", "mmap", "munmap", "mprotect", "exit_group", "exit",
            "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "getrandom",
            # these cannot fail; close closes when it says it failed, but not under strace
            "wait4", "rt_sigprocmask", "close"}


def ended_before_main(result):
    """The dynamic linker or a sanitizer could not do without: hako itself was never reached."""
    return any(words in result.stderr for words in ("while loading shared libraries",
                                                    "AddressSanitizer: CHECK failed"))


def points_of(runtime, tmp_path, processes, *args):
    """(name, n) of the calls of a command: of hako itself, and of its children until execve."""
    strace(runtime, ["-ff", "-o", tmp_path / "trace"], *args)
    points = set()
    traces = [CALL.findall(path.read_text()) for path in tmp_path.glob("trace.*")]
    for names in sorted(traces, key=len)[-processes:]:
        begin = images_start(names) if names[0] == "execve" else 0
        end = names.index("execve") if "execve" in names[begin:] else len(names)
        count = collections.Counter(names[:begin])
        for name in names[begin:end]:
            count[name] += 1
            points.add((name, count[name]))
    return sorted(point for point in points if point[0] not in LEFT_OUT)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_call_of_exec_fails_once(runtime, bundle, tmp_path, part):
    """It hangs never, and the container is as before."""
    box = runtime.container(bundle(*SLEEP))
    pid = running(box)
    args = ("exec", box.id, "/bin/echo", "here")
    points = points_of(runtime, tmp_path, 3, *args)  # with the intermediate
    assert len(points) > 70
    for name, when in points[part::PARTS]:
        inject = f"inject={name}:error={ERRNOS.get(name, 'ENOMEM')}:when={when}"
        result = strace(runtime, ["-f", "-o", "/dev/null", "-e", inject], *args)
        where = (name, when, result)
        if result.returncode != 0 and not ended_before_main(result):
            assert result.returncode in (1, 255) and result.stderr.count("\n") == 1, where
        assert result.returncode != 0 or result.stdout == "here\n", where
        eventually(lambda: kernel.cgroup_pids(CGROUP / box.id) == {pid})


@pytest.mark.timeout(400)
@pytest.mark.parametrize("change", [simple, everything])
@pytest.mark.parametrize("part", range(PARTS))
def test_every_call_fails_once(runtime, bundle, leaks, tmp_path, change, part):
    """run either says why it cannot, or does without: never a crash, a hang, or anything left."""
    b = change(bundle("/bin/echo", "here"))
    id = runtime.new_id()
    args = ("run", "--bundle", b, id)
    points = points_of(runtime, tmp_path, 2, *args)  # parent and init
    assert len(points) > 150
    for name, when in points[part::PARTS]:
        errno = ERRNOS.get(name, "ENOMEM")
        inject = f"inject={name}:error={errno}:when={when}"
        result = strace(runtime, ["-f", "-o", "/dev/null", "-e", inject], *args)
        where = (name, when, result)
        if ended_before_main(result):
            continue
        if result.stdout == "here\n":
            # a poststop hook that fails is a warning
            assert (result.stderr == "" or ": poststop hook: " in result.stderr
                    or result.returncode == 1), where
        else:
            lines = [line for line in result.stderr.splitlines()
                     if ": poststop hook: " not in line]
            assert (result.returncode, len(lines)) == (1, 1), where
        runtime.run("delete", "--force", id)  # after a failing clean-up
        left = leaks.wait()
        assert left == [], (where, left)


@pytest.mark.parametrize("limit", ["-n 3", "-n 5", "-n 7", "-n 9", "-n 11", "-n 13"])
def test_few_descriptors(runtime, bundle, leaks, limit):
    argv = runtime.argv("run", "--bundle", bundle("/bin/echo", "here"), runtime.new_id())
    result = run(["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *argv],
                 env=runtime.environment, check=False)
    if ended_before_main(result):
        return
    ended = (result.returncode, result.stdout, result.stderr.count("\n"))
    assert ended in ((0, "here\n", 0), (1, "", 1)), result
    if limit in ("-n 3", "-n 5"):
        assert "too many open files" in result.stderr
    assert leaks.wait() == []


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(options): a tmpfs."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder])
        return folder

    yield mount
    private.umount(folder)


@pytest.mark.parametrize("options", [
    "nr_inodes=2", "nr_inodes=3", "nr_inodes=4", "nr_inodes=5", "size=4k"])
def test_full_disk(runtime, bundle, small_disk, options):
    runtime.root = small_disk(options) / "root"
    box = runtime.container(bundle(*SLEEP))
    box.bundle.config["annotations"] = {"a": "x" * 10_000}
    result = box.create(check=False)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result
    assert "no space left on device" in result.stderr
    assert not runtime.root.exists() or os.listdir(runtime.root) == []
    assert not (CGROUP / box.id).exists()


# --- races -------------------------------------------------------------------------------------

def together(runtime, commands, tmp_path):
    """Start all commands at once; [(exit status, stderr)]."""
    paths = [tmp_path / f"stderr{n}" for n in range(len(commands))]
    started = []
    for command, path in zip(commands, paths):
        with path.open("w") as file:
            started.append(runtime.popen(*command, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=file))
    codes = [process.wait(30 * SCALE) for process in started]
    return [(code, path.read_text()) for code, path in zip(codes, paths)]


def test_one_of_twenty_creates_wins(runtime, bundle, tmp_path):
    b = bundle(*SLEEP)
    b.save()
    box = runtime.container(b)
    ended = together(runtime, [("create", "--bundle", b.path, box.id)] * 20, tmp_path)
    assert sorted(code for code, _ in ended) == [0] + [1] * 19
    assert all("already exists" in text for code, text in ended if code != 0)
    assert kernel.cgroup_pids(CGROUP / box.id) == {box.pid}
    box.start()
    assert box.status == "running"


def test_one_of_many_starts_wins(runtime, bundle, tmp_path):
    box = runtime.container(bundle().sh("echo once >>/count; exec sleep 1000"))
    box.create()
    ended = together(runtime, [("start", box.id)] * 10, tmp_path)
    assert sorted(code for code, _ in ended) == [0] + [1] * 9
    message = "cannot start an already running container"
    assert all(message in text for code, text in ended if code != 0), ended
    assert eventually((box.bundle.rootfs / "count").read_text) == "once\n"


@pytest.mark.parametrize("options, codes", [((), {0, 1}), (("--force",), {0})])
def test_many_deletes(runtime, bundle, tmp_path, options, codes):
    box = runtime.container(bundle(*SLEEP))
    box.create()
    ended = together(runtime, [("delete", *options, box.id)] * 10, tmp_path)
    assert {code for code, _ in ended} <= codes and 0 in {code for code, _ in ended}
    assert all("does not exist" in text for code, text in ended if code != 0), ended
    assert os.listdir(runtime.root) == [] and not (CGROUP / box.id).exists()


def test_create_against_delete(runtime, bundle, tmp_path, leaks):
    b = bundle(*SLEEP)
    b.save()
    box = runtime.container(b)
    for _ in range(15):
        delete = ("delete", "--force", box.id)
        ended = together(runtime, [("create", "--bundle", b.path, box.id), delete, delete,
                                   ("state", box.id)], tmp_path)
        assert [code for code, _ in ended][:3] in ([0, 0, 0], [1, 0, 0]), ended
        assert all(text.count("\n") <= 1 for _, text in ended)
        clean_up(runtime, box.id, leaks, ended)


def test_many_runs_of_one_id(runtime, bundle, tmp_path, leaks):
    b = bundle("/bin/true")
    b.save()
    id = runtime.new_id()
    ended = together(runtime, [("run", "--bundle", b.path, id)] * 20, tmp_path)
    assert {code for code, _ in ended} <= {0, 1} and 0 in {code for code, _ in ended}
    assert all("already exists" in text for code, text in ended if code != 0)
    assert leaks.wait() == []


def test_many_containers_at_once(runtime, bundle, tmp_path, leaks):
    b = bundle().sh("exit 7")
    b.save()
    commands = [("run", "--bundle", b.path, runtime.new_id()) for _ in range(30)]
    ended = together(runtime, commands, tmp_path)
    assert ended == [(7, "")] * 30
    assert leaks.wait() == []


# --- reused pids ---------------------------------------------------------------------------

@pytest.fixture
def victim():
    """A process of the same user that no command may touch."""
    process = subprocess.Popen(["sleep", "1000"])
    sleeps = lambda: kernel.stat(process.pid)[0] == "S"
    eventually(sleeps)
    yield process
    eventually(sleeps)  # not stopped, and not a zombie
    process.kill()
    process.wait()


def test_pid_that_is_not_inits(runtime, bundle, victim, leaks):
    """The intermediate, or who has got hold of init, tells hako the pid of a bystander."""
    with subprocess.Popen(["unshare", "--user", "--map-root-user", *SLEEP]) as holder:
        path = f"/proc/{holder.pid}/ns/user"
        eventually(lambda: os.readlink(path) != os.readlink("/proc/self/ns/user"))
        b = bundle(*SLEEP)
        b.linux["namespaces"].append({"type": "user", "path": path})
        inject = f"inject=clone3:retval={victim.pid}:when=1"
        result = strace(runtime, ["-f", "-o", "/dev/null", "-e", inject],
                        "create", "--bundle", b, runtime.new_id())
        holder.kill()
    assert result.returncode == 1 and f"init is not pid {victim.pid}" in result.stderr, result
    assert leaks.wait() == []


@pytest.mark.parametrize("seconds_off", [-1, 1, 1000])
def test_pid_of_another_process(runtime, bundle, victim, seconds_off):
    """Its pid is in the state file, but not its start time."""
    box = runtime.container(bundle(*SLEEP))
    box.create()
    box.start()
    real = box.pid
    file = runtime.root / box.id / "state.json"
    state = json.loads(file.read_text())
    state.update(pid=victim.pid, startTime=kernel.start_time(victim.pid) + seconds_off)
    file.write_text(json.dumps(state))
    assert (box.status, box.pid) == ("stopped", 0)
    for command, code in (("kill ID KILL", 1), ("kill ID STOP", 1), ("exec ID /bin/touch /x", 255),
                          ("pause ID", 1), ("start ID", 1)):
        result = runtime.run(*command.replace("ID", box.id).split(), check=False)
        assert result.returncode == code, result
        assert "not running" in result.stderr or "stopped" in result.stderr, result
    assert alive(real) and not kernel.frozen(CGROUP / box.id)
    assert runtime.run("ps", "--format", "json", box.id).json() == [real]  # so says the cgroup
    box.delete("--force")
    eventually(lambda: not alive(real))  # found through the cgroup


def test_pid_of_a_thread(runtime, bundle):
    """Not a process: nothing can be signalled by it."""
    box = runtime.container(bundle(*SLEEP))
    box.create()
    thread = next(int(t) for t in os.listdir("/proc/self/task") if int(t) != os.getpid())
    file = runtime.root / box.id / "state.json"
    state = json.loads(file.read_text())
    state.update(pid=thread, startTime=kernel.start_time(thread))
    file.write_text(json.dumps(state))
    result = box.kill("KILL", check=False)
    assert (result.returncode, "container not running" in result.stderr) == (1, True), result


# --- containers that resist ----------------------------------------------------------------

@pytest.mark.parametrize("how", ["stopped", "hook"])
def test_delete_force_of_one_whose_start_does_not_end(runtime, bundle, background, how):
    """As a neighbour in its pid namespace may have it. start has the lock, and waits."""
    b = bundle(*SLEEP)
    if how == "hook":
        b.config["hooks"] = {"startContainer": [{"path": "/bin/sleep", "args": ["sleep", "1000"]}]}
    box = runtime.container(b)
    box.create()
    pid = box.pid
    if how == "stopped":
        os.kill(pid, signal.SIGSTOP)
    start = background("start", box.id, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: not (runtime.root / box.id / "start.sock").exists())
    box.delete("--force")
    assert start.wait(20 * SCALE) in (0, 1)
    eventually(lambda: not alive(pid))
    assert os.listdir(runtime.root) == [] and not (CGROUP / box.id).exists()


BOMB = "bomb & exec sleep 1000"
ORPHANS = ("for i in 1 2 3 4 5; do (setsid sh -c 'trap \"\" TERM HUP INT; sleep 1000 & wait' &); "
           "done; exec sleep 1000")


@pytest.mark.parametrize("own_pids", [True, False])
@pytest.mark.parametrize("script, paused, at_least", [
    (BOMB, False, 50), (BOMB, True, 50), (ORPHANS, False, 11), (ORPHANS, True, 11),
    ("kill -STOP $$; sleep 1000", False, 1)])
def test_delete_force_ends(runtime, bundle, token, own_pids, script, paused, at_least):
    b = bundle().sh(script)
    shutil.copy(build_static("bomb.c"), b.rootfs / "bin")
    if not own_pids:
        b.without_namespace("pid")
    uid = 100_000 + int(token[2:], 16) % 1_000_000
    b.process["user"] = {"uid": uid, "gid": uid}  # not root: the limit holds
    b.process["rlimits"] = [{"type": "RLIMIT_NPROC", "soft": 150, "hard": 150}]
    box = runtime.container(b)
    box.create(stderr=subprocess.DEVNULL)
    box.start()
    eventually(lambda: len(kernel.cgroup_pids(CGROUP / box.id)) >= at_least, seconds=20)
    if paused:
        runtime.run("pause", box.id)
    begin = time.monotonic()
    box.delete("--force")
    assert time.monotonic() - begin < 10 * SCALE
    assert not (CGROUP / box.id).exists()
    assert os.listdir(runtime.root) == []
