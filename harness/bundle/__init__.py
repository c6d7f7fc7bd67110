# SPDX-License-Identifier: GPL-2.0-only
"""Bundles: a run's failure as one archive, checked like any hostile input, and made to happen again elsewhere.

``gather`` finds what a run left, ``make`` writes it, ``unpack`` reads it with suspicion, ``material`` is either of the
two as what a replay needs, ``replay`` runs it, ``rebuild`` makes its kernel again.
"""

from harness.bundle.gather import gather
from harness.bundle.make import Choice, file_name, left_out, make
from harness.bundle.material import Material, from_bundle, from_run
from harness.bundle.rebuild import Rebuilt, rebuild
from harness.bundle.replay import CAME_BACK, Attempt, Machine, Replay, built_again, machine

__all__ = [
    "CAME_BACK",
    "Attempt",
    "Choice",
    "Machine",
    "Material",
    "Rebuilt",
    "Replay",
    "built_again",
    "file_name",
    "from_bundle",
    "from_run",
    "gather",
    "left_out",
    "machine",
    "make",
    "rebuild",
]
