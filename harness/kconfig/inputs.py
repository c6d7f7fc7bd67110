# SPDX-License-Identifier: GPL-2.0-only
"""The part of a tree that decides a configuration: Kconfig files, Makefiles and ``scripts/``; the rest never does."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.errors import BuildError, HarnessError
from harness.progress import Progress
from harness.repository import Repository
from harness.store import Store, value_digest
from harness.toolchain import SOURCE_ARCHITECTURE
from harness.values import AppliedSeries

SPARSE = (
    "Kconfig*",
    "/Makefile",
    "/Kbuild",
    "/scripts/**",
    f"/arch/{SOURCE_ARCHITECTURE}/Makefile*",
    f"/arch/{SOURCE_ARCHITECTURE}/*/Makefile*",
    "/tools/build/**",
    "/tools/scripts/**",
)
"""What a configuration worktree holds, as gitignore(5) patterns; :func:`decides` says the same of one path."""

_FOLDERS = ("scripts/", "tools/build/", "tools/scripts/")
_MAKEFILE = re.compile(rf"arch/{SOURCE_ARCHITECTURE}/(?:[^/]+/)?Makefile[^/]*\Z")
_KIND = "config-inputs"
_LAST = "refs/harness/config-inputs"  # the commit whose digest was asked for last


def decides(path: str) -> bool:
    """Whether a file of the tree can change a ``.config``."""
    if path in ("Makefile", "Kbuild") or path.startswith(_FOLDERS):
        return True
    # gitignore's `Kconfig*` also matches a folder of that name (scripts/kconfig is another), with all that is in it
    if "Kconfig" in path and any(part.startswith("Kconfig") for part in path.split("/")):
        return True
    return path.startswith("arch/") and _MAKEFILE.match(path) is not None


def digest_of(files: Mapping[str, str]) -> str:
    """The SHA-256 of the deciding part of a tree: path → object name."""
    return value_digest(sorted((path, blob) for path, blob in files.items() if decides(path)))


def inputs_digest(applied: AppliedSeries, *, store: Store, progress: Progress) -> str:
    """The digest of what decides a configuration in a commit; kept by tree, so that git lists each tree once.

    A tree that differs from the one asked for last in other files alone is not listed: this is every edit of a ``.c``.
    """

    def make(_: object) -> dict[str, str]:
        progress.update("reading the tree's Kconfig")
        repository = Repository(applied.tree.repository)
        digest = _unchanged(repository, applied.commit, store) or _listed(repository, applied)
        repository.set_ref(_LAST, applied.commit)
        return {"digest": digest}

    entry, _ = store.obtain(_KIND, applied.tree_id, make, progress=progress)
    return str(entry.meta["digest"])


def _unchanged(repository: Repository, commit: str, store: Store) -> str | None:
    """The digest of the commit asked for last, where no file that decides differs from it."""
    last = repository.resolve(_LAST)
    entry = store.find(_KIND, repository.tree_id(last)) if last is not None else None
    changed = repository.changed(last, commit) if last is not None and entry is not None else None
    if entry is None or changed is None or any(map(decides, changed)):
        return None
    return str(entry.meta["digest"])


def _listed(repository: Repository, applied: AppliedSeries) -> str:
    files = repository.ls_tree(applied.commit)
    if "Kconfig" not in files or "Makefile" not in files:
        raise not_a_kernel(applied)
    return digest_of(files)


def not_a_kernel(applied: AppliedSeries) -> HarnessError:
    """The error for a tree without Kconfig or Makefile."""
    return BuildError(f"{applied.tree.spec} is not a Linux kernel tree: it has no Kconfig and Makefile at its root")
