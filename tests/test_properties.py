# SPDX-License-Identifier: MIT
"""Every property of the specification: hako knows it, and applies or plans it in a test, refuses
it, or says that it has no effect here. (tests/unit/test_schema.c compares types, words and
ranges.)"""

import json
import pathlib

import pytest

from harness import schema
from harness.runtime import run

TESTS = pathlib.Path(__file__).resolve().parent
NO_EFFECT = ("config-ignored", "cgroup-v1-only")
# Other systems' sections are not looked into.
FOREIGN = ("/freebsd", "/solaris", "/vm", "/windows", "/zos")
# Applied, but not seen by a test of its own.
UNTESTED = {
    "/linux/resources/memory/useHierarchy": "cgroup v2 knows nothing else",
    "/linux/resources/memory/checkBeforeUpdate": "for changes of a limit",
}
# What tests/harness/bundle.py gives to every test.
GIVEN = {"linux", "process", "root", "mounts", "hooks", "resources"}


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
           "/process/execCPUAffinity/final": "0"}


def sample(node, file, prefix=""):
    """A value with everything in it that the schema knows."""
    node, file = schema.follow(node, file)
    if prefix in FOREIGN:
        return {}
    if "enum" in node:
        return node["enum"][0]
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


def has(text, name):
    return f'"{name}"' in text or f" {name}=" in text or f"({name}=" in text or f".{name}" in text


def test_all_are_tested(checked):
    """In one file with the names of what they are in."""
    texts = [path.read_text() for path in (*TESTS.glob("test_*.py"), *TESTS.glob("guest/*.sh"))
             if path.name not in ("test_properties.py", "test_check.py")]
    texts += [(TESTS / "harness/bundle.py").read_text(),
              *(path.read_text() for path in TESTS.glob("golden/plans/*/config.json"))]
    refused = [p for p, ids in checked.items() if "config-unsupported" in ids]
    leaves = [p for p in ALL if p not in FOREIGN and not any(o.startswith(p + "/") for o in ALL)]
    untested = set()
    for pointer in leaves:
        names = set(pointer.split("/")) - GIVEN - {"", "-"}
        if any(pointer == p or pointer.startswith(p + "/") for p in refused) or \
                set(checked.get(pointer, ())) & set(NO_EFFECT):
            continue
        if not any(all(has(text, name) for name in names) for text in texts):
            untested.add(pointer)
    assert untested <= UNTESTED.keys(), sorted(untested - UNTESTED.keys())


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
