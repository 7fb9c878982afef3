# SPDX-License-Identifier: MIT
"""Recorded conversations of container engines with runc, and their replay.

A file of tests/data/conversations is one engine's:

    callers        {name: how it calls: see clients.Client; its usual options before the command,
                    environment, cwd, descriptors}
    config         its config.json, without what differs from container to container
    process        what its processes for exec have in common
    conversations  {name: {config: what differs, rows: [...]}}

A row is a call {by, argv, makes, answer, ...}, or something that happens between calls:
{ends, status, ...} a process ends and its streams with it, {kill} a process, or a caller, is
killed, {input, of} is written to a process, {catches}: init has a handler by now. {words} in braces
are filled in, see Replay. Calls, environments, descriptors and answers are as a program in the
place of runc has seen them, without what names the machine.
"""

import dataclasses
import json
import os
import pathlib
import re
import signal

from . import kernel
from .clients import Client
from .terminal import ConsoleSocket

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "conversations"
ENGINES = sorted(path.stem for path in DATA.glob("*.json"))
TRAITS = ("subreaper", "leader", "death_signal", "ignored", "blocked")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIME = "2026-01-02T03:04:05.678901234Z"


def load(engine):
    return json.loads((DATA / f"{engine}.json").read_text())


def names():
    """[(engine, conversation)]"""
    return [(engine, name) for engine in ENGINES for name in load(engine)["conversations"]]


def double(engine, caller):
    """A Client that is like this caller."""
    row = load(engine)["callers"][caller]
    return Client(**{trait: row[trait] for trait in TRAITS if trait in row})


def commands(engine, name):
    rows = load(engine)["conversations"][name]["rows"]
    return {row["argv"][0] for row in rows if "argv" in row}


def merged(base, changes):
    """base with the changes of a conversation; objects are merged, all else is replaced."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return base | {key: merged(base.get(key), value) for key, value in changes.items()}


def filled(value, words):
    if isinstance(value, dict):
        return {key: filled(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, words) for inner in value]
    if not isinstance(value, str):
        return value
    if isinstance(words.get(value[1:-1]), int):  # a number alone stays one
        return words[value[1:-1]]
    return re.sub(r"\{([a-z][a-z0-9 ]*)\}", lambda m: str(words.get(m[1], m[0])), value)


@dataclasses.dataclass
class Answer:
    """What a runtime leaves a caller with."""
    exit: int = 0
    stdout: str = ""
    stderr: str = ""
    log: str = ""  # what the call appended to the --log file
    pid_file: str | None = None


@dataclasses.dataclass
class Process:
    pid: int
    by: Client
    call: object
    master: object = None  # of its terminal


class Replay:
    """One conversation with one runtime. Words of the data: {id}, {bundle}, {rootfs}, {parent} (of
    the cgroup), {run} (a folder of the engine), {session} (a new one for each exec), {process} and
    {resources} (files), {socket}, {caller} (its pid), {path}, {time}, {pid of NAME}."""

    def __init__(self, engine, name, runtime, bundle, folder, id):
        self.engine, self.data = engine, load(engine)
        self.conversation = self.data["conversations"][name]
        self.runtime, self.bundle, self.folder = runtime, bundle, folder
        self.clients, self.processes, self.sockets = {}, {}, []
        self.words = {"id": id, "parent": f"{id}.parent", "bundle": bundle.path, "path": PATH,
                      "rootfs": bundle.rootfs, "run": self.new_folder("run"), "time": TIME,
                      "socket": folder / "console.sock", "caller": os.getpid()}
        self.write_bundle()

    def new_folder(self, name):
        made = self.folder / f"{name}{len(os.listdir(self.folder))}"
        made.mkdir()
        return made

    def write_bundle(self):
        """The config, and whatever it mounts."""
        b = self.bundle
        b.config = filled(merged(self.data["config"], self.conversation.get("config", {})),
                          self.words)
        b.file("/bin/plain", "no program\n")
        for mount in b.mounts:
            source = pathlib.Path(mount["source"])
            if source.is_absolute() and not source.exists():
                source.parent.mkdir(parents=True, exist_ok=True)
                source.touch() if source.name != "shm" else source.mkdir()
        b.save()

    def rows(self):
        """Go through it; yields (row, Answer) for every call, before what happens next."""
        for row in self.conversation["rows"]:
            if "by" in row:
                row = self.prepare(row)
                yield row, self.call(row)
            else:
                getattr(self, next(iter(row)))(row)

    # --- calls ---

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = double(self.engine, name)
        return self.clients[name]

    def prepare(self, row):
        """The row with all that it leaves to its caller, filled in; files that it names are made.
        The answer is left for later: it may name a process that does not exist yet."""
        caller = self.data["callers"][row["by"]]
        names = caller["environment"] | row.get("environment", {})
        if "process" in row:
            self.words["session"] = self.new_folder("session")
            self.write_json("process", self.data["process"] | row["process"])
        if "resources" in row:
            self.write_json("resources", row["resources"])
        complete = filled(caller | row | {"environment": names, "answer": {}}, self.words)
        return complete | {"answer": row.get("answer", {})}

    def write_json(self, word, value):
        self.words[word] = self.new_folder(word) / f"{word}.json"
        self.words[word].write_text(json.dumps(filled(value, self.words)))

    def call(self, row):
        argv = [str(self.runtime), *row["options"], *row["argv"]]
        log, pid_file = option(argv, "--log"), option(argv, "--pid-file")
        logged = len(read(log) or "")
        console = self.listen(option(argv, "--console-socket"))
        client = self.client(row["by"])
        call = client.start(argv, cwd=row["cwd"], environment=row["environment"],
                            kinds={int(n): kind for n, kind in row["descriptors"].items()},
                            **{trait: row[trait] for trait in TRAITS if trait in row})
        if "stdin" in row:
            call.write(row["stdin"])
        answer = Answer(client.wait(call.pid, 30), pid_file=read(pid_file))
        answer.log = (read(log) or "")[logged:]
        if "makes" in row and answer.exit == 0:
            pid = self.words[f"pid of {row['makes']}"] = int(answer.pid_file)
            self.processes[row["makes"]] = Process(pid, client, call, console and console.receive())
        else:  # nobody else has its streams
            answer.stdout = call.read(1)
            answer.stderr = call.read(2) if call.kinds[1] != call.kinds[2] else ""
        return answer

    def listen(self, path):
        if path is None:
            return None
        pathlib.Path(path).unlink(missing_ok=True)
        self.sockets.append(ConsoleSocket(path))
        return self.sockets[-1]

    def expected(self, row):
        """The recorded answer."""
        answer = filled(row.get("answer", {}), self.words)
        answer["log"] = "".join(json.dumps(line) + "\n" for line in answer.get("log", []))
        if "json" in answer:
            answer["stdout"] = json.dumps(answer.pop("json"))
        if "makes" in row:
            answer["pid_file"] = str(self.words[f"pid of {row['makes']}"])
        return Answer(**answer)

    # --- what happens between calls ---

    def ends(self, row):
        process = self.processes[row["ends"]]
        assert process.by.wait(process.pid) == row["status"]
        if process.master is not None:
            process.master.expect(row["terminal"])
            assert process.master.hung_up()
            process.master.close()
            return
        found = {"stdout": process.call.read(1), "stderr": process.call.read(2)}
        assert found == {name: row.get(name, "") for name in found}

    def kill(self, row):
        if row["kill"] in self.clients:
            self.clients[row["kill"]].kill()
            return
        pid = self.processes[row["kill"]].pid
        os.kill(pid, signal.SIGKILL)
        kernel.eventually(lambda: not kernel.alive(pid))

    def input(self, row):
        self.processes[row["of"]].call.write(row["input"])

    def catches(self, row):
        """The program of the container, not the runtime before it, has a handler."""
        pid, bit = self.processes["init"].pid, 1 << (signal.Signals[row["catches"]] - 1)
        kernel.eventually(lambda: kernel.cmdline(pid) == self.bundle.process["args"]
                          and kernel.signals(pid, "SigCgt") & bit)

    def close(self):
        for process in self.processes.values():
            if process.master is not None:
                process.master.close()
        for thing in [*self.clients.values(), *self.sockets]:
            thing.close()


def option(argv, name):
    for i, word in enumerate(argv):
        if word == name:
            return argv[i + 1]
        if word.startswith(name + "="):
            return word.partition("=")[2]
    return None


def read(path):
    try:
        return pathlib.Path(path or "").read_text() if path else None
    except FileNotFoundError:
        return None
