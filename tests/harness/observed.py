# SPDX-License-Identifier: MIT
"""Which test sees the effect of a property of config.json. With HAKO_CHANGED=POINTER every config
that a test writes has that property changed, or left out: then the test that is named here fails,
or it sees nothing. test_properties.py checks that; HAKO_PROVE=1 has it check all of them."""

import itertools

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
THROTTLES = [f"throttle{way}{unit}Device" for way in ("Read", "Write") for unit in ("Bps", "IOPS")]


def join(*parts):
    """"/a", ("b", "c") -> "/a/b", "/a/c"; a list of pointers instead of the first is as good."""
    lists = [[part] if isinstance(part, str) else part for part in parts]
    return ["/".join(steps) for steps in itertools.product(*lists)]


IDS = ("containerID", "hostID", "size")
# "-" in a pointer is any item of a list, or any value of a map
TESTS = {
    "test_cgroup.py::test_unified": ["/linux/resources/unified"],
    "test_cgroup.py::test_path": ["/linux/cgroupsPath"],
    "test_devices.py::test_custom": join("/linux/devices/-", (
        "path", "type", "major", "minor", "fileMode", "uid", "gid")),
    "test_devices.py::test_filter": join("/linux/resources/devices/-", (
        "allow", "type", "major", "minor", "access")),
    "test_features.py::test_versions": ["/ociVersion"],
    "test_hooks.py::test_order": join("/hooks", HOOKS, "-", ("path", "args")),
    "test_hooks.py::test_arguments_and_environment": join("/hooks", HOOKS, "-/env"),
    "test_hooks.py::test_timeout_kills_the_whole_group": join("/hooks", HOOKS, "-/timeout"),
    "test_idmap.py::test_own_mappings": join("/mounts/-", ("uidMappings", "gidMappings"), "-", IDS),
    "test_mounts.py::test_attributes": join("/mounts/-", ("destination", "options")),
    "test_mounts.py::test_bind_of_file": ["/mounts/-/source"],
    "test_mounts.py::test_default_filesystems": ["/mounts/-/type"],
    "test_userns.py::test_maps": join(
        "/linux", ("uidMappings", "gidMappings"), "-", IDS),
    "test_namespaces.py::test_one_new": ["/linux/namespaces/-/type"],
    "test_namespaces.py::test_joined": ["/linux/namespaces/-/path"],
    "test_namespaces.py::test_names": ["/hostname", "/domainname"],
    "test_namespaces.py::test_time_offsets": join(
        "/linux/timeOffsets", ("monotonic", "boottime"), ("secs", "nanosecs")),
    "test_netdevices.py::test_rename": ["/linux/netDevices/-/name"],
    "test_paths.py::test_masked_and_readonly": ["/linux/maskedPaths", "/linux/readonlyPaths"],
    "test_process.py::test_args_are_passed_as_they_are": ["/process/args"],
    "test_process.py::test_capabilities": join("/process/capabilities", (
        "bounding", "permitted", "inheritable", "ambient")),
    "test_process.py::test_effective_capabilities_last_until_the_program": [
        "/process/capabilities/effective"],
    "test_process.py::test_cwd": ["/process/cwd"],
    "test_process.py::test_environment": ["/process/env"],
    "test_process.py::test_ids": join("/process/user", ("uid", "gid", "additionalGids")),
    "test_process.py::test_no_new_privileges": ["/process/noNewPrivileges"],
    "test_process.py::test_oom_score": ["/process/oomScoreAdj"],
    "test_process.py::test_personality": ["/linux/personality/domain"],
    "test_process.py::test_rlimits": join("/process/rlimits/-", ("type", "soft", "hard")),
    "test_process.py::test_umask": ["/process/user/umask"],
    "test_rootfs.py::test_path": ["/root/path"],
    "test_rootfs.py::test_propagation": ["/linux/rootfsPropagation"],
    "test_rootfs.py::test_readonly": ["/root/readonly"],
    "test_scheduling.py::test_exec_affinity": join("/process/execCPUAffinity", ("initial", "final")),
    "test_scheduling.py::test_io_priority": join("/process/ioPriority", ("class", "priority")),
    "test_scheduling.py::test_memory_policy": join("/linux/memoryPolicy", ("mode", "nodes", "flags")),
    "test_scheduling.py::test_scheduler": join("/process/scheduler", (
        "policy", "nice", "priority", "flags", "runtime", "deadline", "period")),
    "test_seccomp.py::test_actions": join("/linux/seccomp/syscalls/-", ("names", "action", "errnoRet")),
    "test_seccomp.py::test_default_action": join("/linux/seccomp", ("defaultAction", "defaultErrnoRet")),
    "test_seccomp.py::test_flags_that_the_kernel_is_given": ["/linux/seccomp/flags"],
    "test_seccomp.py::test_operators": join("/linux/seccomp/syscalls/-/args/-", (
        "index", "value", "valueTwo", "op")),
    "test_seccomp.py::test_other_architectures": ["/linux/seccomp/architectures"],
    "test_seccomp_notify.py::test_message_of_run": join("/linux/seccomp", (
        "listenerPath", "listenerMetadata")),
    "test_state.py::test_text": ["/annotations"],
    "test_sysctl.py::test_allowed": ["/linux/sysctl"],
    "test_terminal.py::test_console_size": ["/process/terminal", *join(
        "/process/consoleSize", ("height", "width"))],
}
# in the virtual machine: guest/*.sh, "check NAME"
GUEST = {
    "apparmor_profile": ["/process/apparmorProfile"],
    "cpu_burst": ["/linux/resources/cpu/burst"],
    "cpu_idle": ["/linux/resources/cpu/idle"],
    "cpu_quota_and_period": join("/linux/resources/cpu", ("quota", "period")),
    "cpu_shares_to_weight": ["/linux/resources/cpu/shares"],
    "cpuset": join("/linux/resources/cpu", ("cpus", "mems")),
    "huge_page_limits": join("/linux/resources/hugepageLimits/-", ("pageSize", "limit")),
    "io_throttles": join("/linux/resources/blockIO", THROTTLES, "-", ("major", "minor", "rate")),
    "io_weight": ["/linux/resources/blockIO/weight"],
    "io_weight_of_device": join("/linux/resources/blockIO/weightDevice/-", (
        "major", "minor", "weight")),
    "memory_limit": ["/linux/resources/memory/limit"],
    "memory_reservation": ["/linux/resources/memory/reservation"],
    "memory_swap": ["/linux/resources/memory/swap"],
    "pids_limit": ["/linux/resources/pids/limit"],
    "rdma_limits": join("/linux/resources/rdma/-", ("hcaHandles", "hcaObjects")),
    "selinux_label": ["/process/selinuxLabel"],
    "selinux_mount_label": ["/linux/mountLabel"],
    "update_checks_usage_before": ["/linux/resources/memory/checkBeforeUpdate"],
}
# Applied, but no test sees it in a kernel; unit tests and golden plans have them.
NOT_OBSERVED = {
    **dict.fromkeys(join("/linux/intelRdt", (
        "closID", "schemata", "l3CacheSchema", "memBwSchema", "enableMonitoring")),
        "no machine of these tests has resctrl: tests/unit/test_intel_rdt.c has a copy of one"),
}
# Of those that have no effect here `check` says why; these are the others.
NO_EFFECT = {
    "/linux/resources/memory/useHierarchy": "cgroup v2 knows nothing else",
    "/linux/personality/flags": "the specification defines none: only an empty list is taken",
    "/linux/resources/network/priorities/-/name": "cgroup v1 only, with all of the list",
    "/linux/resources/network/priorities/-/priority": "cgroup v1 only, with all of the list",
}


# --- changes ----------------------------------------------------------------------------------

def other(*words):
    """One of them for the next, any other for the first."""
    return lambda value: words[(words.index(value) + 1) % len(words)] if value in words else words[0]


def more(value):
    return value + 1


def without(_):
    """Left out: what is done with all that have no row below."""


CHANGES = {
    "/ociVersion": other("1.0.0"),
    "/root/path": other("."),
    "/process/args": other(["/bin/false"]),
    "/process/cwd": other("/", "/tmp"),
    "/process/rlimits/-/type": other("RLIMIT_CORE", "RLIMIT_DATA", "RLIMIT_RSS"),
    "/process/rlimits/-/soft": lambda value: max(value - 1, 0),
    "/process/scheduler/policy": other("SCHED_OTHER", "SCHED_BATCH"),
    "/process/ioPriority/class": other("IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"),
    "/process/consoleSize/height": more, "/process/consoleSize/width": more,
    "/mounts/-/destination": lambda value: value + "x" if value.startswith("/m/") else value,
    # what no test can write to
    "/mounts/-/source": lambda value: "/proc/version" if value.startswith("/") else value,
    "/mounts/-/type": lambda value: "tmpfs" if value == "mqueue" else value,
    "/linux/namespaces/-/type": lambda value: "time" if value not in ("mount", "user") else value,
    "/linux/devices/-/path": lambda value: value + "x",
    "/linux/devices/-/type": other("c", "b"),
    "/linux/resources/devices/-/allow": lambda value: not value,
    "/linux/memoryPolicy/mode": other("MPOL_LOCAL", "MPOL_DEFAULT"),
    "/linux/personality/domain": other("LINUX", "LINUX32"),
    "/linux/seccomp/defaultAction": other("SCMP_ACT_ALLOW", "SCMP_ACT_LOG"),
    "/linux/seccomp/syscalls/-/names": other(["swapon"]),
    "/linux/seccomp/syscalls/-/action": other("SCMP_ACT_ALLOW", "SCMP_ACT_LOG"),
    "/linux/seccomp/syscalls/-/args/-/index": lambda value: (value + 1) % 6,
    "/linux/seccomp/syscalls/-/args/-/op": other("SCMP_CMP_EQ", "SCMP_CMP_NE"),
    **dict.fromkeys(join("/hooks", HOOKS, "-/path"), other("/bin/true")),
    "/hooks/startContainer/-/path": other("/bin/probe"),  # there the other one is the shell
    **dict.fromkeys(join("/hooks", HOOKS, "-/timeout"), lambda value: value + 4),
    **dict.fromkeys(join(["/linux/uidMappings", "/linux/gidMappings", "/mounts/-/uidMappings",
                          "/mounts/-/gidMappings"], "-", ("containerID", "hostID")), more),
    **dict.fromkeys(join(["/linux/uidMappings", "/linux/gidMappings", "/mounts/-/uidMappings",
                          "/mounts/-/gidMappings"], "-/size"), other(20, 1)),
    **dict.fromkeys(["/process/rlimits/-/hard", "/linux/devices/-/major", "/linux/devices/-/minor",
                     "/linux/seccomp/syscalls/-/args/-/value"], more),
}


def change(value, pointer):
    """The config with that property changed wherever it is."""
    walk(value, pointer.split("/")[1:], CHANGES.get(pointer, without))
    return value


def walk(value, steps, how):
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in [key for key in keys if steps[0] == "-" or steps[0] == key]:
        if len(steps) > 1:
            walk(value[key], steps[1:], how)
        elif how is without:
            del value[key]
        else:
            value[key] = how(value[key])
