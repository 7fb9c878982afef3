# SPDX-License-Identifier: MIT
"""Running a container runtime: hako, or crun and runc to compare with."""

import itertools
import json
import os
import subprocess
import tempfile
import time

SCALE = float(os.environ.get("HAKO_TIMEOUT_SCALE", "1"))
MARK = "HAKO_TEST"  # in the environment of every process of a test


class Result:
    """How a command ended. What it wrote is read anew each time: a container may still write."""

    def __init__(self, argv, returncode, out, err):
        self.argv, self.returncode, self._out, self._err = argv, returncode, out, err

    stdout = property(lambda self: contents(self._out))
    stderr = property(lambda self: contents(self._err))

    def json(self):
        return json.loads(self.stdout)

    def __repr__(self):
        return (f"$ {' '.join(self.argv)}\nexit {self.returncode}\n"
                f"stdout: {self.stdout[-2000:]}\nstderr: {self.stderr[-2000:]}")


def contents(file):
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode("utf-8", "replace")


def run(argv, *, input=None, timeout=30, check=True, env=None, user=None, **popen):
    """Run a command to its end; check makes a failure an assertion error.

    Output goes to files, not pipes: a container that lives on would hold a pipe open.
    """
    argv = [os.fspath(arg) for arg in argv]
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    if user is not None:
        env = {**user.env, **(env or {})}
        popen.update(user=user.uid, group=user.gid, extra_groups=[])
        popen.setdefault("cwd", user.home)
    popen.setdefault("stdin", subprocess.DEVNULL if input is None else subprocess.PIPE)
    popen = {"stdout": out, "stderr": err, **popen}
    with subprocess.Popen(argv, env=env, **popen) as process:
        if input is not None:
            process.stdin.write(input if isinstance(input, bytes) else input.encode())
            process.stdin.close()
        try:
            process.wait(timeout * SCALE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"timeout: {Result(argv, None, out, err)}") from None
    result = Result(argv, process.returncode, out, err)
    assert not check or result.returncode == 0, result
    return result


def cpu_seconds():
    """Of the commands that have ended: on a busy machine the clock says less."""
    times = os.times()
    return times.children_user + times.children_system


def environment(token):
    """What every command of a test gets."""
    return {"PATH": os.environ["PATH"], MARK: token}


class Runtime:
    """A runtime with its own --root below base; ids begin with the test's token."""

    def __init__(self, path, base, token, user=None):
        self.path, self.token, self.user = str(path), token, user
        self.base, self.root = base, base / "root"
        self.options = []  # global options of every call
        self.environment = environment(token)
        self.verifies = os.path.basename(self.path) == "hako"  # what it has created; see run()
        self.ids = []
        self._numbers = itertools.count(1)

    def argv(self, *args):
        return [self.path, "--root", str(self.root), *self.options, *map(os.fspath, args)]

    def run(self, *args, env=None, **how):
        """`hako --root ROOT ARGS...`; see run() for input, timeout, check, cwd, pass_fds, ...

        Every container that is created must be what its config says: hako is asked itself."""
        env = {**self.environment, **(env or {})}
        result = run(self.argv(*args), env=env, user=self.user, **how)
        created = [arg for arg in args if arg in self.ids] if args[0] == "create" else []
        if self.verifies and created and result.returncode == 0:
            self.verify(created[0])
        return result

    def verify(self, id, *options):
        """Not before it is started may an ordinary user look into a process that it has made."""
        result = run(self.argv("verify", *options, id), env=self.environment, user=self.user,
                     check=False)
        assert result.returncode == 0 or (self.user and result.returncode == 2), result
        return result

    def popen(self, *args, env=None, **how):
        """The same, not waited for: for terminals, signals, pipes."""
        if self.user is not None:
            how = {"user": self.user.uid, "group": self.user.gid, "extra_groups": [], **how}
            env = {**self.user.env, **(env or {})}
        return subprocess.Popen(self.argv(*args), env={**self.environment, **(env or {})}, **how)

    def new_id(self):
        self.ids.append(f"{self.token}-{next(self._numbers)}")
        return self.ids[-1]

    def container(self, bundle, id=None):
        return Container(self, bundle, id or self.new_id())

    def run_bundle(self, bundle, *options, **how):
        """`hako run` of a bundle under a new id."""
        return self.run("run", *options, "--bundle", bundle, self.new_id(), **how)

    def probe(self, bundle, *tests, **how):
        """What a process sees in a container of that bundle: see probe.c."""
        bundle.args("/bin/probe", *tests)
        return self.run_bundle(bundle, **how).json()

    def clean(self):
        """delete --force whatever the test left; the search for leaks comes after this."""
        if self.root.exists():
            for id in self.ids:
                self.run("delete", "--force", id, check=False)


class Container:
    """One id. Methods take the command's further options and run()'s keywords."""

    def __init__(self, runtime, bundle, id):
        self.runtime, self.bundle, self.id = runtime, bundle, id

    def create(self, *options, **how):
        return self.runtime.run("create", *options, "--bundle", self.bundle, self.id, **how)

    def run(self, *options, **how):
        return self.runtime.run("run", *options, "--bundle", self.bundle, self.id, **how)

    def start(self, *options, **how):
        return self.runtime.run("start", *options, self.id, **how)

    def kill(self, *args, **how):
        return self.runtime.run("kill", self.id, *args, **how)

    def delete(self, *options, **how):
        return self.runtime.run("delete", *options, self.id, **how)

    def exec(self, *args, options=(), **how):
        return self.runtime.run("exec", *options, self.id, *args, **how)

    def probe(self, *tests, options=(), **how):
        """What a process added by exec sees."""
        return self.exec("/bin/probe", *tests, options=options, **how).json()

    def state(self):
        return self.runtime.run("state", self.id).json()

    status = property(lambda self: self.state()["status"])
    pid = property(lambda self: self.state()["pid"])

    def wait_for(self, status, timeout=20):
        """Until `state` says so."""
        end = time.monotonic() + timeout * SCALE
        while self.status != status:
            assert time.monotonic() < end, f"{self.id} is {self.status}, not {status}"
            time.sleep(0.02)


def wait_exit(pid, timeout=20):
    """The exit status of a container's first process, which is our child once its runtime has
    gone: 128 + n after a signal, as shells and conmon say it."""
    end = time.monotonic() + timeout * SCALE
    while True:
        reaped, status = os.waitpid(pid, os.WNOHANG)
        if reaped == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        assert time.monotonic() < end, f"process {pid} did not end"
        time.sleep(0.01)
