# SPDX-License-Identifier: GPL-2.0-only
"""``harness logs``: what the guests of a run wrote to their consoles."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.session import Session
from harness.errors import UserError, nearest
from harness.results import console_log
from harness.results import folder as run_folders
from harness.results.folder import RunFolder

_CONTEXT = 10


@click.command()
@click.option("--around", "case", metavar="CASE", help="Only around a case: its name, or a part of it.")
@click.option("--context", type=click.IntRange(min=0), default=_CONTEXT, show_default=True, help="Lines on both sides.")
@click.option("--guest", type=int, metavar="N", help="Only this guest [default: each in turn].")
@click.argument("run")
@click.pass_obj
def command(session: Session, /, run: str, case: str | None, context: int, guest: int | None) -> None:
    """Print the console of a RUN's guests: its id, the start of one, its folder, or `last`.

    Lines begin with this machine's time and the seconds since the guest's start. Nothing that a terminal would act on
    is printed.

    \b
    harness logs last | less
    harness logs last --around smoke/test_boot:version
    harness logs 20261121-18 --around version --context 50
    """
    folder = run_folders.find(run, paths=session.paths)
    if case is None:
        for file in _files(folder, guest):
            _head(file)
            for line in console_log.read(file):
                click.echo(line)
        return
    names: list[str] = []
    shown = False
    for file in _files(folder, guest):
        lines = list(console_log.read(file))
        spans = console_log.spans(lines)
        names += [span.name for span in spans]
        for span in console_log.matching(spans, case):
            shown = True
            _head(file, span.name)
            for line in console_log.around(lines, span, context=context):
                click.echo(line)
    if not shown:
        close = nearest(case, names)
        hint = f"nearest: {close}" if close else "no case left its mark on the console"
        raise UserError(f"no console of run {folder.name} has the marks of '{case}'", hint=hint)


def _files(folder: RunFolder, guest: int | None) -> list[Path]:
    files = sorted(folder.path.glob("guests/*/console.log"), key=lambda path: (len(path.parent.name), path.parent.name))
    wanted = [file for file in files if guest is None or file.parent.name == str(guest)]
    if not wanted:
        have = f"it has {', '.join(file.parent.name for file in files)}" if files else "no guest was started in it"
        raise UserError(f"run {folder.name} has no {'guest' if guest is None else f'guest {guest}'}", hint=have)
    return wanted


def _head(file: Path, name: str = "") -> None:
    click.echo(f"==> guest {file.parent.name}{f', {name}' if name else ''} <==")
