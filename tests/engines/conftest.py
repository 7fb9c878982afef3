# SPDX-License-Identifier: MIT
"""Fixtures of the tests in the guest: an engine for each runtime, and after each test nothing
may be left. cannot("crun", "why") marks a test that one runtime or its engine fails."""

import os
import pathlib
import subprocess

import pytest

from harness.runtime import SCALE
from harness.terminal import Terminal

from . import image
from .containerd import Containerd
from .podman import Podman, write_config
from .traces import left_since, traces

RUNTIMES = {"hako": "/usr/local/bin/hako", "crun": "/usr/bin/crun", "runc": "/usr/sbin/runc"}
TIMEOUT = 300  # engines wait long for a guest whose host is busy
SYSTEMD = os.path.exists("/run/systemd/system")
if SYSTEMD:  # which only root's Podman is told to make use of
    collect_ignore = ["test_containerd.py", "test_podman_user.py"]


def pytest_addoption(parser):
    parser.addoption("--runtimes", default=",".join(RUNTIMES), help="the runtimes to be tested")


def pytest_configure(config):
    config.addinivalue_line("markers", "cannot(runtime, why): a known failure with one runtime")


def pytest_generate_tests(metafunc):
    if "runtime" in metafunc.fixturenames:
        metafunc.parametrize("runtime", metafunc.config.option.runtimes.split(","), indirect=True,
                             scope="session")


def pytest_collection_modifyitems(items):
    for item in items:
        limit = item.get_closest_marker("timeout")
        item.add_marker(pytest.mark.timeout((limit.args[0] if limit else TIMEOUT) * SCALE),
                        append=False)
        runtime = item.callspec.params.get("runtime") if hasattr(item, "callspec") else None
        for marker in item.iter_markers("cannot"):
            if marker.args[0] == runtime:
                item.add_marker(pytest.mark.xfail(reason=marker.args[1], strict=True))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("HAKO_MUST_RUN") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped, but HAKO_MUST_RUN=1: {report.longrepr[2]}"
    item.ended_well = report.passed


@pytest.fixture
def nothing_left(request):
    """Engines' fixtures clean up before this looks; what a failed test left, it excuses."""
    before = traces()
    yield
    left = left_since(before, seconds=20 if request.node.ended_well else 5)
    if left and request.node.ended_well:
        pytest.fail("left behind:\n" + "\n".join(left), pytrace=False)


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    return image.write(tmp_path_factory.mktemp("image") / "box.tar")


@pytest.fixture(scope="session")
def runtime(request):
    """The path of the runtime under test."""
    path = pathlib.Path(RUNTIMES[request.param])
    if not path.exists():
        pytest.skip(f"{path} does not exist")
    return path


@pytest.fixture(scope="session")
def podman_ready(archive):
    """The image is loaded, and what Podman makes once for all has been made."""
    write_config(pathlib.Path("/etc/containers/containers.conf"), RUNTIMES["hako"],
                 manager="systemd" if SYSTEMD else "cgroupfs")
    podman = Podman("crun")
    podman("load", "--input", archive)
    podman.run("--", "true")


@pytest.fixture(scope="session")
def bridge(podman_ready):
    """What Podman makes for the first container of a network stays."""
    Podman("crun").run("--network", "bridge", "--", "true")


@pytest.fixture
def podman(request, podman_ready, runtime, nothing_left):
    made = Podman(runtime.name)
    yield made
    made.clean(everything=not request.node.ended_well)


@pytest.fixture(scope="session")
def user_ready(podman_ready, archive):
    """An ordinary user with its own images; no systemd has given it a cgroup."""
    run_folder = pathlib.Path("/run/user/1000")
    run_folder.mkdir(parents=True)
    os.chown(run_folder, 1000, 1000)
    how = {"prefix": ["setpriv", "--reuid=1000", "--regid=1000", "--init-groups", "--reset-env",
                      "env", "--chdir=/home/user", f"XDG_RUNTIME_DIR={run_folder}"],
           "runroot": run_folder / "containers"}
    # from now on a process holds Podman's user namespace
    with open(archive, "rb") as file:
        Podman("crun", **how)("load", stdin=file)
    return how


@pytest.fixture
def user_podman(request, user_ready, runtime, nothing_left):
    """Podman of an ordinary user."""
    made = Podman(runtime.name, **user_ready)
    yield made
    made.clean(everything=not request.node.ended_well)


@pytest.fixture
def on_terminal(nothing_left):
    """on_terminal(*argv): a program on a terminal of its own; the process and the terminal."""
    terminal, started = Terminal(), []

    def start(*argv):
        started.append(subprocess.Popen(argv, **terminal.popen()))
        return started[-1], terminal

    yield start
    for process in started:
        process.kill()
        process.wait()
    terminal.close()


@pytest.fixture(scope="session")
def daemon(archive, tmp_path_factory):
    """A containerd with the image."""
    folder = tmp_path_factory.mktemp("containerd")
    with Containerd.started(folder) as containerd:
        containerd.ctr("images", "import", archive)
        os.mkdir("/sys/fs/cgroup/default")  # above all containers of that namespace
        yield containerd


@pytest.fixture
def containerd(daemon, runtime, nothing_left):
    daemon.runtime = runtime
    yield daemon
    daemon.clean()
