# SPDX-License-Identifier: GPL-2.0-only
"""A stand-in for QEMU: speaks enough QMP, writes a script's lines to the console, ends as told. Run as a program.

Arguments: console fd, QMP fd, script. The script has words separated by ``;``: ``say TEXT``, ``raw HEX``, ``sleep S``,
``exit N``, ``die`` (SIGKILL to itself), ``shutdown REASON`` (the event), ``hangup`` (the monitor), ``wait`` (until
``quit``), ``nogreeting``, ``stubborn`` (ignores quit and SIGTERM), ``port N``, ``gate FILE`` (until it is gone).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any


class Fake:
    def __init__(self, console: int, qmp: int) -> None:
        self.console = socket.socket(fileno=console)
        self.qmp = socket.socket(fileno=qmp)
        self.port = 1
        self.stubborn = False
        self.negotiated = threading.Event()

    def send(self, value: object) -> None:
        self.qmp.sendall(json.dumps(value).encode() + b"\r\n")

    def serve(self) -> None:
        version = {"qemu": {"major": 11, "minor": 1, "micro": 3}, "package": ""}
        self.send({"QMP": {"version": version, "capabilities": ["oob"]}})
        for message in self.messages():
            command = message["execute"]
            answer: object = {}
            if command == "human-monitor-command":
                answer = f"Hub -1 (net0):\r\n  TCP[HOST_FORWARD]  14  127.0.0.1 {self.port}  10.0.2.15 22  0 0\r\n"
            if command == "nonsense":
                error = {"class": "CommandNotFound", "desc": "The command nonsense has not been found"}
                self.send({"error": error, "id": message["id"]})
                continue
            if command == "silence":
                continue
            with contextlib.suppress(OSError):
                self.send({"return": answer, **({"id": message["id"]} if "id" in message else {})})
            if command == "qmp_capabilities":
                self.negotiated.set()
            if command == "quit" and not self.stubborn:
                os._exit(0)

    def messages(self) -> Iterator[dict[str, Any]]:
        """Requests as they come; the client sends no newline after one."""
        waiting = ""
        while chunk := self.qmp.recv(4096):
            waiting = (waiting + chunk.decode()).lstrip()
            while waiting:
                try:
                    message, end = json.JSONDecoder().raw_decode(waiting)
                except ValueError:
                    break
                waiting = waiting[end:].lstrip()
                yield message

    def play(self, script: str) -> None:
        words = [word.strip().partition(" ") for word in script.split(";")]
        self.stubborn = any(word == "stubborn" for word, _, _ in words)
        if self.stubborn:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for word, _, rest in words:
            if word == "port":
                self.port = int(rest)
        if not any(word == "nogreeting" for word, _, _ in words):
            threading.Thread(target=self.serve, daemon=True).start()
        for word, _, rest in words:
            self.step(word, rest)

    def step(self, word: str, rest: str) -> None:
        if word == "say":
            self.console.sendall(rest.encode() + b"\r\n")
        elif word == "raw":
            self.console.sendall(bytes.fromhex(rest))
        elif word == "sleep":
            time.sleep(float(rest))
        elif word == "gate":
            while os.path.exists(rest):  # noqa: PTH110
                time.sleep(0.02)
        elif word == "exit":
            os._exit(int(rest))
        elif word == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif word == "shutdown":
            self.negotiated.wait(10)
            stamp = {"seconds": 1, "microseconds": 0}
            self.send({"event": "SHUTDOWN", "data": {"guest": True, "reason": rest}, "timestamp": stamp})
        elif word == "hangup":
            with contextlib.suppress(OSError):
                self.qmp.shutdown(socket.SHUT_RDWR)
        elif word == "wait":
            signal.pause()
            while self.stubborn:
                signal.pause()


if __name__ == "__main__":
    fake = Fake(int(sys.argv[1]), int(sys.argv[2]))
    fake.play(sys.argv[3])
