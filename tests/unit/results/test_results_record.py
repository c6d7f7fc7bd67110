# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from xml.etree import ElementTree as Xml

import msgspec
import pytest

from harness.results.junit import junit
from harness.results.record import CaseRecord, Failure, RerunRecord, Results, exit_status, run_verdict
from harness.values import Verdict


def case(verdict: str, name: str = "one", reason: str = "") -> CaseRecord:
    return CaseRecord(suite="cxl", program="test_region.sh", case=name, verdict=verdict, seconds=1.5, reason=reason)


def results(*cases: CaseRecord, failure: Failure | None = None) -> Results:
    verdict = run_verdict(cases, failure, interrupted=False)
    return Results(
        run="r", verdict=verdict, seconds=2, guest_seconds=1, interrupted=False, stages=(), cases=cases, failure=failure
    )


@pytest.mark.parametrize(
    ("verdicts", "expected", "status"),
    [
        (["PASS", "SKIP", "XFAIL"], Verdict.PASS, 0),
        (["SKIP"], Verdict.SKIP, 0),
        (["PASS", "FAIL"], Verdict.FAIL, 1),
        (["FAIL", "CRASH", "TIMEOUT"], Verdict.CRASH, 1),
        (["PASS", "XPASS"], Verdict.XPASS, 1),
        (["PASS", "LOST"], Verdict.LOST, 1),
        ([], Verdict.INFRA, 4),
    ],
)
def test_a_run_is_as_bad_as_its_worst_case(verdicts: list[str], expected: Verdict, status: int) -> None:
    verdict = run_verdict([case(text) for text in verdicts], None, interrupted=False)
    assert verdict is expected
    assert exit_status(verdict) == status


@pytest.mark.parametrize(("verdict", "status"), [("APPLY", 3), ("BUILD", 3), ("BOOT", 3), ("INFRA", 4)])
def test_a_failure_before_the_cases_sets_the_exit_status(verdict: str, status: int) -> None:
    failure = Failure(verdict=verdict, message="no")
    assert exit_status(run_verdict([case("PASS")], failure, interrupted=False)) == status


def test_an_interrupted_run_is_never_a_pass() -> None:
    assert run_verdict([case("PASS")], None, interrupted=True) is Verdict.LOST
    assert exit_status(Verdict.LOST, interrupted=True) == 130


def test_junit_counts_failures_and_errors_apart_and_holds_no_control_characters() -> None:
    xml = junit(
        results(
            case("PASS"),
            case("FAIL", "two", reason="\x1b[31mred\x00"),
            case("CRASH", "three", reason="splat"),
            case("SKIP", "four", reason="no feature"),
        )
    )
    suite = Xml.fromstring(xml).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "4",
        "1",
        "1",
        "1",
    )
    failure = suite.find("testcase/failure")
    assert failure is not None and failure.get("message") == "red\ufffd"


def test_junit_tells_of_reruns_and_the_failure_stays_one() -> None:
    again = RerunRecord(suite="cxl", program="test_region.sh", case="one", verdict="PASS", attempt=1)
    xml = junit(msgspec.structs.replace(results(case("FAIL", reason="no")), reruns=(again,)))
    failure = Xml.fromstring(xml).find("testsuite/testcase/failure")
    assert failure is not None and failure.text == "run again on a fresh guest: PASS"


def test_junit_shows_a_run_that_did_not_reach_its_cases() -> None:
    xml = junit(results(failure=Failure(verdict="BUILD", message="mm/x.c: error")))
    error = Xml.fromstring(xml).find("testsuite/testcase/error")
    assert error is not None and error.get("message") == "mm/x.c: error"
