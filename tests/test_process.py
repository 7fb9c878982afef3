# SPDX-License-Identifier: MIT
"""process (config.md "Process", "POSIX process", "Linux Process", "User")."""

import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from harness import kernel
from harness.kernel import eventually
from harness.refused import refused

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# numbers of <linux/capability.h>
CAPS = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5, "CAP_SETUID": 7,
        "CAP_NET_BIND_SERVICE": 10,
        "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21, "CAP_AUDIT_WRITE": 29}
SETS = {"effective": "CapEff", "permitted": "CapPrm", "inheritable": "CapInh", "bounding": "CapBnd",
        "ambient": "CapAmb"}


def environment(runtime, bundle, *env):
    """{name: value}; every entry, also a second one of a name, must be there once."""
    bundle.process["env"] = [PATH, *env, *(e for e in bundle.process["env"]
                                           if e.startswith("HAKO_TEST="))]
    rows = [row.partition("=")[::2] for row in runtime.probe(bundle)["env"]]
    assert len(rows) == len(dict(rows)), rows
    return dict(rows)


# --- args, PATH ---

def test_args_are_passed_as_they_are(runtime, bundle):
    args = ["", " ", "a b", "--", "-x", "\n", "'\"\\", "ü€😀", "$HOME", "x" * 100_000]
    b = bundle("/bin/sh", "-c", 'for a; do printf "%s\\0" "$a"; done', "sh", *args)
    assert runtime.run_bundle(b).stdout.split("\0")[:-1] == args
    assert runtime.probe(bundle())["argv"] == ["/bin/probe"]


@pytest.mark.parametrize("command, env, found", [
    ("prog", ["PATH=/bin:/opt"], "/bin/prog"), ("prog", ["PATH=/opt:/bin"], "/opt/prog"),
    ("prog", ["PATH=/nowhere:/etc/passwd:/opt"], "/opt/prog"),
    ("prog", ["PATH=/bin", "PATH=/opt"], "/opt/prog"),
    ("prog", [], "/usr/bin/prog"),  # the usual directories when there is no PATH
    ("prog", ["PATH=/dir:/noexec:/opt"], "/opt/prog"), ("alias", ["PATH=/bin:/opt"], "/opt/alias"),
    ("prog", ["PATH=:/bin"], "prog"), ("prog", ["PATH=."], "./prog"),
    ("prog", ["PATH=/nowhere:"], "prog"),
    ("./prog", [PATH], "./prog"), ("../bin/prog", [], "../bin/prog"),
])
def test_lookup(runtime, bundle, command, env, found):
    """The rules of execvp, with the container's PATH; the working directory is /opt."""
    b = bundle(command)
    for folder, mode in (("opt", 0o755), ("noexec", 0o644), ("bin", 0o755)):
        b.file(f"/{folder}/prog", "#!/bin/sh\necho $0\n", mode)
    (b.rootfs / "opt/alias").symlink_to("prog")
    (b.rootfs / "dir/prog").mkdir(parents=True)
    b.process.update(env=[*env, b.process["env"][-1]], cwd="/opt")
    assert runtime.run_bundle(b).stdout == found + "\n"


def test_name_of_the_program_stays(runtime, bundle):
    assert runtime.run_bundle(bundle("probe")).json()["argv"] == ["probe"]


@pytest.mark.parametrize("command, message", [
    ("absent", 'exec: "absent": executable file not found in $PATH'),
    ("/bin/absent", 'exec: "/bin/absent": stat /bin/absent: no such file or directory'),
    ("/etc", 'exec: "/etc": is a directory: permission denied'),
    ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
    ("/etc/passwd/x", 'stat /etc/passwd/x: not a directory'), ("./sh", "no such file or directory"),
    ("noexec", 'exec: "noexec": permission denied'), ("/loop", "symbolic links"),
])
@pytest.mark.parametrize("when", ["create", "run"])
def test_program_that_cannot_be_run(runtime, bundle, command, message, when):
    """It fails `create`, not `start`."""
    b = bundle(command)
    b.file("/bin/noexec", "#!/bin/sh\n")
    (b.rootfs / "loop").symlink_to("loop")
    assert message in refused(runtime, b, "/process/args", when)
    assert list(runtime.root.iterdir()) == []


@pytest.mark.parametrize("content, message", [(b"", "exec format error"),
                                              (b"\x7fELFbroken", "exec format error"),
                                              (b"#!/absent\n", "no such file or directory")])
def test_program_that_the_kernel_refuses(runtime, bundle, content, message):
    b = bundle("/broken")
    b.file("/broken", mode=0o755).write_bytes(content)
    assert message in refused(runtime, b, "/process/args")


def test_script(runtime, bundle):
    b = bundle("/script", "arg")
    b.file("/script", "#!/bin/sh\necho $0 $1\n", 0o755)
    assert runtime.run_bundle(b).stdout == "/script arg\n"


# --- env, HOME ---

@pytest.mark.parametrize("env, expected", [
    (["A=1", "B=2", "A=3"], {"A": "3", "B": "2"}),
    (["A=", "B==", "C=a=b"], {"A": "", "B": "=", "C": "a=b"}),
    (["A=two\nlines\n", "B=\t\x01 \"'\\"], {"A": "two\nlines\n", "B": "\t\x01 \"'\\"}),
    (["A=1", "AB=2", "A=3", "A=4"], {"A": "4", "AB": "2"}),
    (["a b=1", "x.y=2", "1=3"], {"a b": "1", "x.y": "2", "1": "3"}),
    (["A=" + "x" * 100_000], {"A": "x" * 100_000}),
])
def test_environment(runtime, bundle, env, expected):
    seen = environment(runtime, bundle(), *env)
    assert {name: seen[name] for name in expected} == expected
    assert set(seen) == {*expected, "PATH", "HOME", "HAKO_TEST"}  # and nothing of the runtime's


@pytest.mark.parametrize("entry", ["A", "=", "=x", ""])
def test_environment_that_cannot_be(runtime, bundle, entry):
    b = bundle()
    b.process["env"] = [PATH, entry]
    refused(runtime, b, "/process/env/1")


@pytest.mark.parametrize("uid, env, passwd, home", [
    (0, [], None, "/root"), (1000, [], None, "/home/user"), (1000, ["HOME=/else"], None, "/else"),
    (0, ["HOME="], None, "/root"), (0, ["HOME=/x", "HOME="], None, "/root"),
    (0, ["HOME=", "HOME=/x"], None, "/x"),
    (4711, [], None, "/"), (0, [], "", "/"), (0, [], "root:x:0:0:root", "/"),
    (0, [], "root:x:00:0::/zeros:", "/zeros"),
    (7, [], "a:x:70:7::/seventy:\nb:x:7:8::/seven:/bin/sh", "/seven"),
    (7, [], "b:x:7:8::relative:/bin/sh", "/"),
    (7, [], "b:x:7x:8::/wrong:\nc:x: 7:8::/wrong:\n", "/"),
    (7, [], "#b:x:7\n\n::::::\nb:x:7:8::/h:", "/h"),
])
def test_home(runtime, bundle, uid, env, passwd, home):
    b = bundle()
    b.process["user"]["uid"] = uid
    if passwd is not None:
        b.file("/etc/passwd", passwd)
    assert environment(runtime, b, *env)["HOME"] == home


# --- cwd ---

def test_cwd_is_made(runtime, bundle):
    b = bundle()
    b.process["cwd"] = "/made/for/it"
    b.process["user"]["uid"] = 1000
    seen = runtime.probe(b)
    assert seen["cwd"] == "/made/for/it" and "HOME=/home/user" in seen["env"]
    assert stat.filemode((b.rootfs / "made/for").stat().st_mode) == "drwxr-xr-x"


@pytest.mark.parametrize("cwd, seen", [("/var/../tmp//./", "/tmp"), ("/link", "/tmp"),
                                       ("/link/sub", "/tmp/sub"),
                                       ("/", "/"), ("/..", "/"), ("/proc/self", "/proc/1")])
def test_cwd(runtime, bundle, cwd, seen):
    b = bundle()
    (b.rootfs / "link").symlink_to("/tmp")
    b.process["cwd"] = cwd
    assert runtime.probe(b)["cwd"] == seen


@pytest.mark.parametrize("owner, uid, mode", [(0, 0, 0o700), (1000, 1000, 0o700), (0, 1000, 0o700)])
def test_cwd_that_only_one_may_enter(runtime, bundle, owner, uid, mode):
    """As root only, or as the user only."""
    b = bundle()
    private = b.rootfs / "private"
    private.mkdir()
    os.chown(private, owner, owner)
    private.chmod(mode)
    b.process.update(cwd="/private", user={"uid": uid, "gid": uid}, capabilities={})
    assert runtime.probe(b)["cwd"] == "/private"


def test_cwd_on_a_root_squashed_mount(runtime, bundle):
    """Where even root of a user namespace may not go, the user may."""
    b = bundle().user_namespace()
    (b.rootfs / "private").mkdir(mode=0o700)
    os.chown(b.rootfs / "private", 1_001_000, 1_001_000)
    b.process.update(cwd="/private", user={"uid": 1000, "gid": 1000}, capabilities={})
    assert runtime.probe(b)["cwd"] == "/private"
    os.chown(b.rootfs / "private", 0, 0)
    assert "permission denied" in refused(runtime, b, "/process/cwd")


@pytest.mark.parametrize("cwd", ["/etc/passwd", "/etc/passwd/x", "/loop"])
def test_cwd_that_cannot_be(runtime, bundle, cwd):
    b = bundle()
    (b.rootfs / "loop").symlink_to("loop")
    b.process["cwd"] = cwd
    refused(runtime, b, "/process/cwd")


@pytest.mark.parametrize("cwd", ["", "relative", None])
def test_cwd_must_be_absolute(runtime, bundle, cwd):
    b = bundle()
    b.process["cwd"] = cwd
    if cwd is None:
        del b.process["cwd"]
    refused(runtime, b, "/process" if cwd is None else "/process/cwd")


# --- user, umask, streams ---

@pytest.mark.parametrize("umask, seen", [(None, "0022"), (0, "0000"), (0o77, "0077"),
                                         (0o777, "0777"), (0o027, "0027"),
                                         (0o1022, "0022")])
def test_umask(runtime, bundle, umask, seen):
    b = bundle("/bin/sleep", "100")
    if umask is not None:
        b.process["user"]["umask"] = umask
    box = runtime.container(b)
    box.create(umask=0o055)
    box.start()
    assert box.probe()["status"]["Umask"] == seen
    with open(f"/proc/{box.pid}/status", encoding="utf-8") as status:
        assert f"Umask:\t{seen}\n" in status


@pytest.mark.parametrize("user, groups", [
    ({"uid": 0, "gid": 0}, []), ({"uid": 1000, "gid": 1001}, []),
    ({"uid": 4294967294, "gid": 4294967294}, []),
    ({"uid": 0, "gid": 0, "additionalGids": [5, 1000, 4294967294]}, [5, 1000, 4294967294]),
    ({"uid": 7, "gid": 8, "additionalGids": list(range(100, 400))}, list(range(100, 400))),
])
def test_ids(runtime, bundle, user, groups):
    b = bundle()
    b.process["user"] = user
    # what the caller has must not stay
    argv = runtime.argv("run", "--bundle", b.args("/bin/probe"), runtime.new_id())
    out = subprocess.run(argv, env=runtime.environment, stdout=subprocess.PIPE, check=True,
                         extra_groups=[77, 78])
    status = json.loads(out.stdout)["status"]
    assert status["Uid"].split() == [str(user["uid"])] * 4
    assert status["Gid"].split() == [str(user["gid"])] * 4
    assert status["Groups"].split() == [str(g) for g in groups]


@pytest.mark.parametrize("user, pointer", [({"uid": 4294967295, "gid": 0}, "uid"),
                                           ({"uid": -1, "gid": 0}, "uid"),
                                           ({"uid": 0, "gid": 2**32}, "gid"),
                                           ({"uid": "0", "gid": 0}, "uid"),
                                           ({"uid": 0, "gid": 0, "additionalGids": [2**32 - 1]},
                                            "additionalGids/0")])
def test_ids_that_cannot_be(runtime, bundle, user, pointer):
    b = bundle()
    b.process["user"] = user
    refused(runtime, b, f"/process/user/{pointer}")


@pytest.mark.parametrize("userns", [False, True])
@pytest.mark.parametrize("keep", [False, True])
def test_groups_of_the_caller(runtime, bundle, userns, keep):
    """They go, unless an annotation asks for them; without a name in a user namespace."""
    b = bundle("/bin/sleep", "1000")
    b.process["user"] = {"uid": 1000, "gid": 1000}
    b.config["annotations"] = {"run.oci.keep_original_groups": str(int(keep))}
    if userns:
        b.user_namespace()
    box = runtime.container(b)
    box.create(extra_groups=[54321, 54322])
    box.start()
    assert kernel.status(box.pid, "Groups").split() == ["54321", "54322"] * keep
    seen = box.exec("grep", "Groups", "/proc/self/status", extra_groups=[54323]).stdout.split()[1:]
    assert seen == [str(65534 if userns else 54323)] * keep


def test_streams_belong_to_the_user(runtime, bundle, tmp_path):
    b = bundle().sh("echo out >>/dev/stdout; echo err >>/dev/stderr")
    b.process.update(user={"uid": 1000, "gid": 1000}, capabilities={})
    files = [open(tmp_path / name, "w+", encoding="ascii") for name in ("out", "err")]
    before = os.stat("/dev/null")
    runtime.run_bundle(b, stdout=files[0], stderr=files[1])
    assert [(os.fstat(f.fileno()).st_uid, os.fstat(f.fileno()).st_gid)
            for f in files] == [(1000, 0)] * 2
    assert [(tmp_path / name).read_text() for name in ("out", "err")] == ["out\n", "err\n"]
    assert os.stat("/dev/null").st_uid == before.st_uid  # standard input


def test_pipes_belong_to_the_user(runtime, bundle):
    b = bundle().sh("cat /dev/stdin >/dev/stdout")
    b.process.update(user={"uid": 1000, "gid": 1000}, capabilities={})
    argv = runtime.argv("run", "--bundle", b, runtime.new_id())
    done = subprocess.run(argv, env=runtime.environment, input=b"through", stdout=subprocess.PIPE,
                          check=True)
    assert done.stdout == b"through"


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_streams_in_a_user_namespace(runtime, bundle, tmp_path, uid, kind):
    """Those of the host belong to none of its users, and only the parent can change that."""
    b = bundle("/bin/sleep", "1000").user_namespace()
    b.process["user"] = {"uid": uid, "gid": uid}
    box = runtime.container(b, runtime.new_id())
    box.create()
    box.start()
    argv = ["/bin/sh", "-c", "echo through >>/dev/stdout"]
    for command in (runtime.argv("run", "--bundle", b.args(*argv), runtime.new_id()),
                    runtime.argv("exec", box.id, *argv)):
        (tmp_path / "in").write_text("")
        with open(tmp_path / "in", encoding="ascii") as stdin, \
             open(tmp_path / "out", "w+", encoding="ascii") as file:
            done = subprocess.run(command, env=runtime.environment, check=True, stdin=stdin,
                                  stdout=file if kind == "file" else subprocess.PIPE, text=True)
            assert os.fstat(stdin.fileno()).st_uid == 0
            assert os.fstat(file.fileno()).st_uid == (1_000_000 + uid if kind == "file" else 0)
        assert (done.stdout or (tmp_path / "out").read_text()) == "through\n"


# --- capabilities ---

ALL_FIVE = {name: ["CAP_CHOWN", "CAP_KILL"] for name in SETS}


@pytest.mark.parametrize("uid, sets, expected", [
    # execve: root gets what inheritable and bounding allow; without ambient, another user nothing
    (0, ALL_FIVE, dict.fromkeys(SETS, {"CAP_CHOWN", "CAP_KILL"})),
    (1000, ALL_FIVE, dict.fromkeys(SETS, {"CAP_CHOWN", "CAP_KILL"})),
    (0, {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]},
     {"bounding": {"CAP_KILL"}, "effective": {"CAP_KILL"}, "permitted": {"CAP_KILL"}}),
    (1000, {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]},
     {"bounding": {"CAP_KILL"}}),
    (1000, {"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL", "CAP_CHOWN"],
            "inheritable": ["CAP_KILL", "CAP_CHOWN"], "ambient": ["CAP_CHOWN"]},
     {"bounding": {"CAP_KILL", "CAP_CHOWN"}, "inheritable": {"CAP_KILL", "CAP_CHOWN"},
      "permitted": {"CAP_CHOWN"},
      "effective": {"CAP_CHOWN"}, "ambient": {"CAP_CHOWN"}}),
    (0, {}, {}), (1000, {}, {}), (0, None, {}), (1000, None, {}),
    # no bounding set: an empty one, not a full one
    (0, {"effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]}, {}),
    (0, {"bounding": ["CAP_CHOWN"]}, {"bounding": {"CAP_CHOWN"}, "permitted": {"CAP_CHOWN"},
                                      "effective": {"CAP_CHOWN"}}),
    (0, {"bounding": ["CAP_CHOWN"], "inheritable": ["CAP_CHOWN"]},
     {name: {"CAP_CHOWN"} for name in SETS if name != "ambient"}),
])
def test_capabilities(runtime, bundle, uid, sets, expected):
    b = bundle()
    b.process["user"] = {"uid": uid, "gid": uid}
    b.process.update(capabilities=sets, noNewPrivileges=False)
    if sets is None:
        del b.process["capabilities"]
    status = runtime.probe(b)["status"]
    wanted = {line: sum(1 << CAPS[cap] for cap in expected.get(name, ()))
              for name, line in SETS.items()}
    assert {line: int(status[line], 16) for line in SETS.values()} == wanted


def test_what_capabilities_are_good_for(runtime, bundle):
    b = bundle().sh("chown 5 /tmp/x; kill -0 1; stat -c %u /tmp/x")
    b.file("/tmp/x")
    assert runtime.run_bundle(b.capabilities("CAP_CHOWN")).stdout == "5\n"
    os.chown(b.rootfs / "tmp/x", 0, 0)
    assert runtime.run_bundle(b.capabilities("CAP_KILL")).stdout == "0\n"


@pytest.mark.parametrize("effective, code", [(["CAP_DAC_OVERRIDE"], 0), ([], 1)])
def test_effective_capabilities_last_until_the_program(runtime, bundle, effective, code):
    """Of a user without ambient ones execve takes all away; but the program could be executed."""
    b = bundle("/bin/probe").capabilities("CAP_DAC_OVERRIDE", sets=("bounding", "permitted"))
    b.process["capabilities"]["effective"] = effective
    b.process["user"] = {"uid": 1000, "gid": 1000}
    program = b.rootfs / "bin/probe"
    shutil.copy(program, b.rootfs / "copy")  # the file may be that of all bundles
    (b.rootfs / "copy").replace(program)
    program.chmod(0o700)
    result = runtime.run_bundle(b, check=False)
    assert result.returncode == code
    if code == 0:
        assert int(result.json()["status"]["CapEff"], 16) == 0
    else:
        assert 'exec: "/bin/probe": permission denied' in result.stderr


def test_unknown_capability(runtime, bundle, tmp_path):
    """The specification: a warning, not a failure. With --strict it is one."""
    b = bundle().capabilities("CAP_NO_SUCH", "CAP_KILL")
    assert int(runtime.probe(b)["status"]["CapBnd"], 16) == 1 << 5
    warning = re.compile(r"^hako: warning: capability-unknown: config\.json:\S+ /process/capabilities/bounding/0: "
                         r"ignoring unknown or unavailable capabilities: \[CAP_NO_SUCH\]$", re.MULTILINE)
    assert warning.search(runtime.run_bundle(b.args("/bin/true")).stderr)
    runtime.options = ["--log", tmp_path / "log"]  # engines read it, and expect the error alone
    assert runtime.run_bundle(b).stderr == "" and (tmp_path / "log").read_text() == ""
    runtime.options += ["--log-level", "warning"]
    assert runtime.run_bundle(b).stderr == "" and warning.search((tmp_path / "log").read_text())
    runtime.options = ["--strict"]
    assert "CAP_NO_SUCH" in refused(runtime, b)


def test_capability_outside_the_bounding_set(runtime, bundle):
    """The kernel would refuse it: the container does without it, and that is said."""
    b = bundle()
    b.process["capabilities"] = {name: ["CAP_SYS_ADMIN"] for name in ("effective", "permitted", "inheritable")}
    status = runtime.probe(b)["status"]
    assert int(status["CapInh"], 16) == int(status["CapBnd"], 16) == 0
    result = runtime.run_bundle(b.args("/bin/true"))
    assert re.search(r"^hako: warning: capability-unusable: .*/process/capabilities/inheritable: CAP_SYS_ADMIN: "
                     r"not in the bounding set: operation not permitted$", result.stderr, re.MULTILINE)


@pytest.mark.parametrize("value", [True, False, None])
def test_no_new_privileges(runtime, bundle, value):
    b = bundle()
    b.process["noNewPrivileges"] = value
    if value is None:
        del b.process["noNewPrivileges"]
    (b.rootfs / "bin/suid").write_bytes((b.rootfs / "bin/probe").read_bytes())
    (b.rootfs / "bin/suid").chmod(0o4755)
    b.process["user"] = {"uid": 1000, "gid": 1000}
    seen = runtime.run_bundle(b.args("/bin/suid")).json()["status"]
    assert seen["NoNewPrivs"] == str(int(bool(value)))
    assert seen["Uid"].split()[1] == ("1000" if value else "0")


# --- limits, scores ---

LIMITS = {"CPU": 100, "FSIZE": 1 << 20, "DATA": 1 << 30, "STACK": 1 << 20, "CORE": 0,
          "RSS": 1 << 30, "NPROC": 500,
          "NOFILE": 100, "MEMLOCK": 4096, "AS": 1 << 32, "LOCKS": 50, "SIGPENDING": 100,
          "MSGQUEUE": 1000, "NICE": 0,
          "RTPRIO": 0, "RTTIME": 1000000}


def test_rlimits(runtime, bundle):
    b = bundle()
    b.process["rlimits"] = [{"type": f"RLIMIT_{name}", "soft": hard // 2, "hard": hard}
                            for name, hard in LIMITS.items()]
    limits = runtime.probe(b)["limits"]
    assert limits == {name.lower(): [hard // 2, hard] for name, hard in LIMITS.items()}


def test_rlimits_that_are_infinite(runtime, bundle):
    b = bundle()
    b.process["rlimits"] = [{"type": "RLIMIT_CPU", "soft": 2**64 - 1, "hard": 2**64 - 1},
                            {"type": "RLIMIT_FSIZE", "soft": 1 << 20, "hard": 2**64 - 1}]
    limits = runtime.probe(b)["limits"]
    assert (limits["cpu"], limits["fsize"]) == ([-1, -1], [1 << 20, -1])


def test_rlimits_too_small_for_hako_itself(runtime, bundle):
    b = bundle("/bin/true")
    b.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 3, "hard": 3},
                            {"type": "RLIMIT_FSIZE", "soft": 0, "hard": 0},
                            {"type": "RLIMIT_NPROC", "soft": 1, "hard": 1}]
    runtime.run_bundle(b)


@pytest.mark.parametrize("rlimits, pointer", [
    ([{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}] * 2, "1/type"),
    ([{"type": "RLIMIT_NOTHING", "soft": 1, "hard": 1}], "0/type"),
    ([{"type": "RLIMIT_CPU", "soft": 1}], "0"),
    ([{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}], "0/soft"),
    ([{"type": "RLIMIT_CPU", "soft": -1, "hard": 1}], "0/soft"),
])
def test_rlimits_that_cannot_be(runtime, bundle, rlimits, pointer):
    b = bundle()
    b.process["rlimits"] = rlimits
    refused(runtime, b, f"/process/rlimits/{pointer}")


@pytest.mark.parametrize("score", [0, 500, 1000, None])
def test_oom_score(runtime, bundle, score):
    b = bundle()
    if score is not None:
        b.process["oomScoreAdj"] = score
    argv = runtime.argv("run", "--bundle", b.args("/bin/cat", "/proc/self/oom_score_adj"),
                        runtime.new_id())
    # hako is called with 100: without a value of its own the container keeps that
    script = 'echo 100 >/proc/self/oom_score_adj; exec "$@"'
    done = subprocess.run(["sh", "-c", script, "sh", *argv], env=runtime.environment,
                          stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE, check=False)
    if score == 0 and done.returncode:  # it takes CAP_SYS_RESOURCE, which not every machine gives
        assert "/process/oomScoreAdj" in done.stderr and "permission denied" in done.stderr
    else:
        assert done.stdout == f"{100 if score is None else score}\n"


@pytest.mark.parametrize("score", [1001, -1001, "5", 1.5])
def test_oom_score_that_cannot_be(runtime, bundle, score):
    b = bundle()
    b.process["oomScoreAdj"] = score
    refused(runtime, b, "/process/oomScoreAdj")


@pytest.mark.parametrize("domain, machine, number", [("LINUX", "x86_64", 0),
                                                     ("LINUX32", "i686", 8), (None, "x86_64", 0)])
def test_personality(runtime, bundle, domain, machine, number):
    b = bundle("/bin/sleep", "100")
    if domain:
        b.linux["personality"] = {"domain": domain}
    box = runtime.container(b)
    box.create()
    box.start()
    seen = box.probe()
    expected = machine if os.uname().machine == "x86_64" else seen["machine"]
    assert (seen["machine"], seen["personality"]) == (expected, number)


@pytest.mark.parametrize("personality, pointer", [({"domain": "BSD"}, "/domain"), ({}, ""),
                                                  ({"domain": "LINUX", "flags": ["X"]}, "/flags")])
def test_personality_that_cannot_be(runtime, bundle, personality, pointer):
    b = bundle()
    b.linux["personality"] = personality
    refused(runtime, b, f"/linux/personality{pointer}")


# --- keyring, descriptors, session ---

@pytest.mark.parametrize("user_namespace", [False, True])
def test_session_keyring(runtime, bundle, user_namespace):
    """One for all processes of the container."""
    b = bundle().sh("/bin/probe; exec sleep 100")
    box = runtime.container(b.user_namespace() if user_namespace else b)
    created = box.create()
    box.start()
    eventually(lambda: created.stdout.endswith("}\n"))
    assert box.probe()["keyring"].split(";")[4] == f"_ses.{box.id}"
    assert box.probe()["keyring_id"] == box.probe()["keyring_id"] == created.json()["keyring_id"]
    assert created.json()["keyring_id"] != runtime.probe(bundle())["keyring_id"]
    kind, uid, gid, permissions, name = runtime.probe(bundle())["keyring"].split(";")
    assert (kind, name) == ("keyring", f"_ses.{runtime.ids[-1]}")
    assert int(permissions, 16) & 0x00080000  # the user may search it


def test_no_new_keyring(runtime, bundle):
    own = runtime.probe(bundle())["keyring"]
    b = bundle("/bin/probe")
    kept = runtime.run_bundle(b, "--no-new-keyring").json()["keyring"]
    assert kept != own and (kept is None or not kept.endswith(runtime.ids[-1]))
    box = runtime.container(bundle("/bin/sleep", "100"))
    box.create("--no-new-keyring")
    assert box.probe()["keyring"] == kept  # the container says it for exec as well


def test_no_descriptor_leaks(runtime, bundle, tmp_path):
    files = [open(tmp_path / str(i), "w", encoding="ascii") for i in range(5)]
    fds = [f.fileno() for f in files]
    b = bundle("/bin/probe")
    seen = runtime.run_bundle(b, pass_fds=fds).json()["fds"]
    assert sorted(seen) == ["0", "1", "2"]
    box = runtime.container(bundle("/bin/sleep", "100"))
    box.create(pass_fds=fds)
    assert os.listdir(f"/proc/{box.pid}/cwd")  # still hako
    box.start(pass_fds=fds)
    eventually(lambda: sorted(os.listdir(f"/proc/{box.pid}/fd")) == ["0", "1", "2"])
    assert sorted(box.exec("/bin/probe", pass_fds=fds).json()["fds"]) == ["0", "1", "2"]


def test_nothing_of_the_host_is_open_while_the_container_waits(runtime, bundle):
    """A directory of the host must not even be there to be found (/proc/PID/fd)."""
    box = runtime.container(bundle("/bin/true"))
    box.create()
    links = [os.readlink(f"/proc/{box.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{box.pid}/fd")
             if int(fd) > 2]
    assert [link for link in links if not link.startswith(("socket:", "anon_inode:"))] == []
    assert os.readlink(f"/proc/{box.pid}/cwd") == os.readlink(f"/proc/{box.pid}/root")


def test_session_and_signals(runtime, bundle):
    """A session of its own, no signal blocked or ignored that was not by default."""
    argv = runtime.argv("run", "--bundle", bundle("/bin/probe"), runtime.new_id())
    script = 'import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32));' \
             'os.execv(sys.argv[1], sys.argv[1:])'
    out = subprocess.run(["/usr/bin/python3", "-c", script, *argv], env=runtime.environment,
                         check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    seen = json.loads(out)
    assert int(seen["status"]["SigBlk"], 16) == 0
    assert seen["tty"] is None


def test_process_is_the_first_of_its_cgroup_and_namespace(runtime, bundle):
    seen = runtime.probe(bundle())
    assert [seen[name] for name in ("pid", "ppid", "sid", "pgid")] == [1, 0, 1, 1]
    box = runtime.container(bundle("/bin/sleep", "100"))
    box.create()
    box.start()
    seen = box.probe()
    assert seen["sid"] == seen["pgid"] == seen["pid"] != 1
    assert seen["status"]["Seccomp"] == "0" and seen["status"]["Threads"] == "1"
