# SPDX-License-Identifier: GPL-2.0-only
"""Whether the parts of a topology fit together: ids, places, numbers and sizes here, interleaving in ``regions``.

Pure. The limits are those of the CXL specification, of QEMU (hw/cxl/, tried with 11.1) and of Linux (drivers/cxl/).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator

from harness.errors import UserError
from harness.topology.model import CAPACITY_UNIT_MIB, MEMORY_BLOCK_MIB, MOST_CPUS, Topology, uses_cxl
from harness.topology.problem import Problem, unknown_problem
from harness.topology.regions import regions, windows

_ID = re.compile(r"[a-z][a-z0-9-]*\Z")  # no dot: `mem0.volatile` is ours
_MOST_DYNAMIC_REGIONS = 8  # CXL 3.1, 8.2.9.9.9.1
_NO_SERIAL = (1 << 64) - 1  # QEMU's "none given"


def check(topology: Topology) -> None:
    """Raise :class:`UserError` with everything in a topology that cannot be, each with its remedy."""
    found = problems(topology)
    if len(found) == 1:
        raise UserError(f"{topology.path}: {found[0].where}: {found[0].what}", hint=found[0].remedy)
    if found:
        raise UserError(
            f"{topology.path}: {len(found)} things cannot be",
            details=[f"{problem.where}: {problem.what} → {problem.remedy}" for problem in found],
            hint="`harness topology check` shows these again",
        )


def problems(topology: Topology) -> tuple[Problem, ...]:
    """Everything in a topology that cannot be. Where ids or places are wrong, nothing that leans on them is judged."""
    ids = list(_ids(topology))
    places = [] if ids else list(_places(topology))
    found = [*_machine(topology), *ids, *places, *_sizes(topology), *_serials(topology)]
    if not ids and not places:
        within = [*_buses(topology), *_ports(topology), *windows(topology)]
        found += within or regions(topology)
    return tuple(found)


def _machine(topology: Topology) -> Iterator[Problem]:
    if not topology.cpu_nodes:
        yield Problem("cpu_node", "there is none", "add a [[cpu_node]] with cpus and memory_mib")
        return
    for number, node in enumerate(topology.cpu_nodes):
        where = f"cpu_node {number}"
        if node.cpus < 0:
            yield Problem(where, f"{node.cpus} CPUs", "0 or more")
        if node.memory_mib < MEMORY_BLOCK_MIB or node.memory_mib % MEMORY_BLOCK_MIB:
            remedy = f"memory_mib a multiple of {MEMORY_BLOCK_MIB}, Linux's memory block"
            yield Problem(where, f"{node.memory_mib} MiB of memory are no whole memory blocks", remedy)
    if not 1 <= topology.cpus <= MOST_CPUS:
        yield Problem("cpu_node", f"{topology.cpus} CPUs in all", f"from 1 to {MOST_CPUS}")
    if not 11 <= topology.remote_distance <= 254:
        yield Problem("remote_distance", f"{topology.remote_distance} is no distance", "from 11 to 254 (10 is local)")
    slots, room = topology.hotplug_slots, topology.hotplug_mib
    if not (0 <= slots <= 256 and room >= 0 and room % MEMORY_BLOCK_MIB == 0 and bool(slots) == bool(room)):
        remedy = f"both or neither; at most 256 slots, MiB in multiples of {MEMORY_BLOCK_MIB}"
        yield Problem("hotplug_slots, hotplug_mib", f"{slots} slots for {room} MiB cannot be", remedy)


def _ids(topology: Topology) -> Iterator[Problem]:
    ids = [(f"host_bridge '{item.id}'", item.id) for item in topology.host_bridges]
    ids += [(f"root_port '{item.id}'", item.id) for item in topology.root_ports]
    for switch in topology.switches:
        ids.append((f"switch '{switch.id}'", switch.id))
        ids += [(f"switch '{switch.id}': downstream '{port}'", port) for port in switch.downstream]
    ids += [(f"device '{item.id}'", item.id) for item in topology.devices]
    counts = Counter(name for _, name in ids)
    for where, name in ids:
        if not _ID.match(name):
            yield Problem(where, f"'{name}' cannot be an id", "a lower-case letter, then lower-case letters, digits, -")
        if counts[name] > 1:
            yield Problem(where, f"the id is there {counts[name]} times", "give each part an id of its own")


def _places(topology: Topology) -> Iterator[Problem]:
    """That each part hangs on something that is there and free, and that all ways up end at a host bridge."""
    bridges = [bridge.id for bridge in topology.host_bridges]
    downstream = {port: switch for switch in topology.switches for port in switch.downstream}
    ports = [port.id for port in topology.root_ports] + list(downstream)
    for bridge in topology.host_bridges:
        if bridge.cpu_node is not None and not 0 <= bridge.cpu_node < len(topology.cpu_nodes):
            remedy = f"from 0 to {len(topology.cpu_nodes) - 1}"
            yield Problem(f"host_bridge '{bridge.id}'", f"there is no cpu_node {bridge.cpu_node}", remedy)
    for root_port in topology.root_ports:
        if root_port.host_bridge not in bridges:
            yield unknown_problem(f"root_port '{root_port.id}'", "host_bridge", root_port.host_bridge, bridges)
    for switch in topology.switches:
        if not switch.downstream:
            yield Problem(f"switch '{switch.id}'", "it has no downstream port", "name one at least")
    hung = [(f"switch '{switch.id}'", switch.upstream) for switch in topology.switches]
    hung += [(f"device '{device.id}'", device.port) for device in topology.devices]
    taken: dict[str, str] = {}
    for where, place in hung:
        if place in bridges:
            remedy = f'add a [[root_port]] with host_bridge = "{place}" and use it'
            yield Problem(where, f"'{place}' is a host bridge, which takes ports only", remedy)
        elif place not in ports:
            yield unknown_problem(where, "port", place, ports)
        elif place in taken:
            yield Problem(where, f"port '{place}' has {taken[place]} already", "use another port, or add a switch")
        taken.setdefault(place, where)
    for switch in topology.switches:
        seen, place = {switch.id}, switch.upstream
        while place in downstream and downstream[place].id not in seen:
            seen.add(downstream[place].id)
            place = downstream[place].upstream
        if place in downstream:
            remedy = "let one of the switches hang on a root port"
            yield Problem(f"switch '{switch.id}'", "it hangs below itself", remedy)


def _buses(topology: Topology) -> Iterator[Problem]:
    """That bus numbers are enough: one for the bridge, each root port, each switch and each downstream port."""
    bridges = sorted(topology.host_bridges, key=lambda bridge: bridge.bus)
    for bridge, following in itertools.zip_longest(bridges, bridges[1:]):
        where = f"host_bridge '{bridge.id}'"
        if not 1 <= bridge.bus <= 255:
            yield Problem(where, f"bus {bridge.bus} cannot be", "from 1 to 255")
            continue
        ports = sum(1 for port in topology.root_ports if port.host_bridge == bridge.id)
        switches = [switch for switch in topology.switches if topology.path_to(switch.upstream)[0] == bridge.id]
        last = bridge.bus + ports + sum(1 + len(switch.downstream) for switch in switches)
        limit = 255 if following is None else following.bus - 1
        if following is not None and following.bus == bridge.bus:
            yield Problem(where, f"bus {bridge.bus} is that of '{following.id}' too", "give each its own number")
        elif last > limit:
            what = f"it and what is below it need the buses {bridge.bus} to {last}, but {limit} is the last free one"
            yield Problem(where, what, "put the host bridges' bus numbers further apart, or lower")


def _ports(topology: Topology) -> Iterator[Problem]:
    for port in topology.root_ports:
        if port.port is not None and not 0 <= port.port <= 255:
            yield Problem(f"root_port '{port.id}'", f"port {port.port} cannot be", "from 0 to 255")
    given = Counter((port.host_bridge, port.port) for port in topology.root_ports if port.port is not None)
    for (bridge_id, number), count in given.items():
        if count > 1:
            what = f"{count} of its root ports have the port number {number}"
            yield Problem(f"host_bridge '{bridge_id}'", what, "give each its own, or none (they count from 0)")
    for bridge in topology.host_bridges:
        count = sum(1 for port in topology.root_ports if port.host_bridge == bridge.id)
        if count > 32:
            yield Problem(f"host_bridge '{bridge.id}'", f"{count} root ports", "a PCI bus has 32 places at most")


def _serials(topology: Topology) -> Iterator[Problem]:
    counts = Counter(device.serial for device in topology.devices)
    for device in topology.devices:
        where = f"device '{device.id}'"
        if not 0 <= device.serial < _NO_SERIAL:
            yield Problem(where, f"serial {device.serial:#x} cannot be", "from 0 to 2^64 - 2")
        if counts[device.serial] > 1:
            what = f"the serial {device.serial:#x} is there {counts[device.serial]} times"
            yield Problem(where, what, "give each device its own: tests find a device by it")


def _sizes(topology: Topology) -> Iterator[Problem]:
    for device in topology.devices:
        where = f"device '{device.id}'"
        parts = {name: getattr(device, name) for name in ("volatile_mib", "persistent_mib", "dynamic_mib")}
        for name, mib in parts.items():
            if mib < 0 or mib % CAPACITY_UNIT_MIB:
                yield Problem(where, f"{name} = {mib}", f"a multiple of {CAPACITY_UNIT_MIB}")
        if device.capacity_mib == 0:
            yield Problem(where, "it has no memory", "give it volatile_mib, persistent_mib or dynamic_mib")
        if device.labels_mib < 0:
            yield Problem(where, f"labels_mib = {device.labels_mib}", "0 or more")
        if device.persistent_mib and device.labels_mib <= 0:
            yield Problem(where, "persistent memory without labels_mib", "QEMU wants a label area: labels_mib = 1")
        if bool(device.dynamic_mib) != bool(device.dynamic_regions):
            yield Problem(where, "one of dynamic_mib and dynamic_regions is missing", "give both or neither")
        elif device.dynamic_regions and not 1 <= device.dynamic_regions <= _MOST_DYNAMIC_REGIONS:
            yield Problem(where, f"{device.dynamic_regions} dynamic regions", f"from 1 to {_MOST_DYNAMIC_REGIONS}")
        elif device.dynamic_regions and device.dynamic_mib % (device.dynamic_regions * CAPACITY_UNIT_MIB):
            what = f"{device.dynamic_mib} MiB do not divide into {device.dynamic_regions} dynamic regions"
            remedy = f"a multiple of {device.dynamic_regions * CAPACITY_UNIT_MIB}"
            yield Problem(where, what, remedy)
    if topology.devices and not uses_cxl(topology):
        yield Problem("device", "there are devices but no host_bridge", "add a [[host_bridge]] and a [[root_port]]")
