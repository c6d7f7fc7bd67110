# SPDX-License-Identifier: GPL-2.0-only
"""Failed cases on a fresh guest: one that fails only after another, and one that always does; what is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.vm.outcome import Harness
from tests.vm.project import copy_project

pytestmark = pytest.mark.vm

PROGRAM = """#!/bin/sh
. "$(dirname "$0")/../lib/ktap.sh"

case_first() {
	echo 1 >/proc/sys/vm/stat_interval # what it leaves behind, and nobody looks at
	echo 77 >/proc/sys/vm/stat_interval
}

case_after_first() {
	expect_eq 1 "$(cat /proc/sys/vm/stat_interval)" "statistics are counted every second"
}

case_never() {
	fail "it never works"
}

ktap_main "$@"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = copy_project(tmp_path / "project")
    (project / "tests/guest/moody").mkdir()
    (project / "tests/guest/moody/test_moody.sh").write_text(PROGRAM)
    return project


def test_flaky_and_broken_are_told_apart_and_the_verdict_stays(harness: Harness, project: Path) -> None:
    env = {"HARNESS_PROJECT": str(project)}
    outcome = harness("run", "--suite", "moody", "--rerun-failed", "2", env=env)
    assert outcome.status == 1, outcome.why
    assert outcome.verdicts() == {
        "moody/test_moody:first": "PASS",
        "moody/test_moody:after_first": "FAIL",
        "moody/test_moody:never": "FAIL",
    }
    assert "↳ flaky: passed 2 of 3 times on the same inputs" in outcome.text
    assert "↳ new: never seen to fail, never run like this before; broken: failed in the same way in 2 of 2 reruns" in (
        outcome.text
    )
    reruns = [(one["case"], one["attempt"], one["verdict"]) for one in outcome.results["reruns"]]
    assert reruns == [
        ("after_first", 1, "PASS"),
        ("never", 1, "FAIL"),
        ("after_first", 2, "PASS"),
        ("never", 2, "FAIL"),
    ]
    assert all((outcome.folder / "reruns" / str(number) / "guests/1/console.log").is_file() for number in (1, 2, 3, 4))
    again = harness("run", "--suite", "moody", env=env)
    assert again.status == 1 and "↳ known: failed so in 1 run since" in again.text
    found = json.loads(harness("history", "--case", "after_first", "--json", env=env).text)
    assert [(one["state"], one["passed"], one["ran"]) for one in found] == [("flaky", 0, 2)]
    compared = harness("compare", "last~1", "last", env=env)
    assert (
        compared.status == 0 and "the same inputs" in compared.text and "3 cases with the same verdict" in compared.text
    )
