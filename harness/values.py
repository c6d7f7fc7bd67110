# SPDX-License-Identifier: GPL-2.0-only
"""The frozen values that pass from stage to stage.

::

    Source spec ─→ Tree ─→ AppliedSeries ─→ KernelConfig ─→ Kernel ─┐
                                               Rootfs, Payload ─────┤
                                   Topology, Qemu, Acceleration ────┴→ QemuPlan ─→ RunResult

A stage module imports these and never another stage's insides; ``harness.pipeline`` joins the stages.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A kernel tree: a commit in a git repository.

    ``repository`` is a bare repository of ours (for ``tree:`` it borrows the user's objects), ``commit`` and
    ``tree_id`` full object names, ``version`` what ``make kernelversion`` would say (``6.12.117``), ``spec`` what the
    user asked for, ``origin`` facts for the manifest (package version, URL, digest, ``dirty`` …).
    """

    repository: Path
    commit: str
    tree_id: str
    version: str
    spec: str
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One patch of a series. ``number`` counts from 1; ``digest`` is the SHA-256 of ``content`` (an mbox message)."""

    number: int
    title: str
    author: str
    files: tuple[str, ...]
    digest: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """An ordered set of patches. ``digest`` is over the patches' digests in order; ``base`` the commit it names."""

    name: str
    title: str
    revision: str
    message_id: str | None
    base: str | None
    spec: str
    patches: tuple[Patch, ...]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedSeries:
    """A tree with a series on it. ``commits`` has one commit a patch, oldest first; ``tree.commit`` is the base.

    ``series`` is None for the unpatched tree; then ``commit`` is the base itself.
    """

    tree: Tree
    series: Series | None
    commit: str
    tree_id: str
    commits: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelConfig:
    """A final, checked ``.config``. ``fragments`` are the names in merge order, ``digest`` the SHA-256 of ``text``.

    ``warnings`` are options marked optional that did not survive, each with its reason; ``command_line`` the words that
    the fragments need on the kernel's command line.
    """

    text: str = field(repr=False)
    digest: str
    fragments: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    command_line: tuple[str, ...] = ()

    def enabled(self, option: str) -> bool:
        """Whether ``CONFIG_<option>`` is ``y`` or ``m``."""
        name = option.removeprefix("CONFIG_")
        return any(f"CONFIG_{name}={value}" in self._lines() for value in "ym")

    def value(self, option: str) -> str | None:
        """What ``CONFIG_<option>`` is set to (quotes kept), or None where it is not set."""
        prefix = f"CONFIG_{option.removeprefix('CONFIG_')}="
        return next((line[len(prefix) :] for line in self._lines() if line.startswith(prefix)), None)

    def _lines(self) -> list[str]:
        return self.text.splitlines()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A finished kernel in the cache.

    ``vmlinux`` has the PVH entry (stripped of debug information where ``debug_vmlinux`` holds it), ``bzimage`` is there
    where PVH is not. ``modules`` is a folder ``lib/modules/<release>`` parent or None. ``warnings`` maps a source file
    to the compiler warnings in it. ``key`` is the content key (tree, config, toolchain). ``gdb_script`` is the kernel's
    ``vmlinux-gdb.py`` with its modules beside it, where the configuration has GDB_SCRIPTS.
    """

    key: str
    release: str
    vmlinux: Path
    bzimage: Path | None
    config: Path
    system_map: Path
    debug_vmlinux: Path | None
    modules: Path | None
    toolchain: str
    warnings: Mapping[str, tuple[str, ...]]
    digest: str
    gdb_script: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestModules:
    """The test modules of ``tests/guest/modules`` for a kernel: ``files`` by name, and why those ``missing`` are."""

    files: Mapping[str, Path] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rootfs:
    """A root file system image (erofs) in the cache; ``digest`` is its SHA-256, ``flavour`` ``test`` or ``shell``."""

    key: str
    image: Path
    digest: str
    flavour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The guest tests and their compiled helpers as a second erofs image, mounted at ``/opt/harness`` in the guest."""

    key: str
    image: Path
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Qemu:
    """A QEMU that can be run.

    ``argv`` is the command's prefix (a runtime of ours goes through its own loader), ``env`` what it needs,
    ``version`` (major, minor, micro), ``origin`` how it was found (``host``, ``runtime``, ``given``), ``digest`` the
    SHA-256 of the binary.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    version: tuple[int, int, int]
    origin: str
    digest: str

    @property
    def maps_cxl_directly(self) -> bool:
        """Whether a non-interleaved CXL region is ordinary mapped memory (QEMU 11 on) or emulated I/O (before)."""
        return self.version >= (11, 0, 0)

    @property
    def version_text(self) -> str:
        """The version as QEMU writes it."""
        return ".".join(str(part) for part in self.version)


class Accel(enum.StrEnum):
    """QEMU's accelerators that the harness uses."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceleration:
    """The accelerator chosen, and why (for the terminal and the manifest)."""

    accel: Accel
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuPlan:
    """A guest, decided: the complete argv and what the starter must provide.

    ``argv`` has the placeholders ``{console_fd}``, ``{qmp_fd}``, ``{private}`` (the run's private folder) and
    ``{lpj:HZ}`` (this machine's delay loops per tick) where values exist only at start. ``files`` (name → text) are
    written to the private folder (mode 0600) before the start;
    ``disks`` (name → size in MiB) become empty sparse files there. ``boot_deadline`` is in seconds from the start to
    tests being possible, on an idle machine of ordinary speed; the starter scales it by this machine's, and by
    the boots of the kernel so far where the user has not given it (``boot_deadline_given``). ``kernel`` is what is
    booted, for whoever looks into a guest that failed.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    accel: Accel
    boot_deadline: float
    kernel_release: str
    topology: str
    memory_mib: int
    files: Mapping[str, str] = field(default_factory=dict)
    disks: Mapping[str, int] = field(default_factory=dict)
    kernel: Kernel | None = None
    boot_deadline_given: bool = False


class Verdict(enum.StrEnum):
    """What became of a case, or of a run that did not reach its cases (DESIGN, "Verdicts")."""

    PASS = "PASS"
    FAIL = "FAIL"
    SKIP = "SKIP"
    XFAIL = "XFAIL"
    XPASS = "XPASS"
    CRASH = "CRASH"
    TIMEOUT = "TIMEOUT"
    LOST = "LOST"
    APPLY = "APPLY"
    BUILD = "BUILD"
    BOOT = "BOOT"
    INFRA = "INFRA"

    @property
    def good(self) -> bool:
        """Whether a run of only these is a success."""
        return self in (Verdict.PASS, Verdict.SKIP, Verdict.XFAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame of a splat's stack: ``symbol`` as the kernel wrote it (``name+0x10/0x20``), ``function`` as the source.

    ``location`` is ``file:line``, empty where it is not known. An ``inlined`` function stands before its
    caller. ``exact``: the CPU was there; else a call returns there.
    """

    function: str
    symbol: str
    location: str = ""
    inlined: bool = False
    exact: bool = False

    def __str__(self) -> str:
        words = f"{self.function} ({self.location})" if self.location else self.symbol or self.function
        return f"{words}{', inlined' if self.inlined else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """A kernel splat: what kind, its title, what tells it from others on any build, its stack, innermost frame first.

    ``note`` says why there are no lines of source, and what to do about it.
    """

    kind: str
    title: str
    fingerprint: str
    frames: tuple[Frame, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One case: ``suite`` / ``program`` / ``case``; ``reason`` says why for all but PASS; ``seconds`` of wall time.

    ``diagnostics`` are its ``#`` lines and console lines worth showing, ``splat`` the title of a kernel splat and
    ``fingerprint`` that of the splat, ``crash`` what else is known of it.
    """

    suite: str
    program: str
    case: str
    verdict: Verdict
    reason: str = ""
    seconds: float = 0.0
    diagnostics: tuple[str, ...] = ()
    splat: str | None = None
    fingerprint: str | None = None
    crash: Crash | None = None

    @property
    def name(self) -> str:
        """``suite/program:case``, as ``--case`` takes it."""
        return f"{self.suite}/{self.program}:{self.case}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """A known failure of a program: of the cases that match ``case`` (a shell pattern), with why.

    ``sometimes``: they may pass as well; otherwise a pass is worth a report (XPASS).
    """

    case: str
    reason: str
    sometimes: bool = False
