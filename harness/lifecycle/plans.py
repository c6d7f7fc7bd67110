# SPDX-License-Identifier: GPL-2.0-only
"""What a step does to the machine, and what each of its actions may answer in a state. Pure."""

from __future__ import annotations

from collections.abc import Callable

from harness.lifecycle.state import (
    ABSENT,
    ANY,
    DONE,
    DRIVER,
    GROUPS,
    PRESSURE,
    REFUSED,
    SWAP_DISK,
    TASK_BYTES,
    TASK_PAGES,
    TASKS,
    Action,
    Region,
    Seen,
    State,
    attempt,
    group_path,
)
from harness.lifecycle.step import Step
from harness.lifecycle.world import CXL, MEMORY, UNIT, ZSWAP, numbers


class Plans(State):
    """The state of a sequence, and the steps that make sense in it."""

    def plan(self, step: Step, seen: Seen) -> list[Action] | None:
        """The actions of a step in this state, or None where it makes no sense in it or cannot be foretold."""
        if self.spent or not step.words:
            return None
        planned: Callable[..., list[Action] | None] | None = getattr(self, f"_plan_{step.verb}", None)
        if planned is None:
            return None
        try:
            if step.verb in ("create", "misname"):
                return planned(seen, *step.words)
            if step.verb not in ON_REGION:
                return planned(*step.words)
            region = self.regions.get(step.words[0])
            if region is None or not (region.exists or step.verb == "release"):
                return None
            return planned(region, *step.words[1:])
        except (TypeError, ValueError, LookupError):  # a wrong number of words, or words of another machine
            return None

    def _plan_create(self, seen: Seen, label: str, kind: str, root: str) -> list[Action] | None:
        window = self.world.window(root)
        name = seen.get(f"{CXL}/{root}/create_{kind}_region", "")
        if label in self.regions or window is None or kind not in window.kinds or not name.startswith("region"):
            return None
        return [attempt(f"{CXL}/{root}/create_{kind}_region", name)]

    def _plan_misname(self, seen: Seen, kind: str, root: str, how: str) -> list[Action] | None:
        file = f"{CXL}/{root}/create_{kind}_region"
        name = seen.get(file, "")
        if not name.startswith("region"):
            return None
        if how == "other":
            return [attempt(file, f"region{int(name.removeprefix('region')) + 1}", "EBUSY")]
        return [attempt(file, "nonsense", "EINVAL")]

    def _plan_reserve(self, region: Region, *devices: str) -> list[Action] | None:
        if region.decoders or devices not in self.world.shapes.get(region.root, ()):
            return None
        if region.shaped and len(devices) != region.ways:
            return None
        actions = []
        for name, decoder in zip(devices, self._free_decoders(devices), strict=True):
            device = self.world.device(name)
            if device is None or self._used(name) >= device.units:
                return None
            actions.append(attempt(f"{CXL}/{decoder}/mode", "ram"))
            actions.append(attempt(f"{CXL}/{decoder}/dpa_size", UNIT))
        return actions

    def _plan_shape(self, region: Region) -> list[Action] | None:
        window = self.world.window(region.root)
        if region.shaped or not region.decoders or window is None:
            return None
        ways = len(region.decoders)
        return [
            attempt(f"{region.path}/interleave_granularity", window.granularity),
            attempt(f"{region.path}/interleave_ways", ways),
            attempt(f"{region.path}/size", UNIT * ways),
        ]

    def _plan_target(self, region: Region) -> list[Action] | None:
        if region.attached or not region.decoders:
            return None
        if not region.shaped:
            return [attempt(f"{region.path}/target0", region.decoders[0], REFUSED)]
        ports = self._ports(region)
        waiting = any(one.attached and not one.committed and ports & set(one.slots) for one in self.regions.values())
        if waiting and len(region.decoders) > 1:
            return None
        # a kernel may want the region before on the same port to be committed first
        allowed = "done|EBUSY" if waiting else DONE
        return [attempt(f"{region.path}/target{at}", decoder, allowed) for at, decoder in enumerate(region.decoders)]

    def _plan_type(self, region: Region, value: str) -> list[Action] | None:
        if not region.private:
            return None
        file = f"{region.path}/private_type"
        if region.committed:
            return [attempt(file, value, "EBUSY" if value == "zswap" else "EBUSY|EINVAL")]
        return [attempt(file, value, DONE if value == "zswap" else "EINVAL")]

    def _plan_commit(self, region: Region) -> list[Action] | None:
        if region.attached and not region.committed and not self._next_in_line(region):
            return None
        return [attempt(f"{region.path}/commit", 1, DONE if region.attached else REFUSED)]

    def _plan_uncommit(self, region: Region) -> list[Action] | None:
        if region.committed and (not self._last_in_line(region) or not self._may_go(region)):
            return None
        return [attempt(f"{region.path}/commit", 0)]

    def _plan_bind(self, region: Region) -> list[Action] | None:
        file = f"{DRIVER}/bind"
        beside = self.beside(region)
        if region.bound or not region.committed:
            return [attempt(file, region.name, REFUSED)]
        if region.private:
            refusals = [] if region.type else ["EINVAL"]
            if any(not one.private and one.online for one in beside):
                refusals.append("EBUSY")
            if refusals:
                return [attempt(file, region.name, "|".join(refusals))]
            offline_ram = any(not one.private and one.blocks for one in beside)
            return [attempt(file, region.name, "done|EBUSY" if offline_ram else DONE)]
        on_private = any(one.private and one.bound for one in beside)
        return [attempt(file, region.name, ANY if on_private else DONE)]

    def _plan_unbind(self, region: Region) -> list[Action] | None:
        if not region.bound:
            return [attempt(f"{DRIVER}/unbind", region.name, REFUSED)]
        return [attempt(f"{DRIVER}/unbind", region.name)] if self._may_go(region) else None

    def _plan_delete(self, region: Region) -> list[Action] | None:
        if (region.committed and not self._last_in_line(region)) or not self._may_go(region):
            return None
        allowed = "done|EBUSY" if region.online else DONE  # a kernel may refuse while memory is online
        return [attempt(f"{CXL}/{region.root}/delete_region", region.name, allowed)]

    def _plan_release(self, region: Region) -> list[Action] | None:
        if not region.decoders:
            return None
        if region.attached:
            return [attempt(f"{CXL}/{region.decoders[0]}/dpa_size", 0, REFUSED)]
        later = [one for one in self.regions.values() if one is not region]
        for name, decoder in zip(region.devices, region.decoders, strict=True):
            for one in later:
                for other, its in zip(one.devices, one.decoders, strict=True):
                    if other == name and _number(its) > _number(decoder):
                        return None  # capacity is given back in reverse order
        return [attempt(f"{CXL}/{decoder}/dpa_size", 0) for decoder in reversed(region.decoders)]

    def _plan_online(self, region: Region, number: str, how: str) -> list[Action] | None:
        at = int(number)
        if not 0 <= at < len(region.blocks) or (how != "online_movable" and not region.private):
            return None  # RAM that is not movable cannot be taken offline again
        file = f"{region.block(at)}/state"
        if region.blocks[at] == "online":
            return [attempt(file, how, REFUSED)]
        on_private = not region.private and any(one.private and one.bound for one in self.beside(region))
        return [attempt(file, how, REFUSED if on_private else DONE)]

    def _plan_offline(self, region: Region, number: str) -> list[Action] | None:
        at = int(number)
        if not 0 <= at < len(region.blocks):
            return None
        file = f"{region.block(at)}/state"
        if region.blocks[at] == "offline":
            return [attempt(file, "offline", REFUSED)]
        # RAM may have a page that cannot move, and zswap's pages may stay where they are
        free = region.private and self.stores in ("empty", "software")
        return [attempt(file, "offline", DONE if free else "done|EBUSY|EAGAIN|EINTR")]

    def _plan_policy(self, value: str) -> list[Action] | None:
        return [attempt(f"{MEMORY}/auto_online_blocks", value)] if value in ("offline", "online_movable") else None

    def _plan_group(self, group: str) -> list[Action] | None:
        if not self.world.cpusets or group in self.groups or group not in GROUPS:
            return None
        above = group.rpartition("/")[0]
        actions = [Action(("answer", "mkdir", group_path(group)))]
        if above:
            if above not in self.groups or any(task.group == above for task in self.tasks.values()):
                return None
            if above not in self.parents:
                # both, as zswap goes by the cpuset of the memory group that a page is charged to
                controllers = "+cpuset +memory" if self.world.memcg else "+cpuset"
                actions.insert(0, attempt(f"{group_path(above)}/cgroup.subtree_control", controllers))
        return actions

    def _plan_mems(self, group: str, mems: str) -> list[Action] | None:
        value = "" if mems == ABSENT else mems
        if group not in self.groups or not numbers(value) <= self.world.possible_nodes:
            return None
        # a group with tasks, its own or further down, may have to keep a mask (validate_change() of cpusets)
        tasks = any(f"{task.group}/".startswith(f"{group}/") for task in self.tasks.values())
        allowed = "done|ENOSPC" if tasks and not value else DONE
        return [attempt(f"{group_path(group)}/cpuset.mems", value, allowed)]

    def _plan_ungroup(self, group: str) -> list[Action] | None:
        below = any(one.startswith(f"{group}/") for one in self.groups)
        if group not in self.groups or below or any(task.group == group for task in self.tasks.values()):
            return None
        return [Action(("answer", "rmdir", group_path(group)))]

    def _plan_swap(self, value: str) -> list[Action] | None:
        if not self.world.swaps or self.swap == (value == "on") or value not in ("on", "off"):
            return None
        return [Action(("answer", f"swap{value}", SWAP_DISK))]

    def _plan_zswap(self, value: str) -> list[Action] | None:
        return [attempt(f"{ZSWAP}/enabled", value)] if self.world.swaps and value in ("Y", "N") else None

    def _plan_start(self, number: str, group: str) -> list[Action] | None:
        home = "" if group == ABSENT else group
        if "pattern" not in self.world.there or number in self.tasks or number not in TASKS:
            return None
        if home and (home not in self.groups or home in self.parents):
            return None
        join = ("-g", group_path(home)) if home else ()
        return [Action(("task", number, "start", "-s", TASK_BYTES, "-w", number, *join))]

    def _plan_fill(self, number: str) -> list[Action] | None:
        return [Action(("task", number, "fill"), ANY)] if number in self.tasks else None

    def _plan_out(self, number: str) -> list[Action] | None:
        ready = number in self.tasks and self.tasks[number].filled and self.swap
        return [Action(("task", number, "pageout"), ANY)] if ready else None

    def _plan_verify(self, number: str) -> list[Action] | None:
        if number not in self.tasks or not self.tasks[number].filled:
            return None
        return [Action(("task", number, "verify"), f"verify good={TASK_PAGES} bad=0")]

    def _plan_end(self, number: str) -> list[Action] | None:
        return [Action(("task", number, "end"))] if number in self.tasks else None

    def _plan_policycall(self, region: Region, policy: str) -> list[Action] | None:
        node = self.node(region)
        if node is None or "membind" not in self.world.there or node not in self.private_nodes():
            return None
        return [Action(("answer", "membind", "range", policy, str(node), "16K"), "EINVAL")]

    def _plan_unplug(self, name: str) -> list[Action] | None:
        """Where the machine lets it; with RAM of the device online, that memory would stay until the next reboot."""
        users = [one for one in self.regions.values() if name in one.devices]
        if not self.world.plugs or self.world.device(name) is None or any(not self._may_go(one) for one in users):
            return None
        return [Action(("unplug", name))]

    def _plan_pressure(self, kind: str) -> list[Action] | None:
        if "pressure" not in self.world.there or kind not in PRESSURE:
            return None
        return [Action(("answer", "pressure", "-s", "8M", "-t", "1", kind))]

    def _used(self, device: str) -> int:
        return sum(one.devices.count(device) for one in self.regions.values() if one.decoders)

    def _free_decoders(self, devices: tuple[str, ...]) -> list[str]:
        found = []
        for name in devices:
            device = self.world.device(name)
            assert device is not None
            found.append(f"decoder{device.endpoint.removeprefix('endpoint')}.{self._used(name)}")
        return found

    def _ports(self, region: Region) -> set[str]:
        found = (self.world.device(name) for name in region.devices)
        return {port for device in found if device is not None for port in device.ports}

    def _take_slots(self, region: Region) -> None:
        """Decoders of the ports above: the first free one of each; an endpoint's is the one that has the capacity."""
        for port in self._ports(region):
            taken = {one.slots[port] for one in self.regions.values() if port in one.slots}
            region.slots[port] = next(number for number in range(99) if number not in taken)
        for decoder in region.decoders:
            region.slots[f"endpoint{decoder.removeprefix('decoder').partition('.')[0]}"] = _number(decoder)

    def _committed_below(self, region: Region, port: str) -> list[int]:
        return [one.slots[port] for one in self.regions.values() if one.committed and port in one.slots]

    def _next_in_line(self, region: Region) -> bool:
        """Whether its decoders are the next to be committed (CXL 3.1 8.2.4.20.12: in order)."""
        return all(
            sorted(self._committed_below(region, port)) == list(range(slot)) for port, slot in region.slots.items()
        )

    def _last_in_line(self, region: Region) -> bool:
        return all(max(self._committed_below(region, port)) == slot for port, slot in region.slots.items())

    def _may_go(self, region: Region) -> bool:
        """RAM that goes with memory online pins it until the next reboot: not played."""
        return region.private or not region.online


ON_REGION = frozenset(
    {"reserve", "shape", "target", "type", "commit", "uncommit", "bind", "unbind", "online", "offline", "delete"}
    | {"release", "policycall"}
)


def _number(decoder: str) -> int:
    return int(decoder.rpartition(".")[2])
