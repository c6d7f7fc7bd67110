# SPDX-License-Identifier: GPL-2.0-only
"""A person in a guest: a shell over SSH or on the serial console, and a command's output on the terminal."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from harness import process
from harness.guest.console import cleaned

if TYPE_CHECKING:
    from harness.guest import Guest

_LEAVE = b"\x1d"  # Ctrl-]
_CHUNK = 4096


def over_ssh(guest: Guest) -> int:
    """A shell over SSH, by the system's ssh where there is one. Its exit status; 0 also where the guest powered off."""
    status = process.replace(ssh_argv(guest)) if process.which("ssh") else _over_paramiko(guest)
    if not guest.alive or guest.wait_end(deadline=0.5) is not None:
        click.echo(guest.describe_end(), err=True)
        if guest.shutdown_reason == "guest-shutdown":
            return 0
    return status


def ssh_argv(guest: Guest) -> tuple[str, ...]:
    """The command of the system's ssh for this guest: its key, its host key, and no configuration of the user's."""
    options = {
        "UserKnownHostsFile": f'"{guest.known_hosts}"',
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "KexAlgorithms": "curve25519-sha256",
        "LogLevel": "ERROR",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return (
        "ssh", "-F", "none", *words, "-i", str(guest.key_file), "-p", str(guest.ssh_port), "-t", "root@127.0.0.1",
    )  # fmt: skip


def on_console(guest: Guest) -> int:
    """The serial console until Ctrl-] or the guest's end. Returns 0."""
    click.echo("the guest's console; Ctrl-] leaves it and ends the guest", err=True)
    end = guest.console.subscribe_raw(_write)
    try:
        guest.console.send(b"\n")
        with _raw_terminal():
            _feed(lambda data: guest.console.send(data), alive=lambda: not guest.console.closed)
    finally:
        end()
    click.echo(err=True)
    if guest.wait_end(deadline=0.5) is not None:
        click.echo(guest.describe_end(), err=True)
    return 0


class Output:
    """Output of a command in the guest, as it comes. On a terminal only text reaches it: no escape sequences."""

    def __init__(self) -> None:
        self._streams = (sys.stdout, sys.stderr)
        self._terminal = tuple(stream.isatty() for stream in self._streams)
        self._partial = [bytearray(), bytearray()]

    def take(self, chunk: bytes, error: bool) -> None:
        """Some bytes of standard output, or of standard error."""
        which = int(error)
        if not self._terminal[which]:
            self._streams[which].buffer.write(chunk)
            self._streams[which].buffer.flush()
            return
        *lines, rest = bytes(self._partial[which] + chunk).split(b"\n")
        self._partial[which] = bytearray(rest)
        for line in lines:
            click.echo(cleaned(line), err=error)

    def finish(self) -> None:
        """What came without a newline at its end."""
        for which, rest in enumerate(self._partial):
            if rest:
                click.echo(cleaned(bytes(rest)), err=bool(which), nl=False)


def _over_paramiko(guest: Guest) -> int:
    channel = guest.open_shell(os.environ.get("TERM", "vt100"), *shutil.get_terminal_size())
    resized = signal.signal(signal.SIGWINCH, lambda *_: channel.resize_pty(*shutil.get_terminal_size()))

    def show() -> None:
        while chunk := channel.recv(_CHUNK):
            _write(chunk)

    reader = threading.Thread(target=show, name="shell", daemon=True)
    reader.start()
    try:
        with _raw_terminal():
            _feed(lambda data: _send(channel, data), alive=reader.is_alive, leave=None)
        reader.join(2.0)
        return int(channel.recv_exit_status()) if channel.exit_status_ready() else 255
    finally:
        signal.signal(signal.SIGWINCH, resized)
        channel.close()


def _send(channel: Any, data: bytes) -> bool:
    try:
        channel.sendall(data)
    except OSError:
        return False
    return True


def _feed(send: Callable[[bytes], bool], *, alive: Callable[[], bool], leave: bytes | None = _LEAVE) -> None:
    """Give what is typed to ``send`` until it fails, the other side ends, or ``leave`` is typed."""
    source = sys.stdin.fileno()
    while alive():
        if not select.select([source], [], [], 0.2)[0]:
            continue
        data = os.read(source, _CHUNK)
        before, typed, _ = data.partition(leave) if leave is not None else (data, b"", b"")
        if not data or (before and not send(before)) or typed:
            return


def _write(chunk: bytes) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key goes to the guest, Ctrl-C too; the terminal is as it was afterwards."""
    source = sys.stdin.fileno()
    before = termios.tcgetattr(source)
    try:
        tty.setraw(source)
        yield
    finally:
        termios.tcsetattr(source, termios.TCSADRAIN, before)
