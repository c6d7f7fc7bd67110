# SPDX-License-Identifier: GPL-2.0-only
"""From what a program and the kernel's console said to verdicts (DESIGN, "Verdicts"). Pure: no guest, no clock.

A result line is held until the console has come as far, so that a splat of that case is not missed: the library
writes ``harness: case begin`` and ``end`` to the kernel log, and what lies between two begins belongs to the first.
Where the console has no such marks, time decides: a splat belongs to the case that is running.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.display import printable
from harness.splat import Splat, case_mark
from harness.splat.rules import HARMLESS
from harness.splat.taint import Flag, notes, taint_splat
from harness.suite.catalogue import Program
from harness.suite.ktap import BailOut, Diagnostic, Noise, Parser, Plan, Problem, Result, Subresult
from harness.suite.watch import Watch
from harness.values import CaseResult, Verdict

WHOLE_PROGRAM = "*"  # stands for the program itself, where what is wrong is not one case's
EXPECT_SPLAT = "expect-splat:"
SPOILT = "spoilt:"
HOST = "host:"  # a request (harness.suite.host_requests)

_DIAGNOSTICS_LIMIT = 200
_CONSOLE_SHOWN = 30
_SPLAT_SHOWN = 60
_PROBLEM_LIMIT = 100
_ANNOUNCED_LIMIT = 100  # splats that a case can announce; the rest is none that it announced
_SPLATS_SHOWN = 5
_SPLATS_KEPT = 64
_TITLES_KEPT = 1000
SIGNAL_STATUS = range(129, 193)  # a shell's, for a program that a signal ended


@dataclass(slots=True)
class _Case:
    """What is known of one case so far."""

    name: str
    begun: float
    verdict: Verdict | None = None
    reason: str = ""
    ended: float = 0.0
    diagnostics: deque[str] = field(default_factory=lambda: deque(maxlen=_DIAGNOSTICS_LIMIT))
    console: deque[str] = field(default_factory=lambda: deque(maxlen=_CONSOLE_SHOWN))
    expected: list[str] = field(default_factory=list)
    splats: list[Splat] = field(default_factory=list)
    taints: list[Flag] = field(default_factory=list)
    _titles: set[str] = field(default_factory=set)
    unheard: int = 0  # lines of the console that came too fast to be looked at

    def unannounced(self) -> list[Splat]:
        """The splats that the case did not announce."""
        return [splat for splat in self.splats if not any(splat.matches(regex) for regex in self.expected)]

    def add(self, splats: Sequence[Splat]) -> None:
        """Keep the splats that say something new: all of the first, then one of each title."""
        for splat in splats:
            new = splat.title not in self._titles and len(self._titles) < _TITLES_KEPT
            if len(self.splats) < _SPLATS_KEPT or new:
                self.splats.append(splat)
            if new:
                self._titles.add(splat.title)

    def announce(self, regex: str) -> None:
        """The case expects a splat."""
        if len(self.expected) < _ANNOUNCED_LIMIT:
            self.expected.append(regex.strip())


class Judge:
    """Judges one run of a program with some of its cases.

    Feed it what arrives (:meth:`line`, :meth:`console`), then one of :meth:`ended`, :meth:`overdue`, :meth:`lost`.
    Each returns the results that are final by then; ``remaining`` are the cases that still have to be run.
    """

    def __init__(
        self,
        program: Program,
        cases: Sequence[str],
        *,
        now: float,
        require_feature: bool = False,
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch or Watch()
        self._program = program
        self._cases = {name: _Case(name, now) for name in cases}
        self._order = {name: number for number, name in enumerate(cases)}
        self._require_feature = require_feature
        self._parser = Parser()
        self._scanner = self._watch.scanner
        self._problems: list[str] = []
        self._running: str | None = next(iter(self._cases))
        self._marked: str | None = None
        self._ended_marks: set[str] = set()
        self._held: deque[str] = deque()
        self._released: set[str] = set()
        self._told = False
        self._skip_all = ""  # of a plan of none: "1..0 # SKIP reason"
        self._whole_verdict = Verdict.FAIL
        self.any_case_begun = False  # whether the program came as far as a case
        self.spoilt_by: dict[str, str] = {}  # cases that say that the guest must not be used on, with their reason

    @property
    def running(self) -> str | None:
        """The case that is running: begun by its mark, else the first in order that has no result."""
        if self._marked is not None and self._cases[self._marked].verdict is None:
            return self._marked
        return self._running

    @property
    def crashed(self) -> bool:
        """Whether the running case has a splat that it did not announce: it is a CRASH, whatever it says."""
        return self.running is not None and bool(self._cases[self.running].unannounced())

    @property
    def remaining(self) -> tuple[str, ...]:
        """The cases without a verdict."""
        return tuple(name for name, case in self._cases.items() if case.verdict is None)

    @property
    def settled(self) -> bool:
        """Whether the console has come as far as the results: nothing more of it needs waiting for."""
        marked = self._ended_marks
        return bool(marked) and (not self._held or self._held[-1] in marked) and not self._scanner.open

    def line(self, text: str, now: float) -> list[CaseResult]:
        """A line of the program's standard output."""
        for event in self._parser.feed(text):
            match event:
                case Diagnostic(text=said):
                    self._diagnostic(said)
                case Noise(text=said):
                    self._note(said)
                case Subresult(name=name, verdict=verdict):
                    self._note(f"{verdict} {name}")
                case Plan(count=0, reason=reason) if reason:
                    self._skip_all = reason
                case Plan(count=count) if count != len(self._cases):
                    self._problem(f"a plan of {count} where {len(self._cases)} cases were asked for")
                case Problem(text=said):
                    self._problem(said)
                case Result():
                    self._result(event, now)
                case BailOut() | _:
                    pass
        return self._release(now)

    def console(self, text: str, now: float, *, asked: bool = False) -> list[CaseResult]:
        """A line of the kernel's console; one that was ``asked`` for is not shown with the case."""
        if mark := case_mark(text):
            self._scanner.feed(text)
            self._mark(*mark, now)
            return self._release(now)
        case = self._console_case()
        if case is None:
            return []
        if not asked:
            case.console.append(text)
        case.add(self._scanner.feed(text))
        return []

    def unheard(self, lines: int) -> None:
        """Lines of the console were dropped, since they came faster than they could be looked at."""
        if (case := self._console_case()) is not None:
            case.unheard += lines

    def tick(self, now: float, *, patience: float) -> list[CaseResult]:
        """Time went by: without any mark on the console, results are held no longer than ``patience`` seconds."""
        if self._marked is None and self._held and now - self._cases[self._held[0]].ended >= patience:
            return self._release(now, everything=True)
        return []

    def ended(self, status: int, now: float, *, stderr: str = "") -> list[CaseResult]:
        """The program ended with an exit status. Cases that it killed itself before stay ``remaining``."""
        killed = status in SIGNAL_STATUS
        for event in self._parser.finish():
            if isinstance(event, Problem) and not killed:
                self._problem(event.text)
        if self._skip_all and status in (0, 4):
            verdict = Verdict.FAIL if self._require_feature or self._problems else Verdict.SKIP
            for name in self.remaining:
                self._set(name, verdict, self._skip_all, now)
        missing = self.remaining
        why = f"the program ended with exit status {status}"
        tail = printable(" ".join(stderr.split())[-300:])
        if killed and self.running in missing:
            self._fail(self.running or missing[0], f"{why} (signal {status - 128}) during this case", now)
        else:
            for name in missing:
                self._fail(name, f"planned, but no result came; {why}{': ' if tail else ''}{tail}", now)
            if complaint := self._status_complaint(status, missing):
                self._problem(complaint)
        return self._conclude(now)

    def overdue(self, reason: str, now: float, *, case: str | None = None) -> list[CaseResult]:
        """The running case is over its deadline, or ``case``, which was running then: the guest may have gone on."""
        return self._cut_short(Verdict.TIMEOUT, "the program did not end after its last case", reason, now, case)

    def lost(self, reason: str, now: float, *, case: str | None = None) -> list[CaseResult]:
        """The guest or the way to it is gone, while the running case or ``case`` ran."""
        return self._cut_short(Verdict.LOST, "no exit status came", reason, now, case)

    def _cut_short(self, verdict: Verdict, between: str, reason: str, now: float, case: str | None) -> list[CaseResult]:
        name = case if case is not None else self.running
        if name is not None and self._cases[name].verdict is None:
            self._set(name, verdict, reason, now)
        elif name is None:
            self._whole_verdict = verdict
            self._problem(f"{between}: {reason}")
        return self._conclude(now)

    def note(self, text: str) -> None:
        """A line of evidence for the running case."""
        self._note(text)

    def _diagnostic(self, said: str) -> None:
        if said.startswith(HOST):
            return  # as many as it likes, and none says why it failed
        self._note(said)
        if said.startswith(EXPECT_SPLAT) and self._running is not None:
            self._cases[self._running].announce(said.removeprefix(EXPECT_SPLAT))
        if said.startswith(SPOILT) and self._running is not None:
            self.spoilt_by.setdefault(self._running, said.removeprefix(SPOILT).strip() or "no reason given")

    def _problem(self, text: str) -> None:
        if len(self._problems) < _PROBLEM_LIMIT:  # a program can repeat one for ever
            self._problems.append(text)

    def _note(self, said: str) -> None:
        name = self._running or next(reversed(self._cases))
        self._cases[name].diagnostics.append(said)

    def _result(self, result: Result, now: float) -> None:
        self.any_case_begun = True
        case = self._cases.get(result.name)
        if case is None:
            self._problem(f"a result for '{result.name[:80]}', which was not asked for")
            return
        if case.verdict is not None:
            self._problem(f"a second result for '{result.name}'")
            return
        if self._running is not None and self._running != case.name:
            case.diagnostics.extend(self._cases[self._running].diagnostics)
            for text in self._cases[self._running].expected:
                case.announce(text)
            self._cases[self._running].diagnostics.clear()
            self._cases[self._running].expected.clear()
        verdict, reason = result.verdict()
        if verdict is Verdict.FAIL and not reason and case.diagnostics:
            reason = case.diagnostics[-1]
        if verdict is Verdict.SKIP and self._require_feature:
            verdict, reason = Verdict.FAIL, f"skipped, and every feature was required: {reason}"
        if verdict.good and self._problems:
            verdict, reason = Verdict.FAIL, f"reported as {verdict}, but the report is broken: {self._problems[0]}"
            self._told = True
        self._set(case.name, verdict, reason, now)

    def _set(self, name: str, verdict: Verdict, reason: str, now: float) -> None:
        case = self._cases[name]
        case.verdict, case.reason, case.ended = verdict, reason, now
        self._held.append(name)
        self._running = next(iter(self.remaining), None)
        if self._running is not None and self._marked != self._running:
            self._cases[self._running].begun = now

    def _fail(self, name: str, reason: str, now: float) -> None:
        self._set(name, Verdict.FAIL, reason, now)

    def _mark(self, what: str, full_name: str, rest: str, now: float) -> None:
        program, _, name = full_name.rpartition(":")
        if program != self._program.full_name or name not in self._cases:
            return
        flags = self._watch.taint.mark(rest) if what != "expects" else ()
        if flags:  # up to a case's begin they are of the case before, where there is one
            before = self._marked if what == "begin" and self._marked is not None else name
            self._cases[before].taints += flags
        if what == "expects":
            self._cases[name].announce(rest)
        elif what == "end":
            self._ended_marks.add(name)
        elif self._cases[name].verdict is None or name in self._held:
            self._marked = name
            self.any_case_begun = True
            self._cases[name].begun = min(now, self._cases[name].ended or now)

    def _console_case(self) -> _Case | None:
        """The case that a line of the console belongs to."""
        name = self._marked if self._marked is not None else self._running
        if name is not None and name in self._released:  # only after the end of the program's own report
            name = self._running
        return self._cases[name] if name is not None else next(reversed(self._cases.values()))

    def _release(self, now: float, *, everything: bool = False) -> list[CaseResult]:
        """The results whose part of the console is complete: a later case has begun on it."""
        final = []
        while self._held:
            name = self._held[0]
            passed_by = self._marked is not None and self._order[self._marked] > self._order[name]
            if not (everything or passed_by):
                break
            self._held.popleft()
            self._released.add(name)
            final.append(self._final(self._cases[name]))
        return final

    def _conclude(self, now: float) -> list[CaseResult]:
        self._scanner.flush()
        final = self._release(now, everything=True)
        if self._problems and not (self._told and len(self._problems) == 1):
            reason = "; ".join(dict.fromkeys(self._problems[:5]))
            final.append(self._case_result(_Case(WHOLE_PROGRAM, now, ended=now), self._whole_verdict, reason))
        self._problems = []
        return final

    def _final(self, case: _Case) -> CaseResult:
        assert case.verdict is not None
        kinds = {splat.kind for splat in case.splats}
        if (tainted := taint_splat(case.taints, kinds)) is not None:
            case.splats.append(tainted)
        case.diagnostics.extend(notes(case.taints))
        self._watch.announced = tuple(case.expected)
        splats = case.unannounced()
        if not splats:
            harm = [splat.title for splat in case.splats if splat.kind not in HARMLESS]
            if harm:
                self.spoilt_by.setdefault(case.name, f"it announced {harm[0]}")
            if case.unheard and case.verdict.good:
                reason = (
                    f"{case.unheard} lines of the console came too fast to be looked at; the case said {case.verdict}"
                )
                return self._case_result(case, Verdict.FAIL, reason)
            return self._case_result(case, case.verdict, case.reason)
        said = f"; the case itself said {case.verdict}" if case.verdict is not Verdict.LOST else "; the guest is gone"
        return self._case_result(case, Verdict.CRASH, f"{splats[0].title}{said}", splats)

    def _case_result(self, case: _Case, verdict: Verdict, reason: str, splats: Sequence[Splat] = ()) -> CaseResult:
        lines = list(case.diagnostics)
        if splats:
            lines += [f"console: {line}" for splat in splats[:_SPLATS_SHOWN] for line in splat.lines[:_SPLAT_SHOWN]]
            if len(splats) > _SPLATS_SHOWN:
                lines.append(f"console: … and {len(splats) - _SPLATS_SHOWN} more splats")
        elif not verdict.good:
            lines += [f"console: {line}" for line in case.console]
        return CaseResult(
            suite=self._program.suite,
            program=self._program.name,
            case=case.name,
            verdict=verdict,
            reason=reason or ("" if verdict is Verdict.PASS else "no reason given"),
            seconds=max(0.0, case.ended - case.begun),
            diagnostics=tuple(lines),
            splat=splats[0].title if splats else None,
            fingerprint=splats[0].fingerprint if splats else None,
            crash=splats[0].crash() if splats else None,
        )

    def _status_complaint(self, status: int, missing: Sequence[str]) -> str | None:
        """What is wrong with an exit status, given the results; None where it fits or a missing case says it."""
        if missing:
            return None
        verdicts = [case.verdict for case in self._cases.values()]
        bad = any(verdict is not None and not verdict.good for verdict in verdicts)
        claimed_bad = bad and not self._told
        skipped = all(verdict is Verdict.SKIP for verdict in verdicts)
        if status == 0 and claimed_bad and not self._require_feature:
            return "exit status 0 though a case did not pass"
        if status == 1 and not bad:
            return "exit status 1 though no case failed"
        if status == 4 and not skipped and not self._require_feature:
            return "exit status 4 (skipped) though not every case was skipped"
        if status not in (0, 1, 4):
            return f"the program ended with exit status {status} after its last case"
        return None
