# SPDX-License-Identifier: GPL-2.0-only
"""Checks of single patches that need a build: does each build, with no new warning, with options off; does it boot.

Each check is a :data:`harness.series.check.PatchCheck`; what only the command line decides is in :class:`Choice`.
"""

from harness.patchcheck.bench import Bench
from harness.patchcheck.compare import new_warnings
from harness.patchcheck.plan import Choice, PatchPlan, check_suites, checks, plan

__all__ = ["Bench", "Choice", "PatchPlan", "check_suites", "checks", "new_warnings", "plan"]
