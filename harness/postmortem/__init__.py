# SPDX-License-Identifier: GPL-2.0-only
"""Guests that hang or crashed, looked into: busy, stuck, dead or cut off; sysrq, registers, memory dump and triage."""

from __future__ import annotations

from harness.postmortem.examine import DumpPolicy, Examiner

__all__ = ["DumpPolicy", "Examiner"]
