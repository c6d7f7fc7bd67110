# SPDX-License-Identifier: GPL-2.0-only
"""A failure made to happen again: the run's guest, planned anew from its data, and its cases in it.

QEMU's argv is made here, from the checked topology; the one that the manifest quotes is compared with it and never
used. Kernel, images and programs are given to the guest and to nothing else.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from harness import __version__, accel, guest, image, qemu_runtime
from harness import topology as topologies
from harness.bundle import index as names
from harness.bundle.gather import wanted
from harness.bundle.index import Target
from harness.bundle.material import Material
from harness.errors import HarnessError, UserError
from harness.guests import judge
from harness.lifecycle import suite as lifecycle
from harness.paths import Paths
from harness.pipeline import Stages
from harness.progress import QuietView, View
from harness.rerun import again, selection_of
from harness.results.folder import RunFolder
from harness.results.record import CaseRecord, case_record, fingerprint
from harness.results.recorder import Recorder
from harness.run import RunPlan
from harness.store import Store, file_digest
from harness.suite import described
from harness.suite.catalogue import Selection
from harness.values import Acceleration, CaseResult, Kernel, KernelConfig, Payload, Qemu, QemuPlan, Rootfs, Verdict

CAME_BACK, OTHERWISE, STAYED_AWAY = "came back", "failed otherwise", "did not fail"
BOOTS, BUILDS = "it boots", "it builds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The guest of a run, decided; ``notes`` say what is not as it was then."""

    plan: QemuPlan
    config: KernelConfig
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What became of one target, once. ``number`` counts from 1; ``outcome`` is one of the three above."""

    target: Target
    number: int
    verdict: str
    reason: str
    fingerprint: str
    seconds: float
    outcome: str


def machine(
    material: Material,
    *,
    kernel: Kernel,
    config: KernelConfig,
    qemu: str,
    acceleration: str,
    paths: Paths,
    store: Store,
    stages: Stages,
    ssh: bool = True,
    gdb: bool = False,
) -> Machine:
    """The guest of the run with a kernel, on this machine's QEMU.

    Raises :class:`UserError` where the run had none, and where its root image is not to be had.
    """
    topology, known = material.repeat.topology, material.facts.payload
    if topology is None or known is None or names.PAYLOAD not in material.files:
        why = material.lost.get(names.PAYLOAD, "the run did not come to a guest")
        raise UserError(f"there is no guest of run {material.run}: {why}", hint="run it from its source again")
    with stages.stage("image") as stage:
        rootfs = _rootfs(material, paths=paths, store=store, stages=stages)
        stage.result(f"{rootfs.flavour} ({rootfs.digest[:12]})")
    with stages.stage("qemu") as stage:
        chosen = qemu_runtime.obtain(qemu, paths=paths, store=store, progress=stage)
        topologies.check_against_qemu(topology, chosen, store=store)
        how = accel.choose(acceleration, qemu=chosen, topology=topology, paths=paths, store=store, progress=stage)
        stage.result(f"{chosen.version_text} ({chosen.origin}), {how.accel}: {how.reason}")
    plan = guest.plan(
        kernel=kernel,
        rootfs=rootfs,
        payload=Payload(key=known.digest, image=material.files[names.PAYLOAD], digest=known.digest),
        topology=topology,
        qemu=chosen,
        acceleration=how,
        memory_mib=material.memory_mib if material.memory_mib != topology.memory_mib else None,
        cpus=material.facts.guest.cpus,
        append=material.append,
        config=config.text,
        ssh=ssh,
        gdb=gdb,
    )
    return Machine(plan=plan, config=config, notes=tuple(_notes(material, chosen, how)))


def _rootfs(material: Material, *, paths: Paths, store: Store, stages: Stages) -> Rootfs:
    """The run's root image: the one that came along, or this machine's where it is the same."""
    known = material.facts.rootfs
    if known is None:
        raise UserError(f"run {material.run} does not say what its root image was")
    digest, flavour = known.digest, known.flavour
    if names.ROOTFS in material.files:
        return Rootfs(key=digest, image=material.files[names.ROOTFS], digest=digest, flavour=flavour)
    with stages.stage("image") as stage:
        ours = image.rootfs(flavour, paths=paths, store=store, progress=stage)
    if file_digest(ours.image) != digest:
        raise UserError(
            f"the root image is not in the bundle, and this machine's is another one ({ours.digest[:12]}, not "
            f"{digest[:12]}): its packages have moved on",
            hint="have the bundle made again without --no-image",
        )
    return ours


def _notes(material: Material, qemu: Qemu, how: Acceleration) -> Generator[str, None, None]:
    facts = material.facts
    if facts.harness != __version__:
        yield f"harness {__version__} here, {facts.harness} then"
    if facts.qemu is None or facts.qemu.version != qemu.version_text:
        yield f"QEMU {qemu.version_text} here, {facts.qemu.version if facts.qemu else '?'} then"
    elif facts.qemu.digest != qemu.digest:
        yield f"another build of QEMU {qemu.version_text}"
    if facts.accel != how.accel.value:
        yield f"{how.accel.value} here, {facts.accel} then"


def selections(material: Material, *, paths: Paths) -> tuple[Selection, ...]:
    """What the run selected, in its order; its programs are in the payload.

    Raises :class:`UserError` for programs that run from the host where this harness does not have them.
    """
    profile = material.repeat.profile
    hosted = lifecycle.Lifecycle(
        folder=paths.sequences,
        guest_tests=paths.guest_tests,
        seed=profile.seed,
        seconds=profile.stress_seconds or lifecycle.SECONDS,
    )
    return described.restore(material.programs, hosted={lifecycle.SUITE: hosted.programs})


class Replay:
    """Attempts, one after another; each has a folder ``<number>`` with what its guests and programs wrote."""

    def __init__(self, material: Material, made: Machine, *, folder: RunFolder, paths: Paths) -> None:
        self._material = material
        self._machine = made
        self._folder = folder
        self._paths = paths
        self._selections = {one.program.full_name: one for one in selections(material, paths=paths)}

    @property
    def note(self) -> str:
        """What is not as it was of tests that run from the host, whose code is this harness's own; or ""."""
        chosen = tuple(self._selections.values())
        if not any(one.program.hosted is not None for one in chosen):
            return ""
        ours = RunPlan(profile=self._material.repeat.profile, selections=chosen).from_the_host(self._paths)
        same = ours == self._material.facts.tests.from_the_host
        return "" if same else "tests that run from the host (lifecycle) are this harness's own, not those of then"

    def once(self, number: int, target: Target) -> Attempt:
        """A target alone, in a fresh guest."""
        recorder = Recorder(RunFolder(self._folder.folder(str(number), "alone")), QuietView())
        if not target.case:
            return self._attempt(number, target, self._boot(recorder))
        record, case = wanted(self._material.programs, target.case)
        asked = CaseRecord(suite=record.suite, program=record.name, case=case, verdict=target.verdict)
        selection = selection_of(self._selections.get(f"{record.suite}/{record.name}"), asked)
        if selection is None:
            raise UserError(f"{target.case} was never run in a guest: {target.reason}")
        return self._attempt(number, target, again(asked, selection, recorder, lambda one, to: self._judge([one], to)))

    def whole(self, number: int, view: View) -> list[Attempt]:
        """All that the run selected, in its order; then what became of each target."""
        recorder = Recorder(RunFolder(self._folder.folder(str(number), "whole")), view)
        failed: HarnessError | None = None
        found: dict[str, CaseResult] = {}
        try:
            with closing(self._judge(list(self._selections.values()), recorder)) as results:
                for result in results:
                    recorder.case(result)
                    found[result.name] = result
        except HarnessError as error:
            failed = error
        return [
            self._attempt(number, target, self._of_whole(target, found, failed)) for target in self._material.targets
        ]

    @staticmethod
    def _of_whole(target: Target, found: dict[str, CaseResult], failed: HarnessError | None) -> CaseResult:
        if target.case in found:
            return found[target.case]
        if failed is not None:
            return _own(Verdict(failed.verdict), failed.message)
        return _own(Verdict.LOST, "it gave no result") if target.case else _own(Verdict.PASS, BOOTS)

    def _judge(self, chosen: Sequence[Selection], recorder: Recorder) -> Generator[CaseResult, None, None]:
        return judge(
            self._machine.plan,
            chosen,
            profile=self._material.repeat.profile,
            config=self._machine.config,
            recorder=recorder,
            paths=self._paths,
        )

    def _boot(self, recorder: Recorder) -> CaseResult:
        """Only the boot."""
        try:
            with closing(self._judge([], recorder)) as results:
                for _ in results:
                    pass
        except HarnessError as error:
            return _own(Verdict(error.verdict), error.message)
        return _own(Verdict.PASS, BOOTS)

    def _attempt(self, number: int, target: Target, result: CaseResult) -> Attempt:
        return attempt(number, target, result)


def attempt(number: int, target: Target, result: CaseResult) -> Attempt:
    """What a result says of a target. Pure."""
    record = case_record(result)
    own = record.fingerprint
    if not target.case and not result.verdict.good:
        own = fingerprint(result.verdict.value, result.reason)
    same = record.verdict == target.verdict and own == target.fingerprint
    bad = not result.verdict.good
    outcome = CAME_BACK if same else OTHERWISE if bad else STAYED_AWAY
    return Attempt(
        target=target,
        number=number,
        verdict=record.verdict,
        reason=record.splat or record.reason,
        fingerprint=own,
        seconds=record.seconds,
        outcome=outcome,
    )


def built_again(target: Target, error: HarnessError | None) -> Attempt:
    """What a rebuild, which failed or did not, says of a run that failed to build."""
    return attempt(1, target, _own(Verdict(error.verdict), error.message) if error else _own(Verdict.PASS, BUILDS))


def _own(verdict: Verdict, reason: str) -> CaseResult:
    return CaseResult(suite="", program="", case="", verdict=verdict, reason=reason)
