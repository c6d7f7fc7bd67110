# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's command, decided: held still by golden files, an option a line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import topology as topologies
from harness.errors import UserError
from harness.guest import option_lines, plan
from harness.guest.lifetime import filled
from harness.paths import default_paths
from harness.topology import Topology
from harness.values import Accel, Acceleration, Kernel, Payload, Qemu, QemuPlan, Rootfs

_GOLDEN = Path(__file__).parent / "golden"

SHIPPED = default_paths()


def kernel(**changes: Any) -> Kernel:
    values: dict[str, Any] = {
        "key": "key",
        "release": "6.12.117",
        "vmlinux": Path("/cache/kernel/vmlinux"),
        "bzimage": None,
        "config": Path("/cache/kernel/config"),
        "system_map": Path("/cache/kernel/System.map"),
        "debug_vmlinux": None,
        "modules": None,
        "toolchain": "gcc",
        "warnings": {},
        "digest": "digest",
    }
    return Kernel(**{**values, **changes})


def machine(name: str) -> Topology:
    return topologies.load(name, paths=SHIPPED)


def decided(topology: str = "none", *, accel: Accel = Accel.TCG, **changes: Any) -> QemuPlan:
    values: dict[str, Any] = {
        "kernel": kernel(),
        "rootfs": Rootfs(key="", image=Path("/cache/image/rootfs.erofs"), digest="", flavour="test"),
        "payload": Payload(key="", image=Path("/cache/payload/payload.erofs"), digest=""),
        "topology": machine(topology),
        "qemu": Qemu(argv=("qemu-system-x86_64",), env={"A": "b"}, version=(11, 1, 3), origin="host", digest=""),
        "acceleration": Acceleration(accel=accel, reason=""),
        "config": "CONFIG_HZ=250\n",
    }
    return plan(**{**values, **changes})


def option(argv: tuple[str, ...], name: str) -> list[str]:
    return [value for word, value in itertools.pairwise(argv) if word == name]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tcg-direct", {"topology": "direct"}),
        ("kvm-none", {"accel": Accel.KVM}),
        ("console-only", {"ssh": False, "payload": None, "swap_mib": 0, "append": "harness.shell=console"}),
        ("bzimage", {"kernel": kernel(bzimage=Path("/cache/kernel/bzImage")), "config": ""}),
    ],
)
def test_golden(name: str, changes: dict[str, Any], golden: Callable[[Path, str], None]) -> None:
    golden(_GOLDEN / f"{name}.txt", "\n".join(option_lines(decided(**changes).argv)) + "\n")


def test_each_pci_device_of_ours_names_its_bus() -> None:
    devices = [value for value in option(decided("switch-4").argv, "-device") if value.startswith("virtio")]
    assert len(devices) == 4
    assert all("bus=pcie.0" in value for value in devices)


def test_nothing_listens_beyond_this_host_and_nothing_leads_out() -> None:
    argv = decided().argv
    (network,) = option(argv, "-netdev")
    assert "restrict=on" in network and "hostfwd=tcp:127.0.0.1:0-:22" in network
    assert not [word for word in argv if re.search(r"\b(vnc|spice|server=on|tcp:(?!127\.0\.0\.1))", word)]


def test_images_are_never_written() -> None:
    for disk in ("root", "payload"):
        nodes = [value for value in option(decided().argv, "-blockdev") if f"node-name={disk}" in value]
        assert len(nodes) == 2
        assert all("read-only=on,auto-read-only=off" in value for value in nodes)


def test_commas_in_paths_are_doubled() -> None:
    rootfs = Rootfs(key="", image=Path("/a,b/root fs.erofs"), digest="", flavour="test")
    (node,) = [value for value in option(decided(rootfs=rootfs).argv, "-blockdev") if "node-name=root-file" in value]
    assert "filename=/a,,b/root fs.erofs," in node
    argv = filled(decided().argv, console_fd=5, qmp_fd=6, private=Path("/x,y"), tsc_khz=1)
    assert "name=opt/org.n-private/host_key,file=/x,,y/host_key" in option(argv, "-fw_cfg")


def test_the_users_words_come_last_on_the_command_line() -> None:
    (line,) = option(decided(append=" panic=0 quiet ").argv, "-append")
    assert line.endswith(" panic=0 quiet")
    assert line.index("panic=-1") < line.index("panic=0")


def test_delay_loops_are_this_machines_under_tcg_only() -> None:
    (line,) = option(filled(decided().argv, console_fd=3, qmp_fd=4, private=Path("/p"), tsc_khz=2_500_000), "-append")
    assert "lpj=10000000" in line
    (line,) = option(decided(accel=Accel.KVM).argv, "-append")
    assert "lpj" not in line
    (line,) = option(decided(config="").argv, "-append")
    assert "lpj" not in line


def test_every_placeholder_is_filled() -> None:
    argv = filled(decided("direct").argv, console_fd=3, qmp_fd=4, private=Path("/p"), tsc_khz=2_500_000)
    assert not [word for word in argv if "{" in word or "}" in word]


def test_facts_tell_of_the_machine_as_it_is() -> None:
    made = decided("two-sockets", memory_mib=4096, cpus=4)
    assert made.memory_mib == 4096
    assert "CPU_NODE_0_CPUS='2'" in made.files["topology"]
    assert "CPU_NODE_1_MEMORY_MIB='2048'" in made.files["topology"]
    assert option(made.argv, "-smp")[0].startswith("4,")


def test_a_machine_that_cannot_be_is_refused() -> None:
    with pytest.raises(UserError, match="1 CPU"):
        decided("two-sockets", cpus=1)


def test_deadline_follows_config_unless_given() -> None:
    slow = decided(config="CONFIG_KASAN=y\nCONFIG_HZ=100\n").boot_deadline
    assert slow > decided().boot_deadline
    given = decided(boot_deadline=7.0)
    assert given.boot_deadline == 7.0 and given.boot_deadline_given and not decided().boot_deadline_given


@pytest.mark.parametrize(
    ("config", "has"), [("CONFIG_VMCORE_INFO=y\n", True), ("CONFIG_CRASH_CORE=y\n", True), ("", False)]
)
def test_a_kernel_that_can_tell_of_itself_gets_the_device_for_it(config: str, has: bool) -> None:
    assert ("vmcoreinfo" in option(decided(config=config).argv, "-device")) is has


def test_a_guest_for_gdb_waits_on_a_private_socket_and_on_no_port() -> None:
    argv = decided(gdb=True).argv
    assert "-S" in argv and option(argv, "-gdb") == ["chardev:gdb"]
    assert [word for word in argv if "id=gdb" in word] == ["socket,id=gdb,path={private}/gdb,server=on,wait=off"]
    assert "-gdb" not in decided().argv and "-S" not in decided().argv
