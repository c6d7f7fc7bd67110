# SPDX-License-Identifier: GPL-2.0-only
"""Kept sequences of the suite ``lifecycle`` as pytest sees them: a file is an item."""

from __future__ import annotations

from harness.lifecycle.suite import Lifecycle
from harness.suite.catalogue import Program
from harness.suite.pytest_items import ProgramFile


class SequenceFile(ProgramFile):
    """A ``.steps`` file, in a folder beside the guest tests."""

    def found(self) -> tuple[Program, tuple[str, ...]]:
        """The program of all kept sequences, and the case of this one."""
        folder = self.path.parent
        suite = Lifecycle(folder=folder, guest_tests=folder.parent / "guest", seed=1)
        return suite.programs()[0], (self.path.stem,)
