# SPDX-License-Identifier: GPL-2.0-only
"""Whether what a matrix names is there: every value of every axis, told with its place and the nearest name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness import kconfig, run, series, source
from harness import topology as topologies
from harness.errors import UserError, nearest
from harness.nightly.cells import Cell
from harness.nightly.matrix import AXES, Archived, Matrix, at
from harness.paths import Paths
from harness.run import RunPlan

_LISTS: dict[str, str] = {"source": "sources", "topology": "topologies"}


def check(matrix: Matrix, cells: Sequence[Cell], *, paths: Paths) -> dict[str, RunPlan]:
    """What ``harness run`` plans for each cell, by key; raises :class:`UserError` for what is not there."""
    looks: dict[str, Callable[[Cell], object]] = {
        "source": lambda cell: source.parse(cell.profile.source),
        "series": lambda cell: _series(matrix, cell, paths),
        "fragments": lambda cell: kconfig.merge(kconfig.parse_requests(cell.profile.config), paths.kconfigs),
        "topology": lambda cell: topologies.load(cell.profile.topology, paths=paths),
        "suites": lambda cell: run.plan(cell.profile, paths=paths),
    }
    for number, axis in enumerate(AXES):
        first: dict[str, Cell] = {}
        for cell in cells:
            first.setdefault(cell.values[number], cell)
        for value, cell in first.items():
            try:
                looks[axis](cell)
            except UserError as error:
                raise _placed(matrix, axis, value, cell, error) from None
    plans: dict[str, RunPlan] = {}
    for cell in cells:
        try:
            plans[cell.key] = run.plan(cell.profile, paths=paths)
        except UserError as error:
            raise at(matrix, f"the cell '{cell.title}'", error) from None
    return plans


def _series(matrix: Matrix, cell: Cell, paths: Paths) -> None:
    archived = matrix.series.get(cell.series)
    if isinstance(archived, Archived):
        archive = Path(archived.archive).expanduser()
        if not archive.exists():
            raise UserError(f"there is no mail archive {archive}", hint="an mbox, or a maildir")
    elif cell.profile.series:
        series.parse(cell.profile.series, paths=paths)


def _placed(matrix: Matrix, axis: str, value: str, cell: Cell, error: UserError) -> UserError:
    """The error with the place of the value in the file, and the nearest of the file's own names."""
    table = _LISTS.get(axis, axis)
    defined: Mapping[str, object] = getattr(matrix, table, {})
    if value in defined:
        return at(matrix, f"{table}.{value}", error)
    listed: Sequence[str] = getattr(matrix.matrix, table) or ()
    place = f"matrix.{table}[{listed.index(value)}]" if value in listed and cell.place == "matrix" else cell.place
    if place == "matrix":
        place = f"profile '{matrix.profile}'"
    close = nearest(value, defined)
    if close is not None:
        error = UserError(error.message, hint=f"did you mean '{close}' of [{table}]? {error.hint or ''}".strip())
    return at(matrix, place if place.startswith("matrix") else f"{place}, {axis}", error)
