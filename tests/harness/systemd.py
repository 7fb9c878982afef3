# SPDX-License-Identifier: MIT
"""A systemd that is none: it listens where systemd does, and answers calls from a table."""

import contextlib
import os
import socket
import struct
import threading

RETURN, ERROR, SIGNAL = 2, 3, 4
MEMBER, ERROR_NAME, REPLY_SERIAL, SIGNATURE = 3, 4, 5, 8


def aligned(data, size):
    return data + bytes(-len(data) % size)


def text(value):
    return struct.pack("<I", len(value)) + value.encode() + b"\0"


def signature(value):
    return bytes([len(value)]) + value.encode() + b"\0"


def texts(*values):
    body = b""
    for value in values:
        body = aligned(body, 4) + text(value)
    return body


def message(kind, serial, types="", body=b"", **fields):
    """A message as bytes; reply: a serial; error, member: names."""
    rows = b""
    for code, type, value in ((REPLY_SERIAL, "u", struct.pack("<I", fields.get("reply", 0))),
                              (ERROR_NAME, "s", text(fields.get("error", ""))),
                              (MEMBER, "s", text(fields.get("member", ""))),
                              (SIGNATURE, "g", signature(types))):
        if type != "g" or types:
            rows = aligned(rows, 8) + bytes([code]) + signature(type)
            rows = (rows if type == "g" else aligned(rows, 4)) + value
    head = struct.pack("<4BIII", ord("l"), kind, 0, 1, len(body), serial, len(rows))
    return aligned(head + rows, 8) + body


class Systemd:
    """units: {name: Description}. calls: (method, its first string) of what was called; those
    that are deaf get no answer, and those that are cut lose the connection."""

    def __init__(self, path, units, deaf=(), cut=()):
        self.units, self.deaf, self.cut, self.calls = units, deaf, cut, []
        self.server = socket.socket(socket.AF_UNIX)
        os.makedirs(os.path.dirname(path))
        self.server.bind(path)
        self.server.listen()
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.server.accept()
                with client, contextlib.suppress(ConnectionError):
                    self.converse(client)

    def converse(self, client):
        stream = client.makefile("rb")
        while stream.readline() != b"BEGIN\r\n":
            pass
        client.sendall(b"DATA\r\nOK 0123456789abcdef\r\n")
        while head := stream.read(16):
            body, serial, rows = struct.unpack("<4xIII", head)
            rows = stream.read(-(-rows // 8) * 8)
            body = stream.read(body)
            member = next(m for m in (*ANSWERS, "StartTransientUnit", "KillUnit",
                                      "ResetFailedUnit") if text(m) in rows)
            first = body[4:4 + struct.unpack("<I", body[:4])[0]].decode()
            path = next((u for u in self.units if unit_path(u).encode() in rows), None)
            self.calls.append((member, path or first))
            if member in self.cut:
                return
            if member not in self.deaf:
                client.sendall(self.answer(member, path or first, serial))

    def answer(self, member, unit, serial):
        if unit not in self.units:
            return message(ERROR, 1, "s", text("it is not loaded"), reply=serial,
                           error="org.freedesktop.systemd1.NoSuchUnit")
        if member not in ANSWERS:
            return message(RETURN, 1, reply=serial)
        return ANSWERS[member](self, unit, serial)

    def get_unit(self, unit, serial):
        return message(RETURN, 1, "o", text(unit_path(unit)), reply=serial)

    def get(self, unit, serial):
        body = aligned(signature("s"), 4) + text(self.units[unit])
        return message(RETURN, 1, "v", body, reply=serial)

    def stop(self, unit, serial):
        job = "/org/freedesktop/systemd1/job/7"
        return message(RETURN, 1, "o", text(job), reply=serial) + message(
            SIGNAL, 2, "uoss", struct.pack("<I", 7) + texts(job, unit, "done"),
            member="JobRemoved")

    def stopped(self):
        """The units that were stopped or killed."""
        return {unit for member, unit in self.calls if member in ("StopUnit", "KillUnit")}

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.server.close()


ANSWERS = {"GetUnit": Systemd.get_unit, "Get": Systemd.get, "StopUnit": Systemd.stop}


def unit_path(unit):
    return "/org/freedesktop/systemd1/unit/" + "".join(
        c if c.isalnum() else f"_{ord(c):02x}" for c in unit)
