# SPDX-License-Identifier: MIT
"""A client of Kubernetes' Container Runtime Interface (runtime.v1), with as much of its messages
as the tests need. A message is a dict: {"metadata": {"name": "box"}, "annotations": {...}}."""

import base64
import json
import os
import socket
import struct
import urllib.parse

import grpc

from harness.runtime import SCALE

# {message: {field: (number, kind)}}. Kinds: int, str, bytes, the name of a message, a list of one
# kind for what is repeated, dict for map<string, string>.
MESSAGES = {
    "Int64Value": {"value": (1, int)},
    "NamespaceOption": {"network": (1, int), "pid": (2, int), "ipc": (3, int), "target_id": (4, str)},
    "SecurityProfile": {"profile_type": (1, int), "localhost_ref": (2, str)},
    "Resources": {"cpu_period": (1, int), "cpu_quota": (2, int), "cpu_shares": (3, int),
                  "memory_limit_in_bytes": (4, int), "oom_score_adj": (5, int),
                  "cpuset_cpus": (6, str), "unified": (9, dict)},
    "SandboxSecurity": {"namespace_options": (1, "NamespaceOption"), "privileged": (6, int)},
    "SandboxLinux": {"cgroup_parent": (1, str), "security_context": (2, "SandboxSecurity"),
                     "sysctls": (3, dict)},
    "SandboxMetadata": {"name": (1, str), "uid": (2, str), "namespace": (3, str), "attempt": (4, int)},
    "SandboxConfig": {"metadata": (1, "SandboxMetadata"), "hostname": (2, str),
                      "log_directory": (3, str), "labels": (6, dict), "annotations": (7, dict),
                      "linux": (8, "SandboxLinux")},
    "Capability": {"add_capabilities": (1, [str]), "drop_capabilities": (2, [str])},
    "Security": {"capabilities": (1, "Capability"), "privileged": (2, int),
                 "namespace_options": (3, "NamespaceOption"), "run_as_user": (5, "Int64Value"),
                 "readonly_rootfs": (7, int), "supplemental_groups": (8, [int]),
                 "no_new_privs": (11, int), "run_as_group": (12, "Int64Value"),
                 "masked_paths": (13, [str]), "readonly_paths": (14, [str]),
                 "seccomp": (15, "SecurityProfile")},
    "Linux": {"resources": (1, "Resources"), "security_context": (2, "Security")},
    "Metadata": {"name": (1, str), "attempt": (2, int)},
    "Image": {"image": (1, str)},
    "KeyValue": {"key": (1, str), "value": (2, str)},
    "Mount": {"container_path": (1, str), "host_path": (2, str), "readonly": (3, int),
              "propagation": (5, int)},
    "Device": {"container_path": (1, str), "host_path": (2, str), "permissions": (3, str)},
    "Config": {"metadata": (1, "Metadata"), "image": (2, "Image"), "command": (3, [str]),
               "args": (4, [str]), "working_dir": (5, str), "envs": (6, ["KeyValue"]),
               "mounts": (7, ["Mount"]), "devices": (8, ["Device"]), "annotations": (10, dict),
               "log_path": (11, str), "stdin": (12, int), "tty": (14, int), "linux": (15, "Linux")},
    "Status": {"id": (1, str), "state": (3, int), "created_at": (4, int), "started_at": (5, int),
               "finished_at": (6, int), "exit_code": (7, int), "reason": (10, str),
               "message": (11, str)},
    "SandboxStatus": {"id": (1, str), "state": (3, int), "runtime_handler": (9, str)},
    "Usage": {"timestamp": (1, int), "value": (2, "Int64Value")},
    "Stats": {"cpu": (2, "Usage"), "memory": (3, "Usage")},
}
# {call: (request, answer)}
CALLS = {
    "Version": ({}, {"version": (1, str), "runtime_name": (2, str), "runtime_version": (3, str)}),
    "RunPodSandbox": ({"config": (1, "SandboxConfig"), "runtime_handler": (2, str)}, {"id": (1, str)}),
    "StopPodSandbox": ({"id": (1, str)}, {}),
    "RemovePodSandbox": ({"id": (1, str)}, {}),
    "PodSandboxStatus": ({"id": (1, str), "verbose": (2, int)},
                         {"status": (1, "SandboxStatus"), "info": (2, dict)}),
    "ListPodSandbox": ({}, {"items": (1, ["SandboxStatus"])}),
    "CreateContainer": ({"pod": (1, str), "config": (2, "Config"),
                         "sandbox_config": (3, "SandboxConfig")}, {"id": (1, str)}),
    "StartContainer": ({"id": (1, str)}, {}),
    "StopContainer": ({"id": (1, str), "timeout": (2, int)}, {}),
    "RemoveContainer": ({"id": (1, str)}, {}),
    "ContainerStatus": ({"id": (1, str), "verbose": (2, int)},
                        {"status": (1, "Status"), "info": (2, dict)}),
    "UpdateContainerResources": ({"id": (1, str), "linux": (2, "Resources")}, {}),
    "ExecSync": ({"id": (1, str), "cmd": (2, [str]), "timeout": (3, int)},
                 {"stdout": (1, bytes), "stderr": (2, bytes), "exit_code": (3, int)}),
    "Exec": ({"id": (1, str), "cmd": (2, [str]), "tty": (3, int), "stdin": (4, int),
              "stdout": (5, int), "stderr": (6, int)}, {"url": (1, str)}),
    "ContainerStats": ({"id": (1, str)}, {"stats": (1, "Stats")}),
}
ENTRY = {"key": (1, str), "value": (2, str)}  # of a map
VARINT, BYTES = 0, 2  # wire types


# --- protocol buffers -----------------------------------------------------------

def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def encode_field(number, kind, value):
    if isinstance(kind, list):
        return b"".join(encode_field(number, kind[0], each) for each in value)
    if kind is dict:
        return b"".join(encode_field(number, ENTRY, {"key": key, "value": each})
                        for key, each in value.items())
    if kind is int:
        return varint(number << 3 | VARINT) + varint(int(value))
    content = value.encode() if kind is str else value if kind is bytes else encode(kind, value)
    return varint(number << 3 | BYTES) + varint(len(content)) + content


def fields_of(message):
    return MESSAGES[message] if isinstance(message, str) else message


def encode(message, values):
    fields = fields_of(message)
    return b"".join(encode_field(*fields[name], value) for name, value in values.items())


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def records(data):
    """(number of the field, value)"""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == VARINT:
            value, at = read_varint(data, at)
        else:
            length, at = read_varint(data, at) if tag & 7 == BYTES else (8 if tag & 7 == 1 else 4, at)
            value, at = data[at:at + length], at + length
        yield tag >> 3, value


def decode_value(kind, value):
    if kind is int:
        return value - (1 << 64) if value >> 63 else value
    if kind is bytes:
        return value
    return value.decode("utf-8", "replace") if kind is str else decode(kind, value)


def decode(message, data):
    """What is absent has its default; unknown fields are dropped."""
    fields = fields_of(message)
    known = {number: (name, kind) for name, (number, kind) in fields.items()}
    found = {name: {int: 0, str: "", bytes: b""}.get(kind) if not isinstance(kind, list) else []
             for name, (_, kind) in fields.items() if kind is not dict}
    found |= {name: {} for name, (_, kind) in fields.items() if kind is dict}
    for number, value in records(data):
        name, kind = known.get(number, (None, None))
        if isinstance(kind, list):
            found[name].append(decode_value(kind[0], value))
        elif kind is dict:
            entry = decode(ENTRY, value)
            found[name][entry["key"]] = entry["value"]
        elif name:
            found[name] = decode_value(kind, value)
    return found


# --- the client -----------------------------------------------------------------

class Cri:
    """cri.ExecSync(id=..., cmd=[...]) returns the answer; a refusal is a grpc.RpcError."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(f"unix://{address}")

    def __getattr__(self, name):
        request, answer = CALLS[name]
        call = self.channel.unary_unary(
            f"/runtime.v1.RuntimeService/{name}",
            request_serializer=lambda values: encode(request, values),
            response_deserializer=lambda data: decode(answer, data))
        return lambda **values: call(values, timeout=120 * SCALE)

    def ready(self):
        try:
            return self.Version()
        except grpc.RpcError:
            return None

    def close(self):
        self.channel.close()


class Stream:
    """What Exec gives the address of, over a WebSocket: channels for streams, a byte in front of
    each message says which."""

    STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
    BINARY, CLOSE = 2, 8  # kinds of frames

    def __init__(self, url):
        where = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((where.hostname, where.port), timeout=60 * SCALE)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\n"
                             f"Upgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                             f"Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n").encode())
        self.file = self.socket.makefile("rb")
        assert b" 101 " in self.file.readline()
        while self.file.readline() not in (b"\r\n", b""):
            pass
        self.seen = {}

    def send(self, channel, data):
        content = bytes([channel]) + data
        mask = b"\0\0\0\0"
        self.socket.sendall(bytes([0x80 | self.BINARY, 0x80 | len(content)]) + mask + content)

    def receive(self):
        """The next frame, None at the end."""
        head = self.file.read(2)
        if len(head) < 2 or head[0] & 15 == self.CLOSE:
            return None
        length = head[1] & 127
        if length > 125:
            length, = struct.unpack("!H" if length == 126 else "!Q",
                                    self.file.read(2 if length == 126 else 8))
        content = self.file.read(length)
        if content:
            self.seen[content[0]] = self.seen.get(content[0], b"") + content[1:]
        return content

    def expect(self, channel, text):
        while text not in self.seen.get(channel, b""):
            assert self.receive() is not None, self.seen
        return self

    def status(self):
        """Read to the end; the exit status."""
        while self.receive() is not None:
            pass
        result = json.loads(self.seen[self.ERROR])
        if result["status"] == "Success":
            return 0
        return int(next(cause["message"] for cause in result["details"]["causes"]
                        if cause["reason"] == "ExitCode"))

    def close(self):
        self.file.close()
        self.socket.close()
