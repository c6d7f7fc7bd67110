# SPDX-License-Identifier: GPL-2.0-only
"""``harness topology`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli.session import Session
from harness.cli.topology import command
from harness.errors import EnvironmentFailure, UserError

_PROMISED = {"none", "direct", "two-devices", "switch-4", "dcd"}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session.create(cache=tmp_path / "cache", data=tmp_path / "data", verbose=0)


def call(session: Session, *words: str) -> Result:
    return CliRunner().invoke(command, words, obj=session, catch_exceptions=True)


def test_list(session: Session) -> None:
    result = call(session, "list")
    assert result.exit_code == 0
    assert "switch-4" in result.output
    rows = json.loads(call(session, "list", "--json").output)
    assert {row["name"] for row in rows} >= _PROMISED
    assert all(row["summary"] and row["title"] for row in rows)


def test_show(session: Session) -> None:
    output = call(session, "show", "dcd").output
    assert "limit: " in output
    assert "MEMDEV_0_DYNAMIC_MIB='1024'" in output
    shown = json.loads(call(session, "show", "dcd", "--json").output)
    assert shown["device"][0]["dynamic_regions"] == 2


def test_draw(session: Session, tmp_path: Path) -> None:
    assert "└── " in call(session, "draw", "direct").output
    call(session, "draw", "direct", "--ascii").output.encode("ascii")
    picture = tmp_path / "direct.svg"
    assert call(session, "draw", "direct", "--svg", str(picture)).exit_code == 0
    assert picture.read_text() == call(session, "draw", "direct", "--svg", "-").output
    result = call(session, "draw", "direct", "--svg", str(tmp_path / "none" / "x.svg"))
    assert isinstance(result.exception, UserError)


def test_argv(session: Session) -> None:
    plain = call(session, "argv", "direct").output
    words = json.loads(call(session, "argv", "direct", "--json").output)
    assert plain.split() == words
    assert "-m 2048M\n" in call(session, "argv", "direct", "--memory", "2048").output
    assert isinstance(call(session, "argv", "two-sockets", "--cpus", "1").exception, UserError)


def test_check(session: Session, tmp_path: Path) -> None:
    assert call(session, "check").exit_code == 0
    bad = tmp_path / "bad.toml"
    bad.write_text('title = "t"\n[[cpu_node]]\ncpus = 0\nmemory_mib = 512\n')
    result = call(session, "check", "direct", str(bad))
    assert isinstance(result.exception, UserError)
    assert f"BAD   {bad}" in result.output
    rows = json.loads(call(session, "check", "direct", str(bad), "nothing", "--json").output)
    assert [row["good"] for row in rows] == [True, False, False]
    several = call(session, "check", str(bad), "nothing").exception
    assert isinstance(several, UserError)
    assert several.message == "2 topologies cannot be used"


def test_check_with_a_qemu_that_is_not_there(session: Session) -> None:
    result = call(session, "check", "direct", "--qemu", "/nowhere/qemu")
    assert isinstance(result.exception, (UserError, EnvironmentFailure))
