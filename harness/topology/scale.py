# SPDX-License-Identifier: GPL-2.0-only
"""A topology with other totals of memory and processors than its file says."""

from __future__ import annotations

import msgspec

from harness.errors import UserError
from harness.topology.model import MEMORY_BLOCK_MIB, MOST_CPUS, CpuNode, Topology


def scaled(topology: Topology, *, memory_mib: int | None = None, cpus: int | None = None) -> Topology:
    """The topology with these totals (None: its own), shared out among its CPU nodes as its own are.

    Each node keeps whole memory blocks, the first one gets what is left over. Raises :class:`UserError` where a node
    would be left without.
    """
    memory = topology.memory_mib if memory_mib is None else memory_mib
    count = topology.cpus if cpus is None else cpus
    if (memory, count) == (topology.memory_mib, topology.cpus):
        return topology
    nodes = topology.cpu_nodes
    with_cpus = sum(1 for node in nodes if node.cpus)
    if not with_cpus <= count <= MOST_CPUS:
        raise UserError(
            f"topology {topology.name} cannot have {count} CPUs",
            hint=f"it has {with_cpus} nodes with CPUs; from {with_cpus} to {MOST_CPUS} can be",
        )
    least = len(nodes) * MEMORY_BLOCK_MIB
    if memory < least:
        raise UserError(
            f"topology {topology.name} cannot have {memory} MiB of memory", hint=f"give it at least {least} MiB"
        )
    memories = _shares([node.memory_mib for node in nodes], memory, MEMORY_BLOCK_MIB)
    counts = _shares([node.cpus for node in nodes], count, 1)
    parts = tuple(CpuNode(cpus=own, memory_mib=mib) for own, mib in zip(counts, memories, strict=True))
    return msgspec.structs.replace(topology, cpu_nodes=parts)


def _shares(weights: list[int], total: int, unit: int) -> list[int]:
    """``total`` in shares by weight: none empty that has a weight, each but the first a multiple of ``unit``."""
    shares = [max(unit, total * weight // sum(weights) // unit * unit) if weight else 0 for weight in weights]
    first = next(index for index, weight in enumerate(weights) if weight)
    others = [index for index in range(len(shares)) if index != first]
    while (left := total - sum(shares[index] for index in others)) < unit:
        largest = max(others, key=lambda index: shares[index])
        shares[largest] -= unit
    shares[first] = left
    return shares
