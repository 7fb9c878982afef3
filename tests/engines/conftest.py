# SPDX-License-Identifier: MIT
"""Fixtures of the tests in the guest: an engine for each runtime, and after each test nothing
may be left. cannot("crun", "why") marks a test that one runtime or its engine fails, as is known
of guests without systemd."""

import io
import os
import pathlib
import re
import subprocess
import tarfile

import pytest

from harness.kernel import eventually
from harness.runtime import SCALE
from harness.terminal import Terminal

from . import image, manual
from .containerd import Containerd
from .docker import Daemon, Docker
from .podman import MANUAL, Podman, write_config
from .traces import left_since, traces

RUNTIMES = {"hako": "/usr/local/bin/hako", "crun": "/usr/bin/crun", "runc": "/usr/sbin/runc"}
TIMEOUT = 300  # engines wait long for a guest whose host is busy
SYSTEMD = os.path.exists("/run/systemd/system")
# ctr makes no use of systemd; only with it an ordinary user has limits
collect_ignore = ["test_containerd.py" if SYSTEMD else "test_podman_session.py"]


def pytest_addoption(parser):
    parser.addoption("--runtimes", default=",".join(RUNTIMES), help="the runtimes to be tested")
    parser.addoption("--whole", action="store_true",
                     help="also what takes long, and other runtimes, and systemd, with more than "
                          "the essential tests")


def pytest_configure(config):
    config.addinivalue_line("markers", "cannot(runtime, why): a known failure with one runtime")
    config.addinivalue_line("markers", "essential: runs with every runtime, and with systemd")
    config.addinivalue_line("markers", "long: takes minutes, and runs only with --whole or -k")
    config.addinivalue_line("markers", "driver: of these, what systemd as cgroup driver can break")
    config.addinivalue_line("markers", "docker: as long as all others, in a guest of their own")


def pytest_generate_tests(metafunc):
    if "runtime" in metafunc.fixturenames:
        metafunc.parametrize("runtime", metafunc.config.option.runtimes.split(","), indirect=True,
                             scope="session")


def runtime_of(item):
    return item.callspec.params.get("runtime") if hasattr(item, "callspec") else None


def pytest_collection_modifyitems(config, items):
    if not config.option.whole and not config.option.keyword:
        wanted = [item for item in items if not item.get_closest_marker("long")
                  and (item.get_closest_marker("essential")
                       or runtime_of(item) in ("hako", None) and not SYSTEMD)]
        config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
        items[:] = wanted
    for item in items:
        limit = item.get_closest_marker("timeout")
        item.add_marker(pytest.mark.timeout((limit.args[0] if limit else TIMEOUT) * SCALE),
                        append=False)
        runtime = runtime_of(item)
        for marker in item.iter_markers("cannot"):
            if marker.args[0] == runtime:
                item.add_marker(pytest.mark.xfail(reason=marker.args[1], strict=not SYSTEMD))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("HAKO_MUST_RUN") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped, but HAKO_MUST_RUN=1: {report.longrepr[2]}"
    item.ended_well = report.passed
    if report.failed:  # at once: the guest may not come to its end
        item.config.pluginmanager.get_plugin("terminalreporter").write_line(
            "\n" + report.longreprtext[-4000:])


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
def template(tmp_path_factory):
    """The image, unpacked."""
    folder = tmp_path_factory.mktemp("template")
    with tarfile.open(fileobj=io.BytesIO(image.layer())) as tar:
        tar.extractall(folder)
    return folder


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
    write_config(pathlib.Path("/etc/containers/containers.conf"),
                 manager="systemd" if SYSTEMD else "cgroupfs")
    manual.write(MANUAL)
    for file in ("/etc/subuid", "/etc/subgid"):  # for --userns=auto
        with open(file, "a") as lines:
            lines.write("containers:1000000:65536\n")
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
    """An ordinary user with its own images; without systemd nobody has given it a cgroup."""
    run_folder = pathlib.Path("/run/user/1000")
    bus = []
    if SYSTEMD:
        subprocess.run(["loginctl", "enable-linger", "user"], check=True)
        eventually((run_folder / "bus").exists, seconds=60)
        bus = [f"DBUS_SESSION_BUS_ADDRESS=unix:path={run_folder}/bus"]
    else:
        run_folder.mkdir(parents=True)
        os.chown(run_folder, 1000, 1000)
    how = {"prefix": ["setpriv", "--reuid=1000", "--regid=1000", "--init-groups", "--reset-env",
                      "env", "--chdir=/home/user", f"XDG_RUNTIME_DIR={run_folder}", *bus],
           "runroot": run_folder / "containers"}
    # from now on a process holds Podman's user namespace
    podman = Podman("crun", **how)
    with open(archive, "rb") as file:
        podman("load", stdin=file)
    podman.run("--", "true")
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
def pause_image():
    """The name of what containerd runs for a pod; here it has all of busybox."""
    defaults = subprocess.check_output(["containerd", "config", "default"], text=True)
    return re.search('sandbox_image = "(.*)"', defaults)[1]


@pytest.fixture(scope="session")
def pods_parent():
    """The cgroup above the tests' pods, which stays."""
    if SYSTEMD:
        subprocess.run(["systemctl", "start", "pods.slice"], check=True)
        return "/pods.slice"
    os.mkdir("/sys/fs/cgroup/pods")
    return "/pods"


def cri_config():
    """The manual's, and the same for other runtimes."""
    text = manual.files()["/etc/containerd/config.toml"]
    tables = text[text.index("[plugins", text.index("default_runtime_name")):]
    for name, path in RUNTIMES.items():
        if name != "hako":
            text += tables.replace(manual.HAKO, path).replace("runtimes.hako", f"runtimes.{name}")
    return text if SYSTEMD else text.replace("SystemdCgroup = true", "SystemdCgroup = false")


@pytest.fixture(scope="session")
def daemon(archive, pause_image, tmp_path_factory):
    """A containerd with the images."""
    folder = tmp_path_factory.mktemp("containerd")
    (folder / "cri.toml").write_text(cri_config())
    os.makedirs("/opt/cni", exist_ok=True)
    os.symlink("/usr/lib/cni", "/opt/cni/bin")  # where Debian has what containerd looks for there
    pause = image.write(folder / "pause.tar", pause_image, command=("sleep", "1000000"))
    with Containerd.started(folder, cri=folder / "cri.toml") as containerd:
        containerd.ctr("images", "import", archive)
        containerd.ctr("--namespace", "k8s.io", "images", "import", pause)
        if not SYSTEMD:
            os.mkdir("/sys/fs/cgroup/default")  # above all containers of that namespace
        yield containerd


@pytest.fixture
def containerd(daemon, runtime, nothing_left):
    daemon.runtime = runtime
    yield daemon
    daemon.clean()


@pytest.fixture
def cri(daemon, runtime, nothing_left):
    """The calls that kubelet makes."""
    from .cri import Cri  # not everybody who reads this file has gRPC
    client = Cri(daemon.address)
    eventually(client.ready, seconds=30)
    yield client
    for each in client.ListPodSandbox()["items"]:
        client.StopPodSandbox(id=each["id"])
        client.RemovePodSandbox(id=each["id"])
    client.close()


@pytest.fixture(scope="session")
def dockerd(daemon, archive, tmp_path_factory):
    """Docker's daemon with the image; what it makes once for all has been made."""
    if SYSTEMD:  # which has the same socket for Debian's own
        subprocess.run(["systemctl", "stop", "docker.socket"], check=True)
    runtimes = {name: {"path": path} for name, path in RUNTIMES.items() if name not in ("hako", "runc")}
    made = Daemon(daemon.address, tmp_path_factory.mktemp("docker") / "log", runtimes).start()
    docker = Docker("runc")
    docker("load", "--input", archive)
    for network in ("none", "host", "bridge"):
        docker("run", "--rm", "--network", network, image.NAME, "true")
    yield made
    made.stop()


@pytest.fixture
def docker(request, dockerd, runtime, nothing_left):
    made = Docker(runtime.name)
    yield made
    made.clean(everything=not request.node.ended_well)
