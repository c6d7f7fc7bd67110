# SPDX-License-Identifier: GPL-2.0-only
"""makedumpfile's flattened format, as QEMU writes a kdump file to a pipe, put together as it comes.

A header of 4096 bytes, then records of (offset, size, data), big-endian; offset and size -1 end it (makedumpfile(8),
``-F`` and ``-R``; QEMU's dump/dump.c). The end record is the proof that the dump is whole.
"""

from __future__ import annotations

import struct
from typing import IO

_SIGNATURE = b"makedumpfile\0\0\0\0"
_HEADER_BYTES = 4096
_RECORD = struct.Struct(">qq")
_END = (-1, -1)


class NotFlattened(ValueError):
    """What came is not this format."""


class TooLong(Exception):
    """The file would be longer than it may be."""


class Reassembler:
    """Writes the file that a flattened stream describes; ``limit`` is in bytes of that file."""

    def __init__(self, target: IO[bytes], *, limit: int) -> None:
        self.whole = False
        self.written = 0
        self._target = target
        self._limit = limit
        self._waiting = bytearray()
        self._left = 0  # bytes of the record that is being read
        self._begun = False

    def feed(self, chunk: bytes) -> None:
        """Take some bytes. Raises :class:`NotFlattened`, :class:`TooLong`, and ``OSError`` of the file."""
        self._waiting += chunk
        while self._step():
            pass

    def _step(self) -> bool:
        """Do what can be done with the bytes that wait; whether there may be more to do."""
        if self.whole:
            self._waiting.clear()
            return False
        if not self._begun:
            return self._header()
        if self._left:
            return self._data()
        if len(self._waiting) < _RECORD.size:
            return False
        offset, size = _RECORD.unpack_from(self._waiting)
        del self._waiting[: _RECORD.size]
        if (offset, size) == _END:
            self.whole = True
            return False
        if offset < 0 or size <= 0:
            raise NotFlattened(f"a record of {size} bytes at {offset}")
        if offset + size > self._limit:
            raise TooLong
        self._target.seek(offset)
        self._left = size
        return True

    def _header(self) -> bool:
        if len(self._waiting) < _HEADER_BYTES:
            return False
        if not self._waiting.startswith(_SIGNATURE):
            raise NotFlattened("the header is not makedumpfile's")
        del self._waiting[:_HEADER_BYTES]
        self._begun = True
        return True

    def _data(self) -> bool:
        piece = bytes(self._waiting[: self._left])
        if not piece:
            return False
        self._target.write(piece)
        del self._waiting[: len(piece)]
        self._left -= len(piece)
        self.written += len(piece)
        return True
