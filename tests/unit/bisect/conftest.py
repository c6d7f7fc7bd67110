# SPDX-License-Identifier: GPL-2.0-only
"""A series on the stub tree, and the command line on it."""

from __future__ import annotations

from tests.unit.bad_input.conftest import bench

__all__ = ["bench"]
