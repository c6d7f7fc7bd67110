# SPDX-License-Identifier: GPL-2.0-only
"""What a run's folder adds to the history: diagnostics, stacks, consoles, boot time, samples. All of it untrusted."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from harness import topology as topologies
from harness.errors import HarnessError, UserError
from harness.results.folder import RunFolder, read_manifest, read_results
from harness.results.record import Manifest, Results
from harness.topology import Topology

_GUEST = re.compile(r"\d{1,4}")
_LARGEST = 64 << 20
_DEVICES = 64  # of a topology that is drawn
_GUESTS = 12  # of a run whose consoles are shown
_AVAILABLE = re.compile(r"^Mem(Total|Available): +(\d{1,15}) kB$", re.MULTILINE)


@dataclass(slots=True, kw_only=True)
class Facts:
    """What is known of a run beyond its rows. ``boot`` in seconds, ``memory`` in MiB in use once it has booted."""

    results: Results | None = None
    manifest: Manifest | None = None
    boot: float | None = None
    memory: float | None = None
    guests: dict[str, Path] = field(default_factory=dict)
    topology: Topology | None = None
    trouble: str = ""
    gone: bool = False


def read(place: str) -> Facts:
    """What a run folder tells; a folder that is gone, damaged or newer is said in ``trouble`` and no error."""
    folder = RunFolder(Path(place))
    found = Facts()
    if not folder.path.is_dir():
        found.gone = True
        found.trouble = f"the run folder {place} is not here: what follows is what the history has"
        return found
    try:
        files = [folder.path / name for name in ("results.json", "manifest.json")]
        if not all(map(plain, files)):
            raise UserError(f"{place} has no results.json or manifest.json: what follows is what the history has")
        if any(file.stat().st_size > _LARGEST for file in files):
            raise UserError(f"{place}: its results are larger than {_LARGEST >> 20} MiB: not shown")
        found.results = read_results(folder)
        found.manifest = read_manifest(folder)
    except UserError as reason:
        found.trouble = reason.message
    except OSError as reason:
        found.trouble = f"{place}: {reason.strerror}"
    found.guests = {
        file.parent.name: file.parent
        for file in sorted(folder.path.glob("guests/*/console.log"), key=lambda one: one.parent.name.zfill(4))
        if _GUEST.fullmatch(file.parent.name) and plain(file) and not file.parent.is_symlink()
    }
    found.guests = dict(list(found.guests.items())[:_GUESTS])
    if found.results is not None:
        found.boot = next((one.seconds for one in found.results.stages if one.name == "boot"), None)
    found.memory = _memory(folder.path / "guests" / "1" / "meminfo.txt")
    found.topology = _topology(found.manifest)
    return found


def plain(file: Path) -> bool:
    """Whether it is a file and nothing that leads elsewhere or never ends: a folder may come from another machine."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except (OSError, ValueError):
        return False


def stamp(place: str) -> int:
    """What changes when a run's folder is written again: nanoseconds, 0 where it is not there."""
    try:
        return (Path(place) / "results.json").stat().st_mtime_ns
    except (OSError, ValueError):
        return 0


def _memory(file: Path) -> float | None:
    if not plain(file):
        return None
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            text = stream.read(1 << 16)
    except OSError:
        return None
    found = {match[1]: int(match[2]) for match in _AVAILABLE.finditer(text)}
    return (found["Total"] - found["Available"]) / 1024 if len(found) == 2 else None


def _topology(manifest: Manifest | None) -> Topology | None:
    table = manifest.decides.get("topology") if manifest is not None else None
    if not isinstance(table, dict) or not isinstance(table.get("definition"), dict):
        return None
    name = str(table.get("name", ""))[:80]
    try:
        found = topologies.from_definition(table["definition"], name=name, path=name)
        topologies.check(found)
    except (HarnessError, TypeError, ValueError):
        return None
    return found if len(found.devices) <= _DEVICES else None
