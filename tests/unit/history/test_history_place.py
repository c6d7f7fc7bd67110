# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UserError
from harness.history import place
from harness.paths import Paths


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("HARNESS_HISTORY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return Paths(project=tmp_path, cache=tmp_path / "cache", data=tmp_path / "data")


def configured(tmp_path: Path, text: str) -> None:
    file = tmp_path / "home" / "n_private-harness" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)


def test_it_is_a_file_in_the_data_folder_where_nothing_is_said(paths: Paths) -> None:
    assert place.choose(None, paths=paths) == place.Place(file=paths.data / "history.sqlite")


def test_a_flag_goes_before_the_environment_and_that_before_the_configuration(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(tmp_path, 'history = "postgresql://team@db/kernel"\n')
    assert place.choose(None, paths=paths) == place.Place(url="postgresql://team@db/kernel")
    monkeypatch.setenv("HARNESS_HISTORY", "postgres://env@db/kernel")
    assert place.choose(None, paths=paths) == place.Place(url="postgresql://env@db/kernel")
    assert place.choose("/srv/h.sqlite", paths=paths) == place.Place(file=Path("/srv/h.sqlite"))
    assert place.choose("sqlite:////srv/h.sqlite", paths=paths) == place.Place(file=Path("/srv/h.sqlite"))
    assert place.choose("off", paths=paths) is None


@pytest.mark.parametrize(
    ("text", "said"), [("mysql://x/y", "not in 'mysql'"), ("postgressql://x/y", "not in"), ("sqlite:///", "no file")]
)
def test_what_is_no_place_is_refused(paths: Paths, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        place.choose(text, paths=paths)
    assert "postgresql://" in str(error.value.hint)


@pytest.mark.parametrize("text", ["histroy = 1\n", "history = 1\n", "history\n", "\xff"])
def test_a_faulty_configuration_is_named(paths: Paths, tmp_path: Path, text: str) -> None:
    configured(tmp_path, text)
    with pytest.raises(UserError, match=r"config\.toml"):
        place.choose(None, paths=paths)


def test_a_password_is_never_shown() -> None:
    one = place.Place(url="postgresql://me:secret@db/kernel")
    assert str(one) == "postgresql://me:***@db/kernel"
    assert place.hidden("--history=postgresql://me:secret@db/k") == "--history=postgresql://me:***@db/k"
    assert place.hidden("git:https://host/x:y@v6") == "git:https://host/x:y@v6"
