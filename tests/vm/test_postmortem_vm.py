# SPDX-License-Identifier: GPL-2.0-only
"""Guests that hang and crash, for real: what they are told apart by, what is kept of them, and how it is opened.

Those on the default kernel take seconds. The ones marked long need a kernel with debug information (some minutes of
building, the first time).
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.guest import Guest, start
from harness.postmortem import DumpPolicy, Examiner
from harness.postmortem.dump import NoDump, take
from tests.vm.conftest import command
from tests.vm.outcome import DEBUG, Harness
from tests.vm.test_bad_guest import add_suite, faulty, left_behind
from tests.vm.test_guest_vm import Planner, Prepared, planned, prepared

pytestmark = pytest.mark.vm
__all__ = ["faulty", "planned", "prepared"]

SPIN = "nohup sh -c 'while :; do :; done' >/dev/null 2>&1 &"


@pytest.fixture
def guest(planned: Planner, prepared: Prepared, tmp_path: Path) -> Iterator[Guest]:
    folder = tmp_path / "guests" / "1"
    with start(planned(), folder=folder, paths=prepared.paths, on_failure=lambda *_: None) as running:
        yield running


@pytest.fixture
def examiner(prepared: Prepared) -> Examiner:
    return Examiner(DumpPolicy(), paths=prepared.paths, again=lambda case: f"harness run --case {case}")


def test_one_guest_in_each_state(guest: Guest, examiner: Examiner) -> None:
    time.sleep(6)  # until its boot is no longer its last output
    until = time.monotonic() + 120
    while guest.console.idle_seconds < 6 and time.monotonic() < until:
        time.sleep(0.2)
    resting = examiner.hang(guest, "a/b:c")
    assert resting.summary.startswith("the guest is stuck: it waits and does nothing ("), resting
    assert "SSH answers, sysrq answers" in resting.summary
    assert any(line.startswith("no memory dump: this kernel has no debug information") for line in resting.lines)
    assert "harness run --case a/b:c" in resting.lines
    report = (guest.folder / "sysrq.txt").read_text()
    for title in ("Show Blocked State", "Show backtrace of all active CPUs", "Show State", "Show Memory"):
        assert f"sysrq: {title}" in report
    assert re.search(r"task:harness-init\s+state:S", report), "the report is cut off by the console's level"
    cpus = (guest.folder / "registers.txt").read_text().splitlines()
    assert re.match(r"CPU 0 in \w+\+0x[0-9a-f]+", cpus[0]) and cpus[1].startswith("CPU 1 in ")

    guest.run(SPIN, deadline=30)
    busy = examiner.hang(guest, "a/b:c")
    assert busy.summary.startswith("the guest is busy ("), busy
    guest.run("kill $(pidof -o $$ sh) 2>/dev/null; true", deadline=30)

    guest.run("(sleep 1; kill -KILL $(pidof dropbear)) >/dev/null 2>&1 &", deadline=30)
    until = time.monotonic() + 60
    while guest.connected and time.monotonic() < until:
        time.sleep(0.1)
    cut_off = examiner.hang(guest, "a/b:c")
    assert cut_off.summary.startswith("the guest works, only the way in is gone ("), cut_off
    assert "SSH was closed; a new one opens" in cut_off.summary

    os.kill(guest.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        stopped = examiner.hang(guest, "a/b:c")
        assert stopped.summary.startswith("the guest is stuck: QEMU is stopped by a signal"), stopped
        assert time.monotonic() - began < 5, "a QEMU that cannot answer is not asked"
    finally:
        os.kill(guest.pid, signal.SIGCONT)


def test_a_kernel_that_takes_no_interrupt_is_stuck(guest: Guest, examiner: Examiner) -> None:
    guest.qmp("stop")
    stopped = examiner.hang(guest, "a/b:c")
    assert stopped.summary.startswith("the guest is dead: QEMU paused it ("), stopped
    assert "sysrq does not answer" in stopped.summary


def test_a_dump_over_its_limits_leaves_nothing_and_the_guest_goes_on(guest: Guest, tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    folder.mkdir()
    with pytest.raises(NoDump, match="it would be larger than 2 MiB"):
        take(guest, folder, limit=2 << 20, reserve=0, deadline=120)
    with pytest.raises(NoDump, match="must stay free"):
        take(guest, folder, limit=1 << 30, reserve=1 << 60, deadline=120)
    assert list(folder.iterdir()) == []
    assert guest.run("echo goes on", deadline=60).stdout == "goes on\n"
    done = take(guest, folder, limit=1 << 30, reserve=0, deadline=120)
    assert done.path.read_bytes()[:8] == b"KDUMP   " and not list(guest.private.glob("vmcore*"))


def test_a_run_tells_its_hangs_apart(harness: Harness, faulty: Path) -> None:
    add_suite(faulty, "sleeps", "sleep 300")
    add_suite(faulty, "spins", "while :; do :; done")
    add_suite(faulty, "cutoff", "kill -KILL $(pidof dropbear); sleep 300")  # it is not over when the way is gone
    for suite in ("sleeps", "spins", "cutoff"):
        (faulty / "tests/guest" / suite / "settings").write_text("timeout=4\n")
    words = ("run", "--suite", "sleeps", "--suite", "spins", "--suite", "cutoff")
    outcome = harness(*words, env={"HARNESS_PROJECT": str(faulty)})
    assert outcome.status == 1, outcome.why
    reasons = {case["case"]: f"{case['verdict']} {case['reason']}" for case in outcome.results["cases"]}
    assert re.match(r"TIMEOUT the program did not end within .* s; the guest is stuck: it waits", reasons["sleeps"])
    assert re.match(r"TIMEOUT the program did not end within .* s; the guest is busy", reasons["spins"])
    assert re.match(r"LOST .*; the guest works, only the way in is gone", reasons["cutoff"]), reasons["cutoff"]
    assert [reasons[name] for name in ("first", "after")] == ["PASS ", "PASS "]
    hang = (outcome.folder / "guests/1/hang.txt").read_text()
    assert "the guest is stuck" in hang and "guests/1/sysrq.txt" in hang
    (line,) = [one for one in outcome.text.splitlines() if one.startswith("with a dump")]
    assert line.endswith("--add-config debuginfo --case sleeps/test_faulty:sleeps")
    assert left_behind(outcome) == []


@pytest.mark.long
def test_a_crash_is_dumped_reported_and_opened(harness: Harness, faulty: Path) -> None:
    add_suite(faulty, "panic", "echo c >/proc/sysrq-trigger; sleep 100")
    outcome = harness("run", "--suite", "panic", *DEBUG, env={"HARNESS_PROJECT": str(faulty)})
    assert outcome.status == 1, outcome.why
    (case,) = [case for case in outcome.results["cases"] if case["case"] == "panic"]
    assert case["verdict"] == "CRASH"
    folder = outcome.folder / "guests/1"
    assert (folder / "vmcore").stat().st_mode & 0o777 == 0o600
    triage = (folder / "triage.txt").read_text()
    assert re.search(r"# splat: .*sysrq triggered crash", triage)
    assert "sysrq_handle_crash at drivers/tty/sysrq.c:" in triage
    for section in ("running tasks", "blocked tasks", "node states", "private nodes", "other tasks", "kernel log"):
        assert f"== {section}" in triage
    assert "(not to be read in this dump" not in triage, triage
    assert any(line.startswith("memory dump: guests/1/vmcore (") for line in case["diagnostics"])
    opened = harness("inspect", "-c", "print(prog.crashed_thread().stack_trace())", "last")
    assert opened.status == 0 and "sysrq_handle_crash" in opened.text, opened.text
    shown = harness("logs", "last", "--around", "panic/test_faulty:panic")
    assert "sysrq triggered crash" in shown.text
    assert left_behind(outcome) == []


PRIVATE_NODE = """#!/bin/sh
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/private.sh"
setup_program() { need_cxl; }
case_crash() {
	need_private
	committed private
	private_bind
	cxl_online "$region"
	echo c >/proc/sysrq-trigger
	sleep 100
}
ktap_main "$@"
"""


@pytest.mark.long
def test_the_report_has_a_private_node_its_range_its_pages_and_its_region(harness: Harness, faulty: Path) -> None:
    add_suite(faulty, "private_node", "")
    (faulty / "tests/guest/private_node/test_faulty.sh").write_text(PRIVATE_NODE)
    outcome = harness("run", "--suite", "private_node", *DEBUG, env={"HARNESS_PROJECT": str(faulty)})
    assert outcome.verdicts() == {"private_node/test_faulty:crash": "CRASH"}, outcome.why
    triage = (outcome.folder / "guests/1/triage.txt").read_text()
    for line in (
        r"N_PRIVATE +1",
        r" +1 Movable +65536 +65536 +65536 .*",
        r"range: node 1, pfn 0x\w+ to 0x\w+, PRIVATE_MEM_ZSWAP, 65536 pages online, asks zswap_private_page_allocated",
        r"node 1: 65536 free or part of a larger page",
        r"owners: this kernel notes none \(fragment debug-page-owner\)",
        r"decoder\d\.0: 0x\w+ to 0x\w+ \(256 MiB\), flags 0x20, in region0",
        r"decoder\d\.1: no range, .*",
        r"region0: CXL_CONFIG_COMMIT, .* targets decoder\d\.0, bound to cxl_region",
    ):
        assert re.search(f"^{line}$", triage, re.MULTILINE), (line, triage)


@pytest.mark.long
def test_a_dump_over_the_limit_is_refused_in_the_run(harness: Harness, faulty: Path) -> None:
    add_suite(faulty, "panic", "echo c >/proc/sysrq-trigger; sleep 100")
    words = ("run", "--case", "panic/test_faulty:panic", *DEBUG, "--dump-limit", "1")
    outcome = harness(*words, env={"HARNESS_PROJECT": str(faulty)})
    assert outcome.status == 1, outcome.why
    assert outcome.verdicts() == {"panic/test_faulty:panic": "CRASH"}
    (case,) = outcome.results["cases"]
    assert "no memory dump: it would be larger than 1 MiB" in case["diagnostics"]
    assert not list(outcome.folder.rglob("*vmcore*"))
    refused = harness("inspect", "last")
    assert refused.status == 2 and "no memory dump: it would be larger than 1 MiB" in refused.text


@pytest.mark.long
def test_gdb_stops_at_start_kernel_with_the_kernels_own_commands(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    words = command(tmp_path / "data", "boot", "--gdb", *DEBUG, "--topology", "none")
    plain = {**os.environ, "TERM": "dumb"}  # else gdb writes names in colours
    with subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=plain
    ) as child:
        os.close(theirs)
        try:
            said = _until(ours, "(gdb) ")
            for line, answer in (
                ("set pagination off", "(gdb) "),
                ("hbreak start_kernel", "Hardware assisted breakpoint 1 at"),
                ("continue", "start_kernel ()"),
                ("lx-version", "Linux version 6."),
                ("quit", ""),
            ):
                os.write(ours, f"{line}\n".encode())
                said += _until(ours, answer)
            assert child.wait(60) == 0, said
        finally:
            child.kill()
            os.close(ours)


def _until(terminal: int, text: str) -> str:
    """What comes up to a text."""
    said = ""
    until = time.monotonic() + 1200
    while text and text not in said:
        assert time.monotonic() < until, said
        if select.select([terminal], [], [], 1.0)[0]:
            said += os.read(terminal, 4096).decode(errors="replace")
    return said
