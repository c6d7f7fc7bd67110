# SPDX-License-Identifier: GPL-2.0-only
"""Whether windows and regions can be: interleaving, room, and enough decoders.

Pure. A region is built from decoders at each level: the window, each host bridge and switch on the way, each device.
At each level positions go round the targets in turn, which is what makes an order of devices possible or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from harness.topology.model import CAPACITY_UNIT_MIB, Region, Topology, Window
from harness.topology.problem import Problem, granularity_problem, unknown_problem, ways_problem

DECODERS = 4
"""HDM decoders of each host bridge, switch and device in QEMU (CXL_HDM_DECODER_COUNT)."""


def windows(topology: Topology) -> Iterator[Problem]:
    """What cannot be in the windows themselves, and against the devices below their targets."""
    for number, window in enumerate(topology.windows):
        yield from _window(topology, f"window {number}", window)
    for bridge in topology.host_bridges:
        devices = [device for device in topology.devices if topology.host_bridge_of(device) == bridge.id]
        capacity = sum(device.capacity_mib for device in devices)
        ours = [window for window in topology.windows if bridge.id in window.targets]
        room = sum(window.size_mib // len(window.targets) for window in ours)
        where = f"host_bridge '{bridge.id}'"
        if devices and not ours:
            yield Problem(
                where, "it has devices and no window targets it", f'add a window with targets = ["{bridge.id}"]'
            )
        elif room < capacity:
            numbers = ", ".join(str(topology.windows.index(window)) for window in ours)
            what = f"its devices have {capacity} MiB, its share of window {numbers} is only {room} MiB"
            yield Problem(where, what, "make size_mib of the window larger, or the devices smaller")


def regions(topology: Topology) -> Iterator[Problem]:
    """What cannot be in the listed regions, each alone and all at once."""
    found = [problem for number, region in enumerate(topology.regions) for problem in _region(topology, number, region)]
    yield from found
    if not found:
        yield from _capacities(topology)
        yield from _decoders(topology)


def _window(topology: Topology, where: str, window: Window) -> Iterator[Problem]:
    if not window.targets:
        yield Problem(where, "it has no targets", "name the host bridges that it goes to")
        return
    bridges = [bridge.id for bridge in topology.host_bridges]
    for target in dict.fromkeys(window.targets):
        if target not in bridges:
            yield unknown_problem(where, "host_bridge", target, bridges)
        if window.targets.count(target) > 1:
            yield Problem(where, f"'{target}' is a target {window.targets.count(target)} times", "name each once")
    ways = len(window.targets)
    yield from ways_problem(where, ways)
    yield from granularity_problem(where, window.granularity)
    unit = CAPACITY_UNIT_MIB * ways
    if window.size_mib <= 0 or window.size_mib % unit:
        each = f"{CAPACITY_UNIT_MIB} MiB for each of {ways} targets" if ways > 1 else "256 MiB"
        yield Problem(where, f"size_mib = {window.size_mib}", f"a multiple of {unit} ({each})")


def _region(topology: Topology, number: int, region: Region) -> Iterator[Problem]:
    where = f"region {number}"
    known = [device.id for device in topology.devices]
    if not region.devices:
        yield Problem(where, "it has no devices", "name one at least")
        return
    if not 0 <= region.window < len(topology.windows):
        yield Problem(where, f"there is no window {region.window}", f"there are {len(topology.windows)}, from 0")
        return
    for name in dict.fromkeys(region.devices):
        if name not in known:
            yield unknown_problem(where, "device", name, known)
        if region.devices.count(name) > 1:
            yield Problem(where, f"device '{name}' is in it {region.devices.count(name)} times", "name each once")
    yield from ways_problem(where, region.ways)
    yield from granularity_problem(where, region.granularity)
    unit = CAPACITY_UNIT_MIB * region.ways
    if region.size_mib <= 0 or region.size_mib % unit:
        yield Problem(where, f"size_mib = {region.size_mib}", f"a multiple of {unit} (256 MiB for each device)")
    if set(region.devices) <= set(known):
        yield from _order(topology, where, region, topology.windows[region.window])


def _order(topology: Topology, where: str, region: Region, window: Window) -> Iterator[Problem]:
    ways = len(window.targets)
    if region.ways % ways:
        what = f"{region.ways} devices do not share out among the {ways} targets of window {region.window}"
        yield Problem(where, what, f"a multiple of {ways}")
        return
    if ways > 1 and region.granularity != window.granularity:
        # drivers/cxl/core/region.c, interleave_granularity_store()
        what = f"its granularity is {region.granularity}, that of its interleaved window {window.granularity}"
        yield Problem(where, what, "Linux wants them equal")
    paths = [topology.path_to(topology.device(name).port) for name in region.devices]
    for position, path in enumerate(paths):
        target = window.targets[position % ways]
        if path[0] != target:
            what = f"position {position} goes to '{target}', but '{region.devices[position]}' is below '{path[0]}'"
            yield Problem(where, what, "put the devices in the order of the window's targets")
            return
    for bridge in window.targets:
        wrong = _not_in_turn([path[1:] for path in paths if path[0] == bridge], above=bridge)
        if wrong:
            yield Problem(where, wrong, "list the devices so that positions go round the ports in turn at each level")


def _not_in_turn(paths: Sequence[tuple[str, ...]], *, above: str) -> str | None:
    """What is wrong with the order below one bridge or switch, or None. Position ``i`` must go to port ``i mod n``."""
    if len(paths) <= 1 or not all(paths):
        return None
    hops = list(dict.fromkeys(path[0] for path in paths))
    for index, path in enumerate(paths):
        if path[0] != hops[index % len(hops)]:
            return f"below '{above}' position {index} would go to '{hops[index % len(hops)]}', not '{path[0]}'"
    if len(paths) % len(hops):
        return f"the devices below '{above}' do not share out evenly among its ports"
    below = ([path[1:] for path in paths if path[0] == hop] for hop in hops)
    return next(
        (wrong for hop, part in zip(hops, below, strict=True) if (wrong := _not_in_turn(part, above=hop))), None
    )


def _capacities(topology: Topology) -> Iterator[Problem]:
    """That all regions have room at once, in their devices and in their windows."""
    for device in topology.devices:
        for kind, capacity in (("ram", device.volatile_mib), ("pmem", device.persistent_mib)):
            taken = sum(
                region.size_mib // region.ways
                for region in topology.regions
                if region.type == kind and device.id in region.devices
            )
            if taken > capacity:
                what = f"the {kind} regions take {taken} MiB of it, but it has {capacity} MiB for them"
                yield Problem(f"device '{device.id}'", what, "make the regions smaller or the device larger")
    for number, window in enumerate(topology.windows):
        taken = sum(region.size_mib for region in topology.regions if region.window == number)
        if taken > window.size_mib:
            what = f"its regions take {taken} MiB, it has {window.size_mib} MiB"
            yield Problem(f"window {number}", what, "make the regions smaller or the window larger")


def _decoders(topology: Topology) -> Iterator[Problem]:
    """That no level needs more decoders than it has: a region takes one in each part that it goes through."""
    uses: Counter[str] = Counter()
    for region in topology.regions:
        paths = [(*topology.path_to(topology.device(name).port), name) for name in region.devices]
        uses.update({part for path in paths for part in path})
    for part, label in _with_decoders(topology):
        if uses[part] > DECODERS:
            yield Problem(
                label, f"{uses[part]} regions go through it, it has {DECODERS} decoders", "list fewer regions"
            )
    for bridge in topology.host_bridges:
        ports = sum(1 for port in topology.root_ports if port.host_bridge == bridge.id)
        if not bridge.hdm_decoders and ports == 1 and uses[bridge.id] > 1:
            what = f"{uses[bridge.id]} regions go through it, and without hdm_decoders Linux gives it one decoder"
            yield Problem(f"host_bridge '{bridge.id}'", what, "leave hdm_decoders on, or list one region")


def _with_decoders(topology: Topology) -> Iterator[tuple[str, str]]:
    yield from ((bridge.id, f"host_bridge '{bridge.id}'") for bridge in topology.host_bridges)
    yield from ((switch.id, f"switch '{switch.id}'") for switch in topology.switches)
    yield from ((device.id, f"device '{device.id}'") for device in topology.devices)
