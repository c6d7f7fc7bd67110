# SPDX-License-Identifier: GPL-2.0-only
"""Whose a crash is, on a real kernel: a suite of cases that make it complain, by sysrq and by the module provoke."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness import guest, pipeline
from harness import profile as profiles
from harness.cli.boot import Stages
from harness.guest import Guest
from harness.paths import default_paths
from harness.progress import Quiet
from harness.store import Store
from harness.suite import catalogue
from harness.suite.attempt import Limits
from harness.suite.runner import Runner
from harness.values import Verdict
from tests.vm.outcome import DEBUG, Harness
from tests.vm.project import copy_project

pytestmark = pytest.mark.vm

HEADER = """#!/bin/sh
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/module.sh"
provoke() { insmod "$module_folder/provoke.ko" what="$1" || :; }
"""

# The case's name says what must become of it.
CRASHES = """
case_passes_first() { :; }
case_crashes_by_warning() { provoke warning; }
case_passes_in_a_fresh_guest() { :; }
case_passes_with_an_announced_warning() { expect_splat 'WARNING: .*provoke_warning'; provoke warning; }
case_passes_in_the_same_guest() { [ "$(cat /proc/sys/kernel/tainted)" != 0 ]; }
case_crashes_by_another_than_announced() { expect_splat 'kernel BUG at'; provoke warning-message; }
case_crashes_by_a_taint_without_report() { provoke taint; }
case_passes_with_a_module_from_outside() { provoke nothing; }
case_passes_with_an_announced_bug() { expect_splat 'kernel BUG at'; provoke bug; }
case_passes_where_no_bug_was() { [ "$(cat /proc/sys/kernel/tainted)" = 0 ]; }
case_crashes_by_panic() { echo c >/proc/sysrq-trigger; sleep 100; }
case_passes_last() { :; }
"""

# KTAP by hand: the warning comes after the end of one case and before the begin of the next.
BETWEEN = """#!/bin/sh
[ "$1" = -l ] && printf 'crashes_late\\npasses\\ncrashes_last\\n' && exit
wanted="$*"
[ "$1" ] || wanted='-t crashes_late -t passes -t crashes_last'
set -- $wanted
echo "KTAP version 1"
echo "1..$(($# / 2))"
number=1
while [ "$2" ]; do
	echo "<3>harness: case begin crashes/test_between:$2" >/dev/kmsg
	echo "ok $number $2"
	echo "<3>harness: case end crashes/test_between:$2" >/dev/kmsg
	case $2 in
	crashes_*) insmod /opt/harness/modules/provoke.ko what=warning 2>/dev/null ;;
	esac
	number=$((number + 1))
	shift 2
done
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's data with the suite ``crashes``."""
    project = copy_project(tmp_path / "project")
    suite = project / "tests" / "guest" / "crashes"
    suite.mkdir()
    (suite / "test_crashes.sh").write_text(f'{HEADER}{CRASHES}ktap_main "$@"\n')
    (suite / "test_between.sh").write_text(BETWEEN)
    (suite / "settings").write_text("timeout=120\n")
    return project


def test_each_crash_is_the_case_s_that_it_began_in_and_the_rest_go_on(harness: Harness, project: Path) -> None:
    outcome = harness("run", "--suite", "crashes", env={"HARNESS_PROJECT": str(project)})
    assert outcome.status == 1, outcome.why
    expected = {name: "CRASH" if ":crashes" in name else "PASS" for name in outcome.verdicts()}
    assert outcome.verdicts() == expected and len(expected) == 15, outcome.why
    cases = {case["case"]: case for case in outcome.results["cases"]}
    assert outcome.results["verdict"] == "CRASH"
    assert "sysrq triggered crash" in cases["crashes_by_panic"]["splat"]
    assert "M (a machine check)" in cases["crashes_by_a_taint_without_report"]["splat"]
    assert any("kernel tainted O" in line for line in cases["passes_with_a_module_from_outside"]["diagnostics"])
    crash = cases["crashes_by_warning"]["crash"]
    assert crash["kind"] == "warning" and crash["frames"][0]["function"] == "provoke_warning"
    assert crash["fingerprint"] == cases["crashes_late"]["crash"]["fingerprint"]
    assert crash["fingerprint"] != cases["crashes_by_another_than_announced"]["crash"]["fingerprint"]
    again = "--add-config debuginfo --case crashes/test_crashes:crashes_by_panic"
    assert again in cases["crashes_by_panic"]["crash"]["note"]
    assert again in outcome.text
    assert "\n  provoke_warning+0x" in (outcome.folder / "junit.xml").read_text()
    guests = sorted(folder.name for folder in (outcome.folder / "guests").iterdir())
    assert len(guests) == 8, "one for each crash but the last program's last, and one after the announced BUG"


class Guests:
    """One guest of the default profile after another."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        paths = default_paths()
        profile = profiles.load("default", paths=paths)
        common: dict[str, Any] = {"paths": paths, "store": Store(paths.cache), "stages": Stages()}
        built = pipeline.kernel_for(profile, **common)
        self.plan = pipeline.guest_plan(profile, built, pipeline.machine_for(profile, **common))
        self.started = 0
        self._stack = stack
        self._folder = folder

    def fresh(self, _: object = None) -> Guest:
        self._stack.close()
        self.started += 1
        folder = self._folder / str(self.started)
        folder.mkdir()
        return self._stack.enter_context(guest.start(self.plan, folder=folder, paths=default_paths(), progress=Quiet()))


@pytest.fixture
def guests(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guests]:
    monkeypatch.setenv("HARNESS_PROJECT", str(project))
    with ExitStack() as stack:
        yield Guests(stack, tmp_path)


@pytest.mark.long
def test_a_case_that_crashes_twice_in_a_row_is_set_aside(guests: Guests, project: Path) -> None:
    program = catalogue.program(project / "tests" / "guest" / "crashes" / "test_crashes.sh")
    runner = Runner(guests.fresh(), fresh=guests.fresh, limits=Limits(scale=2.0))
    wanted = ("passes_first", "crashes_by_panic", "passes_last")
    seen = [{result.case: result for result in runner.run(program, wanted)} for _ in range(3)]
    for results in seen:
        assert [results[name].verdict for name in wanted] == [Verdict.PASS, Verdict.CRASH, Verdict.PASS], results
    assert "sysrq triggered crash" in seen[1]["crashes_by_panic"].reason
    assert "set aside: it took the guest down 2 times" in seen[2]["crashes_by_panic"].reason
    assert guests.started == 3, "none for a case that was set aside"


@pytest.mark.long
def test_a_crash_is_decoded_to_file_and_line(harness: Harness, project: Path) -> None:
    case = "crashes/test_crashes:crashes_by_panic"
    outcome = harness("run", *DEBUG, "--case", case, env={"HARNESS_PROJECT": str(project)})
    assert outcome.status == 1, outcome.why
    crash = outcome.results["cases"][0]["crash"]
    assert crash["kind"] == "panic" and not crash["note"], crash
    where = {frame["function"]: frame["location"] for frame in crash["frames"]}
    assert where["sysrq_handle_crash"].startswith("drivers/tty/sysrq.c:"), where
    assert where["__handle_sysrq"].startswith("drivers/tty/sysrq.c:"), where
    assert where["vfs_write"].startswith("fs/read_write.c:"), where
    for text in (outcome.text, (outcome.folder / "junit.xml").read_text()):
        assert f"sysrq_handle_crash ({where['sysrq_handle_crash']})" in text


@pytest.mark.long
def test_a_run_folder_alone_says_where_lkdtm_crashed_in_which_case_and_opens_the_dump(
    harness: Harness,
) -> None:
    outcome = harness("run", *DEBUG, "--add-config", "lkdtm:checks=no", "--suite", "lkdtm")
    assert outcome.status == 1, outcome.why
    expected = {"writes_through_null": "CRASH", "meets_a_bug": "CRASH", "announces_its_bug": "PASS", "is_well": "PASS"}
    assert outcome.verdicts() == {f"lkdtm/test_lkdtm:{name}": verdict for name, verdict in expected.items()}
    for guest_number, case, function, file in (
        ("1", "writes_through_null", "lkdtm_EXCEPTION", "drivers/misc/lkdtm/bugs.c"),
        ("2", "meets_a_bug", "lkdtm_BUG", "drivers/misc/lkdtm/bugs.c"),
    ):
        report = (outcome.folder / "guests" / guest_number / "triage.txt").read_text()
        head = report.split("\n\n")[0]
        assert f"# crash of guest {guest_number}, lkdtm/test_lkdtm:{case}" in head, head
        assert f"  in {function} at {file}:" in head, head
        line = f"print(prog.symbol('{function}').name)"
        opened = harness("inspect", "--guest", guest_number, "-c", line, outcome.folder)
        assert opened.status == 0 and function in opened.text, opened.text
