# SPDX-License-Identifier: MIT
"""The command line: options in all their spellings, help, logs, and the commands that only show."""

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from harness import kernel, private, schema
from harness.runtime import run

SLEEP = ("/bin/sleep", "1000")
CGROUP = pathlib.Path(private.CGROUP)
COMMANDS = ("run", "create", "start", "exec", "kill", "pause", "resume", "update", "events",
             "delete", "state", "list", "ps", "spec", "check", "plan", "verify",
             "explain", "features")
OPTION = re.compile(r"^  (?:-(\w), )?--([\w-]+)(?: (\S+))? ", re.MULTILINE)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture
def plain(hako):
    """plain(*args): hako without --root."""
    return lambda *args, **how: run([hako, *args], **how)


@pytest.fixture
def box(runtime, bundle):
    box = runtime.container(bundle(*SLEEP))
    box.create()
    box.start()
    return box


# --- help and version -------------------------------------------------------------

def test_help_lists_the_commands(plain):
    texts = [plain(*words) for words in (["--help"], ["-h"], ["help"])]
    assert len({t.stdout for t in texts}) == 1 and {t.stderr for t in texts} == {""}
    listed = re.findall(r"^  (\w+) +\S", texts[0].stdout, re.MULTILINE)
    assert listed == list(COMMANDS)


def options_of(plain, command):
    return OPTION.findall(plain(*command, "--help").stdout)


@pytest.mark.parametrize("command", [(), *[(c,) for c in COMMANDS]],
                         ids=lambda command: " ".join(command) or "hako")
def test_options_of_help_are_accepted(plain, command):
    text = plain(*command, "--help").stdout
    assert text.startswith("usage: hako ")
    options = options_of(plain, command)
    assert ("h", "help", "") in options
    for letter, name, argument in options:
        if name in ("help", "version"):
            continue
        value = argument.partition("|")[0]
        spellings = [f"--{name}", f"-{name}"] + [f"-{letter}"] * bool(letter)
        for word in spellings:
            for words in ([word, value], [f"{word}={value}"]) if argument else ([word],):
                got = plain(*command, *words, "--help", check=False)
                assert (got.returncode, got.stdout) == (0, text), got
                if argument:
                    assert plain(*command, word, check=False).returncode == 64


@pytest.mark.parametrize("name", ["--version", "-v", "-V", "-version"])
def test_version(plain, name):
    first, *lines = plain(name).stdout.splitlines()
    assert re.fullmatch(r"hako version \d+\.\d+\S*", first)
    assert [line.partition(":")[0] for line in lines[:-1]] == ["commit", "spec", "libseccomp"]
    assert "+SECCOMP" in lines[-1].split() and "+CAP" in lines[-1].split()


def test_options_without_effect(runtime, box):
    """What go-runc and scripts for other runtimes may say."""
    for words in ("--criu /usr/sbin/criu", "--criu=criu", "--rootless true", "--rootless=auto"):
        assert runtime.run(*words.split(), "state", box.id).json()["status"] == "running"
    runtime.run("exec", "--no-subreaper", box.id, "/bin/true")


@pytest.mark.parametrize("line, spelt", [
    ("update ID --pids-limit 7", "--pids-limit"), ("delete ID --force", None),
    ("run ID --detach --bundle BUNDLE", None), ("run -d ID --bundle BUNDLE", None),
    ("create ID -b BUNDLE", None), ("create --no-new-keyring ID -b BUNDLE --preserve-fds 0 --", None),
    ("events ID --stats", None), ("list -q --format json", None), ("delete -f -- ID", None)])
def test_options_after_operands(runtime, bundle, box, line, spelt):
    words = line.split()
    if words[0] in ("run", "create"):
        box = runtime.container(bundle(*SLEEP))
    words = [{"ID": box.id, "BUNDLE": str(box.bundle.save().path)}.get(w, w) for w in words]
    result = runtime.run(*words, check=False)
    assert result.returncode == 0 or (spelt and "pids.max" in result.stderr), result
    if words[0] in ("run", "create"):
        assert box.status in ("running", "created")


@pytest.mark.parametrize("line", ["exec ID --cwd /", "kill ID --all", "ps ID --format json",
                                  "delete -- ID --force", "state ID ID2", "start ID --none",
                                  "create ID --bundle", "delete -- --force"])
def test_operands_that_are_no_options(runtime, box, line):
    result = runtime.run(*[{"ID": box.id}.get(w, w) for w in line.split()], check=False)
    assert result.returncode != 0 and result.stderr.count("hako: ") == 1, result
    assert box.status == "running"


USAGE = [
    "", "none", "--none", "-z", "--log-format xml list", "--log-level loud list", "--root",
    "--cgroup-manager other list", "list --none", "list extra", "list --format xml", "state",
    "state a b", "start", "kill", "kill a TERM x", "delete", "delete --force=maybe a", "exec",
    "exec a", "create", "create a b", "run --preserve-fds x a", "ps", "spec extra",
    "features extra", "plan a b",
    "create --bundle", "run --detach=5 a", "state --force a",
]


@pytest.mark.parametrize("line", USAGE)
def test_usage_errors(plain, line):
    result = plain(*line.split(), check=False)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (64, "", 1), result
    assert result.stderr.startswith("hako: error: ")


@pytest.mark.parametrize("line", ["checkpoint", "checkpoint --help", "checkpoint -h", "restore",
                                  "checkpoint --image-path /x --leave-running a",
                                  "restore --lsm-mount-context", "restore --help"])
def test_no_checkpoint(plain, tmp_path, line):
    """Engines try these to learn whether there is one."""
    log = tmp_path / "log"
    result = plain("--log", log, "--log-format", "json", *line.split(), check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"hako: error: hako has no (checkpoint|restore): .*\n", result.stderr)
    assert "requires an argument" not in result.stderr
    assert json.loads(log.read_text())["level"] == "error"


def test_option_without_its_argument_says_so(plain):
    assert "requires an argument" in plain("create", "--bundle", check=False).stderr


@pytest.mark.parametrize("words", [
    ["--bundle", "B"], ["--bundle=B"], ["-bundle", "B"], ["-bundle=B"], ["-b", "B"], ["-bB"],
    ["-b=B"], ["--"]])
def test_spellings_of_an_option(runtime, bundle, words):
    b = bundle().sh("echo here")
    b.save()
    result = runtime.run("run", *[w.replace("B", b.path.name) for w in words], runtime.new_id(),
                         cwd=b.path.parent if words != ["--"] else b.path)
    assert result.stdout == "here\n"


@pytest.mark.parametrize("word, gone", [("--force", True), ("-force", True), ("-f", True),
                                        ("--force=true", True), ("--force=false", False)])
def test_spellings_of_a_flag(runtime, box, word, gone):
    assert (runtime.run("delete", word, box.id, check=False).returncode == 0) == gone
    assert (CGROUP / box.id).exists() != gone


# --- root ---------------------------------------------------------------------------

@pytest.mark.parametrize("words", [["--root", "R/a/b"], ["--root=R/a/b"], ["-root", "R/a/b"]])
def test_root(plain, bundle, token, tmp_path, words):
    words = [word.replace("R", tmp_path.name) for word in words]
    plain(*words, "create", "--bundle", bundle(*SLEEP), token, cwd=tmp_path.parent)
    assert (tmp_path / "a/b" / token / "state.json").exists()
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
    plain(*words, "delete", token, cwd=tmp_path.parent)
    assert os.listdir(tmp_path / "a/b") == []


@pytest.mark.parametrize("root, message", [
    ("/", "--root cannot be"), ("//", "--root cannot be"), ("", "--root cannot be"),
    ("/proc/version", "not a directory"), ("/proc/none", "no such file or directory")])
def test_root_refused(plain, bundle, token, root, message):
    for command in (["create", "--bundle", bundle(*SLEEP), token], ["list"]):
        result = plain("--root", root, *command, check=False)
        assert (result.returncode, message in result.stderr) == (1, True), result


IN_EMPTY_RUN = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs /run && "$@"', "sh"]


@pytest.mark.parametrize("args, expected", [
    (["list", "--format", "json"], "null\n"), (["list", "-q"], "")])
def test_default_root_need_not_exist(hako, args, expected):
    assert run([*IN_EMPTY_RUN, hako, *args]).stdout == expected


def test_default_root(hako, bundle, token):
    script = (f"mount -t tmpfs tmpfs /run && $0 create --bundle {os.fspath(bundle(*SLEEP))} {token}"
              f" && ls /run/hako && stat -c %a /run/hako && $0 delete {token}")
    result = run(["unshare", "-m", "sh", "-c", script, hako])
    assert result.stdout.split() == [token, "700"]


def test_default_root_of_a_user(hako, run_as_user):
    assert run_as_user(hako, "list", "-q").stdout == ""
    assert run_as_user(hako, "list", "--format=json").stdout == "null\n"
    result = run_as_user(hako, "state", "x", check=False)
    assert "does not exist" in result.stderr
    result = run_as_user("env", "-u", "XDG_RUNTIME_DIR", hako, "list", check=False)
    assert (result.returncode, "XDG_RUNTIME_DIR" in result.stderr) == (1, True)


# --- log --------------------------------------------------------------------------------

def records(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


FAILURES = {
    "a missing container": ["state", "none"],
    "a bad id": ["state", "../x"],
    "quotes and control characters": ["state", 'a"\\\n\t\x01\x7f b'],
    "letters that are not ASCII": ["state", "grün"],
    "bytes that are not UTF-8": ["state", b"\xff\xc3\xe2\x82"],
    "a long text": ["state", "ü" * 5000],
    "a bad option": ["state", "--none", "x"],
    "a missing operand": ["state"],
    "a missing bundle": ["create", "--bundle", "/none", "x"],
    "exec": ["exec", "none", "/bin/true"],
    "a bad level of detail": ["list", "--format", "xml"],
}


@pytest.mark.parametrize("args", FAILURES.values(), ids=FAILURES.keys())
def test_json_log_of_a_failure(runtime, tmp_path, args):
    log = tmp_path / "log.json"
    argv = [os.fsencode(word) for word in runtime.argv("--log", log, "--log-format", "json")] + [
        os.fsencode(word) for word in args]
    result = subprocess.run(argv, capture_output=True, check=False)
    record, = records(log)  # exactly one
    assert result.returncode in (1, 64, 255) and result.stdout == b""
    assert sorted(record) == ["level", "msg", "time"]
    assert record["level"] == "error" and TIME.fullmatch(record["time"])
    shown, = result.stderr.decode("utf-8", "replace").splitlines()
    plain_text = re.compile("[\\x00-\\x1f\\x7f?\ufffd]")  # the rest is shown differently
    assert plain_text.sub("", shown) == "hako: error: " + plain_text.sub("", record["msg"])


def test_nothing_is_logged_on_success(runtime, bundle, tmp_path):
    log = tmp_path / "log.json"
    runtime.options = ["--log", str(log), "--log-format=json"]
    box = runtime.container(bundle(*SLEEP))
    results = [box.create(), box.start(), box.exec("/bin/true"), box.kill("KILL")]
    box.wait_for("stopped")
    results.append(box.delete())
    assert [r.stdout + r.stderr for r in results] == [""] * 5
    assert log.read_text() == ""


def test_log_is_appended_to(runtime, tmp_path):
    for _ in range(2):
        runtime.run("--log", "log", "--log-format", "json", "state", "x", check=False, cwd=tmp_path)
    assert len(records(tmp_path / "log")) == 2


@pytest.mark.parametrize("words", [["--log-level", "debug"], ["--debug"]])
def test_debug_log(runtime, bundle, tmp_path, words):
    log = tmp_path / "log"
    b = bundle("/bin/true")
    result = runtime.run(*words, "--log", log, "--log-format", "json",
                         "run", "--bundle", b, runtime.new_id())
    assert result.stderr == ""
    assert {r["level"] for r in records(log)} == {"debug"}
    steps = [r["msg"] for r in records(log)]
    assert any("attach the rootfs" in s for s in steps)  # init writes there, too
    text = runtime.run(*words, "run", "--bundle", b, runtime.new_id()).stderr.splitlines()
    assert all(line.startswith("hako: debug: ") for line in text)
    assert len(text) == len(steps)


def test_text_log(runtime, tmp_path):
    result = runtime.run("--log", tmp_path / "log", "state", "none", check=False)
    assert (tmp_path / "log").read_text() == result.stderr


@pytest.mark.parametrize("kind", ["file", "journald", "syslog"])
def test_kind_of_log(runtime, tmp_path, kind):
    """crun's spelling; a record must not end up in a file of a strange name."""
    runtime.options = ["--log", f"{kind}:{'log' if kind == 'file' else 'id'}"]
    result = runtime.run("state", "none", check=False, cwd=tmp_path)
    if kind == "file":
        assert "does not exist" in (tmp_path / "log").read_text()
    else:
        assert result.returncode == 64 and "only a file" in result.stderr
    assert [name for name in os.listdir(tmp_path) if ":" in name] == []


def test_log_that_cannot_be_opened(runtime):
    result = runtime.run("--log", "/none/log", "list", check=False)
    assert (result.returncode, "open log file /none/log" in result.stderr) == (1, True)


# --- list, ps ---------------------------------------------------------------------------------

def test_list(runtime, bundle):
    runtime.root.mkdir(mode=0o700)
    header = runtime.run("list").stdout
    assert header.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert runtime.run("list", "--format", "json").stdout == "null\n"
    boxes = [runtime.container(bundle(*SLEEP)) for _ in range(3)]
    for box in reversed(boxes):
        box.create()
    boxes[1].start()
    boxes[2].kill("KILL")
    boxes[2].wait_for("stopped")
    (runtime.root / ".cache").mkdir(exist_ok=True)  # neither is a container
    (runtime.root / "file").write_text("")
    states = [box.state() | {"owner": "root"} for box in boxes]
    assert runtime.run("list", "--format=json").json() == states
    assert runtime.run("list", "--format=json").stdout.count("\n") == 1
    assert runtime.run("list", "-q").stdout.split() == [box.id for box in boxes]
    rows = [line.split() for line in runtime.run("list").stdout.splitlines()[1:]]
    columns = ("id", "pid", "status", "bundle", "created", "owner")
    assert rows == [[str(state[column]) for column in columns] for state in states]
    (runtime.root / "file").unlink()


def test_list_of_a_broken_container(runtime, bundle):
    boxes = [runtime.container(bundle(*SLEEP)) for _ in range(2)]
    for box in boxes:
        box.create()
    (runtime.root / boxes[0].id / "state.json").write_text("{")
    for words in (["-q"], ["--format", "json"], []):
        result = runtime.run("list", *words, check=False)
        assert boxes[1].id in result.stdout and boxes[0].id not in result.stdout
        assert f"list {boxes[0].id}: " in result.stderr and result.stderr.count("\n") == 1


def test_list_of_a_missing_root(runtime):
    result = runtime.run("list", check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert "no such file or directory" in result.stderr


def test_ps(runtime, box):
    (CGROUP / box.id / "sub").mkdir()
    box.exec(*SLEEP, options=("--detach",))
    box.exec(*SLEEP, options=("--detach", "--cgroup", "sub"))
    pids = kernel.cgroup_pids(CGROUP / box.id)
    assert len(pids) == 3
    result = runtime.run("ps", "--format", "json", box.id)
    assert set(result.json()) == pids and result.stdout.count("\n") == 1
    table = runtime.run("ps", box.id).stdout.splitlines()
    assert table[0].split()[:3] == ["UID", "PID", "PPID"]
    assert {int(line.split()[1]) for line in table[1:]} == pids
    table = runtime.run("ps", box.id, "-eo", "ppid,pid,comm").stdout.splitlines()
    assert table[0].split() == ["PPID", "PID", "COMMAND"]
    assert {int(line.split()[1]) for line in table[1:]} == pids


@pytest.mark.parametrize("name", ["runtime", "runc"])
@pytest.mark.parametrize("own_pids", [True, False])
def test_ps_of_a_stopped_container(request, bundle, name, own_pids):
    """No error: nobody, or whoever init has left behind."""
    runtime = request.getfixturevalue(name)
    b = bundle().sh("sleep 1000 & exit")
    box = runtime.container(b if own_pids else b.without_namespace("pid"))
    box.create()
    box.start()
    box.wait_for("stopped")
    left = kernel.cgroup_pids(CGROUP / box.id)
    assert len(left) == (not own_pids)
    assert set(runtime.run("ps", "--format", "json", box.id).json() or []) == left
    table = runtime.run("ps", box.id).stdout.splitlines()
    assert {int(line.split()[1]) for line in table[1:]} == left and "PID" in table[0]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    kernel.eventually(lambda: kernel.cgroup_pids(CGROUP / box.id) == set())


@pytest.mark.parametrize("words, message", [
    (["-eo", "comm"], "no PID column"), (["--nonsense"], "ps")])
def test_ps_with_bad_options(runtime, box, words, message):
    result = runtime.run("ps", box.id, *words, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert message in result.stderr.splitlines()[-1]


# --- spec, features ------------------------------------------------------------------------------

@pytest.mark.parametrize("words", [[], ["--rootless"]])
def test_spec(plain, tmp_path, words):
    plain("spec", *words, cwd=tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    schema.check(config, "config-schema.json")
    assert ("uidMappings" in config["linux"]) == bool(words)
    written = (tmp_path / "config.json").read_bytes()
    result = plain("spec", *words, cwd=tmp_path, check=False)
    assert (result.returncode, "config.json exists" in result.stderr) == (1, True)
    assert (tmp_path / "config.json").read_bytes() == written
    plain("spec", *words, "--bundle", tmp_path, "--file", "other.json")
    assert (tmp_path / "other.json").read_bytes() == written
    plain("plan", tmp_path)


def without_terminal(path):
    config = json.loads((path / "config.json").read_text())
    assert config["process"].pop("terminal") is True
    (path / "config.json").write_text(json.dumps(config))


def test_spec_runs(runtime, plain, bundle):
    b = bundle()
    plain("spec", cwd=b.path)
    b.config = None
    without_terminal(b.path)
    script = "id -u; touch /x || echo read-only; grep CapEff /proc/self/status"
    result = runtime.run_bundle(b, input=script)
    assert result.stdout.split() == ["0", "read-only", "CapEff:", "0000000020000420"]


def test_spec_runs_as_a_user(rootless, hako, bundle, user):
    b = bundle(owner=user)
    run([hako, "spec", "--rootless"], user=user, cwd=b.path)
    b.config = None
    without_terminal(b.path)
    result = rootless.run_bundle(b, input="id -u; cat /proc/self/uid_map")
    assert result.stdout.split() == ["0", "0", str(user.uid), "1"]


def test_spec_into_nothing(plain):
    result = plain("spec", "--bundle", "/none", check=False)
    assert (result.returncode, "bundle /none: no such file" in result.stderr) == (1, True)


def test_features(plain, run_as_user, hako):
    result = plain("features")
    features = result.json()
    assert result.stderr == ""
    schema.check(features, "features-schema.json")
    assert features["ociVersionMin"].startswith("1.") and features["ociVersionMax"].startswith("1.")
    assert sorted(features["linux"]["namespaces"]) == [
        "cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]
    assert {"rro", "rbind", "rprivate", "nosymfollow", "tmpcopyup"} <= set(features["mountOptions"])
    assert "CAP_CHECKPOINT_RESTORE" in features["linux"]["capabilities"]
    assert run_as_user(hako, "features").stdout == result.stdout


CALLS = ("read", "open", "close", "stat", "fstat", "lstat", "poll", "lseek", "mmap", "brk")


def test_features_are_kept(plain, bundle):
    """What is promised is taken."""
    features = plain("features").json()
    b = bundle()
    for option in set(features["mountOptions"]) - {"idmap", "ridmap", "tmpcopyup"}:
        b.mount(f"/{option}", "/", "bind", option)
    b.mount("/tmp", "tmpfs", "tmpcopyup", type="tmpfs")
    b.capabilities(*features["linux"]["capabilities"])
    seccomp = features["linux"]["seccomp"]
    b.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": seccomp["archs"],
        "flags": seccomp["supportedFlags"], "listenerPath": "/run/agent.sock",
        "syscalls": [{"names": [name], "action": action}
                     for name, action in zip(CALLS, seccomp["actions"])] + [
            {"names": ["write"], "action": "SCMP_ACT_ERRNO",
             "args": [{"index": 0, "value": 1, "valueTwo": 1, "op": op}]}
            for op in seccomp["operators"]]}
    for hook in features["hooks"]:
        b.config.setdefault("hooks", {})[hook] = [{"path": "/bin/true"}]
    plain("--strict", "plan", b)


def test_output_that_cannot_be_written(runtime, box):
    box.bundle.save()
    for command in (["state", box.id], ["list"], ["list", "--format=json"], ["features"],
                    ["ps", "--format=json", box.id], ["plan", box.bundle.path], ["--version"],
                    ["--help"]):
        with open("/dev/full", "wb") as full:
            result = runtime.run(*command, check=False, stdout=full)
        assert result.returncode == 1, result
        assert "standard output: no space left on device" in result.stderr
