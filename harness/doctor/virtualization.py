# SPDX-License-Identifier: GPL-2.0-only
"""QEMU and KVM: which would run, and whether KVM really boots something."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

from harness import accel, qemu_runtime
from harness.doctor.finding import Finding, Status
from harness.errors import HarnessError
from harness.paths import Paths
from harness.progress import Progress
from harness.store import Store
from harness.values import Accel, Qemu

_KVM = Path("/dev/kvm")


@dataclass(slots=True)
class _Warnings:
    """A listener that keeps the warnings."""

    warnings: list[str] = field(default_factory=list)

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        """Drop it."""

    def warn(self, message: str) -> None:
        """Keep it."""
        self.warnings.append(message)


def emulator(choice: str, *, store: Store) -> list[Finding]:
    """Which QEMU a run would use, and the state of the runtime in the cache. Fetches nothing."""
    findings = [_host(store)] if choice in ("auto", "host") else []
    if choice in ("auto", "runtime"):
        findings.append(_runtime(store))
    if choice not in ("auto", "host", "runtime"):
        findings.append(_given(choice, store))
    return findings


def _host(store: Store) -> Finding:
    host = qemu_runtime.find_host(store=store)
    if host is None:
        return Finding(name="host's QEMU", status=Status.OK, found="none; the harness has its own")
    if host.version >= qemu_runtime.PREFERRED:
        return Finding(name="host's QEMU", status=Status.OK, found=host.version_text)
    return Finding(name="host's QEMU", status=Status.OK, found=f"{host.version_text}, older than the harness's own")


def _runtime(store: Store) -> Finding:
    key = qemu_runtime.runtime_key()
    if not store.path(qemu_runtime.KIND, key).is_dir():
        return Finding(
            name="QEMU runtime", status=Status.WARN, found="not in the cache yet",
            fix="nothing to do: the first run fetches it (30 MB, about 15 s)",
        )  # fmt: skip
    damage = store.damage(qemu_runtime.KIND, key)
    if damage is not None:
        return Finding(
            name="QEMU runtime", status=Status.WARN, found=f"damaged: {damage}",
            fix="nothing to do: the next run makes it again",
        )  # fmt: skip
    return Finding(name="QEMU runtime", status=Status.OK, found=str(store.path(qemu_runtime.KIND, key)))


def _given(choice: str, store: Store) -> Finding:
    listener = _Warnings()
    try:
        qemu = qemu_runtime.given(choice, store=store, progress=listener)
    except HarnessError as error:
        return Finding(name="QEMU", status=Status.FAIL, found=error.message, fix=error.hint)
    if listener.warnings:
        return Finding(name="QEMU", status=Status.WARN, found=listener.warnings[0], fix="use --qemu runtime")
    return Finding(name="QEMU", status=Status.OK, found=f"{choice}, {qemu.version_text}")


def kvm(choice: str, *, paths: Paths, store: Store, progress: Progress) -> list[Finding]:
    """Whether /dev/kvm is there, may be opened, and boots something tiny (asked of a QEMU that needs no fetching)."""
    closed = judge_device(_open_device())
    if closed is not None:
        return [closed]
    qemu = _ready_qemu(choice, paths=paths, store=store, progress=progress)
    if qemu is None:
        return [Finding(name="KVM", status=Status.OK, found="/dev/kvm opens; tried with a guest once there is a QEMU")]
    verdict = accel.probe_kvm(qemu, paths=paths, store=store, progress=progress)
    if verdict.accel is Accel.KVM:
        return [Finding(name="KVM", status=Status.OK, found=verdict.reason)]
    return [Finding(name="KVM", status=Status.WARN, found=verdict.reason, fix=_SLOW)]


_SLOW = "guests run under TCG: slower, and right; for KVM use bare metal or a host with nested virtualization"


def _open_device() -> int:
    """0, or the error number of opening /dev/kvm."""
    try:
        os.close(os.open(_KVM, os.O_RDWR | os.O_CLOEXEC))
    except OSError as reason:
        return reason.errno or errno.EIO
    return 0


def judge_device(error: int) -> Finding | None:
    """What an error of opening /dev/kvm means to the user; None when it opens."""
    if error == 0:
        return None
    if error == errno.ENOENT:
        return Finding(name="KVM", status=Status.WARN, found="there is no /dev/kvm", fix=_SLOW)
    if error in (errno.EACCES, errno.EPERM):
        return Finding(
            name="KVM", status=Status.WARN, found="/dev/kvm may not be opened by this user",
            fix="join the group that owns it, then log in again: sudo usermod -aG kvm $USER",
        )  # fmt: skip
    return Finding(name="KVM", status=Status.WARN, found=f"/dev/kvm does not open: {os.strerror(error)}", fix=_SLOW)


def _ready_qemu(choice: str, *, paths: Paths, store: Store, progress: Progress) -> Qemu | None:
    """The QEMU that a run would use, if that needs no fetching."""
    host = qemu_runtime.find_host(store=store)
    enough = host is not None and host.version >= qemu_runtime.PREFERRED
    cached = store.damage(qemu_runtime.KIND, qemu_runtime.runtime_key()) is None
    if choice == "runtime" and not cached:
        return None
    if choice == "auto" and not enough and not cached:
        return None
    try:
        return qemu_runtime.obtain(choice, paths=paths, store=store, progress=progress)
    except HarnessError:
        return None
