# SPDX-License-Identifier: GPL-2.0-only
"""Run folders into the history: each once, however often it is offered, and by however many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from harness.errors import UserError
from harness.history import rows as run_rows
from harness.history.database import History
from harness.history.rows import Rows
from harness.history.schema import case, outcome, rerun, run
from harness.results.folder import RunFolder

_T = TypeVar("_T")
_BATCH = 50  # runs of one transaction: others may write in between


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of folders: how many were new, how many known, and why those ``refused`` are."""

    new: int = 0
    known: int = 0
    refused: tuple[UserError, ...] = ()


def record(history: History, runs: Sequence[Rows]) -> int:
    """Write runs that are not there yet, and what is not there yet of reruns; how many runs were new."""
    with history.writing() as connection:
        cases = _case_ids(history, connection, frozenset().union(*(one.cases for one in runs)))
        return sum(_record(history, connection, one, cases) for one in runs)


def _record(history: History, connection: sa.Connection, one: Rows, cases: dict[str, int]) -> bool:
    new = connection.execute(history.insert(run).returning(run.c.id), one.run).scalar()
    number = new or connection.execute(sa.select(run.c.id).where(run.c.uid == one.run["uid"])).scalar_one()

    def placed(outcomes: Iterable[dict[str, object]]) -> list[dict[str, object]]:
        return [
            {name: value for name, value in row.items() if name != "case"}
            | {"run_id": number, "case_id": cases[str(row["case"])]}
            for row in outcomes
        ]

    if new and one.outcomes:
        connection.execute(sa.insert(outcome), placed(one.outcomes))
    if one.reruns:
        connection.execute(history.insert(rerun), placed(one.reruns))
    return new is not None


def _case_ids(history: History, connection: sa.Connection, names: frozenset[str]) -> dict[str, int]:
    """The ids of cases, new ones made."""
    wanted = sorted(names)
    found = dict(_known_cases(connection, wanted))
    missing = [{"name": name} for name in wanted if name not in found]
    if missing:
        connection.execute(history.insert(case), missing)
        found |= dict(_known_cases(connection, [one["name"] for one in missing]))
    return found


def _known_cases(connection: sa.Connection, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    for some in chunks(names, 500):
        query = sa.select(case.c.name, case.c.id).where(case.c.name.in_(some))
        yield from ((row.name, row.id) for row in connection.execute(query))


def import_folders(
    history: History, folders: Iterable[Path], *, tell: Callable[[int], None] = lambda _: None
) -> Imported:
    """Import finished run folders; ``tell`` hears how many were looked at. Damaged and newer ones are refused."""
    new = known = 0
    refused: list[UserError] = []
    for batch in chunks(folders, _BATCH):
        read = []
        for folder in batch:
            try:
                read.append(run_rows.read(RunFolder(folder)))
            except UserError as reason:
                refused.append(reason)
        added = record(history, read) if read else 0
        new, known = new + added, known + len(read) - added
        tell(new + known + len(refused))
    return Imported(new=new, known=known, refused=tuple(refused))


def run_folders(place: Path) -> list[Path]:
    """The run folders that a path means: itself, or those in it (``DATA/runs``, or ``DATA``), by name.

    Raises :class:`UserError` where there is none.
    """
    if not place.is_dir():
        raise UserError(f"there is no folder {place}", hint="name a run folder, or a folder of them")
    if (place / "results.json").exists() or (place / "manifest.json").exists():
        return [place]
    for within in (place, place / "runs"):
        found = finished(within)
        if found:
            return found
    raise UserError(f"{place} holds no finished run", hint="a finished run has a results.json")


def finished(runs: Path) -> list[Path]:
    """The finished runs in a folder of runs, oldest first."""
    return sorted(file.parent for file in runs.glob("*/results.json"))


def pending(history: History, runs: Path) -> list[Path]:
    """The finished runs of a folder of runs that the history does not have, oldest first; none that goes on still."""
    with history.reading() as connection:
        known = set(connection.execute(sa.select(run.c.name)).scalars())
    names = sorted(path for path in runs.iterdir() if path.name not in known) if runs.is_dir() else []
    return [path for path in names if (path / "results.json").is_file() and not RunFolder(path).going_on]


def chunks(values: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Values, some at a time."""
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some
