# SPDX-License-Identifier: GPL-2.0-only
"""Cells of the grid: the profile's configuration with an option off, options as modules; or a drawn one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from harness.errors import UserError, nearest
from harness.kconfig.language import Symbols

OFF_OPTIONS = ("CPUSETS", "NUMA", "ZSWAP", "SWAP", "CXL_REGION", "MEMORY_HOTPLUG", "MEMCG")
"""What reviewers of N_PRIVATE asked for: a build with each of these off (ABI.md, the last question)."""

MODULES = "modules"
_RANDOM = re.compile(r"randconfig:(?P<seed>\d+)\Z")
_VALUE = re.compile(r"(?:CONFIG_)?(?P<option>[A-Z0-9_]+)=(?P<value>[nmy])\Z")
_MAKEFILE_OPTION = re.compile(r"\$\(CONFIG_([A-Z0-9_]+)\)")
# what a random configuration does not draw: another machine, compilers and tools beside the one here, and what makes
# compiling many times slower without another line of the source
_NOT_DRAWN = {
    "64BIT": "y", "MODULES": "y", "WERROR": "n", "GCC_PLUGINS": "n", "DEBUG_INFO_NONE": "y", "RUST": "n",
    "KASAN": "n", "KCSAN": "n", "KMSAN": "n", "UBSAN": "n", "GCOV_KERNEL": "n", "KCOV": "n", "BPF_PRELOAD": "n",
}  # fmt: skip
_COMPILED = (".c", ".S", ".h")
_NO_OBJECTS = ("Documentation", "include", "samples", "scripts", "tools", "usr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One configuration: ``assignments`` (option, ``y``/``m``/``n``) on top of the profile's.

    With a ``seed`` the assignments stand alone, and the rest is drawn.
    """

    name: str
    assignments: tuple[tuple[str, str], ...] = ()
    seed: int | None = None

    @property
    def requests(self) -> tuple[str, ...]:
        """The assignments as a user writes them for ``--config``."""
        return tuple(f"CONFIG_{option}={value}" for option, value in self.assignments)

    @property
    def folder(self) -> str:
        """The cell as a part of a file's name."""
        return re.sub(r"[^A-Za-z0-9._-]", "-", self.name)


def off(option: str) -> Cell:
    """The cell with one option off."""
    return Cell(name=f"{option}=n", assignments=((option, "n"),))


def as_module(option: str) -> Cell:
    """The cell with one option a module."""
    return Cell(name=f"{option}=m", assignments=(("MODULES", "y"), (option, "m")))


def all_modules(options: Sequence[str]) -> Cell:
    """The cell with all options that can be modules."""
    return Cell(name=MODULES, assignments=(("MODULES", "y"), *((option, "m") for option in options)))


def parse_cell(text: str, symbols: Symbols, tristates: Sequence[str]) -> Cell:
    """A cell as a user names it: ``ZSWAP=n``, ``CXL_BUS=m``, ``modules``, ``randconfig:SEED``. Raises UserError."""
    if text == MODULES:
        return all_modules(tristates)
    if random := _RANDOM.match(text):
        return Cell(name=text, assignments=tuple(_NOT_DRAWN.items()), seed=int(random["seed"]))
    found = _VALUE.match(text)
    if found is None:
        raise UserError(f"'{text}' is no cell of the grid", hint="write OPTION=n, OPTION=m, modules or randconfig:SEED")
    option, value = found["option"], found["value"]
    if option not in symbols.definitions:
        close = nearest(option, symbols.definitions)
        hint = f"did you mean '{close}'?" if close else "`harness config explain` knows the tree's options"
        raise UserError(f"the tree has no option CONFIG_{option} (cell '{text}')", hint=hint)
    kind = symbols.type_of(option)
    if kind not in ("bool", "tristate"):
        raise UserError(f"CONFIG_{option} is {kind}: it cannot be turned off (cell '{text}')")
    if value == "m":
        if kind != "tristate":
            raise UserError(f"CONFIG_{option} is a bool: it cannot be a module (cell '{text}')", hint=f"{option}=n")
        return as_module(option)
    return Cell(name=text.removeprefix("CONFIG_"), assignments=((option, value),))


def default_cells(grid: str, symbols: Symbols, tristates: Sequence[str]) -> tuple[Cell, ...]:
    """The cells of ``quick`` (each option off, all modules at once) and ``full`` (each module alone as well)."""
    cells = [off(option) for option in OFF_OPTIONS if option in symbols.definitions]
    if tristates:
        cells.append(all_modules(tristates))
    if grid == "full" and len(tristates) > 1:
        cells += [as_module(option) for option in tristates]
    return tuple(cells)


def decide_objects(files: Iterable[str]) -> bool:
    """Whether any of some files has a say in what is compiled, and how."""
    names = [PurePosixPath(file) for file in files]
    return any(one.suffix in _COMPILED or one.name.startswith(("Makefile", "Kbuild", "Kconfig")) for one in names)


def folders(files: Iterable[str]) -> tuple[str, ...]:
    """The folders of sources that files are in, as make takes them (``mm/``); none is inside another.

    Headers of ``include/``, documents and tools have no objects of their own.
    """
    found = set()
    for file in files:
        path = PurePosixPath(file)
        makes = path.suffix in _COMPILED or path.name in ("Makefile", "Kbuild")
        if makes and len(path.parts) > 1 and path.parts[0] not in _NO_OBJECTS and "include" not in path.parts:
            found.add(f"{path.parent}/")
    return tuple(sorted(one for one in found if not any(one != other and one.startswith(other) for other in found)))


def tristates_of(makefiles: Iterable[str], symbols: Symbols, values: Mapping[str, str]) -> tuple[str, ...]:
    """The options that decide objects in some Makefiles, can be modules, and are built in now."""
    named = {option for text in makefiles for option in _MAKEFILE_OPTION.findall(text)}
    return tuple(sorted(one for one in named if symbols.type_of(one) == "tristate" and values.get(one) == "y"))
