# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from harness.kconfig.expression import ExpressionError, evaluate, parse, symbols, unmet

VALUES = {"A": "y", "B": "m", "N": "n", "CPUS": "16", "NAME": '"x y"', "HEX": "0x10"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A", 2),
        ("B", 1),
        ("N", 0),
        ("ABSENT", 0),
        ("y", 2),
        ("!A", 0),
        ("!B", 1),
        ("!ABSENT", 2),
        ("A && B", 1),
        ("A || B", 2),
        ("N || B", 1),
        ("A && N || A", 2),
        ("A && (N || A)", 2),
        ("A && !(N || A)", 0),
        ("A = y", 2),
        ("A=y && B!=n", 2),
        ("ABSENT = n", 2),
        ("CPUS > 8", 2),
        ("CPUS <= 8", 0),
        ("HEX = 16", 0),
        ("HEX >= 16", 2),
        ('NAME = "x y"', 2),
        ("$(cc-option,-fno-pic)", None),
        ("A && $(cc-option,-fno-pic)", None),
        ("N && $(success,test -n (x))", 0),
        ("A || $(cc-option,-fno-pic)", 2),
    ],
)
def test_evaluates_as_kconfig_does(text: str, value: int | None) -> None:
    assert evaluate(parse(text), VALUES) == value


@pytest.mark.parametrize("text", ["", "A &&", "(A", "A B", "&& A", "A = "])
def test_refuses_what_is_no_condition(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("A && N && (X || Y)", ["N", "X || Y"]),
        ("A", []),
        ("N || A", []),
        ("!A && N", ["!A", "N"]),
        ("B", ["B"]),
        ("N && $(cc-option,-x)", ["N"]),
        ("$(cc-option,-x)", []),
    ],
)
def test_names_only_the_parts_that_fail(text: str, parts: list[str]) -> None:
    assert [str(part) for part in unmet(parse(text), VALUES)] == parts


def test_a_module_is_enough_where_a_module_is_wanted() -> None:
    assert unmet(parse("A && B"), VALUES, 1) == []


def test_lists_symbols_once_in_order() -> None:
    assert symbols(parse("A && (B || !A) && C = 3")) == ["A", "B", "C", "3"]


def test_writes_parentheses_where_they_are_needed() -> None:
    assert str(parse("A && (B || C) && !(D && E)")) == "A && (B || C) && !(D && E)"
