# SPDX-License-Identifier: MIT
"""`hako plan` against golden files: tests/golden/plans/NAME/{config.json,expected.txt,expected.json}
and tests/golden/errors/NAME.{json,txt}. Nothing here needs privileges."""

import json
import pathlib
import re
import shutil

import pytest

from harness.runtime import run

GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
PLANS = sorted(path.name for path in (GOLDEN / "plans").iterdir())
SOURCE = GOLDEN.parent.parent / "src" / "run"
FORMATS = {"txt": "text", "json": "json"}
ERRORS = sorted(path.stem for path in (GOLDEN / "errors").glob("*.json"))


@pytest.fixture(scope="module")
def golden(session_path):
    """A copy that every user can read."""
    return shutil.copytree(GOLDEN, session_path("golden") / "golden")


@pytest.mark.parametrize("name", PLANS)
def test_plan(hako, user, golden, name):
    folder = golden / "plans" / name
    options = ["--systemd-cgroup"] if name.startswith("systemd") else []
    for format in FORMATS:
        expected = (folder / f"expected.{format}").read_text()
        argv = [hako, *options, "plan", "--format", FORMATS[format]]
        assert run(argv, cwd=folder).stdout == expected
        as_user = run(argv, cwd=folder, user=user)
        assert as_user.stdout == expected
        assert re.fullmatch(r"(hako: warning: cpu-weight-none: .*\n)?", as_user.stderr)
    assert run([hako, *options, "plan"], cwd=folder).stdout == (folder / "expected.txt").read_text()
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "expected.json",
                                                        "expected.txt"]


@pytest.mark.parametrize("name", PLANS)
def test_both_formats_say_the_same(name):
    """Every value of the JSON stands in the text, in the same order."""
    text = (GOLDEN / "plans" / name / "expected.txt").read_text()
    place = 0
    for step in json.loads((GOLDEN / "plans" / name / "expected.json").read_text())["steps"]:
        place = text.index(f"\n  {step['step']}\n", place)
        assert f"\n{step['phase']}\n" in "\n" + text[:place + 1]
        for line in step["values"]:
            for value in line.values():
                for word in value if isinstance(value, list) else [value]:
                    if not isinstance(word, bool):
                        place = text.index(written(word), place)


def written(value):
    return re.sub(r"[\x00-\x1f\x7f]", lambda c: f"\\x{ord(c.group()):02x}", str(value))


def test_values_belong_to_steps_that_exist():
    names = re.compile(r'^\t\{(?:PHASE_\w+, WHEN_\w+, )?"([^"]+)", ', re.MULTILINE)
    steps = names.findall((SOURCE / "steps.c").read_text())
    shown = names.findall((SOURCE / "show.c").read_text())
    assert len(shown) > 40 and set(shown) <= set(steps)


def test_a_format_that_is_none(hako, golden):
    result = run([hako, "plan", "--format", "yaml", golden], check=False)
    assert (result.returncode, "not one of text, json" in result.stderr) == (64, True)


def without_context(stderr):
    """`hako: error: AT: CONTEXT: MESSAGE` without hako's name and the command's."""
    return stderr.removeprefix("hako: error: ").replace("plan: ", "", 1)


@pytest.mark.parametrize("name", ERRORS)
def test_error(hako, golden, name):
    file = golden / "errors" / f"{name}.json"
    result = run([hako, "plan", "--config", file, golden], check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert without_context(result.stderr) == (golden / "errors" / f"{name}.txt").read_text()


def test_there_are_enough():
    assert len(PLANS) >= 12 and len(ERRORS) >= 100
