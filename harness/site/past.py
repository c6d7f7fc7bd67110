# SPDX-License-Identifier: GPL-2.0-only
"""What the site asks of the history: light rows of all runs, a run's outcomes, a case's way in parts."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from harness.history.record import chunks
from harness.history.schema import case, outcome, rerun, run

Row = Mapping[str, Any]

_RUN = (
    "id", "uid", "name", "started", "seconds", "guest_seconds", "verdict", "interrupted", "passed", "bad", "skipped",
    "decides", "cell", "host", "source", "version", "series", "revision", "series_digest", "patches", "commit",
    "fragments", "topology", "accel", "guest", "folder", "base", "config", "kernel", "toolchain", "payload", "rootfs",
    "qemu", "seed",
)  # fmt: skip
_OUTCOME = (outcome.c.run_id, outcome.c.verdict, outcome.c.seconds, outcome.c.reason, outcome.c.fingerprint)


def runs(connection: sa.Connection) -> list[dict[str, Any]]:
    """All runs, the oldest first, with what lists need; ``when`` and ``day`` are this machine's time."""
    query = sa.select(*(run.c[name] for name in _RUN)).order_by(run.c.started, run.c.name, run.c.uid)
    found = []
    for row in connection.execute(query):
        at = time.localtime(row.started)
        when, day = time.strftime("%Y-%m-%d %H:%M", at), time.strftime("%Y-%m-%d", at)
        found.append({**row._mapping, "when": when, "day": day})
    return found


def rerun_counts(connection: sa.Connection) -> Counter[int]:
    """How many reruns each run has, by its id."""
    query = sa.select(rerun.c.run_id, sa.func.count()).group_by(rerun.c.run_id)
    return Counter({number: many for number, many in connection.execute(query)})


def case_ids(connection: sa.Connection, numbers: Sequence[int] | None) -> dict[int, str]:
    """The cases of some runs (None: of all), by id."""
    if numbers is None:
        return {row.id: row.name for row in connection.execute(sa.select(case.c.id, case.c.name))}
    found: dict[int, str] = {}
    for some in chunks(numbers, 500):
        ids = sa.select(outcome.c.case_id).where(outcome.c.run_id.in_(some)).distinct()
        query = sa.select(case.c.id, case.c.name).where(case.c.id.in_(ids))
        found |= {row.id: row.name for row in connection.execute(query)}
    return found


def count_of(connection: sa.Connection, number: int, among: Sequence[int] | None = None) -> int:
    """How many outcomes a case has; ``among`` only those in some runs."""
    query = sa.select(sa.func.count()).select_from(outcome).where(outcome.c.case_id == number)
    if among is None:
        return int(connection.execute(query).scalar_one())
    return sum(connection.execute(query.where(outcome.c.run_id.in_(some))).scalar_one() for some in chunks(among, 500))


def way_of(connection: sa.Connection, number: int, newest: int) -> list[dict[str, Any]]:
    """The newest outcomes of a case, the oldest of them first."""
    query = sa.select(*_OUTCOME).join_from(outcome, run).where(outcome.c.case_id == number)
    order = (run.c.started.desc(), run.c.name.desc(), run.c.uid.desc(), outcome.c.position.desc())
    found = [dict(row._mapping) for row in connection.execute(query.order_by(*order).limit(newest))]
    return found[::-1]


def reruns_of(connection: sa.Connection, number: int) -> dict[int, list[str]]:
    """The verdicts of a case's reruns, by run id."""
    query = sa.select(rerun.c.run_id, rerun.c.verdict).where(rerun.c.case_id == number)
    found: dict[int, list[str]] = defaultdict(list)
    for row in connection.execute(query.order_by(rerun.c.run_id, rerun.c.attempt)):
        found[row.run_id].append(row.verdict)
    return found


def bad_outcomes(connection: sa.Connection, numbers: Iterable[int]) -> dict[int, list[dict[str, Any]]]:
    """The failures of some runs by run id, in the runs' order."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    columns = (outcome.c.run_id, case.c.name, outcome.c.verdict, outcome.c.reason, outcome.c.fingerprint)
    for some in chunks(numbers, 500):
        query = sa.select(*columns).join_from(outcome, case)
        query = query.where(outcome.c.run_id.in_(some), outcome.c.fingerprint != "")
        for row in connection.execute(query.order_by(outcome.c.run_id, outcome.c.position)):
            found[row.run_id].append(dict(row._mapping))
    return found


def verdicts_of(connection: sa.Connection, numbers: Sequence[int], names: Sequence[str]) -> dict[tuple[int, str], str]:
    """The verdicts of some cases in some runs, by run id and case."""
    found = {}
    for some in chunks(names, 300):
        query = sa.select(outcome.c.run_id, case.c.name, outcome.c.verdict).join_from(outcome, case)
        for row in connection.execute(query.where(outcome.c.run_id.in_(numbers), case.c.name.in_(some))):
            found[row.run_id, row.name] = row.verdict
    return found


def series_of(row: Row) -> str:
    """The series of a run and how many of its patches."""
    if not row["series"]:
        return "no series"
    many = f" ({row['patches']} patch{'' if row['patches'] == 1 else 'es'})" if row["patches"] else ""
    return f"{row['series']}{many}"


def title_of(row: Row) -> str:
    """What a run ran without its topology: series, source, fragments."""
    return f"{series_of(row)} on {row['source']}, {row['fragments']}"


def cell_title(row: Row) -> str:
    """The cell of a run in words."""
    more = "".join(f", {row[name]}" for name in ("accel", "guest") if row[name])
    return f"{row['source']} + {series_of(row)}, {row['topology']}{more}"
