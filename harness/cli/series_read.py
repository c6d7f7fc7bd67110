# SPDX-License-Identifier: GPL-2.0-only
"""What the subcommands of ``harness series`` share: reading a tree and a series, and showing one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from harness import series as stage
from harness import source
from harness.cli.session import Session
from harness.values import Series, Tree

_DEFAULT_SOURCE = "debian:6.12"


def source_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--source``: passes ``source_spec``."""
    return click.option(
        "--source", "source_spec", metavar="SOURCE",
        help=f"The tree to apply to (default: what the series names, else {_DEFAULT_SOURCE}).",
    )(function)  # fmt: skip


def source_for(session: Session, spec: str, source_spec: str | None, default: str = _DEFAULT_SOURCE) -> str:
    """The source that was asked for, else the one that a named series names, else the default."""
    return session.source_for(spec, source_spec) or default


def tree_and_series(session: Session, spec: str, source_spec: str | None) -> tuple[Tree, Series]:
    """The tree and the series on it that were asked for, each shown as a stage."""
    wanted = source_for(session, spec, source_spec)
    with session.stage("source") as progress:
        tree = source.obtain(wanted, paths=session.paths, store=session.store, progress=progress)
    with session.stage("series") as progress:
        found = stage.read(spec, paths=session.paths, store=session.store, progress=progress, tree=tree)
    return tree, found


def series_record(found: Series) -> dict[str, Any]:
    """A series as JSON shows it."""
    return {
        "name": found.name,
        "title": found.title,
        "revision": found.revision,
        "message_id": found.message_id,
        "base": found.base,
        "spec": found.spec,
        "digest": found.digest,
        "patches": [
            {"number": patch.number, "title": patch.title, "author": patch.author, "files": patch.files,
             "digest": patch.digest}
            for patch in found.patches
        ],
    }  # fmt: skip


def plain(text: str) -> str:
    """A line from a mail without control characters: a title must not move the cursor of the reader's terminal."""
    return "".join(char if char.isprintable() else "�" for char in text)
