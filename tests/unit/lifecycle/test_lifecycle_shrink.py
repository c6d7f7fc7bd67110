# SPDX-License-Identifier: GPL-2.0-only
"""Making a sequence shorter, on numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.lifecycle.shrink import shrink


def needs(*wanted: int) -> Callable[[tuple[int, ...]], tuple[int, ...] | None]:
    return lambda steps: steps if set(wanted) <= set(steps) else None


@pytest.mark.parametrize("wanted", [(0,), (29,), (0, 29), (3, 4, 5), (2, 11, 28), tuple(range(30))])
def test_what_is_needed_is_left(wanted: tuple[int, ...]) -> None:
    left = shrink(range(30), needs(*wanted), over=lambda: False)
    assert left.steps == wanted
    assert left.whole


def test_few_tries() -> None:
    assert shrink(range(30), needs(28, 29), over=lambda: False).tries <= 20


def test_the_time_is_over() -> None:
    left = shrink(range(30), needs(3), over=lambda: True)
    assert left.steps == tuple(range(30))
    assert not left.whole


def test_what_was_really_played_counts() -> None:
    """A sequence in which later steps make no sense any more is shorter than what was asked for."""
    left = shrink(range(30), lambda steps: tuple(s for s in steps if s % 2) if 7 in steps else None, over=lambda: False)
    assert left.steps == (7,)


@given(st.sets(st.integers(0, 40), min_size=1), st.integers(41, 60))
def test_nothing_can_be_left_out(wanted: set[int], length: int) -> None:
    assert set(shrink(range(length), needs(*wanted), over=lambda: False).steps) == wanted
