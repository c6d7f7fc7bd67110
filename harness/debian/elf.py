# SPDX-License-Identifier: GPL-2.0-only
"""What a 64-bit little-endian ELF file needs at run time: interpreter, libraries, where to look for them.

After the System V ABI, "Object Files" and "Dynamic Linking" (gABI, chapters 4 and 5).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = b"\x7fELF\x02\x01"

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 15, 29


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """``interpreter`` (a path, or None), ``libraries`` (sonames) and ``search`` (the file's own run path)."""

    interpreter: str | None
    libraries: tuple[str, ...]
    search: tuple[str, ...]


def needs(data: bytes) -> Needs:
    """Read a file's needs; raises ``ValueError`` when it is cut short or not such a file."""
    if not data.startswith(MAGIC):
        raise ValueError("not a 64-bit little-endian ELF file")
    try:
        return _read(data)
    except (struct.error, IndexError) as reason:
        raise ValueError(f"damaged ELF file ({reason})") from reason


def _read(data: bytes) -> Needs:
    (table,) = struct.unpack_from("<Q", data, 32)
    entry_size, count = struct.unpack_from("<HH", data, 54)
    segments = []
    for index in range(count):
        kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", data, table + index * entry_size)
        segments.append((kind, offset, address, size))
    interpreter = next((_string(data, offset) for kind, offset, _, _ in segments if kind == _PT_INTERP), None)
    dynamic = next(((offset, size) for kind, offset, _, size in segments if kind == _PT_DYNAMIC), None)
    if dynamic is None:
        return Needs(interpreter=interpreter, libraries=(), search=())
    tags = _tags(data, *dynamic)
    strings = next((value for tag, value in tags if tag == _DT_STRTAB), 0)
    base = next(
        offset + strings - address
        for kind, offset, address, size in segments
        if kind == _PT_LOAD and address <= strings < address + size
    )
    paths = [_string(data, base + value) for tag, value in tags if tag in (_DT_RPATH, _DT_RUNPATH)]
    return Needs(
        interpreter=interpreter,
        libraries=tuple(_string(data, base + value) for tag, value in tags if tag == _DT_NEEDED),
        search=tuple(part for path in paths for part in path.split(":") if part),
    )


def _tags(data: bytes, offset: int, size: int) -> list[tuple[int, int]]:
    tags = []
    for position in range(offset, offset + size, 16):
        tag, value = struct.unpack_from("<qQ", data, position)
        if tag == _DT_NULL:
            break
        tags.append((tag, value))
    return tags


def _string(data: bytes, offset: int) -> str:
    end = data.index(b"\0", offset)
    return data[offset:end].decode("utf-8", "replace")
