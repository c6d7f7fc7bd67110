# SPDX-License-Identifier: GPL-2.0-only
"""Mutants: small breakages of our own series, each of which the guest suites must find.

A suite that passes on the right kernel says nothing until it fails on a wrong one. ``mutant`` reads them, ``order``
decides what runs first, ``outcome`` what counts as found, ``baseline`` knows what the right kernel passes, ``execute``
builds and runs.
"""

from __future__ import annotations

from harness.mutants.execute import MutantsPlan, execute, plan
from harness.mutants.outcome import summary, table

__all__ = ["MutantsPlan", "execute", "plan", "summary", "table"]
