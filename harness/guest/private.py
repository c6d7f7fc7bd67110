# SPDX-License-Identifier: GPL-2.0-only
"""A guest's private folder: keys, facts and scratch disks, held by a lock as long as its harness lives.

A harness that is killed outright cannot clean up; the kernel frees its lock, and the next guest's start removes what
has none.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from harness.guest.keys import RunKeys, write_private
from harness.paths import Paths
from harness.store import disk_failure
from harness.values import QemuPlan

KEY_FILE = "id_ed25519"
_PURPOSE = "guest"
_UNLOCKED_SECONDS = 60.0


@contextlib.contextmanager
def private_folder(paths: Paths, plan: QemuPlan, keys: RunKeys) -> Iterator[Path]:
    """The folder with all that ``plan`` asks for, gone when the block is left.

    Raises :class:`EnvironmentFailure` where it cannot be made (a full disk is named).
    """
    sweep(paths.cache / "scratch")
    with paths.scratch(_PURPOSE) as folder, _held(folder):
        try:
            _fill(folder, plan, keys)
        except OSError as reason:
            raise disk_failure(reason, "while preparing a guest") from reason
        yield folder


def sweep(scratch: Path) -> None:
    """Remove the private folders of guests whose harness is gone."""
    for folder in scratch.glob(f"{_PURPOSE}-*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < _UNLOCKED_SECONDS:
                continue  # perhaps between its making and its locking
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder (flock(2)); the holder's death frees it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: then nothing is swept either
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _fill(folder: Path, plan: QemuPlan, keys: RunKeys) -> None:
    write_private(folder / KEY_FILE, keys.login_private)
    write_private(folder / "authorized_keys", keys.authorized_keys.encode())
    write_private(folder / "host_key", keys.host_private)
    for name, text in plan.files.items():
        write_private(folder / name, text.encode())
    for name, mib in plan.disks.items():
        os.truncate(write_private(folder / name, b""), mib << 20)
