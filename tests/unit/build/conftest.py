# SPDX-License-Identifier: GPL-2.0-only
"""A stub kernel tree in a repository, so that configuring and building it takes milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.kconfig import FragmentRequest, configure, parse_requests
from harness.paths import Paths
from harness.repository import Repository
from harness.store import Store
from harness.toolchain import Toolchain
from harness.values import AppliedSeries, KernelConfig, Tree

STUB = Path(__file__).parent / "stub"


@dataclass
class Recorder:
    """A progress listener that keeps what it is told."""

    updates: list[tuple[str, int | None, int | None]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.updates.append((message, done, total))

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@dataclass
class Bench:
    """The stub tree's repository, the folders, and the ways to commit, configure and change it."""

    folder: Path
    paths: Paths
    store: Store
    repository: Repository
    progress: Recorder
    toolchain: Toolchain

    def commit(self, changes: Mapping[str, str | None] | None = None) -> AppliedSeries:
        """Commit the stub with ``changes`` (path → text, None removes it)."""
        work = self.folder / "work"
        if not work.exists():
            work.mkdir()
            for path in STUB.rglob("*"):
                if path.is_file():
                    self._write(work, str(path.relative_to(STUB)), path.read_text())
        for name, text in (changes or {}).items():
            if text is None:
                (work / name).unlink()
            else:
                self._write(work, name, text)
        index = {"GIT_INDEX_FILE": str(self.folder / "index"), "GIT_WORK_TREE": str(work)}
        self.repository.git("add", "-A", "--", ".", cwd=work, env=index)
        tree = self.repository.git("write-tree", cwd=work, env=index).text.strip()
        dates = {"GIT_AUTHOR_DATE": "@0 +0000", "GIT_COMMITTER_DATE": "@0 +0000"}
        commit = self.repository.git("commit-tree", "-m", "stub", tree, env=dates).text.strip()
        self.repository.set_ref(f"refs/heads/{commit}", commit)
        base = Tree(
            repository=self.repository.path, commit=commit, tree_id=tree, version="6.12.117", spec="stub", origin={}
        )
        return AppliedSeries(tree=base, series=None, commit=commit, tree_id=tree, commits=())

    def fragment(self, name: str, body: str, header: str = "") -> None:
        self._write(self.paths.kconfigs, f"{name}.config.j2", f'#: summary = "{name}"\n{header}{body}')

    def configure(self, applied: AppliedSeries, *texts: str, strict: bool = True) -> KernelConfig:
        requests: tuple[FragmentRequest, ...] = parse_requests(texts or ("base",))
        return configure(
            applied,
            requests,
            toolchain=self.toolchain,
            paths=self.paths,
            store=self.store,
            progress=self.progress,
            strict=strict,
        )

    @staticmethod
    def _write(root: Path, name: str, text: str) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    paths = Paths(project=tmp_path / "project", cache=tmp_path / "cache", data=tmp_path / "data")
    made = Bench(
        folder=tmp_path,
        paths=paths,
        store=Store(paths.cache),
        repository=Repository.create(tmp_path / "stub.git"),
        progress=Recorder(),
        toolchain=Toolchain(cc="gcc", ld="ld", versions={"cc": "gcc stub"}, digest="0" * 64),
    )
    made.fragment("base", "CONFIG_PVH=y\n")
    return made
