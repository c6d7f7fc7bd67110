# SPDX-License-Identifier: GPL-2.0-only
"""What the history makes of a run, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NEW, KNOWN, FLAKY = "new", "known", "flaky"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Which kind of failure: ``new``, ``known`` (the case failed so before) or ``flaky`` (same inputs, both verdicts).

    ``told`` is the kind in a few words.
    """

    kind: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """The failures of a run by case, and the cases that pass now and failed in the last run of the same cell."""

    failures: Mapping[str, Kind] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What the history makes of a run; ``trouble`` says in a line why it is not recorded (or not yet)."""

    classified: Classified = field(default_factory=Classified)
    trouble: str = ""
