# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's taint flags: what a case may set, and what must have come with a report. Data, a reason for each line.

The marks at a case's begin and end carry the value of ``/proc/sys/kernel/tainted`` (``taint=512``). Source of bits and
letters: Documentation/admin-guide/tainted-kernels.rst.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from harness.splat.scanner import Splat

# Kinds whose reports go without a WARN(); every other one may have set W.
_NO_WARNING = frozenset(("oom", "allocation", "kmemleak", "hungtask", "taint", "softlockup", "rcustall", "lockdep"))
_DEATHS = frozenset(
    ("bug", "oops", "gpf", "pagefault", "list", "stack", "usercopy", "fortify", "debugvm", "kasan", "panic", "unknown")
)
_CORRUPTIONS = frozenset(("badpage", "slab", "kasan", "kfence", "kmsan", "debugvm"))
_MARK = re.compile(r"\btaint=(\d{1,10})\b")


@dataclass(frozen=True, slots=True)
class Flag:
    """A taint flag. ``allowed`` says why a case may set it (empty: it may not); ``kinds`` of splats explain it."""

    bit: int
    letter: str
    meaning: str
    allowed: str = ""
    kinds: frozenset[str] = frozenset()

    def explained(self, kinds: Collection[str]) -> bool:
        """Whether a case that had splats of these ``kinds`` needs no other reason for this flag."""
        if self.letter == "W":
            return any(kind not in _NO_WARNING for kind in kinds)
        return not self.kinds.isdisjoint(kinds)


FLAGS = (
    Flag(0, "P", "a proprietary module was loaded"),
    Flag(1, "F", "a module was loaded by force"),
    Flag(2, "S", "the CPU is used out of its specification"),
    Flag(3, "R", "a module was unloaded by force"),
    Flag(4, "M", "a machine check"),
    Flag(5, "B", "a bad page or corrupted memory", kinds=_CORRUPTIONS),
    Flag(6, "U", "user space asked for it"),
    Flag(7, "D", "the kernel died: an Oops or BUG", kinds=_DEATHS),
    Flag(8, "A", "an ACPI table was overridden"),
    Flag(9, "W", "the kernel issued a warning"),
    Flag(10, "C", "a staging driver was loaded"),
    Flag(11, "I", "a workaround for the firmware"),
    Flag(12, "O", "a module from outside of the tree", allowed="test modules, ours and the selftests', are such"),
    Flag(13, "E", "an unsigned module", allowed="nobody signs a test module"),
    Flag(14, "L", "a soft lockup", kinds=frozenset(("softlockup",))),
    Flag(15, "K", "a live patch"),
    Flag(16, "X", "the distribution's own"),
    Flag(17, "T", "structure layouts were randomised"),
    Flag(18, "N", "an in-kernel test ran", allowed="KUnit and the selftests' modules set it (lib/kunit/test.c)"),
    Flag(19, "J", "a firmware's debug interface was written to"),
)  # fmt: skip


class TaintWatch:
    """What a guest's kernel was last seen tainted with, from mark to mark."""

    def __init__(self) -> None:
        self._seen: int | None = None

    def mark(self, text: str) -> tuple[Flag, ...]:
        """Take the rest of a mark; the flags that are new since the one before. The first is where it starts from."""
        match = _MARK.search(text)
        if match is None:
            return ()
        before, self._seen = self._seen, int(match[1])
        if before is None:
            return ()
        new = self._seen & ~before
        known = tuple(flag for flag in FLAGS if new >> flag.bit & 1)
        more = [bit for bit in range(len(FLAGS), new.bit_length()) if new >> bit & 1]
        return known + tuple(Flag(bit, "?", f"bit {bit}, which this harness does not know") for bit in more)


def taint_splat(flags: Collection[Flag], kinds: Collection[str]) -> Splat | None:
    """A splat that stands for what is left unexplained of a case's new ``flags`` by its splats' ``kinds``, or None."""
    left = [flag for flag in flags if not flag.allowed and not flag.explained(kinds)]
    if not left:
        return None
    words = ", ".join(f"{flag.letter} ({flag.meaning})" for flag in left)
    return Splat(
        kind="taint", first_line=0, headline=f"the kernel was tainted and no report was seen: {words}", closed=True
    )


def notes(flags: Collection[Flag]) -> list[str]:
    """What to say of new flags that a case may set."""
    return [f"kernel tainted {flag.letter}, {flag.meaning}: allowed, {flag.allowed}" for flag in flags if flag.allowed]
