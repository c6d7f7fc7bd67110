# SPDX-License-Identifier: GPL-2.0-only
"""A guest that lies and floods: what it gains by it (nothing), and what that costs (little)."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from harness.guest.console import Console
from harness.splat import SplatScanner
from harness.suite import report as report_module
from harness.suite.catalogue import Program
from harness.suite.judge import Judge
from harness.suite.report import Report
from harness.values import CaseResult, Verdict

HEAD = ("KTAP version 1", "1..2")
KEPT, COUNT = 12_000, 40_000  # lines of a flood: what may be kept of it, and all of it
BUG = "[    1.000000] BUG: unable to handle page fault for address: ffff888000000000"
OOPS = "[    1.000001] Oops: Oops: 0000 [#1] PREEMPT SMP"


def judge() -> Judge:
    program = Program(
        suite="s", name="p", path=Path("/x/test_p.sh"), cases=("one", "two"), options={}, timeout=60.0
    )  # fmt: skip
    return Judge(program, ["one", "two"], now=0.0)


def judged(lines: Iterable[str], status: int = 0) -> dict[str, CaseResult]:
    """What comes of a program's output; lines of the console begin with ``!``."""
    one = judge()
    results: list[CaseResult] = []
    for line in lines:
        results += one.console(line[1:], 1.0) if line.startswith("!") else one.line(line, 1.0)
    results += one.ended(status, 2.0)
    assert [result.case for result in results].count("one") == 1
    return {result.case: result for result in results}


def mark(what: str, case: str) -> str:
    return f"![    1.000000] harness: case {what} s/p:{case}"


TRUTH = (
    *HEAD,
    mark("begin", "one"),
    "ok 1 one",
    mark("end", "one"),
    mark("begin", "two"),
    "ok 2 two",
    mark("end", "two"),
)


def test_the_truth_passes() -> None:
    assert {name: one.verdict for name, one in judged(TRUTH).items()} == {"one": Verdict.PASS, "two": Verdict.PASS}


@pytest.mark.parametrize(
    "lie",
    [
        (*TRUTH, "ok 3 three"),
        (*TRUTH[:4], "ok 2 three", *TRUTH[4:]),
        (*TRUTH[:4], "1..1", "ok 1 one", mark("end", "one")),
        (*TRUTH[:4], "1..3", *TRUTH[4:]),
        ("1..1", "KTAP version 1", "ok 1 one", "ok 2 two"),
        ("KTAP version 1", "1..0", "ok 1 one", "ok 2 two"),
        ("KTAP version 1", "ok 1 one", "ok 2 two", "1..2"),
        ("ok 1 one", "ok 2 two"),
        (*HEAD, "ok 1 one", "ok 1 one"),
        (*HEAD, "ok 1 two", "ok 2 two"),
        (*HEAD, "ok 2 two", "ok 1 one"),
        (*HEAD, "# harness: case end s/p:two", "ok 1 one"),
        (*HEAD, "ok 1 one", *HEAD, "ok 2 two"),
        (*HEAD, "Bail out! never mind", "ok 1 one", "ok 2 two"),
        (*HEAD, "ok 1 one # SKIP", "ok 2 two"),
        (*HEAD, "    KTAP version 1", "    1..5", "    ok 1 x", "ok 1 one", "ok 2 two"),
    ],
)
def test_a_report_that_lies_is_no_pass(lie: tuple[str, ...]) -> None:
    verdicts = [one.verdict for one in judged(lie).values()]
    assert not all(verdict.good for verdict in verdicts)


@pytest.mark.parametrize("status", [1, 2, 3, 4, 77, 255])
def test_an_exit_status_that_says_otherwise_is_no_pass(status: int) -> None:
    assert not all(one.verdict.good for one in judged(TRUTH, status).values())


@pytest.mark.parametrize(
    "lie",
    [
        (*TRUTH[:3], f"!{BUG}", f"!{OOPS}", *TRUTH[3:]),
        (*TRUTH, f"!{BUG}", f"!{OOPS}"),
        # marks that no program of ours wrote: ends and begins of other cases, before and after the crash
        (*TRUTH[:3], mark("end", "one"), mark("begin", "two"), f"!{BUG}", f"!{OOPS}", "ok 1 one", "ok 2 two"),
        (*TRUTH[:3], f"!{BUG}", mark("end", "one"), mark("begin", "two"), mark("end", "two"), *TRUTH[3:]),
        (*TRUTH, mark("begin", "one"), f"!{BUG}", mark("end", "one")),
        (*HEAD, mark("begin", "nobody"), f"!{BUG}", mark("end", "nobody"), "ok 1 one", "ok 2 two"),
        (*TRUTH[:3], f"!{BUG} harness: case end s/p:one", *TRUTH[3:]),
        # a crash that is announced after it happened is announced all the same: but not by what matches anything
        (*TRUTH[:3], "# expect-splat: .*", f"!{BUG}", *TRUTH[3:]),
        (*TRUTH[:3], "![    1.000000] harness: case expects s/p:one x*", f"!{BUG}", *TRUTH[3:]),
        (*TRUTH[:3], "# expect-splat: (U+)+$", f"!{BUG}", *TRUTH[3:]),
    ],
)
def test_a_crash_is_a_crash_whatever_else_is_said(lie: tuple[str, ...]) -> None:
    assert Verdict.CRASH in [one.verdict for one in judged(lie).values()]


def test_no_pattern_of_a_guest_takes_for_ever() -> None:
    scanner = SplatScanner()
    splats = [*scanner.feed(f"[    1.000000] BUG: {'a' * 5000}!"), *scanner.flush()]
    (splat,) = {id(one): one for one in splats}.values()
    started = time.process_time()
    for pattern in (
        "(a+)+$",
        "(a|aa)+$",
        "a*a*a*a*a*a*a*a*$",
        "a*" * 200,
        "(?:a|a){1,}{1,}$",
        "(a?){64}" * 3,
        "a*a*a*$",
    ):
        splat.matches(pattern)
    assert time.process_time() - started < 10
    assert splat.matches("BUG: a+!?") and splat.matches("BUG: (a|b)") and not splat.matches(".*")


FLOODS: dict[str, Callable[[], Iterable[str]]] = {
    "results": lambda: ("ok 1 one", "ok 2 two", *(f"ok {n} extra{n}" for n in range(3, COUNT))),
    "plans": lambda: (f"1..{n}" for n in range(COUNT)),
    "reports": lambda: ("KTAP version 1" for _ in range(COUNT)),
    "the same": lambda: ("ok 1 one" for _ in range(COUNT)),
    "nested": lambda: (f"    ok {n} sub{n}" for n in range(COUNT)),
    "deeper": lambda: (f"{' ' * (n % 500)}ok 1 x" for n in range(COUNT)),
    "notes": lambda: (f"# {n} {'x' * 100}" for n in range(COUNT)),
    "announcements": lambda: (f"# expect-splat: x{n}" for n in range(COUNT)),
    "console": lambda: (f"![    1.{n:06}] noise" for n in range(COUNT)),
    "splats": lambda: (f"![    1.{n:06}] BUG: bad thing {n}" for n in range(COUNT)),
    "marks": lambda: (mark(("begin", "end", "expects")[n % 3], f"x{n}") for n in range(COUNT)),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_costs_bounded_memory(name: str) -> None:
    one = judge()
    for line in HEAD:
        one.line(line, 0.0)

    def feed(lines: Iterator[str]) -> None:
        for line in lines:
            if line.startswith("!"):
                one.console(line[1:], 1.0)
            else:
                one.line(line, 1.0)

    lines = iter(FLOODS[name]())
    feed(itertools.islice(lines, KEPT))  # up to here it may keep what it keeps
    with nothing_more_is_kept():
        feed(lines)
    assert not all(result.verdict.good for result in one.ended(1, 2.0))


@contextlib.contextmanager
def nothing_more_is_kept() -> Iterator[None]:
    """What the block allocates is free again at its end, but for a little."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[0] < 1 << 18
    finally:
        tracemalloc.stop()


def test_a_line_of_megabytes() -> None:
    results = judged((*HEAD, f"ok 1 one {'x' * (8 << 20)}", f"{' ' * (8 << 20)}ok 2 two", f"# {'y' * (8 << 20)}"))
    assert not any(one.verdict.good for one in results.values())
    assert all(len(one.reason) + sum(map(len, one.diagnostics)) < 1 << 16 for one in results.values())


def test_cases_without_end_of_a_foreign_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "_CASE_LIMIT", 5_000)
    report = Report()
    report.feed("TAP version 13", 0.0)
    for number in range(1, KEPT):
        report.feed(f"ok {number} c{number}", 0.0)
    with nothing_more_is_kept():
        for number in range(KEPT, COUNT):
            report.feed(f"ok {number} c{number}", 0.0)
        report.finish()
    assert any("more than" in text for text in report.problems) and len(report.cases) == 5_000


def test_what_a_guest_says_last_is_scanned_though_its_log_is_full(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    console = Console(ours, log=tmp_path / "log", raw=tmp_path / "raw", limit=1 << 20, kept=1 << 16)
    scanner = SplatScanner()
    found: list[str] = []
    console.subscribe(lambda line: found.extend(splat.kind for splat in scanner.feed(line.text)))
    with theirs:
        for _ in range(64):
            theirs.sendall(b"[    0.500000] flood flood flood flood flood flood\n" * 4096)
        theirs.sendall(f"{BUG}\n{OOPS}\n".encode())
    assert console.wait_closed(deadline=120)
    console.close()
    scanner.flush()
    assert console.received > 12 << 20 and found
    assert (tmp_path / "raw").stat().st_size <= 1 << 20
    text = (tmp_path / "log").read_text()
    assert len(text) < (1 << 20) + 4096 and "the console's log ends here: it is longer than" in text
    assert any("BUG" in line for line in console.tail(5))
