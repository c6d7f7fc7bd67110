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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness import profile as profiles
from harness.errors import UserError, nearest
from harness.paths import Paths
from harness.profile import Profile

AXES = ("source", "series", "fragments", "topology", "suites")
"""The axes of a cell, by the keys of [[include]] and [[exclude]]."""

_PLURAL = {"source": "sources", "series": "series", "topology": "topologies"}
_GUEST = ("memory_mib", "cpus", "append", "timeout_scale")  # what a profile's configuration needs beside it
_MOST_CELLS = 2000
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One choice from every axis. ``title`` has the axes that tell it from the others, ``place`` where it comes from.

    ``profile`` is what ``harness run`` takes; of a series in an archive, and of what moves, the spec is put in later.
    """

    source: str
    series: str
    fragments: str
    topology: str
    suites: str
    title: str
    place: str
    profile: Profile

    @property
    def values(self) -> tuple[str, ...]:
        """The choices in the order of the axes."""
        return (self.source, self.series, self.fragments, self.topology, self.suites)

    @property
    def key(self) -> str:
        """What names the cell from night to night."""
        return " ".join(self.values)


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
        raise _in_words(str(reason), path, msgspec.toml.decode(text)) from None
    except msgspec.DecodeError as reason:
        raise UserError(f"{path} is not valid TOML: {reason}") from None
    if found.path:
        raise UserError(f"{path}: unknown key 'path'")
    if found.name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", found.name):
        raise UserError(f"{path}: name '{found.name}' is no name of a folder", hint="letters, digits, '.', '_' and '-'")
    matrix = msgspec.structs.replace(found, name=found.name or Path(path).stem, path=path)
    _check_values(matrix)
    return matrix


def cells(matrix: Matrix, *, paths: Paths) -> tuple[Cell, ...]:
    """The cells in the file's order, excludes taken out; their names are not yet looked up.

    Raises :class:`UserError`: an empty axis, a value twice, a cell twice, an exclude that leaves nothing or matches
    nothing.
    """
    base = _base(matrix, paths)
    axes = _axes(matrix, base)
    product = _product(matrix, axes)
    kept = [choice for choice in product if not any(_matches(one, choice) for one in matrix.exclude)]
    for number, pattern in enumerate(matrix.exclude):
        if not any(_matches(pattern, choice) for choice in product):
            raise _nothing_excluded(matrix, number, pattern, axes)
    found = {choice: "matrix" for choice in kept}
    for number, one in enumerate(matrix.include):
        choice, place = _included(matrix, number, one, axes), f"include[{number}]"
        if choice in found:
            raise UserError(f"{matrix.path}: {place} is a cell that {found[choice]} has already: {', '.join(choice)}")
        found[choice] = place
    if not found:
        raise UserError(
            f"{matrix.path}: exclude takes out all {len(product)} cells of the matrix", hint="nothing would be run"
        )
    return _titled(matrix, found, base, _configured(matrix, base, paths))


def _product(matrix: Matrix, axes: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    number = 1
    for values in axes.values():
        number *= len(values)
    if number > _MOST_CELLS:
        shown = " × ".join(f"{len(values)} {_axis(name)}" for name, values in axes.items())
        raise UserError(f"{matrix.path}: matrix has {number} cells ({shown}), more than {_MOST_CELLS}")
    choices: list[tuple[str, ...]] = [()]
    for name in AXES:
        choices = [(*choice, value) for choice in choices for value in axes[name]]
    return choices


def _titled(
    matrix: Matrix, found: Mapping[tuple[str, ...], str], base: Profile, configured: Mapping[str, Profile]
) -> tuple[Cell, ...]:
    """Cells of choices: a title has the axes with more than one value."""
    varied = [number for number in range(len(AXES)) if len({choice[number] for choice in found}) > 1]
    made = []
    for choice, place in found.items():
        title = ", ".join(choice[number] for number in varied) or choice[AXES.index("topology")]
        profile = _profile(matrix, choice, configured.get(choice[AXES.index("fragments")], base), place)
        made.append(Cell(**dict(zip(AXES, choice, strict=True)), title=title, place=place, profile=profile))
    return tuple(made)


def _base(matrix: Matrix, paths: Paths) -> Profile:
    try:
        base = profiles.load(matrix.profile, paths=paths)
    except UserError as error:
        raise at(matrix, "profile", error) from None
    taken = {"source", "series", "config", "topology", "suites", "summary"} & set(matrix.set)
    if taken:
        name = sorted(taken)[0]
        raise UserError(f"{matrix.path}: set.{name} is not for all cells alike", hint="it is an axis of [matrix]")
    unknown = sorted(set(matrix.set) - set(Profile.__struct_fields__))
    if unknown:
        close = nearest(unknown[0], Profile.__struct_fields__)
        hint = f"did you mean '{close}'?" if close else f"known: {', '.join(Profile.__struct_fields__)}"
        raise UserError(f"{matrix.path}: set: a profile has no '{unknown[0]}'", hint=hint)
    try:
        return profiles.override(base, matrix.set)
    except UserError as error:
        raise _in_words(error.message.replace("`$.", "`$.set."), matrix.path, {}) from None


def _configured(matrix: Matrix, base: Profile, paths: Paths) -> dict[str, Profile]:
    """The base with each definition of ``[fragments]``: its list, or what that profile needs of the guest as well."""
    found = {}
    for name, given in matrix.fragments.items():
        if not isinstance(given, str):
            found[name] = profiles.override(base, {"config": given})
            continue
        try:
            other = profiles.load(given, paths=paths)
        except UserError as error:
            raise at(matrix, f"fragments.{name}", error) from None
        asked = {field: getattr(other, field) for field in _GUEST if getattr(other, field) != getattr(Profile(), field)}
        found[name] = profiles.override(base, {"config": other.config, **asked})
    return found


def _axes(matrix: Matrix, base: Profile) -> dict[str, tuple[str, ...]]:
    """Each axis' values; an axis that is not there has one, which stands for what the profile says."""
    given = {
        "source": matrix.matrix.sources,
        "series": matrix.matrix.series,
        "fragments": matrix.matrix.fragments,
        "topology": matrix.matrix.topologies,
        "suites": matrix.matrix.suites,
    }
    alone = {"source": base.source, "series": base.series or "none", "topology": base.topology}
    axes = {}
    for name, values in given.items():
        place = f"matrix.{_axis(name)}"
        if values is not None and not values:
            raise UserError(
                f"{matrix.path}: {place} is empty: the matrix multiplies to nothing",
                hint=f"give it a value, or leave it out for the profile's ({matrix.profile})",
            )
        for number, value in enumerate(values or ()):
            if values and value in values[:number]:
                raise UserError(f"{matrix.path}: {place}[{number}] '{value}' is there twice: its cells would be, too")
        axes[name] = values or (alone.get(name, matrix.profile),)
    return axes


def _included(matrix: Matrix, number: int, one: Include, axes: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    given = msgspec.structs.asdict(one)
    choice = []
    for name in AXES:
        value = given[name] or (axes[name][0] if len(axes[name]) == 1 else None)
        if value is None:
            raise UserError(
                f"{matrix.path}: include[{number}] says no {name}",
                hint=f"matrix.{_axis(name)} has {len(axes[name])}: {', '.join(axes[name])}",
            )
        choice.append(value)
    return tuple(choice)


def _matches(pattern: Pattern, choice: Sequence[str]) -> bool:
    return all(_any(given, value) for (_, given), value in zip(_patterns(pattern), choice, strict=True))


def _patterns(pattern: Pattern) -> Iterator[tuple[str, tuple[str, ...]]]:
    given = msgspec.structs.asdict(pattern)
    for name in AXES:
        value = given[name]
        yield name, (value,) if isinstance(value, str) else tuple(value)


def _any(patterns: Sequence[str], value: str) -> bool:
    from fnmatch import fnmatchcase

    return any(fnmatchcase(value, pattern) for pattern in patterns)


def _nothing_excluded(matrix: Matrix, number: int, pattern: Pattern, axes: Mapping[str, tuple[str, ...]]) -> UserError:
    """An exclude that matches no cell is a misspelt one."""
    place = f"{matrix.path}: exclude[{number}]"
    for name, given in _patterns(pattern):
        if not any(_any(given, value) for value in axes[name]):
            close = nearest(given[0], axes[name])
            hint = f"did you mean '{close}'?" if close else f"there are: {', '.join(axes[name])}"
            return UserError(f"{place}.{name} matches no value of matrix.{_axis(name)}", hint=hint)
    return UserError(f"{place} matches no cell of the matrix", hint="take it out")


def _profile(matrix: Matrix, choice: Sequence[str], base: Profile, place: str) -> Profile:
    chosen = dict(zip(AXES, choice, strict=True))
    series = matrix.series.get(chosen["series"], chosen["series"])
    changes: dict[str, Any] = {
        "summary": f"A cell of {Path(matrix.path).name}: {', '.join(choice)}",
        "source": matrix.sources.get(chosen["source"], chosen["source"]),
        "series": series if isinstance(series, str) else "",
        "topology": chosen["topology"],
    }
    if changes["series"] == "none":
        changes["series"] = ""
    if chosen["fragments"] not in matrix.fragments:
        changes["config"] = _own(matrix, "fragments", chosen, base.config)
    if matrix.matrix.suites is not None or place != "matrix":
        changes["suites"] = matrix.suites.get(chosen["suites"], _own(matrix, "suites", chosen, base.suites))
    return profiles.override(base, changes)


def _own(matrix: Matrix, name: str, chosen: Mapping[str, str], otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """What a value stands for that has no definition: the profile's name for the profile's own, else itself."""
    return otherwise if chosen[name] == matrix.profile else (chosen[name],)


def at(matrix: Matrix, place: str, error: UserError) -> UserError:
    """An error with the file and the place in front of it."""
    return UserError(f"{matrix.path}: {place}: {error.message}", hint=error.hint, details=error.details)


def _axis(name: str) -> str:
    return _PLURAL.get(name, name)


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


def _in_words(reason: str, path: str, tables: Mapping[str, Any]) -> UserError:
    """msgspec's reason: where in the file, what is wrong, and for an unknown key the nearest one."""
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
