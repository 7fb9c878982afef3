# SPDX-License-Identifier: MIT
"""Bundles that hako refuses: hako: error: run ID: config.json:LINE:COLUMN /POINTER: MESSAGE"""

import json
import re

WHERE = re.compile(r"config\.json:(\d+):(\d+) (/\S*): ")


def refused(runtime, bundle, pointer=None, command="run", options=()):
    """The one line of the error, without what comes before the message.

    With a pointer: the error must name it, and line and column must be those of its value."""
    result = runtime.run(command, *options, "--bundle", bundle, runtime.new_id(), check=False)
    assert result.returncode == 1, result
    assert re.fullmatch(r"hako: error: .*\n", result.stderr), result
    where = WHERE.search(result.stderr)
    if pointer is not None:
        assert where and where[3] == pointer, f"{pointer}: {result}"
        assert is_value(bundle, pointer, int(where[1]), int(where[2])), result
    return result.stderr[where.end():] if where else result.stderr


def is_value(bundle, pointer, line, column):
    """Is the value that the pointer names at this line and column?"""
    value = bundle.config
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        value = value[int(step)] if isinstance(value, list) else value[step]
    found = (bundle.path / "config.json").read_text().split("\n")[line - 1][column - 1:]
    # members and items follow on other lines
    return found.startswith(json.dumps(value)[:1 if isinstance(value, (dict, list)) else None])
