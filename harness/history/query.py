# SPDX-License-Identifier: GPL-2.0-only
"""Questions to the history: runs by what they ran, and the way of a case through them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from harness.errors import UserError, nearest
from harness.history import rows as run_rows
from harness.history.database import History
from harness.history.record import chunks
from harness.history.schema import case, outcome, rerun, run
from harness.paths import Paths
from harness.results.folder import RunFolder
from harness.values import Verdict

_LENGTH = re.compile(r"(\d{1,5})([hdw])")
_SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which runs: ``series`` and ``topology`` are names with wildcards, ``series`` also a digest's or commit's begin.

    ``since`` is in seconds since the epoch; ``verdict`` the run's own. Empty values do not filter.
    """

    series: str = ""
    topology: str = ""
    verdict: str = ""
    since: float = 0.0

    def clauses(self) -> list[sa.ColumnElement[bool]]:
        """The conditions on ``run``."""
        found: list[sa.ColumnElement[bool]] = []
        if self.series:
            begins = f"{_escaped(self.series)}%"
            ways = [_like(run.c.series, self.series)]
            if re.fullmatch(r"[0-9a-f]{4,64}", self.series):
                ways += [run.c.series_digest.like(begins, escape="\\"), run.c.commit.like(begins, escape="\\")]
            found.append(sa.or_(*ways))
        if self.topology:
            found.append(_like(run.c.topology, self.topology))
        if self.verdict:
            found.append(run.c.verdict == self.verdict)
        if self.since:
            found.append(run.c.started >= self.since)
        return found


def parse_since(text: str, *, now: float | None = None) -> float:
    """``2026-11-20``, ``2026-11-20 14:00`` (this machine's time) or ``36h``, ``7d``, ``2w`` ago, as epoch seconds."""
    if found := _LENGTH.fullmatch(text.strip()):
        return (time.time() if now is None else now) - int(found[1]) * _SECONDS[found[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UserError(f"--since is '{text[:40]}', expected a date (2026-11-20) or a length (36h, 7d, 2w)") from None


def runs(connection: sa.Connection, wanted: Filter, *, limit: int) -> list[Row]:
    """Runs, the newest first."""
    query = sa.select(run).where(*wanted.clauses()).order_by(run.c.started.desc(), run.c.name.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def outcomes_of(connection: sa.Connection, number: int) -> list[Row]:
    """What became of the cases of a run, in its order."""
    query = (
        sa.select(case.c.name, outcome.c.verdict, outcome.c.seconds, outcome.c.reason, outcome.c.fingerprint)
        .join_from(outcome, case)
        .where(outcome.c.run_id == number)
        .order_by(outcome.c.position)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def case_names(connection: sa.Connection, pattern: str) -> list[str]:
    """The cases that a name, a pattern, or a part of a name means, sorted; raises :class:`UserError` for none."""
    known: Sequence[str] = connection.execute(sa.select(case.c.name).order_by(case.c.name)).scalars().all()
    found = [name for name in known if name == pattern]
    found = found or [name for name in known if fnmatchcase(name, pattern)]
    found = found or [name for name in known if pattern in name]
    if not found:
        close = nearest(pattern, known)
        raise UserError(
            f"the history has no case '{pattern}'",
            hint=f"did you mean '{close}'?" if close else "harness history --case '*' lists the cases",
        )
    return found


def case_history(connection: sa.Connection, names: Sequence[str], wanted: Filter, *, newest: int) -> list[Row]:
    """The outcomes of cases in the newest runs of those wanted that had one of them: run's columns beside outcome's.

    The newest first; ``verdict`` is the case's, ``run_verdict`` the run's.
    """
    ids: list[int] = []
    for some in chunks(names, 500):
        ids += connection.execute(sa.select(case.c.id).where(case.c.name.in_(some))).scalars()
    everything = len(ids) == connection.execute(sa.select(sa.func.count()).select_from(case)).scalar_one()
    among = sa.true() if everything else outcome.c.case_id.in_(ids)
    had = sa.select(run.c.id, run.c.started, run.c.name).where(*wanted.clauses())
    had = had.where(sa.exists().where(outcome.c.run_id == run.c.id, among))
    chosen = had.order_by(run.c.started.desc(), run.c.name.desc()).limit(newest).subquery()
    columns = [one.label("run_verdict") if one.name == "verdict" else one for one in run.c if one.name not in _LONG]
    known = {
        row.id: dict(row._mapping)
        for row in connection.execute(sa.select(*columns).join(chosen, chosen.c.id == run.c.id))
    }
    query = (
        sa.select(
            outcome.c.run_id, case.c.name, outcome.c.verdict, outcome.c.seconds, outcome.c.reason, outcome.c.fingerprint
        )
        .join_from(outcome, chosen, chosen.c.id == outcome.c.run_id)
        .join(case, case.c.id == outcome.c.case_id)
        .where(among)
        .order_by(chosen.c.started.desc(), chosen.c.name.desc(), outcome.c.position)
    )
    return [
        known[row.run_id] | {"case": row.name, "verdict": row.verdict, "seconds": row.seconds, "reason": row.reason,
                             "fingerprint": row.fingerprint, "run": known[row.run_id]["name"]}
        for row in connection.execute(query)
    ]  # fmt: skip


_LONG = {"failure", "toolchain", "uid", "fingerprint", "seconds"}


def reruns_of(connection: sa.Connection, name: str) -> dict[int, list[str]]:
    """The verdicts of a case's reruns by run id."""
    query = sa.select(rerun.c.run_id, rerun.c.verdict).join_from(rerun, case).where(case.c.name == name)
    found: dict[int, list[str]] = {}
    for row in connection.execute(query.order_by(rerun.c.run_id, rerun.c.attempt)):
        found.setdefault(row.run_id, []).append(row.verdict)
    return found


def find_run(history: History, name: str, *, paths: Paths) -> tuple[Row, list[Row]]:
    """A run and its outcomes: a run folder's path, a run's id or the start of one, ``last`` or ``last~N``.

    Raises :class:`UserError` where there is no single one.
    """
    if (Path(name) / "results.json").is_file():
        read = run_rows.read(RunFolder(Path(name).absolute()))
        return read.run, [row | {"name": row["case"]} for row in read.outcomes]
    with history.reading() as connection:
        found = _by_name(connection, name)
        if len(found) == 1:
            return found[0], outcomes_of(connection, found[0]["id"])
        known = connection.execute(sa.select(run.c.name).order_by(run.c.started.desc()).limit(500)).scalars().all()
    if found:
        places = sorted({f"{row['name']} ({row['host']})" for row in found})
        raise UserError(f"{len(found)} runs are meant by '{name}'", hint=", ".join(places[:5]))
    close = nearest(name, known)
    hint = f"nearest: {close}" if close else "`harness history` lists the runs; a run folder's path is taken as well"
    raise UserError(f"the history has no run '{name}'", hint=hint)


def _by_name(connection: sa.Connection, name: str) -> list[Row]:
    query = sa.select(run)
    if back := re.fullmatch(r"last(?:~(\d{1,6}))?", name):
        query = query.order_by(run.c.started.desc(), run.c.name.desc()).offset(int(back[1] or 0)).limit(1)
    else:
        exact = query.where(run.c.name == name)
        begins = query.where(run.c.name.like(f"{_escaped(name)}%", escape="\\")).limit(20)
        found = [dict(row) for row in connection.execute(exact).mappings()]
        if found:
            return list(found)
        query = begins
    return [dict(row) for row in connection.execute(query).mappings()]


def is_good(verdict: str) -> bool:
    """Whether a case passed, where it ran: an expected failure counts as one that did."""
    return verdict in (Verdict.PASS.value, Verdict.XFAIL.value)


def is_bad(verdict: str) -> bool:
    """Whether a case failed in any way."""
    return not Verdict(verdict).good


def _like(column: sa.Column[Any], pattern: str) -> sa.ColumnElement[bool]:
    """A name with the wildcards of a shell."""
    text = _escaped(pattern).replace("*", "%").replace("?", "_")
    return column.like(text, escape="\\")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
