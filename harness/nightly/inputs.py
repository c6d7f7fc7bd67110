# SPDX-License-Identifier: GPL-2.0-only
"""What sources and series stand for tonight, and whether that has moved since a cell's last result."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import structs

from harness import kconfig, series, source, toolchain
from harness import topology as topologies
from harness.display import many
from harness.errors import EnvironmentFailure, HarnessError
from harness.nightly.cells import Cell
from harness.nightly.matrix import Archived, Matrix
from harness.nightly.state import Input
from harness.paths import Paths
from harness.profile import Profile
from harness.progress import Progress
from harness.store import Store, value_digest
from harness.values import Tree

_OWN = ("harness", "kconfigs", "qemu", "tests/guest", "tests/lifecycle")
_OWN_SUFFIXES = (".py", ".sh", ".c", ".h", ".toml", ".j2", ".steps", "")


class Inputs:
    """Looks each source and series up once. What cannot be had is an :class:`Input` with the reason, and no error."""

    def __init__(self, matrix: Matrix, *, folder: Path, paths: Paths, store: Store, progress: Progress) -> None:
        self._matrix = matrix
        self._folder = folder
        self._paths = paths
        self._store = store
        self._progress = progress
        self._trees: dict[str, Tree | None] = {}
        self._newest: dict[str, Input | None] = {}
        self.found: dict[str, Input] = {}

    def look(self, cells: Iterable[Cell]) -> dict[str, Input]:
        """The inputs of some cells, by name."""
        for cell in cells:
            name = source_name(cell)
            if name not in self.found:
                self.found[name] = self._source(cell)
            name = series_name(cell)
            if name not in self.found:
                self.found[name] = self._series(cell)
        return self.found

    def _source(self, cell: Cell) -> Input:
        spec = cell.profile.source
        try:
            tree = self._obtained(spec)
        except HarnessError as error:
            self._trees[cell.source] = None
            return _unavailable(spec, error)
        pinned = source.pin(tree, paths=self._paths)
        self._trees[cell.source] = pinned
        return Input(
            spec=spec,
            pinned=pinned.spec,
            digest=tree.tree_id,
            said=f"Linux {tree.version} ({tree.commit[:12]})",
            facts={"commit": tree.commit, "version": tree.version, **tree.origin},
        )

    def _obtained(self, spec: str) -> Tree:
        """The tree; of a package the newest, or what it was where the archives cannot be reached."""
        found = spec
        try:
            if self._matrix.follow:
                found = source.newest(spec, paths=self._paths, store=self._store, progress=self._progress)
            return source.obtain(found, paths=self._paths, store=self._store, progress=self._progress)
        except EnvironmentFailure as error:
            if not spec.startswith("debian:"):
                raise
            self._progress.warn(f"{spec}: {error.message}; the package as it was last")
            return source.obtain(spec, paths=self._paths, store=self._store, progress=self._progress)

    def _series(self, cell: Cell) -> Input:
        tree = self._trees.get(cell.source)
        try:
            spec, pinned = self._followed(cell)
            if not pinned:
                return Input(spec="", pinned="", digest="none", said="no series")
            read = series.read(pinned, paths=self._paths, store=self._store, progress=self._progress, tree=tree)
        except HarnessError as error:
            return _unavailable(cell.profile.series or cell.series, error)
        named = " ".join(part for part in (read.revision, many(len(read.patches), "patch")) if part)
        facts = {"title": read.title, "revision": read.revision, "message_id": read.message_id or ""}
        facts["patches"] = " ".join(patch.digest for patch in read.patches)
        return Input(spec=spec, pinned=pinned, digest=read.digest, said=f"{named} ({read.digest[:12]})", facts=facts)

    def _followed(self, cell: Cell) -> tuple[str, str]:
        """What the matrix says, and what is run: of a series that is followed its newest revision."""
        known = self._newest.get(cell.series)
        if known is not None:
            return known.spec, known.pinned
        archived = self._matrix.series.get(cell.series)
        spec = cell.profile.series
        pinned = spec
        if isinstance(archived, Archived):
            newest = series.newest_in_archive(
                Path(archived.archive).expanduser(),
                change_id=archived.change_id,
                subject=archived.subject,
                target=self._folder / "series" / f"{safe(cell.series)}.mbx",
                paths=self._paths,
                progress=self._progress,
            )
            spec, pinned = archived.archive, newest.spec
        elif spec.startswith("lore:") and self._matrix.follow:
            try:
                pinned = series.newest_on_lists(spec, paths=self._paths, progress=self._progress).spec
            except EnvironmentFailure as error:
                self._progress.warn(f"{spec}: {error.message}; that revision itself")
        self._newest[cell.series] = Input(spec=spec, pinned=pinned)
        return spec, pinned


def _unavailable(spec: str, error: HarnessError) -> Input:
    verdict = "INFRA" if isinstance(error, EnvironmentFailure) else "APPLY"
    return Input(spec=spec, pinned=spec, verdict=verdict, reason=error.message, said=error.message)


def source_name(cell: Cell) -> str:
    """The name of a cell's source among the inputs."""
    return f"source {cell.source}"


def series_name(cell: Cell) -> str:
    """The name of a cell's series among the inputs: a range of commits is relative to the source."""
    return f"series {cell.series} on {cell.source}"


def pinned(cell: Cell, inputs: Mapping[str, Input]) -> Profile:
    """The cell's profile with what its source and its series stand for tonight, and what they are followed as."""
    source, series = inputs[source_name(cell)].pinned, inputs[series_name(cell)].pinned
    return structs.replace(
        cell.profile,
        source=source,
        series=series,
        followed_source=cell.profile.source if source != cell.profile.source else "",
        followed_series=cell.series if series != cell.profile.series else "",
    )


def fingerprints(cells: Sequence[Cell], inputs: Mapping[str, Input], *, paths: Paths) -> dict[str, str]:
    """What decides each cell, by key: its inputs, configuration, topology and suites, the compiler, and the harness."""
    common = (own_digest(paths.project), toolchain.host_toolchain().digest)
    found = {}
    for cell in cells:
        profile = cell.profile
        merged = kconfig.merge(kconfig.parse_requests(profile.config), paths.kconfigs)
        found[cell.key] = value_digest(
            *common,
            [inputs[source_name(cell)].digest, inputs[series_name(cell)].digest, profile.patches],
            [merged.text, list(merged.command_line)],
            topologies.definition(topologies.load(profile.topology, paths=paths)),
            list(profile.suites),
            [profile.qemu, profile.accel, profile.image, profile.memory_mib, profile.cpus, profile.append],
            [profile.timeout_scale, profile.require_feature, profile.stress, profile.seed],
        )
    return found


def own_digest(project: Path) -> str:
    """The SHA-256 over the harness itself: its code, fragments, topologies and guest tests."""
    digest = hashlib.sha256()
    for folder in _OWN:
        for path in sorted((project / folder).rglob("*")):
            if path.is_file() and path.suffix in _OWN_SUFFIXES and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(project)}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def moves(now: Mapping[str, Input], before: Mapping[str, Input], when: float) -> tuple[list[str], list[str]]:
    """What moved since the last night, and what did not: a line each. ``when`` is that night's start (Unix time)."""
    moved, unmoved = [], []
    day = time.strftime("%-d %b %H:%M", time.localtime(when))
    for name, one in now.items():
        last = before.get(name)
        if one.digest == "none":
            continue
        if one.verdict:
            moved.append(f"{name}: cannot be had: {one.reason}")
        elif last is None or not last.digest:
            moved.append(f"{name}: {one.said}")
        elif last.digest != one.digest:
            moved.append(f"{name}: {last.said} → {one.said}")
        else:
            unmoved.append(f"{name}: {one.said}, as on {day}")
    return moved, unmoved


def safe(name: str) -> str:
    """A name as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80] or "x"
