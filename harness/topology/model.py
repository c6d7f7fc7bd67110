# SPDX-License-Identifier: GPL-2.0-only
"""What a machine description in ``qemu/`` says: CPU nodes, CXL host bridges, ports, switches, devices, windows.

The words are those of the CXL specification and of QEMU's documentation (docs/system/devices/cxl.rst). All sizes are
MiB, granularities are bytes. A value that exists is well formed, not yet sensible: :func:`harness.topology.check` says
whether the parts fit together.
"""

from __future__ import annotations

from typing import Literal

import msgspec

CAPACITY_UNIT_MIB = 256
"""CXL counts device capacity and windows in 256 MiB (CXL 3.1, 8.2.9.9.1.1 and 9.18.1.3)."""

MEMORY_BLOCK_MIB = 128
"""What Linux on x86 puts online at a time; node borders on it keep every block whole."""

MOST_CPUS = 255
"""As many as QEMU's q35 has without an interrupt remapper."""


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a topology: frozen, by keyword, nothing unknown."""


class CpuNode(Item, frozen=True):
    """A NUMA node with processors and ordinary memory. Nodes are numbered in the order of the file, from 0."""

    cpus: int
    memory_mib: int


class HostBridge(Item, frozen=True):
    """A CXL host bridge (QEMU ``pxb-cxl``). ``bus`` is its PCI bus number; what is below it takes the numbers after.

    ``cpu_node`` is the NUMA node that it hangs off. With ``hdm_decoders`` it has decoders even where it has a single
    root port. Without them such a bridge passes everything through, and Linux then gives it one decoder, so that one
    region at a time is all that fits below it (drivers/cxl/port.c, ``devm_cxl_add_passthrough_decoder``).
    """

    id: str
    bus: int
    cpu_node: int | None = None
    hdm_decoders: bool = True


class RootPort(Item, frozen=True):
    """A CXL root port. ``port`` is its number, unique below its host bridge; without one it counts from 0."""

    id: str
    host_bridge: str
    port: int | None = None


class Switch(Item, frozen=True):
    """A CXL switch below a root port or another switch's downstream port; ``downstream`` names its downstream ports."""

    id: str
    upstream: str
    downstream: tuple[str, ...]


class Device(Item, frozen=True):
    """A CXL type-3 memory device on a root port or a downstream port.

    ``labels_mib`` is its label storage area, which persistent memory needs. ``dynamic_mib`` is capacity that is only
    there once it is added at run time, in ``dynamic_regions`` equal parts.
    """

    id: str
    port: str
    serial: int
    volatile_mib: int = 0
    persistent_mib: int = 0
    labels_mib: int = 0
    dynamic_mib: int = 0
    dynamic_regions: int = 0

    @property
    def capacity_mib(self) -> int:
        """All that it can ever map."""
        return self.volatile_mib + self.persistent_mib + self.dynamic_mib


Restriction = Literal[
    "device-coherent", "host-only", "volatile", "persistent", "fixed-config", "back-invalidate"
]  # fmt: skip
"""The window restrictions of CXL r4.0, 9.18.1.3, by QEMU's names."""


class Window(Item, frozen=True):
    """A fixed memory window: host addresses that go to ``targets`` (host bridges), interleaved in their order.

    ``granularity`` is in bytes. ``restrictions`` switches what the window allows; what is not named keeps QEMU's
    default. Each window becomes a NUMA node of its own in Linux (drivers/acpi/numa/srat.c, ``acpi_parse_cfmws``).
    """

    targets: tuple[str, ...]
    size_mib: int
    granularity: int = 256
    restrictions: dict[Restriction, bool] = {}


class Region(Item, frozen=True):
    """A region that can be made on this machine, beside all the others listed, and that tests may make.

    ``window`` counts windows from 0. ``devices`` are in the order of their positions in the region; ways are as many.
    """

    window: int
    devices: tuple[str, ...]
    size_mib: int
    granularity: int = 256
    type: Literal["ram", "pmem"] = "ram"

    @property
    def ways(self) -> int:
        """Interleave ways."""
        return len(self.devices)


class Topology(Item, frozen=True):
    """A machine: see the fields' types. ``limits`` are known limits of QEMU or of kernels with it, a sentence each.

    ``name`` is the file's name without ``.toml``, ``path`` the file for error messages. ``remote_distance`` is the
    NUMA distance between CPU nodes (ACPI SLIT, 10 is local). ``hotplug_slots`` and ``hotplug_mib`` leave room for
    DIMMs that are added at run time.
    """

    name: str
    path: str
    title: str
    cpu_nodes: tuple[CpuNode, ...] = msgspec.field(name="cpu_node")
    host_bridges: tuple[HostBridge, ...] = msgspec.field(name="host_bridge", default=())
    root_ports: tuple[RootPort, ...] = msgspec.field(name="root_port", default=())
    switches: tuple[Switch, ...] = msgspec.field(name="switch", default=())
    devices: tuple[Device, ...] = msgspec.field(name="device", default=())
    windows: tuple[Window, ...] = msgspec.field(name="window", default=())
    regions: tuple[Region, ...] = msgspec.field(name="region", default=())
    limits: tuple[str, ...] = ()
    remote_distance: int = 20
    hotplug_slots: int = 0
    hotplug_mib: int = 0

    @property
    def cpus(self) -> int:
        """Processors of all nodes."""
        return sum(node.cpus for node in self.cpu_nodes)

    @property
    def memory_mib(self) -> int:
        """Ordinary memory of all nodes (CXL memory is not in it)."""
        return sum(node.memory_mib for node in self.cpu_nodes)

    @property
    def host_memory_mib(self) -> int:
        """What a guest can come to use of the host's memory: ordinary, CXL and label areas."""
        return self.memory_mib + sum(device.capacity_mib + device.labels_mib for device in self.devices)

    def device(self, name: str) -> Device:
        """The device with this id; raises ``KeyError``."""
        return {device.id: device for device in self.devices}[name]

    def switch_of(self, port: str) -> Switch | None:
        """The switch that has this downstream port, or None where the port is a root port."""
        return next((switch for switch in self.switches if port in switch.downstream), None)

    def path_to(self, port: str) -> tuple[str, ...]:
        """The ids from the host bridge down to a root port or downstream port.

        Raises ``KeyError`` where it does not lead to a root port. The file must not have a loop of switches.
        """
        switch = self.switch_of(port)
        if switch is not None:
            return (*self.path_to(switch.upstream), switch.id, port)
        root_port = {root_port.id: root_port for root_port in self.root_ports}[port]
        return (root_port.host_bridge, port)

    def host_bridge_of(self, device: Device) -> str:
        """The id of the host bridge above a device."""
        return self.path_to(device.port)[0]

    def port_numbers(self) -> dict[str, int]:
        """The number of each root port: the one given, else the lowest that is free below its host bridge."""
        numbers = {port.id: port.port for port in self.root_ports if port.port is not None}
        for port in self.root_ports:
            if port.id not in numbers:
                taken = {
                    numbers[other.id]
                    for other in self.root_ports
                    if other.host_bridge == port.host_bridge and other.id in numbers
                }
                numbers[port.id] = next(number for number in range(256) if number not in taken)
        return numbers


def uses_cxl(topology: Topology) -> bool:
    """Whether the machine has CXL at all."""
    return bool(topology.host_bridges)


def is_interleaved(topology: Topology) -> bool:
    """Whether a window or a listed region interleaves: QEMU emulates each access to such memory, and maps no page.

    Under KVM no code, page table or vector instruction may then be in it, and TCG is slow there.
    """
    return any(len(window.targets) > 1 for window in topology.windows) or any(
        region.ways > 1 for region in topology.regions
    )


def summary(topology: Topology) -> str:
    """One line: what the machine has, as ``2 CPUs, 1024 MiB; 1 host bridge, 2 devices (1024 MiB volatile)``."""
    text = f"{_count(topology.cpus, 'CPU')}, {topology.memory_mib} MiB"
    if len(topology.cpu_nodes) > 1:
        text += f" on {len(topology.cpu_nodes)} nodes"
    if not uses_cxl(topology):
        return f"{text}; no CXL"
    parts = [_count(len(topology.host_bridges), "host bridge")]
    if topology.switches:
        parts.append(_count(len(topology.switches), "switch", "switches"))
    parts.append(f"{_count(len(topology.devices), 'device')} ({_capacity(topology)})")
    parts.append(_count(len(topology.windows), "window"))
    return f"{text}; {', '.join(parts)}"


def _capacity(topology: Topology) -> str:
    sums = {
        "volatile": sum(device.volatile_mib for device in topology.devices),
        "persistent": sum(device.persistent_mib for device in topology.devices),
        "dynamic": sum(device.dynamic_mib for device in topology.devices),
    }
    return ", ".join(f"{mib} MiB {kind}" for kind, mib in sums.items() if mib) or "no memory"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
