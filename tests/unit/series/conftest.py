# SPDX-License-Identifier: GPL-2.0-only
"""A cache of its own for each test, a listener that keeps what it was told, and a tiny kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.paths import Paths
from harness.store import Store
from tests.unit.source.trees import Heard, Kernel, make_kernel


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    project = Path(__file__).resolve().parents[3]
    return Paths(project=project, cache=tmp_path / "cache", data=tmp_path / "data")


@pytest.fixture
def store(paths: Paths) -> Store:
    return Store(paths.cache)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return make_kernel(tmp_path / "linux")
