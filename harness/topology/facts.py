# SPDX-License-Identifier: GPL-2.0-only
"""What the guest is told of its machine: shell lines that a test compares with what it finds."""

from __future__ import annotations

import shlex

from harness.topology.model import Topology
from harness.topology.scale import scaled


def guest_facts(topology: Topology, *, memory_mib: int | None = None, cpus: int | None = None) -> str:
    """The facts as ``KEY='value'`` lines that a POSIX shell can source.

    Counts come as plain numbers (``MEMDEVS``, ``WINDOWS``, ``REGIONS`` …), parts with their index
    (``MEMDEV_0_SERIAL``). Sizes are MiB, granularities bytes; lists are separated by blanks. Kernel numbers
    (``mem0``, ``decoder0.0``) are not in them: a test finds a device by its serial number. ``memory_mib`` and
    ``cpus`` are the totals that :func:`harness.topology.qemu_arguments` was given.
    """
    topology = scaled(topology, memory_mib=memory_mib, cpus=cpus)
    facts: dict[str, object] = {
        "TOPOLOGY": topology.name,
        "CPU_NODES": len(topology.cpu_nodes),
        "HOST_BRIDGES": len(topology.host_bridges),
        "ROOT_PORTS": len(topology.root_ports),
        "SWITCHES": len(topology.switches),
        "DOWNSTREAM_PORTS": sum(len(switch.downstream) for switch in topology.switches),
        "MEMDEVS": len(topology.devices),
        "WINDOWS": len(topology.windows),
        "REGIONS": len(topology.regions),
    }
    for part in (_cpu_nodes, _host_bridges, _switches, _devices, _windows, _regions):
        facts |= part(topology)
    return "".join(f"{key}={_quoted(str(value))}\n" for key, value in facts.items())


def _quoted(value: str) -> str:
    return f"'{value}'" if "'" not in value else shlex.quote(value)


def _cpu_nodes(topology: Topology) -> dict[str, object]:
    facts: dict[str, object] = {}
    for number, node in enumerate(topology.cpu_nodes):
        facts[f"CPU_NODE_{number}_CPUS"] = node.cpus
        facts[f"CPU_NODE_{number}_MEMORY_MIB"] = node.memory_mib
    return facts


def _host_bridges(topology: Topology) -> dict[str, object]:
    """``_BUS`` is decimal; the kernel's dport is ``pci0000:<bus in hex>``, given as ``_DPORT``."""
    facts: dict[str, object] = {}
    for number, bridge in enumerate(topology.host_bridges):
        prefix = f"HOST_BRIDGE_{number}"
        facts[f"{prefix}_ID"] = bridge.id
        facts[f"{prefix}_BUS"] = bridge.bus
        facts[f"{prefix}_DPORT"] = _dport(bridge.bus)
        facts[f"{prefix}_CPU_NODE"] = "" if bridge.cpu_node is None else bridge.cpu_node
        facts[f"{prefix}_ROOT_PORTS"] = sum(1 for port in topology.root_ports if port.host_bridge == bridge.id)
        facts[f"{prefix}_HDM_DECODERS"] = int(bridge.hdm_decoders)
    return facts


def _switches(topology: Topology) -> dict[str, object]:
    facts: dict[str, object] = {}
    for number, switch in enumerate(topology.switches):
        facts[f"SWITCH_{number}_ID"] = switch.id
        facts[f"SWITCH_{number}_DOWNSTREAM_PORTS"] = len(switch.downstream)
    return facts


def _devices(topology: Topology) -> dict[str, object]:
    facts: dict[str, object] = {}
    buses = {bridge.id: bridge.bus for bridge in topology.host_bridges}
    for number, device in enumerate(topology.devices):
        prefix = f"MEMDEV_{number}"
        path = topology.path_to(device.port)
        facts[f"{prefix}_ID"] = device.id
        facts[f"{prefix}_SERIAL"] = f"{device.serial:#x}"
        facts[f"{prefix}_VOLATILE_MIB"] = device.volatile_mib
        facts[f"{prefix}_PERSISTENT_MIB"] = device.persistent_mib
        facts[f"{prefix}_DYNAMIC_MIB"] = device.dynamic_mib
        facts[f"{prefix}_DYNAMIC_REGIONS"] = device.dynamic_regions
        facts[f"{prefix}_LABELS_MIB"] = device.labels_mib
        facts[f"{prefix}_HOST_BRIDGE"] = path[0]
        facts[f"{prefix}_DPORT"] = _dport(buses[path[0]])
        facts[f"{prefix}_PATH"] = " ".join(path)
        facts[f"{prefix}_SWITCHES"] = sum(1 for part in path if any(part == switch.id for switch in topology.switches))
    return facts


def _windows(topology: Topology) -> dict[str, object]:
    facts: dict[str, object] = {}
    buses = {bridge.id: bridge.bus for bridge in topology.host_bridges}
    for number, window in enumerate(topology.windows):
        prefix = f"WINDOW_{number}"
        facts[f"{prefix}_SIZE_MIB"] = window.size_mib
        facts[f"{prefix}_WAYS"] = len(window.targets)
        facts[f"{prefix}_GRANULARITY"] = window.granularity
        facts[f"{prefix}_HOST_BRIDGES"] = " ".join(window.targets)
        facts[f"{prefix}_DPORTS"] = " ".join(_dport(buses[target]) for target in window.targets)
    return facts


def _regions(topology: Topology) -> dict[str, object]:
    facts: dict[str, object] = {}
    for number, region in enumerate(topology.regions):
        prefix = f"REGION_{number}"
        facts[f"{prefix}_TYPE"] = region.type
        facts[f"{prefix}_WINDOW"] = region.window
        facts[f"{prefix}_SIZE_MIB"] = region.size_mib
        facts[f"{prefix}_WAYS"] = region.ways
        facts[f"{prefix}_GRANULARITY"] = region.granularity
        facts[f"{prefix}_MEMDEVS"] = " ".join(region.devices)
        facts[f"{prefix}_SERIALS"] = " ".join(f"{topology.device(name).serial:#x}" for name in region.devices)
    return facts


def _dport(bus: int) -> str:
    return f"pci0000:{bus:02x}"
