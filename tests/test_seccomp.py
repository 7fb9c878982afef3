# SPDX-License-Identifier: MIT
"""linux.seccomp (config-linux.md "Seccomp"): what a filtered process may still call, and the
programs themselves, read back from the kernel."""

import ctypes
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from harness.refused import refused
from harness.runtime import run, wait_exit

TOP = pathlib.Path(__file__).resolve().parent.parent
DOCKER = json.loads((TOP / "tests/data/seccomp-docker.json").read_text())
X86 = os.uname().machine == "x86_64"
pytestmark = pytest.mark.skipif(not X86, reason="system calls are numbered as on x86_64")

# calls without effect, that nothing here needs
GETPGRP, SCHED_YIELD, PRIORITY_MAX = 111, 24, 146
KILLED = 128 + signal.SIGSYS
ERRNO = 42  # a number that no call gives
NAME = "ENOMSG"


def rule(*names, action="SCMP_ACT_ERRNO", args=None, errno=ERRNO):
    row = {"names": list(names), "action": action}
    if action in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") and errno is not None:
        row["errnoRet"] = errno
    if args:
        row["args"] = [dict(zip(("index", "op", "value", "valueTwo"), arg)) for arg in args]
    return row


def profile(*rules, default="SCMP_ACT_ALLOW", **more):
    return {"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": list(rules), **more}


@pytest.fixture
def filtered(runtime, bundle):
    """filtered(profile, *tests): what the probe sees below that filter."""
    def run(seccomp, *tests, **process):
        b = bundle()
        b.linux["seccomp"] = seccomp
        b.process.update(process)
        return runtime.probe(b, *tests)

    return run


def status_of(runtime, bundle, seccomp, script):
    """The exit status of a shell script below that filter."""
    b = bundle().sh(script)
    b.linux["seccomp"] = seccomp
    return runtime.run_bundle(b, check=False)


# --- actions ---

@pytest.mark.parametrize("action, errno, outcome", [
    ("SCMP_ACT_ERRNO", None, "EPERM"), ("SCMP_ACT_ERRNO", 42, NAME),
    ("SCMP_ACT_ERRNO", 38, "ENOSYS"),
    ("SCMP_ACT_ERRNO", 0, "ok"), ("SCMP_ACT_ERRNO", 4095, None), ("SCMP_ACT_LOG", None, "ok"),
    ("SCMP_ACT_ALLOW", None, "ok"), ("SCMP_ACT_TRACE", 7, "ENOSYS"),  # without a tracer
])
def test_actions(filtered, action, errno, outcome):
    call = f"s:{SCHED_YIELD}"
    seen = filtered(profile(rule("sched_yield", action=action, errno=errno), rule("getpgrp")),
                    call, f"s:{GETPGRP}")
    assert seen["tests"] == {call: outcome, f"s:{GETPGRP}": NAME}
    assert (seen["status"]["Seccomp"], seen["status"]["Seccomp_filters"]) == ("2", "1")


@pytest.mark.parametrize("action", ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP"])
def test_actions_that_kill(runtime, bundle, action):
    b = bundle("/bin/probe", f"s:{GETPGRP}")
    b.linux["seccomp"] = profile(rule("getpgrp", action=f"SCMP_ACT_{action}"))
    assert runtime.run_bundle(b, check=False).returncode == KILLED
    assert runtime.run_bundle(b.args("/bin/probe"), check=False).returncode == 0


@pytest.mark.parametrize("action, out", [("TRAP", "trapped\n"), ("KILL_PROCESS", ""),
                                         ("KILL_THREAD", "")])
def test_trap_can_be_handled(runtime, bundle, action, out):
    seccomp = profile(rule("umask", action=f"SCMP_ACT_{action}"))
    result = status_of(runtime, bundle, seccomp,
                       "trap 'echo trapped; exit 3' SYS; umask 077; exit 4")
    assert (result.stdout, result.returncode) == (out, 3 if out else KILLED)


@pytest.mark.parametrize("default, errno, outcome", [("SCMP_ACT_ERRNO", None, "EPERM"),
                                                     ("SCMP_ACT_ERRNO", 42, NAME),
                                                     ("SCMP_ACT_LOG", None, "ok"),
                                                     ("SCMP_ACT_TRACE", 3, "ENOSYS")])
def test_default_action(filtered, default, errno, outcome):
    """What no rule names; DOCKER's list lets the probe live."""
    seccomp = DOCKER | {"defaultAction": default, "syscalls": [
        {**r, "names": [n for n in r["names"] if n != "getpgrp"]} for r in DOCKER["syscalls"]]}
    seccomp.pop("defaultErrnoRet")
    if errno is not None:
        seccomp["defaultErrnoRet"] = errno
    # a rule that says what is the default anyway is none
    assert filtered(seccomp, f"s:{GETPGRP}")["tests"] == {f"s:{GETPGRP}": outcome}


@pytest.mark.parametrize("seccomp", [{"defaultAction": "SCMP_ACT_ALLOW"},
                                     {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [],
                                      "architectures": []}])
def test_nothing_to_filter(filtered, seccomp):
    assert filtered(seccomp)["status"]["Seccomp"] == "0"


@pytest.mark.parametrize("change, pointer", [
    ({"defaultAction": "SCMP_ACT_NOTIFY"}, "/defaultAction"),
    ({"defaultAction": "SCMP_ACT_X"}, "/defaultAction"),
    ({"defaultErrnoRet": 1}, "/defaultErrnoRet"),
    ({"architectures": ["SCMP_ARCH_X"]}, "/architectures/0"),
    ({"flags": ["SECCOMP_FILTER_FLAG_X"]}, "/flags/0"),
    ({"listenerMetadata": "x"}, "/listenerMetadata"),
    ({"syscalls": [rule()]}, "/syscalls/0/names"),
    ({"syscalls": [rule("read", action="SCMP_ACT_X")]}, "/syscalls/0/action"),
    ({"syscalls": [rule("read", action="SCMP_ACT_KILL") | {"errnoRet": 1}]},
     "/syscalls/0/errnoRet"),
    ({"syscalls": [rule("getpgrp", errno=5000)]}, "/syscalls/0/errnoRet"),
    ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5000}, "/defaultErrnoRet"),
    ({"syscalls": [rule("getpgrp", args=[(6, "SCMP_CMP_EQ", 1)])]}, "/syscalls/0/args/0/index"),
    ({"syscalls": [rule("getpgrp", args=[(0, "SCMP_CMP_X", 1)])]}, "/syscalls/0/args/0/op"),
    ({"syscalls": [rule("getpgrp", args=[(0, "SCMP_CMP_EQ", -1)])]}, "/syscalls/0/args/0/value"),
    ({"syscalls": [rule("getpgrp", args=[(0, "SCMP_CMP_EQ")])]}, "/syscalls/0/args/0"),
])
def test_refused(runtime, bundle, change, pointer):
    b = bundle()
    b.linux["seccomp"] = profile() | change
    if change.get("defaultAction") is None and "defaultErrnoRet" in change:
        b.linux["seccomp"]["defaultAction"] = "SCMP_ACT_KILL"
    refused(runtime, b, pointer and f"/linux/seccomp{pointer}")


# --- arguments ---

BIG = 0x1_0000_0005
OPERATORS = [  # op, value, valueTwo; arguments for which the rule holds, and for which it does not
    ("EQ", 5, None, [5], [4, 6, BIG, 0]), ("NE", 5, None, [4, 6, BIG, 0], [5]),
    ("LT", 5, None, [0, 4], [5, 6, BIG]), ("LE", 5, None, [0, 5], [6, BIG]),
    ("GT", 5, None, [6, BIG], [5, 0]), ("GE", 5, None, [5, 6, BIG], [4]),
    ("EQ", BIG, None, [BIG], [5, 0x1_0000_0004, 0x2_0000_0005]),
    ("LT", BIG, None, [5, 0x1_0000_0004], [BIG, 2**63]),
    ("GT", BIG, None, [0x1_0000_0006, 0x2_0000_0000, 2**64 - 1], [BIG, 0xffffffff]),
    ("EQ", 2**64 - 1, None, [2**64 - 1], [2**32 - 1]),
    ("MASKED_EQ", 0xf0, 0x50, [0x50, 0x5f, 0x150], [0x40, 0, 0xf0]),
    ("MASKED_EQ", 0xf0_0000_0000, 0x50_0000_0000, [0x50_0000_0000, 0xf50_0000_0001],
     [0, 0x40_0000_0000]),
    ("MASKED_EQ", 1, 0, [0, 2], [1, 3]),
]


@pytest.mark.parametrize("op, value, second, holds, fails", OPERATORS)
def test_operators(filtered, op, value, second, holds, fails):
    arg = (2, f"SCMP_CMP_{op}", value) + ((second,) if second is not None else ())
    seen = filtered(profile(rule("sched_yield", args=[arg])),
                    *(f"s:{SCHED_YIELD},0,0,{n}" for n in holds + fails))
    assert list(seen["tests"].values()) == [NAME] * len(holds) + ["ok"] * len(fails)


@pytest.mark.parametrize("args, calls", [
    # of different arguments: all must hold
    ([(0, "SCMP_CMP_EQ", 1), (1, "SCMP_CMP_EQ", 2)], {"1,2": NAME, "1,3": "ok", "0,2": "ok"}),
    # of the same one: any
    ([(0, "SCMP_CMP_EQ", 1), (0, "SCMP_CMP_EQ", 2)], {"1": NAME, "2": NAME, "3": "ok"}),
    ([(i, "SCMP_CMP_EQ", i) for i in range(6)], {"0,1,2,3,4,5": NAME, "0,1,2,3,4,6": "ok"}),
])
def test_several_arguments(filtered, args, calls):
    seen = filtered(profile(rule("sched_yield", args=args)),
                    *(f"s:{SCHED_YIELD},{call}" for call in calls))
    assert list(seen["tests"].values()) == list(calls.values())


def test_several_rules_for_a_call(filtered):
    rules = [rule("sched_yield", args=[(0, "SCMP_CMP_EQ", n)], errno=errno)
             for n, errno in ((1, 42), (2, 38), (3, 61))]
    seen = filtered(profile(*rules), *(f"s:{SCHED_YIELD},{n}" for n in range(5)))
    assert list(seen["tests"].values()) == ["ok", NAME, "ENOSYS", "ENODATA", "ok"]


# --- names, architectures, flags ---

def test_unknown_names_are_ignored(filtered):
    assert filtered(profile(rule("no_such_call", "getpgrp", "neither")),
                    f"s:{GETPGRP}")["tests"] == {f"s:{GETPGRP}": NAME}


@pytest.mark.parametrize("value, refuses", [("1", True), ("", True), ("0", False)])
@pytest.mark.parametrize("cached", [False, True])
def test_unknown_names_are_refused_on_demand(runtime, bundle, value, refuses, cached):
    b = bundle()
    b.linux["seccomp"] = profile(rule("getpgrp", "no_such_call"))
    if cached:
        runtime.run_bundle(b)
    b.config["annotations"] = {"run.oci.seccomp_fail_unknown_syscall": value}
    if not refuses:
        runtime.run_bundle(b)
    else:
        assert "no_such_call" in refused(runtime, b, "/linux/seccomp/syscalls/0/names/1")


@pytest.mark.parametrize("cached", [False, True])
def test_strict_refuses_unknown_names_that_weaken_a_filter(runtime, bundle, cached):
    """A rule against a call that libseccomp does not know; not one in a list of what is allowed."""
    b = bundle()
    b.linux["seccomp"] = profile(rule("getpgrp", "no_such_call"))
    if cached:
        runtime.run_bundle(b)
    runtime.options = ["--strict"]
    assert "nothing will stop it" in refused(runtime, b)
    seccomp = DOCKER | {"syscalls": [rule("no_such_call", action="SCMP_ACT_ALLOW"),
                                     *DOCKER["syscalls"]]}
    b.linux["seccomp"] = seccomp
    runtime.run_bundle(b)


def test_all_architectures(runtime, bundle):
    """Every one that this libseccomp knows compiles, alone and with all others; it takes none of the
    other byte order, and none that is newer than it is."""
    b = bundle("/bin/probe", f"s:{GETPGRP}")
    known = []
    for name in runtime.run("features").json()["linux"]["seccomp"]["archs"]:
        b.linux["seccomp"] = profile(rule("getpgrp", "socket")) | {"architectures": [name]}
        result = runtime.run_bundle(b, check=False)
        if result.returncode:
            assert " /linux/seccomp/architectures/0: " in result.stderr
            assert (f"libseccomp does not know {name}" in result.stderr
                    or f"libseccomp refuses {name}" in result.stderr)
        else:
            assert set(result.json()["tests"].values()) == {NAME}
            known.append(name.removeprefix("SCMP_ARCH_"))
    assert {"X86", "X86_64", "X32", "ARM", "AARCH64", "MIPSEL", "MIPSEL64", "PPC64LE",
            "RISCV64"} <= set(known)
    b.linux["seccomp"]["architectures"] = [f"SCMP_ARCH_{name}" for name in known]
    assert set(runtime.run_bundle(b).json()["tests"].values()) == {NAME}


def test_calls_newer_than_the_profile(filtered):
    """Programs fall back on ENOSYS; EPERM would stop them."""
    seen = filtered(DOCKER, "s:600", "s:250", "s:134")["tests"]
    assert seen == {"s:600": "ENOSYS", "s:250": "EPERM", "s:134": "EPERM"}


@pytest.mark.parametrize("architectures, outcome", [
    (["SCMP_ARCH_X86_64"], KILLED), ([], KILLED), (None, KILLED), (["SCMP_ARCH_X86"], NAME),
    (["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], NAME), (["SCMP_ARCH_X86", "SCMP_ARCH_X32"], NAME),
    (["SCMP_ARCH_AARCH64"], KILLED)])
def test_other_architectures(runtime, bundle, architectures, outcome):
    """32-bit calls have other numbers: 65 is getpgrp. The native architecture is always there. For
    kernels that run no 32-bit programs unit/test_seccomp.c asks the filter itself."""
    b = bundle("/bin/probe", "i:65", f"s:{GETPGRP}")
    if runtime.run_bundle(b, check=False).returncode != 0:
        b.args("/bin/probe", f"s:{GETPGRP}")
        outcome = NAME
    b.linux["seccomp"] = profile(rule("getpgrp")) | {"architectures": architectures}
    if architectures is None:
        del b.linux["seccomp"]["architectures"]
    result = runtime.run_bundle(b, check=False)
    if outcome == KILLED:
        assert result.returncode == KILLED
        result = runtime.run_bundle(b.args("/bin/probe", f"s:{GETPGRP}"))
    assert set(result.json()["tests"].values()) == {NAME}


def test_numbers_of_x32_are_no_way_around(runtime, bundle):
    """The same calls once more, with bit 30 set."""
    b = bundle("/bin/probe", f"s:{0x40000000 + 165}", f"s:{0x40000000 + 272}")
    b.linux["seccomp"] = DOCKER
    seen = runtime.run_bundle(b, check=False)
    assert seen.returncode == KILLED or set(seen.json()["tests"].values()) <= {"EPERM", "ENOSYS"}
    b.linux["seccomp"] = DOCKER | {"architectures": ["SCMP_ARCH_X86_64"]}
    seen = runtime.run_bundle(b, check=False)
    assert seen.returncode == KILLED or set(seen.json()["tests"].values()) <= {"EPERM", "ENOSYS"}


@pytest.mark.parametrize("flags", [None, [], ["SECCOMP_FILTER_FLAG_TSYNC"],
                                   ["SECCOMP_FILTER_FLAG_LOG"],
                                   ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
                                   ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
                                   ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                                    "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]])
def test_flags(filtered, flags):
    seccomp = profile(rule("getpgrp")) | ({} if flags is None else {"flags": flags})
    seen = filtered(seccomp, f"s:{GETPGRP}")
    assert seen["tests"] == {f"s:{GETPGRP}": NAME} and seen["status"]["Seccomp"] == "2"


@pytest.mark.parametrize("flags, given", [
    (None, ["SPEC_ALLOW"]), ([], []), (["LOG"], ["LOG"]), (["TSYNC", "LOG"], ["TSYNC", "LOG"]),
    # there is no listener to wait for
    (["SPEC_ALLOW", "WAIT_KILLABLE_RECV"], ["SPEC_ALLOW"])])
def test_flags_that_the_kernel_is_given(runtime, bundle, tmp_path, flags, given):
    b, trace = bundle(), tmp_path / "trace"
    b.linux["seccomp"] = profile(rule("getpgrp"))
    if flags is not None:
        b.linux["seccomp"]["flags"] = [f"SECCOMP_FILTER_FLAG_{flag}" for flag in flags]
    run(["strace", "-f", "-o", trace, "-e", "trace=seccomp",
         *runtime.argv("run", "--bundle", b, runtime.new_id())], env=runtime.environment)
    call, = re.findall(r"seccomp\(SECCOMP_SET_MODE_FILTER, ([^,]*), \{.*= 0", trace.read_text())
    assert re.findall(r"SECCOMP_FILTER_FLAG_(\w+)", call) == given and (call == "0") == (not given)


# --- privileges ---

@pytest.mark.parametrize("nnp", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("caps", [[], ["CAP_KILL"], ["CAP_SYS_ADMIN"]])
@pytest.mark.parametrize("userns", [False, True])
def test_privileges(runtime, bundle, nnp, uid, caps, userns):
    """Loading takes no_new_privs or CAP_SYS_ADMIN; the container has only what the config gives."""
    b = bundle().capabilities(*caps)
    if userns:
        b.user_namespace()
    b.process.update(noNewPrivileges=nnp, user={"uid": uid, "gid": uid})
    b.linux["seccomp"] = profile(rule("getpgrp"))
    seen = runtime.probe(b, f"s:{GETPGRP}")
    assert seen["tests"] == {f"s:{GETPGRP}": NAME}
    assert (seen["status"]["Seccomp"], seen["status"]["NoNewPrivs"]) == ("2", str(int(nnp)))
    allowed = sum({"CAP_KILL": 1 << 5, "CAP_SYS_ADMIN": 1 << 21}[cap] for cap in caps)
    sets = ("CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb")
    assert [int(seen["status"][line], 16) for line in sets] == [
        allowed, *[allowed if uid == 0 else 0] * 2, 0, 0]


MINIMAL = ["execve", "exit_group", "brk", "arch_prctl", "set_tid_address", "set_robust_list",
           "rseq", "prlimit64",
           "readlink", "readlinkat", "getrandom", "mprotect", "prctl", "getuid",
           "setgid", "setuid", "getgid", "newfstatat"]


@pytest.mark.parametrize("nnp", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("how", ["run", "create", "exec"])
def test_hako_needs_nothing_but_execve(runtime, bundle, nnp, uid, how):
    """The filter kills at once whoever calls what `busybox true` does not."""
    b = bundle("/bin/busybox", "true")
    b.process.update(noNewPrivileges=nnp, user={"uid": uid, "gid": uid})
    b.linux["seccomp"] = profile(rule(*MINIMAL, action="SCMP_ACT_ALLOW"),
                                 default="SCMP_ACT_KILL_PROCESS")
    box = runtime.container(b)
    if how == "run":
        assert box.run(check=False).returncode == 0
        b.args("/bin/busybox", "false")
        assert runtime.run_bundle(b, check=False).returncode == 1
        b.args("/bin/busybox", "ls")
        assert runtime.run_bundle(b, check=False).returncode == KILLED
    elif how == "create":
        box.create()
        pid = box.pid
        box.start()
        assert wait_exit(pid) == 0
    else:
        allowed = b.linux["seccomp"]["syscalls"][0]["names"]
        allowed += ["nanosleep", "clock_nanosleep", "getpid", "rt_sigaction"]
        b.args("/bin/busybox", "sleep", "100")
        box.create()
        box.start()
        assert box.exec("/bin/busybox", "true", check=False).returncode == 0
        assert box.exec("/bin/busybox", "ls", check=False).returncode == KILLED


def test_profile_without_execve(runtime, bundle):
    """The program cannot even start; create still works."""
    b = bundle("/bin/true")
    b.linux["seccomp"] = profile(rule("execve"))
    assert "/bin/true" in refused(runtime, b, "/process/args")


@pytest.mark.parametrize("name", ["runtime", "runc", "crun"])
def test_hooks_in_the_container_are_filtered(request, bundle, name):
    """A startContainer hook is a program of the image."""
    runtime = request.getfixturevalue(name)
    b = bundle("/bin/probe", f"s:{GETPGRP}")
    script = "cat /proc/self/status >/tmp/status"
    b.config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    b.linux["seccomp"] = profile(rule("getpgrp"))
    assert runtime.run_bundle(b).json()["tests"] == {f"s:{GETPGRP}": NAME}
    assert "Seccomp:\t2\n" in (b.rootfs / "tmp/status").read_text()


# --- the profile of Docker ---

def test_shell_below_the_profile_of_docker(runtime, bundle):
    script = """set -e
        mkdir /tmp/d; echo text >/tmp/d/f; cat /tmp/d/f | tr a-z A-Z; ls -l /tmp/d >/dev/null
        rm -r /tmp/d; sleep 0.01 & wait $!; ps >/dev/null; date >/dev/null; id -u; kill -0 $$
        umask; ln -s a /tmp/l; echo $(uname); ! unshare -U true 2>/dev/null
        ! mount -t tmpfs t /tmp 2>/dev/null; ! hostname changed 2>/dev/null"""
    b = bundle().sh(script).capabilities("CAP_KILL")
    b.linux["seccomp"] = DOCKER
    assert runtime.run_bundle(b).stdout.split() == ["TEXT", "0", "0022", "Linux"]


def test_calls_below_the_profile_of_docker(filtered):
    calls = {"s:165": "EPERM", "s:272,0x10000000": "EPERM", "s:56,0x10000000": "EPERM",
             "s:250": "EPERM",
             "s:246": "EPERM", "s:175": "EPERM", "s:135,0xffffffff": "ok", "s:135,0x20": "EPERM",
             "s:39": "ok",
             "s:435": "ENOSYS"}
    seen = filtered(DOCKER, *calls)["tests"]
    del calls["s:435"], seen["s:435"]  # clone3: an errno that lets libc fall back
    assert seen == calls


def test_large_profile(filtered):
    rules = [rule("sched_yield", args=[(0, "SCMP_CMP_EQ", n)]) for n in range(0, 600, 2)]
    seen = filtered(profile(*rules), *(f"s:{SCHED_YIELD},{n}" for n in (0, 1, 298, 299, 598, 600)))
    assert list(seen["tests"].values()) == [NAME, "ok", NAME, "ok", NAME, "ok"]


def test_profile_that_is_too_large(runtime, bundle):
    b = bundle()
    b.linux["seccomp"] = profile(*(rule("sched_yield", args=[(0, "SCMP_CMP_EQ", n)])
                                   for n in range(5000)))
    assert "large" in refused(runtime, b) or "many" in refused(runtime, b)


# --- cache ---

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
PTRACE_SECCOMP_GET_FILTER = 0x420C
libc = ctypes.CDLL(None, use_errno=True)


def program_of(pid):
    """The filter of a process, as the kernel has it."""
    def ptrace(request, address=0, data=None):
        result = libc.ptrace(request, pid, ctypes.c_void_p(address), data)
        assert result >= 0, os.strerror(ctypes.get_errno())
        return result

    ptrace(PTRACE_SEIZE)
    try:
        ptrace(PTRACE_INTERRUPT)
        os.waitpid(pid, 0x40000000)  # __WALL
        count = ptrace(PTRACE_SECCOMP_GET_FILTER)
        buffer = ctypes.create_string_buffer(8 * count)
        ptrace(PTRACE_SECCOMP_GET_FILTER, data=buffer)
    finally:
        ptrace(PTRACE_DETACH)
    return buffer.raw


@pytest.fixture
def programs(runtime, bundle):
    """programs(profile): the program that a container with it is given."""
    def make(seccomp):
        b = bundle("/bin/sleep", "100")
        b.linux["seccomp"] = seccomp
        box = runtime.container(b)
        box.create()
        box.start()
        program = program_of(box.pid)
        box.delete("--force")
        return program

    return make


def cached(runtime):
    return sorted((runtime.root / ".cache/seccomp").iterdir())


@pytest.mark.parametrize("seccomp", [DOCKER, profile(rule("getpgrp"))])
def test_cache_gives_the_same_program(runtime, programs, seccomp):
    first = programs(seccomp)
    file, = cached(runtime)
    assert file.stat().st_mode & 0o022 == 0 and first in file.read_bytes()
    before = file.stat()
    assert programs(seccomp) == first
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)  # it was a hit
    other = programs(profile(rule("sched_yield")))
    assert other != first and len(cached(runtime)) == 2


@pytest.mark.parametrize("what", ["empty", "half", "zeros", "program", "key", "longer", "garbage",
                                  "directory", "fifo",
                                  "link", "writable", "owner", "folder", "absent"])
def test_damaged_cache_is_ignored(runtime, programs, tmp_path, what):
    seccomp = profile(rule("getpgrp"))
    good = programs(seccomp)
    file, = cached(runtime)
    content = file.read_bytes()
    # RET_ERRNO | 42 -> RET_ALLOW
    allow = good.replace(bytes([0x2a, 0, 5, 0]), bytes([0, 0, 0xff, 0x7f]))
    assert allow != good
    harmful = content.replace(good, allow)
    replace = {"empty": b"", "half": content[:len(content) // 2], "zeros": bytes(len(content)),
               "program": harmful,
               "key": content.replace(b"getpgrp", b"getpid_"), "longer": content + bytes(8),
               "garbage": os.urandom(500)}
    if what in replace:
        file.write_bytes(replace[what])
    elif what == "folder":
        subprocess.run(["rm", "-r", file.parent], check=True)
        file.parent.write_text("")
    elif what == "writable":
        file.write_bytes(harmful)
        file.chmod(0o666)
    elif what == "owner":
        file.write_bytes(harmful)
        os.chown(file, 1000, 1000)
    else:
        file.unlink()
        (tmp_path / "elsewhere").write_bytes(harmful)
        {"directory": file.mkdir, "fifo": lambda: os.mkfifo(file), "absent": lambda: None,
         "link": lambda: file.symlink_to(tmp_path / "elsewhere")}[what]()
    assert programs(seccomp) == good
    assert (tmp_path / "elsewhere").read_bytes() == harmful if what == "link" else True
    if what not in ("directory", "folder"):
        assert cached(runtime)[0].read_bytes() == content  # replaced by a good one


def test_exec_is_given_the_same_program(runtime, bundle):
    b = bundle("/bin/sleep", "100")
    b.linux["seccomp"] = DOCKER
    box = runtime.container(b)
    box.create()
    box.start()
    first = program_of(box.pid)
    box.exec("/bin/sleep", "100", options=["--detach", "--pid-file", b.path / "pid"])
    pid = int((b.path / "pid").read_text())
    assert program_of(pid) == first
    assert box.probe("s:165", options=["--cap", "CAP_SYS_ADMIN"])["tests"] == {"s:165": "EPERM"}
