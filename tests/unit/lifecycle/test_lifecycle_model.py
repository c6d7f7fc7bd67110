# SPDX-License-Identifier: GPL-2.0-only
"""The model alone: what it lets be answered, and what it concludes, on a machine with two windows."""

from __future__ import annotations

import pytest

from harness.lifecycle.model import Model
from harness.lifecycle.state import DONE
from harness.lifecycle.step import Step
from harness.lifecycle.world import CGROUPS, CXL, MEMORY, NODES, World, listed, numbers, parse
from tests.unit.lifecycle.contract import SAID, Kernel


class Played(Kernel):
    """A kernel that is told steps as text."""

    def allowed(self, text: str) -> list[str] | None:
        verb, *words = text.split()
        actions = self.model.plan(Step(verb, tuple(words)), self.seen())
        return None if actions is None else [action.allowed for action in actions]

    def steps(self, *texts: str, choose: str = "") -> Model:
        for text in texts:
            verb, *words = text.split()
            self.step(Step(verb, tuple(words)), choose)
        return self.model


MAKE = ["create r1 {kind} decoder0.0", "reserve r1 mem0", "shape r1", "target r1", "type r1 zswap", "commit r1"]


@pytest.fixture
def world() -> World:
    return parse(SAID)


@pytest.fixture
def kernel(world: World) -> Played:
    return Played(world)


def private(kind: str = "private") -> list[str]:
    return [text.format(kind=kind) for text in MAKE if kind == "private" or not text.startswith("type")]


def test_world(world: World) -> None:
    assert world.private
    assert [device.units for device in world.devices] == [4, 2]
    assert world.shapes["decoder0.0"] == (("mem0",), ("mem1",), ("mem0", "mem1"))
    assert world.devices[0].ports == ("port1", "endpoint2")
    assert world.missing() == "this kernel has no CXL regions (CONFIG_CXL_REGION)"


@pytest.mark.parametrize("text", ["", "0", "0,2-3", "1-4,9"])
def test_lists(text: str) -> None:
    assert listed(numbers(text)) == text


def test_a_region_keeps_its_ways_when_its_capacity_is_given_back(kernel: Played) -> None:
    model = kernel.steps("create r1 ram decoder0.0", "reserve r1 mem0", "shape r1", "release r1")
    assert model.expected()[f"{CXL}/region0/size"].endswith("|0x10000000")
    assert model.expected()[f"{CXL}/region0/interleave_ways"] == "1"
    assert kernel.allowed("reserve r1 mem0 mem1") is None, "it would have a target too many"
    model = kernel.steps("reserve r1 mem1", "target r1", "commit r1", "delete r1", "release r1")
    assert not model.regions


def test_life_of_a_private_region(kernel: Played) -> None:
    model = kernel.steps(*private())
    node = f"{NODES}/has_private_memory"
    assert model.expected()[node] == ""
    model = kernel.steps("bind r1")
    assert model.expected()[node] == "1"
    assert model.expected()[f"{CGROUPS}/cpuset.mems.effective"] == "0"
    kernel.steps("online r1 1 online_kernel")
    assert model.expected()[f"{CGROUPS}/cpuset.mems.effective"] == "0-1"
    assert model.expected()[f"{CGROUPS}/cpuset.mems.sysram"] == "0"
    assert model.expected()[f"{NODES}/has_memory"] == "0"
    assert model.expected()[f"{NODES}/node1/meminfo"].endswith(" 131072 kB")
    kernel.steps("offline r1 1", "unbind r1")
    assert model.expected()[node] == ""
    assert model.expected()[f"{CXL}/region0/private_type"] == "zswap"


@pytest.mark.parametrize(
    ("before", "text", "allowed"),
    [
        (0, "misname private decoder0.1 garbage", ["EINVAL"]),
        (0, "misname private decoder0.1 other", ["EBUSY"]),
        (1, "type r1 compressed", ["EINVAL"]),
        (1, "commit r1", ["refused"]),
        (1, "bind r1", ["refused"]),
        (1, "unbind r1", ["refused"]),
        (2, "target r1", ["refused"]),
        (6, "type r1 zswap", ["EBUSY"]),
        (6, "type r1 none", ["EBUSY|EINVAL"]),
        (6, "bind r1", ["done"]),
        (6, "release r1", ["refused"]),
        (1, "online r1 0 online", None),
        (0, "create r1 private decoder0.7", None),
        (6, "reserve r1 mem1", None),
        (6, "nonsense r1", None),
        (6, "online r1", None),
        (6, "mems a 0-", None),
    ],
)
def test_steps_out_of_turn(kernel: Played, before: int, text: str, allowed: list[str] | None) -> None:
    kernel.steps(*private()[:before])
    assert kernel.allowed(text) == allowed


def test_bind_without_a_type(kernel: Played) -> None:
    kernel.steps(*(text for text in private() if not text.startswith("type")))
    assert kernel.allowed("bind r1") == ["EINVAL"]


def second(kind: str) -> list[str]:
    made = ["create r2 {kind} decoder0.0", "reserve r2 mem1", "shape r2", "target r2", "type r2 zswap", "commit r2"]
    return [text.format(kind=kind) for text in made if kind == "private" or not text.startswith("type")]


def test_private_beside_ram(kernel: Played) -> None:
    """Online RAM refuses it (the contract); offline RAM leaves a choice, and then cannot come online."""
    model = kernel.steps(*private("ram"), "bind r1", *second("private"))
    assert kernel.allowed("bind r2") == ["done|EBUSY"]
    kernel.steps("online r1 0 online_movable")
    assert kernel.allowed("bind r2") == ["EBUSY"]
    kernel.steps("offline r1 0", "bind r2")
    assert kernel.allowed("online r1 0 online_movable") == ["refused"]
    kernel.steps("online r2 0 online_movable")
    assert model.expected()[f"{NODES}/has_memory"] == "0"
    assert model.expected()[f"{NODES}/has_private_memory"] == "1"


def test_a_refused_choice_changes_nothing(kernel: Played) -> None:
    model = kernel.steps(*private("ram"), "bind r1", *second("private"))
    kernel.steps("bind r2", choose="EBUSY")
    assert model.expected()[f"{NODES}/has_private_memory"] == ""
    assert kernel.allowed("online r1 0 online_movable") == ["done"]


def test_ram_goes_only_when_offline(kernel: Played) -> None:
    kernel.steps(*private("ram"), "bind r1", "online r1 0 online_movable")
    assert [kernel.allowed(f"{verb} r1") for verb in ("unbind", "uncommit", "delete")] == [None] * 3


def test_memory_that_stays_stays_private(world: World) -> None:
    """A kernel may leave online memory behind; its node must not look as if nothing was there."""
    kernel = Played(world)
    kernel.steps(*private(), "bind r1", "online r1 0 online_movable")
    seen = kernel.seen()
    assert kernel.model.learn(Step("unbind", ("r1",)), [DONE], seen) == []
    assert "until the next reboot" in kernel.model.spent
    assert kernel.model.expected()[f"{NODES}/has_private_memory"] == "1"
    assert kernel.allowed("commit r1") is None


def test_decoders_are_committed_in_order(kernel: Played) -> None:
    kernel.steps(*private()[:5], *second("private")[:5])
    assert kernel.allowed("commit r2") is None
    kernel.steps("commit r1", "commit r2")
    assert kernel.allowed("delete r1") is None
    assert kernel.allowed("delete r2") == ["done"]


def test_groups(kernel: Played) -> None:
    model = kernel.steps(*private(), "bind r1", "online r1 0 online", "group a", "group a/b", "mems a 1", "start 1 a/b")
    expected = model.expected()
    path = f"{CGROUPS}/lifecycle-a/lifecycle-b"
    assert (expected[f"{path}/cpuset.mems.effective"], expected[f"{path}/cpuset.mems.sysram"]) == ("1", "")
    asked = [action.words for action in model.questions(Step("start", ("1", "a/b")))]
    assert asked == [("mems", "1", "0")]
    kernel.steps("offline r1 0")
    assert model.expected()[f"{path}/cpuset.mems.effective"] == "0"


def test_all_is_undone(kernel: Played) -> None:
    kernel.steps(*private(), "bind r1", "online r1 0 online", *second("ram"))
    model = kernel.steps("group a", "group a/b", "start 1 a/b")
    for _ in range(30):
        for step in model.undo():
            kernel.steps(str(step))
    assert model.at_begin
    assert all(want == "-" for path, want in model.expected().items() if path.startswith(f"{MEMORY}/memory"))


def test_nobody_made_it(kernel: Played) -> None:
    seen = kernel.seen() | {f"{CXL}/region7/mode": "ram"}
    assert kernel.model.unexpected(seen) == ["there is a region that nobody made: region7"]


def test_tiers(kernel: Played) -> None:
    model = kernel.steps(*private(), "bind r1", "online r1 0 online")
    assert model.unexpected({"/t/memory_tier4/nodelist": "0"}) == []
    assert model.unexpected({"/t/memory_tier4/nodelist": "0-1"}) == ["memory tiers have the nodes 0-1, expected 0"]
