# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's machine protocol over a private socket, by QEMU's own client library, as ordinary calls with deadlines.

The library is asynchronous; its loop runs in one thread per guest. Events are kept with the time at which they came.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.errors import EnvironmentFailure, GuestError

_Result = TypeVar("_Result")

_KEPT_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class QmpEvent:
    """An event of QEMU: its name (``SHUTDOWN``), data, and time.time() when it came."""

    name: str
    data: dict[str, Any]
    wall: float


class QmpError(GuestError):
    """QEMU refused a command. ``error_class`` is QMP's (``CommandNotFound``, ``DeviceNotFound``, ``GenericError``)."""

    def __init__(self, message: str, *, error_class: str) -> None:
        super().__init__(message)
        self.error_class = error_class


class Monitor:
    """A QMP connection. Made connected; ``close`` ends it and its thread."""

    def __init__(
        self, connection: socket.socket, *, deadline: float, on_event: Callable[[QmpEvent], None] | None = None
    ) -> None:
        """Take over ``connection`` and negotiate within ``deadline`` seconds.

        ``on_event`` hears of each event, on the monitor's thread, and must be quick.
        Raises :class:`EnvironmentFailure` when QEMU does not answer as QMP says.
        """
        from qemu.qmp import QMPClient

        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="qmp", daemon=True)
        self._thread.start()
        self._events: deque[QmpEvent] = deque(maxlen=_KEPT_EVENTS)
        self._on_event = on_event
        self._client = QMPClient("guest")
        self._watcher: asyncio.Task[None] | None = None
        self.version: tuple[int, int, int] = (0, 0, 0)
        try:
            self.version = self._call(self._connect(connection), deadline)
        except TimeoutError as reason:
            self.close()
            connection.close()
            raise EnvironmentFailure(f"QEMU did not answer on QMP within {deadline:g} s") from reason
        except Exception as reason:
            self.close()
            connection.close()
            raise EnvironmentFailure(f"QEMU's monitor does not speak QMP as it should: {reason}") from reason
        except BaseException:  # Ctrl-C
            self.close()
            connection.close()
            raise

    @property
    def events(self) -> tuple[QmpEvent, ...]:
        """The events so far, oldest first."""
        return tuple(self._events)

    def execute(self, command: str, arguments: dict[str, Any] | None = None, *, deadline: float = 10.0) -> Any:
        """Run a command and return its value.

        Raises :class:`QmpError` when QEMU refuses it, :class:`GuestError` when QEMU is gone or does not answer within
        ``deadline`` seconds.
        """
        from qemu.qmp import ExecuteError
        from qemu.qmp.error import QMPError

        try:
            return self._call(self._client.execute(command, arguments), deadline)
        except ExecuteError as reason:
            raise QmpError(
                f"QEMU refused {command}: {reason.error.error.desc}", error_class=reason.error.error.class_
            ) from reason
        except TimeoutError as reason:
            raise GuestError(f"QEMU did not answer {command} within {deadline:g} s") from reason
        except (QMPError, OSError, EOFError, RuntimeError) as reason:
            raise GuestError(f"QEMU's monitor is gone ({type(reason).__name__}) during {command}") from reason

    def human(self, line: str, *, deadline: float = 10.0) -> str:
        """Run a line of the human monitor, for what QMP has no command for."""
        return str(self.execute("human-monitor-command", {"command-line": line}, deadline=deadline))

    def close(self, *, deadline: float = 3.0) -> None:
        """End the connection and the thread. Safe to call twice, and after QEMU's end."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(Exception):
            self._call(self._disconnect(), deadline)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(deadline)
        if not self._thread.is_alive():
            self._loop.close()

    async def _connect(self, connection: socket.socket) -> tuple[int, int, int]:
        await self._client.connect(connection)
        self._watcher = asyncio.get_running_loop().create_task(self._watch())
        greeting = self._client.greeting
        version: Any = greeting.QMP.version["qemu"] if greeting is not None else {}
        return (int(version["major"]), int(version["minor"]), int(version["micro"]))

    async def _watch(self) -> None:
        async for event in self._client.events:
            data: Any = event.get("data") or {}
            kept = QmpEvent(str(event["event"]), dict(data), time.time())
            self._events.append(kept)
            if self._on_event is not None:
                self._on_event(kept)

    async def _disconnect(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        with contextlib.suppress(Exception):
            await self._client.disconnect()
        others = asyncio.all_tasks() - {asyncio.current_task()}  # of the library, where it was not yet connected
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _call(self, work: Coroutine[Any, Any, _Result], deadline: float) -> _Result:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(deadline)
        except BaseException:
            future.cancel()
            raise
