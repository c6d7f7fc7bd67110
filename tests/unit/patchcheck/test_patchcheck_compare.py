# SPDX-License-Identifier: GPL-2.0-only
"""Which warnings are new, by file and message."""

from __future__ import annotations

from harness.patchcheck import new_warnings

UNUSED = "unused variable 'x' [-Wunused-variable]"


def shown(base: dict[str, list[str]], head: dict[str, list[str]]) -> list[str]:
    return [str(one) for one in new_warnings(base, head)]


def test_a_warning_that_moved_is_not_new() -> None:
    assert shown({"mm/a.c": [f"3: {UNUSED}"]}, {"mm/a.c": [f"30: {UNUSED}"]}) == []


def test_one_more_of_the_same_is_new() -> None:
    head = {"mm/a.c": [f"3: {UNUSED}", f"9: {UNUSED}"]}
    assert shown({"mm/a.c": [f"2: {UNUSED}"]}, head) == [f"mm/a.c:9: {UNUSED}"]


def test_the_same_in_another_file_is_new() -> None:
    assert shown({"mm/a.c": [f"3: {UNUSED}"]}, {"mm/b.c": [f"3: {UNUSED}"]}) == [f"mm/b.c:3: {UNUSED}"]


def test_another_message_in_the_same_line_is_new() -> None:
    assert shown({"mm/a.c": [f"3: {UNUSED}"]}, {"mm/a.c": ["3: 'y' is used uninitialized [-Wuninitialized]"]})


def test_one_that_is_gone_hides_none() -> None:
    assert shown({"mm/a.c": ["3: one", "4: two"]}, {"mm/a.c": ["3: three"]}) == ["mm/a.c:3: three"]


def test_a_tool_without_lines_and_with_offsets() -> None:
    base = {"mm/a.o": ["objtool: f+0x1c: unreachable instruction"]}
    assert shown(base, {"mm/a.o": ["objtool: f+0x2f: unreachable instruction"]}) == []
    assert shown(base, {"mm/a.o": ["objtool: g+0x1c: unreachable instruction"]}) == [
        "mm/a.o: objtool: g+0x1c: unreachable instruction"
    ]


def test_the_type_is_the_option_that_turns_it_on() -> None:
    (one, other) = new_warnings({}, {"mm/a.c": [f"3: {UNUSED}", "4: Excess function parameter 'x'"]})
    assert (one.type, one.line, other.type) == ("-Wunused-variable", 3, "")
