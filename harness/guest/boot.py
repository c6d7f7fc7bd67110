# SPDX-License-Identifier: GPL-2.0-only
"""From QEMU's start to a guest that takes commands; and for each way in which that fails, an error that says which.

What ends a boot at once: a panic, init's own complaint, QEMU's end. What ends it later: no output at all, no end of
booting within the deadline, no SSH server behind the port.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from harness.errors import BootError, EnvironmentFailure, GuestError
from harness.guest.console import Console, Outcome, Seen
from harness.guest.ssh import HostKeyMismatch, LoginRefused, NoAnswer, connect
from harness.process import describe_exit
from harness.progress import Progress

if TYPE_CHECKING:
    from harness.guest.lifetime import Guest

READY = re.compile(r"harness-init: ready\b")
FAILED = re.compile(r"harness-init: failed: *(?P<why>.*)")
PANIC = re.compile(r"Kernel panic - not syncing: *(?P<why>.*)")

_SILENCE_SHARE = 0.5
_SILENCE_AT_LEAST = 10.0
_SSH_SHARE = 0.3
_SSH_AT_LEAST = 10.0
_QMP_SECONDS = 30.0  # QEMU answers before the guest runs, so this is about the host alone
_LINE_SECONDS = 1.0
_END_SECONDS = 5.0  # for a process whose sockets are closed already, on a busy machine
_TAIL = 25
_SEARCHED = 200
_BEFORE_PANIC = 5
_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\S+\s+127\.0\.0\.1\s+(?P<port>\d+)\s+\S+\s+22\b")


def bring_up(guest: Guest, *, until: float, allowed: float, ssh: bool, progress: Progress) -> None:
    """Wait until the guest is ready, and log in; ``until`` is on the monotonic clock, ``allowed`` its seconds."""
    progress.update("starting QEMU")
    attach(guest)
    if ssh:
        _import_ssh()  # takes a tenth of a second, while the kernel boots; on a thread it could lock out Ctrl-C
    progress.update("booting the kernel")
    seen = guest.console.wait_for(
        (READY,),
        (PANIC, FAILED),
        deadline=max(0.0, until - time.monotonic()),
        silence=max(_SILENCE_AT_LEAST, allowed * _SILENCE_SHARE),
    )
    if seen.outcome is not Outcome.SUCCESS:
        raise boot_error(guest, seen, allowed)
    if ssh:
        progress.update("connecting by SSH")
        _log_in(guest, max(_SSH_AT_LEAST, allowed * _SSH_SHARE))


def forwarded_port(usernet: str) -> int:
    """The host port that leads to the guest's SSH, from QEMU's ``info usernet``."""
    found = _FORWARD.search(usernet)
    if found is None or not int(found["port"]):
        raise EnvironmentFailure(
            "QEMU does not say which port leads to the guest",
            details=usernet.splitlines(),
            hint="this QEMU's `info usernet` looks unlike those we know; try another one with --qemu",
        )
    return int(found["port"])


def panic_reason(console: Console) -> str:
    """Why the kernel panicked, by its own words at the end of the console; "" where it did not."""
    found = [PANIC.search(text) for text in console.tail(_SEARCHED)]
    return next((match["why"].strip() for match in found if match is not None), "")


def last_words(console: Console) -> tuple[str, ...]:
    """The end of the console that is worth showing: from a panic on where there is one, else the last lines."""
    lines = console.tail(_SEARCHED)
    for number, text in enumerate(lines):
        if PANIC.search(text):
            return lines[max(0, number - _BEFORE_PANIC) :][:_TAIL]
    return lines[-_TAIL:]


def boot_error(guest: Guest, seen: Seen, allowed: float) -> BootError:
    """The error for a boot that ended in some other way than a ready guest."""
    text = _whole_line(guest, seen)
    hint: str | None = None
    if seen.outcome is Outcome.FAILURE:
        panic, failed = PANIC.search(text), FAILED.search(text)
        if panic is not None:
            guest.console.wait_for((re.compile(r"---\[ end Kernel panic"),), deadline=1.0)  # the rest of its report
            message, hint = _panic(panic["why"])
        else:
            message = f"the guest's init gave up: {failed['why'] if failed else text}"
            hint = "the kernel may lack an option that the guest needs; the console says which step failed"
    elif seen.outcome is Outcome.SILENT:
        message = f"the kernel wrote nothing to its serial console ({_seconds(guest)})"
        hint = (
            "no serial output: is CONFIG_SERIAL_8250_CONSOLE on? (and CONFIG_SERIAL_EARLYCON shows what happens before)"
        )
    elif seen.outcome is Outcome.CLOSED:
        guest.wait_end(deadline=2.0)
        message = f"the guest ended before it was ready: {guest.describe_end()}"
        hint = None if guest.console.received else "the kernel wrote nothing: is CONFIG_SERIAL_8250_CONSOLE on?"
    else:
        message = f"the guest was not ready within {allowed:.0f} s"
        idle = guest.console.idle_seconds
        hint = (
            f"its console has been silent for {idle:.0f} s: the kernel hangs, or waits for something"
            if idle > 5
            else "it was still writing: a slow kernel or machine; give it more with --boot-deadline"
        )
    return BootError(message, hint=hint, log=guest.console.log, details=last_words(guest.console))


def _whole_line(guest: Guest, seen: Seen) -> str:
    """The line that was looked for; it may have been seen while it was being written, so its end is waited for."""
    if seen.line is None:
        return ""
    until = time.monotonic() + _LINE_SECONDS
    while not (lines := guest.console.lines(since=seen.line.number)) and time.monotonic() < until:
        time.sleep(0.01)
    return lines[0].text if lines else seen.line.text


def _panic(why: str) -> tuple[str, str | None]:
    if "Unable to mount root fs" in why:
        hint = "the kernel needs VIRTIO_PCI, VIRTIO_BLK, EROFS_FS and EROFS_FS_ZIP built in (=y)"
    elif "init" in why and ("No working init" in why or "Requested init" in why):
        hint = "the kernel needs BINFMT_ELF and BINFMT_SCRIPT built in, or the image is not one of ours"
    else:
        hint = None
    return f"the kernel panicked before the guest was ready: {why.strip()}", hint


def attach(guest: Guest) -> None:
    """Connect the monitor. A QEMU that ends here with nothing from the kernel has refused its options, and said why;
    after the kernel's first word it is the kernel's affair, and the console tells."""
    try:
        guest._attach(deadline=_QMP_SECONDS)
    except (EnvironmentFailure, GuestError) as reason:
        status = guest.wait_end(deadline=_END_SECONDS, held=False)
        if status is None:
            raise
        guest.console.wait_for((), deadline=_END_SECONDS)  # to its end: what was written may not have been read yet
        if guest.console.received:
            return
        raise qemu_failure(guest) from reason


def qemu_failure(guest: Guest) -> EnvironmentFailure:
    """The error for a QEMU that ended before the guest ran: what it wrote, and the command."""
    said = guest.qemu_log.read_bytes()[-8192:].decode("utf-8", "replace").splitlines()
    status = guest.exit_status
    no_seccomp = any("-sandbox" in line for line in said)  # its error names the option
    hint = "this QEMU was built without seccomp, its own sandbox; take another one with --qemu"
    return EnvironmentFailure(
        f"QEMU did not start: {describe_exit(status) if status is not None else 'it runs'}",
        details=said[-15:],
        command=guest.plan.argv,
        log=guest.qemu_log,
        hint=hint if no_seccomp else None,
    )


def _log_in(guest: Guest, deadline: float) -> None:
    try:
        guest._ssh = connect(port=guest.ssh_port, keys=guest.keys, deadline=deadline, alive=lambda: guest.alive)
    except (HostKeyMismatch, LoginRefused) as error:
        raise BootError(
            error.message, hint=error.hint, log=guest.console.log, details=last_words(guest.console)
        ) from error
    except NoAnswer as error:
        raise BootError(
            f"the guest booted, but there is no way in: {error.message}",
            hint="the kernel needs NET, INET, VIRTIO_NET and VIRTIO_PCI built in (=y)",
            log=guest.console.log,
            details=last_words(guest.console),
        ) from error
    except GuestError as error:
        guest.wait_end(deadline=2.0)
        raise BootError(
            f"the guest ended before it took a command: {guest.describe_end()}",
            log=guest.console.log,
            details=last_words(guest.console),
        ) from error


def _seconds(guest: Guest) -> str:
    return f"in {guest.console.idle_seconds:.0f} s"


def _import_ssh() -> None:
    import paramiko  # type: ignore[import-untyped]  # noqa: F401
