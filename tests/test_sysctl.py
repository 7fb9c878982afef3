# SPDX-License-Identifier: MIT
"""linux.sysctl: only what belongs to a namespace of the container, and only there."""

import subprocess

import pytest

from harness.refused import refused


def host(path):
    try:
        with open(f"/proc/sys/{path}", encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return None


def other(path):
    """A switch of the host's, the other way."""
    return path, str(1 - int(host(path)))


ALLOWED = {  # name in config.json -> path below /proc/sys, value
    "net.ipv4.ip_forward": other("net/ipv4/ip_forward"),
    "net/ipv4/ip_default_ttl": ("net/ipv4/ip_default_ttl", "33"),
    "net.ipv4.conf.lo.forwarding": other("net/ipv4/conf/lo/forwarding"),
    "net.ipv4.ping_group_range": ("net/ipv4/ping_group_range", "0\t5"),
    "net.ipv4.ip_unprivileged_port_start": ("net/ipv4/ip_unprivileged_port_start", "80"),
    "net.core.somaxconn": ("net/core/somaxconn", "256"),
    "kernel.msgmax": ("kernel/msgmax", "9000"), "kernel.msgmnb": ("kernel/msgmnb", "9001"),
    "kernel.msgmni": ("kernel/msgmni", "99"), "kernel.sem": ("kernel/sem", "200\t300\t400\t500"),
    "kernel.shmall": ("kernel/shmall", "1000"), "kernel/shmmax": ("kernel/shmmax", "100000"),
    "kernel.shmmni": ("kernel/shmmni", "77"),
    "kernel.shm_rmid_forced": ("kernel/shm_rmid_forced", "1"),
    "fs.mqueue.msg_max": ("fs/mqueue/msg_max", "5"),
    "kernel.domainname": ("kernel/domainname", "example.org"),
}
NAMESPACE = {"net": "network", "fs": "ipc", "kernel": "ipc", "user": "user"}


def test_allowed(runtime, bundle):
    b = bundle()
    b.linux["sysctl"] = {name: value for name, (_, value) in ALLOWED.items()}
    paths = [path for path, _ in ALLOWED.values()]
    before = [host(path) for path in paths]
    seen = runtime.probe(b, *(f"cat:/proc/sys/{path}" for path in paths))
    assert seen["tests"] == {f"cat:/proc/sys/{path}": value for path, value in ALLOWED.values()}
    assert [host(path) for path in paths] == before
    assert not any(old == value + "\n" for old, (_, value) in zip(before, ALLOWED.values()))


def test_interface_with_a_dot_in_its_name(runtime, bundle):
    """net.ipv4.conf.eth0/1.forwarding and net/ipv4/conf/eth0.1/forwarding are the same."""
    script = "ip link set lo name eth0.1 && echo ok && exec sleep 100"
    with subprocess.Popen(["unshare", "--net", "sh", "-c", script], stdout=subprocess.PIPE,
                          text=True) as holder:
        try:
            assert holder.stdout.readline() == "ok\n"
            b = bundle().namespace("network", f"/proc/{holder.pid}/ns/net")
            for name in ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"):
                for value in ("1", "0"):
                    b.linux["sysctl"] = {name: value}
                    seen = runtime.probe(b, "cat:/proc/sys/net/ipv4/conf/eth0.1/forwarding")
                    assert list(seen["tests"].values()) == [value]
        finally:
            holder.kill()


def test_user_namespace(runtime, bundle):
    b = bundle().user_namespace()
    b.linux["sysctl"] = {"user.max_mnt_namespaces": "55", "net.ipv4.ip_forward": "1",
                         "kernel.msgmax": "9000"}
    before = host("user/max_mnt_namespaces")
    seen = runtime.probe(b, "cat:/proc/sys/user/max_mnt_namespaces",
                         "cat:/proc/sys/net/ipv4/ip_forward")
    assert list(seen["tests"].values()) == ["55", "1"]
    assert host("user/max_mnt_namespaces") == before


@pytest.mark.parametrize("name", [
    "kernel.core_pattern", "vm.swappiness", "kernel.hostname", "kernel.panic", "fs.file-max",
    "kernel.msgmaxx",
    "kernel", "net", "kernel/sem/x", "fs.mqueuex.msg_max", "debug.x", "user.max_mnt_namespaces",
    "dev.cdrom.info",
    "net/../vm/swappiness", "net.ipv4/../../vm.swappiness", "net//core/somaxconn",
    "/net/core/somaxconn", "",
    "net/ipv4/./ip_forward", "net/ipv4/ip_forward/", "..", "net/..", "NET.core.somaxconn",
])
def test_refused(runtime, bundle, name):
    b = bundle()
    b.linux["sysctl"] = {"net.core.somaxconn": "300", name: "1"}
    before = host("vm/swappiness"), host("kernel/core_pattern")
    refused(runtime, b, f"/linux/sysctl/{name.replace('~', '~0').replace('/', '~1')}")
    assert (host("vm/swappiness"), host("kernel/core_pattern")) == before


@pytest.fixture
def apart(make_runtime, hako, tmp_path):
    """A runtime whose own namespaces are not the machine's: those could be changed by mistake."""
    script = tmp_path / "apart"
    script.write_text(f'#!/bin/sh\nexec unshare --net --ipc --uts {hako} "$@"\n')
    script.chmod(0o755)
    return make_runtime(script)


@pytest.mark.parametrize("name, namespace", [("net.ipv4.ip_forward", "network"),
                                             ("kernel.msgmax", "ipc"),
                                             ("fs.mqueue.msg_max", "ipc"),
                                             ("kernel.domainname", "uts"),
                                             ("user.max_mnt_namespaces", "user")])
def test_without_the_namespace(apart, bundle, name, namespace):
    b = bundle().without_namespace(namespace)
    if namespace == "uts":
        b.config.pop("hostname")
    b.linux["sysctl"] = {name: "1000"}
    assert namespace in refused(apart, b, f"/linux/sysctl/{name}")


@pytest.mark.parametrize("pointer, namespace, path", [
    ("/linux/sysctl/net.ipv4.ip_forward", "network", "net"),
    ("/linux/sysctl/kernel.msgmax", "ipc", "ipc"),
    ("/linux/sysctl/kernel.domainname", "uts", "uts"), ("/hostname", "uts", "uts"),
    ("/domainname", "uts", "uts")])
def test_the_runtimes_own_namespace_by_path(apart, bundle, pointer, namespace, path):
    b = bundle().namespace(namespace, f"/proc/self/ns/{path}")
    b.config.pop("hostname")
    *_, parent, name = pointer.split("/")
    if parent == "sysctl":
        b.linux["sysctl"] = {name: "1000"}
    else:
        b.config[name] = "changed"
    assert f"the {namespace} namespace that hako runs in" in refused(apart, b, pointer)
    # it may be joined, as long as nothing is changed there
    b.linux["sysctl"] = {}
    b.config.pop(name, None)
    apart.run_bundle(b)


@pytest.mark.parametrize("name, value", [("net.no.such", "1"), ("kernel.msgmax", "many")])
def test_refused_by_the_kernel(runtime, bundle, name, value):
    b = bundle()
    b.linux["sysctl"] = {name: value}
    refused(runtime, b, f"/linux/sysctl/{name}")


def test_domainname_twice(runtime, bundle):
    b = bundle()
    b.config["domainname"] = "one.example"
    b.linux["sysctl"] = {"kernel.domainname": "two.example"}
    assert "domainname" in refused(runtime, b, "/linux/sysctl/kernel.domainname")
    b.config["domainname"] = "two.example"  # the same twice is no contradiction
    assert runtime.probe(b, "cat:/proc/sys/kernel/domainname")["tests"] == {
        "cat:/proc/sys/kernel/domainname": "two.example"}


@pytest.mark.parametrize("names", [("net.core.somaxconn", "net/core/somaxconn"),
                                   ("net/core/somaxconn", "net.core.somaxconn")])
def test_two_spellings(runtime, bundle, names):
    """The last one counts, wherever it stands."""
    b = bundle()
    b.linux["sysctl"] = {names[0]: "303", names[1]: "304"}
    seen = runtime.probe(b, "cat:/proc/sys/net/core/somaxconn")
    assert list(seen["tests"].values()) == ["304"]


def test_values_are_written_before_proc_is_read_only(runtime, bundle):
    b = bundle()
    b.linux["sysctl"] = {"net.core.somaxconn": "301"}
    seen = runtime.probe(b, "cat:/proc/sys/net/core/somaxconn", "w:/proc/sys/net/core/somaxconn")
    assert list(seen["tests"].values()) == ["301", "EROFS"]


def test_without_a_procfs_in_the_container(runtime, bundle):
    b = bundle().without_mount("/proc")
    b.linux["sysctl"] = {"net.core.somaxconn": "302"}
    b.linux.update(maskedPaths=[], readonlyPaths=[])
    b.capabilities("CAP_SYS_ADMIN").sh("mount -t proc p /proc && cat /proc/sys/net/core/somaxconn")
    assert runtime.run_bundle(b).stdout == "302\n"
