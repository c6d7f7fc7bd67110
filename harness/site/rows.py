# SPDX-License-Identifier: GPL-2.0-only
"""The rows of the two tables that a site has hundreds of thousands of, without a template: ten times as quick.

Short on purpose, too: what a column looks like is said once in the style (``table.o``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from harness.page import word
from harness.site import names
from harness.site.state import CaseState

Row = Mapping[str, Any]

_REASON = 160  # characters


def of_case(rows: Sequence[Row]) -> Markup:
    """The outcomes of a case: verdict, run, when, seconds, series, topology, reruns, reason; ``cells`` of each run."""
    found = []
    for row in rows:
        link, rest = row["cells"]
        reason = escape(row["reason"][:_REASON]) if row["reason"] else ""
        found.append(
            f"<tr><td>{word(row['verdict'])}{link}<td>{row['seconds']:.1f}{rest}<td>{row['again']}<td>{reason}\n"
        )
    return Markup("".join(found))


def cells_of_run(run: Row) -> tuple[str, str]:
    """What all outcomes of a run share in such a table: the cells before the seconds, and those after."""
    page, name = names.run_page(run), escape(run["name"])
    series = f"{run['series'][:40]} {run['series_digest'][:8]}".strip()
    return (
        f'<td><a href="../{page}">{name}</a><td>{run["when"]}',
        f"<td>{escape(series)}<td>{escape(run['topology'])}",
    )


def of_cases(rows: Sequence[CaseState]) -> Markup:
    """The list of cases: its last verdict, case, state, passes, seconds, when."""
    return Markup(
        "".join(
            f'<tr><td>{word(one.verdict)}<td><a href="{names.case_page(one.name)}">{escape(one.name)}</a>'
            f"<td>{one.state}<td>{one.passed}/{one.ran}<td>{one.seconds:.1f}<td>{one.when}\n"
            for one in rows
        )
    )


def of_run(rows: Sequence[Row], details: Mapping[str, int]) -> Markup:
    """The cases of a run: verdict, case, seconds, reason; ``details`` has the place of what is shown above."""
    found = []
    for row in rows:
        reason = escape(row["reason"][:_REASON]) if row["reason"] else ""
        if row["name"] in details:
            reason = f'<a href="#f{details[row["name"]]}">{reason or "details"}</a>'
        link = f'<a href="../{names.case_page(row["name"])}">{escape(row["name"])}</a>'
        found.append(f"<tr><td>{word(row['verdict'])}<td>{link}<td>{row['seconds']:.1f}<td>{reason}\n")
    return Markup("".join(found))
