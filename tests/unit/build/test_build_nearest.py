# SPDX-License-Identifier: GPL-2.0-only
"""Which worktree the build of a new configuration begins as, and that its kernel is what it would be without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.build import build, nearest, state
from harness.build.state import BuildState
from harness.values import Kernel, KernelConfig
from harness.worktrees import Seed

if TYPE_CHECKING:
    from tests.unit.build.conftest import Bench

OPTIONS = [f"CONFIG_{number}=y" for number in range(200)]


def config(*lines: str) -> KernelConfig:
    return KernelConfig(text="".join(f"{line}\n" for line in lines), digest="0", fragments=())


def kept(root: Path, name: str, *lines: str, complete: bool = True, unfinished: str = "", at: str = "now") -> None:
    output = root / name / "output"
    output.mkdir(parents=True)
    (output / nearest.CONFIG).write_text("# a comment\n" + "".join(f"{line}\n" for line in lines))
    (output / "vmlinux").write_text("linked")
    (root / name / "git").mkdir()
    (root / name / "git" / "HEAD").write_text(f"{at}\n")
    state.save(BuildState(complete=complete, unfinished=unfinished), output)


def found(root: Path, *lines: str) -> tuple[Seed, ...]:
    return nearest.seeds(root / "build-new", config(*lines), commit="now", prefix="build-")


def test_the_nearest_comes_first(tmp_path: Path) -> None:
    kept(tmp_path, "build-far", *OPTIONS[:40])
    kept(tmp_path, "build-near", *OPTIONS[:9])
    kept(tmp_path, "other-nearer", *OPTIONS[:10])
    assert found(tmp_path, *OPTIONS[:10]) == (Seed("build-near", output=True), Seed("build-far", output=True))


def test_one_at_another_commit_comes_later(tmp_path: Path) -> None:
    kept(tmp_path, "build-same", *OPTIONS[:10], at="before")
    kept(tmp_path, "build-far", *OPTIONS[:40])
    assert [seed.key for seed in found(tmp_path, *OPTIONS[:10])] == ["build-far", "build-same"]


def test_what_was_built_is_taken_only_where_it_serves(tmp_path: Path) -> None:
    kept(tmp_path, "build-a", *OPTIONS[:10], unfinished="a log")
    kept(tmp_path, "build-b", *OPTIONS[:11], complete=False)
    kept(tmp_path, "build-c", *OPTIONS[:12], "CONFIG_DEBUG_INFO=y")
    kept(tmp_path, "build-d", *OPTIONS[:91])
    kept(tmp_path, "build-e", *OPTIONS[:90])
    kept(tmp_path, "build-f", *OPTIONS[:13])
    os.utime(tmp_path / "build-f/output/vmlinux", (0, 0))  # the build with this configuration was interrupted
    kept(tmp_path, "build-g", *OPTIONS[:14])
    (tmp_path / "build-g/output/vmlinux").unlink()
    seeds = found(tmp_path, *OPTIONS[:10])
    assert [(seed.key[-1], seed.output) for seed in seeds] == [
        ("a", False), ("b", False), ("c", False), ("f", False), ("g", False), ("e", True),
        ("d", False),
    ]  # fmt: skip
    assert not any(seed.output for seed in found(tmp_path, *OPTIONS[:10], "CONFIG_DEBUG_INFO=y"))


def test_one_that_was_begun_stays(tmp_path: Path) -> None:
    kept(tmp_path, "build-a", *OPTIONS[:10])
    kept(tmp_path, "build-new", *OPTIONS[:10], complete=False)
    assert found(tmp_path, *OPTIONS[:10]) == ()


def test_what_code_of_a_tree_left_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    for name in ("build-a", "build-b"):
        (tmp_path / name / "output").mkdir(parents=True)
    os.mkfifo(tmp_path / "build-a/output" / nearest.CONFIG)
    (tmp_path / "build-b/output" / nearest.CONFIG).symlink_to("/dev/zero")
    assert found(tmp_path, *OPTIONS[:10]) == ()


@pytest.fixture
def two(bench: Bench) -> tuple[KernelConfig, KernelConfig, Kernel]:
    """A configuration, another one, and the other one's kernel, built after the first's."""
    bench.fragment("more", "CONFIG_MORE=y\n")
    applied = bench.commit()
    first, second = bench.configure(applied), bench.configure(applied, "base", "more")

    def built(which: KernelConfig) -> Kernel:
        return build(
            applied,
            which,
            toolchain=bench.toolchain,
            paths=bench.paths,
            store=bench.store,
            progress=bench.progress,
            jobs=2,
        )[0]

    built(first)
    return first, second, built(second)


def test_a_second_configuration_begins_as_the_first(
    bench: Bench, two: tuple[KernelConfig, KernelConfig, Kernel]
) -> None:
    first, _, kernel = two
    assert f"beginning as build-{first.digest[:16]}" in [message for message, _, _ in bench.progress.updates]
    assert "CONFIG_MORE=y" in kernel.config.read_text()
    assert not bench.progress.warnings
