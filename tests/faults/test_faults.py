# SPDX-License-Identifier: GPL-2.0-only
"""Each fault of the table that needs no guest: what the command says, its verdict, and that nothing is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import LeftBehind
from tests.faults.inject import INJECTORS
from tests.faults.table import Fault, faults
from tests.unit.bad_input.conftest import Bench, Outcome


def host_faults() -> list[Any]:
    """The rows whose injector is a host's."""
    rows = [row for row in faults() if not row.test and "vm" not in row.marks]
    return [pytest.param(row, id=row.id, marks=[getattr(pytest.mark, name) for name in row.marks]) for row in rows]


@pytest.mark.parametrize("row", host_faults())
def test_fault(faulty: Bench, left_behind: LeftBehind, row: Fault) -> None:
    ((name, value),) = row.inject.items()
    outcome = INJECTORS[name](faulty, row, value)
    check(row, outcome)
    assert left_behind(allowed=row.left) == []
    if row.then:
        after = faulty("run", "--series", faulty.folder / "series")
        assert newest(after.data)["verdict"] == row.then, after.text
        assert left_behind(allowed=[pattern for pattern in row.left if pattern.startswith("runs/")]) == []


def check(row: Fault, outcome: Outcome) -> None:
    """The status, the words and the verdict are those of the row."""
    assert outcome.status == row.status, outcome.text
    for text in row.says:
        assert text in outcome.text, outcome.text
    results = newest(outcome.data)
    assert results.get("verdict", "") == row.verdict, outcome.text
    if row.status == 130:
        assert results["interrupted"]


def newest(data: Path) -> dict[str, Any]:
    """The results of the newest run; empty where it could write none."""
    runs = sorted((data / "runs").glob("*"))
    file = runs[-1] / "results.json" if runs else None
    if file is None or not file.is_file():
        return {}
    assert (file.parent / "manifest.json").stat().st_size and (file.parent / "junit.xml").stat().st_size
    answer: dict[str, Any] = json.loads(file.read_text())
    return answer
