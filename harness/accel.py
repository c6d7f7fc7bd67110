# SPDX-License-Identifier: GPL-2.0-only
"""Which accelerator a guest gets, and why: KVM where it works and is safe for the topology, else TCG.

Safe: up to QEMU 10 an access to CXL memory is an emulated I/O access, and so it stays in later ones where memory is
interleaved. Under KVM code, page tables or vector instructions in such memory end the guest (the emulator in KVM does
not know them). TCG runs them, slowly. So such a machine runs under TCG, and an explicit ``kvm`` for it is refused.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from pathlib import Path

from harness.errors import UserError, unknown_name
from harness.kvm_probe import DEVICE, KvmAnswer, ask_machine, kvm_unusable
from harness.paths import Paths
from harness.progress import Progress
from harness.store import Store, value_digest
from harness.topology import Topology, is_interleaved
from harness.values import Accel, Acceleration, Qemu

REQUESTS = ("auto", "kvm", "tcg")


def choose(
    requested: str, *, qemu: Qemu, topology: Topology, paths: Paths, store: Store, progress: Progress
) -> Acceleration:
    """The accelerator for a machine: ``requested`` is ``auto``, ``kvm`` or ``tcg``.

    Raises :class:`UserError` for another word and for ``kvm`` where it is unsafe, :class:`EnvironmentFailure` for
    ``kvm`` where it does not work.
    """
    return decide(
        requested, unsafe=unsafe_reason(topology, qemu), kvm=lambda: cached_probe(qemu, paths, store, progress)
    )


def decide(requested: str, *, unsafe: str | None, kvm: Callable[[], KvmAnswer]) -> Acceleration:
    """The choice, given what makes KVM unsafe here (None: nothing) and a way to ask whether it works."""
    if requested not in REQUESTS:
        raise unknown_name("accelerator", requested, REQUESTS)
    if requested == "tcg":
        return Acceleration(accel=Accel.TCG, reason="asked for")
    if unsafe is not None:
        if requested == "kvm":
            raise UserError(f"KVM is not safe for this machine: {unsafe}", hint="--accel auto runs it under TCG")
        return Acceleration(accel=Accel.TCG, reason=f"KVM is not safe here: {unsafe}")
    answer = kvm()
    if answer.works:
        return Acceleration(accel=Accel.KVM, reason=answer.reason)
    if requested == "kvm":
        raise kvm_unusable(answer)
    return Acceleration(accel=Accel.TCG, reason=f"no KVM: {answer.reason}")


def unsafe_reason(topology: Topology, qemu: Qemu) -> str | None:
    """Why KVM could break this machine's guests, or None where it cannot."""
    if not any(device.capacity_mib for device in topology.devices):
        return None
    if not qemu.maps_cxl_directly:
        return (
            f"QEMU {qemu.version_text} emulates each access to CXL memory, and KVM guests break when code, page "
            "tables or vector instructions are in it (from QEMU 11 on it is mapped)"
        )
    if is_interleaved(topology):
        return (
            f"topology {topology.name} interleaves, and QEMU emulates each access to interleaved CXL memory; KVM "
            "guests break when code, page tables or vector instructions are in it"
        )
    return None


def probe_kvm(qemu: Qemu, *, paths: Paths, store: Store, progress: Progress) -> Acceleration:
    """What ``auto`` would choose for a machine on which KVM is safe."""
    return decide("auto", unsafe=None, kvm=lambda: cached_probe(qemu, paths, store, progress))


def cached_probe(qemu: Qemu, paths: Paths, store: Store, progress: Progress) -> KvmAnswer:
    """The probe's answer for this boot of this machine and this QEMU; the probe itself runs once for them."""

    def make(folder: Path) -> dict[str, object]:
        progress.update("probing KVM")
        answer = ask_machine(qemu=qemu, paths=paths)
        return {"works": answer.works, "reason": answer.reason, "seconds": answer.seconds}

    entry, _ = store.obtain("kvm-probe", machine_key(qemu), make, progress=progress, wait=60.0)
    meta = entry.meta
    return KvmAnswer(works=bool(meta["works"]), reason=str(meta["reason"]), seconds=float(meta["seconds"]))


def machine_key(qemu: Qemu) -> str:
    """What the answer depends on: the machine's boot, kernel, CPU and KVM, the right to use it, and QEMU."""
    device = [DEVICE.stat().st_rdev if DEVICE.exists() else None, os.access(DEVICE, os.R_OK | os.W_OK)]
    modules = [Path("/sys/module", name).exists() for name in ("kvm", "kvm_intel", "kvm_amd")]
    boot = _first_line(Path("/proc/sys/kernel/random/boot_id"))
    return value_digest(boot, platform.release(), _cpu_model(), modules, device, os.geteuid(), qemu.digest)


def _cpu_model() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def _first_line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
