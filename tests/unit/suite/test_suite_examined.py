# SPDX-License-Identifier: GPL-2.0-only
"""A look at a guest that failed: when the runner asks for one, and what becomes of the answer."""

from __future__ import annotations

from typing import Any

import pytest

from harness.suite.attempt import Limits
from harness.suite.machine import Examined
from harness.suite.runner import Runner
from tests.unit.suite.fakes import (
    CutOff,
    Exit,
    Hang,
    Log,
    Pause,
    Say,
    ScriptedMachine,
    Silent,
    Step,
    Vanish,
    program,
    verdicts,
)
from tests.unit.suite.test_suite_runner import BEGIN, END, QUICK, WARN, passing, plan

STUCK = Examined(summary="the guest is stuck: QEMU is stopped by a signal", stuck=True)
FOUND = Examined(summary="the guest is busy (SSH answers)", lines=("CPU 1 in spin_here+0x1f",))


def test_a_hang_says_in_its_reason_what_the_guest_did() -> None:
    machine = ScriptedMachine([*plan(1), Log(BEGIN + "a"), Log("[    1.5] the case's own"), Hang()])

    def look(guest: Any, case: str) -> Examined:
        assert guest is machine and case == "demo/test_x:a" and machine.kills == [], (
            "something was killed before the look"
        )
        machine.console.say("[    2.000000] sysrq: Show Blocked State")
        machine.console.say("[    2.000001] what was asked for")
        return FOUND

    (result,) = Runner(machine, limits=QUICK, on_hang=look).run(program("a", timeout=0.3))
    assert result.verdict == "TIMEOUT"
    assert result.reason == "the program did not end within 0.3 s; the guest is busy (SSH answers)"
    assert "CPU 1 in spin_here+0x1f" in result.diagnostics
    assert any("the case's own" in line for line in result.diagnostics)
    assert not any("what was asked for" in line for line in result.diagnostics), "our own questions hide the case's log"


def test_a_case_that_ends_while_we_look_was_over_its_deadline_and_the_next_was_not() -> None:
    machine = ScriptedMachine([*plan(2), Log(BEGIN + "a"), Hang()])

    def look(*_: Any) -> Examined:
        machine.console.say(END + "a")
        machine.console.say(BEGIN + "b")
        return FOUND

    runner = Runner(machine, fresh=lambda old: ScriptedMachine(passing("b")), limits=QUICK, on_hang=look)
    results = list(runner.run(program("a", "b", timeout=0.3)))
    assert verdicts(results) == {"a": "TIMEOUT", "b": "PASS"}


def test_a_splat_that_comes_while_we_look_is_the_case_s_all_the_same() -> None:
    machine = ScriptedMachine([*plan(1), Log(BEGIN + "a"), Hang()])

    def look(*_: Any) -> None:
        for step in WARN:
            machine.console.say(step.text)

    (result,) = Runner(machine, limits=QUICK, on_hang=look).run(program("a", timeout=0.3))
    assert result.verdict == "CRASH" and "the case itself said TIMEOUT" in result.reason


def test_a_guest_that_is_only_cut_off_is_looked_at() -> None:
    machine = ScriptedMachine([*plan(1), Log(BEGIN + "a"), CutOff()])
    (result,) = Runner(machine, limits=QUICK, on_hang=lambda *_: FOUND).run(program("a"))
    assert result.verdict == "LOST"
    assert result.reason.endswith("no exit status came; the guest is busy (SSH answers)")
    assert "CPU 1 in spin_here+0x1f" in result.diagnostics


@pytest.mark.parametrize(
    ("step", "found", "verdict"),
    [
        (Silent(), STUCK, "TIMEOUT"),  # QEMU was stopped just before the command, and not just after it
        (Silent(), FOUND, "LOST"),
        (CutOff(), STUCK, "LOST"),  # a guest that resets answers nothing either for a while
    ],
)
def test_a_guest_that_takes_no_command_is_over_its_deadline_only_where_it_is_stuck(
    step: Step, found: Examined, verdict: str
) -> None:
    machine = ScriptedMachine([step])
    runner = Runner(machine, fresh=lambda old: ScriptedMachine(passing("b")), limits=QUICK, on_hang=lambda *_: found)
    results = {result.case: result for result in runner.run(program("a", "b"))}
    assert verdicts(list(results.values())) == {"a": verdict, "b": "PASS"}
    assert results["a"].reason.endswith(f"; {found.summary}")


def test_a_guest_that_is_gone_has_nothing_to_look_at() -> None:
    asked: list[str] = []
    machine = ScriptedMachine([*plan(1), Log(BEGIN + "a"), Vanish()])
    (result,) = Runner(machine, limits=QUICK, on_hang=lambda _, case: asked.append(case)).run(program("a"))
    assert result.verdict == "LOST" and asked == []


def test_a_crash_has_what_was_found_with_its_own_lines() -> None:
    steps = [*plan(1), Log(BEGIN + "a"), *WARN, Log(END + "a"), Say("ok 1 a"), Exit(0)]
    crashed: list[str] = []

    def look(_: Any, case: str) -> Examined:
        crashed.append(case)
        return Examined(lines=("memory dump: guests/1/vmcore",))

    (result,) = Runner(ScriptedMachine(steps), limits=QUICK, on_crash=look).run(program("a"))
    assert result.verdict == "CRASH" and crashed == ["demo/test_x:a"]
    assert result.diagnostics[-1] == "memory dump: guests/1/vmcore"
    assert any("alloc_pages_mpol" in line for line in result.diagnostics)


def test_a_slow_guest_gets_longer() -> None:
    steps = [*plan(1), Log(BEGIN + "a"), Pause(0.8), Log(END + "a"), Say("ok 1 a"), Exit(0)]
    quick = ScriptedMachine(list(steps))
    assert verdicts(list(Runner(quick, limits=QUICK).run(program("a", timeout=0.2)))) == {"a": "TIMEOUT"}
    slow = ScriptedMachine(list(steps))
    slow.speed_factor = 300.0
    assert verdicts(list(Runner(slow, limits=QUICK).run(program("a", timeout=0.2)))) == {"a": "PASS"}


def test_a_program_on_the_host_is_told_of_both_factors() -> None:
    machine = ScriptedMachine(passing("a"))
    machine.speed_factor = 3.0
    runner = Runner(machine, limits=Limits(scale=2.0))
    assert runner.scale == 6.0
    assert list(runner.run(program("a")))


def test_a_program_on_the_host_asks_for_a_look_by_itself() -> None:
    asked: list[str] = []

    def look(_: Any, case: str) -> Examined:
        asked.append(case)
        return FOUND

    machine = ScriptedMachine()
    runner = Runner(machine, limits=QUICK, on_hang=look)
    runner.case_begins("lifecycle/drawn:seed_1")
    assert runner.examined(crashed=False) == (FOUND.summary, *FOUND.lines)
    assert runner.examined(crashed=True) == (), "nobody looks at crashes here"
    machine.alive = False
    assert runner.examined(crashed=False) == (), "a guest that is gone"
    assert asked == ["lifecycle/drawn:seed_1"]
