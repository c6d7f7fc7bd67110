# SPDX-License-Identifier: GPL-2.0-only
"""Compiles parts of a kernel: folders and single files, in an output folder a configuration, all beside one source.

The tree without patches has a worktree of its own: going to and fro between it and the patches would give make new
times of headers that nearly everything includes.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import sandbox, worktrees
from harness.build.make import Job, new_job, run_make
from harness.paths import Paths, make_folder
from harness.process import Enclosure
from harness.progress import Progress
from harness.store import Store, disk_failure, value_digest
from harness.toolchain import Toolchain
from harness.values import AppliedSeries, KernelConfig

_KEY = "parts"
_BASE_KEY = "parts-base"


@dataclass(frozen=True, slots=True)
class Parts:
    """A tree's source and the output folder of one configuration, this process's alone while the lease lasts."""

    _job: Job
    _worktree: worktrees.Worktree

    @property
    def source(self) -> Path:
        """The tree's files."""
        return self._worktree.source

    @property
    def output(self) -> Path:
        """Where objects are, each at the path of its source."""
        return self._worktree.output

    @property
    def within(self) -> Enclosure:
        """Where programs read what was made."""
        return sandbox.enclosure(self._job.paths, writable=[], readable=[self.output])

    def compile(self, targets: Sequence[str]) -> dict[str, list[str]]:
        """Make targets (``mm/``, ``mm/zswap.o``, ``vmlinux``); returns the warnings of all that the folder holds.

        A folder that kbuild does not reach in this configuration is left as it is. Raises :class:`BuildError` for a
        file that does not compile, also for one that the configuration leaves out and that was named on its own.
        """
        return run_make(self._job, self._worktree, targets)

    def look(self, objects: Sequence[str], **variables: str) -> dict[str, list[str]]:
        """Compile objects once more with other variables (``W="1"``, ``C="2"``); returns what was said of them."""
        for name in objects:
            (sandbox.contained((self.output / name).parent, self.output) / Path(name).name).unlink(missing_ok=True)
        return run_make(self._job, self._worktree, objects, variables=variables, remember=False)


@contextmanager
def parts(
    applied: AppliedSeries,
    config: KernelConfig,
    *,
    name: str,
    like: str | None = None,
    toolchain: Toolchain,
    paths: Paths,
    store: Store,
    progress: Progress,
    jobs: int | None = None,
) -> Iterator[Parts]:
    """Lease the worktree of parts, brought to ``applied``, with the output folder ``name`` for ``config``.

    One name should mean one configuration, or nearly: what an option does not touch is not compiled again. A new folder
    begins as a copy of the one called ``like``, if that is there. Raises :class:`EnvironmentFailure` on a full disk.
    """
    job = new_job(applied, config, toolchain, paths, store, progress, jobs, log_name=f"parts-{name}")
    with worktrees.lease(
        repository=applied.tree.repository,
        key=_BASE_KEY if applied.commit == applied.tree.commit else _KEY,
        commit=applied.commit,
        paths=paths,
        store=store,
        progress=progress,
    ) as worktree:
        # beside the source like every output folder: the compiler cache knows files by their path from there
        output = _folder(worktree, name)
        if like is not None and not output.exists():
            _copy(_folder(worktree, like), output)
        make_folder(output)
        yield Parts(job, dataclasses.replace(worktree, output=output))


def _folder(worktree: worktrees.Worktree, name: str) -> Path:
    """The output folder of a name; all paths are of one length, so that a copy can be made to name itself."""
    return worktree.source.parent / f"output-{value_digest(name)[:12]}"


def _copy(folder: Path, target: Path) -> None:
    """Copy an output folder, times included, whole or not at all; nothing where it is not there."""
    if not folder.is_dir():
        return
    beside = target.with_name(f".{target.name}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        worktrees.copy_folder(folder, beside)
        worktrees.rename_within(beside, folder, target)
        beside.rename(target)
    except OSError as reason:
        raise disk_failure(reason, f"while copying {folder}") from reason
    finally:
        shutil.rmtree(beside, ignore_errors=True)
