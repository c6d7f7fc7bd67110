# SPDX-License-Identifier: GPL-2.0-only
"""A guest, decided: kernel, images, machine and accelerator in, QEMU's whole command out. Nothing is started here.

The options are QEMU's (its man page, and docs/system/ of its source). Each virtio device names ``bus=pcie.0``: without
it QEMU may put one on a CXL host bridge, which takes ports only. Disks are found in the guest by their serial.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from harness.guest.deadline import nominal_boot_seconds
from harness.topology import Topology, guest_facts, qemu_arguments, scaled, virtio_properties
from harness.values import Accel, Acceleration, Kernel, Payload, Qemu, QemuPlan, Rootfs

FIRMWARE = "opt/org.n-private"
"""Prefix of our fw_cfg names: ``opt/RFQDN/`` is what QEMU's docs/specs/fw_cfg.rst gives to users."""

KEY_FILES = ("authorized_keys", "host_key")
"""Files in the private folder that the starter makes for each run, and passes to the guest by fw_cfg."""

GDB_SOCKET = "gdb"
GUEST_SSH_PORT = 22
# The kernel writes to this device what a reader of its memory needs: symbols, sizes, the KASLR offset (QEMU's
# docs/specs/vmcoreinfo.rst; drivers/firmware/qemu_fw_cfg.c). CRASH_CORE is its name up to 6.8.
_VMCOREINFO = re.compile(r"^CONFIG_(VMCORE_INFO|CRASH_CORE)=y$", re.MULTILINE)
_HZ = re.compile(r"^CONFIG_HZ=(\d+)$", re.MULTILINE)
DEFAULT_SWAP_MIB = 1024


def plan(
    *,
    kernel: Kernel,
    rootfs: Rootfs,
    payload: Payload | None,
    topology: Topology,
    qemu: Qemu,
    acceleration: Acceleration,
    memory_mib: int | None = None,
    cpus: int | None = None,
    append: str = "",
    config: str = "",
    ssh: bool = True,
    swap_mib: int = DEFAULT_SWAP_MIB,
    boot_deadline: float | None = None,
    gdb: bool = False,
) -> QemuPlan:
    """The plan of one guest.

    ``memory_mib`` and ``cpus`` replace the topology's totals; ``append`` goes at the end of the kernel's command line;
    ``config`` is the kernel's ``.config`` (a debug kernel boots more slowly). Without ``ssh`` the guest gets no keys,
    and its init gives the console a shell. ``swap_mib`` is the size of the scratch disk (0: none), ``boot_deadline``
    seconds in place of those derived from accelerator and config. With ``gdb`` the machine waits for a debugger on the
    socket ``gdb`` in the private folder.

    Raises :class:`UserError` where the topology cannot have that memory or those CPUs.
    """
    topology = scaled(topology, memory_mib=memory_mib, cpus=cpus)
    virtio = "".join(f",{word}" for word in virtio_properties(topology))
    argv = [
        *qemu.argv,
        *_basics(),
        *_accelerator(acceleration.accel),
        *qemu_arguments(topology),
        *_boot(kernel, command_line(append, accel=acceleration.accel, config=config)),
        *_disk("root", rootfs.image, virtio),
        *(_disk("payload", payload.image, virtio) if payload is not None else ()),
        *(_scratch("swap", virtio) if swap_mib else ()),
        *_network(virtio),
        *_firmware((*(KEY_FILES if ssh else ()), "topology")),
        *_channels(),
        *(("-device", "vmcoreinfo") if _VMCOREINFO.search(config) else ()),
        *(_debugger() if gdb else ()),
    ]
    nominal = nominal_boot_seconds(accel=acceleration.accel, config=config)
    return QemuPlan(
        argv=tuple(argv),
        env=dict(qemu.env),
        accel=acceleration.accel,
        boot_deadline=boot_deadline if boot_deadline is not None else nominal,
        kernel_release=kernel.release,
        topology=topology.name,
        memory_mib=topology.memory_mib,
        files={"topology": guest_facts(topology)},
        disks={"swap": swap_mib} if swap_mib else {},
        kernel=kernel,
        boot_deadline_given=boot_deadline is not None,
    )


def command_line(append: str, *, accel: Accel, config: str) -> str:
    """The kernel's command line; what the user appends comes last, where it wins.

    ``earlycon`` shows a kernel that dies before its console is up; ``panic=-1`` makes a panic a reset, on which QEMU
    ends (``-no-reboot``); ``random.trust_cpu`` seeds the random generator from the CPU model's rdrand, so that sshd
    does not wait (Documentation/admin-guide/kernel-parameters.txt). Under TCG ``lpj`` spares each further CPU a
    calibration of its delay loop, which takes 0.2 s and, on a busy host, gives delays that are too short; the starter
    fills in this machine's value, for which it needs the kernel's HZ. ``no_timer_check`` leaves out a test of the
    timer's interrupt, which a busy host fails, and then the kernel panics.
    """
    hz = _HZ.search(config)
    words = [
        "earlycon=uart8250,io,0x3f8",
        "console=ttyS0",
        "root=/dev/vda",
        "rootfstype=erofs",
        "ro",
        "init=/sbin/harness-init",
        "panic=-1",
        "random.trust_cpu=1",
        "no_timer_check",
        f"lpj={{lpj:{hz[1]}}}" if accel is Accel.TCG and hz else "",
        append.strip(),
    ]
    return " ".join(word for word in words if word)


def escaped(value: str | Path) -> str:
    """A value inside a comma-separated option: QEMU takes two commas for one."""
    return str(value).replace(",", ",,")


def option_lines(argv: Sequence[str]) -> tuple[str, ...]:
    """An argv one option per line, for ``--dry-run``, golden files and diffs: each ``-option value`` on one line."""
    lines: list[list[str]] = []
    for word in argv:
        if not lines or word.startswith("-"):
            lines.append([word])
        else:
            lines[-1].append(word)
    return tuple(" ".join(line) for line in lines)


def _basics() -> tuple[str, ...]:
    """Nothing that the host's configuration or a display would add; and system calls that QEMU needs, no others."""
    return (
        "-nodefaults",
        "-no-user-config",
        "-display", "none",
        "-no-reboot",
        "-action", "panic=exit-failure",
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-name", "harness,debug-threads=on",
    )  # fmt: skip


def _accelerator(accel: Accel) -> tuple[str, ...]:
    """``-cpu max`` is all that the accelerator can give (docs/system/qemu-cpu-models.rst)."""
    return ("-accel", "kvm" if accel is Accel.KVM else "tcg,thread=multi", "-cpu", "max")


def _boot(kernel: Kernel, append: str) -> tuple[str, ...]:
    """Direct boot: vmlinux through its PVH entry (no decompression, no setup code), else the bzImage."""
    return ("-kernel", str(kernel.bzimage or kernel.vmlinux), "-append", append)


def _disk(name: str, image: Path, virtio: str) -> tuple[str, ...]:
    """A read-only image that any number of guests share: no lock, and no write whatever the guest does."""
    return (
        "-blockdev",
        f"driver=file,node-name={name}-file,filename={escaped(image)},read-only=on,auto-read-only=off,locking=off",
        "-blockdev", f"driver=raw,node-name={name},file={name}-file,read-only=on,auto-read-only=off",
        "-device", f"virtio-blk-pci,drive={name},serial={name},bus=pcie.0{virtio}",
    )  # fmt: skip


def _scratch(name: str, virtio: str) -> tuple[str, ...]:
    """A disk of this guest alone. Nothing on it outlives the guest, so a flush does nothing (``cache.no-flush``)."""
    return (
        "-blockdev",
        f"driver=file,node-name={name}-file,filename={{private}}/{name},cache.no-flush=on,discard=unmap",
        "-blockdev", f"driver=raw,node-name={name},file={name}-file,cache.no-flush=on,discard=unmap",
        "-device", f"virtio-blk-pci,drive={name},serial={name},bus=pcie.0{virtio}",
    )  # fmt: skip


def _network(virtio: str) -> tuple[str, ...]:
    """One way in, none out: ``restrict=on`` keeps the guest from host and network, and the host's kernel picks the
    port (0), which is read back from QEMU."""
    forward = f"hostfwd=tcp:127.0.0.1:0-:{GUEST_SSH_PORT}"
    return (
        "-netdev", f"user,id=net0,restrict=on,ipv6=off,{forward}",
        "-device", f"virtio-net-pci,netdev=net0,bus=pcie.0,romfile={virtio}",
    )  # fmt: skip


def _firmware(names: Sequence[str]) -> tuple[str, ...]:
    words: list[str] = []
    for name in names:
        words += ["-fw_cfg", f"name={FIRMWARE}/{name},file={{private}}/{name}"]
    return tuple(words)


def _debugger() -> tuple[str, ...]:
    """A socket for gdb where nobody else can connect, and no instruction before gdb says so."""
    return ("-chardev", f"socket,id=gdb,path={{private}}/{GDB_SOCKET},server=on,wait=off", "-gdb", "chardev:gdb", "-S")


def _channels() -> tuple[str, ...]:
    """Console and QMP over sockets that we hold the other end of: nobody else can connect, and no byte is missed."""
    return (
        "-chardev", "socket,id=console,fd={console_fd}",
        "-serial", "chardev:console",
        "-chardev", "socket,id=qmp,fd={qmp_fd}",
        "-qmp", "chardev:qmp",
    )  # fmt: skip
