# SPDX-License-Identifier: GPL-2.0-only
"""A guest under gdb: QEMU's own debug stub on a private socket, the kernel's symbols, and its gdb commands."""

from __future__ import annotations

from pathlib import Path

import click

from harness import process
from harness.again import DEBUG_INFO
from harness.cli.boot_shell import ssh_argv
from harness.cli.session import Session
from harness.errors import EnvironmentFailure
from harness.guest import start
from harness.guest.plan import GDB_SOCKET
from harness.values import Kernel, QemuPlan

_SOCKET_LIMIT = 107  # characters of a path: unix(7)


def check() -> None:
    """Raises :class:`EnvironmentFailure` where there is no gdb."""
    if process.which("gdb") is None:
        raise EnvironmentFailure("gdb is not installed", hint="run ci/bootstrap")


def run(session: Session, plan: QemuPlan, folder: Path) -> int:
    """gdb on the user's terminal, before the guest's first instruction; the guest ends with it. gdb's exit status."""
    assert plan.kernel is not None
    with start(plan, folder=folder, paths=session.paths, attach=True) as guest:
        socket = guest.private / GDB_SOCKET
        if len(str(socket)) > _SOCKET_LIMIT:
            hint = "choose a shorter cache folder with --cache-dir (HARNESS_CACHE)"
            raise EnvironmentFailure(f"the path of gdb's socket is too long: {socket}", hint=hint)
        if plan.kernel.debug_vmlinux is None:
            click.echo(f"this kernel has symbols, no debug information; with it: --add-config {DEBUG_INFO}", err=True)
        click.echo("the guest stands before its first instruction: hbreak start_kernel, continue", err=True)
        click.echo(f"its console: {guest.console.log}", err=True)
        click.echo(f"a shell in it, once it has booted: {process.quoted(ssh_argv(guest))}", err=True)
        return process.replace(gdb_argv(plan.kernel, socket))


def gdb_argv(kernel: Kernel, socket: Path) -> tuple[str, ...]:
    """gdb on a kernel behind a socket. Nothing of the kernel's folder is loaded but its own scripts, by name."""
    words = ["gdb", "-q", "-iex", "set auto-load no", "-iex", "set confirm off"]
    words += [str(kernel.debug_vmlinux or kernel.vmlinux)]
    if kernel.gdb_script is not None:
        words += ["-ex", f"source {kernel.gdb_script}"]
    return (*words, "-ex", f"target remote {socket}")
