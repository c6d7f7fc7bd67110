# SPDX-License-Identifier: GPL-2.0-only
"""The part of a triage report about what the kernel complained of: each splat in its log, with files and lines."""

from __future__ import annotations

from collections.abc import Iterator

from drgn import Program
from drgn.helpers.linux.printk import get_dmesg

from harness.display import printable
from harness.splat import Splat, SplatScanner
from harness.splat.stack import Entry

_FACTS = 3
_SPLATS = 8
_FRAMES = 24


def splat_facts(prog: Program) -> Iterator[str]:
    """The first splats in a line or two each: what, and where."""
    for splat in _found(prog)[:_FACTS]:
        yield f"# splat: {splat.title}"
        for entry in splat.stack[:1]:
            yield f"#   in {frame_lines(prog, entry)[0]}"


def splats(prog: Program) -> Iterator[str]:
    """Each splat with the frames that say something, innermost first; functions that were inlined there too."""
    found = _found(prog)
    if not found:
        yield "nothing"
    for splat in found[:_SPLATS]:
        yield splat.title
        for entry in splat.stack[:_FRAMES]:
            for line in frame_lines(prog, entry):
                yield f"     {line}"
    if len(found) > _SPLATS:
        yield f"… and {len(found) - _SPLATS} more"


def _found(prog: Program) -> list[Splat]:
    scanner = SplatScanner()
    log = get_dmesg(prog, timestamps=True).decode(errors="replace")
    found = [splat for line in log.splitlines() for splat in scanner.feed(line)]
    scanner.flush()
    return found


def frame_lines(prog: Program, entry: Entry) -> list[str]:
    """``function at file:line``, the innermost of inlined ones first; the symbol alone where its line is not known."""
    if not entry.module:
        try:
            # a return address is that of the next instruction, which may be another line's
            offset = max(0, entry.offset - (0 if entry.exact else 1))
            where = prog.source_location(f"{entry.symbol}+{offset:#x}")
            return [printable(str(one).rpartition(":")[0]) for one in where]  # without the column
        except (LookupError, ValueError):
            pass
    return [printable(str(entry))]
