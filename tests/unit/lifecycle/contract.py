# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that does exactly what the model thinks, but for mistakes that it is given; a machine with two windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from harness.lifecycle.model import Model
from harness.lifecycle.state import ANY, DONE, REFUSED, Action, Region
from harness.lifecycle.step import Step
from harness.lifecycle.world import CGROUPS, CXL, MEMORY, ZSWAP, World, parse
from harness.splat import Splat

HOST = "/sys/devices/LNXSYSTM:00/ACPI0016:00"
PLACE = "/sys/devices/platform/ACPI0017:00/root0/port1"
SAID = f"""\
mem mem0 0x40000000
mem mem1 0x20000000
endpoint endpoint2 mem0 {PLACE}/endpoint2
endpoint endpoint3 mem1 {PLACE}/endpoint3
port port1 {HOST}
dport 12 {HOST}
window decoder0.0 ram,private 0x290000000 0x80000000 1 256 12
window decoder0.1 ram,private 0x310000000 0x80000000 1 256 12
block 8000000
nodes has_memory 0
nodes has_normal_memory 0
nodes has_private_memory
nodes possible 0-2
there {CGROUPS}/cpuset.mems.effective
there {CGROUPS}/cpuset.mems.sysram
there {CGROUPS}/memory.reclaim
there pattern
there pressure
there membind
"""
ALL_THERE = SAID + "".join(
    f"there {path}\n"
    for path in (
        "/sys/bus/cxl/drivers/cxl_region",
        "/sys/bus/dax/drivers/kmem",
        f"{MEMORY}/auto_online_blocks",
        f"{ZSWAP}/enabled",
        "/sys/kernel/debug/zswap/stored_pages",
        "/dev/harness/swap",
        "nodeused",
    )
)

Mistake = Callable[["Kernel", Step, dict[str, str]], None]


class Kernel:
    """Plays steps by a model of its own; ``mistake`` may change what is then seen, or leave a splat."""

    def __init__(self, world: World, mistake: Mistake | None = None) -> None:
        self.model = Model(replace(world, plugs=True), {})
        self.splats: list[Splat] = []
        self.asked: list[Action] = []
        self.memory: dict[str, Any] = {}  # of the mistake
        self._mistake = mistake
        self._last = Step("", ())

    def seen(self) -> dict[str, str]:
        """What each file reads."""
        found = {path: want.split("|")[0] for path, want in self.model.expected().items() if want != "-"}
        found = {path: value for path, value in found.items() if not value.startswith("-")}
        names = {one.name for one in self.model.regions.values() if one.exists}
        free = next(number for number in range(99) if f"region{number}" not in names)
        for region in self.model.regions.values():
            if region.bound:
                found |= self._place(region)
        for window in self.model.world.windows:
            for kind in window.kinds:
                found[f"{CXL}/{window.root}/create_{kind}_region"] = f"region{free}"
        if self._mistake is not None:
            self._mistake(self, self._last, found)
        return found

    def step(self, step: Step, choose: str = "") -> list[str]:
        """Play a step; where there is a choice, ``choose`` or what works."""
        before = self.seen()
        actions = self.model.plan(step, before)
        assert actions is not None, step
        self.asked = actions
        outcomes = [choose or outcome(action) for action in actions]
        after = dict(before)
        if step.verb == "create":
            after[f"{before[actions[0].words[1]].join([CXL + '/', ''])}/mode"] = step.words[1]
        if step.verb == "bind":
            region = self.model.regions[step.words[0]]
            after |= self._place(region)
            block = int(after[f"{region.path}/resource"], 0) // self.model.world.block_bytes
            after[f"{MEMORY}/memory{block}/state"] = "offline"
        if step.verb in ("unbind", "delete", "uncommit", "unplug"):
            after = {path: value for path, value in after.items() if not path.startswith(f"{MEMORY}/memory")}
        self._last = step
        assert self.model.learn(step, outcomes, after) == []
        return outcomes

    def _place(self, region: Region) -> dict[str, str]:
        window = int(region.root[-1])
        place = 0x290000000 + window * 0x80000000 + int(region.label[1]) * 0x20000000
        number = region.name.removeprefix("region")
        return {
            f"{region.path}/dax_region{number}/dax{number}.0/target_node": str(window + 1),
            f"{region.path}/resource": hex(place),
        }

    # -- as a session --

    def discover(self) -> World:
        """The machine."""
        return self.model.world

    def command(self, text: str) -> list[str]:
        """Nothing that matters here."""
        return []

    def look(self) -> dict[str, str]:
        """What each file reads."""
        return self.seen()

    def play(self, label: str, actions: Sequence[Action]) -> tuple[list[str], dict[str, str]]:
        """Play the step of that name."""
        verb, *words = label.split()
        return self.step(Step(verb, tuple(words))), self.seen()

    def ask(self, actions: Sequence[Action]) -> list[str]:
        """What is right."""
        return [outcome(action) for action in actions]

    def close(self) -> None:
        """Nothing to do."""


class Floor:
    """Guests whose kernels make the same mistake."""

    scale = 1.0
    require_feature = False

    def __init__(self, mistake: Mistake | None = None, said: str = ALL_THERE) -> None:
        self.guests = 0
        self.kept: dict[str, str] = {}
        self.lines: list[str] = []
        self._mistake = mistake
        self._said = said

    def guest(self) -> Any:
        """Another one each time."""
        self.guests += 1
        return self

    def connect(self, machine: Any) -> Any:
        """A session in it."""
        return Kernel(parse(self._said), self._mistake)

    def spoil(self, reason: str) -> None:
        """It is not used any more."""

    def examined(self, *, crashed: bool) -> tuple[str, ...]:
        """A look at it."""
        return (f"looked at, crashed: {crashed}",)

    def case_begins(self, name: str) -> None:
        """A case begins."""

    def output(self, program: Any, line: str) -> None:
        """A line of the report."""
        self.lines.append(line)

    def keep(self, name: str, text: str) -> None:
        """Keep a file."""
        self.kept[name] = text


def outcome(action: Action) -> str:
    """One that is allowed: that it works, where that is."""
    if action.allowed == ANY or DONE in action.allowed.split("|"):
        return DONE
    return "EINVAL" if action.allowed == REFUSED else action.allowed.split("|")[0]
