# SPDX-License-Identifier: GPL-2.0-only
"""How a stage tells what it is doing, without knowing who listens (a live terminal, plain lines, a test)."""

from __future__ import annotations

from typing import Protocol


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
