# SPDX-License-Identifier: MIT
"""CRI-O's side of a container: it has conmon call the runtime, or does so itself, and reads what they
leave. The calls, and what is made of the answers, are those of its internal/oci/runtime_oci.go."""

import dataclasses
import json
import os
import select
import socket
import subprocess
import time

from harness.kernel import alive, eventually
from harness.runtime import SCALE, run

TIMED_OUT = "command timed out"
GONE = ("no such process", "container not running", "invalid process")
STDOUT, STDERR = 2, 3  # the first byte of what comes from an attach socket
RESIZE = 1  # a command of conmon's control file


class Failed(Exception):
    """The text is what CRI-O shows."""


class NotFound(Failed):
    """The container has no process any more."""


@dataclasses.dataclass
class Ran:
    code: int
    stdout: str
    stderr: str


class Crio:
    """A runtime with its handler's root; systemd says which cgroup manager there is."""

    def __init__(self, runtime, folder, systemd):
        self.runtime, self.folder, self.systemd = str(runtime), folder, systemd
        self.root = folder / "root"
        self.exits, self.sockets = folder / "exits", folder / "sockets"
        for made in (self.exits, self.sockets):
            made.mkdir()
        self.environment = {"CRI_O_EXTERNAL": "1", "PATH": os.environ["PATH"]}

    def features(self):
        """A runtime without versions is refused."""
        found = json.loads(run([self.runtime, "features"]).stdout)
        assert found["ociVersionMin"] and found["ociVersionMax"]
        return found

    def argv(self, *args):
        return [self.runtime, "--root", self.root, *["--systemd-cgroup"] * self.systemd, *args]

    def call(self, *args, argv=None, **how):
        ran = run(argv or self.argv(*args), env=self.environment, check=False, **how)
        if ran.returncode != 0:
            kind = NotFound if any(text in ran.stderr for text in GONE) else Failed
            raise kind(ran.stderr + ran.stdout)
        return ran.stdout

    def conmon(self, *args, cwd="/"):
        """Until the first process ends: what conmon says through the pipe that it gets, and what
        it and the runtime have written."""
        theirs, start = os.pipe(), os.pipe()
        environment = self.environment | {"_OCI_SYNCPIPE": str(theirs[1]), "_OCI_STARTPIPE": str(start[0])}
        process = subprocess.Popen(["conmon", *map(os.fspath, args)], cwd=cwd, env=environment,
                                   pass_fds=[theirs[1], start[0]], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs[1])
        os.close(start[0])
        os.write(start[1], b"\0")
        os.close(start[1])
        with open(theirs[0], encoding="utf-8") as pipe:
            process.wait(90 * SCALE)
            assert select.select([pipe], [], [], 30 * SCALE)[0]
            return json.loads(pipe.readline() or "null")


class Container:
    def __init__(self, crio, bundle, id, terminal=False, stdin=False):
        self.crio, self.bundle, self.id = crio, bundle, id
        self.terminal, self.stdin = terminal, stdin
        self.log_file = crio.folder / f"{id}.log"
        bundle.config["process"]["terminal"] = terminal
        bundle.save()

    def create(self):
        crio, folder = self.crio, self.bundle.path
        answer = crio.conmon(
            "-b", folder, "-c", self.id, "--exit-dir", crio.exits, "-l", self.log_file,
            "--log-level", "info", "-n", f"k8s_{self.id}", "-P", folder / "conmon-pidfile",
            "-p", folder / "pidfile", "--persist-dir", folder, "-r", crio.runtime,
            "--runtime-arg", f"--root={crio.root}", "--socket-dir-path", crio.sockets, "--syslog",
            "-u", self.id, *["-s"] * crio.systemd, *["-t"] * self.terminal,
            *["--leave-stdin-open", "-i"] * self.stdin, cwd=folder)
        if answer["pid"] == -1:
            crio.call("delete", "--force", self.id)
            raise Failed(answer.get("message", ""))
        self.pid = answer["pid"]
        return self

    def start(self):
        self.crio.call("start", self.id)
        return self

    def state(self):
        """{status, pid, ...}; when it has stopped, with what conmon has written."""
        found = json.loads(self.crio.call("state", self.id))
        if found["status"] == "stopped":
            file = self.crio.exits / self.id
            found["exit code"] = eventually(lambda: file.exists() and int(file.read_text()), seconds=20)
        return found

    def kill(self, *args):
        self.crio.call("kill", *args)

    def stop(self, seconds):
        """Until it has ended; the last resort is SIGKILL."""
        if self.state()["status"] == "paused":
            self.crio.call("resume", self.id)
        self.kill(self.id, "TERM")
        end = time.monotonic() + seconds * SCALE
        while alive(self.pid) and time.monotonic() < end:
            time.sleep(0.1)
        if alive(self.pid):
            self.kill(self.id, "KILL")
        eventually(lambda: not alive(self.pid), seconds=30)
        return self.state()

    def delete(self):
        self.crio.call("delete", "--force", self.id)

    def update(self, resources):
        self.crio.call(argv=[self.crio.runtime, "--root", self.crio.root, "update", "--resources", "-",
                             self.id], input=json.dumps(resources))

    def log(self, path=None):
        """(stdout, stderr) of a log: "TIME STREAM F|P TEXT", P for a part of a line."""
        found = {"stdout": "", "stderr": ""}
        for line in (path or self.log_file).read_text().splitlines():
            _, stream, kind, text = line.split(" ", 3)
            found[stream] += text + "\n" * (kind == "F")
        return found["stdout"], found["stderr"]

    # --- exec ---

    def process_file(self, command, terminal):
        path = self.crio.folder / f"exec-process-{time.monotonic_ns()}"
        path.write_text(json.dumps(self.bundle.process | {"args": list(command), "terminal": terminal}))
        return path

    def exec_sync(self, *command, timeout=0):
        crio = self.crio
        log, pid_file = (crio.folder / f"{name}-{time.monotonic_ns()}" for name in ("log", "pidfile"))
        log.touch()
        pid_file.touch()
        answer = crio.conmon(
            "-c", self.id, "-n", f"k8s_{self.id}", "-r", crio.runtime, "-p", pid_file, "-e", "-l", log,
            "--socket-dir-path", crio.sockets, "--log-level", "info", "--sync",
            *["-t"] * self.terminal, *["-T", str(timeout)] * bool(timeout), *["-s"] * crio.systemd,
            "--exec-process-spec", self.process_file(command, self.terminal),
            "--runtime-arg", f"--root={crio.root}")
        if answer["exit_code"] == -1 and answer.get("message") == TIMED_OUT:
            return Ran(-1, "", TIMED_OUT)
        if answer["exit_code"] == -1:
            raise Failed(answer.get("message", ""))
        return Ran(answer["exit_code"], *self.log(log))

    def exec(self, *command, input=""):
        """With pipes."""
        ran = run(self.exec_argv(command), env=self.crio.environment, check=False, input=input)
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def exec_argv(self, command, terminal=False):
        return [os.fspath(word) for word in self.crio.argv(
            "exec", "--process", self.process_file(command, terminal), self.id)]

    # --- attach ---

    def attach(self):
        return Attached(self)

    def clean(self):
        """Whatever is left after a failure."""
        run(self.crio.argv("delete", "--force", self.id), check=False)
        file = self.bundle.path / "conmon-pidfile"
        if file.exists() and alive(int(file.read_text())):
            eventually(lambda: not alive(int(file.read_text())), seconds=20)


class Attached:
    """As `kubectl attach` does it, through what conmon offers."""

    def __init__(self, container):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(str(container.crio.sockets / container.id / "attach"))
        self.socket.settimeout(30 * SCALE)
        self.control = container.bundle.path / "ctl"
        self.seen = {STDOUT: b"", STDERR: b""}

    def resize(self, rows, columns):
        with open(self.control, "w", encoding="ascii") as file:
            file.write(f"{RESIZE} {rows} {columns}\n")

    def send(self, text):
        self.socket.send(text.encode())

    def receive(self):
        data = self.socket.recv(8193)
        if data:
            self.seen[data[0]] += data[1:]
        return data

    def expect(self, text, stream=STDOUT):
        while text.encode() not in self.seen[stream]:
            assert self.receive(), self.seen

    def finish(self):
        """No more input."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()
