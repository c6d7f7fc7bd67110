# SPDX-License-Identifier: GPL-2.0-only
"""From a topology to QEMU's options: pure, and held still by a golden file per topology.

The options are as QEMU's docs/system/devices/cxl.rst has them. Host bridges name ``bus=pcie.0``, as every other
device of the guest must: without it QEMU may put a device on a host bridge, which takes ports only.
"""

from __future__ import annotations

from harness.topology.model import CpuNode, Device, HostBridge, Topology, Window, uses_cxl
from harness.topology.scale import scaled


def qemu_arguments(topology: Topology, *, memory_mib: int | None = None, cpus: int | None = None) -> tuple[str, ...]:
    """The options for machine, memory, processors, NUMA and CXL: option and value by turns.

    ``memory_mib`` and ``cpus`` are other totals than the topology's, shared out as it shares its own. Raises
    :class:`UserError` where they cannot be.
    """
    topology = scaled(topology, memory_mib=memory_mib, cpus=cpus)
    nodes = topology.cpu_nodes
    options = [("-machine", _machine(topology)), ("-m", _memory(topology, nodes)), ("-smp", _processors(nodes))]
    options += _numa(topology, nodes)
    options += [("-device", _host_bridge(bridge)) for bridge in topology.host_bridges]
    options += _ports(topology)
    for device in topology.devices:
        options += _backends(device)
        options.append(("-device", _device(device)))
    return tuple(word for option in options for word in option)


def _machine(topology: Topology) -> str:
    words = ["q35"]
    if uses_cxl(topology):
        words.append("cxl=on")
    for number, window in enumerate(topology.windows):
        words += _window(f"cxl-fmw.{number}", window)
    return ",".join(words)


def _window(prefix: str, window: Window) -> list[str]:
    words = [f"{prefix}.targets.{position}={target}" for position, target in enumerate(window.targets)]
    words.append(f"{prefix}.size={window.size_mib}M")
    words.append(f"{prefix}.interleave-granularity={window.granularity}")
    words += [f"{prefix}.{name}={'on' if on else 'off'}" for name, on in sorted(window.restrictions.items())]
    return words


def _memory(topology: Topology, nodes: tuple[CpuNode, ...]) -> str:
    total = sum(node.memory_mib for node in nodes)
    if not topology.hotplug_slots:
        return f"{total}M"
    return f"{total}M,slots={topology.hotplug_slots},maxmem={total + topology.hotplug_mib}M"


def _processors(nodes: tuple[CpuNode, ...]) -> str:
    """A socket a node, so that Linux's scheduler domains agree with the nodes; uneven nodes get a socket a CPU."""
    total = sum(node.cpus for node in nodes)
    if len({node.cpus for node in nodes}) == 1:
        return f"{total},sockets={len(nodes)},cores={nodes[0].cpus},threads=1"
    return f"{total},sockets={total},cores=1,threads=1"


def _numa(topology: Topology, nodes: tuple[CpuNode, ...]) -> list[tuple[str, str]]:
    """A node even for a machine with one: without an SRAT, Linux gives CXL windows no node of their own."""
    options: list[tuple[str, str]] = []
    first = 0
    for number, node in enumerate(nodes):
        options.append(("-object", f"memory-backend-ram,id=node{number}.ram,size={node.memory_mib}M"))
        numa = f"node,nodeid={number},memdev=node{number}.ram"
        if node.cpus:
            numa += f",cpus={first}" if node.cpus == 1 else f",cpus={first}-{first + node.cpus - 1}"
        options.append(("-numa", numa))
        first += node.cpus
    for source in range(len(nodes)):
        for target in range(source + 1, len(nodes)):
            options.append(("-numa", f"dist,src={source},dst={target},val={topology.remote_distance}"))
    return options


def _host_bridge(bridge: HostBridge) -> str:
    words = f"pxb-cxl,id={bridge.id},bus=pcie.0,bus_nr={bridge.bus}"
    if bridge.cpu_node is not None:
        words += f",numa_node={bridge.cpu_node}"
    if bridge.hdm_decoders:
        words += ",hdm_for_passthrough=on"
    return words


def _ports(topology: Topology) -> list[tuple[str, str]]:
    """Root ports, then switches in an order in which each upstream port's bus is there already.

    The pair (chassis, slot) of a port must be unique in the machine, and its port number below its bridge: Linux
    knows a decoder's targets by it.
    """
    numbers = topology.port_numbers()
    options: list[tuple[str, str]] = []
    slot = 0
    for port in topology.root_ports:
        number = numbers[port.id]
        options.append(("-device", f"cxl-rp,id={port.id},bus={port.host_bridge},port={number},chassis=0,slot={slot}"))
        slot += 1
    for switch in sorted(topology.switches, key=lambda switch: len(topology.path_to(switch.upstream))):
        options.append(("-device", f"cxl-upstream,id={switch.id},bus={switch.upstream}"))
        for number, port_id in enumerate(switch.downstream):
            words = f"cxl-downstream,id={port_id},bus={switch.id},port={number},chassis=0,slot={slot}"
            options.append(("-device", words))
            slot += 1
    return options


def _backends(device: Device) -> list[tuple[str, str]]:
    """The host memory of a device. Persistent memory needs to outlive no guest, so it is ordinary memory as well."""
    parts = (
        ("volatile", device.volatile_mib),
        ("persistent", device.persistent_mib),
        ("labels", device.labels_mib),
        ("dynamic", device.dynamic_mib),
    )
    return [
        ("-object", f"memory-backend-ram,id={device.id}.{part},size={mib}M") for part, mib in parts if mib
    ]  # fmt: skip


def _device(device: Device) -> str:
    words = [f"cxl-type3,id={device.id}", f"bus={device.port}", f"sn={device.serial:#x}"]
    if device.volatile_mib:
        words.append(f"volatile-memdev={device.id}.volatile")
    if device.persistent_mib:
        words.append(f"persistent-memdev={device.id}.persistent")
    if device.labels_mib:
        words.append(f"lsa={device.id}.labels")
    if device.dynamic_mib:
        words += [f"volatile-dc-memdev={device.id}.dynamic", f"num-dc-regions={device.dynamic_regions}"]
    return ",".join(words)
