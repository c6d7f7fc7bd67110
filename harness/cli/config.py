# SPDX-License-Identifier: GPL-2.0-only
"""``harness config``: Kconfig fragments and what comes of them in a kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from harness import profile as profiles
from harness.cli.session import Session, json_option, print_json, sandbox_option
from harness.display import printable
from harness.errors import UserError
from harness.profile import Profile
from harness.progress import Progress
from harness.values import AppliedSeries

_OPTIONS: dict[str, dict[str, Any]] = {
    "--source": {
        "metavar": "SPEC",
        "help": "debian:6.12, tarball:…, git:URL@REF, tree:PATH; or the series' own.",
    },
    "--series": {"metavar": "SPEC", "help": "A name in patches/, a folder, an mbox, git:A..B, lore:ID; '' for none."},
    "--patches": {"type": int, "metavar": "N", "help": "Only the first N patches of the series."},
    "--config": {"metavar": "FRAGMENT", "multiple": True, "help": "In place of the profile's fragments; repeat it."},
    "--add-config": {"metavar": "FRAGMENT", "multiple": True, "help": "Beside the profile's fragments; repeat it."},
}


def kernel_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that choose a kernel: ``--profile``, and those of ``_OPTIONS``."""
    for name, attributes in reversed(_OPTIONS.items()):
        function = click.option(name, **attributes)(function)
    chosen = click.option("--profile", "profile_name", default="default", show_default=True, metavar="NAME|FILE")
    return chosen(sandbox_option(function))


def chosen_profile(session: Session, flags: dict[str, Any]) -> Profile:
    """The profile named, with the flags that were given in place of its fields."""
    profile = profiles.load(flags["profile_name"], paths=session.paths)
    config = (*(flags["config"] or profile.config), *flags["add_config"])
    changes = {name: flags[name] for name in ("series", "patches")} | {"config": config}
    changes["source"] = session.source_for(flags["series"], flags["source"])
    return session.heeded(profiles.override(profile, changes))


def applied_series(session: Session, profile: Profile, progress: Progress) -> AppliedSeries:
    """The profile's source with its series on it."""
    from harness import pipeline, series, source

    common = {"paths": session.paths, "store": session.store, "progress": progress}
    tree = source.obtain(profile.source, **common)  # type: ignore[arg-type]
    patches = series.read(profile.series, tree=tree, **common) if profile.series else None  # type: ignore[arg-type]
    return pipeline.first_patches(series.apply(tree, patches, **common), profile.patches)  # type: ignore[arg-type]


def _attempt(session: Session, profile: Profile, progress: Progress) -> Any:
    from harness import kconfig
    from harness.toolchain import host_toolchain

    applied = applied_series(session, profile, progress)
    requests = kconfig.parse_requests(profile.config)
    done = kconfig.attempt(
        applied,
        requests,
        toolchain=host_toolchain(),
        paths=session.paths,
        store=session.store,
        progress=progress,
    )
    return applied, done


@click.group()
def command() -> None:
    """Show, compare and explain kernel configurations.

    A configuration is made of fragments (kconfigs/NAME.config.j2), with parameters after a colon. A file of your own
    (a path with a / in it) and a single CONFIG_X=value count as fragments; a single option is the last word.

    \b
    harness config list
    harness config show --config base+cxl --config debug-kasan:mode=outline
    harness config diff profile profile+debug-vm
    harness config explain CXL_REGION --source tree:.
    """


@command.command("list")
@click.argument("names", nargs=-1)
@json_option
@click.pass_obj
def list_fragments(session: Session, names: Sequence[str], as_json: bool) -> None:
    """List the fragments, their parameters and what they require.

    \b
    harness config list
    harness config list zswap debug-kasan
    """
    from harness.kconfig import FragmentRequest, fragment

    chosen = names or fragment.names(session.paths.kconfigs)
    loaded = [fragment.load(FragmentRequest(name), session.paths.kconfigs) for name in chosen]
    if as_json:
        import msgspec

        print_json([{"name": one.name, **msgspec.to_builtins(one.header)} for one in loaded])
        return
    width = max((len(one.name) for one in loaded), default=0)
    for one in loaded:
        click.echo(f"{one.name:{width}}  {one.header.summary}")
        for name, parameter in one.header.parameters.items():
            values = "|".join(parameter.choices) or parameter.type
            default = {True: "yes", False: "no"}.get(parameter.default, parameter.default)  # type: ignore[call-overload]
            click.echo(f"{'':{width}}    :{name}={values} ({default})  {parameter.help}")
        words = fragment.command_line(one, FragmentRequest(one.name))
        for word, others in (
            ("requires", one.header.requires),
            ("conflicts with", one.header.conflicts),
            ("boots with", words),
        ):
            if others:
                click.echo(f"{'':{width}}    {word} {', '.join(others)}")


@command.command("show")
@kernel_options
@click.option("--requested", is_flag=True, help="Only what the fragments ask for, and which of them; fetches nothing.")
@json_option
@click.pass_obj
def show(session: Session, /, requested: bool, as_json: bool, **flags: Any) -> None:
    """Print the final .config of a kernel, checked; or what is asked for.

    \b
    harness config show > .config
    harness config show --requested --add-config debug-kasan
    """
    from harness import kconfig
    from harness.kconfig import check

    profile = chosen_profile(session, flags)
    merged = kconfig.merge(kconfig.parse_requests(profile.config), session.paths.kconfigs)
    if requested:
        _show_requested(merged, as_json)
        return
    with session.stage("config") as progress:
        _, done = _attempt(session, profile, progress)
        for warning in (*done.merged.overridden, *check.judge(done.lost)):
            progress.warn(warning)
    if as_json:
        print_json({"fragments": done.merged.names, "options": done.values, "lost": [str(one) for one in done.lost]})
    else:
        click.echo(done.text, nl=False)


def _show_requested(merged: Any, as_json: bool) -> None:
    if as_json:
        rows = [{"option": name, "value": one.value, "optional": one.optional, "fragments": merged.askers[name]}
                for name, one in merged.asked.items()]  # fmt: skip
        print_json({"fragments": merged.names, "options": rows})
        return
    width = max((len(one.line) for one in merged.asked.values()), default=0)
    for name, one in merged.asked.items():
        click.echo(f"{one.line:{width}}  # {', '.join(merged.askers[name])}{' (optional)' if one.optional else ''}")


@command.command("diff")
@click.argument("old")
@click.argument("new")
@kernel_options
@json_option
@click.pass_obj
def diff(session: Session, /, old: str, new: str, as_json: bool, **flags: Any) -> int:
    """Compare two final configurations of one kernel, option by option; exit status 1 where they differ.

    OLD and NEW are fragments joined by +, where "profile" stands for all of the profile's, or the path of a .config.

    \b
    harness config diff profile profile+debug-lockdep
    harness config diff /boot/config-$(uname -r) profile
    """
    from harness.kconfig import dotconfig

    profile = chosen_profile(session, flags)
    with session.stage("config") as progress:
        sides = [_side(session, profile, text, progress) for text in (old, new)]
    changes = dotconfig.difference(*sides)
    if as_json:
        print_json({name: {"old": before, "new": after} for name, (before, after) in changes.items()})
    else:
        for name, (before, after) in changes.items():
            click.echo(printable(f"CONFIG_{name}  {before or 'absent'} → {after or 'absent'}"))
    return 1 if changes else 0


def _side(session: Session, profile: Profile, text: str, progress: Progress) -> dict[str, str]:
    from harness.kconfig import dotconfig

    path = Path(text).expanduser()
    if "/" in text or path.name.startswith(".config"):
        if not path.is_file():
            raise UserError(f"there is no configuration file {path}")
        return dotconfig.parse(path.read_text(encoding="utf-8", errors="replace"))
    parts = [part for word in text.split("+") for part in (profile.config if word == "profile" else (word,))]
    _, done = _attempt(session, profiles.override(profile, {"config": tuple(parts)}), progress)
    return dict(done.values)


@command.command("explain")
@click.argument("option")
@kernel_options
@json_option
@click.pass_obj
def explain(session: Session, /, option: str, as_json: bool, **flags: Any) -> None:
    """Say what an option is, its value, who asked for it, what it needs, and why it is off.

    \b
    harness config explain CONFIG_CXL_REGION
    harness config explain EROFS_FS_ZIP_LZMA --source tree:.
    """
    from harness import kconfig
    from harness.kconfig import explain as explaining

    profile = chosen_profile(session, flags)
    with session.stage("config") as progress:
        applied, done = _attempt(session, profile, progress)
        with kconfig.tree_symbols(applied, paths=session.paths, store=session.store, progress=progress) as known:
            told = explaining.explain(option, known=known(), values=done.values, merged=done.merged)
    if as_json:
        print_json(asdict(told))
    else:
        click.echo("\n".join(printable(line) for line in explaining.lines(told)))
