# SPDX-License-Identifier: GPL-2.0-only
"""The content-addressed cache: kernels, images, runtimes; each entry whole or not there at all.

An entry is a folder ``<cache>/store/<kind>/<key>`` with a ``.entry.json`` that lists its files with size and SHA-256.
It is made in a staging folder beside it and appears by one rename. A lock file per entry keeps two runs from making
the same one twice (advisory flock: a dead holder holds nothing). A look-up checks the files against the list; an
entry that does not match is put aside and made again, with a warning.

So that a look-up costs no reading of hundreds of megabytes, what a file's inode said when its digest was last found
right (size, times of content and of inode, number) is kept in ``.verified.json``; as long as it says the same, the
digest is not computed again. Whoever changes a file changes its inode time, which no program can set. What only a
digest finds, a disk that rots under an untouched inode, ``harness cache check`` finds (``find(..., thorough=True)``).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from harness.errors import EnvironmentFailure, shortage
from harness.paths import held, make_folder
from harness.progress import Progress, Quiet

_LIST = ".entry.json"
_VERIFIED = ".verified.json"
_CHUNK = 1 << 20
_SAY_SECONDS = 5.0

# A file changed within one tick of the file system's clock after its digest was taken would keep its times (the same
# race as in git's index, Documentation/technical/racy-git): times this close to the check are not relied upon.
_RACY_NANOSECONDS = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finished entry: its folder, and the JSON values that its maker recorded."""

    kind: str
    key: str
    path: Path
    meta: dict[str, Any]
    created: float
    size: int


@dataclass(frozen=True, slots=True)
class Store:
    """The cache below one folder. Safe for any number of processes."""

    root: Path

    def path(self, kind: str, key: str) -> Path:
        """Where an entry is or would be."""
        return self.root / "store" / kind / key

    def find(self, kind: str, key: str, *, progress: Progress | None = None, thorough: bool = False) -> Entry | None:
        """The entry if it is there and whole; a damaged one is put aside with a warning, and None returned.

        ``thorough`` computes every digest again, also of files that look untouched.
        """
        path = self.path(kind, key)
        if not path.is_dir():
            return None
        damage, record = self._inspect(path, thorough=thorough)
        if damage is None:
            with contextlib.suppress(OSError):
                os.utime(path / _LIST)  # last use, for pruning
            return _entry(kind, key, path, record)
        if not path.is_dir():
            return None  # taken away by a prune meanwhile
        (progress or Quiet()).warn(f"cache entry {kind}/{key} is damaged ({damage}); it is made again")
        self.remove(kind, key)
        return None

    def damage(self, kind: str, key: str) -> str | None:
        """What is wrong with an entry, every digest computed again; None for a whole one. Changes nothing."""
        return self._inspect(self.path(kind, key), thorough=True, remember=False)[0]

    @staticmethod
    def _inspect(path: Path, *, thorough: bool, remember: bool = True) -> tuple[str | None, dict[str, Any]]:
        """What is wrong with the entry in ``path`` (or None), and its record."""
        try:
            record: dict[str, Any] = json.loads((path / _LIST).read_text())
            files: dict[str, list[Any]] = record["files"]
            _entry("", "", path, record)  # all that a user of the entry reads
            known = {} if thorough else _read_verified(path)
            started = time.time_ns()
            damage, seen = _damage(path, files, known)
            if damage is None and remember and seen != known:
                _write_verified(path, seen, started)
        except FileNotFoundError as reason:
            return f"{Path(str(reason.filename)).name} is missing", {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as reason:
            return f"its list of files cannot be read ({reason})", {}
        return damage, record

    def obtain(
        self,
        kind: str,
        key: str,
        make: Callable[[Path], dict[str, Any]],
        *,
        progress: Progress | None = None,
        wait: float = 3600.0,
        again: bool = False,
    ) -> tuple[Entry, bool]:
        """The entry, made by ``make(staging folder)`` if it is not there; and whether it was there already.

        ``make`` fills the folder and returns the values to record. What it raises passes through and leaves no entry.
        A process that waits for another one's entry says so; after ``wait`` seconds it fails. With ``again`` the entry
        is made although it is there, which it stays until the new one takes its place.
        """
        if again:
            with self.lock(f"{kind}-{key}", what=f"{kind} {key[:12]}", progress=progress, wait=wait):
                return self._make(kind, key, make), False
        found = self.find(kind, key, progress=progress)
        if found is not None:
            return found, True
        with self.lock(f"{kind}-{key}", what=f"{kind} {key[:12]}", progress=progress, wait=wait):
            found = self.find(kind, key, progress=progress)
            if found is not None:
                return found, True
            return self._make(kind, key, make), False

    @contextlib.contextmanager
    def lock(self, name: str, *, what: str, progress: Progress | None = None, wait: float = 3600.0) -> Iterator[None]:
        """Hold a lock by name for the length of the block; ``what`` names it to a user who has to wait."""
        folder = make_folder(self.root / "locks")
        lock = filelock.FileLock(folder / f"{name}.lock")
        try:
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                _wait_for(lock, wait, lambda: (progress or Quiet()).update(f"waiting for another run that uses {what}"))
        except filelock.Timeout:
            raise EnvironmentFailure(
                f"another run has held {what} for {wait:.0f} s", hint=f"it holds {lock.lock_file}; end it or wait"
            ) from None
        except OSError as reason:
            raise EnvironmentFailure(f"cannot lock {lock.lock_file}: {reason.strerror}") from reason
        try:
            yield
        finally:
            lock.release()

    def entries(self) -> list[Entry]:
        """All entries, without checking their files; oldest use first."""
        found: list[tuple[float, Entry]] = []
        for list_file in sorted(self.root.glob(f"store/*/*/{_LIST}")):
            try:
                record = json.loads(list_file.read_text())
                entry = _entry(list_file.parent.parent.name, list_file.parent.name, list_file.parent, record)
                found.append((list_file.stat().st_mtime, entry))
            except (OSError, ValueError, KeyError):
                continue
        return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]

    def remove(self, kind: str, key: str) -> None:
        """Take an entry away: by a rename first, so that nobody sees half of it."""
        path = self.path(kind, key)
        aside = path.parent / f".removed-{uuid.uuid4().hex}"
        try:
            path.rename(aside)
        except FileNotFoundError:
            return
        except OSError as reason:
            raise EnvironmentFailure(f"cannot remove {path}: {reason.strerror}") from reason
        shutil.rmtree(aside, ignore_errors=True)

    def _make(self, kind: str, key: str, make: Callable[[Path], dict[str, Any]]) -> Entry:
        parent = make_folder(self.root / "store" / kind)
        self.sweep(kind)
        path = self.path(kind, key)
        try:
            with _staging(parent) as staging:
                meta = make(staging)
                record = {"files": _list_files(staging), "meta": meta, "created": time.time()}
                (staging / _LIST).write_text(json.dumps(record, indent=1, sort_keys=True))
                if path.exists():
                    self.remove(kind, key)
                staging.rename(path)
        except OSError as reason:
            raise disk_failure(reason, f"while making the cache entry {kind}/{key[:12]}") from reason
        return _entry(kind, key, path, record)

    @staticmethod
    def in_progress(staging: Path) -> bool:
        """Whether a running process is making (or removing) the entry in a staging folder."""
        with held(staging) as ours:
            return not ours

    def sweep(self, kind: str) -> int:
        """Remove what killed processes left: staging folders that nobody holds, entries half removed. Bytes freed."""
        freed = 0
        parent = self.root / "store" / kind
        for left in [*parent.glob(".making-*"), *parent.glob(".removed-*")]:
            with held(left) as ours:
                if ours:
                    freed += folder_size(left)
                    shutil.rmtree(left, ignore_errors=True)
        return freed


def _wait_for(lock: filelock.BaseFileLock, seconds: float, say: Callable[[], None]) -> None:
    """Take a lock that another process holds, saying now and then that this waits; raises ``filelock.Timeout``."""
    until = time.monotonic() + seconds
    while True:
        say()
        remaining = until - time.monotonic()
        try:
            lock.acquire(timeout=max(0.0, min(_SAY_SECONDS, remaining)))
        except filelock.Timeout:
            if remaining <= _SAY_SECONDS:
                raise
        else:
            return


@contextlib.contextmanager
def _staging(parent: Path) -> Iterator[Path]:
    """A folder to make an entry in, locked as long as its maker lives; gone afterwards unless it was renamed."""
    while True:
        folder = parent / f".making-{os.getpid()}-{uuid.uuid4().hex}"
        folder.mkdir()
        with held(folder) as ours:
            if ours is False or not folder.is_dir():
                continue  # a sweep was quicker than our lock
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return


def disk_failure(reason: OSError, when: str) -> EnvironmentFailure:
    """The error for a file operation that failed; a full disk is named as such."""
    place = f" ({reason.filename})" if reason.filename and str(reason.filename) not in when else ""
    if reason.errno in (errno.ENOSPC, errno.EDQUOT):
        return EnvironmentFailure(f"the disk is full {when}{place}", hint="free some space, or `harness cache prune`")
    return shortage(reason) or EnvironmentFailure(f"{reason.strerror or reason} {when}{place}")


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def folder_digest(folder: Path, pattern: str = "*") -> str:
    """A SHA-256 over the names and contents of a folder's files (not those of its folders) that match."""
    files = sorted(path for path in folder.glob(pattern) if path.is_file())
    return value_digest([(path.name, file_digest(path)) for path in files])


def tree_digest(folder: Path) -> str:
    """A SHA-256 over the names and contents of all files below a folder, compiled Python left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return value_digest(sorted((str(path.relative_to(folder)), file_digest(path)) for path in files))


def value_digest(*values: Any) -> str:
    """A SHA-256 over JSON-able values, in hex: the key of what they decide."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _list_files(folder: Path) -> dict[str, list[Any]]:
    files: dict[str, list[Any]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            files[str(path.relative_to(folder))] = [-1, str(path.readlink())]
        elif path.is_file():
            files[str(path.relative_to(folder))] = [path.stat().st_size, file_digest(path)]
    return files


def _damage(
    folder: Path, files: dict[str, list[Any]], known: dict[str, list[int]]
) -> tuple[str | None, dict[str, list[int]]]:
    """What is wrong with an entry's files, or None; and what their inodes say.

    Links by target; files by size first, then by digest unless their inode says what it said before (``known``).
    """
    seen: dict[str, list[int]] = {}
    for name, (size, content) in files.items():
        path = folder / name
        if size < 0:
            if not path.is_symlink() or str(path.readlink()) != content:
                return f"the link {name} is missing or leads elsewhere", seen
            continue
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return f"{name} has another size", seen
        seen[name] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    for name, identity in seen.items():
        if known.get(name) != identity and file_digest(folder / name) != files[name][1]:
            return f"{name} has another content", seen
    return None, seen


def _read_verified(folder: Path) -> dict[str, list[int]]:
    try:
        known = json.loads((folder / _VERIFIED).read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write_verified(folder: Path, seen: dict[str, list[int]], started: int) -> None:
    """Remember inodes whose times lie safely before the check; unwritten, digests are computed again."""
    settled = {name: identity for name, identity in seen.items() if identity[2] < started - _RACY_NANOSECONDS}
    temporary = folder / f"{_VERIFIED}.{os.getpid()}-{uuid.uuid4().hex}"
    try:
        temporary.write_text(json.dumps(settled))
        temporary.replace(folder / _VERIFIED)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()


def folder_size(folder: Path) -> int:
    """The bytes of a folder's files, its share of those with other names; what vanishes meanwhile counts nothing."""
    total, folders = 0, [os.fspath(folder)]
    while folders:  # pathlib takes three times as long, which a worktree's 90,000 files make felt
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                if is_folder:
                    folders.append(entry.path)
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    total += status.st_size // (1 if is_folder else max(1, status.st_nlink))
    return total


def _entry(kind: str, key: str, path: Path, record: dict[str, Any]) -> Entry:
    size = sum(size for size, _ in record["files"].values() if size > 0)
    return Entry(kind=kind, key=key, path=path, meta=record["meta"], created=record["created"], size=size)
