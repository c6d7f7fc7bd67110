# SPDX-License-Identifier: GPL-2.0-only
"""``harness inspect``: drgn on the memory dump of a run, with the kernel that it is of."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness import process
from harness.again import of_profile, with_debug_info
from harness.cli.session import Session
from harness.errors import UserError
from harness.repeat import repeat
from harness.results import folder as run_folders
from harness.results.folder import RunFolder
from harness.results.record import Manifest
from harness.values import Verdict

_DUMP = "vmcore"
_KERNEL = "kernel"
_DEBUG = "vmlinux.debug"
_SERIES = "series"


@click.command()
@click.option("--guest", type=int, metavar="N", help="Which guest of the run [default: the one that has a dump].")
@click.option("-c", "code", metavar="CODE", help="Run one line of drgn and end.")
@click.argument("run")
@click.argument("words", nargs=-1, metavar="[-- SCRIPT [ARG]…]")
@click.pass_obj
def command(session: Session, /, run: str, words: tuple[str, ...], guest: int | None, code: str | None) -> int:
    """Open drgn on the memory dump of a RUN: its id, the start of one, its folder, or `last`.

    \b
    harness inspect last                                       interactive; `prog` is the dead kernel
    harness inspect last -c 'print(prog["node_states"])'
    harness inspect last -- my_script.py                       a drgn script
    """
    folder = run_folders.find(run, paths=session.paths)
    dump = _dump(folder, guest)
    vmlinux = _vmlinux(session, folder)
    argv = [sys.executable, "-m", "drgn", "-q", "-c", str(dump), "--no-default-symbols", "-s", str(vmlinux)]
    if code is not None:
        argv += ["-e", code]
    elif not words and not sys.stdin.isatty():
        raise UserError("drgn needs a terminal", hint="give a line (-c CODE) or a script (-- SCRIPT)")
    return process.replace([*argv, *words], env={"DEBUGINFOD_URLS": None})


def _dump(folder: RunFolder, number: int | None) -> Path:
    dumps = sorted(folder.path.glob(f"guests/*/{_DUMP}"), key=lambda path: int(path.parent.name))
    if number is not None:
        dumps = [path for path in dumps if path.parent.name == str(number)]
    if not dumps:
        raise _no_dump(folder, number)
    if len(dumps) > 1:
        click.echo(f"guest {dumps[0].parent.name}; --guest N for another: {_numbers(dumps)}", err=True)
    return dumps[0]


def _numbers(dumps: list[Path]) -> str:
    return ", ".join(path.parent.name for path in dumps)


def _no_dump(folder: RunFolder, number: int | None) -> UserError:
    """Why there is none, in the run's own words, and the command that gives one."""
    results = run_folders.read_results(folder)
    bad = [case for case in results.cases if not Verdict(case.verdict).good]
    said = [line for case in bad for line in case.diagnostics if line.startswith("no memory dump: ")]
    said += [line for line in results.failure.details if line.startswith("no memory dump: ")] if results.failure else []
    words = run_folders.read_manifest(folder).circumstances.get("command") or ("harness", "run")
    case = f"{bad[0].suite}/{bad[0].program}:{bad[0].case}" if bad else ""
    of = f" of guest {number}" if number is not None else ""
    failed = bad or results.failure is not None
    hint = f"again, with one: {with_debug_info(words, case)}" if failed else "nothing crashed or hung in it"
    return UserError(f"run {folder.name} has no memory dump{of}", details=said[:1], hint=hint)


def _vmlinux(session: Session, folder: RunFolder) -> Path:
    """The kernel with debug information, from the cache."""
    manifest = run_folders.read_manifest(folder)
    key = str((manifest.circumstances.get("keys") or {}).get("kernel", ""))
    entry = session.store.find(_KERNEL, key) if key.isalnum() else None
    if entry is None:
        message = f"the kernel of run {folder.name} is no longer in the cache"
        raise UserError(message, hint=_build_again(session, folder, manifest))
    if not (entry.path / _DEBUG).is_file():
        hint = "drgn -c reads the dump with a vmlinux of your own"
        raise UserError(f"the kernel of run {folder.name} has no debug information", hint=hint)
    return entry.path / _DEBUG


def _build_again(session: Session, folder: RunFolder, manifest: Manifest) -> str:
    try:
        profile = repeat(manifest, patches=folder.path / _SERIES).profile
        words = of_profile(profile, paths=session.paths, word="build")
    except UserError as reason:
        return reason.message
    return f"build it again: {process.quoted(words)}"
