# SPDX-License-Identifier: GPL-2.0-only
"""What is done with a guest that hangs or has crashed, before anything is killed: evidence, memory dump, triage.

::

    guests/1/  hang.txt        busy, stuck, dead or only cut off, and what speaks for it
               sysrq.txt       the kernel's own report: blocked tasks, CPU stacks, all tasks, memory
               registers.txt   where each CPU is
               vmcore          its memory, where the kernel has the debug information to read it
               triage.txt      what drgn makes of that

Every step has a deadline, and one that fails costs only what it would have found.
"""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import BootError
from harness.paths import Paths
from harness.postmortem import dump, look, sysrq, triage
from harness.postmortem.registers import Symbols, describe, parse
from harness.postmortem.state import Evidence, Process, Ssh, State, classify
from harness.postmortem.state import describe as describe_state
from harness.suite.machine import Examined

if TYPE_CHECKING:
    from harness.guest import Guest

_log = logging.getLogger(__name__)

_WINDOW_SECONDS = 1.0
_DUMP_SECONDS = 120.0
_TRIAGE_SECONDS = 120.0
_RESERVE_BYTES = 1 << 30  # that must stay free on the disk


def wanted(policy: str, event: str, *, readable: bool) -> bool:
    """Whether memory is dumped on an ``event`` (``hang`` or ``crash``).

    ``auto`` does so where it can be read afterwards, that is where the kernel has debug information; ``hang`` and
    ``crash`` on that event alone; ``always`` on both, whatever the kernel.
    """
    return {"auto": readable, "never": False, "always": True}.get(policy, policy == event)


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpPolicy:
    """When memory is dumped (:func:`wanted`), the most bytes that a dump may have, and those to leave free."""

    when: str = "auto"
    limit: int = 2 << 30
    reserve: int = _RESERVE_BYTES


class Examiner:
    """Looks into the guests of a run; ``again`` gives the command that runs a case on a kernel with debug
    information, or "".
    """

    def __init__(self, policy: DumpPolicy, *, paths: Paths, again: Callable[[str], str]) -> None:
        self._policy = policy
        self._paths = paths
        self._again = again
        self._dumped: list[Any] = []  # guests that were, or whose turn is over
        self._last_line = time.monotonic()

    def heard(self) -> None:
        """A program in the guest has written a line."""
        self._last_line = time.monotonic()

    def hang(self, guest: Any, case: str) -> Examined:
        """A case is over its deadline, or its guest is cut off from us."""
        seen, lines = self._look(guest, ssh=True)
        summary = describe_state(seen)
        if seen.process is Process.RUNS and seen.run_state:
            lines += self._dump(guest, case, "hang")
        self._write(guest, "hang.txt", [summary, *lines])
        return Examined(summary=summary, lines=tuple(lines), stuck=classify(seen) is State.STUCK)

    def crash(self, guest: Any, case: str) -> Examined | None:
        """A case crashed its guest's kernel; the guest may run on, or its machine has stopped."""
        lines = self._dump(guest, case, "crash")
        return Examined(lines=tuple(lines)) if lines else None

    def boot(self, guest: Any, error: BootError) -> None:
        """A guest did not get ready; what is found is added to the error."""
        lines: list[str] = []
        if guest.alive:
            seen, lines = self._look(guest, ssh=False)
            lines.insert(0, describe_state(seen))
            lines += self._dump(guest, "", "hang")
            self._write(guest, "hang.txt", lines)
        elif guest.halted:
            lines = self._dump(guest, "", "crash")
        error.details = (*error.details, *lines)

    def _look(self, guest: Guest, *, ssh: bool) -> tuple[Evidence, list[str]]:
        """The evidence, and what of it was kept."""
        factor = guest.speed_factor
        silent = min(guest.console.idle_seconds, time.monotonic() - self._last_line)
        process = look.process_state(guest.pid)
        shares: tuple[float, ...] = ()
        if process is Process.RUNS:
            shares = look.wanted_shares(guest.pid, window=_WINDOW_SECONDS)
            process = look.process_state(guest.pid)  # once more: a signal takes a moment to stop it
        if process is not Process.RUNS:
            ended = guest.describe_end() if process is Process.GONE else ""
            return Evidence(process=process, ended=ended, silent=silent), []
        state = look.run_state(guest)
        if not state:
            return Evidence(process=process, silent=silent, wanted=shares, window=_WINDOW_SECONDS), []
        lines: list[str] = []
        cpus = self._registers(guest, lines)
        way_in = look.ssh_state(guest, factor=factor) if ssh else Ssh.UNKNOWN
        answers, report = sysrq.ask(guest, factor=factor, through_ssh=way_in is Ssh.ANSWERS)
        if report:
            self._write(guest, "sysrq.txt", report)
            lines.append(f"the kernel's own report (sysrq w, l, t, m): guests/{guest.folder.name}/sysrq.txt")
        seen = Evidence(
            process=process,
            ended="" if guest.alive else guest.describe_end(),
            run_state=state if guest.alive else "shutdown",
            wanted=shares,
            window=_WINDOW_SECONDS,
            silent=silent,
            ssh=way_in,
            sysrq=answers,
            blocked=sysrq.blocked_tasks(report),
            places=tuple(place for place, _ in cpus),
            deaf=bool(cpus) and all(deaf for _, deaf in cpus),
        )
        return seen, lines

    def _registers(self, guest: Guest, lines: list[str]) -> list[tuple[str, bool]]:
        """Where each CPU is, and whether it halts for good; ``lines`` gets it in words."""
        text = look.registers(guest)
        if not text:
            return []
        kernel = guest.plan.kernel
        symbols = Symbols.of(kernel.system_map if kernel is not None else None)
        cpus = [(describe(one, symbols), one.deaf) for one in parse(text)]
        self._write(guest, "registers.txt", [*(place for place, _ in cpus), "", text])
        lines += [place for place, _ in cpus]
        return cpus

    def _dump(self, guest: Guest, case: str, event: str) -> list[str]:
        """Dump the guest's memory once and report on it; what came of that, in lines."""
        if guest in self._dumped or not guest.qemu_runs or self._policy.when == "never":
            return []
        self._dumped.append(guest)
        kernel = guest.plan.kernel
        vmlinux = kernel.debug_vmlinux if kernel is not None else None
        if vmlinux is None and self._policy.when != "always":
            why = "no memory dump: this kernel has no debug information to read it with"
            command = self._again(case)
            return [f"{why}; again on one that has:", command] if command else [why]
        if not wanted(self._policy.when, event, readable=vmlinux is not None):
            return []
        factor = guest.speed_factor
        place = f"guests/{guest.folder.name}"
        run = str(guest.folder.parent.parent)
        try:
            done = dump.take(
                guest,
                guest.folder,
                limit=self._policy.limit,
                reserve=self._policy.reserve,
                deadline=_DUMP_SECONDS * factor,
            )
        except dump.NoDump as reason:
            return [f"no memory dump: {reason}"]
        size = f"{done.size / (1 << 20):.0f} MiB, {done.seconds:.1f} s, {done.format}"
        lines = [f"memory dump: {place}/{dump.FILE} ({size})"]
        if vmlinux is None:
            return [*lines, "no triage: this kernel has no debug information"]
        try:
            found = triage.write(
                done.path,
                vmlinux,
                guest.folder / triage.FILE,
                about=[
                    f"{event} of guest {guest.folder.name}, {case or 'while it booted'}",
                    f"open: {shlex.join(['harness', 'inspect', '--guest', guest.folder.name, run])}",
                ],
                paths=self._paths,
                deadline=_TRIAGE_SECONDS * factor,
            )
        except triage.NoTriage as reason:
            return [*lines, f"no triage: {reason}"]
        return [*lines, f"triage: {place}/{triage.FILE}", *(f"triage: {fact}" for fact in found)]

    def _write(self, guest: Guest, name: str, lines: list[str]) -> None:
        try:
            (guest.folder / name).write_text("\n".join(lines) + "\n")
        except OSError as reason:
            _log.warning("%s is not kept: %s", name, reason.strerror)
