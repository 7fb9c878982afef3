# SPDX-License-Identifier: MIT
"""Run cmocka programs, fuzzers and pytest, here and in guests; the last line is their sum:
N passed, N failed, N skipped. Exit status 1 when anything failed or nothing ran."""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree

NO_GUEST = 77  # exit status of engines/run.py
MUST_RUN = os.environ.get("HAKO_MUST_RUN") == "1"
TAP = re.compile(r"^(ok|not ok)\b(.*)", re.MULTILINE)


def unit(program):
    """A cmocka program, read as TAP; a crash counts as one failure."""
    env = os.environ | {"CMOCKA_MESSAGE_OUTPUT": "TAP"}
    run = subprocess.run([program], env=env, stdin=subprocess.DEVNULL, text=True,
                         errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         timeout=600)
    lines = TAP.findall(run.stdout)
    skipped = sum("# SKIP" in rest for _, rest in lines)  # cmocka says "not ok" of these
    failed = sum(word == "not ok" and "# SKIP" not in rest for word, rest in lines)
    passed = len(lines) - failed - skipped
    if run.returncode != 0 and failed == 0:
        failed = 1
    if MUST_RUN:  # for pytest conftest.py does the same
        failed, skipped = failed + skipped, 0
    if failed:
        print(run.stdout, f"exit {run.returncode}", sep="")
    name = os.path.basename(program)
    print(f"  {'FAIL' if failed else 'ok':7} {name}: {passed} passed, {failed} failed, {skipped} skipped")
    return passed, failed, skipped


def memcheck(program):
    """A cmocka program under valgrind: only its memory errors count, because valgrind refuses
    system calls that some tests need, seccomp(2) for one."""
    run = subprocess.run(["valgrind", "-q", "--error-exitcode=99",
                          "--suppressions=tests/harness/valgrind.supp", program],
                         env=os.environ | {"CMOCKA_MESSAGE_OUTPUT": "TAP"},
                         stdin=subprocess.DEVNULL, text=True, errors="replace",
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200)
    failed = run.returncode == 99 or run.returncode < 0 or not TAP.search(run.stdout)
    if failed:
        print(run.stdout[-6000:], f"exit {run.returncode}", sep="")
    print(f"  {'FAIL' if failed else 'ok':7} {os.path.basename(program)} under valgrind")
    return (0, 1, 0) if failed else (1, 0, 0)


def fuzz(program, seconds):
    """A libFuzzer target; new inputs are kept in build/, seeds are in tests/fuzz/corpus/NAME,
    for configs in tests/golden."""
    name = os.path.basename(program)
    folder = pathlib.Path(program).parent
    corpus = folder / "corpus" / name.removeprefix("fuzz_")
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = [pathlib.Path("tests/fuzz/corpus", corpus.name)]
    seeds += [pathlib.Path("tests/golden")] * (corpus.name in ("config", "check"))
    argv = [program, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
            "-print_final_stats=1", f"-artifact_prefix={folder}/{name}.", corpus]
    run = subprocess.run(argv + [seed for seed in seeds if seed.is_dir()], stdin=subprocess.DEVNULL, text=True,
                         errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    runs = re.search(r"number_of_executed_units: *(\d+)", run.stdout)
    if run.returncode != 0:
        print(run.stdout[-6000:], f"exit {run.returncode}", sep="")
    print(f"  {'FAIL' if run.returncode else 'ok':7} {name}: {runs[1] if runs else 0} runs")
    return (0, 1, 0) if run.returncode else (1, 0, 0)


def integration(paths, jobs):
    """pytest; a session that breaks down counts as one failure."""
    report = pathlib.Path("build/integration.xml")
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    # a setting from outside must not load plugins or change the order
    env = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"}
    run = subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-rfE", "--no-header",
                          "--tb=short", "-p", "no:cacheprovider", "-n", str(jobs),
                          f"--junitxml={report}", *paths], env=env, stdin=subprocess.DEVNULL)
    return counted(report, run.returncode)


def counted(report, status):
    """A report of pytest, and its exit status."""
    if not report.exists():
        return 0, 1, 0
    suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
    total, *bad = (int(suite.get(key)) for key in ("tests", "failures", "errors"))
    skipped, failed = int(suite.get("skipped")), sum(bad)
    if status not in (0, 1, 5) and failed == 0:
        failed = 1
    return max(0, total - failed - skipped), failed, skipped


def engines(guest, arguments):
    """The tests of engines in a guest: RUNTIME,...[:systemd][@[~]MARK], which leads each line."""
    report = pathlib.Path(f"build/engines-{guest}.xml")
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    runtimes, _, mark = guest.partition("@")
    runtimes, _, systemd = runtimes.partition(":")
    arguments = [*arguments, *["-m", mark.replace("~", "not ")] * bool(mark)]
    argv = ["tests/engines/run.py", "--report", report, f"--runtimes={runtimes}", *arguments,
            *["--systemd"] * bool(systemd)]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, errors="replace") as run:
        for line in run.stdout:
            print(f"  {guest:19} {line.rstrip()}")
    if run.returncode == NO_GUEST and not MUST_RUN:
        return 0, 0, 1
    return counted(report, run.returncode)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--unit", nargs="*", default=[])
    parser.add_argument("--memcheck", nargs="*", default=[])
    parser.add_argument("--fuzz", nargs="*", default=[])
    parser.add_argument("--fuzz-seconds", type=int, default=60)
    parser.add_argument("--integration", nargs="*", default=[])
    parser.add_argument("--engines", nargs="*", default=[], metavar="RUNTIME,...[:systemd][@[~]MARK]",
                        help="one guest for each argument")
    parser.add_argument("--select", default="", help="arguments of pytest, for --engines")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = [*pool.map(unit, options.unit), *pool.map(memcheck, options.memcheck),
                   *pool.map(lambda program: fuzz(program, options.fuzz_seconds), options.fuzz),
                   *pool.map(lambda guest: engines(guest, shlex.split(options.select)),
                             options.engines)]
    if options.integration:
        results.append(integration(options.integration, options.jobs))
    passed, failed, skipped = (sum(column) for column in zip(*results, (0, 0, 0)))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed > 0 or passed == 0)


if __name__ == "__main__":
    main()
