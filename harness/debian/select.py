# SPDX-License-Identifier: GPL-2.0-only
"""Take the wanted files out of a tar file of packages, with every library that they need.

Nothing is left to chance at run time: a program that would not find a library is an error here, which names both.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.debian import elf
from harness.debian.manifest import Manifest
from harness.errors import EnvironmentFailure

# Where the dynamic loader of Debian's amd64 looks without being told (ld.so(8), and Debian's multiarch patch).
_LIBRARY_FOLDERS = ("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib")
_MERGED = ("bin/", "sbin/", "lib/", "lib64/")


def unpack(tar: Path, manifest: Manifest, folder: Path) -> list[str]:
    """Write the files that ``manifest`` keeps below ``folder``; returns their paths, sorted.

    Owners, set-user-id bits and devices are left out. Raises :class:`EnvironmentFailure` for a pattern that matches
    nothing and for a library that is not there.
    """
    try:
        with tarfile.open(tar, "r:") as archive:
            contents = _Contents(archive)
            wanted = sorted(select(contents, manifest))
            for name in wanted:
                contents.write(name, folder)
    except tarfile.TarError as reason:
        raise EnvironmentFailure(f"the packages' tar file is damaged: {reason}", hint="try again") from reason
    for link in manifest.link:
        path = folder / link.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(link.target)
    return wanted


def select(contents: _Contents, manifest: Manifest) -> set[str]:
    """The paths that a manifest keeps, with the libraries of what is a program or a library among them."""
    drop = _matcher(entry.path for entry in manifest.drop)
    wanted: set[str] = set()
    nowhere: list[str] = []
    for keep in manifest.keep:
        pattern = _matcher([keep.path])
        found = {name for name in contents.names if pattern(name) and not drop(name)}
        if not found:
            nowhere.append(f"{keep.path} ({keep.reason})")
        wanted |= found
    if nowhere:
        raise EnvironmentFailure(
            "files are in none of the packages",
            details=nowhere,
            hint="a package changed: correct the list of files to keep",
        )
    pending = sorted(wanted)
    while pending:
        name = pending.pop()
        for needed in contents.requires(name):
            if needed not in wanted:
                wanted.add(needed)
                pending.append(needed)
    return wanted


def _matcher(patterns: Iterable[str]) -> _Match:
    return _Match(re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns) or r"(?!)"))


class _Match:
    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def __call__(self, name: str) -> bool:
        return self._pattern.match(name) is not None


class _Contents:
    """A tar file's regular files and links by path (no leading ``/`` or ``./``, merged-/usr paths)."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members: dict[str, tarfile.TarInfo] = {}
        for member in archive:
            name = _normal(member.name)
            if not (member.isfile() or member.islnk() or member.issym()) or name.startswith(("../", "/")):
                continue
            self._members[name] = member

    @property
    def names(self) -> Iterable[str]:
        return self._members

    def requires(self, name: str) -> Iterator[str]:
        """What a file needs to be of use: a link its target, an ELF file its loader and libraries."""
        member = self._members[name]
        if member.issym():
            target = self.target(name)
            if target in self._members:
                yield target
            return
        if not member.isfile() or member.size < 64 or self._read(member, len(elf.MAGIC)) != elf.MAGIC:
            return
        try:
            needs = elf.needs(self._read(member))
        except ValueError as reason:
            raise EnvironmentFailure(f"{name}: {reason}") from reason
        if needs.interpreter is not None:
            yield self._existing(name, needs.interpreter, [_normal(needs.interpreter)])
        own = [_normal(path.replace("$ORIGIN", posixpath.dirname(name))) for path in needs.search]
        for library in needs.libraries:
            yield self._existing(name, library, [f"{folder}/{library}" for folder in (*own, *_LIBRARY_FOLDERS)])

    def target(self, name: str) -> str:
        """Where a symbolic link leads, as a path in the tar file."""
        link = self._members[name].linkname
        return _normal(link) if link.startswith("/") else _normal(posixpath.join(posixpath.dirname(name), link))

    def write(self, name: str, folder: Path) -> None:
        member = self._members[name]
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.resolve().is_relative_to(folder.resolve()):
            raise tarfile.TarError(f"{name} lies behind a link that leads out")
        if member.issym():
            path.symlink_to(member.linkname)
            return
        if member.islnk():
            member = self._members[_normal(member.linkname)]
        path.write_bytes(self._read(member))
        path.chmod(0o755 if member.mode & 0o111 else 0o644)

    def _existing(self, name: str, needed: str, candidates: list[str]) -> str:
        for candidate in candidates:
            if candidate in self._members:
                return candidate
        raise EnvironmentFailure(
            f"{name} needs {needed}, which is in none of the packages",
            hint="a package changed: add the one that has it, or stop assuming it",
        )

    def _read(self, member: tarfile.TarInfo, size: int = -1) -> bytes:
        stream = self._archive.extractfile(member)
        if stream is None:
            raise tarfile.TarError(f"{member.name} has no content")
        data = stream.read(size)
        if len(data) != (member.size if size < 0 else min(size, member.size)):
            raise tarfile.TarError(f"{member.name} is cut short")
        return data


def _normal(name: str) -> str:
    path = posixpath.normpath(name.lstrip("/"))
    return f"usr/{path}" if path.startswith(_MERGED) else path
