# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from harness.history.classify import classify
from harness.history.database import History
from harness.history.kinds import Classified
from harness.history.place import Place
from harness.history.record import record
from harness.history.rows import Rows
from tests.unit.history.conftest import Past, case_of, rerun_of

NAME = "a/b:c"


def judged(place: Place, *runs: Rows) -> Classified:
    """What is said of the last of runs, once it is recorded after the others."""
    with History(place) as history:
        for one in runs:
            record(history, [one])
        return classify(history, runs[-1])


def failed(past: Past, reason: str = "lost 3 pages", **more: object) -> Rows:
    return past.rows([case_of(NAME, "FAIL", reason=reason)], **more)


def told(found: Classified) -> str:
    (kind,) = found.failures.values()
    assert kind.told.startswith(kind.kind)
    return kind.told


def passed(past: Past, **more: object) -> Rows:
    return past.rows([case_of(NAME)], **more)


def test_a_first_failure_is_new(place: Place, past: Past) -> None:
    assert told(judged(place, failed(past))) == "new: never seen to fail, never run like this before"


def test_a_failure_after_passes_is_new(place: Place, past: Past) -> None:
    runs = [passed(past, seed=number) for number in (1, 2, 3)]
    assert told(judged(place, *runs, failed(past, digest="22" * 32))) == "new: passed in the 3 runs before"


def test_the_same_failure_is_known(place: Place, past: Past) -> None:
    runs = [failed(past, f"lost {number} pages", digest=f"{number}" * 64) for number in (1, 2, 3)]
    assert told(judged(place, *runs)).startswith("known: failed so in 2 runs since 2026-09-2")


def test_another_failure_of_the_case_is_new(place: Place, past: Past) -> None:
    runs = [failed(past, "lost pages"), failed(past, "the node is gone", digest="22" * 32)]
    assert told(judged(place, *runs)) == "new: failed before, but not so (FAIL)"


def test_the_same_inputs_with_both_verdicts_are_flaky(place: Place, past: Past) -> None:
    runs = [passed(past), failed(past), passed(past), failed(past)]
    assert told(judged(place, *runs)) == "flaky: passed 2 of 4 times on the same inputs"


def test_a_pass_of_other_inputs_is_not_flaky(place: Place, past: Past) -> None:
    assert told(judged(place, passed(past, digest="22" * 32), failed(past))).startswith("new")


def test_a_rerun_that_passes_makes_it_flaky_and_one_that_fails_does_not(place: Place, past: Past) -> None:
    again = (rerun_of(NAME, "FAIL", 1), rerun_of(NAME, "PASS", 2))
    assert told(judged(place, failed(past, reruns=again))) == "flaky: passed 1 of 3 times on the same inputs"
    other = (rerun_of("a/b:other", "PASS", 1), rerun_of(NAME, "BOOT", 1))
    assert told(judged(place, failed(past, digest="22" * 32, reruns=other))).startswith("known")


def test_what_passes_after_a_failure_is_fixed_in_its_cell_only(place: Place, past: Past) -> None:
    runs = [failed(past), passed(past, topology="switch"), passed(past, digest="22" * 32)]
    assert judged(place, *runs[:2]).fixed == ()
    assert judged(place, *runs).fixed == (NAME,)
    assert judged(place, *runs, passed(past)).fixed == (), "that was told before"


def test_later_runs_do_not_count(place: Place, past: Past) -> None:
    early, late = failed(past), failed(past, digest="22" * 32)
    with History(place) as history:
        record(history, [early, late])
        assert classify(history, early).failures[NAME].kind == "new"


def test_hundreds_of_failures_are_classified(place: Place, past: Past) -> None:
    cases = [case_of(f"a/b:c{number}", "FAIL", reason=f"of kind {'x' * (number % 7)}") for number in range(1200)]
    found = judged(place, past.rows(cases), past.rows(cases, seed=2))
    assert len(found.failures) == 1200 and {kind.kind for kind in found.failures.values()} == {"known"}
