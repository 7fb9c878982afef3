# SPDX-License-Identifier: MIT
"""How long the engines take with each runtime, in turns: run.py engines/bench.py. No test."""

import itertools
import statistics
import time

from .conftest import RUNTIMES
from .podman import Podman

ROUNDS = 6


def timed(function):
    start = time.monotonic()
    function()
    return time.monotonic() - start


def test_times(podman_ready, daemon, capsys):
    def podman(name, path):
        Podman(name).run("--", "true")

    def ctr(name, path):
        daemon.runtime = path
        daemon.run("--", "/bin/true")

    found = {}
    for round in range(ROUNDS):
        names = list(RUNTIMES)
        names = names[round % len(names):] + names[:round % len(names)]
        for name, engine in itertools.product(names, (podman, ctr)):
            found.setdefault((engine.__name__, name), []).append(
                timed(lambda: engine(name, RUNTIMES[name])))
    with capsys.disabled():
        for (engine, name), seconds in sorted(found.items()):
            print(f"\n{engine} run --rm, {name}: median {statistics.median(seconds):.2f} s, "
                  f"least {min(seconds):.2f} s", end="")
        print()
