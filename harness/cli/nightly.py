# SPDX-License-Identifier: GPL-2.0-only
"""``harness nightly``: a matrix of runs, unattended."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import Any

import click

from harness.cli.session import Session, dry_run_option, json_option, print_json
from harness.display import many
from harness.history.place import hidden


@click.command()
@click.argument("matrix", type=click.Path(path_type=Path), default=Path("ci/nightly.toml"))
@click.option("--force", is_flag=True, help="Run every cell, although nothing that decides it has moved.")
@click.option("--anew", is_flag=True, help="Begin a new night where one was interrupted, instead of going on with it.")
@dry_run_option
@json_option
@click.pass_obj
def command(session: Session, /, matrix: Path, force: bool, anew: bool, dry_run: bool, as_json: bool) -> int:
    """Run a matrix of cells: each kernel built once, cells side by side; only what has moved since the last time.

    \b
    harness nightly                         the project's own matrix, ci/nightly.toml
    harness nightly --dry-run               its cells in order, its kernels, and how long they take
    harness nightly my.toml --force         every cell, although nothing moved
    harness nightly my.toml                 after Ctrl-C or a crash: goes on with what is left

    Exit status: as `harness run`, of the gravest cell; 0 also where nothing has moved.
    """
    from harness import nightly
    from harness.workers import this_machine

    read = nightly.load(matrix)
    todo = nightly.planned(read, paths=session.paths)
    desk = nightly.Desk(read.name, paths=session.paths)
    if dry_run:
        found = nightly.ordered(nightly.todos(todo.cells, todo.runs, desk.book, paths=session.paths), read)
        capacity = this_machine(cells=read.limits.cells, memory_mib=read.limits.memory_mib)
        expected = nightly.estimate(found, desk.book, capacity)
        _show_plan(found, expected, as_json=as_json)
        night = desk.book.night
        if night is not None and night.going_on and not as_json:
            done = sum(one.status == "done" for one in night.cells.values())
            click.echo(f"the night of {night.id} was interrupted: it is gone on with, {done} of its cells are done")
        nightly.check_wall(read, expected, len(found))
        return 0
    with desk.locked():
        view = nightly.NightView(sys.stderr if as_json else sys.stdout)
        try:
            outcome = nightly.execute(
                todo,
                desk=desk,
                paths=session.paths,
                store=session.store,
                view=view,
                force=force,
                anew=anew,
                history=session.history_place,
            )
        finally:
            view.close()
        if outcome.night is None:
            return _nothing_moved(outcome.unmoved, as_json=as_json)
        return _end(session, todo, desk, outcome, view, as_json=as_json)


def _nothing_moved(unmoved: list[str], *, as_json: bool) -> int:
    if as_json:
        print_json({"night": None, "moved": [], "unmoved": unmoved})
        return 0
    click.echo("nothing moved: nothing is built or run (--force runs it all the same)")
    for line in unmoved:
        click.echo(f"  {line}")
    return 0


def _end(session: Session, todo: Any, desk: Any, outcome: Any, view: Any, *, as_json: bool) -> int:
    """Reports, retention, exit status."""
    from harness import nightly
    from harness.results.record import exit_status

    night = outcome.night
    words = [word for word in ["harness", *map(hidden, sys.argv[1:])] if word not in ("--anew", "--force")]
    if not outcome.interrupted:
        words.append("--force")
    found = nightly.report(
        todo.matrix,
        todo.cells,
        desk.book,
        night,
        paths=session.paths,
        interrupted=outcome.interrupted,
        again=shlex.join(words),
        history=session.history_place,
    )
    files = nightly.write(found, desk.night_folder(night))
    swept = nightly.sweep(desk, todo.matrix.keep, paths=session.paths, now=time.time())
    if as_json:
        print_json({**nightly.as_data(found), "files": [str(file) for file in files]})
    else:
        click.echo(f"\n{nightly.text(found)}")
        click.echo(f"runs    {swept.said(todo.matrix.keep)}")
        for file in files:
            click.echo(f"report  {file}")
    return exit_status(found.verdict, interrupted=outcome.interrupted)


def _show_plan(found: Any, expected: Any, *, as_json: bool) -> None:
    from harness import nightly
    from harness.display import duration

    groups = nightly.kernels(found)
    if as_json:
        print_json(
            {
                "cells": [
                    {
                        "title": one.cell.title,
                        **dict(
                            zip(("source", "series", "fragments", "topology", "suites"), one.cell.values, strict=True)
                        ),
                        "kernel": one.kernel,
                        "cases": len(one.run.cases),
                        "memory_mib": one.memory_mib,
                        "seconds": round(one.seconds, 1),
                        "last": one.known.verdict if one.known is not None else None,
                    }
                    for one in found
                ],
                "kernels": len(groups),
                "at_once": expected.at_once,
                "build_seconds": round(expected.builds, 1),
                "wall_seconds": round(expected.wall, 1),
            }
        )
        return
    numbers = {kernel: number for number, kernel in enumerate(groups, start=1)}
    click.echo(f"{many(len(groups), 'kernel')}, built once:")
    for kernel, group in groups.items():
        first = group[0].cell
        number = many(len(group), "cell")
        click.echo(f"  {numbers[kernel]}  {first.source}, {first.series}, {first.fragments}: {number}")
    click.echo(f"{many(len(found), 'cell')} in this order, {expected.at_once} at once:")
    width = max(len(one.cell.title) for one in found)
    for one in found:
        last = f"  last: {one.known.verdict}" if one.known is not None else ""
        click.echo(
            f"  {one.cell.title:<{width}}  kernel {numbers[one.kernel]}, {many(len(one.run.cases), 'case')}, "
            f"{one.memory_mib} MiB, about {duration(one.seconds)}{last}"
        )
    builds = f", and {duration(expected.builds)} of builds unless they are in the cache" if expected.builds else ""
    click.echo(f"about {duration(expected.wall - expected.builds)}{builds}")
