# SPDX-License-Identifier: GPL-2.0-only
"""``harness cache``: lists, checks and prunes what is cached."""

from __future__ import annotations

import time

import click

from harness import cache
from harness.cli.session import Session, dry_run_option, json_option, print_json


@click.group()
def command() -> None:
    """List, check and prune what is cached: kernels, images, worktrees, repositories. All of it can be made again.

    \b
    harness cache list
    harness cache check
    harness cache prune --keep 20G --keep 14d
    """


@command.command("list")
@json_option
@click.pass_obj
def list_(session: Session, as_json: bool) -> None:
    """List what is in the cache, the longest unused first, and its size.

    \b
    harness cache list
    harness cache list --json | jq 'map(.bytes) | add'
    """
    items = cache.survey(paths=session.paths, store=session.store)
    if as_json:
        print_json([_as_json(item) for item in items])
        return
    for item in items:
        click.echo(_line(item))
    click.echo(f"{_size(sum(item.size for item in items))} in {session.paths.cache}")


@command.command()
@json_option
@click.pass_obj
def check(session: Session, as_json: bool) -> int:
    """Compute the digest of every file of every entry again. Exit status 4 when one is damaged; removes nothing.

    \b
    harness cache check
    """
    damaged: dict[str, str] = {}
    entries = session.store.entries()
    with session.stage("cache") as progress:
        for number, entry in enumerate(entries):
            progress.update(f"checking {entry.kind} {entry.key[:12]}", done=number, total=len(entries))
            damage = session.store.damage(entry.kind, entry.key)
            if damage is not None and entry.path.exists():
                damaged[f"{entry.kind}/{entry.key}"] = damage
    if as_json:
        print_json({"checked": len(entries), "damaged": damaged})
    else:
        for name, damage in damaged.items():
            click.echo(f"{name}: {damage}")
        click.echo(f"{len(entries)} checked, {len(damaged)} damaged" + (": made again on use" if damaged else ""))
    return 4 if damaged else 0


@command.command()
@click.option("--keep", multiple=True, default=("30d",), show_default=True, metavar="SIZE|AGE", help="20G, 14d; both.")
@click.option("--all", "everything", is_flag=True, help="Keep only what was used in the last ten minutes.")
@dry_run_option
@json_option
@click.pass_obj
def prune(session: Session, keep: tuple[str, ...], everything: bool, dry_run: bool, as_json: bool) -> None:
    """Remove what killed runs left, what was not used for long, and the longest unused until the rest fits.

    What another run uses stays.

    \b
    harness cache prune --dry-run
    harness cache prune --keep 20G --keep 14d
    """
    limits = cache.Keep(size=0) if everything else cache.parse_keep(keep)
    items = cache.survey(paths=session.paths, store=session.store)
    removed, kept = [], {}
    for item in cache.choose(items, limits, now=time.time()):
        reason = None if dry_run else cache.remove(item, store=session.store)
        if reason is None:
            removed.append(item)
        else:
            kept[item.name] = reason
    if as_json:
        print_json({"removed": [_as_json(item) for item in removed], "kept": kept, "dry_run": dry_run})
        return
    for item in removed:
        click.echo(_line(item))
    for name, reason in kept.items():
        click.echo(f"kept {name}: {reason}")
    click.echo(f"{'would free' if dry_run else 'freed'} {_size(sum(item.size for item in removed))}")


@command.command()
@click.pass_obj
def path(session: Session) -> None:
    """Print the cache folder."""
    click.echo(str(session.paths.cache))


def _as_json(item: cache.Item) -> dict[str, object]:
    return {
        "kind": item.kind,
        "name": item.name,
        "path": str(item.path),
        "bytes": item.size,
        "used": item.used,
        "litter": item.litter,
    }


def _line(item: cache.Item) -> str:
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.used))
    return (
        f"{_size(item.size):>10}  {used}  {item.kind:<16} {item.name}{'  (left by a dead run)' if item.litter else ''}"
    )


def _size(count: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"
