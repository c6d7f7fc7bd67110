# SPDX-License-Identifier: GPL-2.0-only
"""Stack frames of a splat, and the fingerprint made of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from harness.splat.rules import CALL_TRACE, DULL_FRAMES, VARIABLE_WORDS, WATCHERS

_FINGERPRINT_FRAMES = 5
_SYMBOL = r"([A-Za-z_][\w.$]*)\+0x([0-9a-f]+)/0x([0-9a-f]+)(?:\s+\[([\w-]+)[^\]]*\])?"
_RIP = re.compile(r"^\s*(?:RIP: 0010:|pc : )" + _SYMBOL)
_FRAME = re.compile(r"^\s*(?:\[<[0-9a-f]+>\] )?(\? )?" + _SYMBOL)
_BETWEEN = re.compile(r"^\s*</?[A-Z#]+\d?>|^\s*$|^\s*RIP: |^\s*(?:Code|R[ABCDS][XPI]|RSP|EFLAGS|R\d\d|FS|CS|CR2): ?")
_THREAD = frozenset(("kthread", "ret_from_fork", "ret_from_fork_asm"))  # of every kernel thread
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm|lto_priv)\b.*$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A frame as the kernel wrote it: ``symbol+0x<offset>/0x<size>``; ``module`` is empty in the kernel itself.

    ``exact`` says that it is where the CPU was; else it is where a call returns to, an instruction later.
    """

    symbol: str
    offset: int
    size: int
    module: str = ""
    exact: bool = False

    def __str__(self) -> str:
        return f"{self.symbol}+{self.offset:#x}/{self.size:#x}{f' [{self.module}]' if self.module else ''}"

    @property
    def function(self) -> str:
        """The symbol as the source has it, without what the compiler made of it."""
        return _SUFFIX.sub("", self.symbol)


def stack(lines: Iterable[str]) -> tuple[Entry, ...]:
    """The frames of the first stack in ``lines`` that say something, innermost first; the one at RIP leads.

    Frames that the unwinder guessed (``?``) and those of the reporting machinery are left out.
    """
    at: Entry | None = None
    found: list[Entry] = []
    waiting: list[Entry] = []
    inside = done = False
    for line in lines:
        if at is None and not found and (match := _RIP.match(line)):  # one inside a stack is an exception frame
            at = _entry(*match.groups(), exact=True)
        if CALL_TRACE.match(line):
            inside = not done
        elif inside and (match := _FRAME.match(line)):
            if not match[1]:
                found.append(_entry(*match.groups()[1:]))
        elif inside and line.strip() == "</IRQ>" and any(entry.function in WATCHERS for entry in found):
            found.clear()
        elif inside and found and not _BETWEEN.match(line):
            inside, done = False, any(map(_tells, found))
            if not done:  # a kernel thread that waits: RCU's own, above the CPU that stalls
                waiting, found = waiting or found, []
    found = found or waiting
    telling = [entry for entry in found if not DULL_FRAMES.match(entry.function)] or found
    if at is not None and not DULL_FRAMES.match(at.function) and (not telling or telling[0].function != at.function):
        telling.insert(0, at)
    return tuple(telling)


def _tells(entry: Entry) -> bool:
    return not DULL_FRAMES.match(entry.function) and entry.function not in _THREAD


def frames(lines: Iterable[str]) -> tuple[str, ...]:
    """The functions of :func:`stack`, without the compiler's suffixes."""
    return tuple(entry.function for entry in stack(lines))


def fingerprint(kind: str, title: str, lines: Iterable[str]) -> str:
    """Twelve hex digits over kind, title and top frames, without any number that a build or a run decides."""
    words = title
    for pattern, replacement, _ in VARIABLE_WORDS:
        words = pattern.sub(replacement, words)
    parts = [kind, words, *frames(lines)[:_FINGERPRINT_FRAMES]]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:12]


def parse_symbol(text: str) -> Entry | None:
    """``name+0x10/0x20 [module]`` as a frame; None where it is none."""
    match = re.match(_SYMBOL, text)
    return _entry(*match.groups()) if match else None


def _entry(symbol: str, offset: str, size: str, module: str | None, *, exact: bool = False) -> Entry:
    return Entry(symbol, int(offset, 16), int(size, 16), module or "", exact)
