# SPDX-License-Identifier: GPL-2.0-only
"""``harness run``: source to verdict."""

from __future__ import annotations

import random
import shlex
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

from harness import profile as profiles
from harness.again import without
from harness.cli.session import Session, dry_run_option, sandbox_option
from harness.errors import UserError
from harness.history.place import hidden
from harness.paths import make_folder
from harness.profile import Profile

_PROFILE_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--source", {"metavar": "SPEC", "help": "debian:6.12, tarball:…, git:URL@REF, tree:PATH; or the series' own."}),
    ("--series", {"metavar": "SPEC", "help": "A name in patches/, a folder, an mbox, git:A..B, lore:ID; '' for none."}),
    ("--patches", {"type": int, "metavar": "N", "help": "Only the first N patches of the series."}),
    ("--config", {"metavar": "FRAGMENT", "multiple": True, "help": "A fragment in place of the profile's; repeat it."}),
    ("--add-config", {"metavar": "FRAGMENT", "multiple": True, "help": "A fragment beside the profile's; repeat it."}),
    ("--topology", {"metavar": "NAME", "help": "A topology's name or file."}),
    ("--qemu", {"metavar": "CHOICE", "help": "auto, host, runtime, or the path of a QEMU."}),
    ("--accel", {"type": click.Choice(["auto", "kvm", "tcg"]), "help": "The accelerator."}),
    ("--memory", {"type": int, "metavar": "MIB", "help": "The guest's memory."}),
    ("--cpus", {"type": int, "metavar": "N", "help": "The guest's CPUs."}),
    ("--append", {"metavar": "TEXT", "help": "More for the kernel's command line."}),
    ("--jobs", {"type": int, "metavar": "N", "help": "Compilers side by side."}),
)  # fmt: skip


def profile_options(function: Callable[..., Any], *, default: str = "default") -> Callable[..., Any]:
    """``--profile`` and a flag for each of its fields; :func:`chosen_profile` makes a profile of them."""
    for name, attributes in reversed(_PROFILE_OPTIONS):
        function = click.option(name, **attributes)(function)
    function = sandbox_option(function)
    return click.option("--profile", "profile_name", default=default, show_default=True, metavar="NAME|FILE")(function)


def chosen_profile(session: Session, flags: dict[str, Any]) -> Profile:
    """The profile named, with the flags that were given in place of its fields."""
    profile = profiles.load(flags["profile_name"], paths=session.paths)
    config = flags["config"] or profile.config
    changes = {
        name: flags[name] for name in ("series", "patches", "topology", "qemu", "accel", "cpus", "append", "jobs")
    }
    changes["source"] = session.source_for(flags["series"], flags["source"])
    changes |= {"memory_mib": flags["memory"], "config": (*config, *flags["add_config"])}
    return session.heeded(profiles.override(profile, changes))


@click.command()
@profile_options
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="NAME",
    help="A suite; also SUITE/PROGRAM[:CASE], and kselftest:TARGET[/PROGRAM],… of the tree's own. Repeat it.",
)
@click.option("--case", "cases", multiple=True, metavar="SUITE/PROGRAM:CASE", help="One case. Repeat it.")
@click.option(
    "-k", "keyword", default="", metavar="EXPRESSION", help="Only cases whose name matches, as pytest has it."
)
@click.option("--timeout-scale", type=float, metavar="FACTOR", help="Multiply every deadline of the tests.")
@click.option(
    "--dump",
    type=click.Choice(profiles.DUMP_POLICIES),
    help="Dump the guest's memory on these [default: auto, where the kernel has debug information].",
)
@click.option("--dump-limit", type=int, metavar="MIB", help="The most that a dump may have [default: 2048].")
@click.option(
    "--sample",
    "sample_ms",
    type=int,
    metavar="MS",
    help="Have the guest say its memory so often, for harness site [off].",
)
@click.option("--require-feature", is_flag=True, default=None, help="A skipped case is a failure.")
@click.option(
    "--stress", "--for", "stress", metavar="LENGTH", help="How long stress and lifecycle go on: 30s, 10m, 8h."
)
@click.option("--seed", metavar="N|random", help="What they draw from [default: 1, or the profile's].")
@click.option("--prepare", is_flag=True, help="Fetch, apply, configure and build, and stop before the guest.")
@click.option("--turns", type=click.Path(path_type=Path), hidden=True)  # a nightly's: guests of its cells take turns
@click.option("--into", type=click.Path(path_type=Path), metavar="FOLDER", help="The run folder: empty, or not there.")
@click.option(
    "--rerun-failed",
    "reruns",
    type=click.IntRange(0, 100),
    default=0,
    metavar="N",
    help="Run each failed case N times again, on a fresh guest: flaky or broken? The verdict stays the first.",
)
@dry_run_option
@click.pass_obj
def command(
    session: Session,
    /,
    dry_run: bool,
    keyword: str,
    prepare: bool,
    into: Path | None,
    turns: Path | None,
    reruns: int,
    **flags: Any,
) -> int:
    """Source to verdict: fetch, apply, configure, build, boot, test, report.

    \b
    harness run                                                      the default profile
    harness run --source tree:. --series git:origin/master..HEAD     my commits in this checkout
    harness run --suite cxl --suite zswap --topology two-devices     some suites, another machine
    harness run --case cxl/test_region:whole_device               one case
    harness run --suite kselftest:mm,cgroup                          the tree's own selftests, built from it
    harness run --series '' --add-config debug-lockdep               the unpatched tree, with lockdep
    harness run --suite lifecycle --for 8h --seed random              drawn sequences, through the night
    harness run --rerun-failed 3                                     what fails is run again: flaky or broken?
    """
    from harness import run  # not before help and usage errors: it imports every stage

    profile = profiles.override(
        chosen_profile(session, flags),
        {
            "timeout_scale": flags["timeout_scale"],
            "dump": flags["dump"],
            "dump_limit_mib": flags["dump_limit"],
            "require_feature": flags["require_feature"],
            "sample_ms": flags["sample_ms"],
            "stress": flags["stress"],
            "seed": _seed(flags["seed"]),
        },
    )
    todo = run.plan(profile, selection=(*flags["suites"], *flags["cases"]), keyword=keyword, paths=session.paths)
    if dry_run:
        _show_plan(todo)
        return 0
    if prepare:
        return _prepare(session, todo)
    return _execute(session, todo, into=into, turns=turns, reruns=reruns)


def _seed(text: str | None) -> int | None:
    """The seed that was asked for; raises :class:`UserError` for what is none."""
    if text is None:
        return None
    if text == "random":
        return random.SystemRandom().randrange(1, 1 << 31)
    if not text.isdecimal() or not text.isascii():
        raise UserError(f"--seed is '{text[:40]}', expected a number or 'random'")
    return int(text)


def seeded(words: list[str], profile: Profile) -> list[str]:
    """The command with the seed that was used in place of one that was drawn, or none."""
    return [*without(words, "--seed"), "--seed", str(profile.seed)]


def _show_plan(todo: Any) -> None:
    profile = todo.profile
    click.echo(f"source    {profile.source}")
    click.echo(f"series    {profile.series or 'none'}")
    click.echo(f"config    {' '.join(profile.config)}")
    click.echo(
        f"guest     topology {profile.topology}, accel {profile.accel}, QEMU {profile.qemu}, image {profile.image}"
    )
    if todo.draws:
        click.echo(f"drawn     for {profile.stress or 'a moment'}, seed {profile.seed}")
    click.echo(f"cases     {len(todo.cases)}")
    for name in todo.cases:
        click.echo(f"  {name}")


def _prepare(session: Session, todo: Any) -> int:
    from harness import run
    from harness.terminal import Terminal

    terminal = Terminal(sys.stdout)
    try:
        run.prepare(todo, paths=session.paths, store=session.store, view=terminal)
    finally:
        terminal.close()
    return 0


def _empty(folder: Path) -> Path:
    """A folder to run in, made where it is not there; raises :class:`UserError` where there is something in it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--into {folder} is not an empty folder", hint="a run folder holds one run: name another one")
    return make_folder(folder.absolute())


def _execute(session: Session, todo: Any, *, into: Path | None, turns: Path | None, reruns: int) -> int:
    from harness import run
    from harness.cli.summary import show_summary
    from harness.results.folder import RunFolder
    from harness.results.record import exit_status
    from harness.terminal import Terminal
    from harness.values import Verdict
    from harness.workers import turn

    words = ["harness", *map(hidden, sys.argv[1:])]
    place = session.history_place
    terminal = Terminal(sys.stdout)
    try:
        folder, results = run.execute(
            todo,
            paths=session.paths,
            store=session.store,
            view=terminal,
            command=words,
            folder=RunFolder(_empty(into)) if into is not None else None,
            reruns=reruns,
            turn=partial(turn, turns) if turns is not None else nullcontext,
        )
    finally:
        terminal.close()
    repeat = without(seeded(words, todo.profile) if todo.draws else words, "--into", "--turns")
    one = without(repeat, "--suite", "--case", "-k")
    from harness.history.finish import note  # SQLAlchemy; on no thread: with a signal, Python 3.11 locks itself out

    noted = note(folder, place, runs=session.paths.runs)
    show_summary(terminal, folder, results, repeat=shlex.join(repeat), one=shlex.join(one), noted=noted)
    return exit_status(Verdict(results.verdict), interrupted=results.interrupted, failure=results.failure)
