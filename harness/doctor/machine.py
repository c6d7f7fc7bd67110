# SPDX-License-Identifier: GPL-2.0-only
"""The machine: distribution, Python, processors, memory, disk, limits, locale."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
from pathlib import Path

from harness.doctor.finding import Finding, Status, graded
from harness.paths import Paths

_GIB = 1 << 30

# A guest has 1 to 4 GiB, the link of a kernel with debug information takes about 2.
_MEMORY_WARN, _MEMORY_FAIL = 4 * _GIB, 1.5 * _GIB
# Repository and worktree take about 3 GiB, an output folder 1 to 4, a kernel in the cache 20 to 400 MiB.
_DISK_WARN, _DISK_FAIL = 12 * _GIB, 4 * _GIB
_DATA_WARN, _DATA_FAIL = 2 * _GIB, 0.2 * _GIB
_FILES_WARN, _FILES_FAIL = 1024, 256


def system() -> list[Finding]:
    """The distribution, the architecture, Python."""
    release = _os_release()
    name = release.get("PRETTY_NAME", platform.system())
    known = release.get("ID") == "debian" and release.get("VERSION_ID", "").split(".")[0] in ("12", "13")
    machine = platform.machine()
    version = platform.python_version()
    return [
        Finding(
            name="system",
            status=Status.OK if known else Status.WARN,
            found=name,
            fix=None
            if known
            else "the harness is tried on Debian 12 and 13; a container of one of them is a safe choice",
        ),
        Finding(
            name="architecture",
            status=Status.OK if machine == "x86_64" else Status.FAIL,
            found=machine,
            fix=None if machine == "x86_64" else "kernels and guests are x86-64; use such a machine",
        ),
        Finding(
            name="Python",
            status=Status.OK if sys.version_info >= (3, 11) else Status.FAIL,
            found=f"{version} ({sys.executable})",
            fix=None if sys.version_info >= (3, 11) else "install Python 3.11 or newer, then run ci/bootstrap",
        ),
    ]


def processors_and_memory() -> list[Finding]:
    """Processors that we may use, memory that is available."""
    processors = len(os.sched_getaffinity(0))
    total, available = memory(Path("/proc/meminfo").read_text())
    return [
        graded(
            "processors", processors, warn=2, fail=1, found=str(processors),
            fix="a kernel build takes about 8 CPU-minutes: with one processor it takes that long",
        ),
        graded(
            "memory", available, warn=_MEMORY_WARN, fail=_MEMORY_FAIL,
            found=f"{available / _GIB:.1f} GiB available of {total / _GIB:.1f}",
            fix="end something, or run fewer guests at once; a build and a guest want 4 GiB",
        ),
    ]  # fmt: skip


def memory(meminfo: str) -> tuple[int, int]:
    """Total and available bytes, from ``/proc/meminfo`` (proc_meminfo(5): kB)."""
    fields = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)

    def kibibytes(name: str) -> int:
        return int(fields.get(name, "0 kB").split()[0])

    return kibibytes("MemTotal") * 1024, kibibytes("MemAvailable") * 1024


def folders(paths: Paths) -> list[Finding]:
    """The cache and the data folder: can they be written, is there room."""
    return [
        *folder("cache folder", paths.cache, warn=_DISK_WARN, fail=_DISK_FAIL, option="--cache-dir (HARNESS_CACHE)"),
        *folder("data folder", paths.data, warn=_DATA_WARN, fail=_DATA_FAIL, option="--data-dir (HARNESS_DATA)"),
    ]


def folder(name: str, path: Path, *, warn: float, fail: float, option: str) -> list[Finding]:
    """Whether ``path``, or what it would be created in, can be written, and how much room there is."""
    place = next(parent for parent in (path, *path.parents) if parent.exists())
    read_only = bool(os.statvfs(place).f_flag & os.ST_RDONLY)
    if read_only or not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        fix = f"make {place} writable, or choose another folder with {option}"
        return [Finding(name=name, status=Status.FAIL, found=f"{path} cannot be written", fix=fix)]
    free = shutil.disk_usage(place).free
    found = f"{path}, {free / _GIB:.1f} GiB free"
    fix = f"free some space (`harness cache prune`), or choose another folder with {option}"
    return [graded(name, free, warn=warn, fail=fail, found=found, fix=fix)]


def limits() -> list[Finding]:
    """Open files, and a locale that can show what the harness prints."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = float("inf") if files == resource.RLIM_INFINITY else files
    encoding = sys.stdout.encoding or "none"
    utf8 = encoding.lower().replace("-", "") == "utf8"
    return [
        graded(
            "open files", count, warn=_FILES_WARN, fail=_FILES_FAIL,
            found="unlimited" if count == float("inf") else str(files),
            fix="raise the limit: ulimit -n 4096",
        ),
        Finding(
            name="locale",
            status=Status.OK if utf8 else Status.WARN,
            found=encoding,
            fix=None if utf8 else "export LC_ALL=C.UTF-8, or some signs are shown as '?'",
        ),
    ]  # fmt: skip


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}
