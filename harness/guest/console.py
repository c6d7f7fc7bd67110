# SPDX-License-Identifier: GPL-2.0-only
"""The guest's serial console: every byte from the first, in two files and in memory, and a way to wait for a line.

One thread reads (pexpect), so that the guest never waits for us and the log never has a gap. ``console.raw`` has the
bytes as they came; ``console.log`` has lines with the time, and nothing that a terminal would act on. Both stop at a
size limit; what the guest says beyond it is read and dropped, and the log says so.
"""

from __future__ import annotations

import contextlib
import enum
import itertools
import logging
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.store import disk_failure

_log = logging.getLogger(__name__)

_READ_BYTES = 1 << 16
_LINE_OVERHEAD = 200
_LONGEST_LINE = 8192
_LONGEST_MESSAGE = 1100  # of printk (LOG_LINE_MAX is 1024), with its stamp
_LONGEST_STAMP = 32
_STAMP = re.compile(rb"\[ {0,12}\d{1,12}\.\d{6}\]")
_PARTIAL_LIMIT = 4 * _LONGEST_LINE
_DEFAULT_LIMIT = 256 << 20
_KEPT_CHARACTERS = 16 << 20

# ECMA-48: CSI and OSC sequences, two-byte escapes; then every control character but tab.
_ESCAPES = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """A line of the console. ``number`` counts from 0; ``wall`` is time.time(), ``monotonic`` time.monotonic()."""

    number: int
    wall: float
    monotonic: float
    text: str


class Outcome(enum.Enum):
    """Why a wait on the console ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    CLOSED = "closed"
    SILENT = "silent"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Seen:
    """The end of a wait: what kind, and the line that decided it where one did."""

    outcome: Outcome
    line: ConsoleLine | None = None


def _piece_end(data: bytes, start: int) -> int:
    """Where a piece of a line of any length ends: before a message of the kernel that it would cut in two."""
    end = start + _LONGEST_LINE
    if end >= len(data):
        return len(data)
    stamps = [match.start() for match in _STAMP.finditer(data, end - _LONGEST_MESSAGE, end + _LONGEST_STAMP)]
    return next((at for at in reversed(stamps) if start < at <= end), end)


def cleaned(raw: bytes) -> str:
    """A line as text that is safe to show: no escape sequences, no control characters, U+FFFD for what is not UTF-8."""
    text = _ESCAPES.sub(b"", raw).decode("utf-8", "replace")
    return _CONTROLS.sub("", text.replace("\t", "        ")).rstrip()


class Console:
    """A console that is being read. ``close`` ends it; the files are complete then."""

    def __init__(
        self,
        connection: socket.socket,
        *,
        log: Path,
        raw: Path,
        limit: int = _DEFAULT_LIMIT,
        kept: int = _KEPT_CHARACTERS,
    ) -> None:
        """Start reading ``connection``, which the console then owns.

        ``limit`` is in bytes of either file, ``kept`` in characters of the lines in memory. Raises
        :class:`EnvironmentFailure` where the files cannot be made.
        """
        self.log = log
        self.raw = raw
        self._connection = connection
        self._limit = limit
        self._kept = kept
        self._ring: deque[ConsoleLine] = deque()
        self._ring_size = 0
        self._count = 0
        self._bytes = 0
        self._written = 0
        self._partial = bytearray()
        self._closed = False
        self._started = time.monotonic()
        self._last_output = self._started
        self._changed = threading.Condition()
        self._subscribers: list[Callable[[ConsoleLine], None]] = []
        self._raw_subscribers: list[Callable[[bytes], None]] = []
        try:
            log_stream: IO[str] = open(log, "w", encoding="utf-8")  # noqa: SIM115 (the thread closes them)
            raw_stream: IO[bytes] = open(raw, "wb", buffering=0)  # noqa: SIM115
        except OSError as reason:
            connection.close()
            raise disk_failure(reason, "while making the console's log") from reason
        self._thread = threading.Thread(target=self._pump, args=(log_stream, raw_stream), name="console", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether the other end is gone, which is to say QEMU."""
        return self._closed

    @property
    def received(self) -> int:
        """Bytes that the guest has written."""
        return self._bytes

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last output."""
        return time.monotonic() - self._last_output

    def mark(self) -> int:
        """Now, as a line number: ``lines(since=mark)`` are those that came after."""
        with self._changed:
            return self._count

    def lines(self, *, since: int = 0) -> list[ConsoleLine]:
        """The complete lines from a mark on (the oldest may have been dropped from memory; the log has them)."""
        with self._changed:
            return self._from(since)

    def tail(self, count: int = 20) -> tuple[str, ...]:
        """The last lines as text, with an unfinished one where there is one."""
        with self._changed:
            texts = [line.text for line in self._from(self._count - count)]
            unfinished = cleaned(bytes(self._partial))
        return tuple(([*texts, unfinished] if unfinished else texts)[-count:])

    def subscribe(self, listener: Callable[[ConsoleLine], None], *, since: int | None = None) -> Callable[[], None]:
        """Have each complete line given to ``listener``, on the reading thread; lines from mark ``since`` on first.

        ``listener`` must be quick. Returns what ends it.
        """
        with self._changed:
            if since is not None:
                for line in self._from(since):
                    listener(line)
            self._subscribers.append(listener)

        def end() -> None:
            with self._changed, contextlib.suppress(ValueError):
                self._subscribers.remove(listener)

        return end

    def subscribe_raw(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Have the bytes given to ``listener`` as they come (a person at the console). Returns what ends it."""
        with self._changed:
            self._raw_subscribers.append(listener)

        def end() -> None:
            with self._changed, contextlib.suppress(ValueError):
                self._raw_subscribers.remove(listener)

        return end

    def send(self, data: bytes, *, deadline: float = 10.0) -> bool:
        """Type at the console. Returns whether the guest took it within ``deadline`` seconds."""
        until = time.monotonic() + deadline
        view = memoryview(data)
        while view and not self._closed and time.monotonic() < until:
            try:
                view = view[self._connection.send(view, socket.MSG_DONTWAIT) :]
            except (BlockingIOError, InterruptedError):
                time.sleep(0.01)
            except OSError:
                return False
        return not view

    def wait_for(
        self,
        success: Sequence[re.Pattern[str]],
        failure: Sequence[re.Pattern[str]] = (),
        *,
        deadline: float,
        since: int = 0,
        silence: float | None = None,
    ) -> Seen:
        """Wait until a line from mark ``since`` on matches; ``deadline`` and ``silence`` are in seconds from now.

        Success and failure are looked for line by line in order, the unfinished line too. Ends early when the console
        closes, and with ``silence`` when the guest has not written one byte by then.
        """
        begin = time.monotonic()
        position = since
        with self._changed:
            while True:
                seen, position = self._search(success, failure, position)
                if seen is not None:
                    return seen
                if self._closed:
                    return Seen(Outcome.CLOSED)
                now = time.monotonic()
                remaining = begin + deadline - now
                if remaining <= 0:
                    return Seen(Outcome.DEADLINE)
                if silence is not None and self._bytes == 0:
                    if now - begin >= silence:
                        return Seen(Outcome.SILENT)
                    remaining = min(remaining, begin + silence - now)
                self._changed.wait(remaining)

    def end(self) -> None:
        """Nothing more will come (the machine has stopped): read what is there already, then it is closed."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)

    def wait_closed(self, *, deadline: float) -> bool:
        """Wait until all that QEMU passed on before its end has been read; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, deadline)

    def close(self, *, deadline: float = 5.0) -> None:
        """Read what is left once QEMU is gone, then end. Bounded by ``deadline`` seconds."""
        self._thread.join(deadline if self._closed else 0.5)
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(deadline)
        self._connection.close()

    def _search(
        self, success: Sequence[re.Pattern[str]], failure: Sequence[re.Pattern[str]], position: int
    ) -> tuple[Seen | None, int]:
        candidates = self._from(position)
        unfinished = cleaned(bytes(self._partial)) if self._partial else ""
        if unfinished:
            candidates.append(ConsoleLine(self._count, time.time(), time.monotonic(), unfinished))
        for line in candidates:
            if any(pattern.search(line.text) for pattern in failure):
                return Seen(Outcome.FAILURE, line), position
            if any(pattern.search(line.text) for pattern in success):
                return Seen(Outcome.SUCCESS, line), position
        return None, self._count

    def _from(self, position: int) -> list[ConsoleLine]:
        """The lines in memory from a number on; costs what it returns, not what is kept."""
        recent = list(itertools.takewhile(lambda line: line.number >= position, reversed(self._ring)))
        return recent[::-1]

    def _pump(self, log: IO[str], raw: IO[bytes]) -> None:
        from pexpect import EOF  # type: ignore[import-untyped]
        from pexpect.socket_pexpect import SocketSpawn  # type: ignore[import-untyped]

        try:
            reader = SocketSpawn(self._connection, timeout=None, maxread=_READ_BYTES)
            while True:
                self._take(reader.read_nonblocking(_READ_BYTES, None), log, raw)
        except (EOF, OSError, ValueError) as reason:
            _log.debug("console ended: %s", reason)
        finally:
            self._finish(log)
            for stream in (log, raw):
                with contextlib.suppress(OSError):
                    stream.close()

    def _take(self, chunk: bytes, log: IO[str], raw: IO[bytes]) -> None:
        self._store(raw, chunk[: max(0, self._limit - self._bytes)])
        with self._changed:
            self._bytes += len(chunk)
            self._last_output = time.monotonic()
            self._partial += chunk
            lines = self._complete_lines()
            self._publish(lines)
            for listener in self._raw_subscribers:
                listener(chunk)
            self._changed.notify_all()
        self._write(log, lines)

    def _publish(self, lines: Sequence[ConsoleLine]) -> None:
        for line in lines:
            self._ring.append(line)
            self._ring_size += len(line.text) + _LINE_OVERHEAD
            for listener in self._subscribers:
                try:
                    listener(line)
                except Exception:  # a listener's mistake must not end the reading
                    _log.exception("a listener of the console failed")
        while self._ring_size > self._kept:
            self._ring_size -= len(self._ring.popleft().text) + _LINE_OVERHEAD

    def _complete_lines(self) -> list[ConsoleLine]:
        wall, monotonic = time.time(), time.monotonic()
        *complete, rest = bytes(self._partial).split(b"\n")
        while len(rest) > _PARTIAL_LIMIT:
            end = _piece_end(rest, 0)
            complete.append(rest[:end])
            rest = rest[end:]
        self._partial = bytearray(rest)
        lines = []
        for piece in complete:
            start, end = 0, _piece_end(piece, 0)
            while True:
                lines.append(ConsoleLine(self._count, wall, monotonic, cleaned(piece[start:end])))
                self._count += 1
                if end >= len(piece):
                    break
                start, end = end, _piece_end(piece, end)
        return lines

    def _write(self, log: IO[str], lines: Sequence[ConsoleLine]) -> None:
        if self._written > self._limit:
            return
        for line in lines:
            self._written += self._store_text(log, line)
            if self._written > self._limit:
                self._store(log, f"[the console's log ends here: it is longer than {self._limit} bytes]\n")
                break
        with contextlib.suppress(OSError):
            log.flush()

    def _store_text(self, log: IO[str], line: ConsoleLine) -> int:
        clock = time.strftime("%H:%M:%S", time.localtime(line.wall))
        text = f"[{clock}.{int(line.wall % 1 * 1000):03d} {line.monotonic - self._started:9.3f}] {line.text}\n"
        self._store(log, text)
        return len(text)

    def _store(self, stream: IO[str] | IO[bytes], data: str | bytes) -> None:
        """Write to a file; a full disk costs the log, never the guest."""
        try:
            stream.write(data)  # type: ignore[arg-type]
        except OSError as reason:
            _log.warning("the console's log is not complete: %s", reason.strerror)

    def _finish(self, log: IO[str]) -> None:
        with self._changed:
            if self._partial:
                self._partial += b"\n"
            lines = self._complete_lines()
            self._publish(lines)
            self._closed = True
            self._changed.notify_all()
        self._write(log, lines)
