# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import threading
from pathlib import Path

from harness.paths import Paths


def test_what_killed_processes_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    paths = Paths(project=tmp_path, cache=tmp_path, data=tmp_path)
    abandoned = tmp_path / "scratch" / f"image-1-{'0' * 32}"
    not_ours = tmp_path / "scratch" / "image-1-notes"
    for folder in (abandoned, not_ours):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    with paths.scratch("build") as first, paths.scratch("build") as second:
        assert first.is_dir() and second.is_dir() and first.stat().st_mode & 0o777 == 0o700
        assert not abandoned.exists() and not_ours.exists()
    assert list((tmp_path / "scratch").iterdir()) == [not_ours]


def test_folders_made_at_once_do_not_sweep_each_other(tmp_path: Path) -> None:
    paths = Paths(project=tmp_path, cache=tmp_path, data=tmp_path)
    lost: list[Path] = []

    def work() -> None:
        for _ in range(50):
            with paths.scratch("work") as folder:
                (folder / "file").write_text("x")
                if not (folder / "file").is_file():
                    lost.append(folder)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == [] and list((tmp_path / "scratch").iterdir()) == []
