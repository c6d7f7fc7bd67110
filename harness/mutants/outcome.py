# SPDX-License-Identifier: GPL-2.0-only
"""What became of each mutant: killed and by which case, or survived. Pure."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from harness.display import duration, many
from harness.mutants.mutant import Mutant
from harness.values import CaseResult, Verdict

REPORT_VERSION = 1

_BAD = (Verdict.FAIL, Verdict.CRASH, Verdict.TIMEOUT, Verdict.LOST)


class Outcome(enum.StrEnum):
    """A mutant's end: found by a case, found by none, or no kernel that could be asked."""

    KILLED = "killed"
    SURVIVED = "survived"
    BUILD = "does not build"
    BOOT = "does not boot"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One mutant in the report. ``case`` killed it with ``verdict`` for ``reason``; ``unsteady`` failed once, and not
    again in another guest; ``more`` failed too (only where everything was run). ``seconds`` are all that it cost, of
    which ``build_seconds`` for the kernel; ``cases`` were run, in the run ``run``.
    """

    name: str
    title: str
    breaks: str
    expected: tuple[str, ...]
    survives: str
    outcome: Outcome
    case: str = ""
    verdict: str = ""
    reason: str = ""
    unsteady: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    cases: int = 0
    seconds: float = 0.0
    build_seconds: float = 0.0
    run: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """``mutants.json``. ``unmutated`` are the cases that are no good on the series as it is, with their verdicts: they
    cannot kill. ``missing`` are mutants that the run did not come to.
    """

    version: int = REPORT_VERSION
    run: str
    series: str
    cases: int
    unmutated: dict[str, str]
    mutants: tuple[Record, ...]
    missing: tuple[str, ...]


@dataclass
class Trial:
    """A mutant's cases as they come in, judged against what the unmutated series did (case → verdict).

    Only a case that passes there can kill, and only if it fails once more in a fresh guest (``again``), so that
    neither a case that is broken nor one that is moody kills by itself.
    """

    passes: Mapping[str, Verdict]
    again: Callable[[CaseResult], bool]
    killer: CaseResult | None = None
    cases: int = 0
    unsteady: list[str] = field(default_factory=list)
    more: list[str] = field(default_factory=list)

    def take(self, results: Iterable[CaseResult], *, full: bool) -> None:
        """Judge results until one kills, or all of them where ``full``."""
        for result in results:
            self.cases += 1
            if result.verdict not in _BAD or self.passes.get(result.name) is not Verdict.PASS:
                continue
            if self.killer is not None:
                self.more.append(result.name)
            elif self.again(result):
                self.killer = result
                if not full:
                    return
            else:
                self.unsteady.append(f"{result.name} ({result.verdict})")

    def record(self, mutant: Mutant, *, seconds: float, build_seconds: float) -> Record:
        """The mutant's record once its cases are through."""
        killer = self.killer
        return _record(
            mutant,
            outcome=Outcome.SURVIVED if killer is None else Outcome.KILLED,
            case=killer.name if killer is not None else "",
            verdict=killer.verdict.value if killer is not None else "",
            reason=(killer.splat or killer.reason) if killer is not None else "",
            unsteady=tuple(self.unsteady),
            more=tuple(self.more),
            cases=self.cases,
            seconds=round(seconds, 1),
            build_seconds=round(build_seconds, 1),
        )


def no_kernel(mutant: Mutant, outcome: Outcome, reason: str, *, seconds: float) -> Record:
    """The record of a mutant whose kernel does not build or boot: that is no kill."""
    return _record(mutant, outcome=outcome, reason=reason, seconds=round(seconds, 1))


def _record(mutant: Mutant, **values: object) -> Record:
    return msgspec.convert(_facts(mutant) | values, Record)


def described(record: Record, mutant: Mutant) -> Record:
    """A record with what the mutant's file says today."""
    return msgspec.structs.replace(record, **_facts(mutant))


def _facts(mutant: Mutant) -> dict[str, object]:
    return {
        "name": mutant.name,
        "title": mutant.title,
        "breaks": mutant.breaks,
        "expected": mutant.killers,
        "survives": mutant.survives,
    }


def as_case(record: Record, series: str) -> CaseResult:
    """A mutant as a case of a run: killed is PASS; a survivor that is known (it says why) is XFAIL, else FAIL."""
    verdict = {
        Outcome.KILLED: Verdict.XPASS if record.survives else Verdict.PASS,
        Outcome.SURVIVED: Verdict.XFAIL if record.survives else Verdict.FAIL,
        Outcome.BUILD: Verdict.BUILD,
        Outcome.BOOT: Verdict.BOOT,
    }[record.outcome]
    return CaseResult(
        suite="mutants",
        program=series,
        case=record.name,
        verdict=verdict,
        reason=told(record),
        seconds=record.seconds,
        diagnostics=(record.title, f"breaks: {record.breaks}"),
    )


def told(record: Record) -> str:
    """A record's outcome in words."""
    if record.outcome is Outcome.KILLED:
        known = ", though it is recorded as a survivor" if record.survives else ""
        return f"killed by {record.case} ({record.verdict}){known}"
    if record.outcome is Outcome.SURVIVED:
        why = f": {record.survives}" if record.survives else ""
        moody = f"; failed once, not again: {', '.join(record.unsteady)}" if record.unsteady else ""
        return f"survived {many(record.cases, 'case')}{why}{moody}"
    return f"{record.outcome.value}: {record.reason}"


def unmutated_case(unmutated: Mapping[str, str], series: str) -> CaseResult:
    """The series as it is, as the first case of a run: FAIL where it does not pass the suites itself."""
    shown = ", ".join(f"{name} ({verdict})" for name, verdict in unmutated.items())
    return CaseResult(
        suite="mutants",
        program=series,
        case="unmutated",
        verdict=Verdict.FAIL if unmutated else Verdict.PASS,
        reason=f"cannot kill, as the series itself does not pass: {shown}" if unmutated else "",
    )


def table(records: Sequence[Record]) -> list[str]:
    """The table, a line a mutant: its name, what became of it, time, and by which case or why."""
    rows = [("mutant", "outcome", "time", "by")]
    rows += [
        (
            record.name,
            record.outcome.value + (" (recorded)" if record.survives else ""),
            duration(record.seconds),
            f"{record.verdict:<7} {record.case}" if record.case else record.survives or record.reason,
        )
        for record in records
    ]
    name, outcome, spent = (max(len(row[column]) for row in rows) for column in range(3))
    return [f"{row[0]:{name}}  {row[1]:{outcome}}  {row[2]:>{spent}}  {row[3]}".rstrip() for row in rows]


def summary(report: Report) -> str:
    """The whole in a line."""
    number = Counter(record.outcome for record in report.mutants)
    known = sum(record.outcome is Outcome.SURVIVED and bool(record.survives) for record in report.mutants)
    words = [f"{number[outcome]} {outcome}" for outcome in Outcome if number[outcome] or outcome is Outcome.KILLED]
    if known:
        words.append(f"{known} of the survivors recorded")
    kept = sum(record.run != report.run for record in report.mutants)
    if kept:
        words.append(f"{kept} known from earlier runs")
    if report.missing:
        words.append(f"{len(report.missing)} not run")
    mean = f"; {duration(mean_seconds(report.mutants))} each" if report.mutants else ""
    return f"{many(len(report.mutants), 'mutant')}: {', '.join(words)}{mean}"


def mean_seconds(records: Sequence[Record]) -> float:
    """What a mutant costs on average, in seconds, from its build to the second guest that agrees."""
    return sum(record.seconds for record in records) / len(records) if records else 0.0


def markdown(records: Sequence[Record]) -> str:
    """The table for a README: each mutant, what it breaks, and the case that killed it or why none does."""
    rows = ["| mutant | breaks | killed by |", "|---|---|---|"]
    for record in records:
        ended = f"`{record.case}`" if record.case else f"{record.outcome}: {record.survives or record.reason}"
        rows.append(f"| `{record.name}` | {record.breaks} | {ended} |")
    return "\n".join(rows) + "\n"
