# SPDX-License-Identifier: GPL-2.0-only
"""``harness topology``: what machines there are, and what a description of one comes to."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from harness import qemu_runtime
from harness import topology as topologies
from harness.cli.session import Session, json_option, print_json
from harness.errors import EnvironmentFailure, HarnessError, UserError
from harness.paths import default_paths
from harness.process import quoted


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    paths = default_paths()
    return [CompletionItem(name) for name in topologies.names(paths) if name.startswith(incomplete)]


_name = click.argument("name", metavar="NAME_OR_FILE", shell_complete=_complete)


@click.group()
def command() -> None:
    """List, show, draw and check CXL topologies.

    A topology is a file qemu/NAME.toml, or one of your own (a path with a / or ending in .toml).

    \b
    harness topology list
    harness topology draw switch-4
    harness topology draw switch-4 --svg switch-4.svg
    harness topology check ./mine.toml --qemu auto
    """


@command.command("list")
@json_option
@click.pass_obj
def list_topologies(session: Session, as_json: bool) -> None:
    """List the topologies that are shipped, and what is in each.

    \b
    harness topology list
    harness topology list --json
    """
    found = [topologies.load(name, paths=session.paths) for name in topologies.names(session.paths)]
    if as_json:
        rows = [
            {"name": one.name, "title": one.title, "summary": topologies.summary(one), "path": one.path}
            for one in found
        ]
        print_json(rows)
        return
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        click.echo(f"{one.name:{width}}  {one.title}")
        click.echo(f"{'':{width}}  {topologies.summary(one)}")


@command.command()
@_name
@json_option
@click.pass_obj
def show(session: Session, name: str, as_json: bool) -> None:
    """Show a topology: its tree, its known limits, and what the guest is told of it.

    \b
    harness topology show two-sockets
    harness topology show ./mine.toml --json
    """
    topology = topologies.load(name, paths=session.paths)
    if as_json:
        print_json({"name": topology.name, "path": topology.path, **topologies.definition(topology)})
        return
    click.echo(_tree(topology))
    click.echo(f"\n{topologies.summary(topology)}")
    click.echo(f"host memory at most: {topology.host_memory_mib} MiB")
    if topologies.uses_cxl(topology):
        how = "each access is emulated" if topologies.is_interleaved(topology) else "mapped directly from QEMU 11 on"
        click.echo(f"CXL memory: {how}")
    for limit in topology.limits:
        click.echo(f"limit: {limit}")
    click.echo(f"\nfacts in the guest (/run/harness/topology):\n{topologies.guest_facts(topology)}", nl=False)


@command.command()
@_name
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Write a picture to this file ('-').")
@click.option("--ascii", "ascii_only", is_flag=True, help="No line drawing characters.")
@click.pass_obj
def draw(session: Session, name: str, svg: Path | None, ascii_only: bool) -> None:
    """Draw a topology: a tree in the terminal, or an SVG.

    \b
    harness topology draw interleave-2-hb
    harness topology draw interleave-2-hb --svg picture.svg
    """
    topology = topologies.load(name, paths=session.paths)
    if svg is None:
        click.echo(_tree(topology, ascii_only=ascii_only))
        return
    picture = topologies.draw_svg(topology)
    if str(svg) == "-":
        click.echo(picture, nl=False)
        return
    try:
        svg.write_text(picture, "utf-8")
    except OSError as reason:
        raise UserError(
            f"cannot write {svg}: {reason.strerror}", hint="give --svg a file in a folder of yours"
        ) from reason
    click.echo(f"wrote {svg}", err=True)


@command.command()
@click.argument("names", metavar="[NAME_OR_FILE]...", nargs=-1, shell_complete=_complete)
@click.option("--qemu", "choice", help="Also let this QEMU make them: auto, host, runtime or a path.")
@json_option
@click.pass_obj
def check(session: Session, names: tuple[str, ...], choice: str | None, as_json: bool) -> None:
    """Check topologies (all of them, or those named) against themselves, and against a QEMU.

    Exit status 2 where one cannot be, 4 where the QEMU lacks something that it needs.

    \b
    harness topology check
    harness topology check ./mine.toml --qemu auto
    """
    failed: list[HarnessError] = []
    rows = []
    qemu = None
    if choice is not None:
        with session.stage("QEMU") as progress:
            qemu = qemu_runtime.obtain(choice, paths=session.paths, store=session.store, progress=progress)
    for name in names or topologies.names(session.paths):
        row: dict[str, object] = {"name": name, "good": True}
        try:
            topology = topologies.load(name, paths=session.paths)
            if qemu is not None:
                with session.stage("topology") as progress:
                    topologies.check_against_qemu(topology, qemu, store=session.store, progress=progress)
        except (UserError, EnvironmentFailure) as error:
            failed.append(error)
            row |= {"good": False, "message": error.message, "details": list(error.details), "hint": error.hint}
        rows.append(row)
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            click.echo(f"{'good' if row['good'] else 'BAD '}  {row['name']}")
    if failed:
        raise failed[0] if len(failed) == 1 else _together(failed)


@command.command()
@_name
@click.option("--memory", "memory_mib", type=click.IntRange(min=1), help="Total memory in MiB, not the topology's.")
@click.option("--cpus", type=click.IntRange(min=1), help="CPUs in all, not the topology's.")
@json_option
@click.pass_obj
def argv(session: Session, name: str, memory_mib: int | None, cpus: int | None, as_json: bool) -> None:
    """Print the QEMU options that a topology comes to, an option a line.

    \b
    harness topology argv direct
    qemu-system-x86_64 $(harness topology argv direct) -kernel vmlinux …
    """
    words = topologies.qemu_arguments(topologies.load(name, paths=session.paths), memory_mib=memory_mib, cpus=cpus)
    if as_json:
        print_json(list(words))
        return
    for option in zip(words[::2], words[1::2], strict=True):
        click.echo(quoted(option))


def _tree(topology: topologies.Topology, *, ascii_only: bool = False) -> str:
    """The tree, in what the terminal can show."""
    tree = topologies.draw_tree(topology, ascii_only=ascii_only)
    try:
        tree.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return topologies.draw_tree(topology, ascii_only=True)
    return tree


def _together(failed: list[HarnessError]) -> HarnessError:
    """Several failures as one, of the kind of the first."""
    lines = [line for error in failed for line in (error.message, *(f"  {detail}" for detail in error.details))]
    return type(failed[0])(f"{len(failed)} topologies cannot be used", details=lines, hint=failed[0].hint)
