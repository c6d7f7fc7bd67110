# SPDX-License-Identifier: GPL-2.0-only
"""One thing wrong with a topology, and the kinds of wrong that several checks find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from harness.errors import nearest

_GRANULARITIES = tuple(256 << shift for shift in range(7))
_WAYS = (1, 2, 3, 4, 6, 8, 12, 16)  # CXL 3.1, table 8-117


class Problem(NamedTuple):
    """One thing wrong: with which item, what, and what to do about it."""

    where: str
    what: str
    remedy: str


def granularity_problem(where: str, granularity: int) -> Iterator[Problem]:
    """Whether an interleave granularity (bytes) exists."""
    if granularity not in _GRANULARITIES:
        yield Problem(where, f"a granularity of {granularity} bytes does not exist", f"one of {_list(_GRANULARITIES)}")


def ways_problem(where: str, ways: int) -> Iterator[Problem]:
    """Whether a number of interleave ways exists."""
    if ways not in _WAYS:
        yield Problem(where, f"an interleave of {ways} ways does not exist", f"one of {_list(_WAYS)}")


def unknown_problem(where: str, kind: str, name: str, known: list[str]) -> Problem:
    """A reference to what is not there."""
    close = nearest(name, known)
    listed = ", ".join(known) if known else "none"
    return Problem(where, f"there is no {kind} '{name}'", f"did you mean '{close}'?" if close else f"known: {listed}")


def _list(values: tuple[int, ...]) -> str:
    return f"{', '.join(str(value) for value in values[:-1])} or {values[-1]}"
