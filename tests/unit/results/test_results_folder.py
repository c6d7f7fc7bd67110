# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.paths import Paths, drop_old
from harness.results import folder
from harness.results.record import Manifest, Results


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(project=tmp_path, cache=tmp_path / "cache", data=tmp_path / "data")


def finished(paths: Paths) -> folder.RunFolder:
    run = folder.create(paths)
    run.write_results(
        Results(run=run.name, verdict="PASS", seconds=1, guest_seconds=1, interrupted=False, stages=(), cases=())
    )
    return run


def test_results_and_manifest_read_back(paths: Paths) -> None:
    run = finished(paths)
    run.write_manifest(Manifest(decides={"a": 1}, circumstances={}))
    assert folder.read_results(run).run == run.name
    assert folder.read_manifest(run).decides == {"a": 1}
    assert not list(run.path.glob(".*")), "a half-written file was left"


def test_a_run_is_found_by_name_prefix_path_and_last(paths: Paths) -> None:
    run = finished(paths)
    for name in (run.name, run.name[:12], str(run.path), "last"):
        assert folder.find(name, paths=paths).path == run.path


def test_an_unknown_run_is_a_user_error(paths: Paths) -> None:
    finished(paths)
    with pytest.raises(UserError, match="no single run 'zzz'"):
        folder.find("zzz", paths=paths)


def test_a_damaged_or_newer_file_is_named(paths: Paths) -> None:
    run = finished(paths)
    run.write("results.json", '{"version": 1, "run"')
    with pytest.raises(UserError, match="damaged"):
        folder.read_results(run)
    run.write("results.json", '{"version": 99}')
    with pytest.raises(UserError, match="version 99"):
        folder.read_results(run)


def test_runs_of_one_second_sort_by_time(paths: Paths) -> None:
    made = []
    for _ in range(5):
        made.append(finished(paths).name)
        time.sleep(0.002)
    assert made == sorted(made)
    assert folder.find("last", paths=paths).name == made[-1]


def test_old_logs_go_and_new_ones_stay(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d"]
    for name in names:
        (tmp_path / name).mkdir()
    for name in ("a", "c"):
        os.utime(tmp_path / name, (0, 0))
    drop_old(tmp_path, keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "d"], "one is old, one was just made"
    drop_old(tmp_path / "not there", keep=1)
