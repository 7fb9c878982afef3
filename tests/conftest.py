# SPDX-License-Identifier: MIT
"""Fixtures. The whole session runs in a private mount namespace with cgroup v2 on
/sys/fs/cgroup; after every test nothing may be left: processes, cgroups, mounts, state."""

import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

from harness import bundle as bundles, conversations
from harness import leaks as leak
from harness import private
from harness.runtime import MARK, SCALE, Runtime, environment, run
from harness.user import User

TOP = pathlib.Path(__file__).resolve().parent.parent
ROOT = os.geteuid() == 0
TIMEOUT = 60
collect_ignore = ["engines"]  # they run in a guest: make check-engines

if ROOT:  # before any thread exists; xdist's workers make one each
    private.enter()
    private.become_subreaper()
    private.inherit_no_signals()


def pytest_configure(config):
    config.addinivalue_line("markers", "leaks: the test leaves things behind on purpose")
    if not config.option.basetemp:
        config.option.basetemp = config.hako_basetemp = tempfile.mkdtemp(prefix="hako-test.")


def pytest_unconfigure(config):
    if hasattr(config, "hako_basetemp"):
        subprocess.run(["rm", "-rf", "--one-file-system", config.hako_basetemp], check=False)


def pytest_collection_modifyitems(items):
    for item in items:
        limit = item.get_closest_marker("timeout")
        seconds = limit.args[0] if limit else TIMEOUT
        item.add_marker(pytest.mark.timeout(seconds * SCALE), append=False)
        if not ROOT:
            item.add_marker(pytest.mark.skip(reason="needs root"))


def ptys():
    """How many pseudo-terminals the machine has, whoever holds them."""
    return int(pathlib.Path("/proc/sys/kernel/pty/nr").read_text())


def pytest_sessionstart(session):
    session.config.hako_ptys = ptys()


def pytest_sessionfinish(session):
    """Where these tests have the machine for themselves, they give every terminal back."""
    if os.environ.get("HAKO_MUST_RUN") != "1" or hasattr(session.config, "workerinput"):
        return
    end = time.monotonic() + 10 * SCALE
    while ptys() > session.config.hako_ptys and time.monotonic() < end:
        time.sleep(0.1)
    if ptys() > session.config.hako_ptys:
        session.exitstatus = 1
        print(f"left behind: {ptys() - session.config.hako_ptys} pseudo-terminals")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    expected = hasattr(report, "wasxfail")
    if report.skipped and not expected and os.environ.get("HAKO_MUST_RUN") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped, but HAKO_MUST_RUN=1: {report.longrepr[2]}"
    if report.when == "call":
        item.hako_failed = report.failed


# --- one test's surroundings ---

tokens = (f"hk{os.getpid():07x}{number:04x}" for number in itertools.count())


@pytest.fixture
def token():
    """A word that names this test: in container ids, cgroups and environments."""
    return next(tokens)


@pytest.fixture(scope="session")
def session_path(tmp_path_factory):
    """session_path(name): a folder for the whole session that an ordinary user can pass."""
    base = tmp_path_factory.getbasetemp()
    for folder in (base, base.parent) if base.name.startswith("popen-") else (base,):
        folder.chmod(0o711)

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        folder.chmod(0o711)
        return folder

    return make


@pytest.fixture
def tmp_path(tmp_path, session_path):
    tmp_path.chmod(0o711)
    yield tmp_path
    subprocess.run(["rm", "-rf", "--one-file-system", tmp_path], check=False)


@pytest.fixture
def roots():
    """The --root folders in use; they must be empty when the test has ended."""
    return []


@pytest.fixture(autouse=True)
def leaks(request, token, roots, tmp_path):
    found = leak.Leaks(token, roots)
    yield found
    excused = getattr(request.node, "hako_failed", False) or request.node.get_closest_marker("leaks")
    left = found.wait(seconds=0 if excused else 2)
    leak.reap()  # zombies hold keyrings, and of those a user may have a few hundred only
    if left:
        found.clean()
    if left and not excused:
        pytest.fail("left behind:\n" + "\n".join(left), pytrace=False)


# --- runtimes ---

@pytest.fixture
def make_runtime(token, roots, tmp_path):
    """make_runtime(path, user=None): a Runtime with a --root of its own."""
    made = []

    def make(path, user=None):
        base = user.home / token if user else tmp_path
        runtime = Runtime(path, base / f"runtime{len(made)}", token, user)
        runtime.base.mkdir(parents=True)
        if user:
            os.chown(base, user.uid, user.gid)
            os.chown(runtime.base, user.uid, user.gid)
        roots.append(runtime.root)
        made.append(runtime)
        return runtime

    yield make
    for runtime in made:
        runtime.clean()


@pytest.fixture(scope="session")
def hako(session_path):
    """The program under test, $HAKO or ./hako, where every user can execute it."""
    built = pathlib.Path(os.environ.get("HAKO") or TOP / "hako").absolute()
    if not built.exists():
        pytest.fail(f"{built} does not exist: run make")
    return pathlib.Path(shutil.copy(built, session_path("bin") / built.name))


@pytest.fixture
def runtime(make_runtime, hako):
    return make_runtime(hako)


@pytest.fixture
def rootless(make_runtime, hako, user):
    """hako run by an ordinary user."""
    return make_runtime(hako, user)


def other(make_runtime, name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return make_runtime(path)


@pytest.fixture
def crun(make_runtime):
    return other(make_runtime, "crun")


@pytest.fixture
def runc(make_runtime):
    return other(make_runtime, "runc")


@pytest.fixture
def background(runtime):
    """background(*args): hako that is not waited for; killed when the test ends."""
    started = []

    def start(*args, **how):
        started.append(runtime.popen(*args, **how))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def double():
    """double(engine, caller): a clients.Client like that caller in tests/data/conversations."""
    made = []

    def make(engine, caller):
        made.append(conversations.double(engine, caller))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def conmon(double):
    return double("podman", "conmon")


@pytest.fixture
def shim(double):
    """containerd's."""
    return double("containerd", "shim")


# --- bundles, users ---

@pytest.fixture(scope="session")
def template(session_path):
    if not os.path.exists("/bin/busybox"):
        pytest.skip("busybox-static is not installed")
    return bundles.make_template(session_path("template"))


@pytest.fixture
def bundle(template, tmp_path, token):
    """bundle(*args): a new Bundle whose process runs args (/bin/true when there are none).

    owner=user: below the user's home and owned by it."""
    count = itertools.count()

    def make(*args, owner=None):
        base = owner.home / token if owner else tmp_path
        made = bundles.Bundle(base / f"bundle{next(count)}", template, args, owner)
        return made.env(**{MARK: token})

    return make


@pytest.fixture(scope="session")
def user(session_path):
    """An ordinary user; run(argv, user=user) runs a command as it."""
    return User(session_path("user"))


@pytest.fixture
def run_as_user(user, token):
    def run_as(*argv, env=None, **how):
        return run(argv, user=user, env={**environment(token), **(env or {})}, **how)

    return run_as
