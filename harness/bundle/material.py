# SPDX-License-Identifier: GPL-2.0-only
"""What a failure is made to happen again with: a bundle, unpacked and checked, or a run of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness import topology as topologies
from harness.bundle import index as names
from harness.bundle.facts import Facts, facts
from harness.bundle.gather import Gathered, gather, targets_of
from harness.bundle.index import Index, Target
from harness.bundle.unpack import unpack
from harness.errors import UserError
from harness.guest import kernel_file
from harness.paths import Paths
from harness.progress import Progress
from harness.repeat import Repeat, repeat
from harness.results.folder import RunFolder, read_manifest_file, read_results_file
from harness.results.record import Manifest
from harness.store import Store, value_digest
from harness.suite import described
from harness.suite.described import ProgramRecord
from harness.values import Kernel, KernelConfig

_DECIDED = {names.VMLINUX: "kernel", names.ROOTFS: "rootfs", names.PAYLOAD: "payload"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """All that it takes. ``files`` are by member name, ``targets`` what is to come back; ``lost`` what is not there.

    ``repeat`` is the manifest as a profile and a topology; nothing in it was given by this machine's user.
    """

    run: str
    manifest: Manifest
    facts: Facts
    targets: tuple[Target, ...]
    programs: tuple[ProgramRecord, ...]
    repeat: Repeat
    append: str
    memory_mib: int | None
    files: Mapping[str, Path]
    lost: Mapping[str, str]
    patches: Path | None

    @property
    def config(self) -> KernelConfig:
        """The final configuration. Raises :class:`UserError` where the run did not come that far."""
        if names.CONFIG not in self.files:
            raise UserError(f"run {self.run} ended before it had a configuration")
        known = self.facts.config
        if known is None:
            raise UserError(f"run {self.run} ended before it had a configuration")
        text = self.files[names.CONFIG].read_text("utf-8", "replace")
        if value_digest(text) != known.digest:
            raise UserError(f"run {self.run}: the {names.CONFIG} is not the one that its {names.MANIFEST} names")
        return KernelConfig(text=text, digest=known.digest, fragments=known.fragments)

    def kernel(self) -> Kernel:
        """The kernel that was built then. Raises :class:`UserError` where there is none, or it is no kernel."""
        file = self.files.get(names.BZIMAGE) or self.files.get(names.VMLINUX)
        known = self.facts.kernel
        if file is None or known is None:
            why = self.lost.get(names.VMLINUX, "it never had one")
            raise UserError(
                f"there is no kernel of run {self.run}: {why}", hint="--rebuild makes it again, from its source"
            )
        found = kernel_file.read(file).kernel
        return replace(
            found,
            key=known.digest,
            release=known.release,
            vmlinux=self.files.get(names.VMLINUX, file),
            config=self.files.get(names.CONFIG, found.config),
            system_map=self.files.get(names.SYMBOLS, found.system_map),
            debug_vmlinux=self.files.get(names.DEBUG),
            toolchain=self.facts.toolchain,
            digest=known.digest,
        )


@contextlib.contextmanager
def from_bundle(bundle: Path, *, case: str, paths: Paths, progress: Progress, dump: bool = False) -> Iterator[Material]:
    """A bundle, all of it checked; its files are gone when the block is left. Memory dumps are checked, not kept.

    Raises :class:`UserError` for a bundle that is anything but whole, known and consistent.
    """
    with paths.scratch("bundle") as folder:
        unpacked = unpack(
            bundle, folder, wanted=lambda name: dump or not name.endswith(f"/{names.DUMP}"), progress=progress
        )
        yield _of_bundle(unpacked.index, unpacked.files, folder, case=case, where=str(bundle))


def from_run(folder: RunFolder, *, case: str, store: Store) -> Material:
    """A run of this machine, with its kernel and images from the cache."""
    found = gather(folder, case=case, store=store)
    return _of_run(found)


def _of_run(found: Gathered) -> Material:
    patches = found.folder / "series"
    return Material(
        run=found.run,
        manifest=found.manifest,
        facts=facts(found.manifest.decides, where=f"the manifest of run {found.run}"),
        targets=found.targets,
        programs=found.programs,
        repeat=_repeat(found.manifest, patches, where=f"run {found.run}"),
        append=found.append,
        memory_mib=found.memory_mib,
        files=found.files,
        lost=found.lost,
        patches=patches if patches.is_dir() else None,
    )


def _of_bundle(index: Index, files: dict[str, Path], folder: Path, *, case: str, where: str) -> Material:
    manifest = read_manifest_file(files[names.MANIFEST])
    results = read_results_file(files[names.RESULTS])
    _check_digests(index, manifest, where)
    patches = folder / "series"
    try:
        targets = targets_of(results, case) if case else index.targets
    except ValueError as reason:
        raise UserError(f"{where}: its {names.RESULTS} is damaged: {reason}", hint=names.AGAIN) from None
    return Material(
        run=index.run,
        manifest=manifest,
        facts=facts(manifest.decides, where=f"{where}: {names.MANIFEST}"),
        targets=targets,
        programs=described.read(files[names.PROGRAMS].read_bytes(), where=f"{where}: {names.PROGRAMS}"),
        repeat=_repeat(manifest, patches, where=where),
        append=index.append,
        memory_mib=index.memory_mib,
        files=files,
        lost=index.left_out,
        patches=patches if patches.is_dir() else None,
    )


def _repeat(manifest: Manifest, patches: Path, *, where: str) -> Repeat:
    found = repeat(manifest, patches=patches)
    if found.topology is not None:
        try:
            topologies.check(found.topology)
        except UserError as reason:
            raise UserError(f"{where}: {reason.message}", details=reason.details, hint=reason.hint) from None
    return found


def _check_digests(index: Index, manifest: Manifest, where: str) -> None:
    """That the binaries are those that the manifest is about: an index can be made to fit anything."""
    members = {member.name: member.sha256 for member in index.members}
    for name, part in _DECIDED.items():
        known = manifest.decides.get(part)
        if name in members and members[name] != (known.get("digest") if isinstance(known, dict) else None):
            raise UserError(
                f"{where} was altered: the member {name} is not the one that its {names.MANIFEST} names",
                hint=names.AGAIN,
            )
