# SPDX-License-Identifier: MIT
"""`hako plan` against golden files: tests/golden/plans/NAME/{config.json,expected.txt} and
tests/golden/errors/NAME.{json,txt}. Nothing here needs privileges."""

import pathlib
import shutil

import pytest

from harness.runtime import run

GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
PLANS = sorted(path.name for path in (GOLDEN / "plans").iterdir())
ERRORS = sorted(path.stem for path in (GOLDEN / "errors").glob("*.json"))


@pytest.fixture(scope="module")
def golden(session_path):
    """A copy that every user can read."""
    return shutil.copytree(GOLDEN, session_path("golden") / "golden")


@pytest.mark.parametrize("name", PLANS)
def test_plan(hako, user, golden, name):
    folder = golden / "plans" / name
    expected = (folder / "expected.txt").read_text()
    options = ["--systemd-cgroup"] if name.startswith("systemd") else []
    assert run([hako, *options, "plan"], cwd=folder).stdout == expected
    as_user = run([hako, *options, "plan"], cwd=folder, user=user)
    assert (as_user.stdout, as_user.stderr) == (expected, "")
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "expected.txt"]


def without_context(stderr):
    """`hako: AT: CONTEXT: MESSAGE` without hako's name and the command's."""
    return stderr.removeprefix("hako: ").replace("plan: ", "", 1)


@pytest.mark.parametrize("name", ERRORS)
def test_error(hako, golden, name):
    file = golden / "errors" / f"{name}.json"
    result = run([hako, "plan", "--config", file, golden], check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert without_context(result.stderr) == (golden / "errors" / f"{name}.txt").read_text()


def test_there_are_enough():
    assert len(PLANS) >= 12 and len(ERRORS) >= 100
