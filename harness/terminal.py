# SPDX-License-Identifier: GPL-2.0-only
"""What a run shows while it goes on: a live tree on a terminal, plain lines elsewhere."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from harness.display import crash_lines, duration, printable
from harness.progress import HEARTBEAT_SECONDS, StageView
from harness.values import CaseResult, Verdict

_STYLE = {
    Verdict.PASS: "green",
    Verdict.SKIP: "yellow",
    Verdict.XFAIL: "yellow",
    Verdict.FAIL: "bold red",
}
_LONGEST = 1 << 16  # characters that are said at once; QEMU's command is long
_MARK = {Verdict.PASS: "✓", Verdict.SKIP: "–", Verdict.XFAIL: "–"}


class _Reader:
    """A stream whose reader may go away (a pipe, a terminal that is closed): then the run ends as by Ctrl-C.

    Afterwards, and from any other thread, writing does nothing.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = self._told = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return int(self._try(lambda: self._stream.write(text)))

    def flush(self) -> None:
        self._try(lambda: self._stream.flush())

    def _try(self, work: Callable[[], Any]) -> Any:
        if not self._gone:
            try:
                return work()
            except OSError as reason:
                if reason.errno not in (errno.EPIPE, errno.EIO):
                    raise
                self._gone = True
        if not self._told and threading.current_thread() is threading.main_thread():
            self._told = True
            raise KeyboardInterrupt("nobody reads the output any more")
        return 0


class _Stage:
    """One stage's state, read by the view that made it."""

    def __init__(self, view: Terminal, name: str) -> None:
        self.view = view
        self.name = name
        self.started = time.monotonic()
        self.message = ""
        self.count = ""
        self.outcome = ""
        self.cached = False

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.message = printable(message, limit=200).replace("\n", " ")
        self.count = f"{done}/{total}" if done is not None and total else (str(done) if done is not None else "")
        self.view.refresh(self)

    def warn(self, message: str) -> None:
        self.view.say(f"warning: {printable(message)}", style="yellow")

    def result(self, text: str, *, cached: bool = False) -> None:
        self.outcome, self.cached = printable(text, limit=300), cached

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class Terminal:
    """The view of a run. ``live`` redraws the line of what is going on; otherwise it is said now and then."""

    def __init__(self, stream: TextIO, *, live: bool | None = None) -> None:
        self.console = Console(file=cast(TextIO, _Reader(stream)), highlight=False, soft_wrap=True)
        self._live = self.console.is_terminal if live is None else live
        self._region: Live | None = None
        self._lock = threading.RLock()
        self._current: _Stage | None = None
        self._case: tuple[str, float] | None = None
        self._suite = ""
        self._spinner = Spinner("dots")
        self._said = time.monotonic()
        if self._live:
            self._region = Live(console=self.console, get_renderable=self._render, refresh_per_second=8, transient=True)
            self._region.start()

    @contextmanager
    def stage(self, name: str) -> Iterator[StageView]:
        """A stage: a line when it ends (✓ or ✗), its progress meanwhile."""
        stage = _Stage(self, name)
        self._current, self._said = stage, time.monotonic()
        self._case = None
        try:
            yield stage
        except BaseException:
            self._finish(stage, "✗", "bold red", stage.outcome or stage.message)
            raise
        self._finish(stage, "✓", "green", stage.outcome)

    def refresh(self, stage: _Stage) -> None:
        """Show a stage's progress: at once when live, else every quarter of a minute."""
        if self._live:
            return  # drawn by the region's own clock
        now = time.monotonic()
        if now - self._said >= HEARTBEAT_SECONDS:
            self._said = now
            count = f" [{stage.count}]" if stage.count else ""
            self.console.print(Text(f"  … {stage.name}: {stage.message}{count} ({duration(stage.seconds)})"))

    def case_started(self, name: str) -> None:
        """A case begins; shown while it runs."""
        self._case = (printable(name), time.monotonic())

    def case(self, result: CaseResult) -> None:
        """A line for a case that ended, below a line for its suite."""
        self._case = None
        with self._lock:
            if result.suite != self._suite:
                self._suite = result.suite
                self.console.print(Text(printable(f"  {result.suite}"), style="bold"))
            style = _STYLE.get(result.verdict, "bold red")
            line = Text("    ")
            line.append(f"{_MARK.get(result.verdict, '✗')} {result.verdict.value:<7} ", style=style)
            line.append(printable(f"{result.program}:{result.case}", limit=300))
            line.append(f"  {duration(result.seconds)}", style="dim")
            if result.reason:
                line.append(f"  {printable(result.reason, limit=300)}", style="dim" if result.verdict.good else "red")
            self.console.print(line)
            if result.crash is not None:
                for text in crash_lines(result.crash):
                    self.console.print(Text(f"        | {printable(text, limit=300)}"))
            elif not result.verdict.good:
                for text in result.diagnostics[-12:]:
                    self.console.print(Text(f"        | {printable(text, limit=300)}", style="dim"))

    def say(self, text: str, *, style: str = "") -> None:
        """A line of its own."""
        with self._lock:
            self.console.print(Text(printable(text, limit=_LONGEST), style=style))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table, at the end of a run."""
        table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*[Text(printable(cell)) for cell in row])
        self.console.print(table)

    def close(self) -> None:
        """Take the live region away."""
        if self._region is not None:
            self._region.stop()
            self._region = None

    def _finish(self, stage: _Stage, mark: str, style: str, outcome: str) -> None:
        self._current = None
        with self._lock:
            line = Text()
            line.append(f"{mark} ", style=style)
            line.append(f"{stage.name:<9}")
            line.append(f" {outcome}")
            spent = "cached" if stage.cached else duration(stage.seconds)
            line.append(f"  {spent}", style="dim")
            self.console.print(line)

    def _render(self) -> Group | Text:
        lines: list[Table] = []
        stage, case = self._current, self._case
        if stage is not None:
            count = f" [{stage.count}]" if stage.count else ""
            lines.append(self._row(stage.name, f"{stage.message}{count}", stage.seconds))
        if case is not None:
            lines.append(self._row("  case", case[0], time.monotonic() - case[1]))
        return Group(*lines) if lines else Text("")

    def _row(self, name: str, message: str, seconds: float) -> Table:
        row = Table.grid(padding=(0, 1))
        row.add_column()
        row.add_column(width=9)
        row.add_column(overflow="ellipsis", no_wrap=True, max_width=max(20, self.console.width - 30))
        row.add_column(justify="right")
        row.add_row(self._spinner, Text(name), Text(message), Text(duration(seconds), style="dim"))
        return row
