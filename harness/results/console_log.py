# SPDX-License-Identifier: GPL-2.0-only
"""A guest's ``console.log`` read again: all of it, or what lies around a case's marks."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.display import printable
from harness.errors import UserError
from harness.paths import open_regular
from harness.splat import case_mark

_STAMP_ENDS = "] "
_LONGEST = 8192


@dataclass(frozen=True, slots=True)
class Span:
    """The lines of one run of a case: numbers from ``begin`` up to ``end``, which is not of it; ``name`` in full."""

    name: str
    begin: int
    end: int


def read(file: Path) -> Iterator[str]:
    """The lines, safe for a terminal whatever was written there. Raises :class:`UserError` where there is no file."""
    try:
        with io.TextIOWrapper(open_regular(file), encoding="utf-8", errors="replace", newline="\n") as stream:
            while line := stream.readline(_LONGEST):
                yield printable(line.rstrip("\n"), limit=_LONGEST)
    except OSError as reason:
        raise UserError(f"cannot read {file}: {reason.strerror}") from None


def spans(lines: Iterable[str]) -> list[Span]:
    """The cases that ran, in order; one without an end mark lasts until the next begins, or the log ends."""
    found: list[Span] = []
    running: tuple[str, int] | None = None
    number = 0
    for number, line in enumerate(lines, 1):
        mark = case_mark(line.partition(_STAMP_ENDS)[2])
        if mark is None or mark[0] == "expects":
            continue
        if running is not None and mark[0] == "begin":
            found.append(Span(running[0], running[1], number - 1))
        if mark[0] == "begin":
            running = (mark[1], number - 1)
        elif running is not None and mark[1] == running[0]:
            found.append(Span(running[0], running[1], number))
            running = None
    if running is not None:
        found.append(Span(running[0], running[1], number))
    return found


def matching(known: Sequence[Span], case: str) -> list[Span]:
    """The runs of a case: by its full name (``suite/program:case``) where one has it, else by a part of it."""
    return [span for span in known if span.name == case] or [span for span in known if case in span.name]


def around(lines: Sequence[str], span: Span, *, context: int) -> Sequence[str]:
    """The lines of a span with ``context`` lines before and after."""
    return lines[max(0, span.begin - context) : span.end + context]
