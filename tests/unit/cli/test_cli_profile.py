# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from click.testing import CliRunner

from harness import profile
from harness.cli.main import cli
from harness.errors import UserError
from harness.paths import default_paths


def test_the_shipped_profiles_read() -> None:
    paths = default_paths()
    for name in profile.names(paths):
        assert profile.load(name, paths=paths).suites


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown key 'topologie'; did you mean 'topology'"):
        profile.parse(b'topologie = "direct"', where="x.toml")


@pytest.mark.parametrize("text", [b"memory_mib = 1", b"cpus = 0", b"timeout_scale = 0.0", b"suites = 3", b"= broken"])
def test_a_bad_value_is_a_user_error_that_names_the_file(text: bytes) -> None:
    with pytest.raises(UserError, match=r"x\.toml"):
        profile.parse(text, where="x.toml")


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown profile 'defualt'") as error:
        profile.load("defualt", paths=default_paths())
    assert "did you mean 'default'" in str(error.value.hint)


def test_flags_override_fields_and_none_does_not() -> None:
    base = profile.Profile()
    assert profile.override(base, {"topology": "none", "series": None}).topology == "none"
    assert profile.override(base, {"series": None}).series == base.series
    with pytest.raises(UserError):
        profile.override(base, {"cpus": 0})


@pytest.mark.parametrize("command", [["run"], ["build"], ["boot"], ["bisect", "--case", "boot"]])
def test_a_named_series_brings_its_source_unless_one_was_given(command: list[str]) -> None:
    def plan(*words: str) -> str:
        return (
            CliRunner().invoke(cli, [*command, *words, "--dry-run", *(["--", "true"] * (command == ["boot"]))]).output
        )

    assert "debian:7.2" in plan("--series", "n_private-7.2")
    given = plan("--series", "n_private-7.2", "--source", "debian:6.12")
    assert "debian:6.12" in given and "debian:7.2" not in given
