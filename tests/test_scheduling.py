# SPDX-License-Identifier: MIT
"""When and where the kernel lets a process run, and where its memory comes from: process.scheduler,
ioPriority, execCPUAffinity, linux.memoryPolicy. Each is read back by a process of the container."""

import json
import os
import pathlib
import re
import subprocess

import pytest

from harness import kernel
from harness.refused import refused
from harness.runtime import run

SLEEP = ("/bin/sleep", "1000")
OTHER, FIFO, RR, BATCH, IDLE, DEADLINE = 0, 1, 2, 3, 5, 6  # of <linux/sched.h>
CPUS = sorted(os.sched_getaffinity(0))
ALL_CPUS = len(CPUS)


def last_cpu():
    return str(CPUS[-1])


@pytest.fixture
def running(runtime):
    """running(bundle): a container whose first process sleeps."""

    def make(b):
        box = runtime.container(b.args(*SLEEP))
        box.create()
        box.start()
        return box

    return make


@pytest.fixture
def process_file(tmp_path):
    """process_file(**changes): a file for --process."""

    def make(**changes):
        file = tmp_path / "process.json"
        process = {"args": ["/bin/probe"], "cwd": "/", "env": ["PATH=/bin"], **changes}
        file.write_text(json.dumps(process))
        return file

    return make


def nothing_kept(runtime):
    return not runtime.root.exists() or list(runtime.root.iterdir()) == []


def pinned(argv, cpu, env):
    """Run a command that is kept to one processor."""
    return run(["taskset", "-c", cpu, *argv], env=env)


# --- scheduler ----------------------------------------------------------------------

def scheduling(seen):
    return {name: seen[name] for name in ("scheduler", "nice", "sched_priority", "sched_flags")}


SCHEDULERS = [
    # scheduler, what the kernel says of the process
    ({"policy": "SCHED_OTHER"}, {"scheduler": OTHER, "nice": 0}),
    ({"policy": "SCHED_OTHER", "nice": 7}, {"scheduler": OTHER, "nice": 7}),
    ({"policy": "SCHED_OTHER", "nice": -20}, {"scheduler": OTHER, "nice": -20}),
    ({"policy": "SCHED_BATCH", "nice": 19}, {"scheduler": BATCH, "nice": 19}),
    ({"policy": "SCHED_IDLE", "nice": 0, "priority": 0}, {"scheduler": IDLE}),
    ({"policy": "SCHED_FIFO", "priority": 1}, {"scheduler": FIFO, "sched_priority": 1}),
    ({"policy": "SCHED_RR", "priority": 99}, {"scheduler": RR, "sched_priority": 99}),
    ({"policy": "SCHED_RR", "priority": 9, "nice": 19}, {"scheduler": RR, "sched_priority": 9}),
    ({"policy": "SCHED_FIFO", "priority": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
     {"scheduler": FIFO, "sched_priority": 5, "sched_flags": 1}),
    ({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 50_000_000,
      "period": 100_000_000, "flags": ["SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN"]},
     {"scheduler": DEADLINE, "sched_flags": 6, "sched_runtime": 1_000_000,
      "sched_deadline": 50_000_000, "sched_period": 100_000_000}),
    ({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 50_000_000},
     {"scheduler": DEADLINE, "sched_deadline": 50_000_000, "sched_period": 50_000_000}),
]
SCHEDULER_IDS = [f"{s['policy']}-{n}" for n, (s, _) in enumerate(SCHEDULERS)]


@pytest.mark.parametrize("scheduler, expected", SCHEDULERS, ids=SCHEDULER_IDS)
def test_scheduler(runtime, bundle, scheduler, expected):
    b = bundle()
    b.process["scheduler"] = scheduler
    seen = runtime.probe(b)
    assert {name: seen[name] for name in expected} == expected


@pytest.mark.parametrize("scheduler, expected", SCHEDULERS[1:6], ids=SCHEDULER_IDS[1:6])
def test_scheduler_of_exec(bundle, running, process_file, scheduler, expected):
    """From config.json, from a process file that says nothing of it, from one that does."""
    b = bundle()
    b.process["scheduler"] = scheduler
    box = running(b)
    for seen in (box.probe(), box.exec(options=("--process", process_file())).json()):
        assert {name: seen[name] for name in expected} == expected
    other = process_file(scheduler={"policy": "SCHED_BATCH", "nice": 3})
    seen = box.exec(options=("--process", other)).json()
    assert scheduling(seen) == {"scheduler": BATCH, "nice": 3, "sched_priority": 0,
                                "sched_flags": 0}


def test_without_a_scheduler(runtime, bundle, running):
    """The caller's stays."""
    argv = ["chrt", "--batch", "0", "nice", "-n", "4"]
    seen = run([*argv, *runtime.argv("run", "--bundle", bundle("/bin/probe"), runtime.new_id())],
               env=runtime.environment).json()
    assert (seen["scheduler"], seen["nice"]) == (BATCH, 4)
    assert scheduling(running(bundle()).probe())["scheduler"] == OTHER


def test_scheduler_in_a_user_namespace(runtime, bundle):
    """Init has no CAP_SYS_NICE outside: the parent does it."""
    b = bundle().user_namespace()
    b.process["scheduler"] = {"policy": "SCHED_FIFO", "priority": 3}
    b.process["ioPriority"] = {"class": "IOPRIO_CLASS_RT", "priority": 2}
    seen = runtime.probe(b)
    assert (seen["scheduler"], seen["sched_priority"], seen["ioprio"]) == (FIFO, 3, 1 << 13 | 2)


def test_scheduler_of_an_ordinary_user(rootless, bundle, user):
    b = bundle(owner=user).rootless()
    b.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
    b.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    seen = rootless.probe(b)
    assert (seen["scheduler"], seen["nice"], seen["ioprio"] >> 13) == (BATCH, 5, 3)
    b.process["scheduler"] = {"policy": "SCHED_FIFO", "priority": 1}
    assert "set SCHED_FIFO: operation not permitted" in refused(rootless, b, "/process/scheduler")


@pytest.mark.parametrize("scheduler", [{"policy": "SCHED_FIFO", "priority": 1, "nice": 1},
                                       {"policy": "SCHED_IDLE", "nice": 1}])
def test_nice_beside_another_policy(runtime, bundle, scheduler):
    """The kernel and other runtimes do not care; with --strict it is an error."""
    b = bundle()
    b.process["scheduler"] = scheduler
    runtime.run_bundle(b)
    runtime.options = ["--strict"]
    message = refused(runtime, b, "/process/scheduler/nice")
    assert f"nice has no meaning for {scheduler['policy']}" in message


@pytest.mark.parametrize("scheduler, pointer, message", [
    ({"policy": "SCHED_NONE"}, "/policy", "SCHED_NONE"),
    ({}, "", "policy"),
    ({"policy": "SCHED_OTHER", "nice": 20}, "/nice", "19"),
    ({"policy": "SCHED_OTHER", "nice": -21}, "/nice", "-20"),
    ({"policy": "SCHED_OTHER", "nice": 1.5}, "/nice", "integer"),
    ({"policy": "SCHED_OTHER", "priority": 1}, "/priority", "no meaning for SCHED_OTHER"),
    ({"policy": "SCHED_FIFO"}, "", "needs a priority from 1 to 99"),
    ({"policy": "SCHED_RR", "priority": 0}, "", "needs a priority from 1 to 99"),
    ({"policy": "SCHED_RR", "priority": 100}, "/priority", "99"),
    ({"policy": "SCHED_FIFO", "priority": 1, "flags": ["SCHED_FLAG_X"]}, "/flags/0",
     "SCHED_FLAG_X"),
    ({"policy": "SCHED_OTHER", "runtime": 1}, "/runtime", "only for SCHED_DEADLINE"),
    ({"policy": "SCHED_OTHER", "deadline": 1}, "/deadline", "only for SCHED_DEADLINE"),
    ({"policy": "SCHED_BATCH", "period": 1}, "/period", "only for SCHED_DEADLINE"),
    ({"policy": "SCHED_DEADLINE"}, "", "sched_setattr: `SCHED_DEADLINE` requires `runtime`"),
    ({"policy": "SCHED_DEADLINE", "runtime": 2000}, "", "requires `deadline`"),
    ({"policy": "SCHED_DEADLINE", "runtime": 0, "deadline": 0}, "/runtime", "runtime must be greater than 0"),
    ({"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 0}, "/deadline", "deadline must be greater"),
    ({"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 1000}, "/runtime",
     "runtime (2000) must be <= deadline (1000)"),
    ({"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 3000, "period": 2500}, "/deadline",
     "deadline (3000) must be <= period (2500)"),
    ({"policy": "SCHED_ISO"}, "", "set SCHED_ISO: invalid argument"),
    ({"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 10**9}, "/runtime",
     "runtime (1) must be between 1024 and 9223372036854775808: invalid argument"),
    ({"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 2**63 + 1}, "/deadline",
     f"deadline ({2**63 + 1}) must be between 1024"),
])
def test_scheduler_that_cannot_be(runtime, bundle, scheduler, pointer, message):
    b = bundle()
    b.process["scheduler"] = scheduler
    assert message in refused(runtime, b, f"/process/scheduler{pointer}")
    assert nothing_kept(runtime)


def test_scheduler_of_a_process_file_that_cannot_be(bundle, running, process_file):
    box = running(bundle())
    file = process_file(scheduler={"policy": "SCHED_FIFO"})
    result = box.exec(options=("--process", file), check=False)
    assert result.returncode == 255
    assert f"{file}:1:" in result.stderr and "/scheduler: " in result.stderr


# --- I/O priority --------------------------------------------------------------------

CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}


@pytest.mark.parametrize("name, number", CLASSES.items())
@pytest.mark.parametrize("level", [0, 7, None])
def test_io_priority(runtime, bundle, name, number, level):
    b = bundle()
    b.process["ioPriority"] = {"class": name} | ({} if level is None else {"priority": level})
    assert runtime.probe(b)["ioprio"] == number << 13 | (level or 0)


def test_io_priority_of_exec(bundle, running, process_file):
    b = bundle()
    b.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 2}
    box = running(b)
    assert box.probe()["ioprio"] == 2 << 13 | 2
    assert box.exec(options=("--process", process_file())).json()["ioprio"] == 2 << 13 | 2
    other = process_file(ioPriority={"class": "IOPRIO_CLASS_RT", "priority": 1})
    assert box.exec(options=("--process", other)).json()["ioprio"] == 1 << 13 | 1


def test_without_an_io_priority(runtime, bundle):
    argv = runtime.argv("run", "--bundle", bundle("/bin/probe"), runtime.new_id())
    seen = run(["ionice", "-c", "2", "-n", "6", *argv], env=runtime.environment).json()
    assert seen["ioprio"] == 2 << 13 | 6


@pytest.mark.parametrize("priority, pointer", [
    ({"class": "IOPRIO_CLASS_BE", "priority": 8}, "/priority"),
    ({"class": "IOPRIO_CLASS_BE", "priority": -1}, "/priority"),
    ({"class": "IOPRIO_CLASS_NONE", "priority": 0}, "/class"), ({"priority": 0}, ""),
])
def test_io_priority_that_cannot_be(runtime, bundle, priority, pointer):
    b = bundle()
    b.process["ioPriority"] = priority
    refused(runtime, b, f"/process/ioPriority{pointer}")


# --- processors ------------------------------------------------------------------------

def cpus(seen):
    return seen["status"]["Cpus_allowed_list"]


@pytest.mark.skipif(ALL_CPUS < 2, reason="one processor only")
def test_affinity_of_the_caller_stays_outside(runtime, bundle):
    """Since Linux 6.2 it would be remembered, also in another cpuset."""
    b = bundle("/bin/probe")
    argv = runtime.argv("run", "--bundle", b, runtime.new_id())
    unbound = cpus(run(argv, env=runtime.environment).json())
    argv = runtime.argv("run", "--bundle", b, runtime.new_id())
    assert cpus(pinned(argv, last_cpu(), runtime.environment).json()) == unbound
    box = runtime.container(b.args(*SLEEP))
    pinned(runtime.argv("create", "--bundle", b, box.id), last_cpu(), runtime.environment)
    pinned(runtime.argv("start", box.id), last_cpu(), runtime.environment)
    assert os.sched_getaffinity(box.pid) == set(CPUS)
    argv = runtime.argv("exec", box.id, "/bin/probe")
    assert cpus(pinned(argv, last_cpu(), runtime.environment).json()) == unbound


@pytest.mark.skipif(ALL_CPUS < 2, reason="one processor only")
def test_affinity_of_the_caller_in_a_user_namespace(runtime, bundle):
    argv = runtime.argv("run", "--bundle", bundle("/bin/probe").user_namespace(), runtime.new_id())
    seen = pinned(argv, last_cpu(), runtime.environment).json()
    assert seen["cpus"] == ALL_CPUS


AFFINITIES = [
    # execCPUAffinity of the config, that of the process file (None: it has none), outcome
    ({"final": "LAST"}, None, "LAST"),
    ({"initial": "FIRST", "final": "LAST"}, None, "LAST"),
    ({"initial": "LAST"}, None, "LAST"),  # then nobody changes it
    ({}, None, "ALL"), (None, None, "ALL"), ({"initial": "", "final": ""}, None, "ALL"),
    ({"final": "FIRST"}, {"final": "LAST"}, "LAST"),
    ({"final": "FIRST"}, {"final": "0-8191"}, "ALL"),
    (None, {"initial": "FIRST,,", "final": " LAST , 1500-1501, 8191"}, "LAST"),
]


@pytest.mark.skipif(ALL_CPUS < 2, reason="one processor only")
@pytest.mark.parametrize("config, file, expected", AFFINITIES)
def test_exec_affinity(bundle, running, process_file, config, file, expected):
    words = {"FIRST": str(CPUS[0]), "LAST": last_cpu(), "ALL": f"{CPUS[0]}-{CPUS[-1]}"}

    def fill(affinity):
        text = json.dumps(affinity)
        for word, value in words.items():
            text = text.replace(word, value)
        return json.loads(text)

    b = bundle()
    if config is not None:
        b.process["execCPUAffinity"] = fill(config)
    box = running(b)
    assert os.sched_getaffinity(box.pid) == set(CPUS)  # it is not for init
    if file is None:
        assert cpus(box.probe()) == words[expected]
    changes = {} if file is None else {"execCPUAffinity": fill(file)}
    seen = box.exec(options=("--process", process_file(**changes))).json()
    assert cpus(seen) == words[expected]


@pytest.mark.parametrize("initial, mask", [("0", "0x1"), ("0,3", "0x9"), ("0,64", "0x10000000000000001")])
def test_exec_affinity_is_told(bundle, running, runtime, process_file, initial, mask):
    """The first one nobody can see afterwards."""
    box = running(bundle())
    runtime.options = ["--debug"]
    file = process_file(execCPUAffinity={"initial": initial, "final": "0"}, args=["/bin/true"])
    assert f"hako: debug: affinity: {mask}\n" in box.exec(options=("--process", file)).stderr


@pytest.mark.skipif(ALL_CPUS < 2, reason="one processor only")
def test_exec_affinity_before_the_cgroup(bundle, running, tmp_path):
    """The system calls, in order: hako moves, the process is made in the cgroup, it is moved."""
    b = bundle()
    b.process["execCPUAffinity"] = {"initial": str(CPUS[0]), "final": last_cpu()}
    box = running(b)
    trace = tmp_path / "trace"
    run(["strace", "-f", "-o", trace, "-e", "trace=sched_setaffinity,clone3",
         *box.runtime.argv("exec", box.id, "/bin/true")], env=box.runtime.environment)
    calls = [line.split(None, 1)[1] for line in trace.read_text().splitlines()
             if " sched_setaffinity(" in line or "CLONE_INTO_CGROUP" in line]
    assert [call.split("(")[0] for call in calls][:2] == ["sched_setaffinity", "clone3"]
    assert re.match(rf"sched_setaffinity\(0, 1024, \[{CPUS[0]}\b", calls[0])
    assert re.match(rf"sched_setaffinity\(\d+, 1024, \[{last_cpu()}\b.*\) += 0", calls[-1])


@pytest.mark.parametrize("affinity, pointer", [
    ({"initial": "x"}, "/initial"), ({"final": "3-1"}, "/final"), ({"final": "-1"}, "/final"),
    ({"final": "1-"}, "/final"), ({"final": "1 2"}, "/final"), ({"final": "8192"}, "/final"),
    ({"final": "99999999999999999999"}, "/final"), ({"final": ","}, "/final"),
    ({"final": 1}, "/final"),
])
def test_affinity_that_cannot_be(runtime, bundle, affinity, pointer):
    """Also when the container is made, where it is not used."""
    b = bundle()
    b.process["execCPUAffinity"] = affinity
    refused(runtime, b, f"/process/execCPUAffinity{pointer}")


@pytest.mark.parametrize("member", ["initial", "final"])
def test_affinity_to_no_cpu_there_is(bundle, running, process_file, member):
    box = running(bundle())
    result = box.exec(options=("--process", process_file(execCPUAffinity={member: "8000"})),
                      check=False)
    assert result.returncode == 255
    assert f"/execCPUAffinity/{member}: " in result.stderr
    assert "run on CPUs 8000 (none of them is there, or allowed): invalid" in result.stderr


# --- memory ------------------------------------------------------------------------------

DEFAULT, PREFERRED, BIND, INTERLEAVE, LOCAL, PREFERRED_MANY, WEIGHTED = range(7)  # mempolicy.h
RELATIVE, STATIC = 1 << 14, 1 << 15
NODE = int(pathlib.Path("/sys/devices/system/node/online").read_text().split("-")[0].split(",")[0])
MASK = 1 << NODE

POLICIES = [
    # memoryPolicy, mode and nodes that get_mempolicy(2) returns
    ({"mode": "MPOL_DEFAULT"}, DEFAULT, 0), ({"mode": "MPOL_LOCAL"}, LOCAL, 0),
    ({"mode": "MPOL_LOCAL", "nodes": ""}, LOCAL, 0),
    ({"mode": "MPOL_BIND", "nodes": f"{NODE}"}, BIND, MASK),
    ({"mode": "MPOL_BIND", "nodes": f" {NODE}-{NODE} ,", "flags": []}, BIND, MASK),
    ({"mode": "MPOL_INTERLEAVE", "nodes": f"{NODE}"}, INTERLEAVE, MASK),
    ({"mode": "MPOL_PREFERRED", "nodes": f"{NODE}"}, PREFERRED, MASK),
    ({"mode": "MPOL_PREFERRED"}, LOCAL, 0),  # set_mempolicy(2): the local node
    ({"mode": "MPOL_PREFERRED_MANY", "nodes": f"{NODE}"}, PREFERRED_MANY, MASK),
    ({"mode": "MPOL_BIND", "nodes": f"{NODE}", "flags": ["MPOL_F_STATIC_NODES"]},
     BIND | STATIC, MASK),
    ({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]},
     INTERLEAVE | RELATIVE, MASK),
]


@pytest.mark.parametrize("policy, mode, nodes", POLICIES)
def test_memory_policy(runtime, bundle, running, process_file, policy, mode, nodes):
    b = bundle()
    b.linux["memoryPolicy"] = policy
    seen = runtime.probe(b)
    assert (seen["mempolicy"], seen["mempolicy_nodes"]) == (mode, nodes)
    box = running(b)
    for seen in (box.probe(), box.exec(options=("--process", process_file())).json()):
        assert (seen["mempolicy"], seen["mempolicy_nodes"]) == (mode, nodes)


def test_memory_policy_of_the_pages(runtime, bundle):
    b = bundle("/bin/cat", "/proc/self/numa_maps")
    b.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": str(NODE)}
    maps = runtime.run_bundle(b).stdout
    assert f" bind:{NODE} " in maps and " default " not in maps


def test_weighted_interleave(runtime, bundle):
    b = bundle()
    b.linux["memoryPolicy"] = {"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": str(NODE)}
    if tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) >= (6, 9):
        assert runtime.probe(b)["mempolicy"] == WEIGHTED
    else:
        assert "does the kernel know the mode" in refused(runtime, b, "/linux/memoryPolicy")


@pytest.mark.parametrize("policy, pointer, message", [
    ({}, "", "mode"), ({"mode": ""}, "/mode", ""), ({"mode": "MPOL_X"}, "/mode", "MPOL_X"),
    ({"mode": "MPOL_BIND"}, "", "MPOL_BIND needs nodes"),
    ({"mode": "MPOL_INTERLEAVE", "nodes": ","}, "/nodes", "needs nodes"),
    ({"mode": "MPOL_PREFERRED_MANY", "nodes": ""}, "/nodes", "needs nodes"),
    ({"mode": "MPOL_DEFAULT", "nodes": "0"}, "/nodes", "takes no nodes"),
    ({"mode": "MPOL_LOCAL", "nodes": "0"}, "/nodes", "takes no nodes"),
    ({"mode": "MPOL_BIND", "nodes": "a"}, "/nodes", "list of memory nodes"),
    ({"mode": "MPOL_BIND", "nodes": "1024"}, "/nodes", "list of memory nodes"),
    ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}, "/flags/0", "MPOL_F_X"),
    ({"mode": "MPOL_BIND", "nodes": "0",
      "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}, "/flags", "exclude each other"),
    ({"mode": "MPOL_BIND", "nodes": "1023"}, "", "for nodes 1023 (does the kernel know the mode"),
    ({"mode": "MPOL_LOCAL", "flags": ["MPOL_F_NUMA_BALANCING"]}, "", "set the memory policy"),
])
def test_memory_policy_that_cannot_be(runtime, bundle, policy, pointer, message):
    b = bundle()
    b.linux["memoryPolicy"] = policy
    assert message in refused(runtime, b, f"/linux/memoryPolicy{pointer}")
    assert nothing_kept(runtime)


def test_memory_policy_fails_start(runtime, bundle):
    """It is set against the limits of the cgroup, so last of all: nothing runs."""
    b = bundle("/bin/touch", "/ran")
    b.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "1023"}
    box = runtime.container(b)
    box.create()
    result = box.start(check=False)
    assert result.returncode == 1 and "/linux/memoryPolicy: " in result.stderr
    assert nothing_kept(runtime)
    assert not (b.rootfs / "ran").exists()


# --- resctrl: what it does is in unit/test_intel_rdt.c, no machine at hand has it ----------------

RESCTRL = " resctrl " in pathlib.Path("/proc/self/mountinfo").read_text()
no_resctrl = pytest.mark.skipif(RESCTRL, reason="this machine has resctrl")


@no_resctrl
@pytest.mark.parametrize("rdt", [{}, {"closID": "/"}, {"closID": "gold", "schemata": ["L3:0=f"]},
                                 {"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20",
                                  "enableMonitoring": True}])
@pytest.mark.parametrize("command", ["create", "run"])
def test_resctrl_that_is_not_there(runtime, bundle, command, rdt):
    b = bundle("/bin/touch", "/ran")
    b.linux["intelRdt"] = rdt
    message = refused(runtime, b, "/linux/intelRdt", command)
    assert "resctrl is not mounted (mount -t resctrl" in message
    assert nothing_kept(runtime) and not (b.rootfs / "ran").exists()


@no_resctrl
def test_resctrl_of_exec(bundle, running):
    """What was there when the container was made has gone."""
    box = running(bundle())
    file = box.runtime.root / box.id / "config.json"
    config = json.loads(file.read_text())
    config["linux"]["intelRdt"] = {}
    file.write_text(json.dumps(config))
    result = box.exec("/bin/true", check=False)
    assert result.returncode == 255 and "/linux/intelRdt: " in result.stderr
    assert "resctrl is not mounted" in result.stderr


@no_resctrl
def test_delete_after_resctrl_was_unmounted(bundle, running):
    box = running(bundle())
    file = box.runtime.root / box.id / "state.json"
    state = json.loads(file.read_text())
    file.write_text(json.dumps(state | {"resctrlPath": f"{box.id}"}))
    box.delete("--force")
    assert nothing_kept(box.runtime)


@no_resctrl
@pytest.mark.parametrize("rdt, message", [
    (None, "the container has no resctrl group (linux.intelRdt)"),
    ({"closID": "gold", "schemata": ["L3:0=f"]}, "/linux/intelRdt/closID: update "),
    ({"closID": "gold"}, "group gold may be that of others, too"),
    ({}, "resctrl is not mounted"),
])
def test_update_of_schemata(bundle, running, rdt, message):
    box = running(bundle())
    file = box.runtime.root / box.id / "config.json"
    config = json.loads(file.read_text())
    if rdt is not None:
        config["linux"]["intelRdt"] = rdt
    file.write_text(json.dumps(config))
    for option in ("--l3-cache-schema=L3:0=f", "--mem-bw-schema=MB:0=20"):
        result = box.runtime.run("update", option, box.id, check=False)
        assert (result.returncode, result.stderr.count("\n")) == (1, 1), result
        assert message in result.stderr
    box.runtime.run("update", "--l3-cache-schema", "", "--mem-bw-schema=", box.id)


# --- what is not asked for costs nothing ---------------------------------------------------

def test_no_system_call_without_need(runtime, bundle, tmp_path):
    trace = tmp_path / "trace"
    calls = "sched_setattr,ioprio_set,set_mempolicy,sched_setaffinity"
    subprocess.run(["strace", "-f", "-o", trace, "-e", f"trace={calls}",
                    *runtime.argv("run", "--bundle", bundle("/bin/true"), runtime.new_id())],
                   env=runtime.environment, check=True)
    lines = [line for line in trace.read_text().splitlines() if "(" in line and "+++" not in line]
    assert len(lines) == 1 and " sched_setaffinity(" in lines[0], lines
