# SPDX-License-Identifier: GPL-2.0-only
"""Whether this machine can do what the harness asks of it, without changing anything; each finding with a fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from harness.doctor import machine, programs, virtualization
from harness.doctor.finding import Finding, Status
from harness.errors import HarnessError
from harness.paths import Paths
from harness.progress import Progress
from harness.store import Store

__all__ = ["Finding", "Status", "examine", "healthy"]


def examine(*, qemu: str = "auto", paths: Paths, store: Store, progress: Progress) -> Iterator[Finding]:
    """Check after check, each as soon as it is done. ``qemu`` is what a run would be given."""
    checks: tuple[tuple[str, Callable[[], list[Finding]]], ...] = (
        ("system", machine.system),
        ("processors and memory", machine.processors_and_memory),
        ("disk", lambda: machine.folders(paths)),
        ("limits and locale", machine.limits),
        ("programs", lambda: programs.packages(paths.project / "ci" / "packages.txt")),
        ("versions", programs.versions),
        ("Debian archive", programs.archive),
        ("sandbox", programs.sandbox),
        ("QEMU", lambda: virtualization.emulator(qemu, store=store)),
        ("KVM", lambda: virtualization.kvm(qemu, paths=paths, store=store, progress=progress)),
    )
    for number, (name, check) in enumerate(checks):
        progress.update(f"checking {name}", done=number, total=len(checks))
        try:
            yield from check()
        except HarnessError as error:
            yield Finding(name=name, status=Status.FAIL, found=error.message, fix=error.hint)


def healthy(findings: list[Finding]) -> bool:
    """Whether nothing failed; a warning is no failure."""
    return all(finding.status is not Status.FAIL for finding in findings)
