# SPDX-License-Identifier: GPL-2.0-only
"""What a kind of series is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.paths import Paths
from harness.progress import Progress
from harness.store import Store
from harness.values import Series, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of :func:`harness.series.read`: ``rest`` is what follows ``kind:`` in ``spec``.

    ``kinds`` are all kinds by prefix: a named series may have its patches anywhere.
    """

    spec: str
    rest: str
    paths: Paths
    store: Store
    progress: Progress
    kinds: Mapping[str, Kind]
    tree: Tree | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of series: ``form`` is how it is written, ``about`` one line for a list, ``read`` reads it."""

    prefix: str
    form: str
    about: str
    read: Callable[[Request], Series]
