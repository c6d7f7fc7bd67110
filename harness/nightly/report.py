# SPDX-License-Identifier: GPL-2.0-only
"""What a night found, for people: which cells, which cases, what is new since the last time; as text fit for a mail."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.display import duration, many, printable
from harness.errors import HarnessError
from harness.history.kinds import Classified
from harness.history.place import Place
from harness.nightly.cells import Cell
from harness.nightly.matrix import Matrix
from harness.nightly.remember import of_history
from harness.nightly.state import Book, CellState, Night, night_verdict
from harness.paths import Paths
from harness.results import folder as run_folders
from harness.results.folder import RunFolder
from harness.results.record import CaseRecord, Results
from harness.values import Verdict

_MOST_CASES = 40  # of one cell in the text: the page has all


@dataclass(frozen=True, slots=True, kw_only=True)
class BadCase:
    """A case that is no good; ``kind``: ``new``, ``known``, ``flaky`` (by the history), ``again`` (by the last night).

    ``told`` is what the history says of it in a few words.
    """

    case: CaseRecord
    kind: str
    told: str = ""

    @property
    def name(self) -> str:
        """``suite/program:case``."""
        return f"{self.case.suite}/{self.case.program}:{self.case.case}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellReport:
    """A cell of the matrix: ``state`` is None where nothing that decides it had moved (``said`` is its last result)."""

    key: str
    cell: Cell
    state: CellState | None
    results: Results | None
    bad: tuple[BadCase, ...] = ()
    fixed: tuple[str, ...] = ()
    said: str = ""

    @property
    def word(self) -> str:
        """Its verdict, or why it has none."""
        if self.state is None:
            return "as before"
        return {"done": self.state.verdict, "missed": "NOT RUN"}.get(self.state.status, self.state.status)

    @property
    def good(self) -> bool:
        """Whether it is done and well, or was not to be run."""
        return self.state is None or self.state.good

    @property
    def ran(self) -> bool:
        """Whether it came to an end in a run of its own."""
        return self.state is not None and self.state.status == "done" and bool(self.state.run) and not self.state.like

    @property
    def counts(self) -> str:
        """How many cases have which verdict."""
        return " ".join(f"{number} {name}" for name, number in (self.state.counts if self.state else {}).items())


@dataclass(frozen=True, slots=True, kw_only=True)
class NightReport:
    """A night with everything that its reports say. ``again`` is the command that runs it, or what is left of it.

    ``trouble`` is why the history says nothing, in a line.
    """

    matrix: Matrix
    night: Night
    cells: tuple[CellReport, ...]
    interrupted: bool
    again: str
    trouble: str = ""

    @property
    def verdict(self) -> Verdict:
        """The gravest of its cells."""
        return night_verdict(self.night)

    @property
    def ran(self) -> tuple[CellReport, ...]:
        """The cells of this night."""
        return tuple(one for one in self.cells if one.state is not None)

    @property
    def title(self) -> str:
        """One line, as the subject of a mail."""
        ran = self.ran
        good = sum(one.good for one in ran)
        new = sum(bad.kind == "new" for one in ran for bad in one.bad)
        said = f"{good} of {many(len(ran), 'cell')} passed"
        said += f", {many(new, 'new failure')}" if new else ""
        left = sum(one.state is not None and one.state.status != "done" for one in ran)
        said += f", {left} not run" if left else ""
        return f"[nightly {self.matrix.name}] {'interrupted' if self.interrupted else self.verdict}: {said}"


def report(
    matrix: Matrix,
    cells: Sequence[Cell],
    book: Book,
    night: Night,
    *,
    paths: Paths,
    interrupted: bool,
    again: str,
    history: Place | None = None,
) -> NightReport:
    """Put together what the night's runs left; a run folder that is gone leaves its cell without cases."""
    runs = [state.run for state in night.cells.values() if state.run and not state.like]
    classified, trouble = of_history(runs, history, paths=paths)
    found = []
    for cell in cells:
        state = night.cells.get(cell.key)
        known = book.known.get(cell.key)
        said = ""
        if state is None and known is not None:
            said = f"{known.verdict} on {time.strftime('%-d %b', time.localtime(known.when))} ({known.run})"
        results = _results(state.run, paths) if state is not None and not state.like else None
        before = _results(state.before, paths) if state is not None else None
        bad, fixed = _changes(results, before, classified.get(state.run) if state is not None else None)
        found.append(CellReport(key=cell.key, cell=cell, state=state, results=results, bad=bad, fixed=fixed, said=said))
    return NightReport(
        matrix=matrix, night=night, cells=tuple(found), interrupted=interrupted, again=again, trouble=trouble
    )


def _results(run: str, paths: Paths) -> Results | None:
    if not run:
        return None
    try:
        return run_folders.read_results(RunFolder(paths.runs / run))
    except HarnessError:
        return None


def _changes(
    now: Results | None, before: Results | None, classified: Classified | None
) -> tuple[tuple[BadCase, ...], tuple[str, ...]]:
    """The cases that are no good now, and those that were and are good again."""
    was = {_name(case): Verdict(case.verdict).good for case in before.cases} if before is not None else {}
    cases = now.cases if now is not None else ()
    kinds = {None: "new" if before is not None else "", True: "new", False: "again"}
    bad, fixed = [], []
    for case in cases:
        name = _name(case)
        if Verdict(case.verdict).good:
            if name in (classified.fixed if classified is not None else ()) or was.get(name) is False:
                fixed.append(name)
            continue
        said = classified.failures.get(name) if classified is not None else None
        kind = said.kind if said is not None else kinds[was.get(name)]
        bad.append(BadCase(case=case, kind=kind, told=said.told if said is not None else ""))
    return tuple(bad), tuple(fixed)


def _name(case: CaseRecord) -> str:
    return f"{case.suite}/{case.program}:{case.case}"


def times(night: Night) -> str:
    """When it was, how long it took, and of what."""
    when = time.strftime("%a %-d %b %Y %H:%M", time.localtime(night.started))
    guests = sum(one.guest_seconds for one in night.cells.values())
    said = f"{when}, {duration(night.wall)} ({duration(sum(night.builds.values()))} building, "
    said += f"{duration(guests)} in {sum(1 for one in night.cells.values() if one.guest_seconds)} guests)"
    if night.interruptions:
        said += f", gone on with after {many(night.interruptions, 'interruption')}"
    return said


def text(found: NightReport) -> str:
    """The report as plain text for a mail: the subject, then what moved, every cell, what failed and is fixed."""
    night = found.night
    lines = [found.title, "", f"{found.matrix.summary or found.matrix.path}", times(night), ""]
    lines += [f"  moved    {line}" for line in night.moved]
    lines += [f"  unmoved  {line}" for line in night.unmoved]
    lines += ["", *_table(found)]
    for one in found.ran:
        if not one.good:
            lines += ["", *_bad(one)]
    fixed = [f"  {one.cell.title}: {name}" for one in found.ran for name in one.fixed]
    if fixed:
        lines += ["", "fixed since the last time:", *fixed]
    lines += ["", f"note: {found.trouble}"] if found.trouble else []
    lines += ["", f"again: {found.again}"]
    return "\n".join(printable(line) for line in lines) + "\n"


def _table(found: NightReport) -> list[str]:
    width = max(len(one.cell.title) for one in found.cells)
    lines = []
    for one in found.cells:
        spent = duration(one.state.seconds) if one.state is not None and one.ran else ""
        said = one.counts or one.said
        lines.append(
            f"  {one.word:<9} {one.cell.title:<{width}}  {said}{'  ' if said and spent else ''}{spent}".rstrip()
        )
    return lines


def _bad(one: CellReport) -> list[str]:
    """A cell that is no good: why, and its cases."""
    assert one.state is not None
    like = f", as '{one.state.like}'" if one.state.like else ""
    run = f"  (run {one.state.run}{like})" if one.state.run else ""
    lines = [f"{one.word} {one.cell.title}{run}"]
    if one.results is None or one.results.failure is not None or not one.bad:
        lines.append(f"  {one.state.reason or 'it has no result'}")
    if one.results is not None and one.results.failure is not None:
        lines += [f"  | {line}" for line in one.results.failure.details[:10]]
    for bad in one.bad[:_MOST_CASES]:
        kind = f"{bad.kind:<6} " if bad.kind else ""
        lines.append(f"  {kind}{bad.case.verdict:<8}{bad.name}  {bad.case.splat or bad.case.reason}".rstrip())
        lines += [f"         {bad.told}"] if bad.told else []
    if len(one.bad) > _MOST_CASES:
        lines.append(f"  and {len(one.bad) - _MOST_CASES} more")
    return lines


def as_data(found: NightReport) -> Mapping[str, object]:
    """The report for ``--json``."""
    night = found.night
    return {
        "title": found.title,
        "night": night.id,
        "verdict": found.verdict.value,
        "interrupted": found.interrupted,
        "wall_seconds": round(night.wall, 3),
        "build_seconds": round(sum(night.builds.values()), 3),
        "guest_seconds": round(sum(one.guest_seconds for one in night.cells.values()), 3),
        "moved": night.moved,
        "unmoved": night.unmoved,
        "cells": [
            {
                "title": one.cell.title,
                **dict(zip(("source", "series", "fragments", "topology", "suites"), one.cell.values, strict=True)),
                "verdict": one.word,
                "reason": one.state.reason if one.state is not None else one.said,
                "run": one.state.run if one.state is not None else "",
                "seconds": one.state.seconds if one.state is not None else 0.0,
                "guest_seconds": one.state.guest_seconds if one.state is not None else 0.0,
                "counts": one.state.counts if one.state is not None else {},
                "bad": [{"case": bad.name, "verdict": bad.case.verdict, "kind": bad.kind} for bad in one.bad],
                "fixed": list(one.fixed),
            }
            for one in found.cells
        ],
    }
