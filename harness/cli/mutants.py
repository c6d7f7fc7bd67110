# SPDX-License-Identifier: GPL-2.0-only
"""``harness mutants``: who watches the suites."""

from __future__ import annotations

import functools
import shlex
import sys
from typing import Any

import click
import msgspec

from harness import profile as profiles
from harness.cli.run import chosen_profile, profile_options
from harness.cli.session import Session, dry_run_option, json_option, print_json


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]…")
@functools.partial(profile_options, default="mutants")
@click.option("--suite", "suites", multiple=True, metavar="NAME", help="A suite; also SUITE/PROGRAM[:CASE]. Repeat it.")
@click.option("--full", is_flag=True, help="Run every case of each mutant, not only up to the first that kills.")
@click.option("--again", is_flag=True, help="Run also the mutants whose end is known from an earlier run.")
@click.option("--timeout-scale", type=float, metavar="FACTOR", help="Multiply every deadline of the tests.")
@click.option("--list", "only_list", is_flag=True, help="Show the mutants and do nothing.")
@json_option
@dry_run_option
@click.pass_obj
def command(
    session: Session,
    /,
    names: tuple[str, ...],
    suites: tuple[str, ...],
    full: bool,
    again: bool,
    only_list: bool,
    as_json: bool,
    dry_run: bool,
    **flags: Any,
) -> int:
    """Who watches the suites: break the series in small ways, and see which case finds out.

    Each mutant of tests/mutants/ is a patch on top of our series. Its kernel is built and booted, and cases run, those
    that should find it first, until one fails that passes on the series as it is, and does so again in another guest.
    What became of a mutant is kept by all that decides it: started again, this goes on where it was.

    \b
    harness mutants                                     all of them
    harness mutants --list                              what there is
    harness mutants copies-half                         one
    harness mutants --suite private                     what the suite private finds by itself
    harness mutants --add-config debug-kasan            on a kernel that sees more

    Exit status: 0 all were killed (or are recorded as survivors), 1 one survived, 3 one does not apply, build or boot.
    """
    from harness import mutants  # not before help and usage errors: it imports every stage

    if only_list:
        return _list(session, names, as_json=as_json)
    profile = profiles.override(chosen_profile(session, flags), {"timeout_scale": flags["timeout_scale"]})
    todo = mutants.plan(
        profile, names, selection=suites, full=full, again=again, paths=session.paths, store=session.store
    )
    if dry_run:
        _show_plan(todo)
        return 0
    return _execute(session, todo, as_json=as_json)


def _list(session: Session, names: tuple[str, ...], *, as_json: bool) -> int:
    from harness.mutants.mutant import read_all

    found = read_all(names, paths=session.paths, store=session.store)
    if as_json:
        print_json([
            {"name": one.name, "title": one.title, "breaks": one.breaks, "killed_by": one.killers,
             "survives": one.survives, "files": one.patch.patches[0].files}
            for one in found
        ])  # fmt: skip
        return 0
    width = max(len(one.name) for one in found)
    for one in found:
        click.echo(f"{one.name:{width}}  {one.title}{'  (survives)' if one.survives else ''}")
    return 0


def _show_plan(todo: Any) -> None:
    profile = todo.profile
    click.echo(f"source    {profile.source}")
    click.echo(f"series    {profile.series or 'none'}, and one mutant at a time")
    click.echo(f"config    {' '.join(profile.config)}")
    click.echo(f"guest     topology {profile.topology}, accel {profile.accel}, QEMU {profile.qemu}")
    click.echo(f"cases     {sum(len(one.cases) for one in todo.every)}, up to the first that kills")
    click.echo(f"mutants   {len(todo.mutants)}")
    for one in todo.mutants:
        click.echo(f"  {one.name}: {', '.join(one.killers) or 'survives'} first")


def _execute(session: Session, todo: Any, *, as_json: bool) -> int:
    from harness import mutants
    from harness.cli.summary import show_failure
    from harness.display import duration, printable
    from harness.results.record import exit_status
    from harness.terminal import Terminal
    from harness.values import Verdict

    words = ["harness", *sys.argv[1:]]
    terminal = Terminal(sys.stderr if as_json else sys.stdout)
    try:
        folder, results, report = mutants.execute(
            todo, paths=session.paths, store=session.store, view=terminal, command=words
        )
    finally:
        terminal.close()
    if results.failure is not None:
        show_failure(terminal, results.failure)
    if as_json:
        print_json(msgspec.to_builtins(report))
    elif report.mutants:
        terminal.say("")
        for number, line in enumerate(mutants.table(report.mutants)):
            terminal.say(printable(line), style="" if number else "bold")
    terminal.say("")
    for name, verdict in report.unmutated.items():
        terminal.say(f"cannot kill: {name} ({verdict} on the series as it is)", style="bold red")
    good = Verdict(results.verdict).good
    ended = "interrupted, " if results.interrupted else ""
    terminal.say(
        f"{ended}{mutants.summary(report)}  {duration(results.seconds)}", style="green" if good else "bold red"
    )
    terminal.say(f"run folder   {folder.path}")
    terminal.say(f"run it again {shlex.join(words)}")
    return exit_status(Verdict(results.verdict), interrupted=results.interrupted, failure=results.failure)
