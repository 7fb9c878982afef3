# SPDX-License-Identifier: MIT
"""The systemd cgroup driver, with systemd as process 1: the scope, its properties, and what they
do. runc is asked the same wherever it agrees."""

import os
import pathlib
import uuid

import pytest

from harness.bundle import Bundle
from harness.kernel import alive, cgroup_path, eventually, frozen
from harness.runtime import Runtime, run

from .conftest import RUNTIMES

__test__ = os.path.exists("/run/systemd/system")
pytestmark = pytest.mark.driver

MIB = 1 << 20
SLEEP = ("sleep", "1000")
USER = {"uid": 1000, "runtime_dir": pathlib.Path("/run/user/1000")}
AS_USER = ["setpriv", "--reuid=1000", "--regid=1000", "--init-groups", "--reset-env", "env",
           f"XDG_RUNTIME_DIR={USER['runtime_dir']}"]
LIMITS = {"memory": {"limit": 64 * MIB, "reservation": 32 * MIB}, "pids": {"limit": 20},
          "cpu": {"quota": 20000, "period": 100000, "cpus": "0"}}


@pytest.fixture(params=["hako", "runc"])
def driver(request, tmp_path, nothing_left):
    made = Runtime(RUNTIMES[request.param], tmp_path, "t" + uuid.uuid4().hex[:8])
    made.options = ["--systemd-cgroup"]
    yield made
    made.clean()


@pytest.fixture
def hako(tmp_path, nothing_left):
    made = Runtime(RUNTIMES["hako"], tmp_path, "t" + uuid.uuid4().hex[:8])
    made.options = ["--systemd-cgroup"]
    yield made
    made.clean()


class Box:
    """A container in the scope test-ID.scope of system.slice."""

    def __init__(self, runtime, bundle):
        self.bundle, self.runtime = bundle, runtime
        self.container = runtime.container(bundle)
        self.unit = f"test-{self.container.id}.scope"
        bundle.linux["cgroupsPath"] = f"system.slice:test:{self.container.id}"

    def start(self):
        self.container.create()
        self.container.start()
        return self

    def __getattr__(self, name):
        return getattr(self.container, name)

    folder = property(lambda self: cgroup_path(self.container.pid))

    def file(self, name):
        return (self.folder / name).read_text().strip()

    def update(self, *args, **how):
        return self.runtime.run("update", *args, self.container.id, **how)


@pytest.fixture
def box(driver, bundle):
    """Not started yet."""
    return Box(driver, bundle)


@pytest.fixture
def bundle(tmp_path, template):
    made = Bundle(tmp_path / "bundle", template, SLEEP)
    made.linux["resources"] = {**LIMITS}
    return made


def show(unit, *names, prefix=(), options=()):
    """What systemd says of a unit, {property: value}."""
    shown = run([*prefix, "systemctl", *options, "show", "--property", ",".join(names), unit])
    return dict(line.split("=", 1) for line in shown.stdout.splitlines())


def gone(unit):
    return show(unit, "LoadState", "ActiveState") == {"LoadState": "not-found",
                                                      "ActiveState": "inactive"}


# --- the scope ---

def test_update_of_bandwidth(box):
    """What is not given stays, also where systemd has one property for two values."""
    box.bundle.linux["resources"]["cpu"] = {}
    box.start()

    def bandwidth():
        seen = show(box.unit, "CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec")
        return box.file("cpu.max"), seen["CPUQuotaPerSecUSec"], seen["CPUQuotaPeriodUSec"]

    for options, expected in (
            (["--cpu-period", "50000"], ("max 50000", "infinity", "50ms")),
            (["--cpu-quota", "20000"], ("20000 50000", "400ms", "50ms")),
            (["--cpu-period", "80000"], ("20000 80000", "250ms", "80ms")),
            (["--cpu-quota", "60000"], ("60000 80000", "750ms", "80ms")),
            (["--cpu-quota", "-1"], ("max 80000", "infinity", "80ms"))):
        box.update(*options)
        assert bandwidth() == expected, options


def test_update_of_weight_and_idle(hako, bundle):
    """One property of systemd: being idle wins, and ends when a weight is set."""
    box = Box(hako, bundle).start()
    result = box.update("--cpu-share", "200", "--cpu-idle", "1")
    assert "cpu-weight-none: " in result.stderr and box.file("cpu.idle") == "1"
    box.update("--cpu-share", "200")
    assert (box.file("cpu.idle"), box.file("cpu.weight")) == ("0", "29")


@pytest.mark.essential
def test_properties(box):
    box.bundle.config["annotations"] = {
        "org.systemd.property.TimeoutStopUSec": "uint64 123000000",
        "org.systemd.property.CollectMode": "'inactive-or-failed'"}
    box.container.create()
    expected = {
        "ActiveState": "active", "Slice": "system.slice", "Delegate": "yes",
        "DefaultDependencies": "no", "ControlGroup": f"/system.slice/{box.unit}",
        "MemoryAccounting": "yes", "CPUAccounting": "yes", "IOAccounting": "yes",
        "TasksAccounting": "yes", "MemoryMax": str(64 * MIB), "MemoryLow": str(32 * MIB),
        "TasksMax": "20", "CPUQuotaPerSecUSec": "200ms", "AllowedCPUs": "0",
        "TimeoutStopUSec": "2min 3s", "CollectMode": "inactive-or-failed"}
    assert show(box.unit, *expected) == expected
    folder = box.folder
    assert folder == pathlib.Path("/sys/fs/cgroup/system.slice") / box.unit
    assert [box.file(name) for name in ("memory.max", "pids.max", "cpu.max", "cpuset.cpus")] == [
        str(64 * MIB), "20", "20000 100000", "0"]
    box.delete("--force")
    assert gone(box.unit) and not folder.exists()


def test_state(hako, bundle):
    box = Box(hako, bundle).start()
    assert box.state()["systemd-scope"] == box.unit


def test_names(hako, bundle):
    """Parts of "slice:prefix:name" that are left out; a slice in a slice."""
    for path, slice, unit in (("", "system.slice", "hako-{id}.scope"),
                              ("::", "system.slice", "{id}.scope"),
                              ("test-inner.slice:a:b", "test.slice/test-inner.slice", "a-b.scope"),
                              ("-::b", "", "b.scope")):
        bundle.linux["cgroupsPath"] = path
        box = hako.container(bundle)
        box.create()
        where = cgroup_path(box.pid)
        assert where == pathlib.Path("/sys/fs/cgroup", slice, unit.format(id=box.id))
        box.delete("--force")
        assert gone(where.name)
    run(["systemctl", "stop", "test-inner.slice", "test.slice"])


def test_devices_survive_a_reload(box):
    """What is allowed can still be read, what is not still cannot; limits are as they were."""
    disk = os.stat("/dev/vda").st_rdev
    allowed = {"type": "b", "major": os.major(disk), "minor": os.minor(disk)}
    box.bundle.linux["devices"] = [
        {"path": "/dev/disk", "fileMode": 0o666, **allowed},
        {"path": "/dev/loop", "fileMode": 0o666, "type": "b", "major": 7, "minor": 0}]
    box.bundle.linux["resources"]["devices"] = [
        {"allow": False, "access": "rwm"}, {"allow": True, "access": "r", **allowed}]
    box.start()
    for reload in (["true"], ["systemctl", "daemon-reload"], ["systemctl", "daemon-reexec"]):
        run(reload)
        dd = box.exec("sh", "-c", "dd if=/dev/disk of=/dev/null bs=512 count=1 2>/dev/null && "
                      "! dd of=/dev/disk </dev/null && ! dd if=/dev/loop of=/dev/null bs=512 count=1")
        assert dd.stderr.count("Operation not permitted") == 2, dd
        assert (box.file("memory.max"), box.file("pids.max")) == (str(64 * MIB), "20")
        assert box.status == "running"


def test_pause_and_kill(box):
    box.start()
    pid, folder = box.pid, box.folder
    box.runtime.run("pause", box.id)
    assert frozen(folder) and box.status == "paused"
    run(["systemctl", "daemon-reload"])
    assert frozen(folder)
    box.runtime.run("resume", box.id)
    assert not frozen(folder) and box.status == "running"
    box.kill("KILL")
    eventually(lambda: not alive(pid))
    box.wait_for("stopped")
    box.delete()
    eventually(lambda: gone(box.unit), seconds=20)
    assert not folder.exists()


# --- update ---

def test_update(box):
    box.start()
    box.update("--memory", str(48 * MIB), "--pids-limit", "30", "--cpu-quota", "50000",
               "--cpuset-cpus", "0-1")
    for _ in range(2):
        assert show(box.unit, "MemoryMax", "TasksMax", "CPUQuotaPerSecUSec", "AllowedCPUs") == {
            "MemoryMax": str(48 * MIB), "TasksMax": "30", "CPUQuotaPerSecUSec": "500ms",
            "AllowedCPUs": "0-1"}
        assert [box.file(name) for name in ("memory.max", "pids.max", "cpu.max", "cpuset.cpus")] == [
            str(48 * MIB), "30", "50000 100000", "0-1"]
        run(["systemctl", "daemon-reload"])


def test_update_is_all_or_nothing(hako, bundle):
    box = Box(hako, bundle).start()
    refused = box.update("--resources", "-", check=False, input='{"memory": {"limit": 50331648}, '
                         '"pids": {"limit": 30}, "cpu": {"mems": "9"}}')
    assert refused.returncode == 1 and "/cpu/mems" in refused.stderr
    for _ in range(2):
        assert show(box.unit, "MemoryMax", "TasksMax") == {"MemoryMax": str(64 * MIB),
                                                           "TasksMax": "20"}
        assert (box.file("memory.max"), box.file("pids.max")) == (str(64 * MIB), "20")
        run(["systemctl", "daemon-reload"])


# --- what ends badly ---

@pytest.mark.essential
def test_failed_unit_is_reset(hako, bundle):
    """A scope that has failed stays in systemd's memory; delete takes it out (runc's does not)."""
    box = Box(hako, bundle)
    bundle.config["annotations"] = {
        "org.systemd.property.RuntimeMaxUSec": "uint64 10000000",
        "org.systemd.property.TimeoutStopUSec": "uint64 1000000"}  # SIGTERM does nothing to it
    box.start()
    box.wait_for("stopped", timeout=60)
    eventually(lambda: show(box.unit, "Result") == {"Result": "timeout"}, seconds=20)
    box.delete()
    eventually(lambda: gone(box.unit), seconds=20)


def test_failed_unit_of_that_name(hako, bundle):
    box = Box(hako, bundle)
    run(["systemd-run", "--scope", "--unit", box.unit, "--property", "RuntimeMaxSec=1",
         "sleep", "1000"], check=False)
    eventually(lambda: show(box.unit, "ActiveState") == {"ActiveState": "failed"}, seconds=20)
    box.start()
    assert show(box.unit, "ActiveState") == {"ActiveState": "active"}
    box.delete("--force")
    assert gone(box.unit)


def test_unit_known_by_its_name_alone(hako, bundle):
    """Without a state: it is stopped where its Description says that it is the container's."""
    box = Box(hako, bundle).start()
    (hako.root / box.id / "state.json").unlink()
    run(["systemctl", "kill", "--signal=KILL", box.unit])
    eventually(lambda: gone(box.unit), seconds=20)
    run(["systemd-run", "--scope", "--unit", box.unit, "sh", "-c", "sleep 1000 & exit 0"])
    assert "is left alone" in box.delete("--force").stderr
    assert show(box.unit, "ActiveState") == {"ActiveState": "active"}
    run(["systemctl", "stop", box.unit])
    box.start()
    (hako.root / box.id / "state.json").unlink()
    assert box.delete("--force").stderr == ""
    eventually(lambda: gone(box.unit))


@pytest.mark.essential
def test_unit_that_is_there(hako, bundle):
    """Somebody else's is left alone."""
    box, other = Box(hako, bundle).start(), Box(hako, bundle)
    bundle.linux["cgroupsPath"] = f"system.slice:test:{box.id}"
    refused = other.container.create(check=False)
    assert refused.returncode == 1 and box.unit in refused.stderr
    assert box.status == "running" and show(box.unit, "ActiveState") == {"ActiveState": "active"}


@pytest.mark.essential
def test_failing_create_leaves_no_unit(hako, bundle):
    box = Box(hako, bundle.args("/nonesuch"))
    refused = box.container.create(check=False)
    assert refused.returncode == 1 and "/nonesuch" in refused.stderr
    eventually(lambda: gone(box.unit), seconds=20)


@pytest.mark.essential
def test_out_of_memory(hako, bundle):
    bundle.linux["resources"] = {"memory": {"limit": 32 * MIB, "swap": 32 * MIB}}
    box = Box(hako, bundle.args("tail", "/dev/zero"))
    assert hako.run("run", "--bundle", bundle, box.id, check=False).returncode == 137
    eventually(lambda: gone(box.unit), seconds=20)


@pytest.mark.parametrize("path", ["/test/absolute", "a:b", "a.slice:b:c:d", "no-slice:b:c",
                                  "../a.slice:b:c"])
def test_paths_that_cannot_be(hako, bundle, path):
    bundle.linux["cgroupsPath"] = path
    refused = hako.container(bundle).create(check=False)
    assert refused.returncode == 1
    assert "/linux/cgroupsPath" in refused.stderr and len(refused.stderr.splitlines()) == 1


def test_without_systemd(hako, bundle):
    """One line that says what is missing, and nothing is left."""
    refused = run(["unshare", "--mount", "sh", "-c",
                   'mount -t tmpfs none /run/systemd && mount -t tmpfs none /run/dbus && exec "$@"', "sh",
                   *hako.argv("create", "--bundle", bundle, hako.new_id())], check=False)
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1
    assert "systemd" in refused.stderr


# --- an ordinary user ---

@pytest.fixture(scope="session")
def session():
    """The user's own instance of systemd, with the slices that stay when they are empty."""
    run(["loginctl", "enable-linger", "user"])
    eventually((USER["runtime_dir"] / "systemd/private").exists, seconds=60)
    eventually(lambda: show("default.target", "ActiveState", prefix=AS_USER, options=["--user"]) == {
        "ActiveState": "active"}, seconds=60)
    run([*AS_USER, "systemctl", "--user", "start", "app.slice", "user.slice"])


class UserBox:
    """A container of the user. from_session: commands run in a scope of the user's systemd, as
    from a terminal of a desktop; else from outside of what is the user's."""

    def __init__(self, folder, bundle, id, from_session):
        self.id, self.root, self.bundle, self.from_session = id, folder / "user-root", bundle, from_session
        self.unit = f"hako-{id}.scope"

    def hako(self, *args, **how):
        session = ["systemd-run", "--user", "--scope", "--quiet", "--collect"] if self.from_session else []
        return run([*AS_USER, *session, RUNTIMES["hako"], "--root", self.root, "--systemd-cgroup",
                    *args], **how)

    def show(self, *names):
        return show(self.unit, *names, prefix=AS_USER, options=["--user"])

    @property
    def pid(self):
        return int(self.hako("state", self.id).json()["pid"])


@pytest.fixture(params=[True, False], ids=["from a session", "from outside"])
def user_box(request, session, nothing_left, template):
    folder = pathlib.Path(os.path.expanduser("~user"), uuid.uuid4().hex[:8])
    folder.mkdir()
    bundle = Bundle(folder / "bundle", template, SLEEP)
    bundle.user_namespace([(0, 1000, 1)])
    bundle.without_namespace("network")
    bundle.without_mount("/sys", "/sys/fs/cgroup")
    for mount in bundle.mounts:
        mount["options"] = [o for o in mount.get("options", []) if o != "gid=5"]
    bundle.linux["resources"] = {"memory": {"limit": 64 * MIB}, "pids": {"limit": 20}}
    run(["chown", "-hR", "1000:1000", folder])
    made = UserBox(folder, bundle, "t" + uuid.uuid4().hex[:8], request.param)
    yield made
    made.hako("delete", "--force", made.id, check=False)


@pytest.mark.essential
def test_user_instance(user_box):
    box = user_box
    box.hako("create", "--bundle", box.bundle, box.id)
    pid, folder = box.pid, cgroup_path(box.pid)
    assert folder.name == box.unit and "user@1000.service" in folder.parts
    assert box.show("ActiveState", "Slice", "MemoryMax", "TasksMax") == {
        "ActiveState": "active", "Slice": "user.slice", "MemoryMax": str(64 * MIB),
        "TasksMax": "20"}
    assert (folder / "memory.max").read_text() == f"{64 * MIB}\n"
    assert (folder / "pids.max").read_text() == "20\n"
    box.hako("start", box.id)
    ran = box.hako("exec", box.id, "sh", "-c", "cat /proc/self/cgroup; exit 3", check=False)
    assert (ran.returncode, ran.stdout) == (3, "0::/\n"), ran
    box.hako("update", "--memory", str(48 * MIB), box.id)
    assert (folder / "memory.max").read_text() == f"{48 * MIB}\n"
    assert box.show("MemoryMax") == {"MemoryMax": str(48 * MIB)}
    box.hako("pause", box.id)
    assert frozen(folder)
    box.hako("resume", box.id)
    box.hako("kill", box.id, "KILL")
    eventually(lambda: not alive(pid))
    box.hako("delete", box.id)
    assert box.show("LoadState") == {"LoadState": "not-found"} and not folder.exists()
