# SPDX-License-Identifier: GPL-2.0-only
"""Sequences as text, and the kept ones of the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UserError
from harness.lifecycle import step as steps
from harness.lifecycle.suite import Lifecycle

PROJECT = Path(__file__).parents[3]


def test_there_and_back(tmp_path: Path) -> None:
    some = [steps.step("create", "r1", "ram", "decoder0.0"), steps.step("online", "r1", 0, "online_movable")]
    file = tmp_path / "a.steps"
    file.write_text(steps.write(some, "needs: private"))
    read = steps.read(file)
    assert list(read.steps) == some
    assert "needs: private" in read.comment
    assert read.name == "a"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("crate r1 ram decoder0.0\n", "did you mean 'create'"),
        ("create r1 ram $(reboot)\n", "is no word of a step"),
        ("# nothing\n", "has no step"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.steps"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        steps.read(file)
    assert said in f"{error.value.message} {error.value.hint}"


@pytest.mark.parametrize(
    ("seconds", "names"), [(5, ["seed_7"]), (40, ["seed_7", "seed_8", "seed_9", "seed_10"]), (8 * 3600, None)]
)
def test_seeds_share_the_time(seconds: float, names: list[str] | None) -> None:
    suite = Lifecycle(
        folder=PROJECT / "tests" / "lifecycle", guest_tests=PROJECT / "tests" / "guest", seed=7, seconds=seconds
    )
    drawn = suite.programs()[-1]
    assert drawn.full_name == "lifecycle/random"
    assert list(drawn.cases) == names if names else len(drawn.cases) == 240
    assert drawn.options["CXL_REGION"] == "y"


def test_kept_sequences_can_be_read() -> None:
    for file in (PROJECT / "tests" / "lifecycle").glob("*.steps"):
        assert steps.read(file).steps
