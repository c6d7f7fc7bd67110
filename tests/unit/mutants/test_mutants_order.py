# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from harness.mutants.order import ordered
from harness.suite.catalogue import Selection
from tests.unit.suite.fakes import program

X = Selection(program=program("one", "two", "three", name="test_x"), cases=("one", "two", "three"))
Y = Selection(program=program("four", "five", name="test_y"), cases=("four", "five"))


@pytest.mark.parametrize(
    ("killers", "names"),
    [
        ((), ["x:one x:two x:three", "y:four y:five"]),
        (("demo/test_y",), ["y:four y:five", "x:one x:two x:three"]),
        (("demo/y:five",), ["y:five", "x:one x:two x:three", "y:four"]),
        (("demo/test_x.sh:two", "demo/test_y"), ["x:two", "y:four y:five", "x:one x:three"]),
        (("demo/test_x:three", "demo"), ["x:three", "x:one x:two", "y:four y:five"]),
        (("demo/test_x:three", "demo/test_x:one"), ["x:three", "x:one", "x:two", "y:four y:five"]),
        (("elsewhere/test_x",), ["x:one x:two x:three", "y:four y:five"]),
        (("demo/test_x:four",), ["x:one x:two x:three", "y:four y:five"]),
    ],
)
def test_the_likely_killer_goes_first_and_each_case_runs_once(killers: tuple[str, ...], names: list[str]) -> None:
    found = ordered([X, Y], killers)
    assert [" ".join(one.names).replace("demo/test_", "") for one in found] == names


def test_what_is_not_selected_does_not_run() -> None:
    found = ordered([Selection(program=X.program, cases=("one", "three"))], ["demo/test_x:two", "demo/test_y"])
    assert [one.names for one in found] == [("demo/test_x:one", "demo/test_x:three")]
