# SPDX-License-Identifier: GPL-2.0-only
"""Numbers as people read them."""

from __future__ import annotations

import pytest

from harness.display import many


@pytest.mark.parametrize(
    ("number", "what", "said"),
    [(1, "run", "1 run"), (0, "run", "0 runs"), (2, "patch", "2 patches"), (1, "patch", "1 patch")],
)
def test_a_number_of_things(number: int, what: str, said: str) -> None:
    assert many(number, what) == said
