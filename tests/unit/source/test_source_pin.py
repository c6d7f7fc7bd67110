# SPDX-License-Identifier: GPL-2.0-only
"""A tree under a name that does not move: its commit, its package's version; remembered: no network."""

from __future__ import annotations

import dataclasses

from harness import source
from harness.progress import Quiet
from harness.source import memory
from harness.store import Store
from tests.unit.nightly.conftest import Bench, bench

__all__ = ["bench"]


def test_a_branch_is_pinned_to_its_commit(bench: Bench) -> None:
    common = {"paths": bench.paths, "store": Store(bench.paths.cache), "progress": Quiet()}
    tree = source.obtain(f"git:{bench.stub}@main", **common)  # type: ignore[arg-type]
    pinned = source.pin(tree, paths=bench.paths)
    assert pinned.spec == f"git:{bench.stub}@{tree.commit}"
    bench.move("another commit")
    assert source.obtain(pinned.spec, **common).commit == tree.commit  # type: ignore[arg-type]
    assert source.obtain(f"git:{bench.stub}@main", **common).commit != tree.commit  # type: ignore[arg-type]


def test_a_package_is_pinned_to_its_version(bench: Bench) -> None:
    common = {"paths": bench.paths, "store": Store(bench.paths.cache), "progress": Quiet()}
    tree = source.obtain(f"git:{bench.stub}@main", **common)  # type: ignore[arg-type]
    package = dataclasses.replace(tree, spec="debian:6.12", origin={"package_version": "6.12.9-1"})
    pinned = source.pin(package, paths=bench.paths)
    assert pinned.spec == "debian:6.12=6.12.9-1"
    found = memory.recall(bench.paths, "debian:6.12=6.12.9-1")
    assert found is not None and found.tree.commit == tree.commit
    assert source.obtain(pinned.spec, **common).commit == tree.commit  # type: ignore[arg-type]


def test_a_checkout_stays_what_it_is(bench: Bench) -> None:
    common = {"paths": bench.paths, "store": Store(bench.paths.cache), "progress": Quiet()}
    tree = source.obtain(f"tree:{bench.stub}", **common)  # type: ignore[arg-type]
    assert source.pin(tree, paths=bench.paths) == tree
