# SPDX-License-Identifier: GPL-2.0-only
"""A cache that was damaged by hand, and two runs that share one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.bad_input.conftest import DEADLINE, Bench


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def delete(path: Path) -> None:
    path.unlink()


Damage = Callable[[Path], None]
DAMAGES = [flip, truncate, delete]


def entry(bench: Bench, kind: str) -> Path:
    (found,) = (path for path in (bench.cache / "store" / kind).iterdir() if not path.name.startswith("."))
    return found


@pytest.mark.parametrize(
    ("damage", "file"),
    [(flip, "vmlinux"), (truncate, "vmlinux"), (delete, "vmlinux"), (flip, ".entry.json"), (delete, ".entry.json")],
)
def test_a_damaged_kernel_is_built_again(bench: Bench, damage: Damage, file: str) -> None:
    assert bench("build").status == 0
    whole = (entry(bench, "kernel") / "vmlinux").read_bytes()
    damage(entry(bench, "kernel") / file)
    outcome = bench("build")
    assert outcome.status == 0, outcome.text
    assert "warning: cache entry kernel/" in outcome.text and "is damaged (" in outcome.text
    assert "it is made again" in outcome.text
    assert (entry(bench, "kernel") / "vmlinux").read_bytes() == whole
    assert "is damaged" not in bench("build").text
    assert bench.left_behind() == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_image_is_never_booted(bench: Bench, damage: Damage) -> None:
    tool = bench.write("offline/mmdebstrap", "#!/bin/sh\necho 'E: Could not connect to mirror.invalid' >&2\nexit 100\n")
    tool.chmod(0o755)
    damage(entry(bench, "image") / "rootfs.erofs")
    path = f"{tool.parent}:/usr/bin:/bin"
    outcome = bench("run", PATH=path, HARNESS_DEBIAN_MIRROR="http://mirror.invalid/debian")
    assert outcome.status == 4, outcome.text
    assert "warning: cache entry image/" in outcome.text and "it is made again" in outcome.text
    assert "Debian's archive at http://mirror.invalid/debian cannot be reached" in outcome.text
    assert outcome.results["verdict"] == "INFRA"
    assert bench.left_behind() == []


def test_check_finds_the_damage_and_exits_4(bench: Bench) -> None:
    assert bench("build").status == 0
    assert bench("cache", "check").status == 0
    flip(entry(bench, "kernel") / "System.map")
    outcome = bench("cache", "check")
    assert outcome.status == 4 and "System.map has another content" in outcome.text, outcome.text


def test_a_damaged_repository_or_worktree_is_no_traceback(bench: Bench) -> None:
    assert bench("build").status == 0
    (worktree,) = (bench.cache / "worktrees").glob("*")
    shutil.rmtree(next(worktree.rglob("source")))
    shutil.rmtree(entry(bench, "kernel"))
    outcome = bench("build")
    assert outcome.status == 0, outcome.text
    assert bench.left_behind() == []


def test_runs_at_the_same_time_build_once_and_all_end_well(bench: Bench) -> None:
    bench.commit("slow", {"mm/zswap.c": "echo once >>made; sleep 1\n"})
    runs = [
        subprocess.Popen(
            bench.argv(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=bench.folder,
            env=bench.environment({}),
        )
        for command in ("build", "build", "run", "run")
    ]
    texts = [run.communicate(timeout=DEADLINE)[0].decode() for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 3, 3], "\n----\n".join(texts)
    assert all("the guest's init gave up: nothing here" in text for text in texts[2:]), texts
    (made,) = bench.cache.glob("worktrees/*/build-*/output/made")
    assert made.read_text() == "once\n"
    assert any("waiting for another run that uses kernel" in text for text in texts[:2]), texts
    assert len(list((bench.data / "runs").iterdir())) == 2
    assert bench.left_behind() == []
