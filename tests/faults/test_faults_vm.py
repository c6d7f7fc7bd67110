# SPDX-License-Identifier: GPL-2.0-only
"""Each fault of the table that needs a real guest: what the command says, each case's verdict, and what is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import process
from harness.paths import default_paths
from tests.faults import untouched
from tests.faults.guest import GUEST_INJECTORS, RUN, GuestBench
from tests.faults.table import Fault, faults
from tests.faults.test_faults import newest
from tests.vm.outcome import Outcome


def guest_faults() -> list[Any]:
    """The rows whose injector needs a guest."""
    rows = [row for row in faults() if not row.test and "vm" in row.marks]
    return [pytest.param(row, id=row.id, marks=[getattr(pytest.mark, name) for name in row.marks]) for row in rows]


@pytest.fixture
def guests(tmp_path: Path) -> Iterator[GuestBench]:
    untouched.adopt_orphans()
    process.run(["true"], deadline=60)  # what watches over this process's own commands is there from now on
    before = untouched.descendants()
    bench = GuestBench(tmp_path, default_paths().cache)
    bench.prepare()
    yield bench
    untouched.survivors(before, patience=0)  # of a test that failed in the middle


@pytest.mark.parametrize("row", guest_faults())
def test_fault(guests: GuestBench, row: Fault) -> None:
    before = untouched.take(places(guests))
    ((name, value),) = row.inject.items()
    outcome = GUEST_INJECTORS[name](guests, row, value)
    check(row, outcome)
    assert left(before, guests, outcome, row.left) == []
    if row.then:
        after = guests.call(*RUN)
        assert newest(after.data)["verdict"] == row.then, after.text
        assert left(before, guests, outcome) == [] and left(before, guests, after) == []


def places(guests: GuestBench) -> untouched.Places:
    folder = guests.folder
    return untouched.Places(
        cache=guests.cache, data=guests.data, temporary=folder / "tmp", home=folder / "home", shared=True
    )


def left(before: untouched.Snapshot, guests: GuestBench, outcome: Outcome, allowed: tuple[str, ...] = ()) -> list[str]:
    return untouched.left_by(before, places(guests), allowed=allowed, pid=outcome.pid)


def check(row: Fault, outcome: Outcome) -> None:
    assert outcome.status == row.status, outcome.why
    for text in row.says:
        assert text in outcome.text, outcome.why
    results = newest(outcome.data)
    assert results.get("verdict", "") == row.verdict, outcome.why
    found = {case["case"]: case["verdict"] for case in results.get("cases", ()) if case["case"] in row.cases}
    assert found == row.cases, outcome.why
