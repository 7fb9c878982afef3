# SPDX-License-Identifier: MIT
"""The example of hako-ci(7), taken from the page and run: what it says stays true."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as xml

import pytest

from harness.runtime import SCALE, run

PAGE = pathlib.Path(__file__).resolve().parent.parent / "man" / "hako-ci.7"
FILE = re.compile(r'^\.\\" file: (\S+)\n\.Bd [^\n]*\n(.*?)^\.Ed$', re.MULTILINE | re.DOTALL)
RESULTS = {"check.sarif", "explain.sarif", "verify.xml", "run.json", "junit.xml"}


def files():
    return {name: text.replace("\\e", "\\").replace("\\-", "-").replace("\\&", "")
            for name, text in FILE.findall(PAGE.read_text(encoding="utf-8"))}


class Job:
    """A folder with the files of the page, and a `hako` in PATH that keeps to its own --root.

    Steps of commands that this program does not have are left out, and remembered."""

    def __init__(self, runtime, path):
        self.path, self.runtime, self.missing = path, runtime, []
        (path / "bin").mkdir()
        hako = path / "bin" / "hako"
        hako.write_text(f'#!/bin/sh\nexec {runtime.path} --root {runtime.root} "$@"\n')
        hako.chmod(0o755)
        for name, text in files().items():
            (path / name).write_text(text)
        self.leave_out()

    def leave_out(self):
        script = (self.path / "isolation.sh").read_text()
        commands = self.runtime.run("help").stdout
        for command in ("explain", "verify"):
            if f"\n  {command} " not in commands:
                self.missing.append(command)
                script = re.sub(rf"^step {command} (.*\\\n)*.*\n", "", script, flags=re.MULTILINE)
        if "--verify" not in self.runtime.run("run", "--help").stdout:
            self.missing.append("run --verify")
            script = script.replace("--verify ", "")
        (self.path / "isolation.sh").write_text(script)

    def run(self, **env):
        path = f"{self.path}/bin:{os.environ['PATH']}"
        return run(["sh", "job.sh"], cwd=self.path, check=False, timeout=100,
                   env={**self.runtime.environment, "PATH": path, **env})

    def edit(self, change):
        """The bundle is made first, as the job would."""
        if not (self.path / "box").exists():
            run(["sh", "make-bundle.sh", "box"], cwd=self.path,
                env={"PATH": f"{self.path}/bin:{os.environ['PATH']}"})
        file = self.path / "box" / "config.json"
        config = json.loads(file.read_text())
        change(config)
        file.write_text(json.dumps(config, indent=1))

    def report(self):
        return json.loads((self.path / "results" / "run.json").read_text())

    def cases(self):
        """{name: what went wrong} of junit.xml."""
        tree = xml.parse(self.path / "results" / "junit.xml").getroot()
        assert tree.tag == "testsuites"
        for suite in tree:
            assert int(suite.get("tests")) == len(suite.findall("testcase"))
            assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
        return {case.get("name"): None if case.find("failure") is None
                else case.find("failure").get("message") for case in tree.iter("testcase")}


@pytest.fixture
def job(runtime, tmp_path):
    if not os.path.exists("/bin/busybox"):
        pytest.skip("busybox-static is not installed")
    runtime.root.mkdir(mode=0o700, parents=True)
    return Job(runtime, tmp_path)


def test_files_of_the_page():
    assert set(files()) == {"make-bundle.sh", "isolation.sh", "junit.py", "job.sh"}


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_scripts_are_clean(tmp_path):
    for name, text in files().items():
        (tmp_path / name).write_text(text)
        if name.endswith(".sh"):
            run(["shellcheck", name], cwd=tmp_path)


def test_job(job):
    result = job.run()
    assert result.returncode == 0, result
    assert "tested\n" in result.stdout and "run: exit status 0" in result.stderr
    assert re.search(r"^\d+ tests, 0 failed$", result.stdout, re.MULTILINE)
    missing = {f"{name}.{end}" for name, end in (("explain", "sarif"), ("verify", "xml"))
               if name in job.missing}
    assert set(os.listdir(job.path / "results")) == RESULTS - missing
    for name in ("check.sarif", "explain.sarif"):
        if name not in missing:
            assert json.loads((job.path / "results" / name).read_text())["version"] == "2.1.0"
    cases = job.cases()
    assert set(cases.values()) == {None}
    assert {"ends well", "leaves no mounts", "leaves no processes"} <= set(cases)
    assert job.report()["end"]["kind"] == "exit"
    if "verify" not in job.missing:
        assert any(name.startswith("caps.") for name in cases)
    if "run --verify" not in job.missing:
        assert job.report()["verify"] is not None
    if job.missing:
        pytest.skip(f"this program has no {', '.join(job.missing)}: run without")


def test_program_that_fails(job):
    job.edit(lambda config: config["process"].update(args=["sh", "-c", "exit 3"]))
    result = job.run()
    assert result.returncode == 1 and "run: exit status 3" in result.stderr
    assert job.cases()["ends well"] == "exit: 3" and job.report()["status"] == 3


def test_program_that_hangs(job):
    script = "echo begun; while :; do :; done"
    job.edit(lambda config: config["process"].update(args=["sh", "-c", script]))
    for seconds in (0.5, 5, 30):
        result = job.run(TIMEOUT=f"{seconds * SCALE * 1000:.0f}ms")
        if "begun\n" in result.stdout:
            break  # it has come so far before the deadline
    assert result.returncode == 1 and "run: exit status 124" in result.stderr
    assert job.cases()["ends well"].startswith("timeout: killed at the deadline")


def test_mistake_in_the_configuration(job):
    job.edit(lambda config: config["root"].update(path="none"))
    result = job.run()
    assert result.returncode == 1 and "check: exit status 1" in result.stderr
    sarif = json.loads((job.path / "results" / "check.sarif").read_text())
    assert sarif["runs"][0]["results"]
    assert "error: " in job.cases()["ends well"]


def test_danger(job):
    if "explain" in job.missing:
        pytest.skip("this program has no explain")
    job.edit(lambda config: config["mounts"].append(
        {"destination": "/host", "type": "bind", "source": "/", "options": ["rbind", "rw"]}))
    result = job.run()
    assert result.returncode == 1 and "explain: exit status 1" in result.stderr
