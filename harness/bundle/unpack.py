# SPDX-License-Identifier: GPL-2.0-only
"""Opens a bundle like any hostile input: decompressed, checked and written member by member, in one pass.

The index comes first and says what must follow, in which order, how large, with which digest. A header that says
anything else (a path, a link, a device, an extension of tar) ends it. Nothing larger than its index says is ever
written or held; the folder written to is the caller's, and is thrown away where this fails.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.bundle import index as names
from harness.bundle.index import AGAIN, Index, Member, shown
from harness.errors import EnvironmentFailure, UserError
from harness.progress import Progress
from harness.store import disk_failure

_MAGIC = b"\xfd7zXZ\x00"
_MEMORY = 256 << 20  # bytes that the decompressor may have: xz -9 needs 65 MiB
_CHUNK = 1 << 18
_BLOCK = 512
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)
_KINDS = {
    tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link", tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a pipe", tarfile.DIRTYPE: "a folder",
}  # fmt: skip
_RESERVE = 256 << 20  # bytes to leave free on the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A bundle that was found to be whole: its index, and the files that were written, by member."""

    index: Index
    files: dict[str, Path]


def unpack(bundle: Path, folder: Path, *, wanted: Callable[[str], bool], progress: Progress) -> Unpacked:
    """Check a whole bundle and write those of its members that are ``wanted`` below ``folder``.

    Raises :class:`UserError` naming the bundle and the member where anything is not as its index says;
    :class:`EnvironmentFailure` where the disk has no room for it.
    """
    try:
        with open(bundle, "rb") as stream:
            if stream.read(len(_MAGIC)) != _MAGIC:
                raise UserError(
                    f"{bundle} is no bundle: it is not compressed with xz", hint="`harness bundle RUN` makes one"
                )
            stream.seek(0)
            return _Reader(stream, bundle, progress).unpack(folder, wanted)
    except FileNotFoundError:
        raise UserError(f"there is no bundle {bundle}") from None
    except IsADirectoryError:
        raise UserError(f"{bundle} is a folder, not a bundle") from None
    except PermissionError as reason:
        raise UserError(f"{bundle} cannot be read: {reason.strerror}") from None
    except OSError as reason:
        raise disk_failure(reason, f"while unpacking {bundle}") from reason


class _Reader:
    """One pass over a bundle; ``_at`` is the member that an error is to name."""

    def __init__(self, stream: IO[bytes], bundle: Path, progress: Progress) -> None:
        self._stream = stream
        self._bundle = bundle
        self._progress = progress
        self._xz = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY)
        self._at = names.INDEX

    def unpack(self, folder: Path, wanted: Callable[[str], bool]) -> Unpacked:
        """All of it."""
        name, size = self._header("the index")
        top, slash, rest = name.partition("/")
        if not slash or rest != names.INDEX:
            raise self._error(
                f"its first member is {shown(name)}, not {names.INDEX}", hint="`harness bundle` makes one"
            )
        if size > names.MOST_INDEX:
            raise self._error(f"its {names.INDEX} is said to have {size} bytes", hint="do not trust this file")
        index = names.parse(self._exactly(size), where=str(self._bundle))
        self._skip_padding(size)
        if top != names.top_folder(index.run):
            raise self._error(f"is not of run {index.run}: its folder is {shown(top)}", hint="do not trust this file")
        self._check_room(folder, [member for member in index.members if wanted(member.name)])
        files: dict[str, Path] = {}
        for number, member in enumerate(index.members, 1):
            self._at = member.name
            self._progress.update(f"checking {member.name}", done=number, total=len(index.members))
            self._check_header(top, member, names.names(index.members))
            target = folder / member.name if wanted(member.name) else None
            self._content(member, target)
            if target is not None:
                files[member.name] = target
        self._at = "the end"
        self._finish()
        return Unpacked(index=index, files=files)

    def _check_header(self, top: str, member: Member, known: tuple[str, ...]) -> None:
        name, size = self._header(f"the member {member.name}")
        if name != f"{top}/{member.name}":
            parts = name.split("/")
            if name.startswith("/") or ".." in parts:
                raise self._error(f"holds the path {shown(name)}, which leads out of it", hint="do not trust this file")
            if name.removeprefix(f"{top}/") in known:
                raise self._error(f"was altered: {shown(name)} is where the member {member.name} should be")
            raise self._error(f"holds the member {shown(name)}, which its index does not name")
        if size != member.size:
            raise self._error(f"was altered: the member {member.name} has {size} bytes, not {member.size}")

    def _header(self, what: str) -> tuple[str, int]:
        """The next member's name and size; only plain files are any."""
        block = self._exactly(_BLOCK)
        if not any(block):
            raise self._error(f"is cut short: it ends before {what}")
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as reason:
            raise self._error(f"is damaged at {what}: {reason}") from None
        if info.type not in _REGULAR:
            kind = _KINDS.get(info.type, f"an entry of type {info.type!r}")
            raise self._error(
                f"holds {kind}, {shown(info.name)}: a bundle has plain files", hint="do not trust this file"
            )
        if info.size < 0:
            raise self._error(f"is damaged at {what}: a size of {info.size}")
        return info.name, info.size

    def _content(self, member: Member, target: Path | None) -> None:
        digest, left = hashlib.sha256(), member.size
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
        # O_EXCL and O_NOFOLLOW: the folder is ours alone, and stays so
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        sink = open(os.open(target, flags, 0o600), "wb") if target is not None else None  # noqa: SIM115 (closed below)
        try:
            while left:
                data = self._some(min(left, _CHUNK))
                left -= len(data)
                digest.update(data)
                if sink is not None:
                    sink.write(data)
        finally:
            if sink is not None:
                sink.close()
        if digest.hexdigest() != member.sha256:
            raise self._error(f"was altered: the content of the member {member.name} is not what its index says")
        self._skip_padding(member.size)

    def _finish(self) -> None:
        """Two blocks of zeros, zeros up to the end of the archive, and nothing after it."""
        if any(self._exactly(2 * _BLOCK)):
            raise self._error("holds more than its index names")
        zeros = 0
        while data := self._read(_CHUNK):
            zeros += len(data)
            if any(data) or zeros > 1 << 20:
                raise self._error("holds more than its index names")
        if self._xz.unused_data or self._stream.read(1):
            raise self._error("holds more after its end")

    def _check_room(self, folder: Path, wanted: list[Member]) -> None:
        needed = sum(member.size for member in wanted) + _RESERVE
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise EnvironmentFailure(
                f"{self._bundle} needs {needed >> 20} MiB to be unpacked; {folder} has {free >> 20} MiB",
                hint="free some space (`harness cache prune`), or choose another --cache-dir",
            )

    def _skip_padding(self, size: int) -> None:
        if any(self._exactly(-size % _BLOCK)):
            raise self._error(f"is damaged after the member {self._at}")

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            parts.append(self._some(size))
            size -= len(parts[-1])
        return b"".join(parts)

    def _some(self, most: int) -> bytes:
        data = self._read(most)
        if not data:
            raise self._error(f"is cut short in {self._place()}")
        return data

    def _read(self, most: int) -> bytes:
        """Up to ``most`` bytes; none at the end of the compressed stream."""
        while not self._xz.eof:
            raw = self._stream.read(_CHUNK) if self._xz.needs_input else b""
            if self._xz.needs_input and not raw:
                raise self._error(f"is cut short in {self._place()}")
            try:
                data = self._xz.decompress(raw, most)
            except (lzma.LZMAError, MemoryError) as reason:
                raise self._error(f"is damaged in {self._place()}: {reason}") from None
            if data:
                return data
        return b""

    def _place(self) -> str:
        return f"the member {self._at}" if self._at != "the end" else "its last bytes"

    def _error(self, what: str, *, hint: str = AGAIN) -> UserError:
        verb = "" if what.startswith(("is ", "was ", "holds ")) else "is no bundle: "
        return UserError(f"{self._bundle} {verb}{what}", hint=hint)
