# SPDX-License-Identifier: GPL-2.0-only
"""A guest's console as a page: what the kernel complained of marked, and linked to the case in which it began.

One pass, bounded memory: of a long console the two ends, and what is around complaints and the cases' marks, are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup, escape

from harness.results import console_log
from harness.splat import SplatScanner, case_mark

_END = 1500  # lines that are kept at either end
_BEFORE, _AFTER = 40, 80  # lines that are kept around a complaint
_MOST = 60  # complaints of which that holds
_WIDEST = 500  # characters of a line
_MARKS = 4000  # marks of cases outside the ends


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the kernel complained of: its title, the case in which it began (empty: between cases), its anchor."""

    title: str
    case: str
    anchor: str


@dataclass(slots=True)
class ConsoleView:
    """A console: its lines as HTML, ``complaints`` in order, and the anchor where each case first begins."""

    html: Markup = field(default_factory=Markup)
    complaints: list[Complaint] = field(default_factory=list)
    anchors: dict[str, str] = field(default_factory=dict)
    lines: int = 0

    @property
    def grouped(self) -> list[tuple[Complaint, int]]:
        """The complaints, those of one title in one case as the first and how many."""
        found: dict[tuple[str, str], list[Complaint]] = {}
        for one in self.complaints:
            found.setdefault((one.title, one.case), []).append(one)
        return [(some[0], len(some)) for some in found.values()]


@dataclass(slots=True)
class _Line:
    number: int
    text: str  # HTML where it is Markup
    anchor: str = ""  # a complaint begins here
    within: bool = False  # a complaint's line
    block: bool = False  # a case's mark


def view(file: Path, case_link: Callable[[str], str]) -> ConsoleView:
    """Read a ``console.log``; ``case_link`` is the address of a case's page, empty for none.

    Raises :class:`UserError` where there is no file.
    """
    found = ConsoleView()
    scanner = SplatScanner()
    running, kept = "", _Kept()
    active = False  # a complaint may be open: only then lines are looked at closely
    for number, text in enumerate(console_log.read(file)):
        stamp, ends, said = text.partition("] ")
        said = said if ends else text
        mark = case_mark(said)
        sizes = [(splat, len(splat.lines)) for splat in scanner.open] if active else []
        begun = scanner.feed(said)
        active = bool(begun) or (active and bool(scanner.open))
        grown = bool(begun) or any(len(splat.lines) > size for splat, size in sizes)
        line = _Line(number, said, within=mark is None and grown)  # the host's clock is on the marks, and in the file
        if mark is not None and mark[0] != "expects":
            begins = mark[0] == "begin"
            anchor = f"c{number}" if begins and mark[1] not in found.anchors else ""
            if anchor:
                found.anchors[mark[1]] = anchor
            line = _Line(number, _mark(stamp, mark[0], mark[1], anchor, case_link), block=True)
            running = mark[1] if begins else ""
        for splat in begun:
            line.anchor = line.anchor or f"s{len(found.complaints)}"
            found.complaints.append(Complaint(_cut(splat.title), running, f"s{len(found.complaints)}"))
        kept.add(line, complaint=bool(begun) and len(found.complaints) <= _MOST)
        found.lines = number + 1
    found.html = _joined(kept.all(), found, case_link)
    return found


class _Kept:
    """The lines that are shown."""

    def __init__(self) -> None:
        self._head: list[_Line] = []
        self._tail: deque[_Line] = deque(maxlen=_END)
        self._chosen: dict[int, _Line] = {}
        self._wanted = self._marks = 0

    def add(self, line: _Line, *, complaint: bool) -> None:
        if len(self._head) < _END:
            self._head.append(line)
            self._wanted = line.number + _AFTER if complaint else self._wanted
            return
        self._tail.append(line)
        if complaint:
            self._chosen |= {before.number: before for before in list(self._tail)[-_BEFORE:]}
            self._wanted = line.number + _AFTER
        if line.number <= self._wanted:
            self._chosen[line.number] = line
        elif line.block and self._marks < _MARKS:
            self._marks += 1
            self._chosen[line.number] = line

    def all(self) -> list[_Line]:
        """What is kept, in order."""
        found = self._chosen | {line.number: line for line in (*self._head, *self._tail)}
        return [found[number] for number in sorted(found)]


def _mark(stamp: str, kind: str, case: str, anchor: str, case_link: Callable[[str], str]) -> Markup:
    name = Markup(' id="{}"').format(anchor) if anchor else Markup("")
    link = _link(case_link(case), _cut(case))
    return Markup('<span class="cm"{}>{}] {} {}</span>').format(name, _cut(stamp), kind, link)


def _link(href: str, words: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(href, words) if href else escape(words)


def _joined(lines: list[_Line], found: ConsoleView, case_link: Callable[[str], str]) -> Markup:
    parts: list[str] = []
    inside = False
    last = -1
    by_anchor = {one.anchor: one for one in found.complaints}
    for line in lines:
        if inside and (not line.within or line.anchor or line.number != last + 1):
            parts.append("</mark>")
            inside = False
        if line.number != last + 1:
            parts.append(f'<span class="cut">… {line.number - last - 1} lines left out …</span>')
        if line.anchor:
            one = by_anchor[line.anchor]
            parts.append(f'<mark id="{line.anchor}">')
            if one.case:
                parts.append(_link(case_link(one.case), f"in {_cut(one.case)}") + "\n")
            inside = True
        parts.append(line.text if line.block else f"{escape(_cut(line.text))}\n")
        last = line.number
    if inside:
        parts.append("</mark>")
    return Markup("".join(parts))


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"
