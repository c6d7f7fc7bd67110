# SPDX-License-Identifier: GPL-2.0-only
"""What kind of failure each is: new, known, flaky; and what was fixed. For the end of a run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from harness.display import many
from harness.history.database import History
from harness.history.kinds import FLAKY, KNOWN, NEW, Classified, Kind
from harness.history.query import is_bad, is_good
from harness.history.record import chunks
from harness.history.rows import Rows
from harness.history.schema import case, outcome, rerun, run
from harness.values import Verdict

_BEFORE = 20  # runs of the same cell that are looked back on


def classify(history: History, rows: Rows) -> Classified:
    """Look back from a run (which may be recorded or not) on those before it."""
    verdicts = _worst(rows.outcomes)
    bad = {name: row for name, row in verdicts.items() if is_bad(row["verdict"])}
    with history.reading() as connection:
        before = _of_the_cell(connection, rows)
        seen = _same_fingerprints(connection, rows, bad)
        same = _same_inputs(connection, rows, list(bad))
    for one in rows.reruns:
        same[one["case"]].append(one["verdict"])
    failures = {
        name: _kind(row, before.get(name, []), seen.get(name), [row["verdict"], *same[name]])
        for name, row in bad.items()
    }
    fixed = [
        name
        for name, row in verdicts.items()
        if is_good(row["verdict"]) and before.get(name) and is_bad(before[name][0])
    ]
    return Classified(failures=failures, fixed=tuple(fixed))


def _kind(row: Mapping[str, Any], before: Sequence[str], seen: tuple[int, float] | None, same: Sequence[str]) -> Kind:
    ran = [verdict for verdict in same if verdict not in _NO_VERDICT]
    passed = sum(map(is_good, ran))
    if passed:
        return Kind(kind=FLAKY, told=f"flaky: passed {passed} of {len(ran)} times on the same inputs")
    if seen is not None:
        times, first = seen
        since = time.strftime("%Y-%m-%d", time.localtime(first))
        return Kind(kind=KNOWN, told=f"known: failed so in {many(times, 'run')} since {since}")
    ran = [verdict for verdict in before if verdict not in _NO_VERDICT]
    if not ran:
        return Kind(kind=NEW, told="new: never seen to fail, never run like this before")
    if is_bad(ran[0]):
        return Kind(kind=NEW, told=f"new: failed before, but not so ({ran[0]})")
    good = next((number for number, verdict in enumerate(ran) if is_bad(verdict)), len(ran))
    return Kind(kind=NEW, told=f"new: passed in the {many(good, 'run')} before")


_NO_VERDICT = (Verdict.SKIP, Verdict.BOOT, Verdict.INFRA)


def _worst(outcomes: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """One outcome a case: a bad one where it has several."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in outcomes:
        if row["case"] not in found or is_bad(row["verdict"]):
            found[row["case"]] = row
    return found


def _earlier(rows: Rows) -> sa.ColumnElement[bool]:
    """The runs that began before this one."""
    return sa.and_(run.c.uid != rows.run["uid"], run.c.started <= rows.run["started"])


def _of_the_cell(connection: sa.Connection, rows: Rows) -> dict[str, list[str]]:
    """The verdicts of each case in the last runs of the same cell, the newest first."""
    chosen = (
        sa.select(run.c.id, run.c.started, run.c.name)
        .where(run.c.cell == rows.run["cell"], _earlier(rows))
        .order_by(run.c.started.desc(), run.c.name.desc())
        .limit(_BEFORE)
        .subquery()
    )
    query = (
        sa.select(case.c.name, outcome.c.verdict)
        .join_from(outcome, chosen, chosen.c.id == outcome.c.run_id)
        .join(case, case.c.id == outcome.c.case_id)
        .order_by(chosen.c.started.desc(), chosen.c.name.desc())
    )
    found: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.name].append(row.verdict)
    return found


def _same_fingerprints(
    connection: sa.Connection, rows: Rows, bad: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[int, float]]:
    """Of each case that failed in the same way before: in how many runs, and since when (epoch seconds)."""
    found: dict[str, tuple[int, float]] = {}
    for some in chunks(sorted(bad), 300):
        query = (
            sa.select(
                case.c.name, outcome.c.fingerprint, sa.func.count(run.c.id.distinct()), sa.func.min(run.c.started)
            )
            .join_from(outcome, case)
            .join(run, run.c.id == outcome.c.run_id)
            .where(case.c.name.in_(some), outcome.c.fingerprint.in_({bad[name]["fingerprint"] for name in some}))
            .where(_earlier(rows))
            .group_by(case.c.name, outcome.c.fingerprint)
        )
        for name, fingerprint, times, first in connection.execute(query):
            if fingerprint == bad[name]["fingerprint"]:
                found[name] = (times, first)
    return found


def _same_inputs(connection: sa.Connection, rows: Rows, names: Sequence[str]) -> dict[str, list[str]]:
    """The verdicts of cases in earlier runs of exactly the same, their reruns included."""
    found: dict[str, list[str]] = defaultdict(list)
    for table in (outcome, rerun):
        for some in chunks(names, 300):
            query = (
                sa.select(case.c.name, table.c.verdict)
                .join_from(table, case)
                .join(run, run.c.id == table.c.run_id)
                .where(run.c.decides == rows.run["decides"], case.c.name.in_(some), _earlier(rows))
            )
            for name, verdict in connection.execute(query):
                found[name].append(verdict)
    return found
