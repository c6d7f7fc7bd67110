# SPDX-License-Identifier: GPL-2.0-only
"""What evidence comes to, and the words for it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.postmortem.state import Evidence, Process, Ssh, State, classify, describe


def seen(**changes: Any) -> Evidence:
    values: dict[str, Any] = {
        "process": Process.RUNS,
        "run_state": "running",
        "wanted": (0.02, 0.01),
        "window": 1.0,
        "silent": 60.0,
        "ssh": Ssh.ANSWERS,
        "sysrq": True,
        "places": ("CPU 0 in default_idle+0xb, halted", "CPU 1 in user space"),
    }
    return Evidence(**values | changes)


SPINNING: dict[str, Any] = {"wanted": (0.01, 0.99)}
NO_WAY_IN: dict[str, Any] = {"ssh": Ssh.SILENT}


@pytest.mark.parametrize(
    ("changes", "state", "says"),
    [
        (
            {},
            State.STUCK,
            "it waits and does nothing (its CPUs ran 2% and 1% of 1.0 s, last output",
        ),
        (
            SPINNING,
            State.BUSY,
            "the guest is busy (its CPUs ran 1% and 99% of 1.0 s, last output 60 s ago",
        ),
        ({"silent": 1.0}, State.BUSY, "the guest is busy"),
        ({"silent": 3.9}, State.STUCK, "it waits and does nothing"),
        (
            {"process": Process.GONE, "ended": "QEMU ended with signal SIGKILL"},
            State.DEAD,
            "dead: QEMU ended with sig",
        ),
        ({"run_state": "shutdown"}, State.DEAD, "the guest is dead: its machine has stopped"),
        ({"run_state": "shutdown", "ended": "the kernel panicked: x"}, State.DEAD, "dead: the kernel panicked: x"),
        ({"run_state": "internal-error"}, State.DEAD, "QEMU met an internal error"),
        ({"deaf": True, **NO_WAY_IN}, State.DEAD, "every CPU halts with interrupts off"),
        ({"process": Process.STOPPED, "run_state": ""}, State.STUCK, "QEMU is stopped by a signal"),
        ({"run_state": ""}, State.STUCK, "QEMU does not answer on QMP"),
        ({"run_state": "", **SPINNING, "silent": 1.0}, State.STUCK, "QEMU does not answer on QMP"),
        ({**NO_WAY_IN}, State.CHANNEL, "the guest works, only the way in is gone"),
        ({"ssh": Ssh.CLOSED}, State.CHANNEL, "SSH is closed, and no new one opens, sysrq answers"),
        ({"ssh": Ssh.REOPENS, "sysrq": False}, State.CHANNEL, "SSH was closed; a new one opens, sysrq does not answer"),
        ({**NO_WAY_IN, **SPINNING}, State.BUSY, "the guest is busy"),
        ({**NO_WAY_IN, "sysrq": False}, State.STUCK, "its kernel answers neither SSH nor sysrq"),
        ({**NO_WAY_IN, **SPINNING, "sysrq": False}, State.STUCK, "answers neither SSH nor sysrq"),
        ({**NO_WAY_IN, "blocked": ("sh", "kswapd0")}, State.STUCK, "blocked: sh kswapd0"),
        ({"ssh": Ssh.UNKNOWN, "sysrq": None}, State.STUCK, "it waits and does nothing"),
    ],
)
def test_evidence_speaks_for_one_state(changes: dict[str, Any], state: State, says: str) -> None:
    evidence = seen(**changes)
    assert classify(evidence) is state
    assert says in describe(evidence)


def test_a_cpu_that_works_is_named_with_its_place() -> None:
    assert describe(seen(**SPINNING)).endswith("sysrq answers, CPU 1 in user space)")
