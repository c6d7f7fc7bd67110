# SPDX-License-Identifier: GPL-2.0-only
"""A guest from its start to its end: QEMU, its console, its monitor, the way in by SSH.

Leaving the block of :func:`start`, by return, exception or signal, means that all of it is gone: QMP ``quit``, then
SIGTERM, then SIGKILL, each wait bounded, then the reaping, then the private folder. A harness that is killed itself
takes its guests along (the kernel sends QEMU SIGKILL when the thread that started it ends).
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness import process
from harness.errors import BootError, GuestError
from harness.guest import boot, host
from harness.guest import deadline as deadlines
from harness.guest.connection import connect
from harness.guest.console import Console
from harness.guest.keys import RunKeys, make_keys, write_private
from harness.guest.plan import escaped
from harness.guest.private import KEY_FILE, private_folder
from harness.guest.qmp import Monitor, QmpEvent
from harness.guest.ssh import DEFAULT_OUTPUT_LIMIT, CommandResult, SshLink
from harness.guest.talk import Talk
from harness.paths import Paths, make_folder
from harness.process import Child
from harness.progress import Progress, Quiet
from harness.values import QemuPlan

_log = logging.getLogger(__name__)

_QUIT_SECONDS = 3.0
_HALT_CHECK_SECONDS = 0.05
_LPJ = re.compile(r"\{lpj:(\d+)\}")


class _Starter:
    """One thread that starts every QEMU and lasts as long as the process: QEMU dies with the thread that made it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[[], Child]) -> Future[Child]:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="qemu-starter")
            return self._pool.submit(work)


_starter = _Starter()


class Guest:
    """A running guest. Made by :func:`start`, which also ends it."""

    def __init__(self, plan: QemuPlan, *, folder: Path, private: Path, keys: RunKeys, hold: bool = False) -> None:
        """Nothing runs yet; ``folder`` takes the logs, ``private`` what nobody else may see.

        With ``hold`` QEMU stays when the machine has stopped by itself, with its memory as it was (:attr:`halted`).
        """
        self.plan = plan
        self._hold = hold
        self._halted = threading.Event()
        self.folder = folder
        self.private = private
        self.keys = keys
        self.key_file = private / KEY_FILE
        self.known_hosts = private / "known_hosts"
        self.qemu_log = folder / "qemu.log"
        self.ssh_port = 0
        self.boot_seconds = 0.0
        self._stack = contextlib.ExitStack()
        self._child: Child | None = None
        self._console: Console | None = None
        self._monitor: Monitor | None = None
        self._ssh: SshLink | None = None
        self._exit: int | None = None

    @property
    def alive(self) -> bool:
        """Whether the guest runs: QEMU does, and its machine has not stopped."""
        return self.qemu_runs and not self.halted

    @property
    def qemu_runs(self) -> bool:
        """Whether QEMU runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def connected(self) -> bool:
        """Whether the SSH connection stands, as far as one can know without using it."""
        return self._ssh is not None and self._ssh.active

    @property
    def halted(self) -> bool:
        """Whether the machine stopped by itself (power off, reset after a panic) and QEMU holds it."""
        return self._halted.is_set() and self.qemu_runs

    @property
    def speed_factor(self) -> float:
        """What deadlines for work in this guest are to be multiplied with, now: by the boot that was measured, and the
        load of this machine."""
        return deadlines.present_factor(self.boot_seconds)

    @property
    def exit_status(self) -> int | None:
        """QEMU's exit status (negative: the signal that ended it), None while it runs."""
        return self._child.poll() if self._child is not None else None

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        assert self._child is not None
        return self._child.pid

    @property
    def console(self) -> Console:
        """The serial console."""
        assert self._console is not None
        return self._console

    @property
    def monitor(self) -> Monitor:
        """The QMP connection."""
        if self._monitor is None:
            raise GuestError("the guest has no monitor connection")
        return self._monitor

    @property
    def events(self) -> tuple[QmpEvent, ...]:
        """QEMU's events so far."""
        return self._monitor.events if self._monitor is not None else ()

    def qmp(self, command: str, *, deadline: float = 10.0, **arguments: Any) -> Any:
        """Run a QMP command (its arguments by keyword, ``_`` for ``-``) and return its value."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        return self.monitor.execute(command, named or None, deadline=deadline)

    def run(
        self,
        command: str,
        *,
        deadline: float,
        on_line: Callable[[str], None] | None = None,
        on_output: Callable[[bytes, bool], None] | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        output_limit: int = DEFAULT_OUTPUT_LIMIT,
    ) -> CommandResult:
        """Run a shell command in the guest, as :meth:`harness.guest.ssh.SshLink.run` says."""
        with self._explained():
            return self._link().run(
                command,
                deadline=deadline,
                on_line=on_line,
                on_output=on_output,
                env=env,
                stdin=stdin,
                output_limit=output_limit,
            )

    def put(self, content: bytes, path: str, *, mode: int = 0o644, deadline: float = 60.0) -> None:
        """Write a file in the guest."""
        with self._explained():
            self._link().put(content, path, mode=mode, deadline=deadline)

    def get(self, path: str, *, deadline: float = 60.0, limit: int = DEFAULT_OUTPUT_LIMIT) -> bytes:
        """Read a file of the guest."""
        with self._explained():
            return self._link().get(path, deadline=deadline, limit=limit)

    def converse(self, command: str) -> Talk:
        """Start a command to talk to while it runs; the caller closes it."""
        with self._explained():
            return self._link().converse(command)

    def connection(self) -> Any:
        """A ``fabric.Connection`` of its own to the guest, for tests and tasks in Python; the caller closes it."""
        return connect(port=self.ssh_port, key_file=self.key_file, known_hosts=self.known_hosts)

    def open_shell(self, terminal: str, columns: int, lines: int) -> Any:
        """A login shell with a terminal, as a paramiko channel that the caller closes."""
        with self._explained():
            return self._link().open_shell(terminal, columns, lines)

    def wait_end(self, *, deadline: float, held: bool = True) -> int | None:
        """Wait for QEMU's own end (a guest that powers off). Its exit status; None after ``deadline`` seconds, or as
        soon as the machine has stopped where QEMU holds it (not ``held``: it cannot, its monitor is gone)."""
        assert self._child is not None
        until = time.monotonic() + deadline
        while not (held and self._halted.is_set()) and (left := until - time.monotonic()) > 0:
            try:
                return self._child.wait(min(left, _HALT_CHECK_SECONDS) if self._hold else left)
            except Exception:  # subprocess.TimeoutExpired; only harness.process knows subprocess
                continue
        return self._child.poll()

    @property
    def shutdown_reason(self) -> str:
        """Why QEMU shut the machine down, in QMP's words (ShutdownCause: ``guest-shutdown`` …), or ""."""
        reasons = [str(event.data.get("reason")) for event in self.events if event.name == "SHUTDOWN"]
        return reasons[-1] if reasons else ""

    def describe_end(self) -> str:
        """How QEMU ended, in words; and why, where it said so."""
        status = self.exit_status
        if status is None and not self.halted:
            return "QEMU is running"
        panic = boot.panic_reason(self.console)
        why = {
            "guest-shutdown": "the guest powered off",
            "guest-reset": "the guest reset itself",
        }.get(self.shutdown_reason)
        if panic:
            why = f"the kernel panicked: {panic}"
        if status is None:
            return why or "the machine stopped"
        if why is None and status == 0:
            why = "the guest powered off or reset itself"
        words = f"QEMU ended with {process.describe_exit(status)}"
        return f"{why}; {words}" if why else words

    def _link(self) -> SshLink:
        if self._ssh is None:
            raise GuestError("the guest has no SSH connection")
        return self._ssh

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Add to an error of the channel what is known of QEMU and the console."""
        try:
            yield
        except GuestError as error:
            self.wait_end(deadline=1.0)  # the connection ends a little before the process does
            if not self.alive:
                self.console.wait_closed(deadline=2.0)
                error.message = f"{error.message}; {self.describe_end()}"
                error.args = (error.message,)
            error.details = error.details or boot.last_words(self.console)
            error.log = error.log or self.console.log
            raise

    # -- start and end, called by start() only --

    def _launch(self) -> None:
        """Start QEMU with its sockets; afterwards it runs, or has failed and the error says how."""
        console_ours, console_theirs = socket.socketpair()
        qmp_ours, qmp_theirs = socket.socketpair()
        self._stack.callback(qmp_ours.close)
        self._qmp_socket = qmp_ours
        with console_theirs, qmp_theirs:
            self._console = Console(console_ours, log=self.folder / "console.log", raw=self.folder / "console.raw")
            argv = filled(
                self.plan.argv,
                console_fd=console_theirs.fileno(),
                qmp_fd=qmp_theirs.fileno(),
                private=self.private,
                tsc_khz=host.tsc_khz(),
            )
            stderr = self._stack.enter_context(self.qemu_log.open("wb"))
            command = process.spawn(
                argv,
                cwd=self.private,
                env=self.plan.env,
                stdout=stderr,
                stderr=stderr,
                pass_fds=(console_theirs.fileno(), qmp_theirs.fileno()),
            )
            launch = _starter.submit(lambda: self._stack.enter_context(command))
            try:
                self._child = launch.result()
            except BaseException:
                with contextlib.suppress(BaseException):
                    self._child = launch.result(_QUIT_SECONDS)  # interrupted: it may have been started all the same
                raise

    def _attach(self, *, deadline: float) -> None:
        """Connect the monitor and ask which port QEMU picked."""
        self._monitor = Monitor(self._qmp_socket, deadline=deadline, on_event=self._hear)
        if self._hold:
            self._monitor.execute("set-action", {"shutdown": "pause"}, deadline=deadline)
        self.ssh_port = boot.forwarded_port(self._monitor.human("info usernet", deadline=deadline))
        write_private(self.known_hosts, f"[127.0.0.1]:{self.ssh_port} {self.keys.host_public}\n".encode())

    def _hear(self, event: QmpEvent) -> None:
        """The machine stopped: nothing more comes from it. (``quit`` is a shutdown as well, by the host.)"""
        if self._hold and event.name == "SHUTDOWN" and event.data.get("guest"):
            self._halted.set()
            self.console.end()

    def _end(self) -> None:
        """Soft stop, hard stop, reap; the logs are complete then. Never raises for a guest that is gone already."""
        if self._ssh is not None:
            self._ssh.close()
        try:
            if self.qemu_runs and self._monitor is not None:
                self._halted.clear()  # from here on it is QEMU's end that counts
                with contextlib.suppress(GuestError):
                    self._monitor.execute("quit", deadline=_QUIT_SECONDS)
                self.wait_end(deadline=_QUIT_SECONDS)
        finally:
            try:
                self._stack.close()  # SIGTERM, SIGKILL and reap, by harness.process
            finally:
                if self._monitor is not None:
                    self._monitor.close()
                if self._console is not None:
                    self._console.close()


@contextlib.contextmanager
def start(
    plan: QemuPlan,
    *,
    folder: Path,
    paths: Paths,
    progress: Progress | None = None,
    ssh: bool = True,
    wait: bool = True,
    attach: bool = False,
    on_failure: Callable[[Guest, BootError], None] | None = None,
) -> Iterator[Guest]:
    """Start a guest and wait until commands can be run in it; leaving the block ends it.

    ``folder`` takes ``console.log``, ``console.raw`` and ``qemu.log``. Without ``ssh`` the wait is for init only;
    without ``wait``, and with ``attach``, it returns as soon as QEMU runs (and is connected to). With ``on_failure``
    QEMU holds a machine that has stopped (:attr:`Guest.halted`), so that it can be looked into; it is called with a
    boot's failure while QEMU still runs.

    Raises :class:`BootError` for a kernel that does not get there, with the console's last lines and its log;
    :class:`EnvironmentFailure` when QEMU does not start, with what it said.
    """
    listener = progress or Quiet()
    make_folder(folder)
    keys = make_keys()
    with private_folder(paths, plan, keys) as private:
        guest = Guest(plan, folder=folder, private=private, keys=keys, hold=on_failure is not None)
        begun = time.monotonic()
        try:
            guest._launch()
            if attach:
                boot.attach(guest)
            elif wait:
                key = plan.kernel.key if plan.kernel is not None else ""
                measured = "" if plan.boot_deadline_given else key
                seconds = deadlines.of_boot(plan.boot_deadline, kernel=measured, cache=paths.cache)
                try:
                    boot.bring_up(guest, until=begun + seconds, allowed=seconds, ssh=ssh, progress=listener)
                except BootError as error:
                    if on_failure is not None:
                        on_failure(guest, error)
                    raise
                guest.boot_seconds = time.monotonic() - begun
                deadlines.note_boot(guest.boot_seconds, kernel=key, cache=paths.cache)
            yield guest
        finally:
            guest._end()


def filled(argv: tuple[str, ...], *, console_fd: int, qmp_fd: int, private: Path, tsc_khz: int) -> tuple[str, ...]:
    """A plan's argv with its placeholders replaced. ``tsc_khz`` is the rate of the host's time stamp counter."""
    values = {"{console_fd}": str(console_fd), "{qmp_fd}": str(qmp_fd), "{private}": escaped(private)}

    def fill(word: str) -> str:
        for name, value in values.items():
            word = word.replace(name, value)
        return _LPJ.sub(lambda match: str(tsc_khz * 1000 // int(match[1])), word)

    return tuple(fill(word) for word in argv)
