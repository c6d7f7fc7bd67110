# SPDX-License-Identifier: GPL-2.0-only
"""The choice of the accelerator, and the judgement of the KVM probe."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness import accel, kvm_probe
from harness import topology as topologies
from harness.errors import EnvironmentFailure, UserError
from harness.guest.kernel_file import has_pvh_entry
from harness.kvm_probe import KvmAnswer
from harness.paths import Paths, default_paths
from harness.progress import Quiet
from harness.store import Store
from harness.topology import Topology
from harness.values import Accel, Qemu

WORKS = KvmAnswer(works=True, reason="a probe booted in 0.3 s", seconds=0.3)
BROKEN = KvmAnswer(works=False, reason="it opens, but a probe did not boot within 5 s", seconds=5.0)


def qemu(*argv: str, version: tuple[int, int, int] = (11, 1, 3)) -> Qemu:
    return Qemu(argv=argv or ("qemu",), env={}, version=version, origin="host", digest="".join(argv))


def machine(name: str) -> Topology:
    return topologies.load(name, paths=default_paths())


def never() -> KvmAnswer:
    raise AssertionError("the machine must not be asked")


def test_auto_takes_kvm_where_it_works_and_tcg_else() -> None:
    assert accel.decide("auto", unsafe=None, kvm=lambda: WORKS).accel is Accel.KVM
    chosen = accel.decide("auto", unsafe=None, kvm=lambda: BROKEN)
    assert chosen.accel is Accel.TCG
    assert "a probe did not boot" in chosen.reason


def test_tcg_asks_nothing() -> None:
    assert accel.decide("tcg", unsafe=None, kvm=never).accel is Accel.TCG


def test_an_unsafe_machine_runs_under_tcg_with_the_reason() -> None:
    chosen = accel.decide("auto", unsafe="QEMU 10.0.2 emulates", kvm=never)
    assert chosen.accel is Accel.TCG and "QEMU 10.0.2 emulates" in chosen.reason


def test_kvm_for_an_unsafe_machine_is_refused() -> None:
    with pytest.raises(UserError, match="KVM is not safe for this machine: QEMU 10"):
        accel.decide("kvm", unsafe="QEMU 10.0.2 emulates", kvm=never)


def test_kvm_that_does_not_work_is_refused() -> None:
    with pytest.raises(EnvironmentFailure, match="KVM was asked for, but it opens, but a probe did not boot"):
        accel.decide("kvm", unsafe=None, kvm=lambda: BROKEN)


def test_a_misspelt_accelerator_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown accelerator 'kvmm'") as caught:
        accel.decide("kvmm", unsafe=None, kvm=never)
    assert "did you mean 'kvm'?" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("topology", "version", "word"),
    [
        ("none", (10, 0, 2), None),
        ("direct", (11, 1, 3), None),
        ("direct", (10, 0, 2), "emulates each access to CXL memory"),
        ("persistent", (10, 2, 0), "emulates each access to CXL memory"),
        ("interleave-2", (11, 1, 3), "topology interleave-2 interleaves"),
        ("interleave-2-hb", (12, 0, 0), "topology interleave-2-hb interleaves"),
    ],
)
def test_what_is_unsafe_under_kvm(topology: str, version: tuple[int, int, int], word: str | None) -> None:
    reason = accel.unsafe_reason(machine(topology), qemu(version=version))
    assert (reason is None) if word is None else (reason is not None and word in reason)


@pytest.mark.parametrize(
    ("status", "stderr", "works", "word"),
    [
        (33, "", True, "booted"),
        (35, "", False, "no 64-bit mode"),
        (None, "", False, "did not boot within 5 s"),
        (None, "KVM internal error. Suberror: 1\nemulation failure\nRAX=0", False, "KVM internal error"),
        (1, "qemu: failed to initialize kvm: Operation not permitted\n", False, "Operation not permitted"),
        (-6, "", False, "signal SIGABRT"),
        (0, "", False, "exit status 0"),
    ],
)
def test_judging_the_probe(status: int | None, stderr: str, works: bool, word: str) -> None:
    judged, reason = kvm_probe.judged(status, stderr, seconds=5.0)
    assert judged is works
    assert word in reason


def test_the_probe_is_a_kernel_to_qemu() -> None:
    image = kvm_probe.probe_image()
    assert has_pvh_entry(image)
    assert len(image) < 1024


def test_no_device_means_no_kvm_and_no_qemu_is_started(paths: Paths, tmp_path: Path) -> None:
    answer = kvm_probe.ask_machine(qemu=qemu("/nowhere"), paths=paths, device=tmp_path / "kvm")
    assert not answer.works and "there is no" in answer.reason


def test_a_probe_that_hangs_is_ended(paths: Paths, tmp_path: Path) -> None:
    hanging = tmp_path / "hanging.py"
    hanging.write_text("import time\ntime.sleep(60)\n")
    device = tmp_path / "kvm"
    device.touch()
    answer = kvm_probe.ask_machine(qemu=qemu(sys.executable, str(hanging)), paths=paths, device=device, deadline=0.5)
    assert not answer.works and "did not boot" in answer.reason
    assert answer.seconds < 6


def test_an_internal_error_ends_the_probe_early(paths: Paths, tmp_path: Path) -> None:
    failing = tmp_path / "failing.py"
    failing.write_text(
        "import sys, time\nprint('KVM internal error. Suberror: 1', file=sys.stderr, flush=True)\ntime.sleep(60)\n"
    )
    answer = kvm_probe.boot_probe(accel=Accel.KVM, qemu=qemu(sys.executable, str(failing)), paths=paths, deadline=30)
    assert not answer.works and "internal error" in answer.reason
    assert answer.seconds < 20


def test_the_answer_is_kept_for_this_machine_and_qemu(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(*, qemu: Qemu, paths: Paths) -> KvmAnswer:
        asked.append(qemu.digest)
        return BROKEN

    monkeypatch.setattr(accel, "ask_machine", ask)
    store = Store(paths.cache)
    for emulator in (qemu("a"), qemu("a"), qemu("b"), qemu("a")):
        chosen = accel.choose(
            "auto", qemu=emulator, topology=machine("none"), paths=paths, store=store, progress=Quiet()
        )
        assert chosen.accel is Accel.TCG
    assert asked == ["a", "b"]
