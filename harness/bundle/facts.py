# SPDX-License-Identifier: GPL-2.0-only
"""What a manifest says of a run's kernel and machine, as values of the right types: it may be a stranger's. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from harness.errors import UserError

_RELEASE = re.compile(r"[0-9][\w.+~-]{0,63}", re.ASCII)
_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){1,2}")


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel: its release, and the SHA-256 of its vmlinux."""

    release: str
    digest: str

    def __post_init__(self) -> None:
        if not _RELEASE.fullmatch(self.release):
            raise ValueError(f"{self.release[:80]!r} is no kernel's release")


class Configured(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration: its fragments in merge order, and the digest of its text."""

    fragments: tuple[str, ...]
    digest: str


class Imaged(msgspec.Struct, frozen=True, kw_only=True):
    """An image by its digest; ``flavour`` is that of a root image."""

    digest: str
    flavour: str = ""


class Emulated(msgspec.Struct, frozen=True, kw_only=True):
    """A QEMU."""

    version: str
    digest: str

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version):
            raise ValueError(f"{self.version[:80]!r} is no version of QEMU")


class Sized(msgspec.Struct, frozen=True, kw_only=True):
    """The guest's own sizes, where they are not the topology's."""

    memory_mib: int | None = None
    cpus: int | None = None


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """What decides the tests beside their names; ``from_the_host`` is the digest of those that run from there."""

    seed: int
    stress: str = ""
    from_the_host: str | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of ``decides`` that a replay uses; what the run did not come to is None or empty."""

    harness: str
    tests: Tested
    kernel: Built | None = None
    toolchain: str = ""
    config: Configured | None = None
    rootfs: Imaged | None = None
    payload: Imaged | None = None
    guest: Sized = Sized()
    qemu: Emulated | None = None
    accel: str = ""
    argv: tuple[str, ...] = ()


def facts(decides: dict[str, Any], *, where: str) -> Facts:
    """The facts in a manifest; raises :class:`UserError` where one is not what it should be."""
    try:
        return msgspec.convert(decides, Facts)
    except (msgspec.ValidationError, ValueError) as reason:
        raise UserError(f"{where} does not say what was run: {reason}") from None
