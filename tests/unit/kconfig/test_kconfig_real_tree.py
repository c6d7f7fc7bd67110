# SPDX-License-Identifier: GPL-2.0-only
"""The project's fragments and the Kconfig reader on a real kernel tree: HARNESS_KERNEL_TREE, an unpacked folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.kconfig import DEFAULT_FRAGMENTS, FragmentRequest, parse_request
from harness.kconfig.check import judge, lost
from harness.kconfig.configure import conf_environment, read_symbols
from harness.kconfig.dotconfig import parse
from harness.kconfig.expression import evaluate
from harness.kconfig.fragment import names
from harness.kconfig.language import Symbols
from harness.kconfig.merge import merge
from harness.kconfig.reason import Situation, requirements, selectors
from harness.process import run
from harness.toolchain import host_toolchain, make_argv

pytestmark = pytest.mark.kernel_tree

FOLDER = Path(__file__).parents[3] / "kconfigs"
VARIANTS = (
    "base:pvh=no,preempt=full,hz=1000",
    "zswap:compressor=zstd",
    "zswap:compressor=lz4",
    "numa:emulation=yes,hugepages=no,balancing=no",
    "cpuset:v1=yes",
    "memcg:v1=yes",
    "debuginfo:reduced=yes",
    "debug-kasan:mode=outline",
)


@pytest.fixture(scope="session")
def tree() -> Path:
    given = os.environ.get("HARNESS_KERNEL_TREE")
    if not given:
        pytest.skip("HARNESS_KERNEL_TREE names no unpacked kernel tree")
    return Path(given)


@pytest.fixture(scope="session")
def symbols(tree: Path) -> Symbols:
    return read_symbols(tree)


def final(
    tree: Path, output: Path, symbols: Symbols, requests: list[FragmentRequest]
) -> tuple[Situation, tuple[str, ...]]:
    """The final values for requests, made by the tree's own conf; and the warnings. Lost options raise."""
    merged = merge(requests, FOLDER)
    request = output / "request"
    request.write_text(merged.text)
    argv = make_argv(["allnoconfig"], source=tree, output=output, toolchain=host_toolchain())
    run(argv, deadline=600, env=conf_environment(request))
    values = parse((output / ".config").read_text())
    warnings = judge(lost(merged, values, lambda: symbols))
    return Situation(symbols, values, merged.asked), warnings


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("output")


@pytest.mark.parametrize("text", [*names(FOLDER), *VARIANTS])
def test_every_fragment_survives_beside_the_default_ones(text: str, tree: Path, output: Path, symbols: Symbols) -> None:
    requests = [FragmentRequest(name) for name in DEFAULT_FRAGMENTS if name != parse_request(text).name]
    final(tree, output, symbols, [*requests, parse_request(text)])


def test_the_reader_knows_every_option_of_a_real_config_and_agrees_with_conf(
    tree: Path, output: Path, symbols: Symbols
) -> None:
    """Each option that is on was reachable: its own conditions hold as read here, or something selects it."""
    situation, _ = final(
        tree, output, symbols, [FragmentRequest(name) for name in (*DEFAULT_FRAGMENTS, "ras", "selftests")]
    )
    known = situation.symbols.definitions
    assert sorted(set(situation.values) - set(known)) == []
    wrong = []
    for name, value in situation.values.items():
        if situation.symbols.type_of(name) not in ("bool", "tristate") or value == "n":
            continue
        reachable = any(evaluate(definition.depends, situation.values) != 0 for definition in known[name])
        if not reachable and not selectors(name, situation):
            wrong.append(name)
    assert wrong == []


def test_what_conf_writes_as_not_set_could_be_set(tree: Path, output: Path, symbols: Symbols) -> None:
    """``# CONFIG_X is not set`` is written for what has a prompt that is visible; the reader must agree."""
    situation, _ = final(tree, output, symbols, [FragmentRequest(name) for name in DEFAULT_FRAGMENTS])
    wrong = [
        name
        for name, value in situation.values.items()
        if value == "n"
        and not any(
            evaluate(requirements(definition), situation.values) != 0 for definition in situation.symbols.prompts(name)
        )
    ]
    assert wrong == []
