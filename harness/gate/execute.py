# SPDX-License-Identifier: GPL-2.0-only
"""A gate from its names to its report.

The patches are looked at by :mod:`harness.patchcheck`; the suites run on base and head (and with ``each`` on the
patches between). What is known is written after each step, so that nothing is lost where it ends early. ::

    gate.json   gate.txt   cover.txt      the report, as data and as text, and the part of a cover letter
    range-diff.txt                        where the base is the revision before
"""

from __future__ import annotations

import time

import msgspec

from harness import patchcheck
from harness.display import many
from harness.errors import HarnessError
from harness.gate import cover, text
from harness.gate.ends import find_ends, range_diff
from harness.gate.known import Known, no_tests
from harness.gate.plan import GatePlan, plan
from harness.gate.report import GateReport
from harness.gate.sides import Execute, Runs, Side
from harness.patchcheck import Bench
from harness.paths import Paths
from harness.profile import override
from harness.progress import Progress, View
from harness.results import folder as run_folders
from harness.results.folder import RunFolder
from harness.series import at_patch
from harness.series.check import check
from harness.series.finding import Finding, Level
from harness.store import Store
from harness.toolchain import host_toolchain
from harness.values import AppliedSeries


def execute(
    todo: GatePlan,
    *,
    paths: Paths,
    store: Store,
    view: View,
    execute_run: Execute | None = None,
) -> tuple[RunFolder, GateReport]:
    """Do it all; returns the run folder and the report.

    What ends it early (Ctrl-C, this machine) is raised once the report says what is missing; ``execute_run`` stands in
    place of :func:`harness.run.execute`.
    """
    gate = _Gate(todo, paths=paths, store=store, view=view, execute_run=execute_run)
    known: Known | None = None
    try:
        known = gate.begin()
        gate.go(known)
    except (HarnessError, KeyboardInterrupt) as reason:
        if known is not None:
            known.missing = reason.message if isinstance(reason, HarnessError) else "it was interrupted"
            gate.write(known)
            view.say(f"what is known by then: {gate.folder.path}")
        raise
    report = gate.write(known)
    gate.folder.write("cover.txt", "".join(f"{line}\n" for line in cover.lines(report)))
    return gate.folder, report


class _Gate:
    """Who does it: the tools of a gate and its run folder."""

    def __init__(
        self,
        todo: GatePlan,
        *,
        paths: Paths,
        store: Store,
        view: View,
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
            again=todo.again,
            execute=execute_run,
        )
        self.started = time.monotonic()

    def begin(self) -> Known:
        """Find out what base and head are."""
        with self.view.stage("base and head") as stage:
            ends = find_ends(self.todo.wanted, paths=self.paths, store=self.store, progress=stage)
            stage.result(f"{many(len(ends.series.patches), 'patch')} on {ends.tree.spec} ({ends.tree.version})")
            known = Known(todo=self.todo, ends=ends, range_diff=range_diff(ends))
        if known.range_diff is not None:
            self.folder.write("range-diff.txt", "".join(f"{line}\n" for line in known.range_diff))
        return known

    def go(self, known: Known) -> None:
        """All steps; raises what ends it early."""
        with self.view.stage("patches") as stage:
            self._patches(known, stage)
            bad = sum(one.level is Level.ERROR for one in known.findings)
            stage.result(f"{len(known.findings)} findings, {bad} of them errors")
        self.write(known)
        head = known.ends.head
        if head is not None and not known.broken(len(head.commits)):
            self._suites(known, head)

    def _patches(self, known: Known, stage: Progress) -> None:
        bench = Bench(
            profile=self.todo.profile, toolchain=self.toolchain, paths=self.paths, store=self.store, progress=stage
        )
        known.plan = plan(self.todo, known.ends, bench)

        def found(finding: Finding) -> None:
            known.findings.append(finding)
            if finding.level is Level.ERROR:
                where = f" patch {finding.patch}" if finding.patch else ""
                self.view.say(f"{finding.check}{where}: {finding.message}", style="red")

        check(
            known.ends.tree,
            known.ends.series,
            paths=self.paths,
            store=self.store,
            progress=stage,
            each=patchcheck.checks(known.plan, bench) if known.plan is not None else [],
            only=known.plan.patches if known.plan is not None else (),
            answers=self.todo.answers,
            on_finding=found,
        )

    def _suites(self, known: Known, head: AppliedSeries) -> None:
        """The suites on both sides, in turn: base first, head first, base first."""
        wanted = self.todo.wanted
        sides = {
            "base": (Side(name="base", profile=wanted.base_profile, applied=known.ends.base), known.base),
            "head": (Side(name="head", profile=self.todo.profile, applied=head), known.head),
        }
        with self.view.stage("sides") as stage:
            for side, state in sides.values():
                state.key = self.runs.key(side, stage)
            stage.result("the same machine, seed and topology")
        other = {"base": known.head.key, "head": known.base.key}
        for number in range(1, self.todo.repeat + 1):
            for name in ("base", "head") if number % 2 else ("head", "base"):
                side, state = sides[name]
                before = self.runs.kept
                # one run of a side says the same beside whatever it is compared with; times are those of a pair
                against = other[name] if self.todo.repeat > 1 else ""
                state.samples.append(self.runs.sample(side, state.key, number=number, against=against))
                state.kept += self.runs.kept - before
                self.write(known)
                if number == 1 and no_tests(state.samples[0]):
                    return
        assert known.plan is not None
        for number in known.plan.patches[:-1] if self.todo.boot == "each" else ():
            if not known.broken(number):
                self._between(known, head, number)

    def _between(self, known: Known, head: AppliedSeries, number: int) -> None:
        """The suites on the first patches only; at a stage of the series those that mean something there."""
        stage = self.todo.choice.stage(number)
        profile = override(self.todo.profile, {"patches": number, "suites": stage.suites if stage else None})
        side = Side(name=f"patch {number}", profile=profile, applied=at_patch(head, number))
        with self.view.stage("sides") as shown:
            key = self.runs.key(side, shown)
        known.between[number] = self.runs.sample(side, key)
        self.write(known)

    def write(self, known: Known) -> GateReport:
        """Write what is known; returns it."""
        report = known.report(run=self.folder.name, how=self._how(known), seconds=time.monotonic() - self.started)
        self.folder.write("gate.json", msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        self.folder.write("gate.txt", "".join(f"{line}\n" for line in text.lines(report, known.findings)))
        return report

    def _how(self, known: Known) -> dict[str, str]:
        """On what it was tested."""
        said = {**known.how(), "toolchain": self.toolchain.text}
        if (machine := self.runs.machine) is not None:
            said["qemu"] = f"QEMU {machine.qemu.version_text}"
            said["accel"] = machine.acceleration.accel.value
        return said
