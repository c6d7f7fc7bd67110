# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel says between two programs, under pytest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from harness.suite.attempt import Limits
from harness.suite.pytest_items import Stage
from harness.values import Verdict
from tests.unit.suite.fakes import Exit, Log, Say, ScriptedMachine, Step, program


def passing(name: str, case: str) -> list[Step]:
    mark = f"demo/{name}:{case}"
    log = [Log(f"[    1.000000] harness: case {what} {mark}") for what in ("begin", "end")]
    return [Say("KTAP version 1"), Say("1..1"), *log, Say(f"ok 1 {case}"), Exit(0)]


class OneMachine:
    limits = Limits(patience=0.2)
    require_feature = False

    def __init__(self) -> None:
        self.machines = [ScriptedMachine(passing("test_x", "a")), ScriptedMachine(passing("test_y", "a"))]

    def config(self) -> None:
        return None

    def kernel(self) -> Any:
        raise NotImplementedError

    def topology(self, name: str | None = None) -> Any:
        raise NotImplementedError

    @contextlib.contextmanager
    def guest(self, *, topology: str | None = None) -> Iterator[Any]:
        yield self.machines.pop(0)


def test_a_late_splat_fails_the_next_item_and_names_whose_it_is() -> None:
    """The item of the case that it belongs to is reported already; the crash must not be lost with it."""
    provider = OneMachine()
    first = provider.machines[0]
    stage = Stage(provider, one_by_one=False)
    one, other = program("a", name="test_x"), program("a", name="test_y")
    stage.prepare(one, "a", ["a"])
    assert stage.result(one, "a").verdict is Verdict.PASS
    first.console.say("[    2.000000] BUG: Bad page state in process sh  pfn:12345")
    stage.prepare(other, "a", ["a"])
    result = stage.result(other, "a")
    assert result.verdict is Verdict.CRASH
    assert (
        "demo/test_x:a: BUG: Bad page state in process sh" in result.reason and "the case itself: PASS" in result.reason
    )
    stage.close()
