# SPDX-License-Identifier: GPL-2.0-only
"""Guests that fail a run, played by the stand-in for QEMU: the run folder, the verdict and the exit status."""

from __future__ import annotations

import sys

import pytest

from tests.unit.bad_input.conftest import Bench

PANIC = "Kernel panic - not syncing: VFS: Unable"
REST = " to mount root fs on unknown-block(0,0)\r\n"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (  # a line that comes in two parts
            f"sleep 1.5;raw {PANIC.encode().hex()};sleep 0.3;raw {REST.encode().hex()};shutdown guest-panic;exit 1",
            "the kernel panicked before the guest was ready: VFS: Unable to mount root fs on unknown-block(0,0)\n",
        ),
        ("say Linux version 6.12;shutdown guest-shutdown;exit 0", "ended before it was ready: the guest powered off"),
        ("say Linux version 6.12;die", "ended before it was ready: QEMU ended with signal SIGKILL"),
    ],
    ids=["panic", "poweroff", "killed"],
)
def test_a_boot_that_fails(bench: Bench, script: str, says: str) -> None:
    bench.qemu(script)
    outcome = bench("run")
    assert outcome.status == 3, outcome.text
    assert says in outcome.text, outcome.text
    assert outcome.results["verdict"] == "BOOT" and outcome.results["failure"]["log"].endswith("console.log")
    assert (outcome.runs[0] / "guests/1/console.log").stat().st_size
    assert bench.left_behind() == []


def test_a_qemu_that_refuses_its_options(bench: Bench) -> None:
    bench.qemu("nogreeting;exit 1")
    outcome = bench("run")
    assert outcome.status == 4 and "QEMU did not start: exit status 1" in outcome.text, outcome.text
    assert outcome.results["verdict"] == "INFRA"
    assert bench.left_behind() == []


LATE_READER = """
import sys, time
from harness.guest.console import Console
take = Console._take
Console._take = lambda *words: (time.sleep(0.5), take(*words))
from harness.__main__ import main
sys.argv[0] = "harness"
main()
"""


def test_a_kernel_that_ends_before_its_console_was_read_is_no_qemu_that_did_not_start(bench: Bench) -> None:
    bench.qemu("say Linux version 6.12;exit 0")
    outcome = bench.execute([sys.executable, "-c", LATE_READER, *bench.argv("run")[3:]])
    assert outcome.status == 3, outcome.text
    assert outcome.results["verdict"] == "BOOT"
