# SPDX-License-Identifier: GPL-2.0-only
"""A history that cannot be used: a run is not the worse for it, and goes in later."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import EnvironmentFailure
from harness.history import query
from harness.history.database import History
from harness.history.finish import catch_up, note
from harness.history.place import Place
from harness.history.record import import_folders, record
from tests.unit.bad_input.conftest import Bench
from tests.unit.bad_input.test_bad_disk import namespaces, on_small_disk
from tests.unit.history.conftest import Past, Postgres, new_postgres, past

__all__ = ["namespaces", "new_postgres", "past"]

BOOT = 3  # the exit status of a run on the bench: its guest gives up


def runs_in(place: Place) -> int:
    with History(place) as history, history.reading() as connection:
        return len(query.runs(connection, query.Filter(), limit=1000))


def line_of(text: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith("history ")]
    return line


def test_a_run_is_recorded_and_says_nothing_of_it(bench: Bench) -> None:
    outcome = bench("run")
    assert outcome.status == BOOT and "\nhistory " not in outcome.text
    (row,) = json.loads(bench("history", "--json").text)
    assert (row["name"], row["verdict"]) == (outcome.runs[0].name, "BOOT")
    assert row["failure"].endswith("the guest's init gave up") or "guest" in row["failure"]


def test_one_of_a_newer_harness(bench: Bench) -> None:
    assert bench("history").status == 0
    with sqlite3.connect(bench.data / "history.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    connection.close()
    outcome = bench("run")
    assert outcome.status == BOOT
    assert "newer harness" in line_of(outcome.text) and "tries again" in line_of(outcome.text)
    shown = bench("history")
    assert shown.status == 2 and "its version is 0999" in shown.text and "→ update the harness" in shown.text


def test_one_that_is_no_database(bench: Bench) -> None:
    bench.write("data/history.sqlite", "this is a text\n" * 1000)
    outcome = bench("run")
    assert outcome.status == BOOT and "is damaged: file is not a database" in line_of(outcome.text)
    shown = bench("history")
    assert shown.status == 4 and "→ move it away" in shown.text and "harness history import" in shown.text
    (bench.data / "history.sqlite").rename(bench.data / "bad")
    assert len(json.loads(bench("history", "--json").text)) == 1, "the run is in the new one"


def test_one_that_lost_a_part(bench: Bench, past: Past) -> None:
    place = Place(file=bench.data / "history.sqlite")
    with History(place) as history:
        record(history, [past.rows({f"a/b:c{number}": "PASS" for number in range(2000)})])
    assert place.file is not None
    size = place.file.stat().st_size
    with open(place.file, "r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * (size - 4096))
    outcome = bench("run")
    assert outcome.status == BOOT and "malformed" in line_of(outcome.text)
    assert bench("history").status == 4


def test_one_that_is_locked(past: Past, tmp_path: Path) -> None:
    place = Place(file=tmp_path / "history.sqlite")
    with History(place) as history:
        record(history, [past.rows({"a/b:c": "PASS"})])
    made = past.run({"a/b:c": "FAIL"})
    holder = sqlite3.connect(tmp_path / "history.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    noted = note(made, place, runs=past.folder, busy=0.2)
    assert "locked by another process" in noted.trouble and "tries again" in noted.trouble
    assert runs_in(place) == 1, "it is read meanwhile"
    holder.execute("ROLLBACK")
    holder.close()
    with History(place) as history:
        assert catch_up(history, past.folder) == 1
    assert note(made, place, runs=past.folder).trouble == "" and runs_in(place) == 2


def test_one_where_a_folder_is(bench: Bench) -> None:
    (bench.data / "history.sqlite").mkdir(parents=True)
    outcome = bench("run")
    assert outcome.status == BOOT and "unable to open database file" in line_of(outcome.text)
    shown = bench("history")
    assert shown.status == 4 and "cannot use the history" in shown.text


def test_a_server_that_is_not_there(bench: Bench) -> None:
    url = f"postgresql://me:secret@/kernel?host={bench.folder}"
    outcome = bench("run", HARNESS_HISTORY=url)
    assert outcome.status == BOOT and "cannot use the history postgresql://me:***@" in line_of(outcome.text)
    shown = bench("--history", url, "history")
    assert shown.status == 4 and "secret" not in shown.text + outcome.text
    outcome = bench("--history", url, "run")
    manifest = outcome.runs[-1] / "manifest.json"
    assert "secret" not in manifest.read_text() and "secret" not in outcome.text


def test_a_place_that_is_none_is_refused_before_anything_is_done(bench: Bench) -> None:
    outcome = bench("run", HARNESS_HISTORY="mysql://here/there")
    assert outcome.status == 2 and "not in 'mysql'" in outcome.text and outcome.runs == []


def test_none_at_all(bench: Bench) -> None:
    assert bench("run", HARNESS_HISTORY="off").status == BOOT
    assert not (bench.data / "history.sqlite").exists()


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("size", ["128k", "192k"])
def test_a_full_disk_and_the_run_goes_in_when_there_is_room(bench: Bench, size: str) -> None:
    assert bench("build").status == 0
    command = [sys.executable, "-m", "harness", "--data-dir", str(bench.folder / "disk"), "history"]
    again = f'mount -o remount,size=50m "$disk" && {shlex.join(command)}'
    shutil.rmtree(bench.data, ignore_errors=True)
    outcome = on_small_disk(bench, size, "run", runs=True, again=again)
    assert outcome.status == 0, outcome.text
    first, _, second = outcome.text.partition(f"exit status {BOOT}\n")
    assert "not in the history yet" in line_of(first) and "disk is full" in line_of(first)
    (row,) = [line for line in second.splitlines() if line.startswith("20")]
    assert "BOOT" in row


def server_with(make: Callable[[], Postgres]) -> tuple[Postgres, Place]:
    server = make()
    return server, server.database()


def test_a_server_that_goes_away_while_a_run_is_written(past: Past, new_postgres: Callable[[], Postgres]) -> None:
    server, place = server_with(new_postgres)
    made = past.run({"a/b:c": "PASS"})
    lost = pytest.raises(EnvironmentFailure, match="cannot use the history")
    with History(place) as history, lost, history.writing() as connection:
        connection.exec_driver_sql("INSERT INTO test_case (name) VALUES ('x')")
        server.stop(signal.SIGQUIT)
        connection.exec_driver_sql("INSERT INTO test_case (name) VALUES ('y')")
    assert "not in the history yet" in note(made, place, runs=past.folder).trouble
    server.start()
    with History(place) as history, history.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM test_case").scalar() == 0, "all of it or nothing"
    later = past.run({"a/b:c": "PASS"})
    assert note(later, place, runs=past.folder).trouble == ""
    assert runs_in(place) == 2, "the one from before went in with it"


def test_a_server_that_goes_away_in_the_middle_of_an_import(past: Past, new_postgres: Callable[[], Postgres]) -> None:
    server, place = server_with(new_postgres)
    made = [past.run({"a/b:c": "PASS"}).path for _ in range(120)]
    with History(place) as history, pytest.raises(EnvironmentFailure, match="cannot use the history"):
        import_folders(history, made, tell=lambda done: server.stop(signal.SIGQUIT))
    server.start()
    assert runs_in(place) == 50, "what was told to be done is there"
    with History(place) as history:
        imported = import_folders(history, made)
    assert (imported.new, imported.known) == (70, 50)
