# SPDX-License-Identifier: GPL-2.0-only
"""A topology as a tree of parts, and that tree as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.topology.model import Device, HostBridge, Region, Topology, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part and what hangs below it. ``detail`` is what there is to say of it beside its name."""

    kind: str
    name: str
    detail: str = ""
    below: tuple[Part, ...] = ()

    def leaves(self) -> int:
        """How many parts below it (or it itself) have nothing below."""
        return sum(part.leaves() for part in self.below) or 1


def bridges(topology: Topology) -> tuple[Part, ...]:
    """The host bridges, each with all that hangs below."""
    return tuple(_bridge(topology, bridge) for bridge in topology.host_bridges)


def draw_tree(topology: Topology, *, ascii_only: bool = False) -> str:
    """The machine as a tree, a part a line, without a last newline. ``ascii_only`` for terminals that need it."""
    parts = [
        Part(kind="CPU node", name=str(number), detail=f"{_count(node.cpus, 'CPU')}, {node.memory_mib} MiB")
        for number, node in enumerate(topology.cpu_nodes)
    ]
    parts += bridges(topology)
    parts += [_window(topology, number, window) for number, window in enumerate(topology.windows)]
    dash = "-" if ascii_only else "—"
    lines = [f"{topology.name} {dash} {topology.title}", *_lines(parts, ascii_only)]
    return "\n".join(lines if not ascii_only else (_ascii(line) for line in lines))


def device_detail(device: Device) -> str:
    """What memory a device has: ``512 MiB volatile + 512 MiB persistent``."""
    parts = []
    if device.volatile_mib:
        parts.append(f"{device.volatile_mib} MiB volatile")
    if device.persistent_mib:
        parts.append(f"{device.persistent_mib} MiB persistent")
    if device.dynamic_mib:
        parts.append(f"{device.dynamic_mib} MiB dynamic in {device.dynamic_regions}")
    return " + ".join(parts)


def interleave(ways: int, granularity: int) -> str:
    """How a window or region interleaves: ``2 × 4096 B``; nothing where it does not."""
    return f"{ways} × {granularity} B" if ways > 1 else ""


def _bridge(topology: Topology, bridge: HostBridge) -> Part:
    detail = [f"bus {bridge.bus}"]
    if bridge.cpu_node is not None:
        detail.append(f"CPU node {bridge.cpu_node}")
    if not bridge.hdm_decoders:
        detail.append("passes through")
    numbers = topology.port_numbers()
    ports = tuple(
        Part(kind="root port", name=port.id, detail=f"port {numbers[port.id]}", below=_hung(topology, port.id))
        for port in topology.root_ports
        if port.host_bridge == bridge.id
    )
    return Part(kind="host bridge", name=bridge.id, detail=", ".join(detail), below=ports)


def _hung(topology: Topology, port: str) -> tuple[Part, ...]:
    """What hangs on a port: a switch, a device or nothing."""
    for switch in topology.switches:
        if switch.upstream == port:
            ports = tuple(
                Part(kind="downstream port", name=name, detail=f"port {number}", below=_hung(topology, name))
                for number, name in enumerate(switch.downstream)
            )
            return (Part(kind="switch", name=switch.id, below=ports),)
    for device in topology.devices:
        if device.port == port:
            detail = f"{device_detail(device)}, serial {device.serial:#x}"
            return (Part(kind="device", name=device.id, detail=detail),)
    return ()


def _window(topology: Topology, number: int, window: Window) -> Part:
    detail = [f"{window.size_mib} MiB → {' '.join(window.targets)}"]
    detail.append(interleave(len(window.targets), window.granularity))
    detail += [f"{name} {'on' if on else 'off'}" for name, on in window.restrictions.items()]
    regions = tuple(
        Part(kind="region", name=str(index), detail=_region(region))
        for index, region in enumerate(topology.regions)
        if region.window == number
    )
    return Part(kind="window", name=str(number), detail=", ".join(filter(None, detail)), below=regions)


def _region(region: Region) -> str:
    words = [f"{region.type}, {region.size_mib} MiB on {' '.join(region.devices)}"]
    words.append(interleave(region.ways, region.granularity))
    return ", ".join(filter(None, words))


def _lines(parts: Sequence[Part], ascii_only: bool) -> Iterator[str]:
    fork, last, rail = ("|-- ", "`-- ", "|   ") if ascii_only else ("├── ", "└── ", "│   ")
    for index, part in enumerate(parts):
        end = index == len(parts) - 1
        detail = f": {part.detail}" if part.detail else ""
        yield f"{last if end else fork}{part.kind} {part.name}{detail}"
        for line in _lines(part.below, ascii_only):
            yield ("    " if end else rail) + line


def _ascii(line: str) -> str:
    return line.replace("→", "->").replace("×", "x").encode("ascii", "replace").decode()


def _count(number: int, one: str) -> str:
    return f"{number} {one}" if number == 1 else f"{number} {one}s"
