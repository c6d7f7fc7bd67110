# SPDX-License-Identifier: GPL-2.0-only
"""Checks a series without building it: does it apply, on what was it made, and what checkpatch says of each patch.

Reading a series has already checked its numbering and that each patch parses. More checks of single patches (a build
at every patch) are given to :func:`check` as functions; each gets the tree with the patches up to that one applied.
A remark that the series answers (:mod:`harness.series.answers`) is a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness import process, sandbox
from harness.errors import ApplyError
from harness.paths import Paths
from harness.progress import Progress
from harness.repository import Repository
from harness.series.answers import Answer, answered, idle
from harness.series.apply import apply, at_patch
from harness.series.finding import Finding, Level, exit_status
from harness.store import Store, value_digest
from harness.values import AppliedSeries, Patch, Series, Tree
from harness.worktrees import lease, sparse_pattern

_CHECKPATCH = "checkpatch"  # the cache's kind of what it said
_CHECKPATCH_SECONDS = 120.0
# what checkpatch.pl looks for to know the top of a kernel tree
_TOP_FOLDERS = ("Documentation", "arch", "include", "drivers", "fs", "init", "ipc", "kernel", "lib", "scripts")
_LINE = re.compile(r"^(?P<file>.+?):(?P<line>\d+): (?P<level>ERROR|WARNING|CHECK):(?P<type>[A-Z0-9_]+): (?P<text>.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All findings, in the order of the checks; ``applied`` is None where the series does not apply."""

    series: Series
    applied: AppliedSeries | None
    findings: tuple[Finding, ...] = field(default=())

    @property
    def good(self) -> bool:
        """Whether no finding is an error."""
        return exit_status(self.findings) == 0


# a check of one patch: the tree up to and with that patch, and the patch
PatchCheck = Callable[[AppliedSeries, Patch], Iterable[Finding]]
# told of findings as they come: what is known where a check is interrupted
Listener = Callable[[Finding], None]


def check(
    tree: Tree,
    series: Series,
    *,
    paths: Paths,
    store: Store,
    progress: Progress,
    each: Sequence[PatchCheck] = (),
    only: Collection[int] = (),
    answers: Sequence[Answer] = (),
    on_finding: Listener | None = None,
) -> Report:
    """Check a series against a tree. What is wrong with the series is a finding, not an exception.

    ``only`` are the patches that the checks in ``each`` see; none: all.
    """
    findings: list[Finding] = []

    def found(new: Iterable[Finding]) -> None:
        for finding in answered(new, answers):
            findings.append(finding)
            if on_finding is not None:
                on_finding(finding)

    found([Finding(check="read", level=Level.OK, message=_count(series)), base_finding(tree, series)])
    try:
        applied = apply(tree, series, paths=paths, store=store, progress=progress)
    except ApplyError as reason:
        found([Finding(check="apply", level=Level.ERROR, message=reason.message, details=reason.details, status=3)])
        return Report(series=series, applied=None, findings=tuple(findings))
    found([Finding(check="apply", level=Level.OK, message=f"every patch applies to {tree.spec} ({tree.version})")])
    remarks: list[Finding] = []  # before their answers
    for remark in _checks(applied, series, paths=paths, store=store, progress=progress, each=each, only=only):
        remarks.append(remark)
        found([remark])
    found(idle(remarks, answers))
    return Report(series=series, applied=applied, findings=tuple(findings))


def _checks(
    applied: AppliedSeries,
    series: Series,
    *,
    paths: Paths,
    store: Store,
    progress: Progress,
    each: Sequence[PatchCheck],
    only: Collection[int],
) -> Iterator[Finding]:
    yield from _checkpatch(applied, series, paths=paths, store=store, progress=progress)
    for patch in series.patches if each else ():
        for one in each if not only or patch.number in only else ():
            yield from one(at_patch(applied, patch.number), patch)


def _count(series: Series) -> str:
    count = len(series.patches)
    return f"{count} {'patch' if count == 1 else 'patches'}, numbering complete"


def base_finding(tree: Tree, series: Series) -> Finding:
    """Whether the series says which commit it was made on, and whether the tree is that one."""
    if series.base is None:
        return Finding(
            check="base", level=Level.NOTE, message="the series names no base (git format-patch --base=auto adds it)"
        )
    if tree.commit.startswith(series.base) or Repository(tree.repository).has(series.base):
        return Finding(check="base", level=Level.OK, message=f"its base {series.base[:12]} is in {tree.spec}")
    return Finding(
        check="base",
        level=Level.NOTE,
        message=f"it was made on {series.base[:12]}, which {tree.spec} does not have",
    )


def _checkpatch(
    applied: AppliedSeries, series: Series, *, paths: Paths, store: Store, progress: Progress
) -> Iterator[Finding]:
    repository = Repository(applied.tree.repository)
    if process.which("perl") is None:
        yield Finding(check="checkpatch", level=Level.NOTE, message="not run: perl is not installed")
        return
    if repository.git("cat-file", "-e", f"{applied.commit}:scripts/checkpatch.pl", check=False).returncode != 0:
        yield Finding(check="checkpatch", level=Level.NOTE, message="not run: the tree has no scripts/checkpatch.pl")
        return
    said = {patch.number: _kept_said(applied, patch, store) for patch in series.patches}
    if unknown := [patch for patch in series.patches if said[patch.number] is None]:
        said |= _run_checkpatch(applied, series, unknown, paths=paths, store=store, progress=progress)
    for patch in series.patches:
        one = said[patch.number]
        assert one is not None
        yield from checkpatch_findings(one.text, patch, status=one.status, said=one.error)


@dataclass(frozen=True, slots=True)
class _Said:
    """What checkpatch.pl wrote of a patch, and its exit status."""

    text: str
    status: int
    error: str


def _said_key(applied: AppliedSeries, patch: Patch) -> str:
    """The whole tree decides: checkpatch.pl reads what a patch touches, MAINTAINERS, and lists of scripts/."""
    return value_digest(applied.tree_id, patch.digest, checkpatch_argv(Path(), Path()))


def _kept_said(applied: AppliedSeries, patch: Patch, store: Store) -> _Said | None:
    entry = store.find(_CHECKPATCH, _said_key(applied, patch))
    return _Said(**entry.meta) if entry is not None else None


def _run_checkpatch(
    applied: AppliedSeries,
    series: Series,
    patches: Sequence[Patch],
    *,
    paths: Paths,
    store: Store,
    progress: Progress,
) -> dict[int, _Said | None]:
    """What checkpatch.pl says of some patches, by number; kept where it ran to its end."""
    found: dict[int, _Said | None] = {}
    touched = sorted({path for patch in series.patches for path in patch.files})
    # the whole of scripts/ and the top, and what the patches touch: what checkpatch.pl reads
    wanted = ["/*", "!/*/", "/scripts/*", *(sparse_pattern(path) for path in touched)]
    with (
        lease(
            repository=applied.tree.repository,
            key="checkpatch",
            commit=applied.commit,
            paths=paths,
            store=store,
            progress=progress,
            sparse=wanted,
        ) as worktree,
        paths.scratch("checkpatch") as scratch,
    ):
        for folder in _TOP_FOLDERS:
            (worktree.source / folder).mkdir(exist_ok=True)
        within = sandbox.enclosure(paths, writable=[worktree.source], readable=[scratch])
        for count, patch in enumerate(patches, start=1):
            progress.update("checkpatch", done=count, total=len(patches))
            file = scratch / f"{patch.number:04}.patch"
            file.write_bytes(patch.content)
            done = process.run(
                checkpatch_argv(worktree.source, file),
                deadline=_CHECKPATCH_SECONDS,
                cwd=worktree.source,
                check=False,
                within=within,
            )
            said = _Said(done.text, done.returncode, done.error_text)
            if said.status == 0 or said.text:
                store.obtain(_CHECKPATCH, _said_key(applied, patch), lambda _, said=said: asdict(said))  # type: ignore[misc]
            found[patch.number] = said
    return found


def checkpatch_argv(source: Path, patch: Path) -> tuple[str, ...]:
    """The command that checks one patch, subjective remarks included: one line a finding, with its type."""
    script = str(source / "scripts" / "checkpatch.pl")
    options = ("--strict", "--terse", "--show-types", "--no-summary", "--color=never", f"--root={source}")
    return ("perl", script, *options, str(patch))


def checkpatch_findings(text: str, patch: Patch, *, status: int = 0, said: str = "") -> list[Finding]:
    """What checkpatch's terse output says of a patch; a run that failed without a word is an error, never clean."""
    found = []
    for line in text.splitlines():
        if match := _LINE.match(line):
            level = Level.ERROR if match["level"] == "ERROR" else Level.WARNING
            message = f"{match['type']}: {match['text']} (line {match['line']} of the patch)"
            kind = match["type"]
            found.append(Finding(check="checkpatch", level=level, message=message, patch=patch.number, type=kind))
    if not found and status != 0:
        details = tuple((said or text).splitlines()[-5:])
        message = "checkpatch.pl did not run to its end"
        return [Finding(check="checkpatch", level=Level.ERROR, message=message, patch=patch.number, details=details)]
    return found or [Finding(check="checkpatch", level=Level.OK, message="clean", patch=patch.number)]
