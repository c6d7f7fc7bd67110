# SPDX-License-Identifier: GPL-2.0-only
"""The whole path, as a user types it: source to verdict, and what a run leaves behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from _pytest.mark.structures import ParameterSet

from tests.vm.outcome import Harness

pytestmark = pytest.mark.vm

FEATURE_SUITES = ("private", "cpuset_private", "isolation", "zswap_private")


def test_the_default_run_passes_and_leaves_its_folder(harness: Harness) -> None:
    outcome = harness("run")
    assert outcome.status == 0, outcome.why
    results = outcome.results
    assert results["verdict"] == "PASS"
    assert not [case for case in results["cases"] if case["verdict"] == "SKIP" and not case["reason"]]
    for name in (
        "manifest.json",
        "junit.xml",
        "config",
        "series/0001.patch",
        "guests/1/console.log",
        "guests/1/dmesg.txt",
    ):
        assert (outcome.folder / name).stat().st_size > 0, name
    junit = Xml.parse(outcome.folder / "junit.xml").getroot()
    assert sum(int(suite.get("tests", "0")) for suite in junit) == len(results["cases"])
    assert list((outcome.folder / "ktap").rglob("*.ktap"))


def test_the_feature_suites_pass_beside_a_second_node(harness: Harness) -> None:
    words = [word for suite in FEATURE_SUITES if suite != "isolation" for word in ("--suite", suite)]
    outcome = harness("run", "--topology", "two-bridges", *words)
    assert outcome.status == 0, outcome.why


def test_suites_of_any_kernel_pass_on_the_patched_one(harness: Harness) -> None:
    outcome = harness("run", "--suite", "cpuset", "--suite", "zswap")
    assert outcome.status == 0, outcome.why


def test_an_unpatched_kernel_skips_every_feature_suite_and_says_why(harness: Harness) -> None:
    words = [word for suite in FEATURE_SUITES for word in ("--suite", suite)]
    outcome = harness("run", "--series", "", *words)
    assert outcome.status == 0, outcome.why
    cases = outcome.results["cases"]
    assert {case["verdict"] for case in cases if case["suite"] != "isolation"} == {"SKIP"}
    assert {case["verdict"] for case in cases if case["suite"] == "isolation"} <= {"SKIP", "PASS"}
    reasons = {case["reason"] for case in cases if case["suite"] == "private"}
    assert len(reasons) == 1 and "this kernel has no private regions" in reasons.pop()


def test_a_required_feature_that_is_not_there_fails(harness: Harness) -> None:
    outcome = harness("run", "--series", "", "--suite", "private", "--require-feature")
    assert outcome.status == 1, outcome.why
    assert set(outcome.verdicts().values()) == {"FAIL"}


@pytest.mark.long
def test_the_smallest_series_shows_itself(harness: Harness) -> None:
    outcome = harness("run", "--profile", "hello")
    assert outcome.status == 0, outcome.why
    assert {verdict for case, verdict in outcome.verdicts().items() if case.startswith("hello/")} == {"PASS"}


def _long(name: str) -> ParameterSet:
    return pytest.param(name, marks=pytest.mark.long)


@pytest.mark.parametrize(
    "topology",
    [
        "two-devices",
        "interleave-2",
        "switch-4",
        "persistent",
        "dcd",
        *map(_long, ("none", "interleave-2-hb", "mixed", "two-sockets", "two-windows", "switch-2-hb")),
    ],
)
def test_the_cxl_suite_on_each_topology(harness: Harness, topology: str) -> None:
    outcome = harness("run", "--topology", topology, "--suite", "smoke", "--suite", "cxl")
    assert outcome.status == 0, outcome.why


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_interrupted_stops_cleans_up_and_is_written(interrupted: Harness, number: signal.Signals) -> None:
    outcome = interrupted("run", "--suite", "cxl", after="PASS", number=number)
    assert outcome.status == 130, outcome.why
    assert outcome.results["interrupted"]
    assert outcome.results["verdict"] == "LOST"
    assert outcome.results["cases"], "what was known is lost"
    assert not _qemu_of(outcome.data)


def _qemu_of(data: Path) -> list[str]:
    """Commands that still run and name the test's data folder."""
    time.sleep(0.5)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(data) in text and int(process.name) != os.getpid():
            found.append(text.replace("\0", " "))
    return found
