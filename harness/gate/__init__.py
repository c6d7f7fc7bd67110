# SPDX-License-Identifier: GPL-2.0-only
"""The gate: is a revision ready to be posted, patch by patch and against its base?

``shift`` and ``cases`` compare base and head (pure), ``known`` and ``report`` add up to a verdict with its reasons
(pure), ``sides`` runs the suites on both, ``ends`` finds out what base and head are, ``plan`` what is looked at,
``execute`` does it all, ``text`` and ``cover`` show it.
"""

from __future__ import annotations

from harness.gate.ends import Ends, find_ends
from harness.gate.execute import execute
from harness.gate.plan import GatePlan, plan

__all__ = ["Ends", "GatePlan", "execute", "find_ends", "plan"]
