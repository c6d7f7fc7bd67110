# SPDX-License-Identifier: GPL-2.0-only
"""One mutant from its patch to its line in the table, on a real kernel; and one that breaks nothing, which survives."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.vm.outcome import Harness

pytestmark = [pytest.mark.vm, pytest.mark.long]

PROJECT = Path(__file__).resolve().parents[2]
SERIES = "mutants/n_private-6.12"
MUTANT = "type-after-commit"
KILLER = "private/test_attributes:type_after_commit_is_busy"
ELSEWHERE = "private/test_attributes:create_file_mode"


def test_a_mutant_is_killed_by_the_case_that_should(harness: Harness) -> None:
    outcome = harness("mutants", MUTANT, "--suite", "private/test_attributes", "--again")
    assert outcome.status == 0, outcome.why
    first = outcome.folder
    (record,) = json.loads((first / "mutants.json").read_text())["mutants"]
    assert (record["outcome"], record["case"], record["verdict"]) == ("killed", KILLER, "FAIL")
    assert re.search(rf"{MUTANT} +killed +.* +FAIL +{re.escape(KILLER)}", outcome.text), outcome.why
    assert outcome.verdicts() == {f"{SERIES}:unmutated": "PASS", f"{SERIES}:{MUTANT}": "PASS"}
    folder = first / "mutants" / MUTANT
    for name in (f"{MUTANT}.patch", "guests/1/console.log", "results.json"):
        assert (folder / name).stat().st_size > 0, name
    assert list(folder.glob("again-*/guests/1/console.log")), "it was not tried again"
    known = harness("mutants", MUTANT, "--suite", "private/test_attributes")
    assert known.status == 0, known.why
    assert f"known from run {first.name}" in known.text
    (second,) = set((known.data / "runs").iterdir()) - {first}
    assert json.loads((second / "mutants.json").read_text())["mutants"] == [record]


def test_a_mutant_that_no_case_looks_at_survives(harness: Harness) -> None:
    outcome = harness("mutants", MUTANT, "--suite", ELSEWHERE, "--again")
    assert outcome.status == 1, outcome.why
    (record,) = json.loads((outcome.folder / "mutants.json").read_text())["mutants"]
    assert (record["outcome"], record["case"], record["cases"]) == ("survived", "", 1)
    assert outcome.verdicts()[f"{SERIES}:{MUTANT}"] == "FAIL"


def test_a_mutant_that_does_not_build_or_apply_is_no_kill(harness: Harness, tmp_path: Path) -> None:
    project = _project(tmp_path)
    mutant = project / "tests" / "mutants" / f"{MUTANT}.patch"
    text = mutant.read_text()
    assert "\trc = -EINVAL;" in text
    mutant.write_text(text.replace("\trc = -EINVAL;", "\trc = -ENOENT;"))  # the series has changed below it
    outcome = harness("mutants", MUTANT, env={"HARNESS_PROJECT": str(project)})
    assert outcome.status == 3, outcome.why
    assert f"1 of 1 mutants no longer apply to n_private-6.12: {MUTANT}" in outcome.text
    added = re.sub(r"^(@@ -\d+),(\d+) (\+\d+),(\d+) (@@.*)", _one_more, text, count=1, flags=re.M)
    mutant.write_text(added)
    outcome = harness("mutants", MUTANT, "--suite", ELSEWHERE, env={"HARNESS_PROJECT": str(project)})
    assert outcome.status == 3, outcome.why
    assert re.search(rf"{MUTANT} +does not build", outcome.text), outcome.why


def _one_more(hunk: re.Match[str]) -> str:
    """The hunk with a line more, at its beginning, that does not compile."""
    return f"{hunk[1]},{hunk[2]} {hunk[3]},{int(hunk[4]) + 1} {hunk[5]}\n+#error broken on purpose"


def _project(tmp_path: Path) -> Path:
    """A copy of the project's data with mutants of its own."""
    project = tmp_path / "project"
    (project / "tests").mkdir(parents=True)
    for name in ("kconfigs", "qemu", "patches", "ci", "tests/guest"):
        (project / name).symlink_to(PROJECT / name)
    shutil.copytree(PROJECT / "tests" / "mutants", project / "tests" / "mutants")
    return project
