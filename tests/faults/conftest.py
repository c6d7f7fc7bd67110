# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of faults share: a bench with a series, folders that must stay empty, a look before and after."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.faults import untouched
from tests.unit.bad_input.conftest import Bench
from tests.unit.bad_input.conftest import bench as bench

LeftBehind = Callable[..., list[str]]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that other users may pass through (pytest's own is closed to them)."""
    folder = Path(tempfile.mkdtemp(prefix="fault-")).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def faulty(bench: Bench) -> Bench:
    """The bench with a series of one patch, a home and a folder for temporary files."""
    bench.commit("mm: one", {"mm/one.c": "int one;\n"})
    bench.patches(1)
    for name, variable in (("home", "HOME"), ("tmp", "TMPDIR")):
        (bench.folder / name).mkdir()
        bench.env[variable] = str(bench.folder / name)
    bench.env["XDG_CONFIG_HOME"] = str(bench.folder / "config")
    return bench


@pytest.fixture
def left_behind(faulty: Bench) -> LeftBehind:
    """What a command left since the test began; its places must have been made by then."""
    untouched.adopt_orphans()
    places = untouched.Places(
        cache=faulty.cache,
        data=faulty.data,
        temporary=faulty.folder / "tmp",
        home=faulty.folder / "home",
    )
    before = untouched.take(places)

    def look(*, allowed: Sequence[str] = ()) -> list[str]:
        return untouched.left_by(before, places, allowed=allowed)

    return look
