# SPDX-License-Identifier: GPL-2.0-only
"""The first commit that changes an outcome, found as ``git bisect`` does.

Git itself says what is left and which commit halves it (git-rev-list(1), ``--bisect-all``), so that merges count as
they do there. A commit that cannot be tested is left out; where only such ones stand between, the answer is a range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.bisect.answer import Like
from harness.errors import UserError
from harness.repository import Repository

Ask = Callable[[str, int], Like]
"""What a commit is like; the number is how many are left to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstCommit:
    """``commits`` are those of which one is the first with the new outcome, oldest first: one, unless some could not be
    tested. ``old`` is the last one known to be like the old end, where there is one parent.
    """

    commits: tuple[str, ...]
    tested: int


def check_ends(repository: Repository, old: str, new: str, names: tuple[str, str]) -> None:
    """Raise :class:`UserError` unless ``old`` is in the history of ``new``; ``names`` are what the user called them."""
    if old == new:
        raise UserError(f"{names[0]} and {names[1]} are the same commit ({old[:12]})", hint="give GOOD..BAD")
    if repository.is_ancestor(old, new):
        return
    if repository.is_ancestor(new, old):
        hint = f"the earlier commit comes first: {names[1]}..{names[0]}"
    elif base := repository.git("merge-base", old, new, check=False).text.strip():
        hint = f"they part at {base[:12]}: give {base[:12]}..{names[1]}, if that one is good"
    else:
        hint = "they have no commit in common"
    raise UserError(f"{names[0]} is not in the history of {names[1]}", hint=hint)


def search(repository: Repository, old: str, new: str, ask: Ask) -> FirstCommit:
    """Halve the history between two ends whose outcomes are known to differ."""
    olds, neither, tested = [old], set[str](), 0
    while True:
        left = _left(repository, new, olds)
        untested = [commit for commit in left if commit != new and commit not in neither]
        if not untested:
            return FirstCommit(commits=_oldest_first(repository, left, new, olds), tested=tested)
        commit = untested[0]
        tested += 1
        match ask(commit, len(untested)):
            case Like.OLD:
                olds.append(commit)
            case Like.NEW:
                new = commit
            case Like.NEITHER:
                neither.add(commit)


def _left(repository: Repository, new: str, olds: list[str]) -> list[str]:
    """The commits that can still be the first, best to test first; ``new`` is always among them."""
    listed = repository.git("rev-list", "--bisect-all", new, *(f"^{old}" for old in olds), "--").text
    return [line.split()[0] for line in listed.splitlines()]


def _oldest_first(repository: Repository, left: list[str], new: str, olds: list[str]) -> tuple[str, ...]:
    listed = repository.git("rev-list", "--topo-order", "--reverse", new, *(f"^{old}" for old in olds), "--").text
    return tuple(commit for commit in listed.split() if commit in left)
