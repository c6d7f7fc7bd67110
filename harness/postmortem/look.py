# SPDX-License-Identifier: GPL-2.0-only
"""Looks at a running guest that is over its deadline and changes nothing in it; every step has its own deadline."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import GuestError
from harness.guest.ssh import connect
from harness.postmortem.state import Process, Ssh

if TYPE_CHECKING:
    from harness.guest import Guest

_QMP_SECONDS = 5.0
_SSH_SECONDS = 5.0
_CPU_THREAD = re.compile(r"CPU (\d+)/")
_PROC = Path("/proc")


def process_state(pid: int) -> Process:
    """QEMU's process: proc_pid_stat(5), field 3."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return Process.GONE
    letter = text.rpartition(")")[2].split()[0]
    return {"T": Process.STOPPED, "t": Process.STOPPED, "Z": Process.GONE, "X": Process.GONE}.get(letter, Process.RUNS)


def wanted_shares(pid: int, *, window: float) -> tuple[float, ...]:
    """The share of ``window`` seconds that each CPU of a guest ran, or waited for a CPU of this machine to run on.

    From QEMU's threads (``CPU 0/TCG``, with ``-name debug-threads=on``) and the kernel's schedstat
    (Documentation/scheduler/sched-stats.rst: time on the CPU and time waiting to, in nanoseconds).
    """
    threads = _cpu_threads(pid)
    before = {cpu: _nanoseconds(path) for cpu, path in threads.items()}
    started = time.monotonic()
    time.sleep(window)
    passed = (time.monotonic() - started) * 1e9
    after = {cpu: _nanoseconds(path) for cpu, path in threads.items()}
    return tuple(min(1.0, max(0.0, (after[cpu] - before[cpu]) / passed)) for cpu in sorted(threads))


def run_state(guest: Guest) -> str:
    """QMP's run state (``running``, ``shutdown`` …); "" where QEMU does not answer."""
    with contextlib.suppress(GuestError):
        return str(guest.qmp("query-status", deadline=_QMP_SECONDS)["status"])
    return ""


def ssh_state(guest: Guest, *, factor: float) -> Ssh:
    """Whether a command gets through, and where the connection is gone whether another one opens."""
    seconds = _SSH_SECONDS * factor
    if guest.ssh_port == 0:
        return Ssh.UNKNOWN
    try:
        return Ssh.ANSWERS if guest.run("true", deadline=seconds).exit_status == 0 else Ssh.SILENT
    except GuestError:
        pass
    if guest.connected:
        return Ssh.SILENT
    try:
        connect(port=guest.ssh_port, keys=guest.keys, deadline=seconds, alive=lambda: guest.alive).close()
    except GuestError:
        return Ssh.CLOSED
    except Exception:  # LoginRefused and its like: something answers there, but it is no way in
        return Ssh.CLOSED
    return Ssh.REOPENS


def registers(guest: Guest) -> str:
    """``info registers -a`` with the machine standing still, so that each CPU's are of one moment; "" without QMP."""
    with contextlib.suppress(GuestError):
        runs = run_state(guest) == "running"
        if runs:
            guest.qmp("stop", deadline=_QMP_SECONDS)
        try:
            return guest.monitor.human("info registers -a", deadline=_QMP_SECONDS)
        finally:
            if runs:
                guest.qmp("cont", deadline=_QMP_SECONDS)
    return ""


def _cpu_threads(pid: int) -> dict[int, Path]:
    threads = {}
    for path in (_PROC / str(pid) / "task").glob("*"):
        with contextlib.suppress(OSError):
            if found := _CPU_THREAD.match((path / "comm").read_text()):
                threads[int(found[1])] = path
    return threads


def _nanoseconds(thread: Path) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        ran, waited = (thread / "schedstat").read_text().split()[:2]
        return int(ran) + int(waited)
    return 0
