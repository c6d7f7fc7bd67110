# SPDX-License-Identifier: GPL-2.0-only
"""The console: every byte in order, waits that end, and nothing that a hostile guest writes gets through."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.errors import EnvironmentFailure
from harness.guest.console import Console, ConsoleLine, Outcome, cleaned

READY = re.compile(r"ready\b")
PANIC = re.compile(r"Kernel panic")


class Wire:
    """A console and the guest's end of its line."""

    def __init__(self, folder: Path, **limits: int) -> None:
        ours, self.guest = socket.socketpair()
        self.console = Console(ours, log=folder / "console.log", raw=folder / "console.raw", **limits)

    def say(self, data: bytes) -> None:
        self.guest.sendall(data)

    def settle(self, size: int) -> None:
        """Wait until so many bytes have been read."""
        until = time.monotonic() + 10
        while self.console.received < size and time.monotonic() < until:
            time.sleep(0.005)

    def end(self) -> None:
        self.guest.close()
        self.console.close()


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Callable[..., Wire]]:
    wires: list[Wire] = []

    def make(**limits: int) -> Wire:
        wires.append(Wire(tmp_path, **limits))
        return wires[-1]

    yield make
    for one in wires:
        one.end()


def test_lines_come_in_order_with_times_and_numbers(wire: Callable[..., Wire], tmp_path: Path) -> None:
    line = wire()
    before = time.time()
    line.say(b"[    0.000000] Linux version\r\nse")
    line.say(b"cond\r\n\r\nno end")
    line.end()
    lines = line.console.lines()
    assert [one.text for one in lines] == ["[    0.000000] Linux version", "second", "", "no end"]
    assert [one.number for one in lines] == [0, 1, 2, 3]
    assert all(before <= one.wall <= time.time() for one in lines)
    log = (tmp_path / "console.log").read_text().splitlines()
    assert len(log) == 4
    assert re.fullmatch(r"\[\d\d:\d\d:\d\d\.\d{3} +\d+\.\d{3}\] \[    0\.000000\] Linux version", log[0])
    assert (tmp_path / "console.raw").read_bytes() == b"[    0.000000] Linux version\r\nsecond\r\n\r\nno end"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[31mred\x1b[0m and \x1b]0;title\x07plain\r", "red and plain"),
        (b"\x1b]52;c;cm0gLXJm\x1b\\clipboard", "clipboard"),
        (b"bell\x07 back\x08 nul\x00 \x9b31mC1", "bell back nul \ufffd31mC1"),
        (b"tab\tstop", "tab        stop"),
        (b"\xff\xfe not UTF-8", "\ufffd\ufffd not UTF-8"),
        ("right to left \u202egnp.exe".encode(), "right to left gnp.exe"),
        (b"\x1bc\x1b(0reset", "reset"),
        (b"unfinished \x1b[", "unfinished"),
    ],
)
def test_what_a_terminal_would_act_on_is_taken_out(raw: bytes, shown: str) -> None:
    assert cleaned(raw) == shown


def test_a_wait_ends_with_the_line_that_decides(wire: Callable[..., Wire]) -> None:
    line = wire()
    line.say(b"booting\nharness-init: ready\n")
    seen = line.console.wait_for((READY,), (PANIC,), deadline=10)
    assert seen.outcome is Outcome.SUCCESS and seen.line is not None and seen.line.number == 1


def test_failure_before_success_is_failure(wire: Callable[..., Wire]) -> None:
    line = wire()
    line.say(b"Kernel panic - not syncing\nharness-init: ready\n")
    assert line.console.wait_for((READY,), (PANIC,), deadline=10).outcome is Outcome.FAILURE


def test_an_unfinished_line_counts_too(wire: Callable[..., Wire]) -> None:
    line = wire()
    line.say(b"guest is ready # ")
    assert line.console.wait_for((READY,), deadline=10).outcome is Outcome.SUCCESS


def test_the_past_before_a_mark_does_not_count(wire: Callable[..., Wire]) -> None:
    line = wire()
    line.say(b"ready\n")
    line.settle(6)
    mark = line.console.mark()
    assert mark == 1
    assert line.console.wait_for((READY,), deadline=0.1, since=mark).outcome is Outcome.DEADLINE
    line.say(b"ready again\n")
    assert line.console.wait_for((READY,), deadline=10, since=mark).outcome is Outcome.SUCCESS
    assert [one.text for one in line.console.lines(since=mark)] == ["ready again"]


def test_the_end_of_qemu_ends_a_wait_at_once(wire: Callable[..., Wire]) -> None:
    line = wire()
    line.say(b"something\n")
    line.guest.close()
    began = time.monotonic()
    assert line.console.wait_for((READY,), deadline=60).outcome is Outcome.CLOSED
    assert time.monotonic() - began < 5


def test_silence_is_told_from_a_hang(wire: Callable[..., Wire]) -> None:
    line = wire()
    assert line.console.wait_for((READY,), deadline=60, silence=0.1).outcome is Outcome.SILENT
    line.say(b"x\n")
    assert line.console.wait_for((READY,), deadline=0.3, silence=0.1).outcome is Outcome.DEADLINE


def test_listeners_get_lines_from_a_mark_on(wire: Callable[..., Wire]) -> None:
    line = wire()
    line.say(b"one\ntwo\n")
    line.settle(8)
    heard: list[ConsoleLine] = []
    end = line.console.subscribe(heard.append, since=1)
    line.say(b"three\n")
    line.settle(14)
    end()
    line.say(b"four\n")
    line.settle(19)
    assert [one.text for one in heard] == ["two", "three"]


def test_a_listener_that_fails_does_not_end_the_reading(wire: Callable[..., Wire]) -> None:
    line = wire()

    def fail(_: ConsoleLine) -> None:
        raise ValueError("a mistake")

    line.console.subscribe(fail)
    line.say(b"one\nready\n")
    assert line.console.wait_for((READY,), deadline=10).outcome is Outcome.SUCCESS


def test_a_flood_is_read_to_its_end_and_kept_within_limits(wire: Callable[..., Wire], tmp_path: Path) -> None:
    line = wire(limit=100_000, kept=50_000)
    for number in range(300):
        line.say(f"{number:06d} {'x' * 1000}\n".encode())
    line.say(b"harness-init: ready\n")
    assert line.console.wait_for((READY,), deadline=20).outcome is Outcome.SUCCESS
    line.end()
    assert (tmp_path / "console.raw").stat().st_size == 100_000
    log = (tmp_path / "console.log").read_text()
    assert len(log) < 110_000
    assert log.splitlines()[-1] == "[the console's log ends here: it is longer than 100000 bytes]"
    assert sum(len(one.text) for one in line.console.lines()) <= 50_000


def test_a_line_without_end_is_cut(wire: Callable[..., Wire]) -> None:
    line = wire()
    line.say(b"y" * 200_000 + b"\nready\n")
    assert line.console.wait_for((READY,), deadline=20).outcome is Outcome.SUCCESS
    texts = [one.text for one in line.console.lines()]
    assert max(map(len, texts)) <= 8192
    assert sum(map(len, texts)) == 200_005


def test_typing_reaches_the_guest_and_gives_up_on_one_that_does_not_read(wire: Callable[..., Wire]) -> None:
    line = wire()
    assert line.console.send(b"echo t > /proc/sysrq-trigger\n")
    assert line.guest.recv(100) == b"echo t > /proc/sysrq-trigger\n"
    assert not line.console.send(b"z" * 10_000_000, deadline=0.2)


def test_typing_to_a_guest_that_is_gone(wire: Callable[..., Wire]) -> None:
    line = wire()
    line.guest.close()
    line.console.wait_for((READY,), deadline=10)
    assert not line.console.send(b"hello\n")


def test_a_log_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(EnvironmentFailure, match="console's log"):
        Console(ours, log=tmp_path / "missing" / "console.log", raw=tmp_path / "console.raw")


def test_a_full_disk_costs_the_log_and_not_the_guest(wire: Callable[..., Wire], tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    console = Console(ours, log=Path("/dev/full"), raw=Path("/dev/full"))
    theirs.sendall(b"one\nready\n")
    assert console.wait_for((READY,), deadline=10).outcome is Outcome.SUCCESS
    theirs.close()
    console.close()


@pytest.mark.parametrize("before", [8100, 8150, 8160, 8170, 8191, 8192, 16300, 33000])
def test_a_kernel_message_behind_a_line_without_end_is_not_cut_in_two(wire: Callable[..., Wire], before: int) -> None:
    line = wire()
    message = b"[    5.000000] BUG: KASAN: slab-out-of-bounds in f+0x1/0x2"
    data = b"x" * before + message + b" and more" * 50 + b"\n"
    line.say(data)
    line.settle(len(data))
    line.end()
    texts = [one.text for one in line.console.lines()]
    assert sum(message.decode() in text for text in texts) == 1
    assert "".join(texts) == data.decode().rstrip("\n")
