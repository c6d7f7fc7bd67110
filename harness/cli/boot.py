# SPDX-License-Identifier: GPL-2.0-only
"""``harness boot``: a guest with a shell, or one command in a guest with its exit status."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness import profile as profiles
from harness.cli.run import chosen_profile, profile_options
from harness.cli.session import Session, dry_run_option
from harness.display import printable
from harness.errors import UserError
from harness.paths import drop_old, make_dated_folder, make_folder
from harness.profile import Profile

if TYPE_CHECKING:
    from harness.values import QemuPlan

_NO_DEADLINE = 30 * 86400.0
_TIMED_OUT = 124  # as timeout(1) has it
_KEPT_LOGS = 10


@click.command(context_settings={"allow_interspersed_args": False})
@profile_options
@click.option("--kernel", type=click.Path(path_type=Path), metavar="FILE", help="A vmlinux or bzImage, not a source.")
@click.option(
    "--image", type=click.Choice(["test", "shell"]), help="The root file system [default: shell for a shell]."
)
@click.option("--shell", type=click.Choice(["ssh", "console"]), default="ssh", help="Where the shell is.")
@click.option("--gdb", is_flag=True, help="Start the guest under gdb, with the kernel's own gdb commands.")
@click.option("--timeout", type=click.FloatRange(min=0.1), metavar="SECONDS", help="For the command; then status 124.")
@click.option("--boot-deadline", type=click.FloatRange(min=1), metavar="SECONDS", help="For an idle machine's boot.")
@click.option("--stdin", "with_stdin", is_flag=True, help="Read standard input and give it to the command.")
@click.option("--keep-log", type=click.Path(path_type=Path), metavar="FOLDER", help="Keep console and QEMU log there.")
@dry_run_option
@click.argument("words", nargs=-1, metavar="[-- CMD…]")
@click.pass_obj
def command(session: Session, /, words: tuple[str, ...], dry_run: bool, **flags: Any) -> int:
    """Boot a guest: a shell in it, or one command with its exit status.

    One word after -- is a line for the guest's shell; several are a program and its arguments. Ctrl-C ends the guest;
    so does leaving the shell. Ctrl-] leaves the shell on the console.

    \b
    harness boot                                             a shell in the default guest
    harness boot -- cxl list -vv                             one command
    harness boot --topology switch-4 -- 'dmesg | grep cxl'
    harness boot --kernel ~/linux/vmlinux --shell console    my own kernel, no network needed
    harness boot --gdb --add-config debuginfo                gdb before the first instruction: hbreak start_kernel
    harness boot --append 'cxl_core.dyndbg=+p' --cpus 4 --memory 2048 -- nproc
    harness boot --dry-run                                   QEMU's command, an option a line
    """
    profile = profiles.override(
        chosen_profile(session, flags), {"image": flags["image"] or (None if words else "shell")}
    )
    if flags["gdb"] and (words or flags["shell"] == "console"):
        raise UserError("--gdb takes no command and no --shell console", hint="it prints how to open a shell beside it")
    if dry_run:
        _show_plan(session, profile, flags, with_shell=not words)
        return 0
    if not words and not sys.stdin.isatty():
        raise UserError("a shell needs a terminal", hint="give a command: harness boot -- CMD")
    if flags["gdb"]:
        from harness.cli import boot_gdb

        boot_gdb.check()
    ssh = bool(words) or flags["shell"] == "ssh"
    plan = _prepare(session, profile, flags, ssh=ssh)
    stdin = sys.stdin.buffer.read() if flags["with_stdin"] else b""
    with _log_folder(session, flags["keep_log"]) as folder:
        if flags["gdb"]:
            return boot_gdb.run(session, plan, folder)
        return _boot(session, plan, folder=folder, words=words, ssh=ssh, stdin=stdin, timeout=flags["timeout"])


def _prepare(session: Session, profile: Profile, flags: dict[str, Any], *, ssh: bool) -> QemuPlan:
    """Kernel, images, QEMU and accelerator, made or found; and the plan of the guest."""
    from harness import pipeline
    from harness.guest import kernel_file, plan

    stages = Stages()
    common: dict[str, Any] = {"paths": session.paths, "store": session.store, "stages": stages}
    own = kernel_file.read(flags["kernel"]) if flags["kernel"] else None
    pipeline.check(profile, paths=session.paths)
    if own is not None:
        kernel, config, append, payload = own.kernel, own.config, profile.append, None
    else:
        built = pipeline.kernel_for(profile, **common)
        kernel, config, payload = built.kernel, built.config.text, built.payload
        append = pipeline.command_line(profile, built.config.command_line)
    machine = pipeline.machine_for(profile, **common)
    return plan(
        kernel=kernel,
        rootfs=machine.rootfs,
        payload=payload or machine.payload,
        topology=machine.topology,
        qemu=machine.qemu,
        acceleration=machine.acceleration,
        memory_mib=profile.memory_mib,
        cpus=profile.cpus,
        append=append,
        config=config,
        ssh=ssh,
        boot_deadline=flags["boot_deadline"],
        gdb=flags["gdb"],
    )


def _boot(
    session: Session, plan: QemuPlan, *, folder: Path, words: tuple[str, ...], ssh: bool, stdin: bytes, timeout: Any
) -> int:
    from harness.cli import boot_shell
    from harness.guest import start

    progress = _Patient("boot")
    with start(plan, folder=folder, paths=session.paths, progress=progress, ssh=ssh) as guest:
        progress.clear()
        if not words:
            return boot_shell.over_ssh(guest) if ssh else boot_shell.on_console(guest)
        line = words[0] if len(words) == 1 else shlex.join(words)
        output = boot_shell.Output()
        result = guest.run(line, deadline=timeout or _NO_DEADLINE, stdin=stdin, on_output=output.take, output_limit=0)
        output.finish()
    if result.timed_out:
        click.echo(f"error: the command did not end within {timeout:g} s", err=True)
        return _TIMED_OUT
    return result.exit_status if result.exit_status is not None else 1


def _show_plan(session: Session, profile: Profile, flags: dict[str, Any], *, with_shell: bool) -> None:
    """Print QEMU's command, an option a line; what would have to be fetched or built first has a name in brackets."""
    from harness import image, pipeline
    from harness.guest import kernel_file, option_lines, plan
    from harness.values import Accel, Acceleration, Payload, Qemu, Rootfs

    topology = pipeline.check(profile, paths=session.paths)
    if flags["kernel"]:
        own, append = kernel_file.read(flags["kernel"]), profile.append
    else:
        own = kernel_file.placeholder(f"<kernel of {profile.source}>")
        append = pipeline.command_line(profile, pipeline.fragment_words(profile, paths=session.paths))
    place = session.store.path(image.KIND, image.key(profile.image)) / "rootfs.erofs"
    accel = Accel.KVM if profile.accel == "kvm" else Accel.TCG
    decided = plan(
        kernel=own.kernel,
        rootfs=Rootfs(key="", image=place, digest="", flavour=profile.image),
        payload=Payload(key="", image=Path("<payload>"), digest=""),
        topology=topology,
        qemu=Qemu(argv=(f"<qemu {profile.qemu}>",), env={}, version=(0, 0, 0), origin="", digest=""),
        acceleration=Acceleration(accel=accel, reason=""),
        memory_mib=profile.memory_mib,
        cpus=profile.cpus,
        append=append,
        config=own.config,
        ssh=not (with_shell and flags["shell"] == "console"),
        gdb=flags["gdb"],
    )
    click.echo("\n".join(option_lines(decided.argv)))


@contextlib.contextmanager
def _log_folder(session: Session, wanted: Path | None) -> Iterator[Path]:
    """Where the logs go: the folder asked for; else one that is gone afterwards, unless something failed."""
    if wanted is not None:
        yield make_folder(wanted.absolute())
        return
    parent = session.paths.data / "boots"
    drop_old(parent, keep=_KEPT_LOGS)
    folder = make_dated_folder(parent)
    try:
        yield folder
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


class _Patient:
    """A stage's progress on standard error: on a terminal a line that goes away, else a line now and then.

    A quick boot says nothing, so that ``$(harness boot -- CMD)`` and a script's log hold the command's own words.
    """

    _FIRST_SECONDS = 4.0
    _THEN_SECONDS = 15.0

    def __init__(self, name: str) -> None:
        self._name = name
        self._live = sys.stderr.isatty()
        self._next = time.monotonic() + self._FIRST_SECONDS
        self._shown = False

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        count = f" [{done}/{total}]" if done is not None and total else ""
        text = printable(f"{self._name}: {message}{count}").replace("\n", " ")
        if self._live:
            width = max(20, shutil.get_terminal_size().columns - 1)
            click.echo(f"\r\x1b[K{text[:width]}", nl=False, err=True)
            self._shown = True
        elif time.monotonic() >= self._next:
            click.echo(text, err=True)
            self._next = time.monotonic() + self._THEN_SECONDS

    def warn(self, message: str) -> None:
        self.clear()
        click.echo(f"warning: {printable(message)}", err=True)

    def result(self, text: str, *, cached: bool = False) -> None:
        """Nothing to show: the shell or the command's output is what was asked for."""

    def clear(self) -> None:
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._shown = False


class Stages:
    """Stages of ``harness boot``, each shown while it lasts."""

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[_Patient]:
        """A stage, for the length of a ``with`` block."""
        line = _Patient(name)
        try:
            yield line
        finally:
            line.clear()
