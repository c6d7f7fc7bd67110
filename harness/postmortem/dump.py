# SPDX-License-Identifier: GPL-2.0-only
"""A guest's memory in a file: QEMU's ``dump-guest-memory``, compressed, whole or not there at all.

QEMU writes the flattened kdump format to a pipe of ours, and we write the file. So the size limit and the disk's free
space are ours to watch while it comes, and a dump that is broken off costs neither the guest nor the disk. QEMU decides
what is in it: all memory that the guest's CPUs reach without emulation, which is system RAM, and from QEMU 11 on the
CXL regions that are not interleaved.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import GuestError
from harness.postmortem.reassemble import NotFlattened, Reassembler, TooLong

if TYPE_CHECKING:
    from harness.guest import Guest

FILE = "vmcore"
# What every reader knows first; QEMU offers what it was built with.
_FORMATS = ("kdump-zlib", "kdump-lzo", "kdump-snappy")
_CHUNK = 1 << 20
_QMP_SECONDS = 15.0
_CHECK_BYTES = 32 << 20
_MIB = 1 << 20
_UTSNAME_AT = 12
_UTS_BYTES = 65  # each field of struct new_utsname, its NUL included


class NoDump(Exception):
    """There is no dump, for the reason in the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """A finished dump: its file, bytes, the seconds that it took, QEMU's name of the format."""

    path: Path
    size: int
    seconds: float
    format: str


def take(guest: Guest, folder: Path, *, limit: int, reserve: int, deadline: float) -> Dump:
    """Write ``folder/vmcore``, which only this user can read. The guest stands still meanwhile and goes on then.

    ``limit`` is the most bytes that it may have, ``reserve`` those that must stay free on the disk, ``deadline`` in
    seconds. Raises :class:`NoDump`; then nothing is left.
    """
    begun = time.monotonic()
    target = folder / FILE
    room = min(limit, free_bytes(folder) - reserve)
    if room <= 0:
        raise NoDump(
            f"{free_bytes(folder) // _MIB} MiB are free in {folder}, of which {reserve // _MIB} must stay free"
        )
    try:
        offered = guest.qmp("query-dump-guest-memory-capability", deadline=_QMP_SECONDS)["formats"]
        chosen = choose_format(offered)
        with _pipe(guest.private / f"{FILE}.pipe") as (path, descriptor), _file(target) as beside:
            reader = _Reader(descriptor, beside, room=room, reserve=reserve, until=begun + deadline)
            guest.monitor.execute(
                "dump-guest-memory",
                {"paging": False, "protocol": f"file:{path}", "format": chosen, "detach": True},
                deadline=_QMP_SECONDS,
            )
            reader.read(lambda: guest.qemu_runs)
            _confirm(guest)
            name_kernel(beside, guest.plan.kernel_release)
            beside.replace(target)
    except GuestError as error:
        raise NoDump(error.message) from error
    except OSError as reason:
        raise NoDump(f"{reason.strerror or reason} while writing {target}") from reason
    return Dump(path=target, size=target.stat().st_size, seconds=time.monotonic() - begun, format=chosen)


def choose_format(offered: list[str]) -> str:
    """The compressed format to ask for; raises :class:`NoDump` where QEMU has none."""
    for name in _FORMATS:
        if name in offered:
            return name
    raise NoDump(f"this QEMU writes no compressed dump, only {', '.join(offered) or 'nothing'}")


def name_kernel(dump: Path, release: str) -> None:
    """Fill in the header's ``utsname`` (struct disk_dump_header: 8 bytes of signature, 4 of version, then its fields).

    QEMU 11 leaves it empty, with a machine "Unknown" (create_header64() in dump/dump.c), and libkdumpfile, which drgn
    reads dumps with, knows a dump's architecture by it: release, version and machine must not be empty.
    """
    fields = ("Linux", "", release, "of a guest", "x86_64")
    with open(dump, "r+b") as target:
        target.seek(_UTSNAME_AT)
        target.write(b"".join(field.encode()[: _UTS_BYTES - 1].ljust(_UTS_BYTES, b"\0") for field in fields))


def free_bytes(folder: Path) -> int:
    """The bytes that are free for us on a folder's disk."""
    return shutil.disk_usage(folder).free


class _Reader:
    """Our end of the pipe."""

    def __init__(self, descriptor: int, path: Path, *, room: int, reserve: int, until: float) -> None:
        self._descriptor = descriptor
        self._path = path
        self._room = room
        self._reserve = reserve
        self._until = until

    def read(self, alive: Callable[[], bool]) -> None:
        """Write the file to its end; raises :class:`NoDump`."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        with open(self._path, "r+b") as target:
            reassembler = Reassembler(target, limit=self._room)
            checked = 0
            while not reassembler.whole:
                left = self._until - time.monotonic()
                if left <= 0:
                    raise NoDump(f"it was not done in time ({reassembler.written // _MIB} MiB had come)")
                if not poll.poll(min(left, 1.0) * 1000):
                    if not alive():
                        raise NoDump("QEMU ended meanwhile")
                    continue
                chunk = os.read(self._descriptor, _CHUNK)
                if not chunk:
                    raise NoDump(f"QEMU broke it off after {reassembler.written // _MIB} MiB")
                self._take(reassembler, chunk)
                if reassembler.written - checked > _CHECK_BYTES:
                    checked = reassembler.written
                    if free_bytes(self._path.parent) < self._reserve:
                        raise NoDump(f"the disk was filling up: less than {self._reserve // _MIB} MiB are free")

    def _take(self, reassembler: Reassembler, chunk: bytes) -> None:
        try:
            reassembler.feed(chunk)
        except TooLong:
            raise NoDump(f"it would be larger than {self._room // _MIB} MiB") from None
        except NotFlattened as reason:
            raise NoDump(f"QEMU wrote what is no dump: {reason}") from None


@contextlib.contextmanager
def _pipe(path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe with our end open; gone afterwards, on which QEMU stops writing."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            yield path, descriptor
        finally:
            os.close(descriptor)
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _file(target: Path) -> Iterator[Path]:
    """An empty private file beside the target; what is still there afterwards was not finished, and goes."""
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _confirm(guest: Guest) -> None:
    """QEMU's own word that it wrote all of it."""
    until = time.monotonic() + _QMP_SECONDS
    while (status := guest.qmp("query-dump", deadline=_QMP_SECONDS)["status"]) == "active":
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    if status != "completed":
        raise NoDump(f"QEMU says that the dump {status}")
