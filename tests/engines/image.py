# SPDX-License-Identifier: MIT
"""An image without a registry: busybox as a docker-archive, which every engine can load."""

import hashlib
import io
import json
import subprocess
import tarfile

NAME = "localhost/box:latest"
BUSYBOX = "/bin/busybox"
PATH = "/bin"
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n",
    "etc/group": "root:x:0:\nuser:x:1000:\nextra:x:1001:user\n",
    "etc/notes": "not a program\n",
}


def add(tar, name, *, content=None, link=None, mode=0o755):
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type = mode, tarfile.DIRTYPE
    if link:
        entry.type, entry.linkname = tarfile.SYMTYPE, link
    elif content is not None:
        entry.type, entry.size = tarfile.REGTYPE, len(content)
    tar.addfile(entry, io.BytesIO(content or b""))


def layer():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for folder in ("bin", "etc", "home", "proc", "sys", "dev", "root", "run", "var"):
            add(tar, folder)
        add(tar, "tmp", mode=0o1777)
        with open(BUSYBOX, "rb") as file:
            add(tar, "bin/busybox", content=file.read())
        for applet in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
            if applet != "busybox":
                add(tar, f"bin/{applet}", link="busybox")
        for name, text in FILES.items():
            add(tar, name, content=text.encode(), mode=0o644)
    return data.getvalue()


def write(path, name=NAME, command=("sh",)):
    """A docker-archive with the image of that name."""
    content = layer()
    digest = hashlib.sha256(content).hexdigest()
    config = json.dumps({
        "architecture": "amd64", "os": "linux",
        "config": {"Env": [f"PATH={PATH}"], "Cmd": list(command), "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "2026-01-02T03:04:05Z", "created_by": "tests"}],
    }).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        add(tar, config_name, content=config, mode=0o644)
        add(tar, digest)
        add(tar, f"{digest}/layer.tar", content=content, mode=0o644)
        add(tar, "manifest.json", content=json.dumps(manifest).encode(), mode=0o644)
    return path
