# SPDX-License-Identifier: GPL-2.0-only
"""A scanner for kernel splats: takes console lines one by one, needs no end, and keeps little."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from harness.display import printable
from harness.splat.rules import ALLOWED, ASKED_FOR, CALL_TRACE, CASE_MARK, CUT_HERE, END_TRACE, RULER, SPLATS, Rule
from harness.splat.stack import fingerprint, frames

_LINE_LIMIT = 1000  # characters of a line that are kept
_SPLAT_LIMIT = 400  # lines of a splat that are kept
_QUIET_SECONDS = 1.5  # a gap in the kernel's own time after which a splat without an end mark is over
_LONGEST = 600  # lines after which it is over in any case

# Kinds whose message stands before the "cut here" of the BUG or WARNING that it explains, and how far before.
_BEFORE_CUT = ("list", "badpage", "usercopy", "fortify", "debugobjects")
_DUMP_LINES = 25
_LOCATED = ("warning", "bug")  # their lines say where in the source
_HEADER = re.compile(r"\s*(?:CPU: |Hardware name: |Modules linked in|Workqueue: |Tainted: )")

# "<4>[   12.345678][   T42] text": level, time, caller (CONFIG_PRINTK_CALLER).
_PRINTK = re.compile(r"(?:<\d+>)?\[\s*(\d+\.\d{6})\](?:\[\s*([TC]\d+)\])? ?")


@dataclass(slots=True, eq=False)
class Splat:
    """A kernel report of something wrong. It grows while its lines come; ``closed`` when it is whole.

    ``first_line`` counts the lines fed to the scanner from 0; ``time`` is the kernel's, in seconds.
    """

    kind: str
    first_line: int
    time: float | None = None
    headline: str = ""
    lines: list[str] = field(default_factory=list)
    closed: bool = False
    cut_here: bool = False  # it has the mark that a WARNING or BUG line follows
    located: bool = False  # that line has come

    @property
    def title(self) -> str:
        """What happened and where, without addresses and process ids."""
        return shorten(self.headline)

    @property
    def frames(self) -> tuple[str, ...]:
        """The functions on the stack that say something, innermost first."""
        return frames(self.lines)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that stay the same from build to build: kind, title and top frames, no numbers."""
        return fingerprint(self.kind, self.title, self.lines)

    def matches(self, expected: str) -> bool:
        """Whether a case that announced the regular expression ``expected`` meant this splat."""
        try:
            return any(re.search(expected, text) for text in (self.title, self.headline, self.kind))
        except re.error:
            return False


class SplatScanner:
    """Finds splats in a stream of console lines.

    It fails closed: a ``cut here`` mark, a ``BUG:``, a ``WARNING:`` and a call trace of no known kind are splats as
    well. Lines of different CPUs and tasks are kept apart where the kernel names the caller.
    """

    def __init__(self) -> None:
        self.lines_seen = 0
        self._open: dict[str | None, Splat] = {}
        self._idle: dict[str | None, int] = {}
        self._last_time: float | None = None
        self._asked_for = False  # inside a dump that somebody asked for
        self._before: deque[str] = deque(maxlen=4)

    @property
    def open(self) -> tuple[Splat, ...]:
        """The splats whose end has not come yet."""
        return tuple(self._open.values())

    def feed(self, line: str) -> Splat | None:
        """Take one line; the splat that begins with it, or None. A splat goes on growing after it was returned."""
        number = self.lines_seen
        self.lines_seen += 1
        begun = None
        for time, caller, text in _split(line):
            self._expire(time)
            found = self._take(number, time, caller, text)
            begun = begun or found
            self._before.append(text)
        return begun

    def flush(self) -> tuple[Splat, ...]:
        """End all open splats: the console ended, or nothing more is to be waited for."""
        ended = self.open
        self._asked_for = False
        for splat in ended:
            splat.closed = True
        self._open.clear()
        return ended

    def _take(self, number: int, time: float | None, caller: str | None, text: str) -> Splat | None:
        if CASE_MARK.match(text):
            self.flush()
            return None
        key = caller if caller in self._open or caller is not None else next(reversed(self._open), None)
        current = self._open.get(key)
        rule = _rule_of(text)
        if current is not None and not self._ends_before(current, rule, text):
            self._grow(key, current, rule, text)
            return None
        if current is not None:
            self._close(key)
        return self._begin(number, time, caller, text, rule)

    def _ends_before(self, current: Splat, rule: Rule | None, text: str) -> bool:
        """Whether this line begins another splat rather than going on with the open one."""
        if CUT_HERE.search(text):
            return bool(current.headline) and not (current.kind in _BEFORE_CUT and len(current.lines) <= _DUMP_LINES)
        return rule is not None and bool(current.headline) and not rule.consequence and not _belongs(current, rule)

    def _grow(self, key: str | None, current: Splat, rule: Rule | None, text: str) -> None:
        if not current.headline and text.strip():
            current.headline = text.strip()[:_LINE_LIMIT]
            current.kind = rule.kind if rule is not None else current.kind
        elif rule is not None and current.kind == "unknown" and rule.kind in _LOCATED:
            current.kind = rule.kind  # WARN() and its like print their own message first
            current.headline = f"{current.headline} ({text.strip()})"[:_LINE_LIMIT]
        current.located = current.located or (rule is not None and rule.kind in _LOCATED)
        current.cut_here = current.cut_here or CUT_HERE.search(text) is not None
        if len(current.lines) < _SPLAT_LIMIT:
            current.lines.append(text[:_LINE_LIMIT])
        self._idle[key] = self._idle.get(key, 0) + 1
        if END_TRACE.search(text) or (RULER.match(text) and len(current.lines) > 3) or self._idle[key] > _LONGEST:
            self._close(key)

    def _begin(self, number: int, time: float | None, caller: str | None, text: str, rule: Rule | None) -> Splat | None:
        self._asked_for = self._asked_for or ASKED_FOR.match(text) is not None
        cut_here, trace = CUT_HERE.search(text), CALL_TRACE.match(text) and not self._asked_for
        if rule is None and not cut_here and not trace:
            return None
        splat = Splat(kind=rule.kind if rule else "unknown", first_line=number, time=time, cut_here=bool(cut_here))
        splat.located = splat.kind in _LOCATED
        if rule is not None:
            splat.headline = text.strip()[:_LINE_LIMIT]
        elif trace:
            context = next((line for line in reversed(self._before) if line.strip() and not _HEADER.match(line)), "")
            splat.headline = f"a call trace of no known kind, after: {context.strip()}"[:_LINE_LIMIT]
            splat.lines += self._before
        splat.lines.append(text[:_LINE_LIMIT])
        self._open[caller] = splat
        self._idle[caller] = 0
        return splat

    def _expire(self, time: float | None) -> None:
        if time is None:
            return
        if self._last_time is not None and time - self._last_time > _QUIET_SECONDS:
            self.flush()
        self._last_time = time

    def _close(self, key: str | None) -> None:
        self._open.pop(key).closed = True


def case_mark(line: str) -> tuple[str, str, str] | None:
    """The harness's own mark in a console line: (``begin``, ``end`` or ``expects``; the case's name; the rest)."""
    for _, _, text in _split(line):
        if match := CASE_MARK.match(text.rstrip()):
            return match[1], match[2], match[3] or ""
    return None


def shorten(headline: str) -> str:
    """A splat's first line without what differs from one time to the next: addresses, offsets, process ids."""
    text = re.sub(r"CPU: \d+ (?:UID: \d+ )?PID: \d+ ", "", headline)
    text = re.sub(r"\+0x[0-9a-f]+/0x[0-9a-f]+", "", text)
    text = re.sub(r"\b(?:0x)?[0-9a-f]{8,16}\b", "…", text)
    text = re.sub(r"\bpfn:[0-9a-f]+", "pfn:…", text)
    text = re.sub(r"\[#\d+\]", "", text)
    return re.sub(r"\s+", " ", text).strip()[:200]


def _belongs(current: Splat, rule: Rule) -> bool:
    """Whether a line of this kind explains the open splat: the WARNING or BUG line below its "cut here"."""
    if rule.kind in _LOCATED:
        return current.cut_here and not current.located
    return (current.kind, rule.kind) in (("hungtask", "lockdep"), ("slab", "slab"))


def _rule_of(text: str) -> Rule | None:
    text = text.strip()
    if not text or any(pattern.search(text) for pattern, _ in ALLOWED):
        return None
    return next((rule for rule in SPLATS if rule.pattern.search(text)), None)


def _split(line: str) -> list[tuple[float | None, str | None, str]]:
    """The messages of a console line: (time, caller, text). printk may begin in the middle of another's line."""
    line = printable(line[: 4 * _LINE_LIMIT], limit=2 * _LINE_LIMIT)
    marks = list(_PRINTK.finditer(line))[:8]
    if not marks:
        return [(None, None, line)]
    parts: list[tuple[float | None, str | None, str]] = []
    if marks[0].start() > 0:
        parts.append((None, None, line[: marks[0].start()]))
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        text = line[mark.end() : after.start() if after else None]
        parts.append((float(mark[1]), mark[2], text))
    return parts
