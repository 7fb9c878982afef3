# SPDX-License-Identifier: MIT
"""run --timeout, --report, --summary: how a container ended, what it used, what it left behind."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from harness import kernel, leaks as leak, private
from harness.kernel import alive, eventually
from harness.runtime import MARK, SCALE

CGROUP = pathlib.Path(private.CGROUP)
MEMBERS = {"schema", "hako", "id", "bundle", "started", "timeout", "status", "end", "seconds",
           "maxResidentBytes", "cgroup", "verify", "leaks"}
NOTHING = {"mounts": [], "cgroups": [], "processes": [], "links": [], "state": []}


@pytest.fixture
def report(runtime, tmp_path):
    """report(bundle, *options): `run` with a report; its result, with the report in .report."""
    def run(bundle, *options, id=None, globals=(), **how):
        file = tmp_path / "report.json"
        runtime.options = list(globals)
        id = id or runtime.new_id()
        result = runtime.run("run", "--report", file, *options, "--bundle", bundle, id,
                             **{"check": False, **how})
        result.id, result.report = id, json.loads(file.read_text())
        assert set(result.report) == MEMBERS
        assert result.report["status"] == result.returncode
        assert result.report["id"] == id
        return result

    return run


def hook(script, **more):
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": [f"PATH={os.environ['PATH']}"],
            **more}


def gone(token):
    eventually(lambda: not leak.processes(token))
    assert leak.cgroups(token) == []


# A test that needs a container to come so far before its deadline goes through them until it does.
DEADLINES = ("0.5", "5", "50")


def came_so_far(run, condition):
    """Was it true before the run in the background has ended?"""
    eventually(lambda: run.poll() is not None or condition())
    return run.poll() is None


# --- how it ended ---------------------------------------------------------------------

def test_exit(report, bundle):
    script = "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; exit 3"
    result = report(bundle().sh(script))
    end = result.report["end"]
    assert (result.returncode, result.stderr) == (3, "")
    assert end == {"kind": "exit", "exitStatus": 3, "signal": None, "syscall": None, "error": None}
    seconds = result.report["seconds"]
    assert 0 < seconds["create"] < seconds["wall"] and 0 < seconds["process"] < seconds["wall"]
    assert seconds["user"] + seconds["system"] > 0
    assert result.report["maxResidentBytes"] > 100_000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", result.report["started"])
    assert result.report["leaks"] == NOTHING and result.report["timeout"] is None


def test_cgroup_files(report, bundle, token):
    """What the kernel has, under its names; what it has not is null."""
    (CGROUP / token).mkdir()
    try:
        there = set(os.listdir(CGROUP / token))
    finally:
        (CGROUP / token).rmdir()
    cgroup = report(bundle().sh("i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done")).report["cgroup"]
    assert cgroup.pop("path").startswith("/" + token)
    assert {file for file, value in cgroup.items() if value is not None} == there & set(cgroup)
    assert {"memory.peak", "pids.peak", "cpu.stat", "io.stat", "memory.events",
            "cpu.pressure"} <= set(cgroup)
    assert cgroup["cpu.stat"]["usage_usec"] > 0
    if "cpu.pressure" in there:
        assert {"avg10", "total"} <= set(cgroup["cpu.pressure"]["some"])


def test_without_a_cgroup(report, bundle):
    result = report(bundle().without_mount("/sys/fs/cgroup"), globals=["--cgroup-manager=disabled"])
    assert result.report["cgroup"] is None and result.report["leaks"]["cgroups"] is None
    assert result.report["leaks"]["processes"] == []


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV", "RTMIN+3"])
def test_signal(report, bundle, name):
    number = signal.SIGRTMIN + 3 if "+" in name else signal.Signals["SIG" + name]
    b = bundle().sh(f"kill -{int(number)} $$; sleep 1000").without_namespace("pid")
    result = report(b)
    assert result.returncode == 128 + number
    assert result.report["end"] == {"kind": "signal", "exitStatus": None, "signal": "SIG" + name,
                                    "syscall": None, "error": None}


def audit_is_there():
    """The kernel's record of a killed process is the only place that names the system call."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as sock:
            sock.bind((0, 1))
            return True
    except OSError:
        return False


@pytest.mark.parametrize("pid_namespace", [True, False])
def test_seccomp(report, bundle, pid_namespace):
    b = bundle("/bin/hostname", "x").capabilities("CAP_SYS_ADMIN")
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["sethostname"], "action": "SCMP_ACT_KILL_PROCESS"}]}
    if not pid_namespace:
        b.without_namespace("pid")
    result = report(b, "--summary")
    end = result.report["end"]
    assert (result.returncode, end["kind"], end["signal"]) == (128 + 31, "seccomp", "SIGSYS")
    assert end["syscall"] == ("sethostname" if audit_is_there() else None)
    assert f"system call: {end['syscall'] or 'unknown'}" in result.stderr


def test_sigsys_is_no_proof(report, bundle):
    """Anybody can send it: without a filter nothing else is known."""
    b = bundle().sh("kill -SYS $$; sleep 1000").without_namespace("pid")
    assert report(b).report["end"]["kind"] == "signal"


def test_failing_hook(report, bundle, token):
    b = bundle("/bin/true")
    b.config["hooks"] = {"createRuntime": [hook("echo no room >&2; exit 5")]}
    result = report(b)
    end = result.report["end"]
    assert (result.returncode, end["kind"], end["error"]["id"]) == (1, "hook", "hook-failed")
    assert "/hooks/createRuntime/0" in end["error"]["at"] and "no room" in end["error"]["message"]
    assert result.report["seconds"]["process"] is None and result.report["cgroup"] is None
    assert result.report["leaks"] | {"processes": []} == NOTHING
    gone(token)


@pytest.mark.parametrize("break_it, at", [
    (lambda config: config["mounts"].append({"destination": "/x", "type": "none-such"}), "/mounts/7/type"),
    (lambda config: config["process"].update(cwd="relative"), "/process/cwd"),
    (lambda config: config["process"].update(args=["/none"]), "/process/args")])
def test_create_fails(report, bundle, break_it, at, token):
    b = bundle("/bin/true")
    break_it(b.config)
    result = report(b)
    end = result.report["end"]
    assert (result.returncode, end["kind"]) == (1, "error")
    assert at in end["error"]["at"] and end["error"]["message"] in result.stderr.replace("run ", "run ")
    assert not any((result.report["leaks"] or {}).values())
    gone(token)


def test_no_bundle(report, tmp_path):
    result = report(tmp_path / "none")
    assert result.report["end"]["error"]["id"] == "bundle-missing"
    assert result.report["bundle"] is None and result.report["leaks"] is None


def test_id_in_use(report, runtime, bundle):
    """The other container is no leak of this one."""
    b = bundle("/bin/sleep", "1000")
    box = runtime.container(b)
    box.create()
    result = report(b, id=box.id)
    assert result.report["end"]["error"]["id"] == "container-exists"
    assert not any(result.report["leaks"].values()) and box.status == "created"


# --- --timeout ------------------------------------------------------------------------

FAMILY = """
    trap "" TERM HUP INT
    (trap "" TERM HUP; exec setsid sleep 1000) &
    (setsid sh -c 'sleep 1000 & sleep 1000 & wait' &)
    echo all
    sleep 1000
"""


@pytest.mark.parametrize("case", ["pid namespace", "cgroup", "pid namespace alone"])
def test_timeout_kills_everybody(report, bundle, token, case):
    b = bundle().sh(FAMILY)
    options = []
    if case == "cgroup":
        b.without_namespace("pid")
    if case == "pid namespace alone":
        options = ["--cgroup-manager=disabled"]
        b.without_mount("/sys/fs/cgroup")
    for deadline in DEADLINES:
        begin = time.monotonic()
        result = report(b, "--timeout", deadline, globals=options)
        seconds = time.monotonic() - begin
        if result.stdout == "all\n":
            break
    assert float(deadline) <= seconds < float(deadline) + 10 * SCALE
    assert result.returncode == 124
    assert re.fullmatch(rf"hako: error: run \S+: killed at the deadline \(--timeout {deadline}\)\n",
                        result.stderr)
    end = result.report["end"]
    assert (end["kind"], end["exitStatus"], end["signal"]) == ("timeout", None, "SIGKILL")
    assert end["error"]["id"] == "timeout" and result.report["timeout"] == float(deadline)
    assert result.report["leaks"] | {"cgroups": []} == NOTHING
    gone(token)


def test_family_lives_without_a_timeout(background, runtime, bundle, token):
    """What the test above relies on."""
    id = runtime.new_id()
    background("run", "--bundle", bundle().sh(FAMILY), id, stdout=subprocess.DEVNULL)
    eventually(lambda: len(kernel.cgroup_pids(CGROUP / id)) >= 6)


def test_timeout_kills_what_exec_added(background, runtime, bundle, token):
    sleep = ["/bin/sleep", "1000"]
    for deadline in DEADLINES:
        box = runtime.container(bundle(*sleep))
        run = background("run", "--timeout", deadline, "--bundle", box.bundle, box.id,
                         stderr=subprocess.DEVNULL)
        if not came_so_far(run, lambda: box.status == "running"):
            continue
        other = background("exec", box.id, *sleep, stderr=subprocess.DEVNULL)
        if came_so_far(run, lambda: [kernel.cmdline(pid) for pid in
                                     kernel.cgroup_pids(CGROUP / box.id)] == [sleep, sleep]):
            break
    assert run.wait(60 * SCALE) == 124 and other.wait(20 * SCALE) == 128 + 9
    gone(token)


def test_end_before_the_deadline_is_in_time(background, runtime, bundle):
    """However late hako, which stands still, comes to see it."""
    for deadline in DEADLINES[1:]:
        b = bundle().sh("echo up; while [ ! -e /go ]; do sleep 0.01; done; exit 3")
        begin = time.monotonic()
        run = background("run", "--timeout", deadline, "--bundle", b, runtime.new_id(),
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        came = run.stdout.readline() == "up\n"
        run.send_signal(signal.SIGSTOP)
        if came and time.monotonic() - begin < float(deadline) / 2:
            break
    (b.rootfs / "go").touch()
    time.sleep(float(deadline))
    run.send_signal(signal.SIGCONT)
    assert run.wait(20 * SCALE) == 3


def test_timeout_without_a_report(runtime, bundle):
    result = runtime.run_bundle(bundle("/bin/sleep", "1000"), "--timeout=200ms", check=False)
    assert result.returncode == 124
    assert runtime.run_bundle(bundle().sh("exit 7"), "--timeout", "1m", check=False).returncode == 7


def test_timeout_of_a_paused_container(background, runtime, bundle):
    for deadline in DEADLINES:
        box = runtime.container(bundle("/bin/sleep", "1000"))
        run = background("run", "--timeout", deadline, "--bundle", box.bundle, box.id,
                         stderr=subprocess.DEVNULL)
        if came_so_far(run, lambda: box.status == "running"):
            runtime.run("pause", box.id, check=False)
        if came_so_far(run, lambda: box.status == "paused"):
            break
    assert run.wait(60 * SCALE) == 124


def test_timeout_with_a_terminal(runtime, bundle, token):
    b = bundle("/bin/sleep", "1000")
    b.process["terminal"] = True
    result = runtime.run_bundle(b, "--timeout", "0.3", check=False, input="")
    assert result.returncode == 124, result
    gone(token)


@pytest.mark.parametrize("kind", ["createRuntime", "createContainer", "poststart"])
def test_timeout_in_a_hook(report, bundle, token, kind):
    b = bundle("/bin/sleep", "1000")
    b.config["hooks"] = {kind: [hook(f"{MARK}={token} exec sleep 1000")]}
    begin = time.monotonic()
    result = report(b, "--timeout", "0.5")
    assert time.monotonic() - begin < 15 * SCALE
    end = result.report["end"]
    assert (result.returncode, end["kind"], end["error"]["id"]) == (124, "timeout", "timeout")
    assert "not finished at the deadline (--timeout 0.5)" in result.stderr
    gone(token)


def test_poststop_hooks_have_their_time(report, bundle, tmp_path):
    for script, status in (("echo up; sleep 1000", 124), ("sleep 0.2; echo up", 0)):
        for deadline in DEADLINES:
            b = bundle().sh(script)
            b.config["hooks"] = {"poststop": [hook(f"sleep {deadline}; echo >{tmp_path}/{status}")]}
            result = report(b, "--timeout", deadline)
            if (result.returncode, result.stdout) == (status, "up\n"):
                break
        assert result.returncode == status and (tmp_path / f"{status}").exists()


def test_alarm_of_somebody_else(background, runtime, bundle):
    """Only the timer's is the deadline; others are passed on, as every signal is."""
    b = bundle().sh("trap 'echo rang; exit 9' ALRM; echo ready; while :; do sleep 0.05; done")
    run = background("run", "--timeout", "30", "--bundle", b, runtime.new_id(),
                     stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "ready\n"
    run.send_signal(signal.SIGALRM)
    assert run.stdout.readline() == "rang\n" and run.wait(20 * SCALE) == 9


@pytest.mark.parametrize("text", ["", "0", "-1", "5x", "1.5.2", "s", "1e99", "nan", " 5"])
def test_bad_timeout(runtime, bundle, text):
    result = runtime.run_bundle(bundle("/bin/true"), f"--timeout={text}", check=False)
    assert (result.returncode, result.stderr.count("\n")) == (64, 1)


@pytest.mark.parametrize("text, seconds", [("30", 30), ("1.5", 1.5), ("2m", 120), ("1m30s", 90),
                                           ("500ms", 0.5)])
def test_durations(report, bundle, text, seconds):
    assert report(bundle("/bin/true"), "--timeout", text).report["timeout"] == seconds


@pytest.mark.parametrize("strict", [False, True])
def test_timeout_out_of_reach(rootless, bundle, user, token, strict):
    """Without a cgroup and a pid namespace only the first process is known: a fallback."""
    b = bundle(owner=user).sh("echo ran >/tmp/ran")
    b.user_namespace(uids=((0, user.uid, 1),), gids=((0, user.gid, 1),))
    b.without_namespace("network", "pid", "cgroup")
    b.config["mounts"] = []
    b.linux.update(maskedPaths=[], readonlyPaths=[])
    rootless.options = ["--log-level=warning"] + ["--strict"] * strict
    result = rootless.run_bundle(b, "--timeout", "60", check=False)
    assert result.returncode == int(strict), result
    assert "only the container's first process can be killed" in result.stderr
    assert (b.rootfs / "tmp" / "ran").exists() != strict
    gone(token)


@pytest.mark.parametrize("option", [["--timeout", "5"], ["--report", "x"], ["--summary"]])
def test_detached(runtime, bundle, option):
    result = runtime.run_bundle(bundle("/bin/true"), "--detach", *option, check=False)
    assert result.returncode == 64 and "--detach" in result.stderr


# --- --verify --------------------------------------------------------------------------

def test_verified(report, bundle):
    b = bundle().sh("exit 3")
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getcwd"], "action": "SCMP_ACT_ERRNO"}]}
    result = report(b, "--verify", "--summary", globals=["--strict"])
    assert result.returncode == 3
    outcomes = {check["id"]: check["outcome"] for check in result.report["verify"]["checks"]}
    assert set(outcomes.values()) == {"holds", "pending"}
    assert outcomes["caps.bounding"] == "holds" and outcomes["seccomp.mode"] == "pending"
    assert re.search(r"^  verified   \d+ checks: \d+ hold, \d+ pending, 0 unknown, 0 drift$",
                     result.stderr, re.MULTILINE)


def test_drift_is_not_run(report, bundle, token):
    """A hook changes what was made: the program does not even begin."""
    b = bundle().sh("echo ran >/tmp/ran")
    b.config["hooks"] = {"createRuntime": [hook(
        r"""pid=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p'); """
        "nsenter --uts=/proc/$pid/ns/uts hostname other")]}
    result = report(b, "--verify")
    end = result.report["end"]
    assert (result.returncode, end["kind"], end["error"]["id"]) == (1, "error", "verify-failed")
    drift, = [c for c in result.report["verify"]["checks"] if c["outcome"] == "drift"]
    assert drift["id"] == "uts.hostname" in result.stderr and drift["found"] == "other"
    assert not (b.rootfs / "tmp" / "ran").exists()
    assert result.report["leaks"] == NOTHING
    gone(token)
    assert report(b).returncode == 0  # nobody has asked


def test_verify_with_an_agent_and_hooks(report, bundle, tmp_path):
    """READY is waited for once, whoever wants to know."""
    b = bundle("/bin/true")
    b.config["hooks"] = {kind: [hook(f"echo {kind} >>{tmp_path}/order")]
                         for kind in ("createRuntime", "poststart", "poststop")}
    assert report(b, "--verify").returncode == 0
    assert (tmp_path / "order").read_text().split() == ["createRuntime", "poststart", "poststop"]


def test_verify_detached(runtime, bundle):
    id = runtime.new_id()
    runtime.run("run", "--detach", "--verify", "--bundle", bundle("/bin/sleep", "1000"), id)
    assert runtime.run("state", id).json()["status"] == "running"


# --- what is left behind ----------------------------------------------------------------

def test_mount_left(report, bundle):
    b = bundle("/bin/true")
    target = b.rootfs / "var" / "a b"
    target.mkdir()
    b.config["hooks"] = {"poststop": [hook(f"mount -t tmpfs left '{target}'")]}
    try:
        assert report(b).report["leaks"] == NOTHING | {"mounts": [str(target)]}
    finally:
        private.umount(target)


def test_mounts_of_others(report, bundle, tmp_path):
    """A busy host is no leak."""
    (tmp_path / "elsewhere").mkdir()
    b = bundle("/bin/true")
    b.config["hooks"] = {"poststop": [hook(f"mount -t tmpfs other {tmp_path}/elsewhere")]}
    try:
        assert report(b).report["leaks"] == NOTHING
    finally:
        private.umount(tmp_path / "elsewhere")


def test_cgroup_left(report, runtime, bundle, token):
    b = bundle("/bin/true")
    b.linux["cgroupsPath"] = f"/{token}"
    b.config["hooks"] = {"poststop": [hook(f"mkdir {CGROUP / token}")]}
    assert report(b).report["leaks"] == NOTHING | {"cgroups": [f"/{token}"]}
    (CGROUP / token).rmdir()


@pytest.mark.parametrize("where", ["adopted", "namespace"])
def test_process_left(report, bundle, token, tmp_path, where):
    """One that a hook has put into the background of a container without a pid namespace, and
    one that has gone into a namespace of the container's."""
    b = bundle().sh("while [ ! -e /go ]; do sleep 0.01; done")
    script = (f"sleep 1000 >/dev/null 2>&1 & echo $! >{tmp_path}/pid; "
              f"until grep -q sleep /proc/$!/comm; do sleep 0.01; done; touch {b.rootfs}/go")
    if where == "adopted":
        b.without_namespace("pid").file("/go")
        b.config["hooks"] = {"poststop": [hook(f"{MARK}={token} {script}")]}
    else:
        b.config["hooks"] = {"poststart": [
            hook(r"""pid=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p'); """
                 f"{MARK}={token} nsenter --net=/proc/$pid/ns/net {script}")]}
    left = report(b).report["leaks"]
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid) and left == NOTHING | {"processes": [f"{pid} sleep"]}
    os.kill(pid, signal.SIGKILL)


def in_a_network(runtime, tmp_path):
    """hako in a network namespace of its own, where links may come and go."""
    script = tmp_path / "elsewhere.sh"
    script.write_text(f'#!/bin/sh\nexec unshare -n {runtime.path} "$@"\n')
    script.chmod(0o755)
    runtime.path = str(script)


@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed")
def test_link_left(report, runtime, bundle, tmp_path):
    in_a_network(runtime, tmp_path)
    b = bundle("/bin/true").without_namespace("network").without_mount("/sys")
    b.config["hooks"] = {"poststart": [hook("ip link add left0 type veth peer name left1")]}
    assert report(b).report["leaks"] == NOTHING | {"links": ["left1", "left0"]}


@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed")
def test_link_lost(report, runtime, bundle, tmp_path):
    """A veth that was lent to the container ends with its network."""
    script = tmp_path / "lend.sh"
    script.write_text(f'#!/bin/sh\nexec unshare -n sh -c \'ip link add lent0 type veth peer name '
                      f'lent1; exec {runtime.path} "$@"\' sh "$@"\n')
    script.chmod(0o755)
    runtime.path = str(script)
    b = bundle("/bin/true")
    b.linux["netDevices"] = {"lent0": {}}
    assert report(b).report["leaks"] == NOTHING | {"links": ["lent0 is missing"]}


def test_kept_container(report, runtime, bundle):
    result = report(bundle("/bin/true"), "--keep")
    assert result.report["leaks"] is None and result.report["end"]["kind"] == "exit"
    assert runtime.run("state", result.id).json()["status"] == "stopped"


# --- where it goes ------------------------------------------------------------------------

def test_summary(runtime, bundle):
    id = runtime.new_id()
    result = runtime.run("run", "--summary", "--bundle", bundle().sh("exit 4"), id, check=False)
    assert (result.returncode, result.stdout) == (4, "")
    lines = result.stderr.splitlines()
    assert lines[0] == f"{id}: exited with status 4" and lines[-1] == "  left       nothing"
    assert re.fullmatch(r"  time       \d+\.\d{3} s to create, \d+\.\d{3} s to run", lines[1])


def test_report_on_standard_output(runtime, bundle):
    result = runtime.run_bundle(bundle("/bin/echo", "before"), "--report", "-")
    first, _, rest = result.stdout.partition("\n")
    assert first == "before" and json.loads(rest)["end"]["kind"] == "exit"


def test_report_into_a_fifo(runtime, bundle, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    texts = []
    reader = threading.Thread(target=lambda: texts.append((tmp_path / "fifo").read_text()))
    reader.start()
    runtime.run_bundle(bundle("/bin/true"), "--report", tmp_path / "fifo")
    reader.join(10 * SCALE)
    assert json.loads(texts[0])["status"] == 0
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_report_appears_whole(background, runtime, bundle, tmp_path):
    """The old one stays until then; nothing else is left in the folder."""
    file = tmp_path / "out" / "report.json"
    file.parent.mkdir()
    file.write_text("old")
    b = bundle().sh("echo ready; read line")
    run = background("run", "--report", file, "--bundle", b, runtime.new_id(),
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    run.stdout.readline()
    held = open(file, encoding="utf-8")
    assert file.read_text() == "old" and os.listdir(file.parent) == ["report.json"]
    run.communicate(b"\n", timeout=20 * SCALE)
    assert json.loads(file.read_text())["status"] == 0 and held.read() == "old"
    held.close()
    assert os.listdir(file.parent) == ["report.json"]
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("path", ["/none/report", "/proc/none/x", ""])
def test_report_that_cannot_be_written(runtime, bundle, tmp_path, path):
    """Found out before anything is made."""
    b = bundle().sh(f"echo ran >/tmp/ran")
    result = runtime.run_bundle(b, f"--report={path}", check=False)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result
    assert not (b.rootfs / "tmp" / "ran").exists() and not any(runtime.root.glob("*"))


def test_report_on_a_full_device(runtime, bundle):
    result = runtime.run_bundle(bundle("/bin/true"), "--report", "/dev/full", check=False)
    assert (result.returncode, "no space left" in result.stderr) == (1, True)


def test_report_of_a_user(rootless, bundle, user, tmp_path):
    b = bundle(owner=user).sh("exit 6").user_namespace(uids=((0, user.uid, 1),),
                                                       gids=((0, user.gid, 1),))
    b.without_mount("/sys", "/sys/fs/cgroup", "/dev/pts").without_namespace("network")
    file = user.home / f"{tmp_path.name}.json"
    result = rootless.run_bundle(b, "--report", file, check=False)
    assert result.returncode == 6, result
    got = json.loads(file.read_text())
    assert (got["end"]["kind"], got["cgroup"]) == ("exit", None)
    assert got["leaks"]["processes"] == [] and got["leaks"]["mounts"] == []
    file.unlink()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_costs_nothing_when_it_is_off(runtime, bundle, tmp_path):
    """Not a call more: none of those that it is made of."""
    b, log = bundle("/bin/true"), tmp_path / "strace"

    def calls(*options):
        subprocess.run(["strace", "-f", "-o", log, *runtime.argv(
            "run", *options, "--bundle", b, runtime.new_id())], env=runtime.environment, check=True)
        return [re.sub(r"^\d+ +", "", line) for line in log.read_text().splitlines()]

    mine = re.compile(r"setitimer|timer_settime|NETLINK|mountinfo|/proc/\d+/ns|hako-trace|memory\.peak")
    assert [call for call in calls() if mine.search(call)] == []
    with_report = calls("--report", tmp_path / "r.json", "--timeout", "60")
    assert {"setitimer", "mountinfo"} <= {m.group() for c in with_report if (m := mine.search(c))}
