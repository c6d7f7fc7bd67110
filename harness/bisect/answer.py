# SPDX-License-Identifier: GPL-2.0-only
"""What one kernel makes of a case, and which of two ends that is like. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from harness.results.record import Results
from harness.values import Verdict

_BAD = frozenset({Verdict.FAIL, Verdict.CRASH, Verdict.TIMEOUT, Verdict.LOST})


class Outcome(enum.StrEnum):
    """What a kernel makes of a case; ``UNTESTABLE``: it does not come to the case."""

    PASSES = "passes"
    SKIPS = "skips"
    FAILS = "fails"
    UNTESTABLE = "cannot be tested"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome with its reason, and the ids of the runs that showed it."""

    outcome: Outcome
    reason: str = ""
    runs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.outcome}: {self.reason}" if self.reason else str(self.outcome)


class Like(enum.Enum):
    """Which end a point is like."""

    OLD = "old"
    NEW = "new"
    NEITHER = "neither"


def of_run(results: Results) -> Answer:
    """What one run says: the gravest of its cases (it has that case alone, or those of a program or suite)."""
    seen = [(Verdict(case.verdict), case.splat or case.reason) for case in results.cases]
    bad = [(verdict, reason) for verdict, reason in seen if verdict in _BAD]
    runs = (results.run,)
    if bad:
        return Answer(outcome=Outcome.FAILS, reason=f"{bad[0][0]}: {bad[0][1]}", runs=runs)
    if results.failure is not None or not seen:
        failure = results.failure
        why = f"{failure.verdict}: {failure.message}" if failure is not None else "the run had no case"
        return Answer(outcome=Outcome.UNTESTABLE, reason=why, runs=runs)
    if all(verdict is Verdict.SKIP for verdict, _ in seen):
        return Answer(outcome=Outcome.SKIPS, reason=seen[0][1], runs=runs)
    return Answer(outcome=Outcome.PASSES, runs=runs)


def of_runs(answers: Sequence[Answer]) -> Answer:
    """What several runs of one kernel say: it fails if any of them does; it passes only if all do."""
    runs = tuple(run for answer in answers for run in answer.runs)
    for outcome in (Outcome.FAILS, Outcome.UNTESTABLE, Outcome.SKIPS):
        having = [answer for answer in answers if answer.outcome is outcome]
        if having:
            times = f" ({len(having)} of {len(answers)} runs)" if len(answers) > 1 else ""
            return Answer(outcome=outcome, reason=f"{having[0].reason}{times}", runs=runs)
    return Answer(outcome=Outcome.PASSES, runs=runs)


def like(outcome: Outcome, old: Outcome, new: Outcome) -> Like:
    """Which end a point is like.

    Between an end that skips and one that fails, a pass is like the first: there the feature has come, and works. Else
    what neither end does says nothing of the change that is looked for.
    """
    if outcome is old:
        return Like.OLD
    if outcome is new:
        return Like.NEW
    if outcome is Outcome.PASSES and {old, new} == {Outcome.SKIPS, Outcome.FAILS}:
        return Like.OLD if old is Outcome.SKIPS else Like.NEW
    return Like.NEITHER
