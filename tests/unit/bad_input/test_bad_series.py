# SPDX-License-Identifier: GPL-2.0-only
"""A series that cannot be read or applied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.bad_input.conftest import Bench


@pytest.fixture
def series(bench: Bench) -> list[Path]:
    """Three patches that apply in their order."""
    bench.commit("mm: one", {"mm/one.c": "int one;\n"})
    bench.commit("mm: two", {"mm/two.c": "int two;\nint more;\n"})
    bench.commit("mm: three", {"mm/two.c": "int three;\nint more;\n"})
    return bench.patches(3)


def test_the_whole_series_gets_as_far_as_the_guest(bench: Bench, series: list[Path]) -> None:
    outcome = bench("run", "--series", series[0].parent)
    assert outcome.results["verdict"] == "BOOT", outcome.text
    assert outcome.status == 3 and "3 patches applied" in outcome.text
    assert len(list((outcome.runs[0] / "series").iterdir())) == 3


@pytest.mark.parametrize("content", [b"hello\nworld\n", b"", bytes(range(256)) * 20])
def test_an_mbox_that_is_none(bench: Bench, content: bytes) -> None:
    path = bench.write("series.mbox", content)
    outcome = bench("run", "--series", path)
    assert outcome.status == 2, outcome.text
    assert "series.mbox" in outcome.text and "→" in outcome.text
    assert outcome.results["verdict"] == "INFRA"
    assert bench.left_behind() == []


def test_a_patch_missing_from_the_numbering(bench: Bench, series: list[Path]) -> None:
    series[1].unlink()
    outcome = bench("run", "--series", series[0].parent)
    assert outcome.status == 2, outcome.text
    assert "patch is missing from the series: 2/3" in outcome.text and "→ it has 2 of 3" in outcome.text
    assert outcome.results["verdict"] == "INFRA"
    assert bench.left_behind() == []


def test_a_patch_that_does_not_apply(bench: Bench, series: list[Path]) -> None:
    series[1].write_bytes(series[1].read_bytes().replace(b"+int two;", b"+int 2wo;"))
    before = bench.git("status", "--porcelain", "--branch"), bench.git("rev-parse", "HEAD")
    outcome = bench("run", "--series", series[0].parent)
    assert outcome.status == 3, outcome.text
    for said in ("patch 3/3 'mm: three'", "mm/two.c, hunk 1 of 1", "error: patch failed: mm/two.c:1", "→"):
        assert said in outcome.text
    assert outcome.results["verdict"] == "APPLY"
    assert len(list(outcome.runs[0].glob("series/*.patch"))) == 3
    decides = json.loads((outcome.runs[0] / "manifest.json").read_text())["decides"]
    assert decides["source"]["commit"] and len(decides["series"]["patches"]) == 3 and "kernel" not in decides
    assert (bench.git("status", "--porcelain", "--branch"), bench.git("rev-parse", "HEAD")) == before
    assert bench.left_behind() == []
    series[1].write_bytes(series[1].read_bytes().replace(b"+int 2wo;", b"+int two;"))
    again = bench("build", "--series", series[0].parent)
    assert again.status == 0, "the worktree was not left clean: " + again.text


def test_a_patch_that_does_not_build(bench: Bench) -> None:
    broken = "echo 'mm/zswap.c:1:1: error: no such luck' >&2\nexit 1\n"
    bench.commit("mm: zswap: break it", {"mm/zswap.c": broken})
    (patch,) = bench.patches(1)
    outcome = bench("run", "--series", patch.parent)
    assert outcome.status == 3, outcome.text
    assert "no such luck" in outcome.text and outcome.results["verdict"] == "BUILD"
    (folder,) = outcome.runs
    for kept in ("config", "series/0001.patch", "failure.log"):
        assert (folder / kept).stat().st_size, kept
    assert json.loads((folder / "manifest.json").read_text())["decides"]["config"]["digest"]
    assert bench.left_behind() == []


def test_an_unknown_series_is_refused_before_a_run_begins(bench: Bench) -> None:
    bench.write("project/patches/harness-hello/series.toml", 'title = "x"\n')
    outcome = bench("run", "--series", "harness-helo")
    assert outcome.status == 2 and "did you mean 'harness-hello'?" in outcome.text
    assert outcome.runs == []
