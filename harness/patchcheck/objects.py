# SPDX-License-Identifier: GPL-2.0-only
"""What compiled objects define, export and still need, so that most of what a link would find needs no link.

A folder's objects of a base and a head in the same configuration are compared: what only the head's objects need must
be somewhere. The rest of the kernel is not compiled; where it alone can tell, the answer is to link.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import msgspec

from harness import sandbox
from harness.errors import BuildError
from harness.process import Enclosure, run

_NM_SECONDS = 120.0
# what EXPORT_SYMBOL() leaves (include/linux/export.h: the first from 6.5 on, the second before)
_EXPORT = re.compile(r"__(?:export_symbol|ksymtab)_(?P<name>.+)")
_LINE = re.compile(r"(?P<name>\S+) (?P<type>[A-Za-z])(?: |\Z)")


class Objects(msgspec.Struct, frozen=True, kw_only=True):
    """Global symbols of some folders' objects: built in, and in modules.

    ``defined`` and ``needed`` are what is built in, ``module_needed`` what modules need and do not define themselves,
    ``exported`` what either exports to modules.
    """

    defined: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    module_needed: frozenset[str] = frozenset()
    exported: frozenset[str] = frozenset()


class Unresolved(msgspec.Struct, frozen=True, kw_only=True):
    """What new references lead to: ``missing`` nowhere, ``not_exported`` to what a module cannot reach.

    ``elsewhere`` are in folders that were not compiled, if anywhere; of ``unsure`` only a link tells.
    """

    missing: tuple[str, ...] = ()
    not_exported: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


class Symbols(msgspec.Struct, frozen=True, kw_only=True):
    """One or several objects' symbols as nm lists them."""

    defined: frozenset[str]
    undefined: frozenset[str]
    exported: frozenset[str]


def parse_nm(text: str) -> Symbols:
    """The output of ``nm --format=posix``: one symbol a line, a header a member of an archive."""
    defined, undefined, exported = set(), set(), set()
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        if export := _EXPORT.match(found["name"]):
            exported.add(export["name"])
        elif found["type"] == "U":
            undefined.add(found["name"])
        elif found["type"].isupper():
            defined.add(found["name"])
    return Symbols(defined=frozenset(defined), undefined=frozenset(undefined - defined), exported=frozenset(exported))


def read_objects(output: Path, folders: Sequence[str], *, within: Enclosure) -> Objects:
    """The symbols of folders that were made (``make mm/``) in an output folder; nm runs ``within``."""
    names = [f"{folder}{name}" for folder in folders for name in ("built-in.a", "lib.a")]
    archives = [name for name in names if (output / name).is_file()]
    builtin = _nm(output, archives, within)
    orders = [sandbox.contained(output / folder / "modules.order", output) for folder in folders]
    modules = [_nm(output, [name], within) for order in orders for name in _module_objects(order)]
    exported = frozenset().union(builtin.exported, *(one.exported for one in modules))
    return Objects(
        defined=builtin.defined,
        needed=builtin.undefined,
        module_needed=frozenset().union(*(one.undefined for one in modules)),
        exported=exported,
    )


def _module_objects(order: Path) -> list[str]:
    return order.read_text().split() if order.is_file() else []


def _nm(output: Path, files: Sequence[str], within: Enclosure) -> Symbols:
    if not files:
        return Symbols(defined=frozenset(), undefined=frozenset(), exported=frozenset())
    argv = ["nm", "--format=posix", "--", *files]
    done = run(argv, deadline=_NM_SECONDS, cwd=output, error=BuildError, within=within)
    return parse_nm(done.text)


Ask = Callable[[Collection[str]], Collection[str]]


def unresolved(base: Objects, head: Objects, *, usual: Collection[str], exported: Ask, mentioned: Ask) -> Unresolved:
    """What the head's objects need that the base's do not, and that is not in them.

    ``usual`` is what these folders define in the profile's own configuration: of this nothing can be elsewhere, so that
    it is missing here. ``exported`` and ``mentioned`` tell of names which the tree exports, and which it names at all.
    What the base's objects define, and the head's no longer, may be needed by the rest, if it is still named.
    """
    new = (head.needed - head.defined) - (base.needed - base.defined)
    gone = base.defined - head.defined
    for_modules = head.module_needed - base.module_needed - head.exported - new
    not_here = for_modules - head.defined
    missing = (new | not_here) & frozenset(usual)
    unsure = not_here - missing
    unsure -= frozenset(exported(unsure)) if unsure else frozenset()
    return Unresolved(
        missing=_sorted(missing),
        not_exported=_sorted(for_modules & head.defined),
        elsewhere=_sorted(new - missing),
        unsure=_sorted(unsure | (frozenset(mentioned(gone)) if gone else frozenset())),
    )


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
