# SPDX-License-Identifier: GPL-2.0-only
"""The pages over many runs: the overview with the matrix, nights, the list of runs, a cell, the cases, topologies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from harness import topology as topologies
from harness.errors import HarnessError
from harness.history.query import is_bad
from harness.page import clean
from harness.results.record import exit_status
from harness.site import names, past, plots
from harness.site import rows as hot
from harness.site.facts import Facts
from harness.site.runs import topology_page
from harness.site.state import CaseState, Files, RunState
from harness.values import Verdict

Row = Mapping[str, Any]

RUNS = 100  # of a page
CASES = 500
_DAYS = 14  # of the overview's nights, and for how long a cell stays in the matrix
_CELLS = 60  # rows of a grid
_COLUMNS = 60  # runs of a cell's grid
_GRID_CASES = 40
_FAILING = 40
_SUMMARIES = 60
_LARGEST = 8 << 20  # bytes of a summary


def write_runs(files: Files, rows: Sequence[Row]) -> None:
    """The list of runs: the newest on ``runs.html``, the others in pages that stay as they are."""
    parts = max(0, len(rows) // RUNS - 1)
    for part in range(parts + 1):
        newest = part == parts
        some = rows[part * RUNS :] if newest else rows[part * RUNS : (part + 1) * RUNS]
        context = {
            "title": "runs",
            "here": "runs",
            "rows": list(reversed(some)),
            "many": len(rows),
            "older": f"runs-{part}.html" if part else "",
            "newer": "" if newest else (f"runs-{part + 2}.html" if part + 1 < parts else "runs.html"),
            "run_page": names.run_page,
            "what": past.title_of,
        }
        files.page("runs.html" if newest else f"runs-{part + 1}.html", "runs", context)


def write_cell(files: Files, connection: sa.Connection, rows: Sequence[Row], states: Mapping[str, RunState]) -> None:
    """A cell: its newest runs, the cases that failed in them as a grid, its times and memory; ``rows`` oldest first."""
    some = rows[-_COLUMNS:]
    bad = past.bad_outcomes(connection, [row["id"] for row in some])
    often = Counter(name for found in bad.values() for name in dict.fromkeys(one["name"] for one in found))
    cases = [name for name, _ in often.most_common(_GRID_CASES)]
    verdicts = past.verdicts_of(connection, [row["id"] for row in some], cases)
    context = {
        "title": past.cell_title(rows[-1]),
        "here": "runs",
        "row": rows[-1],
        "cell": past.cell_title(rows[-1]),
        "what": past.title_of(rows[-1]),
        "rows": some,
        "many": len(rows),
        "cases": cases,
        "left_out": len(often) - len(cases),
        "verdicts": verdicts,
        "plots": _cell_plots(some, states),
        "run_page": names.run_page,
        "case_page": names.case_page,
    }
    files.page(names.cell_page(rows[-1]["cell"]), "cell", context)


def _cell_plots(rows: Sequence[Row], states: Mapping[str, RunState]) -> list[Any]:
    ends = (rows[0]["when"], rows[-1]["when"])
    bad = frozenset(number for number, row in enumerate(rows) if is_bad(row["verdict"]))

    def chart(title: str, unit: str, values: Mapping[str, Sequence[float | None]]) -> Any:
        lines: list[plots.Line] = []
        for name, column in values.items():
            at = [(row["started"], value) for row, value in zip(rows, column, strict=True) if value is not None]
            lines.append(
                plots.Line(name=name, points=at, bad=bad if len(at) == len(rows) and not lines else frozenset())
            )
        return plots.svg(plots.Chart(title=title, unit=unit, lines=lines, ends=ends, dots=True))

    known = [states.get(row["uid"]) for row in rows]
    found = [
        chart("how long a run took; ringed: it failed", "s", {
            "whole run": [row["seconds"] for row in rows], "in the guest": [row["guest_seconds"] for row in rows]}),
        chart("boot time of the first guest", "s", {"": [one.boot if one else None for one in known]}),
        chart("guest memory in use after the boot", "MiB", {"": [one.memory if one else None for one in known]}),
    ]  # fmt: skip
    return [one for one in found if one]


def newest_of_cells(rows: Sequence[Row]) -> list[Row]:
    """The newest run of each cell, those of the last :data:`_DAYS` days before the newest run; newest first."""
    cells = {row["cell"]: row for row in rows}
    since = rows[-1]["started"] - _DAYS * 86400 if rows else 0.0
    return sorted((row for row in cells.values() if row["started"] >= since), key=lambda row: -row["started"])


def matrix(rows: Sequence[Row]) -> dict[str, Any]:
    """The newest run of each cell as a grid: what ran down, topologies across; several of one place side by side."""
    newest = newest_of_cells(rows)
    columns = sorted({row["topology"] for row in newest})
    places: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in newest:
        title = f"{past.series_of(row)} on {row['source']}", f"{row['fragments']} {row['guest']}".strip()
        places.setdefault(title, {}).setdefault(row["topology"], []).append(row)
    return {"columns": columns, "rows": list(places.items())[:_CELLS], "left_out": max(0, len(places) - _CELLS)}


def nights(rows: Sequence[Row]) -> dict[str, Any]:
    """Runs as a grid: cells down, days across; of a day's runs of a cell the last, and how many there were."""
    days = sorted({row["day"] for row in rows})
    cells: dict[str, dict[str, list[Row]]] = {}
    for row in reversed(rows):
        cells.setdefault(row["cell"], {}).setdefault(row["day"], []).append(row)
    places = [(next(iter(found.values()))[0], found) for found in cells.values()]
    return {"days": days, "rows": places[:_CELLS], "left_out": max(0, len(places) - _CELLS)}


def write_summaries(files: Files, folder: Path) -> list[tuple[str, str, str]]:
    """Bring the newest nightlies' own summaries along: the page, the night and its title of each, the newest first."""
    found = []
    for file in sorted(folder.glob("*/nights/*/summary.html"), key=lambda one: one.parent.name)[-_SUMMARIES:]:
        night, matrix = file.parent.name, file.parts[-4]
        try:
            if file.stat().st_size > _LARGEST:
                continue
            page = f"nights/{names.slug(f'{matrix}-{night}')}.html"
            files.put(page, file.read_bytes())
            with open(file.with_name("summary.txt"), encoding="utf-8", errors="replace") as stream:
                title = stream.readline(400)
        except OSError:
            continue  # it is being written, or goes
        found.append((page, clean(night, 80), clean(title.strip(), 300) or clean(matrix, 80)))
    return found[::-1]


def write_nights(files: Files, rows: Sequence[Row], summaries: Sequence[tuple[str, str, str]]) -> None:
    """The verdicts over the nights, a page a month; the newest month is ``nights.html``, which has the summaries."""
    months: dict[str, list[Row]] = {}
    for row in rows:
        months.setdefault(row["day"][:7], []).append(row)
    order = sorted(months)
    pages = {month: "nights.html" if month == order[-1] else f"nights/{month}.html" for month in order}
    for month in order or [""]:
        context = {
            "title": f"nights {month}",
            "here": "nights",
            "month": month,
            "pages": list(pages.items()),
            "grid": nights(months.get(month, [])),
            "summaries": summaries if month == (order or [""])[-1] else (),
            "run_page": names.run_page,
            "cell_page": names.cell_page,
            "cell_title": past.cell_title,
        }
        files.page(pages.get(month, "nights.html"), "nights", context)


def write_index(files: Files, connection: sa.Connection, rows: Sequence[Row], cases: int) -> None:
    """The overview."""
    newest = newest_of_cells(rows)
    bad = past.bad_outcomes(connection, [row["id"] for row in newest])
    failing = [(row, one) for row in newest for one in bad.get(row["id"], ())]
    recent = [row for row in rows if row["started"] >= rows[-1]["started"] - _DAYS * 86400] if rows else []
    worst = min((Verdict(row["verdict"]) for row in newest), key=_gravity, default=None)
    context = {
        "title": "N_PRIVATE harness",
        "here": "",
        "many": len(rows),
        "cases": cases,
        "newest": newest,
        "good": sum(not is_bad(row["verdict"]) for row in newest),
        "worst": worst.value if worst is not None else "",
        "matrix": matrix(rows),
        "nights": nights(recent),
        "failing": failing[:_FAILING],
        "left_out": max(0, len(failing) - _FAILING),
        "recent": list(reversed(rows[-12:])),
        "run_page": names.run_page,
        "case_page": names.case_page,
        "cell_page": names.cell_page,
        "cell_title": past.cell_title,
        "what": past.title_of,
    }
    files.page("index.html", "index", context)


def _gravity(verdict: Verdict) -> int:
    return {4: 0, 3: 1, 1: 2, 0: 3}[exit_status(verdict)]


def write_cases(files: Files, found: Sequence[CaseState]) -> None:
    """The list of cases, those that fail first."""
    order = ("broken", "flaky", "passing", "skipped")
    rows = sorted(found, key=lambda one: (order.index(one.state), one.name))
    pages = ["cases.html", *(f"cases-{part}.html" for part in range(2, -(-len(rows) // CASES) + 1))]
    for part, page in enumerate(pages):
        some = rows[part * CASES : (part + 1) * CASES]
        context = {"title": "cases", "here": "cases", "rows": hot.of_cases(some), "pages": pages, "page": page}
        files.page(page, "cases", context | {"shown": len(some), "many": len(rows)})


def write_topology(files: Files, facts: Facts) -> tuple[str, str, str] | None:
    """The drawing of a run's topology: its page, name and title; None where it is not known or cannot be drawn."""
    page = topology_page(facts)
    if not page or facts.topology is None:
        return None
    try:
        drawing = clean(topologies.draw_svg(facts.topology), 1 << 22)
        tree = clean(topologies.draw_tree(facts.topology), 1 << 16)
    except (HarnessError, KeyError, ValueError, IndexError):
        return None
    name, title = clean(facts.topology.name, 80), clean(facts.topology.title, 300)
    picture = page.removesuffix(".html") + ".svg"
    files.put(picture, drawing.encode("utf-8", "replace"))
    context = {
        "title": f"topology {name}",
        "here": "topologies",
        "name": name,
        "about": title,
        "picture": picture.removeprefix("topologies/"),
        "tree": tree,
    }
    files.page(page, "topology", context)
    return page, name, title


def write_topologies(files: Files, found: Mapping[str, tuple[str, str]]) -> None:
    """The list of topologies."""
    rows = sorted(((name, title, page) for page, (name, title) in found.items()), key=lambda one: one[0])
    context = {"title": "topologies", "here": "topologies", "rows": rows}
    files.page("topologies.html", "topologies", context)
