# SPDX-License-Identifier: GPL-2.0-only
"""The tree's selftests in the plan of a run: beside our own suites, alone, or asked for in vain."""

from __future__ import annotations

import pytest

from harness import profile, run
from harness.errors import UserError
from harness.paths import default_paths

PATHS = default_paths()


def planned(*selection: str, keyword: str = "") -> run.RunPlan:
    chosen = profile.load("default", paths=PATHS)
    return run.plan(chosen, selection=selection, keyword=keyword, paths=PATHS)


def test_beside_our_own_and_alone() -> None:
    both = planned("hello", "kselftest:mm,cgroup/test_core", "kselftest:mm")
    assert both.cases[-2:] == ("kselftest:mm", "kselftest:cgroup/test_core")
    assert len(both.cases) > 2
    assert planned("kselftest:mm").cases == ("kselftest:mm",)


def test_a_keyword_is_for_both() -> None:
    assert planned("hello", "kselftest:mm", keyword="mm/cow").cases == ("kselftest:mm",)
    with pytest.raises(UserError, match="no case is selected"):
        planned("hello", keyword="mm/cow")
    with pytest.raises(UserError, match="not valid"):
        planned("kselftest:mm", keyword="and")


@pytest.mark.parametrize("name", ["kselftest:", "kselftest", "kselftest:../x"])
def test_asked_for_in_vain(name: str) -> None:
    with pytest.raises(UserError, match="target of the kernel's selftests"):
        planned(name)
