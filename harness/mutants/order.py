# SPDX-License-Identifier: GPL-2.0-only
"""In which order a mutant meets the cases: those that should find it first, as a kill ends its run. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from harness.suite.catalogue import Selection


def ordered(selections: Sequence[Selection], killers: Sequence[str]) -> tuple[Selection, ...]:
    """The same cases, each once: those that ``killers`` name, in that order, then the rest in theirs.

    A killer is ``suite``, ``suite/program`` or ``suite/program:case``; cases that are not selected do not run.
    """
    found: list[Selection] = []
    taken: set[str] = set()
    for killer in (*killers, ""):
        for selection in selections:
            cases = tuple(
                case
                for case, name in zip(selection.cases, selection.names, strict=True)
                if name not in taken and _named(name, selection, killer)
            )
            if cases:
                part = dataclasses.replace(selection, cases=cases)
                taken.update(part.names)
                found.append(part)
    return tuple(found)


def _named(name: str, selection: Selection, killer: str) -> bool:
    """Whether a killer names the case; the empty one names all. A program may go without ``test_``."""
    suite, _, rest = killer.partition("/")
    program, _, case = rest.partition(":")
    own = selection.program
    if suite not in ("", own.suite):
        return False
    program = program.removesuffix(".sh").removesuffix(".c")
    if program not in ("", own.name, own.name.removeprefix("test_")):
        return False
    return case in ("", name.rpartition(":")[2])
