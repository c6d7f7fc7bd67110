# SPDX-License-Identifier: GPL-2.0-only
"""Real guests: a real kernel and QEMU, and each way in which a boot or a guest fails.

The kernel is the default profile's, or the one that HARNESS_TEST_KERNEL names (a vmlinux or bzImage).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko  # type: ignore[import-untyped]
import pytest

from harness import accel, kvm_probe, pipeline, process, profile
from harness import topology as topologies
from harness.errors import BootError, EnvironmentFailure, GuestError, GuestSilent
from harness.guest import Guest, kernel_file, plan, start
from harness.guest.connection import connect
from harness.guest.keys import make_keys
from harness.paths import Paths, default_paths
from harness.progress import Quiet, QuietView
from harness.store import Store
from harness.suite.catalogue import GUEST_FOLDER
from harness.values import Accel, Acceleration, Kernel, QemuPlan

pytestmark = pytest.mark.vm

Planner = Callable[..., QemuPlan]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What every test's guest is made of."""

    paths: Paths
    kernel: Kernel
    config: str
    machine: pipeline.Machine


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    paths = default_paths()
    store = Store(paths.cache)
    chosen = profile.load("default", paths=paths)
    own = os.environ.get("HARNESS_TEST_KERNEL")
    if own:
        read = kernel_file.read(Path(own))
        kernel, config = read.kernel, read.config
    else:
        built = pipeline.kernel_for(chosen, paths=paths, store=store, stages=QuietView())
        kernel, config = built.kernel, built.config.text
    machine = pipeline.machine_for(chosen, paths=paths, store=store, stages=QuietView())
    return Prepared(paths=paths, kernel=kernel, config=config, machine=machine)


@pytest.fixture
def planned(prepared: Prepared) -> Planner:
    def make(topology: str = "none", **changes: Any) -> QemuPlan:
        values: dict[str, Any] = {
            "kernel": prepared.kernel,
            "rootfs": prepared.machine.rootfs,
            "payload": prepared.machine.payload,
            "topology": topologies.load(topology, paths=prepared.paths),
            "qemu": prepared.machine.qemu,
            "acceleration": Acceleration(accel=Accel.TCG, reason="the same on every machine"),
            "config": prepared.config,
        }
        return plan(**{**values, **changes})

    return make


@pytest.fixture
def paths(prepared: Prepared, tmp_path: Path) -> Paths:
    """Scratch space that a test can look through for what was left."""
    return dataclasses.replace(prepared.paths, cache=tmp_path / "cache")


@pytest.fixture
def guest(planned: Planner, paths: Paths, tmp_path: Path) -> Iterator[Guest]:
    with start(planned(), folder=tmp_path / "run", paths=paths) as running:
        yield running


def replaced(made: QemuPlan, old: str, new: str) -> QemuPlan:
    """The plan with one text in its command replaced."""
    argv = tuple(word.replace(old, new) for word in made.argv)
    assert argv != made.argv
    return dataclasses.replace(made, argv=argv)


def assert_gone(pid: int, paths: Paths) -> None:
    assert not Path(f"/proc/{pid}").exists()
    assert list((paths.cache / "scratch").iterdir()) == []


def test_a_command_its_outputs_and_status(guest: Guest) -> None:
    lines: list[str] = []
    result = guest.run("echo out; echo err >&2; echo $X; exit 7", deadline=60, env={"X": "a'b"}, on_line=lines.append)
    assert (result.exit_status, result.stdout, result.stderr) == (7, "out\na'b\n", "err\n")
    assert lines == ["out", "a'b"]
    assert guest.run("uname -r", deadline=60).stdout.strip() == guest.plan.kernel_release
    assert guest.run("kill -9 $$", deadline=60).exit_status == 137


def test_files_go_in_and_come_out(guest: Guest) -> None:
    content = bytes(range(256)) * 4096
    guest.put(content, "/tmp/a file", mode=0o700)
    assert guest.get("/tmp/a file") == content
    assert guest.run("stat -c %a '/tmp/a file'", deadline=60).stdout == "700\n"
    with pytest.raises(GuestError, match="cannot read /nowhere"):
        guest.get("/nowhere")
    with pytest.raises(GuestError, match="cannot write /nowhere/x"):
        guest.put(b"x", "/nowhere/x")


def test_an_overdue_command_is_killed_with_all_it_started(guest: Guest) -> None:
    result = guest.run("sleep 1001 & (sleep 1002 & sleep 1003)", deadline=2)
    assert result.timed_out and result.stopped and result.exit_status is None
    assert guest.run("ps | grep '[s]leep 100[123]'", deadline=60).exit_status == 1


def test_the_guest_has_what_was_planned(planned: Planner, paths: Paths, tmp_path: Path) -> None:
    with start(planned("two-devices"), folder=tmp_path / "run", paths=paths) as guest:
        result = guest.run(
            ". /run/harness/topology; echo $TOPOLOGY $MEMDEVS; ls /dev/harness; cxl list -M | grep -c memdev",
            deadline=60,
        )
        assert result.stdout.split() == ["two-devices", "2", "payload", "root", "swap", "2"]
        assert guest.qmp("query-status")["status"] == "running"
        assert guest.monitor.version >= (10, 0, 0)


def test_the_console_has_the_kernels_first_line_and_what_is_written_later(guest: Guest) -> None:
    assert any("Linux version" in line.text for line in guest.console.lines()[:3])
    mark = guest.console.mark()
    guest.run("echo harness: a mark >/dev/console", deadline=60)
    seen = guest.console.wait_for((re.compile("harness: a mark"),), deadline=30, since=mark)
    assert seen.line is not None


def test_there_is_no_way_out_of_the_guest(guest: Guest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as service:
        service.settimeout(0.5)
        url = f"http://10.0.2.2:{service.getsockname()[1]}/"  # the host, where user networking lets a guest reach it
        assert guest.run(f"wget -T 3 -q -O - {url}", deadline=60).exit_status == 1
        with pytest.raises(TimeoutError):
            service.accept()


def test_leaving_the_block_leaves_nothing(planned: Planner, paths: Paths, tmp_path: Path) -> None:
    with start(planned(), folder=tmp_path / "run", paths=paths) as guest:
        pid = guest.pid
    assert guest.exit_status == 0
    assert_gone(pid, paths)
    assert threading.active_count() < 20


def test_guests_side_by_side(planned: Planner, paths: Paths, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        guests = [
            stack.enter_context(start(planned(cpus=1), folder=tmp_path / str(number), paths=paths))
            for number in range(3)
        ]
        assert len({guest.ssh_port for guest in guests}) == 3
        for number, guest in enumerate(guests):
            guest.run(f"echo {number} >/tmp/number", deadline=60)
        assert [guest.run("cat /tmp/number", deadline=60).stdout for guest in guests] == ["0\n", "1\n", "2\n"]
    assert list((paths.cache / "scratch").iterdir()) == []


def test_a_kernel_that_panics_before_init(planned: Planner, paths: Paths, tmp_path: Path) -> None:
    began = time.monotonic()
    made = planned(append="root=/dev/nowhere", boot_deadline=600)
    with pytest.raises(BootError, match="panicked before the guest was ready: VFS: Unable to mount root fs") as caught:
        boot(made, paths, tmp_path / "run")
    assert time.monotonic() - began < 120
    assert any("Kernel panic" in line for line in caught.value.details)
    assert list((paths.cache / "scratch").iterdir()) == []


def test_an_init_that_is_not_there(planned: Planner, paths: Paths, tmp_path: Path) -> None:
    with pytest.raises(BootError, match="panicked before the guest was ready"):
        boot(planned(append="init=/nowhere"), paths, tmp_path / "run")


def test_a_kernel_without_serial_output(
    planned: Planner, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.guest.boot._SILENCE_AT_LEAST", 3.0)
    monkeypatch.setattr("harness.guest.boot._SILENCE_SHARE", 0.0)
    made = replaced(
        planned(append="init=/bin/sleep -- 1000"), "earlycon=uart8250,io,0x3f8 console=ttyS0", "console=tty9"
    )
    with pytest.raises(BootError, match="wrote nothing to its serial console") as caught:
        boot(made, paths, tmp_path / "run")
    assert "CONFIG_SERIAL_8250_CONSOLE" in (caught.value.hint or "")


def test_a_guest_without_a_network_device(planned: Planner, paths: Paths, tmp_path: Path) -> None:
    made = replaced(planned(), "virtio-net-pci,netdev=net0,bus=pcie.0,romfile=", "virtio-rng-pci,bus=pcie.0")
    with pytest.raises(BootError, match="init gave up: no network device"):
        boot(made, paths, tmp_path / "run")


def test_a_guest_whose_network_leads_nowhere(
    planned: Planner, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.guest.boot._SSH_AT_LEAST", 4.0)
    monkeypatch.setattr("harness.guest.boot._SSH_SHARE", 0.0)
    made = replaced(planned(), "restrict=on,", "restrict=on,net=10.0.3.0/24,")
    with pytest.raises(BootError, match="booted, but there is no way in") as caught:
        boot(made, paths, tmp_path / "run")
    assert "VIRTIO_NET" in (caught.value.hint or "")


def test_a_guest_that_powers_off_while_a_command_runs(guest: Guest) -> None:
    with pytest.raises(GuestError, match="the guest powered off") as caught:
        guest.run("echo o >/proc/sysrq-trigger; sleep 100", deadline=60)
    assert caught.value.verdict == "LOST"
    with pytest.raises(GuestError):
        guest.run("true", deadline=5)


def test_a_guest_that_panics_while_a_command_runs(guest: Guest) -> None:
    with pytest.raises(GuestError, match="the kernel panicked: sysrq triggered crash") as caught:
        guest.run("echo c >/proc/sysrq-trigger; sleep 100", deadline=60)
    assert any("Kernel panic" in line for line in caught.value.details)


def test_a_qemu_that_is_killed_while_a_command_runs(guest: Guest) -> None:
    threading.Timer(1.0, os.kill, (guest.pid, signal.SIGKILL)).start()
    with pytest.raises(GuestError, match=r"the guest is gone.*QEMU ended with signal SIGKILL"):
        guest.run("sleep 100", deadline=60)


def test_a_qemu_that_is_stopped_while_a_command_runs(guest: Guest) -> None:
    os.kill(guest.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(GuestSilent, match="did not open an SSH channel within 2 s"):
            guest.run("true", deadline=2)
        assert time.monotonic() - began < 30
    finally:
        os.kill(guest.pid, signal.SIGCONT)


def test_a_qemu_that_refuses_its_options(planned: Planner, paths: Paths, tmp_path: Path) -> None:
    made = replaced(planned(), "virtio-net-pci", "virtio-nonsense-pci")
    with pytest.raises(EnvironmentFailure, match="QEMU did not start: exit status 1") as caught:
        boot(made, paths, tmp_path / "run")
    assert any("virtio-nonsense-pci" in line for line in caught.value.details)


def test_a_shell_on_the_console_needs_no_network_and_no_keys(planned: Planner, paths: Paths, tmp_path: Path) -> None:
    made = replaced(planned(ssh=False), "virtio-net-pci,netdev=net0,bus=pcie.0,romfile=", "virtio-rng-pci,bus=pcie.0")
    with start(made, folder=tmp_path / "run", paths=paths, ssh=False) as guest:
        guest.console.send(b"echo $((6 * 7)); exit\n")
        assert guest.console.wait_for((re.compile(r"^42$"),), deadline=60).line is not None
        assert guest.wait_end(deadline=60) == 0


def test_a_harness_that_is_killed_takes_its_guest_along(
    planned: Planner, prepared: Prepared, paths: Paths, tmp_path: Path
) -> None:
    script = tmp_path / "victim.py"
    made = planned(cpus=1)
    script.write_text(
        "import pickle, sys, time\n"
        "from pathlib import Path\n"
        "from harness.guest import start\n"
        "made, paths, folder = pickle.loads(Path(sys.argv[1]).read_bytes())\n"
        "with start(made, folder=folder, paths=paths) as guest:\n"
        "    Path(sys.argv[2]).write_text(str(guest.pid))\n"
        "    time.sleep(600)\n"
    )
    (tmp_path / "plan").write_bytes(pickle.dumps((made, paths, tmp_path / "run")))
    told = tmp_path / "pid"
    with process.spawn([sys.executable, script, tmp_path / "plan", told], cwd=Path.cwd()) as child:
        until = time.monotonic() + 120
        while not (told.exists() and told.read_text()) and child.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        pid = int(told.read_text())
        assert Path(f"/proc/{pid}").exists()
        os.kill(child.pid, signal.SIGKILL)
        until = time.monotonic() + 20
        while _running(pid) and time.monotonic() < until:
            time.sleep(0.05)
        assert not _running(pid)


def test_the_probe_is_right_under_tcg_and_agrees_with_the_choice(prepared: Prepared) -> None:
    answer = kvm_probe.boot_probe(accel=Accel.TCG, qemu=prepared.machine.qemu, paths=prepared.paths, deadline=60)
    assert answer.works, answer.reason
    chosen = accel.choose(
        "auto",
        qemu=prepared.machine.qemu,
        topology=topologies.load("none", paths=prepared.paths),
        paths=prepared.paths,
        store=Store(prepared.paths.cache),
        progress=Quiet(),
    )
    asked = kvm_probe.ask_machine(qemu=prepared.machine.qemu, paths=prepared.paths)
    assert (chosen.accel is Accel.KVM) == asked.works


def boot(made: QemuPlan, paths: Paths, folder: Path) -> None:
    with start(made, folder=folder, paths=paths):
        pass


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_fabric_connection_runs_commands_and_moves_files(guest: Guest) -> None:
    with guest.connection() as connection:
        assert connection.run("echo hello; uname -s", hide=True).stdout == "hello\nLinux\n"
        assert connection.run("exit 3", hide=True, warn=True).exited == 3


def test_a_fabric_connection_refuses_a_guest_with_another_key(guest: Guest, tmp_path: Path) -> None:
    other = tmp_path / "known_hosts"
    other.write_text(f"[127.0.0.1]:{guest.ssh_port} {make_keys().host_public}\n")
    connection = connect(port=guest.ssh_port, key_file=guest.key_file, known_hosts=other)
    with connection, pytest.raises(paramiko.BadHostKeyException):
        connection.open()


@pytest.mark.parametrize(
    ("described", "program", "says"),
    [
        ("two-devices", "cxl/test_enumerate.sh", "not ok"),
        ("two-sockets", "smoke/test_boot.sh", "not ok"),
        ("direct", "cxl/test_enumerate.sh", "ok"),
    ],
)
def test_guest_tests_notice_a_machine_that_is_not_as_described(
    planned: Planner, paths: Paths, tmp_path: Path, described: str, program: str, says: str
) -> None:
    made = planned("direct")
    facts = topologies.guest_facts(topologies.load(described, paths=default_paths()))
    made = dataclasses.replace(made, files={**made.files, "topology": facts})
    with start(made, folder=tmp_path / "run", paths=paths) as running:
        result = running.run(f"{GUEST_FOLDER}/{program}", deadline=60)
    failed = [line for line in result.stdout.splitlines() if line.startswith("not ok")]
    assert bool(failed) is (says == "not ok"), result.stdout
    assert result.exit_status == (1 if failed else 0)
