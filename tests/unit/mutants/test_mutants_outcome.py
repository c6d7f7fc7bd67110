# SPDX-License-Identifier: GPL-2.0-only
"""What counts as a kill, and what is said about it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from harness.mutants.mutant import Mutant
from harness.mutants.outcome import (
    Outcome,
    Record,
    Report,
    Trial,
    as_case,
    markdown,
    no_kernel,
    summary,
    table,
    told,
    unmutated_case,
)
from harness.results.record import case_record, exit_status, run_verdict
from harness.values import CaseResult, Verdict
from tests.unit.mutants.example import MUTANT


def result(case: str, verdict: Verdict, reason: str = "", splat: str | None = None) -> CaseResult:
    return CaseResult(suite="demo", program="test_x", case=case, verdict=verdict, reason=reason, splat=splat)


def trial(*results: CaseResult, again: bool = True, full: bool = False, **passes: Verdict) -> tuple[Trial, int]:
    """Judge results; how many were taken of them."""
    known = {f"demo/test_x:{case}": verdict for case, verdict in passes.items()}
    judged = Trial(passes=known, again=lambda _: again)
    stream = iter(results)
    judged.take(stream, full=full)
    return judged, len(results) - len(list(stream))


def record(judged: Trial, mutant: Mutant = MUTANT) -> Record:
    return judged.record(mutant, seconds=61.0, build_seconds=20.0)


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.CRASH, Verdict.TIMEOUT, Verdict.LOST])
def test_a_case_that_passes_otherwise_kills_and_ends_it(verdict: Verdict) -> None:
    judged, taken = trial(
        result("one", Verdict.PASS), result("two", verdict, "no swap"), result("three", Verdict.FAIL),
        one=Verdict.PASS, two=Verdict.PASS, three=Verdict.PASS,
    )  # fmt: skip
    found = record(judged)
    assert taken == 2
    assert (found.outcome, found.case, found.verdict) == (Outcome.KILLED, "demo/test_x:two", verdict.value)
    assert (found.reason, found.cases) == ("no swap", 2)


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.SKIP, Verdict.XFAIL, Verdict.XPASS])
def test_what_is_no_failure_does_not_kill(verdict: Verdict) -> None:
    judged, _ = trial(result("one", verdict), one=Verdict.PASS)
    assert record(judged).outcome is Outcome.SURVIVED


@pytest.mark.parametrize("before", [Verdict.FAIL, Verdict.CRASH, Verdict.SKIP, Verdict.LOST, Verdict.XFAIL])
def test_a_case_that_does_not_pass_otherwise_cannot_kill(before: Verdict) -> None:
    judged, _ = trial(result("one", Verdict.FAIL), one=before)
    assert record(judged).outcome is Outcome.SURVIVED


def test_a_case_that_was_never_seen_to_pass_cannot_kill() -> None:
    judged, _ = trial(result("one", Verdict.FAIL))
    assert record(judged).outcome is Outcome.SURVIVED


def test_a_failure_that_does_not_come_again_is_no_kill_but_is_told() -> None:
    judged, taken = trial(
        result("one", Verdict.CRASH), result("two", Verdict.PASS), again=False, one=Verdict.PASS, two=Verdict.PASS
    )
    found = record(judged)
    assert taken == 2
    assert found.outcome is Outcome.SURVIVED
    assert found.unsteady == ("demo/test_x:one (CRASH)",)
    assert "failed once, not again: demo/test_x:one (CRASH)" in told(found)


def test_all_that_fail_where_everything_is_run() -> None:
    judged, taken = trial(
        result("one", Verdict.FAIL), result("two", Verdict.PASS), result("three", Verdict.CRASH),
        full=True, one=Verdict.PASS, two=Verdict.PASS, three=Verdict.PASS,
    )  # fmt: skip
    found = record(judged)
    assert taken == 3
    assert (found.case, found.more, found.cases) == ("demo/test_x:one", ("demo/test_x:three",), 3)


def test_a_splat_goes_before_the_reason() -> None:
    judged, _ = trial(result("one", Verdict.CRASH, "splat", splat="BUG: bad page state"), one=Verdict.PASS)
    assert record(judged).reason == "BUG: bad page state"


KILLED = record(trial(result("one", Verdict.FAIL), one=Verdict.PASS)[0])
SURVIVED = record(trial(result("one", Verdict.PASS), one=Verdict.PASS)[0])
KNOWN = replace(MUTANT, name="known", survives="nobody can see it")


@pytest.mark.parametrize(
    ("found", "verdict", "status"),
    [
        (KILLED, Verdict.PASS, 0),
        (SURVIVED, Verdict.FAIL, 1),
        (record(trial()[0], KNOWN), Verdict.XFAIL, 0),
        (record(trial(result("one", Verdict.FAIL), one=Verdict.PASS)[0], KNOWN), Verdict.XPASS, 1),
        (no_kernel(MUTANT, Outcome.BUILD, "mm/swap.c: error", seconds=1), Verdict.BUILD, 3),
        (no_kernel(MUTANT, Outcome.BOOT, "no login", seconds=1), Verdict.BOOT, 3),
    ],
)
def test_as_a_case_of_a_run(found: Record, verdict: Verdict, status: int) -> None:
    case = as_case(found, "a-series")
    assert (case.name, case.verdict) == (f"mutants/a-series:{found.name}", verdict)
    assert case.reason == told(found)
    assert "breaks: swap works" in case.diagnostics
    of_run = run_verdict([case_record(case)], None, interrupted=False)
    assert exit_status(of_run) == status


def test_a_series_that_fails_itself_is_said_so() -> None:
    assert unmutated_case({}, "a-series").verdict is Verdict.PASS
    bad = unmutated_case({"demo/test_x:one": "FAIL"}, "a-series")
    assert bad.verdict is Verdict.FAIL
    assert "demo/test_x:one (FAIL)" in bad.reason


def test_the_table() -> None:
    known = record(trial()[0], KNOWN)
    broken = no_kernel(MUTANT, Outcome.BUILD, "mm/swap.c: error", seconds=7)
    assert table([KILLED, SURVIVED, known, broken]) == [
        "mutant  outcome                    time  by",
        "broken  killed               1 min 01 s  FAIL    demo/test_x:one",
        "broken  survived             1 min 01 s",
        "known   survived (recorded)  1 min 01 s  nobody can see it",
        "broken  does not build            7.0 s  mm/swap.c: error",
    ]


def test_the_table_for_a_readme() -> None:
    known = record(trial()[0], KNOWN)
    assert markdown([KILLED, known]).splitlines()[2:] == [
        "| `broken` | swap works | `demo/test_x:one` |",
        "| `known` | swap works | survived: nobody can see it |",
    ]


def replace_run(found: Record, run: str) -> Record:
    return msgspec.structs.replace(found, run=run)


def test_the_whole_in_a_line_and_as_json() -> None:
    run = [replace_run(one, "r") for one in (SURVIVED, record(trial()[0], KNOWN))]
    mutants = (replace_run(KILLED, "earlier"), *run)
    report = Report(run="r", series="s", cases=3, unmutated={}, missing=("late",), mutants=mutants)
    assert summary(report) == (
        "3 mutants: 1 killed, 2 survived, 1 of the survivors recorded, 1 known from earlier runs, 1 not run; "
        "1 min 01 s each"
    )
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
