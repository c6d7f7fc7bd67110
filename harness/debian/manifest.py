# SPDX-License-Identifier: GPL-2.0-only
"""A set of packages and of the files wanted from them, as TOML with a reason for each line."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.store import value_digest


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: str


class Package(_Strict, frozen=True, kw_only=True):
    """A package to fetch, with what it depends on."""

    name: str


class Assumed(_Strict, frozen=True, kw_only=True):
    """A package that apt is told is there: a dependency whose files are never wanted, and big or many."""

    name: str


class Keep(_Strict, frozen=True, kw_only=True):
    """Files wanted, as a glob over paths (``*`` crosses folders); programs and libraries bring their libraries."""

    path: str


class Drop(_Strict, frozen=True, kw_only=True):
    """Files not wanted although a ``keep`` names them."""

    path: str


class Link(_Strict, frozen=True, kw_only=True):
    """A symbolic link to add (what a package's script would have made)."""

    path: str
    target: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to fetch and what to take from it.

    ``suites``: the first is the base; a later one (backports) is preferred where it has a package.
    """

    suites: tuple[str, ...]
    package: tuple[Package, ...]
    keep: tuple[Keep, ...]
    assume: tuple[Assumed, ...] = ()
    drop: tuple[Drop, ...] = ()
    link: tuple[Link, ...] = ()

    @property
    def digest(self) -> str:
        """A digest over everything but the reasons: what decides the files."""
        return value_digest(
            self.suites,
            [package.name for package in self.package],
            [keep.path for keep in self.keep],
            [package.name for package in self.assume],
            [drop.path for drop in self.drop],
            [[link.path, link.target] for link in self.link],
        )


def load(path: Path) -> Manifest:
    """Read a manifest of ours; a mistake in it is a bug, so msgspec's error passes through."""
    return msgspec.toml.decode(path.read_bytes(), type=Manifest)
