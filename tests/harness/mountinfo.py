# SPDX-License-Identifier: MIT
"""Lines of /proc/PID/mountinfo (proc(5)) as objects."""

import re


class Mount:
    """id, parent, root, point, options of this mount, propagation, type, source, superblock."""

    def __init__(self, line):
        fields, rest = (part.split() for part in line.split(" - ", 1))
        self.id, self.parent = int(fields[0]), int(fields[1])
        self.root, self.point = unescape(fields[3]), unescape(fields[4])
        self.options = set(fields[5].split(","))
        self.propagation = fields[6:]
        self.type, self.source = rest[0], unescape(rest[1])
        self.superblock = set(rest[2].split(","))
        self.line = line

    # "shared", "master" and so on, without the numbers of the peer groups
    kinds = property(lambda self: {word.partition(":")[0] for word in self.propagation})

    def __repr__(self):
        return self.line


def unescape(text):
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def parse(lines):
    """{mount point: the mount that is seen there}"""
    mounts = [Mount(line) for line in lines if line]
    return {mount.point: mount for mount in mounts}


def of_process(pid="self"):
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        return parse(lines.read().splitlines())
