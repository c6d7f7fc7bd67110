# SPDX-License-Identifier: GPL-2.0-only
"""``harness history``: the runs that were, the way of a case through them, and runs of other machines."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.main import show_error
from harness.cli.session import Session, json_option, print_json
from harness.display import duration, printable
from harness.errors import UserError, nearest
from harness.values import Verdict

if TYPE_CHECKING:
    from harness.history.database import History
    from harness.history.trend import Trend

_RUNS = 20
_RUNS_OF_CASES = 50
_SHOWN = 20
_WIDEST = 72  # a column; one longer cell does not push all others away


@click.group(invoke_without_command=True)
@click.option("--case", metavar="NAME|PATTERN", help="The way of a case: suite/program:case, a pattern, or a part.")
@click.option("--series", metavar="NAME|DIGEST", help="Runs of this series (wildcards), or of a digest or commit.")
@click.option("--since", metavar="DATE|LENGTH", help="2026-11-20, or 36h, 7d, 2w ago.")
@click.option("--topology", metavar="NAME", help="Runs on this topology (wildcards).")
@click.option("--verdict", metavar="VERDICT", help="Runs that ended so; with --case the outcomes that are shown.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Look at the newest N runs [20; with --case: 50].")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    case: str | None,
    series: str | None,
    since: str | None,
    topology: str | None,
    verdict: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Show finished runs, the newest first; or how a case fared in them: flaky, broken, and since when.

    \b
    harness history                                              the last runs
    harness history --series n_private-6.12 --since 7d
    harness history --verdict CRASH --limit 5
    harness history --case zswap/test_store:exit_frees           its pass rate, last change, first failing series
    harness history --case 'isolation/*' --limit 100
    harness history import /mnt/other/runs                       finished runs of another machine
    """
    if ctx.invoked_subcommand is not None:
        return
    from harness.history import query

    wanted = query.Filter(
        series=series or "",
        topology=topology or "",
        verdict="" if case else _verdict(verdict),
        since=query.parse_since(since) if since else 0.0,
    )
    shown = _verdict(verdict) if case else ""
    with opened(ctx.obj) as history, history.reading() as connection:
        if case is None:
            found = query.runs(connection, wanted, limit=limit or _RUNS)
            if as_json:
                print_json([_run_as_json(row) for row in found])
            else:
                _show_runs(found)
            return
        names = query.case_names(connection, case)
        rows = query.case_history(connection, names, wanted, newest=limit or _RUNS_OF_CASES)
        reruns = query.reruns_of(connection, names[0]) if len(names) == 1 else {}
    _show_cases(names, rows, reruns, verdict=shown, as_json=as_json)


@command.command("import")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER…", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def import_(session: Session, folders: tuple[Path, ...], as_json: bool) -> int:
    """Import finished run folders, or folders of them; one that is there already changes nothing.

    Damaged ones, and those of a newer harness, are named and left out; the others go in. Exit status 2 then.

    \b
    harness history import ~/.local/share/n_private-harness/runs
    harness history import /mnt/ci/data RUN
    """
    from harness.history import record

    found: list[Path] = []
    refused: list[UserError] = []
    for folder in folders:
        try:
            found += record.run_folders(folder)
        except UserError as reason:
            refused.append(reason)
    with opened(session, catch_up=False) as history, session.stage("history") as progress:

        def tell(done: int) -> None:
            progress.update("importing runs", done=done, total=len(found))

        imported = record.import_folders(history, dict.fromkeys(path.absolute() for path in found), tell=tell)
    refused += imported.refused
    if as_json:
        messages = [one.message for one in refused]
        print_json({"new": imported.new, "known": imported.known, "refused": messages, "history": str(history.place)})
    else:
        for one in refused:
            show_error(one)
        left_out = f", {len(refused)} left out" if refused else ""
        click.echo(f"{imported.new} imported, {imported.known} known already{left_out}: {history.place}")
    return UserError.exit_code if refused else 0


def opened(session: Session, *, catch_up: bool = True) -> History:
    """The history, with the runs of this data folder that it could not take before; raises where there is none."""
    place = session.history_place
    if place is None:
        raise UserError("there is no history: it is 'off'", hint="see --history, HARNESS_HISTORY")
    from harness.errors import HarnessError
    from harness.history.database import History
    from harness.history.finish import catch_up as catch_up_with

    history = History(place)
    if catch_up:
        try:
            with session.stage("history") as progress:

                def tell(done: int, total: int) -> None:
                    progress.update("runs that are not in it yet", done=done, total=total)

                catch_up_with(history, session.paths.runs, tell=tell)
        except HarnessError as reason:
            click.echo(f"warning: not all runs are in the history: {reason.message}", err=True)
    return history


def _verdict(text: str | None) -> str:
    if not text:
        return ""
    known = [verdict.value for verdict in Verdict]
    if text.upper() not in known:
        close = nearest(text.upper(), known)
        hint = f"did you mean {close}?" if close else f"known: {', '.join(known)}"
        raise UserError(f"there is no verdict '{text}'", hint=hint)
    return text.upper()


def _show_runs(rows: Sequence[Mapping[str, Any]]) -> None:
    table = [
        ("run", "when", "verdict", "pass", "bad", "skip", "time", "series", "digest", "topology", "source", "host")
    ]
    for row in rows:
        state = f"{row['verdict']}{' (interrupted)' if row['interrupted'] else ''}"
        number = [str(row[name] or "·") for name in ("passed", "bad", "skipped")]
        where = (row["topology"], row["source"], row["host"])
        table.append(
            (row["name"], when(row), state, *number, duration(row["seconds"]), row["series"] or "none",
             row["series_digest"][:8], *where)
        )  # fmt: skip
    show_table(table)
    if not rows:
        click.echo("no run matches")


def _show_cases(
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    reruns: Mapping[int, Sequence[str]],
    *,
    verdict: str,
    as_json: bool,
) -> None:
    from harness.history.trend import trends

    found = trends(rows, reruns)
    if as_json:
        print_json([_trend_as_json(one, verdict) for one in found])
    elif not found:
        click.echo(f"{names[0]}: no run matches")
    elif len(names) == 1:
        click.echo(names[0])
        for one in found:
            _show_trend(one)
        click.echo()
        _show_outcomes([row for row in rows if not verdict or row["verdict"] == verdict], reruns)
    else:
        _show_trends([one for one in found if not verdict or one.verdict == verdict])


def _show_trends(found: Sequence[Trend]) -> None:
    """A line a case; cases of one cell below it."""
    for cell, group in groupby(sorted(found, key=lambda one: one.cell), key=lambda one: one.cell):
        click.echo(click.style(cell, bold=True))
        table = [("case", "state", "passed", "last", "so since")]
        for one in sorted(group, key=lambda one: (one.state not in ("broken", "flaky"), one.case)):
            since = f"{one.changed['name']}" if one.changed is not None else "always"
            table.append((one.case, one.state, f"{one.passed}/{one.ran}", one.verdict, since))
        show_table(table)


def _show_trend(one: Trend) -> None:
    click.echo(f"  {one.cell}")
    rate = f"passed {one.passed} of {one.ran} runs ({one.rate:.0%})" if one.rate is not None else "never ran"
    click.echo(f"    {one.state}: {rate}; now {one.verdict}")
    if one.mixed:
        click.echo(f"    passes and fails on the same inputs ({one.mixed[0][:12]})")
    if one.first_bad is not None:
        click.echo(f"    first failing  {_revision(one.first_bad)}")
    if one.last_good is not None:
        click.echo(f"    last passing   {_revision(one.last_good)}")
    if not Verdict(one.verdict).good and one.first_bad is None:
        click.echo("    failing in every run that is looked at (--limit)")
    if one.first_bad is None and one.changed is not None:
        click.echo(f"    {one.verdict} since     {_revision(one.changed)}")


def _revision(row: Mapping[str, Any]) -> str:
    series = f"series {row['series']} {row['series_digest'][:12]}, " if row["series_digest"] else ""
    return f"{row['name']}  {when(row)}  {series}commit {row['commit'][:12]}"


def _show_outcomes(rows: Sequence[Mapping[str, Any]], reruns: Mapping[int, Sequence[str]]) -> None:
    table = [("run", "when", "verdict", "reruns", "time", "series", "topology", "fingerprint", "reason")]
    for row in rows[:_SHOWN]:
        again = " ".join(reruns.get(row["id"], ())) or "·"
        series = row["series_digest"][:8] or "none"
        table.append(
            (row["name"], when(row), row["verdict"], again, duration(row["seconds"]), series, row["topology"],
             row["fingerprint"] or "·", printable(row["reason"], limit=80).replace("\n", " "))
        )  # fmt: skip
    show_table(table)
    if len(rows) > _SHOWN:
        click.echo(f"… and {len(rows) - _SHOWN} earlier ones (--json has all)")


def when(row: Mapping[str, Any]) -> str:
    """When a run began, in this machine's time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(row["started"]))


def show_table(rows: Iterable[Sequence[str]]) -> None:
    """Print rows as columns, the first row as their heads; nothing where there is only that."""
    lines = [[str(cell) for cell in row] for row in rows]
    if len(lines) < 2:
        return
    widths = [min(_WIDEST, max(len(row[column]) for row in lines)) for column in range(len(lines[0]))]
    for number, row in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)


def _run_as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("id", "uid")}


def _trend_as_json(one: Trend, verdict: str) -> dict[str, Any]:
    def brief(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
        names = ("name", "started", "host", "series", "series_digest", "commit", "decides")
        return {name: row[name] for name in names} if row is not None else None

    kept = (
        "run",
        "started",
        "host",
        "verdict",
        "seconds",
        "reason",
        "fingerprint",
        "series_digest",
        "commit",
        "decides",
    )
    return {
        "case": one.case,
        "cell": one.cell,
        "state": one.state,
        "ran": one.ran,
        "passed": one.passed,
        "rate": one.rate,
        "verdict": one.verdict,
        "changed": brief(one.changed),
        "first_bad": brief(one.first_bad),
        "last_good": brief(one.last_good),
        "mixed": list(one.mixed),
        "outcomes": [
            {name: row[name] for name in kept} for row in one.rows if not verdict or row["verdict"] == verdict
        ],
    }
