# SPDX-License-Identifier: GPL-2.0-only
"""A step of a sequence: a verb and its words, and sequences as text (``*.steps``).

A line is a step; ``#`` begins a comment. ``# needs: private`` says that the sequence needs a kernel with private
regions, ``# topology: NAME`` where it was found. Regions are named by the sequence (``r1``), not by the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError, nearest

VERBS = {
    "create": "LABEL ram|private DECODER: create a region at a root decoder",
    "misname": "ram|private DECODER garbage|other: create one by a name that is not handed out",
    "reserve": "LABEL MEMDEV…: give it a unit of each device's capacity",
    "shape": "LABEL: its granularity, ways and size",
    "target": "LABEL: its decoders",
    "type": "LABEL TYPE: private_type",
    "commit": "LABEL",
    "uncommit": "LABEL",
    "bind": "LABEL: to the region driver",
    "unbind": "LABEL",
    "online": "LABEL BLOCK online|online_movable|online_kernel: its BLOCKth memory block, from 0",
    "offline": "LABEL BLOCK",
    "delete": "LABEL",
    "release": "LABEL: give the capacity back",
    "policy": "offline|online_movable: what becomes of new memory blocks",
    "group": "GROUP: make a cgroup, a or a/b",
    "mems": "GROUP NODES: its cpuset.mems; - for none",
    "ungroup": "GROUP: remove it",
    "swap": "on|off",
    "zswap": "Y|N: zswap's switch",
    "start": "TASK GROUP: a process with pages in a group; - for none",
    "fill": "TASK: write all its pages",
    "out": "TASK: page them out",
    "verify": "TASK: read them back",
    "end": "TASK: kill it",
    "policycall": "bind|interleave|preferred LABEL: mbind() to the region's node",
    "pressure": "KIND: have the kernel allocate memory of a kind",
    "unplug": "MEMDEV: remove the device from the machine (QMP device_del)",
}

_WORD = re.compile(r"[A-Za-z0-9_.,/-]+")


@dataclass(frozen=True, slots=True)
class Step:
    """``verb`` is one of :data:`VERBS`."""

    verb: str
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.verb, *self.words))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """Steps from a file; ``comment`` are its comment lines without ``#``."""

    name: str
    steps: tuple[Step, ...]
    comment: tuple[str, ...] = ()


def step(verb: str, *words: str | int) -> Step:
    """A step from its words."""
    return Step(verb, tuple(str(word) for word in words))


def read(file: Path) -> Sequence:
    """The sequence in a file; raises :class:`UserError` that names the line."""
    steps: list[Step] = []
    comment: list[str] = []
    for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
        text, _, said = line.partition("#")
        if said and not text.strip():
            comment.append(said.strip())
        verb, *words = text.split() or [""]
        if not verb:
            continue
        if verb not in VERBS:
            close = nearest(verb, VERBS)
            raise UserError(
                f"{file}:{number}: no step is called '{verb[:80]}'",
                hint=f"did you mean '{close}'?" if close else f"known: {', '.join(VERBS)}",
            )
        wrong = next((word for word in words if not _WORD.fullmatch(word)), None)
        if wrong is not None:
            raise UserError(f"{file}:{number}: {wrong[:80]!r} is no word of a step", hint=f"{verb} {VERBS[verb]}")
        steps.append(Step(verb, tuple(words)))
    if not steps:
        raise UserError(f"{file} has no step", hint="a step is a line like 'create r1 ram decoder0.0'")
    return Sequence(name=file.stem, steps=tuple(steps), comment=tuple(comment))


def write(steps: Iterable[Step], *comment: str) -> str:
    """Steps as the text of a file."""
    lines = ["# SPDX-License-Identifier: GPL-2.0-only", *(f"# {line}" for line in comment)]
    return "\n".join([*lines, *(str(one) for one in steps)]) + "\n"
