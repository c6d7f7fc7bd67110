# SPDX-License-Identifier: GPL-2.0-only
"""How stages and cases tell what they are doing, without knowing who listens (a live terminal, plain lines, a test)."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from harness.values import CaseResult

HEARTBEAT_SECONDS = 15.0
"""Without a terminal, how long a stage may go on without a line."""


class Progress(Protocol):
    """A listener to one stage's progress. Calls are cheap and may come from any thread."""

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        """What is being done now; ``done`` of ``total`` steps where they can be counted."""

    def warn(self, message: str) -> None:
        """Something that the user should know and that does not stop the stage."""


class Quiet:
    """A listener that drops everything."""

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        """Drop it."""

    def warn(self, message: str) -> None:
        """Drop it."""

    def result(self, text: str, *, cached: bool = False) -> None:
        """Drop it."""


class StageView(Progress, Protocol):
    """One stage of a run: takes progress, and at the end what came out of it."""

    def result(self, text: str, *, cached: bool = False) -> None:
        """What the stage produced, in a few words; ``cached`` where nothing had to be done."""


class View(Protocol):
    """A listener to a run: stages one after another, then cases as they end."""

    def stage(self, name: str) -> AbstractContextManager[StageView]:
        """A stage, for the length of a ``with`` block."""

    def case_started(self, name: str) -> None:
        """A case begins."""

    def case(self, result: CaseResult) -> None:
        """A case ended."""

    def say(self, text: str, *, style: str = "") -> None:
        """A line of its own."""


class QuietView:
    """A view that shows nothing."""

    def stage(self, name: str) -> AbstractContextManager[StageView]:
        """A stage that nobody sees."""
        return nullcontext(Quiet())

    def case_started(self, name: str) -> None:
        """Drop it."""

    def case(self, result: CaseResult) -> None:
        """Drop it."""

    def say(self, text: str, *, style: str = "") -> None:
        """Drop it."""


class Brief:
    """A view of one run among many: its stages but the ``hidden`` ones, and the cases that are no good."""

    def __init__(self, view: View, *, hidden: Collection[str]) -> None:
        self._view = view
        self._hidden = hidden

    def stage(self, name: str) -> AbstractContextManager[StageView]:
        """A stage, shown or not."""
        return nullcontext(Quiet()) if name in self._hidden else self._view.stage(name)

    def case_started(self, name: str) -> None:
        """Pass it on."""
        self._view.case_started(name)

    def case(self, result: CaseResult) -> None:
        """Pass it on where it is no good."""
        if not result.verdict.good:
            self._view.case(result)

    def say(self, text: str, *, style: str = "") -> None:
        """Pass it on."""
        self._view.say(text, style=style)
