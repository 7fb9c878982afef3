# SPDX-License-Identifier: MIT
"""Programs with what they are linked to."""

import pathlib
import re
import shutil
import subprocess


def libraries(program):
    """The dynamic linker and the libraries of a program; none when it is static."""
    listed = subprocess.run(["ldd", program], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL).stdout
    return re.findall(r"(/\S+) \(0x", listed)


def install(program, root, path):
    """A program at a path below another root, where it runs."""
    for source, target in [(program, path), *((library, library) for library in libraries(program))]:
        target = pathlib.Path(root, target.lstrip("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
