# SPDX-License-Identifier: GPL-2.0-only
"""What a machine has that no step changes: windows, devices, ports, nodes and the kernel's features.

Found by sysfs alone (Documentation/ABI/testing/sysfs-bus-cxl), by one shell command in the guest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CXL = "/sys/bus/cxl/devices"
NODES = "/sys/devices/system/node"
MEMORY = "/sys/devices/system/memory"
TIERS = "/sys/devices/virtual/memory_tiering"
CGROUPS = "/sys/fs/cgroup"
ZSWAP = "/sys/module/zswap/parameters"
UNIT = 256 << 20  # bytes: decoders and regions come in multiples of it (CXL 3.1 8.2.4.20)

DISCOVER = f"""\
for d in {CXL}/*; do n=${{d##*/}}; p=$(readlink -f "$d")
case $n in
mem*) echo "mem $n $(cat "$d/ram/size" 2>/dev/null || echo 0)";;
endpoint*) u=$(readlink -f "$d/uport"); echo "endpoint $n ${{u##*/}} $p";;
port*) echo "port $n $(readlink -f "$d/uport")";;
root*) for t in "$d"/dport*; do echo "dport ${{t##*/dport}} $(readlink -f "$t")"; done;;
decoder*) [ "$(cat "$d/devtype")" = cxl_decoder_root ] || continue
k=; [ ! -e "$d/create_ram_region" ] || k=ram; [ ! -e "$d/create_private_region" ] || k=$k,private
echo "window $n ${{k:--}} $(cat "$d/start" "$d/size" "$d/interleave_ways" "$d/interleave_granularity" \
"$d/target_list" | tr '\\n' ' ')";;
esac; done
echo "block $(cat {MEMORY}/block_size_bytes)"
for f in has_memory has_normal_memory has_private_memory possible online; do
[ ! -e {NODES}/$f ] || echo "nodes $f $(cat {NODES}/$f)"; done
for f in /sys/bus/dax/drivers/kmem {TIERS} {CGROUPS}/cpuset.mems.effective {CGROUPS}/cpuset.mems.sysram \
{MEMORY}/auto_online_blocks {ZSWAP}/enabled /sys/kernel/debug/zswap/stored_pages /dev/harness/swap \
{CGROUPS}/memory.reclaim /sys/bus/cxl/drivers/cxl_region; do [ ! -e $f ] || echo "there $f"; done
for f in pattern nodeused membind pressure; do ! command -v $f >/dev/null || echo "there $f"; done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A root decoder that takes RAM. ``bridges`` are the ports of its host bridges in target order."""

    root: str
    kinds: tuple[str, ...]
    start: int
    size: int
    ways: int
    granularity: int
    bridges: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A memory device with volatile capacity. ``ports`` are its endpoint and all ports above it."""

    name: str
    endpoint: str
    ports: tuple[str, ...]
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The machine. ``there`` are paths and programs that exist; ``boot_nodes`` those with memory before any step."""

    windows: tuple[Window, ...]
    devices: tuple[Device, ...]
    block_bytes: int
    boot_nodes: frozenset[int]
    normal_nodes: frozenset[int]
    possible_nodes: frozenset[int]
    there: frozenset[str]
    plugs: bool = False  # whether a device can be taken out of the machine
    shapes: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)

    @property
    def private(self) -> bool:
        """Whether the kernel has private regions."""
        return any("private" in window.kinds for window in self.windows)

    @property
    def sysram(self) -> bool:
        """Whether cpusets have ``mems.sysram``."""
        return f"{CGROUPS}/cpuset.mems.sysram" in self.there

    @property
    def cpusets(self) -> bool:
        """Whether there are cpusets of the v2 hierarchy."""
        return f"{CGROUPS}/cpuset.mems.effective" in self.there

    @property
    def memcg(self) -> bool:
        """Whether there are memory groups of the v2 hierarchy."""
        return f"{CGROUPS}/memory.reclaim" in self.there

    @property
    def swaps(self) -> bool:
        """Whether pages can be stored in zswap, and looked after."""
        need = {f"{ZSWAP}/enabled", "/sys/kernel/debug/zswap/stored_pages", "/dev/harness/swap", "pattern", "nodeused"}
        return need <= self.there

    def window(self, root: str) -> Window | None:
        """The window by its decoder's name."""
        return next((one for one in self.windows if one.root == root), None)

    def device(self, name: str) -> Device | None:
        """The device by its name."""
        return next((one for one in self.devices if one.name == name), None)

    def missing(self) -> str:
        """Why no region can be made here; "" where it can."""
        if not self.windows or not any(self.shapes.values()):
            return "this machine has no CXL window with a device with RAM below it"
        needed = {
            "/sys/bus/cxl/drivers/cxl_region": "this kernel has no CXL regions (CONFIG_CXL_REGION)",
            "/sys/bus/dax/drivers/kmem": "this kernel has no kmem driver for dax devices (CONFIG_DEV_DAX_KMEM)",
            f"{MEMORY}/auto_online_blocks": "this kernel has no memory hotplug (CONFIG_MEMORY_HOTPLUG)",
        }
        return next((why for path, why in needed.items() if path not in self.there), "")


def numbers(text: str) -> frozenset[int]:
    """A list in the kernel's format (``0,2-3``) as a set; raises ValueError for what is none."""
    found: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def listed(found: frozenset[int] | set[int]) -> str:
    """A set as a list in the kernel's format."""
    parts: list[str] = []
    for number in sorted(found):
        first, _, last = parts[-1].partition("-") if parts else ("", "", "")
        if parts and int(last or first) == number - 1:
            parts[-1] = f"{first}-{number}"
        else:
            parts.append(str(number))
    return ",".join(parts)


def parse(text: str) -> World:
    """The world from what :data:`DISCOVER` prints; raises ValueError for what it cannot have printed."""
    rows = [line.split() for line in text.splitlines() if line.strip()]

    def of(kind: str) -> list[list[str]]:
        return [row[1:] for row in rows if row[0] == kind]

    ports = {path: name for name, path in of("port")}
    dports = {number: ports[path] for number, path in of("dport") if path in ports}
    sizes = {name: int(size, 0) for name, size in of("mem")}
    devices = [
        Device(
            name=memdev,
            endpoint=endpoint,
            ports=(*(part for part in path.split("/") if part.startswith("port")), endpoint),
            units=sizes.get(memdev, 0) // UNIT,
        )
        for endpoint, memdev, path in of("endpoint")
    ]
    devices = sorted((one for one in devices if one.units), key=lambda one: one.name)
    windows = []
    for root, kinds, start, size, ways, granularity, targets in of("window"):
        if "ram" in kinds:
            windows.append(
                Window(
                    root=root,
                    kinds=tuple(kinds.split(",")),
                    start=int(start, 0),
                    size=int(size, 0),
                    ways=int(ways),
                    granularity=int(granularity),
                    bridges=tuple(dports[number] for number in targets.split(",") if number in dports),
                )
            )
    nodes = {row[0]: numbers(row[1]) if len(row) > 1 else frozenset() for row in of("nodes")}
    return World(
        windows=tuple(windows),
        devices=tuple(devices),
        block_bytes=int(of("block")[0][0], 16),
        boot_nodes=nodes["has_memory"],
        normal_nodes=nodes.get("has_normal_memory", frozenset()),
        possible_nodes=nodes["possible"],
        there=frozenset(row[0] for row in of("there")),
        shapes={window.root: _shapes(window, devices) for window in windows},
    )


def _shapes(window: Window, devices: list[Device]) -> tuple[tuple[str, ...], ...]:
    """The lists of devices that a region in a window can have, as far as they are tried here."""
    below = [[one.name for one in devices if bridge in one.ports] for bridge in window.bridges]
    if not below or not all(below):
        return ()
    if len(below) > 1:
        return (tuple(names[0] for names in below),)
    (names,) = below
    pairs = [tuple(names[:2])] if len(names) > 1 else []
    return (*((name,) for name in names), *pairs)
