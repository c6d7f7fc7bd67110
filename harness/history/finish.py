# SPDX-License-Identifier: GPL-2.0-only
"""At the end of a run: recorded, with those that could not be before, and its failures classified. Never fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from harness.errors import HarnessError
from harness.history import rows as run_rows
from harness.history.classify import classify
from harness.history.database import BUSY_SECONDS, History
from harness.history.kinds import Noted
from harness.history.place import Place
from harness.history.record import chunks, import_folders, pending, record
from harness.results.folder import RunFolder

_log = logging.getLogger(__name__)

_CATCH_UP_SECONDS = 1.0
_AT_A_TIME = 10


def note(folder: RunFolder, place: Place | None, *, runs: Path, busy: float = BUSY_SECONDS) -> Noted:
    """Record a finished run; what the database cannot take stays in the run folder for the next occasion."""
    if place is None:
        return Noted()
    try:
        rows = run_rows.read(folder)
        with History(place, busy=busy) as history:
            record(history, [rows])
            classified = classify(history, rows)
            catch_up(history, runs, seconds=_CATCH_UP_SECONDS)
    except HarnessError as reason:
        return Noted(trouble=f"not in the history yet, the next run or `harness history` tries again: {reason.message}")
    except KeyboardInterrupt:
        return Noted(trouble="not in the history yet, the next run or `harness history` tries again: interrupted")
    except Exception as bug:
        _log.debug("", exc_info=True)
        return Noted(trouble=f"not in the history: internal error of the harness: {type(bug).__name__}: {bug}")
    return Noted(classified=classified)


def catch_up(
    history: History,
    runs: Path,
    *,
    seconds: float | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Import finished runs of a folder of runs that are not there yet; how many. Stops after about ``seconds``.

    ``tell`` hears of how many were looked at, and how many there are.
    """
    until = None if seconds is None else time.monotonic() + seconds
    found = pending(history, runs)
    new = done = 0
    for some in chunks(found, _AT_A_TIME):
        new += import_folders(history, some).new
        done += len(some)
        tell(done, len(found))
        if until is not None and time.monotonic() >= until:
            break
    return new
