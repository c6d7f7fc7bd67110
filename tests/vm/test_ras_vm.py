# SPDX-License-Identifier: GPL-2.0-only
"""The suites in which the host takes part: errors that it injects, devices that it unplugs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vm.outcome import Harness

pytestmark = pytest.mark.vm

PROJECT = Path(__file__).parents[2]


def suites(*names: str) -> list[str]:
    return [word for name in names for word in ("--suite", name)]


def test_injected_errors_on_a_kernel_without_trace_events(harness: Harness) -> None:
    """The default kernel: what can be seen without them is judged, the rest skips and says why."""
    outcome = harness("run", "--topology", "mixed", *suites("ras"))
    assert outcome.status == 0, outcome.text
    verdicts = outcome.verdicts()
    for case in ("poison_data:cleared_line_reads_zero", "protocol:correctable_errors_are_counted"):
        assert verdicts[f"ras/test_{case}"] == "PASS"
    reasons = {case["reason"] for case in outcome.results["cases"] if case["program"] == "test_events"}
    assert len(reasons) == 1 and "no trace events" in reasons.pop()


def test_a_device_goes_and_comes_back(harness: Harness) -> None:
    cases = ("idle_device_goes_and_comes_back", "offline_private_region", "online_ram_region")
    outcome = harness("run", "--topology", "mixed", *suites(*(f"hotplug/test_unplug:{case}" for case in cases)))
    assert outcome.status == 0, outcome.text
    verdicts = outcome.verdicts()
    assert [verdicts[f"hotplug/test_unplug:{case}"] for case in cases] == ["PASS", "PASS", "SKIP"]
    (limit,) = (case["reason"] for case in outcome.results["cases"] if case["verdict"] == "SKIP")
    assert "until the next reboot" in limit


def test_cases_that_ask_the_host_run_under_pytest(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--topology", "mixed")
    wanted = ("tests/guest/hotplug/test_pull.sh", "tests/lifecycle/ram_region.steps", "-k", "idle_device or ram_region")
    done = subprocess.run(
        [*command, *wanted, "--deselect", "tests/guest/hotplug/test_pull.sh::committed_ram_region",
         "--deselect", "tests/guest/hotplug/test_pull.sh::offline_ram_region"],
        cwd=PROJECT, env={**os.environ, "XDG_DATA_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    for item in ("test_pull.sh::idle_device", "ram_region.steps::ram_region"):
        assert f"{item} PASSED" in done.stdout


@pytest.mark.long
@pytest.mark.parametrize("topology", ["mixed", "dcd", "switch-4"])
def test_everything_on_a_kernel_with_trace_events(harness: Harness, topology: str) -> None:
    outcome = harness("run", "--profile", "ras", "--topology", topology)
    assert outcome.status == 0, outcome.text
