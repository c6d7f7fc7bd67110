# SPDX-License-Identifier: GPL-2.0-only
"""Findings as tables: a patch a line and a check a column, and the grid with a cell a line. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.series.finding import Finding, Level
from harness.values import Patch

_GRID = "grid "
_TITLE = 48

Table = tuple[list[str], list[list[str]]]
"""The columns' heads, and the lines."""


def patch_table(findings: Sequence[Finding], patches: Sequence[Patch]) -> Table:
    """What each check says of each patch; the cells of the grid are one column."""
    about = [finding for finding in findings if finding.patch is not None]
    checks = list(dict.fromkeys(_column(finding) for finding in about))
    rows = [[str(patch.number), patch.title[:_TITLE]] for patch in patches]
    if any(finding.patch == 0 for finding in about):
        rows.insert(0, ["0", "(the tree)"])
    for row in rows:
        row += [_cell([one for one in about if str(one.patch) == row[0] and _column(one) == check]) for check in checks]
    return ["", "patch", *checks], rows


def grid_table(findings: Sequence[Finding]) -> Table:
    """What each cell of the grid says at each patch where it was tried."""
    about = [finding for finding in findings if finding.check.startswith(_GRID)]
    patches = sorted({finding.patch for finding in about if finding.patch is not None})
    names = list(dict.fromkeys(finding.check for finding in about))
    rows = [
        [name.removeprefix(_GRID), *(_cell([o for o in about if o.check == name and o.patch == at]) for at in patches)]
        for name in names
    ]
    return ["grid", *(f"patch {number}" for number in patches)], rows


def _column(finding: Finding) -> str:
    return "grid" if finding.check.startswith(_GRID) else finding.check


def _cell(findings: Sequence[Finding]) -> str:
    """The gravest level, and how many findings have it."""
    for level, one, several in ((Level.ERROR, "ERROR", "ERRORS"), (Level.WARNING, "warning", "warnings")):
        count = sum(1 for finding in findings if finding.level is level)
        if count:
            return f"{count} {one if count == 1 else several}"
    if any(finding.level is Level.OK for finding in findings):
        return "ok"
    return "--" if findings else ""


def lines(table: Table) -> list[str]:
    """A table as text; nothing for one without lines."""
    head, rows = table
    if not rows:
        return []
    every = [head, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(head))]
    return ["  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in every]
