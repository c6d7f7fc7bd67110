# SPDX-License-Identifier: GPL-2.0-only
"""Bisects: the first patch, commit or Kconfig option that changes a verdict.

``answer`` says what a kernel makes of a case and what that means between two ends (pure), ``commits`` searches a
history as git does, ``options`` two configurations (pure), ``point`` runs one kernel, ``state`` keeps what was
answered, ``execute`` puts them together.
"""

from __future__ import annotations

from harness.bisect.execute import Found, by_commits, by_options, by_patches, verdict

__all__ = ["Found", "by_commits", "by_options", "by_patches", "verdict"]
