# SPDX-License-Identifier: GPL-2.0-only
"""What is kept of mutants: a kill as long as what made it is there, a survivor until any program changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from harness.mutants.kept import Kept
from harness.mutants.outcome import Outcome, Record, no_kernel
from harness.paths import Paths
from harness.store import Store
from harness.suite import catalogue
from harness.suite.catalogue import Selection
from harness.values import Verdict
from tests.unit.mutants.example import MUTANT

SURVIVED = msgspec.structs.replace(no_kernel(MUTANT, Outcome.SURVIVED, "", seconds=7), run="yesterday", cases=3)
KILLED = msgspec.structs.replace(SURVIVED, outcome=Outcome.KILLED, case="demo/test_x:two", verdict="FAIL", cases=1)
PASSING = {f"demo/{name}": Verdict.PASS for name in ("test_x:one", "test_x:two", "test_y:three")}


@pytest.fixture
def selections(paths: Paths) -> tuple[Selection, ...]:
    return catalogue.select(paths.guest_tests, ["demo"])


class _Runs:
    """Runs of the same mutant one after another; each sees the guest tests as they are then."""

    def __init__(self, paths: Paths, store: Store) -> None:
        self.paths, self.store = paths, store

    def kept(self, kernel: str = "kernel", passes: dict[str, Verdict] = PASSING) -> Kept:
        return Kept([kernel], folder=self.paths.guest_tests, store=self.store, passes=passes)

    def change(self, program: str) -> None:
        file = self.paths.guest_tests / "demo" / program
        file.write_text(file.read_text() + "# changed\n")


@pytest.fixture
def runs(paths: Paths, store: Store) -> _Runs:
    return _Runs(paths, store)


def test_what_was_never_run_is_not_known(runs: _Runs, selections: tuple[Selection, ...]) -> None:
    assert runs.kept().find(MUTANT, "tree", selections) is None


@pytest.mark.parametrize("record", [KILLED, SURVIVED])
def test_what_is_known_comes_back_with_what_the_mutant_says_today(
    runs: _Runs, selections: tuple[Selection, ...], record: Record
) -> None:
    runs.kept().keep(record, "tree", selections)
    reworded = dataclasses.replace(MUTANT, breaks="swap works, always", survives="why")
    found = runs.kept().find(reworded, "tree", selections)
    assert found == msgspec.structs.replace(record, breaks="swap works, always", survives="why")


@pytest.mark.parametrize("record", [KILLED, SURVIVED])
def test_another_mutant_or_another_kernel_is_not_known(
    runs: _Runs, selections: tuple[Selection, ...], record: Record
) -> None:
    runs.kept().keep(record, "tree", selections)
    assert runs.kept().find(MUTANT, "another tree", selections) is None
    assert runs.kept("another kernel").find(MUTANT, "tree", selections) is None


@pytest.mark.parametrize(
    ("record", "program", "known"),
    [
        (KILLED, "test_x.sh", False),
        (KILLED, "test_y.sh", True),
        (KILLED, "settings", False),
        (SURVIVED, "test_x.sh", False),
        (SURVIVED, "test_y.sh", False),
    ],
)
def test_a_changed_program(
    runs: _Runs, paths: Paths, selections: tuple[Selection, ...], record: Record, program: str, known: bool
) -> None:
    Path(paths.guest_tests / "demo" / "settings").write_text("timeout=9\n")
    runs.kept().keep(record, "tree", selections)
    runs.change(program)
    assert (runs.kept().find(MUTANT, "tree", selections) is not None) == known


def test_a_kill_holds_for_whoever_asks_for_its_case_and_for_nobody_else(
    runs: _Runs, paths: Paths, selections: tuple[Selection, ...]
) -> None:
    runs.kept().keep(KILLED, "tree", selections)
    for asked, known in (("demo/test_x:two", True), ("demo/test_x:one", False), ("demo/test_y", False)):
        chosen = catalogue.select(paths.guest_tests, [asked])
        assert (runs.kept().find(MUTANT, "tree", chosen) is not None) == known, asked


def test_a_case_that_the_series_itself_fails_today_did_not_kill(runs: _Runs, selections: tuple[Selection, ...]) -> None:
    runs.kept().keep(KILLED, "tree", selections)
    assert runs.kept(passes=PASSING | {KILLED.case: Verdict.FAIL}).find(MUTANT, "tree", selections) is None


def test_a_survivor_of_fewer_cases_is_asked_again(runs: _Runs, paths: Paths, selections: tuple[Selection, ...]) -> None:
    runs.kept().keep(SURVIVED, "tree", catalogue.select(paths.guest_tests, ["demo/test_x"]))
    assert runs.kept().find(MUTANT, "tree", selections) is None
    runs.kept(passes=PASSING | {"demo/test_y:three": Verdict.FAIL}).keep(SURVIVED, "tree", selections)
    assert runs.kept().find(MUTANT, "tree", selections) is None


def test_what_is_no_answer_is_not_kept(runs: _Runs, selections: tuple[Selection, ...]) -> None:
    for record in (
        no_kernel(MUTANT, Outcome.BUILD, "error", seconds=1),
        no_kernel(MUTANT, Outcome.BOOT, "no login", seconds=1),
        msgspec.structs.replace(SURVIVED, unsteady=("demo/test_x:two (FAIL)",)),
    ):
        runs.kept().keep(record, "tree", selections)
    assert runs.kept().find(MUTANT, "tree", selections) is None
