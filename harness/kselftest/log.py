# SPDX-License-Identifier: GPL-2.0-only
"""Why make did not make a file: from what it said on standard error. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

_FAILED = re.compile(r"make(?:\[\d+\])?: \*\*\* \[(?:[^\]]*[\s:])?(?P<target>[^\]\s:]+)\] Error \d+")
_NO_RULE = re.compile(
    r"make(?:\[\d+\])?: \*\*\* No rule to make target '(?P<what>[^']+)', needed by '(?P<target>[^']+)'"
)
_LIBRARY = re.compile(r"cannot find -l(\S+?):?(?:\s|$)")
_HEADER = re.compile(r"fatal error: (\S+): No such file or directory")
_PROGRAM = re.compile(r"(?:^|\s)(\S+): (?:command )?not found|make\S*: (\S+): No such file or directory")
_ERROR = re.compile(r"\berror\b|undefined reference|cannot|Error", re.IGNORECASE)
_OWN_HEADERS = ("linux/", "asm/", "uapi/", "../", "./")
_BLOCK = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something was not built. ``ours``: for a reason in the tree, not for something that this machine lacks."""

    text: str
    ours: bool


def reasons(lines: Iterable[str]) -> dict[str, Reason]:
    """File name → why it was not built, from the standard error of ``make -k --output-sync=target``."""
    found: dict[str, Reason] = {}
    block: list[str] = []
    for line in lines:
        if match := _NO_RULE.match(line):
            text = f"no rule to make {PurePosixPath(match['what']).name}"
            for name in (match["target"], match["what"]):
                found.setdefault(PurePosixPath(name).name, Reason(text=text, ours=True))
        elif match := _FAILED.match(line):
            found.setdefault(PurePosixPath(match["target"]).name, reason_of(block))
            block = []
        elif len(block) < _BLOCK:
            block.append(line)
    return found


def reason_of(block: Iterable[str]) -> Reason:
    """The reason in what a compiler said: what this machine lacks before all else."""
    lines = list(block)
    for line in lines:
        if match := _LIBRARY.search(line):
            return Reason(text=f"this machine has no library to link with for -l{match[1]}", ours=False)
        if (match := _HEADER.search(line)) and not match[1].startswith(_OWN_HEADERS):
            return Reason(text=f"this machine has no header {match[1]}", ours=False)
        if match := _PROGRAM.search(line):
            return Reason(text=f"this machine has no program {match[1] or match[2]}", ours=False)
    said = next((line.strip() for line in lines if _ERROR.search(line)), lines[-1].strip() if lines else "no reason")
    return Reason(text=said[:300], ours=True)
