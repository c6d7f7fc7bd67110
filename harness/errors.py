# SPDX-License-Identifier: GPL-2.0-only
"""The errors that reach a user, each with what went wrong, where, and what to do next.

::

    HarnessError
    ├── UserError            exit 2   a name, option, file or profile that the user gave is wrong
    ├── KernelError          exit 3   the kernel under test did not get as far as its tests
    │   ├── ApplyError                a patch does not apply
    │   ├── BuildError                the kernel (or a helper of the guest) does not compile
    │   └── BootError                 the kernel does not reach its tests
    ├── EnvironmentFailure   exit 4   this machine: a tool, the disk, the network, a damaged runtime
    │   └── DeadlineExceeded          a command of ours took longer than it was given
    └── GuestError           exit 1   the guest, or the way to it, went away while a test ran (LOST)
        └── GuestSilent               it did not do in time what it was asked to (TIMEOUT where it is there, and stuck)

Only the command line turns these into an exit status; nothing below it calls ``sys.exit``.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar


class HarnessError(Exception):
    """Base of all errors that a user can be shown.

    ``message`` says what is wrong and where, in the user's terms. ``hint`` is what to do next, ``command`` the
    command that failed (argv), ``log`` the file that holds its whole output, ``details`` lines worth showing
    (the tool's own reason).
    """

    exit_code: ClassVar[int] = 4
    verdict: ClassVar[str] = "INFRA"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        command: Sequence[str] | None = None,
        log: Path | None = None,
        details: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.command = tuple(command) if command is not None else None
        self.log = log
        self.details = tuple(details)


class UserError(HarnessError):
    """Something that the user gave is wrong: a name, an option, a file, a profile."""

    exit_code = 2


class KernelError(HarnessError):
    """The kernel under test did not get as far as its tests."""

    exit_code = 3


class ApplyError(KernelError):
    """A patch does not apply to its base."""

    verdict = "APPLY"


class BuildError(KernelError):
    """The kernel, its configuration or a helper for the guest does not build."""

    verdict = "BUILD"


class BootError(KernelError):
    """The kernel was started and did not reach the point where tests can run."""

    verdict = "BOOT"


class EnvironmentFailure(HarnessError):
    """This machine failed: a tool, the disk, the network, a damaged runtime."""

    exit_code = 4


class DeadlineExceeded(EnvironmentFailure):
    """A command of ours took longer than it was given; it was stopped."""


class GuestError(HarnessError):
    """The guest, or the channel to it, went away while it was in use."""

    exit_code = 1
    verdict = "LOST"


class GuestSilent(GuestError):
    """The guest did not do in time what it was asked to: it may be gone, or there and stuck."""


def shortage(reason: BaseException) -> EnvironmentFailure | None:
    """The error for what this machine has too little of (memory, processes, open files), or None for anything else."""
    number = reason.errno if isinstance(reason, OSError) else None
    unmapped = isinstance(reason, ImportError) and "failed to map segment" in str(reason)  # ld.so: a module's library
    broken = isinstance(reason, SystemError) and "without exception set" in str(reason)  # CPython, out of memory
    if isinstance(reason, MemoryError) or number == errno.ENOMEM or unmapped or broken:
        return EnvironmentFailure(
            "there is not enough memory for the harness", hint="is there a limit? `ulimit -v`, the cgroup's memory.max"
        )
    if number in (errno.EMFILE, errno.ENFILE):
        return EnvironmentFailure("too many files are open", hint="raise the limit: `ulimit -n` says what it is")
    if number == errno.EAGAIN or (isinstance(reason, RuntimeError) and "can't start new thread" in str(reason)):
        return EnvironmentFailure(
            "no process or thread can be started", hint="is there a limit? `ulimit -u` and `ulimit -v` say what it is"
        )
    return None


_KILLED = 128 + 9
_SHORT = re.compile(
    r"^[^|\"]*(?:[Cc]annot fork|Resource temporarily unavailable|[Cc]annot allocate memory|[Oo]ut of memory(?:[, ].*)?"
    r"|virtual memory exhausted.*|Too many open files(?: in system)?)[.)]?$"
)


def shortage_said(lines: Iterable[str], *, status: int = 1) -> EnvironmentFailure | None:
    """The error for a program that failed for want of memory, processes or files, by its own words; or None.

    ``status`` is its exit status (negative, or 137 from a shell or a sandbox: the signal that ended it, which no
    program of ours does to itself). Lines that a compiler quotes from a source do not count.
    """
    said = list(lines)
    if status < 0 or status == _KILLED:
        return EnvironmentFailure(
            f"it was ended by signal {-status if status < 0 else status - 128}",
            details=said[-5:],
            hint="did this machine run out of memory? see dmesg",
        )
    for line in said:
        if _SHORT.match(line):
            hint = "there is too little memory, or a limit: `ulimit -u`, `ulimit -v` and `ulimit -n` say what it is"
            return EnvironmentFailure(line.strip(), details=said[-5:], hint=hint)
    return None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is closest to a misspelt one, or None where none is close."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that does not exist: says the nearest known one and lists the others."""
    names = sorted(set(known))
    close = nearest(name, names)
    hint = f"did you mean '{close}'? " if close else ""
    hint += f"known: {', '.join(names)}" if names else f"there is no {kind}"
    return UserError(f"unknown {kind} '{name}'", hint=hint)
