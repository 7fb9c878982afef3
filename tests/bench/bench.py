# SPDX-License-Identifier: MIT
"""Compare hako with crun, runc and the floor (floor.c: what the kernel itself asks for).

Rounds are interleaved; trust the ratios. Counts that do not depend on the moment follow."""

import argparse
import ctypes
import ctypes.util
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "tests"))

from harness import private  # noqa: E402
from harness.bundle import Bundle, make_template  # noqa: E402

TIMER = TOP / "build/tests/bench/timer"
FLOOR = TOP / "build/tests/bench/floor"
PROFILE = TOP / "tests/data/seccomp-docker.json"


class Comparison(ctypes.Structure):  # struct scmp_arg_cmp
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int),
                ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def compile_filter(profile, path):
    """The profile as libseccomp compiles it, for the floor."""
    lib = ctypes.CDLL(ctypes.util.find_library("seccomp"))
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    actions = {"SCMP_ACT_ALLOW": 0x7fff0000, "SCMP_ACT_LOG": 0x7ffc0000,
               "SCMP_ACT_ERRNO": 0x00050000, "SCMP_ACT_KILL": 0, "SCMP_ACT_KILL_PROCESS": 0x80000000,
               "SCMP_ACT_TRAP": 0x00030000}
    operators = ["", "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]

    def action(name, errno):
        return ctypes.c_uint32(actions[name] | ((errno or 1) if name == "SCMP_ACT_ERRNO" else 0))

    context = ctypes.c_void_p(lib.seccomp_init(action(profile["defaultAction"],
                                                      profile.get("defaultErrnoRet"))))
    for arch in profile.get("architectures", []):
        word = arch.removeprefix("SCMP_ARCH_").lower().encode()
        lib.seccomp_arch_add(context, ctypes.c_uint32(lib.seccomp_arch_resolve_name(word)))
    for rule in profile["syscalls"]:
        args = [Comparison(a["index"], operators.index(a["op"].removeprefix("SCMP_CMP_")),
                           a["value"], a.get("valueTwo", 0)) for a in rule.get("args") or []]
        for name in rule["names"]:
            number = lib.seccomp_syscall_resolve_name(name.encode())
            if number != -1 and rule["action"] != profile["defaultAction"]:
                lib.seccomp_rule_add_array(context, action(rule["action"], rule.get("errnoRet")),
                                           number, len(args), (Comparison * len(args))(*args))
    with open(path, "wb") as file:
        if lib.seccomp_export_bpf(context, file.fileno()) != 0:
            sys.exit("bench: libseccomp could not compile the profile")
    return path


class Bench:
    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.runtimes = dict(find_runtimes(options.runtimes))
        self.template = make_template(folder / "template")
        self.plain = self.bundle("plain")
        self.sleeper = self.bundle("sleeper")
        self.sleeper.args("/bin/sleep", "inf")
        self.filtered = self.bundle("filtered")
        if PROFILE.exists():
            self.filtered.linux["seccomp"] = json.loads(PROFILE.read_text())
            compile_filter(self.filtered.linux["seccomp"], folder / "filter")
        for bundle in (self.plain, self.sleeper, self.filtered):
            bundle.save()

    def bundle(self, name):
        made = Bundle(self.folder / name, self.template, ["/bin/true"])
        made.config["root"]["readonly"] = True
        return made

    def cases(self):
        """{measurement: {runtime: command lines joined by ;}}"""
        per = {name: f"{path} --root {self.folder}/{name}" for name, path in self.runtimes.items()}
        cases = {"run": {n: f"{rt} run -b {self.plain.path} bench-{n}" for n, rt in per.items()}}
        floor = f"{FLOOR} {self.plain.rootfs} bench-floor"
        cases["run"]["floor"] = floor
        if PROFILE.exists():
            cases["run, seccomp"] = {n: f"{rt} run -b {self.filtered.path} bench-{n}"
                                     for n, rt in per.items()}
            cases["run, seccomp"]["floor"] = f"{floor} {self.folder}/filter"
        cases["create start delete"] = {
            n: f"{rt} create -b {self.plain.path} bench-{n} ; {rt} start bench-{n} ; "
               f"{rt} delete --force bench-{n}" for n, rt in per.items()}
        for name, words in (("exec", "exec {id} /bin/true"), ("state", "state {id}"),
                            ("version", "--version")):
            cases[name] = {n: f"{rt} {words.format(id=f'sleeper-{n}')}" for n, rt in per.items()}
        return cases

    def sleepers(self, start):
        """One container for each runtime that lives while exec and state are measured."""
        for name, path in self.runtimes.items():
            argv = [path, "--root", self.folder / name]
            argv += ["run", "-d", "-b", self.sleeper] if start else ["delete", "--force"]
            subprocess.run([*argv, f"sleeper-{name}"], check=start, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)

    def measure(self, cases):
        """{runtime: ([milliseconds], peak kB)}"""
        argv = [TIMER, "-n", str(self.options.rounds), "-w", "3", "-p", str(self.options.pause)]
        out = subprocess.run(argv + ["-f"] * self.options.fifo, check=True, text=True,
                             input="\n".join(cases.values()) + "\n", stdout=subprocess.PIPE).stdout
        rows = [tuple(map(int, line.split())) for line in out.splitlines()]
        result = {}
        for number, name in enumerate(cases):
            mine = [row for row in rows if row[0] == number]
            failed = sum(ns < 0 for _, ns, _ in mine)
            if failed:
                print(f"  note: {name} failed {failed} of {len(mine)} times")
            good = [ns / 1e6 for _, ns, _ in mine if ns >= 0]
            if good:
                result[name] = good, max(kb for _, _, kb in mine)
        return result

    def syscalls(self, command):
        log = self.folder / "strace"
        run = subprocess.run(["strace", "-f", "-c", "-o", log, *command.split()], check=False,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        total = re.search(r"^100\.00\s+\S+\s+\S+\s+(\d+)", log.read_text(), re.MULTILINE)
        return int(total[1]) if total and run.returncode == 0 else None


def find_runtimes(wanted):
    for name in wanted:
        path = name if "/" in name else shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
        if name == "hako":
            path = os.environ.get("HAKO", TOP / "hako")
        if path and os.path.exists(path):
            yield os.path.basename(name) if "/" not in name else name.strip("/").replace("/", "-"), \
                os.path.abspath(path)
        else:
            print(f"  note: no {name} here, left out")


def order(names):
    return sorted(names, key=lambda n: (["floor", "hako", "crun", "runc"].index(n)
                                        if n in ("floor", "hako", "crun", "runc") else 9, n))


def show(title, result):
    medians = {name: statistics.median(times) for name, (times, _) in result.items()}
    print(f"\n{title:20}     min     p25  median  x floor   x crun")
    row = {}
    for name in order(result):
        times = result[name][0]
        p25 = statistics.quantiles(times, n=4)[0] if len(times) > 1 else times[0]
        ratios = [f"{medians[name] / medians[base]:8.2f}" if base in medians else " " * 8
                  for base in ("floor", "crun")]
        print(f"  {name:18}{min(times):8.2f}{p25:8.2f}{medians[name]:8.2f} {' '.join(ratios)}")
        row[name] = {"min_ms": min(times), "p25_ms": p25, "median_ms": medians[name],
                     "peak_kb": result[name][1]}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--pause", type=int, default=0, metavar="MS", help="before each run")
    parser.add_argument("--no-fifo", dest="fifo", action="store_false", help="no SCHED_FIFO")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument("--only", metavar="WORD", default="", help="measurements that contain it")
    parser.add_argument("runtimes", nargs="*", default=["hako", "crun", "runc"],
                        help="names or paths; hako is $HAKO or ./hako")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: needs root")
    sys.stdout.reconfigure(line_buffering=True)
    private.enter()
    figures = {}
    with tempfile.TemporaryDirectory(prefix="hako-bench.") as folder:
        bench = Bench(pathlib.Path(folder), options)
        bench.sleepers(start=True)
        try:
            cases = {k: v for k, v in bench.cases().items() if options.only in k}
            if not PROFILE.exists():
                print(f"  note: no {PROFILE.relative_to(TOP)}, seccomp left out")
            print(f"milliseconds, {options.rounds} interleaved rounds, pause {options.pause} ms")
            figures["times"] = {name: show(name, bench.measure(c)) for name, c in cases.items()}
        finally:
            bench.sleepers(start=False)
        print(f"\n{'run /bin/true':20} syscalls  peak kB  binary kB")
        figures["counts"] = {}
        for name in order(cases.get("run", {})):
            size = os.path.getsize(bench.runtimes.get(name, FLOOR)) // 1024
            calls = bench.syscalls(cases["run"][name])
            peak = figures["times"]["run"].get(name, {}).get("peak_kb", 0)
            print(f"  {name:18}{calls or '-':>9}{peak:9}{size:11}")
            figures["counts"][name] = {"syscalls": calls, "peak_kb": peak, "binary_kb": size}
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
