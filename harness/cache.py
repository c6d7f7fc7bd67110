# SPDX-License-Identifier: GPL-2.0-only
"""What is in the cache folder, and which of it can go.

Beside the store's entries (kernels, images, runtimes) the cache holds worktrees, repositories, downloads, the compiler
cache and scratch folders. All of it can be made again. What a dead process left goes with every prune.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import EnvironmentFailure, UserError
from harness.paths import Paths
from harness.store import Store, folder_size
from harness.worktrees import lock_name

# Used less than this long ago: a run may be about to open it.
_JUST_USED_SECONDS = 600.0
# A scratch folder that does not say whose it is.
_SCRATCH_GRACE_SECONDS = 3600.0

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SPANS = {"min": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(min|h|d|w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A part of the cache: ``size`` in bytes, ``used`` when it was last used (seconds since the epoch).

    ``lock`` is the store's lock that whoever uses it holds; ``litter`` is what a dead process left, ``busy`` what a
    living one works in, ``lasting`` what goes last and never for its age.
    """

    kind: str
    name: str
    path: Path
    size: int
    used: float
    lock: str | None = None
    litter: bool = False
    lasting: bool = False
    busy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What a prune keeps: at most ``size`` bytes, nothing unused for longer than ``age`` seconds. None: no limit."""

    size: int | None = None
    age: float | None = None


def parse_keep(words: Iterable[str]) -> Keep:
    """``20G`` and ``500M`` are sizes, ``12h``, ``14d`` and ``4w`` ages; raises :class:`UserError` for anything else."""
    size: int | None = None
    age: float | None = None
    for word in words:
        if match := _AGE.fullmatch(word.strip()):
            age = float(match[1]) * _SPANS[match[2].lower()]
        elif match := _SIZE.fullmatch(word.strip()):
            size = int(float(match[1]) * _UNITS[match[2].upper()])
        else:
            raise UserError(
                f"'{word}' is neither a size nor an age", hint="sizes: 500M, 20G · ages: 30min, 12h, 14d, 4w"
            )
    return Keep(size=size, age=age)


def survey(*, paths: Paths, store: Store) -> list[Item]:
    """All that is in the cache, the longest unused first."""
    items = [
        *_entries(store),
        *_unfinished(paths),
        *_worktrees(paths),
        *_scratch(paths),
        *(_folder("repository", path) for path in _children(paths.cache / "repositories")),
        *(_folder("download", path) for path in _children(paths.cache / "downloads")),
        *(_folder("compiler cache", path) for path in (paths.cache / "ccache",) if path.is_dir()),
    ]
    return sorted(items, key=lambda item: item.used)


def choose(items: Iterable[Item], keep: Keep, *, now: float) -> list[Item]:
    """Of ``items`` those to remove: what dead processes left, what is too old, then the longest unused to fit the size.

    The compiler cache and repositories go only when they are what does not fit (ccache limits itself).
    """
    ordered = sorted(items, key=lambda item: item.used)
    chosen = [item for item in ordered if item.litter]
    idle = [item for item in ordered if not item.litter and not item.busy]
    candidates = [item for item in idle if now - item.used > _JUST_USED_SECONDS]
    if keep.age is not None:
        chosen += [item for item in candidates if not item.lasting and now - item.used > keep.age]
    if keep.size is not None:
        left = sum(item.size for item in ordered) - sum(item.size for item in chosen)
        for item in sorted(candidates, key=lambda item: (item.lasting, item.used)):
            if left <= keep.size:
                break
            if item not in chosen:
                chosen.append(item)
                left -= item.size
    return chosen


def remove(item: Item, *, store: Store) -> str | None:
    """Remove an item; returns why it was not, or None. What another run uses stays."""
    try:
        with contextlib.ExitStack() as stack:
            if item.lock is not None:
                stack.enter_context(store.lock(item.lock, what=item.name, wait=0.0))
            if item.path == store.path(item.kind, item.name):
                store.remove(item.kind, item.name)
            elif item.path.is_dir() and not item.path.is_symlink():
                shutil.rmtree(item.path, ignore_errors=True)
            else:
                item.path.unlink(missing_ok=True)
    except EnvironmentFailure:
        return "another run uses it"
    except OSError as reason:
        return reason.strerror or str(reason)
    return "it cannot be removed" if item.path.exists() else None


def _entries(store: Store) -> Iterator[Item]:
    for entry in store.entries():
        with contextlib.suppress(OSError):
            used = (entry.path / ".entry.json").stat().st_mtime
            lock = f"{entry.kind}-{entry.key}"
            yield Item(kind=entry.kind, name=entry.key, path=entry.path, size=entry.size, used=used, lock=lock)


def _unfinished(paths: Paths) -> Iterator[Item]:
    for left in sorted(paths.cache.glob("store/*/.*-*")):
        if left.is_dir() and not Store.in_progress(left):
            yield _folder("unfinished entry", left, litter=True)


def _worktrees(paths: Paths) -> Iterator[Item]:
    for root in sorted(paths.cache.glob("worktrees/*/*")):
        with contextlib.suppress(OSError):
            times = [path.stat().st_mtime for path in (root, *root.iterdir())]
            name = f"{root.parent.name}/{root.name}"
            lock = lock_name(root)
            yield Item(kind="worktree", name=name, path=root, size=folder_size(root), used=max(times), lock=lock)


def _scratch(paths: Paths) -> Iterator[Item]:
    for folder in _children(paths.cache / "scratch"):
        match = re.search(r"-(\d+)-[^-]*$", folder.name)
        alive = match is not None and Path("/proc", match[1]).exists()
        age = time.time() - folder.stat().st_mtime
        litter = not alive and (match is not None or age > _SCRATCH_GRACE_SECONDS)
        yield _folder("scratch", folder, litter=litter, busy=not litter)


def _folder(kind: str, path: Path, *, litter: bool = False, busy: bool = False) -> Item:
    status = path.lstat()
    return Item(
        kind=kind,
        name=path.name,
        path=path,
        size=folder_size(path) if path.is_dir() else status.st_size,
        used=status.st_mtime,
        litter=litter,
        busy=busy,
        lasting=kind in ("repository", "compiler cache"),
    )


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
