# SPDX-License-Identifier: GPL-2.0-only
"""The table itself: enough rows, no double, and each row that points at a test points at one that is there."""

from __future__ import annotations

import re

import msgspec
import pytest

from tests.faults import table
from tests.faults.guest import GUEST_INJECTORS
from tests.faults.inject import INJECTORS
from tests.faults.table import PROJECT, STAGES, Fault, faults


def test_at_least_sixty_faults() -> None:
    assert len(faults()) >= 60


def test_no_row_is_there_twice() -> None:
    names = [row.id for row in faults()]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in faults()])
def test_a_row_makes_sense(row: Fault) -> None:
    assert row.stage in STAGES
    assert set(row.marks) <= {"vm", "long"}
    assert bool(row.inject) != bool(row.test)
    if row.inject:
        (name,) = row.inject
        assert name in (GUEST_INJECTORS if "vm" in row.marks else INJECTORS)
        assert row.status != 0 or row.verdict in ("", "PASS")
    else:
        path, _, function = row.test.partition("::")
        assert re.search(rf"^def {function}\b", (PROJECT / path).read_text(), re.MULTILINE), row.test


def test_a_misspelt_key_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `stauts`"):
        msgspec.convert({"name": "x", "stage": "build", "stauts": 3}, table.Fault)
