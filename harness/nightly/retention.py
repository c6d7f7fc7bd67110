# SPDX-License-Identifier: GPL-2.0-only
"""Which runs of a nightly stay: the young ones, up to a size; a cell's last good one and those that failed, always.

Only runs that this matrix' nights made are looked at, never a run that goes on, nor one of a night that does.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.display import many
from harness.nightly.matrix import Keep, span
from harness.nightly.state import Book, Desk, Kept
from harness.paths import Paths
from harness.results.folder import RunFolder
from harness.store import folder_size
from harness.values import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What retention did: runs and nights deleted, bytes freed, bytes kept, and how many runs stay for what reason."""

    deleted: tuple[str, ...]
    freed: int
    size: int
    failing: int

    def said(self, keep: Keep) -> str:
        """In a line, for people."""
        parts = [f"{many(len(self.deleted), 'run')} deleted ({self.freed >> 20} MiB)"] if self.deleted else []
        parts.append(f"{self.size >> 20} MiB kept")
        if self.size > keep.gib * (1 << 30):
            parts.append(f"more than keep.gib ({keep.gib:g}): {self.failing} failing runs and last good ones stay")
        return ", ".join(parts)


def to_delete(
    kept: Sequence[Kept], keep: Keep, *, now: float, size: Callable[[Kept], int], held: Callable[[Kept], bool]
) -> list[Kept]:
    """The runs that may go, oldest first; ``size`` in bytes, ``held`` whether one goes on. Pure."""
    last_good = {one.cell: one.run for one in sorted(kept, key=lambda one: one.when) if _good(one)}
    may_go = [
        one
        for one in sorted(kept, key=lambda one: one.when)
        if not held(one)
        and not (keep.failing and one.verdict and not _good(one))
        and not (keep.last_good and last_good.get(one.cell) == one.run)
    ]
    gone = [one for one in may_go if now - one.when > span(keep.age)]
    total = sum(size(one) for one in kept if one not in gone)
    for one in may_go:
        if total <= keep.gib * (1 << 30):
            break
        if one not in gone:
            gone.append(one)
            total -= size(one)
    return gone


def sweep(desk: Desk, keep: Keep, *, paths: Paths, now: float) -> Swept:
    """Delete the runs that may go, and the nights all of whose runs are gone and that are older than ``keep.age``."""
    book = desk.book
    kept = [one for one in book.kept if (paths.runs / one.run).is_dir()]
    sizes = {one.run: folder_size(paths.runs / one.run) for one in kept}
    tonight = {state.run for state in book.night.cells.values()} if book.night is not None else set()
    gone = to_delete(
        kept,
        keep,
        now=now,
        size=lambda one: sizes[one.run],
        held=lambda one: one.run in tonight or RunFolder(paths.runs / one.run).going_on,
    )
    for one in gone:
        shutil.rmtree(paths.runs / one.run, ignore_errors=True)
    book.kept = [one for one in kept if one not in gone]
    _sweep_nights(desk, keep, book, now)
    desk.write()
    freed = sum(sizes[one.run] for one in gone)
    return Swept(
        deleted=tuple(one.run for one in gone),
        freed=freed,
        size=sum(sizes.values()) - freed,
        failing=sum(1 for one in book.kept if one.verdict and not _good(one)),
    )


def _sweep_nights(desk: Desk, keep: Keep, book: Book, now: float) -> None:
    """A night's own folder (reports, logs) goes by age, unless it is the last one."""
    last = book.night.id if book.night is not None else ""
    for folder in sorted((desk.folder / "nights").glob("*")):
        if folder.name != last and now - folder.stat().st_mtime > span(keep.age):
            shutil.rmtree(folder, ignore_errors=True)


def _good(one: Kept) -> bool:
    return bool(one.verdict) and Verdict(one.verdict).good
