# SPDX-License-Identifier: GPL-2.0-only
"""Failed cases run again: which, how often, and what is said of them; their verdicts stay."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import BootError
from harness.progress import QuietView
from harness.rerun import MOST_CASES, rerun, told
from harness.results.folder import RunFolder
from harness.results.record import Results, exit_status
from harness.results.recorder import Recorder
from harness.suite.catalogue import Program, Selection
from harness.suite.foreign import ForeignProgram
from harness.values import CaseResult, Verdict

CASES = ("one", "two", "three")


def program(name: str = "b", cases: tuple[str, ...] = CASES) -> Selection:
    one = Program(suite="a", name=name, path=Path("b.sh"), cases=cases, options={}, timeout=1)
    return Selection(program=one, cases=cases)


def result(case: str, verdict: Verdict, reason: str = "") -> CaseResult:
    return CaseResult(suite="a", program="b", case=case, verdict=verdict, reason=reason)


class Judge:
    """Answers with verdicts, one a call; remembers what it was asked."""

    def __init__(self, *answers: list[CaseResult] | Exception) -> None:
        self._answers: Iterator[list[CaseResult] | Exception] = iter(answers)
        self.asked: list[tuple[str, ...]] = []
        self.folders: list[Path] = []

    def __call__(self, selection: Selection, recorder: Recorder) -> Generator[CaseResult, None, None]:
        self.asked.append(selection.cases)
        self.folders.append(recorder.folder.path)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        yield from answer


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(RunFolder(tmp_path), QuietView())


def run(recorder: Recorder, times: int, judge: Judge, *selections: Selection) -> Results:
    rerun(selections or [program()], times, recorder=recorder, view=QuietView(), judge=judge)
    return recorder.results()


def test_only_what_failed_is_run_again_each_alone_and_in_a_folder_of_its_own(recorder: Recorder) -> None:
    recorder.case(result("one", Verdict.PASS))
    recorder.case(result("two", Verdict.FAIL, "no"))
    recorder.case(result("three", Verdict.CRASH, "splat"))
    answers = [[result(case, Verdict.PASS)] for case in ("two", "three") * 2]
    judge = Judge(*answers)
    results = run(recorder, 2, judge)
    assert judge.asked == [("two",), ("three",), ("two",), ("three",)]
    assert len(set(judge.folders)) == 4 and all(path.parent.name == "reruns" for path in judge.folders)
    assert [(one.name, one.attempt) for one in results.reruns] == [
        ("a/b:two", 1), ("a/b:three", 1), ("a/b:two", 2), ("a/b:three", 2),
    ]  # fmt: skip


def test_a_pass_hides_nothing(recorder: Recorder) -> None:
    recorder.case(result("two", Verdict.FAIL, "no"))
    results = run(recorder, 1, Judge([result("two", Verdict.PASS)]))
    assert results.verdict == "FAIL" and results.cases[0].verdict == "FAIL"
    assert exit_status(Verdict(results.verdict)) == 1
    assert told(results, results.cases[0]) == "flaky: passed 1 of 1 rerun"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([[result("two", Verdict.FAIL, "lost 7")]] * 2, "broken: failed in the same way in 2 of 2 reruns"),
        ([[result("two", Verdict.FAIL, "x")], [result("two", Verdict.FAIL, "y")]], "broken: failed in 2 of 2 reruns"),
        ([[result("two", Verdict.FAIL, "no")], [result("two", Verdict.PASS)]], "flaky: passed 1 of 2 reruns"),
        ([[result("two", Verdict.SKIP, "no swap")]] * 2, "skipped when run again: no swap"),
        ([BootError("it does not boot")] * 2, "could not be run again: it does not boot"),
        ([BootError("no"), [result("two", Verdict.PASS)]], "flaky: passed 1 of 1 rerun"),
        ([[result("one", Verdict.PASS)]] * 2, "broken: failed in 2 of 2 reruns"),
    ],
)  # fmt: skip
def test_what_is_said(recorder: Recorder, answers: list[list[CaseResult] | Exception], expected: str) -> None:
    recorder.case(result("two", Verdict.FAIL, "lost 3"))
    results = run(recorder, 2, Judge(*answers))
    assert told(results, results.cases[0]) == expected
    assert results.verdict == "FAIL" and results.failure is None


def test_the_program_as_a_whole_is_run_whole(recorder: Recorder) -> None:
    recorder.case(result("*", Verdict.FAIL, "exit status 1 though no case failed"))
    judge = Judge([result(case, Verdict.PASS) for case in CASES])
    results = run(recorder, 1, judge)
    assert judge.asked == [CASES]
    assert told(results, results.cases[0]) == "flaky: passed 1 of 1 rerun"


def test_what_never_ran_in_a_guest_is_not_run_again(recorder: Recorder) -> None:
    refused = ForeignProgram(
        suite="a", name="b", path=Path("b"), cases=("program",), options={}, timeout=1, words=(),
        refused=(Verdict.FAIL, "it does not build"),
    )  # fmt: skip
    recorder.case(result("program", Verdict.FAIL, "it does not build"))
    results = run(recorder, 1, Judge(), Selection(program=refused, cases=("program",)))
    assert results.reruns == () and told(results, results.cases[0]) == ""


def test_where_everything_fails_only_the_first_are_run_again(recorder: Recorder) -> None:
    names = tuple(f"c{number}" for number in range(MOST_CASES + 5))
    for name in names:
        recorder.case(result(name, Verdict.FAIL))
    judge = Judge(*([result(name, Verdict.PASS)] for name in names))
    results = run(recorder, 1, judge, replace(program(), cases=names))
    assert len(results.reruns) == MOST_CASES and told(results, results.cases[-1]) == ""
