# SPDX-License-Identifier: GPL-2.0-only
"""``harness series``: show, apply and check a patch series on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from harness import series as stage
from harness import source
from harness.cli.session import Session, dry_run_option, json_option, print_json
from harness.series import named
from harness.series.check import Finding, Level, Report, check
from harness.values import Series, Tree

_DEFAULT_SOURCE = "debian:6.12"


def _source_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--source", "source_spec", metavar="SOURCE",
        help=f"The tree to apply to (default: what the series names, else {_DEFAULT_SOURCE}).",
    )(function)  # fmt: skip


@click.group()
def command() -> None:
    """Show, apply and check a patch series.

    A series is a name from patches/, a folder of patches, an mbox, a range of commits or a message-id.

    \b
    harness series show harness-hello
    harness series show ./outgoing                      a folder of git format-patch
    harness series check git:~/linux@origin/master..topic
    harness series apply lore:20260108203755.1163107-1-gourry@gourry.net
    harness series check git:origin/master..HEAD --source tree:.
    """


@command.command(name="list")
@json_option
@click.pass_obj
def list_(session: Session, as_json: bool) -> None:
    """The series in patches/."""
    found = {name: named.describe(name, paths=session.paths)[1] for name in named.names(session.paths)}
    if as_json:
        print_json([
            {"name": name, "title": one.title, "revision": one.revision, "message_id": one.message_id,
             "base": one.base, "source": one.source, "patches": one.patches, "see": one.see}
            for name, one in found.items()
        ])  # fmt: skip
        return
    width = max((len(name) for name in found), default=0)
    for name, one in found.items():
        click.echo(f"{name:{width}}  {one.title}{f' ({one.revision})' if one.revision else ''}")


@command.command()
@click.argument("spec")
@_source_option
@json_option
@click.pass_obj
def show(session: Session, spec: str, source_spec: str | None, as_json: bool) -> None:
    """The patches of a series: titles, authors, files, digest.

    \b
    harness series show harness-hello
    harness series show git:v6.12..HEAD --source tree:. --json
    """
    with session.stage("series") as progress:
        tree = None
        if source_spec is not None:
            tree = source.obtain(source_spec, paths=session.paths, store=session.store, progress=progress)
        found = stage.read(spec, paths=session.paths, store=session.store, progress=progress, tree=tree)
    if as_json:
        print_json(_record(found))
    else:
        click.echo("\n".join(_lines(found)))


@command.command()
@click.argument("spec")
@_source_option
@json_option
@dry_run_option
@click.pass_obj
def apply(session: Session, spec: str, source_spec: str | None, as_json: bool, dry_run: bool) -> None:
    """Apply a series to a source, patch by patch, in a worktree of the harness.

    \b
    harness series apply harness-hello
    harness series apply fixes.mbox --source git:~/linux@v6.12
    """
    if dry_run:
        _show_plan(session, spec, source_spec, as_json)
        return
    tree, found = _both(session, spec, source_spec)
    with session.stage("series") as progress:
        applied = stage.apply(tree, found, paths=session.paths, store=session.store, progress=progress)
    if as_json:
        print_json({
            "source": tree.spec, "base": applied.tree.commit, "commit": applied.commit, "tree": applied.tree_id,
            "repository": str(tree.repository), "commits": applied.commits, "series": _record(found),
        })  # fmt: skip
        return
    for commit, patch in zip(applied.commits, found.patches, strict=True):
        click.echo(f"{commit[:12]}  {patch.title}")
    click.echo(f"{applied.commit} in {tree.repository}")


@command.command(name="check")
@click.argument("spec")
@_source_option
@json_option
@click.pass_obj
def check_(session: Session, spec: str, source_spec: str | None, as_json: bool) -> int:
    """Check a series without building it: numbering, base, whether it applies, checkpatch for each patch.

    Exit status: 0 no error, 1 checkpatch found errors, 3 it does not apply.
    """
    tree, found = _both(session, spec, source_spec)
    with session.stage("series") as progress:
        report = check(tree, found, paths=session.paths, store=session.store, progress=progress)
    if as_json:
        print_json(_report_record(report))
    else:
        click.echo("\n".join(_report_lines(report)))
    if report.applied is None:
        return 3
    return 0 if report.good else 1


def _source_for(session: Session, spec: str, source_spec: str | None) -> str:
    """The source that was asked for, else the one that a named series names, else the default."""
    if source_spec is not None:
        return source_spec
    kind, rest = stage.parse(spec, paths=session.paths)
    if kind is named.KIND:
        return named.describe(rest, paths=session.paths)[1].source or _DEFAULT_SOURCE
    return _DEFAULT_SOURCE


def _both(session: Session, spec: str, source_spec: str | None) -> tuple[Tree, Series]:
    wanted = _source_for(session, spec, source_spec)
    with session.stage("source") as progress:
        tree = source.obtain(wanted, paths=session.paths, store=session.store, progress=progress)
    with session.stage("series") as progress:
        found = stage.read(spec, paths=session.paths, store=session.store, progress=progress, tree=tree)
    return tree, found


def _show_plan(session: Session, spec: str, source_spec: str | None, as_json: bool) -> None:
    wanted = _source_for(session, spec, source_spec)
    kind, rest = stage.parse(spec, paths=session.paths)
    lines = [
        *source.plan(wanted),
        f"read the series {rest} ({kind.about})",
        "git am, one patch at a time, in a worktree of the harness; the result is kept as a ref",
    ]
    if as_json:
        print_json(lines)
    else:
        click.echo("\n".join(lines))


def _record(found: Series) -> dict[str, Any]:
    return {
        "name": found.name,
        "title": found.title,
        "revision": found.revision,
        "message_id": found.message_id,
        "base": found.base,
        "spec": found.spec,
        "digest": found.digest,
        "patches": [
            {"number": patch.number, "title": patch.title, "author": patch.author, "files": patch.files,
             "digest": patch.digest}
            for patch in found.patches
        ],
    }  # fmt: skip


def _lines(found: Series) -> list[str]:
    head = {
        "series": found.name,
        "title": found.title,
        "revision": found.revision,
        "message-id": found.message_id,
        "base": found.base,
        "digest": found.digest[:16],
    }
    lines = [f"{name:10}  {value}" for name, value in head.items() if value]
    for patch in found.patches:
        lines.append(f"{patch.number:4}  {patch.title}   ({patch.author})")
        lines += [f"      {path}" for path in patch.files]
    return [_plain(line) for line in lines]


_MARKS = {Level.OK: "ok", Level.NOTE: "--", Level.WARNING: "warning", Level.ERROR: "ERROR"}


def _report_lines(report: Report) -> list[str]:
    lines = []
    for finding in report.findings:
        of = f" patch {finding.patch}" if finding.patch is not None else ""
        lines.append(f"{_MARKS[finding.level]:8}{finding.check}{of}: {finding.message}")
        lines += [f"        | {line}" for line in finding.details]
    return [_plain(line) for line in lines]


def _report_record(report: Report) -> dict[str, Any]:
    return {
        "series": _record(report.series),
        "applies": report.applied is not None,
        "good": report.good,
        "findings": [_finding_record(finding) for finding in report.findings],
    }


def _finding_record(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "patch": finding.patch,
        "level": str(finding.level),
        "message": finding.message,
        "details": finding.details,
    }


def _plain(text: str) -> str:
    """A line from a mail without control characters: a title must not move the cursor of the reader's terminal."""
    return "".join(char if char.isprintable() else "�" for char in text)
