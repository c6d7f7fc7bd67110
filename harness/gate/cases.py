# SPDX-License-Identifier: GPL-2.0-only
"""The difference between what base and head make of each case, over repeats. Pure."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from harness.values import Verdict

_GRAVITY = (Verdict.CRASH, Verdict.LOST, Verdict.TIMEOUT, Verdict.FAIL)
BAD = frozenset(_GRAVITY)

Verdicts = Sequence[Verdict]


class Change(enum.StrEnum):
    """What became of a case; the first four speak against the head, the gravest first."""

    CRASHES = "crashes"
    FAILS = "fails"
    NOT_RUN = "no longer run"
    UNSTEADY = "fails sometimes"
    KNOWN = "fails as on the base"
    FIXED = "fixed"
    NEW = "new"

    @property
    def speaks_against(self) -> bool:
        """Whether the head is worse by it."""
        return self in (Change.CRASHES, Change.FAILS, Change.NOT_RUN, Change.UNSTEADY)


class CaseChange(msgspec.Struct, frozen=True, kw_only=True):
    """A case that is not the same on both sides, or fails on both; ``base`` and ``head`` count its verdicts."""

    name: str
    change: Change
    base: dict[str, int]
    head: dict[str, int]
    reason: str = ""

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"{self.name}: {counted(self.base)} on the base, {counted(self.head)} on the head{why}"


def difference(
    base: Mapping[str, Verdicts], head: Mapping[str, Verdicts], *, reasons: Mapping[str, str] | None = None
) -> tuple[CaseChange, ...]:
    """What changed, case by case (name → verdicts of all runs), the gravest first; ``reasons`` are the head's.

    A case that fails on the base as well is not held against the head, unless it always fails on the head and not
    always on the base, or crashes only there. A case that passes on the base and is skipped, or not even reached, on
    the head is: a suite that no longer finds what it tests says nothing good.
    """
    found = []
    for name in dict.fromkeys((*base, *head)):
        change = change_of(base.get(name, ()), head.get(name, ()))
        if change is not None:
            found.append(
                CaseChange(
                    name=name,
                    change=change,
                    base=_counts(base.get(name, ())),
                    head=_counts(head.get(name, ())),
                    reason=(reasons or {}).get(name, ""),
                )
            )
    order = list(Change)
    return tuple(sorted(found, key=lambda one: order.index(one.change)))


def change_of(base: Verdicts, head: Verdicts) -> Change | None:
    """What became of one case; None where it is the same and good."""
    bad_before, bad = _bad(base), _bad(head)
    if bad:
        if Verdict.CRASH in head and Verdict.CRASH not in base:
            return Change.CRASHES
        if bad == len(head) and bad_before < max(1, len(base)):
            return Change.FAILS
        return Change.KNOWN if bad_before else Change.UNSTEADY
    if Verdict.PASS in base and Verdict.PASS not in head:
        return Change.NOT_RUN if Verdict.XFAIL not in head else Change.FAILS
    if bad_before:
        return Change.FIXED
    return Change.NEW if Verdict.PASS in head and Verdict.PASS not in base else None


def gravest(verdicts: Verdicts) -> Verdict:
    """The gravest of a case's verdicts; a pass only where it never did anything else."""
    order = (*_GRAVITY, Verdict.XPASS, Verdict.XFAIL, Verdict.SKIP)
    return next((one for one in order if one in verdicts), Verdict.PASS)


def counted(counts: Mapping[str, int]) -> str:
    """Counts of verdicts in words: ``PASS``, or ``FAIL in 2 of 4``."""
    total = sum(counts.values())
    if not total:
        return "not run"
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{verdict} in {count} of {total}" for verdict, count in counts.items())


def _bad(verdicts: Verdicts) -> int:
    return sum(verdict in BAD for verdict in verdicts)


def _counts(verdicts: Verdicts) -> dict[str, int]:
    return dict(Counter(verdict.value for verdict in verdicts))
