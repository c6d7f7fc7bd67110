# SPDX-License-Identifier: GPL-2.0-only
"""A mutant that tests judge."""

from __future__ import annotations

from harness.mutants.mutant import Mutant
from harness.values import Series

MUTANT = Mutant(
    name="broken",
    title="mm: break it",
    breaks="swap works",
    killers=("demo/test_x:two",),
    survives="",
    patch=Series(name="broken", title="", revision="", message_id=None, base=None, spec="", patches=(), digest="0"),
)
