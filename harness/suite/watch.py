# SPDX-License-Identifier: GPL-2.0-only
"""What is known of one guest from program to program: what its console said, its taint, whose case was the last."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.splat import SplatScanner
from harness.splat.taint import TaintWatch
from harness.values import CaseResult


@dataclass(slots=True)
class Watch:
    """One guest's.

    ``heard`` is the console's position up to which lines were looked at (None: nothing yet), ``last`` the last case
    that ran, to which what the kernel says between two programs belongs, and ``announced`` what that case expects.
    """

    scanner: SplatScanner = field(default_factory=SplatScanner)
    taint: TaintWatch = field(default_factory=TaintWatch)
    heard: int | None = None
    last: CaseResult | None = None
    announced: tuple[str, ...] = ()
