# SPDX-License-Identifier: GPL-2.0-only
"""Which QEMU runs the guests: the host's, one of our own in the cache, or the one that the user names.

QEMU decides how fast CXL memory is. From 11 on a non-interleaved region is mapped directly; before, it is emulated I/O
(a memset of 16 MiB under TCG: 0.025 s with 11.1.3, 3.7 s with 10.0.2, both measured). Volatile CXL memory works from
10.0 on; 7.2 shows PCI devices but no memdev.

The runtime is QEMU from Debian's archive (``qemu_runtime.toml``), unpacked into the cache and started through its own
loader with its own libraries and firmware: nothing of the host's packages changes, no root is needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from harness import debian, process
from harness.errors import DeadlineExceeded, EnvironmentFailure, HarnessError, UserError
from harness.paths import Paths
from harness.progress import Progress
from harness.store import Store, file_digest, value_digest
from harness.values import Qemu

__all__ = [
    "KIND",
    "OLDEST",
    "PREFERRED",
    "Version",
    "find_host",
    "given",
    "obtain",
    "parse_version",
    "plan",
    "runtime_key",
]

Version = tuple[int, int, int]

KIND = "qemu"
OLDEST: Version = (10, 0, 0)
PREFERRED: Version = (11, 0, 0)

_FORMAT = 1
_MANIFEST = Path(__file__).with_suffix(".toml")
_BINARY = "qemu-system-x86_64"
_PROBE_KIND = "qemu-version"
_VERSION_DEADLINE_SECONDS = 30.0
_VERSION = re.compile(r"^QEMU emulator version (\d+)\.(\d+)(?:\.(\d+))?", re.MULTILINE)

# Inside the runtime. The firmware is in two folders, as Debian has it.
_LOADER = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_FIRMWARE = ("usr/share/qemu", "usr/share/seabios")
_MODULES = "usr/lib/x86_64-linux-gnu/qemu"


def parse_version(text: str) -> Version | None:
    """The version in what ``qemu-system-x86_64 --version`` prints, or None when it is something else."""
    match = _VERSION.search(text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def obtain(choice: str = "auto", *, paths: Paths, store: Store, progress: Progress) -> Qemu:
    """A QEMU that can run CXL guests.

    ``choice`` is ``auto`` (the host's where it is 11 or newer, else the runtime, else the host's with a warning),
    ``host``, ``runtime``, or the path of a qemu-system-x86_64.

    Raises :class:`UserError` for a path that is no such program or too old, :class:`EnvironmentFailure` when the
    host has none or the runtime cannot be fetched.
    """
    if choice == "runtime":
        return _runtime(paths=paths, store=store, progress=progress)
    if choice == "host":
        return _host(store=store, progress=progress)
    if choice == "auto":
        return _automatic(paths=paths, store=store, progress=progress)
    return given(choice, store=store, progress=progress)


def plan(choice: str = "auto", *, store: Store) -> tuple[str, ...]:
    """What ``obtain`` would do, a line each; starts at most ``qemu --version``."""
    host = find_host(store=store)
    if choice == "host" or (choice == "auto" and host is not None and host.version >= PREFERRED):
        return (f"use the host's QEMU {host.version_text}" if host else "fail: the host has no QEMU",)
    if choice not in ("auto", "runtime"):
        return (f"use {choice}",)
    place = store.path(KIND, runtime_key())
    if place.is_dir():
        return (f"use the QEMU runtime in {place}",)
    wanted = debian.load(_MANIFEST)
    return (
        f"fetch {', '.join(package.name for package in wanted.package)} from Debian {wanted.suites[-1]}",
        f"unpack it with its libraries into {place}",
    )


def runtime_key() -> str:
    """The content key of the runtime: packages, suites and files wanted (not the version that this resolves to)."""
    return value_digest(KIND, _FORMAT, debian.load(_MANIFEST).digest)


def find_host(*, store: Store) -> Qemu | None:
    """The host's own QEMU of any version, or None where there is none that runs."""
    path = process.which(_BINARY)
    if path is None:
        return None
    try:
        return _probe(path, origin="host", store=store)
    except HarnessError:
        return None


def _automatic(*, paths: Paths, store: Store, progress: Progress) -> Qemu:
    host = find_host(store=store)
    if host is not None and host.version >= PREFERRED:
        return host
    try:
        return _runtime(paths=paths, store=store, progress=progress)
    except EnvironmentFailure as failure:
        if host is None or host.version < OLDEST:
            raise
        progress.warn(f"no QEMU runtime ({failure.message}); the host's is used")
        return _accepted(host, "the host's QEMU", progress)


def _host(*, store: Store, progress: Progress) -> Qemu:
    path = process.which(_BINARY)
    if path is None:
        raise EnvironmentFailure(
            f"this machine has no {_BINARY}", hint="use the harness's own (--qemu runtime), or install qemu-system-x86"
        )
    return _accepted(_probe(path, origin="host", store=store), "the host's QEMU", progress)


def given(choice: str, *, store: Store, progress: Progress) -> Qemu:
    """The QEMU at a path; raises :class:`UserError` when it is none or too old, warns when it is slow."""
    path = Path(choice).expanduser().absolute()
    hint = "--qemu takes auto, host, runtime, or the path of a qemu-system-x86_64"
    if not path.exists():
        raise UserError(f"there is no QEMU at {choice}", hint=hint)
    if not path.is_file() or not os.access(path, os.X_OK):
        raise UserError(f"{choice} is not a program", hint=hint)
    try:
        qemu = _probe(path, origin="given", store=store)
    except DeadlineExceeded as failure:
        raise UserError(f"{choice} does not answer to --version", hint=hint) from failure
    except EnvironmentFailure as failure:
        raise UserError(failure.message, hint=hint, details=failure.details, command=failure.command) from failure
    if qemu.version < OLDEST:
        raise UserError(_too_old(qemu, choice), hint="use --qemu runtime: the harness's own, from Debian's archive")
    return _accepted(qemu, choice, progress)


def _too_old(qemu: Qemu, name: str) -> str:
    return (
        f"{name} is QEMU {qemu.version_text}, too old: volatile CXL memory works from {OLDEST[0]}.{OLDEST[1]} on "
        "(older ones show the PCI devices but no memory device)"
    )


def _accepted(qemu: Qemu, name: str, progress: Progress) -> Qemu:
    """A QEMU that is new enough, with a warning of what an old one costs."""
    if qemu.version < OLDEST:
        raise EnvironmentFailure(
            _too_old(qemu, name), hint="use --qemu runtime: the harness's own, from Debian's archive"
        )
    if not qemu.maps_cxl_directly:
        progress.warn(
            f"{name} is {qemu.version_text}: CXL memory is emulated I/O before QEMU 11, about 150 times slower under "
            "TCG, and no system RAM under KVM; --qemu runtime has a newer one"
        )
    return qemu


def _probe(path: Path, *, origin: str, store: Store) -> Qemu:
    """A QEMU binary with its version and digest; both are remembered as long as the file does not change."""
    status = path.resolve().stat()
    identity = [
        str(path.resolve()),
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    ]

    def make(staging: Path) -> dict[str, object]:
        version = _ask_version((str(path),), {})
        return {"version": list(version), "digest": file_digest(path)}

    entry, _ = store.obtain(_PROBE_KIND, value_digest(_PROBE_KIND, identity), make)
    return _qemu((str(path),), {}, origin=origin, meta=entry.meta)


def _ask_version(argv: tuple[str, ...], env: Mapping[str, str]) -> Version:
    done = process.run((*argv, "--version"), deadline=_VERSION_DEADLINE_SECONDS, env=env, check=False)
    version = parse_version(done.text)
    if done.returncode != 0 or version is None:
        raise EnvironmentFailure(
            f"{argv[-1]} does not run as QEMU ({process.describe_exit(done.returncode)})",
            command=done.argv,
            details=(done.error_text or done.text).splitlines()[-5:],
        )
    return version


def _runtime(*, paths: Paths, store: Store, progress: Progress) -> Qemu:
    def make(staging: Path) -> dict[str, object]:
        return _make_runtime(staging, paths=paths, progress=progress)

    try:
        entry, _ = store.obtain(KIND, runtime_key(), make, progress=progress)
    except EnvironmentFailure as failure:
        raise EnvironmentFailure(
            f"no QEMU: the harness's own is not in the cache and cannot be made: {failure.message}",
            hint=f"{failure.hint or ''}; or name one with --qemu PATH ({OLDEST[0]}.{OLDEST[1]} or newer)".lstrip("; "),
            command=failure.command,
            details=failure.details,
        ) from failure
    return _qemu(runtime_argv(entry.path), runtime_environment(entry.path), origin="runtime", meta=entry.meta)


def _make_runtime(staging: Path, *, paths: Paths, progress: Progress) -> dict[str, object]:
    wanted = debian.load(_MANIFEST)
    archive = debian.find_archive()
    with paths.scratch("qemu") as scratch:
        fetched = debian.fetch(archive, wanted, folder=scratch, progress=progress)
        progress.update("choosing QEMU's files and libraries")
        debian.unpack(fetched.tar, wanted, staging)
    progress.update("starting QEMU for its version")
    version = _ask_version(runtime_argv(staging), runtime_environment(staging))
    return {
        "version": list(version),
        "digest": file_digest(staging / "usr/bin" / _BINARY),
        "suites": list(wanted.suites),
        "mirror": archive.mirror,
        "versions": fetched.versions,
    }


def runtime_argv(root: Path) -> tuple[str, ...]:
    """How QEMU unpacked in ``root`` is started: through its own loader, never with a library of the host's cache."""
    firmware = [word for folder in _FIRMWARE for word in ("-L", str(root / folder))]
    return (
        str(root / _LOADER), "--inhibit-cache", "--library-path", str(root / _LIBRARIES),
        str(root / "usr/bin" / _BINARY), *firmware,
    )  # fmt: skip


def runtime_environment(root: Path) -> dict[str, str]:
    """What the runtime's QEMU needs in its environment: where its modules would be (docs/devel/modules)."""
    return {"QEMU_MODULE_DIR": str(root / _MODULES)}


def _qemu(argv: tuple[str, ...], env: Mapping[str, str], *, origin: str, meta: Mapping[str, object]) -> Qemu:
    version = meta["version"]
    assert isinstance(version, list)
    major, minor, micro = version
    return Qemu(argv=argv, env=env, version=(major, minor, micro), origin=origin, digest=str(meta["digest"]))
