# SPDX-License-Identifier: MIT
"""Podman as an ordinary user with a range of subordinate ids."""

import pytest

from harness.kernel import alive, namespaces, status

SLEEP = ("sleep", "1000")


@pytest.mark.essential
def test_run(user_podman):
    ran = user_podman.run("--", "sh", "-c", "id -u; cat /proc/self/uid_map; exit 7", status=7)
    assert ran.stdout.split() == ["0", "0", "1000", "1", "1", "100000", "65536"]


def test_user_of_the_container(user_podman):
    container = user_podman.start("--user", "user", "--", *SLEEP)
    assert status(container.pid, "Uid").split() == ["100999"] * 4
    assert status(container.pid, "CapEff") == "0" * 16


@pytest.mark.essential
def test_keep_id(user_podman):
    container = user_podman.start("--userns", "keep-id", "--", *SLEEP)
    assert status(container.pid, "Uid").split() == ["1000"] * 4
    assert container.exec("id", "-u").stdout == "1000\n"


@pytest.mark.essential
def test_exec_and_stop(user_podman):
    container = user_podman.start("--", *SLEEP)
    pid = container.pid
    ran = container.exec("sh", "-c", "readlink /proc/self/ns/user; exit 3", status=3)
    assert ran.stdout.strip() == namespaces(pid)["user"] != namespaces("self")["user"]
    container.stop("--time", "0")
    assert not alive(pid)


def test_not_a_program(user_podman):
    user_podman.run("--", "nonesuch", status=127)


def test_terminal(user_podman):
    assert user_podman.run("--tty", "--", "tty").stdout.split() == ["/dev/pts/0"]
