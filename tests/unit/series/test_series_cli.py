# SPDX-License-Identifier: GPL-2.0-only
"""``harness series`` and ``harness source``: output, JSON, plans and exit statuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import series as series_command
from harness.cli import source as source_command
from harness.cli.session import Session
from harness.errors import ApplyError, UserError
from harness.paths import Paths
from harness.store import Store
from tests.unit.series.patches import change, mail, three
from tests.unit.source.trees import Kernel

Call = Callable[..., Result]


@pytest.fixture
def call(paths: Paths) -> Call:
    session = Session(paths=paths, store=Store(paths.cache), verbose=0)
    commands = {"series": series_command.command, "source": source_command.command}

    def run(*words: str) -> Result:
        return CliRunner().invoke(commands[words[0]], words[1:], obj=session, standalone_mode=False)

    return run


@pytest.fixture
def mbox(tmp_path: Path) -> str:
    (tmp_path / "s.mbox").write_bytes(b"".join(three()))
    return str(tmp_path / "s.mbox")


def test_show(call: Call, mbox: str) -> None:
    text = call("series", "show", mbox).stdout
    assert "mm: three things" in text and "   2  mm: second   (Dev <dev@example.org>)" in text
    record = json.loads(call("series", "show", mbox, "--json").stdout)
    assert [patch["number"] for patch in record["patches"]] == [1, 2, 3]


def test_escapes_in_a_title_do_not_reach_the_terminal(call: Call, tmp_path: Path) -> None:
    (tmp_path / "x.patch").write_bytes(mail("[PATCH] mm: \x1b[2Jgone\x07", change()))
    assert "\x1b" not in call("series", "show", str(tmp_path / "x.patch")).stdout


def test_list(call: Call) -> None:
    assert "harness-hello" in call("series", "list").stdout
    assert {"harness-hello", "n_private-v3"} <= {
        one["name"] for one in json.loads(call("series", "list", "--json").stdout)
    }


def test_apply_and_check(call: Call, kernel: Kernel, mbox: str) -> None:
    where = ("--source", f"tree:{kernel.path}")
    assert "mm: third" in call("series", "apply", mbox, *where).stdout
    record = json.loads(call("series", "apply", mbox, *where, "--json").stdout)
    assert len(record["commits"]) == 3 and record["base"] == kernel.git("rev-parse", "HEAD")
    checked = call("series", "check", mbox, *where)
    assert checked.return_value == 0 and "every patch applies" in checked.stdout
    assert json.loads(call("series", "check", mbox, *where, "--json").stdout)["good"] is True


def test_exit_statuses(call: Call, kernel: Kernel, tmp_path: Path) -> None:
    where = ("--source", f"tree:{kernel.path}")
    (tmp_path / "bad.patch").write_bytes(mail("[PATCH] mm: bad", change(old="int wrong;")))
    assert call("series", "check", str(tmp_path / "bad.patch"), *where).return_value == 3
    assert isinstance(call("series", "apply", str(tmp_path / "bad.patch"), *where).exception, ApplyError)
    assert isinstance(call("series", "show", "nothing").exception, UserError)
    assert isinstance(call("source", "show", "nothing:x").exception, UserError)


def test_dry_run_touches_nothing(call: Call, mbox: str, paths: Paths) -> None:
    text = call("series", "apply", mbox, "--source", "debian:6.12", "--dry-run").stdout
    assert "apt-get download linux-source-6.12" in text and "git am" in text
    assert json.loads(call("source", "show", "debian:6.12", "--dry-run", "--json").stdout)["debian:6.12"]
    assert "apt-get" in call("source", "update", "--dry-run").stdout
    assert not paths.cache.exists()


def test_source_show_and_list(call: Call, kernel: Kernel) -> None:
    text = call("source", "show", f"tree:{kernel.path}").stdout
    assert "6.12.7-rc1" in text and kernel.git("rev-parse", "HEAD") in text
    record = json.loads(call("source", "show", f"tree:{kernel.path}", "--json").stdout)
    assert record["origin"]["dirty"] == "no"
    listed = json.loads(call("source", "list", "--json").stdout)
    assert {kind["form"].split(":")[0] for kind in listed["kinds"]} == {"debian", "tarball", "git", "tree"}


def test_help_has_examples(call: Call) -> None:
    for words in [("series",), ("series", "apply"), ("source",), ("source", "show")]:
        assert "harness " in call(*words, "--help").stdout
