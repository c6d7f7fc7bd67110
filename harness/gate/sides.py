# SPDX-License-Identifier: GPL-2.0-only
"""Runs of the suites on one side, kept by all that decides them, and what is read from them.

Each is a run of its own with its run folder. Repeats of the two sides are made in turn, so that a busy moment of the
machine hits both; what is kept of such a pair is found again only as the pair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness import build, kconfig, pipeline, run
from harness.again import of_profile
from harness.errors import EnvironmentFailure, UserError
from harness.gate.cases import BAD
from harness.paths import Paths
from harness.pipeline import Machine
from harness.profile import Profile
from harness.progress import Brief, Progress, View
from harness.results.folder import RunFolder
from harness.results.record import Results
from harness.run import RunPlan
from harness.store import Store, tree_digest, value_digest
from harness.toolchain import Toolchain
from harness.topology import definition
from harness.values import AppliedSeries, Verdict

_KIND = "gate-run"
_FORMAT = 1  # of what is kept: raise it when its meaning changes
_FILE = "sample.json"
_KNOWN_STAGES = ("image", "qemu", "source", "series", "config")  # the same for each run
_LEAST_SECONDS = 1.0  # of a case: below, its duration is mostly the way to the guest and back

Execute = Callable[[RunPlan], tuple[RunFolder, Results]]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One run: its id, its results, MiB of memory in use after the boot (None where that is not known)."""

    run: str
    results: Results
    memory_mib: float | None = None

    @property
    def boot_seconds(self) -> float | None:
        """From the start of the first guest to the first test; None where it did not come so far."""
        if self.results.failure is not None:
            return None
        return next((stage.seconds for stage in self.results.stages if stage.name == "boot"), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What is run: a profile that names the tree, and that tree."""

    name: str
    profile: Profile
    applied: AppliedSeries


class _NotKept(Exception):
    """A run that did not reach its end."""


class Runs:
    """Runs of sides with the same machine and suites."""

    def __init__(
        self,
        *,
        selection: Sequence[str],
        toolchain: Toolchain,
        paths: Paths,
        store: Store,
        view: View,
        again: bool = False,
        execute: Execute | None = None,
    ) -> None:
        """``again`` runs what is kept once more; ``execute`` stands in place of :func:`harness.run.execute`."""
        self._selection = tuple(selection)
        self._toolchain = toolchain
        self._paths = paths
        self._store = store
        self._view = view
        self._again = again
        self._execute = execute or self._usual
        self.machine: Machine | None = None
        self.kept = 0

    def _usual(self, todo: RunPlan) -> tuple[RunFolder, Results]:
        view = Brief(self._view, hidden=_KNOWN_STAGES)
        words = of_profile(todo.profile, paths=self._paths)
        return run.execute(todo, paths=self._paths, store=self._store, view=view, command=words)

    def key(self, side: Side, progress: Progress) -> str:
        """The digest of all that decides what a run of a side gives."""
        if self.machine is None:
            self.machine = pipeline.machine_for(side.profile, paths=self._paths, store=self._store, stages=self._view)
        config = kconfig.configure(
            side.applied,
            kconfig.parse_requests(side.profile.config),
            toolchain=self._toolchain,
            paths=self._paths,
            store=self._store,
            progress=progress,
        )
        profile = msgspec.structs.replace(side.profile, summary="", source="", series="", patches=None, jobs=None)
        todo = run.plan(side.profile, selection=self._selection, paths=self._paths)
        return value_digest(
            _FORMAT,
            build.kernel_key(side.applied, config, self._toolchain),
            msgspec.to_builtins(profile),
            todo.cases,
            self.machine.rootfs.digest,
            self.machine.qemu.digest,
            self.machine.acceleration.accel.value,
            definition(self.machine.topology),
            tree_digest(self._paths.guest_tests),
            todo.from_the_host(self._paths),
        )

    def sample(self, side: Side, key: str, *, number: int = 1, against: str = "") -> Sample:
        """One run of a side, the ``number``-th beside those of the side whose key is ``against``.

        Raises :class:`KeyboardInterrupt` where it was stopped, :class:`UserError` or :class:`EnvironmentFailure` where
        it says nothing of the kernel.
        """
        key = value_digest(key, against, number)
        made: list[Sample] = []

        def make(folder: Path) -> dict[str, Any]:
            made.append(self._run(side, number))
            if made[0].results.failure is not None:  # it gets another chance
                raise _NotKept
            (folder / _FILE).write_bytes(msgspec.json.encode(made[0], order="sorted"))
            return {}

        try:
            entry, cached = self._store.obtain(_KIND, key, make, again=self._again)
        except _NotKept:
            return made[0]
        if not cached:
            return made[0]
        self.kept += 1
        sample = msgspec.json.decode((entry.path / _FILE).read_bytes(), type=Sample)
        self._view.say(f"{side.name}, run {number}: known from {sample.run}")
        return sample

    def _run(self, side: Side, number: int) -> Sample:
        self._view.say(f"{side.name}, run {number}", style="bold")
        todo = run.plan(side.profile, selection=self._selection, paths=self._paths)
        folder, results = self._execute(todo)
        if results.interrupted:
            raise KeyboardInterrupt
        failure = results.failure
        if failure is not None and failure.verdict == Verdict.INFRA.value:
            error = UserError if failure.usage else EnvironmentFailure
            raise error(failure.message, hint=failure.hint, details=(*failure.details, f"run folder: {folder.path}"))
        return Sample(run=folder.name, results=results, memory_mib=memory_in_use(folder, todo.profile, self.machine))


def memory_in_use(folder: RunFolder, profile: Profile, machine: Machine | None) -> float | None:
    """MiB of the first guest's memory that are not available once it has booted (``MemAvailable`` of proc(5)).

    What the kernel took before it counted its memory is in it too.
    """
    total = profile.memory_mib or (machine.topology.memory_mib if machine is not None else 0)
    with suppress(OSError, ValueError):
        text = (folder.path / "guests" / "1" / "meminfo.txt").read_text()
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE)
        if found is not None and total:
            return max(0.001, round(total - int(found[1]) / 1024, 3))
    return None


def verdicts(samples: Sequence[Sample]) -> dict[str, list[Verdict]]:
    """The verdicts of each case in all runs."""
    found: dict[str, list[Verdict]] = {}
    for sample in samples:
        for case in sample.results.cases:
            found.setdefault(case.name, []).append(Verdict(case.verdict))
    return found


def reasons(samples: Sequence[Sample]) -> dict[str, str]:
    """Why each case that fails does: what its first failing run says."""
    found: dict[str, str] = {}
    for sample in samples:
        for case in sample.results.cases:
            if Verdict(case.verdict) in BAD:
                found.setdefault(case.name, case.splat or case.reason)
    return found


def durations(
    base: Sequence[Sample], head: Sequence[Sample]
) -> Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Seconds of each case that passes in every run of both sides and takes long enough to be measured."""
    sides = [_durations(samples) for samples in (base, head)]
    both = (name for name in sides[0] if name in sides[1])
    return {
        name: (sides[0][name], sides[1][name])
        for name in both
        if max(*sides[0][name], *sides[1][name]) >= _LEAST_SECONDS and min(*sides[0][name], *sides[1][name]) > 0
    }


def _durations(samples: Sequence[Sample]) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = {}
    for sample in samples:
        for case in sample.results.cases:
            if case.verdict == Verdict.PASS.value:
                found.setdefault(case.name, []).append(case.seconds)
    return {name: tuple(seconds) for name, seconds in found.items() if len(seconds) == len(samples)}
