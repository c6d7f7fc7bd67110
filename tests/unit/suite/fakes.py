# SPDX-License-Identifier: GPL-2.0-only
"""Guests that are none: one that follows a script, and one that runs the real programs on this machine."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import process
from harness.errors import DeadlineExceeded, GuestError, GuestSilent
from harness.suite import catalogue
from harness.suite.attempt import _PID_FILE
from harness.suite.catalogue import GUEST_FOLDER, Program
from harness.values import CaseResult


@dataclass(frozen=True)
class FakeLine:
    text: str


@dataclass
class FakeConsole:
    closed: bool = False
    lines: list[str] = field(default_factory=list)
    listeners: list[Callable[[Any], None]] = field(default_factory=list)

    def mark(self) -> int:
        return len(self.lines)

    def subscribe(self, listener: Callable[[Any], None], *, since: int | None = None) -> Callable[[], None]:
        for text in self.lines[since:] if since is not None else []:
            listener(FakeLine(text))
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def say(self, text: str) -> None:
        self.lines.append(text)
        for listener in list(self.listeners):
            listener(FakeLine(text))


@dataclass
class FakeResult:
    exit_status: int | None
    stderr: str = ""
    timed_out: bool = False


@dataclass(frozen=True)
class Say:
    """A line on standard output."""

    text: str


@dataclass(frozen=True)
class Log:
    """A line on the console."""

    text: str


@dataclass(frozen=True)
class Exit:
    status: int
    stderr: str = ""


@dataclass(frozen=True)
class Hang:
    """Nothing more until somebody kills it."""


@dataclass(frozen=True)
class Vanish:
    """The guest is gone."""


@dataclass(frozen=True)
class CutOff:
    """The way to the guest is gone; the guest is not."""


@dataclass(frozen=True)
class Pause:
    """Nothing for some seconds."""

    seconds: float


@dataclass(frozen=True)
class Silent:
    """The guest does not take the command."""


Step = Say | Log | Exit | Hang | Vanish | CutOff | Silent | Pause


class ScriptedMachine:
    """Plays one script a program that is run; remembers the commands."""

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self.console = FakeConsole()
        self.alive = True
        self.speed_factor = 1.0
        self.commands: list[str] = []
        self.kills: list[str] = []
        self._scripts = list(scripts)
        self._killed = threading.Event()

    def run(
        self,
        command: str,
        *,
        deadline: float,
        on_line: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> FakeResult:
        if "kill -" in command:
            self.kills.append(command)
            self._killed.set()
            return FakeResult(0)
        self.commands.append(command)
        for step in self._scripts.pop(0):
            match step:
                case Say(text=text):
                    assert on_line is not None
                    on_line(text)
                case Log(text=text):
                    self.console.say(text)
                case Exit(status=status, stderr=stderr):
                    return FakeResult(status, stderr)
                case Hang():
                    self._killed.wait(deadline)
                    return FakeResult(143)
                case Vanish():
                    self.alive = False
                    self.console.closed = True
                    raise GuestError("the guest is gone: no exit status came")
                case CutOff():
                    raise GuestError("the SSH connection to the guest is gone: no exit status came")
                case Silent():
                    raise GuestSilent("the guest did not start a command within 20 s")
                case Pause(seconds=seconds):
                    time.sleep(seconds)
        raise AssertionError("a script ends with Exit, Hang or Vanish")


class LocalMachine:
    """Runs programs on this machine; their marks in the kernel log become its console."""

    def __init__(self, folder: Path, scratch: Path, *, shell: str = "sh") -> None:
        self.console = FakeConsole()
        self.alive = True
        self.speed_factor = 1.0
        self._folder = folder
        self._scratch = scratch
        self._shell = shell
        scratch.mkdir(exist_ok=True)

    def run(
        self,
        command: str,
        *,
        deadline: float,
        on_line: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> FakeResult:
        command = command.replace(GUEST_FOLDER, str(self._folder)).replace(_PID_FILE, str(self._scratch / "pid"))
        log = self._scratch / f"kmsg.{uuid.uuid4().hex}"
        log.touch()
        with self._following(log):
            try:
                done = process.run(
                    [self._shell, "-c", command],
                    deadline=deadline,
                    check=False,
                    on_line=on_line,
                    env={
                        **(env or {}),
                        "KTAP_KMSG": str(log),
                        "KTAP_TAINTED": "/nonexistent",
                        "TMPDIR": str(self._scratch),
                    },
                )
            except DeadlineExceeded:
                return FakeResult(None, timed_out=True)
        status = done.returncode if done.returncode >= 0 else 128 - done.returncode
        return FakeResult(status, done.error_text)

    @contextlib.contextmanager
    def _following(self, log: Path) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._follow, args=(log, over))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _follow(self, log: Path, over: threading.Event) -> None:
        """Writes of an appending shell: each line that appears is one of the console's."""
        seen = 0
        while True:
            last = over.is_set()
            data = log.read_bytes()
            for line in data[seen:].decode().splitlines():
                self.console.say(f"[{time.monotonic():12.6f}] {line.removeprefix('<3>')}")
            seen = len(data)
            if last:
                return
            time.sleep(0.005)


def program(*cases: str, name: str = "test_x", timeout: float = 30.0, case_timeout: float | None = None) -> Program:
    return Program(
        suite="demo",
        name=name,
        path=Path(f"demo/{name}.sh"),
        cases=cases,
        options={},
        timeout=timeout,
        case_timeout=case_timeout,
    )


def guest_tests(root: Path) -> Path:
    """A folder of guest tests that has the project's library."""
    folder = root / "guest"
    folder.mkdir()
    (folder / "lib").symlink_to(Path(__file__).parents[2] / "guest" / "lib")
    return folder


def write_program(folder: Path, text: str, *, suite: str = "demo", name: str = "test_x.sh") -> Program:
    home = folder / suite
    home.mkdir(exist_ok=True)
    (home / name).write_text(text)
    return catalogue.program(home / name)


SHELL_HEADER = '#!/bin/sh\n. "${0%/*}/../lib/ktap.sh"\nstate() { cat "$KTAP_TMP/left" 2>/dev/null; }\n'


def shell_program(folder: Path, body: str, *, name: str = "test_x.sh") -> Program:
    return write_program(folder, f'{SHELL_HEADER}{body}\nktap_main "$@"\n', name=name)


def verdicts(results: Sequence[CaseResult]) -> dict[str, str]:
    return {result.case: result.verdict.value for result in results}
