# SPDX-License-Identifier: GPL-2.0-only
"""The machines that kernels are tested on: CXL topologies as data, checked, and as QEMU options.

::

    qemu/<name>.toml ─→ load ─→ Topology ─→ check ─→ check_against_qemu ─→ qemu_arguments
                                        └─→ guest_facts, draw_tree, draw_svg
"""

from __future__ import annotations

from harness.topology.argv import qemu_arguments
from harness.topology.checks import check, problems
from harness.topology.dma import virtio_properties
from harness.topology.facts import guest_facts
from harness.topology.load import definition, from_definition, load, names, parse
from harness.topology.model import Topology, is_interleaved, summary, uses_cxl
from harness.topology.offered import check_against_qemu
from harness.topology.scale import scaled
from harness.topology.svg import draw_svg
from harness.topology.tree import draw_tree

__all__ = [
    "Topology",
    "check",
    "check_against_qemu",
    "definition",
    "draw_svg",
    "draw_tree",
    "from_definition",
    "guest_facts",
    "is_interleaved",
    "load",
    "names",
    "parse",
    "problems",
    "qemu_arguments",
    "scaled",
    "summary",
    "uses_cxl",
    "virtio_properties",
]
