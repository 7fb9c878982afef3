# SPDX-License-Identifier: MIT
"""--trace: what took how long, of all processes, as JSON for Perfetto and chrome://tracing."""

import json
import os
import re
import shutil
import subprocess

import pytest

from harness.kernel import eventually
from harness.runtime import SCALE

SLEEP = ("/bin/sleep", "1000")


class Trace:
    """A file, checked: every span belongs to a lane that has a name."""

    def __init__(self, file):
        everything = json.loads(file.read_text())
        events = everything["traceEvents"]
        self.dropped = everything["otherData"]["dropped"]
        named = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
        self.title, = [e["args"]["name"] for e in events if e["name"] == "process_name"]
        self.lanes = sorted(named.values())
        self.spans = [e | {"lane": named[e["tid"]]} for e in events if e["ph"] in "XB"]
        assert {e["ph"] for e in events} <= set("MXB")
        assert len({e["pid"] for e in events}) == 1
        for span in self.spans:
            assert span["ts"] >= 0 and span.get("dur", 0) >= 0

    def find(self, name=None, **members):
        return [s for s in self.spans if name in (None, s["name"]) and members.items() <= s.items()]

    def one(self, name, **members):
        span, = self.find(name, **members)
        return span

    def within(self, inner, outer):
        assert outer["ts"] <= inner["ts"]
        assert inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"] + 0.001


@pytest.fixture
def trace(runtime, tmp_path):
    """trace(command, *args): the Trace of it, and its Result as .result."""
    def run(*args, **how):
        file = tmp_path / "trace.json"
        result = runtime.run("--trace", file, *args, **{"check": False, **how})
        found = Trace(file)
        found.result = result
        return found

    return run


def test_run(trace, runtime, bundle):
    id = runtime.new_id()
    t = trace("run", "--bundle", bundle().sh("sleep 0.2; exit 3"), id)
    assert (t.result.returncode, t.result.stderr, t.dropped) == (3, "", 0)
    assert t.title == f"hako run {id}" and t.lanes == ["init", "parent"]
    whole = t.one("run", cat="command")
    for span in t.find(lane="parent"):
        t.within(span, whole)
    order = ["parse JSON", "decode", "plan", "create the cgroup", "clone init", "write limits"]
    starts = [t.one(name, **({"cat": "PREPARE"} if "cgroup" in name else {}) or
                    ({"cat": "ATTACH"} if "limits" in name else {}) or
                    ({"args": {}} if name == "plan" else {}))["ts"] for name in order]
    assert starts == sorted(starts)
    assert t.one("attach mounts")["lane"] == t.one("apply credentials", cat="CONFINE")["lane"] == "init"
    assert t.one("write limits", cat="ATTACH")["lane"] == "parent"
    process = t.one("the process")
    executed = max(s["ts"] + s["dur"] for s in t.find(lane="init"))
    assert process["ts"] + process["dur"] >= executed + 200_000
    assert t.find(cat="undo", lane="parent")
    assert t.one("attach mounts")["args"]["detail"] == "/mounts"


def steps(plain_text):
    return [line.split(": ", 3)[2:] for line in plain_text.splitlines()
            if re.match(r"hako: debug: [A-Z]+: ", line)]


def test_every_step_has_a_span(trace, runtime, bundle, tmp_path):
    """The debug log names the steps, too."""
    runtime.options = ["--debug"]
    t = trace("run", "--bundle", bundle("/bin/true"), runtime.new_id())
    logged = sorted((phase, name) for phase, name in steps(t.result.stderr))
    traced = sorted((s["cat"], s["name"]) for s in t.spans if s["cat"].isupper())
    assert traced == logged and len(logged) > 40


def test_planners_have_spans(trace, bundle):
    t = trace("plan", bundle("/bin/true"))
    whole = t.one("plan", cat="plan", args={})
    inner = [s for s in t.find(cat="plan") if s["args"]]
    assert len(inner) > 20
    for span in inner:
        t.within(span, whole)


def test_hooks(trace, runtime, bundle):
    b = bundle("/bin/true")
    kinds = {"prestart": "parent", "createRuntime": "parent", "createContainer": "init",
             "startContainer": "init", "poststart": "parent", "poststop": "parent"}
    b.config["hooks"] = {kind: [{"path": "/bin/sleep", "args": ["sleep", "0.02"]}] * 2 for kind in kinds}
    t = trace("run", "--bundle", b, runtime.new_id())
    assert t.result.returncode == 0, t.result
    for kind, lane in kinds.items():
        spans = t.find(kind, cat="hook")
        assert [s["lane"] for s in spans] == [lane] * 2
        assert all(s["dur"] >= 20_000 and s["args"]["detail"] == "/bin/sleep" for s in spans)
    t.within(t.find("createContainer")[0], t.one("run hooks before the pivot"))


def test_intermediate(trace, runtime, bundle):
    """exec into a pid namespace goes through one."""
    box = runtime.container(bundle(*SLEEP))
    box.create()
    box.start()
    t = trace("exec", box.id, "/bin/sh", "-c", "exit 5")
    assert t.result.returncode == 5 and t.lanes == ["init", "intermediate", "parent"]
    assert t.one("join namespaces")["lane"] == "intermediate"
    assert t.one("find the program", cat="CONFINE")["lane"] == "init"


def test_create_start_delete(trace, runtime, bundle):
    """An init that has been waiting takes part in the trace of `start`, and of no other."""
    box = runtime.container(bundle(*SLEEP))
    t = trace("create", "--bundle", box.bundle, box.id)
    assert t.one("attach mounts")["lane"] == "init" and not t.find("load seccomp", cat="START")
    t = trace("start", box.id)
    assert t.one("load seccomp", cat="START")["lane"] == "init"
    assert not t.find("attach mounts") and "dur" in t.one("execve", cat="wait")
    t = trace("delete", "--force", box.id)
    assert t.one("create the cgroup", cat="undo")["lane"] == "parent" and t.lanes == ["parent"]


def test_start_without_a_trace(trace, runtime, bundle, tmp_path):
    """What create has begun is not gone on with."""
    box = runtime.container(bundle(*SLEEP))
    trace("create", "--bundle", box.bundle, box.id)
    before = (tmp_path / "trace.json").read_text()
    box.start()
    assert (tmp_path / "trace.json").read_text() == before and box.status == "running"


def test_nothing_is_left_in_the_container(trace, runtime, bundle):
    """Neither the file nor the memory reaches the program."""
    script = "grep -c hako-trace /proc/self/maps; ls -l /proc/self/fd | grep -c trace; true"
    t = trace("run", "--bundle", bundle().sh(script), runtime.new_id())
    assert t.result.stdout.split() == ["0", "0"]


@pytest.mark.parametrize("break_it, name, lane", [
    (lambda c: c["process"].update(args=["/none"]), "find the program", "init"),
    (lambda c: c["mounts"].append({"destination": "/x", "type": "none-such"}), "attach mounts", "init"),
    (lambda c: c["process"].update(cwd="x"), "decode", "parent"),
    (lambda c: c.update(hooks={"prestart": [{"path": "/bin/false"}]}), "prestart", "parent")])
def test_failure(trace, runtime, bundle, break_it, name, lane):
    b = bundle("/bin/true")
    break_it(b.config)
    t = trace("run", "--bundle", b, runtime.new_id())
    assert t.result.returncode == 1
    failed = [s for s in t.find(name, lane=lane) if "failure" in s["args"]]
    assert len(failed) == 1, t.spans
    assert t.one("run", cat="command")["args"]["failure"][:20] in t.result.stderr


@pytest.mark.parametrize("args", [["state", "none"], ["list"], ["features"], ["kill", "none"],
                                  ["check", "/none"], ["delete", "--force", "none"]])
def test_other_commands(trace, runtime, args):
    runtime.root.mkdir(mode=0o700, exist_ok=True)
    t = trace(*args)
    assert t.one(args[0], cat="command")["dur"] > 0


def test_names_are_quoted(trace, runtime, bundle):
    b = bundle("/bin/true")
    b.config["hooks"] = {"prestart": [{"path": "/none\"\\\u00fc\x7f" + "\u00e4" * 100}]}
    t = trace("run", "--bundle", b, runtime.new_id())
    assert t.one("prestart")["args"]["detail"].startswith("/none\"\\\u00fc")


def test_processes_that_are_killed(background, runtime, bundle, tmp_path):
    """A span without an end is a begin."""
    file = tmp_path / "t.json"
    b = bundle("/bin/true")
    script = f"echo >{tmp_path}/reached; exec sleep 1000"
    b.config["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script],
                                              "env": ["PATH=/bin"]}]}
    for deadline in ("0.5", "5", "50"):
        run = background("--trace", file, "run", "--timeout", deadline, "--bundle", b,
                         runtime.new_id(), stderr=subprocess.DEVNULL)
        assert run.wait(60 * SCALE) == 124
        if (tmp_path / "reached").exists():
            break
    t = Trace(file)
    assert t.one("createContainer", cat="hook")["ph"] == "B"
    assert t.one("run", cat="command")["ph"] == "X"


@pytest.mark.parametrize("path", ["/none/trace", "/", ""])
def test_file_that_cannot_be_opened(runtime, bundle, path):
    b = bundle().sh("echo ran >/tmp/ran")
    result = runtime.run(f"--trace={path}", "run", "--bundle", b, runtime.new_id(), check=False)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "open trace file" in result.stderr and not (b.rootfs / "tmp" / "ran").exists()


def test_full_device(runtime):
    runtime.root.mkdir(mode=0o700, exist_ok=True)
    result = runtime.run("--trace", "/dev/full", "list", check=False)
    assert (result.returncode, "write the trace: no space left" in result.stderr) == (1, True)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_costs_nothing_when_it_is_off(runtime, bundle, tmp_path):
    """And a dozen calls of the parent when it is on: none for each span."""
    b = bundle("/bin/true")

    def count(*options):
        log = tmp_path / "strace"
        subprocess.run(["strace", "-f", "-c", "-o", log, *runtime.argv(
            *options, "run", "--bundle", b, runtime.new_id())], env=runtime.environment, check=True)
        return {fields[-1]: int(fields[3]) for line in log.read_text().splitlines()[2:-2]
                if (fields := line.split())}

    count()  # what is made once
    off, on = count(), count("--trace", tmp_path / "t.json")
    assert "memfd_create" not in off and on["memfd_create"] == 1
    assert abs(sum(on.values()) - sum(off.values())) < 40
