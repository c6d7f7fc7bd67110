# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from harness.errors import UserError
from harness.history import query, schema
from harness.history.database import History
from harness.history.finish import catch_up, note
from harness.history.place import Place
from harness.history.record import import_folders, pending, record, run_folders
from tests.unit.history.conftest import Past, case_of, rerun_of

# Twenty processes that end at the same time, forked from one so that what they import is there.
WRITERS = """
import os, sys
from pathlib import Path
from harness.history.finish import note
from harness.history.place import choose
from harness.paths import Paths
from harness.results.folder import RunFolder
nowhere = Path(sys.argv[2])
place = choose(sys.argv[1], paths=Paths(project=nowhere, cache=nowhere, data=nowhere))
gate, open_gate = os.pipe()
writers = []
for folder in sys.argv[3:]:
    writers.append(os.fork())
    if not writers[-1]:
        os.close(open_gate)
        os.read(gate, 1)
        noted = note(RunFolder(Path(folder)), place, runs=nowhere, busy=120.0)
        print(noted.trouble, file=sys.stderr, end="", flush=True)
        os._exit(bool(noted.trouble))
os.close(open_gate)
sys.exit(sum(os.waitpid(writer, 0)[1] != 0 for writer in writers))
"""


def content(place: Place) -> dict[str, list[tuple[object, ...]]]:
    with History(place) as history, history.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in schema.metadata.sorted_tables
        }


def test_what_a_run_was_is_read_back(place: Place, past: Past) -> None:
    made = past.run([case_of("cxl/test_a:one"), case_of("cxl/test_a:two", "FAIL", reason="3 pages \U0001f600\0 lost")])
    with History(place) as history:
        assert import_folders(history, [made.path]).new == 1
    with History(place) as history, history.reading() as connection:
        (row,) = query.runs(connection, query.Filter(), limit=5)
        cases = query.outcomes_of(connection, row["id"])
    assert (row["name"], row["verdict"], row["passed"], row["bad"]) == (made.name, "FAIL", 1, 1)
    assert (row["series"], row["topology"], row["source"], row["host"]) == ("one", "direct", "debian:6.12", "here")
    assert [one["name"] for one in cases] == ["cxl/test_a:one", "cxl/test_a:two"]
    assert cases[1]["reason"].startswith("3 pages") and len(cases[1]["fingerprint"]) == 12


def test_importing_twice_changes_nothing(place: Place, past: Past) -> None:
    made = [past.run({"a/b:c": "PASS"}), past.run({"a/b:c": "FAIL"}, reruns=(rerun_of("a/b:c", "PASS"),))]
    with History(place) as history:
        first = import_folders(history, [one.path for one in made])
    before = content(place)
    with History(place) as history:
        again = import_folders(history, [one.path for one in made])
    assert (first.new, first.known, again.new, again.known) == (2, 0, 0, 2)
    assert content(place) == before and len(before["outcome"]) == 2 and len(before["rerun"]) == 1


def test_reruns_that_come_later_are_added(place: Place, past: Past) -> None:
    manifest, results = past.values({"a/b:c": "FAIL"})
    made = past.folder / results.run
    from harness.history.rows import rows

    with History(place) as history:
        record(history, [rows(manifest, results, place=str(made))])
        import msgspec

        later = msgspec.structs.replace(results, reruns=(rerun_of("a/b:c", "PASS"),))
        assert record(history, [rows(manifest, later, place=str(made))]) == 0
        with history.reading() as connection:
            assert query.reruns_of(connection, "a/b:c") == {1: ["PASS"]}


def test_damaged_and_newer_folders_are_left_out_and_the_others_go_in(place: Place, past: Past) -> None:
    good, damaged, newer, empty, odd = (past.run({"a/b:c": "PASS"}) for _ in range(5))
    (damaged.path / "results.json").write_text('{"version": 2, "run": "')
    (newer.path / "manifest.json").write_text('{"version": 99}')
    (empty.path / "manifest.json").unlink()
    value = json.loads((odd.path / "manifest.json").read_text())
    value["circumstances"]["started"] = "yesterday"
    (odd.path / "manifest.json").write_text(json.dumps(value))
    with History(place) as history:
        imported = import_folders(history, [one.path for one in past.made])
    assert imported.new == 1 and len(content(place)["run"]) == 1
    said = [error.message for error in imported.refused]
    assert [str(one.path) in text for one, text in zip((damaged, newer, empty, odd), said, strict=True)] == [True] * 4
    assert "damaged" in said[0] and "version 99" in said[1] and "cannot read" in said[2] and "yesterday" in said[3]
    assert good.path not in (Path(text) for text in said)


def test_only_what_is_missing_is_pending(place: Place, past: Past) -> None:
    made = [past.run({"a/b:c": "PASS"}) for _ in range(3)]
    (past.folder / "20991231-running").mkdir()
    with History(place) as history:
        assert pending(history, past.folder) == [one.path for one in made]
        import_folders(history, [made[1].path])
        assert pending(history, past.folder) == [made[0].path, made[2].path]
        assert catch_up(history, past.folder) == 2
        assert pending(history, past.folder) == []
        later = past.run({"a/b:c": "FAIL"})
        with later.held():
            assert pending(history, past.folder) == [], "it may have its failures run again"
        assert pending(history, past.folder) == [later.path]
        assert pending(history, past.folder / "none") == []


def test_a_folder_of_runs_and_a_data_folder_are_taken(past: Past, tmp_path: Path) -> None:
    made = past.run({"a/b:c": "PASS"})
    assert run_folders(made.path) == run_folders(past.folder) == run_folders(tmp_path) == [made.path]
    for place in (tmp_path / "nothing", Path(__file__)):
        with pytest.raises(UserError, match="no folder"):
            run_folders(place)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no finished run"):
        run_folders(tmp_path / "empty")


def test_a_run_that_did_not_come_to_its_cases_is_recorded(place: Place, past: Past) -> None:
    from harness.results.record import Failure

    made = past.run({}, failure=Failure(verdict="BUILD", message="mm/x.c:12: error: no"))
    noted = note(made, place, runs=past.folder)
    assert noted.trouble == ""
    with History(place) as history, history.reading() as connection:
        (row,) = query.runs(connection, query.Filter(verdict="BUILD"), limit=5)
    assert row["failure"] == "mm/x.c:12: error: no" and len(row["fingerprint"]) == 12


def test_twenty_runs_end_at_once_in_a_history_that_is_not_there_yet(place: Place, past: Past, tmp_path: Path) -> None:
    made = [past.run({f"a/b:c{number}": "PASS" for number in range(300)}) for _ in range(20)]
    where = str(place.file) if place.file is not None else place.url
    argv = [sys.executable, "-c", WRITERS, where, str(tmp_path / "nowhere"), *(str(one.path) for one in made)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    found = content(place)
    assert len(found["run"]) == 20 and len(found["outcome"]) == 6000 and len(found["test_case"]) == 300


def test_a_pinned_run_is_followed_as_what_it_was_pinned_from(past: Past) -> None:
    from harness.history.rows import rows

    manifest, results = past.values({"cxl/test_a:one": "PASS"}, series="one")
    before = rows(manifest, results, place="x")
    around = manifest.circumstances
    around["profile"] |= {"source": "debian:6.12=6.12.1-1", "followed_source": "debian:6.12"}
    pinned = rows(manifest, results, place="x")
    assert (pinned.run["cell"], pinned.run["source"]) == (before.run["cell"], "debian:6.12")
    around["series"] |= {"name": "v2-posted"}
    assert rows(manifest, results, place="x").run["cell"] != before.run["cell"]
    around["profile"] |= {"followed_series": "one"}
    assert rows(manifest, results, place="x").run["cell"] == before.run["cell"]
