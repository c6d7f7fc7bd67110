# SPDX-License-Identifier: GPL-2.0-only
"""``harness gate``: is a revision ready to be posted?"""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click

from harness import profile as profiles
from harness import series as stage
from harness.cli.session import Session, dry_run_option, json_option, print_json, sandbox_option
from harness.errors import UserError


@click.command()
@click.option("--base", required=True, metavar="REF|SERIES|SOURCE", help="What it is compared with.")
@click.option("--head", required=True, metavar="SERIES", help="What is judged.")
@click.option("--source", metavar="SPEC", help="The tree that both go on (default: what the head names).")
@click.option("--profile", "profile_name", metavar="NAME|FILE", help="Configuration, machine and suites.")
@click.option("--topology", metavar="NAME", help="A topology in place of the profile's.")
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), help="The accelerator.")
@click.option("--suite", "suites", multiple=True, metavar="NAME", help="A suite in place of the profile's. Repeat it.")
@click.option("--grid", type=click.Choice(["none", "quick", "full"]), default="quick", show_default=True,
              help="Options off and modules: at the last patch, or at each.")  # fmt: skip
@click.option("--boot", type=click.Choice(["ends", "each"]), default="ends", show_default=True,
              help="Run the suites on base and head, or at the patches between as well.")  # fmt: skip
@click.option(
    "--patch", "only", type=int, multiple=True, metavar="N", help="Build and look at this patch only. Repeat it."
)
@click.option("--repeat", type=click.IntRange(1, 100), default=4, show_default=True, metavar="N",
              help="Runs of each side; times are compared over them.")  # fmt: skip
@click.option("--again", is_flag=True, help="Run the suites although their results are known from an earlier gate.")
@click.option("--jobs", type=int, metavar="N", help="Compilers side by side.")
@sandbox_option
@click.option("--format", "form", type=click.Choice(["text", "cover"]), default="text", show_default=True,
              help="The report, or the Testing part of a cover letter.")  # fmt: skip
@json_option
@dry_run_option
@click.pass_obj
def command(session: Session, /, as_json: bool, dry_run: bool, form: str, **flags: Any) -> int:
    """Base against head, before it is posted: each patch as `harness series check --each` has it, then the suites on
    both, with the same machine, seed and topology.

    The base is a tree (a source, or a commit's name with --source tree:PATH), or the revision before, which gives a
    range-diff too. Nothing that fails on the base as well is held against the head; a difference of times only where it
    is more than noise. What was built, looked at and run is kept: the same again costs little.

    \b
    harness gate --base debian:6.12 --head n_private-6.12
    harness gate --base ./outgoing-v2 --head ./outgoing-v3 --grid full --boot each
    harness gate --base v6.12 --head git:v6.12..HEAD --source tree:. --repeat 1 --suite private
    harness gate --base ./v2 --head ./v3 --format cover >testing.txt

    Exit status: 0 ready, 1 not ready, 2 usage, 4 this machine failed.
    """
    from harness import gate  # not before help: it imports every stage
    from harness.gate.ends import wanted
    from harness.patchcheck import Choice

    name = flags["profile_name"] or profiles.for_series(flags["head"], paths=session.paths)
    changes = {"topology": flags["topology"], "accel": flags["accel"], "jobs": flags["jobs"]}
    profile = session.heeded(profiles.override(profiles.load(name, paths=session.paths), changes))
    if profile.patches is not None:
        raise UserError(f"the profile {name} takes only {profile.patches} patches", hint="a gate judges a whole series")
    want = wanted(profile, base=flags["base"], head=flags["head"], source=flags["source"], paths=session.paths)
    described = stage.describe(flags["head"], paths=session.paths)
    choice = Choice(
        grid=flags["grid"], boot="none", suites=flags["suites"], only=flags["only"], stages=described.stages
    )
    todo = gate.GatePlan(
        wanted=want,
        choice=choice,
        boot=flags["boot"],
        repeat=flags["repeat"],
        again=flags["again"],
        answers=described.answers,
    )
    if dry_run:
        _show_plan(session, todo)
        return 0
    return _execute(session, todo, form=form, as_json=as_json)


def _show_plan(session: Session, todo: Any) -> None:
    from harness import gate
    from harness.patchcheck import Bench
    from harness.toolchain import host_toolchain

    with session.stage("series") as progress:
        bench = Bench(
            profile=todo.profile, toolchain=host_toolchain(), paths=session.paths, store=session.store,
            progress=progress,
        )  # fmt: skip
        ends = gate.find_ends(todo.wanted, paths=session.paths, store=session.store, progress=progress)
        patches = gate.plan(todo, ends, bench)
    click.echo("\n".join(todo.lines(patches, len(ends.series.patches))))


def _execute(session: Session, todo: Any, *, form: str, as_json: bool) -> int:
    import msgspec

    from harness import gate
    from harness.terminal import Terminal

    words = ["harness", *sys.argv[1:]]
    quiet = as_json or form == "cover"
    terminal = Terminal(sys.stderr if quiet else sys.stdout)
    try:
        folder, report = gate.execute(todo, paths=session.paths, store=session.store, view=terminal)
    finally:
        terminal.close()
    if as_json:
        print_json(msgspec.to_builtins(report))
    elif form == "cover":
        click.echo((folder.path / "cover.txt").read_text(), nl=False)
    else:
        click.echo("\n" + (folder.path / "gate.txt").read_text())
    click.echo(f"run folder   {folder.path}", err=quiet)
    click.echo(f"run it again {shlex.join(words)}", err=quiet)
    return 0 if report.ready else 1
