# SPDX-License-Identifier: GPL-2.0-only
"""What a matrix has been through, on disk: the night that goes on or was last, each cell's last result, the runs.

``<data>/nightly/<matrix>/`` holds ::

    state.json        this state: written whole at each step (a rename after fsync), so that a night that is killed,
                      or whose machine goes down, goes on where it was
    lock              held by the nightly that goes on
    nights/<id>/      profiles/ (a cell's, as harness run takes it), logs/, series/, and the reports
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import msgspec

from harness.errors import UserError
from harness.paths import Paths, make_folder
from harness.results.record import exit_status
from harness.store import disk_failure
from harness.values import Verdict

VERSION = 1


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """What a source or a series stands for in a night.

    ``spec`` is what the matrix says, ``pinned`` what cells are run with, ``digest`` what decides it (empty: it could
    not be had, for the ``reason``, with the ``verdict``), ``said`` the same for people.
    """

    spec: str
    pinned: str
    digest: str = ""
    said: str = ""
    verdict: str = ""
    reason: str = ""
    facts: dict[str, str] = {}


class CellState(msgspec.Struct, kw_only=True):
    """A cell in a night. ``status``: ``waiting``, ``running``, ``done`` (it has a verdict) or ``missed`` (no time).

    ``run`` is its run folder's name; a cell whose kernel another cell found not to build has that one's (``like``).
    ``fingerprint`` is what decided it, ``log`` where its output is. ``seconds`` is wall time, ``guest_seconds`` of it
    in the guest, ``before`` the run of the cell's last result before this night.
    """

    fingerprint: str
    status: str = "waiting"
    run: str = ""
    verdict: str = ""
    reason: str = ""
    like: str = ""
    started: float = 0.0
    seconds: float = 0.0
    guest_seconds: float = 0.0
    counts: dict[str, int] = {}
    before: str = ""

    @property
    def good(self) -> bool:
        """Whether it is done, and well."""
        return self.status == "done" and Verdict(self.verdict).good


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A cell's last result: what decided it, its run, when it ended (Unix time), how long it took (seconds)."""

    fingerprint: str
    verdict: str
    run: str
    when: float
    seconds: float
    guest_seconds: float
    reason: str = ""
    counts: dict[str, int] = {}


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A run folder that a nightly made: for retention. No ``verdict``: the run was cut off."""

    run: str
    cell: str
    verdict: str
    when: float


class Night(msgspec.Struct, kw_only=True):
    """One night. ``finished`` is 0 while it goes on; ``moved`` says why it was begun; times in seconds since the epoch.

    ``inputs`` by ``source NAME`` and ``series NAME on SOURCE``; ``builds`` the seconds of each kernel's build.
    """

    id: str
    matrix: str
    digest: str
    started: float
    finished: float = 0.0
    wall: float = 0.0
    interruptions: int = 0
    moved: list[str] = []
    unmoved: list[str] = []
    inputs: dict[str, Input] = {}
    builds: dict[str, float] = {}
    cells: dict[str, CellState] = {}

    @property
    def going_on(self) -> bool:
        """Whether it was begun and not finished."""
        return self.finished == 0.0


class Book(msgspec.Struct, kw_only=True):
    """``state.json``. ``build_seconds`` is how long a build took that was no look into the cache, the last time."""

    version: int = VERSION
    night: Night | None = None
    known: dict[str, Known] = {}
    kept: list[Kept] = []
    build_seconds: float = 0.0


class Desk:
    """The folder of a matrix, and its book."""

    def __init__(self, name: str, *, paths: Paths) -> None:
        self.folder = paths.data / "nightly" / name
        self.file = self.folder / "state.json"
        self.book = self._read()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the matrix; raises :class:`UserError` where another nightly of it goes on."""
        lock = filelock.FileLock(make_folder(self.folder) / "lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise UserError(
                f"a nightly of this matrix goes on already (it holds {lock.lock_file})", hint="wait for it, or end it"
            ) from None
        try:
            self.book = self._read()
            yield
        finally:
            lock.release()

    def night_folder(self, night: Night) -> Path:
        """Where a night's files are."""
        return self.folder / "nights" / night.id

    def write(self) -> None:
        """Write the book, so that it is on disk when this returns. Raises :class:`EnvironmentFailure`."""
        make_folder(self.folder)
        beside = self.file.with_name(f".state.{os.getpid()}")
        try:
            with open(beside, "wb") as stream:
                stream.write(msgspec.json.format(msgspec.json.encode(self.book), indent=1) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(self.file)
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as reason:
            beside.unlink(missing_ok=True)
            raise disk_failure(reason, f"while writing {self.file}") from reason

    def _read(self) -> Book:
        try:
            text = self.file.read_bytes()
        except FileNotFoundError:
            return Book()
        except OSError as reason:
            raise UserError(f"cannot read {self.file}: {reason.strerror}") from None
        try:
            version = msgspec.json.decode(text, type=_Versioned).version
            if version > VERSION:
                raise UserError(
                    f"{self.file} is of version {version}; this harness reads up to {VERSION}",
                    hint="update the harness",
                )
            return msgspec.json.decode(text, type=Book)
        except msgspec.MsgspecError as reason:
            raise UserError(
                f"{self.file} is damaged: {reason}",
                hint="move it away: the next night then begins anew, the runs stay",
            ) from None


class _Versioned(msgspec.Struct):
    version: int


def night_verdict(night: Night) -> Verdict:
    """The gravest verdict of its cells; one that was missed is INFRA: nothing says that it would pass."""
    verdicts = [Verdict(one.verdict) if one.status == "done" else Verdict.INFRA for one in night.cells.values()]
    by_exit = {4: 0, 3: 1, 1: 2, 0: 3}
    return min(verdicts, key=lambda one: by_exit[exit_status(one)], default=Verdict.INFRA)
