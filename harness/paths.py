# SPDX-License-Identifier: GPL-2.0-only
"""Where the harness keeps things: its own data files, the cache, the runs, scratch space."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import platformdirs

from harness.errors import EnvironmentFailure

_APPLICATION = "n_private-harness"
_SCRATCH = re.compile(r".+-\d+-[0-9a-f]{32}")  # purpose, process, a random number


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The folders of one harness process.

    ``project`` holds what is shipped (kconfigs/, qemu/, patches/, tests/); ``cache`` what can be made again
    (repositories, worktrees, kernels, images, runtimes); ``data`` what cannot (runs, history). ``sandboxed`` says
    whether what runs code of a kernel tree can reach no others than it needs (:mod:`harness.sandbox`).
    """

    project: Path
    cache: Path
    data: Path
    sandboxed: bool = True

    @property
    def kconfigs(self) -> Path:
        """Kconfig fragments."""
        return self.project / "kconfigs"

    @property
    def topologies(self) -> Path:
        """Topology descriptions."""
        return self.project / "qemu"

    @property
    def patches(self) -> Path:
        """Named series, a folder each."""
        return self.project / "patches"

    @property
    def guest_tests(self) -> Path:
        """Suites that run inside the guest, a folder each."""
        return self.project / "tests" / "guest"

    @property
    def sequences(self) -> Path:
        """Sequences of the lifecycle suite that were found once."""
        return self.project / "tests" / "lifecycle"

    @property
    def mutants(self) -> Path:
        """Small breakages of our series, a patch each, that the suites must find."""
        return self.project / "tests" / "mutants"

    @property
    def runs(self) -> Path:
        """Run folders, one a run."""
        return self.data / "runs"

    @contextlib.contextmanager
    def scratch(self, purpose: str) -> Iterator[Path]:
        """A private folder (0700) beside the cache that is gone when the block is left.

        A harness that is killed outright cannot clean up: its folder's lock ends with it, and the next one that makes
        such a folder removes those that nobody holds.
        """
        parent = make_folder(self.cache / "scratch")
        sweep_scratch(parent)
        with contextlib.ExitStack() as stack:
            while True:
                folder = parent / f"{purpose}-{os.getpid()}-{uuid.uuid4().hex}"
                folder.mkdir(mode=0o700)
                ours = stack.enter_context(held(folder))
                if ours is not False and folder.is_dir():
                    break  # else a sweep was quicker than our lock
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            yield folder


def default_paths(*, cache: Path | None = None, data: Path | None = None, project: Path | None = None) -> Paths:
    """The folders after the XDG base directory specification, or those given.

    ``HARNESS_CACHE``, ``HARNESS_DATA`` and ``HARNESS_PROJECT`` in the environment stand between the two.
    """

    def choose(given: Path | None, variable: str, otherwise: str | Path) -> Path:
        value = given or os.environ.get(variable) or otherwise
        return Path(value).expanduser().absolute()

    return Paths(
        project=choose(project, "HARNESS_PROJECT", Path(__file__).resolve().parent.parent),
        cache=choose(cache, "HARNESS_CACHE", platformdirs.user_cache_dir(_APPLICATION)),
        data=choose(data, "HARNESS_DATA", platformdirs.user_data_dir(_APPLICATION)),
    )


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool | None]:
    """A lock on a folder itself (flock(2)), without waiting; its holder's death frees it.

    Yields whether it is ours: False where another process holds it or the folder is gone, None on a file system that
    has no locks.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        ours: bool | None = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as reason:
            ours = False if reason.errno == errno.EWOULDBLOCK else None
        yield ours
    finally:
        os.close(descriptor)


def sweep_scratch(parent: Path) -> None:
    """Remove the scratch folders that nobody holds."""
    for folder in parent.iterdir():
        if _SCRATCH.fullmatch(folder.name):
            with held(folder) as ours:
                if ours:
                    shutil.rmtree(folder, ignore_errors=True)


def make_folder(folder: Path) -> Path:
    """Create a folder and its parents; raises :class:`EnvironmentFailure` in the user's terms where it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise EnvironmentFailure(
            f"cannot create the folder {folder}: {reason.strerror}",
            hint="choose another one with --cache-dir and --data-dir (HARNESS_CACHE, HARNESS_DATA)",
        ) from reason
    return folder


def open_regular(file: Path) -> BinaryIO:
    """A file for reading, where others may have put something there that a reader would wait for (a named pipe).

    Raises :class:`OSError` for what is no regular file.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(file))
    return open(descriptor, "rb")


def drop_old(parent: Path, *, keep: int) -> None:
    """Delete the folders in ``parent`` but the ``keep`` newest by name and those made or changed within a day."""
    limit = time.time() - 86400
    for old in sorted(parent.iterdir())[: -keep or None] if parent.is_dir() else ():
        with contextlib.suppress(OSError):
            if old.stat().st_mtime < limit:
                shutil.rmtree(old, ignore_errors=True)


def make_dated_folder(parent: Path) -> Path:
    """A new, empty folder whose name sorts by the time of its making, to the millisecond, and does not collide.

    ``20261121-173614-345c0``: local date, time, milliseconds and two random digits, so that two hosts do not choose
    the same. Raises :class:`EnvironmentFailure` where it cannot be made.
    """
    make_folder(parent)
    while True:
        seconds, rest = divmod(time.time_ns(), 1_000_000_000)
        when = time.strftime("%Y%m%d-%H%M%S", time.localtime(seconds))
        path = parent / f"{when}-{rest // 1_000_000:03d}{secrets.token_hex(1)}"
        try:
            path.mkdir(mode=0o755)
        except FileExistsError:
            continue
        except OSError as reason:
            raise EnvironmentFailure(f"cannot create the folder {path}: {reason.strerror}") from reason
        return path
