# SPDX-License-Identifier: GPL-2.0-only
"""The cases that help texts and documents give as examples are there to be run."""

from __future__ import annotations

import re
from pathlib import Path

from harness.suite import catalogue

PROJECT = Path(__file__).resolve().parents[3]
_CASE = re.compile(r"\b([a-z_]+)/(test_\w+):(\w+)")
_THE_READERS_OWN = ("crashes", "demo")


def test_cases_of_examples_are_there() -> None:
    guest = PROJECT / "tests" / "guest"
    texts = [*(PROJECT / "harness" / "cli").glob("*.py"), *PROJECT.glob("*.md"), *guest.glob("*.md")]
    named = {(file.name, *one) for file in texts for one in _CASE.findall(file.read_text("utf-8"))}
    there = {
        (suite, program.name, case)
        for suite in catalogue.suites(guest)
        for program in catalogue.programs(guest, suite)
        for case in program.cases
    }
    assert len(named) > 5, "the examples are looked for where they no longer are"
    assert [one for one in sorted(named) if one[1] not in _THE_READERS_OWN and one[1:] not in there] == []
