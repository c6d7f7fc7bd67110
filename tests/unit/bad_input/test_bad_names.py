# SPDX-License-Identifier: GPL-2.0-only
"""Misspelt names, in fragments too, and suites that hold nothing: refused before a run begins wherever that can be."""

from __future__ import annotations

import pytest

from tests.unit.bad_input.conftest import Bench

FRAGMENT = """#: summary = "More"
#: [parameters.level]
#: type = "choice"
#: choices = ["y", "m"]
#: default = "y"
#: help = "How much"
CONFIG_MISPELT={{ level }}
"""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--profile", "defualt"), "unknown profile 'defualt'|did you mean 'default'?"),
        (("--profile", "nowhere/mine.toml"), "there is no profile file nowhere/mine.toml|by name there are: default"),
        (("--topology", "dirct"), "unknown topology 'dirct'|did you mean 'direct'?"),
        (("--suite", "smoek"), "unknown suite 'smoek'|did you mean 'smoke'?"),
        (("--suite", "smoke/test_onee"), "unknown program of the suite 'smoke' 'test_onee'|did you mean 'test_one'?"),
        (("--case", "smoke/test_one:onne"), "unknown case of smoke/test_one 'onne'|did you mean 'one'?"),
        (("--suite", "smoke", "-k", "nothing"), "no case is selected|-k 'nothing'"),
        (("--config", "bsae"), "unknown Kconfig fragment 'bsae'|did you mean 'base'?"),
        (("--add-config", "more:levle=y"), "unknown parameter of the fragment 'more' 'levle'|did you mean 'level'?"),
        (("--add-config", "more:level=x"), "more:level 'x'|known: m, y"),
        (("--add-config", "base:level=y"), "unknown parameter of the fragment 'base' 'level'|→ there is no parameter"),
        (("--suite", "empty"), "the suite 'empty' is empty|an empty suite is never a pass"),
        (("--suite", "smoke", "--suite", "empty"), "the suite 'empty' is empty|an empty suite is never a pass"),
        (("--accel", "tgc"), "--accel|'tcg'"),
        (("--memory", "much"), "--memory|'much'"),
        (("--memory", "1"), "memory_mib must be at least 256|"),
    ],
)  # fmt: skip
def test_refused_with_the_nearest_name(bench: Bench, words: tuple[str, ...], says: str) -> None:
    bench.write("project/kconfigs/more.config.j2", FRAGMENT)
    (bench.project / "tests" / "guest" / "empty").mkdir()
    outcome = bench("run", *words)
    assert outcome.status == 2, outcome.text
    for said in says.split("|"):
        assert said in outcome.text
    assert outcome.runs == [] and bench.left_behind() == []


def test_an_option_that_this_kernel_does_not_have(bench: Bench) -> None:
    bench.write("project/kconfigs/more.config.j2", FRAGMENT)
    bench.write("linux/scripts/dropped", "CONFIG_MISPELT\n")
    outcome = bench("run", "--add-config", "more")
    assert outcome.status == 2, outcome.text
    assert "CONFIG_MISPELT" in outcome.text and "more" in outcome.text and "→" in outcome.text
    assert outcome.results["verdict"] == "INFRA"
    assert bench.left_behind() == []


def test_a_misspelt_key_of_a_profile(bench: Bench) -> None:
    path = bench.write("mine.toml", 'topolgy = "none"\n')
    outcome = bench("run", "--profile", path)
    assert outcome.status == 2 and "unknown key 'topolgy'; did you mean 'topology'?" in outcome.text
    assert str(path) in outcome.text and outcome.runs == []


def test_a_program_without_a_case(bench: Bench) -> None:
    bench.write("project/tests/guest/void/test_none.sh", "#!/bin/sh\nexit 0\n")
    outcome = bench("run", "--suite", "void")
    assert outcome.status == 2 and "test_none.sh has no case" in outcome.text
    assert outcome.runs == []
