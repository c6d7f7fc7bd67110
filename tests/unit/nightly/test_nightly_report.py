# SPDX-License-Identifier: GPL-2.0-only
"""The reports of a night: text, page, JUnit and KCIDB, of the same night with everything in it."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Xml

import jsonschema
import pytest
from kcidb_io import schema

from harness import nightly
from harness.cli.main import cli
from harness.history.place import Place
from harness.nightly import kcidb
from harness.nightly.files import junit, page, write
from harness.nightly.remember import of_history
from harness.nightly.report import NightReport, as_data, text
from tests.unit.history.conftest import Past
from tests.unit.nightly.conftest import Bench


@pytest.fixture
def found(bench: Bench) -> NightReport:
    """A second night in which one topology fails that did not, one crashes, one passes, and a series has no kernel."""
    bench.matrix = bench.matrix.replace('"harness-hello"]', '"harness-hello", "gone"]')
    more = '[series]\ngone = "git:/nowhere@a..b"\n'
    bench.night(more)
    bench.behave(direct="FAIL", switch_4="crash")
    bench.move("second")
    found = bench.night(more)[1]
    assert found is not None
    return found


def test_the_text_fits_a_mail(found: NightReport, golden: Callable[[Path, str], None]) -> None:
    said = text(found)
    said = re.sub(r"\d{8}-\d{6}-\w{5}", "RUN", said)
    said = re.sub(r"\([0-9a-f]{12}\)", "(COMMIT)", said)
    said = re.sub(r"(\d+ h )?(\d+ min )?\b\d+(\.\d)? s\b", "N s", said)
    said = re.sub(r"\w{3} \d+ \w{3} \d{4} \d\d:\d\d", "DAY", said)
    said = re.sub(r"as on .*", "as on DAY", said)
    golden(Path(__file__).parent / "golden/summary.txt", said)
    assert "\x1b" not in said


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else(found: NightReport) -> None:
    html = page(found)
    read = _Page()
    read.feed(html)
    assert "it <does> not & it's red" in read.text, "text of a guest is text"
    assert "\x1b" not in html
    assert set(read.tags).isdisjoint({"script", "link", "img", "iframe"})
    assert read.links and all(link.startswith("#") and link[1:] in read.ids for link in read.links)
    assert html.count("<tr>") == 10


def test_junit(found: NightReport) -> None:
    root = Xml.fromstring(junit(found))
    suites = {element.get("name"): element for element in root}
    assert suites["none, none: smoke"].get("failures") == "0"
    assert suites["none, direct: smoke"].get("failures") == "1"
    assert suites["none, switch-4"].get("errors") == "1"
    for suite in root:
        assert int(suite.get("tests", "0")) == len(suite.findall("testcase"))


def test_kcidb_is_valid_and_says_what_was_seen(found: NightReport) -> None:
    data = kcidb.kcidb(found)
    schema.LATEST.validate(data)
    assert len(data["checkouts"]) == 3 and len(data["builds"]) == 2
    assert [one["valid"] for one in data["checkouts"]].count(False) == 1
    ids = [one["id"] for kind in ("checkouts", "builds", "tests") for one in data[kind]]
    assert len(ids) == len(set(ids))
    known = {one["id"] for one in data["builds"]}
    assert {one["build_id"] for one in data["tests"]} == known
    statuses = {(one["environment"]["misc"]["cell"], one["path"], one["status"]) for one in data["tests"]}
    assert ("none, direct", "smoke.test_x.works", "FAIL") in statuses
    assert ("none, none", "smoke.test_x.works", "PASS") in statuses
    assert ("none, switch-4", "run", "MISS") in statuses
    assert {one["status"] for one in data["builds"]} == {"PASS"}


def test_the_schema_refuses_what_is_not_kcidb(found: NightReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kcidb._STATUS, "PASS", "WONDERFUL")
    with pytest.raises(jsonschema.ValidationError, match="WONDERFUL"):
        kcidb.kcidb(found)


def test_all_files(found: NightReport, tmp_path: Path) -> None:
    files = write(found, tmp_path)
    assert [file.name for file in files] == ["summary.txt", "summary.html", "junit.xml", "kcidb.json"]
    assert json.loads(files[3].read_text())["version"]["major"] == schema.LATEST.major
    json.dumps(as_data(found))


def test_a_kernel_that_does_not_build_is_a_build_that_fails(bench: Bench) -> None:
    bench.behave(harness_hello="BUILD")
    found = bench.night()[1]
    assert found is not None
    data = kcidb.kcidb(found)
    assert sorted(one["status"] for one in data["builds"]) == ["FAIL", "PASS"]
    assert "BUILD" in text(found) and "as 'harness-hello, none'" in text(found)


def test_cells_as_before(bench: Bench) -> None:
    bench.night()
    bench.matrix = bench.matrix.replace('"switch-4"]', '"switch-4", "mixed"]')
    found = bench.night()[1]
    assert found is not None
    assert "as before none, direct" in text(found)
    assert len(Xml.fromstring(junit(found)).findall(".//skipped")) == 6
    page(found)


def test_the_command(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    file = bench.write()
    common = [
        "--cache-dir",
        str(bench.paths.cache),
        "--data-dir",
        str(bench.paths.data),
        "nightly",
        str(file),
        "--dry-run",
    ]
    assert cli.main(common, standalone_mode=False) == 0
    shown = capsys.readouterr().out
    assert "2 kernels, built once" in shown and "6 cells in this order" in shown
    cli.main([*common, "--json"], standalone_mode=False)
    plan = json.loads(capsys.readouterr().out)
    assert len(plan["cells"]) == 6 and plan["kernels"] == 2
    assert not (bench.paths.data / "nightly").exists(), "a dry run leaves nothing"


def test_the_view_redraws_or_says(bench: Bench) -> None:
    shown = io.StringIO()
    view = nightly.NightView(shown, live=False)
    view.say("a line \x1b[31mof a guest")
    view.close()
    assert shown.getvalue() == "a line of a guest\n"


def test_an_interrupted_night_says_so(found: NightReport) -> None:
    assert dataclasses.replace(found, interrupted=True).title.startswith("[nightly stub] interrupted: 2 of 9 cells")


def test_a_history_that_is_away_costs_the_night_nothing(bench: Bench) -> None:
    found, trouble = of_history(["20260101-000000-00000"], Place(url="postgresql://x@127.0.0.1:1/x"), paths=bench.paths)
    assert found == {} and trouble.startswith("the history is not complete: ")


def test_the_history_says_what_is_new(bench: Bench) -> None:
    past = Past(bench.paths.runs)
    runs = [past.run({"cxl/test_a:one": verdict}, topology="direct") for verdict in ("PASS", "PASS", "FAIL")]
    found, trouble = of_history([runs[-1].name], Place(file=bench.root / "history.sqlite"), paths=bench.paths)
    assert trouble == ""
    assert found[runs[-1].name].failures["cxl/test_a:one"].kind == "flaky", "the same inputs passed"
