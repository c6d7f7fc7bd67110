# SPDX-License-Identifier: GPL-2.0-only
"""Pass rate, last change, first failing series: over outcomes that go back in time."""

from __future__ import annotations

from typing import Any

import pytest

from harness.history.trend import Trend, trend, trends

NEWEST_FIRST = list[dict[str, Any]]


def outcomes(verdicts: str, *, inputs: str = "", case: str = "a/b:c", cell: str = "x") -> NEWEST_FIRST:
    """A letter an outcome (X: XFAIL), the oldest first; ``inputs`` a letter each, all different where not given."""
    words = {"P": "PASS", "F": "FAIL", "S": "SKIP", "C": "CRASH", "X": "XFAIL"}
    inputs = inputs or "".join(chr(ord("a") + number) for number in range(len(verdicts)))
    made = [
        {"id": number, "name": f"r{number}", "case": case, "cell": cell, "verdict": words[verdict], "decides": digest,
         "source": "debian:6.12", "series": "s", "topology": "direct", "accel": "tcg"}
        for number, (verdict, digest) in enumerate(zip(verdicts, inputs, strict=True))
    ]  # fmt: skip
    return made[::-1]


def of(verdicts: str, **more: Any) -> Trend:
    return trend(outcomes(verdicts, **more), {})


@pytest.mark.parametrize(
    ("verdicts", "state", "passed", "changed", "first_bad", "last_good"),
    [
        ("PPP", "passing", "3/3", None, None, None),
        ("PFP", "passing", "2/3", "r2", None, None),
        ("PPFF", "broken", "2/4", "r2", "r2", "r1"),
        ("PFSF", "broken", "1/3", "r3", "r1", "r0"),
        ("PFC", "broken", "1/3", "r2", "r1", "r0"),
        ("FF", "broken", "0/2", None, None, None),
        ("PSS", "skipped", "1/1", "r1", None, None),
        ("FX", "passing", "1/2", "r1", None, None),
    ],
)
def test_states(
    verdicts: str, state: str, passed: str, changed: str | None, first_bad: str | None, last_good: str | None
) -> None:
    found = of(verdicts)

    def name(row: Any) -> str | None:
        return row["name"] if row is not None else None

    assert (found.state, f"{found.passed}/{found.ran}") == (state, passed)
    assert (name(found.changed), name(found.first_bad), name(found.last_good)) == (changed, first_bad, last_good)


def test_flaky_is_what_passes_and_fails_on_the_same_inputs() -> None:
    assert of("PFPF", inputs="aabb").mixed == ("b", "a")
    assert of("PFPF", inputs="aabb").state == "flaky"
    assert of("PFPF", inputs="abcd").state == "broken", "what changed may be why"
    assert of("PSSF", inputs="aaab").mixed == (), "a skip is no verdict"


def test_a_rerun_counts_for_the_inputs_of_its_run() -> None:
    rows = outcomes("PF")
    assert trend(rows, {1: ["FAIL", "PASS"]}).mixed == ("b",)
    assert trend(rows, {1: ["FAIL", "BOOT"]}).mixed == ()


def test_cells_are_kept_apart_and_the_newest_comes_first() -> None:
    rows = outcomes("PF", cell="x") + outcomes("P", cell="y")
    assert [(one.newest["cell"], one.ran) for one in trends(rows)] == [("x", 2), ("y", 1)]


def test_what_never_ran_has_no_rate() -> None:
    assert of("SS").rate is None
