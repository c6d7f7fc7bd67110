# SPDX-License-Identifier: GPL-2.0-only
"""``harness series``: show, apply and check a patch series on its own."""

from __future__ import annotations

import click

from harness import series as stage
from harness import source
from harness.cli.series_check import check_
from harness.cli.series_read import plain, series_record, source_for, source_option, tree_and_series
from harness.cli.session import Session, dry_run_option, json_option, print_json, sandbox_option
from harness.series import named
from harness.values import Series


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
        click.echo(plain(f"{name:{width}}  {one.title}{f' ({one.revision})' if one.revision else ''}"))


@command.command()
@click.argument("spec")
@source_option
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
        print_json(series_record(found))
    else:
        click.echo("\n".join(_lines(found)))


@command.command()
@click.argument("spec")
@source_option
@sandbox_option
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
    tree, found = tree_and_series(session, spec, source_spec)
    with session.stage("series") as progress:
        applied = stage.apply(tree, found, paths=session.paths, store=session.store, progress=progress)
    if as_json:
        print_json({
            "source": tree.spec, "base": applied.tree.commit, "commit": applied.commit, "tree": applied.tree_id,
            "repository": str(tree.repository), "commits": applied.commits, "series": series_record(found),
        })  # fmt: skip
        return
    for commit, patch in zip(applied.commits, found.patches, strict=True):
        click.echo(plain(f"{commit[:12]}  {patch.title}"))
    click.echo(f"{applied.commit} in {tree.repository}")


def _show_plan(session: Session, spec: str, source_spec: str | None, as_json: bool) -> None:
    wanted = source_for(session, spec, source_spec)
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
    return [plain(line) for line in lines]


command.add_command(check_)
