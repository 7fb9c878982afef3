# SPDX-License-Identifier: MIT
"""The sessions of README.md and hako(8): who types them sees what is printed there."""

import os
import pathlib
import re

import pytest

from harness.runtime import run

TOP = pathlib.Path(__file__).resolve().parent.parent
MARK = "-- next --"
PLACES = {"README.md": r"^```console\n(.*?)^```$", "man/hako.8": r"^\.Bd [^\n]*\n(.*?)^\.Ed$"}


def sessions(name):
    """[[(command, what it prints), ...], ...]"""
    text = (TOP / name).read_text(encoding="utf-8")
    if name.startswith("man/"):
        text = text[text.index(".Sh EXAMPLES"):text.index(".Sh DIAGNOSTICS")]
    return [[(command.replace("\n> ", "\n"), output) for command, output in re.findall(
        r"^[#$] (.*\n(?:> .*\n)*)((?:(?![#$] ).*\n)*)", block, re.MULTILINE)]
            for block in re.findall(PLACES[name], text, re.MULTILINE | re.DOTALL)]


def same(text):
    """The pid of a process is another one each time; the tests may be nice."""
    return re.sub(r"^ *\d+ SN?s +", "PID Ss ", text, flags=re.MULTILINE)


# in README.md what comes later needs another bundle, in hako(8) another user
WANTED = {"README.md": slice(0, 2), "man/hako.8": slice(0, 6)}


# who types takes longer than what these begin
SETTLED = {
    "hako start box\n": "until hako ps box -o pid,stat,args | grep -q 'SN*s *sleep'; do sleep 0.01; done\n",
}


def test_sessions(runtime, tmp_path):
    """One after the other: the container has the same name in both, and so has its cgroup."""
    if not os.path.exists("/bin/busybox"):
        pytest.skip("busybox-static is not installed")
    hako = tmp_path / "bin" / "hako"
    hako.parent.mkdir()
    hako.write_text(f'#!/bin/sh\nexec {runtime.path} --root {runtime.root} "$@"\n')
    hako.chmod(0o755)
    runtime.root.mkdir(mode=0o700, parents=True)
    env = {**runtime.environment, "PATH": f"{hako.parent}:{os.environ['PATH']}"}
    for name, wanted in WANTED.items():
        steps = [step for session in sessions(name)[wanted] for step in session]
        script = "".join(f"{command}s=$?; {SETTLED.get(command, '')} echo '{MARK}'; (exit $s)\n"
                         for command, _ in steps)
        folder = tmp_path / pathlib.Path(name).stem
        folder.mkdir()
        result = run(["bash", "-c", f"exec 2>&1\n{script}"], cwd=folder, check=False, env=env)
        found = result.stdout.split(f"{MARK}\n")
        for (command, output), text in zip(steps, found):
            assert same(text) == same(output), command
        assert len(found) == len(steps) + 1 >= 9
