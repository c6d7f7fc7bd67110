# SPDX-License-Identifier: GPL-2.0-only
"""Leases: what is touched, what is repaired, who waits, and that nothing foreign runs."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from harness.errors import EnvironmentFailure
from harness.paths import Paths
from harness.repository import Repository, borrowing, find_checkout
from harness.store import Store
from harness.worktrees import Worktree, folder, lease, sparse_pattern
from tests.unit.source.trees import Heard, Kernel

Take = Callable[..., AbstractContextManager[Worktree]]


@pytest.fixture
def repository(kernel: Kernel, paths: Paths) -> Repository:
    return borrowing(paths, find_checkout(kernel.path))


@pytest.fixture
def take(repository: Repository, paths: Paths, store: Store, heard: Heard) -> Take:
    return lambda commit, key="k", sparse=(): lease(
        repository=repository.path, key=key, commit=commit, paths=paths, store=store, progress=heard, sparse=sparse
    )


def status(worktree: Worktree) -> str:
    return worktree.git("status", "--porcelain", "--ignored").text


def test_holds_the_commit_and_no_git_folder(kernel: Kernel, take: Take) -> None:
    with take(kernel.git("rev-parse", "HEAD")) as worktree:
        assert (worktree.source / "mm/swap.c").read_text() == "int swap;\n"
        assert os.access(worktree.source / "scripts/run.sh", os.X_OK) and (worktree.source / "link").is_symlink()
        assert not (worktree.source / ".git").exists() and worktree.output.is_dir()
        assert worktree.head == kernel.git("rev-parse", "HEAD")


def test_touches_only_what_differs(kernel: Kernel, take: Take) -> None:
    first = kernel.git("rev-parse", "HEAD")
    second = kernel.commit("second", {"mm/swap.c": "int other;\n", "mm/new.c": "int new;\n"})
    with take(first) as worktree:
        (worktree.output / "built").write_text("x")
        before = {path: path.lstat().st_mtime_ns for path in worktree.source.rglob("*") if path.is_file()}
    time.sleep(0.02)
    with take(second) as worktree:
        touched = {
            str(path.relative_to(worktree.source))
            for path in worktree.source.rglob("*")
            if path.is_file() and before.get(path) != path.lstat().st_mtime_ns
        }
        assert touched == {"mm/swap.c", "mm/new.c"}
        assert (worktree.output / "built").exists()
    with take(first) as worktree:
        assert not (worktree.source / "mm/new.c").exists()


def test_local_damage_is_repaired(kernel: Kernel, take: Take, heard: Heard) -> None:
    commit = kernel.git("rev-parse", "HEAD")
    with take(commit) as worktree:
        source = worktree.source
    (source / "mm/swap.c").write_text("damaged")
    (source / "mm/memory.c").unlink()
    (source / "scripts/run.sh").chmod(0o644)
    (source / "stray.c").write_text("x")
    (source / "mm/stray.o").write_text("ignored, and still foreign")
    nested = source / "nested/.git"
    nested.mkdir(parents=True)
    (nested / "HEAD").write_text("ref: refs/heads/x\n")
    with take(commit) as worktree:
        assert status(worktree) == ""
        assert (source / "mm/swap.c").read_text() == "int swap;\n" and (source / "mm/memory.c").exists()
        assert not (source / "nested").exists() and not (source / "mm/stray.o").exists()
    assert heard.warnings == []


@pytest.mark.parametrize("damage", ["index", "lock", "git is a file", "source is a link", "half am", "all gone"])
def test_git_damage_is_repaired(damage: str, kernel: Kernel, take: Take, paths: Paths, tmp_path: Path) -> None:
    commit = kernel.git("rev-parse", "HEAD")
    with take(commit) as worktree:
        root = worktree.source.parent
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("x")
    if damage == "index":
        (root / "git/index").write_bytes(b"DIRC\0\0\0\2\0\0\0\5garbage")
    elif damage == "lock":
        (root / "git/index.lock").write_text("")
        (root / "git/HEAD.lock").write_text("")
    elif damage == "git is a file":
        shutil.rmtree(root / "git")
        (root / "git").write_text("x")
    elif damage == "source is a link":
        shutil.rmtree(root / "source")
        (root / "source").symlink_to(victim)
    elif damage == "half am":
        (root / "git/rebase-apply").mkdir()
        (root / "git/rebase-apply/next").write_text("3")
    else:
        shutil.rmtree(root)
    with take(commit) as worktree:
        assert status(worktree) == "" and (worktree.source / "mm/swap.c").exists()
    assert (victim / "precious").exists()


def test_sparse_holds_just_these_and_may_change(kernel: Kernel, take: Take) -> None:
    commit = kernel.git("rev-parse", "HEAD")

    def present(sparse: list[str]) -> set[str]:
        with take(commit, sparse=sparse) as worktree:
            files = (path for path in worktree.source.rglob("*") if path.is_file() and not path.is_symlink())
            return {str(path.relative_to(worktree.source)) for path in files}

    assert present([sparse_pattern("mm/swap.c")]) == {"mm/swap.c"}
    assert present([sparse_pattern("mm/memory.c"), "/scripts/"]) == {"mm/memory.c", "scripts/run.sh"}
    assert {"Makefile", "mm/swap.c", "mm/memory.c"} <= present([])


def test_sparse_pattern_takes_names_literally(kernel: Kernel, take: Take) -> None:
    commit = kernel.commit("odd", {"a[b]*.c": "x", "ab.c": "y", "!no.c": "z", "#no.c": "z"})
    with take(commit, sparse=[sparse_pattern(name) for name in ("a[b]*.c", "!no.c", "#no.c")]) as worktree:
        assert {path.name for path in worktree.source.iterdir() if path.is_file()} == {"a[b]*.c", "!no.c", "#no.c"}


def test_hooks_and_user_settings_do_nothing(
    kernel: Kernel, take: Take, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = repository.path / "hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text("[core]\n\tautocrlf = true\n[user]\n\tname = X\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with take(kernel.git("rev-parse", "HEAD")) as worktree:
        assert b"\r" not in (worktree.source / "mm/swap.c").read_bytes()
    assert not (tmp_path / "ran").exists()


def test_one_at_a_time_and_keys_apart(kernel: Kernel, take: Take, paths: Paths, repository: Repository) -> None:
    commit = kernel.git("rev-parse", "HEAD")
    inside: list[int] = []
    most = 0

    def work() -> None:
        nonlocal most
        with take(commit):
            inside.append(1)
            most = max(most, len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    with take(commit, "a") as one, take(commit, "b") as two:
        assert one.source != two.source
    odd = folder(paths, repository.path, "../../x y")
    assert odd.parent.parent == paths.cache / "worktrees" and "/" not in odd.name


def test_unknown_commit_is_an_error(take: Take) -> None:
    with pytest.raises(EnvironmentFailure), take("1" * 40):
        pass


def test_object_lost_from_the_repository_is_an_error_that_says_so(
    kernel: Kernel, take: Take, repository: Repository
) -> None:
    commit = kernel.git("rev-parse", "HEAD")
    blob = kernel.git("rev-parse", "HEAD:mm/swap.c")
    (kernel.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(EnvironmentFailure) as caught, take(commit):
        pass
    assert any("swap.c" in line or blob in line for line in caught.value.details)
    assert "cannot be checked out" in caught.value.message and str(repository.path) in (caught.value.hint or "")
