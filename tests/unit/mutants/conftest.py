# SPDX-License-Identifier: GPL-2.0-only
"""A project of its own, with a suite and mutants of it, and a tiny kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.paths import Paths
from harness.store import Store
from tests.unit.series.patches import change, mail
from tests.unit.source.trees import Kernel, make_kernel
from tests.unit.suite.fakes import guest_tests, shell_program

Write = Callable[..., Path]

TRAILERS = "Breaks: swap works\nKilled-by: demo/test_x:two\n"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    project = tmp_path / "project"
    for name in ("patches", "tests/mutants"):
        (project / name).mkdir(parents=True)
    folder = guest_tests(project / "tests")
    shell_program(folder, "case_one() { :; }\ncase_two() { :; }", name="test_x.sh")
    shell_program(folder, "case_three() { :; }", name="test_y.sh")
    return Paths(project=project, cache=tmp_path / "cache", data=tmp_path / "data")


@pytest.fixture
def store(paths: Paths) -> Store:
    return Store(paths.cache)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return make_kernel(tmp_path / "linux")


@pytest.fixture
def write(paths: Paths) -> Write:
    """Write a mutant."""

    def call(name: str = "broken", trailers: str = TRAILERS, *, diff: str | None = None, prose: str = "Why.") -> Path:
        body = f"{prose}\n\n{trailers}"
        path = paths.mutants / f"{name}.patch"
        path.write_bytes(mail("[PATCH] mm: break it", change() if diff is None else diff, body=body))
        return path

    return call
