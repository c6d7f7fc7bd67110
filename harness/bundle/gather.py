# SPDX-License-Identifier: GPL-2.0-only
"""What there is of a run to make it happen again: files of its folder, and of the cache by the keys in its manifest."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness.bundle import index as names
from harness.bundle.index import Target
from harness.bundle.plain import plain_circumstances, plain_value, plainly
from harness.display import plain_json, printable
from harness.errors import UserError, nearest
from harness.guest.plan import command_line
from harness.paths import Paths, open_regular
from harness.results import folder as run_folders
from harness.results.folder import RunFolder
from harness.results.record import Manifest, Results, fingerprint
from harness.splat import case_mark
from harness.store import Store
from harness.suite import described
from harness.suite.described import ProgramRecord
from harness.values import Accel, Verdict

# the cache's kinds, and the names of an entry's files → those of members
_STORED: Mapping[str, Mapping[str, str]] = {
    "kernel": {
        "vmlinux": names.VMLINUX,
        "bzImage": names.BZIMAGE,
        "System.map": names.SYMBOLS,
        "vmlinux.debug": names.DEBUG,
    },
    "rootfs": {"rootfs.erofs": names.ROOTFS},
    "payload": {"payload.erofs": names.PAYLOAD},
}
_KINDS = {"rootfs": "image"}
_NEITHER = (Verdict.INFRA.value,)
_BEFORE_BOOT = (Verdict.APPLY.value, Verdict.BUILD.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """A run and what it can be repeated with. ``files`` are by member name; ``lost`` says why one is not there."""

    run: str
    manifest: Manifest
    results: Results
    programs: tuple[ProgramRecord, ...]
    targets: tuple[Target, ...]
    append: str
    memory_mib: int | None
    files: Mapping[str, Path]
    lost: Mapping[str, str]
    folder: Path

    @property
    def needs_build(self) -> bool:
        """Whether there never was a kernel: only building it again shows the failure."""
        return all(target.verdict in _BEFORE_BOOT and not target.case for target in self.targets)


def gather(folder: RunFolder, *, case: str = "", store: Store) -> Gathered:
    """What a run left. ``case`` (``suite/program:case``) chooses one; otherwise all that failed are meant.

    Raises :class:`UserError` for a run in which nothing failed where no case is named, for an unknown case, and for a
    run that says too little.
    """
    manifest, results = run_folders.read_manifest(folder), run_folders.read_results(folder)
    targets = targets_of(results, case)
    programs = _programs(folder, results, manifest)
    files, lost = _stored(manifest, store)
    files |= _kept(folder, case)
    append, memory = _machine(manifest, folder)
    return Gathered(
        run=folder.name,
        manifest=manifest,
        results=results,
        programs=programs,
        targets=targets,
        append=append,
        memory_mib=memory,
        files=files,
        lost=lost,
        folder=folder.path,
    )


def targets_of(results: Results, case: str) -> tuple[Target, ...]:
    """What is to come back of a run: the case that is named, or all that failed, or the run's own failure."""
    if case:
        found = [one for one in results.cases if one.name == case]
        if not found:
            known = [one.name for one in results.cases]
            close = nearest(case, known)
            hint = f"did you mean '{close}'?" if close else "`harness history` shows runs and their cases"
            raise UserError(f"run {results.run} has no case '{case}'", hint=hint)
    else:
        found = [one for one in results.cases if not Verdict(one.verdict).good]
    targets = [
        Target(case=one.name, verdict=one.verdict, fingerprint=one.fingerprint, reason=one.splat or one.reason)
        for one in found
    ]
    failure = results.failure
    if not targets and failure is not None and failure.verdict not in _NEITHER:
        own = fingerprint(failure.verdict, failure.message)
        targets = [Target(case="", verdict=failure.verdict, fingerprint=own, reason=failure.message)]
    if not targets and failure is not None:
        raise UserError(
            f"run {results.run} failed on this machine, not by its kernel: {failure.message}", hint=failure.hint
        )
    if not targets:
        what = "was interrupted before anything failed" if results.interrupted else "has no failure"
        raise UserError(f"run {results.run} {what}", hint="name a case of it with --case")
    return tuple(targets)


def _programs(folder: RunFolder, results: Results, manifest: Manifest) -> tuple[ProgramRecord, ...]:
    """What the run's programs were; none where it never came to one."""
    file = folder.path / names.PROGRAMS
    if not file.is_file():
        if not results.cases:
            return ()
        raise UserError(
            f"run {folder.name} does not say what its programs were: an older harness made it",
            hint=f"run it again: {shlex.join(map(str, manifest.circumstances.get('command') or ['harness', 'run']))}",
        )
    return described.read(file.read_bytes(), where=str(file))


def _stored(manifest: Manifest, store: Store) -> tuple[dict[str, Path], dict[str, str]]:
    """Kernel and images from the cache, checked there; and what is not there any more."""
    keys = manifest.circumstances.get("keys") or {}
    files: dict[str, Path] = {}
    lost: dict[str, str] = {}
    for kind, members in _STORED.items():
        key = str(keys.get(kind, ""))
        if not key.isalnum():
            continue  # the run did not come that far
        entry = store.find(_KINDS.get(kind, kind), key)
        if entry is None:
            first = next(iter(members.values()))
            lost[first] = f"the {kind} of the run is no longer in the cache"
            continue
        if entry.meta.get("digest") != (manifest.decides.get(kind) or {}).get("digest"):
            lost[next(iter(members.values()))] = f"the {kind} in the cache is another one by now"
            continue
        files |= {member: entry.path / name for name, member in members.items() if (entry.path / name).is_file()}
    return files, lost


def _kept(folder: RunFolder, case: str) -> dict[str, Path]:
    """What the run folder has: configuration, patches, and of its guests those in which the case ran."""
    found = [folder.path / name for name in (names.CONFIG, names.FAILURE)]
    found += sorted(folder.path.glob("series/[0-9][0-9][0-9][0-9].patch"))
    guests = sorted(folder.path.glob("guests/*/"), key=lambda path: (len(path.name), path.name))
    for guest in [guest for guest in guests if _ran(guest, case)] or guests:
        found += [guest / name for name in (*names.GUEST_FILES, names.DUMP)]
    program = case.partition(":")[0] if case.count(":") == 1 else ""
    found += [path for path in sorted(folder.path.glob("ktap/**/*.ktap")) if not program or _is_of(path, program)]
    return {
        name: path
        for path in found
        if path.is_file() and not path.is_symlink()
        if names.most(name := str(path.relative_to(folder.path))) is not None
    }


def _ran(guest: Path, case: str) -> bool:
    """Whether a case ran in a guest, by the marks on its console."""
    if not case:
        return True
    try:
        with open_regular(guest / "console.log") as stream:
            marks = (case_mark(line.decode("utf-8", "replace")) for line in stream)
            return any(mark is not None and mark[1] == case for mark in marks)
    except OSError:
        return False


def _is_of(path: Path, program: str) -> bool:
    return str(path.with_suffix("")).endswith(f"ktap/{program}")


def _machine(manifest: Manifest, folder: RunFolder) -> tuple[str, int | None]:
    """The words that the kernel's command line had beside ours, and the guest's memory, by QEMU's argv."""
    argv = [str(word) for word in manifest.decides.get("argv") or ()]
    if not argv:
        return "", None
    try:
        with open_regular(folder.path / names.CONFIG) as stream:
            config = stream.read().decode("utf-8", "replace")
        words = argv[argv.index("-append") + 1].split()
        ours = command_line("", accel=Accel(manifest.decides["accel"]), config=config).split()
        memory = int(argv[argv.index("-m") + 1].partition(",")[0].removesuffix("M"))
    except (OSError, ValueError, KeyError, IndexError) as reason:
        raise UserError(f"run {folder.name} does not say what its machine was: {reason}") from None
    return " ".join(word for word in words if word not in ours), memory


def texts(gathered: Gathered, *, paths: Paths) -> dict[str, bytes]:
    """Manifest, results and programs as a bundle has them: with nothing of this machine that it can do without."""
    clean = plainly(paths)
    manifest = msgspec.structs.replace(
        gathered.manifest, circumstances=plain_circumstances(gathered.manifest.circumstances, clean)
    )
    results: dict[str, Any] = msgspec.to_builtins(gathered.results)
    for name in ("failure", "stages"):
        results[name] = plain_value(results[name], clean)
    found = {
        names.MANIFEST: _json(msgspec.to_builtins(manifest)),
        names.RESULTS: _json(results),
        names.PROGRAMS: msgspec.json.format(msgspec.json.encode(gathered.programs), indent=1) + b"\n",
    }
    for name, path in gathered.files.items():
        if name == names.FAILURE or name.endswith("/qemu.argv"):
            found[name] = _cleaned(path, clean)
    return found


def _cleaned(path: Path, clean: Callable[[str], str]) -> bytes:
    return clean(path.read_text("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _json(value: Any) -> bytes:
    return (plain_json(json.dumps(value, indent=1, ensure_ascii=False)) + "\n").encode()


def one_line(text: str, *, limit: int = 200) -> str:
    """A text from outside as one line of ours."""
    return " ".join(printable(text, limit=limit).split())


def wanted(programs: Sequence[ProgramRecord], case: str) -> tuple[ProgramRecord, str]:
    """The program of a case and the case's name in it; raises :class:`UserError` where no program has it."""
    for record in programs:
        prefix = f"{record.suite}/{record.name}:"
        if case.startswith(prefix):
            return record, case.removeprefix(prefix)
    raise UserError(f"no program of the run has the case '{case}'")
