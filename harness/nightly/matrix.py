# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of a nightly: a TOML file that multiplies sources, series, fragments, topologies and suites. ::

    [matrix]
    series = ["n_private-6.12", "gourry"]        # names of below, or what a profile takes
    fragments = ["plain", "debug"]
    topologies = ["direct", "two-bridges"]

    [series]
    gourry = "lore:20260108203755.1163107-1-gourry@gourry.net"

    [fragments]
    plain = ["base", "cxl", "numa"]
    debug = "debug"                              # as that profile has them, with its memory, deadlines and words

An axis that is not there has the one value of the profile. Whatever is wrong is told with its place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.errors import UserError, nearest

AXES = ("source", "series", "fragments", "topology", "suites")
"""The axes of a cell, by the keys of [[include]] and [[exclude]]."""

_SPAN = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")

Order = Literal["failed", "longest", "shortest"]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the file's tables: frozen, by keyword, nothing unknown."""


class Axes(Table, frozen=True):
    """``[matrix]``: the values of each axis; None where the profile's one is meant."""

    sources: tuple[str, ...] | None = None
    series: tuple[str, ...] | None = None
    fragments: tuple[str, ...] | None = None
    topologies: tuple[str, ...] | None = None
    suites: tuple[str, ...] | None = None


class Archived(Table, frozen=True):
    """A series in a mail archive on this machine (an mbox or a maildir): its newest revision.

    Found by ``change_id``, or by the ``subject`` of its cover letter or first patch.
    """

    archive: str
    change_id: str = ""
    subject: str = ""


class Pattern(Table, frozen=True):
    """``[[exclude]]``: cells that match every pattern given (shell patterns, one or several) are left out."""

    source: str | tuple[str, ...] = "*"
    series: str | tuple[str, ...] = "*"
    fragments: str | tuple[str, ...] = "*"
    topology: str | tuple[str, ...] = "*"
    suites: str | tuple[str, ...] = "*"


class Include(Table, frozen=True):
    """``[[include]]``: a cell beside the product; an axis that has one value in the matrix may be left out."""

    source: str | None = None
    series: str | None = None
    fragments: str | None = None
    topology: str | None = None
    suites: str | None = None


class Limits(Table, frozen=True):
    """``[limits]``: the whole night's and a cell's longest wall time (``30m``, ``8h``), and what may be used at once.

    ``cells`` at once and ``memory_mib`` of host memory: as the machine has them where they are not given.
    """

    wall: str = "12h"
    cell: str = "2h"
    cells: int | None = None
    memory_mib: int | None = None

    @property
    def wall_seconds(self) -> int:
        """``wall`` in seconds."""
        return span(self.wall)

    @property
    def cell_seconds(self) -> int:
        """``cell`` in seconds."""
        return span(self.cell)


class Keep(Table, frozen=True):
    """``[keep]``: runs younger than ``age`` stay, up to ``gib`` in all;
    so do a cell's last good one and failing ones."""

    age: str = "30d"
    gib: float = 20.0
    last_good: bool = True
    failing: bool = True


class Matrix(Table, frozen=True):
    """A matrix file. ``path`` is not in it; ``name`` is what its nights are kept under, the file's where it says none.

    ``follow``: whether to look for a branch's new commits, a series' new revisions, the distribution's new package.
    ``set`` are fields of a profile that all cells get. ``origin`` is who reports, in KCIDB's terms.
    """

    summary: str = ""
    profile: str = "default"
    follow: bool = True
    order: tuple[Order, ...] = ("failed", "longest")
    origin: str = "n_private_harness"
    matrix: Axes = Axes()
    sources: dict[str, str] = {}
    series: dict[str, str | Archived] = {}
    fragments: dict[str, tuple[str, ...] | str] = {}
    suites: dict[str, tuple[str, ...]] = {}
    set: dict[str, Any] = {}
    include: tuple[Include, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    limits: Limits = Limits()
    keep: Keep = Keep()
    name: str = ""
    path: str = ""


def span(text: str) -> int:
    """A length of time in seconds; raises ``ValueError`` for what is none."""
    found = _SPAN.fullmatch(text)
    if found is None or not int(found[1]):
        raise ValueError(f"'{text[:40]}' is no length of time, expected one like 90s, 30m, 8h or 14d")
    return int(found[1]) * _SECONDS[found[2]]


def load(file: Path) -> Matrix:
    """Read a matrix; raises :class:`UserError` with the file and the place in it."""
    try:
        text = file.read_bytes()
    except OSError as reason:
        raise UserError(
            f"cannot read the matrix {file}: {reason.strerror}", hint="ci/nightly.toml is the project's own"
        ) from None
    return parse(text, path=str(file))


def parse(text: bytes, *, path: str) -> Matrix:
    """A matrix from TOML; ``path`` names it in errors."""
    try:
        found = msgspec.toml.decode(text, type=Matrix)
    except msgspec.ValidationError as reason:
        raise in_words(str(reason), path, msgspec.toml.decode(text)) from None
    except msgspec.DecodeError as reason:
        raise UserError(f"{path} is not valid TOML: {reason}") from None
    if found.path:
        raise UserError(f"{path}: unknown key 'path'")
    if found.name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", found.name):
        raise UserError(f"{path}: name '{found.name}' is no name of a folder", hint="letters, digits, '.', '_' and '-'")
    matrix = msgspec.structs.replace(found, name=found.name or Path(path).stem, path=path)
    _check_values(matrix)
    return matrix


def at(matrix: Matrix, place: str, error: UserError) -> UserError:
    """An error with the file and the place in front of it."""
    return UserError(f"{matrix.path}: {place}: {error.message}", hint=error.hint, details=error.details)


def _check_values(matrix: Matrix) -> None:
    for place, text in (
        ("limits.wall", matrix.limits.wall),
        ("limits.cell", matrix.limits.cell),
        ("keep.age", matrix.keep.age),
    ):
        try:
            span(text)
        except ValueError as reason:
            raise UserError(f"{matrix.path}: {place}: {reason}") from None
    for place, number, least in (
        ("limits.cells", matrix.limits.cells, 1),
        ("limits.memory_mib", matrix.limits.memory_mib, 256),
        ("keep.gib", matrix.keep.gib, 0),
    ):
        if number is not None and number < least:
            raise UserError(f"{matrix.path}: {place} is {number}, expected at least {least}")
    if not re.fullmatch(r"[a-z0-9_]+", matrix.origin):
        raise UserError(f"{matrix.path}: origin '{matrix.origin}' has other characters than a-z, 0-9 and _ (KCIDB)")
    for name, one in matrix.series.items():
        if isinstance(one, Archived) and bool(one.change_id) == bool(one.subject):
            raise UserError(f"{matrix.path}: series.{name}: give a change_id or a subject, one of the two")


def in_words(reason: str, path: str, tables: Mapping[str, Any]) -> UserError:
    """An error for msgspec's reason: where in the file, what is wrong, and for an unknown key the nearest one."""
    found = _PLACE.search(reason)
    message = reason[: found.start()] if found else reason
    place = _place(found["path"], tables) if found else ""
    unknown = re.search(r"unknown field `([^`]+)`", message)
    hint = None
    if unknown is not None:
        known = _known(place)
        close = nearest(unknown[1], known)
        hint = f"did you mean '{close}'?" if close else f"known: {', '.join(known)}"
        message = f"unknown key '{unknown[1]}'"
    message = message[:1].lower() + message[1:].replace("`", "'")
    for theirs, ours in (("object", "a table"), ("array", "a list"), ("| null", "or nothing"), ("str", "a text")):
        message = re.sub(rf"(?<!\w){re.escape(theirs)}(?!\w)", ours, message)
    return UserError(f"{path}: {f'{place}: ' if place else ''}{message}", hint=hint)


def _place(told: str, tables: Mapping[str, Any]) -> str:
    """A place as the file has it: msgspec does not say which key of a table of names it is about."""
    table, dots, rest = told.partition("[...]")
    kinds: dict[str, Any] = {
        "sources": str, "series": str | Archived, "fragments": tuple[str, ...] | str, "suites": tuple[str, ...],
    }  # fmt: skip
    for key, value in tables.get(table, {}).items() if dots and table in kinds else ():
        try:
            msgspec.convert(value, kinds[table])
        except msgspec.ValidationError:
            return f"{table}.{key}{rest}"
    return told


def _known(place: str) -> tuple[str, ...]:
    tables: dict[str, type[msgspec.Struct]] = {
        "matrix": Axes, "limits": Limits, "keep": Keep, "include": Include, "exclude": Pattern, "series": Archived,
    }  # fmt: skip
    table = tables.get(re.split(r"[.\[]", place)[0], Matrix)
    return tuple(name for name in table.__struct_fields__ if name != "path")
