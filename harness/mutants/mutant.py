# SPDX-License-Identifier: GPL-2.0-only
"""Reads mutants: ``tests/mutants/<name>.patch``, each one patch on top of the series, as git format-patch writes it.

Its message says what mistake it is; trailers at the end of the message say what the harness needs to know::

    Breaks: which property of the contract does not hold any more
    Killed-by: SUITE, SUITE/PROGRAM or SUITE/PROGRAM:CASE that should find it; several with commas
    Survives: why no case finds it (only of a mutant that is known to survive)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import series
from harness.errors import HarnessError, UserError, nearest, unknown_name
from harness.paths import Paths
from harness.progress import Quiet
from harness.series.mail import body_text
from harness.store import Store
from harness.suite import catalogue
from harness.values import Series

_KNOWN = ("Breaks", "Killed-by", "Survives")
_OF_GIT = ("Signed-off-by", "Link", "Fixes")
_TRAILER = re.compile(r"(?P<name>[A-Z][A-Za-z-]*): *(?P<value>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A breakage of the series.

    ``breaks`` is the property that it breaks, ``killers`` what should find it, the likeliest first, ``survives`` why
    nothing does (empty for one that must be found), ``patch`` a series of one patch.
    """

    name: str
    title: str
    breaks: str
    killers: tuple[str, ...]
    survives: str
    patch: Series


def names(paths: Paths) -> dict[str, Path]:
    """The mutants' names and files, sorted by name."""
    return {path.stem: path for path in sorted(paths.mutants.glob("*.patch"))}


def read_all(wanted: Sequence[str], *, paths: Paths, store: Store) -> tuple[Mutant, ...]:
    """The mutants named, or all of them; raises :class:`UserError` for an unknown name or a faulty file."""
    known = names(paths)
    if not known:
        raise UserError(f"there is no mutant in {paths.mutants}")
    for name in wanted:
        if name not in known:
            raise unknown_name("mutant", name, known)
    chosen = dict.fromkeys(wanted) or known
    return tuple(read(known[name], paths=paths, store=store) for name in chosen)


def read(path: Path, *, paths: Paths, store: Store) -> Mutant:
    """One mutant; raises :class:`UserError` that names the file and what is wrong with it."""
    patch = series.read(str(path.absolute()), paths=paths, store=store, progress=Quiet())
    if len(patch.patches) != 1:
        raise UserError(
            f"{path} holds {len(patch.patches)} patches", hint="a mutant is one patch, on top of the series"
        )
    found = trailers(body_text(patch.patches[0].content), where=str(path))
    for name in ("Breaks", "Killed-by"):
        if not found.get(name) and not (name == "Killed-by" and found.get("Survives")):
            raise UserError(f"{path} has no trailer '{name}:'", hint="tests/mutants/README.md says what it is")
    killers = tuple(word.strip() for word in found.get("Killed-by", "").split(",") if word.strip())
    for killer in killers:
        _check_killer(killer, path, paths)
    return Mutant(
        name=path.stem,
        title=patch.title,
        breaks=found["Breaks"],
        killers=killers,
        survives=found.get("Survives", ""),
        patch=patch,
    )


def trailers(body: str, *, where: str) -> dict[str, str]:
    """The trailers of a patch's message: its last paragraph before the diff. Lines that begin with a space continue.

    Raises :class:`UserError` for a name that is not known.
    """
    message = re.split(r"^(?:---$|diff --git )", body, maxsplit=1, flags=re.M)[0].strip()
    found: dict[str, str] = {}
    last = ""
    for line in message.split("\n\n")[-1].splitlines():
        match = _TRAILER.fullmatch(line)
        if line.startswith((" ", "\t")) and last:
            found[last] = f"{found[last]} {line.strip()}".strip()
        elif match is None:
            return {}  # the last paragraph is prose
        else:
            last = match["name"]
            if last not in (*_KNOWN, *_OF_GIT):
                close = nearest(last, _KNOWN)
                hint = f"did you mean '{close}:'?" if close else f"known: {', '.join(_KNOWN)}"
                raise UserError(f"{where}: unknown trailer '{last}:'", hint=hint)
            if last in found and last in _KNOWN:
                raise UserError(f"{where} has the trailer '{last}:' twice")
            found[last] = match["value"].strip()
    return {name: value for name, value in found.items() if name in _KNOWN}


def _check_killer(killer: str, path: Path, paths: Paths) -> None:
    try:
        catalogue.select(paths.guest_tests, [killer])
    except HarnessError as reason:
        raise UserError(f"{path}, Killed-by: {reason.message}", hint=reason.hint) from None
