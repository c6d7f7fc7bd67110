# SPDX-License-Identifier: GPL-2.0-only
"""Makes a site of a history, or brings one up to date: pages of runs that are new or were written again."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from harness.errors import UserError
from harness.history import compare, query
from harness.history.database import History
from harness.page import SCRIPT, STYLE
from harness.site import cases, facts, lists, names, past, rows, runs
from harness.site.state import FILE, Files, RunState, State, code_digest, read

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was done: files ``written`` (others were as they are), runs shown, of them ``new``, wall ``seconds``.

    ``compared`` are the pages of the runs that were to be compared.
    """

    index: Path
    written: int
    runs: int
    new: int
    seconds: float
    compared: tuple[Path, ...] = ()


def make(
    history: History,
    out: Path,
    *,
    nightlies: Path | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    afresh: bool = False,
    tell: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Made:
    """Bring the site in ``out`` up to date; ``afresh`` makes every page again.

    ``nightlies`` is the data folder's ``nightly``, whose summaries come along; ``pairs`` are runs (by uid) to compare
    beside each and the one before it.

    ``tell`` hears what goes on, how many are done, of how many. Raises :class:`UserError` for a folder that is
    something else and :class:`EnvironmentFailure` on a full disk; what was written before it stays, and is made whole
    the next time.
    """
    began = time.monotonic()
    code = code_digest()
    state = read(out, code=code)
    files = Files(out)
    if not (out / FILE).exists():  # a folder whose first making is interrupted is a site's nevertheless
        files.put(FILE, msgspec.json.encode(State()))
    with history.reading() as connection:
        site = _Site(history, connection, files, State(code=code, whole=state.whole) if afresh else state, tell)
        changed = site.make()
        compared = tuple(out / site.compare_runs(one, other) for one, other in pairs)
        summaries = lists.write_summaries(files, nightlies) if nightlies is not None else []
        if changed or summaries != list(site.state.summaries) or not (out / "nights.html").exists():
            lists.write_nights(files, site.rows, summaries)
            site.state.summaries = tuple(summaries)
    files.put("style.css", STYLE.encode())
    files.put("script.js", SCRIPT.encode())
    files.put(FILE, msgspec.json.encode(site.state, order="deterministic"))
    return Made(
        index=out / "index.html",
        written=files.written,
        runs=len(site.rows),
        new=changed,
        seconds=time.monotonic() - began,
        compared=compared,
    )


class _Site:
    """One making of a site."""

    def __init__(
        self,
        history: History,
        connection: sa.Connection,
        files: Files,
        state: State,
        tell: Callable[[str, int, int], None],
    ) -> None:
        self._history, self._connection, self._files, self._tell = history, connection, files, tell
        self.rows = past.runs(connection)
        for place, row in enumerate(self.rows):
            row["place"], row["cells"] = place, rows.cells_of_run(row)
        known = {row["uid"] for row in self.rows}
        gone = not known.issuperset(state.runs)
        self.state = State(code=state.code, whole=state.whole) if gone else state
        self._fresh = not self.state.runs
        self._cells: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            self._cells[row["cell"]].append(row)
        self._outcomes: dict[int, list[Any]] = {}
        self._samples: dict[tuple[tuple[str, ...], ...], Mapping[str, Sequence[float]]] = {}

    def make(self) -> int:
        """Write what changed; of how many runs."""
        reruns = past.rerun_counts(self._connection)
        marks = {row["uid"]: f"{reruns[row['id']]}:{facts.stamp(row['folder'])}" for row in self.rows}
        changed = [row for row in self.rows if self._moved(row, marks[row["uid"]])]
        if changed or self._fresh:
            self._runs(changed, marks)
            self._cases(changed)
            for cell in dict.fromkeys(row["cell"] for row in changed):
                lists.write_cell(self._files, self._connection, self._cells[cell], self.state.runs)
            lists.write_runs(self._files, self.rows)
            lists.write_cases(self._files, list(self.state.cases.values()))
            lists.write_topologies(self._files, self.state.topologies)
            lists.write_index(self._files, self._connection, self.rows, len(self.state.cases))
        return len(changed)

    def compare_runs(self, before: str, after: str) -> str:
        """Write the page that compares two runs; its path. Raises :class:`UserError` where one has no page."""
        rows = {row["uid"]: row for row in self.rows}
        if before not in rows or after not in rows:
            raise UserError("only runs that are in the history have pages", hint="harness history import FOLDER")
        found = self._changes(rows[before], rows[after])
        runs.write_comparison(self._files, found)
        return names.compare_page(found.before, found.after)

    def _changes(self, before: Row, after: Row) -> compare.Comparison:
        one, other = (before, self._outcomes_of(before)), (after, self._outcomes_of(after))
        return compare.compare(one, other, self._samples_of(before, after))

    def _moved(self, row: Row, mark: str) -> bool:
        """Whether a run is not as it was; a folder that is gone since does not take its page along."""
        before = self.state.runs.get(row["uid"])
        if before is None:
            return True
        return mark.partition(":")[0] != before.mark.partition(":")[0] or (
            not mark.endswith(":0") and mark != before.mark
        )

    def _runs(self, changed: Sequence[Row], marks: Mapping[str, str]) -> None:
        wanted = {row["id"] for row in changed}
        done = 0
        for cell in dict.fromkeys(row["cell"] for row in changed):
            before: Row | None = None
            for row in self._cells[cell]:
                if row["id"] in wanted:
                    self._run(row, before, marks[row["uid"]])
                    done += 1
                    self._tell("runs", done, len(changed))
                elif before is not None and before["id"] in wanted:
                    self._run(row, before, marks[row["uid"]])  # what it is compared with changed
                before = row
            self._outcomes.clear()

    def _run(self, row: Row, before: Row | None, mark: str) -> None:
        outcomes = self._outcomes_of(row)
        changes = None
        if before is not None:
            changes = self._changes(before, row)
            runs.write_comparison(self._files, changes)
        found = facts.read(row["folder"])
        if not found.gone or row["uid"] not in self.state.whole:
            runs.write(self._files, row, outcomes, found, before=before, changes=changes)
        if not found.gone:
            self.state.whole.add(row["uid"])
        page = runs.topology_page(found)
        if page and page not in self.state.topologies:
            drawn = lists.write_topology(self._files, found)
            if drawn is not None:
                self.state.topologies[page] = drawn[1:]
        self.state.runs[row["uid"]] = RunState(mark=mark, boot=found.boot, memory=found.memory)

    def _outcomes_of(self, row: Row) -> list[Any]:
        if row["id"] not in self._outcomes:
            while len(self._outcomes) > 1:
                self._outcomes.pop(next(iter(self._outcomes)))
            self._outcomes[row["id"]] = query.outcomes_of(self._connection, row["id"])
        return self._outcomes[row["id"]]

    def _samples_of(self, *rows: Row) -> Mapping[str, Sequence[float]]:
        key = tuple(sorted({tuple(str(row[name]) for name in compare.LIKE) for row in rows}))
        if key not in self._samples:
            self._samples[key] = compare.samples(self._history, rows)
        return self._samples[key]

    def _cases(self, changed: Sequence[Row]) -> None:
        known = {row["id"]: row for row in self.rows}
        first = min((row["place"] for row in changed), default=len(self.rows))
        later = [row["id"] for row in self.rows[first:]]
        found = past.case_ids(self._connection, None if self._fresh else sorted(row["id"] for row in changed))
        for done, (number, name) in enumerate(sorted(found.items(), key=lambda one: one[1])):
            many = past.count_of(self._connection, number)
            before = 0 if self._fresh else cases.as_before(many, past.count_of(self._connection, number, later))
            way = [row for row in past.way_of(self._connection, number, many - before) if row["run_id"] in known]
            if way:
                reruns = past.reruns_of(self._connection, number)
                self.state.cases[name] = cases.write(self._files, name, way, known, reruns, before=before)
            self._tell("cases", done + 1, len(found))
