# SPDX-License-Identifier: GPL-2.0-only
"""A command in the guest that is talked to while it runs: lines in, lines out, over one SSH channel."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.errors import GuestError

if TYPE_CHECKING:
    from paramiko import Channel  # type: ignore[import-untyped]

_CHUNK = 1 << 16
_SLICE_SECONDS = 0.25
_LONGEST = 16 << 20  # bytes of an answer


class Talk:
    """A running command; :meth:`close` ends it (its standard input ends, which ends a shell)."""

    def __init__(self, channel: Channel, *, alive: Callable[[], bool]) -> None:
        self._channel = channel
        self._alive = alive
        self._rest = b""

    def say(self, text: str) -> None:
        """Write to its standard input; raises :class:`GuestError` when it, the guest or the connection is gone."""
        try:
            self._channel.settimeout(30.0)
            self._channel.sendall(text.encode())
        except (OSError, EOFError) as reason:
            raise GuestError(f"{self._gone()}: it takes no more input ({reason or type(reason).__name__})") from reason

    def hear(self, *, until: str, deadline: float) -> list[str]:
        """Its lines up to one that is ``until``, which is left out.

        Raises :class:`GuestError` when it, the guest or the connection is gone, :class:`TimeoutError` after
        ``deadline`` seconds.
        """
        end = time.monotonic() + deadline
        wanted = until.encode()
        lines: list[bytes] = []
        size = 0
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        while True:
            *whole, self._rest = self._rest.split(b"\n")
            for number, line in enumerate(whole):
                if line == wanted:
                    self._rest = b"\n".join([*whole[number + 1 :], self._rest])
                    return [one.decode("utf-8", "replace") for one in lines]
                lines.append(line)
            size += sum(len(line) for line in whole)
            if size > _LONGEST:
                raise GuestError(f"a command in the guest answers more than {_LONGEST >> 20} MiB")
            if self._channel.recv_ready():
                self._rest += self._channel.recv(_CHUNK)
                continue
            if self._channel.closed or self._channel.eof_received or not self._alive():
                raise GuestError(f"{self._gone()} before it answered")
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer within {deadline:g} s")
            poll.poll(min(left, _SLICE_SECONDS) * 1000)

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(Exception):
            self._channel.close()

    def _gone(self) -> str:
        return "the command in the guest ended" if self._alive() else "the guest is gone"
