# SPDX-License-Identifier: MIT
"""`hako explain`: every rule is met by a bundle that breaks it and by none that does not, with the
line it is about; bundles and containers, as any user."""

import copy
import json
import os
import pathlib
import re
import shutil

import pytest

from harness.runtime import run

TESTS = pathlib.Path(__file__).resolve().parent
GOLDEN = TESTS / "golden" / "explained"
FORMATS = {"text": "txt", "json": "json", "sarif": "sarif"}
RULES = TESTS.parent / "src" / "run" / "explain_rules.c"
RATINGS = ("danger", "risk", "note", "ok")
CAPS = ("bounding", "effective", "permitted")
USER = {"uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}]}
USER["gidMappings"] = USER["uidMappings"]


def rules():
    """id: (rating, confined) of the table."""
    text = RULES.read_text()
    table = text[text.index("explain_rules[] = {"):]
    words = {"DANGER": "danger", "RISK": "risk", "NOTE": "note", "OK": "ok"}
    found = re.findall(r'^\t(?:\{|CAPABILITY\()"([\w-]+)", (\w+), (\w+), ', table, re.MULTILINE)
    found += [(name, "NOTE", "NOTE") for name in re.findall(r'^\tSYSCALLS\("([\w-]+)"', table, re.M)]
    return {name: (words[rating], words[confined]) for name, rating, confined in found}


@pytest.fixture(scope="session")
def hardened(hako, session_path):
    """The config that has nothing to be said of."""
    folder = session_path("hardened")
    run([hako, "spec", "--profile", "hardened", "--bundle", folder])
    return json.loads((folder / "config.json").read_text())


@pytest.fixture
def explain(hako, tmp_path):
    """explain(config, *options): {rule's id: [finding, ...]} without what is ok; the answer."""

    def call(config, *options):
        folder = tmp_path / "explained"
        folder.mkdir(exist_ok=True)
        text = json.dumps(config, indent=1)
        (folder / "config.json").write_text(text)
        result = run([hako, "explain", "--format", "json", *options, folder])
        assert result.stderr == "", result
        seen = {}
        for finding in result.json()["findings"]:
            check_place(finding, config, text)
            seen.setdefault(finding["id"], []).append(finding)
        return seen, result.json()["answer"]

    return call


def check_place(finding, config, text):
    """The pointer leads to something, and line and column to its text."""
    value = config
    for token in finding["pointer"].split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        value = value[int(token)] if isinstance(value, list) else value[token]
    rest = "\n".join(text.split("\n")[finding["line"] - 1:])[finding["column"] - 1:]
    assert json.JSONDecoder().raw_decode(rest)[0] == value
    assert ("why" in finding, "fix" in finding) == (finding["rating"] != "ok",) * 2


def bad(seen):
    return {f["id"]: f["rating"] for fs in seen.values() for f in fs if f["rating"] != "ok"}


def test_nothing_is_said_of_hardened(hako, hardened, explain, tmp_path):
    seen, answer = explain(hardened)
    assert bad(seen) == {} and answer == "No, as far as its configuration tells."
    assert len(seen) > 10
    folder = tmp_path / "explained"
    for limit in ("note", "risk", "danger"):
        assert run([hako, "explain", "--fail-on", limit, folder]).returncode == 0


# --- one rule at a time ---------------------------------------------------------------------

def host_ids(c):
    """Without the user namespace: its root is root of the host."""
    for key in USER:
        c["linux"].pop(key, None)
    without(c, "user")
    c["process"]["user"] = {"uid": 0, "gid": 0}


def without(c, *types):
    c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] not in types]


def bind(source, *options, destination="/mnt"):
    return lambda c: c["mounts"].append({"destination": destination, "source": source, "type": "bind",
                                         "options": ["bind", *options]})


def mount(type, *options, source=None):
    def add(c):
        c["mounts"].append({"destination": "/mnt", "source": source or type, "type": type,
                            "options": list(options)})
    return add


def options(destination, *words):
    def change(c):
        next(m for m in c["mounts"] if m["destination"] == destination)["options"] = list(words)
    return change


def capability(*names):
    return lambda c: c["process"]["capabilities"].update({s: list(names) for s in CAPS})


def allow(*names):
    return lambda c: c["linux"]["seccomp"]["syscalls"].append({"names": list(names),
                                                               "action": "SCMP_ACT_ALLOW"})


def device(type, major, minor, path="/dev/x"):
    return lambda c: c["linux"].update(devices=[{"path": path, "type": type, "major": major,
                                                 "minor": minor}])


def put(pointer, value):
    def change(c):
        *path, last = pointer.split("/")[1:]
        for key in path:
            c = c.setdefault(key, {})
        if value is None:
            del c[last]
        elif isinstance(c, list):
            c[int(last)] = value
        else:
            c[last] = value
    return change


def unlist(key, path):
    return lambda c: c["linux"][key].remove(path)


def joined(path):
    def change(c):
        without(c, "ipc")
        c["linux"]["namespaces"].append({"type": "ipc", "path": path})
    return change


def all_of(*changes):
    def change(c):
        for one in changes:
            one(c)
    return change


ALL_CAPS = capability("CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO")
# rule: what breaks it, the pointer of the finding
CASES = {
    "privileged": (all_of(ALL_CAPS, put("/linux/seccomp", None)), "/process/capabilities"),
    "root-is-host-root": (lambda c: None, "/process/user"),
    "idmap-host-root": (put("/linux/uidMappings", [{"containerID": 0, "hostID": 0, "size": 2000}]),
                        "/linux/uidMappings/0"),
    "user-is-host-user": (all_of(host_ids, put("/process/user", {"uid": 5, "gid": 5})),
                          "/process/user"),
    "new-privileges": (put("/process/noNewPrivileges", False), "/process/noNewPrivileges"),
    "namespace-mount": (None, None),
    "namespace-pid": (lambda c: without(c, "pid"), "/linux/namespaces"),
    "namespace-network": (lambda c: without(c, "network"), "/linux/namespaces"),
    "namespace-ipc": (joined("/proc/1/ns/ipc"), "/linux/namespaces/-1"),
    "namespace-uts": (all_of(lambda c: without(c, "uts"), put("/hostname", None)),
                      "/linux/namespaces"),
    "namespace-cgroup": (lambda c: without(c, "cgroup"), "/linux/namespaces"),
    "namespace-joined": (joined("/run/somebody"), "/linux/namespaces/-1"),
    "ptrace-host": (all_of(lambda c: without(c, "pid"), capability("CAP_SYS_PTRACE")),
                    "/process/capabilities/effective/0"),
    "kill-host": (all_of(lambda c: without(c, "pid"), capability("CAP_KILL")),
                  "/process/capabilities/effective/0"),
    "network-admin-host": (all_of(lambda c: without(c, "network"), capability("CAP_NET_ADMIN")),
                           "/process/capabilities/effective/0"),
    "seccomp-none": (put("/linux/seccomp", None), "/linux"),
    "seccomp-default": (all_of(put("/linux/seccomp/defaultErrnoRet", None),
                               put("/linux/seccomp/defaultAction", "SCMP_ACT_LOG")),
                        "/linux/seccomp/defaultAction"),
    "seccomp-user-namespaces": (allow("unshare"), "/linux/seccomp/syscalls/-1/names/0"),
    "seccomp-modules": (allow("vhangup", "finit_module"), "/linux/seccomp/syscalls/-1/names/1"),
    "seccomp-mount": (allow("mount"), "/linux/seccomp/syscalls/-1/names/0"),
    "seccomp-bpf": (allow("bpf"), "/linux/seccomp/syscalls/-1/names/0"),
    "seccomp-io-uring": (allow("io_uring_setup"), "/linux/seccomp/syscalls/-1/names/0"),
    "seccomp-keyring": (allow("keyctl"), "/linux/seccomp/syscalls/-1/names/0"),
    "seccomp-perf": (allow("perf_event_open"), "/linux/seccomp/syscalls/-1/names/0"),
    "seccomp-userfaultfd": (allow("userfaultfd"), "/linux/seccomp/syscalls/-1/names/0"),
    "seccomp-handles": (allow("open_by_handle_at"), "/linux/seccomp/syscalls/-1/names/0"),
    "seccomp-clock": (allow("clock_settime"), "/linux/seccomp/syscalls/-1/names/0"),
    "seccomp-speculation": (put("/linux/seccomp/flags", ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
                            "/linux/seccomp/flags"),
    "lsm-unconfined": (put("/process/apparmorProfile", "unconfined"), "/process/apparmorProfile"),
    "root-of-the-host": (put("/root/path", "/usr/../."), "/root/path"),
    "root-writable": (put("/root/readonly", False), "/root"),
    "root-shared": (put("/linux/rootfsPropagation", "rshared"), "/linux/rootfsPropagation"),
    "mount-host-root": (bind("//"), "/mounts/-1"),
    "mount-engine-socket": (bind("/var/run/docker.sock", "ro"), "/mounts/-1"),
    "mount-user-socket": (bind("/run/user/1000/podman/podman.sock"), "/mounts/-1"),
    "mount-engine-data": (bind("/var/lib/docker/volumes/../"), "/mounts/-1"),
    "mount-proc": (bind("/proc/sys"), "/mounts/-1"),
    "mount-cgroup": (bind("/sys/fs/cgroup"), "/mounts/-1"),
    "mount-sys": (bind("/sys"), "/mounts/-1"),
    "mount-sys-readonly": (bind("/sys", "ro"), "/mounts/-1"),
    "mount-dev": (bind("/dev/./"), "/mounts/-1"),
    "mount-device": (bind("/dev/sda"), "/mounts/-1"),
    "mount-secrets": (bind("/root"), "/mounts/-1"),
    "mount-keys": (bind("/root/.ssh/id_rsa", "ro"), "/mounts/-1"),
    "mount-etc": (bind("/etc"), "/mounts/-1"),
    "mount-etc-readonly": (bind("/etc", "ro"), "/mounts/-1"),
    "mount-programs": (bind("/usr/local"), "/mounts/-1"),
    "mount-tmp": (bind("/tmp"), "/mounts/-1"),
    "mount-writable": (bind("/srv/data"), "/mounts/-1"),
    "mount-shared": (bind("srv", "rshared"), "/mounts/-1"),
    "mount-disk": (mount("ext4", source="/dev/vdb"), "/mounts/-1"),
    "mount-overlay": (mount("overlay", "lowerdir=/a:/b"), "/mounts/-1"),
    "mount-devtmpfs": (mount("devtmpfs"), "/mounts/-1"),
    "mount-kernel": (mount("debugfs"), "/mounts/-1"),
    "sysfs-writable": (options("/sys", "nosuid"), "/mounts/5"),
    "cgroup-writable": (options("/sys/fs/cgroup", "nosuid"), "/mounts/6"),
    "cgroup-writable-host": (all_of(lambda c: without(c, "cgroup"),
                                    options("/sys/fs/cgroup", "nosuid")), "/mounts/6"),
    "proc-settings": (unlist("readonlyPaths", "/proc/sys"), "/linux/readonlyPaths"),
    "proc-sysrq": (unlist("readonlyPaths", "/proc/sysrq-trigger"), "/linux/readonlyPaths"),
    "proc-hardware": (unlist("readonlyPaths", "/proc/irq"), "/linux/readonlyPaths"),
    "proc-kcore": (unlist("maskedPaths", "/proc/kcore"), "/linux/maskedPaths"),
    "proc-unmasked": (unlist("maskedPaths", "/proc/keys"), "/linux/maskedPaths"),
    "sys-unmasked": (unlist("maskedPaths", "/sys/firmware"), "/linux/maskedPaths"),
    "devices-open": (put("/linux/resources/devices", [{"allow": False},
                                                      {"allow": True, "access": "rw"}]),
                     "/linux/resources/devices/1"),
    "device-memory": (device("c", 1, 1), "/linux/devices/0"),
    "device-disk": (device("b", 8, 1), "/linux/devices/0"),
    "device-input": (device("c", 13, 64), "/linux/devices/0"),
    "device-other": (device("c", 10, 229), "/linux/devices/0"),
    "net-device": (put("/linux/netDevices", {"eth7": {}}), "/linux/netDevices/eth7"),
    "limit-memory": (put("/linux/resources/memory", {"limit": -1}), "/linux/resources/memory"),
    "limit-pids": (put("/linux/resources/pids", None), "/linux/resources"),
    "limit-cpu": (put("/linux/resources/cpu", {"shares": 100}), "/linux/resources/cpu"),
    "realtime": (put("/process/scheduler", {"policy": "SCHED_FIFO", "priority": 1}),
                 "/process/scheduler"),
    "oom-protected": (put("/process/oomScoreAdj", -5), "/process/oomScoreAdj"),
    "hook-in-rootfs": (all_of(put("/root/path", "/srv/root"),
                              put("/hooks/poststop", [{"path": "/srv/root/bin/hook"}])),
                       "/hooks/poststop/0"),
    # by options of the command line
    "no-pivot": ("--no-pivot", "/root"), "keyring-shared": ("--no-new-keyring", "/process"),
}
# what is said of good things only, or of what cannot be had here
SILENT = {"mount-ordinary", "mount-ordinary-device", "mount-readable", "device-ordinary", "capabilities"}
# rules of which nothing is said where they are confined, and what is said of others beside them
BESIDE = {
    "privileged": {"seccomp-none", "cap-sys-admin", "cap-sys-module", "cap-sys-rawio"},
    "idmap-host-root": {"root-is-host-root"}, "ptrace-host": {"cap-sys-ptrace", "namespace-pid"},
    "kill-host": {"namespace-pid"}, "network-admin-host": {"cap-net-admin", "namespace-network"},
    "cgroup-writable-host": {"namespace-cgroup"}, "user-is-host-user": set(),
    "device-disk": set(), "device-memory": {"devices-open"}, "mount-shared": {"mount-writable"},
}


def capability_cases():
    for name in rules():
        if name.startswith("cap-"):
            word = name.upper().replace("-", "_")
            yield name, (capability(word), "/process/capabilities/effective/0")


ALL = CASES | dict(capability_cases())


def test_every_rule_has_a_case():
    assert set(rules()) == set(ALL) | SILENT and len(rules()) > 80
    assert len(RULES.read_text().split(".find = ")) > 45


@pytest.mark.parametrize("name", sorted(set(ALL) - {"namespace-mount"}))
@pytest.mark.parametrize("confined", [False, True])
def test_rule(explain, hardened, name, confined):
    change, pointer = ALL[name]
    rating = rules()[name][confined]
    config = copy.deepcopy(hardened)
    if not confined:
        host_ids(config)
    before = bad(explain(config)[0])
    words = [change] if isinstance(change, str) else []
    if not words:
        if not confined and name == "idmap-host-root":
            config["linux"]["namespaces"].append({"type": "user"})
            config["linux"]["gidMappings"] = USER["gidMappings"]
        change(config)
    if confined and name in ("root-is-host-root", "user-is-host-user", "idmap-host-root"):
        return
    seen, answer = explain(config, *words)
    if name != "root-is-host-root":
        assert name not in before
    if rating == "ok":
        assert name not in bad(seen)
        return
    finding = seen[name][0]
    if pointer.endswith("/-1") or "/-1/" in pointer:
        pointer = re.sub(r"/-1(?=/|$)", r"/\\d+", pointer)
    assert (finding["rating"], bool(re.fullmatch(pointer, finding["pointer"]))) == (rating, True), seen
    others = set(bad(seen)) - set(before) - {name} - BESIDE.get(name, set())
    assert others == set(), others
    assert answer.startswith({"danger": "Yes: ", "risk": "Possibly: ", "note": "Hardly: "}[
        min(bad(seen).values(), key=RATINGS.index)])


def test_mounts_of_the_host(explain):
    config = {"ociVersion": "1.0.2", "root": {"path": "r"},
              "process": {"args": ["x"], "cwd": "/"}, "linux": {"namespaces": [{"type": "pid"}]}}
    seen = explain(config)[0]["namespace-mount"]
    assert [(f["rating"], f["pointer"]) for f in seen] == [("danger", "/linux/namespaces")]


@pytest.mark.parametrize("source, ids", [
    ("/var/run/docker.sock", {"mount-engine-socket"}), ("/run", {"mount-engine-socket"}),
    ("/run/../run/containerd//containerd.sock", {"mount-engine-socket"}),
    ("/var", {"mount-engine-socket"}), ("/var/lib", {"mount-engine-socket"}), ("/etc/localtime:ro", set()), ("/etc/resolv.conf:ro", set()),
    ("/etc/hosts", {"mount-etc"}), ("/etc/shadow", {"mount-etc"}),
    ("/etc/shadow:ro", {"mount-secrets"}), ("/etc/kubernetes/pki/ca.key:ro", {"mount-keys"}),
    ("/etc/kubernetes", {"mount-etc"}), ("/root/.sshx:ro", set()),
    ("/var/snap/lxd/common", {"mount-engine-socket"}),
    ("/dev/null", set()), ("/runs", {"mount-writable"}), ("/procs/x", {"mount-writable"}),
    ("/etcetera", {"mount-writable"}), ("/etc/../srv", {"mount-writable"}),
    ("/srv/docker.sock", {"mount-writable"}), ("/../..", {"mount-host-root"}), ("data", set()),
])
def test_sources(explain, hardened, source, ids):
    config = copy.deepcopy(hardened)
    source, _, option = source.partition(":")
    bind(source, *([option] if option else []))(config)
    assert set(bad(explain(config)[0])) == ids


def test_a_source_in_the_bundle_is_not_the_host(explain, hardened, tmp_path):
    config = copy.deepcopy(hardened)
    bind(str(tmp_path / "explained" / "data"))(config)
    assert bad(explain(config)[0]) == {}


@pytest.mark.parametrize("how", ["path", "here", "relative"])
def test_a_bundle_by_any_name(hako, hardened, tmp_path, how):
    """What is in it, and what is not, is the same."""
    folder = tmp_path / "a bundle"
    folder.mkdir()
    config = copy.deepcopy(hardened)
    for source in ("data", folder / "more", "../../../../../../../run/docker.sock", tmp_path / "a",
                   "/srv/data"):
        bind(str(source))(config)
    config["hooks"] = {"poststop": [{"path": f"{folder}/rootfs/bin/hook"}]}
    first = len(hardened["mounts"])
    (folder / "config.json").write_text(json.dumps(config))
    words, cwd = {"path": ([folder], "/"), "here": ([], folder), "relative": (["./a bundle/"], tmp_path)}[how]
    found = run([hako, "explain", "--format=json", *words], cwd=cwd).json()["findings"]
    assert {f["pointer"]: f["id"] for f in found if f["rating"] != "ok"} == {
        f"/mounts/{first + 2}": "mount-engine-socket", f"/mounts/{first + 3}": "mount-writable",
        f"/mounts/{first + 4}": "mount-writable", "/hooks/poststop/0": "hook-in-rootfs"}


def test_a_user_namespace_of_the_host_protects_nobody(explain, hardened):
    config = copy.deepcopy(hardened)
    for key in USER:
        del config["linux"][key]
    without(config, "user")
    config["linux"]["namespaces"].append({"type": "user", "path": "/proc/1/ns/user"})
    assert bad(explain(config)[0]) == {"user-is-host-user": "note"}
    config["linux"]["namespaces"][-1]["path"] = "/proc/4242/ns/user"
    assert bad(explain(config)[0]) == {"namespace-joined": "note"}


def test_capabilities_that_cannot_be_had(explain, hardened):
    """With no_new_privs the bounding set gives nothing; without it, all of it."""
    config = copy.deepcopy(hardened)
    host_ids(config)
    config["process"]["capabilities"]["bounding"] = ["CAP_SYS_ADMIN"]
    assert "cap-sys-admin" not in bad(explain(config)[0])
    config["process"]["noNewPrivileges"] = False
    seen, _ = explain(config)
    assert seen["cap-sys-admin"][0]["pointer"] == "/process/capabilities/bounding/0"


def test_clone_with_a_condition_is_no_hole(explain, hardened):
    config = copy.deepcopy(hardened)
    allow("clone")(config)
    assert bad(explain(config)[0]) == {"seccomp-user-namespaces": "risk"}


def test_limits_of_unified(explain, hardened):
    config = copy.deepcopy(hardened)
    config["linux"]["resources"] = {"unified": {"memory.max": "1000000", "pids.max": "5",
                                                "cpu.max": "max 100000"}}
    assert set(bad(explain(config)[0])) == {"limit-cpu"}
    # what is written last counts
    config["linux"]["resources"].update(memory={"limit": 1000000}, pids={"limit": 0},
                                        cpu={"cpus": "0"})
    config["linux"]["resources"]["unified"] = {"memory.max": "max"}
    assert set(bad(explain(config)[0])) == {"limit-memory"}


NOTHING = {"allow": False, "access": "rwm"}


@pytest.mark.parametrize("rules, at", [
    ([NOTHING, {"allow": True, "type": "b", "major": 254, "access": "rwm"}], 1),
    ([NOTHING, {"allow": True, "type": "b", "major": 8, "minor": 1, "access": "r"}], 1),
    ([NOTHING, {"allow": True, "type": "c", "major": 1, "access": "w"}], 1),
    ([NOTHING, {"allow": True, "type": "c", "major": 1, "minor": 4, "access": "r"}], 1),
    ([{"allow": True, "type": "b", "major": 8, "access": "r"}, NOTHING], None),
    ([NOTHING, {"allow": True, "access": "m"}], None),
    ([NOTHING, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"}], None),
])
def test_rules_of_devices(explain, hardened, rules, at):
    config = copy.deepcopy(hardened)
    config["linux"]["resources"]["devices"] = rules
    found = [(f["id"], f["pointer"]) for fs in explain(config)[0].values() for f in fs
             if f["rating"] != "ok"]
    assert found == [("devices-open", f"/linux/resources/devices/{at}")] * (at is not None)


@pytest.mark.parametrize("change, wanted", [
    (host_ids, "danger"), (lambda c: None, None)], ids=["root of the host", "confined"])
def test_no_cgroup_is_no_filter(hako, hardened, tmp_path, change, wanted):
    config = copy.deepcopy(hardened)
    del config["linux"]["resources"]
    change(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    result = run([hako, "--cgroup-manager=disabled", "explain", "--format=json", tmp_path])
    assert [f["rating"] for f in result.json()["findings"] if f["id"] == "devices-open"] == \
        [wanted] * (wanted is not None)


def test_a_second_proc(explain, hardened):
    """Masks and read-only paths are of one mount, not of the filesystem."""
    config = copy.deepcopy(hardened)
    host_ids(config)
    mount("proc", "nosuid")(config)
    seen = explain(config)[0]
    assert {"proc-settings", "proc-sysrq", "proc-kcore", "proc-unmasked"} <= set(bad(seen))
    assert seen["proc-settings"][0]["message"].endswith(": /mnt/sys")
    config["mounts"][-1]["options"].append("ro")
    assert "proc-settings" not in bad(explain(config)[0])


# --- output, places, containers --------------------------------------------------------------

@pytest.mark.parametrize("name", sorted(p.name for p in GOLDEN.iterdir()))
def test_golden(hako, user, session_path, name):
    folder = shutil.copytree(GOLDEN / name, session_path("explained") / name)
    for format, suffix in FORMATS.items():
        expected = (folder / f"expected.{suffix}").read_text()
        result = run([hako, "explain", "--format", format], cwd=folder, user=user)
        assert (result.stdout, result.stderr) == (expected, "")
    assert len(list(folder.iterdir())) == 4


def test_sarif(hako, hardened, explain, tmp_path):
    config = copy.deepcopy(hardened)
    bind("/var/run/docker.sock")(config)
    explain(config)
    log = run([hako, "explain", "--format=sarif", tmp_path / "explained"]).json()
    [result] = log["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("mount-engine-socket", "error")
    place = result["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"].endswith("/explained/config.json")
    assert place["logicalLocations"][0]["fullyQualifiedName"].startswith("/mounts/")


@pytest.mark.parametrize("worst, change", [
    ("danger", bind("/run/docker.sock")), ("risk", put("/linux/seccomp", None)),
    ("note", put("/root/readonly", False))])
def test_fail_on(hako, hardened, explain, tmp_path, worst, change):
    config = copy.deepcopy(hardened)
    change(config)
    explain(config)
    for limit in ("note", "risk", "danger"):
        for format in FORMATS:
            result = run([hako, "explain", "--fail-on", limit, "--format", format,
                          tmp_path / "explained"], check=False)
            fails = RATINGS.index(worst) <= RATINGS.index(limit)
            assert result.returncode == fails and result.stdout != "" and result.stderr == ""
    assert run([hako, "explain", tmp_path / "explained"]).returncode == 0


def test_the_first_line_answers(hako, bundle):
    b = bundle().mount("/x", "/var/run/docker.sock").save()
    first = run([hako, "explain", b.path]).stdout.splitlines()[0]
    assert re.fullmatch(r"Is the host in danger if this container is attacked\? Yes: 1 danger, .*\.",
                        first)


def test_container(runtime, bundle):
    """What it was made from counts, whatever became of the bundle."""
    b = bundle("/bin/sleep", "1000").mount("/x", "/srv")
    box = runtime.container(b)
    (b.rootfs / "x").mkdir()
    box.create()
    b.mounts.pop()
    b.save()
    found = json.loads(runtime.run("explain", "--format=json", box.id).stdout)["findings"]
    [mounted] = [f for f in found if f["id"] == "mount-writable"]
    assert mounted["file"] == str(runtime.root / box.id / "config.json")
    saved = json.loads(pathlib.Path(mounted["file"]).read_text())
    assert mounted["pointer"] == f"/mounts/{len(saved['mounts']) - 1}"
    assert "keyring-shared" not in {f["id"] for f in found}
    assert runtime.run("explain", "--fail-on=note", box.id, check=False).returncode == 1


def test_options_of_a_container_are_remembered(runtime, bundle):
    box = runtime.container(bundle("/bin/sleep", "1000"))
    box.create("--no-new-keyring")
    assert "--no-new-keyring" in runtime.run("explain", box.id).stdout


@pytest.mark.parametrize("words, message", [
    (["nothing"], "nothing is neither a folder with a bundle nor a container"),
    (["/nothing"], "bundle /nothing: no such file"), (["--fail-on=ok"], "not one of note, risk, danger"),
    (["--format=yaml"], "not one of text, json, sarif"), (["bad/id"], "bundle bad/id: no such file")])
def test_errors(runtime, words, message):
    result = runtime.run("explain", *words, check=False)
    assert result.returncode in (2, 64) and result.stdout == "" and message in result.stderr


def test_a_config_with_errors_is_not_explained(hako, bundle):
    b = bundle()
    b.process["user"]["uid"] = -1
    result = run([hako, "explain", b], check=False)
    assert (result.returncode, result.stdout) == (2, "") and "/process/user/uid" in result.stderr


def test_terminal_is_safe(hako, bundle):
    b = bundle().mount("/x\x1b[31m", "/srv/\n\x1b[0m").save()
    text = run([hako, "explain", b.path]).stdout
    assert "\x1b" not in text and "/srv/??[0m" in text
