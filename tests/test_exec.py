# SPDX-License-Identifier: MIT
"""exec: what the added process is, where it is, and how its end or its failure is told."""

import json
import os
import pathlib
import signal
import subprocess

import pytest

from harness import kernel, private
from harness.kernel import alive, eventually
from harness.runtime import SCALE, run, wait_exit

SLEEP = ("/bin/sleep", "1000")
CGROUP = pathlib.Path(private.CGROUP)
MKDIR, GETCWD = 83, 79  # system calls of x86_64


@pytest.fixture
def running(runtime, bundle):
    """running(bundle): a container whose first process sleeps."""

    def make(b=None):
        b = b or bundle()
        box = runtime.container(b.args(*SLEEP))
        box.create()
        box.start()
        return box

    return make


@pytest.fixture
def box(running):
    return running()


@pytest.fixture
def process_file(tmp_path):
    """process_file(**changes): a file for --process."""

    def make(**changes):
        file = tmp_path / "process.json"
        process = {"args": ["/bin/probe"], "cwd": "/", "env": ["PATH=/bin"], **changes}
        file.write_text(json.dumps(process))
        return file

    return make


# --- ends and failures -----------------------------------------------------------

@pytest.mark.parametrize("script, code", [
    ("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -KILL $$", 137),
    ("kill -TERM $$", 143)])
def test_exit_status(box, script, code):
    result = box.exec("/bin/sh", "-c", script, check=False)
    assert (result.returncode, result.stderr) == (code, "")


FAILURES = [
    # options, command, message
    ((), "none", 'exec: "none": executable file not found in $PATH'),
    ((), "/bin/none", 'exec: "/bin/none": stat /bin/none: no such file or directory'),
    ((), "/etc/passwd/none", 'exec: "/etc/passwd/none": stat /etc/passwd/none: not a directory'),
    ((), "/etc/passwd", 'exec: "/etc/passwd": permission denied'),
    ((), "/etc", 'exec: "/etc": is a directory: permission denied'),
    (("--env", "PATH=/etc"), "passwd", 'exec: "passwd": permission denied'),
    (("--user", "1000:1000"), "/root/secret", 'exec: "/root/secret": permission denied'),
    (("--cwd", "/none"), "/bin/true", "chdir to /none: no such file or directory"),
    (("--cwd", "/etc/passwd"), "/bin/true", "chdir to /etc/passwd: not a directory"),
    (("--cgroup", "none"), "/bin/true", "sub cgroup none: no such file or directory"),
    (("--pid-file", "/none/pid"), "/bin/true", "write the pid file /none/pid"),
    (("--preserve-fds", "9"), "/bin/true", "descriptor 11 is not open"),
]


@pytest.mark.parametrize("options, command, message", FAILURES)
def test_failure(bundle, running, options, command, message):
    b = bundle()
    b.file("/root/secret", mode=0o755)
    (b.rootfs / "root").chmod(0o700)
    box = running(b)
    before = kernel.cgroup_pids(CGROUP / box.id)
    result = box.exec(command, options=options, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (255, 1), result
    assert message in result.stderr
    assert "config.json" not in result.stderr  # the command line is to blame
    assert kernel.cgroup_pids(CGROUP / box.id) == before


@pytest.mark.parametrize("argv", [
    "ID", "--process /none ID /bin/true", "--user -1 ID /bin/true",
    "--user 4294967295 ID /bin/true", "--user 4294967296 ID /bin/true",
    "--user root ID /bin/true", "--user 1: ID /bin/true",
    "--user :1 ID /bin/true", "--user 1:2:3 ID /bin/true", "--user 1:x ID /bin/true",
    "--additional-gids x ID /bin/true", "--additional-gids -1 ID /bin/true", "--env A ID /bin/true",
    "--cap CAP_NONE ID /bin/true", "--cap KILL ID /bin/true",
    "--env =A ID /bin/true", "--cwd relative ID /bin/true"])
def test_usage(runtime, box, argv):
    result = runtime.run("exec", *[box.id if word == "ID" else word for word in argv.split()],
                         check=False)
    assert (result.returncode, result.stderr.count("\n")) == (64, 1), result


@pytest.mark.parametrize("content, message", [
    (None, "no such file or directory"),
    ("", "empty"),
    ("{", "1:2"),
    ('{"cwd": "/"}', "args"),
    ('{"args": [], "cwd": "/"}', "args"),
    ('{"args": ["/bin/true"]}', "cwd"),
    ('{"args": ["/bin/true"], "cwd": 5}', "/cwd"),
    ('{"args": ["/bin/true"], "cwd": "/", "rlimits": [{"type": "NO", "soft": 1, "hard": 1}]}',
     "/rlimits/0"),
    ('{"args": ["/bin/none"], "cwd": "/"}', 'exec: "/bin/none": stat'),
])
def test_bad_process_file(box, tmp_path, content, message):
    file = tmp_path / "process.json"
    if content is not None:
        file.write_text(content)
    result = box.exec(options=("--process", file, "--pid-file", tmp_path / "pid"), check=False)
    assert (result.returncode, result.stderr.count("\n")) == (255, 1), result
    assert message in result.stderr
    assert not (tmp_path / "pid").exists()


def test_streams(box):
    result = box.exec("/bin/sh", "-c", "cat; echo err >&2", input="through")
    assert (result.stdout, result.stderr) == ("through", "err\n")
    assert box.exec("/bin/cat", stdin=subprocess.DEVNULL).stdout == ""


def test_forwards_signals(box, background):
    script = "trap 'echo USR1' USR1; echo ready; while :; do sleep 0.02; done"
    process = background("exec", box.id, "/bin/sh", "-c", script, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == "USR1\n"
    process.terminate()
    assert process.wait(20 * SCALE) == 143
    assert box.status == "running"


def test_ends_with_the_container(box, background):
    process = background("exec", box.id, *SLEEP)
    eventually(lambda: [kernel.cmdline(pid) for pid in kernel.cgroup_pids(CGROUP / box.id)]
               == [list(SLEEP)] * 2)
    box.kill("KILL")
    assert process.wait(20 * SCALE) == 137


def test_many_at_once(box, background):
    processes = [background("exec", box.id, "/bin/sh", "-c", f"sleep 0.1; exit {n}")
                 for n in range(20)]
    assert [process.wait(20 * SCALE) for process in processes] == list(range(20))
    eventually(lambda: kernel.cgroup_pids(CGROUP / box.id) == {box.pid})


# --- what the process is -----------------------------------------------------------

def caps(seen):
    return {s: int(seen["status"][f"Cap{s}"], 16) for s in ("Bnd", "Eff", "Prm", "Inh", "Amb")}


KILL, NET_RAW, AUDIT_WRITE, NET_BIND = 1 << 5, 1 << 13, 1 << 29, 1 << 10
CONFIG_CAPS = KILL | AUDIT_WRITE | NET_BIND

FLAGS = [
    # options, what of the probe, its value
    ("", lambda s: s["cwd"], "/"),
    ("--cwd /etc", lambda s: s["cwd"], "/etc"),
    ("-e A=1 --env B=2=3", lambda s: [e for e in s["env"] if e[:2] in ("A=", "B=")],
     ["A=1", "B=2=3"]),
    ("--env COLOUR=blue", lambda s: [e for e in s["env"] if "COLOUR" in e], ["COLOUR=blue"]),
    ("-e A=1 -e A=2", lambda s: [e for e in s["env"] if "A=" in e and "PATH" not in e], ["A=2"]),
    ("--user 5", lambda s: s["status"]["Uid"].split(), ["5"] * 4),
    ("-u 5:6", lambda s: [s["status"][k].split() for k in ("Uid", "Gid")], [["5"] * 4, ["6"] * 4]),
    ("-g 7 --additional-gids 8", lambda s: s["status"]["Groups"].split(), ["4", "7", "8"]),
    ("", lambda s: s["status"]["Groups"].split(), ["4"]),
    ("", caps, {"Bnd": CONFIG_CAPS, "Eff": CONFIG_CAPS, "Prm": CONFIG_CAPS, "Inh": 0, "Amb": 0}),
    ("--cap CAP_NET_RAW", caps, {"Bnd": CONFIG_CAPS | NET_RAW, "Eff": CONFIG_CAPS | NET_RAW,
                                 "Prm": CONFIG_CAPS | NET_RAW, "Inh": 0, "Amb": 0}),
    ("", lambda s: s["status"]["NoNewPrivs"], "0"),
    ("--no-new-privs", lambda s: s["status"]["NoNewPrivs"], "1"),
    ("", lambda s: s["limits"]["nofile"], [500, 600]),
    ("", lambda s: s["status"]["Seccomp"], "2"),
    ("", lambda s: s["hostname"], "hako"),
]


@pytest.mark.parametrize("options, look, expected", FLAGS,
                         ids=lambda v: v if isinstance(v, str) else "")
def test_flags(bundle, running, options, look, expected):
    b = bundle().env(COLOUR="red")
    b.process["noNewPrivileges"] = False
    b.process["user"]["additionalGids"] = [4]
    b.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 500, "hard": 600}]
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                          "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}
    assert look(running(b).probe(options=options.split())) == expected


@pytest.mark.parametrize("user", ["0", "5"])
def test_added_capabilities_of_what_may_be_inherited(bundle, running, user):
    """Ambient are those that the config has in its inheritable set: an ordinary user keeps them."""
    b = bundle().capabilities("CAP_KILL", "CAP_CHOWN")
    b.process["capabilities"].update(bounding=["CAP_KILL", "CAP_CHOWN", "CAP_SYSLOG"],
                                     inheritable=["CAP_CHOWN", "CAP_SYSLOG"],
                                     ambient=["CAP_CHOWN"])
    chown, syslog = 1, 1 << 34
    box = running(b)
    seen = caps(box.probe(options=("--user", user)))
    assert (seen["Inh"], seen["Amb"]) == (chown | syslog, chown)
    seen = caps(box.probe(options=("--user", user, "--cap", "CAP_SYSLOG", "-c", "CAP_NET_RAW")))
    held = chown | syslog | (KILL | NET_RAW if user == "0" else 0)
    assert seen == {"Bnd": chown | KILL | syslog | NET_RAW, "Inh": chown | syslog,
                    "Amb": chown | syslog, "Eff": held, "Prm": held}


def test_nothing_is_blocked_and_nothing_regained(box):
    """With no_new_privs in the config, and hako waiting with all signals blocked."""
    status = box.probe()["status"]
    assert (status["NoNewPrivs"], status["SigBlk"]) == ("1", "0" * 16)


def test_options_after_the_command_belong_to_it(box):
    assert box.exec("/bin/echo", "-u", "5", "--help").stdout == "-u 5 --help\n"


def test_environment_with_newlines(box):
    seen = box.probe(options=("--env", "A=one\ntwo"))
    assert "A=one\ntwo" in seen["env"]


def test_seccomp_holds(bundle, running):
    b = bundle()
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}
    box = running(b)
    assert box.probe(f"s:{MKDIR}")["tests"] == {f"s:{MKDIR}": "EOPNOTSUPP"}
    file = b.file("/process.json", json.dumps({"args": ["/bin/probe", f"s:{MKDIR}"], "cwd": "/"}))
    assert box.exec(options=("--process", file)).json()["tests"] == {f"s:{MKDIR}": "EOPNOTSUPP"}


def test_process_file(box, process_file):
    file = process_file(
        cwd="/etc", env=["A=1", "PATH=/bin"], args=["probe", "cat:/etc/group"],
        user={"uid": 5, "gid": 6, "additionalGids": [7]}, noNewPrivileges=True,
        capabilities={"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"]},
        rlimits=[{"type": "RLIMIT_CORE", "soft": 10, "hard": 20}], oomScoreAdj=500)
    seen = box.exec(options=("--process", file)).json()
    assert seen["argv"] == ["probe", "cat:/etc/group"]
    assert (seen["cwd"], seen["oom_score_adj"]) == ("/etc", "500")
    assert [e for e in seen["env"] if not e.startswith("HOME=")] == ["A=1", "PATH=/bin"]
    ids = [seen["status"][key].split()[0] for key in ("Uid", "Gid", "Groups", "NoNewPrivs")]
    assert ids == ["5", "6", "7", "1"]
    assert seen["limits"]["core"] == [10, 20]
    assert caps(seen)["Bnd"] == KILL


def test_process_file_that_is_a_pipe(box, tmp_path):
    """`exec --process <(jq ...)`: the writer may take its time."""
    process = {"args": ["/bin/echo", "x" * 100_000], "cwd": "/"}
    end, other_end = os.pipe()
    with subprocess.Popen(["sh", "-c", "sleep 0.1; cat"], stdin=subprocess.PIPE,
                          stdout=other_end) as writer:
        os.close(other_end)
        writer.stdin.write(json.dumps(process).encode())
        writer.stdin.close()
        result = box.exec(options=("--process", f"/dev/fd/{end}"), pass_fds=[end])
    os.close(end)
    assert result.stdout == "x" * 100_000 + "\n"


def test_process_file_that_nobody_writes(box, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    result = box.exec(options=("--process", tmp_path / "fifo"), check=False)
    assert (result.returncode, "empty" in result.stderr) == (255, True), result


def test_process_file_that_says_nothing(box, process_file):
    """No environment, no groups; but no_new_privs is not lost."""
    seen = box.exec(options=("--process", process_file())).json()
    assert seen["status"]["NoNewPrivs"] == "1"
    assert [e for e in seen["env"] if not e.startswith("HOME=")] == ["PATH=/bin"]


INHERITED = [
    # of the config's process, of the process file, what of the probe, with the file, without
    ({"capabilities": {"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"]}},
     {"capabilities": {}}, lambda s: (caps(s)["Bnd"], caps(s)["Prm"]), (0, 0), (KILL | 1, KILL)),
    ({"rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 2}]},
     {"rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}]},
     lambda s: s["limits"]["core"], [1, 1], [1, 2]),
    ({"rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 2}]}, {"rlimits": []},
     lambda s: s["limits"]["core"] == [1, 2], False, True),
    ({"noNewPrivileges": True}, {"noNewPrivileges": False},
     lambda s: s["status"]["NoNewPrivs"], "0", "1"),
    ({"noNewPrivileges": False}, {"noNewPrivileges": True},
     lambda s: s["status"]["NoNewPrivs"], "1", "0"),
    ({"oomScoreAdj": 700}, {"oomScoreAdj": 800}, lambda s: s["oom_score_adj"], "800", "700"),
    ({"user": {"uid": 7, "gid": 8, "umask": 0o077}}, {"user": {"uid": 0, "gid": 0, "umask": 0o027}},
     lambda s: s["status"]["Umask"], "0027", "0077"),
    ({"user": {"uid": 7, "gid": 8, "umask": 0o077}}, {"user": {"uid": 5, "gid": 6}},
     lambda s: [s["status"][k].split()[0] for k in ("Umask", "Uid", "Gid")], ["0077", "5", "6"],
     ["0077", "0", "0"]),
]


@pytest.mark.parametrize("config, file, look, told, inherited", INHERITED)
def test_what_a_process_file_inherits(bundle, running, process_file, config, file, look, told,
                                      inherited):
    b = bundle()
    b.process.update(config)
    box = running(b)
    assert look(box.exec(options=("--process", process_file())).json()) == inherited
    assert look(box.exec(options=("--process", process_file(**file))).json()) == told


def test_process_file_for_a_container_without_a_process(runtime, bundle, process_file):
    b = bundle()
    del b.config["process"]
    box = runtime.container(b)
    box.create()
    seen = box.exec(options=("--process", process_file(env=["PATH=/bin"]))).json()
    assert (seen["status"]["NoNewPrivs"], seen["status"]["Umask"]) == ("0", "0022")


@pytest.mark.parametrize("option", [None, "--no-new-keyring"])
def test_keyring(runtime, bundle, option):
    """Without one of its own, the container has that of create's caller; exec that of its own."""
    box = runtime.container(bundle(*SLEEP))
    box.create(*([option] if option else []))
    box.start()
    keyring = box.probe()["keyring"]
    if option:
        assert keyring is None or f"_ses.{box.id}" not in keyring
    else:
        assert keyring.endswith(f";_ses.{box.id}")


# --- where it is ----------------------------------------------------------------------

def all_eight(b):
    b.namespace("time").user_namespace(((0, 0, 65536),))
    b.linux["timeOffsets"] = {"boottime": {"secs": 1000}}


def none_but_mount(b):
    b.without_namespace("pid", "network", "ipc", "uts", "cgroup").config.pop("hostname")
    b.without_mount("/sys", "/dev/mqueue")


NAMESPACES = {
    "default": lambda b: None,
    "all eight": all_eight,
    "user alone": lambda b: b.user_namespace(((0, 0, 65536),)),
    "none but mount": none_but_mount,
    "network joined": lambda b: b.namespace("network", "/proc/self/ns/net").without_mount("/sys"),
}


@pytest.mark.parametrize("change", NAMESPACES.values(), ids=NAMESPACES.keys())
def test_namespaces(bundle, running, change):
    b = bundle()
    change(b)
    box = running(b)
    assert box.probe()["namespaces"] == kernel.namespaces(box.pid)


def test_created_container(runtime, bundle):
    box = runtime.container(bundle(*SLEEP))
    box.create()
    assert box.probe()["namespaces"] == kernel.namespaces(box.pid)
    box.start()
    assert box.status == "running"


def test_cgroup(box, tmp_path):
    box.exec(*SLEEP, options=("--detach", "--pid-file", tmp_path / "pid"))
    pid = int((tmp_path / "pid").read_text())
    assert kernel.cgroup_path(pid) == CGROUP / box.id
    assert kernel.cgroup_pids(CGROUP / box.id) == {box.pid, pid}


def test_without_a_cgroup(runtime, bundle):
    runtime.options = ["--cgroup-manager", "disabled"]
    box = runtime.container(bundle(*SLEEP))
    box.create()
    assert not (CGROUP / box.id).exists()
    assert kernel.cgroup_path(box.pid) == kernel.cgroup_path(os.getpid())
    assert box.exec("/bin/echo", "here").stdout == "here\n"
    box.delete("--force")


def test_sub_cgroup(box, tmp_path):
    sub = CGROUP / box.id / "a" / "b"
    sub.mkdir(parents=True)
    box.exec(*SLEEP, options=("--detach", "--cgroup", "a/b", "--pid-file", tmp_path / "pid"))
    assert kernel.cgroup_path(int((tmp_path / "pid").read_text())) == sub
    own = box.exec("/bin/cat", "/proc/self/cgroup", options=("--cgroup", "/")).stdout
    assert "0::/\n" in own


@pytest.mark.parametrize("removed", [True, False])
def test_init_that_has_left_its_cgroup(runtime, box, token, removed):
    """Without the cgroup it was born in, a new process goes where init is."""
    elsewhere = CGROUP / f"{token}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / "cgroup.procs").write_text(str(box.pid))
    if removed:
        (CGROUP / box.id).rmdir()
    path = f"0::/../{elsewhere.name}\n" if removed else "0::/\n"
    assert path in box.exec("/bin/cat", "/proc/self/cgroup").stdout
    result = box.exec("/bin/true", options=("--cgroup", "/"), check=False)
    assert result.returncode == (255 if removed else 0)
    assert box.status == "running"
    if removed:
        assert runtime.run("ps", "--format", "json", box.id).json() == [box.pid]
        runtime.run("kill", "--all", box.id, "WINCH")
        runtime.run("kill", "--all", box.id, "KILL")
        assert kernel.eventually(lambda: kernel.cgroup_pids(elsewhere) == set())
    box.delete("--force")
    kernel.eventually(lambda: kernel.cgroup_pids(elsewhere) == set())
    elsewhere.rmdir()


@pytest.mark.parametrize("path", ["..", "../..", "a/../../..", "/..", "../TOKEN-x"])
def test_sub_cgroup_that_leads_out(box, token, path):
    (CGROUP / box.id / "a").mkdir()
    outside = CGROUP / f"{token}-x"
    outside.mkdir()
    command = ["/bin/sh", "-c", "cat /proc/self/cgroup; exit 9"]
    try:
        result = box.exec(*command, options=("--cgroup", path.replace("TOKEN", token)), check=False)
        assert (result.returncode, result.stdout) == (255, "")
        assert "bad sub cgroup path" in result.stderr
        assert kernel.cgroup_pids(outside) == set()
    finally:
        outside.rmdir()


def test_controllers_handed_down_inside(bundle, running, tmp_path):
    """Then the container's cgroup itself may hold no process: exec goes where init is."""
    b = bundle()
    b.mounts[-1]["options"].remove("ro")
    box = running(b)
    if "hugetlb" not in (CGROUP / box.id / "cgroup.controllers").read_text():
        pytest.skip("no cgroup controller is available")
    box.exec("/bin/sh", "-c", "cd /sys/fs/cgroup; mkdir init; for p in $(cat cgroup.procs); do "
             "echo $p; done >init/list; echo 1 >init/cgroup.procs; echo $$ >init/cgroup.procs; "
             "echo +hugetlb >cgroup.subtree_control", check=False)
    assert kernel.cgroup_path(box.pid) == CGROUP / box.id / "init"
    assert (CGROUP / box.id / "cgroup.subtree_control").read_text() == "hugetlb\n"
    box.exec(*SLEEP, options=("--detach", "--pid-file", tmp_path / "pid"))
    assert kernel.cgroup_path(int((tmp_path / "pid").read_text())) == CGROUP / box.id / "init"


def test_paused_container(runtime, box, background):
    runtime.run("pause", box.id)
    process = background("exec", "--ignore-paused", box.id, "/bin/sh", "-c", "exit 7")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    runtime.run("resume", box.id)
    assert process.wait(20 * SCALE) == 7


def test_paused_container_deleted_meanwhile(runtime, box, background):
    runtime.run("pause", box.id)
    process = background("exec", "--ignore-paused", box.id, "/bin/true", stderr=subprocess.DEVNULL)
    eventually(lambda: len(kernel.cgroup_pids(CGROUP / box.id)) == 2)
    box.delete("--force")
    assert process.wait(20 * SCALE) in (137, 255)


# --- detached, descriptors -----------------------------------------------------------------

def test_detach(box, tmp_path):
    options = ("--detach", "--pid-file", "pid")
    result = box.exec("/bin/sh", "-c", "exit 6", options=options, cwd=tmp_path)
    text = (tmp_path / "pid").read_text()
    assert text.isdigit() and os.listdir(tmp_path).count("pid") == 1
    assert result.stdout == ""
    assert wait_exit(int(text)) == 6  # it was our child


def test_detached_process_outlives_exec(box, tmp_path):
    box.exec(*SLEEP, options=("--detach", "--pid-file", tmp_path / "pid"))
    pid = int((tmp_path / "pid").read_text())
    assert (alive(pid), kernel.ppid(pid), kernel.cmdline(pid)) == (True, os.getpid(), list(SLEEP))
    assert kernel.namespaces(pid) == kernel.namespaces(box.pid)


@pytest.mark.parametrize("program", ["none", "/bin/broken"])
def test_no_pid_file_after_a_failure(bundle, running, tmp_path, program):
    b = bundle()
    b.file("/bin/broken", "\x7fELF?", mode=0o755)
    options = ("--detach", "--pid-file", tmp_path / "pid")
    result = running(b).exec(program, options=options, check=False)
    assert result.returncode == 255
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize("count, expected", [(0, {}), (2, {"3": "a", "4": "b"})])
def test_descriptors(runtime, box, tmp_path, count, expected):
    for name in "abc":
        (tmp_path / name).write_text("")
    redirections = " ".join(f"{n}<{tmp_path}/{name}" for n, name in enumerate("abc", 3))
    argv = runtime.argv("exec", "--preserve-fds", str(count), box.id, "/bin/probe")
    seen = run(["sh", "-c", f'exec "$@" {redirections}', "sh", *argv],
               env=runtime.environment).json()
    assert sorted(seen["fds"]) == ["0", "1", "2", *expected]
    for number, name in expected.items():
        assert seen["fds"][number] == f"{tmp_path}/{name}"


def test_closed_standard_streams(runtime, box, tmp_path):
    argv = runtime.argv("exec", "--detach", "--pid-file", tmp_path / "pid", box.id, *SLEEP)
    run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *argv], env=runtime.environment)
    seen = kernel.descriptors(int((tmp_path / "pid").read_text()))
    assert seen == {0: "/dev/null", 1: "/dev/null", 2: "/dev/null"}
