# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts on a program that is not ours: a kselftest of the kernel tree, whose cases nobody knows beforehand.

Each result of its report is a case, where the report is whole. The case :data:`PROGRAM` stands for the program itself:
the only one of a program without a report, judged by its exit status (0 pass, 4 skip, all else a failure); beside other
cases it is there only where something is wrong with the whole (a plan not kept, a signal, a splat, a deadline). Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from harness.display import printable
from harness.splat import Splat, case_mark
from harness.splat.rules import HARMLESS
from harness.splat.taint import Flag, taint_splat
from harness.suite import expected
from harness.suite.catalogue import Program
from harness.suite.report import Report, ReportedCase
from harness.suite.watch import Watch
from harness.values import CaseResult, Expectation, Verdict

PROGRAM = "program"

_SKIP_STATUS = 4
_SIGNALS = range(129, 193)
_CONSOLE_SHOWN = 30
_SPLAT_SHOWN = 60
_ERRORS_SHOWN = 30
_SPLATS_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignProgram(Program):
    """A program of the kernel's own selftests. ``words`` is its command in the guest.

    ``known`` are its known failures; ``splats`` what it provokes on purpose (regular expressions); ``only`` the cases
    whose results are wanted (all where empty); ``refused`` why it is not run, with the verdict for that.
    """

    words: tuple[str, ...]
    known: tuple[Expectation, ...] = ()
    splats: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    refused: tuple[Verdict, str] | None = None


class ForeignJudge:
    """Judges one run of a foreign program; nothing is certain before its end.

    Feed it what arrives (:meth:`line`, :meth:`console`), then one of :meth:`ended`, :meth:`overdue`, :meth:`lost`.
    """

    def __init__(
        self, program: ForeignProgram, *, now: float, require_feature: bool = False, watch: Watch | None = None
    ) -> None:
        self._watch = watch or Watch()
        self._watch.announced = program.splats
        self._program = program
        self._started = now
        self._require_feature = require_feature
        self._report = Report()
        self._scanner = self._watch.scanner
        self._splats: list[Splat] = []
        self._taints: list[Flag] = []
        self._unheard = 0
        self.spoilt_by: dict[str, str] = {}  # case → why the guest is not fit for another program after it
        self._console: deque[str] = deque(maxlen=_CONSOLE_SHOWN)
        self._end_marked = False
        self._notes: list[str] = []
        self.any_case_begun = False

    @property
    def running(self) -> str | None:
        """The program as a whole, at any time."""
        return PROGRAM

    @property
    def crashed(self) -> bool:
        """Whether there is a splat that the program does not provoke: it is a CRASH, whatever it says."""
        return bool(self._unannounced())

    @property
    def settled(self) -> bool:
        """Whether the console has come as far as the program's end."""
        return self._end_marked and not self._scanner.open

    def line(self, text: str, now: float) -> list[CaseResult]:
        """A line of the program's standard output."""
        self.any_case_begun = True
        self._report.feed(text, now)
        return []

    def note(self, text: str) -> None:
        """A line of evidence for the program as a whole."""
        self._notes.append(text)

    def console(self, text: str, now: float, *, asked: bool = False) -> list[CaseResult]:
        """A line of the kernel's console; one that was ``asked`` for is not shown."""
        splats = self._scanner.feed(text)
        mark = case_mark(text)
        if mark is not None:
            self._end_marked = self._end_marked or mark[:2] == ("end", f"{self._program.full_name}:{PROGRAM}")
            if mark[1] == f"{self._program.full_name}:{PROGRAM}":
                self._taints += self._watch.taint.mark(mark[2])
            return []
        if not asked:
            self._console.append(text)
        self._splats += splats[: max(0, _SPLATS_KEPT - len(self._splats))]
        return []

    def unheard(self, lines: int) -> None:
        """Lines of the console were dropped, since they came faster than they could be looked at."""
        self._unheard += lines

    def tick(self, now: float, *, patience: float) -> list[CaseResult]:
        """Time went by; nothing is held for it."""
        return []

    def ended(self, status: int, now: float, *, stderr: str = "") -> list[CaseResult]:
        """The program ended with an exit status."""
        report = self._report
        report.finish()
        errors = tuple(f"stderr: {printable(line)}" for line in stderr.splitlines() if line.strip())[-_ERRORS_SHOWN:]
        problems = report.broken(skipped=status == _SKIP_STATUS)
        verdict, reason = self._whole(status, problems, errors)
        return self._results(verdict, reason, now, errors)

    def overdue(self, reason: str, now: float, *, case: str | None = None) -> list[CaseResult]:
        """The program is over its deadline, whatever ``case`` was running."""
        return self._results(Verdict.TIMEOUT, f"{reason}{self._how_far()}", now, ())

    def lost(self, reason: str, now: float, *, case: str | None = None) -> list[CaseResult]:
        """The guest or the way to it is gone, whatever ``case`` was running."""
        return self._results(Verdict.LOST, f"{reason}{self._how_far()}", now, ())

    def _how_far(self) -> str:
        report = self._report
        planned = f" of {report.plan}" if report.plan is not None else ""
        last = f", the last line: {report.last_line[:200]}" if report.last_line else ""
        return f"; {len(report.cases)}{planned} results had come{last}"

    def _whole(self, status: int, problems: Sequence[str], errors: Sequence[str]) -> tuple[Verdict, str]:
        """The verdict on the program as a whole, from its report and its exit status."""
        report = self._report
        said = errors[-1].removeprefix("stderr: ") if errors else report.last_line
        if status in _SIGNALS:
            problems = [f"it was killed by signal {status - 128}", *problems]
        elif status in (126, 127) and not report.seen:
            problems = ["it cannot be run here", *problems]
        if problems:
            ends = f"exit status {status}{f': {said}' if said else ''}"
            return Verdict.FAIL, f"{'; '.join(dict.fromkeys(problems[:5]))} ({ends})"
        if report.plan == 0 and status in (0, _SKIP_STATUS):
            return Verdict.SKIP, report.skip_all
        if not report.cases:
            verdict = {0: Verdict.PASS, _SKIP_STATUS: Verdict.SKIP}.get(status, Verdict.FAIL)
            return verdict, "" if status == 0 else f"exit status {status}{f': {said}' if said else ''}"
        verdicts = {case.verdict for case in report.cases}
        bad = any(not verdict.good for verdict in verdicts)
        if status == _SKIP_STATUS and not bad and Verdict.SKIP not in verdicts:
            return Verdict.SKIP, f"exit status {status} after its cases passed{f': {said}' if said else ''}"
        if status not in (0, _SKIP_STATUS) and not bad:
            return Verdict.FAIL, f"exit status {status} though no case failed{f': {said}' if said else ''}"
        return Verdict.PASS, ""

    def _results(self, verdict: Verdict, reason: str, now: float, errors: tuple[str, ...]) -> list[CaseResult]:
        self._scanner.flush()
        if (tainted := taint_splat(self._taints, {splat.kind for splat in self._splats})) is not None:
            self._splats.append(tainted)
        harm = [splat.title for splat in self._splats if splat.kind not in HARMLESS]
        if self._unheard and verdict.good:
            reason = f"{self._unheard} lines of the console came too fast to be looked at; the program's own: {verdict}"
            verdict = Verdict.FAIL
        cases = self._report.cases
        found = []
        before = self._started
        for case in cases:
            found.append(self._case(case, max(0.0, case.ended - before), errors))
            before = max(before, case.ended)
        if verdict is not Verdict.PASS or not cases:
            seconds = now - (self._started if not cases else before)
            said = (*self._report.diagnostics, *errors, *self._notes)
            found.append(self._result(PROGRAM, verdict, reason, seconds, said))
        found = expected.apply(found, self._program.known, whole=PROGRAM, parents=_parents(cases))
        found = [self._required(result) for result in found]
        if self._program.only:
            found = self._wanted(found)
        if splats := self._unannounced():
            found.append(self._crash(found, splats))
        elif harm and found:
            self.spoilt_by[found[-1].case] = f"it provoked {harm[0]}"
        return found

    def _unannounced(self) -> list[Splat]:
        return [splat for splat in self._splats if not any(map(splat.matches, self._program.splats))]

    def _case(self, case: ReportedCase, seconds: float, errors: tuple[str, ...]) -> CaseResult:
        """A case's result; kselftest_harness.h writes why a case failed to standard error, with the case's name."""
        said: tuple[str, ...] = ()
        reason = case.reason
        if case.verdict is Verdict.FAIL:
            own = case.name.rpartition(".")[2]
            said = tuple(line for line in errors if own in line)
            first = said[0].removeprefix("stderr: ").removeprefix("# ") if said else ""
            reason = first or reason
        return self._result(case.name, case.verdict, reason, seconds, (*case.diagnostics, *said))

    def _required(self, result: CaseResult) -> CaseResult:
        if result.verdict is not Verdict.SKIP or not self._require_feature:
            return result
        reason = f"skipped, and every feature was required: {result.reason}"
        return self._result(result.case, Verdict.FAIL, reason, result.seconds, result.diagnostics)

    def _wanted(self, found: Sequence[CaseResult]) -> list[CaseResult]:
        """The results that were asked for, and the program's own; one that did not come is no pass."""
        come = {result.case for result in found}
        missing = [name for name in self._program.only if name not in come]
        whole = next((result.reason for result in found if result.case == PROGRAM), "")
        why = f"the program gave no result for it{f': {whole}' if whole else ''}"
        return [
            *(result for result in found if result.case in self._program.only or result.case == PROGRAM),
            *(self._result(name, Verdict.FAIL, why, 0.0, ()) for name in missing),
        ]

    def _crash(self, found: list[CaseResult], splats: Sequence[Splat]) -> CaseResult:
        """The splats of the program's time, in place of its own verdict."""
        own = next((result for result in found if result.case == PROGRAM), None)
        if own is not None:
            found.remove(own)
        first = splats[0].title
        said = f"; the program itself: {own.verdict} {own.reason}" if own is not None else ""
        lines = [f"console: {line}" for splat in splats[:5] for line in splat.lines[:_SPLAT_SHOWN]]
        seconds = own.seconds if own is not None else 0.0
        return self._result(PROGRAM, Verdict.CRASH, f"{first}{said}", seconds, lines, splat=splats[0])

    def _result(
        self,
        case: str,
        verdict: Verdict,
        reason: str,
        seconds: float,
        diagnostics: Sequence[str],
        *,
        splat: Splat | None = None,
    ) -> CaseResult:
        lines = list(diagnostics)
        if not verdict.good and case == PROGRAM and splat is None:
            lines += [f"console: {line}" for line in self._console]
        return CaseResult(
            suite=self._program.suite,
            program=self._program.name,
            case=case,
            verdict=verdict,
            reason=reason or ("" if verdict is Verdict.PASS else "no reason given"),
            seconds=max(0.0, seconds),
            diagnostics=tuple(lines),
            splat=splat.title if splat is not None else None,
            fingerprint=splat.fingerprint if splat is not None else None,
            crash=splat.crash() if splat is not None else None,
        )


def _parents(cases: Sequence[ReportedCase]) -> dict[str, list[str]]:
    """Case → the cases of its own report, for those whose report is whole."""
    return {case.name: [child.name for child in cases if child.parent == case.name] for case in cases if case.whole}
