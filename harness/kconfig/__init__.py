# SPDX-License-Identifier: GPL-2.0-only
"""Kconfig: typed fragments, merged with the tree's own tools, each requested value checked in the final ``.config``."""

from harness.kconfig.configure import attempt, configure, tree_symbols
from harness.kconfig.merge import merge
from harness.kconfig.request import (
    DEFAULT_FRAGMENTS,
    FragmentRequest,
    default_requests,
    parse_request,
    parse_requests,
)

__all__ = [
    "DEFAULT_FRAGMENTS",
    "FragmentRequest",
    "attempt",
    "configure",
    "default_requests",
    "merge",
    "parse_request",
    "parse_requests",
    "tree_symbols",
]
