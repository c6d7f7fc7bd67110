# SPDX-License-Identifier: GPL-2.0-only
"""Where each CPU of a guest is: QEMU's ``info registers -a``, with names from the kernel's ``System.map``."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from pathlib import Path

_CPU = re.compile(r"^CPU#(\d+)", re.MULTILINE)
_POINTER = re.compile(r"\b[RE]IP=([0-9a-f]+)")
_FLAGS = re.compile(r"\b[RE]FL=([0-9a-f]+)")
_RING = re.compile(r"\bCPL=(\d)")
_HALTED = re.compile(r"\bHLT=(\d)")
_INTERRUPTS = 1 << 9  # the flag IF of RFLAGS (Intel SDM volume 1, section 3.4.3)
_SYMBOL = re.compile(r"^([0-9a-f]{8,16}) [tTwW] (\S+)$", re.MULTILINE)
_FARTHEST = 1 << 20  # bytes; beyond it a name would be a guess


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """What one CPU was doing. ``deaf``: it halts with interrupts off, for good unless an NMI comes."""

    cpu: int
    pointer: int
    user: bool
    halted: bool
    interrupts: bool

    @property
    def deaf(self) -> bool:
        """Whether it halts and takes no interrupt."""
        return self.halted and not self.interrupts


def parse(text: str) -> tuple[Registers, ...]:
    """The CPUs of ``info registers -a`` on x86; those whose block is not whole are left out."""
    found = []
    for start in _CPU.finditer(text):
        after = _CPU.search(text, start.end())
        block = text[start.end() : after.start() if after is not None else None]
        pointer, flags, ring, halted = (regex.search(block) for regex in (_POINTER, _FLAGS, _RING, _HALTED))
        if pointer is None or flags is None:
            continue
        found.append(
            Registers(
                cpu=int(start[1]),
                pointer=int(pointer[1], 16),
                user=ring is not None and ring[1] == "3",
                halted=halted is not None and halted[1] == "1",
                interrupts=bool(int(flags[1], 16) & _INTERRUPTS),
            )
        )
    return tuple(found)


class Symbols:
    """The functions of a ``System.map``."""

    def __init__(self, text: str) -> None:
        known = sorted((int(address, 16), name) for address, name in _SYMBOL.findall(text))
        self._addresses = [address for address, _ in known]
        self._names = [name for _, name in known]

    @classmethod
    def of(cls, system_map: Path | None) -> Symbols:
        """The symbols of a file; none where there is no such file."""
        try:
            return cls(system_map.read_text() if system_map is not None else "")
        except (OSError, UnicodeDecodeError):
            return cls("")

    def at(self, address: int) -> str:
        """``function+0x1f`` for an address in the kernel, "" where that is not known."""
        place = bisect.bisect_right(self._addresses, address) - 1
        if place < 0 or address - self._addresses[place] > _FARTHEST:
            return ""
        return f"{self._names[place]}+{address - self._addresses[place]:#x}"


def describe(registers: Registers, symbols: Symbols) -> str:
    """One CPU in a line."""
    if registers.user:
        place = "in user space"
    else:
        name = symbols.at(registers.pointer)
        place = f"in {name}" if name else f"at {registers.pointer:#x}"
    state = ""
    if registers.halted:
        state = ", halted" if registers.interrupts else ", halted with interrupts off"
    elif not registers.interrupts and not registers.user:
        state = ", interrupts off"
    return f"CPU {registers.cpu} {place}{state}"
