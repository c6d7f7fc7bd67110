# SPDX-License-Identifier: GPL-2.0-only
"""Every topology that is shipped, made by the real QEMU. What a kernel finds on it, the guest suite `cxl` judges."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import qemu_runtime
from harness import topology as topologies
from harness.errors import UserError
from harness.paths import Paths, default_paths
from harness.progress import Quiet
from harness.store import Store
from harness.values import Qemu

pytestmark = pytest.mark.vm
_PATHS = default_paths(project=Path(__file__).parents[2])


@pytest.fixture(scope="module")
def qemu() -> Qemu:
    return qemu_runtime.obtain("auto", paths=_PATHS, store=Store(_PATHS.cache), progress=Quiet())


@pytest.mark.parametrize("name", topologies.names(_PATHS))
def test_qemu_makes_it(name: str, qemu: Qemu, tmp_path: Path) -> None:
    topologies.check_against_qemu(topologies.load(name, paths=_PATHS), qemu, store=Store(tmp_path))


def test_qemu_refuses_what_only_it_can_know(qemu: Qemu, tmp_path: Path) -> None:
    """Window restrictions come after QEMU 11.1, and where they are there these two exclude each other."""
    text = (_PATHS.topologies / "direct.toml").read_text() + (
        '[[window]]\ntargets = ["hb0"]\nsize_mib = 256\nrestrictions = { back-invalidate = true, host-only = true }\n'
    )
    file = tmp_path / "mine.toml"
    file.write_text(text)
    paths = Paths(project=_PATHS.project, cache=tmp_path, data=tmp_path)
    with pytest.raises(UserError, match="refuses this machine") as caught:
        topologies.check_against_qemu(topologies.load(str(file), paths=paths), qemu, store=Store(tmp_path))
    assert caught.value.details
