# SPDX-License-Identifier: GPL-2.0-only
"""A ``.config``: reading it, comparing two, and the part of it that is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SET = re.compile(r"CONFIG_([A-Za-z0-9_]+)=(.*)\Z")
_UNSET = re.compile(r"# CONFIG_([A-Za-z0-9_]+) is not set\Z")


def parse(text: str) -> dict[str, str]:
    """The value of each option by its name without ``CONFIG_``; ``n`` for one that says it is not set."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        if found := _SET.match(line):
            values[found[1]] = found[2]
        elif found := _UNSET.match(line):
            values[found[1]] = "n"
    return values


def normalized(text: str) -> str:
    """A ``.config`` without its head, which names the kernel's version and no option.

    So one folder of objects serves a tree whose version moves while its options stay.
    """
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if _SET.match(line) or _UNSET.match(line)), 0)
    return "\n".join(lines[start:]) + "\n"


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """The options whose value differs: (old, new); None where a side does not have the option at all."""
    names = sorted(old.keys() | new.keys())
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name, "n") != new.get(name, "n")}


def same_value(wanted: str, actual: str | None) -> bool:
    """Whether an option has the value asked for: an absent one is n, numbers compare as numbers."""
    actual = actual if actual is not None else "n"
    if wanted == actual or (wanted in ("n", '""') and actual in ("n", '""')):
        return True
    try:
        return int(wanted, 0) == int(actual, 0)
    except ValueError:
        return wanted.strip('"') == actual.strip('"') and '"' in wanted + actual
