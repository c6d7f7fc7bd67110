# SPDX-License-Identifier: GPL-2.0-only
"""What every subcommand shares: the folders, the cache, and how to talk to the user."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from harness.display import plain_json, printable
from harness.history.place import Place, choose
from harness.paths import Paths, default_paths
from harness.profile import Profile, override
from harness.progress import HEARTBEAT_SECONDS, Progress
from harness.sandbox import WARNING
from harness.store import Store


@dataclass(slots=True, kw_only=True)
class Session:
    """One invocation of the command line; ``click.pass_obj`` hands it to a subcommand."""

    paths: Paths
    store: Store
    verbose: int
    history: str | None = None

    @property
    def history_place(self) -> Place | None:
        """Where the history of runs is; None where there is to be none. Raises :class:`UserError`."""
        return choose(self.history, paths=self.paths)

    @classmethod
    def create(cls, *, cache: Path | None, data: Path | None, verbose: int, history: str | None = None) -> Session:
        """The session for the folders given (None: the defaults)."""
        paths = default_paths(cache=cache, data=data)
        return cls(paths=paths, store=Store(paths.cache), verbose=verbose, history=history)

    def without_sandbox(self) -> None:
        """Code of a series and of its tree runs as the user from here on; says so, once."""
        if self.paths.sandboxed:
            self.paths = replace(self.paths, sandboxed=False)
            click.echo(f"warning: {WARNING}", err=True)

    def heeded(self, profile: Profile) -> Profile:
        """The profile, made to agree with the session on whether there is a sandbox: either can do without it."""
        if not profile.sandbox:
            self.without_sandbox()
        return override(profile, {"sandbox": self.paths.sandboxed})

    def source_for(self, series: str | None, source: str | None) -> str | None:
        """The source that was asked for, else what a named series that was asked for names; None is the profile's."""
        if source is not None or not series:
            return source
        from harness.series import describe  # not before help

        return describe(series, paths=self.paths).source

    @contextmanager
    def stage(self, title: str) -> Iterator[Progress]:
        """A stage outside ``harness run``: its progress as a line on standard error (rewritten on a terminal)."""
        line = _Line(title)
        try:
            yield line
        finally:
            line.close()


def print_json(value: Any) -> None:
    """Print a JSON value, as every ``--json`` does."""
    click.echo(plain_json(json.dumps(value, indent=2, ensure_ascii=False, default=str)))


def sandbox_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--no-sandbox`` on what runs code of a kernel tree; nothing is passed, the session knows."""

    def chosen(context: click.Context, _: click.Parameter, off: bool) -> None:
        if off:
            context.find_object(Session).without_sandbox()  # type: ignore[union-attr]

    text = "Run code of the series and its tree as you, unprotected."
    return click.option("--no-sandbox", is_flag=True, expose_value=False, callback=chosen, help=text)(function)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--json`` on what lists: passes ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")(function)


def dry_run_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--dry-run`` on what acts: passes ``dry_run``."""
    return click.option("--dry-run", is_flag=True, help="Show the plan and do nothing.")(function)


class _Line:
    """Progress as one line on standard error."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._stream = sys.stderr
        self._live = self._stream.isatty()
        self._shown = ""
        self._counted = time.monotonic()

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        count = f" [{done}/{total}]" if done is not None and total else ""
        text = printable(f"{self._title}: {message}{count}").replace("\n", " ")
        if self._live:
            width = max(20, shutil.get_terminal_size().columns - 1)
            click.echo(f"\r\x1b[K{text[:width]}", nl=False, err=True)
        elif done is None and text != self._shown:
            click.echo(text, err=True)
        elif done is not None and time.monotonic() - self._counted >= HEARTBEAT_SECONDS:
            self._counted = time.monotonic()
            click.echo(text, err=True)
        self._shown = text

    def warn(self, message: str) -> None:
        click.echo(f"{chr(13) + chr(27) + '[K' if self._live else ''}warning: {printable(message)}", err=True)

    def close(self) -> None:
        if self._live and self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
