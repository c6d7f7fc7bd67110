# SPDX-License-Identifier: GPL-2.0-only
"""A tarball that is not what it should be."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest

from tests.unit.bad_input.conftest import Bench


@pytest.fixture
def tarball(bench: Bench) -> Path:
    """The stub tree as a source archive."""
    path = bench.folder / "linux.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(bench.tree, arcname="linux-6.12", filter=lambda member: None if "/.git" in member.name else member)
    return path


def test_the_whole_tarball_gets_as_far_as_the_guest(bench: Bench, tarball: Path) -> None:
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    outcome = bench("run", "--source", f"tarball:{tarball}#sha256={digest}")
    assert outcome.results["verdict"] == "BOOT", outcome.text


def test_cut_short(bench: Bench, tarball: Path) -> None:
    data = tarball.read_bytes()
    tarball.write_bytes(data[: len(data) // 2])
    outcome = bench("run", "--source", f"tarball:{tarball}")
    assert outcome.status == 2, outcome.text
    assert f"error: {tarball} is cut short" in outcome.text and "→ download it again" in outcome.text
    assert outcome.results["verdict"] == "INFRA" and "cut short" in outcome.results["failure"]["message"]
    assert bench.left_behind() == []


def test_wrong_digest(bench: Bench, tarball: Path) -> None:
    wrong = "0" * 64
    outcome = bench("run", "--source", f"tarball:{tarball}#sha256={wrong}")
    assert outcome.status == 2, outcome.text
    right = hashlib.sha256(tarball.read_bytes()).hexdigest()
    assert f"its SHA-256 is {right}, expected {wrong}" in outcome.text and "→" in outcome.text
    assert outcome.results["verdict"] == "INFRA"
    assert bench.left_behind() == []


def test_a_digest_that_is_none_and_a_file_that_is_not_there(bench: Bench, tarball: Path) -> None:
    outcome = bench("source", "show", f"tarball:{tarball}#sha256=abc")
    assert outcome.status == 2 and "64 hex digits" in outcome.text
    outcome = bench("source", "show", "tarball:nowhere.tar.xz")
    assert outcome.status == 2 and "nowhere.tar.xz" in outcome.text


def test_a_misspelt_kind_is_refused_before_a_run_begins(bench: Bench) -> None:
    outcome = bench("run", "--source", "tarbal:linux.tar")
    assert outcome.status == 2 and "did you mean 'tarball:linux.tar'?" in outcome.text
    assert outcome.runs == []
