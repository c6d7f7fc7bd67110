# SPDX-License-Identifier: GPL-2.0-only
"""What stays: the young, a cell's last good run, every failing run; up to a size; never a run that goes on."""

from __future__ import annotations

import msgspec

from harness import nightly
from harness.nightly.matrix import Keep
from harness.nightly.retention import sweep, to_delete
from harness.nightly.state import Kept
from harness.results.folder import RunFolder
from tests.unit.nightly.conftest import Bench

DAY = 86400.0
NOW = 100 * DAY


def one(name: str, days: float, verdict: str = "PASS", cell: str = "a") -> Kept:
    return Kept(run=name, cell=cell, verdict=verdict, when=NOW - days * DAY)


def gone(runs: list[Kept], keep: Keep, *, mib: int = 1, held: str = "") -> list[str]:
    found = to_delete(runs, keep, now=NOW, size=lambda _: mib << 20, held=lambda run: run.run == held)
    return [run.run for run in found]


def test_age() -> None:
    runs = [one("old", 40), one("older", 50), one("young", 1)]
    assert gone(runs, Keep()) == ["older", "old"]
    assert gone(runs, Keep(age="45d")) == ["older"]


def test_the_last_good_run_of_each_cell_stays() -> None:
    runs = [one("a1", 50), one("a2", 40), one("b1", 60, cell="b"), one("b2", 10, "FAIL", cell="b")]
    assert gone(runs, Keep()) == ["a1"]
    assert gone(runs, Keep(last_good=False)) == ["b1", "a1", "a2"]


def test_every_failing_run_stays() -> None:
    runs = [one(verdict, 90, verdict) for verdict in ("FAIL", "CRASH", "BUILD", "INFRA", "TIMEOUT", "XPASS")]
    assert gone(runs, Keep()) == []
    assert len(gone(runs, Keep(failing=False))) == 6


def test_a_run_that_was_cut_off_goes_by_age() -> None:
    assert gone([one("cut", 40, ""), one("young", 1, "")], Keep()) == ["cut"]


def test_size_takes_the_oldest_and_spares_what_must_stay() -> None:
    runs = [one(f"g{number}", 10 - number) for number in range(8)] + [one("bad", 20, "FAIL")]
    assert gone(runs, Keep(gib=5 / 1024)) == ["g0", "g1", "g2", "g3"]
    assert gone(runs, Keep(gib=0)) == [f"g{number}" for number in range(7)], "the last good and the failing one stay"


def test_a_run_that_goes_on_stays() -> None:
    runs = [one("old", 40), one("older", 50), one("last", 1)]
    assert gone(runs, Keep(gib=0), held="older") == ["old"]


def test_on_disk(bench: Bench) -> None:
    bench.night()
    bench.night(force=True)
    desk = nightly.Desk("stub", paths=bench.paths)
    old = [msgspec.structs.replace(run, when=run.when - 60 * DAY) for run in desk.book.kept]
    desk.book.kept = old
    mine = bench.paths.runs / "20200101-000000-mine0"
    mine.mkdir()
    (mine / "results.json").write_text("{}")
    first = RunFolder(bench.paths.runs / old[0].run)
    with first.held():
        swept = sweep(desk, Keep(), paths=bench.paths, now=old[0].when + 60 * DAY)
    left = {path.name for path in bench.paths.runs.iterdir()}
    assert len(swept.deleted) == 5 and first.name in left and mine.name in left
    assert {run.run for run in desk.book.kept} == left - {mine.name}
    assert swept.freed > 0 and "5 runs deleted" in swept.said(Keep())
    again = sweep(desk, Keep(), paths=bench.paths, now=old[0].when + 60 * DAY)
    assert again.deleted == (first.name,)
