# SPDX-License-Identifier: GPL-2.0-only
"""Patch series: an ordered list of patches from wherever they are, and a tree with them applied.

A series is a name from ``patches/``, a folder, a file, or ``kind:rest``. A kind is a module of this package that
makes one :class:`harness.series.kind.Kind`; ``KINDS`` below is all that knows them.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import UserError, nearest
from harness.paths import Paths
from harness.progress import Progress
from harness.series import folder, gitrange, lore, named
from harness.series.apply import apply, at_patch
from harness.series.kind import Kind, Request
from harness.series.revisions import Newest, newest_in_archive, newest_on_lists
from harness.store import Store
from harness.values import Series, Tree

KINDS: dict[str, Kind] = {
    kind.prefix: kind for kind in (named.KIND, folder.FOLDER, folder.MBOX, gitrange.KIND, lore.KIND)
}

__all__ = [
    "KINDS",
    "Kind",
    "Newest",
    "apply",
    "at_patch",
    "describe",
    "newest_in_archive",
    "newest_on_lists",
    "parse",
    "read",
]


def parse(spec: str, *, paths: Paths) -> tuple[Kind, str]:
    """The kind and the rest of a series. Raises :class:`UserError` with the nearest name where there is none such.

    Without ``kind:`` a name of ``patches/`` goes before a file or folder of the same name (write ``./name`` for that).
    """
    prefix, colon, rest = spec.partition(":")
    if colon and prefix in KINDS:
        if not rest:
            raise UserError(f"the series '{spec}' names nothing", hint=f"write {KINDS[prefix].form}")
        return KINDS[prefix], rest
    known = named.names(paths)
    if spec in known:
        return named.KIND, spec
    path = Path(spec).expanduser()
    if spec and path.is_dir():
        return (named.KIND if (path / named.FILE).is_file() else folder.FOLDER), spec
    if spec and path.exists():
        return folder.MBOX, spec
    close = nearest(spec, known) or (nearest(prefix, KINDS) if colon else None)
    forms = "a folder, an mbox, git:A..B, lore:MESSAGE-ID"
    hint = f"did you mean '{close}'? " if close else ""
    names = f"known: {', '.join(known)}; or {forms}" if known else f"give {forms}"
    raise UserError(f"unknown series '{spec}'", hint=f"{hint}{names}")


def describe(spec: str, *, paths: Paths) -> named.Description:
    """What a series says of itself in its ``series.toml``, nothing where it has none; raises as :func:`parse`."""
    kind, rest = parse(spec, paths=paths)
    return named.describe(rest, paths=paths)[1] if kind is named.KIND else named.Description(title="")


def read(spec: str, *, paths: Paths, store: Store, progress: Progress, tree: Tree | None = None) -> Series:
    """The series that ``spec`` names. ``tree`` is what ``git:A..B`` without a path is relative to.

    Raises :class:`UserError` (no such series, a patch missing from the numbering, one that does not parse) and
    :class:`EnvironmentFailure` (b4 or the network).
    """
    kind, rest = parse(spec, paths=paths)
    request = Request(spec=spec, rest=rest, paths=paths, store=store, progress=progress, kinds=KINDS, tree=tree)
    return kind.read(request)
