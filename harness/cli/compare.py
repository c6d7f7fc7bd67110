# SPDX-License-Identifier: GPL-2.0-only
"""``harness compare``: what changed from one run to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.cli.history import opened, show_table, when
from harness.cli.session import Session, json_option, print_json
from harness.display import duration, many, printable

if TYPE_CHECKING:
    from harness.history.compare import Change, Comparison

_GROUPS = (
    ("broken", "red"), ("fixed", "green"), ("new", ""), ("gone", "yellow"), ("changed", ""),
    ("slower", "yellow"), ("faster", "green"),
)  # fmt: skip
_SHORT = 12
_SHOWN = 30


@click.command()
@click.argument("before", metavar="RUN")
@click.argument("after", metavar="RUN")
@json_option
@click.pass_obj
def command(session: Session, before: str, after: str, as_json: bool) -> int:
    """Show the cases that changed from one run to another: broken, fixed, new, gone, slower, faster.

    A run is its id, the start of one, `last`, `last~1` (the one before), or a run folder. A time counts as changed
    where it differs by more than this case's times usually do. Exit status 1 where a case is broken or a new one fails.

    \b
    harness compare last~1 last
    harness compare 20261120-013000-0412a 20261121-013000-7fe01
    harness compare /mnt/other/runs/20261120-013000-0412a last
    """
    from harness.history import compare
    from harness.history.query import find_run

    with opened(session) as history:
        one = find_run(history, before, paths=session.paths)
        other = find_run(history, after, paths=session.paths)
        known = compare.samples(history, [one[0], other[0]])
    found = compare.compare(one, other, known)
    if as_json:
        print_json(_as_json(found))
    else:
        _show(found)
    return int(found.worse)


def _show(found: Comparison) -> None:
    for name, row in (("before", found.before), ("after", found.after)):
        told = f"{row['verdict']}{', interrupted' if row['interrupted'] else ''}"
        click.echo(f"{name:<7} {row['name']}  {when(row)}  {row['host']}  {told}")
    for name, (one, other) in found.inputs.items():
        click.echo(f"  {name}: {_short(one)} → {_short(other)}")
    if found.same_inputs:
        click.echo("  the same inputs")
    elif not found.inputs:
        click.echo("  another selection of cases, or other options of the tests (see the manifests)")
    for name, colour in _GROUPS:
        changes: Sequence[Change] = getattr(found, name)
        if changes:
            click.echo(click.style(f"{name} {len(changes)}", bold=True, fg=colour or None))
            lines = [_line(change, timed=name in _TIMED) for change in changes[:_SHOWN]]
            show_table([("  case", "before", "after", "why"), *lines])
            if len(changes) > _SHOWN:
                click.echo(f"  … and {len(changes) - _SHOWN} more (--json has all)")
    same = f"{many(found.same, 'case')} with the same verdict"
    steady = ", as quick as ever" if found.same and not (found.untimed or found.slower or found.faster) else ""
    click.echo(f"{same}{steady}{'; ' if found.untimed else ''}{found.untimed}")


_TIMED = ("slower", "faster")


def _line(change: Change, *, timed: bool) -> tuple[str, str, str, str]:
    if timed and change.seconds is not None:
        return f"  {change.case}", duration(change.seconds[0]), duration(change.seconds[1]), ""
    why = printable(change.reason, limit=120).replace("\n", " ") if change.after not in ("PASS", None) else ""
    return f"  {change.case}", change.before or "·", change.after or "·", why


def _short(value: Any) -> str:
    text = str(value)
    if len(text) == 64 and all(letter in "0123456789abcdef" for letter in text):
        return text[:_SHORT]
    return printable(text, limit=80) or "none"


def _as_json(found: Comparison) -> dict[str, Any]:
    def brief(row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name not in ("id", "uid")}

    def plain(change: Change) -> dict[str, Any]:
        return {
            "case": change.case, "before": change.before, "after": change.after, "reason": change.reason,
            "seconds": list(change.seconds) if change.seconds is not None else None,
        }  # fmt: skip

    groups = {name: [plain(change) for change in getattr(found, name)] for name, _ in _GROUPS}
    inputs = {name: {"before": one, "after": other} for name, (one, other) in found.inputs.items()}
    ends = {"before": brief(found.before), "after": brief(found.after)}
    return ends | {"inputs": inputs} | groups | {"same": found.same, "untimed": found.untimed, "worse": found.worse}
