# SPDX-License-Identifier: MIT
"""Descriptors that the caller passes on: --preserve-fds, and sockets of a service manager as
sd_listen_fds(3) has them (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES)."""

import json
import os
import socket
import subprocess

import pytest

from harness.kernel import descriptors, eventually
from harness.runtime import SCALE, run

SLEEP = ("/bin/sleep", "1000")
PREFIX = "LISTEN_"


@pytest.fixture
def files(tmp_path):
    """files("ab"): redirections that open files of these names from 3 upwards; "-" is a gap."""

    def make(names):
        for name in names.replace("-", ""):
            (tmp_path / name).write_text("")
        return " ".join(f"{fd}<{tmp_path}/{name}" for fd, name in enumerate(names, 3)
                        if name != "-")

    return make


@pytest.fixture
def activated(files):
    """activated(runtime, "ab", *args): run it as a service manager would; pid says for whom."""

    def start(runtime, names, *args, pid="$$", fds=None, fdnames=None, **how):
        variables = f"export LISTEN_PID={pid} LISTEN_FDS={len(names) if fds is None else fds};"
        if fdnames is not None:
            variables += f"export LISTEN_FDNAMES={fdnames};"
        return run(["sh", "-c", f'{variables} exec "$@" {files(names)}', "sh",
                    *runtime.argv(*args)], env=runtime.environment, **how)

    return start


def passed(seen):
    """{descriptor: name of the file} beyond the standard streams."""
    return {int(fd): os.path.basename(target) for fd, target in seen["fds"].items()
            if int(fd) > 2}


def variables(seen):
    return {name: value for name, _, value in (e.partition("=") for e in seen["env"])
            if name.startswith(PREFIX)}


def probe(runtime, bundle, *options):
    return ["run", *options, "--bundle", bundle, runtime.new_id()]


# --- sockets of a service manager ---

@pytest.mark.parametrize("names, fdnames", [("a", None), ("ab", "web:admin"), ("abc", "")])
def test_sockets_are_passed_on(runtime, bundle, activated, names, fdnames):
    seen = activated(runtime, names, *probe(runtime, bundle("/bin/probe")),
                     fdnames=fdnames).json()
    assert passed(seen) == dict(enumerate(names, 3))
    expected = {"LISTEN_PID": "1", "LISTEN_FDS": str(len(names))}
    assert variables(seen) == expected | ({} if fdnames is None else {"LISTEN_FDNAMES": fdnames})


@pytest.mark.parametrize("pid", ["1", "$PPID", "''", "x", "$$x", "-$$", "99999999999999999999"])
def test_sockets_for_somebody_else(runtime, bundle, activated, pid):
    """The variables alone say nothing: everybody inherits them."""
    seen = activated(runtime, "a", *probe(runtime, bundle("/bin/probe")), pid=pid).json()
    assert (passed(seen), variables(seen)) == ({}, {})


@pytest.mark.parametrize("fds", ["0", "''"])
def test_no_sockets(runtime, bundle, activated, fds):
    result = activated(runtime, "a", *probe(runtime, bundle("/bin/probe")), fds=fds, check=False)
    if fds == "0":
        assert (passed(result.json()), variables(result.json())) == ({}, {})
    else:
        assert (result.returncode, "LISTEN_FDS= is not a number" in result.stderr) == (1, True)


@pytest.mark.parametrize("fds, message", [("x", "LISTEN_FDS=x is not a number"),
                                          ("-1", "is not a number"), ("9999", "is not a number"),
                                          ("3", "LISTEN_FDS=3: descriptor 5 is not open")])
@pytest.mark.parametrize("command", ["run", "create", "exec"])
def test_sockets_that_cannot_be(runtime, bundle, activated, leaks, command, fds, message):
    box = runtime.container(bundle(*SLEEP))
    operands = ["--bundle", box.bundle, box.id]
    if command == "exec":
        box.run("--detach")
        operands = [box.id, "/bin/true"]
    result = activated(runtime, "ab", command, *operands, fds=fds, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (255 if command == "exec" else 1, 1)
    assert message in result.stderr
    if command != "exec":
        assert leaks.wait() == []


def test_other_commands_do_not_care(runtime, bundle, activated):
    box = runtime.container(bundle(*SLEEP))
    box.create()
    activated(runtime, "", "start", box.id, fds="x")
    assert activated(runtime, "", "state", box.id, fds=7).json()["status"] == "running"


def test_what_the_config_says_is_replaced(runtime, bundle, activated):
    b = bundle("/bin/probe").env(LISTEN_PID="77", LISTEN_FDS="9", LISTEN_FDNAMES="x", LISTEN="y")
    seen = activated(runtime, "a", *probe(runtime, b)).json()
    assert variables(seen) == {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    assert "LISTEN=y" in seen["env"] and seen["env"][-1].startswith("HOME=")
    seen = activated(runtime, "a", *probe(runtime, b), pid=1).json()  # an engine has arranged it
    assert variables(seen) == {"LISTEN_PID": "77", "LISTEN_FDS": "9", "LISTEN_FDNAMES": "x"}


def test_pid_without_a_pid_namespace(runtime, bundle, activated):
    seen = activated(runtime, "a", *probe(runtime, bundle("/bin/probe").without_namespace("pid")))
    seen = seen.json()
    assert variables(seen)["LISTEN_PID"] == str(seen["pid"]) != "1"


def test_pid_in_a_joined_pid_namespace(runtime, bundle, activated):
    other = runtime.container(bundle(*SLEEP))
    other.run("--detach")
    b = bundle("/bin/probe").namespace("pid", f"/proc/{other.pid}/ns/pid")
    seen = activated(runtime, "a", *probe(runtime, b)).json()
    assert variables(seen)["LISTEN_PID"] == str(seen["pid"]) != "1"


@pytest.mark.parametrize("pid_namespace", [True, False])
def test_exec(runtime, bundle, activated, tmp_path, pid_namespace):
    b = bundle(*SLEEP)
    box = runtime.container(b if pid_namespace else b.without_namespace("pid"))
    box.run("--detach")
    seen = activated(runtime, "ab", "exec", box.id, "/bin/probe", fdnames="x:y").json()
    assert passed(seen) == {3: "a", 4: "b"}
    assert variables(seen) == {"LISTEN_PID": str(seen["pid"]), "LISTEN_FDS": "2",
                               "LISTEN_FDNAMES": "x:y"}
    (tmp_path / "p.json").write_text(json.dumps({"args": ["/bin/probe"], "cwd": "/",
                                                 "env": ["LISTEN_PID=5"]}))
    seen = activated(runtime, "a", "exec", "--process", tmp_path / "p.json", box.id).json()
    assert variables(seen) == {"LISTEN_PID": str(seen["pid"]), "LISTEN_FDS": "1"}


def test_create_and_start(runtime, bundle, activated):
    """The sockets are those of `create`; `start` needs to know nothing of them."""
    box = runtime.container(bundle("/bin/probe"))
    created = activated(runtime, "ab", "create", "--bundle", box.bundle, box.id)
    box.start()
    eventually(lambda: created.stdout.endswith("}\n"))
    seen = created.json()
    assert (passed(seen), variables(seen)["LISTEN_PID"]) == ({3: "a", 4: "b"}, "1")


def as_third(fd, script, argv, runtime):
    """Popen(argv) after the script of a shell, with our descriptor as its descriptor 3."""
    return subprocess.Popen(["sh", "-c", f'{script} exec "$@"', "sh", *argv], pass_fds=[3],
                            preexec_fn=lambda: os.dup2(fd, 3), env=runtime.environment)


def test_a_service(runtime, bundle):
    """A listening socket is the one of the service manager, and hako holds no copy of it."""
    server = socket.create_server(("127.0.0.1", 0))
    b = bundle().sh("test $LISTEN_PID = $$ && test $LISTEN_FDS = 1 && exec sleep 1000")
    box = runtime.container(b)
    with as_third(server.fileno(), "export LISTEN_PID=$$ LISTEN_FDS=1;",
                  runtime.argv("run", "--bundle", b, box.id), runtime) as process:
        eventually(lambda: box.status == "running")
        ours = os.readlink(f"/proc/self/fd/{server.fileno()}")
        assert descriptors(box.pid)[3] == ours
        assert ours not in descriptors(process.pid).values()
        box.kill("KILL")
        assert process.wait(20 * SCALE) == 137
    server.close()


# --- with --preserve-fds ---

@pytest.mark.parametrize("names, listening, preserved, expected", [
    ("abc", 1, 2, "abc"), ("abcd", 2, 1, "abc"), ("ab", 1, 0, "a"),
    ("ab", 2, 2, "ab"),  # Podman counts the sockets as well
    ("abc", 3, 1, "abc"),
    ("ab-d", 2, 2, "ab-d"),
])
def test_preserved_come_after_the_sockets(runtime, bundle, activated, names, listening, preserved,
                                          expected):
    seen = activated(runtime, names, *probe(runtime, bundle("/bin/probe"), "--preserve-fds",
                                            str(preserved)), fds=listening).json()
    assert passed(seen) == {fd: name for fd, name in enumerate(expected, 3) if name != "-"}
    assert variables(seen)["LISTEN_FDS"] == str(listening)


def test_preserved_are_missing(runtime, bundle, activated):
    result = activated(runtime, "ab", *probe(runtime, bundle(), "--preserve-fds", "2"), fds=1,
                       check=False)
    assert result.returncode == 1
    assert "--preserve-fds 2: descriptor 5 is not open" in result.stderr


@pytest.mark.parametrize("names", ["--c", "a-c", "-b", "------g"])
@pytest.mark.parametrize("command", ["run", "create", "exec"])
def test_gaps(runtime, bundle, files, names, command):
    """Podman leaves some (--preserve-fd): nothing of hako's own may end up there."""
    box = runtime.container(bundle("/bin/probe"))
    operands = ["--bundle", box.bundle, box.id]
    if command == "exec":
        box = runtime.container(bundle(*SLEEP))
        box.run("--detach")
        operands = [box.id, "/bin/probe"]
    result = run(["sh", "-c", f'exec "$@" {files(names)}', "sh",
                  *runtime.argv(command, "--preserve-fds", str(len(names)), *operands)],
                 env=runtime.environment)
    if command == "create":
        waiting = {fd: target for fd, target in descriptors(box.pid).items()
                   if 3 <= fd < 3 + len(names)}
        assert {os.path.basename(t) for t in waiting.values()} <= {"null", *names}
        box.start()
        eventually(lambda: result.stdout.endswith("}\n"))
    assert passed(result.json()) == {fd: n for fd, n in enumerate(names, 3) if n != "-"}


@pytest.mark.parametrize("command", ["run", "exec"])
def test_the_other_side_sees_the_end(runtime, bundle, command):
    """hako in the foreground keeps no copy of what it passes on."""
    box = runtime.container(bundle().sh("exec 3>&-; echo closed; exec sleep 1000"))
    operands = ["--bundle", box.bundle, box.id]
    if command == "exec":
        box = runtime.container(bundle(*SLEEP))
        box.run("--detach")
        operands = [box.id, "/bin/sh", "-c", "exec 3>&-; sleep 1000"]
    reader, writer = os.pipe()
    argv = runtime.argv(command, "--preserve-fds", "1", *operands)
    with as_third(writer, "", argv, runtime) as process:
        os.close(writer)
        assert os.read(reader, 1) == b""  # until nobody has the other end
        process.kill()
        process.wait()
    os.close(reader)


# --- others ---

@pytest.mark.parametrize("name", ["runc", "crun"])
def test_as_others_do(runtime, request, bundle, activated, name):
    """Both pass the sockets first and what --preserve-fds names after them. What the process is
    told by crun 1.8 is nothing at all; runc tells it as hako does."""
    other = request.getfixturevalue(name)
    seen = [activated(r, "abc", *probe(r, bundle("/bin/probe"), "--preserve-fds", "2"),
                      fds=1).json() for r in (runtime, other)]
    assert passed(seen[0]) == passed(seen[1]) == {3: "a", 4: "b", 5: "c"}
    if name == "runc":
        assert variables(seen[0]) == variables(seen[1])
