# SPDX-License-Identifier: GPL-2.0-only
"""The table in tests/mutants/README.md is of the mutants and the cases that are there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.mutants import mutant
from harness.paths import default_paths
from harness.store import Store
from harness.suite import catalogue

_KILLED = r"`(?P<case>[^`]+)`(?: \(earlier\))?"
_ROW = re.compile(rf"^\| `(?P<name>[\w-]+)` \| (?P<breaks>.*) \| (?:{_KILLED}|survived: (?P<why>.+)|not run) \|$", re.M)


def wrong_in(table: str, tmp_path: Path) -> list[str]:
    """What a table says that is not so."""
    paths = default_paths()
    found = {one.name: one for one in mutant.read_all([], paths=paths, store=Store(tmp_path))}
    rows = [match.groupdict() for match in _ROW.finditer(table)]
    wrong = [f"{name} is not in it" for name in sorted(found.keys() - {row["name"] for row in rows})]
    for row in rows:
        one = found.get(row["name"])
        if one is None:
            wrong.append(f"{row['name']} is no mutant")
        elif (row["breaks"], row["why"] or "") != (one.breaks, one.survives):
            wrong.append(f"{one.name} says something else")
        elif row["case"]:
            wrong += _unknown(row["case"], paths.guest_tests)
    return wrong


def _unknown(case: str, folder: Path) -> Iterable[str]:
    try:
        catalogue.select(folder, [case])
    except UserError as reason:
        yield reason.message


def table() -> str:
    return (default_paths().mutants / "README.md").read_text()


def test_the_table_is_of_what_is_there(tmp_path: Path) -> None:
    assert wrong_in(table(), tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (r"^\| `copies-half` .*\n", "", "copies-half is not in it"),
        ("`copies-half`", "`copies-third`", "copies-third is no mutant"),
        (r"(?<=`copies-half` \| )", "not ", "copies-half says something else"),
        (
            "test_attributes:type_after_commit_is_busy",
            "test_attributes:typo",
            "unknown case of private/test_attributes",
        ),
    ],
)
def test_a_table_that_is_not_true(tmp_path: Path, old: str, new: str, expected: str) -> None:
    broken, changes = re.subn(old, new, table(), count=1, flags=re.M)
    assert changes == 1
    assert expected in "\n".join(wrong_in(broken, tmp_path))
