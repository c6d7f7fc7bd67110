# SPDX-License-Identifier: GPL-2.0-only
"""The cells of a nightly: what its matrix multiplies to, each with the profile that ``harness run`` takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness import profile as profiles
from harness.errors import UserError, nearest
from harness.nightly.matrix import AXES, Include, Matrix, Pattern, at, in_words
from harness.paths import Paths
from harness.profile import Profile

_PLURAL = {"source": "sources", "series": "series", "topology": "topologies"}
_GUEST = ("memory_mib", "cpus", "append", "timeout_scale")  # what a profile's configuration needs beside it
_MOST_CELLS = 2000


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
            f"{matrix.path}: exclude takes out every cell of the matrix ({len(product)})", hint="nothing would be run"
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
        raise in_words(error.message.replace("`$.", "`$.set."), matrix.path, {}) from None


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


def _axis(name: str) -> str:
    return _PLURAL.get(name, name)
