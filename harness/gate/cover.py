# SPDX-License-Identifier: GPL-2.0-only
"""The part of a cover letter that says what was tested, on what, and with which result; and no more than that. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from harness.display import many
from harness.gate.report import GateReport, Kind
from harness.values import Verdict

_WIDTH = 72


def lines(report: GateReport) -> list[str]:
    """The text, wrapped as mails are. What was not done is not in it; what failed is."""
    said = [*_patches(report), *_guests(report), *_against(report), *_failures(report)]
    shown = ["Testing", "-------"]
    for one in said or ["Nothing was tested."]:
        shown += ["", *textwrap.wrap(one, _WIDTH, break_long_words=False, break_on_hyphens=False)]
    return shown


def _patches(report: GateReport) -> list[str]:
    how = report.how
    if any(one.kind is Kind.APPLY for one in report.reasons):
        return [f"The series does not apply to {_tree(report)}."]
    if not report.looked_at:
        return []
    looked = len(report.looked_at) == len(report.patches)
    numbers = ", ".join(map(str, report.looked_at))
    which = "Each patch" if looked else f"Patch {numbers}" if len(report.looked_at) == 1 else f"Patches {numbers}"
    compiler = how["toolchain"].partition(",")[0]
    words = [f"{which} was built on {_tree(report)} with {compiler}: {_result(report, 'build')}."]
    looks = {name: _result(report, name) for name in ("W=1", "sparse", "checkpatch") if _ran(report, name)}
    if looks:
        words.append(f"{'; '.join(f'{name}: {result}' for name, result in looks.items())}.")
    grid = [one for one in report.findings if one.check.startswith("grid ")]
    if grid:
        bad = [one.check.removeprefix("grid ") for one in grid if one.level == "error"]
        cells = list(dict.fromkeys(one.check.removeprefix("grid ") for one in grid if one.level in ("ok", "error")))
        result = f"fails with {', '.join(dict.fromkeys(bad))}" if bad else "no error, no new warning"
        if cells:
            words.append(f"The folders that it touches with {', '.join(cells)}: {result}.")
    return [" ".join(words)]


def _tree(report: GateReport) -> str:
    """The tree as others know it: a path of this machine says nothing to them."""
    return report.how["linux" if "/" in report.how["source"] else "source"]


def _ran(report: GateReport, check: str) -> bool:
    return any(one.check == check and not one.message.startswith("not run: ") for one in report.findings)


def _result(report: GateReport, check: str) -> str:
    bad = [one for one in report.findings if one.check == check and one.level == "error"]
    if bad:
        patches = ", ".join(dict.fromkeys(str(one.patch) for one in bad))
        return f"{many(len(bad), 'error')} (patch {patches})"
    warned = sum(one.check == check and one.level == "warning" for one in report.findings)
    if warned:
        return f"no error, {many(warned, 'warning')}"
    answers = [f"patch {one.patch}: {one.answer}" for one in report.findings if one.check == check and one.answer]
    good = {"build": "no new warning", "checkpatch": "clean"}.get(check, "nothing new")
    return f"{good} but for {many(len(answers), 'remark')} ({'; '.join(answers)})" if answers else good


def _guests(report: GateReport) -> list[str]:
    how = report.how
    if not report.head.runs:
        return []
    machine = f"{how.get('qemu', 'QEMU')} ({how.get('accel', '')}, topology {how['topology']})"
    counts = _counted(report.head.verdicts)
    times = f", {len(report.head.runs)} times" if len(report.head.runs) > 1 else ""
    words = [f"On {machine}, seed {how['seed']}, the suites {how['suites']}{times}: {counts or 'not reached'}."]
    if report.booted:
        good = [number for number in report.booted if not any(one.patch == number for one in report.reasons)]
        words.append(f"The same suites at patch {', '.join(map(str, report.booted))}: ")
        words[-1] += "no case worse than on the base." if len(good) == len(report.booted) else (
            f"worse than on the base at patch {', '.join(str(n) for n in report.booted if n not in good)}."
        )  # fmt: skip
    return [" ".join(words)]


def _counted(verdicts: dict[str, int]) -> str:
    words = {Verdict.PASS.value: "pass", Verdict.SKIP.value: "skipped", Verdict.XFAIL.value: "fail as expected"}
    order = [*words, *(name for name in verdicts if name not in words)]
    return ", ".join(f"{verdicts[name]} {words.get(name, name)}" for name in order if name in verdicts)


def _against(report: GateReport) -> list[str]:
    if not report.base.runs or not report.base.verdicts or not report.head.verdicts:
        return []
    words = [
        f"The same on {'the base' if '/' in report.base.what else report.base.what}: {_counted(report.base.verdicts)}."
    ]
    worse = sum(one.change.speaks_against for one in report.changes)
    fixed = sum(one.change == "fixed" for one in report.changes)
    words.append(f"{worse or 'No'} case{'s are' if worse > 1 else ' is'} worse{f', {fixed} fixed' if fixed else ''}.")
    judged = [one for one in report.measured if one.confidence > 0.95]
    if judged:
        slower = [one.name for one in judged if one.worse]
        result = f"{', '.join(slower)} worse" if slower else "no difference beyond noise"
        words.append(f"Boot time, memory in use and durations of cases: {result}.")
    return [" ".join(words)]


def _failures(report: GateReport) -> Sequence[str]:
    told = (Kind.BUILD, Kind.BOOT, Kind.CRASH, Kind.CASE, Kind.NOT_RUN, Kind.UNSTEADY)
    return [f"{one.kind}: {one.message}." for one in report.reasons if one.kind in told]
