# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own report on itself over the serial console: a break, then a key (Documentation/admin-guide/sysrq.rst).

It needs no process of the guest, only a kernel that takes the serial port's interrupt; where that does not come, the
same through SSH and /proc/sysrq-trigger.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.errors import GuestError

if TYPE_CHECKING:
    from harness.guest import Guest

# Blocked tasks, the CPUs' stacks, all tasks, memory; after the console's level is such that all of it is written.
_EVERYTHING = "8"
_KEYS = "wltm"
_BEFORE = "5"  # what the guest's init sets
_CHARDEV = "console"
_HEADER = re.compile(r"sysrq: ")
_ANSWER_SECONDS = 3.0
_REPORT_SECONDS = 20.0
_QUIET_SECONDS = 0.4
_QMP_SECONDS = 5.0
_TASK = re.compile(r"task:(\S+)\s+state:D\b")


def ask(guest: Guest, *, factor: float, through_ssh: bool) -> tuple[bool, list[str]]:
    """Whether the kernel answers on the console, and what it reports; ``factor`` stretches the waits.

    With ``through_ssh`` a kernel that does not answer on the console is asked that way. Raises nothing: a guest that
    goes away meanwhile has no more to say.
    """
    begin = guest.console.mark()

    def by_break(key: str) -> None:
        guest.monitor.execute("chardev-send-break", {"id": _CHARDEV}, deadline=_QMP_SECONDS)
        guest.console.send(key.encode())

    def by_ssh(key: str) -> None:
        guest.run(f"echo {key} >/proc/sysrq-trigger", deadline=_ANSWER_SECONDS * factor)

    answered = _press(guest, _EVERYTHING, by_break, factor)
    press = by_break if answered else by_ssh
    if answered or (through_ssh and _press(guest, _EVERYTHING, by_ssh, factor)):
        for key in _KEYS:
            if not _press(guest, key, press, factor):
                break
        _press(guest, _BEFORE, press, factor)
    return answered, [line.text for line in guest.console.lines(since=begin)]


def blocked_tasks(lines: list[str]) -> tuple[str, ...]:
    """The names of the tasks in uninterruptible sleep, of a report by key ``w``."""
    return tuple(dict.fromkeys(found[1] for line in lines if (found := _TASK.search(line))))


def _press(guest: Guest, key: str, send: Callable[[str], None], factor: float) -> bool:
    """Press a key and wait until its report is over; whether the kernel answered."""
    mark = guest.console.mark()
    try:
        send(key)
    except GuestError:
        return False
    if guest.console.wait_for((_HEADER,), deadline=_ANSWER_SECONDS * factor, since=mark).line is None:
        return False
    until = time.monotonic() + _REPORT_SECONDS * factor
    while guest.console.idle_seconds < _QUIET_SECONDS and time.monotonic() < until and guest.alive:
        time.sleep(_QUIET_SECONDS / 4)
    return True
