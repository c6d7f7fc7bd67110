# SPDX-License-Identifier: GPL-2.0-only
"""What must be so after which steps: the contract of private regions, and what the kernel documents of RAM regions.

Pure: a :class:`Model` says which shell actions a step takes and what each may answer (:mod:`harness.lifecycle.plans`),
learns the answers (:meth:`Model.learn`), and then says what every file must read (:meth:`Model.expected`) and what is
worth asking (:meth:`Model.questions`). Where the contract leaves a choice, several answers are allowed and the one that
came is taken over; what follows from it is as strict as the rest.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.lifecycle import expected
from harness.lifecycle.plans import ON_REGION, Plans
from harness.lifecycle.state import ABSENT, DONE, Action, Region, Seen, Task, regions_in
from harness.lifecycle.step import Step
from harness.lifecycle.world import UNIT, listed, numbers


class Model(Plans):
    """What a sequence leads to: what every file must read after it, and the way back."""

    def learn(self, step: Step, outcomes: list[str], seen: Seen) -> list[str]:
        """Take over what a step answered; returns what was answered that no consistent kernel would, in words."""
        self._wrong = []
        done = all(outcome == DONE for outcome in outcomes)
        learned: Callable[..., None] | None = getattr(self, f"_learn_{step.verb}", None)
        if learned is not None and (done or step.verb in ("fill", "out")):
            if step.verb in ON_REGION:
                learned(self.regions[step.words[0]], seen, *step.words[1:])
            else:
                learned(seen, *step.words)
        return self._wrong

    def _learn_create(self, seen: Seen, label: str, kind: str, root: str) -> None:
        known = {one.name for one in self.regions.values() if one.exists}
        new = sorted(regions_in(seen) - known)
        if len(new) != 1:
            self._wrong.append(f"after the create there are new regions: {', '.join(new) or 'none'}")
        self.regions[label] = Region(label, kind, root, new[0] if new else "region-that-is-not-there")

    def _learn_reserve(self, region: Region, seen: Seen, *devices: str) -> None:
        region.decoders = tuple(self._free_decoders(devices))
        region.devices = devices

    def _learn_shape(self, region: Region, seen: Seen) -> None:
        region.ways = len(region.decoders)

    def _learn_target(self, region: Region, seen: Seen) -> None:
        region.attached = True
        self._take_slots(region)

    def _learn_type(self, region: Region, seen: Seen, value: str) -> None:
        region.type = value

    def _learn_commit(self, region: Region, seen: Seen) -> None:
        region.committed = True

    def _learn_bind(self, region: Region, seen: Seen) -> None:
        region.bound = True
        node = next((int(value) for path, value in seen.items() if _is_target_node(path, region)), None)
        if node is None:
            self._wrong.append(f"{region.name} is bound, but has no dax device with a target_node")
            node = -1
        if self.nodes.setdefault(region.root, node) != node:
            self._wrong.append(f"the node of {region.name} is {node}, that of its window was {self.nodes[region.root]}")
        start = int(seen.get(f"{region.path}/resource", "0"), 0)
        region.first_block = start // self.world.block_bytes
        count = UNIT * len(region.decoders) // self.world.block_bytes
        state = "online" if self.policy == "online_movable" else "offline"
        region.blocks = [state] * count
        if not region.private and any(one.private and one.bound for one in self.beside(region)):
            # its memory is refused, or is there and cannot be used: never online
            there = f"{region.block(0)}/state" in seen
            region.blocks = ["offline"] * count if there else []

    def _learn_unbind(self, region: Region, seen: Seen) -> None:
        region.bound = False
        states = [seen.get(f"{region.block(at)}/state", ABSENT) for at in range(len(region.blocks))]
        if region.private and region.online and any(state != ABSENT for state in states):
            # a kernel may leave memory that is online until the next reboot; it must stay private then
            region.blocks = states
            self.spent = f"the memory of {region.name} stays until the next reboot"
        else:
            region.blocks = []
        if region.private and self.stores != "empty":
            self.stores = "any"

    def _learn_uncommit(self, region: Region, seen: Seen) -> None:
        if region.bound:
            self._learn_unbind(region, seen)
        region.committed = False

    def _learn_delete(self, region: Region, seen: Seen) -> None:
        if region.bound:
            self._learn_unbind(region, seen)
        region.committed = region.attached = region.exists = False
        region.ways = 0
        region.slots = {}
        if not region.decoders:
            del self.regions[region.label]

    def _learn_release(self, region: Region, seen: Seen) -> None:
        region.decoders = region.devices = ()
        if not region.exists:
            del self.regions[region.label]

    def _learn_online(self, region: Region, seen: Seen, number: str, how: str) -> None:
        region.blocks[int(number)] = "online"

    def _learn_offline(self, region: Region, seen: Seen, number: str) -> None:
        region.blocks[int(number)] = "offline"
        if region.private and self.stores != "empty":
            self.stores = "any"

    def _learn_policy(self, seen: Seen, value: str) -> None:
        self.policy = value

    def _learn_group(self, seen: Seen, group: str) -> None:
        self.groups[group] = ""
        if "/" in group:
            self.parents.add(group.rpartition("/")[0])

    def _learn_mems(self, seen: Seen, group: str, mems: str) -> None:
        self.groups[group] = "" if mems == ABSENT else listed(numbers(mems))

    def _learn_ungroup(self, seen: Seen, group: str) -> None:
        del self.groups[group]
        self.parents.discard(group)

    def _learn_swap(self, seen: Seen, value: str) -> None:
        self.swap = value == "on"
        self.stores = "empty"

    def _learn_zswap(self, seen: Seen, value: str) -> None:
        self.zswap = value == "Y"

    def _learn_start(self, seen: Seen, number: str, group: str) -> None:
        self.tasks[number] = Task("" if group == ABSENT else group)

    def _learn_fill(self, seen: Seen, number: str) -> None:
        self.tasks[number].filled = True

    def _learn_out(self, seen: Seen, number: str) -> None:
        """Directly where the task's group may have a private node with memory, in software where it may not."""
        where = "any"
        if not self.zswap:
            where = "empty"
        elif not self.effective(self.tasks[number].group) & self.private_online():
            where = "software"
        elif self.effective(self.tasks[number].group) >= self.private_online():
            where = "direct"
        if where != "empty":
            self.stores = where if self.stores in ("empty", where) else "any"

    def _learn_end(self, seen: Seen, number: str) -> None:
        del self.tasks[number]

    def _learn_unplug(self, seen: Seen, name: str) -> None:
        """Its regions are undone as far as their targets; they stay, and nothing more is played on this machine."""
        self.gone.add(name)
        for region in self.regions.values():
            if name in region.devices:
                if region.bound:
                    self._learn_unbind(region, seen)
                region.committed = region.attached = False
        self.spent = f"{name} was unplugged"

    def _learn_pressure(self, seen: Seen, kind: str) -> None:
        if self.swap:
            self.stores = "any"  # others may have been paged out, too

    def questions(self, step: Step) -> list[Action]:
        """What to ask after a step beside the files: what tasks may use, and whose pages are on private nodes."""
        if step.verb == "unplug":
            return [action for number in sorted(self.tasks) for action in self._plan_verify(number) or ()]
        asked = []
        if step.verb in _MOVES_MEMS:
            for number, task in sorted(self.tasks.items()):
                wanted = listed(self.allowed(task.group))
                asked.append(Action(("mems", number, wanted), wanted))
        private = sorted(self.private_online())
        if self.world.swaps and private and step.verb in _MOVES_PAGES:
            some = "empty|direct|software|mixed"
            wanted = {"any": some, "direct": "direct|empty", "software": "software|empty"}.get(self.stores, self.stores)
            asked.append(Action(("adds_up", *(str(node) for node in private)), wanted))
        return asked

    def expected(self) -> dict[str, str]:
        """What each file must read (:mod:`harness.lifecycle.expected`)."""
        return expected.expected(self)

    def unexpected(self, seen: Seen) -> list[str]:
        """What is there that no step has made, in words."""
        return expected.unexpected(self, seen)

    def undo(self) -> list[Step]:
        """A step that leads back to the begin, or none when it is reached; ask again after each."""
        for number in self.tasks:
            return [Step("end", (number,))]
        if self.swap:
            return [Step("swap", ("off",))]
        if not self.zswap:
            return [Step("zswap", ("Y",))]
        for group in sorted(self.groups, reverse=True):
            return [Step("ungroup", (group,))]
        if self.policy != "offline":
            return [Step("policy", ("offline",))]
        for region in self.regions.values():
            for at, state in enumerate(region.blocks):
                if state == "online":
                    return [Step("offline", (region.label, str(at)))]
        for region in self.regions.values():
            for step in (Step("delete", (region.label,)), Step("release", (region.label,))):
                if (step.verb == "delete") == region.exists and self.plan(step, {}):
                    return [step]
        return []

    @property
    def at_begin(self) -> bool:
        """Whether nothing is left of the sequence."""
        return not (self.regions or self.groups or self.tasks or self.swap or self.spent or self.policy != "offline")


_MOVES_MEMS = frozenset({"start", "mems", "group", "online", "offline", "bind", "unbind", "uncommit", "delete"})
_MOVES_PAGES = frozenset(
    {"out", "fill", "verify", "end", "swap", "zswap", "online", "offline", "bind", "unbind", "uncommit", "delete"}
    | {"pressure"}
)


def _is_target_node(path: str, region: Region) -> bool:
    return path.startswith(f"{region.path}/dax_region") and path.endswith("/target_node")
