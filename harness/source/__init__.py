# SPDX-License-Identifier: GPL-2.0-only
"""Kernel sources: whatever the kind, the answer is a commit in a git repository.

A source is named ``kind:rest``. A kind is a module of this package that makes one :class:`harness.source.kind.Kind`;
``KINDS`` below is all that knows them. A new kind is such a module and one line here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.errors import UserError, nearest
from harness.paths import Paths
from harness.progress import Progress
from harness.source import checkout, debian, memory, remote, tarball
from harness.source.kind import Kind, Request
from harness.store import Store
from harness.values import Tree

KINDS: dict[str, Kind] = {kind.prefix: kind for kind in (debian.KIND, tarball.KIND, remote.KIND, checkout.KIND)}

__all__ = ["KINDS", "Kind", "newest", "obtain", "parse", "pin", "plan"]


def parse(spec: str) -> tuple[Kind, str]:
    """The kind and the rest of a source. Raises :class:`UserError` naming the kinds, or the one probably meant."""
    prefix, colon, rest = spec.partition(":")
    if colon and prefix in KINDS:
        if not rest:
            raise UserError(f"the source '{spec}' names no {prefix} source", hint=f"write {KINDS[prefix].form}")
        return KINDS[prefix], rest
    forms = ", ".join(kind.form for kind in KINDS.values())
    path = Path(spec).expanduser()
    if path.is_dir():
        hint = f"for a checkout write tree:{spec}"
    elif path.is_file():
        hint = f"for a source archive write tarball:{spec}"
    elif colon and (close := nearest(prefix, KINDS)):
        hint = f"did you mean '{close}:{rest}'? known: {forms}"
    else:
        hint = f"known: {forms}"
    raise UserError(f"unknown source '{spec}'", hint=hint)


def plan(spec: str) -> tuple[str, ...]:
    """What :func:`obtain` would do, as lines for ``--dry-run``."""
    kind, rest = parse(spec)
    return kind.plan(rest)


def pin(tree: Tree, *, paths: Paths) -> Tree:
    """The same tree under a name that does not move: a branch by its commit, a package by its version.

    It is remembered, so that obtaining it needs no network. What has no such name (a checkout, a file) stays as it is.
    """
    kind, rest = parse(tree.spec)
    fixed = kind.pin(rest, tree) if kind.pin is not None else tree.spec
    if fixed == tree.spec:
        return tree
    pinned = replace(tree, spec=fixed)
    memory.remember(paths, pinned, facts={"commit": tree.commit})
    return pinned


def newest(spec: str, *, paths: Paths, store: Store, progress: Progress) -> str:
    """The source that ``spec`` stands for by now, where obtaining it would answer from memory; else ``spec`` itself.

    Raises :class:`EnvironmentFailure` where that cannot be looked up.
    """
    kind, rest = parse(spec)
    if kind.newest is None:
        return spec
    return kind.newest(Request(spec=spec, rest=rest, paths=paths, store=store, progress=progress))


def obtain(
    spec: str,
    *,
    paths: Paths,
    store: Store,
    progress: Progress,
    reference: Path | None = None,
    refresh: bool = False,
) -> Tree:
    """The kernel tree that ``spec`` names, fetched and imported where it is not there yet.

    ``reference`` is a local repository whose objects need not be fetched again (``git:`` only). Without ``refresh``
    a source that moves is answered from what is remembered, as its kind documents; ``refresh`` looks again.

    Raises :class:`UserError` (no such source, a damaged tarball, a wrong digest) and :class:`EnvironmentFailure`
    (network, disk, a missing tool).
    """
    kind, rest = parse(spec)
    request = Request(
        spec=spec,
        rest=rest,
        paths=paths,
        store=store,
        progress=progress,
        reference=reference.expanduser().absolute() if reference is not None else None,
        refresh=refresh,
    )
    return kind.obtain(request)
