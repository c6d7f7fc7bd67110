# SPDX-License-Identifier: GPL-2.0-only
"""``harness repro``: does a failure come back?"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.session import Session, dry_run_option, json_option, print_json, sandbox_option
from harness.display import duration, printable
from harness.errors import KernelError, UserError
from harness.paths import drop_old, make_dated_folder

if TYPE_CHECKING:
    from harness.bundle import Attempt, Machine, Material, Rebuilt
    from harness.terminal import Terminal

_CAME_BACK, _STAYED_AWAY, _OTHER_KERNEL = 0, 1, 3
_BEFORE_BOOT = ("APPLY", "BUILD")
_KEPT = 10
_REASON = 160


@click.command()
@click.argument("what", metavar="BUNDLE|RUN")
@click.option("--case", default="", metavar="SUITE/PROGRAM:CASE", help="One case [default: all that failed].")
@click.option("--times", type=click.IntRange(1, 1000), default=1, show_default=True, metavar="N", help="How often.")
@click.option("--whole", is_flag=True, help="All cases of the run in their order, not each failed one alone.")
@click.option("--rebuild", is_flag=True, help="Build the kernel from its source; is it the same bit for bit?")
@click.option("--shell", is_flag=True, help="A shell in the guest instead.")
@click.option("--gdb", is_flag=True, help="The guest under gdb, before its first instruction, instead.")
@click.option("--qemu", default="auto", metavar="CHOICE", help="auto, host, runtime, or the path of a QEMU.")
@click.option(
    "--accel", type=click.Choice(["auto", "kvm", "tcg"]), help="The accelerator [default: the run's, where it works]."
)
@click.option("--source", metavar="SPEC", default="", help="Where the source is here, with --rebuild.")
@click.option("--jobs", type=int, metavar="N", help="Compilers side by side, with --rebuild.")
@sandbox_option
@json_option
@dry_run_option
@click.pass_obj
def command(session: Session, /, what: str, case: str, as_json: bool, dry_run: bool, **flags: Any) -> int:
    """Make a failure happen again, from a BUNDLE that somebody sent or from a RUN of this machine.

    Each failed case runs alone in a fresh guest, N times: from the kernel and images of the run, or with --rebuild
    from its source. It came back if the verdict and the fingerprint are the same. A bundle is checked first, all of
    it; nothing of it runs outside the guest, a --rebuild in the sandbox.

    \b
    harness repro crash.tar.xz
    harness repro crash.tar.xz --times 20
    harness repro last --case cxl/test_region:whole_device --rebuild
    harness repro crash.tar.xz --shell                       a shell in that guest
    harness repro crash.tar.xz --gdb                         hbreak start_kernel, continue

    Exit status: 0 it came back, at least once; 1 it did not; 2 usage, or a bundle that is not whole; 3 the kernel
    does not build again, or is another one (--rebuild); 4 this machine failed.
    """
    from harness.terminal import Terminal

    if flags["shell"] and flags["gdb"]:
        raise UserError("--shell and --gdb are two ways to look: choose one")
    if flags["shell"] and not sys.stdin.isatty():
        raise UserError("a shell needs a terminal")
    if flags["gdb"]:
        from harness.cli import boot_gdb

        boot_gdb.check()
    terminal = Terminal(sys.stderr if as_json else sys.stdout)
    try:
        with _material(session, what, case) as material:
            if dry_run:
                _show_plan(material)
                return 0
            if flags["shell"] or flags["gdb"]:
                return _enter(session, material, terminal, flags)
            return _Repro(session, material, terminal, flags, as_json=as_json).go()
    finally:
        terminal.close()


@contextlib.contextmanager
def _material(session: Session, what: str, case: str) -> Iterator[Material]:
    """The bundle at a path, or the run of that name."""
    from harness import bundle
    from harness.results import folder as run_folders

    path = Path(what)
    if path.is_file() or path.name.endswith((".tar.xz", ".txz")):
        with contextlib.ExitStack() as stack:
            with session.stage("bundle") as progress:  # its line goes before what is said next
                opened = bundle.from_bundle(path, case=case, paths=session.paths, progress=progress)
                material = stack.enter_context(opened)
            yield material
        return
    yield bundle.from_run(run_folders.find(what, paths=session.paths), case=case, store=session.store)


def _show_plan(material: Material) -> None:
    from harness.bundle import index
    from harness.bundle.script import bare_command

    profile = material.repeat.profile
    click.echo(f"run       {material.run}")
    for target in material.targets:
        click.echo(printable(f"failure   {target.verdict} {target.label}  {target.fingerprint}"))
    click.echo(printable(f"source    {profile.source}"))
    click.echo(printable(f"series    {profile.series or 'none'}"))
    if material.facts.argv:
        for line in bare_command(material.facts.argv, bzimage=index.BZIMAGE in material.files):
            click.echo(printable(f"  {line}"))


def _made(
    session: Session, material: Material, terminal: Terminal, flags: dict[str, Any], *, gdb: bool = False
) -> tuple[Machine, Rebuilt | None]:
    """The guest, with the kernel of then or one that is built again."""
    from harness import bundle

    common: dict[str, Any] = {"paths": session.paths, "store": session.store, "stages": terminal}
    rebuilt = None
    if flags["rebuild"]:
        rebuilt = bundle.rebuild(material, source_here=flags["source"], jobs=flags["jobs"], **common)
        _tell_rebuilt(terminal, rebuilt)
    kernel = rebuilt.kernel if rebuilt is not None else material.kernel()
    acceleration = flags["accel"] or ("tcg" if material.facts.accel == "tcg" else "auto")
    machine = bundle.machine(
        material,
        kernel=kernel,
        config=rebuilt.config if rebuilt is not None else material.config,
        qemu=flags["qemu"],
        acceleration=acceleration,
        **common,
        gdb=gdb,
    )
    for note in machine.notes:
        terminal.say(f"not as it was: {printable(note)}", style="yellow")
    return machine, rebuilt


def _tell_rebuilt(terminal: Terminal, rebuilt: Rebuilt) -> None:
    if rebuilt.identical:
        how = "this machine's cache had it" if rebuilt.cached else "built again"
        terminal.say(f"the same kernel, bit for bit ({how}): sha256 {rebuilt.kernel.digest}", style="green")
        return
    terminal.say("not the same kernel, bit for bit (then → now):", style="yellow")
    for line in rebuilt.differences:
        terminal.say(f"  {printable(line)}", style="yellow")


def _enter(session: Session, material: Material, terminal: Terminal, flags: dict[str, Any]) -> int:
    """Leave the user in the guest."""
    from harness.bundle.make import commands
    from harness.cli import boot_gdb, boot_shell
    from harness.guest import start

    cases = [target.case for target in material.targets if target.case]
    lines = commands(material.programs, cases, material.facts.tests)
    made, _ = _made(session, material, terminal, flags, gdb=flags["gdb"])
    terminal.close()
    for line in lines:
        click.echo(f"what failed, in the guest: {printable(line)}", err=True)
    with _folder(session) as folder:
        if flags["gdb"]:
            return boot_gdb.run(session, made.plan, folder)
        with start(made.plan, folder=folder, paths=session.paths) as guest:
            return boot_shell.over_ssh(guest)


@contextlib.contextmanager
def _folder(session: Session) -> Iterator[Path]:
    parent = session.paths.data / "repros"
    drop_old(parent, keep=_KEPT)
    yield make_dated_folder(parent)


class _Repro:
    """Attempts and what they came to."""

    def __init__(
        self, session: Session, material: Material, terminal: Terminal, flags: dict[str, Any], *, as_json: bool
    ) -> None:
        self._session = session
        self._material = material
        self._terminal = terminal
        self._flags = flags
        self._as_json = as_json
        self._attempts: list[Attempt] = []
        self._rebuilt: Rebuilt | None = None

    def go(self) -> int:
        """All of it; the exit status."""
        for target in self._material.targets:
            known = f"  [{target.fingerprint}]" if target.fingerprint else ""
            reason = printable(target.reason, limit=_REASON).replace("\n", " ")
            self._terminal.say(printable(f"{target.verdict} {target.label}  {reason}{known}"), style="red")
        with _folder(self._session) as folder:
            self._run(folder)
            return self._told(folder)

    def _run(self, folder: Path) -> None:
        from harness import bundle
        from harness.results.folder import RunFolder

        material, terminal = self._material, self._terminal
        if all(one.verdict in _BEFORE_BOOT and not one.case for one in material.targets):
            self._build()
            return
        made, self._rebuilt = _made(self._session, material, terminal, self._flags)
        replay = bundle.Replay(material, made, folder=RunFolder(folder), paths=self._session.paths)
        if replay.note:
            terminal.say(f"not as it was: {replay.note}", style="yellow")
        for number in range(1, self._flags["times"] + 1):
            if self._flags["whole"]:
                for attempt in replay.whole(number, terminal):
                    self._take(attempt)
                continue
            for target in material.targets:
                with terminal.stage("again") as stage:
                    stage.update(f"{target.label}, {number} of {self._flags['times']}")
                    attempt = replay.once(number, target)
                    stage.result(self._line(attempt))
                self._attempts.append(attempt)

    def _take(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)
        self._terminal.say(self._line(attempt))

    def _line(self, attempt: Attempt) -> str:
        reason = printable(attempt.reason, limit=_REASON).replace("\n", " ")
        of = f"{attempt.number} of {self._flags['times']}"
        return printable(f"{attempt.target.label}, {of}: {attempt.verdict} {reason} ({attempt.outcome})")

    def _build(self) -> None:
        """For a run that never had a kernel: a rebuild that fails is what is to come back."""
        from harness import bundle

        material, (target, *_) = self._material, self._material.targets
        if not self._flags["rebuild"]:
            raise UserError(
                f"run {material.run} never had a kernel: it failed to build", hint="--rebuild does that again"
            )
        failed: KernelError | None = None
        try:
            paths, store = self._session.paths, self._session.store
            bundle.rebuild(
                material, source_here=self._flags["source"], jobs=self._flags["jobs"],
                paths=paths, store=store, stages=self._terminal,
            )  # fmt: skip
        except KernelError as error:
            failed = error
        self._take(bundle.built_again(target, failed))

    def _told(self, folder: Path) -> int:
        from harness.bundle import CAME_BACK

        came = False
        for target in self._material.targets:
            own = [one for one in self._attempts if one.target == target]
            back = sum(one.outcome == CAME_BACK for one in own)
            came = came or back > 0
            others: dict[str, int] = {}
            for one in own:
                if one.outcome != CAME_BACK:
                    others[f"{one.outcome} ({one.verdict})"] = others.get(f"{one.outcome} ({one.verdict})", 0) + 1
            rest = "".join(f"; {name} in {count}" for name, count in others.items())
            spent = duration(sum(one.seconds for one in own))
            text = f"{target.label}: came back in {back} of {len(own)}{rest}  ({spent} in the guest)"
            self._terminal.say(printable(text), style="bold red" if back else "bold green")
        if not came and not self._flags["whole"] and len(self._material.repeat.selection) > 1:
            self._terminal.say("alone, on a fresh guest; --whole runs what came before it in the run as well")
        self._terminal.say(f"consoles and outputs   {folder}")
        if self._as_json:
            print_json(self._json(folder, came))
        if self._rebuilt is not None and not self._rebuilt.identical:
            return _OTHER_KERNEL
        return _CAME_BACK if came else _STAYED_AWAY

    def _json(self, folder: Path, came: bool) -> dict[str, Any]:
        rebuilt = self._rebuilt
        return {
            "run": self._material.run,
            "came_back": came,
            "rebuilt": None
            if rebuilt is None
            else {
                "identical": rebuilt.identical,
                "cached": rebuilt.cached,
                "digest": rebuilt.kernel.digest,
                "differences": list(rebuilt.differences),
            },
            "attempts": [
                {
                    "case": one.target.case,
                    "number": one.number,
                    "verdict": one.verdict,
                    "reason": one.reason,
                    "fingerprint": one.fingerprint,
                    "wanted": {"verdict": one.target.verdict, "fingerprint": one.target.fingerprint},
                    "seconds": one.seconds,
                    "outcome": one.outcome,
                }
                for one in self._attempts
            ],
            "folder": str(folder),
        }
