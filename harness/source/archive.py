# SPDX-License-Identifier: GPL-2.0-only
"""Imports a source tarball into a repository as one commit, streaming: nothing is unpacked to the disk.

The commit has no parent, a fixed author and a fixed date: the same files are the same commit, whatever the
compression or the name of the tarball's top folder. The tarball is foreign: names that climb out, reach into ``.git``
or name devices are refused, and sizes are capped.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from harness import process, repository
from harness.errors import EnvironmentFailure, UserError
from harness.paths import Paths
from harness.progress import Progress
from harness.repository import Repository
from harness.store import disk_failure

_SECONDS = 1800.0
_PIPE = 1 << 20
# a kernel has some 92,000 members and 1.5 GiB, its largest file 20 MiB
_MAX_MEMBERS = 1_000_000
_MAX_FILE = 256 << 20
_MAX_TOTAL = 10 << 30
_MAX_HEADER = 1 << 20  # of a name or of extended attributes, which tarfile reads whole
_HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK)  # fmt: skip
_MAGIC = (
    (b"\xfd7zXZ\x00", ("xz", "-T0", "-dc")),
    (b"\x1f\x8b", ("gzip", "-dc")),
    (b"BZh", ("bzip2", "-dc")),
    (b"\x28\xb5\x2f\xfd", ("zstd", "-dc")),
)


class _NoCommonFolder(Exception):
    """The members do not lie in one top folder after all."""


class _Member(tarfile.TarInfo):
    """A member whose own description is not larger than any."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and self.size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


@dataclass(slots=True)
class _Count:
    members: int = 0
    size: int = 0
    files: set[bytes] = field(default_factory=set)


def import_tarball(
    into: Repository, tarball: Path, *, ref: str, paths: Paths, progress: Progress, name: str | None = None
) -> str:
    """Import a tarball (plain, xz, gzip, bzip2 or zstd) and point ``ref`` at the commit, which is returned.

    A single top folder that holds everything is left out of the paths. ``name`` is what the user calls the tarball.
    The caller holds the repository's lock. Raises :class:`UserError` where the tarball is cut short, damaged, none at
    all, or holds names that climb out.
    """
    name = name or str(tarball)
    with paths.scratch("import") as scratch:
        try:
            return _import(into, tarball, ref, scratch, progress, name, strip=True)
        except _NoCommonFolder:
            return _import(into, tarball, ref, scratch, progress, name, strip=False)


def _import(
    into: Repository, tarball: Path, ref: str, scratch: Path, progress: Progress, name: str, *, strip: bool
) -> str:
    # a name of this import's own: two imports never meet, and `ref` appears only when the commit is whole
    passing = f"refs/harness/import/{scratch.name}"
    whole = False
    _sweep(into)
    try:
        with _decompressed(tarball, scratch, name) as stream, _fast_import(into, scratch) as sink:
            sink.write(_commit_header(passing))
            count = _members(stream, sink, strip=strip, progress=progress, name=name)
            sink.write(b"\ndone\n")
        if not count.files:
            raise UserError(f"{name} holds no files", hint="a source archive is expected")
        commit = into.git("rev-parse", "--verify", passing).text.strip()
        into.set_ref(ref, commit)
        whole = True
        return commit
    except tarfile.TarError as reason:
        raise UserError(f"{name} is cut short, damaged or no tarball: {reason}", hint=_AGAIN) from reason
    except OSError as reason:
        raise disk_failure(reason, f"while importing {name}") from reason
    finally:
        into.git("update-ref", "-d", passing, check=False)
        if not whole:
            _sweep(into)


def _sweep(into: Repository) -> None:
    """Remove what a stopped import left (callers hold the repository's lock, so nobody else is importing)."""
    for left in (*into.path.glob("objects/pack/tmp_*"), *into.path.glob("fast_import_crash_*")):
        left.unlink(missing_ok=True)


_AGAIN = "download it again, or compare its digest with the publisher's"


def _commit_header(ref: str) -> bytes:
    who = f"{repository.NAME} <{repository.EMAIL}> {repository.DATE}"
    message = b"Source archive\n"
    return f"commit {ref}\nauthor {who}\ncommitter {who}\ndata {len(message)}\n".encode() + message


def _members(stream: IO[bytes], sink: IO[bytes], *, strip: bool, progress: Progress, name: str) -> _Count:
    count = _Count()
    top: bytes | None = None
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_PIPE, errorlevel=2, tarinfo=_Member) as archive:
        for member in archive:
            count.members += 1
            count.size += member.size
            if count.members > _MAX_MEMBERS or member.size > _MAX_FILE or count.size > _MAX_TOTAL:
                raise UserError(f"{name} is larger than any kernel ({member.name[:200]!r})", hint=_AGAIN)
            if count.members % 4000 == 0:
                archive.members.clear()  # type: ignore[attr-defined]  # tarfile remembers each
                progress.update("importing the source", done=count.members, total=_expected(count.members))
            parts = _parts(member, name)
            if not parts:
                continue
            if strip:
                top = parts[0] if top is None else top
                if parts[0] != top or (len(parts) == 1 and not member.isdir()):
                    raise _NoCommonFolder
                parts = parts[1:]
            if parts and not member.isdir():
                _file(archive, member, b"/".join(parts), sink, count, name, strip=strip)
    while stream.read(_PIPE):  # what follows the end mark: padding, and the check of the decompressor
        pass
    return count


def _expected(members: int) -> int:
    """A kernel has some 92,000 members; the total of a stream is known only at its end."""
    return max(92_500, members)


def _parts(member: tarfile.TarInfo, name: str) -> list[bytes]:
    """The components of a member's path; refuses what could leave the tree or hide in git's own folder."""
    raw = os.fsencode(member.name)
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    bad = raw.startswith(b"/") or b".." in parts or b"\0" in raw or any(part.lower() == b".git" for part in parts)
    if bad:
        shown = raw.decode("utf-8", "replace")
        raise UserError(f"{name} holds the path {shown!r}, which leads out of the tree", hint="do not trust this file")
    return parts


def _file(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    path: bytes,
    sink: IO[bytes],
    count: _Count,
    name: str,
    *,
    strip: bool,
) -> None:
    if member.isreg():
        content = archive.extractfile(member)
        assert content is not None
        mode = b"100755" if member.mode & 0o100 else b"100644"
        _blob(sink, mode, path, content.read())
    elif member.issym():
        _blob(sink, b"120000", path, os.fsencode(member.linkname))
    elif member.islnk():
        target = _parts(tarfile.TarInfo(member.linkname), name)[1 if strip else 0 :]
        if b"/".join(target) not in count.files:
            raise UserError(f"{name} holds a hard link to a file that is not in it: {member.linkname!r}", hint=_AGAIN)
        sink.write(b"C %s %s\n" % (_quoted(b"/".join(target)), _quoted(path)))
    else:
        raise UserError(f"{name} holds a device or pipe: {member.name!r}", hint="do not trust this file")
    count.files.add(path)


def _blob(sink: IO[bytes], mode: bytes, path: bytes, content: bytes) -> None:
    sink.write(b"M %s inline %s\ndata %d\n" % (mode, _quoted(path), len(content)))
    sink.write(content)
    sink.write(b"\n")


def _quoted(path: bytes) -> bytes:
    """A path as git-fast-import(1) wants it: C-quoted."""
    out = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + out + b'"'


@contextlib.contextmanager
def _decompressed(tarball: Path, scratch: Path, name: str) -> Iterator[IO[bytes]]:
    """The tar stream of a tarball. Leaving the block normally checks that the decompressor was content."""
    try:
        with open(tarball, "rb", buffering=0) as stream:  # unbuffered: the decompressor reads from the same offset
            head = stream.read(8)
            size = os.fstat(stream.fileno()).st_size
            command = next((argv for magic, argv in _MAGIC if head.startswith(magic)), None)
            stream.seek(0)
            if command is None:
                _check_plain(stream, size, name)
                yield stream
                return
            with (
                tempfile.TemporaryFile(dir=scratch) as said,
                process.spawn(command, stdin=stream, stdout="pipe", stderr=said) as child,
            ):
                assert child.popen.stdout is not None
                _widen(child.popen.stdout)
                try:
                    yield child.popen.stdout
                finally:
                    child.popen.stdout.close()
                status = child.wait(60.0)
                if status != 0:
                    said.seek(0)
                    raise UserError(
                        f"{name} is cut short or damaged",
                        details=said.read(4096).decode("utf-8", "replace").splitlines(),
                        hint=_AGAIN,
                    )
    except FileNotFoundError as reason:
        raise UserError(f"{name} is not there", hint="check the path") from reason
    except (PermissionError, IsADirectoryError) as reason:
        raise UserError(f"{name} cannot be read: {reason.strerror}") from reason


def _check_plain(stream: io.FileIO, size: int, name: str) -> None:
    """An uncompressed tar ends with two blocks of zeros; tarfile takes one cut between two members for whole."""
    if size >= 1024:
        stream.seek(size - 1024)
        whole = size % 512 == 0 and not any(stream.read(1024))
        stream.seek(0)
        if whole:
            return
    raise UserError(f"{name} is cut short, damaged or no tarball", hint=_AGAIN)


@contextlib.contextmanager
def _fast_import(into: Repository, scratch: Path) -> Iterator[IO[bytes]]:
    """A running git fast-import; leaving the block waits for it. No commit is made where the block is left early."""
    words = repository.argv(
        f"--git-dir={into.path}",
        "-c", "core.compression=1", "-c", "pack.compression=1", "-c", "fastimport.unpackLimit=0",
        "fast-import", "--quiet", "--force", "--done", "--depth=0",
    )  # fmt: skip
    reading, writing = os.pipe()
    with open(reading, "rb") as source, tempfile.TemporaryFile(dir=scratch) as said:
        sink = open(writing, "wb", buffering=1 << 18)  # noqa: SIM115 (closed before the wait: that is the end of input)
        try:
            _widen(sink)
            env = repository.environment()
            with process.spawn(words, env=env, stdin=source, stdout="null", stderr=said) as child:
                source.close()
                try:
                    yield sink
                    sink.close()
                    status = child.wait(_SECONDS)
                except BrokenPipeError:
                    status = child.wait(60.0)
                if status != 0:
                    said.seek(0)
                    reason = said.read(1 << 16).decode("utf-8", "replace").splitlines()
                    completed = process.Completed(
                        argv=words, returncode=status, stdout=b"", stderr="\n".join(reason[:5]).encode(), seconds=0.0
                    )
                    raise repository.git_failure(completed, error=EnvironmentFailure)
        finally:
            with contextlib.suppress(OSError):
                sink.close()


def _widen(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)
