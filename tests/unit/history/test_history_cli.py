# SPDX-License-Identifier: GPL-2.0-only
"""The commands on a data folder with runs that no history has seen yet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import cli
from harness.errors import UserError
from tests.unit.history.conftest import Past, case_of, rerun_of

NAME = "zswap/test_store:swapoff"


@pytest.fixture
def data(past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder: passed twice, then another series breaks a case; a rerun of the last passes."""
    monkeypatch.delenv("HARNESS_HISTORY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    new: dict[str, Any] = {"digest": "22" * 32, "commit": "c2" * 20}
    past.run({NAME: "PASS", "cxl/test_a:one": "PASS"})
    past.run({NAME: "PASS", "cxl/test_a:one": "FAIL"}, topology="switch-4")
    past.run([case_of(NAME, "FAIL", reason="5 pages"), case_of("cxl/test_a:one")], **new)
    past.run([case_of(NAME, "FAIL", reason="6 pages")], **new, reruns=(rerun_of(NAME, "FAIL"),))
    return tmp_path


def shown(data: Path, capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert (cli.main(["--data-dir", str(data), *words], standalone_mode=False) or 0) == status
    return capsys.readouterr().out


def test_runs_are_listed_the_newest_first(data: Path, past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(data, capsys, "history").splitlines()
    assert [line.split()[0] for line in lines[1:]] == [one.name for one in reversed(past.made)]
    assert "FAIL" in lines[1] and "22222222" in lines[1] and "direct" in lines[1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--topology", "switch*"], [1]),
        (["--verdict", "pass"], [0]),
        (["--series", "2222"], [3, 2]),
        (["--series", "c1c1"], [1, 0]),
        (["--series", "on?"], [3, 2, 1, 0]),
        (["--series", "other"], []),
        (["--since", "1h"], []),
        (["--since", "2026-09-01", "--limit", "1"], [3]),
    ],
)
def test_runs_are_chosen(
    data: Path, past: Past, capsys: pytest.CaptureFixture[str], words: list[str], expected: list[int]
) -> None:
    found = json.loads(shown(data, capsys, "history", "--json", *words))
    assert [one["name"] for one in found] == [past.made[number].name for number in expected]


def test_a_case_has_its_rate_its_last_change_and_its_first_failing_series(
    data: Path, past: Past, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(data, capsys, "history", "--case", NAME)
    assert "broken: passed 1 of 3 runs (33%); now FAIL" in text
    assert f"first failing  {past.made[2].name}" in text and "series one 222222222222, commit c2c2c2c2c2c2" in text
    assert f"last passing   {past.made[0].name}" in text
    assert "passing: passed 1 of 1 runs (100%); now PASS" in text, "on the other topology"
    lines = [line for line in text.splitlines() if line.startswith(past.made[3].name)]
    assert len(lines) == 1 and "6 pages" in lines[0] and "FAIL     FAIL" in lines[0], "the verdict, then the rerun's"


def test_a_case_as_json(data: Path, past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = json.loads(shown(data, capsys, "history", "--case", "swapoff", "--json"))
    assert (one["state"], one["passed"], one["ran"]) == ("broken", 1, 3)
    assert one["first_bad"]["name"] == past.made[2].name and one["first_bad"]["series_digest"] == "22" * 32
    assert other["cell"] == "debian:6.12 + one, switch-4, tcg" and len(one["outcomes"]) == 3


def test_several_cases_are_a_table_with_the_bad_ones_first(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(data, capsys, "history", "--case", "*", "--topology", "direct")
    rows = [line.split() for line in text.splitlines()[2:]]
    assert [(row[0], row[1], row[2]) for row in rows] == [(NAME, "broken", "1/3"), ("cxl/test_a:one", "passing", "2/2")]


def test_two_runs_are_compared(data: Path, past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(data, capsys, "compare", past.made[0].name, "last~1", status=1)
    assert "series_digest: 111111111111 → 222222222222" in text
    assert "broken 1" in text and "5 pages" in text and "1 case with the same verdict" in text
    value = json.loads(shown(data, capsys, "compare", str(past.made[2].path), "last", "--json"))
    assert [one["case"] for one in value["gone"]] == ["cxl/test_a:one"] and not value["worse"]


def test_what_is_not_there_is_said(data: Path, past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["history", "--case", "zswap/test_store:swapof_"], "has no case"),
        (["history", "--since", "yesterday"], "--since is 'yesterday'"),
        (["history", "--verdict", "CRSAH"], "no verdict 'CRSAH'"),
        (["compare", "last~9", "last"], "no run 'last~9'"),
        (["compare", past.made[0].name[:6], "last"], "4 runs are meant"),
        (["--history", "off", "history"], "there is no history"),
    ):
        with pytest.raises(UserError, match=said):
            shown(data, capsys, *words)


def test_folders_of_another_machine_are_imported(data: Path, past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    (past.made[1].path / "results.json").write_text("{")
    words = ["--history", str(data / "other.sqlite"), "history", "import"]
    text = shown(data, capsys, *words, str(past.folder), str(data / "none"), status=2)
    assert text.startswith("3 imported, 0 known already, 2 left out")
    text = shown(data, capsys, *words, str(past.made[0].path))
    assert text.startswith("0 imported, 1 known already:")


def test_the_history_is_not_imported_for_other_commands() -> None:
    import subprocess
    import sys

    code = "import sys, harness.cli.main, harness.cli.run, harness.cli.history, harness.cli.compare, harness.run\n"
    code += "import harness.cli.summary\n"
    code += "sys.exit(','.join(name for name in ('sqlalchemy', 'alembic', 'psycopg') if name in sys.modules) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, b"")
