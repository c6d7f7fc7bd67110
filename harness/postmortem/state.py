# SPDX-License-Identifier: GPL-2.0-only
"""What a guest that is over its deadline is: busy, stuck, dead, or only cut off. Pure: evidence in, words out."""

from __future__ import annotations

import enum
from dataclasses import dataclass

_BUSY_SHARE = 0.5  # of the time that a CPU wanted to run, from which on it works; an idle guest has some percent
_RECENT_SECONDS = 2.0  # output as young as this is progress; shorter than any deadline of a case
_ENDED = {
    "shutdown": "its machine has stopped",
    "guest-panicked": "its kernel panicked",
    "internal-error": "QEMU met an internal error",
    "io-error": "QEMU met an I/O error",
    "paused": "QEMU paused it",
}


class State(enum.StrEnum):
    """Why nothing came of a case before its deadline."""

    BUSY = "busy"  # it makes progress, or at least uses its CPUs
    STUCK = "stuck"  # it waits for what does not come
    DEAD = "dead"  # it will never do anything again
    CHANNEL = "channel"  # it works; the way in does not


class Process(enum.StrEnum):
    """QEMU, seen from this machine."""

    RUNS = "runs"
    STOPPED = "stopped"
    GONE = "gone"


class Ssh(enum.StrEnum):
    """The way in."""

    ANSWERS = "answers"
    SILENT = "does not answer"
    CLOSED = "is closed, and no new one opens"
    REOPENS = "was closed; a new one opens"
    UNKNOWN = "was not tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was seen of a guest.

    ``run_state`` is QMP's (``query-status``), empty where QEMU does not answer. ``wanted`` is the share of ``window``
    seconds that each CPU ran or waited for one of this machine's CPUs. ``silent`` is the seconds since the last line of
    its console or of the program. ``sysrq``: whether the kernel answered on the console, None where it was not asked.
    ``blocked`` are tasks in uninterruptible sleep, ``places`` where each CPU is, ``deaf``: every CPU halts with
    interrupts off.
    """

    process: Process
    ended: str = ""
    run_state: str = ""
    wanted: tuple[float, ...] = ()
    window: float = 0.0
    silent: float = 0.0
    ssh: Ssh = Ssh.UNKNOWN
    sysrq: bool | None = None
    blocked: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    deaf: bool = False

    @property
    def busy_cpus(self) -> tuple[int, ...]:
        """The CPUs that work."""
        return tuple(cpu for cpu, share in enumerate(self.wanted) if share >= _BUSY_SHARE)


def classify(seen: Evidence) -> State:
    """The state that the evidence speaks for."""
    if seen.process is Process.GONE or seen.run_state in _ENDED or seen.deaf:
        return State.DEAD
    if seen.process is Process.STOPPED or not seen.run_state:
        return State.STUCK
    if seen.ssh is Ssh.REOPENS:
        return State.CHANNEL
    working = bool(seen.busy_cpus) or seen.silent < _RECENT_SECONDS
    if seen.ssh in (Ssh.ANSWERS, Ssh.UNKNOWN):
        return State.BUSY if working else State.STUCK
    if not seen.sysrq:
        return State.STUCK  # neither interrupts nor processes get through, whatever its CPUs spin in
    if seen.ssh is Ssh.SILENT and seen.busy_cpus:
        return State.BUSY  # too busy to answer
    return State.STUCK if seen.blocked else State.CHANNEL


def describe(seen: Evidence) -> str:
    """The state and what speaks for it, in a line."""
    return f"{_headline(classify(seen), seen)} ({', '.join(_signs(seen))})"


def _headline(state: State, seen: Evidence) -> str:
    if state is State.DEAD:
        why = seen.ended or _ENDED.get(seen.run_state, "")
        if not why:
            why = "QEMU is gone" if seen.process is Process.GONE else "every CPU halts with interrupts off"
        return f"the guest is dead: {why}"
    if state is State.CHANNEL:
        return "the guest works, only the way in is gone"
    if state is State.BUSY:
        return "the guest is busy"
    if seen.process is Process.STOPPED:
        return "the guest is stuck: QEMU is stopped by a signal"
    if not seen.run_state:
        return "the guest is stuck: QEMU does not answer on QMP"
    if seen.ssh is not Ssh.ANSWERS and seen.ssh is not Ssh.UNKNOWN and not seen.sysrq:
        return "the guest is stuck: its kernel answers neither SSH nor sysrq"
    return "the guest is stuck: it waits and does nothing"


def _signs(seen: Evidence) -> list[str]:
    signs = []
    if seen.wanted:
        shares = " and ".join(f"{share:.0%}" for share in seen.wanted)
        signs.append(f"its CPUs ran {shares} of {seen.window:.1f} s")
    signs.append(f"last output {seen.silent:.0f} s ago")
    if seen.ssh is not Ssh.UNKNOWN:
        signs.append(f"SSH {seen.ssh}")
    if seen.sysrq is not None:
        signs.append("sysrq answers" if seen.sysrq else "sysrq does not answer")
    if seen.blocked:
        signs.append(f"blocked: {' '.join(seen.blocked[:6])}{' …' if len(seen.blocked) > 6 else ''}")
    signs += [seen.places[cpu] for cpu in seen.busy_cpus if cpu < len(seen.places)]
    return signs
