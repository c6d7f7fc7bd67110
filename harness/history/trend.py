# SPDX-License-Identifier: GPL-2.0-only
"""Flaky or broken: the way of one case through the runs of one cell. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from harness.history.rows import cell_of
from harness.values import Verdict

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One case in one cell. ``passed`` of ``ran`` (skips do not count); ``changed`` is the run since which it is so.

    While it fails, ``first_bad`` is the first run of those that fail in a row up to now, ``last_good`` the one before
    that passed. ``mixed`` are the digests of inputs on which it both passed and failed.
    """

    case: str
    cell: str
    ran: int
    passed: int
    verdict: str
    newest: Row
    changed: Row | None = None
    first_bad: Row | None = None
    last_good: Row | None = None
    mixed: tuple[str, ...] = ()
    rows: Sequence[Row] = field(default=(), repr=False)

    @property
    def rate(self) -> float | None:
        """The share of passes, from 0 to 1; None where it never ran."""
        return self.passed / self.ran if self.ran else None

    @property
    def state(self) -> str:
        """``flaky``, ``broken``, ``passing`` or ``skipped``."""
        if self.mixed:
            return "flaky"
        if not Verdict(self.verdict).good:
            return "broken"
        return "skipped" if self.verdict == Verdict.SKIP else "passing"


def trends(rows: Sequence[Row], reruns: Mapping[int, Sequence[str]] | None = None) -> list[Trend]:
    """The trends in outcomes (of any cases, the newest first), by case and cell; those of the newest runs first."""

    def which(row: Row) -> tuple[str, str]:
        return row["case"], row["cell"]

    order = {key: number for number, key in reversed(list(enumerate(dict.fromkeys(map(which, rows)))))}
    grouped = groupby(sorted(rows, key=lambda row: order[which(row)]), key=which)
    return [trend(list(group), reruns or {}) for _, group in grouped]


def trend(rows: Sequence[Row], reruns: Mapping[int, Sequence[str]]) -> Trend:
    """The trend of one case in one cell; ``rows`` the newest first and not empty, ``reruns`` verdicts by run id."""
    newest = rows[0]
    ran = [row for row in rows if row["verdict"] != Verdict.SKIP]
    bad_now = not Verdict(newest["verdict"]).good
    changed = _since(rows, lambda row: row["verdict"] == newest["verdict"])
    first_bad = _since(ran, _is_bad) if bad_now else None
    last_good = next((row for row in ran if not _is_bad(row)), None) if bad_now else None
    return Trend(
        case=newest["case"],
        cell=cell_of(newest),
        ran=len(ran),
        passed=sum(not _is_bad(row) for row in ran),
        verdict=newest["verdict"],
        newest=newest,
        changed=changed,
        first_bad=first_bad,
        last_good=last_good,
        mixed=mixed(ran, reruns),
        rows=rows,
    )


def mixed(rows: Sequence[Row], reruns: Mapping[int, Sequence[str]]) -> tuple[str, ...]:
    """The digests of inputs on which the outcomes, the reruns of a run included, both pass and fail; newest first."""
    seen: dict[str, set[bool]] = {}
    for row in rows:
        verdicts = [row["verdict"], *(one for one in reruns.get(row["id"], ()) if one in _OF_A_CASE)]
        seen.setdefault(row["decides"], set()).update(Verdict(one).good for one in verdicts if one != Verdict.SKIP)
    return tuple(digest for digest, found in seen.items() if len(found) == 2)


_OF_A_CASE = {"PASS", "XFAIL", "FAIL", "XPASS", "CRASH", "TIMEOUT", "LOST"}


def _is_bad(row: Row) -> bool:
    return not Verdict(row["verdict"]).good


def _since(rows: Sequence[Row], holds: Callable[[Row], bool]) -> Row | None:
    """The oldest of the newest rows for which something holds; None where it held for all that is known."""
    last = None
    for row in rows:
        if not holds(row):
            return last
        last = row
    return None
