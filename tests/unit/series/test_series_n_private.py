# SPDX-License-Identifier: GPL-2.0-only
"""Our series and its mutants on the real kernel tree (HARNESS_KERNEL_TREE, an unpacked folder): they apply."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from harness.repository import git

pytestmark = pytest.mark.kernel_tree

PROJECT = Path(__file__).parents[3]
PATCHES = sorted((PROJECT / "patches/n_private-6.12").glob("*.patch"))
MUTANTS = sorted((PROJECT / "tests/mutants").glob("*.patch"))


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the series and its mutants touch, with the series on them; the patches' places are exact."""
    given = os.environ.get("HARNESS_KERNEL_TREE")
    if not given:
        pytest.skip("HARNESS_KERNEL_TREE names no unpacked kernel tree")
    folder = tmp_path_factory.mktemp("linux")
    for patch in (*PATCHES, *MUTANTS):
        for name in re.findall(r"^--- a/(\S+)$", patch.read_text(), flags=re.MULTILINE):
            source, target = Path(given, name), folder / name
            if source.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    for patch in PATCHES:
        done = git("apply", "--verbose", str(patch), cwd=folder)
        assert "offset" not in done.error_text and "fuzz" not in done.error_text, done.error_text
    return folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda path: path.stem)
def test_a_mutant_applies_to_the_series(patched: Path, mutant: Path) -> None:
    git("apply", "--check", str(mutant), cwd=patched)
