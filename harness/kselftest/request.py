# SPDX-License-Identifier: GPL-2.0-only
"""What a user asks of the tree's selftests: ``kselftest:mm,cgroup/test_core,net/af_unix``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import UserError

PREFIX = "kselftest"

_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*\Z")
_CASE = re.compile(r"[A-Za-z0-9_.+-]+\Z")
_HINT = (
    "write kselftest:TARGET, kselftest:TARGET/PROGRAM or kselftest:TARGET/PROGRAM:CASE; "
    "several with a comma, e.g. --suite kselftest:mm,cgroup"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One thing that is asked for: ``path`` is ``TARGET`` or ``TARGET/PROGRAM`` (only a tree can tell), ``case`` or "".

    A target may have a ``/`` itself (``filesystems/epoll``).
    """

    path: str
    case: str = ""

    def __str__(self) -> str:
        return f"{PREFIX}:{self.path}{f':{self.case}' if self.case else ''}"


def is_request(name: str) -> bool:
    """Whether the name of a suite asks for selftests of the tree."""
    return name == PREFIX or name.startswith(f"{PREFIX}:")


def parse(name: str) -> tuple[Wanted, ...]:
    """What ``kselftest:…`` asks for; raises :class:`UserError` where it names nothing, or nothing that can be."""
    _, _, rest = name.partition(":")
    parts = [part.strip() for part in rest.split(",")]
    if not any(parts):
        raise UserError(f"'{name}' names no target of the kernel's selftests", hint=_HINT)
    found = []
    for part in parts:
        path, colon, case = part.partition(":")
        if not _PATH.match(path) or (colon and not _CASE.match(case)):
            raise UserError(f"'{part}' in '{name}' is no target of the kernel's selftests", hint=_HINT)
        found.append(Wanted(path, case))
    return tuple(dict.fromkeys(found))
