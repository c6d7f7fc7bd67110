# SPDX-License-Identifier: GPL-2.0-only
"""The file names of pages: readable where a name allows it, and never more than a name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@lru_cache(maxsize=1 << 16)
def slug(text: str, key: str = "") -> str:
    """A file name (no ``/``, no leading dot, at most 70 characters) of a text; ``key`` tells it from others like it.

    Without a ``key`` the text's own digest does.
    """
    mark = hashlib.sha256((key or text).encode("utf-8", "replace")).hexdigest()[:8]
    plain = _ODD.sub("_", text).strip("._-")[:60]
    return f"{plain}-{mark}" if plain else mark


def run_page(run: Mapping[str, Any]) -> str:
    """A run's page."""
    return f"runs/{slug(run['name'], run['uid'])}.html"


def console_page(run: Mapping[str, Any], guest: str) -> str:
    """The page of a guest's console."""
    return f"runs/{slug(run['name'], run['uid'])}.guest-{slug(guest)[:-9] or '0'}.html"


def memory_page(run: Mapping[str, Any]) -> str:
    """The page of what was sampled in a run's guests."""
    return f"runs/{slug(run['name'], run['uid'])}.memory.html"


def case_page(name: str, part: int = 0) -> str:
    """The page of a case; ``part`` counts older parts of its way from 1, the oldest."""
    return f"cases/{slug(name)}{f'.{part}' if part else ''}.html"


def cell_page(cell: str) -> str:
    """The page of what is followed over time."""
    return f"cells/{slug(cell)}.html"


def compare_page(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The page that compares two runs."""
    return f"compare/{slug(before['name'], before['uid'])}..{slug(after['name'], after['uid'])}.html"


def topology_page(name: str, digest: str) -> str:
    """The page of a topology."""
    return f"topologies/{slug(name, digest)}.html"
