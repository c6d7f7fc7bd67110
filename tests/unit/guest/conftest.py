# SPDX-License-Identifier: GPL-2.0-only
"""Guests without QEMU: plans that run fake_qemu.py, and SSH servers that run nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.paths import Paths
from harness.values import Accel, QemuPlan

_FAKE = Path(__file__).with_name("fake_qemu.py")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(project=tmp_path / "project", cache=tmp_path / "cache", data=tmp_path / "data")


@pytest.fixture
def fake_plan() -> Callable[..., QemuPlan]:
    def make(script: str, *, deadline: float = 20.0, program: Path = _FAKE) -> QemuPlan:
        return QemuPlan(
            argv=(sys.executable, "-S", "-E", str(program), "{console_fd}", "{qmp_fd}", script),
            env={},
            accel=Accel.TCG,
            boot_deadline=deadline,
            kernel_release="6.12.0",
            topology="none",
            memory_mib=1024,
            files={"topology": "TOPOLOGY='none'\n"},
            disks={"swap": 64},
        )

    return make
