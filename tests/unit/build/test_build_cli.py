# SPDX-License-Identifier: GPL-2.0-only
"""``harness config`` and ``harness build`` from end to end, on the stub tree as a developer's own checkout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli.main import cli
from harness.errors import UserError
from harness.repository import git

STUB = Path(__file__).parent / "stub"
Harness = Callable[..., Result]


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    tree, project = tmp_path / "linux", tmp_path / "project"
    shutil.copytree(STUB, tree)
    dates: dict[str, str | None] = {"GIT_AUTHOR_DATE": "@0 +0000", "GIT_COMMITTER_DATE": "@0 +0000"}
    git("init", "--quiet", cwd=tree)
    git("add", "-A", cwd=tree)
    git("commit", "--quiet", "-m", "stub", cwd=tree, env=dates)
    (project / "kconfigs").mkdir(parents=True)
    (project / "kconfigs" / "base.config.j2").write_text('#: summary = "Base"\nCONFIG_PVH=y\n')
    (project / "kconfigs" / "more.config.j2").write_text(
        '#: summary = "More"\n#: requires = ["base"]\n#: [parameters.level]\n#: type = "choice"\n'
        '#: choices = ["y", "m"]\n#: default = "m"\n#: help = "How much"\nCONFIG_DRIVER={{ level }}\nCONFIG_MODULES=y\n'
    )
    profile = project / "ci" / "profiles" / "default.toml"
    profile.parent.mkdir(parents=True)
    profile.write_text(f'source = "tree:{tree}"\nconfig = ["base"]\n')
    monkeypatch.setenv("HARNESS_PROJECT", str(project))
    folders = ["--cache-dir", str(tmp_path / "cache"), "--data-dir", str(tmp_path / "data")]

    def call(*words: str, ok: bool = True) -> Result:
        result = CliRunner().invoke(cli, [*folders, *words], catch_exceptions=not ok)
        return result

    return call


def test_fragments_are_listed_with_their_parameters(harness: Harness) -> None:
    text = harness("config", "list").output
    assert "base  Base" in text and ":level=y|m (m)  How much" in text and "requires base" in text
    rows = json.loads(harness("config", "list", "--json", "more").output)
    assert rows[0]["name"] == "more" and rows[0]["parameters"]["level"]["default"] == "m"


def test_show_prints_a_config_and_what_was_asked(harness: Harness) -> None:
    assert harness("config", "show").stdout == "CONFIG_PVH=y\nCONFIG_ALWAYS=y\n"
    text = harness("config", "show", "--requested", "--add-config", "more:level=y").stdout
    assert [line.split() for line in text.splitlines()] == [
        ["CONFIG_PVH=y", "#", "base"],
        ["CONFIG_DRIVER=y", "#", "more"],
        ["CONFIG_MODULES=y", "#", "more"],
    ]
    done = json.loads(harness("config", "show", "--json").stdout)
    assert done["options"] == {"PVH": "y", "ALWAYS": "y"}


def test_diff_says_what_differs_in_its_exit_status_too(harness: Harness) -> None:
    changed = harness("config", "diff", "profile", "profile+more")
    assert changed.stdout == "CONFIG_DRIVER  absent → m\nCONFIG_MODULES  absent → y\n"
    assert json.loads(harness("config", "diff", "base", "base", "--json").stdout) == {}


def test_diff_takes_files(harness: Harness, tmp_path: Path) -> None:
    mine = tmp_path / "mine.config"
    mine.write_text("CONFIG_PVH=y\n")
    assert harness("config", "diff", str(mine), "profile").stdout == "CONFIG_ALWAYS  absent → y\n"
    with pytest.raises(UserError, match="no configuration file"):
        harness("config", "diff", "./absent", "profile")


def test_explain_tells_everything_about_an_option(harness: Harness) -> None:
    text = harness("config", "explain", "CONFIG_NEEDS_MORE").stdout
    assert text.splitlines()[:6] == [
        "CONFIG_NEEDS_MORE (bool) is n, not in the final .config",
        "  no fragment asks for it",
        "  why: unmet dependency: MORE is n and no fragment asks for it",
        "  Kconfig:14: Needs more",
        "    depends on MORE  [does not hold]",
        "      MORE = n",
    ]
    assert "An option that conf drops" in text
    told = json.loads(harness("config", "explain", "PVH", "--json").stdout)
    assert (told["value"], told["askers"], told["why"]) == ("y", ["base"], None)
    assert "nobody asks: --config CONFIG_MORE=y" in harness("config", "explain", "MORE").stdout
    with pytest.raises(UserError, match="no option CONFIG_NEED_MORE") as caught:
        harness("config", "explain", "NEED_MORE")
    assert caught.value.hint == "nearest: CONFIG_NEEDS_MORE"


def test_build_shows_where_the_kernel_is_and_finds_it_again(harness: Harness) -> None:
    first = harness("build", "--jobs", "2").stdout
    assert first.startswith("6.12.117  built, 0 warnings") and "vmlinux" in first
    assert harness("build").stdout.startswith("6.12.117  from the cache")
    kernel = json.loads(harness("build", "--json").stdout)
    assert kernel["cached"] is True and Path(kernel["vmlinux"]).is_file()


def test_a_dry_run_does_nothing(harness: Harness, tmp_path: Path) -> None:
    text = harness("build", "--dry-run", "--add-config", "more").stdout
    assert "config  base more" in text and "make -j" in text
    assert not (tmp_path / "cache" / "store").exists()


def test_a_misspelt_fragment_is_refused_before_anything_is_fetched(harness: Harness, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown Kconfig fragment 'mroe'"):
        harness("build", "--config", "mroe")
    assert not (tmp_path / "cache" / "store").exists()
