# SPDX-License-Identifier: GPL-2.0-only
"""``harness bisect``: the first patch, commit or option that changes a verdict."""

from __future__ import annotations

import functools
import sys
from typing import Any

import click

from harness import profile as profiles
from harness.cli.session import Session, dry_run_option, json_option, print_json, sandbox_option
from harness.display import many
from harness.errors import HarnessError, UserError
from harness.profile import Profile

_UNTESTABLE = 125  # git-bisect(1): this commit cannot be tested
_STOP = 128  # the same: above 127 the bisect is not to go on


class _Command(click.Command):
    """With ``--verdict`` a wrong option must not look like a bad commit to ``git bisect run``."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        judging = "--verdict" in args
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.ClickException as error:
            if judging:
                error.show()
                raise click.exceptions.Exit(_STOP) from None
            raise


@click.command(cls=_Command)
@click.option("--case", required=True, metavar="CASE",
              help="SUITE/PROGRAM:CASE (or a program, or a suite); 'build' or 'boot': the kernel itself.")  # fmt: skip
@click.option("--series", metavar="SPEC", help="The first patch of a series. With --config: the series on the tree.")
@click.option("--git", "range_", metavar="[PATH@]GOOD..BAD", help="The first commit of a range.")
@click.option("--config", "configs", nargs=2, metavar="GOOD BAD",
              help="The first option between two configurations: fragments joined by +, or a .config.")  # fmt: skip
@click.option("--verdict", "verdict_only", is_flag=True,
              help="Judge one tree: exit status as `git bisect run` has it (0, 1, 125, 128).")  # fmt: skip
@click.option("--repeat", type=click.IntRange(1, 1000), default=1, show_default=True, metavar="N",
              help="Run the case up to N times; it fails if it ever does.")  # fmt: skip
@click.option("--source", metavar="SPEC", help="The tree (with --verdict: tree:. where none is given).")
@click.option("--profile", "profile_name", default="default", show_default=True, metavar="NAME|FILE")
@click.option("--topology", metavar="NAME", help="A topology in place of the profile's.")
@click.option("--add-config", metavar="FRAGMENT", multiple=True, help="A fragment beside the profile's; repeat it.")
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), help="The accelerator.")
@click.option("--jobs", type=int, metavar="N", help="Compilers side by side.")
@click.option("--from", "start", type=int, default=0, metavar="N",
              help="With --series: the old end is the first N patches, known to be as good as none.")  # fmt: skip
@click.option("--again", is_flag=True, help="Forget what was answered before.")
@sandbox_option
@json_option
@dry_run_option
@click.pass_obj
def command(session: Session, /, as_json: bool, dry_run: bool, **flags: Any) -> int:
    """Find the first patch, commit or Kconfig option that changes a verdict.

    The ends are asked first: they must differ, in either direction. What does not build or boot is left out, as with
    `git bisect skip`; the answer may then be a range. Kernels come from the cache; what was answered is kept, so that
    the same command goes on where it was interrupted.

    \b
    harness bisect --case private/test_node:file_of_private_nodes --series ./outgoing
    harness bisect --case cxl --git v6.12..HEAD --source tree:.
    harness bisect --case boot --config + +debug-kasan           + is the profile's own configuration
    git bisect run harness bisect --verdict --case cxl/test_region:whole_device

    A GOOD of --config that begins with + has the profile's fragments and more: '+', '+CONFIG_KSM=y'.

    Exit status: 0 found, 2 usage (ends with the same verdict, one that cannot be tested), 4 this machine failed.
    """
    if not flags["verdict_only"]:
        return _find(session, flags, as_json=as_json, dry_run=dry_run)
    try:
        return _verdict(session, flags)
    except HarnessError as error:
        from harness.cli.main import show_error

        show_error(error)
        return _STOP


def _profile(session: Session, flags: dict[str, Any], **more: Any) -> Profile:
    profile = profiles.load(flags["profile_name"], paths=session.paths)
    source = session.source_for(more.get("series"), flags["source"])
    changes = {"source": source, **{name: flags[name] for name in ("topology", "accel", "jobs")}, **more}
    if flags["add_config"]:
        changes["config"] = (*profile.config, *flags["add_config"])
    return session.heeded(profiles.override(profile, changes))


def _judge(session: Session, flags: dict[str, Any], view: Any) -> Any:
    from harness.bisect.point import Judge

    return Judge(
        profile_name=flags["profile_name"],
        case=flags["case"],
        repeat=flags["repeat"],
        paths=session.paths,
        store=session.store,
        view=view,
    )


def _verdict(session: Session, flags: dict[str, Any]) -> int:
    from harness import bisect
    from harness.bisect.answer import Outcome
    from harness.terminal import Terminal

    if flags["range_"] or flags["configs"]:
        raise UserError("--verdict judges one tree", hint="leave --git and --config out")
    more = {"series": flags["series"] or "", "source": flags["source"] or "tree:."}
    terminal = Terminal(sys.stdout)
    try:
        answer = bisect.verdict(_profile(session, flags, **more), _judge(session, flags, terminal))
    finally:
        terminal.close()
    click.echo(f"{flags['case']} {answer}")
    return {Outcome.PASSES: 0, Outcome.FAILS: 1}.get(answer.outcome, _UNTESTABLE)


def _find(session: Session, flags: dict[str, Any], *, as_json: bool, dry_run: bool) -> int:
    from harness import bisect
    from harness.terminal import Terminal

    given = [name for name in ("range_", "configs") if flags[name]]
    if not given and not flags["series"]:
        raise UserError("a bisect goes over --series S, --git GOOD..BAD or --config GOOD BAD", hint="give one of them")
    if flags["start"] and (given or not flags["series"]):
        raise UserError("--from counts patches of --series", hint="--git GOOD..BAD has its old end itself")
    if len(given) > 1 or (flags["range_"] and flags["series"]):
        raise UserError("a bisect goes over one of --series, --git and --config", hint="--config may have a --series")
    profile = _profile(session, flags, series=flags["series"])
    terminal = Terminal(sys.stderr if as_json else sys.stdout)
    judge = _judge(session, flags, terminal)
    if dry_run:
        judge.check(profile)
        over = flags["range_"] or (
            " ".join(flags["configs"]) if flags["configs"] else f"the patches of {profile.series}"
        )
        click.echo(f"over      {over}\ncase      {flags['case']}, up to {flags['repeat']} times a kernel")
        click.echo(f"source    {profile.source}\nguest     topology {profile.topology}, accel {profile.accel}")
        return 0
    find = {
        "range_": functools.partial(bisect.by_commits, profile, flags["range_"]),
        "configs": functools.partial(bisect.by_options, profile, *(flags["configs"] or ("", ""))),
        "series": functools.partial(bisect.by_patches, profile, start=flags["start"]),
    }[given[0] if given else "series"]
    try:
        found = find(judge, again=flags["again"])
    finally:
        terminal.close()
    if as_json:
        print_json(found.record())
        return 0
    click.echo("\n" + "\n".join(found.lines))
    click.echo(f"{many(found.tested, 'kernel')} asked; what they said: {found.folder}")
    return 0
