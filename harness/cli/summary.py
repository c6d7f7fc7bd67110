# SPDX-License-Identifier: GPL-2.0-only
"""The end of a run on the terminal: what failed and why, a table, the run folder, how to repeat it."""

from __future__ import annotations

import re
import shlex
from itertools import groupby

from harness.again import with_debug_info
from harness.display import duration, printable
from harness.history.kinds import FLAKY, Noted
from harness.rerun import told
from harness.results.folder import RunFolder
from harness.results.record import CaseRecord, Failure, Results, counts
from harness.terminal import Terminal
from harness.values import Verdict

_COLUMNS = ("PASS", "FAIL", "SKIP", "CRASH", "TIMEOUT", "LOST", "XFAIL", "XPASS")
_FIXED_SHOWN = 10
_DUMPED = re.compile(r"^memory dump: guests/(\d+)/")


def show_summary(
    terminal: Terminal, folder: RunFolder, results: Results, *, repeat: str, one: str, noted: Noted
) -> None:
    """Print the summary of a finished run; ``repeat`` runs it again, ``one`` with a ``--case`` runs that case alone.

    ``noted`` is what the history makes of it.
    """
    terminal.say("")
    if results.failure is not None:
        show_failure(terminal, results.failure)
    bad = [case for case in results.cases if not Verdict(case.verdict).good]
    for case in bad:
        terminal.say(f"{case.verdict} {case.name}  {printable(case.reason)}", style="red")
        if kind := _kind(case, results, noted):
            terminal.say(f"  ↳ {kind}", style="yellow")
    fixed = noted.classified.fixed
    for name in fixed[:_FIXED_SHOWN]:
        terminal.say(f"fixed {printable(name)}", style="green")
    if len(fixed) > _FIXED_SHOWN:
        terminal.say(f"fixed … and {len(fixed) - _FIXED_SHOWN} more", style="green")
    if results.cases:
        _show_table(terminal, results)
    good = Verdict(results.verdict).good
    spent = f"{duration(results.seconds)} ({duration(results.guest_seconds)} of it in the guest)"
    verdict = f"interrupted ({results.verdict})" if results.interrupted else results.verdict
    terminal.say(f"{verdict}  {spent}", style="bold green" if good else "bold red")
    terminal.say(f"run folder   {folder.path}")
    if noted.trouble:
        terminal.say(f"history      {printable(noted.trouble)}", style="yellow")
    terminal.say(f"run it again {repeat}")
    if bad:
        first = bad[0]
        terminal.say(f"only that    {one} --case {first.name}")
    if undumped := next((case for case in bad if _has_no_dump(case)), None):
        terminal.say(f"with a dump  {with_debug_info(shlex.split(repeat), undumped.name)}")
    if dumped := [guest for case in bad for line in case.diagnostics for guest in _DUMPED.findall(line)]:
        guest = ["--guest", dumped[0]] if len(dumped) > 1 else []
        terminal.say(f"its memory   {shlex.join(['harness', 'inspect', *guest, str(folder.path)])}")


def _kind(case: CaseRecord, results: Results, noted: Noted) -> str:
    """Which kind of failure it is, by the history and by the reruns."""
    kind, again = noted.classified.failures.get(case.name), told(results, case)
    if kind is not None and kind.kind == FLAKY and again.startswith(FLAKY):
        return kind.told
    return "; ".join(text for text in (kind.told if kind is not None else "", again) if text)


def _has_no_dump(case: CaseRecord) -> bool:
    """Whether its kernel crashed or hung, and had no debug information for a dump."""
    return any(line.startswith("no memory dump: this kernel has no debug information") for line in case.diagnostics)


def _show_table(terminal: Terminal, results: Results) -> None:
    used = [name for name in _COLUMNS if counts(results.cases)[name]]
    rows = []
    for suite, group in groupby(results.cases, key=lambda case: case.suite):
        cases = list(group)
        rows.append([suite, *_row(cases, used)])
    if len(rows) > 1:
        rows.append(["all", *_row(list(results.cases), used)])
    terminal.table("", ["suite", *used, "time"], rows)


def _row(cases: list[CaseRecord], used: list[str]) -> list[str]:
    number = counts(cases)
    return [*(str(number[name]) if number[name] else "·" for name in used), duration(sum(c.seconds for c in cases))]


def show_failure(terminal: Terminal, failure: Failure) -> None:
    """Print why a run did not get to its end."""
    terminal.say(f"error: {printable(failure.message)}", style="bold red")
    for line in failure.details:
        terminal.say(f"  | {printable(line)}")
    if failure.command:
        terminal.say(f"  command: {printable(' '.join(failure.command))}")
    if failure.log:
        terminal.say(f"  log: {failure.log}")
    if failure.hint:
        terminal.say(f"  → {printable(failure.hint)}")
