# SPDX-License-Identifier: GPL-2.0-only
"""The sampler with the real program, on this machine: what it writes is what the site reads."""

from __future__ import annotations

import os
import re
import select
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import process
from harness.errors import GuestError
from harness.guest import sampler
from harness.guest.sampler import Sampler
from harness.site import memory

PROGRAM = Path(__file__).parents[2] / "guest" / "helpers" / "sample.c"


class LocalTalk:
    """A command of this machine."""

    def __init__(self, command: str) -> None:
        self.child = subprocess.Popen(["sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.rest = b""

    def hear(self, *, until: str, deadline: float) -> list[str]:
        assert self.child.stdout is not None
        while b"\n\n" not in self.rest:
            if self.child.stdout.closed or not select.select([self.child.stdout], [], [], 0.2)[0]:
                raise TimeoutError
            more = os.read(self.child.stdout.fileno(), 1 << 16)
            if not more:
                raise GuestError("the command ended")
            self.rest += more
        part, _, self.rest = self.rest.partition(b"\n\n")
        return part.decode("utf-8", "replace").split("\n")

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        if self.child.stdout is not None:
            self.child.stdout.close()


class Local:
    def __init__(self) -> None:
        self.talks: list[LocalTalk] = []

    def converse(self, command: str) -> LocalTalk:
        self.talks.append(LocalTalk(command))
        return self.talks[-1]


def wait_for(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def sampled(folder: Path, *, milliseconds: int = 20) -> Sampler:
    guest: Any = Local()
    return Sampler(guest, folder, milliseconds=milliseconds)


def test_samples_until_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process.run(["cc", "-O1", "-std=gnu11", "-o", tmp_path / "sample", PROGRAM], deadline=60)
    monkeypatch.setattr(sampler, "_PROGRAM", str(tmp_path / "sample"))
    running = sampled(tmp_path)
    file = tmp_path / sampler.FILE
    assert sampler.FILE == memory.FILE
    wait_for(lambda: file.exists() and len(file.read_text().splitlines()) > 4)
    running.close()
    running.close()
    found = memory.read(file)
    assert found is not None and len(found.columns["seconds"]) > 3
    assert all(free > 0 for free in found.columns["node0"])
    assert re.fullmatch(r"seconds\tnode0.*", file.read_text().splitlines()[0])
    size = file.stat().st_size
    time.sleep(0.1)
    assert file.stat().st_size == size


def test_a_guest_may_say_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "seconds\tnode0\n\x1b[31m1.000\t2\n<b>\n1.000\t7\n2.000\tx\n3.000\t8\n\n"
    script = tmp_path / "sample"
    script.write_text(f"#!/bin/sh\nprintf %s {shlex.quote(text)}\nprintf '\\377\\n\\n'\n")
    script.chmod(0o755)
    monkeypatch.setattr(sampler, "_PROGRAM", str(script))
    running = sampled(tmp_path)
    wait_for(lambda: not running._thread.is_alive())
    running.close()
    assert (tmp_path / sampler.FILE).read_text() == "seconds\tnode0\n1.000\t7\n3.000\t8\n"


def test_without_the_program_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "_PROGRAM", "/nowhere/sample 2>/dev/null")
    running = sampled(tmp_path)
    wait_for(lambda: not running._thread.is_alive())
    running.close()
    assert (tmp_path / sampler.FILE).read_text() == ""
    assert memory.read(tmp_path / sampler.FILE) is None
