# SPDX-License-Identifier: MIT
"""Hooks: when, where and with what they run, and what their failure does."""

import json
import os
import re
import signal
import time

import pytest

from harness import kernel, schema
from harness.kernel import alive, eventually
from harness.refused import refused
from harness.runtime import MARK, SCALE, run

BEFORE_START = ("prestart", "createRuntime", "createContainer")
KINDS = (*BEFORE_START, "startContainer", "poststart", "poststop")
RUNTIME = ("prestart", "createRuntime", "poststart", "poststop")
SLEEP = ("/bin/sleep", "1000")


def hook(script, *env, **more):
    env = ["PATH=/bin:/usr/bin", *env]
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": env, **more}


class Scene:
    """A container whose hooks can all write to .log: the folder is mounted there as /log."""

    def __init__(self, runtime, bundle, log):
        log.mkdir()
        self.bundle, self.config, self.log = bundle, bundle.config, log
        bundle.mount("/log", log, "bind", "rw")
        self.config["hooks"] = {}
        self.box = runtime.container(bundle)

    def add(self, kind, script, *env, **more):
        """LOG in the script is that folder."""
        log = "/log" if kind == "startContainer" else str(self.log)
        made = hook(script.replace("LOG", log), *env, **more)
        self.config["hooks"].setdefault(kind, []).append(made)
        return self

    def text(self, name):
        return (self.log / name).read_text()

    def order(self):
        return self.text("order").split()

    def live(self):
        """From create to delete; the pid and the namespaces there were."""
        self.box.create()
        self.box.start()
        pid, namespaces = self.box.pid, kernel.namespaces(self.box.pid)
        self.box.kill("KILL")
        self.box.wait_for("stopped")
        self.box.delete()
        return pid, namespaces

    def reach(self, kind, check=True):
        """Run the commands up to the one that runs hooks of that kind; its result."""
        result = self.box.create(check=check and kind not in BEFORE_START)
        if kind in ("startContainer", "poststart", "poststop"):
            result = self.box.start(check=check and kind == "poststop")
        if kind == "poststop":
            result = self.box.delete("--force", check=False)
        return result


@pytest.fixture
def scene(runtime, bundle, tmp_path):
    return Scene(runtime, bundle(*SLEEP), tmp_path / "log")


# --- when and with what ----------------------------------------------------------------

def test_order(scene):
    for kind in reversed(KINDS):
        for n in "12":
            scene.add(kind, f"echo {kind}{n} >>LOG/order")
    scene.bundle.sh("echo program >>/log/order; exec sleep 1000")
    steps = lambda *kinds: [kind + n for kind in kinds for n in "12"]
    scene.box.create()
    assert scene.order() == steps(*BEFORE_START)
    scene.box.start()
    eventually(lambda: "program" in scene.order())
    after = scene.order()
    assert [word for word in after if word != "program"] == steps(*KINDS[:5])
    assert after.index("program") > after.index("startContainer2")
    scene.box.delete("--force")
    assert scene.order() == after + steps("poststop")


def test_order_of_run(runtime, scene):
    for kind in KINDS:
        scene.add(kind, f"echo {kind} >>LOG/order")
    scene.bundle.sh("until grep -q poststart /log/order; do sleep 0.01; done;"
                    "echo program >>/log/order")  # both run at the same time
    runtime.run_bundle(scene.bundle)
    assert scene.order() == [*KINDS[:5], "program", "poststop"]


def test_umask(scene):
    """What a hook leaves in the root filesystem is not for everybody to change."""
    for kind in KINDS:
        scene.add(kind, f"umask >LOG/{kind}")
    scene.bundle.process["user"]["umask"] = 0o007
    scene.box.create(umask=0o027)
    scene.box.start(umask=0o027)
    scene.box.delete("--force", umask=0o027)
    assert {kind: scene.text(kind).strip() for kind in KINDS} == {
        kind: "0007" if kind == "startContainer" else "0027" for kind in KINDS}


def test_state_on_standard_input(scene):
    scene.config["annotations"] = {"org.example.key": "a \"value\""}
    for kind in KINDS:
        scene.add(kind, f"cat >LOG/{kind}")
    pid, _ = scene.live()
    states = {kind: json.loads(scene.text(kind)) for kind in KINDS}
    assert {kind: (s["status"], s["pid"]) for kind, s in states.items()} == {
        "prestart": ("creating", pid), "createRuntime": ("creating", pid),
        "createContainer": ("creating", 1), "startContainer": ("created", 1),
        "poststart": ("running", pid), "poststop": ("stopped", 0)}
    for state in states.values():
        schema.check(state, "state-schema.json")
        assert (state["id"], state["bundle"], state["annotations"], state["ociVersion"]) == (
            scene.box.id, str(scene.bundle.path), {"org.example.key": "a \"value\""}, "1.3.0")


def test_pid_without_a_pid_namespace(scene):
    scene.bundle.without_namespace("pid")
    for kind in KINDS[:5]:
        scene.add(kind, f"cat >LOG/{kind}")
    pid, _ = scene.live()
    assert [json.loads(scene.text(kind))["pid"] for kind in KINDS[:5]] == [pid] * 5


def test_arguments_and_environment(scene):
    look = "tr '\\0' '\\n' </proc/self/environ >LOG/KIND.env; echo $0 >LOG/KIND.name"
    for kind in KINDS:
        scene.add(kind, look.replace("KIND", kind), "A=1", "B=two words")
        scene.config["hooks"][kind][-1]["args"][0] = "my/sh"
    scene.live()
    for kind in KINDS:
        assert scene.text(f"{kind}.env") == "PATH=/bin:/usr/bin\nA=1\nB=two words\n"
        assert scene.text(f"{kind}.name") == "my/sh\n"  # not the path


def test_without_arguments(scene, tmp_path):
    program = tmp_path / "hook"
    program.write_text(f"#!/bin/sh\necho $0 $# >{scene.log}/seen\n")
    program.chmod(0o755)
    scene.config["hooks"]["createRuntime"] = [{"path": str(program)}]
    scene.box.create()
    assert scene.text("seen").splitlines() == [f"{program} 0"]


def without_environment(scene, kind, **change):
    """A hook that writes its environment down and has none of its own."""
    scene.add(kind, f"/bin/cat /proc/self/environ >LOG/{kind}")
    del scene.config["hooks"][kind][-1]["env"]
    scene.config["hooks"][kind][-1].update(change)


@pytest.mark.parametrize("name", ["runtime", "runc", "crun"])
def test_environment_of_the_caller(request, bundle, tmp_path, name):
    """What a hook on the host gets when the config does not say: as with runc and crun."""
    runtime = request.getfixturevalue(name)
    runtime.environment["WHOSE"] = "the caller's"
    scene = Scene(runtime, bundle(*SLEEP), tmp_path / "log")
    kinds = RUNTIME if name != "runtime" else (*RUNTIME, "createContainer")
    for kind in kinds:
        without_environment(scene, kind)
    scene.live()
    for kind in kinds:
        assert "WHOSE=the caller's" in scene.text(kind).split("\0"), kind


def test_environment_of_the_process(runtime, bundle, tmp_path):
    """That is what a startContainer hook gets, as with runc from 1.2 on, and HOME is in it."""
    runtime.environment["WHOSE"] = "the caller's"
    scene = Scene(runtime, bundle(*SLEEP).env(WHOSE="the container's"), tmp_path / "log")
    without_environment(scene, "startContainer")
    scene.live()
    assert {"WHOSE=the container's", "HOME=/root"} <= set(scene.text("startContainer").split("\0"))


def test_empty_environment(scene):
    for kind in KINDS:
        without_environment(scene, kind, env=[])
    scene.live()
    for kind in KINDS:
        names = {word.partition("=")[0] for word in scene.text(kind).split("\0")}
        assert names <= {"", "PATH", "PWD", "SHLVL", "_"}, kind  # a shell makes these itself


MKDIR = {"defaultAction": "SCMP_ACT_ALLOW",
         "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}]}


@pytest.mark.parametrize("new_privileges", [False, True])
def test_seccomp_of_hooks(scene, new_privileges):
    """What runs in the container is filtered: it comes with the image. What does not is not."""
    scene.config["linux"]["seccomp"] = MKDIR
    scene.bundle.process["noNewPrivileges"] = not new_privileges
    scene.bundle.process["rlimits"] = [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    look = "grep -h Seccomp: /proc/self/status >LOG/KIND; rm -rf LOG/d; mkdir LOG/d"
    for kind in KINDS:
        scene.add(kind, look.replace("KIND", kind))
    result = scene.reach("startContainer", check=False)
    assert result.returncode == 1 and "was killed by signal 31" in result.stderr
    scene.config["hooks"]["startContainer"] = [hook("grep Seccomp: /proc/self/status >/log/inside")]
    scene.live()
    assert scene.text("startContainer") == scene.text("inside") == "Seccomp:\t2\n"
    for kind in RUNTIME + ("createContainer",):
        assert scene.text(kind) == "Seccomp:\t0\n", kind


def test_namespaces_and_folder(scene):
    look = "for n in /proc/self/ns/*; do readlink $n; done >LOG/KIND.ns; pwd -P >LOG/KIND.cwd"
    for kind in KINDS:
        scene.add(kind, look.replace("KIND", kind))
    _, inside = scene.live()
    outside = kernel.namespaces(os.getpid())
    for kind in KINDS:
        expected = outside if kind in RUNTIME else inside
        assert set(scene.text(f"{kind}.ns").split()) == set(expected.values()), kind
    assert inside["mnt"] != outside["mnt"] and inside["pid"] != outside["pid"]
    bundle, rootfs = str(scene.bundle.path), str(scene.bundle.rootfs)
    assert {kind: scene.text(f"{kind}.cwd").strip() for kind in KINDS} == {
        **dict.fromkeys(RUNTIME, bundle), "createContainer": rootfs, "startContainer": "/"}


def test_rootfs_that_root_of_the_namespace_cannot_reach(runtime, bundle):
    """createContainer hooks start in it all the same."""
    b = bundle().user_namespace()
    b.config["hooks"] = {"createContainer": [
        {"path": "/bin/sh", "args": ["sh", "-c", "cat etc/group >dev/shm/seen"]}]}
    b.path.chmod(0o700)
    assert runtime.run_bundle(b.sh("cat /dev/shm/seen")).stdout.startswith("root:")


def test_create_hooks_see_the_mounts_before_the_pivot(scene):
    rootfs = scene.bundle.rootfs
    pid = "$(sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p')"
    scene.add("prestart", f"cat /proc/{pid}/mountinfo >LOG/pre")
    scene.add("createContainer", "cat /proc/self/mountinfo >LOG/create")
    scene.add("startContainer", "cat /proc/self/mountinfo >LOG/start")
    scene.live()
    for name in ("pre", "create"):
        points = [line.split()[4] for line in scene.text(name).splitlines()]
        assert {str(rootfs), f"{rootfs}/proc", f"{rootfs}/dev/pts", f"{rootfs}/log"} <= set(points)
        assert "/" in points
    points = [line.split()[4] for line in scene.text("start").splitlines()]
    assert {"/", "/proc", "/dev/pts", "/log"} <= set(points)
    assert not [p for p in points if p.startswith(str(rootfs))]


def test_a_mount_of_a_hook_is_kept(scene):
    scene.add("createContainer", "mkdir -p mnt && mount -t tmpfs -o size=64k made-by-hook mnt")
    scene.box.runtime.verifies = False
    scene.box.create()
    result = scene.box.runtime.run("verify", scene.box.id, check=False)
    assert result.returncode == 2 and "mnt: a hook may have mounted it" in result.stdout
    scene.box.start()
    assert "made-by-hook /mnt tmpfs" in scene.box.exec("/bin/cat", "/proc/mounts").stdout


@pytest.mark.parametrize("command", ["create", "run --detach"])
def test_signals_and_descriptors(runtime, scene, command):
    """Nothing of hako's or the caller's: neither blocked or ignored signals nor open files."""
    look = ("grep -E 'SigBlk|SigIgn' /proc/self/status >LOG/KIND.signals; "
            "ls /proc/self/fd >LOG/KIND.fds; true")
    for kind in KINDS[:5]:
        scene.add(kind, look.replace("KIND", kind))
    argv = runtime.argv(*command.split(), "--preserve-fds", "1", "--bundle", scene.bundle,
                        scene.box.id)
    run(["sh", "-c", 'trap "" PIPE HUP; exec "$@" 3</dev/null 4</dev/null', "sh", *argv],
        env=runtime.environment)
    if command == "create":
        scene.box.start()
    for kind in KINDS[:5]:
        assert scene.text(f"{kind}.signals").split()[1::2] == ["0" * 16] * 2, kind
        assert scene.text(f"{kind}.fds").split() == ["0", "1", "2", "3"], kind  # 3 is the folder


# --- failures ------------------------------------------------------------------------------

def place(scene, pointer):
    """config.json:LINE:COLUMN POINTER of a hook as an editor shows it."""
    lines = (scene.bundle.path / "config.json").read_text().splitlines()
    kind, index = pointer.split("/")[2:]
    at = next(n for n, line in enumerate(lines) if line == f'  "{kind}": [')
    begins = [n for n, line in enumerate(lines) if n > at and line == "   {"]
    return f"config.json:{begins[int(index)] + 1}:4 {pointer}: "


def marks(scene):
    return sorted(os.listdir(scene.log))


@pytest.mark.parametrize("kind", KINDS[:5])
def test_failure(scene, leaks, kind):
    scene.add(kind, "echo not this; echo this is why >&2; exit 7").add(kind, "touch LOG/second")
    for other in KINDS[KINDS.index(kind) + 1:]:
        scene.add(other, f"cat >LOG/{other}")
    result = scene.reach(kind)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1), result
    assert f"{kind} hook: /bin/sh exited with status 7: this is why" in result.stderr
    assert result.stderr.startswith("hako: error: " + place(scene, f"/hooks/{kind}/0")), result
    assert marks(scene) == ["poststop"]  # steps 12 and 13 of the lifecycle, and no other
    assert json.loads(scene.text("poststop"))["status"] == "stopped"
    assert leaks.wait() == []


@pytest.mark.parametrize("kind", KINDS[:5])
def test_failure_in_run(runtime, scene, leaks, kind):
    scene.add(kind, "exit 7").add("poststop", "touch LOG/poststop")
    scene.bundle.sh("touch /log/program; exec sleep 1000")
    result = runtime.run_bundle(scene.bundle, check=False)
    assert result.returncode == 1
    assert f"{kind} hook: /bin/sh exited with status 7" in result.stderr
    assert result.stderr.startswith("hako: error: " + place(scene, f"/hooks/{kind}/0")), result
    assert "poststop" in marks(scene)
    assert "program" not in marks(scene) or kind == "poststart"
    assert leaks.wait() == []


@pytest.mark.parametrize("kind", KINDS[:3])
@pytest.mark.parametrize("command", ["create", "run"])
def test_what_fails_after_hooks(runtime, scene, leaks, kind, command):
    """What they have set up is taken down; where none was run there is nothing."""
    scene.add(kind, f"touch LOG/{kind}").add("poststop", "cat >LOG/poststop")
    scene.bundle.process["args"] = ["/no/such/program"]
    assert "no such file" in refused(runtime, scene.bundle, "/process/args", command)
    assert marks(scene) == sorted([kind, "poststop"])
    assert json.loads(scene.text("poststop"))["status"] == "stopped"
    del scene.bundle.config["hooks"][kind]
    for mark in marks(scene):
        (scene.log / mark).unlink()
    refused(runtime, scene.bundle, "/process/args", command)
    assert marks(scene) == []
    assert leaks.wait() == []


@pytest.mark.parametrize("log", [True, False])
def test_failing_poststop_hooks_are_warnings(runtime, scene, tmp_path, log):
    """Logged whatever the level: step 13 of the lifecycle demands it."""
    scene.add("poststop", "echo a >>LOG/order; echo why >&2; exit 3").add("poststop", "kill -9 $$")
    scene.add("poststop", "echo c >>LOG/order")
    scene.box.create()
    if log:
        runtime.options = ["--log", str(tmp_path / "warnings")]
    result = scene.box.delete()
    assert (result.stdout, scene.order()) == ("", ["a", "c"])
    assert (result.stderr == "") == log
    lines = ((tmp_path / "warnings").read_text() if log else result.stderr).splitlines()
    assert len(lines) == 2
    first, second = (place(scene, f"/hooks/poststop/{i}") for i in range(2))
    assert f"{first}poststop hook: /bin/sh exited with status 3: why" in lines[0]
    assert f"{second}poststop hook: /bin/sh was killed by signal 9" in lines[1]


BROKEN = {
    "missing": ({"path": "/none"}, "no such file or directory"),
    "a directory": ({"path": "/etc"}, "permission denied"),
    "not executable": ({"path": "/etc/passwd"}, "permission denied"),
    "killed": (hook("kill -9 $$"), "was killed by signal 9"),
    "ends with blank lines": (hook("printf 'this is why\\n \\n\\n'; exit 1"),
                              "status 1: this is why"),
    "silent": (hook("exit 1"), "exited with status 1"),
    "control characters": (hook("printf '\\033[31mred'; exit 1"), "status 1: ?[31mred"),
    "relative": ({"path": "sh"}, "absolute"),
    "timeout of 0": (hook("true", timeout=0), "timeout"),
    "negative timeout": (hook("true", timeout=-1), "timeout"),
}


@pytest.mark.parametrize("kind", ["createRuntime", "createContainer"])
@pytest.mark.parametrize("broken, message", BROKEN.values(), ids=BROKEN.keys())
def test_broken(scene, leaks, kind, broken, message):
    scene.config["hooks"][kind] = [broken]
    result = scene.box.create(check=False)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result
    assert message in result.stderr
    assert leaks.wait() == []


@pytest.mark.parametrize("kind", KINDS)
def test_timeout_kills_the_whole_group(scene, token, leaks, kind):
    script = "sleep 1000 & echo >LOG/started; sleep 1000"
    scene.add(kind, script, f"{MARK}={token}", timeout=1)
    while not (scene.log / "started").exists():  # a busy machine may not let it begin in time
        begin = time.monotonic()
        result = scene.reach(kind)
        assert 1 <= time.monotonic() - begin < 20 * SCALE
        assert result.returncode == (kind != "poststop")
        assert f"{kind} hook: /bin/sh was killed after 1 s" in result.stderr
    assert leaks.wait() == []  # the sleeps would be found by the mark in their environment


# --- output and what stays behind -----------------------------------------------------------------

@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", [0, 1])
def test_ten_megabytes_of_output(scene, kind, code):
    fill = "yes | head -c 10000000; yes | head -c 10000000 >&2"
    scene.add(kind, f"{fill}; echo; yes | head -c 100000 | tr '\\n' x; exit {code}")
    result = scene.reach(kind, check=False)
    assert result.returncode == (code if kind != "poststop" else 0)
    assert result.stdout == ""
    assert result.stderr.count("\n") == code
    assert (100 if code else -1) < len(result.stderr) < 2000


@pytest.mark.parametrize("kind", RUNTIME)
def test_background_process_is_not_waited_for(scene, token, kind):
    scene.add(kind, "sleep 1000 & echo $! >LOG/pid", f"{MARK}={token}")
    begin = time.monotonic()
    scene.reach(kind)
    assert time.monotonic() - begin < 20 * SCALE
    pid = int(scene.text("pid"))
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_hook_need_not_read_the_state(scene):
    scene.config["annotations"] = {f"k{n}": "v" * 1000 for n in range(1000)}
    scene.add("createRuntime", "exec <&-; exit 0").add("createRuntime", "wc -c >LOG/size")
    scene.box.create()
    assert int(scene.text("size")) > 1_000_000


# --- run.oci.hooks.stdout, run.oci.hooks.stderr ---------------------------------------------

def redirect(b, **files):
    b.config.setdefault("annotations", {}).update(
        {f"run.oci.hooks.{name}": str(file) for name, file in files.items()})
    return b


@pytest.mark.parametrize("name", ["runtime", "crun"])
def test_output_to_files(request, bundle, tmp_path, name):
    """All kinds, also those that run in the container, append; as with crun."""
    scene = Scene(request.getfixturevalue(name), bundle(*SLEEP), tmp_path / "log")
    redirect(scene.bundle, stdout=tmp_path / "out", stderr=tmp_path / "err")
    (tmp_path / "out").write_text("before\n")
    for kind in KINDS:
        # crun 1.8 does not survive one that leaves its standard input alone
        scene.add(kind, f"cat >/dev/null; echo {kind}; echo not {kind} >&2")
    scene.live()
    out = [w for w in (tmp_path / "out").read_text().split() if not w.startswith("/")]
    err = [w for w in (tmp_path / "err").read_text().split() if w != "not"]
    assert out[0] == "before"
    # crun's `start` does not wait for startContainer hooks: they may be late, or killed
    kinds = [kind for kind in KINDS if name != "crun" or kind != "startContainer"]
    assert [kind for kind in out[1:] if kind in kinds] == kinds
    assert [kind for kind in err if kind in kinds] == kinds


def test_output_of_run(runtime, bundle, tmp_path):
    """One of the two, below the bundle; the file is made, for its owner alone."""
    b = redirect(bundle(), stderr="err")
    b.config["hooks"] = {kind: [hook(f"echo {kind}; echo not {kind} >&2")] for kind in KINDS}
    result = runtime.run_bundle(b, umask=0)
    assert (result.stdout, result.stderr) == ("", "")
    assert (b.path / "err").read_text() == "".join(f"not {kind}\n" for kind in KINDS)
    assert (b.path / "err").stat().st_mode & 0o777 == 0o600


def test_output_in_a_user_namespace(runtime, bundle, tmp_path):
    """Root of the container could not open the files."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    b = redirect(bundle().user_namespace(), stdout=folder / "out")
    b.config["hooks"] = {kind: [hook(f"echo {kind}")] for kind in KINDS}
    runtime.run_bundle(b)
    assert (folder / "out").read_text().split() == list(KINDS)


@pytest.mark.parametrize("kind", KINDS[:5])
def test_failure_with_output_elsewhere(scene, tmp_path, kind):
    """What went into the file is not in the error; why there is no hook at all is."""
    redirect(scene.bundle, stderr=tmp_path / "err")
    scene.add(kind, "echo why >&2; exit 7")
    assert f"{kind} hook: /bin/sh exited with status 7\n" in scene.reach(kind).stderr
    assert (tmp_path / "err").read_text() == "why\n"
    scene.config["hooks"][kind] = [{"path": "/no/such/hook"}]
    assert "/no/such/hook exited with status 127: no such file" in scene.reach(kind).stderr


@pytest.mark.parametrize("file, message", [("/none/out", "no such file or directory"),
                                           (".", "is a directory"), ("fifo", "no such device")])
def test_output_that_cannot_be(runtime, bundle, leaks, file, message):
    b = redirect(bundle(), stdout=file)
    os.mkfifo(b.path / "fifo")  # nobody reads it: opening it could take for ever
    b.config["hooks"] = {"poststop": [hook("true")]}
    assert message in refused(runtime, b, "/annotations/run.oci.hooks.stdout")
    assert leaks.wait() == []
    del b.config["hooks"]
    runtime.run_bundle(b)  # nobody would write to it


def test_output_that_is_gone(scene, tmp_path):
    """start fails; delete only warns, as for a hook that fails."""
    folder = tmp_path / "gone"
    folder.mkdir()
    redirect(scene.bundle, stdout=folder / "out")
    scene.add("poststop", "touch LOG/poststop")
    scene.box.create()
    (folder / "out").unlink()
    folder.rmdir()
    scene.box.start()
    named = r"config\.json:\d+:\d+ /annotations/run\.oci\.hooks\.stdout: .*open " + str(folder)
    assert re.search(named, scene.box.delete("--force").stderr)
    assert marks(scene) == ["poststop"]
    folder.mkdir()
    scene.add("poststart", "true").box.create()
    (folder / "out").unlink()
    folder.rmdir()
    result = scene.box.start(check=False)
    assert (result.returncode, bool(re.search(named, result.stderr))) == (1, True), result


def test_output_is_closed_for_the_program(runtime, bundle, tmp_path):
    b = redirect(bundle("/bin/probe"), stdout=tmp_path / "out", stderr=tmp_path / "err")
    b.config["hooks"] = {kind: [hook("true")] for kind in KINDS}
    assert sorted(runtime.run_bundle(b).json()["fds"]) == ["0", "1", "2"]
