# SPDX-License-Identifier: GPL-2.0-only
"""What became of a case between base and head, and what of it speaks against the head."""

from __future__ import annotations

import pytest

from harness.gate.cases import Change, change_of, counted, difference
from harness.gate.report import Kind, Reason, case_reasons, finding_reasons, ordered
from harness.series.finding import Finding, Level
from harness.values import Verdict

V = {"P": Verdict.PASS, "F": Verdict.FAIL, "S": Verdict.SKIP, "C": Verdict.CRASH, "T": Verdict.TIMEOUT,
     "L": Verdict.LOST, "X": Verdict.XFAIL}  # fmt: skip


@pytest.mark.parametrize(
    ("base", "head", "change"),
    [
        ("P", "P", None),
        ("S", "S", None),
        ("P", "F", Change.FAILS),
        ("P", "T", Change.FAILS),
        ("P", "L", Change.FAILS),
        ("P", "C", Change.CRASHES),
        ("F", "C", Change.CRASHES),
        ("C", "C", Change.KNOWN),
        ("F", "F", Change.KNOWN),
        ("F", "P", Change.FIXED),
        ("S", "F", Change.FAILS),
        ("", "F", Change.FAILS),
        ("S", "P", Change.NEW),
        ("", "P", Change.NEW),
        ("P", "S", Change.NOT_RUN),
        ("P", "", Change.NOT_RUN),
        ("P", "X", Change.FAILS),
        ("X", "X", None),
        ("PPPP", "PPFP", Change.UNSTEADY),
        ("PFPP", "PPFP", Change.KNOWN),
        ("PFPP", "FFFF", Change.FAILS),
        ("FFFF", "FPFF", Change.KNOWN),
        ("FFFF", "PPPP", Change.FIXED),
        ("PPPP", "SSSS", Change.NOT_RUN),
        ("SSSS", "SFSS", Change.UNSTEADY),
    ],
)
def test_what_became_of_a_case(base: str, head: str, change: Change | None) -> None:
    assert change_of([V[one] for one in base], [V[one] for one in head]) is change


def test_the_gravest_come_first_and_are_told_with_both_sides() -> None:
    base = {"s/t:skipped": [V["P"]], "s/t:fails": [V["P"], V["P"]], "s/t:crashes": [V["P"]], "s/t:fixed": [V["F"]]}
    head = {"s/t:skipped": [V["S"]], "s/t:fails": [V["F"], V["P"]], "s/t:crashes": [V["C"]], "s/t:fixed": [V["P"]]}
    found = difference(base, head, reasons={"s/t:crashes": "BUG: x"})
    assert [one.change for one in found] == [Change.CRASHES, Change.NOT_RUN, Change.UNSTEADY, Change.FIXED]
    assert str(found[0]) == "s/t:crashes: PASS on the base, CRASH on the head: BUG: x"
    assert str(found[2]) == "s/t:fails: PASS on the base, FAIL in 1 of 2, PASS in 1 of 2 on the head"
    assert [one.kind for one in case_reasons(found)] == [Kind.CRASH, Kind.NOT_RUN, Kind.UNSTEADY]
    assert counted({}) == "not run"


def test_reasons_stand_in_order_of_weight_then_of_patches() -> None:
    kinds = [(Kind.SLOWER, None), (Kind.WARNING, 3), (Kind.WARNING, 2), (Kind.CRASH, None), (Kind.BUILD, 4)]
    found = ordered(Reason(kind=kind, message="x", patch=patch) for kind, patch in kinds)
    assert [(one.kind, one.patch) for one in found] == [
        (Kind.BUILD, 4), (Kind.CRASH, None), (Kind.WARNING, 2), (Kind.WARNING, 3), (Kind.SLOWER, None),
    ]  # fmt: skip


def test_errors_of_patch_checks_are_reasons_and_nothing_else_of_them_is() -> None:
    def finding(check: str, status: int = 1, level: Level = Level.ERROR) -> Finding:
        return Finding(check=check, level=level, patch=2, message="said", details=("how",), status=status)

    findings = [
        finding("apply", 3), finding("build", 3), finding("build"), finding("W=1"), finding("W=1", 3),
        finding("sparse"), finding("grid ZSWAP=n", 3), finding("grid ZSWAP=n"), finding("checkpatch"),
        finding("checkpatch", level=Level.WARNING), finding("build", level=Level.OK),
        finding("sparse", level=Level.NOTE),
    ]  # fmt: skip
    found = finding_reasons(findings)
    assert [one.kind for one in found] == [
        Kind.APPLY, Kind.BUILD, Kind.WARNING, Kind.WARNING, Kind.BUILD, Kind.WARNING, Kind.GRID, Kind.WARNING,
        Kind.CHECKPATCH,
    ]  # fmt: skip
    assert found[6].message == "patch 2, grid ZSWAP=n: said" and found[6].details == ("how",) and found[6].patch == 2
