# SPDX-License-Identifier: GPL-2.0-only
"""From what a run left to one archive."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import __version__
from harness import topology as topologies
from harness.bundle import index as names
from harness.bundle.facts import Tested, facts
from harness.bundle.gather import Gathered, texts, wanted
from harness.bundle.index import Index
from harness.bundle.pack import Content, describe, ordered, pack
from harness.bundle.readme import five_lines, readme
from harness.bundle.script import case_command, script
from harness.errors import UserError
from harness.paths import Paths
from harness.progress import Progress
from harness.store import file_digest
from harness.suite.described import ProgramRecord, restore
from harness.topology import guest_facts

_FIRST = (names.README, names.SCRIPT, names.MANIFEST, names.RESULTS, names.PROGRAMS, names.CONFIG)
_REQUIRED = (names.VMLINUX, names.ROOTFS, names.PAYLOAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is left out: the root ``image`` (its digest stays), memory ``dump`` s, the kernel's ``debug`` twin."""

    image: bool = True
    dump: bool = True
    debug: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A bundle that was written: ``size`` in bytes, ``digest`` its SHA-256, ``lines`` what happened."""

    path: Path
    size: int
    digest: str
    index: Index
    lines: tuple[str, ...]


def file_name(gathered: Gathered) -> str:
    """What a bundle is called where the user names nothing: by its run, and its case where there is one."""
    case = gathered.targets[0].case if len(gathered.targets) == 1 else ""
    last = "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in case.rpartition("/")[2])
    return f"bundle-{gathered.run}{f'-{last[:60]}' if last else ''}.tar.xz"


def left_out(gathered: Gathered, choice: Choice) -> dict[str, str]:
    """The members that a bundle could have and will not, with the reason."""
    found = {}
    if not choice.image and names.ROOTFS in gathered.files:
        digest = gathered.manifest.decides["rootfs"]["digest"]
        found[names.ROOTFS] = f"--no-image: the harness makes it again where its SHA-256 is {digest}"
    for name in gathered.files:
        if name.endswith(f"/{names.DUMP}") and not choice.dump:
            found[name] = "--no-dump"
    if names.DEBUG in gathered.files and not choice.debug:
        found[names.DEBUG] = "--no-debug"
    return found | {name: why for name, why in gathered.lost.items() if name not in _REQUIRED}


def make(gathered: Gathered, target: Path, *, choice: Choice, paths: Paths, progress: Progress) -> Made:
    """Write the bundle. Raises :class:`UserError` where kernel or images are no longer in the cache."""
    if not gathered.needs_build and (lost := [name for name in _REQUIRED if name in gathered.lost]):
        raise UserError(
            f"{lost[0]} cannot be in the bundle: {gathered.lost[lost[0]]}",
            hint=f"harness repro {gathered.run} --rebuild makes the kernel again; then bundle it",
        )
    out = left_out(gathered, choice)
    contents: dict[str, Content] = {name: path for name, path in gathered.files.items() if name not in out}
    contents |= {name: text for name, text in texts(gathered, paths=paths).items() if name not in out}
    if gathered.manifest.decides.get("argv"):
        contents[names.FACTS] = _facts(gathered).encode()
        contents[names.SCRIPT] = _script(gathered, contents, out).encode()
    others = describe(ordered(contents, _FIRST), progress=progress)
    contents[names.README] = readme(gathered, others, file=target.name, left_out=out).encode()
    contents = ordered(contents, _FIRST)
    index = Index(
        harness=__version__,
        run=gathered.run,
        targets=gathered.targets,
        append=gathered.append,
        memory_mib=gathered.memory_mib,
        left_out=out,
        members=(*describe({names.README: contents[names.README]}, progress=progress), *others),
    )
    pack(target, index, contents, time=_started(gathered), progress=progress)
    return Made(
        path=target,
        size=target.stat().st_size,
        digest=file_digest(target),
        index=index,
        lines=tuple(five_lines(gathered, file=target.name)),
    )


def _started(gathered: Gathered) -> int:
    """When the run began: what files that are unpacked by hand are dated."""
    try:
        return max(0, int(datetime.datetime.fromisoformat(gathered.manifest.circumstances["started"]).timestamp()))
    except (KeyError, ValueError):
        return 0


def _facts(gathered: Gathered) -> str:
    decides = gathered.manifest.decides
    topology = topologies.from_definition(
        decides["topology"]["definition"], name=decides["topology"]["name"], path="the manifest"
    )
    return guest_facts(topology, memory_mib=gathered.memory_mib, cpus=decides["guest"]["cpus"])


def _script(gathered: Gathered, contents: dict[str, Content], out: dict[str, str]) -> str:
    decides = gathered.manifest.decides
    missing = {names.ROOTFS: str(decides["rootfs"]["digest"])} if names.ROOTFS in out else {}
    return script(
        decides["argv"],
        commands=commands(
            gathered.programs,
            [one.case for one in gathered.targets if one.case],
            facts(decides, where="the manifest").tests,
        ),
        swap_mib=int(decides["disks"].get("swap", 0)),
        bzimage=names.BZIMAGE in contents,
        missing=missing,
    )


def commands(programs: Sequence[ProgramRecord], cases: Sequence[str], tests: Tested) -> list[str]:
    """The shell line that runs each case in the guest; none for what runs from the host, or asks something of it."""
    lines = []
    for name in cases:
        record, case = wanted(programs, name)
        if record.hosted or record.asks:
            continue
        if record.foreign is not None:
            lines.append(shlex.join(record.foreign.words))
            continue
        (selection,) = restore([record], hosted={})
        lines.append(
            case_command(
                selection.program.guest_path,
                [case] if case in record.cases else [],
                shell=record.file.endswith(".sh"),
                seed=tests.seed,
                stress=tests.stress if record.stress else "",
            )
        )
    return list(dict.fromkeys(lines))
