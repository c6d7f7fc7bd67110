# SPDX-License-Identifier: GPL-2.0-only
"""What a bundle is made of: its index, the names that a member may have, and how large each may be. Pure.

::

    <top>/bundle.json                 first: the index, with size and SHA-256 of every other member in their order
          README  repro.sh            what happened; QEMU's bare command
          manifest.json results.json programs.json config failure.log guest-facts
          series/NNNN.patch           the patches, as they were applied
          kernel/                     vmlinux (or bzImage), System.map, vmlinux.debug
          image/                      rootfs.erofs, payload.erofs
          guests/<n>/ ktap/           console, what was found in a guest that hung or crashed, what programs wrote

Everything in it comes from outside: only these names are taken, and a reader writes nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from harness.errors import UserError
from harness.toolchain import ARCHITECTURE
from harness.values import Verdict

FORMAT = "n_private-harness-bundle"
VERSION = 1

INDEX = "bundle.json"
README = "README"
SCRIPT = "repro.sh"
MANIFEST = "manifest.json"
RESULTS = "results.json"
PROGRAMS = "programs.json"
CONFIG = "config"
FACTS = "guest-facts"
FAILURE = "failure.log"
VMLINUX = "kernel/vmlinux"
BZIMAGE = "kernel/bzImage"
SYMBOLS = "kernel/System.map"
DEBUG = "kernel/vmlinux.debug"
ROOTFS = "image/rootfs.erofs"
PAYLOAD = "image/payload.erofs"
DUMP = "vmcore"
GUEST_FILES = (
    "console.log", "qemu.argv", "qemu.log", "dmesg.txt", "meminfo.txt", "hang.txt", "sysrq.txt", "registers.txt",
    "triage.txt",
)  # fmt: skip

MOST_INDEX = 1 << 20
MOST_MEMBERS = 5000
MOST_TOTAL = 8 << 30
_MIB = 1 << 20
# the first that matches says the most bytes that a member of such a name may have
_NAMES = (
    (re.compile(r"README|repro\.sh|guest-facts"), _MIB),
    (re.compile(r"manifest\.json|programs\.json|config|series/[0-9]{4}\.patch"), 32 * _MIB),
    (re.compile(r"results\.json|failure\.log|kernel/System\.map"), 64 * _MIB),
    (re.compile(r"kernel/(vmlinux|bzImage)"), 512 * _MIB),
    (re.compile(r"kernel/vmlinux\.debug"), 2048 * _MIB),
    (re.compile(r"image/(rootfs|payload)\.erofs"), 1024 * _MIB),
    (re.compile(r"guests/[1-9][0-9]{0,3}/vmcore"), 4096 * _MIB),
    (re.compile(rf"guests/[1-9][0-9]{{0,3}}/({'|'.join(map(re.escape, GUEST_FILES))})"), 128 * _MIB),
    (re.compile(r"ktap(/(?!\.)[\w.:+-]{1,150}){2,6}\.ktap", re.ASCII), 128 * _MIB),
)
_LONGEST_NAME = 240
_RUN = re.compile(r"(?!\.)[\w.-]{1,60}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NEEDED = (README, MANIFEST, RESULTS, PROGRAMS)
AGAIN = "get it again from where it came from, or have it made again with `harness bundle`"


class Member(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the bundle: its size in bytes and the SHA-256 of its content, in hex."""

    name: str
    size: int
    sha256: str


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to come back: a case (``suite/program:case``; "" is the run itself, whose kernel did not boot or build).

    ``fingerprint`` tells its failure from others; it is empty where the case did not fail.
    """

    case: str
    verdict: str
    fingerprint: str
    reason: str = ""

    def __post_init__(self) -> None:
        Verdict(self.verdict)  # a ValueError for one that is none

    @property
    def label(self) -> str:
        """What it is called in a line."""
        return self.case or "the run"


class Index(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``bundle.json``. ``left_out`` names members that would be there and are not, with the reason.

    ``append`` are the words that the kernel's command line has beside those that the harness gives itself;
    ``memory_mib`` is the guest's memory.
    """

    format: str = FORMAT
    version: int = VERSION
    architecture: str = ARCHITECTURE
    harness: str
    run: str
    targets: tuple[Target, ...]
    append: str = ""
    memory_mib: int | None = None
    left_out: dict[str, str] = {}
    members: tuple[Member, ...] = ()


class _Versioned(msgspec.Struct):
    format: str
    version: int
    architecture: str = ""


def parse(text: bytes, *, where: str) -> Index:
    """An index, checked: of a version and an architecture that we know, and of nothing but known members.

    Raises :class:`UserError` that names ``where`` (the bundle) and the member.
    """
    try:
        head = msgspec.json.decode(text, type=_Versioned)
        if head.format != FORMAT:
            raise UserError(f"{where} is no bundle: its {INDEX} is of '{head.format[:40]}'", hint=AGAIN)
        if head.version > VERSION:
            raise UserError(
                f"{where} is a bundle of version {head.version}; this harness reads up to {VERSION}",
                hint="update the harness",
            )
        if head.architecture != ARCHITECTURE:
            raise UserError(
                f"{where} is of a kernel for {head.architecture[:40] or 'no architecture'}; "
                f"this harness runs {ARCHITECTURE}",
                hint=f"only bundles for {ARCHITECTURE} can be run here",
            )
        index = msgspec.json.decode(text, type=Index)
    except msgspec.MsgspecError as reason:
        raise UserError(f"{where} is damaged: {INDEX}: {reason}", hint=AGAIN) from None
    check(index, where=where)
    return index


def check(index: Index, *, where: str) -> None:
    """Raise :class:`UserError` for an index that no honest bundle has."""
    if not _RUN.fullmatch(index.run):
        raise UserError(f"{where}: {index.run[:80]!r} is no run's name", hint=_DISTRUST)
    names = [member.name for member in index.members]
    for member in index.members:
        limit = most(member.name)
        if limit is None:
            raise UserError(f"{where} has a member {shown(member.name)}, which no bundle has", hint=_DISTRUST)
        if not 0 <= member.size <= limit or not _DIGEST.fullmatch(member.sha256):
            size = f"{member.size} bytes" if member.size < _MIB else f"{member.size >> 20} MiB"
            raise UserError(
                f"{where}: its member {member.name} is said to have {size}; {limit >> 20} MiB is the most",
                hint=_DISTRUST,
            )
    if len(set(names)) != len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{where} has the member {double} twice", hint=_DISTRUST)
    if len(names) > MOST_MEMBERS or total(index) > MOST_TOTAL:
        raise UserError(
            f"{where} is too large: {len(names)} members of {total(index) >> 20} MiB "
            f"(the most is {MOST_MEMBERS} of {MOST_TOTAL >> 20} MiB)",
            hint=_DISTRUST,
        )
    if not index.targets:
        raise UserError(f"{where} names nothing that could come back", hint=AGAIN)
    if lost := [name for name in _NEEDED if name not in names]:
        raise UserError(f"{where} lacks the member {lost[0]}", hint=AGAIN)
    if index.memory_mib is not None and not 128 <= index.memory_mib <= 1 << 20:
        raise UserError(f"{where}: {index.memory_mib} MiB are no memory of a guest", hint=_DISTRUST)


_DISTRUST = "do not trust this file"


def most(name: str) -> int | None:
    """The most bytes that a member of this name may have; None where no member has such a name."""
    if len(name) > _LONGEST_NAME:
        return None
    return next((limit for pattern, limit in _NAMES if pattern.fullmatch(name)), None)


def top_folder(run: str) -> str:
    """The one folder that everything in a bundle of a run lies in."""
    return f"bundle-{run}"


def total(index: Index) -> int:
    """The bytes of all members."""
    return sum(member.size for member in index.members)


def shown(name: str) -> str:
    """A name from outside, for a message."""
    return repr(name[:120])


def names(members: Sequence[Member]) -> tuple[str, ...]:
    """The members' names in their order."""
    return tuple(member.name for member in members)
