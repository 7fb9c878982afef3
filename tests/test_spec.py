# SPDX-License-Identifier: MIT
"""`hako spec`: its profiles and --set. What a profile promises is read from the kernel, and programs
of all days run under the strictest."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from harness import schema
from harness.runtime import run

PROFILES = ("default", "rootless", "hardened", "ci")
SOURCE = pathlib.Path(__file__).resolve().parent.parent / "src"
UNLIMITED = [f"--set=/linux/resources/{name}=null" for name in ("memory", "pids", "cpu")]


@pytest.fixture
def spec(hako, tmp_path):
    """spec(*options): the config, as text."""

    def make(*options, check=True, **how):
        file = tmp_path / "spec.json"
        file.unlink(missing_ok=True)
        result = run([hako, "spec", "--bundle", tmp_path, "--file", file.name, *options],
                     check=False, **how)
        if not check:
            assert not file.exists()
            return result
        assert (result.returncode, result.stderr) == (0, ""), result
        return file.read_text()

    return make


@pytest.fixture
def profile(runtime, bundle, spec, token):
    """profile(name, *args, options): a bundle with that profile that runs here, without terminal
    and, as controllers may be missing, without limits."""

    def make(name, *args):
        b = bundle()
        limits = [] if name in ("default", "rootless") else UNLIMITED
        b.config = json.loads(spec("--profile", name, *limits, "--set=/process/terminal=false"))
        if args:
            b.args(*args)
        return b.env(HAKO_TEST=token)

    return make


# --- what is written -----------------------------------------------------------------------

@pytest.mark.parametrize("name", PROFILES)
def test_profiles(hako, spec, tmp_path, name):
    text = spec("--profile", name)
    assert spec("--profile", name) == text
    config = json.loads(text)
    schema.check(config, "config-schema.json")
    result = run([hako, "check", "--host=false", "--config", tmp_path / "spec.json", tmp_path])
    assert result.stdout.endswith(": 0 errors, 0 warnings\n")
    (tmp_path / "rootfs").mkdir(exist_ok=True)
    plan = run([hako, "plan", "--config", tmp_path / "spec.json", tmp_path])
    assert "SCMP_ACT_ERRNO rules" in plan.stdout and plan.stderr == ""


def test_the_same_bytes(spec):
    golden = SOURCE.parent / "tests" / "golden" / "explained" / "hardened" / "config.json"
    assert spec("--profile", "hardened") == golden.read_text()


def test_the_default_is_called_default(spec):
    assert spec() == spec("--profile", "default")
    assert spec("--rootless") == spec("--profile", "rootless") == spec("--rootless", "--profile=rootless")


def test_what_profiles_promise(spec):
    hardened, ci = (json.loads(spec("--profile", name)) for name in ("hardened", "ci"))
    namespaces = {n["type"] for n in hardened["linux"]["namespaces"]}
    assert namespaces == {"pid", "network", "ipc", "uts", "mount", "cgroup", "user"}
    assert all(s == [] for s in hardened["process"]["capabilities"].values())
    assert hardened["process"]["noNewPrivileges"] and hardened["root"]["readonly"]
    for config in hardened, ci:
        assert set(config["linux"]["resources"]) == {"devices", "memory", "pids", "cpu"}
        assert [m["type"] for m in config["mounts"] if m["destination"] == "/tmp"] == ["tmpfs"]
    assert not ci["process"]["terminal"]


@pytest.mark.parametrize("options, message", [
    (["--profile", "strict"], "not one of default, rootless, hardened, ci"),
    (["--profile", "hardened", "--rootless"], "exclude each other"),
    (["--set", "/hostname"], "want /POINTER=VALUE"), (["--set", "hostname=x"], "hostname"),
    (["--set", "/hostnam=x"], '/ has no property "hostnam"; the nearest is /hostname'),
    (["--set", "/linux/resorces/pids/limit=5"],
     '/linux has no property "resorces"; the nearest is /linux/resources'),
    (["--set", "/process/user/uuid=5"],
     '/process/user has no property "uuid"; the nearest is /process/user/uid'),
    (["--set", "/mounts/7/destinaton=/x"], "/mounts/7/destination"),
    (["--set", "/mounts/99/destination=/x"], "the list has 7 items"),
    (["--set", "/mounts/x=1"], "the list has 7 items"),
    (["--set", "/hostname/x=1"], "there is nothing in /hostname"),
    (["--set", "/process/terminal=maybe"], "not JSON"),
    (["--set", "/process/terminal=5"], "/process/terminal: spec: expected a boolean"),
    (["--set", "/process/user/uid=-1"], "/process/user/uid: spec: expected a number"),
    (["--set", "/ociVersion=null"], "ociVersion is missing"),
    (["--set", "/linux/namespaces=[]"], "needs a namespace of type uts"),
    (["--set", "/hostname=\udcff"], "not UTF-8"),
])
def test_refused(spec, options, message):
    result = spec(*options, check=False)
    assert result.returncode in (1, 64) and result.stderr.count("\n") == 1, result
    assert message in result.stderr


def test_set(spec):
    config = json.loads(spec(
        "--set", "/hostname=web", "--set", "/process/args=[\"httpd\", \"-f\"]",
        "--set=/process/args/-=-v", "--set", "/process/user/uid=7", "--set", "/domainname=12",
        "--set", "/annotations/a.b~1c~0d=true", "--set", "/linux/sysctl/net.ipv4.ip_forward=1",
        "--set", "/linux/resources/memory/limit=1000000", "--set", "/mounts/-/destination=/x",
        "--set", "/mounts/7/type=tmpfs", "--set", "/mounts/7/source=tmpfs",
        "--set", "/mounts/7/options/-=size=1m", "--set", "/linux/seccomp=null",
        "--set", "/root/readonly=false", "--set", "/linux/rootfsPropagation=rslave",
        "--set", "/process/env/1=TERM=vt100"))
    assert (config["hostname"], config["domainname"]) == ("web", "12")
    assert config["process"]["args"] == ["httpd", "-f", "-v"]
    assert config["process"]["user"] == {"uid": 7, "gid": 0}
    assert config["process"]["env"][1] == "TERM=vt100"
    assert config["annotations"] == {"a.b/c~d": "true"}
    assert config["linux"]["sysctl"] == {"net.ipv4.ip_forward": "1"}
    assert config["linux"]["resources"]["memory"] == {"limit": 1000000}
    assert config["mounts"][7] == {"destination": "/x", "type": "tmpfs", "source": "tmpfs",
                                   "options": ["size=1m"]}
    assert "seccomp" not in config["linux"] and not config["root"]["readonly"]
    assert config["linux"]["rootfsPropagation"] == "rslave"


def test_set_of_everything(spec):
    """The whole document through --set, member by member, is the same document."""
    text = spec("--profile", "hardened")
    config = json.loads(text)
    options = [f"--set=/{key}={json.dumps(value)}" for key, value in config.items()
               if key != "linux"]
    options += [f"--set=/linux/{key}={json.dumps(value)}" for key, value in config["linux"].items()]
    assert json.loads(spec("--rootless", *options)) == config


def test_allowed_calls_exist():
    """No name twice, none misspelt as far as libseccomp of this host knows them."""
    text = (SOURCE / "cmd" / "spec_seccomp.c").read_text()
    table = text[text.index("groups[] = {"):text.index("{0, NULL}")]
    names = " ".join(re.findall(r'"([^"]*)"', table)).split()
    assert len(names) > 300 and len(set(names)) == len(names)
    forbidden = {"mount", "bpf", "unshare", "setns", "keyctl", "io_uring_setup", "userfaultfd", "reboot",
                 "init_module", "perf_event_open", "clone", "clone3", "open_by_handle_at"}
    assert not forbidden & set(names)


# --- what runs -----------------------------------------------------------------------------

def status_of(text):
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_shell_under_hardened(runtime, profile):
    script = """cat /proc/self/status; echo hello >/tmp/file && cat /tmp/file | tr a-z A-Z
        for f in /file /etc/passwd; do (echo >$f) 2>/dev/null && echo written; done
        sleep 0.1 & wait; mount -t tmpfs x /tmp 2>&1; unshare -U true 2>&1; id -u"""
    result = runtime.run_bundle(profile("hardened", "/bin/sh", "-c", script))
    status = status_of(result.stdout)
    assert {status[f"Cap{s}"] for s in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"], status["Seccomp_filters"]) == ("1", "2", "1")
    assert status["Uid"].split() == ["1000"] * 4
    assert "HELLO\n" in result.stdout and "written" not in result.stdout
    assert result.stdout.count("peration not permitted") == 2 or "denied" in result.stdout
    assert result.stdout.endswith("\n1000\n")


def test_ids_of_hardened(runtime, profile):
    box = runtime.container(profile("hardened", "/bin/sleep", "1000"))
    box.create()
    box.start()
    assert (os.stat(f"/proc/{box.pid}").st_uid, os.stat(f"/proc/{box.pid}").st_gid) == (101000, 101000)
    maps = pathlib.Path(f"/proc/{box.pid}/uid_map").read_text().split()
    assert maps == ["0", "100000", "65536"]


@pytest.fixture(scope="session")
def python_files(session_path):
    """What the host's Python needs to run, as a tree that a bundle can mount."""
    python = pathlib.Path("/usr/bin/python3").resolve()
    version = subprocess.check_output(
        [python, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True).strip()
    library = pathlib.Path(f"/usr/lib/python{version}")
    if not library.is_dir():
        pytest.skip(f"no {library}")
    tree = session_path("python")
    modules = list((library / "lib-dynload").glob("*.so"))
    linked = subprocess.run(["ldd", python, *modules], capture_output=True, text=True).stdout
    found = {pathlib.Path(path) for path in re.findall(r"(/\S+)(?= \()", linked)}
    # glibc loads it when a thread ends early, as Python's daemon threads may at its end.
    found |= {path.with_name("libgcc_s.so.1") for path in found if path.name == "libc.so.6"}
    for path in {python, *found}:
        copy = tree / path.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    skipped = shutil.ignore_patterns("__pycache__", "test", "idlelib", "tkinter", "lib2to3",
                                     "config-*", "ensurepip", "dist-packages", "site-packages")
    shutil.copytree(library, tree / library.relative_to("/"), ignore=skipped, symlinks=True,
                    ignore_dangling_symlinks=True)
    return tree, f"/usr/bin/{python.name}"


@pytest.fixture
def with_python(profile, python_files):
    tree, python = python_files

    def make(name, script):
        b = profile(name, python, "-IB", "-c", script)
        shutil.rmtree(b.rootfs / "usr")
        shutil.copytree(tree, b.rootfs, dirs_exist_ok=True, symlinks=True, copy_function=os.link)
        return b

    return make


PYTHON = """
import asyncio, concurrent.futures, ctypes, hashlib, json, multiprocessing, os, sqlite3, ssl
import subprocess, tempfile, threading, time

def square(n):
    return n * n

with tempfile.NamedTemporaryFile() as file:
    db = sqlite3.connect(file.name + ".db")
    db.execute("create table t (n)")
    db.executemany("insert into t values (?)", [(n,) for n in range(100)])
    total = db.execute("select sum(n) from t").fetchone()[0]
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    threads = list(pool.map(square, range(4)))
with multiprocessing.get_context("fork").Pool(2) as pool:
    processes = pool.map(square, range(4))
    pool.close()
    pool.join()
said = subprocess.run(["/bin/sh", "-c", "echo said"], capture_output=True, text=True).stdout
asyncio.run(asyncio.sleep(0.01))
try:
    os.unshare(0x10000000) if hasattr(os, "unshare") else ctypes.CDLL(None, use_errno=True)
    refused = ctypes.CDLL(None, use_errno=True).unshare(0x10000000)
except OSError:
    refused = -1
print(json.dumps([total, threads, processes, said, refused, hashlib.sha256(b"").hexdigest()[:8],
                  len(os.urandom(8)), time.time() > 0]))
"""


@pytest.mark.parametrize("name", ["default", "hardened", "ci"])
def test_python(runtime, with_python, name):
    result = runtime.run_bundle(with_python(name, PYTHON).env(TMPDIR="/dev/shm"))
    assert result.json() == [4950, [0, 1, 4, 9], [0, 1, 4, 9], "said\n", -1, "e3b0c442", 8, True]


SERVER = """
import functools, http.server, os, threading, urllib.request

os.chdir("/tmp")
open("index.html", "w").write("served")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), http.server.SimpleHTTPRequestHandler)
server.daemon_threads = False
thread = threading.Thread(target=server.serve_forever, daemon=True)
thread.start()
for n in range(20):
    with urllib.request.urlopen("http://127.0.0.1:8080/index.html") as page:
        assert page.status == 200
        text = page.read().decode()
server.shutdown()
server.server_close()
thread.join()
print(text)
"""


@pytest.mark.parametrize("name", ["hardened", "ci"])
def test_web_server(runtime, with_python, name):
    result = runtime.run_bundle(with_python(name, SERVER))
    assert result.stdout == "served\n"


def test_module_as_web_server(runtime, with_python):
    """As people start it: another process of the container asks."""
    b = with_python("hardened", "")
    b.process["args"][1:] = ["-m", "http.server", "--bind", "127.0.0.1", "--directory", "/etc", "8000"]
    box = runtime.container(b)
    box.create()
    box.start()
    ask = "until wget -qO- http://127.0.0.1:8000/passwd 2>/dev/null; do sleep 0.1; done"
    assert runtime.run("exec", box.id, "/bin/sh", "-c", ask).stdout.startswith("root:x:0:0:")


def test_ci_is_alone_and_the_same(runtime, profile):
    script = "ip -o link; ip -o addr show lo; env | sort; cat /proc/net/dev | wc -l; hostname"
    first, second = (runtime.run_bundle(profile("ci", "/bin/sh", "-c", script)).stdout
                     for _ in range(2))
    assert first == second and "127.0.0.1/8" in first and "eth0" not in first
    assert "TZ=UTC\n" in first and first.endswith("\nci\n")


CALLS = """
import ctypes, errno, json, sys
libc = ctypes.CDLL(None, use_errno=True)
found = {}
for name, number in json.loads(sys.argv[1]).items():
    ctypes.set_errno(0)
    libc.syscall(number, -1, -1, -1, -1, -1, -1)
    found[name] = errno.errorcode.get(ctypes.get_errno(), "")
print(json.dumps(found))
"""


def test_calls_that_are_refused(runtime, with_python):
    """By number, so that nothing of libc is in between (x86-64)."""
    if os.uname().machine != "x86_64":
        pytest.skip("numbers of x86-64")
    numbers = {"unshare": 272, "mount": 165, "bpf": 321, "keyctl": 250, "io_uring_setup": 425,
               "userfaultfd": 323, "perf_event_open": 298, "init_module": 175, "reboot": 169,
               "setns": 308, "open_by_handle_at": 304, "ptrace": 101, "clone3": 435, "next": 900}
    b = with_python("hardened", CALLS)
    b.process["args"].append(json.dumps(numbers))
    found = runtime.run_bundle(b).json()
    assert found.pop("clone3") == found.pop("next") == "ENOSYS"
    assert set(found.values()) == {"EPERM"}
