# SPDX-License-Identifier: GPL-2.0-only
"""What is known of a gate by now, and the report that it comes to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.display import many
from harness.gate.cases import CaseChange, difference, gravest
from harness.gate.ends import Ends
from harness.gate.plan import GatePlan
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
from harness.gate.sides import Sample, durations, reasons, verdicts
from harness.patchcheck import PatchPlan
from harness.series.finding import Finding, Level
from harness.values import Verdict


@dataclass(slots=True)
class SideRuns:
    """The runs of a side; ``key`` is what they stand for, ``kept`` how many of them are of an earlier gate."""

    key: str = ""
    samples: list[Sample] = field(default_factory=list)
    kept: int = 0


@dataclass(slots=True, kw_only=True)
class Known:
    """``between`` are the runs at the patches between, by number; ``missing`` is why it ended early, else empty."""

    todo: GatePlan
    ends: Ends
    range_diff: tuple[str, ...] | None = None
    plan: PatchPlan | None = None
    findings: list[Finding] = field(default_factory=list)
    base: SideRuns = field(default_factory=SideRuns)
    head: SideRuns = field(default_factory=SideRuns)
    between: dict[int, Sample] = field(default_factory=dict)
    missing: str = ""

    def broken(self, number: int) -> bool:
        """Whether a patch was built and does not build."""
        return any(one.check == "build" and one.status == 3 and one.patch == number
                   and one.level is Level.ERROR for one in self.findings)  # fmt: skip

    def report(self, *, run: str, how: Mapping[str, str], seconds: float) -> GateReport:
        """What that comes to. ``run`` is the gate's own run folder, ``how`` on what was tested."""
        ends = self.ends
        changes = self._changes(self.head.samples)
        times = self._measured()
        found = [*finding_reasons(self.findings), *self._run_reasons(), *case_reasons(changes)]
        found += measured_reasons(times)
        if not self.missing and self.head.samples and not found and not _passed(self.head.samples):
            found.append(Reason(kind=Kind.NOTHING, message="no case passes on the head: nothing was tested"))
        return GateReport(
            run=run,
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
            how=dict(how),
            range_diff=self.range_diff,
            findings=tuple(finding_record(one) for one in self.findings),
            changes=changes,
            measured=times,
            missing=self.missing,
            seconds=round(seconds, 1),
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
            without = [sample for sample in samples if no_tests(sample)]
            if without:
                found.append(_no_tests_reason(name, without, len(samples)))
            found += [
                _cut_short(name, sample) for sample in samples if sample.results.failure and sample not in without
            ]
        for number, sample in self.between.items():
            if no_tests(sample):
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
        said += [f"checkpatch: {many(number, 'remark')} without an answer"] if number else []
        if self.plan is not None and len(self.plan.patches) < len(self.ends.series.patches):
            said.append(f"only patch {', '.join(map(str, self.plan.patches))} was built and looked at")
        said += [f"not run: {one.check}: {one.message}" for one in self.findings
                 if one.level is Level.NOTE and one.message.startswith("not run: ") and not one.patch]  # fmt: skip
        fixed = [one.name for one in changes if one.change == "fixed"]
        said += [f"fixed: {name}" for name in fixed]
        known = sum(one.change == "fails as on the base" for one in changes)
        said += [f"{many(known, 'case')} that {'fail' if known > 1 else 'fails'} on the base as well"] if known else []
        if len(self.head.samples) == 1 and any(one.change.speaks_against for one in changes):
            said.append("each side ran once: --repeat tells a case that fails now and then from one that always does")
        if 0 < len(self.head.samples) < repeats_needed():
            said.append(f"times are not judged: that takes --repeat {repeats_needed()}")
        return said

    def how(self) -> dict[str, str]:
        """On what it was tested, as far as names say."""
        profile, ends = self.todo.profile, self.ends
        return {
            "source": f"{ends.tree.spec} (Linux {ends.tree.version})",
            "linux": f"Linux {ends.tree.version} ({ends.tree.commit[:12]})",
            "config": " ".join(profile.config),
            "topology": profile.topology,
            "seed": str(profile.seed),
            "suites": " ".join(self.todo.choice.suites or profile.suites),
            "grid": " ".join(cell.name for cell in self.plan.cells) if self.plan is not None else "",
            "sparse": (self.plan.sparse or "") if self.plan is not None else "",
        }


def _record(what: str, commit: str, side: SideRuns) -> SideRecord:
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
    return [sample for sample in samples if not no_tests(sample)]


def no_tests(sample: Sample) -> bool:
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
