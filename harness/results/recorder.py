# SPDX-License-Identifier: GPL-2.0-only
"""Keeps what a run has shown so far, so that it can be written whenever the run ends, however it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from harness.errors import HarnessError, UserError
from harness.progress import StageView, View
from harness.results.folder import RunFolder
from harness.results.record import CaseRecord, Failure, RerunRecord, Results, StageRecord, case_record, run_verdict
from harness.values import CaseResult, Verdict


class Recorder:
    """A run's stages, cases and failure, passed on to a view as they come."""

    def __init__(self, folder: RunFolder, view: View) -> None:
        self.folder = folder
        self.view = view
        self.guest_seconds = 0.0
        self.interrupted = False
        self.failure: Failure | None = None
        self._started = time.monotonic()
        self._stages: list[StageRecord] = []
        self._cases: list[CaseRecord] = []
        self._reruns: list[RerunRecord] = []

    @property
    def failed_cases(self) -> tuple[CaseRecord, ...]:
        """The cases that did not pass, so far."""
        return tuple(case for case in self._cases if not Verdict(case.verdict).good)

    @contextmanager
    def stage(self, name: str) -> Iterator[StageView]:
        """A stage for the length of the block; what it cost and gave is recorded even when it fails."""
        started = time.monotonic()
        with self.view.stage(name) as shown:
            kept = _Kept(shown)
            try:
                yield kept
            finally:
                seconds = round(time.monotonic() - started, 3)
                self._stages.append(StageRecord(name=name, seconds=seconds, cached=kept.cached, outcome=kept.outcome))

    def case(self, result: CaseResult) -> None:
        """A case ended; or one that had ended is a crash after all, by what the kernel said a little later."""
        record = case_record(result)
        place = next(
            (place for place in range(len(self._cases) - 1, -1, -1) if _same(self._cases[place], record)), None
        )
        if place is None:
            self._cases.append(record)
        else:
            self._cases[place] = record
        self.view.case(result)

    def reran(self, record: RerunRecord) -> None:
        """A failed case was run again."""
        self._reruns.append(record)

    def failed(self, error: HarnessError) -> None:
        """The run itself failed; its cases so far are kept, and the log of what failed is copied to the run folder."""
        before = (f"before that: {self.failure.message}",) if self.failure is not None else ()
        log = error.log
        if log is not None and log.is_file() and self.folder.path not in log.parents:
            with suppress(OSError, HarnessError):
                log = self.folder.write("failure.log", log.read_bytes())
        self.failure = Failure(
            verdict=error.verdict,
            message=error.message,
            usage=isinstance(error, UserError),
            hint=error.hint,
            command=error.command or (),
            log=str(log) if log is not None else None,
            details=(*error.details, *before),
        )

    def results(self) -> Results:
        """What is known by now."""
        return Results(
            run=self.folder.name,
            verdict=run_verdict(self._cases, self.failure, interrupted=self.interrupted).value,
            seconds=round(time.monotonic() - self._started, 3),
            guest_seconds=round(self.guest_seconds, 3),
            interrupted=self.interrupted,
            stages=tuple(self._stages),
            cases=tuple(self._cases),
            failure=self.failure,
            reruns=tuple(self._reruns),
        )


def _same(one: CaseRecord, other: CaseRecord) -> bool:
    return (one.suite, one.program, one.case) == (other.suite, other.program, other.case)


class _Kept:
    """A stage's view that also remembers the outcome."""

    def __init__(self, shown: StageView) -> None:
        self._shown = shown
        self.outcome = ""
        self.cached = False

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self._shown.update(message, done=done, total=total)

    def warn(self, message: str) -> None:
        self._shown.warn(message)

    def result(self, text: str, *, cached: bool = False) -> None:
        self.outcome, self.cached = text, cached
        self._shown.result(text, cached=cached)
