# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UserError
from harness.kconfig import parse_requests
from harness.kconfig.merge import Merged, merge


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def write(name: str, header: str, body: str) -> None:
        (tmp_path / f"{name}.config.j2").write_text(f'#: summary = "{name}"\n{header}{body}')

    write("base", "", "CONFIG_SMP=y\nCONFIG_CPUS=8\n")
    write("cxl", '#: requires = ["numa"]\n', "CONFIG_CXL=y\nCONFIG_NUMA=y  # optional\n")
    write("numa", '#: requires = ["base"]\n', "CONFIG_NUMA=y\n")
    write("small", "", "# CONFIG_SMP is not set\n")
    write("kasan", '#: conflicts = ["kfence"]\n', "CONFIG_KASAN=y\n")
    write("kfence", "", "CONFIG_KFENCE=y\n")
    write("self", "", "CONFIG_A=y\nCONFIG_A=m\n")
    write("one", '#: requires = ["two"]\n', "CONFIG_A=y\n")
    write("two", '#: requires = ["one"]\n', "CONFIG_A=y\n")
    parameter = '#: [parameters.x]\n#: type = "integer"\n#: default = 1\n#: help = "x"\n'
    write("sized", parameter + parameter.replace("x", "z"), "CONFIG_X={{ x }}\nCONFIG_Z={{ z }}\n")
    return tmp_path


def merged(folder: Path, *texts: str) -> Merged:
    return merge(parse_requests(texts), folder)


def test_what_a_fragment_requires_comes_before_it_and_once(folder: Path) -> None:
    done = merged(folder, "cxl", "base")
    assert done.names == ("base", "numa", "cxl")
    assert done.text == "CONFIG_SMP=y\nCONFIG_CPUS=8\nCONFIG_NUMA=y\nCONFIG_CXL=y\n"
    assert done.askers["NUMA"] == ("numa", "cxl")
    assert not done.asked["NUMA"].optional


def test_a_required_line_wins_over_an_optional_one_in_either_order(folder: Path) -> None:
    (folder / "first.config.j2").write_text('#: summary = "f"\nCONFIG_NUMA=y # optional\n')
    assert not merged(folder, "first", "numa").asked["NUMA"].optional


def test_contradicting_fragments_are_both_named(folder: Path) -> None:
    with pytest.raises(UserError, match="'base' and 'small' contradict each other on CONFIG_SMP") as caught:
        merged(folder, "base", "small")
    assert caught.value.details == ("base: CONFIG_SMP=y", "small: # CONFIG_SMP is not set")


def test_excluding_fragments_are_both_named(folder: Path) -> None:
    with pytest.raises(UserError, match="'kasan' and 'kfence' exclude each other"):
        merged(folder, "kfence", "kasan")


def test_a_fragment_that_contradicts_itself(folder: Path) -> None:
    with pytest.raises(UserError, match="contradicts itself on CONFIG_A"):
        merged(folder, "self")


def test_fragments_that_require_each_other(folder: Path) -> None:
    with pytest.raises(UserError, match="one → two → one"):
        merged(folder, "one")


def test_parameters_of_one_fragment_from_two_places_join_or_clash(folder: Path) -> None:
    assert merged(folder, "sized", "sized:x=2", "sized:z=3").text == "CONFIG_X=2\nCONFIG_Z=3\n"
    with pytest.raises(UserError, match="asked for twice: 'sized:x=2' and 'sized:x=3'"):
        merged(folder, "sized:x=2", "sized:x=3")


def test_a_single_option_is_the_last_word_and_says_what_it_overrides(folder: Path) -> None:
    done = merged(folder, "CONFIG_CPUS=2", "CONFIG_SMP=y", "base")
    assert done.text == "CONFIG_SMP=y\nCONFIG_CPUS=2\n"
    assert done.overridden == ("CONFIG_CPUS=8 of 'base' is overridden by CONFIG_CPUS=2",)
    assert done.askers["CPUS"] == ("CONFIG_CPUS=2",)
