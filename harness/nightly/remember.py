# SPDX-License-Identifier: GPL-2.0-only
"""What the history of runs makes of a night's failures: new, known or flaky. Without a history the last night says."""

from __future__ import annotations

from collections.abc import Iterable

from harness.errors import HarnessError
from harness.history.kinds import Classified
from harness.history.place import Place
from harness.paths import Paths
from harness.results.folder import RunFolder

_SECONDS = 60.0


def of_history(runs: Iterable[str], place: Place | None, *, paths: Paths) -> tuple[dict[str, Classified], str]:
    """What the history says of each run that it can read, and in a line why it says nothing (empty where it does).

    Runs that it could not take when they ended, because the database was away, are recorded first.
    """
    if place is None:
        return {}, ""
    from harness.history import rows  # here: SQLAlchemy takes a quarter of a second
    from harness.history.classify import classify
    from harness.history.database import History
    from harness.history.finish import catch_up

    found: dict[str, Classified] = {}
    try:
        with History(place) as history:
            catch_up(history, paths.runs, seconds=_SECONDS)
            for run in runs:
                folder = RunFolder(paths.runs / run)
                if (folder.path / "manifest.json").is_file():
                    found[run] = classify(history, rows.read(folder))
    except HarnessError as reason:
        return found, f"the history is not complete: {reason.message}"
    return found, ""
