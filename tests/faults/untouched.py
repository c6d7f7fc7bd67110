# SPDX-License-Identifier: GPL-2.0-only
"""What a command of the harness may not leave, looked for before and after it: one check for every fault.

A process that lost its parent is adopted by the process that runs the test (PR_SET_CHILD_SUBREAPER, prctl(2)), however
it left its session, so what is found below that process is all that the command left running.
"""

from __future__ import annotations

import contextlib
import ctypes
import fnmatch
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.store import Store

_PR_SET_CHILD_SUBREAPER = 36
_GONE_SECONDS = 20.0  # for what the kernel ends on its own once its parent is dead, on a loaded machine

# In a cache: what is only there while something is being made. Locks of the harness's own lie in locks/ for good.
_UNFINISHED = ("scratch/*", "store/*/.making-*", "store/*/.removed-*", "**/*.lock", "**/.*.[0-9]*", "**/rebase-apply")
_NAMED = ("scratch/*-PID-*", "store/*/.making-PID-*", ".*.PID")
# In a folder of runs: files that are renamed once they are whole.
_UNWRITTEN = ("runs/*/.*", "runs/*/*/.*", "boots/*/.*")


def adopt_orphans() -> None:
    """Have the kernel give this process every descendant that loses its parent."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclass(frozen=True)
class Places:
    """Where a command of the harness works: what must be whole afterwards, and what empty.

    In a cache that others use meanwhile (``shared``) only what carries a process number of ours counts.
    """

    cache: Path
    data: Path
    temporary: Path
    home: Path
    shared: bool = False


@dataclass(frozen=True)
class Snapshot:
    """What is there: processes below this one, and mounts."""

    processes: Mapping[int, str]
    mounts: frozenset[str]


def take(places: Places) -> Snapshot:
    """Look before the command."""
    return Snapshot(processes=descendants(), mounts=mounts(places))


def left_by(before: Snapshot, places: Places, *, allowed: Sequence[str] = (), pid: int = 0) -> list[str]:
    """What the command left, a line each; ``allowed`` are patterns of paths in the cache or data folder.

    ``pid`` is the command's process number, by which it is known in a shared cache.

    Processes that are on their way out get some seconds; what is left is ended.
    """
    found = survivors(before.processes)
    found += [f"mount {line}" for line in sorted(mounts(places) - before.mounts)]
    if not places.shared:
        found += [f"lock held on {path}" for path in locked_files(places.cache)]
    found += [
        f"{what} {path}"
        for what, path in _files_left(places, pid)
        if not any(fnmatch.fnmatch(str(path), f"*/{pattern}") for pattern in allowed)
    ]
    return found


def descendants() -> dict[int, str]:
    """Every process below this one and its command line; zombies that only wait for us are reaped."""
    parents: dict[int, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z":
                if int(parent) == os.getpid():
                    os.waitpid(int(process.name), os.WNOHANG)
                continue
            parents[int(process.name)] = int(parent)
    below: dict[int, str] = {}
    reached = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in reached and pid not in reached}:
        reached |= more
        below |= {pid: _command(pid) for pid in more}
    return below


def ports(pid: int) -> list[str]:
    """The addresses on which a process listens (IPv4, as /proc/net/tcp has them)."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            sockets.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [
        f"port {int(words[1].rpartition(':')[2], 16)}"
        for words in listening
        if words[3] == "0A" and words[9] in sockets
    ]


def mounts(places: Places) -> frozenset[str]:
    """The mounts below the places, as /proc/self/mountinfo has them."""
    folders = (places.cache, places.data, places.temporary, places.home)
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return frozenset(line for line in lines if any(Path(line.split()[4]).is_relative_to(folder) for folder in folders))


def locked_files(cache: Path) -> list[Path]:
    """Files and folders of a cache on which any process holds a lock (/proc/locks has device and inode)."""
    held = {line.split()[-3] for line in Path("/proc/locks").read_text().splitlines() if "->" not in line}
    found = []
    for path in (cache, *cache.rglob("*")):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}" in held:
                found.append(path)
    return found


def survivors(before: Mapping[int, str], *, patience: float | None = None) -> list[str]:
    """The processes that were not there before and do not end by themselves in time; they are ended."""
    until = time.monotonic() + (_GONE_SECONDS if patience is None else patience)
    while (left := descendants().keys() - before.keys()) and time.monotonic() < until:
        time.sleep(0.02)
    found = []
    for pid, command in descendants().items():
        if pid in left:
            found.append(" ".join(["process", str(pid), command[:300], *ports(pid)]))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return found


def _files_left(places: Places, pid: int) -> Iterator[tuple[str, Path]]:
    for pattern in _NAMED if places.shared else _UNFINISHED:
        for path in places.cache.glob(pattern.replace("PID", str(pid))):
            if path.parent != places.cache / "locks":
                yield "unfinished", path
    for pattern in _UNWRITTEN:
        for path in places.data.glob(pattern):
            yield "unfinished", path
    store = Store(places.cache)
    for entry in places.cache.glob("store/*/*") if not places.shared else ():
        if not entry.name.startswith(".") and (damage := store.damage(entry.parent.name, entry.name)) is not None:
            yield f"half an entry ({damage})", entry
    for folder in (places.temporary, places.home):
        for path in folder.rglob("*") if folder.is_dir() else ():
            yield "new", path


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return "(gone)"
