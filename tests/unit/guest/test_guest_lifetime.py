# SPDX-License-Identifier: GPL-2.0-only
"""A guest's start, failure and end, with a stand-in for QEMU that fails in each way that a real one does."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import BootError, EnvironmentFailure, GuestError
from harness.guest import Guest, start
from harness.guest import boot as booting
from harness.paths import Paths, sweep_scratch
from harness.values import QemuPlan

Planner = Callable[..., QemuPlan]

READY = "say harness-init: ready"


@pytest.fixture(autouse=True)
def idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines as they are given, however busy the machine that runs the tests is."""
    monkeypatch.setattr("harness.guest.deadline.on_this_machine", lambda seconds, cache: seconds)


def state(pid: int) -> str:
    """The state of a process, as proc(5) has it; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    return state(pid) not in ("", "Z")


def assert_gone(pid: int, paths: Paths) -> None:
    assert not running(pid)
    assert list((paths.cache / "scratch").iterdir()) == []


def boot(plan: QemuPlan, paths: Paths, folder: Path) -> None:
    with start(plan, folder=folder, paths=paths, ssh=False):
        pass


def test_a_guest_is_ready_and_gone_afterwards(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    plan = fake_plan(f"say Linux version 6.12.0;{READY};port 4321;wait")
    with start(plan, folder=tmp_path / "run", paths=paths, ssh=False) as guest:
        pid, private = guest.pid, guest.private
        assert guest.alive and running(pid)
        assert guest.ssh_port == 4321
        assert guest.monitor.version == (11, 1, 3)
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in private.iterdir())
        assert (private / "swap").stat().st_size == 64 << 20
        assert (private / "topology").read_text() == "TOPOLOGY='none'\n"
        assert guest.known_hosts.read_text().startswith("[127.0.0.1]:4321 ssh-ed25519 ")
    assert guest.exit_status == 0
    assert_gone(pid, paths)
    assert "Linux version 6.12.0" in (tmp_path / "run" / "console.log").read_text()


@pytest.mark.parametrize("error", [ValueError("a test's own"), KeyboardInterrupt()])
def test_an_exception_ends_the_guest(error: BaseException, fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    pid = 0
    with (
        pytest.raises(type(error)),
        start(fake_plan(f"{READY};wait"), folder=tmp_path / "run", paths=paths, ssh=False) as guest,
    ):
        pid = guest.pid
        raise error
    assert_gone(pid, paths)


def test_a_qemu_that_ignores_quit_and_sigterm_is_killed(
    fake_plan: Planner, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.guest.lifetime._QUIT_SECONDS", 0.3)
    monkeypatch.setattr("harness.process._TERM_GRACE_SECONDS", 0.3)
    plan = fake_plan(f"stubborn;{READY};wait")
    with start(plan, folder=tmp_path / "run", paths=paths, ssh=False) as guest:
        pid = guest.pid
    assert guest.exit_status == -signal.SIGKILL
    assert_gone(pid, paths)


def test_a_panic_before_init_ends_the_wait_at_once(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    script = (
        "say VFS: Cannot open root device;"
        "say Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0);"
        "say ---[ end Kernel panic - not syncing ]---;wait"
    )
    began = time.monotonic()
    with pytest.raises(BootError) as caught:
        boot(fake_plan(script, deadline=60), paths, tmp_path / "run")
    assert time.monotonic() - began < 10
    assert "panicked before the guest was ready: VFS: Unable to mount root fs" in caught.value.message
    assert "VIRTIO_BLK" in (caught.value.hint or "")
    assert caught.value.log == tmp_path / "run" / "console.log"
    assert "VFS: Cannot open root device" in caught.value.details
    assert caught.value.exit_code == 3


def test_a_panic_that_resets_the_guest_is_still_called_a_panic(
    fake_plan: Planner, paths: Paths, tmp_path: Path
) -> None:
    script = "say Kernel panic - not syncing: Attempted to kill init!;shutdown guest-reset;exit 0"
    with pytest.raises(BootError, match="panicked before the guest was ready: Attempted to kill init!"):
        boot(fake_plan(script), paths, tmp_path / "run")


def test_a_panic_is_the_reason_and_its_report_is_shown(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    report = ";".join(f"say frame {number}" for number in range(60))
    script = f"say before;{READY};say Kernel panic - not syncing: Fatal exception;{report};shutdown guest-reset;exit 0"
    with start(fake_plan(script), folder=tmp_path / "run", paths=paths, ssh=False) as guest:
        guest.wait_end(deadline=20)
        assert guest.describe_end() == "the kernel panicked: Fatal exception; QEMU ended with exit status 0"
        words = booting.last_words(guest.console)
        assert words[:4] == ("before", "harness-init: ready", "Kernel panic - not syncing: Fatal exception", "frame 0")


def test_what_init_complains_of_is_the_message(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    script = "say harness-init: failed: no overlay file system (OVERLAY_FS in the kernel?);wait"
    with pytest.raises(BootError, match=r"init gave up: no overlay file system \(OVERLAY_FS"):
        boot(fake_plan(script), paths, tmp_path / "run")


def test_a_kernel_without_serial_output_is_told_so(
    fake_plan: Planner, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booting, "_SILENCE_AT_LEAST", 0.5)
    monkeypatch.setattr(booting, "_SILENCE_SHARE", 0.0)
    with pytest.raises(BootError, match="wrote nothing to its serial console") as caught:
        boot(fake_plan("wait"), paths, tmp_path / "run")
    assert "CONFIG_SERIAL_8250_CONSOLE" in (caught.value.hint or "")


def test_a_hang_ends_at_the_deadline_with_the_last_lines(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    with pytest.raises(BootError, match="was not ready within") as caught:
        boot(fake_plan("say the last words;wait", deadline=0.7), paths, tmp_path / "run")
    assert caught.value.details == ("the last words",)


def test_a_guest_that_powers_off_while_booting(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    script = "say going down;sleep 0.3;shutdown guest-shutdown;sleep 0.1;exit 0"
    with pytest.raises(BootError, match="the guest powered off; QEMU ended with exit status 0"):
        boot(fake_plan(script), paths, tmp_path / "run")


def test_a_qemu_that_is_killed_while_booting(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    with pytest.raises(BootError, match="QEMU ended with signal SIGKILL"):
        boot(fake_plan("say booting;sleep 0.3;die"), paths, tmp_path / "run")


def test_a_qemu_that_refuses_its_options_shows_why(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    refusing = tmp_path / "refusing.py"
    refusing.write_text("import sys\nsys.exit('qemu-system-x86_64: -device nonsense: not a valid device')\n")
    with pytest.raises(EnvironmentFailure, match="QEMU did not start: exit status 1") as caught:
        boot(fake_plan("", program=refusing), paths, tmp_path / "run")
    assert caught.value.details == ("qemu-system-x86_64: -device nonsense: not a valid device",)
    assert caught.value.command is not None and caught.value.hint is None


def test_a_qemu_without_seccomp_is_named(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    refusing = tmp_path / "refusing.py"
    refusing.write_text("import sys\nsys.exit('qemu: -sandbox support is not enabled in this QEMU binary')\n")
    with pytest.raises(EnvironmentFailure, match="QEMU did not start: exit status 1") as caught:
        boot(fake_plan("", program=refusing), paths, tmp_path / "run")
    assert "without seccomp" in str(caught.value.hint)


def test_a_qemu_that_is_not_there(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    import dataclasses

    plan = dataclasses.replace(fake_plan(""), argv=("/nowhere/qemu-system-x86_64", "-nodefaults"))
    with pytest.raises(EnvironmentFailure, match="is not installed"):
        boot(plan, paths, tmp_path / "run")
    assert list((paths.cache / "scratch").iterdir()) == []


def test_a_guest_without_an_ssh_server(
    fake_plan: Planner, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booting, "_SSH_AT_LEAST", 0.5)
    monkeypatch.setattr(booting, "_SSH_SHARE", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # takes the connection, as QEMU does, and says nothing
        plan = fake_plan(f"port {listener.getsockname()[1]};{READY};wait")
        with (
            pytest.raises(BootError, match="booted, but there is no way in") as caught,
            start(plan, folder=tmp_path / "run", paths=paths),
        ):
            pass
    assert "VIRTIO_NET" in (caught.value.hint or "")


def test_a_qemu_that_dies_while_ssh_is_tried(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    began = time.monotonic()
    with (
        pytest.raises(BootError, match="ended before it took a command: QEMU ended with signal SIGKILL"),
        start(fake_plan(f"{READY};sleep 0.5;die", deadline=60), folder=tmp_path / "run", paths=paths),
    ):
        pass
    assert time.monotonic() - began < 15


def test_a_stopped_qemu_is_ended_all_the_same(
    fake_plan: Planner, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.guest.lifetime._QUIT_SECONDS", 0.3)
    with start(fake_plan(f"{READY};wait"), folder=tmp_path / "run", paths=paths, ssh=False) as guest:
        os.kill(guest.pid, signal.SIGSTOP)
        while state(guest.pid) != "T":
            time.sleep(0.01)
        with pytest.raises(GuestError, match=r"did not answer query-status within 0\.2 s"):
            guest.qmp("query-status", deadline=0.2)
    assert_gone(guest.pid, paths)


def test_guests_side_by_side_are_apart(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        guests: list[Guest] = []
        for number in range(6):
            plan = fake_plan(f"say guest {number};{READY};wait")
            guests.append(stack.enter_context(start(plan, folder=tmp_path / str(number), paths=paths, ssh=False)))
        assert len({guest.pid for guest in guests}) == 6
        assert len({guest.private for guest in guests}) == 6
        assert len({guest.keys.authorized_keys for guest in guests}) == 6
        for number, guest in enumerate(guests):
            assert f"guest {number}" in guest.console.tail()
    assert list((paths.cache / "scratch").iterdir()) == []


def test_a_guest_outlives_the_thread_that_started_it(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    stack = contextlib.ExitStack()
    guests: list[Guest] = []

    def begin() -> None:
        plan = fake_plan(f"{READY};wait")
        guests.append(stack.enter_context(start(plan, folder=tmp_path / "run", paths=paths, ssh=False)))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    with stack:
        time.sleep(0.2)
        assert guests[0].alive


def test_qmp_errors_carry_qemus_words(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    from harness.guest import QmpError

    with start(fake_plan(f"{READY};wait"), folder=tmp_path / "run", paths=paths, ssh=False) as guest:
        with pytest.raises(QmpError, match="QEMU refused nonsense: The command nonsense") as caught:
            guest.qmp("nonsense")
        assert caught.value.error_class == "CommandNotFound"
        with pytest.raises(GuestError, match=r"did not answer silence within 0\.2 s"):
            guest.qmp("silence", deadline=0.2)
        assert guest.qmp("query-status") == {}  # a late answer to one does not spoil the next


def test_a_folder_in_use_is_not_swept(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    with start(fake_plan(f"{READY};wait"), folder=tmp_path / "run", paths=paths, ssh=False) as guest:
        sweep_scratch(paths.cache / "scratch")
        assert guest.key_file.exists()


def test_a_machine_that_stopped_is_held_for_a_look(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    script = f"{READY};say Kernel panic - not syncing: Fatal exception;shutdown guest-reset;wait"
    failures: list[BootError] = []
    with start(
        fake_plan(script), folder=tmp_path / "run", paths=paths, ssh=False, on_failure=lambda _, e: failures.append(e)
    ) as guest:
        assert guest.console.wait_closed(deadline=60), "a held machine says no more, and its console ends"
        assert guest.wait_end(deadline=60) is None
        assert guest.halted and not guest.alive and guest.qemu_runs
        assert guest.describe_end() == "the kernel panicked: Fatal exception"
        assert "Kernel panic - not syncing: Fatal exception" in guest.console.tail(), "what came before is not lost"
    assert not guest.qemu_runs and failures == []


def test_a_boot_that_fails_is_looked_at_before_it_ends(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    seen: list[tuple[bool, str]] = []
    with (
        pytest.raises(BootError, match=r"the guest ended before it was ready: the guest powered off$"),
        start(
            fake_plan("say going down;shutdown guest-shutdown;wait"),
            folder=tmp_path / "run",
            paths=paths,
            ssh=False,
            on_failure=lambda guest, error: seen.append((guest.qemu_runs, error.message)),
        ),
    ):
        pass
    assert seen == [(True, "the guest ended before it was ready: the guest powered off")]


def test_a_held_machine_is_gone_with_its_block(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    began = time.monotonic()
    with start(
        fake_plan(f"{READY};shutdown guest-shutdown;wait"),
        folder=tmp_path / "run",
        paths=paths,
        ssh=False,
        on_failure=lambda *_: None,
    ) as guest:
        guest.wait_end(deadline=60)
        pid = guest.pid
    assert not Path(f"/proc/{pid}").exists()
    assert guest.exit_status == 0, "it ended by QMP's quit"
    assert time.monotonic() - began < 60


def test_a_guest_that_ends_at_once_is_a_boot_that_failed(fake_plan: Planner, paths: Paths, tmp_path: Path) -> None:
    with (
        pytest.raises(BootError, match="the guest ended before it was ready"),
        start(
            fake_plan("say going down;shutdown guest-shutdown;hangup;sleep 0.5;exit 0"),
            folder=tmp_path / "run",
            paths=paths,
            ssh=False,
            on_failure=lambda *_: None,
        ),
    ):
        pass
