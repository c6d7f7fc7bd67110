# SPDX-License-Identifier: GPL-2.0-only
"""Warnings of a base and a head: which are new, by file and message. Pure.

A patch moves what is below it, so that lines say nothing: a warning is new where its file has it more often
than before.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# what moves with the code: `12: …` in front; objtool's `function+0x1c`
_LINE = re.compile(r"(?P<line>\d+): ")
_OFFSET = re.compile(r"\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?")
_KIND = re.compile(r"\[(-W[\w=+-]+)\]\s*\Z")


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning in a file; ``line`` is where it is now, 0 where the tool names none."""

    file: str
    line: int
    message: str

    @property
    def type(self) -> str:
        """The option that turns it on (``-Wunused-variable``); empty where the tool names none."""
        found = _KIND.search(self.message)
        return found[1] if found else ""

    @property
    def text(self) -> str:
        """The warning as the build keeps it for its file."""
        return f"{self.line}: {self.message}" if self.line else self.message

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


def new_warnings(base: Mapping[str, Sequence[str]], head: Mapping[str, Sequence[str]]) -> tuple[Warned, ...]:
    """The warnings of ``head`` that ``base`` does not have (each: file → ``LINE: message`` or ``message``).

    Of several alike in a file as many are new as there are more of them; the last ones are named.
    """
    new: list[Warned] = []
    for file, said in head.items():
        known = Counter(_same(text) for text in base.get(file, ()))
        for text in said:
            if known[_same(text)] > 0:
                known[_same(text)] -= 1
            else:
                new.append(_warned(file, text))
    return tuple(new)


def _same(text: str) -> str:
    """What two warnings have in common if they are the same one."""
    return _OFFSET.sub("", _LINE.sub("", text, count=1) if _LINE.match(text) else text)


def _warned(file: str, text: str) -> Warned:
    found = _LINE.match(text)
    return Warned(file, int(found["line"]), text[found.end() :]) if found else Warned(file, 0, text)
