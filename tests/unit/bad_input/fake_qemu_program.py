# SPDX-License-Identifier: GPL-2.0-only
"""A program that passes for QEMU 11 in a whole run: its version, what it offers, a guest that plays ``script``.

``script`` is a file beside it with the words of tests/unit/guest/fake_qemu.py.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLAYER = Path("{player}")


def say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


def answer() -> None:
    """QMP on standard input and output: a machine without any CXL device."""
    say({"QMP": {"version": {"qemu": {"major": 11, "minor": 1, "micro": 3}, "package": ""}}})
    for line in sys.stdin:
        command = json.loads(line)
        unknown = command["execute"].startswith("device-")
        reply: dict[str, object] = {"error": {"class": "DeviceNotFound"}} if unknown else {"return": []}
        say(reply | {"id": command.get("id")})


def main(words: list[str]) -> None:
    if "--version" in words:
        sys.stdout.write("QEMU emulator version 11.1.3 (a stand-in)\n")
    elif "stdio" in words:
        answer()
    else:
        description = importlib.util.spec_from_file_location("player", PLAYER)
        assert description is not None and description.loader is not None
        player = importlib.util.module_from_spec(description)
        description.loader.exec_module(player)
        found = dict(re.findall(r"id=(\w+),fd=(\d+)", " ".join(words)))
        player.Fake(int(found["console"]), int(found["qmp"])).play((HERE / "script").read_text())


if __name__ == "__main__":
    main(sys.argv[1:])
