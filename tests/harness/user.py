# SPDX-License-Identifier: MIT
"""An ordinary user with subordinate ids, known only in the tests' mount namespace."""

import os
import pathlib

from . import private

NAME, ID, FIRST_SUBID, SUBIDS = "hako-test", 64777, 1_879_048_192, 65536


class User:
    def __init__(self, folder):
        self.name, self.uid, self.gid = NAME, ID, ID
        self.subuid = self.subgid = (FIRST_SUBID, SUBIDS)
        self.home = folder / "home"
        runtime_dir = folder / "run"
        for path in (self.home, runtime_dir):
            path.mkdir()
            path.chmod(0o700)
            os.chown(path, self.uid, self.gid)
        self.env = {"HOME": str(self.home), "USER": NAME, "LOGNAME": NAME,
                    "XDG_RUNTIME_DIR": str(runtime_dir)}
        extend("/etc/passwd", f"{NAME}:x:{ID}:{ID}::{self.home}:/bin/sh", folder)
        extend("/etc/group", f"{NAME}:x:{ID}:", folder)
        extend("/etc/subuid", f"{NAME}:{FIRST_SUBID}:{SUBIDS}", folder)
        extend("/etc/subgid", f"{NAME}:{FIRST_SUBID}:{SUBIDS}", folder)


def extend(path, line, folder):
    """Bind a longer copy over a file of the machine; the file itself stays as it is."""
    original = pathlib.Path(path)
    longer = folder / original.name
    longer.write_text((original.read_text() if original.exists() else "") + line + "\n")
    if not original.exists():
        raise FileNotFoundError(f"{path}: install uidmap")
    private.mount(longer, path, None, private.MS_BIND)
