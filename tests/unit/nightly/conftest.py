# SPDX-License-Identifier: GPL-2.0-only
"""A nightly with a stand-in for ``harness run``: a stub source that moves, our own series, real topologies."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import nightly
from harness.nightly.matrix import parse
from harness.nightly.report import NightReport
from harness.paths import Paths
from harness.process import run
from harness.store import Store

STANDIN = Path(__file__).with_name("standin.py")
PROJECT = Path(__file__).resolve().parents[3]

MATRIX = """summary = "A stub"
[matrix]
sources = ["stub"]
series = ["none", "harness-hello"]
topologies = ["none", "direct", "switch-4"]
suites = ["smoke"]
[sources]
stub = "git:{stub}@main"
"""


def wait_for(condition: Callable[[], bool], *, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


@dataclass
class Bench:
    """A matrix, its folders, and what the stand-in is told and was asked."""

    root: Path
    paths: Paths
    matrix: str = MATRIX

    @property
    def stub(self) -> Path:
        return self.root / "stub"

    @property
    def control(self) -> Path:
        return self.root / "control"

    @property
    def file(self) -> Path:
        return self.root / "stub.toml"

    @property
    def command(self) -> tuple[str, ...]:
        return (sys.executable, str(STANDIN), str(self.control))

    def behave(self, **behaviours: str) -> None:
        """What the stand-in does, by topology or series (``-`` written ``_``)."""
        named = {name.replace("_", "-"): one for name, one in behaviours.items()}
        (self.control / "behaviour.json").write_text(json.dumps(named))

    def asked(self) -> list[str]:
        """What the stand-in was asked since the last time."""
        log = self.control / "log"
        lines = log.read_text().splitlines() if log.is_file() else []
        log.unlink(missing_ok=True)
        return lines

    def move(self, text: str) -> None:
        """A new commit on the source's branch."""
        (self.stub / "file").write_text(text)
        git(self.stub, "add", "-A")
        git(self.stub, "commit", "-q", "-m", text)

    def write(self, more: str = "") -> Path:
        self.file.write_text(self.matrix.format(stub=self.stub) + more)
        return self.file

    def night(
        self, more: str = "", *, force: bool = False, anew: bool = False
    ) -> tuple[nightly.Outcome, NightReport | None, str]:
        """A night: what came of it, its report, and what was shown."""
        matrix = parse(self.write(more).read_bytes(), path=str(self.file))
        todo = nightly.planned(matrix, paths=self.paths)
        desk = nightly.Desk(matrix.name, paths=self.paths)
        shown = io.StringIO()
        with desk.locked():
            outcome = nightly.execute(
                todo,
                desk=desk,
                paths=self.paths,
                store=Store(self.paths.cache),
                view=nightly.NightView(shown, live=False),
                force=force,
                anew=anew,
                harness=self.command,
            )
        found = None
        if outcome.night is not None:
            found = nightly.report(
                matrix, todo.cells, desk.book, outcome.night, paths=self.paths,
                interrupted=outcome.interrupted, again="harness nightly stub.toml",
            )  # fmt: skip
        return outcome, found, shown.getvalue()


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    run(("git", *identity, *words), cwd=folder, deadline=60)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(root=tmp_path, paths=Paths(project=PROJECT, cache=tmp_path / "cache", data=tmp_path / "data"))
    made.stub.mkdir()
    made.control.mkdir()
    (made.stub / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 9\nEXTRAVERSION =\n")
    git(made.stub, "init", "-q")
    made.move("first")
    made.behave()
    return made
