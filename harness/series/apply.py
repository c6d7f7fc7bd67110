# SPDX-License-Identifier: GPL-2.0-only
"""Applies a series to a tree: ``git am``, one patch at a time, in a worktree of our own.

Committer and dates are fixed, so that the same patches on the same base are the same commits. The result is kept as
a ref by (base, series) and found again without applying anything. Only the files that the series touches are checked
out.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from harness import process, sandbox
from harness.errors import ApplyError, EnvironmentFailure, shortage_said
from harness.paths import Paths
from harness.progress import Progress
from harness.repository import Repository, is_object_name
from harness.series.diff import DiffError, Hunk, parse
from harness.series.mail import body_text
from harness.store import Store
from harness.values import AppliedSeries, Patch, Series, Tree
from harness.worktrees import Worktree, lease, sparse_pattern

_PATCH_SECONDS = 300.0
_FAILED = re.compile(r"error: patch failed: (?P<path>.+):(?P<line>\d+)$")
_FILE = re.compile(
    r"error: (?:invalid path '(?P<bad>.+)'|affected file '(?P<link>.+)' is beyond a symbolic link"
    r"|(?P<path>[^:]+): (?:patch does not apply|does not exist in index|already exists in index|.+))$"
)


def apply(tree: Tree, series: Series | None, *, paths: Paths, store: Store, progress: Progress) -> AppliedSeries:
    """The tree with the series on it; without a series the tree as it is.

    A range of commits (``git:A..B``) that the tree has already is not applied again: the base is then the commit
    before the range, and the result is the tree as it is, changes beyond the range included.

    Raises :class:`ApplyError` naming the patch, the file and the hunk; nothing of a failed attempt is kept.
    """
    if series is None:
        return AppliedSeries(tree=tree, series=None, commit=tree.commit, tree_id=tree.tree_id, commits=())
    repository = Repository(tree.repository)
    found = _contained(repository, tree, series) or _kept(repository, tree, series)
    if found is not None:
        return found
    files = sorted({path for patch in series.patches for path in patch.files})
    with lease(
        repository=tree.repository,
        key="series",
        commit=tree.commit,
        paths=paths,
        store=store,
        progress=progress,
        sparse=[sparse_pattern(path) for path in files] or ["/Makefile"],
    ) as worktree:
        found = _kept(repository, tree, series)  # another run may have made it meanwhile
        if found is not None:
            return found
        try:
            head = _apply_all(worktree, tree, series, paths, progress)
        except BaseException:
            _clean(worktree, tree.commit)
            raise
        repository.set_ref(_ref(tree, series), head)
    found = _kept(repository, tree, series)
    if found is None:
        raise EnvironmentFailure(f"{series.name} was applied and cannot be found again in {tree.repository}")
    return found


def at_patch(applied: AppliedSeries, number: int) -> AppliedSeries:
    """The tree with only the first ``number`` patches applied (0: the base): what ``--each`` builds."""
    if applied.series is None or not 0 <= number <= len(applied.commits):
        raise ValueError(f"no patch {number} in {applied.series}")
    commit = applied.commits[number - 1] if number else applied.tree.commit
    tree_id = Repository(applied.tree.repository).tree_id(commit)
    return dataclasses.replace(applied, commit=commit, tree_id=tree_id, commits=applied.commits[:number])


def _ref(tree: Tree, series: Series) -> str:
    return f"refs/harness/series/{tree.commit}/{series.digest}"


def _kept(repository: Repository, tree: Tree, series: Series) -> AppliedSeries | None:
    """The kept result, or None (also where it is damaged: then it is made again)."""
    listed = repository.git(
        "log", "--format=%H %T", "--first-parent", f"--max-count={len(series.patches) + 1}",
        _ref(tree, series), "--", check=False,
    )  # fmt: skip
    lines = [line.split() for line in listed.text.splitlines()]
    if listed.returncode != 0 or len(lines) != len(series.patches) + 1 or lines[-1][0] != tree.commit:
        return None
    commits = tuple(commit for commit, _ in reversed(lines[:-1]))
    if not repository.has(commits[-1]):
        return None
    return AppliedSeries(tree=tree, series=series, commit=commits[-1], tree_id=lines[0][1], commits=commits)


def _contained(repository: Repository, tree: Tree, series: Series) -> AppliedSeries | None:
    """The answer for a range of commits that the tree's own history ends with or goes through."""
    commits = [commit_of(patch) for patch in series.patches]
    if not series.spec.startswith("git:") or None in commits or not commits or "path" not in tree.origin:
        return None
    known = [commit for commit in commits if commit is not None]
    if not repository.has(known[-1]) or not repository.is_ancestor(known[-1], tree.commit):
        return None
    base = repository.resolve(f"{known[0]}^")
    if base is None:
        return None
    under = dataclasses.replace(tree, commit=base, tree_id=repository.tree_id(base))
    return AppliedSeries(tree=under, series=series, commit=tree.commit, tree_id=tree.tree_id, commits=tuple(known))


def commit_of(patch: Patch) -> str | None:
    """The commit that git format-patch wrote a mail from, or None."""
    word = patch.content[5:].split(b" ", 1)[0].decode("ascii", "replace") if patch.content[:5] == b"From " else ""
    return word if is_object_name(word) and set(word) != {"0"} else None


def _apply_all(worktree: Worktree, tree: Tree, series: Series, paths: Paths, progress: Progress) -> str:
    # git alone runs here, so nothing is hidden from it (the tree's objects may be a user's); what it writes stays here
    places = (worktree.source, worktree.git_dir, tree.repository)
    within = sandbox.enclosure(paths, writable=places, hide=False)
    for patch in series.patches:
        progress.update(f"applying {patch.title}", done=patch.number, total=len(series.patches))
        done = worktree.git(
            "am", "--quiet", "--no-3way", "--no-gpg-sign", "--no-scissors",
            "--committer-date-is-author-date", "--patch-format=mbox",
            stdin=_as_mbox(patch.content), deadline=_PATCH_SECONDS, check=False, within=within,
        )  # fmt: skip
        if done.returncode != 0:
            raise failure(tree, series, patch, done)
    return worktree.head


def _as_mbox(content: bytes) -> bytes:
    """A mail with the separator line that an mbox wants."""
    return content if content.startswith(b"From ") else b"From git@z Thu Jan  1 00:00:00 1970\n" + content


def _clean(worktree: Worktree, commit: str) -> None:
    """Leave no trace of an interrupted ``git am``; the next lease repairs what this cannot."""
    if (worktree.git_dir / "rebase-apply").exists():
        worktree.git("am", "--abort", check=False)
    (worktree.git_dir / "HEAD").write_text(f"{commit}\n")
    worktree.git("reset", "--quiet", "--hard", commit, check=False)


def failure(tree: Tree, series: Series, patch: Patch, done: process.Completed) -> ApplyError | EnvironmentFailure:
    """The error for a patch that git refused: which patch, which file, which hunk, and git's reason."""
    lines = [line for line in (done.error_text + "\n" + done.text).splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("error:", "fatal:"))] or lines[-5:]
    if any("No space left on device" in line for line in said):
        return EnvironmentFailure(
            "the disk is full while applying a patch", details=said, hint="free some space, or `harness cache prune`"
        )
    if why := shortage_said(lines, status=done.returncode):
        return EnvironmentFailure(f"git could not apply a patch: {why.message}", details=said, hint=why.hint)
    if not Repository(tree.repository).has(tree.commit):
        return EnvironmentFailure(
            f"git could not apply a patch: {tree.repository} was removed or damaged meanwhile",
            details=said,
            hint="run this again",
        )
    where = locate(said, patch)
    count = len(series.patches)
    message = f"patch {patch.number}/{count} '{patch.title}' does not apply to {tree.spec} ({tree.version})"
    based = f"the series was made on commit {series.base[:12]}; " if series.base else ""
    return ApplyError(
        f"{message}: {where}" if where else message,
        details=[line for line in said if "could not build fake ancestor" not in line],
        hint=f"{based}choose a source that it was made for, or rebase it; the tree is as it was",
    )


def locate(said: Sequence[str], patch: Patch) -> str:
    """The file and the hunk that git's error lines speak of, in words; empty where they name none."""
    for line in said:
        if match := _FAILED.match(line):
            hunk = _hunk_at(patch, match["path"], int(match["line"]))
            return f"{match['path']}, {hunk}" if hunk else f"{match['path']}, line {match['line']}"
    for line in said:
        if match := _FILE.match(line):
            return match["bad"] or match["link"] or match["path"]
    return ""


def _hunk_at(patch: Patch, path: str, line: int) -> str:
    """Which hunk of a file begins at a line of the old file (what git's "patch failed" names)."""
    try:
        files = parse(body_text(patch.content))
    except DiffError:
        return ""
    hunks: list[Hunk] = [hunk for file in files if path in (file.old, file.new) for hunk in file.hunks]
    for number, hunk in enumerate(hunks, start=1):
        if hunk.old_start == line:
            return f"hunk {number} of {len(hunks)} ({hunk.header})"
    return ""
