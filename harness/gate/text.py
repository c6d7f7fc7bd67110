# SPDX-License-Identifier: GPL-2.0-only
"""A report for people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.display import duration, many, printable
from harness.gate.ends import range_diff_summary
from harness.gate.report import GateReport, Kind, Measured, Reason, SideRecord, measured_line
from harness.patchcheck import table
from harness.series.finding import Finding
from harness.values import Patch

_MOST = 12
_TIMES = 8
_NEXT = {
    Kind.APPLY: "choose the base that it was made for, or rebase it",
    Kind.BUILD: "harness series check HEAD --each --patch N shows the whole of it; or the base is not the one it needs",
    Kind.BASE: "there is nothing to compare with: choose another base",
}


def lines(report: GateReport, findings: Sequence[Finding] = ()) -> list[str]:
    """The whole report; ``findings`` are what its patch tables are made of."""
    shown = [headline(report)]
    shown += _reasons(report)
    shown += ["", f"head  {_side(report.head)}", f"base  {_side(report.base)}"]
    how = report.how
    parts = [how.get(name, "") for name in ("source", "toolchain", "qemu", "accel", "topology")]
    shown += [f"on    {', '.join(part for part in parts if part)}"]
    patches = [_patch(one.number, one.title, one.digest) for one in report.patches]
    for one in (table.patch_table(findings, patches), table.grid_table(findings)):
        if text := table.lines(one):
            shown += ["", *text]
    shown += _cases(report)
    shown += _times(report.measured)
    if report.range_diff is not None:
        pairs = range_diff_summary(report.range_diff)
        shown += ["", "range-diff, the revision before on the left (range-diff.txt has all of it)", *pairs]
    if report.remarks:
        shown += ["", "remarks", *(f"  {one}" for one in report.remarks)]
    return [printable(line) for line in shown]


def headline(report: GateReport) -> str:
    """The verdict in a line."""
    if report.missing:
        known = f", {len(report.reasons)} reasons against it by then" if report.reasons else ""
        return f"not finished: {report.missing}{known}"
    if report.ready:
        return f"ready: {report.series} against {report.base.what}  ({duration(report.seconds)})"
    number = len(report.reasons)
    return (
        f"not ready: {many(number, 'reason')}, {report.series} against {report.base.what}  ({duration(report.seconds)})"
    )


def _reasons(report: GateReport) -> list[str]:
    shown = []
    for number, one in enumerate(report.reasons[:_MOST], start=1):
        shown.append(f"{number:3}. {one.kind}: {one.message}")
        shown += [f"       | {line}" for line in one.details[:5]]
    left = report.reasons[_MOST:]
    if left:
        kinds = Counter(one.kind for one in left)
        shown.append(f"     and {', '.join(f'{count} × {kind}' for kind, count in kinds.items())} (gate.json)")
    return shown + [f"     → {said}" for said in _next(report.reasons)]


def _next(reasons: Sequence[Reason]) -> list[str]:
    kinds = {one.kind for one in reasons}
    return [said for kind, said in _NEXT.items() if kind in kinds]


def _side(side: SideRecord) -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(side.verdicts.items()))
    known = f", {side.kept} known from before" if side.kept else ""
    runs = f"; {many(len(side.runs), 'run')}{known}: {' '.join(side.runs)}"
    commit = f" ({side.commit[:12]})" if side.commit else ""
    return f"{side.what}{commit}: {counts or 'no suite ran'}{runs if side.runs else ''}"


def _patch(number: int, title: str, digest: str) -> Patch:
    return Patch(number=number, title=title, author="", files=(), digest=digest, content=b"")


def _cases(report: GateReport) -> list[str]:
    if not report.head.verdicts or not report.base.verdicts:
        return []
    by_change = Counter(str(one.change) for one in report.changes)
    if not by_change:
        return ["", "cases  each as on the base"]
    shown = ["", f"cases  {', '.join(f'{count} {change}' for change, count in by_change.items())}"]
    told = [one for one in report.changes if one.change != "new" and not one.change.speaks_against][:_MOST]
    return shown + [f"  {one.change}: {one}" for one in told]


def _times(found: Sequence[Measured]) -> list[str]:
    """What is worse, boot time and memory, and the cases that moved most."""
    if not found:
        return []
    first = [one for one in found if one.worse or "/" not in one.name]
    moved = sorted((one for one in found if one not in first), key=lambda one: -abs(one.ratio - 1))
    shown = ["", f"times over {len(found[0].base)} runs of each side ({len(found)} quantities)"]
    return shown + [f"  {'WORSE ' if one.worse else ''}{measured_line(one)}" for one in (*first, *moved[:_TIMES])]
