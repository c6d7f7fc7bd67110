# SPDX-License-Identifier: GPL-2.0-only
"""Files and lines for the frames of a splat, from the debug information kept beside a kernel.

The kernel names a place as a symbol and an offset, which holds wherever it was loaded (KASLR). System.map gives the
symbol's address, addr2line the lines; functions that were inlined there come too. Decoding never fails a run: what
cannot be had is left out, and a note says why.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness import sandbox
from harness.errors import HarnessError
from harness.paths import Paths
from harness.process import Enclosure, run, which
from harness.splat.stack import parse_symbol
from harness.values import Crash, Frame, Kernel

_SECONDS = 120.0
_TEXT = re.compile(r"^([0-9a-f]{8,16}) [tTwW] (\S+)$", re.MULTILINE)
_PLACE = re.compile(r"^(\S+):(\d+)(?: \(discriminator \d+\))?$")
NO_DEBUG_INFORMATION = "this kernel has no debug information, so there are no lines of source"


class Decoder:
    """Decodes splats of one kernel; its symbols are read once, when the first comes.

    With ``paths`` addr2line, which reads a file that a stranger's build made, runs in the sandbox.
    """

    def __init__(self, kernel: Kernel, *, paths: Paths | None = None) -> None:
        self._kernel = kernel
        self._paths = paths
        self._addresses: dict[str, list[int]] | None = None
        self._sorted: list[int] = []

    def decoded(self, crash: Crash) -> Crash:
        """The crash with the lines of its frames; or with a note that says why there are none."""
        if self._kernel.debug_vmlinux is None:
            return replace(crash, note=NO_DEBUG_INFORMATION)
        try:
            return replace(crash, frames=self._frames(crash.frames, self._kernel.debug_vmlinux))
        except (HarnessError, OSError, ValueError) as reason:
            said = reason.message if isinstance(reason, HarnessError) else str(reason)
            return replace(crash, note=f"the stack could not be decoded: {said}")

    def _frames(self, frames: Sequence[Frame], debug: Path) -> tuple[Frame, ...]:
        addresses = {one: address for one in frames if (address := self._address(one)) is not None}
        lines = _addr2line(debug, list(dict.fromkeys(addresses.values())), self._paths) if addresses else {}
        found: list[Frame] = []
        for one in frames:
            *inlined, last = lines.get(addresses.get(one, -1)) or [("", "")]
            found += (Frame(function=name, symbol="", location=where, inlined=True) for name, where in inlined)
            found.append(replace(one, location=last[1]))
        return tuple(found)

    def _address(self, one: Frame) -> int | None:
        """Where the frame is in the file; None where its symbol is a module's, unknown, or one of several alike."""
        entry = parse_symbol(one.symbol)
        if entry is None or entry.module:
            return None
        if self._addresses is None:
            self._addresses = _symbols(self._kernel.system_map)
            self._sorted = sorted({address for each in self._addresses.values() for address in each})
        candidates = self._addresses.get(entry.symbol, [])
        if len(candidates) > 1:
            candidates = [address for address in candidates if self._size(address) == entry.size]
        if len(candidates) != 1 or entry.offset > entry.size:
            return None
        # a return address is that of the next instruction, which may be another line's
        return candidates[0] + entry.offset - (0 if one.exact or entry.offset == 0 else 1)

    def _size(self, address: int) -> int:
        """As kallsyms has it: up to the next symbol."""
        place = bisect.bisect_right(self._sorted, address)
        return self._sorted[place] - address if place < len(self._sorted) else 0


def _symbols(system_map: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for address, name in _TEXT.findall(system_map.read_text("utf-8", "replace")):
        found.setdefault(name, []).append(int(address, 16))
    return found


def _addr2line(debug: Path, addresses: Sequence[int], paths: Paths | None) -> dict[int, list[tuple[str, str]]]:
    """Address → (function, file:line), the innermost of inlined ones first; nothing for an address that has no line."""
    if which("addr2line") is None:
        raise OSError("addr2line is not installed (binutils)")
    argv: list[str | Path] = ["addr2line", "-a", "-f", "-i", "-e", debug, *(f"{address:#x}" for address in addresses)]
    within = sandbox.enclosure(paths, writable=[], readable=[debug.parent]) if paths is not None else Enclosure()
    return parse_addr2line(run(argv, deadline=_SECONDS, within=within).text)


def parse_addr2line(text: str) -> dict[int, list[tuple[str, str]]]:
    """What ``addr2line -a -f -i`` says: an address, then lines of function and place by turns. Pure."""
    found: dict[int, list[tuple[str, str]]] = {}
    places: list[tuple[str, str]] = []
    function = ""
    for line in text.splitlines():
        if re.fullmatch(r"0x[0-9a-f]+", line):
            places, function = found.setdefault(int(line, 16), []), ""
        elif not function:
            function = line
        else:
            if match := _PLACE.match(line):
                path = match[1].removeprefix("./").lstrip("/") if not match[1].startswith("?") else ""
                if path:
                    places.append((function, f"{path}:{match[2]}"))
            function = ""
    return found
