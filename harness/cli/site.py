# SPDX-License-Identifier: GPL-2.0-only
"""``harness site``: the history and its runs as a static HTML site."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.history import opened
from harness.cli.session import Session, json_option, print_json
from harness.display import duration, many


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="The site's folder [DATA/site].")
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser.")
@click.option(
    "--compare", "pairs", nargs=2, multiple=True, metavar="RUN RUN", help="Compare these two, too. Repeat it."
)
@click.option("--afresh", is_flag=True, help="Make every page again.")
@json_option
@click.pass_obj
def command(
    session: Session,
    /,
    out: Path | None,
    open_it: bool,
    pairs: tuple[tuple[str, str], ...],
    afresh: bool,
    as_json: bool,
) -> None:
    """Write the history as web pages: the matrix, nights, runs, consoles, comparisons, the way of each case.

    The pages need no server and nothing from outside. The next time only what is new is written.

    \b
    harness site --open
    harness site --out /var/www/nightly
    harness site --compare 20261120-0130 last --open             these two runs, in the browser
    """
    from harness.history.query import find_run
    from harness.site.make import make

    folder = (out or session.paths.data / "site").absolute()
    with opened(session) as history, session.stage("site") as progress:
        found = [[find_run(history, name, paths=session.paths)[0]["uid"] for name in pair] for pair in pairs]
        made = make(
            history,
            folder,
            nightlies=session.paths.data / "nightly",
            pairs=[(one, other) for one, other in found],
            afresh=afresh,
            tell=lambda what, done, total: progress.update(what, done=done, total=total),
        )
    if as_json:
        print_json({"index": str(made.index), "runs": made.runs, "new": made.new, "written": made.written,
                    "seconds": round(made.seconds, 3), "compared": [str(one) for one in made.compared]})  # fmt: skip
    else:
        new = f"{made.new} new" if made.new else "none new"
        click.echo(f"{many(made.runs, 'run')}, {new}; {many(made.written, 'file')} written in {duration(made.seconds)}")
        for page in made.compared or (made.index,):
            click.echo(f"{page}")
    if open_it and click.launch((made.compared or (made.index,))[0].as_uri()) != 0:
        click.echo("warning: no browser could be started", err=True)
