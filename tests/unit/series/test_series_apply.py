# SPDX-License-Identifier: GPL-2.0-only
"""Applying: deterministic, cached, nothing left after a failure, and no patch gets out of the tree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import series, source
from harness.errors import ApplyError, UserError
from harness.paths import Paths
from harness.repository import Repository
from harness.series.apply import at_patch
from harness.store import Store
from harness.values import AppliedSeries, Tree
from harness.worktrees import folder
from tests.unit.series.patches import change, mail, new_file, three
from tests.unit.source.trees import Heard, Kernel

Apply = Callable[..., AppliedSeries]


@pytest.fixture
def tree(kernel: Kernel, paths: Paths, store: Store, heard: Heard) -> Tree:
    return source.obtain(f"tree:{kernel.path}", paths=paths, store=store, progress=heard)


@pytest.fixture
def apply(tree: Tree, paths: Paths, store: Store, heard: Heard, tmp_path: Path) -> Apply:
    def call(mails: list[bytes], on: Tree = tree) -> AppliedSeries:
        (tmp_path / "s.mbox").write_bytes(b"".join(mails))
        found = series.read(str(tmp_path / "s.mbox"), paths=paths, store=store, progress=heard)
        return series.apply(on, found, paths=paths, store=store, progress=heard)

    return call


def leftovers(tree: Tree, paths: Paths) -> list[str]:
    root = folder(paths, tree.repository, "series")
    refs = Repository(tree.repository).git("for-each-ref", "--format=%(refname)", "refs/harness/series").text.split()
    return refs + [str(path) for path in (root / "git").glob("rebase-apply*")]


def test_one_commit_a_patch(tree: Tree, apply: Apply) -> None:
    applied = apply(three())
    repository = Repository(tree.repository)
    assert len(applied.commits) == 3 and applied.commit == applied.commits[-1] and applied.tree == tree
    assert repository.show(applied.commit, "mm/swap.c") == b"int twice;\n"
    assert repository.show(applied.commit, "mm/new.c") == b"int new;\n"
    assert repository.git("log", "--format=%s%n%an", "-1", applied.commits[0]).text == "mm: first\nDev\n"
    assert set(repository.ls_tree(applied.commit)) == {*repository.ls_tree(tree.commit), "mm/new.c"}


def test_without_a_series(tree: Tree, paths: Paths, store: Store, heard: Heard) -> None:
    applied = series.apply(tree, None, paths=paths, store=store, progress=heard)
    assert (applied.commit, applied.tree_id, applied.commits) == (tree.commit, tree.tree_id, ())


def test_same_commits_in_any_cache_even_without_dates(
    tree: Tree, apply: Apply, kernel: Kernel, tmp_path: Path, heard: Heard, paths: Paths
) -> None:
    mails = [mail("[PATCH] no date", change(), date=None)]
    first = apply(mails)
    other = Paths(project=paths.project, cache=tmp_path / "other", data=paths.data)
    store = Store(other.cache)
    again = source.obtain(f"tree:{kernel.path}", paths=other, store=store, progress=heard)
    found = series.read(str(tmp_path / "s.mbox"), paths=other, store=store, progress=heard)
    second = series.apply(again, found, paths=other, store=store, progress=heard)
    assert second.commits == first.commits
    assert Repository(tree.repository).git("log", "-1", "--format=%ct %cn %at", first.commit).text == "0 harness 0\n"


def test_found_again_and_made_again_when_lost(tree: Tree, apply: Apply, heard: Heard) -> None:
    first = apply(three())
    heard.updates.clear()
    assert apply(three()) == first
    assert heard.updates == []
    repository = Repository(tree.repository)
    (ref,) = repository.git("for-each-ref", "--format=%(refname)", "refs/harness/series").text.split()
    repository.set_ref(ref, tree.commit)  # damaged by hand: too few commits
    assert apply(three()).commits == first.commits


def test_failure_names_patch_file_and_hunk(tree: Tree, apply: Apply, paths: Paths) -> None:
    before = Repository(tree.repository).git("rev-parse", "--all").text
    second = (
        "diff --git a/mm/memory.c b/mm/memory.c\n--- a/mm/memory.c\n+++ b/mm/memory.c\n"
        "@@ -3,3 +3,3 @@\n int line_3;\n-int line_4;\n+int fine;\n int line_5;\n"
        "@@ -20,3 +20,3 @@ int somewhere\n int line_20;\n-int wrong;\n+int x;\n int line_22;\n"
    )
    with pytest.raises(ApplyError) as caught:
        apply([mail("[PATCH 1/2] mm: good", change()), mail("[PATCH 2/2] mm: bad", second)])
    error = caught.value
    assert "patch 2/2 'mm: bad' does not apply" in error.message
    assert "mm/memory.c, hunk 2 of 2 (@@ -20,3 +20,3 @@" in error.message
    assert any("patch failed: mm/memory.c:20" in line for line in error.details)
    assert leftovers(tree, paths) == []
    assert Repository(tree.repository).git("rev-parse", "--all").text == before
    assert len(apply(three()).commits) == 3  # and the next one is not disturbed


def test_no_fuzz(apply: Apply) -> None:
    near = "diff --git a/mm/memory.c b/mm/memory.c\n--- a/mm/memory.c\n+++ b/mm/memory.c\n"
    near += "@@ -4,3 +4,3 @@\n int line_WRONG;\n-int line_5;\n+int x;\n int line_6;\n"
    with pytest.raises(ApplyError, match="hunk 1 of 1"):
        apply([mail("[PATCH] fuzzy", near)])


def test_an_offset_is_fine(tree: Tree, apply: Apply) -> None:
    diff = "diff --git a/mm/memory.c b/mm/memory.c\n--- a/mm/memory.c\n+++ b/mm/memory.c\n"
    diff += "@@ -14,3 +14,3 @@\n int line_4;\n-int line_5;\n+int x;\n int line_6;\n"
    applied = apply([mail("[PATCH] shifted", diff)])
    assert b"int line_4;\nint x;\nint line_6;" in Repository(tree.repository).show(applied.commit, "mm/memory.c")


@pytest.mark.parametrize(
    ("diff", "where"),
    [
        (new_file("../outside.c"), r"\.\./outside\.c"),
        (new_file("mm/../../outside.c"), r"outside\.c"),
        (new_file("/tmp/outside.c"), "outside"),
        (new_file(".git/hooks/post-applypatch"), r"\.git/hooks"),
        (new_file("mm/.GIT/config"), r"\.GIT/config"),
        (new_file("link/through.c"), "link/through.c"),
        (change("link/swap.c"), "link/swap.c"),
    ],
)
def test_no_way_out_of_the_tree(diff: str, where: str, tree: Tree, apply: Apply, paths: Paths, tmp_path: Path) -> None:
    before = {path for path in tmp_path.rglob("outside*")}
    with pytest.raises(ApplyError, match=where):
        apply([mail("[PATCH] mm: out", diff)])
    assert {path for path in tmp_path.rglob("outside*")} == before
    assert leftovers(tree, paths) == []
    assert not Path("/tmp/outside.c").exists()


@pytest.mark.parametrize("in_one", [True, False])
def test_a_symbolic_link_made_by_the_series(in_one: bool, apply: Apply, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    target = str(victim)
    link = (
        "diff --git a/door b/door\nnew file mode 120000\n--- /dev/null\n+++ b/door\n"
        f"@@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n"
    )
    through = new_file("door/passwd")
    mails = [mail("[PATCH] a", link + through)] if in_one else [mail("[PATCH] a", link), mail("[PATCH] b", through)]
    with pytest.raises(ApplyError, match="door/passwd"):
        apply(mails)
    assert list(victim.iterdir()) == []


def test_no_hook_of_the_repository_runs(tree: Tree, apply: Apply, tmp_path: Path) -> None:
    for name in ("applypatch-msg", "pre-applypatch", "post-applypatch", "post-commit", "reference-transaction"):
        hook = tree.repository / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        hook.chmod(0o755)
    apply(three())
    assert not (tmp_path / "ran").exists()


def test_at_patch(apply: Apply, tree: Tree) -> None:
    applied = apply(three())
    assert at_patch(applied, 0).commit == tree.commit and at_patch(applied, 0).tree_id == tree.tree_id
    assert at_patch(applied, 2).commit == applied.commits[1] and len(at_patch(applied, 2).commits) == 2
    assert at_patch(applied, 3) == applied
    with pytest.raises(ValueError, match="no patch 4"):
        at_patch(applied, 4)


class TestRanges:
    @pytest.fixture
    def work(self, kernel: Kernel, paths: Paths, store: Store, heard: Heard) -> Callable[[str, str], AppliedSeries]:
        def call(spec: str, on: str = f"tree:{kernel.path}") -> AppliedSeries:
            tree = source.obtain(on, paths=paths, store=store, progress=heard)
            found = series.read(spec, paths=paths, store=store, progress=heard, tree=tree)
            return series.apply(tree, found, paths=paths, store=store, progress=heard)

        return call

    def test_a_developers_own_commits_are_not_applied_again(
        self, kernel: Kernel, work: Callable[..., AppliedSeries]
    ) -> None:
        base = kernel.git("rev-parse", "HEAD")
        kernel.git("branch", "origin-master")
        first = kernel.commit("mm: one", {"mm/swap.c": "int one;\n"})
        second = kernel.commit("mm: two", {"mm/swap.c": "int two;\n"})
        applied = work("git:origin-master..HEAD")
        assert applied.tree.commit == base and applied.commits == (first, second) and applied.commit == second
        assert applied.series is not None and [patch.title for patch in applied.series.patches] == [
            "mm: one",
            "mm: two",
        ]
        kernel.write("mm/swap.c", "int uncommitted;\n")
        dirty = work("git:origin-master..HEAD")
        assert dirty.commits == (first, second) and dirty.commit not in (second, base)
        assert Repository(dirty.tree.repository).show(dirty.commit, "mm/swap.c") == b"int uncommitted;\n"

    def test_a_range_from_elsewhere_is_applied(self, kernel: Kernel, work: Callable[..., AppliedSeries]) -> None:
        base = kernel.git("rev-parse", "HEAD")
        kernel.git("checkout", "-qb", "topic")
        kernel.commit("mm: one", {"mm/swap.c": "int one;\n"})
        kernel.git("checkout", "-q", "master")
        kernel.commit("other", {"mm/memory.c": "int other;\n"})
        applied = work(f"git:{base}..topic")
        repository = Repository(applied.tree.repository)
        assert applied.tree.commit == kernel.git("rev-parse", "master")
        assert repository.show(applied.commit, "mm/swap.c") == b"int one;\n"
        assert repository.show(applied.commit, "mm/memory.c") == b"int other;\n"
        elsewhere = work(f"git:{kernel.path}@{base}..topic", f"git:{kernel.path}@master")
        assert elsewhere.tree_id == applied.tree_id

    def test_binary_odd_names_and_no_newline_come_through(
        self, kernel: Kernel, work: Callable[..., AppliedSeries]
    ) -> None:
        base = kernel.git("rev-parse", "HEAD")
        kernel.git("checkout", "-qb", "topic")
        (kernel.path / "blob.bin").write_bytes(bytes(range(256)))
        kernel.commit("odd", {"mm/a b ü.c": "no newline", "From x.c": "From someone Mon Jan 1 00:00:00 2024\n"})
        wanted = kernel.git("rev-parse", "HEAD^{tree}")
        kernel.git("checkout", "-q", "master")
        assert work(f"git:{base}..topic").tree_id == wanted

    @pytest.mark.parametrize(
        ("spec", "says"),
        [
            ("git:HEAD..HEAD", "is empty"),
            ("git:mastr..HEAD", "no commit 'mastr'"),
            ("git:master", "no range"),
            ("git:a...b", "no range"),
            ("git:--output=x..HEAD", "no range"),
            ("git:/nothing@a..b", "no folder"),
            ("git:base..merged", "holds a merge"),
        ],
    )
    def test_what_is_no_range(self, spec: str, says: str, kernel: Kernel, work: Callable[..., AppliedSeries]) -> None:
        kernel.git("tag", "base")
        kernel.git("checkout", "-qb", "side")
        kernel.commit("side", {"mm/side.c": "x\n"})
        kernel.git("checkout", "-q", "master")
        kernel.commit("main", {"mm/main.c": "x\n"})
        kernel.git("merge", "-qm", "merge", "side")
        kernel.git("tag", "merged")
        with pytest.raises(UserError, match=says):
            work(spec)

    def test_needs_a_checkout(self, paths: Paths, store: Store, heard: Heard) -> None:
        with pytest.raises(UserError, match="which repository"):
            series.read("git:a..b", paths=paths, store=store, progress=heard)
