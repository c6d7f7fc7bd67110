# SPDX-License-Identifier: GPL-2.0-only
"""What a check of a series says."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Level(enum.StrEnum):
    """How a finding counts: only an error makes a series bad."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check says: of a patch (by number, 0 for the tree before the first), or of the series (None).

    ``type`` names the kind of a remark, where it has a name; ``answer`` is the reason that the series gives for what
    stays (:mod:`harness.series.answers`), which the message has as well. ``status`` is the command's exit status if it
    is an error (DESIGN, "Verdicts": 1 a bad verdict, 3 it does not apply, build or boot).
    """

    check: str
    level: Level
    message: str
    patch: int | None = None
    type: str | None = None
    answer: str = ""
    details: tuple[str, ...] = ()
    status: int = 1


def exit_status(findings: Iterable[Finding]) -> int:
    """The exit status for findings: 0 without an error, else the gravest error's."""
    return max((finding.status for finding in findings if finding.level is Level.ERROR), default=0)
