# SPDX-License-Identifier: MIT
"""Scopes of the systemd driver, where they are not what hako left: with a systemd that is none.
tests/engines/test_systemd.py has the real one."""

import json

import pytest

from harness import private
from harness.kernel import eventually
from harness.systemd import Systemd

SOCKET = "/run/systemd/private"


@pytest.fixture
def systemd():
    """systemd({unit: description}, deaf, cut): a Systemd."""
    made = []
    private.mount("tmpfs", "/run", "tmpfs")

    def make(units, deaf=(), cut=()):
        made.append(Systemd(SOCKET, units, deaf, cut))
        return made[-1]

    yield make
    for each in made:
        each.close()
    private.umount("/run")


@pytest.fixture
def remains(runtime, bundle):
    """remains(annotations): what is left of a container whose state was lost; its name."""
    def make(**annotations):
        name = runtime.new_id()
        b = bundle()
        b.linux["cgroupsPath"] = f"system.slice:test:{name}"
        b.config["annotations"] = annotations
        b.save()
        folder = runtime.root / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(b.config))
        return name
    return make


DESCRIPTION = "org.systemd.property.Description"


@pytest.mark.parametrize("annotations, description, ours", [
    ({}, "container {}", True), ({}, "container {}x", False), ({}, "", False),
    ({}, "A service of the host", False), ({}, "{}", False),
    ({DESCRIPTION: "'as it likes'"}, "as it likes", True),
    ({DESCRIPTION: "'as it likes'"}, "container {}", False)])
def test_a_scope_known_by_its_name(runtime, remains, systemd, annotations, description, ours):
    """Only what hako has made is stopped; the rest of the container goes anyway."""
    name = remains(**annotations)
    unit, description = f"test-{name}.scope", description.format(name)
    service = systemd({unit: description})
    result = runtime.run("delete", "--force", name)
    assert service.stopped() == ({unit} if ours else set())
    assert (f'{unit} is left alone: it is somebody else\'s, "{description}"'
            in result.stderr) != ours
    assert not (runtime.root / name).exists()


def test_no_scope_of_that_name(runtime, remains, systemd):
    name = remains()
    service = systemd({})
    assert runtime.run("delete", "--force", name).stderr == ""
    assert service.calls == [("GetUnit", f"test-{name}.scope")]
    assert not (runtime.root / name).exists()


@pytest.mark.parametrize("ours", [True, False])
def test_killed_before_it_knew(runtime, bundle, background, systemd, ours):
    """The scope's name is in the state before systemd has been asked for it."""
    name = runtime.new_id()
    b = bundle()
    b.linux["cgroupsPath"] = f"system.slice:test:{name}"
    unit = f"test-{name}.scope"
    service = systemd({unit: f"container {name}" if ours else "A service of the host"},
                      deaf=["StartTransientUnit"])
    runtime.options.append("--systemd-cgroup")
    process = background("create", "--bundle", b, name)
    eventually(lambda: ("StartTransientUnit", unit) in service.calls)
    process.kill()
    process.wait()
    assert json.loads((runtime.root / name / "state.json").read_text())["systemdUnit"] == unit
    runtime.run("delete", "--force", name)
    assert service.stopped() == ({unit} if ours else set())
    assert not (runtime.root / name).exists()


@pytest.mark.parametrize("ours", [True, False])
def test_no_answer_to_the_start_of_a_scope(runtime, bundle, systemd, ours):
    """Whether it was started is not known: systemd is asked once more."""
    name = runtime.new_id()
    b = bundle("/bin/sleep", "1000")
    b.linux["cgroupsPath"] = f"system.slice:test:{name}"
    unit = f"test-{name}.scope"
    service = systemd({unit: f"container {name}" if ours else "A service of the host"},
                      cut=["StartTransientUnit"])
    runtime.options.append("--systemd-cgroup")
    result = runtime.run("create", "--bundle", b, name, check=False)
    assert result.returncode == 1 and "wait for an answer" in result.stderr, result
    assert service.stopped() == ({unit} if ours else set())
    assert not (runtime.root / name).exists()


@pytest.mark.parametrize("last", [0, 7, 8, 47, 63, 64, 127, 1023])
def test_numbers_of_processors(runtime, bundle, last):
    """As the bytes of a mask, the lowest first, however many."""
    b = bundle()
    b.linux["resources"] = {"cpu": {"cpus": f"0-{last}", "mems": f"{last}"}}
    b.save()
    said = runtime.run("--systemd-cgroup", "plan", b.path).stdout
    full, rest = divmod(last + 1, 8)
    mask = ["byte 0xff"] * full + [f"byte 0x{(1 << rest) - 1:02x}"] * (rest > 0)
    assert f"AllowedCPUs = [{', '.join(mask)}]\n" in said
    mask = ["byte 0x00"] * (last // 8) + [f"byte 0x{1 << last % 8:02x}"]
    assert f"AllowedMemoryNodes = [{', '.join(mask)}]\n" in said
