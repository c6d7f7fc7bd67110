# SPDX-License-Identifier: GPL-2.0-only
"""Builds and runs mutants one after another; a run folder at the end, as of any run.

The mutants' kernels are built in the worktree that the unmutated one is built in: from one to the next, only the files
that two of them touch change. ::

    mutants.json           the table         unmutated/            what the series itself makes of the cases
    mutants.md             the same, for a README
    mutants/<name>/        guests, outputs, results.json and the patch of one
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness import pipeline, run, series
from harness.display import many
from harness.errors import ApplyError, BootError, BuildError, HarnessError
from harness.guests import judge
from harness.manifest import manifest, portable_argv
from harness.mutants import mutant as mutants
from harness.mutants.baseline import Baseline
from harness.mutants.kept import Kept
from harness.mutants.mutant import Mutant
from harness.mutants.order import ordered
from harness.mutants.outcome import (
    Outcome,
    Record,
    Report,
    Trial,
    as_case,
    markdown,
    no_kernel,
    told,
    unmutated_case,
)
from harness.paths import Paths
from harness.pipeline import BuiltKernel, Machine, Made
from harness.profile import Profile
from harness.progress import Brief, Quiet, QuietView, StageView, View
from harness.results import folder as run_folders
from harness.results.folder import RunFolder
from harness.results.record import Results
from harness.results.recorder import Recorder
from harness.store import Store
from harness.suite import catalogue
from harness.suite.catalogue import Selection
from harness.values import AppliedSeries, CaseResult, QemuPlan, Tree, Verdict

_STYLE = {Outcome.KILLED: "green", Outcome.SURVIVED: "bold red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MutantsPlan:
    """What will be done; ``selections`` are each mutant's cases, by its name.

    ``full`` runs every case of every mutant, not only up to the first kill; ``again`` also what earlier runs know.
    """

    profile: Profile
    mutants: tuple[Mutant, ...]
    selections: Mapping[str, tuple[Selection, ...]]
    full: bool = False
    again: bool = False

    @property
    def every(self) -> tuple[Selection, ...]:
        """The cases of all mutants, each once."""
        found: dict[str, Selection] = {}
        for one in itertools.chain.from_iterable(self.selections.values()):
            program = one.program
            taken = {*one.cases, *(found[program.full_name].cases if program.full_name in found else ())}
            cases = tuple(case for case in program.cases if case in taken)
            found[program.full_name] = dataclasses.replace(one, cases=cases)
        return tuple(found.values())


def plan(
    profile: Profile,
    names: Sequence[str],
    *,
    selection: Sequence[str] = (),
    full: bool = False,
    again: bool = False,
    paths: Paths,
    store: Store,
) -> MutantsPlan:
    """Check what can be checked before anything is fetched or built; raises :class:`UserError`.

    Without ``selection`` a mutant meets the profile's suites, and beside these the cases that it names itself.
    """
    pipeline.check(profile, paths=paths)
    found = mutants.read_all(names, paths=paths, store=store)
    return MutantsPlan(
        profile=profile,
        mutants=found,
        selections={
            one.name: catalogue.select(paths.guest_tests, selection or (*profile.suites, *one.killers)) for one in found
        },
        full=full,
        again=again,
    )


def execute(
    todo: MutantsPlan, *, paths: Paths, store: Store, view: View, command: Sequence[str] = ()
) -> tuple[RunFolder, Results, Report]:
    """Run it all; returns the run folder, the results (a case a mutant) and the report, whatever they are.

    An error or Ctrl-C ends it early: the results say so and hold what is known by then.
    """
    folder = run_folders.create(paths)
    recorder = Recorder(folder, _Stages(view))
    work = _Work(todo, recorder=recorder, paths=paths, store=store, view=view, command=tuple(command))
    with run.recorded(recorder):
        work.go()
    report = work.report()
    try:
        folder.write_results(recorder.results())
        folder.write("mutants.json", msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        folder.write("mutants.md", markdown(report.mutants).encode())
        work.write_manifest()
    except HarnessError as error:  # a full disk: what is known is shown nevertheless
        recorder.failed(error)
    return folder, recorder.results(), report


def apply_all(
    found: Sequence[Mutant], base: AppliedSeries, *, paths: Paths, store: Store, progress: StageView
) -> dict[str, AppliedSeries]:
    """Each mutant on top of the series, by name; raises :class:`ApplyError` that names all that do not apply."""
    series_name = base.series.name if base.series is not None else "no series"
    tree = dataclasses.replace(
        base.tree, commit=base.commit, tree_id=base.tree_id, spec=f"{base.tree.spec} with {series_name}"
    )
    applied: dict[str, AppliedSeries] = {}
    refused: list[str] = []
    for number, one in enumerate(found, start=1):
        progress.update(f"applying {one.name}", done=number, total=len(found))
        try:
            applied[one.name] = _apply(one, tree, paths=paths, store=store)
        except ApplyError as reason:
            refused.append(f"{one.name}: {reason.message}")
    if refused:
        which = ", ".join(line.partition(":")[0] for line in refused)
        raise ApplyError(
            f"{len(refused)} of {len(found)} mutants no longer apply to {series_name}: {which}",
            details=refused,
            hint="the series has changed below them: tests/mutants/README.md says how to make them again",
        )
    return applied


def _apply(one: Mutant, tree: Tree, *, paths: Paths, store: Store) -> AppliedSeries:
    return series.apply(tree, one.patch, paths=paths, store=store, progress=Quiet())


class _Work:
    """One run's state while it goes on."""

    def __init__(
        self,
        todo: MutantsPlan,
        *,
        recorder: Recorder,
        paths: Paths,
        store: Store,
        view: View,
        command: tuple[str, ...],
    ) -> None:
        self.todo = todo
        self.recorder = recorder
        self.paths = paths
        self.store = store
        self.view = view
        self.command = command
        self.started = time.time()
        self.records: list[Record] = []
        self.verdicts: dict[str, Verdict] = {}
        self.made = Made()
        self.machine: Machine | None = None
        self.plan: QemuPlan | None = None

    @property
    def series(self) -> str:
        return self.todo.profile.series or "none"

    def go(self) -> None:
        """All of it; raises what a stage raises."""
        profile, recorder = self.todo.profile, self.recorder
        self.machine = pipeline.machine_for(profile, paths=self.paths, store=self.store, stages=recorder)
        base = pipeline.applied_for(profile, paths=self.paths, store=self.store, stages=recorder, made=self.made)
        with recorder.stage("mutants") as stage:
            trees = apply_all(self.todo.mutants, base, paths=self.paths, store=self.store, progress=stage)
            stage.result(f"{len(trees)} apply")
        built = pipeline.kernel_of(profile, base, paths=self.paths, store=self.store, stages=recorder, made=self.made)
        self.plan = pipeline.guest_plan(profile, built, self.machine)
        self.write_manifest()
        decides = self._decides(built, self.machine, self.plan)
        self._unmutated(built, self.plan, decides)
        kept = Kept((*decides, self.todo.full), folder=self.paths.guest_tests, store=self.store, passes=self.verdicts)
        for number, one in enumerate(self.todo.mutants, start=1):
            self.view.say(f"\n{number}/{len(self.todo.mutants)} {one.name}: {one.title}", style="bold")
            tree, selections = trees[one.name], self.todo.selections[one.name]
            record = None if self.todo.again else kept.find(one, tree.tree_id, selections)
            if record is None:
                record = self._try(one, tree)
                kept.keep(record, tree.tree_id, selections)
            self.records.append(record)
            recorder.case(as_case(record, self.series))
            known = "" if record.run == recorder.folder.name else f", known from run {record.run}"
            self.view.say(f"  {told(record)}{known}", style=_STYLE.get(record.outcome, "bold red"))

    def report(self) -> Report:
        """What is known by now."""
        done = {record.name for record in self.records}
        return Report(
            run=self.recorder.folder.name,
            series=self.series,
            cases=sum(len(one.cases) for one in self.todo.every),
            unmutated=self._bad(),
            mutants=tuple(self.records),
            missing=tuple(one.name for one in self.todo.mutants if one.name not in done),
        )

    def write_manifest(self) -> None:
        """Write the manifest with what is decided by now."""
        written = manifest(
            profile=self.todo.profile,
            selection=[name for one in self.todo.every for name in one.names],
            made=self.made,
            machine=self.machine,
            plan=self.plan,
            command=self.command,
            started=self.started,
            paths=self.paths,
        )
        digests = {one.name: one.patch.digest for one in self.todo.mutants}
        decides = written.decides | {"mutants": digests, "full": self.todo.full}
        self.recorder.folder.write_manifest(msgspec.structs.replace(written, decides=decides))

    def _bad(self) -> dict[str, str]:
        """The cases that the series itself does not pass or skip."""
        return {name: verdict.value for name, verdict in self.verdicts.items() if not verdict.good}

    def _decides(self, built: BuiltKernel, machine: Machine, plan: QemuPlan) -> tuple[object, ...]:
        """What decides verdicts beside mutants and programs."""
        profile = self.todo.profile
        return (
            built.kernel.digest,
            machine.rootfs.digest,
            machine.qemu.digest,
            portable_argv(plan, self.made, machine, self.paths.cache),
            plan.accel.value,
            profile.timeout_scale,
            profile.require_feature,
        )

    def _unmutated(self, built: BuiltKernel, plan: QemuPlan, decides: Sequence[object]) -> None:
        """Know what the series itself makes of every case."""
        kept = Baseline(decides, folder=self.paths.guest_tests, store=self.store)
        missing = kept.unknown(self.todo.every)
        if missing:
            number = sum(len(one.cases) for one in missing)
            self.view.say(f"\nthe series as it is: {many(number, 'case')} not known to pass", style="bold")
        recorder = self._recorder("unmutated")
        self.verdicts = kept.verdicts(
            self.todo.every, lambda selections: self._judge(plan, selections, built, recorder)
        )
        self.recorder.guest_seconds += recorder.guest_seconds
        if missing:
            recorder.folder.write_results(recorder.results())
        for name, verdict in self._bad().items():
            self.view.say(f"  {name} cannot kill: {verdict} on the series as it is", style="bold red")
        self.recorder.case(unmutated_case(self._bad(), self.series))

    def _try(self, one: Mutant, applied: AppliedSeries) -> Record:
        """Build and run one mutant."""
        started = time.monotonic()
        recorder = self._recorder(f"mutants/{one.name}")
        recorder.folder.write(f"{one.name}.patch", one.patch.patches[0].content)
        try:
            built = pipeline.kernel_of(self.todo.profile, applied, paths=self.paths, store=self.store, stages=recorder)
        except BuildError as reason:
            recorder.failed(reason)
            return self._ended(recorder, no_kernel(one, Outcome.BUILD, reason.message, seconds=_since(started)))
        build_seconds = _since(started)
        assert self.machine is not None
        plan = pipeline.guest_plan(self.todo.profile, built, self.machine)
        trial = Trial(passes=self.verdicts, again=lambda result: self._again(result, plan, built, recorder.folder))
        selections = ordered(self.todo.selections[one.name], one.killers)
        try:
            with closing(self._judge(plan, selections, built, recorder)) as results:
                trial.take(results, full=self.todo.full)
        except BootError as reason:
            recorder.failed(reason)
            return self._ended(recorder, no_kernel(one, Outcome.BOOT, reason.message, seconds=_since(started)))
        return self._ended(recorder, trial.record(one, seconds=_since(started), build_seconds=build_seconds))

    def _ended(self, recorder: Recorder, record: Record) -> Record:
        recorder.folder.write_results(recorder.results())
        self.recorder.guest_seconds += recorder.guest_seconds
        return msgspec.structs.replace(record, run=self.recorder.folder.name)

    def _again(self, failed: CaseResult, plan: QemuPlan, built: BuiltKernel, folder: RunFolder) -> bool:
        """Whether a case fails once more in a fresh guest: by itself, or after those that come before it."""
        whole = catalogue.select(self.paths.guest_tests, [f"{failed.suite}/{failed.program}"])[0]
        before = whole.cases[: whole.cases.index(failed.case)]
        for number, cases in enumerate([(failed.case,), (*before, failed.case)][: 2 if before else 1], start=1):
            recorder = Recorder(
                RunFolder(folder.folder(f"again-{failed.case}-{number}")), Brief(self.view, hidden=("config",))
            )
            selection = dataclasses.replace(whole, cases=cases)
            failing: list[str] = []
            with suppress(BootError), closing(self._judge(plan, [selection], built, recorder)) as results:
                failing = [result.name for result in results if not result.verdict.good]
            recorder.folder.write_results(recorder.results())
            self.recorder.guest_seconds += recorder.guest_seconds
            if failed.name in failing:
                return True
        return False

    def _judge(
        self, plan: QemuPlan, selections: Sequence[Selection], built: BuiltKernel, recorder: Recorder
    ) -> Generator[CaseResult, None, None]:
        """Results as they come, recorded, the guests' time too."""
        started = time.monotonic()
        judged = judge(
            plan, selections, profile=self.todo.profile, config=built.config, recorder=recorder, paths=self.paths
        )
        try:
            with closing(judged) as results:
                for result in results:
                    recorder.case(result)
                    yield result
        finally:
            recorder.guest_seconds += time.monotonic() - started

    def _recorder(self, name: str) -> Recorder:
        return Recorder(RunFolder(self.recorder.folder.folder(*Path(name).parts)), Brief(self.view, hidden=("config",)))


def _since(started: float) -> float:
    return time.monotonic() - started


class _Stages(QuietView):
    """The run's own view: its stages are shown; its cases are mutants, and told in another way."""

    def __init__(self, view: View) -> None:
        self._view = view

    def stage(self, name: str) -> AbstractContextManager[StageView]:
        return self._view.stage(name)
