# SPDX-License-Identifier: GPL-2.0-only
"""``harness image``: builds and shows the guest's root file systems."""

from __future__ import annotations

import click

from harness import image
from harness.cli.session import Session, dry_run_option, json_option, print_json
from harness.errors import UserError
from harness.values import Rootfs


@click.group()
def command() -> None:
    """Build the guest's root file system, or show what is in it.

    \b
    harness image build                the image that tests run in
    harness image build shell          the fuller one, for people
    harness image build --rebuild      again, with the packages of today
    harness image show --json
    """


@command.command()
@click.argument("flavour", default="test")
@click.option("--rebuild", is_flag=True, help="Make it again even when it is in the cache.")
@dry_run_option
@json_option
@click.pass_obj
def build(session: Session, flavour: str, rebuild: bool, dry_run: bool, as_json: bool) -> None:
    """Build an image (test or shell) and print where it is. About 10 s; nothing when it is in the cache.

    \b
    harness image build
    harness image build shell --dry-run
    """
    key = image.key(flavour)
    if dry_run:
        lines = image.plan(flavour, store=session.store, rebuild=rebuild)
        print_json({"flavour": flavour, "key": key, "plan": lines}) if as_json else click.echo("\n".join(lines))
        return
    with session.stage(f"{flavour} image") as progress:
        made = image.rootfs(flavour, paths=session.paths, store=session.store, progress=progress, rebuild=rebuild)
    print_json(_described(session, made)) if as_json else click.echo(str(made.image))


@command.command()
@click.argument("flavour", default="test")
@click.option("--packages", is_flag=True, help="All packages with their versions, dependencies too.")
@json_option
@click.pass_obj
def show(session: Session, flavour: str, packages: bool, as_json: bool) -> None:
    """Show what an image is made of and, once it is built, where it is and which versions it has.

    \b
    harness image show
    harness image show shell --packages
    """
    wanted = image.manifest(flavour)
    entry = session.store.find(image.KIND, image.key(flavour))
    versions: dict[str, str] = entry.meta["versions"] if entry else {}
    if packages and entry is None:
        raise UserError(f"the {flavour} image is not built", hint=f"harness image build {flavour}")
    if as_json:
        print_json(
            {
                "flavour": flavour,
                "suites": wanted.suites,
                "packages": {package.name: package.reason for package in wanted.package},
                "built": entry is not None,
                "path": str(entry.path) if entry else None,
                "bytes": entry.size if entry else None,
                "versions": versions,
            }
        )
        return
    if packages:
        click.echo("\n".join(f"{name} {version}" for name, version in versions.items()))
        return
    click.echo(f"Debian {', '.join(wanted.suites)}")
    for package in wanted.package:
        click.echo(f"  {package.name:<20} {versions.get(package.name, ''):<22} {package.reason}")
    click.echo(f"{entry.path} ({entry.size / (1 << 20):.1f} MiB)" if entry else "not built yet")


def _described(session: Session, made: Rootfs) -> dict[str, object]:
    entry = session.store.find(image.KIND, made.key)
    return {
        "flavour": made.flavour,
        "key": made.key,
        "image": str(made.image),
        "digest": made.digest,
        "bytes": made.image.stat().st_size,
        "versions": entry.meta["versions"] if entry else {},
    }
