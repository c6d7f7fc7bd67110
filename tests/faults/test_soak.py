# SPDX-License-Identifier: GPL-2.0-only
"""What ci/soak calls wrong and what it calls grown, without a guest."""

from __future__ import annotations

import dataclasses
import importlib.machinery
import importlib.util
import random
import sys
from types import ModuleType
from typing import Any

import pytest

from harness.results.record import CaseRecord, Results
from tests.faults.table import PROJECT


@pytest.fixture(scope="module")
def soak() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("soak", str(PROJECT / "ci" / "soak"))
    description = importlib.util.spec_from_loader("soak", loader)
    assert description is not None
    module = importlib.util.module_from_spec(description)
    sys.modules["soak"] = module  # dataclasses look their module up
    loader.exec_module(module)
    return module


def results(verdict: str, **cases: str) -> Results:
    records = tuple(
        CaseRecord(suite="soak", program="test_soak", case=name, verdict=what) for name, what in cases.items()
    )
    return Results(
        run="1", verdict=verdict, seconds=1, guest_seconds=1, interrupted=False, stages=(), cases=records, failure=None
    )


def test_the_same_seed_draws_the_same_and_all_that_there_is(soak: ModuleType) -> None:
    drawn = [soak.draw(random.Random(3), ["direct", "none"]) for _ in range(2)]
    assert drawn[0] == drawn[1]
    rng = random.Random(1)
    many = [soak.draw(rng, ["direct", "none"]) for _ in range(300)]
    assert {name for one in many for name in one.cases} == set(soak.CASES)
    assert {one.topology for one in many} == {"direct", "none"} and any(not one.cases for one in many)


def test_right_verdicts_are_right(soak: ModuleType) -> None:
    drawn = soak.Drawn("direct", ("passes", "crashes"))
    assert soak.wrongs(drawn, results("CRASH", passes="PASS", crashes="CRASH")) == []
    assert soak.wrongs(soak.Drawn("direct", ()), results("BOOT")) == []


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (results("PASS", passes="PASS", crashes="PASS"), "crashes: PASS, expected CRASH"),
        (results("PASS", passes="PASS"), "crashes: nothing, expected CRASH"),
        (results("CRASH", passes="LOST", crashes="CRASH"), "passes: LOST, expected PASS"),
        (results("CRASH", passes="PASS", crashes="CRASH", other="PASS"), "other: PASS, which was not asked for"),
        (results("PASS", passes="PASS", crashes="CRASH"), "the run is PASS, its cases make CRASH"),
    ],
)
def test_a_wrong_verdict_is_found_and_explained(soak: ModuleType, said: Results, word: str) -> None:
    assert any(word in text for text in soak.wrongs(soak.Drawn("direct", ("passes", "crashes")), said))


@pytest.mark.parametrize("said", [results("PASS", passes="PASS"), results("INFRA")])
def test_a_boot_that_must_fail_and_did_not(soak: ModuleType, said: Results) -> None:
    (text,) = soak.wrongs(soak.Drawn("direct", ()), said)
    assert "expected BOOT" in text


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"rss_kib": 40_000}, "memory grew by 40000 KiB"),
        ({"descriptors": 3}, "descriptors"),
        ({"threads": 1}, "threads"),
        ({"children": 1}, "children"),
        ({"scratch": 1}, "scratch"),
        ({"data_kib": 100}, "the runs' folder grew"),
    ],
)
def test_what_grows_is_found(soak: ModuleType, more: dict[str, int], word: str) -> None:
    values: dict[str, Any] = {field.name: 10 for field in dataclasses.fields(soak.Figures)}
    first = soak.Figures(**values)
    last = dataclasses.replace(first, boots=110, **{name: 10 + value for name, value in more.items()})
    assert soak.grown(first, dataclasses.replace(first, boots=110)) == []
    (text,) = soak.grown(first, last)
    assert word in text
