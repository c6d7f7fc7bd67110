# SPDX-License-Identifier: GPL-2.0-only
"""Joins the stages: a profile in, a kernel, a machine or a judged run out. The only module that knows them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from harness import accel, build, guest, image, kconfig, kselftest, payload, qemu_runtime, series, source, toolchain
from harness import topology as topologies
from harness.display import many
from harness.errors import UserError
from harness.kconfig.merge import merge
from harness.kselftest import BuiltTarget, Circumstances, Known, Selftests, Wanted
from harness.kselftest import options as kselftest_options
from harness.paths import Paths
from harness.payload import Extra
from harness.profile import Profile
from harness.progress import Progress, StageView
from harness.store import Store
from harness.topology import Topology
from harness.values import (
    Acceleration,
    AppliedSeries,
    Kernel,
    KernelConfig,
    Payload,
    Qemu,
    QemuPlan,
    Rootfs,
    Series,
    Tree,
)


class Stages(Protocol):
    """Where stages are shown (a view) or shown and recorded (a recorder)."""

    def stage(self, name: str) -> AbstractContextManager[StageView]:
        """A stage, for the length of a ``with`` block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetChoice:
    """A target of the tree's selftests. ``wanted``: programs named → cases wanted of each, none for all of them.

    ``whole``: the other programs as well. ``built`` is None where the tree does not have it.
    """

    target: str
    known: Known
    wanted: Mapping[str, tuple[str, ...]]
    whole: bool
    timeout: float | None = None
    built: BuiltTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltKernel:
    """A kernel with what it was made from, and the selftests of its tree that were asked for (``targets``).

    ``payload`` has its test modules and these selftests, and is None where there are neither.
    """

    applied: AppliedSeries
    config: KernelConfig
    kernel: Kernel
    tools: toolchain.Toolchain
    payload: Payload | None = None
    targets: tuple[TargetChoice, ...] = ()


@dataclass(slots=True, kw_only=True)
class Made:
    """What :func:`kernel_for` has made by now, stage by stage: a run that fails tells how far it came."""

    tree: Tree | None = None
    series: Series | None = None
    applied: AppliedSeries | None = None
    config: KernelConfig | None = None
    kernel: Kernel | None = None
    payload: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """All that a guest needs beside its kernel."""

    topology: Topology
    qemu: Qemu
    acceleration: Acceleration
    rootfs: Rootfs
    payload: Payload


def check(profile: Profile, *, paths: Paths, topology: Topology | None = None) -> Topology:
    """What can be refused before anything is fetched or built: every name, and the topology's own sense.

    ``topology`` stands in place of the one that the profile names.
    """
    source.parse(profile.source)
    if profile.series:
        series.parse(profile.series, paths=paths)
    merge([kconfig.parse_request(text) for text in profile.config], paths.kconfigs)
    topology = topology or topologies.load(profile.topology, paths=paths)
    topologies.check(topology)
    return topology


def kernel_for(
    profile: Profile,
    *,
    paths: Paths,
    store: Store,
    stages: Stages,
    made: Made | None = None,
    selftests: Sequence[Wanted] = (),
    modules: bool = True,
) -> BuiltKernel:
    """Source, series, configuration, build: the kernel that the profile asks for, from the cache where it is there.

    ``made`` is filled on the way. With ``selftests`` these are built from the tree as well, and the kernel has what
    their ``config`` asks for; without ``modules`` those of the guest tests are not built. Raises ApplyError,
    BuildError, UserError or EnvironmentFailure as the stages do.
    """
    applied = applied_for(profile, paths=paths, store=store, stages=stages, made=made)
    return kernel_of(
        profile, applied, paths=paths, store=store, stages=stages, made=made, selftests=selftests, modules=modules
    )


def applied_for(
    profile: Profile, *, paths: Paths, store: Store, stages: Stages, made: Made | None = None
) -> AppliedSeries:
    """Source and series: the tree that the profile asks for."""
    made = made or Made()
    with stages.stage("source") as stage:
        made.tree = tree = source.obtain(profile.source, paths=paths, store=store, progress=stage)
        stage.result(f"{profile.source} → Linux {tree.version} ({tree.commit[:12]})")
    with stages.stage("series") as stage:
        patches = None
        if profile.series:
            made.series = patches = series.read(profile.series, paths=paths, store=store, progress=stage, tree=tree)
        applied = first_patches(series.apply(tree, patches, paths=paths, store=store, progress=stage), profile.patches)
        made.applied = applied
        if patches is not None:
            made.series = replace(patches, patches=patches.patches[: profile.patches])
        stage.result(_series_outcome(applied))
    return applied


def kernel_of(
    profile: Profile,
    applied: AppliedSeries,
    *,
    paths: Paths,
    store: Store,
    stages: Stages,
    made: Made | None = None,
    selftests: Sequence[Wanted] = (),
    modules: bool = True,
) -> BuiltKernel:
    """Configuration and build: the kernel of a tree, with the profile's fragments and what ``selftests`` ask for."""
    made = made or Made()
    tools = toolchain.host_toolchain()
    requests = [kconfig.parse_request(text) for text in profile.config]
    targets: tuple[TargetChoice, ...] = ()
    if selftests:
        with stages.stage("kselftest") as stage:
            tests = kselftest.read(applied, store=store, progress=stage)
            targets = _targets(tests, selftests, tools, paths=paths, store=store, stage=stage)
            stage.result(_targets_outcome(targets))
        requests += _target_options(tests, targets, requests, paths)
    with stages.stage("config") as stage:
        made.config = config = kconfig.configure(
            applied, requests, toolchain=tools, paths=paths, store=store, progress=stage
        )
        for warning in config.warnings:
            stage.warn(warning)
        stage.result(f"{' '.join(config.fragments)} ({config.digest[:12]})")
    with stages.stage("build") as stage:
        kernel, cached = build.build(
            applied, config, toolchain=tools, paths=paths, store=store, progress=stage, jobs=profile.jobs
        )
        warnings = sum(len(lines) for lines in kernel.warnings.values())
        noted = f", {warnings} compiler warnings" if warnings else ""
        made.kernel = kernel
        built = BuiltKernel(applied=applied, config=config, kernel=kernel, tools=tools, targets=targets)
        modules = modules and config.enabled("MODULES")
        if modules or targets:
            made.payload = _payload_for(built, profile, modules, paths=paths, store=store, progress=stage)
        stage.result(f"{kernel.release} ({kernel.key[:12]}{noted})", cached=cached)
    return replace(built, payload=made.payload)


def _payload_for(
    built: BuiltKernel, profile: Profile, with_modules: bool, *, paths: Paths, store: Store, progress: Progress
) -> Payload:
    """The guest tests with the test modules for a kernel, and with the selftests of its tree."""
    modules = None
    if with_modules:
        modules = build.guest_modules(
            built.applied,
            built.config,
            built.kernel,
            folder=paths.guest_tests / "modules",
            toolchain=built.tools,
            paths=paths,
            store=store,
            progress=progress,
            jobs=profile.jobs,
        )
    extra: list[Extra] = []
    if packed := [target.built for target in built.targets if target.built is not None]:
        extra.append(Extra("kselftest", kselftest.GUEST_FILES, kselftest.guest_files_digest()))
        extra += (Extra(f"kselftest/{name}", one.folder / name, one.key) for one in packed for name in ("tree", "lib"))
        if built.kernel.modules is not None:
            extra.append(Extra("kselftest/modules", built.kernel.modules / "lib" / "modules", built.kernel.key))
    return payload.payload(paths=paths, store=store, progress=progress, modules=modules, extra=extra)


def machine_for(
    profile: Profile, *, paths: Paths, store: Store, stages: Stages, topology: Topology | None = None
) -> Machine:
    """The root file system, the guest tests, QEMU, the topology and the accelerator that the profile asks for.

    ``topology`` stands in place of the one that the profile names.
    """
    topology = check(profile, paths=paths, topology=topology)
    with stages.stage("image") as stage:
        rootfs = image.rootfs(profile.image, paths=paths, store=store, progress=stage)
        tests = payload.payload(paths=paths, store=store, progress=stage)
        stage.result(f"{rootfs.flavour} ({rootfs.image.stat().st_size >> 20} MiB) and the guest tests")
    with stages.stage("qemu") as stage:
        qemu = qemu_runtime.obtain(profile.qemu, paths=paths, store=store, progress=stage)
        topologies.check_against_qemu(topology, qemu, store=store)
        acceleration = accel.choose(
            profile.accel, qemu=qemu, topology=topology, paths=paths, store=store, progress=stage
        )
        stage.result(f"{qemu.version_text} ({qemu.origin}), {acceleration.accel}: {acceleration.reason}")
    return Machine(topology=topology, qemu=qemu, acceleration=acceleration, rootfs=rootfs, payload=tests)


def circumstances(built: BuiltKernel, machine: Machine) -> Circumstances:
    """What decides which of the things that are known of selftests hold."""
    return Circumstances(
        kernel=built.kernel.release, accel=machine.acceleration.accel.value, topology=machine.topology.name
    )


def _targets(
    tests: Selftests,
    wanted: Sequence[Wanted],
    tools: toolchain.Toolchain,
    *,
    paths: Paths,
    store: Store,
    stage: StageView,
) -> tuple[TargetChoice, ...]:
    """Build the targets that are wanted, each once; raises :class:`UserError` for one that does not exist."""
    chosen: dict[str, dict[str, list[str]]] = {}  # "" as a program's name: the whole target
    for one in wanted:
        target, program = kselftest.resolve(one, tests.targets, absent=kselftest.absent_targets())
        chosen.setdefault(target, {}).setdefault(program, []).append(one.case)
    found = []
    for target, programs in chosen.items():
        names = {name: () if "" in cases else tuple(cases) for name, cases in programs.items() if name}
        choice = TargetChoice(target=target, known=kselftest.load(target), wanted=names, whole="" in programs)
        if target in tests.targets:
            built = kselftest.build(tests, target, toolchain=tools, paths=paths, store=store, progress=stage)
            choice = replace(choice, built=built, timeout=tests.timeout(target))
        found.append(choice)
    return tuple(found)


def _target_options(
    tests: Selftests, targets: Sequence[TargetChoice], requests: Sequence[kconfig.FragmentRequest], paths: Paths
) -> list[kconfig.FragmentRequest]:
    """What the targets ask of Kconfig beside what the profile decides."""
    asked = {name: wanted.value for name, wanted in merge(requests, paths.kconfigs).asked.items()}
    wanted = {one.target: tests.options(one.target) for one in targets if one.built is not None}
    request = kselftest_options.fragment(wanted, {one.target: one.known for one in targets}, asked=asked)
    return [request] if request is not None else []


def _targets_outcome(targets: Sequence[TargetChoice]) -> str:
    parts = []
    for one in targets:
        if one.built is None:
            parts.append(f"{one.target}: not in this tree")
            continue
        lost = f", {len(one.built.unbuilt)} not built" if one.built.unbuilt else ""
        parts.append(f"{one.target}: {len(one.built.programs)} programs{lost}")
    return "; ".join(parts)


def guest_plan(profile: Profile, built: BuiltKernel, machine: Machine) -> QemuPlan:
    """The guest that the profile asks for, decided."""
    return guest.plan(
        kernel=built.kernel,
        rootfs=machine.rootfs,
        payload=built.payload or machine.payload,
        topology=machine.topology,
        qemu=machine.qemu,
        acceleration=machine.acceleration,
        memory_mib=_memory(profile, built, machine),
        cpus=profile.cpus,
        append=command_line(profile, built.config.command_line),
        config=built.config.text,
    )


def first_patches(applied: AppliedSeries, patches: int | None) -> AppliedSeries:
    """The tree with the first patches only, where fewer than all are asked for."""
    if patches is None:
        return applied
    if patches > len(applied.commits):
        raise UserError(f"the series has {many(len(applied.commits), 'patch')}, not {patches}")
    return series.at_patch(applied, patches) if applied.series is not None else applied


def command_line(profile: Profile, words: Sequence[str]) -> str:
    """What is added to the kernel's command line: the ``words`` of the fragments, then the profile's, which win."""
    return " ".join([*words, profile.append]).strip()


def fragment_words(profile: Profile, *, paths: Paths) -> tuple[str, ...]:
    """The words that the profile's fragments need on the kernel's command line."""
    return merge([kconfig.parse_request(text) for text in profile.config], paths.kconfigs).command_line


def _memory(profile: Profile, built: BuiltKernel, machine: Machine) -> int | None:
    """The profile's own choice, or what the selftests need where the topology has less."""
    needed = max((one.known.memory_mib for one in built.targets), default=0)
    if profile.memory_mib is not None or needed <= machine.topology.memory_mib:
        return profile.memory_mib
    return needed


def _series_outcome(applied: AppliedSeries) -> str:
    if applied.series is None:
        return "none (the tree as it is)"
    number, all_of_them = len(applied.commits), len(applied.series.patches)
    of = f" of {all_of_them}" if number != all_of_them else ""
    return f"{applied.series.name}: {number}{of} patch{'es' if number != 1 else ''} applied ({applied.commit[:12]})"
