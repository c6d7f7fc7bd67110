# SPDX-License-Identifier: GPL-2.0-only
"""The suites in which the host takes part: errors that it injects, devices that it unplugs."""

from __future__ import annotations

import pytest

from tests.vm.outcome import Harness

pytestmark = pytest.mark.vm

UNPLUGGED = ("offline_ram_region", "offline_private_region", "online_ram_region")


def suites(*names: str) -> list[str]:
    return [word for name in names for word in ("--suite", name)]


def test_injected_errors_on_a_kernel_without_trace_events(harness: Harness) -> None:
    """The default kernel: what can be seen without them is judged, the rest skips and says why."""
    wanted = suites("ras/test_poison_data", "ras/test_protocol:correctable_errors_are_counted", "ras/test_events")
    outcome = harness("run", "--topology", "mixed", *wanted)
    assert outcome.status == 0, outcome.why
    verdicts = outcome.verdicts()
    for case in ("poison_data:cleared_line_reads_zero", "protocol:correctable_errors_are_counted"):
        assert verdicts[f"ras/test_{case}"] == "PASS"
    reasons = {case["reason"] for case in outcome.results["cases"] if case["program"] == "test_events"}
    assert len(reasons) == 1 and "no trace events" in reasons.pop()


def test_a_device_goes_and_comes_back(harness: Harness) -> None:
    outcome = harness("run", "--topology", "mixed", *suites(*(f"hotplug/test_unplug:{case}" for case in UNPLUGGED)))
    assert outcome.status == 0, outcome.why
    verdicts = outcome.verdicts()
    assert [verdicts[f"hotplug/test_unplug:{case}"] for case in UNPLUGGED] == ["PASS", "PASS", "SKIP"]
    (limit,) = (case["reason"] for case in outcome.results["cases"] if case["verdict"] == "SKIP")
    assert "until the next reboot" in limit


def test_a_device_is_pulled_and_comes_back(harness: Harness) -> None:
    """It once was plugged in while the kernel was still switching the slot off, and QEMU took it out again."""
    outcome = harness("run", "--topology", "mixed", *suites("hotplug/test_pull:committed_ram_region"))
    assert outcome.status == 0, outcome.why


@pytest.mark.long
@pytest.mark.parametrize("topology", ["mixed", "dcd", "switch-4"])
def test_everything_on_a_kernel_with_trace_events(harness: Harness, topology: str) -> None:
    outcome = harness("run", "--profile", "ras", "--topology", topology)
    assert outcome.status == 0, outcome.why
