# SPDX-License-Identifier: MIT
"""Limits and what they do, on a real cgroup v2 hierarchy with all its controllers: in a virtual
machine, which is booted once for all tests. guest/*.sh have the checks, guest/boot.py the rest."""

import fcntl
import pickle

import pytest

from guest import boot

# for the boot, which the first test waits for, and the others of a parallel run
pytestmark = pytest.mark.timeout(2 * boot.LIMIT + 120)


@pytest.fixture(scope="session")
def guest(tmp_path_factory, hako):
    """The results; workers of a parallel run share one guest."""
    folder = tmp_path_factory.getbasetemp()
    if folder.name.startswith("popen-"):
        folder = folder.parent
    file = folder / "guest"
    with open(folder / "guest.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            try:
                result = boot.boot(hako)
            except boot.Unavailable as reason:
                result = reason
            file.write_bytes(pickle.dumps(result))
    result = pickle.loads(file.read_bytes())
    if isinstance(result, boot.Unavailable):
        pytest.skip(str(result))
    return result


def test_guest_finishes(guest):
    assert guest.finished, guest.console
    assert [*guest.checks, *guest.missing] == boot.names()


@pytest.mark.parametrize("name", boot.names())
def test_guest(guest, name):
    if name in guest.missing:
        pytest.skip(guest.missing[name])
    if name not in guest.checks:
        pytest.fail("the guest did not come to it", pytrace=False)
    ok, _, text = guest.checks[name]
    if not ok:
        pytest.fail(text, pytrace=False)
