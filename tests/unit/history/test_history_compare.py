# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any

import pytest

from harness.history.compare import Comparison, allowed, compare, samples
from harness.history.database import History
from harness.history.place import Place
from harness.history.record import record
from tests.unit.history.conftest import Past, case_of


def run(cases: dict[str, str | tuple[str, float]], **more: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    row = {"name": "r", "host": "here", "accel": "tcg", "series": "s", "decides": "d", **more}
    outcomes = []
    for name, value in cases.items():
        verdict, seconds = value if isinstance(value, tuple) else (value, 1.0)
        mark = verdict if verdict not in ("PASS", "SKIP", "XFAIL") else ""
        outcomes.append({"name": name, "verdict": verdict, "seconds": seconds, "reason": "why", "fingerprint": mark})
    return row, outcomes


def of(before: Any, after: Any, known: dict[str, list[float]] | None = None) -> Comparison:
    return compare(before, after, known or {})


def names(found: Comparison, group: str) -> list[str]:
    return [change.case for change in getattr(found, group)]


def test_verdicts_are_grouped() -> None:
    before = run(
        {"same": "PASS", "broken": "PASS", "skipped": "SKIP", "fixed": "FAIL", "gone": "PASS", "worse": "FAIL"}
    )
    after = run(
        {"same": "PASS", "broken": "FAIL", "skipped": "CRASH", "fixed": "PASS", "new": "PASS", "worse": "CRASH"}
    )
    found = of(before, after)
    assert names(found, "broken") == ["broken", "skipped"]
    assert (names(found, "fixed"), names(found, "new"), names(found, "gone")) == (["fixed"], ["new"], ["gone"])
    assert names(found, "changed") == ["worse"] and found.same == 1 and found.worse


def test_one_that_skips_now_is_neither_broken_nor_fixed() -> None:
    found = of(run({"a": "PASS", "b": "FAIL"}), run({"a": "SKIP", "b": "SKIP"}))
    assert names(found, "changed") == ["a", "b"] and not found.worse


def test_a_new_case_that_fails_is_worse_and_a_known_failure_is_not() -> None:
    assert of(run({}), run({"a": "FAIL"})).worse
    assert not of(run({"a": "FAIL"}), run({"a": "FAIL"})).worse


def test_a_case_that_comes_twice_counts_by_its_failure() -> None:
    before, after = run({"a/b:*": "PASS"}), run({"a/b:*": "FAIL"})
    after[1].append({**after[1][0], "verdict": "PASS"})
    assert names(of(before, after), "broken") == ["a/b:*"]


STEADY = [1.0, 1.02, 0.98, 1.01, 0.99, 1.0]
NOISY = [1.0, 4.0, 2.0, 6.0, 3.0, 5.0]


@pytest.mark.parametrize(
    ("before", "after", "known", "group"),
    [
        (1.0, 1.4, STEADY, ""),
        (1.0, 1.6, STEADY, "slower"),
        (1.6, 1.0, STEADY, "faster"),
        (2.0, 6.0, NOISY, ""),
        (2.0, 16.0, NOISY, "slower"),
        (1.0, 2.9, [], ""),
        (1.0, 3.1, [], "slower"),
        (60.0, 85.0, [], ""),
        (60.0, 95.0, [], "slower"),
    ],
)
def test_a_time_is_told_beyond_its_noise(before: float, after: float, known: list[float], group: str) -> None:
    found = of(run({"a": ("PASS", before)}), run({"a": ("PASS", after)}), {"a": known})
    assert (names(found, "slower"), names(found, "faster")) == (
        ["a"] if group == "slower" else [],
        ["a"] if group == "faster" else [],
    )


def test_one_odd_time_does_not_widen_the_noise() -> None:
    assert allowed(1.0, [*STEADY, 500.0]) == allowed(1.0, STEADY) == 0.5


def test_times_of_another_host_are_not_compared() -> None:
    found = of(run({"a": ("PASS", 1.0)}), run({"a": ("PASS", 100.0)}, host="there"))
    assert not found.slower and found.untimed == "times are not compared: another host"
    assert found.inputs == {"host": ("here", "there")}


def test_other_guest_tests_are_another_input_and_unknown_ones_are_none() -> None:
    before, after = run({"a": "PASS"}, payload="p1"), run({"a": "FAIL"}, payload="p2", decides="e")
    found = of(before, after)
    assert found.inputs == {"payload": ("p1", "p2")} and not found.same_inputs
    before[0]["payload"] = ""
    assert of(before, after).inputs == {} and of(before, before).same_inputs


def test_a_failure_has_no_time() -> None:
    assert not of(run({"a": ("FAIL", 1.0)}), run({"a": ("FAIL", 100.0)})).slower


def test_samples_are_of_the_same_machine_and_of_passes(place: Place, past: Past) -> None:
    def timed(seconds: float, verdict: str = "PASS", **more: Any) -> Any:
        return past.rows([case_of("a/b:c", verdict, seconds=seconds)], **more)

    runs = [timed(1.0), timed(2.0), timed(9.0, "FAIL"), timed(8.0, host="there"), timed(7.0, topology="switch")]
    with History(place) as history:
        record(history, runs)
        assert sorted(samples(history, [runs[0].run])["a/b:c"]) == [1.0, 2.0]
        assert sorted(samples(history, [runs[0].run, runs[3].run])["a/b:c"]) == [1.0, 2.0, 8.0]
