# SPDX-License-Identifier: MIT
"""linux.netDevices (config-linux.md "Network Devices"): links of the runtime's network namespace,
which here is one of the test's own, move into the container's."""

import json
import os
import signal
import subprocess

import pytest

from harness import kernel
from harness.kernel import eventually
from harness.runtime import SCALE, run

# as the kernel lists them: the last of IPv4 is a secondary one
ADDRESSES = ["192.0.2.1/24", "198.51.100.7/32", "192.0.2.2/24", "2001:db8::1/64"]


class Net:
    """A network namespace, held by a process that sleeps in it."""

    def __init__(self, pid):
        self.path = f"/proc/{pid}/ns/net"

    def argv(self, *args):
        return ["nsenter", f"--net={self.path}", *map(str, args)]

    def ip(self, *args, **how):
        return run(self.argv("ip", *args), **how)

    def links(self):
        """{name: what `ip -j -d address` says}"""
        return {link["ifname"]: link for link in self.ip("-j", "-d", "address").json()}

    def addresses(self, name):
        """Of global scope, in the order of the kernel."""
        return [f"{a['local']}/{a['prefixlen']}" for a in self.links()[name]["addr_info"]
                if a["scope"] == "global"]


@pytest.fixture
def make_net():
    """make_net(): a new network namespace."""
    holders = []

    def make():
        holders.append(subprocess.Popen(["unshare", "--net", "sleep", "1000"]))
        own = os.readlink("/proc/self/ns/net")
        eventually(lambda: os.readlink(f"/proc/{holders[-1].pid}/ns/net") != own and
                   open(f"/proc/{holders[-1].pid}/comm").read() == "sleep\n")
        return Net(holders[-1].pid)

    yield make
    for holder in holders:
        with holder:
            holder.kill()


@pytest.fixture
def host(make_net):
    """The runtime's namespace: v0, which is up and has ADDRESSES, its peer p0, and v1, down."""
    net = make_net()
    for i in range(2):
        net.ip("link", "add", f"v{i}", "type", "veth", "peer", "name", f"p{i}")
    net.ip("link", "set", "v0", "up", "mtu", "1400", "address", "02:00:00:00:00:17")
    net.ip("link", "set", "p0", "up")
    for address in ADDRESSES:
        net.ip("address", "add", address, "dev", "v0", *(["nodad"] if ":" in address else []))
    eventually(lambda: all(has_come_up(net.links()[name]) for name in ("v0", "p0")))
    return net


def has_come_up(link):
    """What the kernel does to it after `ip link set up` has ended."""
    return link["operstate"] == "UP" and any(a["local"].startswith("fe80")
                                             for a in link["addr_info"])


@pytest.fixture
def inside(runtime, host, monkeypatch):
    """The runtime, called in that namespace."""
    argv = runtime.argv
    monkeypatch.setattr(runtime, "argv", lambda *args: host.argv(*argv(*args)))
    return runtime


@pytest.fixture
def started(inside, bundle):
    """started(devices, prepare=...): a running container, and its network namespace."""
    def start(devices, prepare=lambda b: b, box=None):
        b = prepare(bundle("/bin/sleep", "1000"))
        b.linux["netDevices"] = devices
        box = inside.container(b)
        box.create()
        box.start()
        return box, Net(box.pid)

    return start


def fails(inside, b, devices, pointer, message, *options):
    """hako's error names the property; pointer is relative to /linux/netDevices."""
    b.linux["netDevices"] = devices
    result = inside.run_bundle(b, *options, check=False)
    assert result.returncode == 1, result
    assert f" /linux/netDevices{pointer}: " in result.stderr and message in result.stderr, result


# --- what moves ---

def test_move(started, host):
    """Name, hardware address, MTU and addresses stay; the host has it no more."""
    before = host.links()["v0"]
    _, net = started({"v0": {}})
    link = net.links()["v0"]
    assert "v0" not in host.links()
    assert (link["address"], link["mtu"]) == (before["address"], before["mtu"])
    assert "UP" in link["flags"]
    assert net.addresses("v0") == ADDRESSES
    assert {a["label"] for a in link["addr_info"] if "label" in a} == {"v0"}


def test_rename(started, host):
    _, net = started({"v0": {"name": "container_eth0"}})
    link = net.links()["container_eth0"]
    assert "UP" in link["flags"] and {"v0", "p0"}.isdisjoint(net.links())
    assert net.addresses("container_eth0") == ADDRESSES
    # labels of IPv4 addresses follow the name
    assert {a["label"] for a in link["addr_info"] if "label" in a} == {"container_eth0"}


def test_traffic(inside, bundle, host):
    """The address answers through the other end of the pair."""
    host.ip("address", "add", "192.0.2.9/24", "dev", "p0")
    b = bundle().sh("ip -4 -o address show dev eth0;"
                    "ping -c 1 -W 30 192.0.2.9 >/dev/null && echo answer")
    b.capabilities("CAP_NET_RAW")
    b.linux["netDevices"] = {"v0": {"name": "eth0"}}
    out = inside.run_bundle(b).stdout
    assert "192.0.2.1/24" in out and out.endswith("answer\n")


def test_link_that_was_down_comes_up(started, host):
    host.ip("link", "set", "p1", "up")
    _, net = started({"v1": {}})
    assert {"UP", "LOWER_UP"} <= set(net.links()["v1"]["flags"])
    assert net.addresses("v1") == []


def test_several(started, host):
    _, net = started({"v0": {"name": "a"}, "v1": {"name": "b"}, "p1": {"name": "v1"}})
    assert {"a", "b", "v1"} <= net.links().keys() and host.links().keys() & {"v0", "v1", "p1"} == set()


def test_names_change_places(started, host):
    _, net = started({"v0": {"name": "v1"}, "v1": {"name": "v0"}})
    assert net.links()["v1"]["mtu"] == 1400 and net.links()["v0"]["mtu"] == 1500


def test_only_permanent_global_addresses(started, host):
    for words in (["10.0.0.1/8", "valid_lft", "1000", "preferred_lft", "900"],
                  ["10.1.0.2/32", "scope", "link"], ["10.2.0.3/32", "scope", "host"],
                  ["2001:db8:1::1/64", "nodad", "valid_lft", "1000", "preferred_lft", "900"]):
        host.ip("address", "add", *words, "dev", "v0")
    _, net = started({"v0": {}})
    found = [a["local"] for a in net.links()["v0"]["addr_info"]]
    assert [a for a in found if not a.startswith("fe80")] == [a.split("/")[0] for a in ADDRESSES]


def test_attributes_of_addresses(started, host):
    """Peer, broadcast address, metric, flags."""
    host.ip("address", "add", "10.1.1.1", "peer", "10.9.9.9/32", "dev", "v1")
    host.ip("address", "add", "10.2.0.1/16", "broadcast", "10.2.255.1", "noprefixroute", "metric",
            "7", "dev", "v1")

    def shown(net, name):
        return [{k: a.get(k) for k in ("local", "address", "prefixlen", "broadcast",
                                       "noprefixroute", "metric")}
                for a in net.links()[name]["addr_info"] if a["family"] == "inet"]

    before = shown(host, "v1")
    _, net = started({"v1": {"name": "x"}})
    assert shown(net, "x") == before and before[0]["address"] == "10.9.9.9"


def test_more_addresses_than_one_message_holds(started, host):
    host.ip("-batch", "-", input="".join(
        f"address add 10.{i // 250}.{i % 250}.1/24 dev v1\n" for i in range(1000)))
    _, net = started({"v1": {}})
    assert len(net.addresses("v1")) == 1000


# --- names ---

def test_template(started, host):
    """%d becomes the lowest number that is free."""
    _, net = started({"v0": {"name": "eth%d"}, "v1": {"name": "eth%d"}, "p1": {"name": "x%dy"}})
    assert net.links()["eth0"]["mtu"] == 1400
    assert {"eth1", "x0y"} <= net.links().keys()


def test_template_beside_links_that_are_there(inside, started, host, make_net):
    joined = make_net()
    for name in ("eth0", "eth1", "eth3"):
        joined.ip("link", "add", name, "type", "veth", "peer", "name", f"peer{name}")
    started({"v0": {"name": "eth%d"}, "v1": {"name": "eth%d"}},
            lambda b: b.namespace("network", joined.path))
    assert joined.links()["eth2"]["mtu"] == 1400 and "eth4" in joined.links()


@pytest.mark.parametrize("name, wanted", [("v0", None), ("v0", "taken"), ("taken", None),
                                          ("v1", "lo")])
def test_name_that_is_taken(inside, bundle, host, make_net, name, wanted):
    """An error, and the device is where and what it was; so is the one it would have met."""
    joined = make_net()
    host.ip("link", "add", "taken", "type", "veth", "peer", "name", "x")
    for other in ("v0", "taken"):
        joined.ip("link", "add", other, "mtu", "1300", "type", "veth", "peer", "name", "y" + other)
    before = remember(host), remember(joined)
    b = bundle().namespace("network", joined.path)
    fails(inside, b, {name: {"name": wanted} if wanted else {}}, f"/{name}",
          f"the name {wanted or name} is taken in the container")
    eventually(lambda: (remember(host), remember(joined)) == before)


def test_index_that_is_taken(inside, started, host, make_net):
    """The kernel gives it another one then; addresses go to the right link."""
    joined = make_net()
    index = host.links()["v0"]["ifindex"]
    joined.ip("link", "add", "other", "index", index, "type", "veth", "peer", "name", "y")
    started({"v0": {"name": "eth0"}}, lambda b: b.namespace("network", joined.path))
    assert joined.links()["eth0"]["ifindex"] != index
    assert joined.addresses("eth0") == ADDRESSES and joined.addresses("other") == []


# --- with other parts of a container ---

def test_joined_namespace(started, host, make_net):
    joined = make_net()
    box, _ = started({"v0": {"name": "eth0"}}, lambda b: b.namespace("network", joined.path))
    assert joined.addresses("eth0") == ADDRESSES
    # not moved out again
    box.delete("--force")
    assert joined.addresses("eth0") == ADDRESSES and "v0" not in host.links()


def test_user_namespace(started, host):
    _, net = started({"v0": {"name": "eth0"}}, lambda b: b.user_namespace())
    assert net.addresses("eth0") == ADDRESSES and "UP" in net.links()["eth0"]["flags"]


def test_sysctl_of_the_device(inside, bundle, host):
    """It is there before init writes them."""
    b = bundle().sh("cat /proc/sys/net/ipv4/conf/eth0/forwarding")
    b.linux["netDevices"] = {"v0": {"name": "eth0"}}
    b.linux["sysctl"] = {"net.ipv4.conf.eth0.forwarding": "1"}
    assert inside.run_bundle(b).stdout == "1\n"


@pytest.mark.parametrize("hook", ["prestart", "createRuntime"])
def test_hooks_see_the_device(inside, bundle, host, tmp_path, hook):
    b = bundle()
    script = tmp_path / "hook"
    script.write_text(f"""#!/bin/sh
pid=$(sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p')
ip link show >{tmp_path}/here
nsenter --net=/proc/$pid/ns/net ip address show eth0 >{tmp_path}/there
""")
    script.chmod(0o755)
    b.config["hooks"] = {hook: [{"path": str(script), "env": [f"PATH={os.environ['PATH']}"]}]}
    b.linux["netDevices"] = {"v0": {"name": "eth0"}}
    inside.run_bundle(b)
    assert "192.0.2.1/24" in (tmp_path / "there").read_text()
    assert "v0" not in (tmp_path / "here").read_text()


def test_ends_with_the_container(inside, bundle, host):
    """The runtime moves nothing back: the kernel destroys a veth with its namespace."""
    b = bundle()
    b.linux["netDevices"] = {"v0": {}}
    inside.run_bundle(b)
    eventually(lambda: not {"v0", "p0"} & host.links().keys(), seconds=30)


def test_not_moved_back_by_delete_before_start(inside, bundle, host):
    b = bundle()
    b.linux["netDevices"] = {"v0": {}}
    box = inside.container(b)
    box.create()
    box.delete()
    eventually(lambda: "p0" not in host.links(), seconds=30)


def test_namespace_dies_while_run_is_waiting(inside, bundle, host, background):
    """hako keeps nothing of the container's namespace open once the program runs."""
    b = bundle("/bin/sleep", "1000")
    b.linux["netDevices"] = {"v0": {}}
    process = background("run", "--bundle", b, inside.new_id())
    state = lambda: inside.run("state", inside.ids[-1]).json()
    pid = eventually(lambda: state()["status"] == "running" and state()["pid"])
    namespace = os.readlink(f"/proc/{pid}/ns/net")
    # nsenter has executed hako; it may have to hear of the program first
    eventually(lambda: namespace not in kernel.descriptors(process.pid).values())
    os.kill(pid, signal.SIGKILL)
    assert process.wait(10 * SCALE) == 137


# --- failures ---

def remember(host):
    """Everything of the host's namespace but what time changes."""
    links = host.links()
    for link in links.values():
        link.pop("linkinfo", None)  # timers
        for address in link["addr_info"]:
            for key in ("valid_life_time", "preferred_life_time"):
                address[key] = address[key] > 100_000
            address.pop("tentative", None)
    return json.dumps(links, sort_keys=True), host.ip("-4", "route").stdout


@pytest.fixture
def dressed(host):
    """v0 with whatever it can have, v1 with an address though it is down."""
    host.ip("address", "add", "10.0.0.1/8", "label", "v0:x", "valid_lft", "9000", "preferred_lft",
            "8000", "dev", "v0")
    host.ip("address", "add", "10.0.0.2/32", "scope", "link", "dev", "v0")
    host.ip("address", "add", "2001:db8:1::1/64", "nodad", "valid_lft", "9000", "preferred_lft",
            "8000", "dev", "v0")
    host.ip("address", "add", "10.7.0.1/16", "dev", "v1")
    # IPv6's own address of a link is up after a moment
    eventually(lambda: not any(a.get("tentative") for a in host.links()["v0"]["addr_info"]))
    return host


FAILURES = {
    "mount": lambda b, tmp: b.mount("/data", tmp / "absent", "bind"),
    "program": lambda b, tmp: b.args("/absent"),
    "sysctl": lambda b, tmp: b.linux.update(sysctl={"net.ipv4.conf.absent.forwarding": "1"}),
    "prestart": lambda b, tmp: b.config.update(hooks={"prestart": [{"path": "/bin/false"}]}),
    "createContainer": lambda b, tmp: b.config.update(
        hooks={"createContainer": [{"path": "/bin/false"}]}),
    "startContainer": lambda b, tmp: b.config.update(
        hooks={"startContainer": [{"path": "/bin/false"}]}),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("joined", [False, True])
def test_failure_brings_them_back(inside, bundle, dressed, make_net, tmp_path, failure, joined):
    """With their names, addresses and states, from a new namespace and from one that was joined."""
    before = remember(dressed)
    b = bundle()
    b.linux["netDevices"] = {"v0": {"name": "eth0"}, "v1": {"name": "eth%d"}}
    if joined:
        b.namespace("network", make_net().path)
    FAILURES[failure](b, tmp_path)
    result = inside.run_bundle(b, check=False)
    assert result.returncode == 1, result
    eventually(lambda: remember(dressed) == before)


@pytest.mark.parametrize("missing, pointer", [("absent", "/absent"), ("a/b", None)])
def test_missing_device(inside, bundle, dressed, missing, pointer):
    before = remember(dressed)
    if pointer:
        fails(inside, bundle(), {"v0": {"name": "x"}, missing: {}}, pointer,
              f"find the network device {missing}: no such device")
    eventually(lambda: remember(dressed) == before)


def test_name_taken_by_a_device_before(inside, bundle, dressed):
    """v0 becomes x0, so the second finds its name taken."""
    before = remember(dressed)
    fails(inside, bundle(), {"v0": {"name": "x%d"}, "v1": {"name": "x0"}}, "/v1",
          "the name x0 is taken in the container")
    eventually(lambda: remember(dressed) == before)


def test_interrupted(inside, bundle, dressed, background, tmp_path):
    """SIGTERM while a hook runs."""
    before = remember(dressed)
    b = bundle()
    b.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": [
        "sh", "-c", f"echo >{tmp_path}/running; exec sleep 1000"]}]}
    b.linux["netDevices"] = {"v0": {"name": "eth0"}}
    process = background("run", "--bundle", b, inside.new_id(), stderr=subprocess.DEVNULL)
    eventually(lambda: (tmp_path / "running").read_text())
    assert "v0" not in dressed.links()
    process.terminate()
    process.wait(20 * SCALE)
    eventually(lambda: remember(dressed) == before)


def test_loopback_stays(inside, bundle, host):
    host.ip("link", "set", "lo", "up")
    before = remember(host)
    fails(inside, bundle(), {"lo": {"name": "lo1"}}, "/lo", "stays in its namespace")
    eventually(lambda: remember(host) == before)


def test_device_that_is_local_to_its_namespace(inside, bundle, host):
    if host.ip("link", "add", "br0", "type", "bridge", check=False).returncode != 0:
        pytest.skip("this kernel has no bridges")
    host.ip("link", "set", "br0", "up")
    host.ip("address", "add", "10.3.0.1/24", "dev", "br0")
    before = remember(host)
    fails(inside, bundle(), {"br0": {}}, "/br0", "stays in its namespace")
    eventually(lambda: remember(host) == before)


def test_own_namespace_by_path(inside, bundle, host):
    """Renaming there would change the host."""
    before = remember(host)
    b = bundle().namespace("network", host.path)
    fails(inside, b, {"v0": {"name": "x"}}, "", "this would change the host")
    eventually(lambda: remember(host) == before)


def test_rootless(rootless, bundle, user, host, monkeypatch):
    b = bundle(owner=user).rootless().namespace("network")
    b.linux["netDevices"] = {"lo": {"name": "x"}}
    result = rootless.run_bundle(b, check=False)
    assert result.returncode == 1 and "only root can move network devices" in result.stderr
    assert " /linux/netDevices: " in result.stderr
