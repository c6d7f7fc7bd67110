# SPDX-License-Identifier: GPL-2.0-only
"""What is seen of a process: real ones, with threads named as QEMU names its CPUs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from harness.postmortem import look
from harness.postmortem.state import Process

CPUS = """
import sys, threading, time
def spin():
    while True: pass
def rest():
    time.sleep(600)
def cpu(number, work):
    with open(f"/proc/self/task/{threading.get_native_id()}/comm", "w") as comm:
        comm.write(f"CPU {number}/TCG")
    work()
for number, work in ((0, rest), (1, spin)):
    threading.Thread(target=cpu, args=(number, work), daemon=True).start()
time.sleep(0.1)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def machine() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", CPUS], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None and child.stdout.readline() == b"ready\n"
            yield child
        finally:
            child.kill()


def wait_until(child: subprocess.Popen[bytes], wanted: Process) -> None:
    until = time.monotonic() + 30
    while look.process_state(child.pid) is not wanted and time.monotonic() < until:
        time.sleep(0.01)
    assert look.process_state(child.pid) is wanted


def test_a_process_runs_is_stopped_and_is_gone(machine: subprocess.Popen[bytes]) -> None:
    wait_until(machine, Process.RUNS)
    os.kill(machine.pid, signal.SIGSTOP)
    wait_until(machine, Process.STOPPED)
    machine.kill()
    wait_until(machine, Process.GONE)  # a zombie
    machine.wait()
    assert look.process_state(machine.pid) is Process.GONE


def test_a_cpu_that_works_is_told_from_one_that_rests(machine: subprocess.Popen[bytes]) -> None:
    resting, working = look.wanted_shares(machine.pid, window=0.5)
    assert resting < 0.2
    assert working > 0.8, "on a crowded machine too: the time that it waited for a CPU counts"


def test_a_process_without_cpus_has_no_shares() -> None:
    assert look.wanted_shares(os.getpid(), window=0.0) == ()
