# SPDX-License-Identifier: GPL-2.0-only
"""The whole suite on kernels that keep the contract, and on some that do not: what is found, and how short it gets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from harness.lifecycle import play
from harness.lifecycle import suite as suites
from harness.lifecycle.play import Player
from harness.lifecycle.step import Step, read
from harness.lifecycle.suite import Lifecycle
from harness.lifecycle.world import CGROUPS, NODES
from harness.splat import Splat
from harness.values import CaseResult, Verdict
from tests.unit.lifecycle.contract import ALL_THERE, Floor, Kernel, Mistake

PROJECT = Path(__file__).parents[3]


class Suite(Lifecycle):
    """Sessions are the floor's own."""

    def _player(self, floor: Any, program: Any) -> Player:
        return Player(floor, connect=floor.connect, tell=lambda line: floor.output(program, line))


def run(floor: Floor, *, seconds: float = 1.0, folder: Path | None = None, program: int = -1) -> list[CaseResult]:
    suite = Suite(
        folder=folder or PROJECT / "tests" / "lifecycle",
        guest_tests=PROJECT / "tests" / "guest",
        seed=3,
        seconds=seconds,
    )
    chosen = suite.programs()[program]
    return list(suite.run(floor, chosen, chosen.cases))


def steps(floor: Floor) -> list[str]:
    """The sequence that was kept."""
    return [line for line in floor.kept["lifecycle/seed_3.steps"].splitlines() if not line.startswith("#")]


def never_cleared(kernel: Kernel, step: Step, seen: dict[str, str]) -> None:
    """Once private, for ever private."""
    ever = kernel.memory.setdefault("ever", set())
    ever |= kernel.model.private_nodes()
    seen[f"{NODES}/has_private_memory"] = ",".join(str(node) for node in sorted(ever))


def into_sysram(kernel: Kernel, step: Step, seen: dict[str, str]) -> None:
    """A group that has the private node has it as system RAM as well."""
    for group in kernel.model.groups:
        path = f"{CGROUPS}/lifecycle-{group.replace('/', '/lifecycle-')}"
        seen[f"{path}/cpuset.mems.sysram"] = seen[f"{path}/cpuset.mems.effective"]


def splat_at_second_unbind(kernel: Kernel, step: Step, seen: dict[str, str]) -> None:
    """The second time that a region goes, the kernel complains."""
    gone = kernel.memory.setdefault("gone", [])
    if step.verb == "unbind" and (not gone or gone[-1] is not step):
        gone.append(step)
    if len(gone) == 2 and not kernel.splats:
        kernel.splats.append(
            Splat("warning", 0, headline="WARNING: at mm/node_private.c:1 x+0x1/0x2", lines=["WARNING: at mm"])
        )


def test_a_right_kernel_passes() -> None:
    floor = Floor()
    (result,) = run(floor)
    assert result.verdict is Verdict.PASS, result
    assert "sequences" in result.diagnostics[0]
    assert floor.lines[:2] == ["KTAP version 1", "1..1"]
    assert floor.lines[-1] == "ok 1 seed_3"


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """These kernels never answer late."""
    for module in (play, suites):
        monkeypatch.setattr(module, "PATIENT", (0.0,))
        monkeypatch.setattr(module, "HASTY", (0.0,), raising=False)


@pytest.mark.parametrize(
    ("mistake", "verdict", "said", "most"),
    [
        (never_cleared, Verdict.FAIL, "has_private_memory reads '", 8),
        (into_sysram, Verdict.FAIL, "cpuset.mems.sysram", 9),
        (splat_at_second_unbind, Verdict.CRASH, "WARNING: at mm/node_private.c", 10),
    ],
)
def test_mistakes_are_found_and_made_short(mistake: Mistake, verdict: Verdict, said: str, most: int) -> None:
    floor = Floor(mistake)
    (result,) = run(floor, seconds=9.0)
    assert result.verdict is verdict
    assert said in result.reason
    assert ("looked at, crashed: True" in result.diagnostics) is (verdict is Verdict.CRASH)
    assert len(steps(floor)) <= most, steps(floor)
    assert floor.kept["lifecycle/seed_3.sh"].startswith("#!/bin/sh\n# SPDX")


def test_what_was_found_is_kept_when_the_run_ends_before_it_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(suites, "shrink", interrupted)
    floor = Floor(never_cleared)
    with pytest.raises(KeyboardInterrupt):
        run(floor, seconds=9.0)
    assert steps(floor)
    assert "has_private_memory" in floor.kept["lifecycle/seed_3.steps"].splitlines()[1]


def test_a_seed_draws_the_same_again() -> None:
    said = []
    for _ in range(2):
        floor = Floor(never_cleared)
        run(floor, seconds=9.0)
        said.append([line for line in floor.lines if not line.startswith("# found")])
    assert said[0] == said[1]


def test_kept_sequences(tmp_path: Path) -> None:
    """Replayed; needs that are not met skip; a window that is not there skips."""
    floor = Floor(never_cleared)
    run(floor, seconds=9.0)
    (tmp_path / "config").write_text("CONFIG_CXL_REGION=y\n")
    (tmp_path / "once.steps").write_text(floor.kept["lifecycle/seed_3.steps"])
    (tmp_path / "elsewhere.steps").write_text("create r1 ram decoder0.9\n")
    assert "needs: private" in read(tmp_path / "once.steps").comment
    bad = {result.case: result.verdict for result in run(Floor(never_cleared), folder=tmp_path, program=0)}
    assert bad == {"once": Verdict.FAIL, "elsewhere": Verdict.SKIP}
    good = {result.case: result.verdict for result in run(Floor(), folder=tmp_path, program=0)}
    assert good == {"once": Verdict.PASS, "elsewhere": Verdict.SKIP}
    unpatched = ALL_THERE.replace("ram,private", "ram").replace("nodes has_private_memory\n", "")
    (_, once) = run(Floor(said=unpatched), folder=tmp_path, program=0)
    assert (once.verdict, once.reason) == (Verdict.SKIP, "this kernel has no private regions")


@pytest.mark.parametrize("file", sorted((PROJECT / "tests" / "lifecycle").glob("*.steps")), ids=lambda file: file.stem)
def test_each_step_that_is_kept_makes_sense(file: Path) -> None:
    """Or it would be left out silently: here where a right kernel does all that it may do."""
    floor = Floor()
    player = Player(floor, connect=floor.connect, tell=floor.lines.append)
    sequence = read(file).steps
    assert player.replay(sequence) is None
    assert [one.step for one in player.played][: len(sequence)] == list(sequence)


def test_without_private_regions_ram_is_played() -> None:
    unpatched = ALL_THERE.replace("ram,private", "ram").replace("nodes has_private_memory\n", "")
    floor = Floor(said=unpatched)
    (result,) = run(floor)
    assert result.verdict is Verdict.PASS
    assert result.reason == "private steps left out: this kernel has no private regions"
    assert any("online r" in line for line in floor.lines)
    floor = Floor(said=unpatched)
    floor.require_feature = True
    assert run(floor)[0].verdict is Verdict.FAIL


def test_a_machine_without_windows_is_skipped() -> None:
    nothing = "\n".join(line for line in ALL_THERE.splitlines() if not line.startswith("window"))
    (result,) = run(Floor(said=nothing))
    assert (result.verdict, result.reason) == (
        Verdict.SKIP,
        "this machine has no CXL window with a device with RAM below it",
    )


def test_time_is_kept() -> None:
    began = time.monotonic()
    run(Floor(), seconds=2.0)
    assert time.monotonic() - began < 8
    assert suites.SECONDS <= 60
