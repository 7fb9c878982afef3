# SPDX-License-Identifier: MIT
"""The files that hako-engines(7) tells people to write: the tests write them too."""

import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "man" / "hako-engines.7"
FILE = re.compile(r"^\.Pa (\S+) :\n\.Bd -literal -offset indent\n(.*?)^\.Ed$", re.MULTILINE | re.DOTALL)
HAKO = "/usr/local/bin/hako"  # as the page has it


def files():
    """{path: content}"""
    return {path: text.replace("\\e", "\\") for path, text in FILE.findall(PAGE.read_text())}


def write(path):
    """One of these files, where the page says."""
    target = pathlib.Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(files()[path])
