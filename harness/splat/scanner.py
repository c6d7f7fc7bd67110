# SPDX-License-Identifier: GPL-2.0-only
"""A scanner for kernel splats: takes console lines one by one, needs no end, and keeps little.

A report is open from its first line to its end mark, another report of the same writer, a mark of the harness or a gap
in the kernel's time. What still comes of it then (the registers that x86 repeats below an end mark, a stack that a gap
cut off) joins it as its tail, so that no report is taken for two.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness.splat.rules import (
    ALLOWED,
    ASKED_FOR,
    CALL_TRACE,
    CASE_MARK,
    CUT_HERE,
    DETAILS,
    END_TRACE,
    NMI_BACKTRACE,
    REMAINS,
    RULER,
    SLAB_DUMP,
    SPLATS,
    Rule,
)
from harness.splat.stack import Entry, fingerprint, frames, stack
from harness.values import Crash, Frame

_EXPECTED_LIMIT = 300  # characters of an announced splat, and of what it is looked for in
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_REPEAT = re.compile(r"(?<!\\)[*+{]")
_LINE_LIMIT = 1000  # characters of a line that are kept
_TEXT_LIMIT = 2000  # characters of a message that are looked at: printk's own limit is half of it
_SPLAT_LIMIT = 400  # lines of a splat that are kept
_SPLAT_CHARACTERS = 64 << 10  # and their characters
_QUIET_SECONDS = 1.5  # a gap in the kernel's own time after which a splat without an end mark is over
_TAIL_SECONDS = 10.0  # in the kernel's own time, how long after its end what is left of a splat may come
_LONGEST = 600  # lines after which it is over in any case
_FRAMES_KEPT = 30  # of a splat's stack in the results
_MOST_OPEN = 32  # splats that are open at once; the oldest is ended where there would be more
_WHOLE_SPLATS = 64  # a scanner keeps the lines of so many; of each that follows the first

# Kinds whose message stands before the "cut here" of the BUG or WARNING that it explains, and how far before.
_BEFORE_CUT = ("list", "badpage", "debugvm", "usercopy", "fortify", "debugobjects")
_DUMP_LINES = 80  # with page_owner's two stacks
_MANY_STACKS = ("rcustall", "softlockup", "hardlockup", "hungtask", "workqueue", "csdlock")  # of tasks and CPUs
_ASK_CPUS = tuple(kind for kind in _MANY_STACKS if kind != "workqueue")  # for backtraces, by NMI
_LOCATED = ("warning", "bug")  # their lines say where in the source
_SLAB_DUMP_LINES = 40  # of a slab report, after which bytes in hex are not kept: the stack stands below them
_CUT_HERE_LINE = "------------[ cut here ]------------"
_LOST_START = "a report whose beginning is missing, from: "

# "<4>[   12.345678][   T42] text": level, time, caller (CONFIG_PRINTK_CALLER).
_PRINTK = re.compile(r"(?:<\d{1,3}>)?\[ {0,12}(\d{1,12}\.\d{6})\](?:\[ {0,12}([TC]\d{1,9})\])? ?")
_BROKEN_STAMP = re.compile(
    r"(?:[ \d]*\.?\d*\](?:\[ *[TC]\d+\])?|\[? *[TC]?\d*\]) ?"
)  # a line that lost its first characters
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_]?)")  # ECMA-48
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")

# Whatever the scanner acts on has one of these: with no report open, other lines need no closer look.
_MARKS = ("harness: ", "cut here", "all Trace", "all trace", "acktrace", "+0x", "RIP: 0010", "end trace", "sysrq: ")
_ALL_NEEDLES = dict.fromkeys([*(rule.needs for rule in SPLATS), *_MARKS])
_NEEDLES = tuple(one for one in _ALL_NEEDLES if not any(other != one and other in one for other in _ALL_NEEDLES))


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
    in_doubt: bool = False  # a slab report, and a "cut here" in it: the next line says whose
    cut_off: bool = False  # it ended with a mark of the harness, perhaps another writer's, in its midst
    traced: bool = False  # a stack of its own has begun
    last_time: float | None = None
    _count: int = 0  # its lines, kept or not
    _room: int = _SPLAT_CHARACTERS

    @property
    def title(self) -> str:
        """What happened and where, without addresses and process ids."""
        return shorten(self.headline) or "a report that was cut off behind its first line"

    @property
    def frames(self) -> tuple[str, ...]:
        """The functions on the stack that say something, innermost first."""
        return frames(self.lines)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that stay the same from build to build: kind, title and top frames, no numbers."""
        return fingerprint(self.kind, self.title, self.lines)

    @property
    def stack(self) -> tuple[Entry, ...]:
        """The frames behind :attr:`frames` as the kernel wrote them."""
        return stack(self.lines)

    def crash(self) -> Crash:
        """What is known of it as a value, not decoded."""
        known = tuple(
            Frame(function=entry.function, symbol=str(entry), exact=entry.exact) for entry in self.stack[:_FRAMES_KEPT]
        )
        return Crash(kind=self.kind, title=self.title, fingerprint=self.fingerprint, frames=known)

    def matches(self, expected: str) -> bool:
        """Whether a case that announced the regular expression ``expected`` meant this splat.

        It comes from the guest: one that could take for ever (a repeated group, more than three repeats), and one that
        anything matches, means none.
        """
        if len(expected) > _EXPECTED_LIMIT or _REPEATED_GROUP.search(expected) or len(_REPEAT.findall(expected)) > 3:
            return False
        try:
            texts = (self.title, self.headline, self.kind)
            return not re.search(expected, "") and any(re.search(expected, text[:_EXPECTED_LIMIT]) for text in texts)
        except re.error:
            return False

    def _add(self, text: str, time: float | None) -> None:
        self._count += 1
        self.last_time = time if time is not None else self.last_time
        self.traced = self.traced or CALL_TRACE.match(text) is not None
        if self.kind == "slab" and self._count > _SLAB_DUMP_LINES and SLAB_DUMP.match(text):
            return
        kept = text[:_LINE_LIMIT]
        if len(self.lines) < _SPLAT_LIMIT and len(kept) <= self._room:
            self._room -= len(kept)
            self.lines.append(kept)


class SplatScanner:
    """Finds splats in a stream of console lines.

    It fails closed: a ``cut here`` mark, a ``BUG:``, a ``WARNING:``, a call trace of no known kind and what is left of
    a report that lost its beginning are splats as well. Lines of different CPUs and tasks are kept apart where the
    kernel names the caller (``CONFIG_PRINTK_CALLER``). Time is linear in what is fed, memory bounded.
    """

    def __init__(self) -> None:
        self.lines_seen = 0
        self._open: dict[str | None, Splat] = {}
        self._tails: dict[str | None, Splat] = {}
        self._last_time: float | None = None
        self._asked_for = False  # inside a dump that somebody asked for
        self._before: deque[str] = deque(maxlen=4)
        self._begun = 0

    @property
    def open(self) -> tuple[Splat, ...]:
        """The splats whose end has not come yet."""
        return tuple(dict.fromkeys(self._open.values()))

    def feed(self, line: str) -> tuple[Splat, ...]:
        """Take one line; the splats that begin with it. A splat goes on growing after it was returned."""
        number = self.lines_seen
        self.lines_seen += 1
        if not self._open and not self._asked_for and not self._tails and not _worth_a_look(line):
            self._before.append(line[:_TEXT_LIMIT])
            return ()
        begun = []
        for time, caller, text in _messages(line):
            self._expire(time)
            splat = self._take(number, time, caller, text)
            if splat is not None:
                begun.append(splat)
            self._before.append(text)
        return tuple(begun)

    def flush(self) -> tuple[Splat, ...]:
        """End all open splats: the console ended, or nothing more is to be waited for."""
        ended = self.open
        self._asked_for = False
        for splat in ended:
            self._close(splat)
        return ended

    def _take(self, number: int, time: float | None, caller: str | None, text: str) -> Splat | None:
        if CASE_MARK.match(text):
            self._mark(caller)
            return None
        rule = _rule_of(text)
        key = self._key(caller, text)
        current = self._open.get(key)
        if current is not None and current.in_doubt:
            current.in_doubt = False
            if rule is None or rule.kind != "slab":
                return self._cut_from(current, number, time, key, text, rule)
        if current is not None and not self._ends_before(current, rule, text):
            self._grow(current, rule, time, text)
            return None
        if current is not None:
            self._close(current)
        elif (tail := self._tail(key, rule, text)) is not None:
            tail._add(text, time)
            return None
        return self._begin(number, time, key, text, rule)

    def _mark(self, caller: str | None) -> None:
        """A mark of the harness ends what its writer said, and what nobody is known to have said."""
        self._asked_for = False
        for key in (caller, None):
            if (splat := self._open.get(key)) is not None:
                splat.cut_off = True
                self._close(splat)

    def _key(self, caller: str | None, text: str) -> str | None:
        """Whose splat a line may belong to: its caller's; without one, or as a backtrace asked of a CPU, the latest."""
        if caller in self._open:
            return caller
        latest = next(reversed(self._open), None)
        if caller is None:
            return latest
        if latest is not None and NMI_BACKTRACE.match(text):
            asking = (writer for writer in reversed(self._open) if self._open[writer].kind in _ASK_CPUS)
            self._open[caller] = self._open[next(asking, latest)]
        return caller

    def _tail(self, key: str | None, rule: Rule | None, text: str) -> Splat | None:
        """The splat that ended already and that this line is left of."""
        tail = self._tails.get(key) if key is not None else next(reversed(self._tails.values()), None)
        if tail is None:
            return None
        if rule is not None:
            return tail if rule.epilogue or (rule.consequence and tail.cut_off) else None
        if REMAINS.match(text) or DETAILS.match(text):
            return tail
        one_more = not tail.traced or tail.kind in _MANY_STACKS
        return tail if CALL_TRACE.match(text) and one_more and tail.headline else None

    def _ends_before(self, current: Splat, rule: Rule | None, text: str) -> bool:
        """Whether this line begins another splat rather than going on with the open one."""
        if CUT_HERE.search(text):
            current.in_doubt = current.kind == "slab"
            return not current.in_doubt and bool(current.headline) and not _explains(current)
        return rule is not None and bool(current.headline) and not rule.consequence and not _belongs(current, rule)

    def _cut_from(
        self, slab: Splat, number: int, time: float | None, key: str | None, text: str, rule: Rule | None
    ) -> Splat | None:
        """The "cut here" in a slab report was another's."""
        self._close(slab)
        splat = self._begin(number, time, key, _CUT_HERE_LINE, None)
        if splat is not None:
            self._grow(splat, rule, time, text)
        return splat

    def _grow(self, current: Splat, rule: Rule | None, time: float | None, text: str) -> None:
        said = rule is not None or time is not None or current.time is None  # else it is a program's, most likely
        if not current.headline and text.strip() and said:
            current.headline = text.strip()[:_LINE_LIMIT]
            current.kind = rule.kind if rule is not None else current.kind
        elif rule is not None and current.kind == "unknown" and rule.kind in (*_LOCATED, "slab"):
            current.kind = rule.kind  # WARN() and its like print their own message first
            current.headline = f"{current.headline} ({text.strip()})"[:_LINE_LIMIT]
        elif current.headline.startswith("[") and current.kind == "slab" and text.startswith("BUG "):
            current.headline = f"{text.strip()} ({current.headline})"[:_LINE_LIMIT]
        current.located = current.located or (rule is not None and rule.kind in _LOCATED)
        current.cut_here = current.cut_here or (CUT_HERE.search(text) is not None and not current.in_doubt)
        current._add(text, time)
        ruled_off = RULER.match(text) and current._count > 3
        if END_TRACE.search(text) or ruled_off or current._count > _LONGEST:
            self._close(current)

    def _begin(self, number: int, time: float | None, key: str | None, text: str, rule: Rule | None) -> Splat | None:
        self._asked_for = self._asked_for or ASKED_FOR.match(text) is not None
        cut_here = CUT_HERE.search(text) is not None
        trace = CALL_TRACE.match(text) is not None and not self._asked_for
        remains = REMAINS.match(text) is not None and not self._asked_for
        if rule is None and not cut_here and not trace and not remains:
            return None
        splat = Splat(kind=rule.kind if rule else "unknown", first_line=number, time=time, cut_here=cut_here)
        splat.located = splat.kind in _LOCATED
        self._begun += 1
        if self._begun > _WHOLE_SPLATS:
            splat._room = _LINE_LIMIT
        if rule is not None:
            splat.headline = text.strip()[:_LINE_LIMIT]
        elif trace:
            before = [said for line in self._before for _, _, said in _messages(line)][-4:]
            context = next((said.strip() for said in reversed(before) if said and not DETAILS.match(said)), "")
            splat.headline = f"a call trace of no known kind, after: {context}"[:_LINE_LIMIT]
            for said in before:
                splat._add(said, time)
        elif remains:
            splat.headline = f"{_LOST_START}{text.strip()}"[:_LINE_LIMIT]
        splat._add(text, time)
        if len(self._open) >= _MOST_OPEN:
            self._close(next(iter(self._open.values())))
        self._tails.pop(key, None)
        self._open[key] = splat
        if END_TRACE.search(text):
            self._close(splat)
        return splat

    def _expire(self, time: float | None) -> None:
        if time is None:
            return
        if self._last_time is not None and time - self._last_time > _QUIET_SECONDS:
            self.flush()
        self._last_time = time
        if self._tails:
            over = [key for key, tail in self._tails.items() if time - (tail.last_time or time) > _TAIL_SECONDS]
            for key in over:
                del self._tails[key]

    def _close(self, splat: Splat) -> None:
        splat.closed = True
        for key in [key for key, one in self._open.items() if one is splat]:
            del self._open[key]
            self._tails.pop(key, None)
            self._tails[key] = splat
        while len(self._tails) > _MOST_OPEN:
            del self._tails[next(iter(self._tails))]


def case_mark(line: str) -> tuple[str, str, str] | None:
    """The harness's own mark in a console line: (``begin``, ``end`` or ``expects``; the case's name; the rest)."""
    if "harness: case" not in line:
        return None
    for _, _, text in _messages(line):
        if match := CASE_MARK.match(text.rstrip()):
            return match[1], match[2], match[3] or ""
    return None


def titles(lines: Iterable[str], *, most: int = 5) -> list[str]:
    """The titles of the first splats in some lines, each once."""
    scanner = SplatScanner()
    found = [splat for line in lines for splat in scanner.feed(line)]
    return list(dict.fromkeys(splat.title for splat in found))[:most]


def shorten(headline: str) -> str:
    """A splat's first line without what differs from one time to the next: addresses, offsets, process ids."""
    text = re.sub(r"CPU: \d+ (?:UID: \d+ )?PID: \d+ ", "", headline)
    text = re.sub(r"\+0x[0-9a-f]+/0x[0-9a-f]+", "", text)
    text = re.sub(r"\b(?:0x)?[0-9a-f]{8,16}\b", "…", text)
    text = re.sub(r"\bpfn:[0-9a-f]+", "pfn:…", text)
    text = re.sub(r": [0-9a-f]{4} \[#\d+\].*$", "", text)  # how many, and how the kernel was built
    text = re.sub(r"\[#\d+\]", "", text)
    text = re.sub(r"(?<![\w.])/\S*/([\w.-]+\.[chS]:)", r"\1", text)  # of a module built somewhere
    return re.sub(r"\s+", " ", text).strip()[:200]


def _explains(current: Splat) -> bool:
    """Whether a BUG or WARNING that comes now is what the open splat's message is about: it has no stack yet."""
    return current.kind in _BEFORE_CUT and not current.traced and current._count <= _DUMP_LINES


def _belongs(current: Splat, rule: Rule) -> bool:
    """Whether a line of this kind explains the open splat: the WARNING or BUG line below its "cut here"."""
    if rule.kind in _LOCATED:
        message = current.kind == "refcount" and current._count <= _DUMP_LINES
        return (current.cut_here or message or _explains(current)) and not current.located
    return (current.kind, rule.kind) in (("hungtask", "lockdep"), ("slab", "slab"))


def _worth_a_look(line: str) -> bool:
    for needle in _NEEDLES:  # a loop, which is twice as fast as any()
        if needle in line:
            return True
    return not line.isprintable()


def _rule_of(text: str) -> Rule | None:
    text = text.strip()
    for rule in SPLATS:
        if rule.needs in text and rule.pattern.search(text):
            return None if any(pattern.search(text) for pattern, _ in ALLOWED) else rule
    return None


def _clean(text: str) -> str:
    """Without what a terminal would act on: nothing of it is the kernel's own."""
    return _CONTROL.sub("", _ESCAPE.sub("", text)) if not text.isprintable() else text


def _messages(line: str) -> Iterator[tuple[float | None, str | None, str]]:
    """The messages of a console line: (time, caller, text). printk may begin in the middle of another's line."""
    line = _clean(line)
    time: float | None = None
    caller: str | None = None
    start = 0
    for mark in _PRINTK.finditer(line):
        if mark.start() > start or start > 0:
            yield time, caller, _body(line, start, mark.start())
        time, caller, start = float(mark[1]), mark[2], mark.end()
    if start == 0:
        lost = _BROKEN_STAMP.match(line)
        start = lost.end() if lost else 0
    yield time, caller, _body(line, start, len(line))


def _body(line: str, start: int, end: int) -> str:
    return line[start : min(end, start + _TEXT_LIMIT)].rstrip()
