# SPDX-License-Identifier: GPL-2.0-only
"""Matrices: the product, includes and excludes, and every kind of mistake with its place in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import nightly
from harness.errors import UserError
from harness.nightly.cells import Cell, cells
from harness.nightly.matrix import load, parse, span
from harness.nightly.plan import check_wall, estimate, kernels, ordered, todos
from harness.nightly.state import Book, Known
from harness.paths import Paths
from harness.workers import Capacity

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(project=PROJECT, cache=tmp_path / "cache", data=tmp_path / "data")


def made(text: str, paths: Paths) -> tuple[Cell, ...]:
    return cells(parse(text.encode(), path="ci/n.toml"), paths=paths)


def test_the_product_in_the_file_s_order(paths: Paths) -> None:
    found = made('[matrix]\nseries = ["harness-hello", "none"]\ntopologies = ["direct", "none"]\n', paths)
    assert [cell.title for cell in found] == [
        "harness-hello, direct", "harness-hello, none", "none, direct", "none, none",
    ]  # fmt: skip
    assert [cell.profile.series for cell in found] == ["harness-hello", "harness-hello", "", ""]
    assert found[0].profile.config == found[1].profile.config != ()


def test_nothing_said_is_the_profile(paths: Paths) -> None:
    (cell,) = made('profile = "hello"\n', paths)
    assert (cell.title, cell.profile.series, cell.profile.suites[1]) == ("direct", "harness-hello", "hello")


def test_names_of_the_file_and_set(paths: Paths) -> None:
    text = """
        [matrix]
        sources = ["next"]
        fragments = ["debug", "base"]
        suites = ["few"]
        [sources]
        next = "git:/linux@next"
        [fragments]
        debug = ["base", "debug-vm"]
        [suites]
        few = ["smoke", "cxl"]
        [set]
        accel = "tcg"
        stress = "1m"
    """
    debug, base = made(text, paths)
    assert (debug.profile.source, debug.profile.config, debug.profile.suites) == (
        "git:/linux@next", ("base", "debug-vm"), ("smoke", "cxl"),
    )  # fmt: skip
    assert base.profile.config == ("base",)
    assert (base.profile.accel, base.profile.stress) == ("tcg", "1m")


def test_a_profile_s_fragments_with_what_they_need(paths: Paths) -> None:
    plain, debug = made(
        '[matrix]\nfragments = ["plain", "slow"]\n[fragments]\nplain = ["base"]\nslow = "debug"\n', paths
    )
    assert (plain.profile.timeout_scale, plain.profile.memory_mib) == (1.0, None)
    assert debug.profile.timeout_scale > 1 and debug.profile.memory_mib is not None
    assert "debug-kasan" in debug.profile.config and debug.profile.suites == plain.profile.suites


def test_include_and_exclude(paths: Paths) -> None:
    text = """
        [matrix]
        series = ["harness-hello", "none"]
        topologies = ["direct", "switch-4", "switch-2-hb"]
        [[exclude]]
        series = "none"
        topology = ["switch-*", "x"]
        [[include]]
        series = "none"
        topology = "mixed"
    """
    assert [cell.title for cell in made(text, paths)] == [
        "harness-hello, direct", "harness-hello, switch-4", "harness-hello, switch-2-hb", "none, direct", "none, mixed",
    ]  # fmt: skip


MISTAKES = {
    "misspelt axis": ("[matrix]\nserie = []", "ci/n.toml: matrix: unknown key 'serie'", "did you mean 'series'"),
    "misspelt table": ("[limit]\nwall = '1h'", "ci/n.toml: unknown key 'limit'", "did you mean 'limits'"),
    "wrong type": ("[limits]\ncells = 'two'", "limits.cells: expected 'int or nothing', got 'a text'", None),
    "wrong type in a list": ("[matrix]\nseries = ['a', 3]", "matrix.series[1]: expected 'a text', got 'int'", None),
    "wrong type in a name": ("[fragments]\nx = ['a', 3]", "fragments.x", None),
    "one for a list": ("[suites]\nx = 'smoke'", "suites.x: expected 'a list', got 'a text'", None),
    "wrong type in set": ("[set]\naccel = 3", "set.accel: expected 'a text', got 'int'", None),
    "unknown in set": ("[set]\nacel = 'kvm'", "set: a profile has no 'acel'", "did you mean 'accel'"),
    "axis in set": ("[set]\ntopology = 'direct'", "set.topology is not for all cells alike", "axis"),
    "no profile": ("profile = 'defualt'", "profile: unknown profile 'defualt'", "did you mean 'default'"),
    "empty axis": ("[matrix]\nsuites = []", "matrix.suites is empty: the matrix multiplies to nothing", "leave it out"),
    "value twice": ("[matrix]\nseries = ['a', 'b', 'a']", "matrix.series[2] 'a' is there twice", None),
    "all excluded": ("[[exclude]]\nseries = '*'", "takes out every cell of the matrix (1)", "nothing would be run"),
    "exclude of nothing": ("[[exclude]]\nseries = 'n_privat-6.12'", "exclude[0].series matches no value", "n_private"),
    "exclude of no cell": (
        "[matrix]\nseries=['a','b']\ntopologies=['c','d']\n[[exclude]]\nseries='a'\ntopology='c'\n"
        "[[exclude]]\nseries='a'\ntopology='x*'", "exclude[1].topology matches no value", "there are: c, d",
    ),
    "cell twice": ("[[include]]\ntopology = 'direct'", "include[0] is a cell that matrix has already", None),
    "include of half": ("[matrix]\nseries=['a','b']\n[[include]]\ntopology='mixed'", "include[0] says no series", "a"),
    "length of time": ("[limits]\nwall = '8 hours'", "limits.wall: '8 hours' is no length of time", None),
    "no time": ("[limits]\ncell = '0s'", "limits.cell: '0s' is no length of time", None),
    "no cells": ("[limits]\ncells = 0", "limits.cells is 0, expected at least 1", None),
    "no memory": ("[limits]\nmemory_mib = 3", "limits.memory_mib is 3, expected at least 256", None),
    "negative size": ("[keep]\ngib = -1.0", "keep.gib is -1.0, expected at least 0", None),
    "origin": ("origin = 'My CI'", "origin 'My CI' has other characters", None),
    "archive": ("[series]\nx = {archive = 'a'}", "series.x: give a change_id or a subject", None),
    "archive's key": ("[series]\nx = {archiv = 'a'}", "series.x: unknown key 'archiv'", "did you mean 'archive'"),
    "too many": (
        "[matrix]\nseries = [" + ",".join(f"'s{n}'" for n in range(60)) + "]\ntopologies = ["
        + ",".join(f"'t{n}'" for n in range(60)) + "]", "matrix has 3600 cells (1 sources × 60 series", None,
    ),
    "no TOML": ("[matrix", "ci/n.toml is not valid TOML", None),
    "no such profile's": ("[fragments]\nx = 'debgu'", "fragments.x: unknown profile 'debgu'", "did you mean 'debug'"),
    "our own key": ("path = 'x'", "unknown key 'path'", None),
    "a name that climbs out": ("name = '../x'", "name '../x' is no name of a folder", None),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_with_its_place(case: str, paths: Paths) -> None:
    text, message, hint = MISTAKES[case]
    with pytest.raises(UserError) as raised:
        made(text, paths)
    assert message in raised.value.message
    assert raised.value.message.startswith("ci/n.toml")
    if hint is not None:
        assert raised.value.hint is not None and hint in raised.value.hint


MISSING = {
    "topology": ("[matrix]\ntopologies=['direct','switch-5']", "matrix.topologies[1]: unknown topology", "switch-4"),
    "series": ("[matrix]\nseries=['n_privat-6.12']", "matrix.series[0]: unknown series", "n_private-6.12"),
    "suite": ("[matrix]\nsuites=['smok']", "matrix.suites[0]: unknown suite 'smok'", "smoke"),
    "fragment": ("[matrix]\nfragments=['debug-vmm']", "matrix.fragments[0]: unknown Kconfig fragment", "debug-vm"),
    "own fragment": (
        "[matrix]\nfragments=['debgu']\n[fragments]\ndebug=['base']", "matrix.fragments[0]", "'debug' of [fragments]",
    ),
    "in a definition": ("[matrix]\nfragments=['x']\n[fragments]\nx=['bse']", "fragments.x: unknown Kconfig", "base"),
    "source": ("[matrix]\nsources=['x']\n[sources]\nx='got:/y'", "sources.x: unknown source 'got:/y'", "git:/y"),
    "archive": (
        "[matrix]\nseries=['x']\n[series]\nx={archive='/nowhere',subject='y'}", "series.x: there is no mail", "",
    ),
    "include": ("[[include]]\ntopology='dirct'", "include[0], topology: unknown topology 'dirct'", "direct"),
    "same thing": (
        "[matrix]\nseries=['a','harness-hello']\n[series]\na='harness-hello'", "run the very same thing", "two names",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISSING)
def test_what_is_not_there_is_told_with_the_nearest_name(case: str, paths: Paths) -> None:
    text, message, hint = MISSING[case]
    with pytest.raises(UserError) as raised:
        nightly.planned(parse(text.encode(), path="ci/n.toml"), paths=paths)
    assert message in raised.value.message and raised.value.message.startswith("ci/n.toml")
    assert hint in (raised.value.hint or "")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the matrix"):
        load(tmp_path / "nothing.toml")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("8h", 28800), ("14d", 1209600)])
def test_lengths_of_time(text: str, seconds: int) -> None:
    assert span(text) == seconds


def known(verdict: str, seconds: float) -> Known:
    return Known(fingerprint="x", verdict=verdict, run="r", when=1.0, seconds=seconds, guest_seconds=seconds)


THREE = '[matrix]\nseries = ["harness-hello"]\ntopologies = ["none", "direct", "mixed"]\nsuites = ["smoke"]\n'


def test_order_kernels_and_estimate(paths: Paths) -> None:
    todo = nightly.planned(parse(THREE.encode(), path="n.toml"), paths=paths)
    keys = [cell.key for cell in todo.cells]
    book = Book(known={keys[0]: known("PASS", 10), keys[1]: known("PASS", 30), keys[2]: known("FAIL", 5)})
    found = ordered(todos(todo.cells, todo.runs, book, paths=paths), todo.matrix)
    assert [one.cell.topology for one in found] == ["mixed", "direct", "none"]
    assert len(kernels(found)) == 1
    two = estimate(found, book, Capacity(cores=2, memory_mib=65536, jobs=2))
    assert (two.at_once, two.builds, two.wall) == (2, 0.0, 30.0)
    one = estimate(found, book, Capacity(cores=2, memory_mib=4000, jobs=2))
    assert (one.at_once, one.wall) == (1, 45.0), "the memory of one guest"
    fresh = estimate(found, Book(), Capacity(cores=2, memory_mib=65536, jobs=2))
    assert fresh.builds == 0.0
    assert (
        estimate(
            todos(todo.cells, todo.runs, Book(), paths=paths), Book(), Capacity(cores=2, memory_mib=9999, jobs=2)
        ).builds
        > 60
    )


def test_too_many_cells_for_the_wall_limit(paths: Paths) -> None:
    todo = nightly.planned(parse((THREE + '[limits]\nwall = "2s"\n').encode(), path="n.toml"), paths=paths)
    found = todos(todo.cells, todo.runs, Book(), paths=paths)
    with pytest.raises(UserError, match=r"n.toml: limits.wall is 2s, and 3 cells, 1 at once, take 9\.0 s at the very"):
        check_wall(todo.matrix, estimate(found, Book(), Capacity(cores=1, memory_mib=9999, jobs=1)), 3)


def test_the_project_s_own_matrix(paths: Paths) -> None:
    todo = nightly.planned(load(PROJECT / "ci" / "nightly.toml"), paths=paths)
    assert len({cell.series for cell in todo.cells}) >= 2
    assert len({cell.fragments for cell in todo.cells}) >= 2
    assert len({cell.topology for cell in todo.cells}) >= 3
