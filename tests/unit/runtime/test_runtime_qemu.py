# SPDX-License-Identifier: GPL-2.0-only
"""Which QEMU is taken, with stand-ins that print what real ones print (recorded)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import debian, qemu_runtime
from harness.errors import EnvironmentFailure, HarnessError, UserError
from harness.paths import Paths
from harness.store import Store

COPYRIGHT = "Copyright (c) 2003-2025 Fabrice Bellard and the QEMU Project developers\n"
RECORDED = {
    "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b2)\n": (7, 2, 22),
    "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1)\n": (10, 0, 2),
    "QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1~bpo13+1)\n": (11, 1, 3),
    "QEMU emulator version 8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.4)\n": (8, 2, 2),
    "QEMU emulator version 9.2.3 (qemu-9.2.3-1.fc42)\n": (9, 2, 3),
    "QEMU emulator version 11.0.50 (v11.0.0-1234-gdeadbeef-dirty)\n": (11, 0, 50),
    "QEMU emulator version 12.0\n": (12, 0, 0),
}


@pytest.mark.parametrize(("text", "version"), RECORDED.items())
def test_versions_are_read(text: str, version: tuple[int, int, int]) -> None:
    assert qemu_runtime.parse_version(text + COPYRIGHT) == version


@pytest.mark.parametrize("text", ["", "qemu-img version 10.0.2\n", "QEMU emulator version unknown\n", "hello 11.1.3\n"])
def test_what_is_no_version(text: str) -> None:
    assert qemu_runtime.parse_version(text) is None


class Listener:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        pass

    def warn(self, message: str) -> None:
        self.warnings.append(message)


class Machine:
    """A machine with or without a QEMU of its own, and with or without a network."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.paths = Paths(project=folder, cache=folder / "cache", data=folder / "data")
        self.store = Store(self.paths.cache)
        self.listener = Listener()
        self._monkeypatch = monkeypatch
        (folder / "bin").mkdir()
        monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
        self.network(up=False)

    def qemu(self, version: str, *, place: str = "bin/qemu-system-x86_64", then: str = "") -> Path:
        path = self.folder / place
        path.write_text(
            f'#!/bin/sh\necho run >> "{self.folder}/runs"\necho "QEMU emulator version {version}"\n{then}\n'
        )
        path.chmod(0o755)
        return path

    @property
    def runs(self) -> int:
        runs = self.folder / "runs"
        return len(runs.read_text().splitlines()) if runs.exists() else 0

    def network(self, *, up: bool) -> None:
        def make(staging: Path, *, paths: Paths, progress: Any) -> dict[str, object]:
            if not up:
                raise EnvironmentFailure("Debian's archive cannot be reached", hint="check the network")
            (staging / "usr/bin").mkdir(parents=True)
            (staging / "usr/bin/qemu-system-x86_64").write_text("a program")
            return {"version": [11, 1, 3], "digest": "d"}

        self._monkeypatch.setattr(qemu_runtime, "_make_runtime", make)

    def obtain(self, choice: str = "auto") -> Any:
        return qemu_runtime.obtain(choice, paths=self.paths, store=self.store, progress=self.listener)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_new_host_qemu_is_taken_and_asked_once(machine: Machine) -> None:
    path = machine.qemu("11.0.2")
    first, second = machine.obtain(), machine.obtain()
    assert first == second and first.origin == "host" and first.version == (11, 0, 2) and first.argv == (str(path),)
    assert machine.runs == 1 and machine.listener.warnings == []


def test_a_replaced_host_qemu_is_asked_again(machine: Machine) -> None:
    machine.qemu("11.0.2")
    before = machine.obtain()
    machine.qemu("11.1.0")
    after = machine.obtain()
    assert (before.version, after.version) == ((11, 0, 2), (11, 1, 0)) and before.digest != after.digest


def test_an_older_host_qemu_gives_way_to_the_runtime(machine: Machine) -> None:
    machine.qemu("10.0.2")
    machine.network(up=True)
    qemu = machine.obtain()
    assert qemu.origin == "runtime" and qemu.maps_cxl_directly and machine.listener.warnings == []


def test_without_a_network_an_older_host_qemu_does_with_a_warning(machine: Machine) -> None:
    machine.qemu("10.0.2")
    qemu = machine.obtain()
    assert qemu.origin == "host" and qemu.version == (10, 0, 2)
    assert "no QEMU runtime" in machine.listener.warnings[0] and "150 times slower" in machine.listener.warnings[1]


def test_without_any_it_is_said_what_to_do(machine: Machine) -> None:
    with pytest.raises(EnvironmentFailure, match="no QEMU: the harness's own is not in the cache") as caught:
        machine.obtain()
    assert "check the network" in (caught.value.hint or "") and "--qemu PATH (10.0 or newer)" in (
        caught.value.hint or ""
    )


def test_a_host_qemu_that_is_too_old_does_not_do(machine: Machine) -> None:
    machine.qemu("7.2.22")
    with pytest.raises(EnvironmentFailure, match="no QEMU"):
        machine.obtain()
    with pytest.raises(EnvironmentFailure, match=r"QEMU 7.2.22, too old: volatile CXL memory works from 10.0 on"):
        machine.obtain("host")


def test_a_host_qemu_that_does_not_start(machine: Machine) -> None:
    machine.qemu("11.0.0", then="exit 127")
    machine.network(up=True)
    assert machine.obtain().origin == "runtime"
    with pytest.raises(EnvironmentFailure, match="does not run as QEMU \\(exit status 127\\)"):
        machine.obtain("host")


def test_no_host_qemu_when_it_is_asked_for(machine: Machine) -> None:
    with pytest.raises(EnvironmentFailure, match="this machine has no qemu-system-x86_64"):
        machine.obtain("host")


def test_a_given_path(machine: Machine) -> None:
    path = machine.qemu("10.1.0", place="mine")
    qemu = machine.obtain(str(path))
    assert qemu.origin == "given" and qemu.argv == (str(path),) and "150 times slower" in machine.listener.warnings[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: str(m.folder / "none"), "there is no QEMU at"),
        (lambda m: str(m.folder), "is not a program"),
        (lambda m: str(m.qemu("7.2.22", place="old")), "is QEMU 7.2.22, too old"),
        (lambda m: str(m.qemu("11.0", place="sick", then="exit 1")), "does not run as QEMU"),
        (lambda m: "/bin/true", "does not run as QEMU"),
        (lambda m: "/etc/passwd", "is not a program"),
        (lambda m: "runtme", "there is no QEMU at runtme"),
    ],
)
def test_a_path_that_does_not_do(machine: Machine, make: Any, message: str) -> None:
    choice = make(machine)
    with pytest.raises(UserError, match=message) as caught:
        machine.obtain(choice)
    assert caught.value.exit_code == 2 and "--qemu" in (caught.value.hint or "")


def test_a_path_that_hangs(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_runtime, "_VERSION_DEADLINE_SECONDS", 0.2)
    path = machine.qemu("11.0.0", place="hangs", then="exec sleep 60")
    with pytest.raises(UserError, match="does not answer"):
        machine.obtain(str(path))


def test_a_damaged_runtime_is_made_again_or_said(machine: Machine) -> None:
    machine.network(up=True)
    machine.obtain()
    binary = machine.store.path(qemu_runtime.KIND, qemu_runtime.runtime_key()) / "usr/bin/qemu-system-x86_64"
    binary.write_text("A program")
    assert machine.obtain().origin == "runtime" and binary.read_text() == "a program"
    assert "damaged" in machine.listener.warnings[0]
    binary.unlink()
    machine.network(up=False)
    with pytest.raises(EnvironmentFailure, match="no QEMU"):
        machine.obtain()


def test_the_runtimes_command_uses_nothing_of_the_host() -> None:
    root = Path("/cache/q")
    assert qemu_runtime.runtime_argv(root) == (
        "/cache/q/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        "--inhibit-cache",
        "--library-path",
        "/cache/q/usr/lib/x86_64-linux-gnu",
        "/cache/q/usr/bin/qemu-system-x86_64",
        "-L",
        "/cache/q/usr/share/qemu",
        "-L",
        "/cache/q/usr/share/seabios",
    )


def test_the_plan_fetches_nothing(machine: Machine) -> None:
    assert "fetch qemu-system-x86 from Debian trixie-backports" in qemu_runtime.plan(store=machine.store)[0]
    assert qemu_runtime.plan("host", store=machine.store) == ("fail: the host has no QEMU",)
    machine.qemu("11.0.0")
    assert qemu_runtime.plan(store=machine.store) == ("use the host's QEMU 11.0.0",)
    assert not (machine.paths.cache / "store" / "qemu").exists()


def test_a_fetch_that_fails_leaves_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(debian, "find_archive", lambda: None)

    def full(*args: Any, **kwargs: Any) -> Any:
        raise EnvironmentFailure("the disk is full while fetching packages", hint="free some space")

    monkeypatch.setattr(debian, "fetch", full)
    with pytest.raises(HarnessError, match="the disk is full"):
        machine.obtain("runtime")
    assert list((machine.paths.cache / "store" / "qemu").iterdir()) == []
    assert list((machine.paths.cache / "scratch").iterdir()) == []
