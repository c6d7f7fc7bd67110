# SPDX-License-Identifier: GPL-2.0-only
"""A sequence as a shell script that needs nothing else: by hand in a guest, or ``harness boot … --stdin -- sh -s``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from harness.lifecycle.play import PREPARE, Difference, Played
from harness.lifecycle.state import Action
from harness.values import Verdict


def script(played: Sequence[Played], difference: Difference, *, library: str, comment: Sequence[str]) -> str:
    """The text of the script: the steps as they were played, each with what it may answer, then what was found.

    Its exit status is 1 where the difference is there, 0 where it is not.
    """
    lines = ["#!/bin/sh", *_library(library), "", *(f"# {line}" for line in comment), ""]
    lines += [*PREPARE.splitlines(), "", 'whole >"$steps_tmp/whole"', 'echo "<7>steps: begin $$" >/dev/kmsg', ""]
    for record in played:
        lines.append(f"# {record.step}")
        lines += [_try(action) for action, _ in (*record.actions, *record.questions)]
    lines.append("")
    if difference.verdict in (Verdict.TIMEOUT, Verdict.LOST):
        lines.append(f"# here it was: {difference.reason}")
    lines += [f"expect {shlex.quote(wanted)} {path}" for wanted, path in difference.checks]
    if difference.key == "left behind":
        lines.append("as_before")
    if difference.splat is not None:
        lines.append(f"quiet {shlex.quote(difference.splat)}")
    return "\n".join([*lines, "ended"]) + "\n"


def _try(action: Action) -> str:
    return f"try {shlex.quote(action.allowed)} {shlex.join(action.words)}"


def _library(text: str) -> list[str]:
    """Without its introduction."""
    lines = text.rstrip().splitlines()
    code = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    return [lines[0], *lines[code:]]
