# SPDX-License-Identifier: GPL-2.0-only
"""Nightly: a matrix of runs, unattended.

``matrix`` reads the file, ``check`` looks its names up, ``inputs`` what they stand for tonight, ``plan`` decides order
and estimate, ``execute`` builds and runs, ``state`` keeps what is done, ``report`` (``files``, ``kcidb``) says what was
found, ``retention`` what stays.
"""

from __future__ import annotations

from harness.nightly.execute import Outcome, Planned, execute, planned
from harness.nightly.files import write
from harness.nightly.matrix import load
from harness.nightly.plan import check_wall, estimate, kernels, ordered, todos
from harness.nightly.report import NightReport, as_data, report, text
from harness.nightly.retention import sweep
from harness.nightly.state import Desk
from harness.nightly.view import NightView

__all__ = [
    "Desk", "NightReport", "NightView", "Outcome", "Planned", "as_data", "check_wall", "estimate", "execute", "kernels",
    "load", "ordered", "planned", "report", "sweep", "text", "todos", "write",
]  # fmt: skip
