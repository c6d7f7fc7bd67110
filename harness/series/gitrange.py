# SPDX-License-Identifier: GPL-2.0-only
"""``git:A..B`` and ``git:PATH@A..B``: the commits of a range, as a series.

Without a path the range is one of the repository of the source (``tree:`` or a local ``git:``). Where the source has
these commits already, as a developer's checkout does, they are tested where they are and not applied again
(:mod:`harness.series.apply`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError, nearest
from harness.repository import Checkout, Repository, borrowing, find_checkout
from harness.series.assemble import assemble, parse_all
from harness.series.kind import Kind, Request
from harness.series.mail import split_mbox
from harness.values import Series

_MOST = 1000
# greedy, so that the last "@" with a whole range after it separates; "@{upstream}" and a final "@" (HEAD) do not
_FORM = re.compile(r"(?:(?P<path>.+)@(?!\{))?(?P<old>[^\s]+?)\.\.(?P<new>[^\s.][^\s]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A parsed range; ``path`` is None where it is relative to the source."""

    path: Path | None
    old: str
    new: str


def parse_range(rest: str) -> Range:
    """Split ``PATH@A..B``; B is HEAD where it is left out."""
    match = _FORM.fullmatch(rest)
    if match is None or "..." in rest or match["old"].startswith("-") or (match["new"] or "").startswith("-"):
        raise UserError(f"'git:{rest}' is no range of commits", hint=f"write {KIND.form}, as git:origin/master..HEAD")
    path = Path(match["path"]) if match["path"] else None
    return Range(path=path, old=match["old"], new=match["new"] or "HEAD")


def _checkout(request: Request, wanted: Range) -> Checkout:
    path = wanted.path
    if path is None:
        origin = request.tree.origin if request.tree is not None else {}
        if "path" not in origin:
            raise UserError(
                f"'{request.spec}' says nothing about which repository",
                hint="use it with --source tree:PATH, or write git:PATH@A..B",
            )
        path = Path(origin["path"])
    checkout = find_checkout(path)
    if checkout.git_dir is None:
        raise UserError(f"{path} is no git repository", hint="a range of commits needs one")
    return checkout


def _resolve(checkout: Checkout, name: str) -> str:
    commit = checkout.resolve(name)
    if commit is None:
        close = nearest(name, checkout.ref_names())
        raise UserError(
            f"{checkout.top} has no commit '{name}'",
            hint=f"did you mean '{close}'?" if close else "a branch, a tag or a commit",
        )
    return commit


def _read(request: Request) -> Series:
    wanted = parse_range(request.rest)
    checkout = _checkout(request, wanted)
    old, new = _resolve(checkout, wanted.old), _resolve(checkout, wanted.new)
    ours = borrowing(request.paths, checkout)
    ours.set_ref(f"refs/harness/ranges/{new}", new)
    _check(ours, old, new, wanted, checkout)
    # full index and binary: the mails hold all that the commits do; no signature: it names the version of git
    mails = ours.git(
        "format-patch", "--stdout", "--no-signature", "--full-index", "--binary", "--no-renames", "--no-attach",
        "--numbered", "--no-cover-letter", "--diff-algorithm=myers", f"{old}..{new}",
    ).stdout  # fmt: skip
    numbered = [(f"patch {number}", mail) for number, mail in enumerate(split_mbox(mails), start=1)]
    shown = f"{wanted.old}..{wanted.new}"
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted.new).strip("-.") or "range"
    return assemble(
        parse_all(numbered), spec=request.spec, name=name, place=shown, title=_title(numbered, shown), base=old
    )


def _title(mails: list[tuple[str, bytes]], shown: str) -> str | None:
    """One commit speaks for itself; several go by their range."""
    return shown if len(mails) > 1 else None


def _check(ours: Repository, old: str, new: str, wanted: Range, checkout: Checkout) -> None:
    shown = f"{wanted.old}..{wanted.new}"
    counted = ours.git("rev-list", "--count", f"--max-count={_MOST + 1}", f"{old}..{new}").text.strip()
    if counted == "0":
        raise UserError(f"the range {shown} in {checkout.top} is empty", hint="the later commit comes second: old..new")
    if int(counted) > _MOST:
        raise UserError(
            f"the range {shown} in {checkout.top} has more than {_MOST} commits", hint="is the first one the base?"
        )
    merges = ours.git("rev-list", "--merges", "--max-count=1", f"{old}..{new}").text.split()
    if merges:
        raise UserError(
            f"the range {shown} in {checkout.top} holds a merge ({merges[0][:12]})",
            hint="a series is a line of patches: rebase it, or choose a later base",
        )


KIND = Kind(prefix="git", form="git:[PATH@]A..B", about="a range of commits", read=_read)
