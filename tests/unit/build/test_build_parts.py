# SPDX-License-Identifier: GPL-2.0-only
"""Output folders of parts: one a name, and a new one that begins as a copy of another."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from harness.build import Parts, parts
from harness.values import AppliedSeries

if TYPE_CHECKING:
    from tests.unit.build.conftest import Bench

TOOL = 'test "$(cat made-in)" = "$PWD" || { echo made >> tools; pwd > made-in; }\n'


def leased(bench: Bench, applied: AppliedSeries, name: str, like: str | None = None) -> AbstractContextManager[Parts]:
    return parts(
        applied,
        bench.configure(applied),
        name=name,
        like=like,
        toolchain=bench.toolchain,
        paths=bench.paths,
        store=bench.store,
        progress=bench.progress,
        jobs=1,
    )


def test_a_copy_takes_itself_for_where_it_was_made(bench: Bench) -> None:
    # as objtool does, which is made again where its path is another one, and all objects after it
    applied = bench.commit({"mm/zswap.c": TOOL})
    with leased(bench, applied, "usual") as usual:
        usual.compile(["mm/"])
    with leased(bench, applied, "of another length", like="usual") as copy:
        assert copy.output != usual.output
        made = copy.output / "made-in"
        assert made.read_text() == f"{copy.output}\n"
        assert made.stat().st_mtime_ns == (usual.output / "made-in").stat().st_mtime_ns
        copy.look(["mm/zswap.o"])
        assert (copy.output / "tools").read_text() == "made\n"
    assert (usual.output / "made-in").read_text() == f"{usual.output}\n"


def test_what_is_there_is_not_copied_again(bench: Bench) -> None:
    applied = bench.commit()
    for name in ("usual", "other"):
        with leased(bench, applied, name) as one:
            one.compile(["mm/"])
            (one.output / "of").write_text(name)
    with leased(bench, applied, "other", like="usual") as one:
        assert (one.output / "of").read_text() == "other"
