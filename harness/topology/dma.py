# SPDX-License-Identifier: GPL-2.0-only
"""What a machine with CXL memory asks of the guest's other devices."""

from __future__ import annotations

from harness.topology.model import Topology, uses_cxl

_BOUNCE = "1G"  # a cap, not an allocation


def virtio_properties(topology: Topology) -> tuple[str, ...]:
    """Properties that every virtio PCI device of the guest needs, as ``name=value`` words; none without CXL.

    A virtio device reads and writes guest memory through QEMU's mappings. CXL memory that QEMU emulates (interleaved;
    before QEMU 11 all of it) has none, so each access goes through a bounce buffer, of which a virtio device has
    4 KiB in all: the first page-cache page in such memory ends in "virtio: bogus descriptor or out of resources", and
    the disk is dead. ``x-max-bounce-buffer-size`` lifts that (QEMU 9.2 on), but counts only where the device goes
    through its PCI bus's address space, which is what ``iommu_platform`` does. Seen on 10.0 and 11.1: either alone
    does not help.
    """
    if not uses_cxl(topology):
        return ()
    return ("disable-legacy=on", "iommu_platform=on", f"x-max-bounce-buffer-size={_BOUNCE}")
