# SPDX-License-Identifier: GPL-2.0-only
"""``harness series check``: what can be said of a series, and with ``--each`` of every patch of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from harness import profile as profiles
from harness import series as stage
from harness.cli.series_read import plain, series_record, source_for, source_option, tree_and_series
from harness.cli.session import Session, dry_run_option, json_option, print_json, sandbox_option
from harness.errors import ApplyError, HarnessError, UserError
from harness.profile import Profile
from harness.progress import Progress
from harness.series import named
from harness.series.check import PatchCheck, check
from harness.series.finding import Finding, Level, exit_status
from harness.values import Series, Tree

if TYPE_CHECKING:
    from harness.patchcheck import Bench, Choice, PatchPlan

_MARKS = {Level.OK: "ok", Level.NOTE: "--", Level.WARNING: "warning", Level.ERROR: "ERROR"}
_INTERRUPTED = 130


@click.command(name="check")
@click.argument("spec")
@source_option
@click.option("--each", is_flag=True, help="Build, look at and boot patch by patch.")
@click.option(
    "--grid",
    type=click.Choice(["none", "quick", "full"]),
    help="Options off and modules: at the last patch (quick, the default), at each (full: a nightly).",
)
@click.option(
    "--cell",
    "cells",
    multiple=True,
    metavar="CELL",
    help="In place of the grid's own: OPTION=n, OPTION=m, modules, randconfig:SEED. Repeat it.",
)
@click.option("--link", is_flag=True, default=None, help="Link vmlinux in every cell of the grid.")
@click.option(
    "--boot",
    type=click.Choice(["none", "ends", "each"]),
    help="Run suites on the tree and the last patch (ends, the default), or at each.",
)
@click.option("--suite", "suites", multiple=True, metavar="NAME", help="A suite in place of the profile's. Repeat it.")
@click.option("--patch", "only", type=int, multiple=True, metavar="N", help="Only this patch. Repeat it.")
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME|FILE",
    help="Configuration, machine and suites (default: the profile that names the series, else 'default').",
)
@click.option("--jobs", type=int, metavar="N", help="Compilers side by side.")
@sandbox_option
@json_option
@dry_run_option
@click.pass_obj
def check_(
    session: Session, /, spec: str, source_spec: str | None, each: bool, as_json: bool, dry_run: bool, **flags: Any
) -> int:
    """Check a series: numbering, base, whether it applies, checkpatch --strict. With --each, also of every patch on
    those before it: it builds with no new warning, W=1 and sparse say nothing new of the files that it touches, the
    folders that the series touches compile with options off (CPUSETS, NUMA, ZSWAP, SWAP, CXL_REGION, MEMORY_HOTPLUG,
    MEMCG) and as modules, and it boots and passes.

    A remark that stays is answered in series.toml ([[answers]]: patch, type, reason). What was compiled is kept: the
    same again costs seconds, and an interrupted check goes on where it was;
    but boots are run each time (--patch leaves some out).

    \b
    harness series check ./outgoing                                    without building
    harness series check n_private-6.12 --each                         before it is posted
    harness series check git:origin/master..HEAD --source tree:. --each --grid none --boot none
    harness series check n_private-6.12 --each --cell ZSWAP=n --cell randconfig:7 --boot none
    harness series check n_private-6.12 --each --grid full --boot each     a nightly

    Exit status: 0 no error, 1 an error of checkpatch, a new warning, a failed test, 3 it does not apply, build or
    boot, 4 this machine failed.
    """
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    from harness.patchcheck import checks as patch_checks  # not before help: it imports every stage

    if given and not each:
        names = {"cells": "cell", "suites": "suite", "profile_name": "profile", "only": "patch"}
        name = next(iter(given))
        raise UserError(f"--{names.get(name, name)} needs --each")
    profile = _profile(session, spec, source_spec, flags) if each else None
    described = stage.describe(spec, paths=session.paths)
    choice = _choice(given, described) if each else None
    if dry_run and not each:
        raise UserError("there is nothing to plan without --each", hint="a plain check builds nothing")
    tree, found = tree_and_series(session, spec, profile.source if profile is not None else source_spec)
    shown = _Shown(found, as_json=as_json)
    with session.stage("series") as progress:
        todo = None
        checks: list[PatchCheck] = []
        if profile is not None and choice is not None:
            bench = _bench(session, profile, progress)
            todo = _plan(session, tree, found, choice, bench, progress)
            if dry_run and todo is not None:
                _show_plan(profile, todo, as_json)
                return 0
            checks = patch_checks(todo, bench) if todo is not None else []
        try:
            check(
                tree, found, paths=session.paths, store=session.store, progress=progress, each=checks,
                only=todo.patches if todo is not None else (), answers=described.answers,
                on_finding=shown.finding,
            )  # fmt: skip
        except KeyboardInterrupt:
            shown.end(interrupted=True)
            return _INTERRUPTED
        except HarnessError as error:
            shown.end(failure=error.message)
            raise
    shown.end()
    return exit_status(shown.findings)


class _Shown:
    """Findings as they come, and what they add up to."""

    def __init__(self, series: Series, *, as_json: bool) -> None:
        self.findings: list[Finding] = []
        self._series = series
        self._as_json = as_json

    def finding(self, finding: Finding) -> None:
        """Show one, or keep it for the JSON at the end."""
        self.findings.append(finding)
        if not self._as_json:
            if sys.stderr.isatty():
                click.echo("\r\x1b[K", nl=False, err=True)  # the progress line
            click.echo("\n".join(finding_lines(finding)))

    def end(self, *, interrupted: bool = False, failure: str | None = None) -> None:
        """What is known, whether all was done or not."""
        if self._as_json:
            record = report_record(self._series, self.findings)
            print_json({**record, "interrupted": interrupted, "failure": failure})
            return
        if any(finding.patch is not None and finding.check != "checkpatch" for finding in self.findings):
            from harness.patchcheck import table

            for one in (table.patch_table(self.findings, self._series.patches), table.grid_table(self.findings)):
                if text := table.lines(one):
                    click.echo("\n" + "\n".join(plain(line) for line in text))
        if interrupted or failure:
            click.echo(f"\n{'interrupted' if interrupted else 'not finished'}; this is what is known so far", err=True)


def finding_lines(finding: Finding) -> list[str]:
    """A finding as text."""
    of = "" if finding.patch is None else f" patch {finding.patch}" if finding.patch else " the tree"
    lines = [f"{_MARKS[finding.level]:8}{finding.check}{of}: {finding.message}"]
    return [plain(line) for line in (*lines, *(f"        | {line}" for line in finding.details))]


def report_record(series: Series, findings: list[Finding]) -> dict[str, Any]:
    """The findings as JSON shows them."""
    applies = not any(finding.check == "apply" and finding.level is Level.ERROR for finding in findings)
    return {
        "series": series_record(series),
        "applies": applies,
        "good": exit_status(findings) == 0,
        "findings": [
            {"check": one.check, "patch": one.patch, "level": str(one.level), "type": one.type,
             "message": one.message, "details": one.details}
            for one in findings
        ],
    }  # fmt: skip


def _profile(session: Session, spec: str, source_spec: str | None, flags: dict[str, Any]) -> Profile:
    """The profile that was named, or that names the series, with this source and series in it."""
    name = flags["profile_name"] or profiles.for_series(spec, paths=session.paths)
    profile = profiles.load(name, paths=session.paths)
    source = source_for(session, spec, source_spec, profile.source)
    return session.heeded(profiles.override(profile, {"source": source, "series": spec, "jobs": flags["jobs"]}))


def _choice(given: dict[str, Any], described: named.Description) -> Choice:
    from harness.patchcheck import Choice

    return Choice(
        **{name: given[name] for name in ("grid", "cells", "boot", "suites", "link", "only") if name in given},
        stages=described.stages,
    )


def _bench(session: Session, profile: Profile, progress: Progress) -> Bench:
    from harness.patchcheck import Bench
    from harness.toolchain import host_toolchain

    return Bench(
        profile=profile, toolchain=host_toolchain(), paths=session.paths, store=session.store, progress=progress
    )


def _plan(
    session: Session, tree: Tree, found: Series, choice: Choice, bench: Bench, progress: Progress
) -> PatchPlan | None:
    """The plan; None where the series does not apply, which the check says."""
    from harness import patchcheck

    if choice.boot != "none":
        patchcheck.check_suites(choice, bench)
    try:
        applied = stage.apply(tree, found, paths=session.paths, store=session.store, progress=progress)
    except ApplyError:
        return None
    return patchcheck.plan(applied, choice, bench)


def _show_plan(profile: Profile, todo: PatchPlan, as_json: bool) -> None:
    lines = [f"source      {profile.source}", f"config      {' '.join(profile.config)}", *todo.lines]
    if as_json:
        print_json(lines)
    else:
        click.echo("\n".join(lines))
