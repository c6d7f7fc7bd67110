# SPDX-License-Identifier: GPL-2.0-only
"""``harness site`` on a data folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import cli
from harness.errors import EnvironmentFailure, UserError
from tests.unit.site.conftest import Past, check_site


@pytest.fixture
def data(past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HARNESS_HISTORY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    past.run({"a/b:c": "PASS"})
    past.run({"a/b:c": "FAIL"})
    return tmp_path


def shown(data: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert not cli.main(["--data-dir", str(data), "site", *words], standalone_mode=False)
    return capsys.readouterr().out


def test_into_the_data_folder(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(data, capsys).splitlines()
    assert said[0].startswith("2 runs, 2 new;") and said[1] == str(data / "site" / "index.html")
    check_site(data / "site")
    assert shown(data, capsys).startswith("2 runs, none new; 0 files written")


def test_elsewhere_and_as_json(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(shown(data, capsys, "--out", str(data / "www" / "site"), "--json"))
    assert (found["runs"], found["new"]) == (2, 2) and Path(found["index"]).is_file()


def test_any_two_runs_are_compared(data: Path, past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    past.run({"a/b:c": "PASS"}, topology="switch-4")
    page = Path(shown(data, capsys, "--compare", past.made[0].name, "last").splitlines()[1])
    assert "switch-4" in page.read_text() and "direct" in page.read_text()
    check_site(data / "site")
    with pytest.raises(UserError, match="no run 'nothing'"):
        shown(data, capsys, "--compare", "nothing", "last")


def test_a_folder_that_cannot_be_one(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="no site of the harness"):
        shown(data, capsys, "--out", str(data))
    (data / "file").touch()
    with pytest.raises((UserError, EnvironmentFailure), match="file"):
        shown(data, capsys, "--out", str(data / "file" / "site"))
    with pytest.raises(UserError, match="it is 'off'"):
        cli.main(["--data-dir", str(data), "--history", "off", "site"], standalone_mode=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_said_and_nothing_is_half(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = data / "site"
    shown(data, capsys)
    text = (out / "index.html").read_text()
    (out / "index.html").unlink()
    (out / ".index.html.new").symlink_to("/dev/full")
    with pytest.raises(EnvironmentFailure, match="full"):
        shown(data, capsys, "--afresh")
    assert not (out / "index.html").exists()
    (out / ".index.html.new").unlink()
    shown(data, capsys, "--afresh")
    assert (out / "index.html").read_text() == text
