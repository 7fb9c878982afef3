# SPDX-License-Identifier: MIT
"""--strict: every fallback is a warning with a word of its own, and an error when it is given."""

import os
import pathlib
import re

import pytest

from harness import kernel

TOP = pathlib.Path(__file__).resolve().parent.parent
SLEEP = ("/bin/sleep", "1000")
CALL = re.compile(r'_fallback(?:_shown)?\([^;]*?\be,\s+"([a-z0-9-]+)"')


def manual():
    text = (TOP / "man" / "hako.8").read_text(encoding="utf-8")
    section = text.partition("Fallbacks begin with a word of their own:")[2].partition("\n.El")[0]
    return re.findall(r"^\.It Li ([a-z0-9-]+)$", section, re.MULTILINE)


def sources():
    """The words that stand in calls, and those of variables called id."""
    found = set()
    for path in (TOP / "src").rglob("*.c"):
        text = path.read_text(encoding="utf-8")
        found |= set(CALL.findall(text))
        if re.search(r"_fallback\(e, id,", text) and path.name != "problem.c":
            found |= set(re.findall(r'\bid\[\] = "([a-z0-9-]+)"', text))
    return found


def test_manual_lists_them_all():
    assert sorted(manual()) == sorted(sources())


def syscalls(b, *rules, default="SCMP_ACT_ALLOW"):
    b.linux["seccomp"] = {"defaultAction": default, "syscalls": list(rules)}


def capabilities(b, **sets):
    b.process["capabilities"] = sets


def scheduler(b):
    b.process["scheduler"] = {"policy": "SCHED_IDLE", "nice": 5}


def two_rules(b):
    syscalls(b, {"names": ["getcwd"], "action": "SCMP_ACT_ALLOW"},
             {"names": ["getcwd"], "action": "SCMP_ACT_ERRNO"})


# What makes each of them happen. The others take a user, a namespace or a host of their own:
# test_caller.py, test_nested.py, test_no_pivot.py, guest/delegation.sh, engines/test_systemd.py.
CASES = {
    "capability-unknown": lambda b: capabilities(b, bounding=["CAP_NONE_SUCH"]),
    "capability-unusable": lambda b: capabilities(b, effective=["CAP_KILL"]),
    "cgroup-v1-only": lambda b: b.linux.update(resources={"memory": {"swappiness": 1}}),
    "device-access": lambda b: b.linux.update(resources={"devices": [
        {"allow": False, "access": "rwa"}]}),
    "nice-unused": scheduler,
    "seccomp-name-unknown": lambda b: syscalls(b, {"names": ["none_such"], "action": "SCMP_ACT_ERRNO"}),
    "seccomp-rule-ignored": two_rules,
    "gid-unmapped": lambda b: b.user_namespace(uids=((0, 0, 1),), gids=((0, 0, 1),)),
    "device-filter-none": None,
    "notify-none": None,
}


@pytest.mark.parametrize("word", CASES)
def test_fallback(runtime, bundle, token, word):
    b, options, env = bundle("/bin/true"), [], {}
    if word == "device-filter-none":
        options = ["--cgroup-manager=disabled"]
        b.without_mount("/sys/fs/cgroup")
    elif word == "notify-none":
        env = {"NOTIFY_SOCKET": "/run/none"}
        b.config |= {"mounts": [], "root": {"path": "rootfs"}}
        b.linux.update(maskedPaths=[], readonlyPaths=[])
        b.without_namespace("mount")
    else:
        CASES[word](b)
    runtime.options = [*options, "--log-level=warning"]
    result = runtime.run_bundle(b, env=env)
    assert re.search(rf"^hako: warning: {word}: ", result.stderr, re.MULTILINE), result
    runtime.options.append("--strict")
    result = runtime.run_bundle(b, env=env, check=False)
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result
    assert "an error because of --strict" in result.stderr
    assert not any(runtime.root.glob("[!.]*"))


def test_capability_unavailable(runtime, bundle):
    """root lacks one: setpriv takes it from hako's bounding set."""
    b = bundle("/bin/true")
    capabilities(b, bounding=["CAP_WAKE_ALARM"], effective=["CAP_WAKE_ALARM"], permitted=["CAP_WAKE_ALARM"])
    path = runtime.path
    script = runtime.base / "without"
    script.write_text(f'#!/bin/sh\nexec setpriv --bounding-set -wake_alarm --inh-caps -wake_alarm '
                      f'{path} "$@"\n')
    script.chmod(0o755)
    runtime.path = str(script)
    runtime.options = ["--log-level=warning"]
    assert "capability-unavailable: " in runtime.run_bundle(b).stderr
    runtime.options = ["--strict"]
    assert runtime.run_bundle(b, check=False).returncode == 1


@pytest.mark.parametrize("words", [["kill", "ID", "KILL"], ["delete", "--force", "ID"]])
def test_processes_unknown(runtime, bundle, words):
    """Nothing is killed when not all can be."""
    b = bundle(*SLEEP).without_namespace("pid").without_mount("/sys/fs/cgroup")
    runtime.options = ["--cgroup-manager=disabled"]
    box = runtime.container(b)
    box.create()
    box.start()
    pid = box.pid
    words = [box.id if word == "ID" else word for word in words]
    result = runtime.run("--strict", *words, check=False)
    assert result.returncode == 1 and "an error because of --strict" in result.stderr
    assert kernel.alive(pid) and box.status == "running"
    assert "processes-unknown: " in runtime.run("--log-level=warning", *words).stderr
    kernel.eventually(lambda: not kernel.alive(pid))


def test_failing_start_is_taken_down(runtime, bundle):
    """Also where --strict would refuse to delete it."""
    b = bundle(*SLEEP).without_namespace("pid").without_mount("/sys/fs/cgroup")
    b.config["hooks"] = {"poststart": [{"path": "/bin/false"}]}
    runtime.options = ["--cgroup-manager=disabled"]
    box = runtime.container(b)
    box.create()
    pid = box.pid
    assert runtime.run("--strict", "start", box.id, check=False).returncode == 1
    kernel.eventually(lambda: not kernel.alive(pid))
    assert not os.path.exists(runtime.root / box.id)
