# SPDX-License-Identifier: GPL-2.0-only
"""A gate from its names to its report.

The patches are looked at by :mod:`harness.patchcheck`; the suites run on base and head (and with ``each`` on the
patches between). What is known is written after each step, so that nothing is lost where it ends early. ::

    gate.json   gate.txt   cover.txt      the report, as data and as text, and the part of a cover letter
    range-diff.txt                        where the base is the revision before
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from harness import patchcheck, run
from harness.errors import HarnessError
from harness.gate import cover, text
from harness.gate.cases import CaseChange, difference, gravest
from harness.gate.ends import Ends, Wanted, find_ends, range_diff
from harness.gate.report import (
    GateReport,
    Kind,
    Measured,
    PatchRecord,
    Reason,
    SideRecord,
    case_reasons,
    finding_reasons,
    finding_record,
    measured,
    measured_reasons,
    ordered,
    repeats_needed,
)
from harness.gate.sides import Execute, Runs, Sample, Side, durations, reasons, verdicts
from harness.patchcheck import Bench, Choice, PatchPlan
from harness.paths import Paths
from harness.profile import Profile, override
from harness.progress import Progress, View
from harness.results import folder as run_folders
from harness.results.folder import RunFolder
from harness.series import at_patch
from harness.series.answers import Answer
from harness.series.check import check
from harness.series.finding import Finding, Level
from harness.series.stages import stage_of
from harness.store import Store
from harness.toolchain import host_toolchain
from harness.values import Verdict

BOOTS = ("ends", "each")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePlan:
    """What was asked for. ``repeat`` runs of each side; ``boot`` ends or each; ``again`` uses no run that is kept."""

    wanted: Wanted
    choice: Choice
    boot: str = "ends"
    repeat: int = 1
    again: bool = False
    answers: tuple[Answer, ...] = ()

    @property
    def profile(self) -> Profile:
        """The head's profile."""
        return self.wanted.profile

    def lines(self, patches: PatchPlan | None, count: int) -> list[str]:
        """The plan as text; ``patches`` is None where the head does not apply."""
        shown = [f"head        {self.profile.series}: {count} patches", f"base        {self.wanted.base_text}"]
        shown.append(f"config      {' '.join(self.profile.config)}")
        if patches is None:
            return [*shown, "the head does not apply: nothing else is done"]
        shown += patches.lines
        suites = " ".join(self.choice.suites or self.profile.suites)
        times = f", {self.repeat} times each in turn" if self.repeat > 1 else ""
        shown.append(f"suites      base and head, topology {self.profile.topology}{times}: {suites}")
        if self.boot == "each" and len(patches.patches) > 1:
            shown.append(f"boot        also patch {', '.join(str(n) for n in patches.patches[:-1])}: the same suites")
        if 1 < self.repeat < repeats_needed():
            shown.append(f"            times are told, not judged: that takes --repeat {repeats_needed()}")
        return shown


def plan(todo: GatePlan, ends: Ends, bench: Bench) -> PatchPlan | None:
    """What is looked at patch by patch; None where the head does not apply. Raises :class:`UserError`."""
    run.plan(todo.profile, selection=todo.choice.suites, paths=bench.paths)  # a suite's name, before any build
    return patchcheck.plan(ends.head, todo.choice, bench) if ends.head is not None else None


def execute(
    todo: GatePlan,
    *,
    paths: Paths,
    store: Store,
    view: View,
    command: Sequence[str] = (),
    execute_run: Execute | None = None,
) -> tuple[RunFolder, GateReport]:
    """Do it all; returns the run folder and the report.

    What ends it early (Ctrl-C, this machine) is raised once the report says what is missing; ``execute_run`` stands in
    place of :func:`harness.run.execute`.
    """
    gate = _Gate(todo, paths=paths, store=store, view=view, command=command, execute_run=execute_run)
    try:
        gate.go()
    except (HarnessError, KeyboardInterrupt) as reason:
        gate.missing = reason.message if isinstance(reason, HarnessError) else "it was interrupted"
        if gate.ends is not None:
            gate.write()
            view.say(f"what is known by then: {gate.folder.path}")
        raise
    report = gate.write()
    gate.folder.write("cover.txt", "".join(f"{line}\n" for line in cover.lines(report)))
    return gate.folder, report


@dataclass(slots=True)
class _Side:
    """What is known of a side."""

    key: str = ""
    samples: list[Sample] = field(default_factory=list)
    kept: int = 0


class _Gate:
    """One gate's state while it goes on."""

    def __init__(
        self,
        todo: GatePlan,
        *,
        paths: Paths,
        store: Store,
        view: View,
        command: Sequence[str],
        execute_run: Execute | None,
    ) -> None:
        self.todo = todo
        self.paths = paths
        self.store = store
        self.view = view
        self.folder = run_folders.create(paths)
        self.toolchain = host_toolchain()
        self.runs = Runs(
            selection=todo.choice.suites,
            toolchain=self.toolchain,
            paths=paths,
            store=store,
            view=view,
            command=command,
            again=todo.again,
            execute=execute_run,
        )
        self.missing = ""
        self.started = time.monotonic()
        self.ends: Ends | None = None
        self.plan: PatchPlan | None = None
        self.findings: list[Finding] = []
        self.base = _Side()
        self.head = _Side()
        self.between: dict[int, Sample] = {}
        self.range_diff: tuple[str, ...] | None = None
        self.extra: list[Reason] = []

    def go(self) -> None:
        """All steps; raises what ends it early."""
        with self.view.stage("base and head") as stage:
            self.ends = ends = find_ends(self.todo.wanted, paths=self.paths, store=self.store, progress=stage)
            stage.result(f"{len(ends.series.patches)} patches on {ends.tree.spec} ({ends.tree.version})")
            self.range_diff = range_diff(ends)
        if self.range_diff is not None:
            self.folder.write("range-diff.txt", "".join(f"{line}\n" for line in self.range_diff))
        with self.view.stage("patches") as stage:
            self._patches(ends, stage)
            bad = sum(one.level is Level.ERROR for one in self.findings)
            stage.result(f"{len(self.findings)} findings, {bad} of them errors")
        self.write()
        if ends.head is not None and not self._broken(len(ends.head.commits)):
            self._suites(ends)

    def _patches(self, ends: Ends, stage: Progress) -> None:
        bench = Bench(
            profile=self.todo.profile, toolchain=self.toolchain, paths=self.paths, store=self.store, progress=stage
        )
        self.plan = plan(self.todo, ends, bench)
        check(
            ends.tree,
            ends.series,
            paths=self.paths,
            store=self.store,
            progress=stage,
            each=patchcheck.checks(self.plan, bench) if self.plan is not None else [],
            only=self.plan.patches if self.plan is not None else (),
            answers=self.todo.answers,
            on_finding=self._found,
        )

    def _found(self, finding: Finding) -> None:
        self.findings.append(finding)
        if finding.level is Level.ERROR:
            where = f" patch {finding.patch}" if finding.patch else ""
            self.view.say(f"{finding.check}{where}: {finding.message}", style="red")

    def _broken(self, number: int) -> bool:
        """Whether a patch was built and does not build."""
        return any(one.check == "build" and one.status == 3 and one.patch == number
                   and one.level is Level.ERROR for one in self.findings)  # fmt: skip

    def _suites(self, ends: Ends) -> None:
        """The suites on both sides, in turn: base first, head first, base first."""
        assert ends.head is not None
        sides = {
            "base": (Side(name="base", profile=self.todo.wanted.base_profile, applied=ends.base), self.base),
            "head": (Side(name="head", profile=self.todo.profile, applied=ends.head), self.head),
        }
        with self.view.stage("sides") as stage:
            for side, state in sides.values():
                state.key = self.runs.key(side, stage)
            stage.result("the same machine, seed and topology")
        other = {"base": self.head.key, "head": self.base.key}
        for number in range(1, self.todo.repeat + 1):
            for name in ("base", "head") if number % 2 else ("head", "base"):
                side, state = sides[name]
                before = self.runs.kept
                # one run of a side says the same beside whatever it is compared with; times are those of a pair
                against = other[name] if self.todo.repeat > 1 else ""
                state.samples.append(self.runs.sample(side, state.key, number=number, against=against))
                state.kept += self.runs.kept - before
                self.write()
                if number == 1 and _no_tests(state.samples[0]):
                    return
        assert self.plan is not None
        for number in self.plan.patches[:-1] if self.todo.boot == "each" else ():
            if not self._broken(number):
                self._between(ends, number)

    def _between(self, ends: Ends, number: int) -> None:
        """The suites on the first patches only; at a stage of the series those that mean something there."""
        assert ends.head is not None
        stage = stage_of(self.todo.choice.stages, number) if not self.todo.choice.suites else None
        profile = override(self.todo.profile, {"patches": number, "suites": stage.suites if stage else None})
        side = Side(name=f"patch {number}", profile=profile, applied=at_patch(ends.head, number))
        with self.view.stage("sides") as shown:
            key = self.runs.key(side, shown)
        self.between[number] = self.runs.sample(side, key)
        self.write()

    def write(self) -> GateReport:
        """Write what is known; returns it."""
        report = self._report()
        self.folder.write("gate.json", msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        self.folder.write("gate.txt", "".join(f"{line}\n" for line in text.lines(report, self.findings)))
        return report

    def _report(self) -> GateReport:
        assert self.ends is not None
        ends = self.ends
        changes = self._changes(self.head.samples)
        times = self._measured()
        found = [*finding_reasons(self.findings), *self._run_reasons(), *case_reasons(changes)]
        found += measured_reasons(times)
        if not self.missing and self.head.samples and not found and not _passed(self.head.samples):
            found.append(Reason(kind=Kind.NOTHING, message="no case passes on the head: nothing was tested"))
        return GateReport(
            run=self.folder.name,
            ready=not found and not self.missing and bool(self.head.samples),
            reasons=ordered(found),
            remarks=tuple(self._remarks(changes)),
            series=self.todo.profile.series,
            patches=tuple(
                PatchRecord(number=one.number, title=one.title, digest=one.digest) for one in ends.series.patches
            ),
            looked_at=self.plan.patches if self.plan is not None else (),
            booted=tuple(self.between),
            base=_record(self.todo.wanted.base_text, ends.base.commit, self.base),
            head=_record(self.todo.profile.series, ends.head.commit if ends.head is not None else "", self.head),
            how=self._how(ends),
            range_diff=self.range_diff,
            findings=tuple(finding_record(one) for one in self.findings),
            changes=changes,
            measured=times,
            missing=self.missing,
            seconds=round(time.monotonic() - self.started, 1),
        )

    def _changes(self, samples: Sequence[Sample]) -> tuple[CaseChange, ...]:
        """Case by case, of the runs that had tests on both sides."""
        base, head = _tested(self.base.samples), _tested(samples)
        if not base or not head:
            return ()
        return difference(verdicts(base), verdicts(head), reasons=reasons(head))

    def _run_reasons(self) -> list[Reason]:
        """What whole runs say: a kernel without tests, and the patches between."""
        found: list[Reason] = []
        for name, samples in (("head", self.head.samples), ("base", self.base.samples)):
            without = [sample for sample in samples if _no_tests(sample)]
            if without:
                found.append(_no_tests_reason(name, without, len(samples)))
            found += [
                _cut_short(name, sample) for sample in samples if sample.results.failure and sample not in without
            ]
        for number, sample in self.between.items():
            if _no_tests(sample):
                found.append(_no_tests_reason(f"patch {number}", [sample], 1, patch=number))
            found += [
                Reason(kind=one.kind, message=f"patch {number}: {one.message}", patch=number)
                for one in case_reasons(self._changes([sample]))
                # what only later patches bring is not there yet
                if one.kind in (Kind.CRASH, Kind.CASE, Kind.UNSTEADY)
            ]
        return found

    def _measured(self) -> tuple[Measured, ...]:
        base, head = _tested(self.base.samples), _tested(self.head.samples)
        if len(base) != len(head) or len(base) < 2:
            return ()
        if not self.missing and len(self.head.samples) + len(self.base.samples) < 2 * self.todo.repeat:
            return ()  # more is to come
        boot = [[one.boot_seconds for one in side if one.boot_seconds] for side in (base, head)]
        memory = [[one.memory_mib for one in side if one.memory_mib] for side in (base, head)]
        whole = len(base)
        if any(len(side) != whole for side in memory):
            memory = [[], []]
        if any(len(side) != whole for side in boot):
            boot = [[], []]
        return measured((boot[0], boot[1]), (memory[0], memory[1]), durations(base, head))

    def _remarks(self, changes: Sequence[CaseChange]) -> list[str]:
        """What does not speak against the head and should be known."""
        said = [one.message for one in self.findings if one.level is Level.WARNING and one.check != "checkpatch"]
        number = sum(one.level is Level.WARNING and one.check == "checkpatch" for one in self.findings)
        said += [f"checkpatch: {number} warnings and checks that have no answer"] if number else []
        if self.plan is not None and len(self.plan.patches) < len(self.ends.series.patches if self.ends else ()):
            said.append(f"only patch {', '.join(map(str, self.plan.patches))} was built and looked at")
        said += [f"not run: {one.check}: {one.message}" for one in self.findings
                 if one.level is Level.NOTE and one.message.startswith("not run: ") and not one.patch]  # fmt: skip
        fixed = [one.name for one in changes if one.change == "fixed"]
        said += [f"fixed: {name}" for name in fixed]
        known = sum(one.change == "fails as on the base" for one in changes)
        said += [f"{known} cases fail on the base as well"] if known else []
        if len(self.head.samples) == 1 and any(one.change.speaks_against for one in changes):
            said.append("each side ran once: --repeat tells a case that fails now and then from one that always does")
        if 0 < len(self.head.samples) < repeats_needed():
            said.append(f"times are not judged: that takes --repeat {repeats_needed()}")
        return said

    def _how(self, ends: Ends) -> dict[str, str]:
        """On what it was tested."""
        profile = self.todo.profile
        said = {
            "source": f"{ends.tree.spec} (Linux {ends.tree.version})",
            "linux": f"Linux {ends.tree.version} ({ends.tree.commit[:12]})",
            "toolchain": self.toolchain.text,
            "config": " ".join(profile.config),
            "topology": profile.topology,
            "seed": str(profile.seed),
            "suites": " ".join(self.todo.choice.suites or profile.suites),
            "grid": " ".join(cell.name for cell in self.plan.cells) if self.plan is not None else "",
            "sparse": (self.plan.sparse or "") if self.plan is not None else "",
        }
        if (machine := self.runs.machine) is not None:
            said["qemu"] = f"QEMU {machine.qemu.version_text}"
            said["accel"] = machine.acceleration.accel.value
        return said


def _record(what: str, commit: str, side: _Side) -> SideRecord:
    counts: dict[str, int] = {}
    for found in verdicts(_tested(side.samples)).values():
        worst = gravest(found)
        counts[worst] = counts.get(worst, 0) + 1
    outcome = [stage.outcome for sample in side.samples for stage in sample.results.stages if stage.name == "build"]
    return SideRecord(
        what=what,
        commit=commit,
        release=outcome[0].partition(" ")[0] if outcome else "",
        runs=tuple(sample.run for sample in side.samples),
        kept=side.kept,
        verdicts=counts,
    )


def _tested(samples: Sequence[Sample]) -> list[Sample]:
    """The runs that came to their tests."""
    return [sample for sample in samples if not _no_tests(sample)]


def _no_tests(sample: Sample) -> bool:
    """Whether a run's kernel did not come to its tests: it did not build or boot."""
    failure = sample.results.failure
    return failure is not None and not sample.results.cases


def _no_tests_reason(name: str, samples: Sequence[Sample], of: int, *, patch: int | None = None) -> Reason:
    failure = samples[0].results.failure
    assert failure is not None
    times = f" in {len(samples)} of {of} runs" if of > 1 else ""
    kind = {Verdict.APPLY: Kind.APPLY, Verdict.BUILD: Kind.BUILD}.get(Verdict(failure.verdict), Kind.BOOT)
    return Reason(
        kind=Kind.BASE if name == "base" else kind,
        message=f"the {name} {kind}{times}: {failure.message}"
        if patch is None
        else f"{name}{times}: {failure.message}",
        patch=patch,
        details=(*failure.details, f"run {samples[0].run}"),
    )


def _cut_short(name: str, sample: Sample) -> Reason:
    """What is said of a run that had cases and did not reach its end."""
    failure = sample.results.failure
    assert failure is not None
    return Reason(
        kind=Kind.BASE if name == "base" else Kind.CASE,
        message=f"a run of the {name} did not reach its end: {failure.verdict}: {failure.message}",
        details=(*failure.details, f"run {sample.run}"),
    )


def _passed(samples: Sequence[Sample]) -> bool:
    return any(case.verdict == Verdict.PASS.value for sample in samples for case in sample.results.cases)
