# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.suite.ktap import LINE_LIMIT, BailOut, Diagnostic, Event, Noise, Parser, Plan, Result, Subresult, Version
from harness.values import Verdict

RECORDED = Path(__file__).parent / "recorded"


def parse(text: str) -> tuple[Parser, list[Event]]:
    parser = Parser()
    events = [event for line in text.splitlines() for event in parser.feed(line)]
    return parser, events + parser.finish()


def results(events: list[Event]) -> list[Result]:
    return [event for event in events if isinstance(event, Result)]


def verdicts(text: str) -> dict[str, str]:
    return {one.name: one.verdict()[0].value for one in results(parse(text)[1])}


def test_a_whole_report() -> None:
    parser, events = parse("KTAP version 1\n1..2\n# hello\nok 1 a\nnot ok 2 b\n")
    assert events == [
        Version(),
        Plan(count=2),
        Diagnostic(text="hello"),
        Result(number=1, name="a", ok=True),
        Result(number=2, name="b", ok=False),
    ]
    assert parser.complete and parser.plan == 2 and parser.results == 2


@pytest.mark.parametrize(
    ("line", "verdict", "reason"),
    [
        ("ok 1 a # SKIP no device", Verdict.SKIP, "no device"),
        ("ok 1 a # skip no device", Verdict.SKIP, "no device"),
        ("not ok 1 a # SKIP no device", Verdict.SKIP, "no device"),
        ("ok 1 a # SKIP", Verdict.FAIL, "skipped without a reason"),
        ("ok 1 a # Skipping nothing", Verdict.PASS, ""),
        ("ok 1 a # rcode=0", Verdict.PASS, ""),
        ("ok 1 a # XFAIL known", Verdict.XFAIL, "known"),
        ("not ok 1 a # XFAIL known", Verdict.XFAIL, "known"),
        ("not ok 1 a # TODO later", Verdict.XFAIL, "later"),
        ("ok 1 a # TODO later", Verdict.XPASS, "later"),
        ("not ok 1 a # XPASS known", Verdict.XPASS, "known"),
        ("not ok 1 a # TIMEOUT 30 seconds", Verdict.TIMEOUT, "TIMEOUT: 30 seconds"),
        ("ok 1 a # ERROR broken", Verdict.FAIL, "ERROR: broken"),
        ("not ok 1 a # why", Verdict.FAIL, "why"),
    ],
)
def test_directives(line: str, verdict: Verdict, reason: str) -> None:
    parser = Parser()
    for text in ("KTAP version 1", "1..1"):
        parser.feed(text)
    (result,) = results(parser.feed(line))
    assert result.name == "a"
    assert result.verdict() == (verdict, reason)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("ok 1 a b c", "a b c"),
        ("ok 1 - dashed", "dashed"),
        ("ok 1 -1 is a name", "-1 is a name"),
        (r"ok 1 with \# sign # SKIP x", "with # sign"),
        (r"ok 1 back\\slash", "back\\slash"),
        ("ok 1 issue#12", "issue#12"),
        ("ok 1", ""),
        ("ok", ""),
        ("ok 1 colour\x1b[31mred\x07", "colourred\ufffd"),
    ],
)
def test_names(line: str, name: str) -> None:
    parser = Parser()
    parser.feed("KTAP version 1")
    parser.feed("1..1")
    (result,) = results(parser.feed(line))
    assert result.name == name


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no KTAP report"),
        ("hello\n", "no KTAP report"),
        ("KTAP version 1\n", "no plan"),
        ("KTAP version 1\nok 1 a\n", "before the plan"),
        ("KTAP version 1\nok 1 a\n1..1\n", "plan came after"),
        ("KTAP version 1\n1..2\nok 1 a\n", "1 results where 2"),
        ("KTAP version 1\n1..1\nok 1 a\nok 2 b\n", "more results than"),
        ("KTAP version 1\n1..1\n1..1\nok 1 a\n", "second plan"),
        ("KTAP version 1\n1..3\nok 1 a\n1..1\n", "second plan"),
        ("KTAP version 1\n1..2\nok 1 a\nok 1 b\n", "came twice"),
        ("KTAP version 1\n1..2\nok 1 a\nok 3 b\n", "number 3 where 2"),
        ("KTAP version 1\n1..1\nKTAP version 1\n1..1\nok 1 a\n", "second time"),
        ("KTAP version 1\n1..1\nok 1 a\nBail out! no memory\n", "no memory"),
        ("1..1\nok 1 a\n", "no KTAP report"),
        ("KTAP version 2\n1..1\nok 1 a\n", "no KTAP report"),
        ("KTAP version 1\n1..1\nokay 1 a\n", "0 results where 1"),
        ("KTAP version 1\n1..1\nnot ok1 a\n", "0 results where 1"),
        ("KTAP version 1\n1..99999999999999999999\nok 1 a\n", "almost KTAP"),
        ("KTAP version 1\n1..1\nok 1 " + "x" * LINE_LIMIT, "longer than"),
        ("KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n  ok 1 x\n", "cut short"),
    ],
)
def test_a_broken_report_is_never_complete(text: str, problem: str) -> None:
    parser, _ = parse(text)
    assert not parser.complete
    assert any(problem in said for said in parser.problems), parser.problems


def test_plan_of_none_with_a_reason() -> None:
    _, events = parse("KTAP version 1\n1..0 # SKIP no such hardware\n")
    assert Plan(count=0, reason="no such hardware") in events


def test_nested_reports_count_through_their_parent() -> None:
    text = (RECORDED / "nested.ktap").read_text()
    parser, events = parse(text)
    assert parser.complete
    (main,) = results(events)
    assert main.verdict()[0] is Verdict.FAIL
    assert [event.name for event in events if isinstance(event, Subresult)][:2] == ["test_1", "example_test_1"]


def test_parent_that_hides_a_failed_subtest_fails() -> None:
    text = "KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n  ok 1 x\n  not ok 2 y\nok 1 parent\n"
    (parent,) = results(parse(text)[1])
    assert parent.verdict() == (Verdict.FAIL, "reported ok though its subtest failed: y")


def test_parent_of_a_nested_report_that_breaks_its_plan_fails() -> None:
    text = "KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n  ok 1 x\nok 1 parent\n"
    (parent,) = results(parse(text)[1])
    assert parent.verdict()[0] is Verdict.FAIL


def test_tap14_subtest_without_a_version_line_is_not_a_result_of_the_program() -> None:
    text = "TAP version 14\n1..1\n    # Subtest: x\n    1..1\n    ok 1 inner\nok 1 x\n"
    assert verdicts(text) == {"x": "PASS"}


def test_kernel_noise_is_noise() -> None:
    parser, events = parse((RECORDED / "noise.ktap").read_text())
    assert parser.complete
    assert [one.name for one in results(events)] == ["region_create", "region_destroy", "region_again"]
    assert any(isinstance(event, Noise) and "cxl_region region0" in event.text for event in events)


@pytest.mark.parametrize("name", ["shell.ktap", "c.ktap", "nested.ktap", "noise.ktap"])
def test_every_truncation_of_a_recorded_report_is_incomplete(name: str) -> None:
    lines = (RECORDED / name).read_text().splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith(("ok ", "not ok ")))
    assert parse("\n".join(lines[: last + 1]))[0].complete
    for end in range(last + 1):
        assert not parse("\n".join(lines[:end]))[0].complete, end


LINES = st.lists(
    st.one_of(
        st.sampled_from(["KTAP version 1", "1..1", "1..2", "  KTAP version 1", "  1..1", "  ok 1 x", "  not ok 1 x"]),
        st.sampled_from(["ok 1 a", "ok 2 b", "not ok 1 a", "ok 1 a # SKIP r", "# text", "Bail out!", "\tok 1 t"]),
        st.text(max_size=40),
    ),
    max_size=12,
)


@given(LINES)
def test_any_lines_parse_and_a_complete_report_kept_its_plan(lines: list[str]) -> None:
    parser, events = parse("\n".join(lines))
    found = results(events)
    assert parser.results == len(found)
    if parser.complete:
        assert parser.plan == len(found)
        assert [one.number for one in found] == list(range(1, len(found) + 1))


@given(LINES)
def test_no_line_but_ok_makes_a_pass(lines: list[str]) -> None:
    kept = [line for line in lines if not line.strip().startswith("ok")]
    assert all(one.verdict()[0] is not Verdict.PASS for one in results(parse("\n".join(kept))[1]))


@given(st.binary(max_size=300))
def test_binary_is_taken_and_comes_out_printable(data: bytes) -> None:
    parser = Parser()
    parser.feed("KTAP version 1")
    for event in parser.feed(data.decode("utf-8", "replace").replace("\n", "")):
        for value in (getattr(event, "text", ""), getattr(event, "name", ""), getattr(event, "reason", "")):
            assert "\x1b" not in value and "\x00" not in value


def test_a_flood_of_problems_is_bounded() -> None:
    parser = Parser()
    parser.feed("KTAP version 1")
    for _ in range(10_000):
        parser.feed("ok 1 a")
    assert len(parser.problems) == 100


def test_bail_out() -> None:
    _, events = parse("KTAP version 1\n1..1\nBail out! out of memory\n")
    assert BailOut(reason="out of memory") in events
