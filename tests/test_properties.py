# SPDX-License-Identifier: MIT
"""Every property of the specification: hako knows it, and a test sees its effect, or a list says
why not. (tests/unit/test_schema.c compares types, words and ranges.)"""

import ast
import collections
import json
import os
import pathlib
import re

import pytest

from harness import observed, schema
from harness.runtime import run

TESTS = pathlib.Path(__file__).resolve().parent
NO_EFFECT = ("config-ignored", "cgroup-v1-only")
# Other systems' sections are not looked into.
FOREIGN = ("/freebsd", "/solaris", "/vm", "/windows", "/zos")


def properties(node, file, prefix=""):
    """pointer -> (schema, its file) of all properties, list items and map values as "-"."""
    node, file = schema.follow(node, file)
    found = {}
    for part in node.get("allOf", []) + node.get("anyOf", []):
        found |= properties(part, file, prefix)
    for name, child in node.get("properties", {}).items():
        pointer = f"{prefix}/{name}"
        found[pointer] = schema.follow(child, file)
        if pointer not in FOREIGN:
            found |= properties(child, file, pointer)
    inner = [node.get("items"), node.get("additionalProperties"),
             *node.get("patternProperties", {}).values()]
    for child in filter(lambda child: isinstance(child, dict), inner):
        found |= properties(child, file, f"{prefix}/-")
    return found


ALL = properties({"$ref": "config-schema.json"}, None)
STRINGS = {"/linux/resources/hugepageLimits/-/pageSize": "2MB", "/linux/intelRdt/memBwSchema":
           "MB:0=10", "/process/rlimits/-/type": "RLIMIT_CORE", "/linux/devices/-/type": "c",
           "/linux/resources/devices/-/type": "a", "/linux/resources/devices/-/access": "r",
           "/ociVersion": "1.3.0", "/process/execCPUAffinity/initial": "0",
           "/process/execCPUAffinity/final": "0",
           "/linux/seccomp/syscalls/-/args/-/op": "SCMP_CMP_MASKED_EQ"}


def sample(node, file, prefix=""):
    """A value with everything in it that the schema knows."""
    node, file = schema.follow(node, file)
    if prefix in FOREIGN:
        return {}
    if "enum" in node:
        return STRINGS.get(prefix, node["enum"][0])
    value = {}
    for part in node.get("allOf", []) + node.get("anyOf", []):
        value |= sample(part, file, prefix)
    for name, child in node.get("properties", {}).items():
        value[name] = sample(child, file, f"{prefix}/{name}")
    inner = [node.get("additionalProperties"), *node.get("patternProperties", {}).values()]
    for child in filter(lambda child: isinstance(child, dict), inner):
        value["name"] = sample(child, file, f"{prefix}/-")
    simple = {"string": STRINGS.get(prefix, "/x"), "integer": 1, "boolean": True}
    if node.get("type") in simple:
        return simple[node["type"]]
    return [sample(node["items"], file, f"{prefix}/-")] if node.get("type") == "array" else value


@pytest.fixture(scope="module")
def checked(hako, session_path):
    """Problems of a config that has all properties: general pointer -> ids."""
    folder = session_path("properties")
    config = sample({"$ref": "config-schema.json"}, None)
    ours = {name: value for name, value in config.items() if "/" + name not in FOREIGN}
    assert schema.validator("config-schema.json")(ours) == []
    (folder / "config.json").write_text(json.dumps(config))
    found = {}
    for problem in run([hako, "check", "--host=false", "--format=json", folder],
                       check=False).json():
        steps = ["-" if step == "0" else step for step in problem["pointer"].split("/")]
        found.setdefault("/".join(steps), []).append(problem["id"])
    return found


def test_all_are_known(checked):
    assert len(ALL) > 220
    for pointer, ids in checked.items():
        assert not {"config-unknown", "config-type", "config-missing"} & set(ids), pointer


# --- effects ------------------------------------------------------------------------------------

LEAVES = [p for p in ALL if p not in FOREIGN and not any(o.startswith(p + "/") for o in ALL)]
OBSERVED = {pointer: test for test, pointers in observed.TESTS.items() for pointer in pointers}
SEEN_IN_GUEST = {pointer: name for name, pointers in observed.GUEST.items() for pointer in pointers}


def functions(path):
    return {node.name for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef)}


def guest_check(name):
    """The lines of a check of guest/*.sh, with the functions of that file that it calls."""
    for script in (TESTS / "guest").glob("*.sh"):
        text = script.read_text()
        found = re.search(rf"^check {name}\b.*(\n\t.*)*", text, re.MULTILINE)
        if found is None:
            continue
        bodies = dict(re.findall(r"^(\w+)\(\) {\n((?:.*\n)*?)}", text, re.MULTILINE))
        lines = found[0]
        while called := [word for word in bodies if re.search(rf"\b{word}\b", lines)]:
            lines += "".join(bodies.pop(word) for word in called)
        return lines
    return ""


def test_all_have_an_effect_or_a_reason(checked):
    """In one list of harness/observed.py, or among those that `check` says to be ignored."""
    ignored = {p for p in LEAVES if set(checked.get(p, ())) & set(NO_EFFECT)}
    lists = [OBSERVED, SEEN_IN_GUEST, observed.NOT_OBSERVED, observed.NO_EFFECT, ignored]
    counts = collections.Counter(p for pointers in lists for p in pointers)
    assert {p: counts[p] for p in {*LEAVES, *counts} if counts[p] != (p in LEAVES)} == {}
    assert len(OBSERVED) + len(SEEN_IN_GUEST) > 120
    assert set(observed.CHANGES) <= set(OBSERVED)


def test_all_named_tests_are_there():
    for test, pointers in observed.TESTS.items():
        file, name = test.split("::")
        assert name in functions(TESTS / file) and pointers, test
    for name, pointers in observed.GUEST.items():
        text = guest_check(name)
        for pointer in pointers:
            word = [step for step in pointer.split("/") if step != "-"][-1]
            assert re.search(rf'\b{word}\\*"', text), (name, pointer)


SAMPLE = ("/process/user/umask", "/linux/maskedPaths", "/linux/seccomp/syscalls/-/args/-/op")
PROVED = OBSERVED if os.environ.get("HAKO_PROVE") == "1" else SAMPLE


@pytest.mark.timeout(300)
@pytest.mark.parametrize("pointer", PROVED)
def test_effect_is_seen(pointer, hako):
    """With another value of the property the test that sees it fails."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    argv = ["/usr/bin/python3", "-m", "pytest", "-qx", "-p", "no:cacheprovider", "--tb=line"]
    result = run([*argv, TESTS / OBSERVED[pointer]], cwd=TESTS.parent, check=False, timeout=240,
                 env=env | {"HAKO": str(hako), "HAKO_CHANGED": pointer})
    assert result.returncode == 1 and " failed" in result.stdout, (pointer, result.stdout)


# --- types ------------------------------------------------------------------------------------

def places(value, pointer=""):
    yield pointer
    if isinstance(value, (dict, list)):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(child, f"{pointer}/{key}")


def replaced(value, steps, other):
    if not steps:
        return other
    key = int(steps[0]) if isinstance(value, list) else steps[0]
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[key] = replaced(value[key], steps[1:], other)
    return copy


@pytest.mark.timeout(240)
def test_all_have_a_type(hako, session_path):
    """A value of another type is an error where it stands, and null is as good as nothing."""
    folder = session_path("types")
    config = {name: value for name, value in sample({"$ref": "config-schema.json"}, None).items()
              if "/" + name not in FOREIGN}
    names = {"/process/commandLine", "/process/user/username"}  # without effect, of any type
    count = 0
    for pointer in sorted(set(places(config)) - {""} - names):
        steps = pointer.split("/")[1:]
        value = config
        for step in steps:
            value = value[int(step)] if isinstance(value, list) else value[step]
        if pointer in ("/linux/netDevices/name/name", "/linux/resources/network/priorities/0/name"):
            continue  # no map's
        for other in (None, [], {}, "text", 5.5):
            if type(other) is type(value):
                continue
            (folder / "config.json").write_text(json.dumps(replaced(config, steps, other)))
            result = run([hako, "check", "--format=json", folder], check=False)
            assert result.returncode in (0, 1), (pointer, other, result)
            found = {p["pointer"] for p in result.json() if p["id"] == "config-type"}
            # what a list or a map holds cannot be absent
            absent = other is None and steps[-1] not in ("0", "name")
            assert found == (set() if absent else {pointer}), (pointer, other, found)
            count += 1
    assert count > 800
