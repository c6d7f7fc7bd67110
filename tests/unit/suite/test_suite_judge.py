# SPDX-License-Identifier: GPL-2.0-only
"""Programs that lie, stop early or contradict themselves: never a pass for all."""

from __future__ import annotations

import pytest

from harness.suite.judge import WHOLE_PROGRAM, Judge
from harness.values import CaseResult, Verdict
from tests.unit.suite.fakes import program, verdicts


def judged(
    lines: list[str], status: int, *, cases: str = "ab", stderr: str = "", feature: bool = False
) -> list[CaseResult]:
    judge = Judge(program(*cases), list(cases), now=0.0, require_feature=feature)
    results: list[CaseResult] = []
    for second, line in enumerate(lines):
        results += judge.line(line, float(second))
    return results + judge.ended(status, float(len(lines)), stderr=stderr)


HEAD = ["KTAP version 1", "1..2"]


@pytest.mark.parametrize(
    ("lines", "status", "expected"),
    [
        ([*HEAD, "ok 1 a", "ok 2 b"], 0, {"a": "PASS", "b": "PASS"}),
        ([*HEAD, "ok 1 a", "not ok 2 b"], 1, {"a": "PASS", "b": "FAIL"}),
        ([*HEAD, "ok 1 a # SKIP x", "ok 2 b"], 0, {"a": "SKIP", "b": "PASS"}),
        ([*HEAD, "ok 1 a # SKIP x", "ok 2 b # SKIP y"], 4, {"a": "SKIP", "b": "SKIP"}),
        ([*HEAD, "ok 1 a # XFAIL x", "ok 2 b"], 0, {"a": "XFAIL", "b": "PASS"}),
        ([*HEAD, "not ok 1 a # XPASS x", "ok 2 b"], 1, {"a": "XPASS", "b": "PASS"}),
        (["KTAP version 1", "1..0 # SKIP nothing here"], 4, {"a": "SKIP", "b": "SKIP"}),
    ],
)
def test_reports_that_hold_together(lines: list[str], status: int, expected: dict[str, str]) -> None:
    assert verdicts(judged(lines, status)) == expected


@pytest.mark.parametrize(
    ("lines", "status", "bad"),
    [
        ([], 0, {"a", "b"}),
        ([], 127, {"a", "b"}),
        (["hello"], 0, {"a", "b"}),
        (["KTAP version 1"], 0, {"a", "b"}),
        ([*HEAD], 0, {"a", "b"}),
        ([*HEAD, "ok 1 a"], 0, {"b"}),
        (["KTAP version 1", "1..0"], 0, {"a", "b"}),
        (["KTAP version 1", "1..0 # SKIP x"], 1, {"a", "b"}),
        (["KTAP version 1", "1..1", "ok 1 a"], 0, {"a", "b"}),
        (["KTAP version 1", "1..3", "ok 1 a", "ok 2 b"], 0, {"a", "b"}),
        (["KTAP version 1", "ok 1 a", "ok 2 b"], 0, {"a", "b"}),
        (["KTAP version 1", "ok 1 a", "ok 2 b", "1..2"], 0, {"a", "b"}),
        (["1..2", "ok 1 a", "ok 2 b"], 0, {"a", "b"}),
        ([*HEAD, "ok 1 a", "ok 2 b"], 1, {WHOLE_PROGRAM}),
        ([*HEAD, "ok 1 a", "ok 2 b"], 139, {WHOLE_PROGRAM}),
        ([*HEAD, "ok 1 a", "ok 2 b"], 3, {WHOLE_PROGRAM}),
        ([*HEAD, "ok 1 a", "ok 2 b"], 4, {WHOLE_PROGRAM}),
        ([*HEAD, "not ok 1 a", "ok 2 b"], 0, {"a", WHOLE_PROGRAM}),
        ([*HEAD, "ok 1 a", "ok 2 b", "ok 3 c"], 0, {WHOLE_PROGRAM}),
        ([*HEAD, "ok 1 a", "ok 2 b", "not ok 3 b"], 0, {WHOLE_PROGRAM}),
        ([*HEAD, "ok 1 a", "1..1", "ok 2 b"], 0, {"b"}),
        ([*HEAD, "ok 1 a", "ok 2 a"], 0, {"b", WHOLE_PROGRAM}),
        ([*HEAD, "ok 1 a", "ok 2 stranger"], 0, {"b", WHOLE_PROGRAM}),
        ([*HEAD, "ok 1 a", "ok 1 b"], 0, {"b"}),
        ([*HEAD, "ok 1 a", "Bail out! no memory"], 1, {"b"}),
        ([*HEAD, "ok 1 a", "ok 2 b # SKIP"], 0, {"b"}),
    ],
)
def test_reports_that_do_not(lines: list[str], status: int, bad: set[str]) -> None:
    results = judged(lines, status)
    assert bad <= {result.case for result in results if not result.verdict.good}
    assert all(result.reason for result in results if result.verdict is not Verdict.PASS)
    assert {"a", "b"} <= {result.case for result in results}


def test_a_failure_takes_its_last_diagnostic_as_reason() -> None:
    results = judged([*HEAD, "# before", "# the value is 3, expected 4", "not ok 1 a", "ok 2 b"], 1)
    assert results[0].reason == "the value is 3, expected 4"
    assert results[0].diagnostics == ("before", "the value is 3, expected 4")


def test_a_program_that_cannot_run_says_why() -> None:
    results = judged([], 126, stderr="sh: /opt/x: Permission denied\n")
    assert "Permission denied" in results[0].reason and "126" in results[0].reason


def test_required_features_turn_a_skip_into_a_failure() -> None:
    results = judged(["KTAP version 1", "1..1", "ok 1 a # SKIP no zswap"], 4, cases="a", feature=True)
    assert verdicts(results) == {"a": "FAIL"}
    assert "no zswap" in results[0].reason


def test_times_are_between_results_or_marks() -> None:
    judge = Judge(program("a", "b"), ["a", "b"], now=0.0)
    for line, now in (("KTAP version 1", 0.0), ("1..2", 0.0), ("ok 1 a", 3.0), ("ok 2 b", 4.0)):
        judge.line(line, now)
    results = judge.ended(0, 5.0)
    assert [result.seconds for result in results] == [3.0, 1.0]


def test_diagnostics_are_capped() -> None:
    results = judged([*HEAD, *(f"# {number}" for number in range(100_000)), "ok 1 a", "ok 2 b"], 0)
    assert len(results[0].diagnostics) == 200


def test_forged_mark_of_a_later_case_hides_no_splat() -> None:
    judge = Judge(program("a", "b"), ["a", "b"], now=0.0)
    for line in HEAD:
        judge.line(line, 0.0)
    judge.console("[    1.000000] harness: case begin demo/test_x:a", 1.0)
    judge.console("[    1.100000] harness: case begin demo/test_x:b", 1.1)
    judge.console("[    1.200000] BUG: KASAN: slab-out-of-bounds in foo+0x1/0x2", 1.2)
    judge.console("[    1.300000] harness: case begin someone/else:x", 1.3)
    results = judge.line("ok 1 a", 2.0) + judge.line("ok 2 b", 2.0) + judge.ended(0, 3.0)
    assert "CRASH" in verdicts(results).values()
