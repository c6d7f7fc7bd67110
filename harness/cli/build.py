# SPDX-License-Identifier: GPL-2.0-only
"""``harness build``: a kernel, and where it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from harness.cli.config import applied_series, chosen_profile, kernel_options
from harness.cli.session import Session, dry_run_option, json_option, print_json
from harness.display import many, printable
from harness.profile import Profile
from harness.values import Kernel


@click.command()
@kernel_options
@click.option("--jobs", "-j", type=int, metavar="N", help="Compilers side by side (default: by cores and memory).")
@dry_run_option
@json_option
@click.pass_obj
def command(session: Session, /, jobs: int | None, dry_run: bool, as_json: bool, **flags: Any) -> None:
    """Build a kernel, or find it in the cache, and show where it is.

    \b
    harness build                                        the default profile's kernel
    harness build --source tree:. --series ''            this checkout as it is
    harness build --add-config debug-kasan:mode=outline  with one more fragment
    harness build --json | jq -r .vmlinux
    """
    from harness import build, kconfig
    from harness.toolchain import host_toolchain

    profile = chosen_profile(session, flags)
    requests = kconfig.parse_requests(profile.config)
    merged = kconfig.merge(requests, session.paths.kconfigs)
    if dry_run:
        _show_plan(profile, list(merged.names), jobs)
        return
    common: dict[str, Any] = {"toolchain": host_toolchain(), "paths": session.paths, "store": session.store}
    with session.stage("source") as progress:
        applied = applied_series(session, profile, progress)
    with session.stage("config") as progress:
        config = kconfig.configure(applied, requests, progress=progress, **common)
        for warning in config.warnings:
            progress.warn(warning)
    with session.stage("build") as progress:
        kernel, cached = build.build(applied, config, jobs=jobs, progress=progress, **common)
    if as_json:
        print_json({**asdict(kernel), "cached": cached})
    else:
        _show(kernel, cached)


def _show(kernel: Kernel, cached: bool) -> None:
    count = sum(len(messages) for messages in kernel.warnings.values())
    click.echo(f"{printable(kernel.release)}  {'from the cache' if cached else 'built'}, {many(count, 'warning')}")
    for name in ("vmlinux", "bzimage", "debug_vmlinux", "modules", "config", "system_map"):
        path = getattr(kernel, name)
        if path is not None:
            click.echo(f"  {name:13} {path}")
    for file, messages in kernel.warnings.items():
        for message in messages:
            click.echo(printable(f"  warning: {file}:{message}"))


def _show_plan(profile: Profile, fragments: list[str], jobs: int | None) -> None:
    from harness import source
    from harness.build import default_jobs

    for line in source.plan(profile.source):
        click.echo(f"source  {line}")
    click.echo(f"series  {profile.series or 'none'}")
    click.echo(f"config  {' '.join(fragments)}")
    click.echo(f"build   make -j{jobs or default_jobs()}, out of tree, unless this kernel is in the cache")
