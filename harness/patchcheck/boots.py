# SPDX-License-Identifier: GPL-2.0-only
"""The kernel at some patches boots, and the suites pass there (a feature that is not there yet makes a case a skip)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from harness import again, run
from harness import profile as profiles
from harness.patchcheck.bench import Bench
from harness.patchcheck.builds import Builds, not_run
from harness.progress import Progress, StageView
from harness.results.folder import RunFolder
from harness.results.record import Results, counts, exit_status
from harness.series.finding import Finding, Level
from harness.series.stages import Stage
from harness.values import AppliedSeries, CaseResult, Patch, Verdict

_SHOWN = 20


class Boots:
    """Runs at some patches; 0 is the tree before the first."""

    name = "boot"

    def __init__(
        self,
        *,
        bench: Bench,
        builds: Builds,
        patches: Collection[int],
        suites: Sequence[str],
        stage: Callable[[int], Stage | None],
    ) -> None:
        self._bench = bench
        self._builds = builds
        self._patches = patches
        self._suites = suites
        self._stage = stage
        self._tree_is_due = 0 in patches

    def __call__(self, applied: AppliedSeries, patch: Patch) -> Iterator[Finding]:
        """The finding of this patch's run; before the first patch's, that of the tree."""
        if self._tree_is_due:
            self._tree_is_due = False
            yield self._run(0)
        if patch.number in self._patches:
            if patch.number in self._builds.kernels:
                yield self._run(patch.number)
            else:
                yield not_run(self.name, patch.number, "the patch does not build")

    def _run(self, number: int) -> Finding:
        profile = profiles.override(self._bench.profile, {"patches": number})
        stage = self._stage(number)
        todo = run.plan(profile, selection=stage.suites if stage else self._suites, paths=self._bench.paths)
        view = _View(self._bench.progress, f"patch {number}" if number else "the tree before the series")
        folder, results = run.execute(
            todo,
            paths=self._bench.paths,
            store=self._bench.store,
            view=view,
            command=again.of_profile(profile, paths=self._bench.paths),
        )
        if results.interrupted:
            raise KeyboardInterrupt
        return finding(number, folder, results, stage)


def finding(number: int, folder: RunFolder, results: Results, stage: Stage | None = None) -> Finding:
    """What a finished run says of a patch; at a ``stage`` not all suites ran."""
    verdict = Verdict(results.verdict)
    number_of = ", ".join(f"{count} {name}" for name, count in sorted(counts(results.cases).items()))
    failure = results.failure
    message = f"{verdict}: {failure.message}" if failure is not None else f"boots; {number_of}"
    message += f" (not all suites: {stage.reason})" if stage is not None else ""
    bad = [one for one in results.cases if not Verdict(one.verdict).good]
    details = [f"{one.verdict} {one.suite}/{one.program}:{one.case}  {one.reason}" for one in bad[:_SHOWN]]
    details += [f"… {len(bad) - _SHOWN} more"] if len(bad) > _SHOWN else []
    details += failure.details if failure is not None else ()
    good = verdict.good and failure is None
    return Finding(
        check=Boots.name,
        level=Level.OK if good else Level.ERROR,
        patch=number,
        message=message,
        details=(*details, f"run folder: {folder.path}"),
        status=exit_status(verdict, failure=failure) or 1,
    )


class _View:
    """A run shown as the progress of one line."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._what = what
        self._cases = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[StageView]:
        yield _Stage(self._progress, f"{self._what}: {name}")

    def case_started(self, name: str) -> None:
        self._cases += 1  # counted, so that a log has no line for each
        self._progress.update(f"{self._what}: {name}", done=self._cases)

    def case(self, result: CaseResult) -> None:
        if not result.verdict.good:
            self._progress.warn(f"{self._what}: {result.verdict} {result.name}: {result.reason}")

    def say(self, text: str, *, style: str = "") -> None:
        self._progress.update(f"{self._what}: {text}")


class _Stage:
    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._what = what

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self._progress.update(f"{self._what}: {message}", done=done, total=total)

    def warn(self, message: str) -> None:
        self._progress.warn(message)

    def result(self, text: str, *, cached: bool = False) -> None:
        self._progress.update(f"{self._what}: {text}")
