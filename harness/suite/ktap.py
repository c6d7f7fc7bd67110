# SPDX-License-Identifier: GPL-2.0-only
"""A parser of KTAP (Documentation/dev-tools/ktap.rst), fed line by line, that never takes silence for a pass.

It keeps apart what a program reports (plan, results, diagnostics) from what is wrong with the report itself
(:class:`Problem`): a plan that is missing, late, repeated or not kept, numbers out of order, results nobody planned.
What to make of a problem is the runner's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness.display import printable
from harness.values import Verdict

LINE_LIMIT = 8192  # characters of a line that are looked at
_PROBLEM_LIMIT = 100  # problems that are kept; a program can repeat one for ever
_DEPTH_LIMIT = 16
RESULT_LIMIT = 10_000  # results of a level whose numbers are remembered; no program has more

_VERSION = re.compile(r"(?:KTAP version 1|TAP version 1[34])\s*$")
_PLAN = re.compile(r"1\.\.(\d{1,9})(?:\s+#\s*(.*))?\s*$")
_RESULT = re.compile(r"(ok|not ok)(?:\s+(\d{1,9}))?(?:\s+(.*))?$")
_BAIL_OUT = re.compile(r"Bail out!\s*(.*)$", re.IGNORECASE)
_DIRECTIVE = re.compile(r"(SKIP|TODO|XFAIL|XPASS|TIMEOUT|ERROR)\b[:\s]*(.*)$", re.IGNORECASE)
_HASH = re.compile(r"(?<!\\)(?:\\\\)*(?:^|\s)#(?:\s|$)")
_ALMOST = re.compile(r"(?:ok|not ok)\b|1\.\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The line that begins a report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many results are promised; ``reason`` is that of a plan of none (``1..0 # SKIP reason``)."""

    count: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One result of the program itself; ``failed_subtests`` are the names of nested results that failed."""

    number: int
    name: str
    ok: bool
    directive: str = ""
    reason: str = ""
    failed_subtests: tuple[str, ...] = ()

    def verdict(self) -> tuple[Verdict, str]:
        """What the line claims, and why (empty for a pass).

        ``ok … # XFAIL`` is how kselftest says that the failure it expected came; ``ok … # TODO`` is TAP's unexpected
        pass. A skip without a reason is a failure, and so is a pass whose subtests failed.
        """
        if self.directive == "SKIP":
            return (Verdict.SKIP, self.reason) if self.reason else (Verdict.FAIL, "skipped without a reason")
        if self.directive == "XPASS" or (self.directive == "TODO" and self.ok):
            return Verdict.XPASS, self.reason or "passed though expected to fail"
        if self.directive in ("XFAIL", "TODO"):
            return Verdict.XFAIL, self.reason or "no reason given"
        if self.directive in ("TIMEOUT", "ERROR"):
            text = f"{self.directive}: {self.reason}" if self.reason else self.directive
            return (Verdict.TIMEOUT if self.directive == "TIMEOUT" else Verdict.FAIL), text
        if not self.ok:
            return Verdict.FAIL, self.reason
        if self.failed_subtests:
            return Verdict.FAIL, f"reported ok though its subtest failed: {', '.join(self.failed_subtests)}"
        return Verdict.PASS, ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subresult:
    """A result below the program's own level; it counts only through its parent."""

    depth: int
    name: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """A ``#`` line, without the sign."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """A line that is none of KTAP's: kernel messages, a program's stray output."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BailOut:
    """The program gave up."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong with the report itself."""

    text: str


Event = Version | Plan | Result | Subresult | Diagnostic | Noise | BailOut | Problem


@dataclass(slots=True)
class _Level:
    """One nesting level: its indentation, its plan and what it has reported so far."""

    indent: int
    plan: int | None = None
    results: int = 0
    numbers: set[int] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)

    def shortfall(self) -> str | None:
        """What its plan still owes, or None."""
        if self.plan is None:
            return "no plan"
        if self.results != self.plan:
            return f"{self.results} results where {self.plan} were planned"
        return None


class Parser:
    """Takes a program's standard output line by line (:meth:`feed`), then its end (:meth:`finish`)."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.versions = 0
        self._levels: list[_Level] = [_Level(indent=0)]
        self._below: list[str] = []  # failed subtests since the last result of the program's own level
        self._bailed_out = False

    @property
    def plan(self) -> int | None:
        """The number of results promised, or None while there is no plan."""
        return self._levels[0].plan

    @property
    def results(self) -> int:
        """The number of results of the program's own level so far."""
        return self._levels[0].results

    @property
    def complete(self) -> bool:
        """Whether the report is whole: begun, planned, the plan kept to the number, nothing wrong with it."""
        return bool(self.versions) and not self.problems and self._levels[0].shortfall() is None

    def feed(self, line: str) -> list[Event]:
        """The events of one line (without its line feed)."""
        line = line.rstrip("\r\n")
        cut = len(line) > LINE_LIMIT
        stripped = line[:LINE_LIMIT].lstrip(" \t")
        indent = len(line) - len(line.lstrip(" \t")) if not cut else len(line[:LINE_LIMIT]) - len(stripped)
        if _VERSION.match(stripped):
            return self._version(indent)
        if match := _PLAN.match(stripped):
            return self._plan(indent, match)
        if (match := _RESULT.match(stripped)) and self.versions:
            return self._result(indent, match, cut)
        if match := _BAIL_OUT.match(stripped):
            self._bailed_out = True
            reason = printable(match[1]).strip()
            return [BailOut(reason=reason), *self._problem(f"the program bailed out: {reason or 'no reason given'}")]
        text = printable(stripped if stripped.startswith("#") else line[:LINE_LIMIT])
        if text.startswith("#"):
            return [Diagnostic(text=text[1:].removeprefix(" "))]
        events: list[Event] = [Noise(text=text)]
        if _ALMOST.match(stripped):
            events += self._problem(f"a line that is almost KTAP: {text[:80]!r}")
        return events

    def finish(self) -> list[Event]:
        """The events of the end of the output: what is missing."""
        events: list[Event] = []
        if not self.versions:
            return self._problem("no KTAP report at all")
        while len(self._levels) > 1:
            level = self._levels.pop()
            events += self._problem(f"a nested report was cut short ({level.results} of {level.plan or '?'} results)")
        short = self._levels[0].shortfall()
        if short is not None and not self._bailed_out:
            events += self._problem(short)
        return events

    def _problem(self, text: str) -> list[Event]:
        if len(self.problems) < _PROBLEM_LIMIT:
            self.problems.append(text)
            return [Problem(text=text)]
        return []

    def _version(self, indent: int) -> list[Event]:
        self.versions += 1
        if self.versions == 1:
            self._levels[0].indent = indent
            return [Version()]
        if indent <= self._levels[0].indent:
            return self._problem("the report began a second time")
        if len(self._levels) >= _DEPTH_LIMIT:
            return self._problem(f"nested deeper than {_DEPTH_LIMIT} levels")
        events = self._close(indent)
        self._levels.append(_Level(indent=indent))
        return events

    def _plan(self, indent: int, match: re.Match[str]) -> list[Event]:
        events = self._enter(indent)
        level = self._levels[-1]
        count = int(match[1])
        if not self.versions:
            events += self._problem("a plan before the KTAP version line")
        if level.plan is not None:
            return events + self._problem(f"a second plan, {count} after {level.plan}")
        if level.results:
            events += self._problem(f"the plan came after {level.results} results")
        level.plan = count
        if level is not self._levels[0]:
            return events
        directive = _DIRECTIVE.match(match[2] or "")
        return [*events, Plan(count=count, reason=printable(directive[2]) if directive else "")]

    def _result(self, indent: int, match: re.Match[str], cut: bool) -> list[Event]:
        events = self._enter(indent)
        level = self._levels[-1]
        level.results += 1
        number = int(match[2]) if match[2] else level.results
        name, directive, reason = description(match[3] or "")
        if cut:
            events += self._problem(f"the result line of '{name[:80]}' is longer than {LINE_LIMIT} characters")
        if number in level.numbers:
            events += self._problem(f"result number {number} came twice")
        elif number != level.results:
            events += self._problem(f"result number {number} where {level.results} was due")
        if level.results <= RESULT_LIMIT:
            level.numbers.add(level.results if number in level.numbers else number)
        elif level.results == RESULT_LIMIT + 1:
            events += self._problem(f"more than {RESULT_LIMIT} results")
        if level.plan is None:
            events += self._problem(f"a result ('{name[:80]}') before the plan")
        elif level.results == level.plan + 1:
            events += self._problem(f"more results than the {level.plan} planned")
        result = Result(
            number=number,
            name=name,
            ok=match[1] == "ok",
            directive=directive,
            reason=reason,
            failed_subtests=tuple(self._below) if level is self._levels[0] else (),
        )
        if level is self._levels[0]:
            self._below.clear()
            return [*events, result]
        verdict, why = result.verdict()
        if not verdict.good and len(self._below) < _PROBLEM_LIMIT:
            self._below.append(name)
        return [*events, Subresult(depth=len(self._levels) - 1, name=name, verdict=verdict, reason=why)]

    def _enter(self, indent: int) -> list[Event]:
        """Come to the level of a line that is indented so: TAP 14 begins a nested report without a version line."""
        events = self._close(indent + 1)
        if indent > self._levels[-1].indent and self.versions:
            if len(self._levels) >= _DEPTH_LIMIT:
                return events + self._problem(f"nested deeper than {_DEPTH_LIMIT} levels")
            self._levels.append(_Level(indent=indent))
        return events

    def _close(self, indent: int) -> list[Event]:
        """End the levels that are indented as deep as ``indent`` or deeper; a plan not kept fails the parent."""
        events: list[Event] = []
        while len(self._levels) > 1 and self._levels[-1].indent >= indent:
            level = self._levels.pop()
            short = level.shortfall()
            if short is not None:
                self._below.append(f"nested report with {short}")
        return events


def description(text: str) -> tuple[str, str, str]:
    """A result's name, directive (upper case, or empty) and reason from what follows its number."""
    name, reason, directive = text, "", ""
    if found := _HASH.search(text):
        name, rest = text[: found.end()].rstrip().removesuffix("#"), text[found.end() :].strip()
        known = _DIRECTIVE.match(rest)
        directive, reason = (known[1].upper(), known[2].strip()) if known else ("", rest)
    name = name.strip()
    if name == "-" or name.startswith("- "):
        name = name[1:].lstrip()
    name = name.replace("\\#", "#").replace("\\\\", "\\")
    return printable(name), directive, printable(reason)
