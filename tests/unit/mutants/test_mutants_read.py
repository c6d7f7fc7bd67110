# SPDX-License-Identifier: GPL-2.0-only
"""Mutants as they are read: what the trailers say, and every way to get one wrong."""

from __future__ import annotations

import pytest

from harness.errors import UserError
from harness.mutants import mutant
from harness.paths import Paths, default_paths
from harness.store import Store
from tests.unit.mutants.conftest import TRAILERS, Write
from tests.unit.series.patches import change, mail


def test_a_mutant(write: Write, paths: Paths, store: Store) -> None:
    write()
    (found,) = mutant.read_all([], paths=paths, store=store)
    assert (found.name, found.title, found.breaks) == ("broken", "mm: break it", "swap works")
    assert found.killers == ("demo/test_x:two",)
    assert found.survives == ""
    assert found.patch.patches[0].files == ("mm/swap.c",)


def test_long_trailers_and_those_of_git(write: Write, paths: Paths, store: Store) -> None:
    path = write(
        trailers="Breaks: swap works,\n and goes on\nKilled-by: demo/x:two,\n demo\n"
        "Survives: nobody\n\tlooks\nSigned-off-by: Dev <dev@example.org>\n"
    )
    found = mutant.read(path, paths=paths, store=store)
    assert found.breaks == "swap works, and goes on"
    assert found.killers == ("demo/x:two", "demo")
    assert found.survives == "nobody looks"


def test_a_recorded_survivor_needs_no_killer(write: Write, paths: Paths, store: Store) -> None:
    found = mutant.read(write(trailers="Breaks: x\nSurvives: why\n"), paths=paths, store=store)
    assert (found.killers, found.survives) == ((), "why")


def test_a_diff_without_a_separator(write: Write, paths: Paths, store: Store) -> None:
    path = write()
    path.write_bytes(path.read_bytes().replace(b"---\ndiff", b"diff"))
    assert mutant.read(path, paths=paths, store=store).breaks == "swap works"


@pytest.mark.parametrize(
    ("trailers", "message", "hint"),
    [
        ("Killed-by: demo\n", "has no trailer 'Breaks:'", "README"),
        ("Breaks: x\n", "has no trailer 'Killed-by:'", "README"),
        ("Breaks:\nKilled-by: demo\n", "has no trailer 'Breaks:'", "README"),
        ("Broken: x\nKilled-by: demo\n", "unknown trailer 'Broken:'", "did you mean 'Breaks:'?"),
        ("Breaks: x\nBreaks: y\nKilled-by: demo\n", "has the trailer 'Breaks:' twice", ""),
        ("Breaks: x\nKilled-by: dmo\n", "Killed-by: unknown suite 'dmo'", "did you mean 'demo'?"),
        ("Breaks: x\nKilled-by: demo/test_x:tow\n", "unknown case of demo/test_x 'tow'", "did you mean 'two'?"),
        ("Breaks: x\nKilled-by: demo\nand some prose\n", "has no trailer 'Breaks:'", "README"),
    ],
)
def test_faulty_trailers(write: Write, paths: Paths, store: Store, trailers: str, message: str, hint: str) -> None:
    path = write(trailers=trailers)
    with pytest.raises(UserError, match=message) as error:
        mutant.read(path, paths=paths, store=store)
    assert path.name in error.value.message
    assert hint in (error.value.hint or "")


def test_an_unknown_name_says_the_nearest(write: Write, paths: Paths, store: Store) -> None:
    write()
    with pytest.raises(UserError, match="unknown mutant 'borken'") as error:
        mutant.read_all(["borken"], paths=paths, store=store)
    assert "did you mean 'broken'?" in (error.value.hint or "")


def test_two_patches_are_no_mutant(paths: Paths, store: Store) -> None:
    body = f"Why.\n\n{TRAILERS}"
    (paths.mutants / "two.patch").write_bytes(
        mail("[PATCH] one", change(), body=body) + mail("[PATCH] two", change(), body=body)
    )
    with pytest.raises(UserError, match="holds 2 patches"):
        mutant.read_all([], paths=paths, store=store)


def test_no_mutant_at_all(paths: Paths, store: Store) -> None:
    with pytest.raises(UserError, match="there is no mutant in"):
        mutant.read_all([], paths=paths, store=store)


def test_the_projects_own_mutants(store: Store) -> None:
    paths = default_paths()
    found = mutant.read_all([], paths=paths, store=store)
    assert len(found) >= 25
    assert len({one.title for one in found}) == len(found)
    assert len({one.patch.digest for one in found}) == len(found)
    for one in found:
        assert not any(path.startswith("Documentation/") for path in one.patch.patches[0].files), one.name
