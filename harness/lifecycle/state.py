# SPDX-License-Identifier: GPL-2.0-only
"""The state that a sequence of steps leads to: regions, groups, tasks, and the nodes that follow from them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.lifecycle.world import CGROUPS, CXL, MEMORY, World, numbers

DONE, REFUSED, ANY = "done", "refused", "*"
ABSENT = "-"
DRIVER = "/sys/bus/cxl/drivers/cxl_region"
SWAP_DISK = "/dev/harness/swap"
LABELS = ("r1", "r2", "r3")
GROUPS = ("a", "b", "a/b")
TASKS = ("1", "2")
TASK_BYTES = "256K"
TASK_PAGES = 64
PRESSURE = ("anon", "shm", "file", "slab", "pagetables", "forks")

Seen = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Action:
    """Words for the shell in the guest (``lib/steps.sh``) and what may come of them: outcomes joined by ``|``."""

    words: tuple[str, ...]
    allowed: str = DONE

    def permits(self, outcome: str) -> bool:
        """Whether an outcome is one of those allowed."""
        if self.allowed == REFUSED:
            return outcome != DONE
        return permitted(self.allowed, outcome)


def permitted(wanted: str, value: str) -> bool:
    """Whether a value is one of those wanted (``a|b``, ``*`` for any)."""
    return wanted == ANY or value in wanted.split("|")


def attempt(path: str, value: str | int, allowed: str = DONE) -> Action:
    """A write."""
    return Action(("attempt", path, str(value)), allowed)


@dataclass(slots=True)
class Region:
    """A region of the sequence, and the capacity that it was given, which stays when it is deleted.

    ``ways`` are those it was shaped with, which stay when the capacity is given back; 0 before.
    """

    label: str
    kind: str
    root: str
    name: str
    type: str = ""
    ways: int = 0
    attached: bool = False
    committed: bool = False
    bound: bool = False
    exists: bool = True
    devices: tuple[str, ...] = ()
    decoders: tuple[str, ...] = ()
    slots: dict[str, int] = field(default_factory=dict)
    first_block: int = -1
    blocks: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Its folder in sysfs."""
        return f"{CXL}/{self.name}"

    @property
    def shaped(self) -> bool:
        """Whether it has granularity, ways and size."""
        return self.ways > 0

    @property
    def private(self) -> bool:
        """Whether it is a private one."""
        return self.kind == "private"

    @property
    def online(self) -> bool:
        """Whether a memory block of it is online."""
        return "online" in self.blocks

    def block(self, number: int) -> str:
        """The folder of a memory block of it."""
        return f"{MEMORY}/memory{self.first_block + number}"


@dataclass(slots=True)
class Task:
    """A process with pages of known content in a group ("" for the root)."""

    group: str
    filled: bool = False


class State:
    """The state that a sequence leads to. ``nodes`` (window → node) is shared by all sequences: it is learned once."""

    def __init__(self, world: World, nodes: dict[str, int]) -> None:
        self.world = world
        self.nodes = nodes
        self.regions: dict[str, Region] = {}
        self.groups: dict[str, str] = {}
        self.parents: set[str] = set()
        self.tasks: dict[str, Task] = {}
        self.policy = "offline"
        self.swap = False
        self.zswap = True
        self.stores = "empty"  # where zswap's pages must be, as adds_up has it
        self.gone: set[str] = set()  # devices that were unplugged
        self.spent = ""  # why nothing more can be said of this guest
        self._wrong: list[str] = []

    def node(self, region: Region) -> int | None:
        """The node of a region's window, where it is known."""
        return self.nodes.get(region.root)

    def beside(self, region: Region) -> list[Region]:
        """The other regions on its node."""
        return [one for one in self.regions.values() if one is not region and one.root == region.root]

    def private_nodes(self) -> set[int]:
        """Nodes with a bound private region."""
        return self._nodes(lambda one: one.private and (one.bound or one.online))

    def private_online(self) -> set[int]:
        """Nodes with private memory online."""
        return self._nodes(lambda one: one.private and one.online)

    def ram_nodes(self) -> set[int]:
        """Nodes with RAM of a region online."""
        return self._nodes(lambda one: not one.private and one.online)

    def effective(self, group: str) -> set[int]:
        """``cpuset.mems.effective`` of a group, "" for the root (Documentation/admin-guide/cgroup-v2.rst)."""
        if not group:
            return set(self.world.boot_nodes) | self.ram_nodes() | self.private_online()
        above = self.effective(group.rpartition("/")[0])
        return above & numbers(self.groups[group]) or above

    def sysram(self, group: str) -> set[int]:
        """``cpuset.mems.sysram`` of a group."""
        return self.effective(group) & (set(self.world.boot_nodes) | self.ram_nodes())

    def allowed(self, group: str) -> set[int]:
        """``Mems_allowed`` of a task in a group: its system RAM, or that of the nearest group above that has some."""
        while group and not self.sysram(group):
            group = group.rpartition("/")[0]
        return self.sysram(group)

    def _nodes(self, which: Callable[[Region], bool]) -> set[int]:
        found = (self.node(one) for one in self.regions.values() if which(one))
        return {node for node in found if node is not None}


def group_path(group: str) -> str:
    """The folder of a group of the sequence, "" for the root."""
    return "/".join([CGROUPS, *(f"lifecycle-{part}" for part in group.split("/") if part)])


def size_of(size: int) -> str:
    """Bytes as the kernel's files have them: with or without leading zeros."""
    return f"{size:#018x}|{size:#x}"


def regions_in(seen: Seen) -> set[str]:
    """The names of the regions that are there."""
    return {path.split("/")[-2] for path in seen if path.startswith(f"{CXL}/region") and path.endswith("/mode")}
