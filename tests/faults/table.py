# SPDX-License-Identifier: GPL-2.0-only
"""The table of faults: ``table.toml``, a row a fault (or one at several stages), read strictly.

A row says what is broken and how (``inject`` names a function of ``inject.py`` or ``guest.py`` and what it is given),
then what must come out: ``status`` (the command's; negative for a signal), ``verdict`` (of results.json; "" where none
can be written), ``cases`` (a guest's, with their verdicts), ``says`` (texts of the output), ``left`` (patterns of what
may be left; else nothing), ``then`` (the verdict of the next run in the same place, after which nothing at all may be
left). A row with ``test`` is covered by that test, which injects it where it is better done.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

TABLE = Path(__file__).with_name("table.toml")
PROJECT = TABLE.parent.parent.parent

STAGES = ("start", "source", "apply", "config", "build", "image", "boot", "suite", "report", "any")


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault at one stage."""

    name: str
    stage: str
    about: str = ""
    inject: dict[str, Any] = {}
    status: int = 0
    verdict: str = ""
    says: tuple[str, ...] = ()
    cases: dict[str, str] = {}
    left: tuple[str, ...] = ()
    then: str = ""
    marks: tuple[str, ...] = ()
    test: str = ""

    @property
    def id(self) -> str:
        """Its name and stage, as pytest shows them."""
        return f"{self.name}-{self.stage}"


def faults() -> tuple[Fault, ...]:
    """Every row; one with several stages becomes several."""
    return tuple(_rows())


def _rows() -> Iterator[Fault]:
    for row in msgspec.toml.decode(TABLE.read_bytes())["fault"]:
        stages = row.pop("stage")
        for stage in stages if isinstance(stages, list) else [stages]:
            yield msgspec.convert(row | {"stage": stage}, Fault)
