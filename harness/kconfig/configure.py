# SPDX-License-Identifier: GPL-2.0-only
"""From fragments to a final, checked configuration, with the tree's own ``conf``; kept by content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness import sandbox, worktrees
from harness.errors import BuildError
from harness.kconfig import check, dotconfig, language
from harness.kconfig.inputs import SPARSE, inputs_digest
from harness.kconfig.merge import Merged, merge
from harness.kconfig.request import FragmentRequest
from harness.paths import Paths
from harness.process import run
from harness.progress import Progress
from harness.store import Store, value_digest
from harness.toolchain import SOURCE_ARCHITECTURE, Toolchain, make_argv
from harness.values import AppliedSeries, KernelConfig

_KIND = "config"
_FORMAT = 1  # of the entry: raise it when the meaning of what is kept changes
_CONF_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A final ``.config`` before its judgement: the request, the text, and what of the request was lost."""

    merged: Merged
    text: str
    lost: tuple[check.Lost, ...]

    @property
    def values(self) -> dict[str, str]:
        """The value of each option of the final ``.config``."""
        return dotconfig.parse(self.text)


def configure(
    applied: AppliedSeries,
    requests: Sequence[FragmentRequest],
    *,
    toolchain: Toolchain,
    paths: Paths,
    store: Store,
    progress: Progress,
    strict: bool = True,
) -> KernelConfig:
    """The configuration that the fragments ask for, made by the tree's own tools and checked.

    With ``strict`` a lost option is an error unless its line is marked optional; without, all of them are warnings (for
    grids that turn options off on purpose). Raises :class:`UserError` (fragments, lost options) and
    :class:`BuildError` (the tree's Kconfig does not work).
    """
    done = attempt(applied, requests, toolchain=toolchain, paths=paths, store=store, progress=progress)
    warnings = (*done.merged.overridden, *check.judge(done.lost, strict=strict))
    return KernelConfig(
        text=done.text,
        digest=value_digest(done.text),
        fragments=done.merged.names,
        warnings=warnings,
        command_line=done.merged.command_line,
    )


def attempt(
    applied: AppliedSeries,
    requests: Sequence[FragmentRequest],
    *,
    toolchain: Toolchain,
    paths: Paths,
    store: Store,
    progress: Progress,
    seed: int | None = None,
) -> Configured:
    """The final ``.config`` and what was lost on the way, without judging it.

    With a ``seed`` what the fragments leave open is drawn (``make randconfig``) instead of off.
    """
    merged = merge(requests, paths.kconfigs)
    key = value_digest(
        _FORMAT,
        inputs_digest(applied, store=store, progress=progress),
        [(wanted.line, wanted.fragment, wanted.optional, wanted.why) for wanted in merged.asked.values()],
        merged.askers,
        toolchain.digest,
        *(() if seed is None else (seed,)),
    )

    def make(folder: Path) -> dict[str, Any]:
        text, lost = _make(applied, merged, seed=seed, toolchain=toolchain, paths=paths, store=store, progress=progress)
        (folder / "config").write_text(text)
        (folder / "request").write_text(merged.text)
        return {"lost": msgspec.to_builtins(lost)}

    entry, _ = store.obtain(_KIND, key, make, progress=progress)
    lost = msgspec.convert(entry.meta["lost"], tuple[check.Lost, ...])
    return Configured(merged=merged, text=(entry.path / "config").read_text(), lost=lost)


@contextmanager
def tree_symbols(
    applied: AppliedSeries, *, paths: Paths, store: Store, progress: Progress
) -> Iterator[Callable[[], language.Symbols]]:
    """The Kconfig symbols of a tree, read when they are asked for."""
    with _lease(applied, paths=paths, store=store, progress=progress) as worktree:
        yield lambda: read_symbols(worktree.source)


def read_symbols(source: Path) -> language.Symbols:
    """The Kconfig symbols of the tree in a folder."""

    def read_file(name: str) -> str | None:
        path = source / name
        if not path.is_file() or not path.resolve().is_relative_to(source.resolve()):
            return None  # not there, or what a link in the tree leads to outside of it
        return path.read_text(encoding="utf-8", errors="replace")

    variables = {"SRCARCH": SOURCE_ARCHITECTURE, "HEADER_ARCH": SOURCE_ARCHITECTURE, "srctree": "."}
    return language.read(read_file, variables=variables)


def conf_environment(request: Path, seed: int | None = None) -> dict[str, str | None]:
    """What ``conf`` is told beside its command line (Documentation/kbuild/kconfig.rst, ``KCONFIG_ALLCONFIG``)."""
    drawn = {"KCONFIG_SEED": str(seed)} if seed is not None else {}
    return {"KCONFIG_ALLCONFIG": str(request), "KCONFIG_NOSILENTUPDATE": None, **drawn}


def _make(
    applied: AppliedSeries,
    merged: Merged,
    *,
    seed: int | None,
    toolchain: Toolchain,
    paths: Paths,
    store: Store,
    progress: Progress,
) -> tuple[str, tuple[check.Lost, ...]]:
    target = "allnoconfig" if seed is None else "randconfig"
    with _lease(applied, paths=paths, store=store, progress=progress) as worktree:
        progress.update(f"make {target}")
        request = sandbox.own_file(worktree.output / "request.config")
        request.write_text(merged.text)
        sandbox.own_file(worktree.output / ".config")
        argv = make_argv([target], source=worktree.source, output=worktree.output, toolchain=toolchain)
        run(
            argv,
            deadline=_CONF_SECONDS,
            env=conf_environment(request, seed),
            error=BuildError,
            failure=f"the Kconfig of {applied.tree.spec} does not work: make {target} failed",
            within=sandbox.enclosure(paths, writable=[worktree.output], readable=[worktree.source]),
        )
        text = dotconfig.normalized(sandbox.contained(worktree.output / ".config", worktree.output).read_text())
        return text, check.lost(merged, dotconfig.parse(text), lambda: read_symbols(worktree.source))


@contextmanager
def _lease(applied: AppliedSeries, *, paths: Paths, store: Store, progress: Progress) -> Iterator[worktrees.Worktree]:
    with worktrees.lease(
        repository=applied.tree.repository,
        key="config",
        commit=applied.commit,
        paths=paths,
        store=store,
        progress=progress,
        sparse=SPARSE,
    ) as worktree:
        yield worktree
