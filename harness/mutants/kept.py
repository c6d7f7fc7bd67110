# SPDX-License-Identifier: GPL-2.0-only
"""What became of mutants in earlier runs, kept by all that decides it: a run started again goes on where it was.

A kill is kept with the program whose case it was; it holds as long as that program, the series, the mutant and the
guest are what they were. A survivor is kept with all programs that ran: a change to any of them may be what finds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.mutants.baseline import program_inputs
from harness.mutants.mutant import Mutant
from harness.mutants.outcome import Outcome, Record, described
from harness.store import Store, value_digest
from harness.suite.catalogue import Program, Selection
from harness.values import Verdict

_KIND = "mutants"
_FORMAT = 1  # of the entry: raise it when the meaning of what is kept changes


class Kept:
    """The records of mutants of one series in one guest.

    ``decides`` is what decides them beside the mutant and the programs, as JSON-able values; ``folder`` holds the guest
    tests; ``passes`` is what the unmutated series makes of each case: only one that passes there can have killed.
    """

    def __init__(self, decides: Sequence[Any], *, folder: Path, store: Store, passes: Mapping[str, Verdict]) -> None:
        self._decides = (_FORMAT, *decides)
        self._folder = folder
        self._store = store
        self._passes = passes
        self._inputs: dict[Path, str] = {}

    def find(self, one: Mutant, tree: str, selections: Sequence[Selection]) -> Record | None:
        """What is known of a mutant, whose tree has this id, and these cases."""
        for selection in selections:
            record = self._read(self._of_kill(tree, selection))
            if record is not None and record.case in selection.names and self._passing(record.case):
                return described(record, one)
        record = self._read(self._of_survivor(tree, selections))
        return described(record, one) if record is not None else None

    def keep(self, record: Record, tree: str, selections: Sequence[Selection]) -> None:
        """Remember a kill, or that no case failed; another outcome gets another chance."""
        if record.outcome is Outcome.KILLED:
            (killer,) = (one for one in selections if record.case in one.names)
            key = self._of_kill(tree, killer)
        elif record.outcome is Outcome.SURVIVED and not record.unsteady:
            key = self._of_survivor(tree, selections)
        else:
            return
        self._store.obtain(_KIND, key, lambda _: msgspec.to_builtins(record), again=True)

    def _read(self, key: str) -> Record | None:
        entry = self._store.find(_KIND, key)
        return msgspec.convert(entry.meta, Record) if entry is not None else None

    def _passing(self, case: str) -> bool:
        return self._passes.get(case) is Verdict.PASS

    def _of_kill(self, tree: str, selection: Selection) -> str:
        return value_digest(self._decides, tree, "killed", self._input(selection.program))

    def _of_survivor(self, tree: str, selections: Sequence[Selection]) -> str:
        able = sorted((self._input(one.program), *filter(self._passing, one.names)) for one in selections)
        return value_digest(self._decides, tree, "survived", able)

    def _input(self, program: Program) -> str:
        if program.path not in self._inputs:
            self._inputs[program.path] = value_digest(program.full_name, program_inputs(program, self._folder))
        return self._inputs[program.path]
