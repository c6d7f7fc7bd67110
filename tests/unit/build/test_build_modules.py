# SPDX-License-Identifier: GPL-2.0-only
"""The guest's test modules on the stub tree: built once a kernel, and missing with a reason where they do not build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.build import build, guest_modules
from harness.errors import EnvironmentFailure
from harness.values import AppliedSeries, GuestModules, Kernel, KernelConfig

if TYPE_CHECKING:
    from tests.unit.build.conftest import Bench

GOOD = '#include "checks.h"\nint here = CHECKS;\n'
BAD = "#include <linux/node_private.h>\nint here;\n"


@pytest.fixture
def folder(bench: Bench) -> Path:
    folder = bench.folder / "modules"
    folder.mkdir()
    (folder / "checks.h").write_text("#define CHECKS 1\n")
    (folder / "Kbuild").write_text("obj-m := all.o\n")
    (folder / "good.c").write_text(GOOD)
    return folder


def kernel_with_modules(bench: Bench, text: str = ":\n") -> tuple[AppliedSeries, KernelConfig, Kernel]:
    applied = bench.commit({"mm/zswap.c": text})
    config = bench.configure(applied, "base", "CONFIG_MODULES=y")
    kernel, _ = build(
        applied, config, toolchain=bench.toolchain, paths=bench.paths, store=bench.store, progress=bench.progress
    )
    bench.progress.updates.clear()
    return applied, config, kernel


def modules(bench: Bench, folder: Path, made: tuple[AppliedSeries, KernelConfig, Kernel]) -> GuestModules:
    return guest_modules(
        *made,
        folder=folder,
        toolchain=bench.toolchain,
        paths=bench.paths,
        store=bench.store,
        progress=bench.progress,
    )


def steps(bench: Bench) -> list[str]:
    said = [message for message, _, _ in bench.progress.updates]
    bench.progress.updates.clear()
    return said


def test_a_module_is_built_once_for_a_kernel(bench: Bench, folder: Path) -> None:
    made = kernel_with_modules(bench)
    first = modules(bench, folder, made)
    assert list(first.files) == ["good"] and first.files["good"].is_file() and not first.missing
    assert "test module good" in steps(bench)
    assert modules(bench, folder, made) == first
    assert steps(bench) == []


def test_an_edit_of_a_module_or_its_header_builds_it_again(bench: Bench, folder: Path) -> None:
    made = kernel_with_modules(bench)
    (folder / "other.c").write_text("int other;\n")
    first = modules(bench, folder, made)
    steps(bench)
    (folder / "good.c").write_text(GOOD + "int more;\n")
    second = modules(bench, folder, made)
    assert steps(bench)[-1:] == ["test module good"]
    assert second.files["other"] == first.files["other"] and second.files["good"] != first.files["good"]
    (folder / "checks.h").write_text("#define CHECKS 2\n")
    third = modules(bench, folder, made)
    assert steps(bench)[-1:] == ["test modules"], "both by one make"
    assert sorted(third.files) == ["good", "other"] and third.files["other"] != first.files["other"]


def test_one_that_does_not_build_is_missing_with_the_compilers_reason(bench: Bench, folder: Path) -> None:
    made = kernel_with_modules(bench)
    (folder / "bad.c").write_text(BAD)
    found = modules(bench, folder, made)
    assert list(found.files) == ["good"]
    assert (
        "bad.c does not build against this kernel: bad.c:1:10: fatal error: linux/node_private.h"
        in found.missing["bad"]
    )
    steps(bench)
    assert modules(bench, folder, made) == found
    assert steps(bench) == []


def test_a_kernel_without_modules_has_none(bench: Bench, folder: Path) -> None:
    applied = bench.commit()
    config = bench.configure(applied)
    kernel, _ = build(
        applied, config, toolchain=bench.toolchain, paths=bench.paths, store=bench.store, progress=bench.progress
    )
    found = modules(bench, folder, (applied, config, kernel))
    assert not found.files and found.missing == {"good": "this kernel has no loadable modules (CONFIG_MODULES)"}


def test_a_kernel_from_the_cache_is_not_built_again_for_its_modules(bench: Bench, folder: Path) -> None:
    first = kernel_with_modules(bench, ": first\n")
    kernel_with_modules(bench, ": second\n")  # the worktree has moved on
    modules(bench, folder, first)
    assert not any(step.startswith(("CC mm", "LD")) for step in steps(bench))
    (symbols,) = bench.paths.cache.glob("worktrees/*/build-*/output/Module.symvers")
    assert ": first" in symbols.read_text()


def test_a_full_disk_is_no_missing_module(bench: Bench, folder: Path) -> None:
    made = kernel_with_modules(bench)
    (folder / "bad.c").write_text('#error "No space left on device"\n')
    with pytest.raises(EnvironmentFailure, match="disk is full"):
        modules(bench, folder, made)
