# SPDX-License-Identifier: GPL-2.0-only
"""Nights with a stand-in for ``harness run``: what is built and run, what moved, what an interruption leaves."""

from __future__ import annotations

import os
import signal
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from harness import nightly, process
from harness.cli.main import cli
from harness.errors import UserError
from harness.results.folder import RunFolder
from tests.unit.nightly.conftest import Bench, wait_for
from tests.unit.series.test_series_revisions import CHANGE_ID, archive

CELLS = [
    f"run {series} {topology}" for series in ("none", "harness-hello") for topology in ("none", "direct", "switch-4")
]


def test_each_kernel_is_built_once_and_every_cell_runs(bench: Bench) -> None:
    outcome, found, shown = bench.night()
    asked = bench.asked()
    assert sorted(line for line in asked if line.startswith("prepare")) == [
        "prepare harness-hello none",
        "prepare none none",
    ]
    assert sorted(asked[2:]) == sorted(CELLS)
    assert found is not None and outcome.night is not None
    assert found.title == "[nightly stub] PASS: 6 of 6 cells passed"
    assert not outcome.night.going_on
    assert "✓ PASS    harness-hello, switch-4  2 PASS" in shown


def test_a_cell_is_run_with_what_its_branch_stood_for(bench: Bench) -> None:
    outcome, _, _ = bench.night()
    assert outcome.night is not None
    folder = nightly.Desk("stub", paths=bench.paths).night_folder(outcome.night)
    profiles = [tomllib.loads(file.read_text()) for file in (folder / "profiles").glob("*.toml")]
    commit = process.run(("git", "rev-parse", "main"), cwd=bench.stub, deadline=60).text.strip()
    assert {one["source"] for one in profiles} == {f"git:{bench.stub}@{commit}"}
    assert {one["followed_source"] for one in profiles} == {f"git:{bench.stub}@main"}
    assert {one["followed_series"] for one in profiles} == {""}, "a named series is what it is"


def test_nothing_moved_means_nothing_built(bench: Bench) -> None:
    bench.night()
    bench.asked()
    outcome, found, _ = bench.night()
    assert (outcome.night, found, bench.asked()) == (None, None, [])
    assert any(line.startswith("source stub: Linux 6.12.9") and "as on" in line for line in outcome.unmoved)
    assert bench.night(force=True)[0].night is not None
    assert len(bench.asked()) == 8


def test_a_branch_that_moved_is_run_again(bench: Bench) -> None:
    bench.night()
    bench.asked()
    bench.move("second")
    outcome, _, shown = bench.night()
    assert len(bench.asked()) == 8
    assert outcome.night is not None and len(outcome.night.moved) == 1
    assert "moved      source stub: Linux 6.12.9" in shown and "→" in shown


def test_a_new_cell_runs_alone(bench: Bench) -> None:
    bench.night()
    bench.asked()
    bench.matrix = bench.matrix.replace('"switch-4"]', '"switch-4", "mixed"]')
    _, found, _ = bench.night()
    assert sorted(bench.asked()) == [
        "prepare harness-hello mixed", "prepare none mixed", "run harness-hello mixed", "run none mixed",
    ]  # fmt: skip
    assert found is not None
    assert [one.word for one in found.cells].count("as before") == 6


def test_a_failing_cell_stops_no_other(bench: Bench) -> None:
    bench.behave(direct="FAIL", switch_4="crash")
    outcome, found, _ = bench.night()
    assert found is not None and outcome.night is not None
    words = {(one.cell.series, one.cell.topology): one.word for one in found.cells}
    assert (
        words["none", "none"] == "PASS" and words["none", "direct"] == "FAIL" and words["none", "switch-4"] == "INFRA"
    )
    crashed = next(one for one in found.cells if one.cell.topology == "switch-4")
    assert crashed.state is not None
    assert crashed.state.reason == "harness run ended with signal SIGKILL and left no results"
    assert found.verdict == "INFRA"
    bench.asked()
    bench.behave()
    _, found, _ = bench.night()
    assert sorted(line for line in bench.asked() if line.startswith("run")) == [
        "run harness-hello switch-4", "run none switch-4",
    ], "a cell that this machine failed says nothing of the kernel: it is due"  # fmt: skip
    assert found is not None


def test_what_failed_last_goes_first_then_the_longest(bench: Bench) -> None:
    bench.behave(switch_4="FAIL")
    bench.night()
    bench.asked()
    bench.night("[limits]\ncells = 1\n", force=True)
    runs = [line for line in bench.asked() if line.startswith("run")]
    assert {line.split()[-1] for line in runs[:2]} == {"switch-4"}


def test_new_again_and_fixed(bench: Bench) -> None:
    bench.night()
    bench.behave(direct="FAIL")
    _, second, _ = bench.night(force=True)
    _, third, _ = bench.night(force=True)
    bench.behave()
    _, fourth, _ = bench.night(force=True)
    assert second is not None and third is not None and fourth is not None

    def kinds(found: nightly.NightReport) -> set[str]:
        return {bad.kind for one in found.cells for bad in one.bad}

    assert (kinds(second), kinds(third), kinds(fourth)) == ({"new"}, {"again"}, set())
    assert "2 new failures" in second.title and "new" not in third.title
    assert {name for one in fourth.cells for name in one.fixed} == {"smoke/test_x:works"}


def test_a_kernel_that_does_not_build_is_told_once(bench: Bench) -> None:
    bench.behave(harness_hello="BUILD")
    _, found, _ = bench.night()
    assert [line for line in bench.asked() if "harness-hello" in line] == [
        "prepare harness-hello none", "run harness-hello none",
    ]  # fmt: skip
    assert found is not None
    broken = [one for one in found.cells if one.cell.series == "harness-hello"]
    assert [one.word for one in broken] == ["BUILD"] * 3
    assert [bool(one.state and one.state.like) for one in broken] == [False, True, True]
    assert found.verdict == "BUILD"


def test_what_cannot_be_had_leaves_the_others(bench: Bench) -> None:
    bench.matrix = bench.matrix.replace('"harness-hello"]', '"gone"]') + '[series]\ngone = "git:/nowhere@a..b"\n'
    _, found, _ = bench.night()
    assert found is not None
    words = {(one.cell.series, one.cell.topology): one.word for one in found.cells}
    assert words["none", "direct"] == "PASS" and words["gone", "direct"] == "APPLY"
    assert all("gone" not in line for line in bench.asked())


@pytest.mark.skipif(process.which("b4") is None, reason="b4 is not installed")
def test_a_new_revision_in_an_archive_is_run_and_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(bench.root / "home"))
    bench.matrix = bench.matrix.replace('"harness-hello"]', '"posted"]')
    more = f'[series]\nposted = {{archive = "{archive(bench.root, 1)}", change_id = "{CHANGE_ID}"}}\n'
    bench.night(more)
    assert len(bench.asked()) == 8
    assert bench.night(more)[0].night is None
    archive(bench.root, 1, 2)
    outcome, found, _ = bench.night(more)
    asked = [line for line in bench.asked() if line.startswith("run")]
    assert len(asked) == 3 and all("posted.mbx" in line for line in asked)
    assert outcome.night is not None and "RFC 3 patches" in outcome.night.moved[0]
    assert "RFC v2 3 patches" in outcome.night.moved[0]
    assert found is not None and [one.word for one in found.cells].count("as before") == 3


def test_a_cell_has_its_time(bench: Bench) -> None:
    bench.behave(direct="hang")
    _, found, _ = bench.night('[limits]\ncell = "1s"\n')
    assert found is not None
    late = next(one for one in found.cells if one.cell.topology == "direct")
    assert late.word == "TIMEOUT" and late.state is not None and "limits.cell" in late.state.reason
    known = nightly.Desk("stub", paths=bench.paths).book.known[late.cell.key]
    assert known.seconds >= 1, "the next night plans with the time that it took"


def test_the_night_has_its_time_and_goes_on_the_next(bench: Bench) -> None:
    bench.matrix = bench.matrix.replace(', "switch-4"]', "]").replace('["none", "harness-hello"]', '["none"]')
    bench.behave(none="hang", direct="hang")
    outcome, found, _ = bench.night('[limits]\nwall = "7s"\ncells = 1\n')
    assert found is not None and outcome.night is not None
    assert [one.word for one in found.cells] == ["NOT RUN"] * 2
    assert found.verdict == "INFRA" and "2 not run" in found.title
    bench.behave()
    _, found, _ = bench.night()
    assert found is not None and found.title == "[nightly stub] PASS: 2 of 2 cells passed"


_NIGHT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from harness import nightly
from harness.paths import Paths
from harness.store import Store
import signal
def stop(*_): raise KeyboardInterrupt
signal.signal(signal.SIGTERM, stop)
paths = Paths(project=Path({root!r}), cache=Path({cache!r}), data=Path({data!r}))
matrix = nightly.load(Path({file!r}))
todo = nightly.planned(matrix, paths=paths)
desk = nightly.Desk(matrix.name, paths=paths)
with desk.locked():
    outcome = nightly.execute(todo, desk=desk, paths=paths, store=Store(paths.cache),
        view=nightly.NightView(sys.stdout, live=False), harness={harness!r})
sys.exit(130 if outcome.interrupted else 0)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_night_goes_on_where_it_was(bench: Bench, number: signal.Signals) -> None:
    limits = "[limits]\ncells = 1\n"
    bench.behave(switch_4="hang")
    file = bench.write(limits)
    script = _NIGHT.format(
        root=str(bench.paths.project), cache=str(bench.paths.cache), data=str(bench.paths.data), file=str(file),
        harness=bench.command,
    )  # fmt: skip
    with process.spawn((sys.executable, "-c", script)) as child:
        wait_for((bench.control / "hanging").exists)
        os.kill(child.pid, number)
        status = child.wait(120)
    assert status == (-signal.SIGKILL if number is signal.SIGKILL else 130)
    wait_for(lambda: not _alive(bench.command))
    before = [line for line in bench.asked() if line.startswith("run")]
    night = nightly.Desk("stub", paths=bench.paths).book.night
    assert night is not None and night.going_on
    bench.behave()
    bench.move("moved meanwhile")
    outcome, found, shown = bench.night(limits)
    after = [line for line in bench.asked() if line.startswith("run")]
    done = before[:-1]
    assert sorted(done + after) == sorted(CELLS), "what was done is not done again, the rest is"
    assert "going on with the night" in shown and outcome.resumed
    assert found is not None and found.verdict == "PASS" and found.night.interruptions == 1
    desk = nightly.Desk("stub", paths=bench.paths)
    cut_off = [one.run for one in desk.book.kept if not one.verdict]
    assert len(cut_off) in (1, 2), "the one that hung, and the one that was ready"
    assert bench.night(limits)[0].night is not None, "the branch had moved meanwhile"


def _alive(command: tuple[str, ...]) -> bool:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if "\0".join(command).encode() in file.read_bytes():
                return True
        except OSError:
            continue
    return False


def test_another_matrix_begins_anew(bench: Bench) -> None:
    _interrupted(bench)
    bench.matrix = bench.matrix.replace('["none", "harness-hello"]', '["none"]')
    _, found, shown = bench.night()
    assert "the matrix has changed since" in shown
    assert found is not None and len(found.ran) == 3


def test_anew(bench: Bench) -> None:
    first = _interrupted(bench)
    outcome, _, _ = bench.night(anew=True)
    assert outcome.night is not None and outcome.night.id != first


def _interrupted(bench: Bench) -> str:
    """A night that was begun, of which nothing is done."""
    bench.night()
    desk = nightly.Desk("stub", paths=bench.paths)
    night = desk.book.night
    assert night is not None
    night.finished = 0.0
    for state in night.cells.values():
        state.status = "waiting"
    desk.book.known.clear()
    desk.write()
    return night.id


def test_only_one_at_a_time(bench: Bench) -> None:
    desk = nightly.Desk("stub", paths=bench.paths)
    with desk.locked(), pytest.raises(UserError, match="goes on already"):
        bench.night()


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is damaged"), ('{"version": 99}', "of version 99"), ('{"version": 1, "known": 3}', "is damaged")],
)
def test_a_book_that_cannot_be_read(bench: Bench, text: str, message: str) -> None:
    folder = bench.paths.data / "nightly" / "stub"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(text)
    with pytest.raises(UserError, match=message):
        bench.night()


def test_the_book_is_written_whole(bench: Bench) -> None:
    bench.night()
    folder = bench.paths.data / "nightly" / "stub"
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "nights", "state.json"]
    kept = nightly.Desk("stub", paths=bench.paths).book
    assert msgspec.json.decode(msgspec.json.encode(kept)) == msgspec.json.decode((folder / "state.json").read_bytes())


def test_a_run_that_goes_on_is_held(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.going_on
    with folder.held():
        assert folder.going_on
    assert not folder.going_on


def test_a_run_goes_into_an_empty_folder_only(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target in (tmp_path, tmp_path / "file"):
        words = ["--cache-dir", str(tmp_path / "cache"), "run", "--suite", "smoke", "--into", str(target)]
        with pytest.raises(UserError, match="is not an empty folder"):
            cli.main(words, standalone_mode=False)
