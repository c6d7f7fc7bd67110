# SPDX-License-Identifier: GPL-2.0-only
"""What every file must read in a state: alternatives joined by ``|``, ``-`` for one that must not be there. Pure."""

from __future__ import annotations

from harness.lifecycle.state import ABSENT, LABELS, Region, Seen, State, group_path, regions_in, size_of
from harness.lifecycle.world import CXL, MEMORY, NODES, UNIT, listed, numbers


def expected(state: State) -> dict[str, str]:
    """What each file must read: alternatives joined by ``|``, ``-`` for a file that must not be there."""
    found: dict[str, str] = {}
    for region in state.regions.values():
        if region.exists:
            found |= _region(region)
    found |= _blocks(state) | _decoders(state) | _nodes(state) | _groups(state)
    found[f"{MEMORY}/auto_online_blocks"] = state.policy
    return found


def _region(region: Region) -> dict[str, str]:
    path = region.path
    found = {
        f"{path}/mode": region.kind,
        f"{path}/commit": "1" if region.committed else "0",
        f"{path}/driver": "" if region.bound else ABSENT,
        f"{path}/dax_region{region.name.removeprefix('region')}": "" if region.bound else ABSENT,
        f"{path}/size": size_of(UNIT * region.ways),
        f"{path}/interleave_ways": str(region.ways),
    }
    if region.private:
        found[f"{path}/private_type"] = region.type
    return found


def _blocks(state: State) -> dict[str, str]:
    """Blocks within windows: those of bound regions, and no others."""
    found = {}
    for window in state.world.windows:
        first = window.start // state.world.block_bytes
        for number in range(first, first + window.size // state.world.block_bytes):
            found[f"{MEMORY}/memory{number}/state"] = ABSENT
    for region in state.regions.values():
        for at, block in enumerate(region.blocks):
            found[f"{region.block(at)}/state"] = block
    return found


def _decoders(state: State) -> dict[str, str]:
    """Capacity and region of each decoder that the sequence could have used."""
    found = {}
    for device in state.world.devices:
        gone = device.name in state.gone
        for number in range(len(LABELS)):
            file = f"{CXL}/decoder{device.endpoint.removeprefix('endpoint')}.{number}/dpa_size"
            found[file] = ABSENT if gone else size_of(0)
    for region in state.regions.values():
        for name, decoder in zip(region.devices, region.decoders, strict=True):
            if name in state.gone:
                continue
            found[f"{CXL}/{decoder}/dpa_size"] = size_of(UNIT)
            if not state.gone & set(region.devices):
                found[f"{CXL}/{decoder}/region"] = region.name if region.attached else ""
    return found


def _nodes(state: State) -> dict[str, str]:
    ram = set(state.world.boot_nodes) | state.ram_nodes()
    found = {
        f"{NODES}/has_memory": listed(ram),
        f"{NODES}/has_normal_memory": listed(state.world.normal_nodes),
    }
    if state.world.private:
        found[f"{NODES}/has_private_memory"] = listed(state.private_nodes())
    for node in set(state.nodes.values()):
        blocks = [block for one in state.regions.values() if state.node(one) == node for block in one.blocks]
        kib = blocks.count("online") * state.world.block_bytes >> 10
        line = f"Node {node} MemTotal:       {kib:8d} kB"
        found[f"{NODES}/node{node}/meminfo"] = line if blocks else f"{ABSENT}|{line}"
    return found


def _groups(state: State) -> dict[str, str]:
    found: dict[str, str] = {}
    if not state.world.cpusets:
        return found
    for group in ("", *state.groups):
        path = group_path(group)
        found[f"{path}/cpuset.mems.effective"] = listed(state.effective(group))
        if state.world.sysram:
            found[f"{path}/cpuset.mems.sysram"] = listed(state.sysram(group))
        if group:
            found[f"{path}/cpuset.mems"] = state.groups[group]
    return found


def unexpected(state: State, seen: Seen) -> list[str]:
    """What is there that no step has made, in words."""
    known = {one.name for one in state.regions.values() if one.exists}
    wrong = [f"there is a region that nobody made: {name}" for name in sorted(regions_in(seen) - known)]
    tiers: list[int] = []
    for path, value in seen.items():
        if path.endswith("/nodelist"):
            tiers += numbers(value)
    wanted = sorted(set(state.world.boot_nodes) | state.ram_nodes())
    if any(path.endswith("/nodelist") for path in seen) and sorted(tiers) != wanted:
        wrong.append(f"memory tiers have the nodes {listed(set(tiers)) or 'none'}, expected {listed(set(wanted))}")
    return wrong
