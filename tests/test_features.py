# SPDX-License-Identifier: MIT
"""`hako features`: everything that version 1.3 of the specification has a word for, in its words,
as engines look for it, and true."""

import pytest

from harness import schema
from harness.runtime import run

# config.md, "Linux mount options"
MOUNT_OPTIONS = """async atime bind defaults dev diratime dirsync exec idmap iversion lazytime loud
mand noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid
nosymfollow private ratime rbind rdev rdiratime relatime remount rexec ridmap rnoatime rnodev
rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw
rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid
symfollow sync tmpcopyup unbindable""".split()
# where the words of config.json are listed, and where those of the features
WORDS = {
    "NamespaceType": "namespaces", "SeccompAction": "seccomp/actions",
    "SeccompOperators": "seccomp/operators", "SeccompArch": "seccomp/archs",
    "SeccompFlag": "seccomp/knownFlags", "MemoryPolicyMode": "memoryPolicy/modes",
    "MemoryPolicyFlag": "memoryPolicy/flags",
}
# features-linux.md: what else there is
SWITCHES = {
    "cgroup/v1": False, "cgroup/v2": True, "cgroup/systemd": True, "cgroup/systemdUser": True,
    "cgroup/rdma": True, "seccomp/enabled": True, "apparmor/enabled": True,
    "selinux/enabled": True, "intelRdt/enabled": True, "intelRdt/schemata": True,
    "intelRdt/monitoring": True, "mountExtensions/idmap/enabled": True, "netDevices/enabled": True,
}


@pytest.fixture(scope="module")
def features(hako):
    result = run([hako, "features"])
    assert result.stderr == ""  # engines read both streams as one
    return result.json()


def leaves(value, pointer=""):
    """pointer -> whatever is no object."""
    if not isinstance(value, dict):
        return {pointer: value}
    return {p: v for key, child in value.items()
            for p, v in leaves(child, f"{pointer}/{key}" if pointer else key).items()}


def test_schema(features):
    schema.check(features, "features-schema.json")


def test_complete(features):
    found = leaves(features["linux"])
    assert {p: v for p, v in found.items() if isinstance(v, bool)} == SWITCHES
    lists = {p for p, v in found.items() if isinstance(v, list)}
    assert lists == {*WORDS.values(), "capabilities", "seccomp/supportedFlags"}
    for definition, pointer in WORDS.items():
        node, _ = schema.follow({"$ref": f"defs-linux.json#/definitions/{definition}"}, None)
        assert sorted(found[pointer]) == sorted(node["enum"]), pointer
    assert found["seccomp/supportedFlags"] == found["seccomp/knownFlags"]
    assert set(MOUNT_OPTIONS) <= set(features["mountOptions"])
    assert features["mountOptions"] == sorted(features["mountOptions"])  # it is searched by halves
    assert features["hooks"] == ["prestart", "createRuntime", "createContainer", "startContainer",
                                 "poststart", "poststop"]
    assert set(features) == {"ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux",
                             "annotations", "potentiallyUnsafeConfigAnnotations"}


def test_capabilities_are_the_kernels(features):
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as last:
        assert len(features["linux"]["capabilities"]) >= int(last.read()) + 1


def test_versions(features, hako, bundle):
    """Both ends are taken as ociVersion, and what is beyond them is not."""
    b = bundle()
    for version, taken in ((features["ociVersionMin"], True), (features["ociVersionMax"], True),
                           ("0.9.0", False), ("2.0.0", False)):
        b.config["ociVersion"] = version
        assert (run([hako, "plan", b], check=False).returncode == 0) == taken, version


def test_what_engines_ask_for(features):
    """containerd and CRI-O derive from it what they offer to Kubernetes."""
    assert features["ociVersionMin"] and features["ociVersionMax"]  # CRI-O takes no empty one
    assert "rro" in features["mountOptions"]  # recursive read-only mounts
    assert "user" in features["linux"]["namespaces"]  # user namespaces, with
    assert features["linux"]["mountExtensions"]["idmap"]["enabled"] is True
    assert features["annotations"]["org.opencontainers.runc.checkpoint.enabled"] in ("true", "false")
    # dockerd keeps users from setting these
    assert "org.systemd.property." in features["potentiallyUnsafeConfigAnnotations"]


def test_unsafe_annotations(features, hako, bundle):
    """Each does something: with an odd value the plan, or what create does, is another one."""
    odd = {"run.oci.mount_context_type": "nonsense", "org.systemd.property.Odd9": "1"}
    names = features["potentiallyUnsafeConfigAnnotations"]
    assert names == sorted(names)
    assert {name for name in names if not name.endswith(".")} == {
        "run.oci.hooks.stderr", "run.oci.hooks.stdout", "run.oci.keep_original_groups",
        "run.oci.mount_context_type", "run.oci.seccomp.receiver",
        "run.oci.seccomp_fail_unknown_syscall"}  # tests of hooks, groups and seccomp have the others
    assert all(any(n == name or (name.endswith(".") and n.startswith(name)) for name in names)
               for n in odd)
    for name, value in odd.items():
        b = bundle()
        b.config["annotations"] = {name: value}
        result = run([hako, "--systemd-cgroup", "plan", b], check=False)
        assert f"/annotations/{name}" in result.stderr, result
