# SPDX-License-Identifier: GPL-2.0-only
"""Guests: planned as a QEMU command, started, spoken to by SSH, console and QMP, gone when their block is left."""

from __future__ import annotations

from harness.guest.console import Console, ConsoleLine
from harness.guest.lifetime import Guest, start
from harness.guest.plan import option_lines, plan
from harness.guest.qmp import Monitor, QmpError, QmpEvent
from harness.guest.ssh import CommandResult

__all__ = [
    "CommandResult",
    "Console",
    "ConsoleLine",
    "Guest",
    "Monitor",
    "QmpError",
    "QmpEvent",
    "option_lines",
    "plan",
    "start",
]
