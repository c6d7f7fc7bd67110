# SPDX-License-Identifier: GPL-2.0-only
"""The pages of a run: the run, its guests' consoles, what changed since the one before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from harness.display import crash_lines
from harness.errors import HarnessError
from harness.history.compare import Comparison
from harness.history.query import is_bad
from harness.page import clean
from harness.results.record import CaseRecord, Results
from harness.site import console, memory, names, past, rows
from harness.site.facts import Facts
from harness.site.state import Files

Row = Mapping[str, Any]

_SHOWN = 40  # failures whose details are shown
_LINES = 30  # of a failure's diagnostics
_WIDEST = 400
GROUPS = ("broken", "fixed", "new", "gone", "changed", "slower", "faster")


def write(
    files: Files, row: Row, outcomes: Sequence[Row], facts: Facts, *, before: Row | None, changes: Comparison | None
) -> None:
    """Write a run's page and those of its consoles and samples; ``before`` is the run of its cell before it."""
    known = {one["name"] for one in outcomes}
    guests = [_console(files, row, guest, folder / "console.log", known) for guest, folder in facts.guests.items()]
    sampled = memory.write(files, row, facts, known)
    anchors = {case: f"{page}#{anchor}" for page, view in reversed(guests) for case, anchor in view.anchors.items()}
    records = _records(facts.results)
    bad = [one for one in outcomes if is_bad(one["verdict"])]
    context = {
        "title": f"{row['verdict']}: run {clean(row['name'], 80)}",
        "here": "runs",
        "run": row,
        "cell": past.cell_title(row),
        "what": past.title_of(row),
        "facts": facts,
        "command": " ".join(map(str, _command(facts)))[:2000],
        "cell_page": names.cell_page(row["cell"]),
        "rows": rows.of_run(outcomes, {one["name"]: number for number, one in enumerate(bad[:_SHOWN])}),
        "case_page": names.case_page,
        "bad": [_failure(one, records.get(one["name"]), anchors.get(one["name"], "")) for one in bad[:_SHOWN]],
        "more": len(bad) - _SHOWN,
        "reruns": facts.results.reruns if facts.results is not None else (),
        "guests": [{"page": page, "view": view} for page, view in guests],
        "memory_page": names.memory_page(row).removeprefix("runs/") if sampled else "",
        "topology_page": topology_page(facts),
        "before": before,
        "before_page": names.run_page(before) if before is not None else "",
        "compare_page": names.compare_page(before, row) if before is not None else "",
        "changes": [(name, len(getattr(changes, name))) for name in GROUPS if getattr(changes, name)]
        if changes
        else [],
    }
    files.page(names.run_page(row), "run", context)


def write_comparison(files: Files, found: Comparison) -> None:
    """Write the page that compares two runs."""
    context = {
        "title": "what changed",
        "here": "runs",
        "found": found,
        "groups": [(name, getattr(found, name)) for name in GROUPS if getattr(found, name)],
        "inputs": [(name, _short(one), _short(other)) for name, (one, other) in found.inputs.items()],
        "pages": [names.run_page(found.before), names.run_page(found.after)],
        "case_page": names.case_page,
    }
    files.page(names.compare_page(found.before, found.after), "compare", context)


def _short(value: Any) -> str:
    text = clean(value, 80)
    return text[:16] if re.fullmatch(r"[0-9a-f]{32,}", text) else text


def topology_page(facts: Facts) -> str:
    """The page of a run's topology; empty where it is not known."""
    if facts.topology is None or facts.manifest is None:
        return ""
    return names.topology_page(facts.topology.name, str(facts.manifest.decides["topology"].get("digest", "")))


def _console(files: Files, row: Row, guest: str, file: Path, known: Set[str]) -> tuple[str, console.ConsoleView]:
    page = names.console_page(row, guest)

    def case_link(case: str) -> str:
        return f"../{names.case_page(case)}" if case in known else ""  # a guest can write any name

    try:
        view = console.view(file, case_link)
    except HarnessError:
        view = console.ConsoleView()
    context = {
        "title": f"console of guest {guest}, run {clean(row['name'], 80)}",
        "here": "runs",
        "run": row,
        "guest": guest,
        "view": view,
        "file": str(file),
        "run_page": names.run_page(row),
        "case_link": case_link,
    }
    files.page(page, "console", context)
    return page.removeprefix("runs/"), view


def _records(results: Results | None) -> dict[str, CaseRecord]:
    """The records of failures by the name that the history has; the gravest of a case that has several."""
    found: dict[str, CaseRecord] = {}
    for one in results.cases if results is not None else ():
        if is_bad(one.verdict):
            found.setdefault(clean(one.name, 500), one)
    return found


def _failure(outcome: Row, record: CaseRecord | None, console_at: str) -> dict[str, Any]:
    lines = list(record.diagnostics) if record is not None else []
    return {
        "name": outcome["name"],
        "verdict": outcome["verdict"],
        "reason": clean(outcome["reason"]),
        "fingerprint": outcome["fingerprint"],
        "lines": [clean(line, _WIDEST) for line in lines[-_LINES:]],
        "left_out": max(0, len(lines) - _LINES),
        "crash": [clean(line, _WIDEST) for line in crash_lines(record.crash)] if record and record.crash else [],
        "console": console_at,
    }


def _command(facts: Facts) -> Sequence[Any]:
    found = facts.manifest.circumstances.get("command", ()) if facts.manifest is not None else ()
    return found if isinstance(found, list) else ()
