# SPDX-License-Identifier: GPL-2.0-only
"""``harness source``: fetch kernel trees, show what they are, look for newer ones."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import click

from harness import source
from harness.cli.session import Session, dry_run_option, json_option, print_json
from harness.source import memory
from harness.values import Tree

_DEFAULT = "debian:6.12"


@click.group()
def command() -> None:
    """Fetch a kernel tree and show what it is.

    \b
    harness source show debian:6.12                     the distribution's kernel source, through apt
    harness source show tarball:linux-6.12.tar.xz
    harness source show git:https://HOST/linux.git@v6.12
    harness source show tree:.                          this checkout, uncommitted changes included
    harness source update                               look for newer ones of all that is remembered
    """


@command.command()
@click.argument("spec", default=_DEFAULT)
@click.option("--reference", type=click.Path(path_type=Path), help="A local clone whose objects need no fetching.")
@json_option
@dry_run_option
@click.pass_obj
def show(session: Session, spec: str, reference: Path | None, as_json: bool, dry_run: bool) -> None:
    """Fetch a source (if it is not there yet) and show what it is.

    \b
    harness source show
    harness source show git:~/linux@v6.12 --json
    harness source show tarball:https://HOST/linux-6.12.tar.xz --dry-run
    """
    if dry_run:
        _show_plan([spec], as_json)
        return
    with session.stage("source") as progress:
        tree = source.obtain(spec, paths=session.paths, store=session.store, progress=progress, reference=reference)
    if as_json:
        print_json(_record(tree))
    else:
        click.echo("\n".join(_lines(tree)))


@command.command(name="list")
@json_option
@click.pass_obj
def list_(session: Session, as_json: bool) -> None:
    """The kinds of sources, and the sources that are remembered."""
    remembered = memory.all_remembered(session.paths)
    if as_json:
        kinds = [{"form": kind.form, "about": kind.about} for kind in source.KINDS.values()]
        print_json({"kinds": kinds, "remembered": [_record(one.tree) | {"when": one.when} for one in remembered]})
        return
    width = max(len(kind.form) for kind in source.KINDS.values())
    for kind in source.KINDS.values():
        click.echo(f"{kind.form:{width}}  {kind.about}")
    if remembered:
        click.echo()
    for one in remembered:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.when))
        click.echo(f"{one.tree.spec}  {one.tree.version}  {one.tree.commit[:12]}  as of {when}")


@command.command()
@click.argument("specs", nargs=-1, metavar="[SPEC]...")
@json_option
@dry_run_option
@click.pass_obj
def update(session: Session, specs: tuple[str, ...], as_json: bool, dry_run: bool) -> None:
    """Look for a newer state of sources: those given, else all that are remembered.

    \b
    harness source update
    harness source update debian:6.12
    """
    before = {one.tree.spec: one.tree for one in memory.all_remembered(session.paths)}
    wanted = specs or tuple(sorted(before)) or (_DEFAULT,)
    if dry_run:
        _show_plan(wanted, as_json)
        return
    records = []
    for spec in wanted:
        with session.stage(spec) as progress:
            tree = source.obtain(spec, paths=session.paths, store=session.store, progress=progress, refresh=True)
        old = before.get(spec)
        changed = old is None or old.commit != tree.commit
        records.append(_record(tree) | {"changed": changed, "before": old.version if old else None})
        if not as_json:
            news = "unchanged" if not changed else (f"was {old.version}, {old.commit[:12]}" if old else "new")
            click.echo(f"{spec}  {tree.version}  {tree.commit[:12]}  {news}")
    if as_json:
        print_json(records)


def _show_plan(specs: tuple[str, ...] | list[str], as_json: bool) -> None:
    plans = {spec: source.plan(spec) for spec in specs}
    if as_json:
        print_json(plans)
        return
    for spec, lines in plans.items():
        click.echo("\n".join([f"{spec}:", *(f"  {line}" for line in lines)]))


def _record(tree: Tree) -> dict[str, Any]:
    return dataclasses.asdict(tree) | {"repository": str(tree.repository), "origin": dict(tree.origin)}


def _lines(tree: Tree) -> list[str]:
    facts = {
        "source": tree.spec,
        "version": tree.version,
        "commit": tree.commit,
        "tree": tree.tree_id,
        "repository": str(tree.repository),
        **{name.replace("_", " "): value for name, value in tree.origin.items()},
    }
    width = max(len(name) for name in facts)
    return [f"{name:{width}}  {value}" for name, value in facts.items()]
