# SPDX-License-Identifier: GPL-2.0-only
"""The bytes of one SSH channel: in, out and error, until the command's end or a deadline."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paramiko import Channel  # type: ignore[import-untyped]

_SLICE_SECONDS = 0.5
_LINGER_SECONDS = 1.0
_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 20


class Stream:
    """The traffic of one channel, until its end or a deadline."""

    def __init__(
        self,
        channel: Channel,
        *,
        limit: int,
        stdin: bytes = b"",
        on_line: Callable[[str], None] | None = None,
        on_output: Callable[[bytes, bool], None] | None = None,
    ) -> None:
        self._channel = channel
        self._stdin = memoryview(stdin)
        self._on_line = on_line
        self._on_output = on_output
        self._limit = limit
        self._partial = bytearray()
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.truncated = False

    def pump(self, until: float, *, alive: Callable[[], bool]) -> bool:
        """Move bytes until the command's end (True) or ``until`` on the monotonic clock (False)."""
        channel = self._channel
        poll = select.poll()
        poll.register(channel.fileno(), select.POLLIN)
        channel.settimeout(0.0)
        input_open = True
        ended: float | None = None
        while True:
            moved = self._receive()
            input_open = self._send(input_open)
            now = time.monotonic()
            if moved:
                ended = None
            elif channel.closed or (channel.eof_received and channel.exit_status_ready()) or not alive():
                self._receive()
                break
            elif channel.exit_status_ready():  # it ended, but something that it left behind holds its output
                ended = ended or now
                if now - ended > _LINGER_SECONDS:
                    break
            if now >= until:
                return False
            if not moved:
                pause = min(until - now, 0.01 if input_open else _SLICE_SECONDS)
                if channel.eof_received:  # the poll would return at once from here on
                    channel.status_event.wait(min(pause, 0.05))
                else:
                    poll.poll(pause * 1000)
        self._last_line()
        return True

    def _receive(self) -> bool:
        moved = False
        while self._channel.recv_ready():
            chunk = self._channel.recv(_CHUNK)
            moved = moved or bool(chunk)
            self._keep(self.stdout, chunk, error=False)
            self._lines(chunk)
            if not chunk:
                break
        while self._channel.recv_stderr_ready():
            chunk = self._channel.recv_stderr(_CHUNK)
            moved = moved or bool(chunk)
            self._keep(self.stderr, chunk, error=True)
            if not chunk:
                break
        return moved

    def _keep(self, kept: bytearray, chunk: bytes, *, error: bool) -> None:
        if self._on_output is not None and chunk:
            self._on_output(chunk, error)
        room = self._limit - len(kept)
        if len(chunk) > room:
            self.truncated = True
        kept += chunk[: max(0, room)]

    def _send(self, still_open: bool) -> bool:
        """Pass on some of standard input; its end is told to the command. Returns whether there is more to do."""
        if not still_open:
            return False
        try:
            while self._stdin and self._channel.send_ready():
                self._stdin = self._stdin[self._channel.send(bytes(self._stdin[:_CHUNK])) :]
            if not self._stdin:
                self._channel.shutdown_write()
                return False
        except TimeoutError:
            return True
        except OSError:  # the command does not read it to its end, which is its own affair
            return False
        return True

    def _lines(self, chunk: bytes) -> None:
        if self._on_line is None:
            return
        self._partial += chunk
        *complete, rest = bytes(self._partial).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            complete, rest = [*complete, rest], b""
        self._partial = bytearray(rest)
        for line in complete:
            self._on_line(line[:_LONGEST_LINE].decode("utf-8", "replace").rstrip("\r"))

    def _last_line(self) -> None:
        if self._on_line is not None and self._partial:
            self._on_line(bytes(self._partial).decode("utf-8", "replace"))
            self._partial.clear()
