# SPDX-License-Identifier: GPL-2.0-only
"""What the unmutated series makes of the cases: run once, and kept by all that decides it.

Kept a program at a time, so that an edited program is the only one to run again; and only where all of its cases are
good, so that a case that failed gets another chance.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from harness.store import Store, file_digest, value_digest
from harness.suite.catalogue import Program, Selection
from harness.values import CaseResult, Verdict

_KIND = "verdicts"
_FORMAT = 1  # of the entry: raise it when the meaning of what is kept changes
_WORD = re.compile(rb"[\w-]+")


class Baseline:
    """The verdicts of a kernel in a guest, program by program.

    ``decides`` is what decides them beside the programs, as JSON-able values; ``folder`` holds the guest tests.
    """

    def __init__(self, decides: Sequence[Any], *, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store
        self._common = (_FORMAT, *decides)

    def unknown(self, selections: Iterable[Selection]) -> tuple[Selection, ...]:
        """Those whose verdicts are not kept."""
        return tuple(one for one in selections if self._kept(one) is None)

    def verdicts(
        self, selections: Sequence[Selection], judge: Callable[[Sequence[Selection]], Generator[CaseResult, None, None]]
    ) -> dict[str, Verdict]:
        """The verdict of each case; what is not kept is run by ``judge``, a function that yields results."""
        found: dict[str, Verdict] = {}
        missing: list[Selection] = []
        for selection in selections:
            kept = self._kept(selection)
            if kept is None:
                missing.append(selection)
            else:
                found |= kept
        if missing:
            last = {one.names[-1]: one for one in missing}
            with closing(judge(missing)) as results:
                for result in results:
                    found[result.name] = result.verdict
                    if result.name in last:
                        self._keep(last[result.name], found)
        return found

    def _kept(self, selection: Selection) -> dict[str, Verdict] | None:
        entry = self._store.find(_KIND, self._key(selection))
        if entry is None:
            return None
        return {name: Verdict(verdict) for name, verdict in entry.meta.items()}

    def _keep(self, selection: Selection, found: dict[str, Verdict]) -> None:
        verdicts = {name: found[name].value for name in selection.names if name in found and found[name].good}
        if len(verdicts) == len(selection.names):
            self._store.obtain(_KIND, self._key(selection), lambda _: dict(verdicts))

    def _key(self, selection: Selection) -> str:
        return value_digest(self._common, program_inputs(selection.program, self._folder), selection.names)


def program_inputs(program: Program, folder: Path) -> dict[str, str]:
    """What decides what a program does: itself, its suite's other files but programs, and what it has of all suites'.

    That is the libraries, the helpers that any of these files names, and the modules where it loads some.
    File (relative to the guest tests) → SHA-256.
    """
    own = program.path.parent
    files = [path for path in own.rglob("*") if path == program.path or not path.name.startswith("test_")]
    files += (folder / "lib").rglob("*")
    files = [path for path in files if path.is_file()]
    words = {word for path in files for word in _WORD.findall(path.read_bytes())}
    for helper in (folder / "helpers").rglob("*"):
        if helper.suffix == ".h" or os.fsencode(helper.stem) in words:
            files.append(helper)
    if program.modules:
        files += (folder / "modules").rglob("*")
    return {str(path.relative_to(folder)): file_digest(path) for path in sorted(files) if path.is_file()}
