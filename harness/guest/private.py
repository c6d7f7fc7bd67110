# SPDX-License-Identifier: GPL-2.0-only
"""A guest's private folder: keys, facts and scratch disks, gone with the guest."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from harness.guest.keys import RunKeys, write_private
from harness.paths import Paths
from harness.store import disk_failure
from harness.values import QemuPlan

KEY_FILE = "id_ed25519"


@contextlib.contextmanager
def private_folder(paths: Paths, plan: QemuPlan, keys: RunKeys) -> Iterator[Path]:
    """The folder with all that ``plan`` asks for, gone when the block is left.

    Raises :class:`EnvironmentFailure` where it cannot be made (a full disk is named).
    """
    with paths.scratch("guest") as folder:
        try:
            _fill(folder, plan, keys)
        except OSError as reason:
            raise disk_failure(reason, "while preparing a guest") from reason
        yield folder


def _fill(folder: Path, plan: QemuPlan, keys: RunKeys) -> None:
    write_private(folder / KEY_FILE, keys.login_private)
    write_private(folder / "authorized_keys", keys.authorized_keys.encode())
    write_private(folder / "host_key", keys.host_private)
    for name, text in plan.files.items():
        write_private(folder / name, text.encode())
    for name, mib in plan.disks.items():
        os.truncate(write_private(folder / name, b""), mib << 20)
