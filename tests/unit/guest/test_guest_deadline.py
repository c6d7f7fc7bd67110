# SPDX-License-Identifier: GPL-2.0-only
"""Deadlines by accelerator, config, machine and load."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.guest import deadline, host
from harness.values import Accel


def test_emulation_and_debug_options_take_longer() -> None:
    plain = deadline.nominal_boot_seconds(accel=Accel.TCG, config="")
    assert deadline.nominal_boot_seconds(accel=Accel.KVM, config="") < plain
    lockdep = deadline.nominal_boot_seconds(accel=Accel.TCG, config="CONFIG_PROVE_LOCKING=y\n")
    both = deadline.nominal_boot_seconds(accel=Accel.TCG, config="CONFIG_PROVE_LOCKING=y\nCONFIG_KASAN=y\n")
    assert plain < lockdep < both
    assert deadline.nominal_boot_seconds(accel=Accel.TCG, config="# CONFIG_KASAN is not set\nCONFIG_KASAN_X=y") == plain


def test_all_debug_options_together_stay_bounded() -> None:
    everything = "".join(f"CONFIG_{name}=y\n" for name in deadline._SLOWER)
    assert deadline.nominal_boot_seconds(accel=Accel.TCG, config=everything) <= 40 * 15


@pytest.mark.parametrize(
    ("slowness", "load", "expected"),
    [(0.5, 0.0, 10.0), (1.0, 2.0, 10.0), (3.0, 0.0, 30.0), (1.0, 8.0, 40.0), (2.0, 8.0, 80.0), (9.0, 90.0, 200.0)],
)
def test_scaled(slowness: float, load: float, expected: float) -> None:
    assert deadline.scaled(10.0, slowness=slowness, load=load, cpus=2) == pytest.approx(expected)


def test_speed_is_measured_once_a_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = deadline.slowness(cache=tmp_path)
    assert 0.01 < first < 1000
    monkeypatch.setattr(deadline, "_calibrate", lambda: 1.0)
    assert deadline.slowness(cache=tmp_path) == first
    monkeypatch.setattr(deadline, "_boot_id", lambda: "another boot")
    assert deadline.slowness(cache=tmp_path) == pytest.approx(1.0 / deadline._REFERENCE_SECONDS)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"boot": 1}', '{"boot": "x", "rounds": 15000, "slowness": "fast"}']
)
def test_a_damaged_note_of_the_speed_is_measured_again(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "_boot_id", lambda: "x")
    (tmp_path / "machine-speed.json").write_text(content)
    assert deadline.slowness(cache=tmp_path) > 0


def test_a_cache_that_cannot_be_written_costs_only_the_note(tmp_path: Path) -> None:
    assert deadline.slowness(cache=tmp_path / "not" / "there") > 0


def test_counter_rate_is_never_too_low(tmp_path: Path) -> None:
    cpuinfo, frequency = tmp_path / "cpuinfo", tmp_path / "cpuinfo_max_freq"
    assert host.tsc_khz(cpuinfo=cpuinfo, frequency=frequency) == 4_000_000
    cpuinfo.write_text("processor\t: 0\ncpu MHz\t\t: 800.125\nprocessor\t: 1\ncpu MHz\t\t: 2596.096\n")
    assert host.tsc_khz(cpuinfo=cpuinfo, frequency=frequency) == 2_596_096
    frequency.write_text("3900000\n")
    assert host.tsc_khz(cpuinfo=cpuinfo, frequency=frequency) == 3_900_000


def test_tests_get_longer_with_a_boot_that_was_slow_and_with_a_crowded_machine() -> None:
    assert deadline.work_factor(2.0, load=1.0, cpus=2) == 1.0, "a fast guest gets no shorter deadline"
    assert deadline.work_factor(20.0, load=1.0, cpus=2) == pytest.approx(5.0)
    assert deadline.work_factor(2.0, load=6.0, cpus=2) == pytest.approx(3.0)
    assert deadline.work_factor(10_000.0, load=1.0, cpus=2) == 20.0


def test_the_boot_of_a_kernel_is_remembered_until_the_machine_reboots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "on_this_machine", lambda seconds, cache: seconds)
    assert deadline.of_boot(40.0, kernel="kasan", cache=tmp_path) == 40.0
    deadline.note_boot(30.0, kernel="kasan", cache=tmp_path)
    deadline.note_boot(12.0, kernel="kasan", cache=tmp_path)
    assert deadline.of_boot(40.0, kernel="kasan", cache=tmp_path) == pytest.approx(8 * 30.0)
    assert deadline.of_boot(40.0, kernel="other", cache=tmp_path) == 40.0
    monkeypatch.setattr(deadline, "_boot_id", lambda: "another boot")
    assert deadline.of_boot(40.0, kernel="kasan", cache=tmp_path) == 40.0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"boot": "x"}', '{"boot": "x", "seconds": 3}'])
def test_a_damaged_note_of_boots_is_no_note(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "_boot_id", lambda: "x")
    (tmp_path / "boot-seconds.json").write_text(content)
    deadline.note_boot(3.0, kernel="k", cache=tmp_path)
    assert deadline._boots(tmp_path) == {"k": 3.0}


def test_what_a_killed_one_was_writing_goes(tmp_path: Path) -> None:
    dead, alive = tmp_path / ".machine-speed.json.4194305.1", tmp_path / ".machine-speed.json.1.1"
    for left in (dead, alive):
        left.write_text("{")
    deadline.slowness(cache=tmp_path)
    assert not dead.exists() and alive.exists(), "process 1 is there"
