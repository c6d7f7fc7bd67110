# SPDX-License-Identifier: GPL-2.0-only
"""Patches that attack whoever applies them. (Paths and links that lead out: tests/unit/series/test_series_apply.py.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import process, sandbox
from harness.paths import Paths
from harness.progress import Quiet
from harness.store import Store
from harness.values import Tree
from harness.worktrees import lease
from tests.unit.series.conftest import heard, kernel, paths, store
from tests.unit.series.patches import mail, new_file
from tests.unit.series.test_series_apply import Apply, apply, tree

__all__ = ["apply", "heard", "kernel", "paths", "store", "tree"]

MODULE = (
    '[submodule "x"]\n\tpath = evil\n\turl = ext::sh -c touch% @\n\tupdate = !touch @\n\tfetchRecurseSubmodules = true'
)
LINK = (
    "diff --git a/evil b/evil\nnew file mode 160000\n--- /dev/null\n+++ b/evil\n@@ -0,0 +1 @@\n"
    f"+Subproject commit {'1' * 40}\n"
)


def test_a_submodule_is_an_empty_folder(tree: Tree, apply: Apply, paths: Paths, store: Store, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    lines = MODULE.replace("@", str(planted)).split("\n")
    text = f"@@ -0,0 +1,{len(lines)} @@\n" + "".join(f"+{line}\n" for line in lines)
    modules = f"diff --git a/.gitmodules b/.gitmodules\nnew file mode 100644\n--- /dev/null\n+++ b/.gitmodules\n{text}"
    applied = apply([mail("[PATCH 1/2] a", modules), mail("[PATCH 2/2] b", LINK)])
    with lease(
        repository=tree.repository, key="whole", commit=applied.commit, paths=paths, store=store, progress=Quiet()
    ) as worktree:
        assert list((worktree.source / "evil").iterdir()) == []
        assert not (worktree.git_dir / "modules").exists() and not (tree.repository / "modules").exists()
    assert not planted.exists()


@pytest.mark.parametrize("sandboxed", [True, False])
def test_git_itself_could_write_nowhere_else(sandboxed: bool, paths: Paths, tmp_path: Path) -> None:
    """As if git had a hole: what it runs within while it applies patches."""
    chosen = Paths(project=paths.project, cache=paths.cache, data=paths.data, sandboxed=sandboxed)
    place, other = tmp_path / "place", tmp_path / "other"
    place.mkdir()
    other.mkdir()
    within = sandbox.enclosure(chosen, writable=[place], hide=False)
    script = f"touch {place}/made; touch {other}/made; (echo >/dev/tcp/127.0.0.1/1) 2>&1 | grep -c refused"
    done = process.run(["bash", "-c", script], deadline=30, check=False, within=within)
    assert (place / "made").exists() and (other / "made").exists() == (not sandboxed), done.error_text


def test_names_that_act_on_a_terminal_are_files_like_others(tree: Tree, apply: Apply) -> None:
    applied = apply(
        [mail("[PATCH] a", new_file('"mm/\\033[2J\\033]0;x\\007.c"').replace('a/"', '"a/').replace('b/"', '"b/'))]
    )
    assert len(applied.commits) == 1
