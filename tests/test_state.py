# SPDX-License-Identifier: MIT
"""state: what is told of a container, when, and where it is kept."""

import datetime
import json
import os
import re

import pytest

from harness import kernel, schema
from harness.runtime import SCALE

SLEEP = ("/bin/sleep", "1000")
ANNOTATIONS = {"org.example.empty": "", "a": "ü \"quoted\" \\ \n\t\x01", "org.example.path": "/x"}


@pytest.fixture
def box(runtime, bundle):
    b = bundle(*SLEEP)
    b.config["annotations"] = ANNOTATIONS
    return runtime.container(b)


def test_over_a_life(box, runtime):
    before = datetime.datetime.now(datetime.timezone.utc)
    box.create()
    after = datetime.datetime.now(datetime.timezone.utc)
    created = box.state()
    assert created.pop("created") and {**created, "pid": 0} == {
        "ociVersion": "1.3.0", "id": box.id, "pid": 0, "status": "created",
        "bundle": str(box.bundle.path), "rootfs": str(box.bundle.rootfs),
        "annotations": ANNOTATIONS, "owner": ""}
    assert kernel.alive(created["pid"]) and kernel.ppid(created["pid"]) == os.getpid()
    text = box.state()["created"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", text)
    assert before <= datetime.datetime.fromisoformat(text[:26] + "+00:00") <= after
    box.start()
    assert box.state() == {**created, "created": text, "status": "running"}
    runtime.run("pause", box.id)
    assert box.state() == {**created, "created": text, "status": "paused"}
    runtime.run("resume", box.id)
    box.kill("KILL")
    box.wait_for("stopped")
    assert box.state() == {**created, "created": text, "status": "stopped", "pid": 0}


def test_text(box, runtime):
    """Two blanks a level, no newline at the end: as engines are used to."""
    box.create()
    text = runtime.run("state", box.id).stdout
    assert text.startswith('{\n  "ociVersion"') and text.endswith("}")
    assert "    \"a\": " in text


@pytest.mark.parametrize("status", ["created", "running", "stopped"])
def test_schema(box, status):
    box.create()
    if status != "created":
        box.start()
    if status == "stopped":
        box.kill("KILL")
        box.wait_for("stopped")
    schema.check(box.state(), "state-schema.json")
    assert box.status == status


def test_while_it_is_created(box, runtime, tmp_path):
    """A hook looks at the container from outside, with the commands people have."""
    commands = {"state": ("state", box.id), "list": ("list", "--format", "json"),
                "exec": ("exec", box.id, "/bin/true")}
    calls = "; ".join(" ".join(runtime.argv(*args)) + f" >{tmp_path}/{name} 2>&1"
                      for name, args in commands.items())
    box.bundle.config["hooks"] = {"createRuntime": [{
        "path": "/bin/sh", "args": ["sh", "-c", f"cat >{tmp_path}/stdin; {calls}; true"],
        "env": [f"{name}={value}" for name, value in runtime.environment.items()]}]}
    box.create()
    seen = {name: json.loads((tmp_path / name).read_text()) for name in ("stdin", "state", "list")}
    for state in (seen["stdin"], seen["state"], *seen["list"]):
        assert (state["status"], state["pid"]) == ("creating", box.pid)
    assert "cannot exec" in (tmp_path / "exec").read_text()
    assert box.status == "created"


@pytest.mark.parametrize("kind, command, status", [
    ("createRuntime", "run --detach", "creating"), ("createContainer", "run --detach", "creating"),
    ("startContainer", "start", "created"), ("poststart", "start", "running"),
    ("poststart", "run --detach", "running")])
def test_while_a_hook_runs(box, runtime, background, kind, command, status):
    """Seen by somebody else: a program is running when it has been executed, not before."""
    box.bundle.mount("/log", runtime.base, "bind", "rw")
    log = "/log" if kind == "startContainer" else runtime.base
    script = f"echo >{log}/reached; while [ ! -e {log}/go ]; do sleep 0.02; done"
    box.bundle.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", script],
                                          "env": ["PATH=/bin"]}]}
    if command == "start":
        box.create()
        operands = [box.id]
    else:
        operands = ["--bundle", box.bundle, box.id]
    process = background(*command.split(), *operands)
    kernel.eventually((runtime.base / "reached").exists)
    assert (box.status, box.state()["pid"] > 1) == (status, True)
    (runtime.base / "go").touch()
    assert process.wait(10 * SCALE) == 0
    assert box.status == "running"


@pytest.mark.parametrize("how", ["relative", "symlink", "current directory", "trailing slash"])
def test_bundle_is_absolute(box, runtime, tmp_path, how):
    path = box.bundle.path
    box.bundle.save()
    (tmp_path / "link").symlink_to(path)
    argument, cwd = {"relative": (path.name, path.parent), "symlink": (tmp_path / "link", None),
                     "current directory": (None, path), "trailing slash": (f"{path}/", None)}[how]
    runtime.run("create", *(["--bundle", argument] if argument else []), box.id, cwd=cwd)
    state = box.state()
    assert (state["bundle"], state["rootfs"]) == (str(path), str(path / "rootfs"))


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_files_are_private(box, runtime, umask):
    box.create(umask=umask)
    folder = runtime.root / box.id
    modes = {p.name: p.stat().st_mode & 0o777 for p in (runtime.root, folder, *folder.iterdir())
             if p.name != "start.sock"}
    assert modes == {"root": 0o700, box.id: 0o700, "state.json": 0o600, "config.json": 0o600}
    assert (folder / "start.sock").is_socket()
    box.start()
    assert sorted(os.listdir(folder)) == ["config.json", "state.json"]
