# SPDX-License-Identifier: GPL-2.0-only
"""``tree:``: what a snapshot holds, that it is deterministic, and that the checkout is never written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import source
from harness.errors import UserError
from harness.paths import Paths
from harness.repository import Repository
from harness.store import Store
from harness.values import Tree
from tests.unit.source.trees import MAKEFILE, Heard, Kernel

Obtain = Callable[[str], Tree]


@pytest.fixture
def obtain(paths: Paths, store: Store, heard: Heard) -> Obtain:
    return lambda spec: source.obtain(spec, paths=paths, store=store, progress=heard)


def fingerprint(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything in a folder, git's own files too: mode, time, content.

    Not the time of git's objects: git renews it where an object is used again, so that no gc takes it away.
    """
    found = {}
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(root, name)
            status = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            when = 0 if ".git/objects" in str(path) else status.st_mtime_ns
            found[str(path.relative_to(folder))] = (status.st_mode, when, content)
    return found


def files(tree: Tree) -> dict[str, str]:
    return Repository(tree.repository).ls_tree(tree.commit)


def content(tree: Tree, path: str) -> str:
    return Repository(tree.repository).show(tree.commit, path).decode()


def test_clean_checkout_is_its_head(kernel: Kernel, obtain: Obtain) -> None:
    tree = obtain(f"tree:{kernel.path}")
    assert tree.commit == kernel.git("rev-parse", "HEAD")
    assert tree.tree_id == kernel.git("rev-parse", "HEAD^{tree}")
    assert tree.version == "6.12.7-rc1"
    assert tree.origin["dirty"] == "no"


def test_uncommitted_and_new_files_are_in_and_ignored_ones_are_not(kernel: Kernel, obtain: Obtain) -> None:
    kernel.write("mm/swap.c", "int changed;\n")
    kernel.write("mm/new.c", "int new;\n")
    kernel.write("mm/built.o", "object")
    kernel.write("mm/staged.c", "int staged;\n")
    kernel.git("add", "mm/staged.c")
    (kernel.path / "mm/memory.c").unlink()
    tree = obtain(f"tree:{kernel.path}")
    assert tree.origin["dirty"] == "yes"
    assert {"mm/new.c", "mm/staged.c", "mm/swap.c"} <= set(files(tree))
    assert "mm/built.o" not in files(tree) and "mm/memory.c" not in files(tree)
    assert content(tree, "mm/swap.c") == "int changed;\n"
    assert Repository(tree.repository).is_ancestor(kernel.git("rev-parse", "HEAD"), tree.commit)


def test_tracked_though_ignored_is_in_and_the_users_excludes_count(kernel: Kernel, obtain: Obtain) -> None:
    kernel.write("mm/tracked.o", "object")
    kernel.git("add", "-f", "mm/tracked.o")
    kernel.write("notes.txt", "mine")
    (kernel.path / ".git/info").mkdir(exist_ok=True)
    (kernel.path / ".git/info/exclude").write_text("notes.txt\n")
    tree = obtain(f"tree:{kernel.path}")
    assert "mm/tracked.o" in files(tree) and "notes.txt" not in files(tree)


def test_files_assumed_unchanged_are_looked_at(kernel: Kernel, obtain: Obtain) -> None:
    kernel.git("update-index", "--assume-unchanged", "mm/swap.c")
    kernel.write("mm/swap.c", "int behind_the_back;\n")
    assert content(obtain(f"tree:{kernel.path}"), "mm/swap.c") == "int behind_the_back;\n"


def test_split_index_is_taken_over(kernel: Kernel, obtain: Obtain) -> None:
    kernel.git("update-index", "--split-index")
    kernel.write("mm/new.c", "int new;\n")
    assert {"mm/new.c", "mm/swap.c"} <= set(files(obtain(f"tree:{kernel.path}")))


def test_damaged_index_of_ours_and_of_the_user(kernel: Kernel, obtain: Obtain) -> None:
    kernel.write("mm/swap.c", "int changed;\n")
    first = obtain(f"tree:{kernel.path}")
    for index in first.repository.glob("indexes/*"):
        if index.suffix != ".json":
            index.write_bytes(b"damaged")
    assert obtain(f"tree:{kernel.path}").commit == first.commit
    (kernel.path / ".git/index").write_bytes(b"DIRC damaged")
    assert obtain(f"tree:{kernel.path}").commit == first.commit


def test_same_files_are_the_same_commit_in_any_cache(
    kernel: Kernel, obtain: Obtain, paths: Paths, heard: Heard, tmp_path: Path
) -> None:
    kernel.write("mm/swap.c", "int changed;\n")
    first = obtain(f"tree:{kernel.path}")
    kernel.write("mm/swap.c", "int other;\n")
    assert obtain(f"tree:{kernel.path}").commit != first.commit
    kernel.write("mm/swap.c", "int changed;\n")
    elsewhere = Paths(project=paths.project, cache=tmp_path / "other", data=paths.data)
    again = source.obtain(f"tree:{kernel.path}", paths=elsewhere, store=Store(elsewhere.cache), progress=heard)
    assert again.commit == first.commit == obtain(f"tree:{kernel.path}").commit


def test_checkout_is_never_written(kernel: Kernel, obtain: Obtain) -> None:
    kernel.write("mm/swap.c", "int changed;\n")
    kernel.write("mm/new.c", "int new;\n")
    before = fingerprint(kernel.path)
    obtain(f"tree:{kernel.path}")
    obtain(f"tree:{kernel.path}/mm")
    assert fingerprint(kernel.path) == before


def test_a_writing_snapshot_would_be_seen(kernel: Kernel) -> None:
    before = fingerprint(kernel.path)
    kernel.git("update-index", "--chmod=+x", "mm/swap.c")
    assert fingerprint(kernel.path) != before


def test_subfolder_worktree_and_no_repository(kernel: Kernel, obtain: Obtain, tmp_path: Path) -> None:
    head = kernel.git("rev-parse", "HEAD")
    assert obtain(f"tree:{kernel.path}/mm").commit == head
    kernel.git("worktree", "add", "-q", str(tmp_path / "second"))
    (tmp_path / "second/mm/swap.c").write_text("int second;\n")
    second = obtain(f"tree:{tmp_path}/second")
    assert content(second, "mm/swap.c") == "int second;\n"
    assert obtain(f"tree:{kernel.path}").commit == head
    bare = tmp_path / "unpacked"
    kernel.git("checkout-index", "-a", f"--prefix={bare}/")
    unpacked = obtain(f"tree:{bare}")
    assert unpacked.tree_id == kernel.git("rev-parse", "HEAD^{tree}")
    (bare / "mm/swap.c").write_text("int edited;\n")
    assert content(obtain(f"tree:{bare}"), "mm/swap.c") == "int edited;\n"
    assert not (bare / ".git").exists()


IGNORED = "*.o\n.*\n/include/config/\n/tags*\n#\n# Debian packaging\n#\n/*\n!/debian/\n"  # as in Debian's source


def unpacked(path: Path) -> Kernel:
    top = Kernel(path)
    top.write("Makefile", MAKEFILE)
    top.write(".gitignore", IGNORED)
    for name in ("mm/memory.c", "mm/.gitignore", "tags.c", "näme (1).c"):
        top.write(name, "x\n")
    return top


def test_unpacked_source_is_all_there_whatever_it_ignores(obtain: Obtain, tmp_path: Path) -> None:
    top = unpacked(tmp_path / "linux-source-6.12")
    first = set(files(obtain(f"tree:{top.path}")))
    assert first == {".gitignore", "Makefile", "mm/memory.c", "mm/.gitignore", "tags.c", "näme (1).c"}
    (top.path / "mm/memory.c").unlink()
    for name in ("mm/new.c", "mm/new.o", ".config", "include/config/auto.conf"):
        top.write(name, "y\n")
    second = set(files(obtain(f"tree:{top.path}")))
    assert second == first - {"mm/memory.c"} | {"mm/new.c"}, "what a build left is not source"


def test_unpacked_source_that_was_built_in_place(obtain: Obtain, tmp_path: Path) -> None:
    top = unpacked(tmp_path / "linux-source-6.12")
    for name in ("mm/memory.o", "built/only.o", ".config", "include/config/auto.conf"):
        top.write(name, "x\n")
    assert set(files(obtain(f"tree:{top.path}"))) == {"Makefile", "mm/memory.c", "näme (1).c"}


def test_kernel_unpacked_inside_another_repository(kernel: Kernel, obtain: Obtain) -> None:
    inner = kernel.path / "vendor/linux"
    inner.mkdir(parents=True)
    (inner / "Makefile").write_text(MAKEFILE.replace("6\n", "5\n", 1))
    tree = obtain(f"tree:{inner}")
    assert tree.version.startswith("5.12") and set(files(tree)) == {"Makefile"}


def test_user_settings_change_nothing(
    kernel: Kernel, obtain: Obtain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.write("mm/swap.c", "int changed;\r\n")
    expected = obtain(f"tree:{kernel.path}").commit
    config = tmp_path / "config/git"
    config.mkdir(parents=True)
    (config / "config").write_text("[core]\n\tautocrlf = input\n[user]\n\tname = Somebody\n")
    (config / "attributes").write_text("*.c text eol=lf\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    kernel.git("config", "core.autocrlf", "input")
    hook = kernel.path / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    assert obtain(f"tree:{kernel.path}").commit == expected
    assert not (tmp_path / "ran").exists()


def test_shallow_clone_of_a_user(kernel: Kernel, obtain: Obtain, tmp_path: Path) -> None:
    kernel.commit("second", {"mm/swap.c": "int second;\n"})
    kernel.git("clone", "-q", "--depth=1", f"file://{kernel.path}", str(tmp_path / "shallow"))
    (tmp_path / "shallow/mm/swap.c").write_text("int third;\n")
    assert content(obtain(f"tree:{tmp_path}/shallow"), "mm/swap.c") == "int third;\n"


@pytest.mark.parametrize("name", ["nothing", "file", "empty"])
def test_what_is_no_kernel_tree(name: str, tmp_path: Path, obtain: Obtain) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no folder|not a kernel tree"):
        obtain(f"tree:{tmp_path}/{name}")


def test_paths_with_spaces_and_other_letters(kernel: Kernel, obtain: Obtain) -> None:
    renamed = kernel.path.rename(kernel.path.parent / "línux tree, näxt")
    (renamed / "mm/neue datei ü.c").write_text("int new;\n")
    assert "mm/neue datei ü.c" in files(obtain(f"tree:{renamed}"))
