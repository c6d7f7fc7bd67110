# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.history.record import record
from harness.history.rows import rows
from harness.results.record import Failure
from harness.site import cases, lists
from harness.site.make import make
from harness.site.state import FILE
from tests.unit.site.conftest import SPLAT, World, add_guest, add_topology, case_of, check_site, rerun_of

CASE = "zswap/test_store:swapoff"


def stamps(out: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in out.rglob("*.html")}


def test_an_empty_history_has_an_overview(world: World) -> None:
    made = world.make()
    assert made.runs == 0
    pages = check_site(world.out)
    assert "There is no run yet" in pages[made.index].text


def test_what_failed_is_shown_with_its_console_and_its_case(world: World) -> None:
    add_topology(world.past.run({CASE: "PASS", "smoke/test_boot:version": "PASS"}))
    bad = world.past.run(
        [case_of(CASE, "CRASH", reason="the kernel complained"), case_of("smoke/test_boot:version")],
        reruns=(rerun_of(CASE, "PASS"),),
    )
    add_guest(bad, SPLAT)
    add_topology(bad)
    made = world.make()
    pages = check_site(world.out)
    index = pages[made.index]
    assert "1 of 1 cells do not pass" in index.text and CASE in index.text
    shown = next(page for file, page in pages.items() if file.name.startswith(bad.name) and ".guest" not in file.name)
    assert "1 broken" in shown.text and "the kernel complained" in shown.text and "on a fresh guest" in shown.text
    assert any(".guest-1.html#c0" in link for link in shown.links)
    console = pages[world.page(".guest-1.html")]
    assert '<mark id="s0">' in console.text and "zswap_store" in console.text
    case = pages[next((world.out / "cases").glob("zswap*.html"))]
    assert "passed 1 of 2 runs" in case.text and "flaky" in case.text
    compared = pages[world.page("compare/")]
    assert CASE in compared.text and "broken" in compared.text
    drawing = next((world.out / "topologies").glob("switch-4*.svg")).read_text()
    assert drawing.startswith("<svg")


def test_a_run_without_cases_says_why(world: World) -> None:
    world.past.run({}, failure=Failure(verdict="BUILD", message="mm/zswap.c does not build", details=("error: x",)))
    world.make()
    pages = check_site(world.out)
    run = pages[world.page("runs/")]
    assert "mm/zswap.c does not build" in run.text and "error: x" in run.text


def test_a_second_time_nothing_is_written_and_a_new_run_writes_its_own(world: World) -> None:
    for _ in range(3):
        world.past.run({CASE: "PASS"})
    world.past.run({CASE: "PASS"}, topology="switch-4")
    world.make()
    before = stamps(world.out)
    again = world.make()
    assert (again.new, again.written) == (0, 0)
    assert stamps(world.out) == before
    world.past.run({CASE: "FAIL"})
    made = world.make()
    assert made.new == 1
    after = stamps(world.out)
    moved = {file.relative_to(world.out).parts[0] for file in after if after[file] != before.get(file)}
    assert {"index.html", "runs.html", "cases", "cells", "compare", "runs"} <= moved
    old = [file for file in before if file.parent.name == "runs"]
    assert len(old) == 4 and all(after[file] == before[file] for file in old)
    assert sum(after[file] != before.get(file) for file in after if file.parent.name == "cells") == 1
    check_site(world.out)


def test_a_rerun_that_comes_later_and_a_run_imported_late_are_seen(world: World) -> None:
    first = world.past.values([case_of(CASE)])
    world.past.run({CASE: "FAIL"})
    world.make()
    record(world.history, [rows(*first, place="/elsewhere/run")])
    made = world.make()
    assert made.new == 1
    pages = check_site(world.out)
    late = next(page for file, page in pages.items() if first[1].run in file.name and file.parent.name == "runs")
    assert "is not here" in late.text
    later = pages[world.page("compare/")]
    assert "broken" in later.text


def test_the_page_of_a_run_outlives_its_folder(world: World) -> None:
    bad = world.past.run([case_of(CASE, "FAIL", reason="a word of it")])
    add_guest(bad, SPLAT)
    world.make()
    shutil.rmtree(bad.path)
    made = world.make()
    assert made.written == 0 and world.page(".guest-1.html").exists()
    world.past.made.clear()
    world.past.run({CASE: "PASS"})
    world.make()
    assert world.make(afresh=True).new == 2
    pages = check_site(world.out)
    run = next(page for file, page in pages.items() if file.match(f"runs/{bad.name}-????????.html"))
    assert "is not here" not in run.text and any(".guest-1.html" in link for link in run.links)


def test_another_history_makes_it_anew(world: World, tmp_path: Path) -> None:
    world.past.run({CASE: "PASS"})
    world.make()
    assert world.make(afresh=True).new == 1
    (world.out / FILE).write_text("{}")
    assert world.make().new == 1
    (world.out / FILE).write_text("not json")
    assert world.make().new == 1


def test_the_list_of_cases_is_cut_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "CASES", 4)
    world.past.run({f"a/b:c{number}": "FAIL" if number == 8 else "PASS" for number in range(9)})
    world.make()
    pages = check_site(world.out)
    assert [
        pages[world.out / name].text.count("<tr><td>") for name in ("cases.html", "cases-2.html", "cases-3.html")
    ] == [
        4,
        4,
        1,
    ]
    assert "a/b:c8" in pages[world.out / "cases.html"].text


def test_a_nightlys_summary_comes_along(world: World, tmp_path: Path) -> None:
    night = tmp_path / "nightly" / "six" / "nights" / "20261121-193008-59916"
    night.mkdir(parents=True)
    (night / "summary.html").write_text("<!DOCTYPE html><title>a night</title>")
    (night / "summary.txt").write_text("[nightly six] PASS: 6 of 6 <cells> passed\n\nmore\n")
    world.past.run({CASE: "PASS"})
    made = world.make(nightlies=tmp_path / "nightly")
    text = (world.out / "nights.html").read_text()
    assert "6 of 6 &lt;cells&gt; passed" in text and "more" not in text.partition("6 of 6")[2]
    assert len(list((world.out / "nights").glob("six-20261121*.html"))) == 1
    assert made.written > 0 and world.make(nightlies=tmp_path / "nightly").written == 0


def test_a_folder_of_something_else_is_not_touched(world: World) -> None:
    world.out.mkdir()
    (world.out / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="not empty and no site"):
        world.make()
    assert [file.name for file in world.out.iterdir()] == ["thesis.tex"]


def test_an_interrupted_making_goes_on(world: World) -> None:
    for _ in range(3):
        world.past.run({CASE: "PASS"})

    def interrupted(what: str, done: int, total: int) -> None:
        if (what, done) == ("runs", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.make(tell=interrupted)
    assert not (world.out / "index.html").exists()
    assert world.make().new == 3
    check_site(world.out)


def test_the_way_of_a_case_is_cut_into_parts_that_stay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "PART", 4)
    monkeypatch.setattr(lists, "RUNS", 4)
    for number in range(18):
        world.past.run({CASE: "FAIL" if number == 5 else "PASS"})
    world.make()
    pages = check_site(world.out)
    parts = sorted(file.name for file in (world.out / "cases").iterdir())
    assert len(parts) == 4  # 4 + 4 + 4, and the newest 6
    rows = [len(pages[world.out / "cases" / name].text.split("<tr><td>")) - 1 for name in parts]
    assert sorted(rows) == [4, 4, 4, 6]
    assert (world.out / "runs-3.html").exists() and not (world.out / "runs-4.html").exists()
    before = stamps(world.out)
    for _ in range(2):
        world.past.run({CASE: "PASS"})
    world.make()
    after = stamps(world.out)
    pages = check_site(world.out)
    assert len(list((world.out / "cases").iterdir())) == 5
    first = [file for file in after if file.name.endswith((".1.html", ".2.html"))]
    assert len(first) == 2 and all(after[file] == before[file] for file in first)


def test_step_by_step_or_at_once_it_is_the_same_site(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "PART", 4)
    monkeypatch.setattr(lists, "RUNS", 4)
    late = [world.past.values({CASE: "FAIL", "a/b:c": "PASS"}, topology="switch-4") for _ in range(2)]
    for step in (1, 3, 4, 1, 1, 5, 0, 2):
        for _ in range(step):
            number = world.past.number
            rare = {"rare/one:case": "PASS"} if number % 4 == 0 else {}
            found = {CASE: "FAIL" if number % 5 == 0 else "PASS"} | rare
            world.past.run(found, topology="direct" if number % 3 else "switch-4")
        if step == 0:
            record(world.history, [rows(*one, place="/elsewhere/run") for one in late])
        world.make()
        whole = tmp_path / f"whole-{world.past.number}-{step}"
        make(world.history, whole)
        for file in whole.rglob("*.*"):
            if file.name != FILE and file.is_file():
                assert (world.out / file.relative_to(whole)).read_bytes() == file.read_bytes(), file
        assert {file.relative_to(whole) for file in whole.rglob("*")} == {
            file.relative_to(world.out) for file in world.out.rglob("*")
        }
    check_site(world.out)
