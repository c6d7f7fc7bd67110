# SPDX-License-Identifier: GPL-2.0-only
"""A run folder from elsewhere with named pipes in place of its files: nothing waits for who will never write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.paths import open_regular
from harness.results import console_log
from harness.results.folder import RunFolder, read_manifest, read_results


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    for name in ("manifest.json", "results.json", "console.log"):
        os.mkfifo(tmp_path / name)
    return RunFolder(tmp_path)


def test_a_pipe_is_named_and_not_read(folder: RunFolder) -> None:
    for read in (read_manifest, read_results):
        with pytest.raises(UserError, match=r"cannot read .*\.json: it is no regular file"):
            read(folder)
    with pytest.raises(UserError, match=r"cannot read .*console\.log: it is no regular file"):
        list(console_log.read(folder.path / "console.log"))


def test_neither_is_a_folder_or_a_device(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="no regular file"):
            open_regular(path)
