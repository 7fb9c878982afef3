# SPDX-License-Identifier: MIT
"""The JSON schemas of the specification, in tests/data/schema."""

import json
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "data" / "schema"


def check(document, name):
    """Fail when the document does not follow that schema."""
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    files = {path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
    resolver = jsonschema.RefResolver(FOLDER.as_uri() + "/" + name, files[name],
                                      store={(FOLDER / n).as_uri(): s for n, s in files.items()})
    errors = jsonschema.Draft4Validator(files[name], resolver=resolver).iter_errors(document)
    wrong = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in errors]
    assert wrong == []
