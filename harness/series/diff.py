# SPDX-License-Identifier: GPL-2.0-only
"""Reads the diff in a patch: which files it touches and where its hunks are. Pure; git is the judge of the rest.

The form is git's (git-diff(1), "Generating patch text with -p") and, for old mails, a plain unified diff.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_GIT = re.compile(r"diff --git (?P<a>\"(?:[^\"\\]|\\.)*\"|\S.*?) (?P<b>\"(?:[^\"\\]|\\.)*\"|\S.*)$")
_HUNK = re.compile(r"@@ -(?P<start>\d+)(?:,(?P<old>\d+))? \+(?P<to>\d+)(?:,(?P<new>\d+))? @@")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class DiffError(ValueError):
    """A diff that cannot be read; the message says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """One hunk: its header line, and the first line of the old and of the new file that it covers."""

    header: str
    old_start: int
    new_start: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    """What a diff does to one file. ``old`` or ``new`` is None for a new or a removed file."""

    old: str | None
    new: str | None
    hunks: tuple[Hunk, ...]
    binary: bool = False

    @property
    def path(self) -> str:
        """The path to name this file by: the new one, or the old one of a removed file."""
        return self.new or self.old or ""


def parse(text: str) -> tuple[FileDiff, ...]:
    """Every file of the first line that starts a diff onward; text before it is skipped.

    Raises :class:`DiffError` for a hunk that is cut short, a line that cannot stand in a hunk, or a file without
    any change.
    """
    return _Reader(text.split("\n")).files()


class _Reader:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0

    def files(self) -> tuple[FileDiff, ...]:
        found = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line == "-- " or line.startswith("-- \r"):
                break  # the mail's signature
            if line.startswith("diff --git "):
                found.append(self._git_file())
            elif line.startswith("--- ") and self._peek(1).startswith("+++ "):
                found.append(self._plain_file())
            elif line.startswith("@@ -") and _HUNK.match(line):
                raise DiffError(f"line {self._at + 1}: a hunk without the file that it belongs to")
            else:
                self._at += 1
        return tuple(found)

    def _peek(self, distance: int) -> str:
        at = self._at + distance
        return self._lines[at] if at < len(self._lines) else ""

    def _git_file(self) -> FileDiff:
        start = self._at + 1
        old, new = _git_names(self._lines[self._at])
        self._at += 1
        changes = binary = False
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.startswith("--- "):
                old, new = _name(line[4:]), _name(self._peek(1).removeprefix("+++ "))
                break
            if line.startswith(("new file mode", "deleted file mode")):
                old, new = (None, new) if line.startswith("new") else (old, None)
                changes = True
            elif line.startswith(("rename ", "copy ")):
                old, new, changes = *_moved(line, old, new), True
            elif line.startswith(("old mode ", "new mode ")):
                changes = True
            elif line.startswith(("GIT binary patch", "Binary files ")):
                self._at += 1
                if line.startswith("Binary files "):
                    raise DiffError(f"line {self._at}: {new or old}: the mail has no content of this binary file")
                return FileDiff(old=old, new=new, hunks=(), binary=True)
            elif not line.startswith(("index ", "similarity index", "dissimilarity index")):
                break
            self._at += 1
        if self._peek(0).startswith("--- "):
            return self._plain_file(old, new)
        if not changes and not binary:
            raise DiffError(f"line {start}: {new or old}: a file without any change")
        return FileDiff(old=old, new=new, hunks=())

    def _plain_file(self, old: str | None = None, new: str | None = None) -> FileDiff:
        if old is None and new is None:
            old, new = _name(self._peek(0)[4:]), _name(self._peek(1)[4:])
        if not self._peek(1).startswith("+++ "):
            raise DiffError(f"line {self._at + 2}: '+++' and a file name expected")
        self._at += 2
        hunks = []
        while match := _HUNK.match(self._peek(0)):
            hunks.append(self._hunk(match, new or old or "?"))
        if not hunks:
            raise DiffError(f"line {self._at + 1}: {new or old}: no hunk follows the file's name")
        return FileDiff(old=old, new=new, hunks=tuple(hunks))

    def _hunk(self, match: re.Match[str], path: str) -> Hunk:
        hunk = Hunk(
            header=self._peek(0).rstrip("\r"),
            old_start=int(match["start"]),
            new_start=int(match["to"]),
            line=self._at + 1,
        )
        old = int(match["old"] or 1)
        new = int(match["new"] or 1)
        self._at += 1
        while old > 0 or new > 0:
            if self._at >= len(self._lines):
                raise DiffError(f"{path}: the hunk at line {hunk.line} ({hunk.header}) is cut short")
            kind = self._peek(0)[:1]
            if kind == "\\":  # "\ No newline at end of file"
                self._at += 1
                continue
            if kind not in ("", " ", "+", "-", "\r") or (self._at == len(self._lines) - 1 and kind == ""):
                raise DiffError(
                    f"{path}: line {self._at + 1} does not belong into the hunk at line {hunk.line} ({hunk.header})"
                )
            old -= kind != "+"
            new -= kind != "-"
            self._at += 1
        if old < 0 or new < 0:
            raise DiffError(f"{path}: the hunk at line {hunk.line} has more lines than its header says ({hunk.header})")
        if self._peek(0).startswith("\\"):
            self._at += 1
        return hunk


def _git_names(line: str) -> tuple[str | None, str | None]:
    """The names of ``diff --git a/x b/x``; ambiguous only with spaces, where both halves are alike."""
    rest = line.removeprefix("diff --git ").rstrip("\r")
    middle = len(rest) // 2
    if not rest.startswith('"') and rest[:middle].removeprefix("a/") == rest[middle + 1 :].removeprefix("b/"):
        return _name(rest[:middle]), _name(rest[middle + 1 :])
    match = _GIT.match(line.rstrip("\r"))
    if match is None:
        raise DiffError(f"cannot read the file names in: {line}")
    return _name(match["a"]), _name(match["b"])


def _moved(line: str, old: str | None, new: str | None) -> tuple[str | None, str | None]:
    for word in ("rename from ", "copy from "):
        if line.startswith(word):
            return _unquoted(line[len(word) :].rstrip("\r")), new
    for word in ("rename to ", "copy to "):
        if line.startswith(word):
            return old, _unquoted(line[len(word) :].rstrip("\r"))
    return old, new


def _name(text: str) -> str | None:
    """A name after ``---`` or ``+++``: without quotes, time stamp and the first component; None for /dev/null."""
    name = _unquoted(text.rstrip("\r").split("\t")[0].rstrip(" "))
    if name == "/dev/null":
        return None
    return name.partition("/")[2] if name.startswith(("a/", "b/")) or "/" in name else name


def _unquoted(text: str) -> str:
    if not (len(text) >= 2 and text.startswith('"') and text.endswith('"')):
        return text
    raw = bytearray()
    at = 1
    while at < len(text) - 1:
        char = text[at]
        if char == "\\" and (octal := re.match(r"[0-3][0-7]{2}", text[at + 1 :])):
            raw.append(int(octal[0], 8))
            at += 4
        elif char == "\\":
            raw += _ESCAPES.get(text[at + 1], text[at + 1]).encode()
            at += 2
        else:
            raw += char.encode("utf-8", "surrogateescape")
            at += 1
    return raw.decode("utf-8", "surrogateescape")
