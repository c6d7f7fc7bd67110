# SPDX-License-Identifier: GPL-2.0-only
"""What a check says."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Status(enum.StrEnum):
    """``WARN`` is slower or narrower than it could be, ``FAIL`` does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was checked, how it is, what was found, and for all but OK what to do."""

    name: str
    status: Status
    found: str
    fix: str | None = None


def graded(name: str, value: float, *, warn: float, fail: float, found: str, fix: str) -> Finding:
    """A finding on a quantity that should be large: below ``fail`` it fails, below ``warn`` it warns."""
    status = Status.FAIL if value < fail else Status.WARN if value < warn else Status.OK
    return Finding(name=name, status=status, found=found, fix=None if status is Status.OK else fix)
