# SPDX-License-Identifier: GPL-2.0-only
"""Kselftests of the kernel's own: what they report in their many ways, and that none of it becomes a wrong verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.suite.attempt import Limits
from harness.suite.foreign import PROGRAM, ForeignJudge, ForeignProgram
from harness.suite.runner import Runner
from harness.values import CaseResult, Expectation, Verdict
from tests.unit.suite.fakes import Exit, Hang, Log, Say, ScriptedMachine, Step, Vanish, verdicts


def foreign(*known: Expectation, only: tuple[str, ...] = (), timeout: float = 30.0) -> ForeignProgram:
    return ForeignProgram(
        suite="kselftest:demo",
        name="prog",
        path=Path("prog"),
        cases=(PROGRAM,),
        options={},
        timeout=timeout,
        words=("sh", "/opt/harness/kselftest/run.sh", "kselftest:demo/prog:program", "demo", "./prog"),
        known=known,
        only=only,
    )


def judged(
    text: str, status: int, *known: Expectation, stderr: str = "", only: tuple[str, ...] = (), feature: bool = False
) -> list[CaseResult]:
    judge = ForeignJudge(foreign(*known, only=only), now=0.0, require_feature=feature)
    for second, line in enumerate(text.splitlines()):
        assert judge.line(line, float(second)) == []
    return judge.ended(status, 100.0, stderr=stderr)


HEAD = "TAP version 13\n1..2\n"
CGROUP = "ok 1 test_a\nok 2 # SKIP test_b\nnot ok 3 test_c\n"


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        # kselftest.h and kselftest_harness.h
        (f"{HEAD}ok 1 a\nok 2 b\n# Totals: pass:2 fail:0\n", 0, {"a": "PASS", "b": "PASS"}),
        (f"{HEAD}ok 1 a\nnot ok 2 b\n", 1, {"a": "PASS", "b": "FAIL"}),
        (f"{HEAD}ok 1 a\nok 2 # SKIP no such device\n", 0, {"a": "PASS", "no_such_device": "SKIP"}),
        (f"{HEAD}ok 1 a\nok 2 b # XFAIL not yet\n", 0, {"a": "PASS", "b": "XFAIL"}),
        # cgroup/test_core: no version, no plan
        (CGROUP, 1, {"test_a": "PASS", "test_b": "SKIP", "test_c": "FAIL"}),
        # mm/run_vmtests.sh: the plan comes last, a part is skipped by exit status
        ("TAP version 13\nok 1 a\nok 2 b # SKIP\n1..2\n", 4, {"a": "PASS", "b": "SKIP"}),
        # ksft_exit_skip after a plan, and before one
        ("TAP version 13\n1..9\nok 1 # SKIP needs root\n", 4, {"needs_root": "SKIP"}),
        ("TAP version 13\n1..0 # SKIP no such syscall\n", 4, {PROGRAM: "SKIP"}),
        ("TAP version 13\n1..2\nok 2 # SKIP no pids controller\n# Planned tests != run tests (2 != 1)\n", 4,
         {"no_pids_controller": "SKIP"}),
        # cgroup/test_stress.sh: a planless report after another
        ("ok 1 a\nok 2 b\nok 1 a\nok 2 b\n", 0, {"a": "PASS", "b": "PASS", "a-2": "PASS", "b-2": "PASS"}),
        # no report: the exit status
        ("all is well\n", 0, {PROGRAM: "PASS"}),
        ("", 0, {PROGRAM: "PASS"}),
        ("no CPU\n", 4, {PROGRAM: "SKIP"}),
        ("oh\n", 1, {PROGRAM: "FAIL"}),
        ("ok\nnot ok at all\n", 0, {PROGRAM: "PASS"}),
        # one result of several runs
        ("TAP version 13\n1..2\n# [RUN] fork\nok 1 no leak\n# [RUN] vmsplice\nok 2 no leak\n", 0,
         {"fork_no_leak": "PASS", "vmsplice_no_leak": "PASS"}),
        (f"{HEAD}ok 1 same\nnot ok 2 same\n", 1, {"same": "PASS", "same-2": "FAIL"}),
    ],
)  # fmt: skip
def test_what_they_say(text: str, status: int, expected: dict[str, str]) -> None:
    results = judged(text, status)
    assert verdicts(results) == expected
    assert all(result.reason for result in results if result.verdict is not Verdict.PASS)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("TAP version 13\n", 0),  # began, and nothing
        ("TAP version 13\n1..2\n", 0),
        ("TAP version 13\n1..2\nok 1 a\n", 0),  # the plan is not kept
        ("TAP version 13\n1..2\nok 1 a\n", 4),  # nor skipped: the last result is no skip
        ("1..2\nok 1 a\nok 2 b\nok 3 c\n", 0),
        (f"{HEAD}ok 1 a\nok 1 b\n", 0),  # numbers
        (f"{HEAD}ok 1 a\n1..1\nok 2 b\n", 0),
        (f"{HEAD}TAP version 13\nok 1 a\nok 2 b\n", 0),  # twice, as a fork with a full buffer does
        (f"{HEAD}ok 1 a\nBail out! no memory\n", 1),
        (f"{HEAD}ok 1 a\nok 2 b\n", 1),  # the status says otherwise
        (f"{HEAD}ok 1 a\nok 2 b\n", 139),
        (f"{HEAD}ok 1 a\nnot ok 2 b\n", 139),
        ("ok 1 test_a\n", 1),
        ("ok 1 test_a\n", 137),
        ("1..0 # SKIP x\n", 1),
        ("ok 1 a\nok 3 b\n", 0),
        ("TAP version 13\n1..2\nok 2 # SKIP x\n", 0),
        ("", 127),
        ("", 126),
        ("hello\n", 139),
        ("hello\n", 2),
        ("\x00\xff\x1b[2J garbage \r\r", 1),
    ],
)
def test_what_does_not_hold_together_fails_the_program(text: str, status: int) -> None:
    results = judged(text, status)
    assert verdicts(results)[PROGRAM] == "FAIL"
    assert results[-1].reason


def test_a_skip_after_passes_is_told() -> None:
    assert verdicts(judged(f"{HEAD}ok 1 a\nok 2 b\n", 4)) == {"a": "PASS", "b": "PASS", PROGRAM: "SKIP"}


def test_standard_error_is_the_reason_of_a_program_without_a_report() -> None:
    (result,) = judged("starting\n", 1, stderr="mmap: Cannot allocate memory\n")
    assert result.reason == "exit status 1: mmap: Cannot allocate memory"
    assert "stderr: mmap: Cannot allocate memory" in result.diagnostics


def test_standard_error_that_names_a_case_is_its_reason() -> None:
    text = "TAP version 13\n1..2\n#  RUN   g.a ...\n#  FAIL  g.a\nnot ok 1 g.a\n#  OK  g.b\nok 2 g.b\n"
    first, second = judged(text, 1, stderr="# x_test.c:26:a:Expected n (0) > 0 (0)\n# a: Test failed\n# other\n")
    assert first.reason == "x_test.c:26:a:Expected n (0) > 0 (0)"
    assert second.diagnostics == (" OK  g.b",)


NESTED = """TAP version 13
# -----------
# running ./cow
# -----------
# TAP version 13
# 1..3
# ok 1 one
# not ok 2 two
# ok 3 # SKIP three
# [FAIL]
not ok 1 cow # exit=1
# running ./plain
# 0 errors
# [PASS]
ok 2 plain
1..2
"""


def test_a_report_inside_a_report() -> None:
    results = judged(NESTED, 1)
    assert verdicts(results) == {
        "cow.one": "PASS", "cow.two": "FAIL", "cow.three": "SKIP", "cow": "FAIL", "plain": "PASS",
    }  # fmt: skip
    assert "failed in it: two" in next(result.reason for result in results if result.case == "cow")


def test_a_report_inside_that_begins_with_its_plan() -> None:
    text = NESTED.replace("# TAP version 13\n# 1..3", "# seed=1\n#\n# 1..3")
    assert verdicts(judged(text, 1)) == verdicts(judged(NESTED, 1))
    assert verdicts(judged(text.replace("# ok 3 # SKIP three\n", ""), 1, TWO))["cow"] == "FAIL", "it was cut short"
    assert verdicts(judged(text, 1, TWO))["cow"] == "XFAIL"


def test_a_line_like_a_plan_is_no_report() -> None:
    text = "TAP version 13\n1..1\n# 1..3\n# pages 1 to 3\nok 1 pages\n# 1..3\n"
    assert verdicts(judged(text, 0)) == {"pages": "PASS"}


def test_a_pass_whose_own_report_is_broken_is_none() -> None:
    text = NESTED.replace("# not ok 2 two\n", "").replace("not ok 1 cow # exit=1", "ok 1 cow")
    assert verdicts(judged(text, 0))["cow"] == "FAIL"


def test_a_skip_inside_gives_its_reason() -> None:
    text = "TAP version 13\n# TAP version 13\n# 1..0 # SKIP minutes under TCG\n# [SKIP]\nok 1 slow # SKIP\n1..1\n"
    (result,) = judged(text, 4)
    assert (result.verdict, result.reason) == (Verdict.SKIP, "minutes under TCG")


TWO = Expectation(case="cow.two", reason="needs two nodes")


def test_a_run_line_names_results_of_its_own_level_only() -> None:
    text = NESTED.replace("# ok 1 one", "# # [RUN] fork\n# ok 1 one")
    results = verdicts(judged(text, 1))
    assert results["cow.fork_one"] == "PASS" and "plain" in results and results["cow"] == "FAIL"


def test_a_pass_of_which_all_was_skipped_is_a_skip() -> None:
    text = "TAP version 13\n# TAP version 13\n# 1..1\n# ok 1 # SKIP no GUP_TEST here\nok 1 gup\n1..1\n"
    assert verdicts(judged(text, 0)) == {"gup.no_GUP_TEST_here": "SKIP", "gup": "SKIP"}


def test_an_expected_failure_and_what_it_explains() -> None:
    results = judged(NESTED, 1, TWO)
    assert verdicts(results)["cow.two"] == "XFAIL"
    assert verdicts(results)["cow"] == "XFAIL"
    assert "needs two nodes" in next(result.reason for result in results if result.case == "cow.two")
    assert all(result.verdict.good for result in results)


def test_an_expected_failure_does_not_hide_another() -> None:
    results = verdicts(judged(NESTED.replace("# ok 1 one", "# not ok 1 one"), 1, TWO))
    assert (results["cow.one"], results["cow.two"], results["cow"]) == ("FAIL", "XFAIL", "FAIL")


def test_an_expected_failure_does_not_excuse_a_report_that_was_cut_short() -> None:
    results = verdicts(judged(NESTED.replace("# ok 3 # SKIP three\n", ""), 1, TWO))
    assert (results["cow.two"], results["cow"]) == ("XFAIL", "FAIL")


@pytest.mark.parametrize(("sometimes", "expected"), [(False, "XPASS"), (True, "PASS")])
def test_an_expected_failure_that_passes(sometimes: bool, expected: str) -> None:
    text = NESTED.replace("# not ok 2", "# ok 2").replace("not ok 1 cow # exit=1", "ok 1 cow")
    assert verdicts(judged(text, 0, replace(TWO, sometimes=sometimes)))["cow.two"] == expected


def test_a_pattern_is_satisfied_by_one_failure() -> None:
    results = verdicts(judged(f"{HEAD}ok 1 x1\nnot ok 2 x2\n", 1, Expectation(case="x*", reason="flaky clock")))
    assert results == {"x1": "PASS", "x2": "XFAIL"}


def test_a_program_that_is_expected_to_fail() -> None:
    known = Expectation(case=PROGRAM, reason="no such device here")
    assert verdicts(judged("bad\n", 1, known)) == {PROGRAM: "XFAIL"}
    assert verdicts(judged("good\n", 0, known)) == {PROGRAM: "XPASS"}
    assert verdicts(judged("good\n", 4, known)) == {PROGRAM: "SKIP"}
    assert verdicts(judged(f"{HEAD}ok 1 a\nok 2 b\n", 0, known)) == {"a": "PASS", "b": "PASS", PROGRAM: "XPASS"}


def test_only_some_cases() -> None:
    assert verdicts(judged(CGROUP, 1, only=("test_a",))) == {"test_a": "PASS"}
    assert verdicts(judged(CGROUP, 1, only=("test_z",))) == {"test_z": "FAIL"}


def test_a_required_feature_makes_a_skip_a_failure() -> None:
    assert verdicts(judged(CGROUP, 1, feature=True))["test_b"] == "FAIL"


@given(st.lists(st.sampled_from([*HEAD.splitlines(), "ok 1 a", "not ok 2 b", "ok 2 b # SKIP x", "# TAP version 13",
                                 "# 1..1", "# ok 1 n", "Bail out!", "    ok 1 n", "ok 1", "1..0", "x"])),
       st.integers(0, 255))  # fmt: skip
def test_any_order_of_lines_has_a_verdict_and_a_failed_exit_no_pass(lines: list[str], status: int) -> None:
    results = judged("\n".join(lines), status)
    assert results
    if status not in (0, 4):
        assert any(not result.verdict.good for result in results)
    if all(result.verdict is Verdict.PASS for result in results):
        assert status == 0 and not any(line.startswith("not ok") for line in lines if "version" in lines[0])


WARNING = "[   10.000000] WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:1 x+0x1/0x2"
END = "[   10.100000] harness: case end kselftest:demo/prog:program"


def run(*scripts: list[Step], program: ForeignProgram | None = None, fresh: bool = True) -> list[CaseResult]:
    machines = [ScriptedMachine(script) for script in scripts]
    first, *others = machines
    runner = Runner(first, fresh=(lambda _: others.pop(0)) if fresh else None, limits=Limits(scale=1.0, patience=0.3))
    return list(runner.run(program or foreign()))


def test_a_splat_makes_the_program_a_crash_whatever_it_said() -> None:
    results = run([Say("TAP version 13"), Say("1..1"), Say("ok 1 a"), Log(WARNING), Log(END), Exit(0)])
    assert verdicts(results) == {"a": "PASS", PROGRAM: "CRASH"}
    assert results[-1].splat is not None and "page_alloc" in results[-1].splat


def test_a_crash_takes_the_place_of_the_programs_own_verdict() -> None:
    results = run([Say("TAP version 13"), Say("1..2"), Say("ok 1 a"), Log(WARNING), Log(END), Exit(137)])
    assert [(result.case, result.verdict) for result in results] == [("a", Verdict.PASS), (PROGRAM, Verdict.CRASH)]
    assert "killed by signal 9" in results[-1].reason


def test_a_splat_that_it_provokes_on_purpose() -> None:
    script: list[Step] = [Say("fine"), Log(WARNING), Log(END), Exit(0)]
    assert verdicts(run(script, program=replace(foreign(), splats=("at mm/page_alloc",)))) == {PROGRAM: "PASS"}
    assert verdicts(run(script, program=replace(foreign(), splats=("^oom$",)))) == {PROGRAM: "CRASH"}


def test_an_expected_failure_is_no_excuse_for_a_crash() -> None:
    program = foreign(Expectation(case="*", reason="fails here"))
    results = run([Say("oh"), Log(WARNING), Log(END), Exit(1)], program=program)
    assert verdicts(results) == {PROGRAM: "CRASH"}


def test_a_hang_is_a_timeout_that_says_how_far_it_came() -> None:
    results = run([Say("TAP version 13"), Say("1..2"), Say("ok 1 a"), Hang()], program=foreign(timeout=0.3))
    assert verdicts(results) == {"a": "PASS", PROGRAM: "TIMEOUT"}
    assert "1 of 2 results had come" in results[-1].reason


def test_a_program_that_kills_the_guest_is_lost_and_the_next_gets_another() -> None:
    first, second = ScriptedMachine([Say("ok 1 a"), Vanish()]), ScriptedMachine([Exit(0)])
    runner = Runner(first, fresh=lambda _: second, limits=Limits(scale=1.0, patience=0.2))
    assert verdicts(list(runner.run(foreign()))) == {"a": "PASS", PROGRAM: "LOST"}
    assert verdicts(list(runner.run(foreign()))) == {PROGRAM: "PASS"}
    assert runner.replaced == 1


def test_what_is_refused_is_not_run() -> None:
    program = replace(foreign(), refused=(Verdict.SKIP, "it was not built: no -lcap"))
    assert verdicts(run([], program=program)) == {PROGRAM: "SKIP"}


def test_the_command_is_the_programs_words() -> None:
    machine = ScriptedMachine([Exit(0)])
    list(Runner(machine, limits=Limits(patience=0.1)).run(foreign()))
    assert machine.commands[0].endswith(
        "; exec sh /opt/harness/kselftest/run.sh kselftest:demo/prog:program demo ./prog"
    )


RECORDED = Path(__file__).parent / "recorded"  # of Linux 6.12.117, run by run.sh


def test_recorded_reports() -> None:
    results = judged((RECORDED / "mincore.tap").read_text(), 1)
    assert verdicts(results) == {
        "global.basic_interface": "PASS",
        "global.check_anonymous_locked_pages": "PASS",
        "global.check_huge_pages": "SKIP",
        "global.check_file_mmap": "FAIL",
        "global.check_tmpfs_mmap": "PASS",
    }
    assert "No huge pages available" in results[2].reason
    assert verdicts(judged((RECORDED / "size.tap").read_text(), 0)) == {"get_runtime_memory_use": "PASS"}


@pytest.mark.parametrize("lines", range(1, 23))
def test_a_recorded_report_that_is_cut_short_is_no_pass(lines: int) -> None:
    text = "\n".join((RECORDED / "mincore.tap").read_text().replace("not ok 4", "ok 4").splitlines()[:lines])
    assert any(not result.verdict.good for result in judged(text, 0)) or "\nok 5 " in text
