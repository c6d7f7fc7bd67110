# SPDX-License-Identifier: GPL-2.0-only
"""What the build of a new configuration begins as: the worktree of the nearest configuration that was built before.

make then builds what the options between the two decide (scripts/basic/fixdep.c), as after ``make menuconfig``. Where
they are not near, or the objects hold more than paths of the folder that they were made in, only the source is taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from harness import worktrees
from harness.build import state
from harness.paths import open_regular
from harness.values import KernelConfig
from harness.worktrees import Seed

CONFIG = ".harness-config"  # in an output folder: the configuration that it was last built with
_LARGEST = 4 << 20
_NEAR = 80  # lines of a configuration that differ; with more, most of a kernel is built again


def seeds(root: Path, config: KernelConfig, *, commit: str, prefix: str) -> tuple[Seed, ...]:
    """Worktrees beside ``root`` whose names begin with ``prefix``, the nearest first; none where ``root`` is there.

    One that holds the ``commit`` is nearer than any other: a header that differs compiles as much again as an option.
    """
    if not worktrees.is_new(root):
        return ()
    wanted = _lines(config.text)
    found = sorted(
        (moved, len(lines ^ wanted), name, lines) for name, moved, lines in _kept(root.parent, prefix, commit)
    )
    # build ids are digests of what debug information says, the folder's path with it
    debug = "CONFIG_DEBUG_INFO=y"
    return tuple(
        Seed(name, output=far <= _NEAR and debug not in lines | wanted and _whole(root.with_name(name) / "output"))
        for _, far, name, lines in found
    )


def _kept(parent: Path, prefix: str, commit: str) -> Iterator[tuple[str, bool, frozenset[str]]]:
    for folder in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError), open_regular(folder / "output" / CONFIG) as stream:
            moved = (folder / "git" / "HEAD").read_text().strip() != commit
            yield folder.name, moved, _lines(stream.read(_LARGEST).decode("utf-8", "replace"))


def _lines(text: str) -> frozenset[str]:
    return frozenset(line for line in text.splitlines() if line.startswith("CONFIG_"))


def _whole(output: Path) -> bool:
    """Whether its last build came to its end: with the configuration that it has now, and not killed."""
    past = state.load(output)
    with contextlib.suppress(OSError):
        linked = (output / "vmlinux").lstat().st_mtime_ns >= (output / CONFIG).lstat().st_mtime_ns
        return linked and past.complete and not past.unfinished
    return False
