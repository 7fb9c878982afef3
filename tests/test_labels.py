# SPDX-License-Identifier: MIT
"""process.apparmorProfile, process.selinuxLabel, linux.mountLabel on a kernel that has neither
AppArmor nor SELinux: an error before anything runs. guest/apparmor.sh and guest/selinux.sh have
what a kernel with them does."""

import json
import os
import pathlib
import re

import pytest

from harness.refused import refused
from harness.runtime import run

SLEEP = ("/bin/sleep", "1000")
LABEL = "system_u:system_r:container_t:s0:c1,c2"


def has_module():
    try:
        return bool(pathlib.Path("/proc/self/attr/current").read_bytes())
    except OSError:  # that is what the kernel says without one
        return False


pytestmark = pytest.mark.skipif(has_module(), reason="this kernel has AppArmor or SELinux")

PROCESS = [
    # property, flag of exec, message
    ("apparmorProfile", "--apparmor", "docker-default",
     "AppArmor is not enabled: profile docker-default cannot be applied"),
    ("apparmorProfile", "--apparmor", "unconfined", "AppArmor is not enabled"),
    ("selinuxLabel", "--process-label", LABEL, f"write {LABEL} to attr/exec (is SELinux enabled, "
     "and the label one of its policy?): invalid argument"),
]


def nothing_kept(runtime):
    return not runtime.root.exists() or list(runtime.root.iterdir()) == []


@pytest.mark.parametrize("member, flag, value, message", PROCESS)
@pytest.mark.parametrize("user_namespace", [False, True])
@pytest.mark.parametrize("command", ["create", "run"])
def test_create(runtime, bundle, command, user_namespace, member, flag, value, message):
    b = bundle("/bin/touch", "/ran")
    if user_namespace:
        b.user_namespace(((0, 0, 65536),))
    b.process[member] = value
    assert message in refused(runtime, b, f"/process/{member}", command)
    assert nothing_kept(runtime)
    assert not (b.rootfs / "ran").exists()


@pytest.mark.parametrize("member, flag, value, message", PROCESS)
@pytest.mark.parametrize("user_namespace", [False, True])
def test_exec(runtime, bundle, tmp_path, user_namespace, member, flag, value, message):
    b = bundle(*SLEEP)
    if user_namespace:
        b.user_namespace(((0, 0, 65536),))
    box = runtime.container(b)
    box.create()
    box.start()
    result = box.exec("/bin/touch", "/ran", options=(flag, value), check=False)
    assert (result.returncode, result.stderr.count("\n")) == (255, 1), result
    assert message in result.stderr
    file = tmp_path / "process.json"
    file.write_text(json.dumps({"args": ["/bin/touch", "/ran"], "cwd": "/", member: value}))
    result = box.exec(options=("--process", file), check=False)
    assert (result.returncode, result.stderr.count("\n")) == (255, 1), result
    assert message in result.stderr and "process.json:1:" in result.stderr
    assert f" /{member}: " in result.stderr
    assert not (b.rootfs / "ran").exists()
    assert box.exec("/bin/echo", "here", options=(flag, "")).stdout == "here\n"  # as if not given


def test_rootless(rootless, bundle, user):
    b = bundle(*SLEEP, owner=user).rootless()
    b.process["selinuxLabel"] = LABEL
    assert "invalid argument" in refused(rootless, b, "/process/selinuxLabel")
    del b.process["selinuxLabel"]
    box = rootless.container(b)
    box.create()
    box.start()
    result = box.exec("/bin/true", options=("--process-label", LABEL), check=False)
    assert result.returncode == 255 and "to attr/exec (is SELinux" in result.stderr


def test_label_that_cannot_be(runtime, bundle):
    """To AppArmor it would be a command."""
    b = bundle()
    b.process["selinuxLabel"] = "exec docker-default"
    assert "a label has no spaces" in refused(runtime, b, "/process/selinuxLabel")
    b = bundle(*SLEEP)
    box = runtime.container(b)
    box.create()
    result = box.exec("/bin/true", options=("--process-label", "exec x"), check=False)
    assert result.returncode == 64 and "has spaces" in result.stderr


@pytest.mark.parametrize("strict", [False, True])
def test_mqueue_whose_owner_is_not_mapped(runtime, bundle, strict):
    """Its root was made before anyone was root of the user namespace. SELinux is made believe in
    by the first fsconfig(2) of init, which asks whether there is any."""
    b = bundle("/bin/echo", "ran").user_namespace()
    b.config["mounts"] = [b.mounts[0]]
    b.mount("/run", "mqueue", "nodev", type="mqueue")
    b.linux.update(maskedPaths=[], mountLabel=LABEL)
    os.chown(b.rootfs / "dev", 1_000_000, 1_000_000)
    options = ["--strict"] * strict + ["--log-level", "warning"]
    argv = runtime.argv(*options, "run", "--bundle", b, runtime.new_id())
    done = run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fsconfig:retval=0:when=1",
                *argv], env=runtime.environment, check=False)
    assert (done.returncode, done.stdout) == ((1, "") if strict else (0, "ran\n"))
    assert "/run keeps its label: its owner is not mapped" in done.stderr
    assert strict or "warning: mount-unlabelled: config.json:" in done.stderr


@pytest.mark.parametrize("kind", [None, "rootcontext", "context"])
def test_mount_label(runtime, bundle, kind):
    b = bundle("/bin/touch", "/ran")
    b.linux["mountLabel"] = LABEL
    if kind is not None:
        b.config["annotations"] = {"run.oci.mount_context_type": kind}
    message = refused(runtime, b, "/linux/mountLabel")
    assert f"{kind or 'context'}={LABEL} (is SELinux enabled" in message
    assert nothing_kept(runtime) and not (b.rootfs / "ran").exists()


def test_mount_label_on_what_takes_any_option(runtime, bundle):
    """ramfs ignores options that it does not know."""
    b = bundle("/bin/true")
    b.linux["mountLabel"] = LABEL
    b.config["mounts"] = [{"destination": "/tmp", "type": "ramfs", "source": "ramfs"}]
    refused(runtime, b, "/linux/mountLabel")


def test_mount_label_on_masked_paths_only(runtime, bundle):
    b = bundle("/bin/true")
    b.linux["mountLabel"] = LABEL
    b.linux["maskedPaths"] = ["/tmp"]
    b.linux["readonlyPaths"] = []
    b.config["mounts"] = []
    assert "mask /tmp: invalid argument" in refused(runtime, b, "/linux/maskedPaths/0")


def test_mount_context_type_that_cannot_be(runtime, bundle):
    b = bundle()
    b.linux["mountLabel"] = LABEL
    b.config["annotations"] = {"run.oci.mount_context_type": "seclabel"}
    assert "expected context, fscontext" in refused(
        runtime, b, "/annotations/run.oci.mount_context_type")


# --- where it is written (CVE-2025-52881) ----------------------------------------------------

def writes(trace):
    """[(the descriptor's folder, path, flags)] of openat2 calls that lead to attr, what was
    written there."""
    text = trace.read_text()
    opened = re.findall(r'openat2\((\d+)<([^>]*)>, "([^"]*attr/[^"]*)", \{flags=(\S+), '
                        r'resolve=([^}]*)\}', text)
    written = re.findall(r'write\(\d+<[^>]*attr/[^>]*>, "([^"]*)", \d+\)', text)
    return opened, written


@pytest.mark.parametrize("user_namespace", [False, True])
@pytest.mark.parametrize("when", ["create", "exec"])
def test_what_is_written(runtime, bundle, tmp_path, when, user_namespace):
    """The very bytes, in the folder of the calling thread, below a procfs that is mounted
    nowhere, with no way to another mount."""
    b = bundle(*SLEEP)
    if user_namespace:
        b.user_namespace(((0, 0, 65536),))
    box = runtime.container(b)
    command = ["exec", "--process-label", LABEL, box.id, "/bin/true"]
    if when == "exec":
        box.create()
        box.start()
    else:
        b.process["selinuxLabel"] = LABEL
        command = ["create", "--bundle", b, box.id]
    trace = tmp_path / "trace"
    run(["strace", "-f", "-y", "-s", "100", "-o", trace, "-e", "trace=openat2,write,fsmount",
         *runtime.argv(*command)], env=runtime.environment, check=False)
    opened, written = writes(trace)
    assert written == [LABEL]
    assert [call[2] for call in opened] == ["thread-self/attr/exec"]
    assert opened[0][3] == "O_WRONLY|O_CLOEXEC"
    assert set(opened[0][4].split("|")) == {"RESOLVE_NO_XDEV", "RESOLVE_NO_MAGICLINKS",
                                            "RESOLVE_BENEATH"}
    assert re.search(rf"fsmount\(.*\) += {opened[0][0]}\b", trace.read_text())


@pytest.mark.parametrize("user_namespace", [False, True])
def test_fake_proc(runtime, bundle, user_namespace):
    """What stands in the container's /proc is not even looked at."""
    b = bundle(*SLEEP).without_mount("/proc")
    b.linux["maskedPaths"] = b.linux["readonlyPaths"] = []
    if user_namespace:
        b.user_namespace(((0, 0, 65536),))
    fakes = [b.file(f"/proc/{folder}/attr/{name}", "fake", 0o666)
             for folder in ("self", "thread-self", "1")
             for name in ("exec", "current", "keycreate", "apparmor/exec", "apparmor/current")]
    box = runtime.container(b)
    box.create()
    box.start()
    for flag, value in (("--process-label", LABEL), ("--apparmor", "docker-default")):
        result = box.exec("/bin/touch", "/ran", options=(flag, value), check=False)
        assert result.returncode == 255, result
        assert "SELinux enabled" in result.stderr or "AppArmor is not" in result.stderr
    assert {fake.read_text() for fake in fakes} == {"fake"}
    assert not (b.rootfs / "ran").exists()


# --- nothing without need ----------------------------------------------------------------------

def test_no_procfs_without_need(runtime, bundle, tmp_path):
    trace = tmp_path / "trace"
    run(["strace", "-f", "-o", trace, "-e", "trace=fsopen,openat2,openat",
         *runtime.argv("run", "--bundle", bundle("/bin/true"), runtime.new_id())],
        env=runtime.environment)
    text = trace.read_text()
    assert "attr" not in text and text.count('fsopen("proc"') == 1  # that of the config
