# SPDX-License-Identifier: GPL-2.0-only
"""What was sampled in the guests while the cases ran, as charts: free memory of each node, pages that zswap stores.

``guests/<n>/samples.tsv`` is a head (``seconds``, ``node0``, ``node1``, …, ``zswap``) and a line a sample: the
kernel's monotonic seconds, KiB free on each node, pages stored. It is of the guest: anything in it may be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from harness.errors import HarnessError
from harness.page import clean
from harness.results import console_log
from harness.results.console_log import Span
from harness.site import names, plots
from harness.site.facts import Facts, plain
from harness.site.state import Files
from harness.splat import case_mark

FILE = "samples.tsv"
_MOST = 200_000  # samples of a guest that are read
_COLUMNS = 40
_CHARTS = 120  # cases of a run that are drawn
_LEAST_KIB = 1024  # a node that changes by less is not worth a line
_NAME = re.compile(r"node\d{1,4}|zswap|seconds")
_KERNEL_TIME = re.compile(r"^(?:<\d{1,3}>)?\[ {0,12}(\d{1,12}\.\d{6})\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Columns by name, all of one length; ``seconds`` is the first."""

    columns: Mapping[str, tuple[float, ...]]

    def between(self, begin: float, end: float) -> Samples:
        """The samples from ``begin`` to ``end``, with one before and one after."""
        times = self.columns["seconds"]
        first = next((number for number, at in enumerate(times) if at >= begin), len(times))
        last = next((number for number, at in enumerate(times) if at > end), len(times) - 1)
        part = slice(max(0, first - 1), last + 1)
        return Samples(columns={name: values[part] for name, values in self.columns.items()})


def read(file: Path) -> Samples | None:
    """The samples of a guest; None where there are none, or no sensible ones."""
    try:
        with open(file, encoding="ascii", errors="replace") as stream:
            head = stream.readline(4096).split()
            if not head or head[0] != "seconds" or len(head) > _COLUMNS or not all(map(_NAME.fullmatch, head)):
                return None
            rows: list[tuple[float, ...]] = []
            while len(rows) < _MOST and (line := stream.readline(4096)):
                row = _numbers(line.split())
                if row is not None and len(row) == len(head) and (not rows or row[0] >= rows[-1][0]):
                    rows.append(row)
    except OSError:
        return None
    return Samples(columns=dict(zip(head, zip(*rows, strict=True), strict=True))) if len(rows) > 1 else None


def _numbers(words: list[str]) -> tuple[float, ...] | None:
    try:
        found = tuple(float(word) for word in words)
    except ValueError:
        return None
    return found if all(0 <= number < 1e15 for number in found) else None


def spans_in_time(file: Path) -> list[tuple[str, float, float]]:
    """The cases of a console with the kernel's seconds at their begin and end."""
    at: dict[int, float] = {}
    marks: list[str] = []
    try:
        for number, line in enumerate(console_log.read(file)):
            said = line.partition("] ")[2]
            if case_mark(said) is not None and (found := _KERNEL_TIME.match(said)):
                at[number] = float(found[1])
            marks.append(line if number in at else "")
    except HarnessError:
        return []

    def timed(span: Span) -> tuple[str, float, float] | None:
        begin, end = at.get(span.begin), at.get(span.end - 1)
        return (span.name, begin, end) if begin is not None and end is not None and end > begin else None

    return [one for one in map(timed, console_log.spans(marks)) if one is not None]


def write(files: Files, row: Mapping[str, Any], facts: Facts, known: Set[str]) -> bool:
    """Write the page of a run's samples, with its ``known`` cases; False where it has none."""
    parts = []
    for guest, folder in facts.guests.items():
        samples = read(folder / FILE) if plain(folder / FILE) else None
        if samples is None:
            continue
        whole = charts(samples)
        cases: list[tuple[str, str, list[Markup]]] = []
        for name, begin, end in spans_in_time(folder / "console.log"):
            if name in known and len(cases) < _CHARTS and (drawn := charts(samples.between(begin, end))):
                cases.append((name, names.case_page(name), drawn))
        if whole or cases:
            parts.append({"guest": guest, "whole": whole, "cases": cases, "many": len(samples.columns["seconds"])})
    if parts:
        title = f"memory during run {clean(row['name'], 80)}"
        context = {"title": title, "here": "runs", "run": row, "run_page": names.run_page(row), "parts": parts}
        files.page(names.memory_page(row), "memory", context)
    return bool(parts)


def charts(samples: Samples) -> list[Markup]:
    """Free memory by node, and zswap's pages, where they change."""
    times = samples.columns["seconds"]
    if len(times) < 3:
        return []
    start = times[0]
    ends = ("0 s", f"{times[-1] - start:.1f} s")

    def line(name: str, scale: float) -> plots.Line:
        pairs = zip(times, samples.columns[name], strict=True)
        return plots.Line(name=name, points=[(at - start, value * scale) for at, value in pairs])

    moving = [
        name
        for name, values in samples.columns.items()
        if name.startswith("node") and max(values) - min(values) >= _LEAST_KIB
    ]
    found = []
    if moving:
        lines = [line(name, 1 / 1024) for name in moving]
        found.append(plots.svg(plots.Chart(title="free memory of the nodes", unit="MiB", lines=lines, ends=ends)))
    stored = samples.columns.get("zswap", (0.0,))
    if max(stored) > min(stored):
        chart = plots.Chart(title="stored in zswap", unit="pages", lines=[line("zswap", 1.0)], ends=ends)
        found.append(plots.svg(chart))
    return [one for one in found if one]
