# SPDX-License-Identifier: GPL-2.0-only
"""Kernel splats on a console: finding them in a stream, naming them, telling two of them apart. Pure, over text."""

from __future__ import annotations

from harness.splat.rules import SPLATS, Rule
from harness.splat.scanner import Splat, SplatScanner, case_mark, shorten, titles

__all__ = ["SPLATS", "Rule", "Splat", "SplatScanner", "case_mark", "shorten", "titles"]
