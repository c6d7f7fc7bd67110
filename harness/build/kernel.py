# SPDX-License-Identifier: GPL-2.0-only
"""Kernels: built out of tree in a lasting worktree, kept by content (tree, configuration, toolchain)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import sandbox, worktrees
from harness.build import nearest
from harness.build.keep import SYMBOLS, collect, kernel_of
from harness.build.make import Job, kernel_key, new_job, run_make
from harness.build.plan import targets
from harness.errors import UserError
from harness.paths import Paths
from harness.progress import Progress
from harness.store import Store, disk_failure
from harness.toolchain import Toolchain
from harness.values import AppliedSeries, Kernel, KernelConfig

_KIND = "kernel"
_KEY = "build-"  # of worktrees, with what follows of one length


def find(applied: AppliedSeries, config: KernelConfig, *, toolchain: Toolchain, store: Store) -> Kernel | None:
    """The kernel if it is in the cache."""
    entry = store.find(_KIND, kernel_key(applied, config, toolchain))
    return kernel_of(entry) if entry is not None else None


def build(
    applied: AppliedSeries,
    config: KernelConfig,
    *,
    toolchain: Toolchain,
    paths: Paths,
    store: Store,
    progress: Progress,
    jobs: int | None = None,
) -> tuple[Kernel, bool]:
    """The kernel of a tree and configuration, and whether it came from the cache (then neither make nor git runs).

    Raises :class:`BuildError` with the first failing command and what it said, :class:`EnvironmentFailure` for a full
    disk, too little memory or a missing tool.
    """
    job = new_job(applied, config, toolchain, paths, store, progress, jobs)

    def make(folder: Path) -> dict[str, Any]:
        with _lease(job) as worktree:
            warnings = run_make(job, worktree, targets(config))
            return collect(job, worktree, folder) | {"warnings": warnings}

    entry, cached = store.obtain(_KIND, job.key, make, progress=progress)
    return kernel_of(entry), cached


@contextmanager
def module_folder(
    applied: AppliedSeries,
    config: KernelConfig,
    *,
    toolchain: Toolchain,
    paths: Paths,
    store: Store,
    progress: Progress,
    jobs: int | None = None,
) -> Iterator[worktrees.Worktree]:
    """The worktree of a kernel, ready for modules out of tree (``make -C source O=output M=folder modules``).

    It is this process's alone for the length of the block. The symbols of a kernel that is in the cache are taken from
    there, and the kernel is not built again. Raises what :func:`build` raises, and :class:`UserError` where the
    configuration has no modules (the fragment ``modules``).
    """
    if not config.enabled("MODULES"):
        raise UserError("this kernel has no loadable modules", hint="add --config modules")
    job = new_job(applied, config, toolchain, paths, store, progress, jobs)
    entry = store.find(_KIND, job.key)
    symbols = entry.path / SYMBOLS if entry is not None else None
    with _lease(job) as worktree:
        if symbols is not None and symbols.is_file():
            run_make(job, worktree, ("modules_prepare",), remember=False)
            _put_symbols(symbols, worktree.output / SYMBOLS)
        else:
            run_make(job, worktree, (*targets(config), "modules_prepare"))
        job.log.unlink(missing_ok=True)
        yield worktree


def _put_symbols(kept: Path, path: Path) -> None:
    """A worktree that has moved on has the symbols of another commit."""
    try:
        if not sandbox.own_file(path).is_file() or path.read_bytes() != kept.read_bytes():
            shutil.copyfile(kept, path)
    except OSError as reason:
        raise disk_failure(reason, f"while writing {path}") from reason


@contextmanager
def _lease(job: Job) -> Iterator[worktrees.Worktree]:
    repository, key = job.applied.tree.repository, f"{_KEY}{job.config.digest[:16]}"
    root = worktrees.folder(job.paths, repository, key)
    with worktrees.lease(
        repository=repository,
        key=key,
        commit=job.applied.commit,
        paths=job.paths,
        store=job.store,
        progress=job.progress,
        seeds=nearest.seeds(root, job.config, commit=job.applied.commit, prefix=_KEY),
    ) as worktree:
        yield worktree
