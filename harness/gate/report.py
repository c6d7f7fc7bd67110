# SPDX-License-Identifier: GPL-2.0-only
"""``gate.json``: what was looked at, what came out, and the verdict that follows from it. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from harness.gate.cases import CaseChange, Change
from harness.gate.shift import ALPHA, needed_runs, shift, worse
from harness.series.finding import Finding, Level

REPORT_VERSION = 1

BOOT_TIME = "boot time"
MEMORY = "guest memory in use"
# below these nothing is called worse, however sure it is: nobody would look into it
_LEAST = {"s": (1.10, 0.2), "MiB": (1.02, 4.0)}
_FAMILIES = 3  # boot time, memory and the cases' durations are judged apart and share ALPHA


class Kind(enum.StrEnum):
    """What speaks against a head, the gravest first: the order of a report's reasons."""

    APPLY = "does not apply"
    BUILD = "does not build"
    BASE = "the base"
    BOOT = "does not boot"
    CRASH = "crash"
    CASE = "failing case"
    NOTHING = "nothing tested"
    GRID = "configuration"
    WARNING = "new warning"
    CHECKPATCH = "checkpatch"
    NOT_RUN = "case not run"
    UNSTEADY = "unsteady case"
    SLOWER = "slower or larger"


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that speaks against the head; ``patch`` where it is one patch's."""

    kind: Kind
    message: str
    patch: int | None = None
    details: tuple[str, ...] = ()


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity on both sides (samples in ``unit``), and the ratio head/base with its interval.

    ``chance`` is how often noise alone makes one of the quantities that are judged together look as much worse;
    ``worse`` what is told as a reason.
    """

    name: str
    unit: str
    base: tuple[float, ...]
    head: tuple[float, ...]
    ratio: float
    low: float
    high: float
    confidence: float
    chance: float
    worse: bool


class FindingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of the patch checks, as it is written."""

    check: str
    level: str
    message: str
    patch: int | None
    answer: str = ""
    details: tuple[str, ...] = ()


class SideRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One side: what it is, its commit, kernel and runs; ``kept`` of these were there from an earlier gate.

    ``verdicts`` counts its cases by the worst verdict of each.
    """

    what: str
    commit: str
    release: str = ""
    runs: tuple[str, ...] = ()
    kept: int = 0
    verdicts: dict[str, int] = {}


class PatchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A patch of the head."""

    number: int
    title: str
    digest: str


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole; ``how`` says on what it was tested, ``missing`` what was not reached (an error, an interruption).

    ``looked_at`` are the numbers of the patches that were built, ``booted`` of those whose kernel ran the suites.
    """

    version: int = REPORT_VERSION
    run: str
    ready: bool
    reasons: tuple[Reason, ...]
    remarks: tuple[str, ...]
    series: str
    patches: tuple[PatchRecord, ...]
    looked_at: tuple[int, ...]
    booted: tuple[int, ...]
    base: SideRecord
    head: SideRecord
    how: dict[str, str]
    range_diff: tuple[str, ...] | None
    findings: tuple[FindingRecord, ...]
    changes: tuple[CaseChange, ...]
    measured: tuple[Measured, ...]
    missing: str = ""
    seconds: float = 0.0


def finding_reasons(findings: Iterable[Finding]) -> tuple[Reason, ...]:
    """The errors among the findings of the patch checks, as reasons."""
    return tuple(
        Reason(kind=_kind_of(one), message=_of_patch(one), patch=one.patch, details=one.details)
        for one in findings
        if one.level is Level.ERROR
    )


def _kind_of(finding: Finding) -> Kind:
    if finding.check == "apply":
        return Kind.APPLY
    if finding.check == "checkpatch":
        return Kind.CHECKPATCH
    if finding.status == 3:
        return Kind.GRID if finding.check.startswith("grid ") else Kind.BUILD
    return Kind.WARNING


def _of_patch(finding: Finding) -> str:
    where = [f"patch {finding.patch}"] if finding.patch else []
    named = finding.check in ("apply", "build", "checkpatch")  # by the reason's kind
    return ": ".join([", ".join([*where, *([] if named else [finding.check])]), finding.message]).removeprefix(": ")


def case_reasons(changes: Iterable[CaseChange]) -> tuple[Reason, ...]:
    """What cases say against the head."""
    kinds = {
        Change.CRASHES: Kind.CRASH,
        Change.FAILS: Kind.CASE,
        Change.NOT_RUN: Kind.NOT_RUN,
        Change.UNSTEADY: Kind.UNSTEADY,
    }
    return tuple(Reason(kind=kinds[one.change], message=str(one)) for one in changes if one.change in kinds)


def measured(
    boot: tuple[Sequence[float], Sequence[float]],
    memory: tuple[Sequence[float], Sequence[float]],
    cases: Mapping[str, tuple[Sequence[float], Sequence[float]]],
) -> tuple[Measured, ...]:
    """Boot time (s), guest memory (MiB) and cases' durations (s), each (base, head); one without samples is left out.

    The three share :data:`harness.gate.shift.ALPHA`, so that two equal kernels are called different in at most that
    share of all gates.
    """
    families = (("s", {BOOT_TIME: boot}), ("MiB", {MEMORY: memory}), ("s", dict(cases)))
    found: list[Measured] = []
    for unit, samples in families:
        known = {name: pair for name, pair in samples.items() if pair[0] and pair[1]}
        chances = worse(known)
        found += [_measured(name, unit, *pair, chances[name]) for name, pair in known.items()]
    return tuple(found)


def _measured(name: str, unit: str, base: Sequence[float], head: Sequence[float], chance: float) -> Measured:
    moved = shift(base, head)
    ratio, least = _LEAST[unit]
    large = moved.ratio >= ratio and moved.head - moved.base >= least
    return Measured(
        name=name,
        unit=unit,
        base=tuple(base),
        head=tuple(head),
        ratio=round(moved.ratio, 4),
        low=round(moved.low, 4),
        high=round(moved.high, 4),
        confidence=round(moved.confidence, 4),
        chance=round(chance, 4),
        worse=large and chance <= ALPHA / _FAMILIES,
    )


def measured_reasons(found: Iterable[Measured]) -> tuple[Reason, ...]:
    """What the measurements say against the head."""
    return tuple(Reason(kind=Kind.SLOWER, message=measured_line(one)) for one in found if one.worse)


def measured_line(one: Measured) -> str:
    """A measurement in words."""
    held = f" ({one.confidence:.0%}: {one.low:.2f} to {one.high:.2f})" if one.confidence else ""
    before, after = _middle(one.base), _middle(one.head)
    return (
        f"{one.name}: {before:.2f} {one.unit} on the base, {after:.2f} {one.unit} on the head, ×{one.ratio:.2f}{held}"
    )


def _middle(samples: Sequence[float]) -> float:
    return shift(samples, samples).base


def repeats_needed() -> int:
    """How many runs of each side it takes before a difference of times can be more than noise."""
    return needed_runs(ALPHA / _FAMILIES)


def ordered(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Reasons in order of weight; of one kind those of earlier patches first."""
    order = list(Kind)
    return tuple(sorted(reasons, key=lambda one: (order.index(one.kind), one.patch or 0)))


def finding_record(finding: Finding) -> FindingRecord:
    """A finding in the form that is written."""
    return FindingRecord(
        check=finding.check,
        level=str(finding.level),
        message=finding.message,
        patch=finding.patch,
        answer=finding.answer,
        details=finding.details,
    )
