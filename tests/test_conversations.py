# SPDX-License-Identifier: MIT
"""Conversations of Podman, containerd, Docker, Buildah and CRI-O with runc, replayed against hako: what
they look at must be the same. The replay against runc itself shows that it is the conversation
that was recorded."""

import contextlib
import json
import pathlib
import re

import pytest

from harness import conversations, kernel, leaks as leak, private
from harness.conversations import Replay, option
from harness.kernel import eventually

LEFT_OUT = {"checkpoint"}  # commands that hako does not have
CGROUP = pathlib.Path(private.CGROUP)
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture
def empty_run():
    """Engines leave --root to the runtime: its default must be this test's own."""
    private.mount("tmpfs", "/run", "tmpfs")
    yield
    private.umount("/run")


@pytest.fixture
def replay(empty_run, bundle, tmp_path, token):
    """replay(engine, conversation, runtime)"""
    made = []

    def make(engine, name, runtime):
        folder = tmp_path / f"replay{len(made)}"
        folder.mkdir()
        made.append(Replay(engine, name, runtime, bundle(), folder, f"{token}-{len(made)}"))
        return made[-1]

    yield make
    for each in made:
        each.close()
        parent = CGROUP / each.words["parent"]
        with contextlib.suppress(OSError):  # the search for leaks tells
            parent.rmdir()


# --- what engines make of an answer ---------------------------------------------

def podman_message(answer):
    """The log, when the whole of it is one JSON object; otherwise standard error."""
    try:
        return json.loads(answer.log)["msg"]
    except ValueError:
        return answer.stderr


def podman_exit(message):
    """What `podman run` exits with after a failure."""
    if re.search("permission denied|operation not permitted", message, re.IGNORECASE):
        return 126
    found = "executable file not found in|no such file or directory|open executable"
    return 127 if re.search(found, message, re.IGNORECASE) else 126


def shim_message(answer):
    """The message of the log's last record of level error; the log must be JSON throughout."""
    return [r["msg"] for r in map(json.loads, answer.log.splitlines()) if r["level"] == "error"][-1]


def docker_exit(message):
    """What `docker run` exits with after a failure, from the shim's message."""
    message = message.lower()
    for code, texts in ((126, ("permission denied", "is a directory")),
                        (127, ("not a directory", "executable file not found",
                               "no such file or directory"))):
        if any(text in message for text in texts):
            return code
    return 128


def shim_error(answer):
    """What a failed kill or delete is to containerd."""
    text = answer.stdout + answer.stderr
    if "os: process already finished" in text or "container not running" in text or \
            "no such process" in text.lower():
        return "not running"
    return "no such container" if "does not exist" in text else "unknown"


def crio_error(answer):
    gone = ("no such process", "container not running", "invalid process")
    return "not found" if any(text in answer.stderr for text in gone) else "unknown"


def error(by, command, answer):
    """What the caller makes of a failure."""
    if by.startswith("conmon"):
        return podman_exit(podman_message(answer))
    if by.startswith("shim") and command in ("create", "exec", "start"):
        return docker_exit(shim_message(answer))
    if by.startswith("shim") and command in ("kill", "delete"):
        return shim_error(answer)
    if by == "crio" and command in ("kill", "pause", "resume"):
        return crio_error(answer)
    return answer.stdout + answer.stderr != ""  # it is shown, no more


def state(text):
    """The properties that any engine decodes; the time must be one."""
    found = json.loads(text)
    assert RFC3339.fullmatch(found["created"])
    wanted = ("id", "pid", "status", "bundle", "rootfs", "annotations")
    return {key: found.get(key) for key in wanted}


def features(text):
    """CRI-O refuses a runtime without versions; containerd looks for the rest."""
    found = json.loads(text)
    return {"versions": all(found[f"ociVersion{end}"] for end in ("Min", "Max")),
            "recursive read-only": "rro" in found["mountOptions"],
            "user namespaces": "user" in found["linux"]["namespaces"]}


def events(text):
    found = json.loads(text)
    return {"type": found["type"], "id": found["id"], "pids": found["data"]["pids"]["current"],
            "cpu": found["data"]["cpu"]["usage"]["total"] > 0}


def version(text):
    """Docker and go-runc read `NAME version NUMBER`."""
    return bool(re.match(r"\w+ version \d\S*\n", text))


OUTPUT = {"state": state, "features": features, "events": events, "--version": version,
          "ps": lambda text: sorted(json.loads(text))}


def understood(by, command, answer):
    """An answer in the eyes of who asked."""
    seen = {"exit": answer.exit, "pid file": answer.pid_file}
    if answer.exit != 0 and not (command == "exec" and answer.exit < 128):
        return seen | {"error": error(by, command, answer)}
    if command in OUTPUT:
        return seen | {"output": OUTPUT[command](answer.stdout)}
    return seen | {"output": answer.stdout, "errors": answer.stderr}


# --- what holds of every answer ---------------------------------------------------

def look_at_new_process(replay, row):
    """It is a child of its caller, the runtime has left nothing else there."""
    process = replay.processes[row["makes"]]
    assert kernel.ppid(process.pid) == process.by.pid
    assert process.by.children() <= {p.pid for p in replay.processes.values()}


def look_at_started(replay, row):
    """It has the descriptors that it was given, and ignores no signal that its caller did."""
    init = replay.processes["init"]
    preserved = option(row["argv"], "--preserve-fds") or 0
    assert set(kernel.descriptors(init.pid)) == set(range(3 + int(preserved)))
    assert kernel.signals(init.pid, "SigIgn") == 0


def look_at_failure(answer):
    """hako says it in one line, and in one record of the log: Podman accepts no more."""
    assert answer.stderr.count("\n") + answer.stdout.count("\n") == 1
    if answer.log:
        record = json.loads(answer.log)
        assert record.keys() == {"level", "msg", "time"} and record["level"] == "error"
        assert RFC3339.fullmatch(record["time"])
        assert record["msg"] in answer.stderr + answer.stdout


def left():
    """State of containers in the folders where a runtime keeps it when it is not told."""
    roots = [pathlib.Path("/run", name) for name in (
        "hako", "runc", "containerd/runc/default", "docker/runtime-runc/moby")]
    return leak.states(roots)


def play(replay, own):
    args = replay.bundle.process["args"]
    for row, answer in replay.rows():
        by, command, expected = row["by"], row["argv"][0], replay.expected(row)
        assert understood(by, command, answer) == understood(by, command, expected), answer
        if "makes" in row:
            look_at_new_process(replay, row)
            made = row
        if command == "start" and args[0].endswith("sleep"):
            eventually(lambda: kernel.cmdline(replay.processes["init"].pid) == args)
            look_at_started(replay, made)
        if own and answer.exit != 0 and command != "exec":
            look_at_failure(answer)
    assert left() == []


NAMES = conversations.names()
REPLAYED = [name for name in NAMES if not LEFT_OUT & conversations.commands(*name)]


@pytest.mark.parametrize("engine, name", REPLAYED)
def test_hako_answers_as_runc_did(replay, hako, engine, name):
    play(replay(engine, name, hako), own=True)


@pytest.mark.parametrize("engine, name", NAMES)
def test_runc_answers_as_it_did(replay, runc, engine, name):
    play(replay(engine, name, runc.path), own=False)


@pytest.mark.parametrize("command", sorted(LEFT_OUT))
def test_engines_learn_what_is_left_out(runtime, command):
    """Podman and CRI-O ask with --help, and look at the exit status alone. When this fails hako has
    the command: its conversations can be replayed."""
    assert runtime.run(command, "--help", check=False).returncode == 1


# --- callers and bundles that go away ----------------------------------------------

@pytest.mark.parametrize("caller", ["conmon", "shim"])
def test_the_caller_is_killed(runtime, bundle, request, caller):
    """The runtime dies with it, and whoever comes next can clean up."""
    client, b = request.getfixturevalue(caller), bundle("/bin/true")
    hook = {"path": "/bin/sleep", "args": ["sleep", "1000"]}
    b.config["hooks"] = {"createContainer": [hook]}
    box = runtime.container(b)
    call = client.start(runtime.argv("create", "--bundle", b, box.id))
    inside = lambda: kernel.cgroup_pids(CGROUP / box.id)
    eventually(lambda: ["sleep", "1000"] in map(kernel.cmdline, inside()))
    client.kill()
    eventually(lambda: not kernel.alive(call.pid))
    eventually(lambda: inside() == set())
    box.delete("--force")


@pytest.mark.parametrize("name", ["runtime", "runc"])
def test_delete_where_the_bundle_has_gone(request, shim, tmp_path, name):
    """containerd's last call, always made: in the folder of a bundle that it has removed."""
    runtime = request.getfixturevalue(name)
    delete = runtime.argv("--log", tmp_path / "log.json", "delete", "--force", runtime.new_id())
    (tmp_path / "gone").mkdir()
    script = ["/bin/sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *delete]
    call = shim.call(script, cwd=tmp_path / "gone")
    assert (call.status, call.read(1), call.read(2)) == (0, "", "")
