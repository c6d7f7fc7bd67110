# SPDX-License-Identifier: GPL-2.0-only
"""Text from outside (a guest, a patch, a log) made fit for a terminal or a report."""

from __future__ import annotations

import re

from harness.values import Crash

# ECMA-48 escape sequences: CSI, OSC (ended by BEL or ST), other two-character ones.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_]?)")
# controls; marks that turn the direction of text; line separators; what neither XML nor UTF-8 can hold
_ACTING = r"\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff"
_CONTROL = re.compile(rf"[\x00-\x08\x0b-\x1f{_ACTING}\ud800-\udfff]")
_IN_JSON = re.compile(f"[{_ACTING}]")
_NO_CHARACTER = re.compile(r"[\ud800-\udfff]")
_LIMIT = 2000


def printable(text: str, *, limit: int = _LIMIT) -> str:
    """``text`` without escape sequences, control characters and direction overrides, cut to ``limit`` characters.

    Line feeds and tabs stay; any other control character becomes U+FFFD, so that its presence shows.
    """
    clean = _CONTROL.sub("\ufffd", _ESCAPE.sub("", text.replace("\r\n", "\n")))
    return clean if len(clean) <= limit else f"{clean[:limit]}… ({len(clean) - limit} more characters)"


def crash_lines(crash: Crash, *, frames: int = 12) -> list[str]:
    """A splat in a few lines: its title with kind and fingerprint, the top of its stack, and what to know of it."""
    lines = [f"{crash.title}  [{crash.kind}, fingerprint {crash.fingerprint}]"]
    lines += [f"  {frame}" for frame in crash.frames[:frames]]
    if len(crash.frames) > frames:
        lines.append(f"  … and {len(crash.frames) - frames} more")
    return [*lines, *([f"  → {crash.note}"] if crash.note else [])]


def plain_json(text: str) -> str:
    """JSON with every character escaped that a terminal would act on (JSON itself escapes those below U+0020).

    What is no character at all (a byte of a file name that is not UTF-8) becomes U+FFFD.
    """
    return _IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", _NO_CHARACTER.sub("\ufffd", text))


def duration(seconds: float) -> str:
    """A time span for people: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``1 h 05 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def many(number: int, what: str) -> str:
    """A number of things: ``1 run``, ``2 runs``, ``2 patches``."""
    plural = "es" if what.endswith(("ch", "sh", "s", "x")) else "s"
    return f"{number} {what}{plural if number != 1 else ''}"
