# SPDX-License-Identifier: MIT
"""layers.py BUILD: no layer calls another one. All of them are declared in one header, so this
is read from the objects: a symbol of one that another needs. Questions to the plan are free."""

import pathlib
import subprocess
import sys

from includes import stem


def symbols(path):
    """The names an object offers, and those it needs."""
    offers, needs = set(), set()
    for line in subprocess.check_output(["nm", "-g", path], text=True).splitlines():
        *_, kind, name = line.split()
        (needs if kind == "U" else offers).add(name)
    return offers, needs


def main():
    objects = {o.stem: symbols(o) for o in pathlib.Path(sys.argv[1], "src/layer").glob("*.o")}
    found = [f"src/layer/{user}.c uses {name} of src/layer/{owner}.c"
             for user, (_, needs) in objects.items() for owner, (offers, _) in objects.items()
             for name in needs & offers
             if stem(user) != stem(owner) and not name.startswith("plan_")]
    print("\n".join(sorted(found)))
    sys.exit(bool(found) or not objects)


if __name__ == "__main__":
    main()
