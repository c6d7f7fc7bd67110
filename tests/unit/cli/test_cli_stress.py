# SPDX-License-Identifier: GPL-2.0-only
"""``--stress``, ``--for`` and ``--seed``: what they come to, what they refuse, and what is told to a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.again import without
from harness.cli.run import _seed, seeded
from harness.errors import UserError
from harness.profile import Profile, override
from harness.suite import catalogue
from harness.suite.attempt import Limits

GUEST = Path(__file__).parents[2] / "guest"


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("30s", 30), ("10m", 600), ("8h", 28800)])
def test_lengths(text: str, seconds: int) -> None:
    assert override(Profile(), {"stress": text}).stress_seconds == seconds


@pytest.mark.parametrize("text", ["10", "0s", "-3m", "8 h", "1d", "999h", "10m;reboot"])
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(UserError, match="30s, 10m or 8h"):
        override(Profile(), {"stress": text})


@pytest.mark.parametrize("text", ["", "-1", "x", "1.5", "٣"])
def test_what_is_no_seed(text: str) -> None:
    with pytest.raises(UserError, match="--seed"):
        _seed(text)


def test_a_drawn_seed_is_a_number() -> None:
    assert _seed(None) is None
    assert _seed("17") == 17
    assert 0 < (_seed("random") or 0) < 1 << 31


@pytest.mark.parametrize("words", ["harness run", "harness run --seed random", "harness run --seed=5"])
def test_the_seed_is_in_the_repeat_command(words: str) -> None:
    assert seeded(words.split(), Profile(seed=9)) == ["harness", "run", "--seed", "9"]


def test_deadlines_grow_for_those_that_heed_it() -> None:
    limits = Limits(scale=2.0, stress=600, seed=3)
    assert limits.environment == {"HARNESS_SEED": "3", "HARNESS_STRESS": "600s"}
    assert Limits().environment == {"HARNESS_SEED": "1"}
    heeds = catalogue.program(GUEST / "zswap_private" / "test_stress.sh")
    does_not = catalogue.program(GUEST / "zswap_private" / "test_store.sh")
    assert limits.seconds(heeds, heeds.timeout) == (heeds.timeout + 600) * 2
    assert limits.seconds(does_not, does_not.timeout) == does_not.timeout * 2


def test_one_case_alone_is_not_added_to_what_was_selected() -> None:
    words = [
        "harness",
        "run",
        "--suite",
        "cxl",
        "--suite=zswap",
        "-k",
        "one",
        "--topology",
        "direct",
        "--case",
        "a/b:c",
    ]
    assert without(words, "--suite", "--case", "-k") == ["harness", "run", "--topology", "direct"]
