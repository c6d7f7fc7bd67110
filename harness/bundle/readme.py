# SPDX-License-Identifier: GPL-2.0-only
"""The README of a bundle: five lines that say what happened, then what is in it and how to see it again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.bundle import index as names
from harness.bundle.gather import Gathered, one_line
from harness.bundle.index import Member
from harness.display import many

_MOST_TARGETS = 30

_ABOUT = {
    names.SCRIPT: "the bare QEMU command, for somebody without the harness (read it before you run it)",
    names.INDEX: "every other file with its size and SHA-256",
    names.MANIFEST: "all that decided the run",
    names.RESULTS: "what came out of it",
    names.PROGRAMS: "the test programs and their cases, in the payload below /opt/harness/tests",
    names.CONFIG: "the kernel's final .config",
    names.FAILURE: "the whole output of what failed",
    names.FACTS: "what the guest is told of its machine",
    "series": "the patches, as they were applied",
    names.VMLINUX: "the kernel that QEMU boots",
    names.BZIMAGE: "the kernel that QEMU boots",
    names.SYMBOLS: "its symbols",
    names.DEBUG: "the same with debug information: for gdb, and drgn on a vmcore",
    names.ROOTFS: "the guest's root file system",
    names.PAYLOAD: "the guest tests and their helpers, mounted at /opt/harness",
    "guests": "of each guest: console, QEMU's argv, and what was found when it hung or crashed",
    "ktap": "what the test programs wrote",
}


def five_lines(gathered: Gathered, *, file: str) -> list[str]:
    """What happened."""
    decides, targets = gathered.manifest.decides, gathered.targets
    first = targets[0]
    more = f" (and {len(targets) - 1} more)" if len(targets) > 1 else ""
    why = f": {one_line(first.reason)}" if first.reason else ""
    known = f", fingerprint {first.fingerprint}" if first.fingerprint else ""
    circumstances = gathered.manifest.circumstances
    started = str(circumstances.get("started", "?"))
    return [
        f"What happened  {first.verdict} {first.label}{why}{more}",
        f"Kernel         {_kernel(decides, circumstances)}",
        f"Machine        {_machine(decides)}",
        f"Run            {gathered.run}, {started}, harness {decides.get('harness', '?')}{_drawn(decides)}{known}",
        f"See it again   harness repro {file}     or, without the harness: ./repro.sh --run",
    ]


def readme(gathered: Gathered, members: Sequence[Member], *, file: str, left_out: Mapping[str, str]) -> str:
    """The whole text; ``members`` are all others of the bundle, ``file`` its own name."""
    lines = [*five_lines(gathered, file=file), ""]
    if len(gathered.targets) > 1:
        lines.append("All that failed:")
        for one in gathered.targets[:_MOST_TARGETS]:
            lines.append(f"  {one.verdict:<8} {one.label}  {one_line(one.reason, limit=120)}".rstrip())
        if len(gathered.targets) > _MOST_TARGETS:
            lines.append(f"  … and {len(gathered.targets) - _MOST_TARGETS} more")
        lines.append("")
    lines.append("What is here:")
    sizes: dict[str, int] = {}
    for member in members:
        name = member.name if member.name in _ABOUT else member.name.partition("/")[0]
        sizes[name] = sizes.get(name, 0) + member.size
    for name, size in sizes.items():
        label = f"{name}/" if name not in (member.name for member in members) else name
        lines.append(f"  {label:<22} {_size(size):>9}  {_ABOUT.get(name, '')}".rstrip())
    lines += [f"  {name:<22} {'not here':>9}  {why}" for name, why in left_out.items()]
    if any(member.name.endswith(f"/{names.DUMP}") for member in members):
        lines += [
            "",
            "A vmcore is the memory of a guest: what was in it is in there, its login keys too (they died with it).",
        ]
    return "\n".join(lines) + "\n"


def _kernel(decides: Mapping[str, Any], circumstances: Mapping[str, Any]) -> str:
    source, series, kernel = decides.get("source") or {}, decides.get("series"), decides.get("kernel") or {}
    words = [f"Linux {kernel.get('release') or source.get('version', '?')}"]
    words.append(str((circumstances.get("source") or {}).get("spec", "")))
    if series:
        title = (circumstances.get("series") or {}).get("name") or series["digest"][:12]
        words.append(f"with {many(len(series['patches']), 'patch')} ({one_line(str(title), limit=80)})")
    words.append(f"config {' '.join((decides.get('config') or {}).get('fragments', ()))}")
    words.append(str(decides.get("toolchain", "")).partition(",")[0])
    return ", ".join(word for word in words if word)


def _machine(decides: Mapping[str, Any]) -> str:
    topology, qemu = decides.get("topology"), decides.get("qemu")
    if not topology or not qemu:
        return "none was started"
    definition = topology["definition"]
    devices = len(definition.get("device", ()))
    return (
        f"topology {topology['name']} ({one_line(str(definition.get('title', '')), limit=80)}; "
        f"{many(devices, 'CXL device')}), QEMU {qemu['version']}, {decides.get('accel', '?')}"
    )


def _drawn(decides: Mapping[str, Any]) -> str:
    tests = decides["tests"]
    length = f", stress {tests['stress']}" if tests.get("stress") else ""
    return f", seed {tests['seed']}{length}"


def _size(size: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size} {unit}"
        size //= 1024
    return f"{size} GiB"
