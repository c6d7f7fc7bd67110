# SPDX-License-Identifier: GPL-2.0-only
"""A new worktree that begins as another one: what it shares, what is its own, and when it is an ordinary checkout."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from harness.paths import Paths
from harness.repository import Repository, borrowing, find_checkout
from harness.store import Store, folder_size
from harness.worktrees import Seed, Worktree, folder, lease
from tests.unit.source.trees import Heard, Kernel

Take = Callable[..., AbstractContextManager[Worktree]]
SWAP = "mm/swap.c"


@pytest.fixture
def repository(kernel: Kernel, paths: Paths) -> Repository:
    return borrowing(paths, find_checkout(kernel.path))


@pytest.fixture
def take(kernel: Kernel, repository: Repository, paths: Paths, store: Store, heard: Heard) -> Take:
    return lambda key, *seeds, commit=None: lease(
        repository=repository.path,
        key=key,
        commit=commit or kernel.git("rev-parse", "HEAD"),
        paths=paths,
        store=store,
        progress=heard,
        seeds=seeds,
    )


@pytest.fixture
def origin(take: Take) -> Worktree:
    """A worktree ``build-a`` in which something was built."""
    with take("build-a") as worktree:
        (worktree.output / "built.o").write_text("object")
        command = worktree.output / ".built.o.cmd"
        command.write_text(f"savedcmd := gcc -I{worktree.source}/include\n")
        command.chmod(0o444)
        os.utime(command, ns=(10**18, 10**18 + 7))
        (worktree.output / "source").symlink_to(worktree.source)
    return worktree


def times(worktree: Worktree) -> dict[str, int]:
    return {
        str(path.relative_to(worktree.source)): path.lstat().st_mtime_ns
        for path in worktree.source.rglob("*")
        if path.is_file()
    }


def test_source_is_shared_and_what_was_built_is_its_own(take: Take, origin: Worktree) -> None:
    with take("build-b", Seed("build-a", output=True)) as worktree:
        assert (worktree.source / SWAP).samefile(origin.source / SWAP)
        assert times(worktree) == times(origin)
        assert not (worktree.output / "built.o").samefile(origin.output / "built.o")
        command = worktree.output / ".built.o.cmd"
        assert command.read_text() == f"savedcmd := gcc -I{worktree.source}/include\n"
        assert (command.stat().st_mtime_ns, command.stat().st_mode & 0o777) == (10**18 + 7, 0o444)
        assert (worktree.output / "source").readlink() == worktree.source
        assert worktree.git("status", "--porcelain", "--ignored").text == ""
        assert sorted(path.name for path in worktree.source.parent.iterdir()) == ["git", "output", "source"]
    with take("build-a") as again:
        assert times(again) == times(worktree), "a link made or removed is no change of a file"
        assert str(origin.source) in (again.output / ".built.o.cmd").read_text()


def test_another_commit_takes_apart_only_what_differs(kernel: Kernel, take: Take, origin: Worktree) -> None:
    before = times(origin)
    commit = kernel.commit("second", {SWAP: "int other;\n"})
    with take("build-b", Seed("build-a", output=True), commit=commit) as worktree:
        assert (worktree.source / SWAP).read_text() == "int other;\n"
        assert {name for name, at in times(worktree).items() if before[name] != at} == {SWAP}
    assert (origin.source / SWAP).read_text() == "int swap;\n" and times(origin) == before


def test_the_source_alone(take: Take, origin: Worktree) -> None:
    with take("build-b", Seed("build-a", output=False)) as worktree:
        assert (worktree.source / SWAP).samefile(origin.source / SWAP)
        assert list(worktree.output.iterdir()) == []


def test_one_that_is_there_stays_as_it_is(take: Take, origin: Worktree) -> None:
    with take("build-b") as worktree:
        (worktree.output / "mine.o").write_text("mine")
    shutil.rmtree(worktree.git_dir)  # a checkout of now is newer than what was built, files of a seed would be older
    time.sleep(0.02)
    with take("build-b", Seed("build-a", output=True)) as worktree:
        assert [path.name for path in worktree.output.iterdir()] == ["mine.o"]
        built = (worktree.output / "mine.o").stat().st_mtime_ns
        assert all(at > built for at in times(worktree).values())


@pytest.mark.parametrize("trouble", ["in use", "not there", "of another length", "damaged"])
def test_the_next_one_is_taken_or_none(trouble: str, take: Take, origin: Worktree, store: Store) -> None:
    key, locked = "build-a", "no such lock"
    if trouble == "in use":
        root = origin.source.parent
        locked = f"worktree-{root.parent.name}-{root.name}"
    elif trouble == "not there":
        key = "build-x"
    elif trouble == "of another length":
        key = "build-longer"
        with take(key) as worktree:
            (worktree.output / "built.o").write_text("object")
    else:
        shutil.rmtree(origin.source)
    with (
        store.lock(locked, what="it"),
        take("build-b", Seed(key, output=True), Seed("build-y", output=True)) as worktree,
    ):
        assert list(worktree.output.iterdir()) == []
        assert (worktree.source / SWAP).stat().st_nlink == 1
        assert sorted(path.name for path in worktree.source.parent.iterdir()) == ["git", "output", "source"]
    with store.lock(locked, what="it"), take("build-c", Seed(key, output=True), Seed("build-b", output=True)) as last:
        assert (last.source / SWAP).samefile(worktree.source / SWAP)


def test_what_a_killed_run_left_is_no_seed_and_in_nobodys_way(
    take: Take, origin: Worktree, paths: Paths, repository: Repository
) -> None:
    left = folder(paths, repository.path, "build-b") / "beginning" / "output"
    left.mkdir(parents=True)
    (left / "half.o").write_text("ha")
    with take("build-c", Seed("build-b", output=True)) as worktree:
        assert (worktree.source / SWAP).stat().st_nlink == 1
    with take("build-b", Seed("build-a", output=True)) as worktree:
        assert (worktree.output / "built.o").is_file() and not left.exists()


def test_shared_files_count_once(kernel: Kernel, take: Take) -> None:
    commit = kernel.commit("large", {"large.c": "x" * 1_000_000})
    with take("build-a", commit=commit) as origin:
        assert folder_size(origin.source) > 1_000_000
    with take("build-b", Seed("build-a", output=False), commit=commit) as worktree:
        assert folder_size(origin.source) + folder_size(worktree.source) < 1_100_000
