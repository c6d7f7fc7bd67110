# SPDX-License-Identifier: GPL-2.0-only
"""A report of a kselftest of the kernel's own: TAP 13 and KTAP as these programs really write them.

Their habits, other than those that :mod:`harness.suite.ktap` demands of our own: the cases are not known before; the
plan may come last or not at all (``cgroup/test_core``: no version line either); a skipped case has its name where the
reason belongs (``ok 3 # SKIP test_x``); a report inside a report has each line behind ``# `` (``mm/run_vmtests.sh``,
where it may begin with its plan: ``mm/mremap_test``) or behind blanks. What a report promises must be kept all the
same: each breach is a problem.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field, replace

from harness.display import printable
from harness.suite.ktap import LINE_LIMIT, Result, description
from harness.values import Verdict

_VERSION = re.compile(r"(?:KTAP version 1|TAP version 1[34])\s*$")
_PLAN = re.compile(r"1\.\.(\d{1,9})\s*(?:#\s*(?:SKIP\b)?:?\s*(.*))?$", re.IGNORECASE)
_RESULT = re.compile(r"(ok|not ok)(?:[ \t]+(\d{1,9}))?(?:[ \t]+(.*))?$")
_BAIL_OUT = re.compile(r"Bail out!\s*(.*)$", re.IGNORECASE)
_RUN = re.compile(r"\[RUN\]\s*(.+)$")
_NO_NAME = re.compile(r"[^A-Za-z0-9_.+-]+")
_NAME_LIMIT = 100
_KEPT = 200  # diagnostics of a case
_PROBLEM_LIMIT = 50
_CASE_LIMIT = 100_000
_DEPTH_LIMIT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedCase:
    """A result line. ``parent`` is the name of the case whose own report holds it, ``ended`` a time in seconds.

    ``whole`` says of a case with a report of its own that this one is complete, so that its cases tell all.
    """

    name: str
    verdict: Verdict
    reason: str
    ended: float
    diagnostics: tuple[str, ...] = ()
    parent: str = ""
    whole: bool = False


@dataclass(slots=True)
class Report:
    """Takes a program's standard output line by line (:meth:`feed`), then its end (:meth:`finish`)."""

    depth: int = 0
    versions: int = 0
    plan: int | None = None
    skip_all: str = ""  # the reason of a plan of none
    cases: list[ReportedCase] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    last_line: str = ""  # the last that was no TAP, for a program that has no report
    shortfall: str = ""  # what the plan still owes at the end
    _results: int = 0
    _due: int = 1  # the number of the next result
    _misnumbered_skip: str = ""
    _diagnostics: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _run: str = ""  # of a "[RUN] what" line since the last result
    _names: dict[str, int] = field(default_factory=dict)
    _below: Report | None = None

    @property
    def seen(self) -> bool:
        """Whether there is a report at all."""
        return bool(self.versions) or self.plan is not None or bool(self._results)

    @property
    def _inside(self) -> Report | None:
        """The report inside this one that goes on; a line like a plan after which nothing came was none."""
        below = self._below
        return below if below is not None and (below.versions or below._results or below.plan == 0) else None

    @property
    def diagnostics(self) -> tuple[str, ...]:
        """What came after the last result."""
        return tuple(self._diagnostics)

    def feed(self, line: str, now: float) -> None:
        """One line (without its line feed) at a time in seconds."""
        text = line.rstrip()[:LINE_LIMIT]
        if not text:
            return
        if _VERSION.match(text):
            self.versions += 1
            if self.versions > 1:
                self._problem("the report began a second time")
        elif match := _PLAN.match(text):
            self._plan(int(match[1]), printable(match[2] or "").strip())
        elif (match := _RESULT.match(text)) and (match[2] or self.versions):
            self._result(match, now)
        elif match := _BAIL_OUT.match(text):
            self._problem(f"the program bailed out: {printable(match[1]).strip() or 'no reason given'}")
        else:
            self._other(text, now)

    def finish(self) -> None:
        """The end of the output: what is missing becomes a problem."""
        if self._inside is not None and self._inside.seen:
            self._problem("a report inside it was cut short")
        if not self.seen:
            return
        if self.plan is None and not self._results:
            self._problem("the report has neither plan nor result")
        elif self.plan is not None and self._results != self.plan:
            self.shortfall = f"{self._results} results where {self.plan} were planned"

    def broken(self, *, skipped: bool) -> list[str]:
        """What is wrong with the finished report; ``skipped``: the program said by its exit status that it skips.

        kselftest.h's ``ksft_exit_skip`` leaves a plan behind that it does not keep: the rest is skipped. It also counts
        itself twice, so that its own number is one too high.
        """
        rest_skipped = skipped and bool(self.cases) and self.cases[-1].verdict is Verdict.SKIP
        left = [] if rest_skipped else [text for text in (self._misnumbered_skip, self.shortfall) if text]
        return [*self.problems, *left]

    def _plan(self, count: int, reason: str) -> None:
        if self.plan is not None:
            self._problem(f"a second plan, {count} after {self.plan}")
            return
        self.plan = count
        if count == 0:
            self.skip_all = reason or self.last_line or "no reason given"

    def _other(self, text: str, now: float) -> None:
        """A diagnostic, a line of a report inside this one, stray output."""
        plain = printable(text.removeprefix("#").removeprefix(" ") if text.startswith("#") else text)
        if self._below is None and (match := _RUN.search(plain)):
            self._run = match[1]
        self._diagnostics.append(plain)
        self.last_line = plain.strip() or self.last_line
        inner = text[1:].removeprefix(" ") if text.startswith("#") else text.lstrip() if text[0] in " \t" else ""
        if not inner or self.depth >= _DEPTH_LIMIT:
            return
        begins = _VERSION.match(inner.rstrip()) or (text.startswith("#") and _PLAN.match(inner.rstrip()))
        if self._below is None and begins:
            self._below = Report(depth=self.depth + 1)
        if self._below is not None:
            self._below.feed(inner, now)

    def _result(self, match: re.Match[str], now: float) -> None:
        self._results += 1
        number = int(match[2]) if match[2] else self._results
        again = number == 1 and self.plan is None and not self.versions  # one planless report after another
        if number != self._due and not again:
            problem = f"result number {number} where {self._due} was due"
            if "# SKIP" in (match[3] or "") and number == self._due + 1:
                self._misnumbered_skip = problem
            else:
                self._problem(problem)
        self._due = number + 1 if again else self._due + 1
        if len(self.cases) >= _CASE_LIMIT:
            self._problem(f"more than {_CASE_LIMIT} results")
            return
        text, directive, reason = description(match[3] or "")
        below, self._below = self._inside, None
        verdict, why = self._judged(Result(number=number, name=text, ok=match[1] == "ok", directive=directive,
                                           reason=reason), below)  # fmt: skip
        name = self._unique(self._title(text or reason), number)
        whole = False
        if below is not None:
            below.finish()
            problems = below.broken(skipped=verdict is Verdict.SKIP)
            whole = not problems and bool(below.cases)
            self.cases += (
                replace(case, name=f"{name}.{case.name}", parent=f"{name}.{case.parent}" if case.parent else name)
                for case in below.cases
            )
            if problems and verdict in (Verdict.PASS, Verdict.SKIP):
                verdict, why = Verdict.FAIL, f"reported as {verdict}, but its own report is broken: {problems[0]}"
            if whole and verdict is Verdict.PASS and all(case.verdict is Verdict.SKIP for case in below.cases):
                verdict, why = Verdict.SKIP, f"all in it was skipped: {below.cases[0].reason}"
        said = tuple(self._diagnostics)
        self._diagnostics.clear()
        self.cases.append(
            ReportedCase(name=name, verdict=verdict, reason=why, ended=now, diagnostics=said, whole=whole)
        )

    def _judged(self, result: Result, below: Report | None) -> tuple[Verdict, str]:
        last = next((line for line in reversed(self._diagnostics) if line.strip(" -=#")), "")
        if result.directive == "SKIP":
            inner = below.skip_all if below is not None else ""
            told = result.reason if result.name or " " in result.reason else ""  # else it is the case's name
            return Verdict.SKIP, told or inner or last or "it gives no reason"
        verdict, why = result.verdict()
        if verdict is Verdict.FAIL:
            failed = [case.name for case in below.cases if not case.verdict.good] if below is not None else []
            more = f"failed in it: {', '.join(failed[:5])}{', …' if len(failed) > 5 else ''}" if failed else last
            why = "; ".join(part for part in (why, more) if part)
        return verdict, why

    def _title(self, text: str) -> str:
        """A result's name; the same result is told of several runs, which a ``[RUN] what`` line before it names."""
        run, self._run = self._run, ""
        return f"{run}: {text}" if run and run not in text else text

    def _unique(self, text: str, number: int) -> str:
        name = _NO_NAME.sub("_", text).strip("_.")[:_NAME_LIMIT].strip("_.") or str(number)
        self._names[name] = self._names.get(name, 0) + 1
        return name if self._names[name] == 1 else f"{name}-{self._names[name]}"

    def _problem(self, text: str) -> None:
        if len(self.problems) < _PROBLEM_LIMIT:
            self.problems.append(text)
