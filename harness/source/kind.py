# SPDX-License-Identifier: GPL-2.0-only
"""What a kind of source is, and what every kind needs: the repository of archives, and a kernel's version."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.paths import Paths
from harness.progress import Progress
from harness.repository import Repository
from harness.store import Store
from harness.values import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of :func:`harness.source.obtain`: ``rest`` is what follows ``kind:`` in ``spec``."""

    spec: str
    rest: str
    paths: Paths
    store: Store
    progress: Progress
    reference: Path | None = None
    refresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of source.

    ``form`` is how it is written, ``about`` one line for a list. ``plan`` says what obtaining would do and touches
    nothing; ``obtain`` does it. ``pin`` gives the spec that always means a tree that was obtained (None: it has none),
    ``newest`` the spec of what there is by now, where ``obtain`` answers from memory (None: it looks each time).
    """

    prefix: str
    form: str
    about: str
    plan: Callable[[str], tuple[str, ...]]
    obtain: Callable[[Request], Tree]
    pin: Callable[[str, Tree], str] | None = None
    newest: Callable[[Request], str] | None = None


def archives(paths: Paths) -> Path:
    """The one repository that holds every imported archive: trees that are alike share their files."""
    return paths.cache / "repositories" / "archives.git"


def tree(repository: Repository, commit: str, spec: str, origin: Mapping[str, str]) -> Tree:
    """The :class:`Tree` of a commit. Raises :class:`UserError` where the commit is not a kernel."""
    return Tree(
        repository=repository.path,
        commit=commit,
        tree_id=repository.tree_id(commit),
        version=kernel_version(repository, commit, spec),
        spec=spec,
        origin=dict(origin),
    )


def kernel_version(repository: Repository, commit: str, spec: str) -> str:
    """What ``make kernelversion`` says in that commit."""
    found = repository.git("cat-file", "blob", f"{commit}:Makefile", check=False)
    version = version_of_makefile(found.text) if found.returncode == 0 else None
    if version is None:
        raise UserError(
            f"{spec} is not a kernel tree: no Makefile with VERSION and PATCHLEVEL at its top",
            hint="the source must be the root of a Linux tree",
        )
    return version


def version_of_makefile(text: str) -> str | None:
    """The kernel version in the text of a top Makefile (its first lines), or None where it has none."""
    head = "\n".join(text.splitlines()[:40])
    values = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*([\w.+~-]*)", head, flags=re.M))
    if not values.get("VERSION") or "PATCHLEVEL" not in values:
        return None
    parts: list[str] = [values["VERSION"], values["PATCHLEVEL"], values.get("SUBLEVEL", "")]
    extra: str = values.get("EXTRAVERSION", "")
    return ".".join(part for part in parts if part) + extra
