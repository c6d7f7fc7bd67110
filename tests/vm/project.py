# SPDX-License-Identifier: GPL-2.0-only
"""A project of a test's own, to which it adds suites, series or profiles."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.paths import default_paths

_DATA = ("kconfigs", "qemu", "patches", "ci/profiles", "tests/guest")


def copy_project(to: Path) -> Path:
    """Copy the project's data to a folder that is not there yet; returns it."""
    for name in _DATA:
        shutil.copytree(default_paths().project / name, to / name)
    return to
