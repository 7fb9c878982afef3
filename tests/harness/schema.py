# SPDX-License-Identifier: MIT
"""The JSON schemas of the specification, in tests/data/schema."""

import json
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "data" / "schema"


def follow(node, file):
    """The schema that a reference leads to, and the file that its own references count from."""
    while "$ref" in node:
        name, _, pointer = node["$ref"].partition("#")
        file = name or file
        node = json.loads((FOLDER / file).read_text())
        for step in filter(None, pointer.split("/")):
            node = node[step]
    return node, file


def validator(name):
    """A function that lists what is wrong with a document by that schema."""
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    files = {path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
    resolver = jsonschema.RefResolver(FOLDER.as_uri() + "/" + name, files[name],
                                      store={(FOLDER / n).as_uri(): s for n, s in files.items()})
    rules = jsonschema.Draft4Validator(files[name], resolver=resolver)
    return lambda document: [f"{'/'.join(map(str, e.absolute_path))}: {e.message}"
                             for e in rules.iter_errors(document)]


def check(document, name):
    """Fail when the document does not follow that schema."""
    assert validator(name)(document) == []
