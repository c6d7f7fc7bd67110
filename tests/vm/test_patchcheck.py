# SPDX-License-Identifier: GPL-2.0-only
"""``series check --each`` on the real kernel: a series made to be found fault with, a fault a patch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.vm.outcome import Harness

pytestmark = [pytest.mark.vm, pytest.mark.long]

SERIES = Path(__file__).parent / "patchcheck"


def test_every_check_finds_its_fault_and_no_other(harness: Harness) -> None:
    cells = ("--cell", "ZSWAP=n", "--cell", "CXL_BUS=m")
    outcome = harness("series", "check", SERIES, "--profile", "default", "--each", "--boot", "none", *cells, "--json")
    assert outcome.status == 3, outcome.why
    found = json.loads(outcome.text[outcome.text.index("\n{\n") :])["findings"]
    errors = [(one["check"], one["patch"], one["message"]) for one in found if one["level"] == "error"]
    assert [(check, patch) for check, patch, _ in errors] == [
        ("checkpatch", 8),
        ("checkpatch", 8),
        ("build", 2),
        ("build", 3),
        ("W=1", 4),
        ("sparse", 5),
        ("grid ZSWAP=n", 8),
        ("grid CXL_BUS=m", 8),
    ]
    said = {(check, patch): message for check, patch, message in errors}
    assert "mm/patchcheck.o" in said["build", 2] and "'patchcheck_undeclared' undeclared" in said["build", 2]
    assert said["build", 3].startswith("new warning: mm/patchcheck.c:")
    assert "[-Wunused-function]" in said["build", 3]
    assert "[-Wunused-const-variable" in said["W=1", 4]
    assert "different address spaces" in said["sparse", 5]
    assert said["grid ZSWAP=n", 8] == "does not link with ZSWAP=n: undefined: patchcheck_zswap"
    assert "not exported: patchcheck_zswap" in said["grid CXL_BUS=m", 8]
    clean = {(one["check"], one["patch"]) for one in found if one["level"] == "ok"}
    assert {("build", 1), ("W=1", 1), ("sparse", 1), ("build", 4), ("build", 8), ("sparse", 6)} <= clean
