# SPDX-License-Identifier: GPL-2.0-only
"""What suites need of a guest: an interface, so that they run (and are tested) without knowing what a guest is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Console(Protocol):
    """The guest's console: lines with a ``text``, from a position on."""

    @property
    def closed(self) -> bool:
        """Whether nothing more can come."""

    def mark(self) -> int:
        """Now, as a position."""

    def subscribe(self, listener: Callable[[Any], None], *, since: int | None = None) -> Callable[[], None]:
        """Have each line from ``since`` on given to ``listener``, on any thread; returns what ends it."""


class CommandResult(Protocol):
    """A command that ended in the guest, or was ended at its deadline."""

    @property
    def exit_status(self) -> int | None:
        """As a shell has it (128 + signal); None where it was ended at its deadline."""

    @property
    def stderr(self) -> str:
        """Its standard error."""

    @property
    def timed_out(self) -> bool:
        """Whether it was ended at its deadline."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What a look at a guest that failed found: ``summary`` for the verdict's reason, ``lines`` as its evidence.

    ``stuck``: it is there, and waits for what does not come.
    """

    summary: str = ""
    lines: tuple[str, ...] = ()
    stuck: bool = False

    def added_to(self, why: str) -> str:
        """A verdict's reason with what was found."""
        return f"{why}; {self.summary}" if self.summary else why


class Machine(Protocol):
    """A guest. ``run`` raises :class:`harness.errors.GuestError` when the guest or the way to it is gone."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""

    @property
    def speed_factor(self) -> float:
        """What deadlines are to be multiplied with, now: how much slower it is than a guest they were written for."""

    @property
    def console(self) -> Console:
        """Its console."""

    def run(
        self,
        command: str,
        *,
        deadline: float,
        on_line: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Run a shell command to its end, as the leader of a process group.

        ``on_line`` gets each line of standard output as it comes; past ``deadline`` seconds everything that the command
        started is killed.
        """
