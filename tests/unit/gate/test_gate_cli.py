# SPDX-License-Identifier: GPL-2.0-only
"""``harness gate`` as a user types it, on the stub tree and a stand-in for QEMU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.bad_input.conftest import Bench


def series(bench: Bench, *changes: str) -> Path:
    for number, content in enumerate(changes, start=1):
        bench.commit(f"mm: {number}", {"mm/zswap.c": content})
    return bench.patches(len(changes))[0].parent


def test_a_plan_builds_nothing(bench: Bench) -> None:
    outcome = bench("gate", "--base", f"tree:{bench.tree}", "--head", series(bench, ": one\n", ": two\n"), "--boot",
                    "each", "--repeat", "3", "--dry-run")  # fmt: skip
    assert outcome.status == 0, outcome.text
    assert "suites      base and head, topology none, 3 times each in turn: smoke" in outcome.text
    assert "boot        patch 1: the same suites" in outcome.text
    assert "--repeat 4" in outcome.text and not outcome.runs
    assert not list(bench.cache.glob("store/kernel/*"))


def test_a_base_that_the_head_does_not_apply_to(bench: Bench) -> None:
    folder = series(bench, ": one\n")
    bench.commit("mm: else", {"mm/zswap.c": ": else\n"})
    outcome = bench("gate", "--base", f"tree:{bench.tree}", "--head", folder)
    assert outcome.status == 1
    assert "1. does not apply: patch 1/1 'mm: 1' does not apply" in outcome.text
    assert "choose the base that it was made for" in outcome.text
    assert bench.left_behind() == []


def test_a_base_that_the_head_does_not_build_on(bench: Bench) -> None:
    needs = (
        'grep -q helper $srctree/mm/page_alloc.c || { echo "$srctree/mm/zswap.c:1:1: error: helper" >&2; exit 1; }\n'
    )
    outcome = bench("gate", "--base", f"tree:{bench.tree}", "--head", series(bench, needs), "--json")
    assert outcome.status == 1
    report = json.loads(outcome.text[outcome.text.index("\n{") :].rsplit("run folder", 1)[0])
    assert [one["kind"] for one in report["reasons"]] == ["does not build"]
    assert report["base"]["verdicts"] == {} and report["ready"] is False


def test_a_kernel_that_does_not_boot_is_not_ready_and_the_cover_does_not_hide_it(bench: Bench) -> None:
    folder = series(bench, ": one\n")
    words = ("gate", "--base", "HEAD", "--source", f"tree:{bench.tree}", "--head", folder, "--grid", "none")
    outcome = bench(*words)
    assert outcome.status == 1
    assert "the base does not boot" in outcome.text
    outcome = bench(*words, "--format", "cover")
    assert outcome.status == 1
    assert "suites" not in outcome.text[outcome.text.index("Testing") :].split("run folder")[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--base", "tree:{tree}", "--head", "nowhere"), "unknown series 'nowhere'"),
        (("--base", "debain:6.12", "--head", "{series}"), "--base 'debain:6.12' is neither a series nor"),
        (("--base", "mastre", "--head", "{series}"), "did you mean 'master'?"),
        (("--base", "tree:{tree}", "--head", "{series}", "--source", "debian:6.12"), "is a source, and --source"),
        (("--base", "tree:{tree}", "--head", "{series}", "--suite", "smokey"), "smoke"),
        (("--base", "tree:{tree}", "--head", "{series}", "--patch", "9"), "the series has the patches 1 to 1"),
        (("--head", "{series}"), "--base"),
    ],
)
def test_names_that_are_wrong(bench: Bench, words: tuple[str, ...], said: str) -> None:
    folder = series(bench, ": one\n")
    outcome = bench("gate", *(word.format(tree=bench.tree, series=folder) for word in words))
    assert outcome.status == 2, outcome.text
    assert said in outcome.text
    assert not list(bench.cache.glob("store/kernel/*"))


def test_a_stage_with_a_suite_that_is_not_there(bench: Bench) -> None:
    folder = series(bench, ": one\n")
    (folder / "series.toml").write_text(
        'title = "one"\n[[stages]]\npatches = [1]\nsuites = ["smokey"]\nreason = "half there"\n'
    )
    outcome = bench("gate", "--base", f"tree:{bench.tree}", "--head", str(folder))
    assert outcome.status == 2 and "smokey" in outcome.text, outcome.text
    assert not list(bench.cache.glob("store/kernel/*"))


def test_the_default_profile_goes_before_others_that_name_the_series(bench: Bench) -> None:
    patches = series(bench, ": one\n").rename(bench.project / "patches" / "ours")
    (patches / "series.toml").write_text('title = "ours"\n')
    default = bench.project / "ci" / "profiles" / "default.toml"
    ours = f'series = "ours"\n{default.read_text()}'
    bench.write(
        "project/ci/profiles/debug.toml", ours.replace('config = ["base"]', 'config = ["base", "CONFIG_MORE=y"]')
    )
    words = ("gate", "--base", f"tree:{bench.tree}", "--head", "ours", "--dry-run")
    assert "config      base CONFIG_MORE=y\n" in bench(*words).text
    default.write_text(ours)
    assert "config      base\n" in bench(*words).text
