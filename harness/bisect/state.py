# SPDX-License-Identifier: GPL-2.0-only
"""What a bisect has been answered so far, on disk: the same question goes on where it was. ::

<data>/bisects/<question>/state.json    the question, and the answer of each point (a commit, a configuration)
<data>/bisects/<question>/log.txt       a line a point, as it was asked
<data>/bisects/<question>/configs/      the configurations that were tried (--config)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from harness.bisect.answer import Answer
from harness.errors import UserError
from harness.paths import Paths
from harness.results.folder import RunFolder
from harness.store import value_digest

VERSION = 1
_FILE = "state.json"


class _Kept(msgspec.Struct, kw_only=True):
    version: int = VERSION
    question: Any = None
    answers: dict[str, Answer] = {}


class State:
    """The answers to one question; ``question`` is all that decides them, as JSON-able values."""

    def __init__(self, question: Any, *, paths: Paths, again: bool = False) -> None:
        """``again`` forgets what was answered. Raises :class:`UserError` for a state that cannot be read."""
        self.folder = RunFolder(paths.data / "bisects" / value_digest(VERSION, question)[:16])
        self._kept = _Kept(question=question)
        file = self.folder.path / _FILE
        if file.is_file() and not again:
            try:
                self._kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
            except (OSError, msgspec.MsgspecError) as reason:
                raise UserError(f"{file} cannot be read: {reason}", hint="give --again to begin anew") from None
        self.known = len(self._kept.answers)

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    def find(self, point: str) -> Answer | None:
        """The answer of a point, if it was asked."""
        return self._kept.answers.get(point)

    def keep(self, point: str, name: str, answer: Answer) -> None:
        """Write an answer down; ``name`` is what people call the point."""
        self._kept.answers[point] = answer
        self.folder.write(_FILE, msgspec.json.format(msgspec.json.encode(self._kept), indent=1) + b"\n")
        log = self.folder.path / "log.txt"
        before = log.read_text() if log.is_file() else ""
        self.folder.write("log.txt", f"{before}{name}: {answer}  {' '.join(answer.runs)}\n")
