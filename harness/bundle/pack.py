# SPDX-License-Identifier: GPL-2.0-only
"""Writes a bundle: tar in xz, which every Debian opens (xz-utils is of priority standard there, zstd is not).

The same content is the same file to the byte: fixed order, owner and mode, the run's own time, blocks of a fixed size.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

from harness import process
from harness.bundle import index as names
from harness.bundle.index import Index, Member
from harness.errors import EnvironmentFailure, UserError
from harness.progress import Progress
from harness.store import disk_failure

_CHUNK = 1 << 20
_SECONDS = 1800.0
# the level that packs most for its time (70 MB of kernel and images: 15 MB in 6 s; -3: 21 s for 2 % less)
_XZ = ("xz", "-z", "-c", "-1", "-T2", "--block-size=16MiB", "--check=sha256")

Content = bytes | Path


def describe(contents: Mapping[str, Content], *, progress: Progress) -> tuple[Member, ...]:
    """Each member with its size and digest, in their order; raises :class:`UserError` for one that is too large."""
    found = []
    for number, (name, content) in enumerate(contents.items(), 1):
        progress.update(f"taking the digest of {name}", done=number, total=len(contents))
        found.append(_member(name, content))
    return tuple(found)


def pack(target: Path, index: Index, contents: Mapping[str, Content], *, time: int, progress: Progress) -> None:
    """Write a bundle to a file, which appears whole or not at all. ``time`` (seconds since the epoch) is each member's.

    Raises :class:`EnvironmentFailure` where it cannot be written, or a file changed meanwhile.
    """
    names.check(index, where=str(target))
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    text = msgspec.json.format(msgspec.json.encode(index), indent=1) + b"\n"
    try:
        try:
            with _compressor(beside) as sink:
                _write(sink, index, text, contents, time, progress)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as reason:
        raise disk_failure(reason, f"while writing {target}") from reason


def _member(name: str, content: Content) -> Member:
    digest, size = hashlib.sha256(), 0
    with _opened(content) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    limit = names.most(name)
    if limit is None or size > limit:
        hint = "--no-dump leaves memory dumps out" if name.endswith(names.DUMP) else None
        raise UserError(f"{name} has {size >> 20} MiB, more than a bundle takes", hint=hint)
    return Member(name=name, size=size, sha256=digest.hexdigest())


def _write(
    sink: IO[bytes], index: Index, text: bytes, contents: Mapping[str, Content], time: int, progress: Progress
) -> None:
    top = names.top_folder(index.run)
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.USTAR_FORMAT, bufsize=_CHUNK) as archive:
        archive.addfile(_info(f"{top}/{names.INDEX}", len(text), time), io.BytesIO(text))
        for number, member in enumerate(index.members, 1):
            progress.update(f"packing {member.name}", done=number, total=len(index.members))
            with _opened(contents[member.name]) as stream:
                checked = _Checked(stream)
                archive.addfile(_info(f"{top}/{member.name}", member.size, time), checked)
                if checked.digest.hexdigest() != member.sha256 or stream.read(1):
                    raise EnvironmentFailure(f"{member.name} changed while it was packed", hint="pack it again")


def _info(name: str, size: int, time: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = size, time
    info.mode = 0o755 if name.endswith(names.SCRIPT) else 0o644
    return info


class _Checked(io.RawIOBase):
    """A stream whose digest is taken while it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.digest.update(data)
        return data


def _opened(content: Content) -> contextlib.AbstractContextManager[IO[bytes]]:
    return io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb")


@contextlib.contextmanager
def _compressor(target: Path) -> Iterator[IO[bytes]]:
    """A running xz whose output is a file; leaving the block waits for it."""
    reading, writing = os.pipe()
    with open(reading, "rb") as source, tempfile.TemporaryFile() as said, open(target, "wb") as output:
        sink = open(writing, "wb", buffering=_CHUNK)  # noqa: SIM115 (closed before the wait: that is the end of input)
        try:
            with process.spawn(_XZ, stdin=source, stdout=output, stderr=said) as child:
                source.close()
                with contextlib.suppress(BrokenPipeError):  # xz says why
                    yield sink
                    sink.close()
                status = child.wait(_SECONDS)
            if status != 0:
                said.seek(0)
                lines = said.read(4096).decode("utf-8", "replace").splitlines()
                if any("No space left" in line for line in lines):
                    raise OSError(28, "No space left on device", str(target))
                raise EnvironmentFailure(f"xz failed with {process.describe_exit(status)}", details=lines[:5])
        finally:
            with contextlib.suppress(OSError):
                sink.close()


def ordered(contents: Mapping[str, Content], first: Sequence[str]) -> dict[str, Content]:
    """The members in a bundle's order: what people read first, then the rest by name."""
    rest = sorted(name for name in contents if name not in first)
    return {name: contents[name] for name in (*(name for name in first if name in contents), *rest)}
