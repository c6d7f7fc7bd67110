# SPDX-License-Identifier: GPL-2.0-only
"""The pages of a case: its newest outcomes with trends and times, and its earlier way in parts that never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.history.query import is_bad
from harness.history.trend import trends
from harness.site import names, past, plots, rows
from harness.site.state import CaseState, Files

Row = Mapping[str, Any]

PART = 100
_STRIP = 40  # runs of a cell in its strip
_CELLS = 30


def older_parts(many: int) -> int:
    """How many full parts lie before the newest page, which has between one and two parts' worth of outcomes."""
    return max(0, many // PART - 1)


def as_before(many: int, changed: int) -> int:
    """Of ``many`` outcomes, whose newest ``changed`` are not as before, how many need not be looked at.

    The part that was the last before is written, too: what is newer than it is another page now.
    """
    return max(0, min((many - changed) // PART - 2, older_parts(many))) * PART


def write(
    files: Files,
    name: str,
    way: Sequence[dict[str, Any]],
    known: Mapping[int, Row],
    reruns: Mapping[int, Sequence[str]],
    *,
    before: int = 0,
) -> CaseState:
    """Write a case's pages; ``way`` is the oldest first, ``before`` it are so many that are as they were.

    Returns what the list of cases shows of it.
    """
    many = before + len(way)
    parts = older_parts(many)
    for part in range(-(-before // PART), parts):
        some = way[part * PART - before : (part + 1) * PART - before]
        context = {
            "title": f"{name}, part {part + 1}",
            "here": "cases",
            "name": name,
            "rows": rows.of_case([_line(row, known, reruns) for row in reversed(some)]),
            "trends": (),
            "plot": "",
            "older": names.case_page(name, part) if part else "",
            "newer": names.case_page(name, part + 2 if part + 1 < parts else 0),
            "many": len(some),
            "run_page": names.run_page,
        }
        files.page(names.case_page(name, part + 1), "case", context)
    head = way[parts * PART - before :]
    lines = [_line(row, known, reruns) | {"case": name} for row in reversed(head)]
    found = trends(lines, reruns)[:_CELLS]
    context = {
        "title": name,
        "here": "cases",
        "name": name,
        "rows": rows.of_case(lines),
        "trends": [{"of": one, "strip": list(reversed(one.rows[:_STRIP]))} for one in found],
        "plot": _times(lines),
        "older": names.case_page(name, parts) if parts else "",
        "newer": "",
        "many": many,
        "run_page": names.run_page,
        "cell_page": names.cell_page,
        "cell_title": past.cell_title,
    }
    files.page(names.case_page(name), "case", context)
    states = [one.state for one in found]
    state = next((one for one in ("broken", "flaky", "passing") if one in states), "skipped")
    ran = sum(one.ran for one in found)
    passed = sum(one.passed for one in found)
    newest = {key: lines[0][key] for key in ("verdict", "seconds", "when")}
    return CaseState(name=name, state=state, ran=ran, passed=passed, **newest)


def _line(row: Row, known: Mapping[int, Row], reruns: Mapping[int, Sequence[str]]) -> dict[str, Any]:
    of_run = known[row["run_id"]]
    return {**of_run, **row, "id": row["run_id"], "again": " ".join(reruns.get(row["run_id"], ()))}


def _times(lines: Sequence[Row]) -> str:
    """How long it took in its runs, a line a cell."""
    cells: dict[str, list[Row]] = {}
    for row in reversed(lines):
        if row["verdict"] != "SKIP":
            cells.setdefault(row["cell"], []).append(row)
    most = sorted(cells.values(), key=len, reverse=True)[:5]
    if not most:
        return ""
    drawn = [
        plots.Line(
            name=f"{some[0]['topology']} {some[0]['series_digest'][:6]}" if len(most) > 1 else "",
            points=[(row["started"], row["seconds"]) for row in some],
            bad=frozenset(number for number, row in enumerate(some) if is_bad(row["verdict"])),
        )
        for some in most
    ]
    ends = (min(some[0]["when"] for some in most), max(some[-1]["when"] for some in most))
    return plots.svg(
        plots.Chart(title="how long it took; ringed: it failed", unit="s", lines=drawn, ends=ends, dots=True)
    )
