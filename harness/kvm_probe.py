# SPDX-License-Identifier: GPL-2.0-only
"""Whether KVM works here, found by booting something tiny that does what a kernel does first.

``/dev/kvm`` can be there, open and make a virtual machine, and still run no kernel: in some nested and software
virtual machines real mode runs, and the first SSE instruction or interrupt does not. So the probe is a program of 370
bytes with a PVH entry (booted as a kernel is, through QEMU's firmware). It goes to long mode with paging, reads and
writes model-specific registers, uses SSE and FXSAVE, writes to 32 MiB of memory, takes an interrupt from the local
APIC's timer, and in the interrupt's handler ends QEMU through its ``isa-debug-exit`` device.
"""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from harness import process
from harness.errors import EnvironmentFailure
from harness.paths import Paths
from harness.values import Accel, Qemu

PROBE_SECONDS = 5.0
"""Far more than it takes (0.3 s under TCG); a KVM that needs longer boots no kernel in useful time."""

DEVICE = Path("/dev/kvm")

_LOAD_ADDRESS = 0x100000
_MEMORY_SIZE = 0x14000
_PASSED = 0x10
_NO_LONG_MODE = 0x11
_PVH_ENTRY_NOTE = 18  # XEN_ELFNOTE_PHYS32_ENTRY, include/xen/interface/elfnote.h of Linux

# Offsets are from the load address. Page tables are at 0x4000 (PML4), 0x5000 (PDPT), 0x6000 to 0x9fff (4 GiB in 2 MiB
# pages), the interrupt table at 0xb000; all of it is zero at the start (the segment is longer than the file).
_CODE = bytes.fromhex(
    # 000: 32-bit entry: is there a long mode?
    "fa 31c0 0fa2"  # cli; xor eax,eax; cpuid
    "b801000080 0fa2"  # mov eax,0x80000001; cpuid
    "b111 0fbae21d 737d"  # mov cl,0x11; bt edx,29; jnc 091
    # 014: page tables
    "b803501000 a300401000"  # PML4[0] = PDPT | 3
    "b803601000 bf00501000 b904000000"  # mov eax,0x106003; mov edi,PDPT; mov ecx,4
    "8907 0500100000 83c708 e2f4"  # mov [edi],eax; add eax,0x1000; add edi,8; loop
    "b883000000 bf00601000 b900080000"  # mov eax,0x83; mov edi,PD; mov ecx,2048
    "8907 0500002000 83c708 e2f4"  # mov [edi],eax; add eax,0x200000; add edi,8; loop
    # 054: long mode
    "0f20e0 0d20060000 0f22e0"  # cr4 |= PAE | OSFXSR | OSXMMEXCPT
    "b800401000 0f22d8"  # cr3 = PML4
    "b9800000c0 0f32 0d00010000 0f30"  # EFER |= LME
    "0f20c0 83e0fb 0d03000080 0f22c0"  # cr0 = cr0 & ~EM | PG | MP | PE
    "0f011560011000 ea980010000800"  # lgdt; jmp 8:098
    # 091: give up with the code in cl
    "88c8 e6f4 f4 ebfd"
    # 098: 64-bit
    "b810000000 8ed8 8ec0 8ed0 48c7c400002000"  # ds = es = ss = 0x10; rsp = 0x200000
    "b977020000 0f32 0f30"  # PAT: rdmsr, wrmsr
    "b910000000 0f32"  # TSC: rdmsr
    "dbe3 0f57c0 0f11042500002000 0fae042500102000"  # fninit; xorps; movups; fxsave
    "bf00004000 48893f 4881c700100000 4881ff00004002 72ed"  # each page from 4 MiB to 36 MiB
    "b0ff e621 e6a1"  # mask the 8259s
    "c7042500b410003c010800 c7042504b41000008e1000"  # vector 0x40 = interrupt gate to 8:13c
    "0f011c2566011000"  # lidt
    "be0000e0fe"  # the local APIC
    "c786f0000000ff010000 c786e00300000b000000"  # on; timer divides by 1
    "c7862003000040000000 c7868003000000000100"  # one shot, vector 0x40; count
    "fb f4 ebfd"  # sti; hlt
    # 13c: the handler
    "b010 e6f4 f4 ebfd 0f1f440000"
    # 148: descriptor tables
    "0000000000000000 ffff0000009aaf00 ffff00000092cf00"
    "1700 48011000"
    "0f04 00b0100000000000"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmAnswer:
    """What the probe found: whether KVM works, why (not), and how long it took in seconds."""

    works: bool
    reason: str
    seconds: float


def ask_machine(*, qemu: Qemu, paths: Paths, device: Path = DEVICE, deadline: float = PROBE_SECONDS) -> KvmAnswer:
    """Boot the probe under KVM; the answer says why where it does not work. Asks the machine, not the cache.

    Raises :class:`EnvironmentFailure` only where QEMU itself cannot be run.
    """
    if not device.exists():
        return KvmAnswer(works=False, reason=f"there is no {device}", seconds=0.0)
    if not os.access(device, os.R_OK | os.W_OK):
        return KvmAnswer(
            works=False, reason=f"{device} is not ours to use (add yourself to the group kvm)", seconds=0.0
        )
    return boot_probe(accel=Accel.KVM, qemu=qemu, paths=paths, deadline=deadline)


def boot_probe(*, accel: Accel, qemu: Qemu, paths: Paths, deadline: float = PROBE_SECONDS) -> KvmAnswer:
    """Boot the probe under an accelerator. (Under TCG it shows that the probe itself is right.)"""
    started = time.monotonic()
    with paths.scratch("probe") as folder:
        image = folder / "probe.elf"
        image.write_bytes(probe_image())
        said = folder / "stderr"
        argv = probe_argv(qemu=qemu, accel=accel, image=image)
        with said.open("wb") as stderr, process.spawn(argv, env=qemu.env, cwd=folder, stderr=stderr) as child:
            status = _wait(child, said, started + deadline)
        words = said.read_text("utf-8", "replace")
    seconds = time.monotonic() - started
    works, reason = judged(status, words, seconds=seconds)
    return KvmAnswer(works=works, reason=reason, seconds=seconds)


def judged(status: int | None, stderr: str, *, seconds: float) -> tuple[bool, str]:
    """What QEMU's exit status (None: it had to be stopped) and its words say of the accelerator."""
    if status == _exit_status(_PASSED):
        return True, f"a probe booted in {seconds:.1f} s"
    if status == _exit_status(_NO_LONG_MODE):
        return False, "its CPU has no 64-bit mode"
    if "internal error" in stderr:
        return False, "it opens, but cannot run what a kernel does (KVM internal error in a probe)"
    if status is None:
        return False, f"it opens, but a probe did not boot within {seconds:.0f} s"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return False, f"QEMU cannot use it: {lines[-1] if lines else process.describe_exit(status)}"


def probe_argv(*, qemu: Qemu, accel: Accel, image: Path) -> tuple[str, ...]:
    """QEMU's command for the probe."""
    return (
        *qemu.argv,
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-accel", str(accel), "-cpu", "max", "-machine", "q35", "-m", "64M",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
        "-kernel", str(image),
    )  # fmt: skip


def probe_image() -> bytes:
    """The probe as an ELF file with a PVH entry note: header, two program headers, code, note."""
    code_offset = 64 + 2 * 56
    note = struct.pack("<III4sQ", 4, 8, _PVH_ENTRY_NOTE, b"Xen\0", _LOAD_ADDRESS)
    note_offset = code_offset + len(_CODE)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01", 2, 62, 1, _LOAD_ADDRESS, 64, 0, 0, 64, 56, 2, 0, 0, 0,
    )  # fmt: skip
    load = _program_header(1, 7, code_offset, _LOAD_ADDRESS, len(_CODE), _MEMORY_SIZE, 8)
    notes = _program_header(4, 4, note_offset, 0, len(note), len(note), 4)
    return header + load + notes + _CODE + note


def _program_header(
    kind: int, flags: int, offset: int, address: int, in_file: int, in_memory: int, align: int
) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, offset, address, address, in_file, in_memory, align)


def _exit_status(code: int) -> int:
    """How QEMU's isa-debug-exit makes an exit status of a value (hw/misc/debugexit.c)."""
    return code << 1 | 1


def _wait(child: process.Child, said: Path, until: float) -> int | None:
    """The exit status, or None once the time is up or QEMU has stopped the machine on an internal error."""
    while time.monotonic() < until:
        status = child.poll()
        if status is not None:
            return status
        if b"internal error" in said.read_bytes():
            return None
        time.sleep(0.02)
    return None


def kvm_unusable(answer: KvmAnswer) -> EnvironmentFailure:
    """The error for a user who asked for KVM where it does not work."""
    return EnvironmentFailure(
        f"KVM was asked for, but {answer.reason}", hint="--accel auto (or tcg) runs without it, more slowly"
    )
