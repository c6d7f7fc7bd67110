# SPDX-License-Identifier: GPL-2.0-only
"""``harness bundle``: what reproduces a run, as one archive."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.session import Session, dry_run_option, json_option, print_json
from harness.display import printable
from harness.errors import UserError


@click.command()
@click.argument("run")
@click.option(
    "--case", default="", metavar="SUITE/PROGRAM:CASE", help="One case of the run [default: all that failed]."
)
@click.option("-o", "output", type=click.Path(path_type=Path), metavar="FILE|FOLDER", help="Where to write it.")
@click.option("--no-image", is_flag=True, help="The root image by its SHA-256 only; the reader's harness makes it.")
@click.option("--no-dump", is_flag=True, help="No memory dump.")
@click.option("--no-debug", is_flag=True, help="No debug information of the kernel.")
@json_option
@dry_run_option
@click.pass_obj
def command(
    session: Session,
    /,
    run: str,
    case: str,
    output: Path | None,
    no_image: bool,
    no_dump: bool,
    no_debug: bool,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Write one archive (tar.xz) that shows a RUN's failure elsewhere: kernel, config, patches, images, QEMU's argv,
    cases, seeds, console, memory dump, and a README. RUN is its id, the start of one, its folder, or `last`.

    No key, password, host name or path of a home goes along. `harness repro FILE` makes it happen again; repro.sh in it
    does so without the harness. The same run gives the same file.

    \b
    harness bundle last
    harness bundle last --case cxl/test_region:whole_device -o crash.tar.xz
    harness bundle last --no-image --no-dump                 smaller
    """
    from harness import bundle
    from harness.results import folder as run_folders

    folder = run_folders.find(run, paths=session.paths)
    found = bundle.gather(folder, case=case, store=session.store)
    choice = bundle.Choice(image=not no_image, dump=not no_dump, debug=not no_debug)
    target = _target(output, bundle.file_name(found))
    out = bundle.left_out(found, choice)
    if dry_run:
        click.echo(f"write {target}")
        for name, path in sorted(found.files.items()):
            if name not in out:
                click.echo(f"  {name:<28} {path.stat().st_size:>12}")
        for name, why in out.items():
            click.echo(f"  {name:<28} {'not':>12}  {why}")
        return
    with session.stage("bundle") as progress:
        made = bundle.make(found, target, choice=choice, paths=session.paths, progress=progress)
    if as_json:
        print_json(
            {
                "path": str(made.path.absolute()),
                "bytes": made.size,
                "sha256": made.digest,
                "run": made.index.run,
                "targets": [{"case": one.case, "verdict": one.verdict} for one in made.index.targets],
                "left_out": made.index.left_out,
                "members": {member.name: member.size for member in made.index.members},
            }
        )
        return
    for line in made.lines:
        click.echo(printable(line))
    click.echo(f"{made.path}  {made.size / (1 << 20):.1f} MiB, {len(made.index.members) + 1} files")
    click.echo(f"sha256 {made.digest}")


def _target(output: Path | None, name: str) -> Path:
    """The file to write. Raises :class:`UserError` where its folder is not there."""
    target = Path(name) if output is None else output / name if output.is_dir() else output
    if not target.absolute().parent.is_dir():
        raise UserError(f"there is no folder {target.parent} for {target.name}")
    return target
