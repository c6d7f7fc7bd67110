# SPDX-License-Identifier: GPL-2.0-only
"""Programs as data and back; and what is no program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.suite import described
from harness.suite.catalogue import Program, Selection, select
from harness.suite.foreign import ForeignProgram
from harness.values import CaseResult, Expectation, Verdict

GUEST = Path(__file__).parents[3] / "tests" / "guest"


def test_our_own_programs_come_back_as_they_were() -> None:
    chosen = select(GUEST, ["smoke", "cxl", "private"])
    again = described.restore(described.read(described.written(chosen), where="here"), hosted={})
    for one, other in zip(chosen, again, strict=True):
        assert one.cases == other.cases and one.program.full_name == other.program.full_name
        for name in ("guest_path", "options", "timeout", "case_timeout", "stress", "asks", "cases"):
            assert getattr(one.program, name) == getattr(other.program, name), (one.program.full_name, name)


def test_selftests_of_the_tree_come_back_as_they_were() -> None:
    program = ForeignProgram(
        suite="kselftest:drivers/dma-buf",
        name="udmabuf",
        path=Path("udmabuf"),
        cases=("program",),
        options={},
        timeout=180.0,
        words=("sh", "/opt/harness/kselftest/run.sh", "./udmabuf"),
        known=(Expectation(case="a*", reason="it does", sometimes=True),),
        splats=("WARNING: .*udmabuf",),
        only=("one",),
        refused=(Verdict.SKIP, "left out"),
    )
    chosen = [Selection(program=program, cases=("program",))]
    assert described.restore(described.read(described.written(chosen), where="here"), hosted={}) == tuple(chosen)


def test_what_runs_from_the_host_is_the_readers_own() -> None:
    def run(*_: object) -> Iterator[CaseResult]:
        yield from ()

    program = Program(
        suite="lifecycle", name="random", path=Path("x"), cases=("seed_1",), options={}, timeout=1.0, hosted=run
    )
    records = described.describe([Selection(program=program, cases=("seed_1",))])
    (found,) = described.restore(records, hosted={"lifecycle": lambda: [program]})
    assert found.program is program
    nothing: tuple[Program, ...] = ()
    for hosted in ({}, {"lifecycle": lambda: nothing}):
        with pytest.raises(UserError, match="lifecycle/random runs from the host"):
            described.restore(records, hosted=hosted)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"suite": "smoke"', '"suite": "../smoke"', "is no program's name"),
        ('"suite": "smoke"', '"suite": "/etc"', "is no program's name"),
        ('"suite": "smoke"', '"suite": "a/../b"', "is no program's name"),
        ('"name": "test_boot"', '"name": ".ssh"', "is no program's name"),
        ('"file": "test_boot.sh"', '"file": "a/b"', "is no program's name"),
        ('"timeout": ', '"timeout": 1e9, "x": ', "unknown field|is no number of seconds"),
        ('"stress": false', '"stress": 7', "Expected `bool`"),
        ("[", "[7,", "Expected `object`"),
    ],
)
def test_what_is_no_program(old: str, new: str, says: str) -> None:
    text = described.written(select(GUEST, ["smoke/test_boot"])).decode()
    assert old in text
    with pytest.raises(UserError, match=says):
        described.read(text.replace(old, new, 1).encode(), where="here")
