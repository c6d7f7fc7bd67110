# SPDX-License-Identifier: GPL-2.0-only
"""A night on the terminal: a line for each command that goes on, redrawn; without a terminal a line now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from harness.display import duration, printable
from harness.progress import HEARTBEAT_SECONDS, Progress
from harness.workers import Running

_SLOW = 60.0  # seconds between lines about the same command, without a terminal


class NightView:
    """Shows what goes on. ``live`` redraws; otherwise lines, which a log keeps."""

    def __init__(self, stream: TextIO, *, live: bool | None = None) -> None:
        self.console = Console(file=stream, highlight=False, soft_wrap=True)
        self._live = self.console.is_terminal if live is None else live
        self._region: Live | None = None
        self._running: Sequence[Running] = ()
        self._spinner = Spinner("dots")
        self._said: dict[str, float] = {}
        self.progress = ""
        if self._live:
            self._region = Live(console=self.console, get_renderable=self._render, refresh_per_second=4, transient=True)
            self._region.start()

    def say(self, text: str, *, style: str = "") -> None:
        """A line of its own."""
        self.console.print(Text(printable(text), style=style))

    def show(self, running: Sequence[Running], *, progress: str) -> None:
        """What goes on now; ``progress`` is the night's own line (``3 of 6 cells``)."""
        self._running, self.progress = running, progress
        if self._live:
            return
        now = time.monotonic()
        for one in running:
            if not one.waits and now - self._said.setdefault(one.job.name, one.started) >= _SLOW:
                self._said[one.job.name] = now
                self.say(f"  … {one.job.title}: {_doing(one)} ({duration(one.seconds)})")

    @contextmanager
    def looking(self) -> Iterator[Progress]:
        """The look-up of sources and series."""
        look = _Look(self)
        yield look
        look.done()

    def close(self) -> None:
        """Take the live region away."""
        if self._region is not None:
            self._region.stop()
            self._region = None

    def _render(self) -> Table:
        rows = Table.grid(padding=(0, 1))
        rows.add_column()
        rows.add_column(no_wrap=True, overflow="ellipsis", max_width=max(20, self.console.width // 2))
        rows.add_column(no_wrap=True, overflow="ellipsis")
        rows.add_column(justify="right")
        for one in self._running:
            spent = Text("" if one.waits else duration(one.seconds), style="dim")
            rows.add_row(self._spinner, Text(one.job.title), Text(_doing(one), style="dim"), spent)
        if self.progress:
            rows.add_row("", Text(self.progress, style="dim"))
        return rows


class _Look:
    """Progress of a look-up: the live region's own line, or a line now and then."""

    def __init__(self, view: NightView) -> None:
        self._view = view
        self._said = time.monotonic()

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self._view.progress = printable(message, limit=200)
        if not self._view._live and time.monotonic() - self._said >= HEARTBEAT_SECONDS:
            self._said = time.monotonic()
            self._view.say(f"  … {self._view.progress}")

    def warn(self, message: str) -> None:
        self._view.say(f"warning: {message}", style="yellow")

    def done(self) -> None:
        self._view.progress = ""


def _doing(one: Running) -> str:
    if one.waits:
        return "getting ready"
    return printable(one.last_line, limit=120)
