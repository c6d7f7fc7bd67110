# SPDX-License-Identifier: GPL-2.0-only
"""What a source spec stood for when it was last looked up, so that asking again costs neither network nor import.

One JSON file a spec under ``<cache>/sources``. An answer counts only while its ``facts`` (what the kind says decides
it: a file's size and time, a ref's commit) are the same and its commit is still in the repository.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.paths import Paths, make_folder
from harness.repository import Repository
from harness.store import disk_failure
from harness.values import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A remembered answer: the tree, the facts that it rests on, and when it was looked up (Unix time)."""

    tree: Tree
    facts: Mapping[str, str]
    when: float


def recall(paths: Paths, spec: str, *, facts: Mapping[str, str] | None = None) -> Remembered | None:
    """The remembered answer for a spec, or None. ``facts`` must be those it was remembered with (None: any)."""
    found = _read(_file(paths, spec))
    if found is None or found.tree.spec != spec or (facts is not None and dict(facts) != dict(found.facts)):
        return None
    return found if Repository(found.tree.repository).has(found.tree.commit) else None


def remember(paths: Paths, tree: Tree, *, facts: Mapping[str, str]) -> None:
    """Remember a tree as the answer for its spec."""
    record = {
        "facts": dict(facts),
        "when": time.time(),
        "spec": tree.spec,
        "repository": str(tree.repository),
        "commit": tree.commit,
        "tree_id": tree.tree_id,
        "version": tree.version,
        "origin": dict(tree.origin),
    }
    path = _file(paths, tree.spec)
    aside = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    make_folder(path.parent)
    try:
        aside.write_text(json.dumps(record, indent=1))
        aside.replace(path)
    except OSError as reason:
        aside.unlink(missing_ok=True)
        raise disk_failure(reason, "while noting a source") from reason


def all_remembered(paths: Paths) -> list[Remembered]:
    """Everything that is remembered, newest look-up first."""
    found = [_read(path) for path in (paths.cache / "sources").glob("*.json")]
    return sorted((one for one in found if one is not None), key=lambda one: -one.when)


def _file(paths: Paths, spec: str) -> Path:
    return paths.cache / "sources" / f"{hashlib.sha256(os.fsencode(spec)).hexdigest()[:32]}.json"


def _read(path: Path) -> Remembered | None:
    try:
        record = json.loads(path.read_text())
        tree = Tree(
            repository=Path(record["repository"]),
            commit=record["commit"],
            tree_id=record["tree_id"],
            version=record["version"],
            spec=record["spec"],
            origin=record["origin"],
        )
        return Remembered(tree=tree, facts=record["facts"], when=float(record["when"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or damaged: looked up again
