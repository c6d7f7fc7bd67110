# SPDX-License-Identifier: GPL-2.0-only
"""Stack frames of a splat, and the fingerprint made of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from harness.splat.rules import CALL_TRACE, DULL_FRAMES

_FINGERPRINT_FRAMES = 5
_RIP = re.compile(r"^\s*(?:RIP: [0-9a-f]{4}:|pc : )([A-Za-z_][\w.]*)\+0x")
_FRAME = re.compile(r"^\s*(?:\[<[0-9a-f]+>\] )?(\? )?([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+")
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm|lto_priv)\b.*$")


def frames(lines: Iterable[str]) -> tuple[str, ...]:
    """The functions of the first stack in ``lines`` that say something, innermost first; the one at RIP leads.

    Frames that the unwinder guessed (``?``) and those of the reporting machinery are left out; compiler suffixes too.
    """
    at: str | None = None
    stack: list[str] = []
    inside = done = False
    for line in lines:
        if at is None and not stack and (match := _RIP.match(line)):  # one inside a stack is an exception frame
            at = _plain(match[1])
        if CALL_TRACE.match(line):
            inside = not done
        elif inside and (match := _FRAME.match(line)):
            if not match[1]:
                stack.append(_plain(match[2]))
        elif inside and stack and not re.match(r"^\s*</?[A-Z]+>|^\s*$", line):
            inside, done = False, True
    telling = [name for name in stack if not DULL_FRAMES.match(name)] or stack
    if at is not None and not DULL_FRAMES.match(at) and (not telling or telling[0] != at):
        telling.insert(0, at)
    return tuple(telling)


def fingerprint(kind: str, title: str, lines: Iterable[str]) -> str:
    """Twelve hex digits over kind, title and top frames, without any number that a build or a run decides."""
    words = re.sub(r"(?<![A-Za-z_])\d+", "N", title)
    words = re.sub(r"\.c:N", ".c", words)
    words = re.sub(r"\b(?:Comm|process|task) [^\s:]+", "task", words)
    parts = [kind, words, *frames(lines)[:_FINGERPRINT_FRAMES]]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _plain(name: str) -> str:
    return _SUFFIX.sub("", name)
