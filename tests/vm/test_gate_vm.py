# SPDX-License-Identifier: GPL-2.0-only
"""Gate and bisect on real kernels: the one-patch series, and patches on top of it of which one breaks what it does."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest

from tests.unit.series.patches import mail
from tests.vm.outcome import Harness

pytestmark = [pytest.mark.vm, pytest.mark.long]

PROJECT = Path(__file__).resolve().parents[2]
HELLO = PROJECT / "patches" / "harness-hello" / "0001-mm-show-the-test-series-in-sysfs.patch"
CONTEXT = (
    " static ssize_t harness_series_show(struct kobject *kobj,\n \t\t\t\t   struct kobj_attribute *attr, char *buf)\n"
)
CASE = "hello/test_series:names_the_series"
LINES = (
    "\treturn sysfs_emit(buf, \"harness-hello v1\\n\");",
    "\treturn sysfs_emit(buf, \"harness-hello \" \"v1\\n\");",
    "\treturn sysfs_emit(buf, \"harness-hello v2\\n\");",
    "\treturn sysfs_emit(buf, \"harness-hello \" \"v2\\n\");",
)  # fmt: skip


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """The series, and three patches that write the line again: the second of these says another revision."""
    folder = tmp_path / "series"
    folder.mkdir()
    shutil.copy(HELLO, folder / "0001-hello.patch")
    for number, (old, new) in enumerate(itertools.pairwise(LINES), start=2):
        diff = (
            "diff --git a/mm/mm_init.c b/mm/mm_init.c\n--- a/mm/mm_init.c\n+++ b/mm/mm_init.c\n"
            f"@@ -211,5 +211,5 @@\n{CONTEXT} {{\n-{old}\n+{new}\n }}\n"
        )
        (folder / f"{number:04}.patch").write_bytes(mail(f"[PATCH] mm: line {number}", diff))
    return folder


def test_a_bisect_finds_the_patch_and_goes_on_where_it_was(harness: Harness, series: Path) -> None:
    words = ("bisect", "--profile", "hello", "--case", CASE, "--series", series)
    outcome = harness(*words)
    assert outcome.status == 0, outcome.why
    assert "first: patch 3: mm: line 3" in outcome.text and "before: passes" in outcome.text, outcome.why
    again = harness(*words, "--json")
    record = json.loads(again.text[again.text.index("\n{") :])
    assert record["tested"] == 0 and record["first"] == ["patch 3: mm: line 3"]


def test_a_gate_of_a_good_series_and_of_one_that_breaks_a_case(harness: Harness, series: Path, tmp_path: Path) -> None:
    words = ("--profile", "hello", "--grid", "none", "--suite", "hello")
    outcome = harness("gate", "--base", "debian:6.12", "--head", "harness-hello", *words, "--repeat", "2")
    assert outcome.status == 0, outcome.why
    report = json.loads(next(tmp_path.glob("data/runs/*/gate.json")).read_text())
    assert report["ready"] and {one["name"] for one in report["measured"]} >= {"boot time", "guest memory in use"}
    outcome = harness("gate", "--base", "harness-hello", "--head", series, *words, "--repeat", "1", "--patch", "4")
    assert outcome.status == 1, outcome.why
    assert f"failing case: {CASE}: PASS on the base, FAIL on the head" in outcome.text
    assert "1:  " in outcome.text[outcome.text.index("range-diff") :]
