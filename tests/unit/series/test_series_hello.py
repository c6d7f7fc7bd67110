# SPDX-License-Identifier: GPL-2.0-only
"""The project's own series on a real kernel tree: HARNESS_KERNEL_TREE, an unpacked folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from harness.process import run
from harness.repository import git
from harness.series.check import checkpatch_argv

pytestmark = pytest.mark.kernel_tree

PATCH = Path(__file__).parents[3] / "patches/harness-hello/0001-mm-show-the-test-series-in-sysfs.patch"
FILES = ("mm/mm_init.c", "Documentation/ABI/testing/sysfs-kernel-mm")


@pytest.fixture
def tree() -> Path:
    given = os.environ.get("HARNESS_KERNEL_TREE")
    if not given:
        pytest.skip("HARNESS_KERNEL_TREE names no unpacked kernel tree")
    return Path(given)


def test_applies_where_it_says(tree: Path, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree / name, tmp_path / name)
    done = git("apply", "--check", "--verbose", str(PATCH), cwd=tmp_path)
    assert "offset" not in done.error_text and "succeeded" not in done.error_text


def test_is_clean_for_checkpatch(tree: Path) -> None:
    done = run(checkpatch_argv(tree, PATCH), deadline=60, cwd=tree, check=False)
    assert (done.text.strip(), done.returncode) == ("", 0)
