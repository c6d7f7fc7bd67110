# SPDX-License-Identifier: GPL-2.0-only
"""What became of the cells of a night: a run's results, or what is known where it left none, kept in the book."""

from __future__ import annotations

import time

from harness.errors import HarnessError
from harness.nightly.state import Book, CellState, Kept, Known, Night
from harness.paths import Paths
from harness.process import describe_exit
from harness.results import folder as run_folders
from harness.results.folder import RunFolder
from harness.results.record import Results, counts
from harness.values import Verdict
from harness.workers import Ended


class Outcomes:
    """Takes what cells leave into ``book``; ``limit`` is the matrix' ``limits.cell``, as it is written there."""

    def __init__(self, book: Book, *, limit: str, paths: Paths) -> None:
        self._book = book
        self._limit = limit
        self._runs = paths.runs

    def take(self, ended: Ended, state: CellState) -> None:
        """A cell whose command ended."""
        key = ended.job.name
        state.seconds = round(ended.seconds, 3)
        results = self._results_of(state.run)
        if results is not None and not (results.interrupted and ended.overdue):
            self._finish(key, state, results)
        else:
            self._broken(state, ended)
            self.know(key, state)

    def settle(self, night: Night) -> None:
        """Cells that were ended early: one whose run came to its end all the same counts, the others wait again."""
        for key, state in night.cells.items():
            if state.status != "running":
                continue
            results = self._results_of(state.run)
            if results is not None and not results.interrupted:
                self._finish(key, state, results)
            else:
                self._drop(key, state)

    def abandon(self, night: Night) -> None:
        """A night that is not gone on with: the runs that it cut off go when their time comes."""
        for key, state in night.cells.items():
            if state.status == "running":
                self._drop(key, state)

    def know(self, key: str, state: CellState) -> None:
        """Remember a result; what says nothing about the kernel leaves the cell due."""
        now = time.time()
        if state.run and not state.like:
            self._book.kept.append(Kept(run=state.run, cell=key, verdict=state.verdict, when=now))
        self._book.known[key] = Known(
            fingerprint=state.fingerprint if state.verdict != Verdict.INFRA.value else "",
            verdict=state.verdict,
            run=state.run,
            when=now,
            seconds=state.seconds,
            guest_seconds=state.guest_seconds,
            reason=state.reason,
            counts=state.counts,
        )

    def _finish(self, key: str, state: CellState, results: Results) -> None:
        """A run that came to its end."""
        state.status, state.verdict = "done", results.verdict
        if results.interrupted:
            state.verdict, state.reason = Verdict.LOST.value, "interrupted from outside"
        state.guest_seconds = results.guest_seconds
        state.seconds = state.seconds or results.seconds
        state.counts = dict(counts(results.cases))
        if results.failure is not None:
            state.reason = results.failure.message
        else:
            bad = [case for case in results.cases if not Verdict(case.verdict).good]
            more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            state.reason = f"{bad[0].verdict} {bad[0].suite}/{bad[0].program}:{bad[0].case}{more}" if bad else ""
        self.know(key, state)

    def _broken(self, state: CellState, ended: Ended) -> None:
        """A cell that left no results, or was stopped at its deadline."""
        state.status = "done"
        if ended.overdue:
            state.verdict = Verdict.TIMEOUT.value
            state.reason = f"it took longer than limits.cell ({self._limit})"
        else:
            state.verdict = Verdict.INFRA.value
            state.reason = f"harness run ended with {describe_exit(ended.status)} and left no results"

    def _drop(self, key: str, state: CellState) -> None:
        """A run without a result: its folder goes when its time comes."""
        self._book.kept.append(Kept(run=state.run, cell=key, verdict="", when=time.time()))
        state.status, state.run = "waiting", ""

    def _results_of(self, run: str) -> Results | None:
        folder = RunFolder(self._runs / run)
        if not run or not (folder.path / "results.json").is_file():
            return None
        try:
            return run_folders.read_results(folder)
        except HarnessError:
            return None
