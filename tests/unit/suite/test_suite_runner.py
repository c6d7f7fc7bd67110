# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

from harness.errors import BootError
from harness.suite.attempt import Limits, command
from harness.suite.machine import Machine
from harness.suite.runner import Runner
from harness.values import CaseResult, KernelConfig, Verdict
from tests.unit.suite.fakes import (
    Exit,
    Hang,
    LocalMachine,
    Log,
    Say,
    ScriptedMachine,
    Step,
    Vanish,
    guest_tests,
    program,
    shell_program,
    verdicts,
)

QUICK = Limits(patience=0.2)
BEGIN = "[    1.000000] harness: case begin demo/test_x:"
END = "[    1.000000] harness: case end demo/test_x:"
WARN = [
    Log("[    1.100000] ------------[ cut here ]------------"),
    Log("[    1.100001] WARNING: CPU: 0 PID: 77 at mm/page_alloc.c:4242 __alloc_pages+0x1f/0x300"),
    Log("[    1.100002] Call Trace:"),
    Log("[    1.100003]  <TASK>"),
    Log("[    1.100004]  alloc_pages_mpol+0x10/0x20"),
    Log("[    1.100005] ---[ end trace 0000000000000000 ]---"),
]


def plan(count: int) -> list[Step]:
    return [Say("KTAP version 1"), Say(f"1..{count}")]


def passing(*cases: str) -> list[Step]:
    steps: list[Step] = plan(len(cases))
    for number, case in enumerate(cases, 1):
        steps += [Log(BEGIN + case), Log(END + case), Say(f"ok {number} {case}")]
    return [*steps, Exit(0)]


def test_all_pass() -> None:
    machine = ScriptedMachine(passing("a", "b"))
    started: list[str] = []
    runner = Runner(machine, limits=QUICK, on_start=started.append)
    results = list(runner.run(program("a", "b")))
    assert verdicts(results) == {"a": "PASS", "b": "PASS"}
    assert started == ["demo/test_x:a", "demo/test_x:b"]


def test_time_in_which_nobody_looked_is_on_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.suite.attempt._LOOK_SECONDS", 0.3)
    results = []
    steps = passing("a", "b", "c")
    brief = dataclasses.replace(program("a", "b", "c"), timeout=1.0)
    for result in Runner(ScriptedMachine(steps), limits=QUICK).run(brief):
        results.append(result)
        time.sleep(1.5)  # Ctrl-Z, or a terminal that takes nothing
    assert verdicts(results) == {"a": "PASS", "b": "PASS", "c": "PASS"}


def test_command_names_cases_only_when_not_all() -> None:
    whole = program("a", "b c".replace(" ", "_"))
    assert command(whole, whole.cases).endswith("exec sh /opt/harness/tests/demo/test_x.sh")
    assert command(whole, ["a"]).endswith("exec sh /opt/harness/tests/demo/test_x.sh -t a")


def test_splat_makes_a_crash_of_a_pass_and_a_fresh_guest_goes_on() -> None:
    crashing = [*plan(2), Log(BEGIN + "a"), *WARN, Log(END + "a"), Say("ok 1 a"), Log(BEGIN + "b"), Hang()]
    first, second = ScriptedMachine(crashing), ScriptedMachine(passing("b"))
    asked: list[Machine] = []

    def fresh(old: Machine) -> Machine:
        asked.append(old)
        return second

    runner = Runner(first, fresh=fresh, limits=QUICK)
    results = list(runner.run(program("a", "b")))
    assert verdicts(results) == {"a": "CRASH", "b": "PASS"}
    assert asked == [first]
    assert results[0].splat == "WARNING: at mm/page_alloc.c:4242 __alloc_pages"
    assert "the case itself said PASS" in results[0].reason
    assert any("alloc_pages_mpol" in line for line in results[0].diagnostics)


def test_a_crashed_case_that_hangs_is_not_waited_for_until_its_deadline() -> None:
    crashing = [*plan(2), Log(BEGIN + "a"), *WARN, Hang()]
    first, second = ScriptedMachine(crashing), ScriptedMachine(passing("b"))
    limits = Limits(patience=0.2, scale=0.01)  # 0.2 s after a crash, 30 s for the program
    runner = Runner(first, fresh=lambda _: second, limits=limits)
    started = time.monotonic()
    results = list(runner.run(program("a", "b", timeout=3000)))
    assert time.monotonic() - started < 5
    assert verdicts(results) == {"a": "CRASH", "b": "PASS"}
    assert "the case itself said TIMEOUT" in results[0].reason
    assert first.kills == [], "a crashed guest was asked to end a program"


def test_splat_without_another_guest_goes_on_in_the_same() -> None:
    steps = [*plan(2), Log(BEGIN + "a"), *WARN, Log(END + "a"), Say("ok 1 a")]
    steps += [Log(BEGIN + "b"), Log(END + "b"), Say("ok 2 b"), Exit(0)]
    results = list(Runner(ScriptedMachine(steps), limits=QUICK).run(program("a", "b")))
    assert verdicts(results) == {"a": "CRASH", "b": "PASS"}


def test_splat_between_cases_belongs_to_the_previous_one() -> None:
    steps = [*plan(2), Log(BEGIN + "a"), Log(END + "a"), Say("ok 1 a"), *WARN]
    steps += [Log(BEGIN + "b"), Log(END + "b"), Say("ok 2 b"), Exit(0)]
    results = list(Runner(ScriptedMachine(steps), limits=QUICK).run(program("a", "b")))
    assert verdicts(results) == {"a": "CRASH", "b": "PASS"}


def test_splat_after_the_last_case_counts() -> None:
    steps = [*plan(1), Log(BEGIN + "a"), Log(END + "a"), Say("ok 1 a"), *WARN, Exit(0)]
    results = list(Runner(ScriptedMachine(steps), limits=QUICK).run(program("a")))
    assert verdicts(results) == {"a": "CRASH"}


@pytest.mark.parametrize("announce", [Say("# expect-splat: WARNING.*page_alloc"),
                                      Log("[ 1.0] harness: case expects demo/test_x:a WARNING")])  # fmt: skip
def test_announced_splat_is_none(announce: Step) -> None:
    if isinstance(announce, Log):
        announce = Log("[    1.000000] harness: case expects demo/test_x:a WARNING")
    steps = [*plan(1), Log(BEGIN + "a"), announce, *WARN, Log(END + "a"), Say("ok 1 a"), Exit(0)]
    results = list(Runner(ScriptedMachine(steps), limits=QUICK).run(program("a")))
    assert verdicts(results) == {"a": "PASS"}


def tainted(case: str, begin: int, end: int, *between: Step) -> list[Step]:
    return [Log(f"{BEGIN}{case} taint={begin}"), *between, Log(f"{END}{case} taint={end}")]


def test_taint_without_a_report_is_a_crash() -> None:
    steps = [*plan(2), *tainted("a", 0, 512), Say("ok 1 a"), *tainted("b", 512, 512), Say("ok 2 b"), Exit(0)]
    results = list(Runner(ScriptedMachine(steps), limits=QUICK).run(program("a", "b")))
    assert verdicts(results) == {"a": "CRASH", "b": "PASS"}
    assert "the kernel was tainted and no report was seen: W (the kernel issued a warning)" in results[0].reason


def test_taint_between_two_cases_belongs_to_the_first() -> None:
    steps = [*plan(2), *tainted("a", 0, 0), Say("ok 1 a"), *tainted("b", 16, 16), Say("ok 2 b"), Exit(0)]
    results = list(Runner(ScriptedMachine(steps), limits=QUICK).run(program("a", "b")))
    assert verdicts(results) == {"a": "CRASH", "b": "PASS"}


def test_taint_that_an_announced_report_brings_is_none() -> None:
    announce = Say("# expect-splat: WARNING.*page_alloc")
    steps = [*plan(1), *tainted("a", 0, 512, announce, *WARN), Say("ok 1 a"), Exit(0)]
    assert verdicts(list(Runner(ScriptedMachine(steps), limits=QUICK).run(program("a")))) == {"a": "PASS"}
    steps = [*plan(1), *tainted("a", 0, 512 + 128, announce, *WARN), Say("ok 1 a"), Exit(0)]
    assert verdicts(list(Runner(ScriptedMachine(steps), limits=QUICK).run(program("a")))) == {"a": "CRASH"}


def test_taint_that_is_announced_or_allowed() -> None:
    announce = Log("[    1.000000] harness: case expects demo/test_x:a tainted.*M ")
    steps = [
        *plan(2),
        *tainted("a", 0, 16, announce),
        Say("ok 1 a"),
        *tainted("b", 16, 16 + 4096),
        Say("ok 2 b"),
        Exit(0),
    ]
    results = list(Runner(ScriptedMachine(steps), limits=QUICK).run(program("a", "b")))
    assert verdicts(results) == {"a": "PASS", "b": "PASS"}
    assert any("kernel tainted O" in line for line in results[1].diagnostics)


def test_splat_between_two_programs_belongs_to_the_last_case() -> None:
    machine = ScriptedMachine(passing("a"), [*plan(1), Log(BEGIN + "c"), Log(END + "c"), Say("ok 1 c"), Exit(0)])
    fresh = ScriptedMachine([*plan(1), Log(BEGIN + "c"), Log(END + "c"), Say("ok 1 c"), Exit(0)])
    runner = Runner(machine, fresh=lambda _: fresh, limits=QUICK)
    (first,) = list(runner.run(program("a")))
    for line in WARN:
        machine.console.say(line.text)
    late, *rest = list(runner.run(program("c")))
    assert (first.name, first.verdict) == ("demo/test_x:a", Verdict.PASS)
    assert (late.name, late.verdict) == ("demo/test_x:a", Verdict.CRASH)
    assert late.splat == "WARNING: at mm/page_alloc.c:4242 __alloc_pages" and "ended with PASS" in late.reason
    assert verdicts(rest) == {"c": "PASS"} and runner.replaced == 1, "the guest is not used on"


def test_splat_after_the_last_program_is_not_lost() -> None:
    from harness.suite.catalogue import Selection

    one = program("a")

    machine = ScriptedMachine(passing("a"))
    runner = Runner(machine, limits=QUICK)
    results: list[CaseResult] = []
    for result in runner.run_all([Selection(program=one, cases=one.cases)]):
        if not results:  # the program has ended; the console goes on
            for line in WARN:
                machine.console.say(line.text)
        results.append(result)
    assert [result.verdict for result in results] == [Verdict.PASS, Verdict.CRASH]


def test_announced_splat_that_comes_late_is_none() -> None:
    announce = Log("[    1.000000] harness: case expects demo/test_x:a WARNING.*page_alloc")
    machine = ScriptedMachine([*plan(1), Log(BEGIN + "a"), announce, Log(END + "a"), Say("ok 1 a"), Exit(0)])
    runner = Runner(machine, limits=QUICK)
    assert verdicts(list(runner.run(program("a")))) == {"a": "PASS"}
    for line in WARN:
        machine.console.say(line.text)
    assert list(runner.aftermath()) == []


def test_guest_is_replaced_after_an_announced_splat_that_damages_the_kernel() -> None:
    bug = [
        Log("[    1.1] "),
        Log("[    1.100000] kernel BUG at mm/slub.c:1!"),
        Log("[    1.100001] ---[ end trace 0 ]---"),
    ]
    announce = Say("# expect-splat: kernel BUG")
    steps = [*plan(2), Log(BEGIN + "a"), announce, *bug, Log(END + "a"), Say("ok 1 a"), Log(BEGIN + "b"), Hang()]
    runner = Runner(ScriptedMachine(steps), fresh=lambda _: ScriptedMachine(passing("b")), limits=QUICK)
    assert verdicts(list(runner.run(program("a", "b")))) == {"a": "PASS", "b": "PASS"}
    assert runner.replaced == 1


def test_guest_is_used_on_after_an_announced_splat_that_does_not() -> None:
    oom = [
        Log("[    1.100000] tail invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0"),
        Log("[    1.200000] Call Trace:"),
    ]
    announce = Say("# expect-splat: oom-killer")
    steps = [*plan(2), Log(BEGIN + "a"), announce, *oom, Log(END + "a"), Say("ok 1 a")]
    steps += [Log(BEGIN + "b"), Log(END + "b"), Say("ok 2 b"), Exit(0)]
    runner = Runner(ScriptedMachine(steps), fresh=lambda _: ScriptedMachine(passing("b")), limits=QUICK)
    assert verdicts(list(runner.run(program("a", "b")))) == {"a": "PASS", "b": "PASS"}
    assert runner.replaced == 0


def test_console_that_is_too_fast_to_be_looked_at_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.suite.attempt._CONSOLE_BACKLOG", 5)
    flood = [Log(f"[    1.000000] line {number}") for number in range(2000)]
    steps = [*plan(1), Log(BEGIN + "a"), *flood, Log(END + "a"), Say("ok 1 a"), Exit(0)]
    (result, *_) = list(Runner(ScriptedMachine(steps), limits=QUICK).run(program("a")))
    assert result.verdict is Verdict.FAIL and "came too fast" in result.reason


def test_crashes_count_only_in_a_row() -> None:
    gone: list[Step] = [*plan(1), Log(BEGIN + "a"), Vanish()]
    machines = iter([ScriptedMachine(passing("a"), gone), ScriptedMachine(gone)])
    runner = Runner(ScriptedMachine(gone), fresh=lambda _: next(machines), limits=QUICK)
    seen = [result.verdict for _ in range(5) for result in runner.run(program("a"))]
    assert seen == [Verdict.LOST, Verdict.PASS, Verdict.LOST, Verdict.LOST, Verdict.CRASH]


def test_another_splat_than_the_announced_one_is_a_crash() -> None:
    steps = [*plan(1), Log(BEGIN + "a"), Say("# expect-splat: KASAN"), *WARN, Log(END + "a"), Say("ok 1 a"), Exit(0)]
    results = list(Runner(ScriptedMachine(steps), limits=QUICK).run(program("a")))
    assert verdicts(results) == {"a": "CRASH"}


def test_without_marks_time_decides() -> None:
    steps = [*plan(2), Say("ok 1 a"), *WARN, Say("ok 2 b"), Exit(0)]
    results = list(Runner(ScriptedMachine(steps), limits=QUICK).run(program("a", "b")))
    assert verdicts(results) == {"a": "PASS", "b": "CRASH"}


def test_guest_gone_is_lost_and_the_rest_run_in_a_fresh_one() -> None:
    first = ScriptedMachine([*plan(3), Log(BEGIN + "a"), Log(END + "a"), Say("ok 1 a"), Log(BEGIN + "b"), Vanish()])
    second = ScriptedMachine(passing("c"))
    results = list(Runner(first, fresh=lambda old: second, limits=QUICK).run(program("a", "b", "c")))
    assert verdicts(results) == {"a": "PASS", "b": "LOST", "c": "PASS"}
    assert second.commands[0].endswith("-t c")


def test_panic_is_a_crash_though_the_guest_is_gone() -> None:
    panic = Log("[    2.000000] Kernel panic - not syncing: sysrq triggered crash")
    results = list(
        Runner(ScriptedMachine([*plan(1), Log(BEGIN + "a"), panic, Vanish()]), limits=QUICK).run(program("a"))
    )
    assert verdicts(results) == {"a": "CRASH"}
    assert results[0].splat == "Kernel panic - not syncing: sysrq triggered crash"


def test_guest_gone_without_another_one() -> None:
    first = ScriptedMachine([*plan(3), Say("ok 1 a"), Vanish()])
    runner = Runner(first, limits=QUICK)
    assert verdicts(list(runner.run(program("a", "b", "c")))) == {"a": "PASS", "b": "LOST", "c": "LOST"}
    assert verdicts(list(runner.run(program("z", name="test_y")))) == {"z": "LOST"}


def test_no_fresh_guest_comes_up() -> None:
    def fresh(old: Machine) -> Machine:
        raise BootError("the kernel did not boot")

    first = ScriptedMachine([*plan(2), Vanish()])
    results = list(Runner(first, fresh=fresh, limits=QUICK).run(program("a", "b")))
    assert verdicts(results) == {"a": "LOST", "b": "LOST"}
    assert "did not boot" in results[1].reason


def test_case_over_its_deadline_and_the_rest() -> None:
    first = ScriptedMachine([*plan(3), Log(BEGIN + "a"), Log(END + "a"), Say("ok 1 a"), Log(BEGIN + "b"), Hang()])
    second = ScriptedMachine(passing("c"))
    hung: list[str] = []
    runner = Runner(
        first,
        fresh=lambda old: second,
        limits=Limits(scale=0.1, patience=0.1),
        on_hang=lambda m, case: hung.append(case),
    )
    results = list(runner.run(program("a", "b", "c", timeout=5.0)))
    assert verdicts(results) == {"a": "PASS", "b": "TIMEOUT", "c": "PASS"}
    assert "0.5 s" in results[1].reason
    assert hung == ["demo/test_x:b"]
    assert first.kills and "kill -TERM" in first.kills[0]


def test_case_deadline_of_its_own() -> None:
    first = ScriptedMachine([*plan(2), Log(BEGIN + "a"), Hang()], passing("b"))
    results = list(Runner(first, limits=QUICK).run(program("a", "b", case_timeout=0.3)))
    assert verdicts(results) == {"a": "TIMEOUT", "b": "PASS"}


def test_case_that_takes_two_guests_down_is_set_aside() -> None:
    def crash() -> ScriptedMachine:
        return ScriptedMachine([*plan(1), Log(BEGIN + "a"), Vanish()])

    runner = Runner(crash(), fresh=lambda old: crash(), limits=QUICK)
    seen = [next(iter(runner.run(program("a")))) for _ in range(3)]
    assert [result.verdict for result in seen] == [Verdict.LOST, Verdict.LOST, Verdict.CRASH]
    assert "set aside" in seen[2].reason
    assert runner.replaced == 1


def test_program_that_takes_guests_down_before_any_case() -> None:
    boots = 0

    def fresh(old: Machine) -> Machine:
        nonlocal boots
        boots += 1
        return ScriptedMachine([Say("KTAP version 1"), Vanish()])

    results = list(Runner(ScriptedMachine([Vanish()]), fresh=fresh, limits=QUICK).run(program(*"abcdef")))
    assert set(verdicts(results).values()) == {"LOST"}
    assert len(results) == 6 and boots <= 2


def test_program_killed_by_a_signal_fails_its_case_and_the_rest_run() -> None:
    first = ScriptedMachine([*plan(3), Say("ok 1 a"), Exit(139)], [*plan(1), Say("ok 1 c"), Exit(0)])
    results = list(Runner(first, limits=QUICK).run(program("a", "b", "c")))
    assert verdicts(results) == {"a": "PASS", "b": "FAIL", "c": "PASS"}
    assert "signal 11" in results[1].reason


def test_after_a_program_killed_by_a_signal_the_rest_run_in_a_fresh_guest() -> None:
    """Its clean-ups did not run: what it left behind would fail the cases after it."""
    first = ScriptedMachine([*plan(3), Say("ok 1 a"), Exit(137)], passing("c"), passing("a"))
    fresh = ScriptedMachine(passing("c"), passing("a"))
    runner = Runner(first, fresh=lambda old: fresh, limits=QUICK)
    assert verdicts(list(runner.run(program("a", "b", "c")))) == {"a": "PASS", "b": "FAIL", "c": "PASS"}
    assert runner.machine is fresh and runner.replaced == 1
    # killed as it cleaned up, after its last case: the next program gets another, too
    last = ScriptedMachine([*plan(1), Say("ok 1 a"), Exit(137)], passing("c"))
    runner = Runner(last, fresh=lambda old: fresh, limits=QUICK)
    assert verdicts(list(runner.run(program("a")))) == {"a": "PASS", "*": "FAIL"}
    assert verdicts(list(runner.run(program("a")))) == {"a": "PASS"}
    assert runner.machine is fresh and runner.replaced == 1


def test_leaving_early_ends_the_program() -> None:
    machine = ScriptedMachine([*plan(2), Log(BEGIN + "a"), Log(END + "a"), Say("not ok 1 a"), Log(BEGIN + "b"), Hang()])
    runner = Runner(machine, limits=QUICK)
    results = runner.run(program("a", "b"))
    assert next(results).verdict is Verdict.FAIL
    results.close()
    assert len(machine.kills) == 1


def config(text: str) -> KernelConfig:
    return KernelConfig(text=text, digest="", fragments=())


def test_missing_options_skip_and_name_them() -> None:
    from dataclasses import replace

    needing = replace(program("a"), options={"ZSWAP": "y", "CXL_BUS": "m", "KASAN": "n"})
    machine = ScriptedMachine()
    has = config("CONFIG_CXL_BUS=y\nCONFIG_KASAN=y\n")
    (result,) = Runner(machine).run(needing, config=has)
    assert result.verdict is Verdict.SKIP
    assert "CONFIG_ZSWAP is not set" in result.reason and "CONFIG_KASAN is y, not n" in result.reason
    (result,) = Runner(machine, require_feature=True).run(needing, config=has)
    assert result.verdict is Verdict.FAIL


BODY = """
case_good() { note hello; echo output; }
case_bad() { expect_eq a b; }
case_skipped() { skip "not here"; }
case_after() { :; }
"""


@pytest.fixture
def local(tmp_path: Path) -> LocalMachine:
    return LocalMachine(tmp_path / "guest", tmp_path / "scratch")


def test_real_program_on_this_machine(tmp_path: Path, local: LocalMachine) -> None:
    folder = guest_tests(tmp_path)
    real = shell_program(folder, BODY)
    results = list(Runner(local, limits=QUICK).run(real))
    assert verdicts(results) == {"good": "PASS", "bad": "FAIL", "skipped": "SKIP", "after": "PASS"}
    assert results[0].diagnostics == ("hello", "output")
    assert results[1].reason == "value is 'a', expected 'b'"
    assert results[2].reason == "not here"


def test_real_program_that_hangs_is_ended_with_its_cleanups(tmp_path: Path, local: LocalMachine) -> None:
    folder = guest_tests(tmp_path)
    mark = tmp_path / "cleaned"
    body = f"case_hangs() {{ defer touch {mark}; sleep 300; }}\ncase_next() {{ :; }}"
    real = shell_program(folder, body)
    object.__setattr__(real, "timeout", 0.7)
    results = list(Runner(local, limits=QUICK).run(real))
    assert verdicts(results) == {"hangs": "TIMEOUT", "next": "PASS"}
    assert mark.exists()
