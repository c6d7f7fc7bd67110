# SPDX-License-Identifier: GPL-2.0-only
"""``tarball:PATH-or-URL[#sha256=…]``: a source archive, imported as one commit.

A file is looked at again when its size or time changed. A URL is fetched once (an interrupted download goes on where
it stopped) and remembered until ``harness source update``. With ``#sha256=`` the digest is checked before anything
is imported, and an archive with that digest that is there already needs no file and no network.
"""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import UserError
from harness.repository import Repository
from harness.source import archive, download, memory
from harness.source.kind import Kind, Request, archives, tree
from harness.store import file_digest
from harness.values import Tree


def _parse(rest: str) -> tuple[str, str | None]:
    """The location and the digest."""
    location, mark, fragment = rest.partition("#")
    if not mark:
        return location, None
    name, _, digest = fragment.partition("=")
    if name != "sha256" or not re.fullmatch(r"[0-9A-Fa-f]{64}", digest):
        raise UserError(
            f"'#{fragment}' is no digest of a tarball", hint="write #sha256= and the 64 hex digits of its SHA-256"
        )
    return location, digest.lower()


def _is_url(location: str) -> bool:
    return location.startswith(("http://", "https://"))


def _plan(rest: str) -> tuple[str, ...]:
    location, digest = _parse(rest)
    return (
        f"fetch {location}" if _is_url(location) else f"read {location}",
        f"check that its SHA-256 is {digest}" if digest else "take its SHA-256 (none was given to check)",
        "import it as one commit into the repository of archives",
    )


def _obtain(request: Request) -> Tree:
    location, digest = _parse(request.rest)
    facts = {} if _is_url(location) else _file_facts(location, digest)
    if not request.refresh:
        remembered = memory.recall(request.paths, request.spec, facts=facts)
        if remembered is not None:
            return remembered.tree
    with request.store.lock("source-archives", what="the repository of archives", progress=request.progress):
        repository = Repository.create(archives(request.paths))
        commit, digest = _commit(request, repository, location, digest)
        found = tree(repository, commit, request.spec, {"location": location, "sha256": digest})
        memory.remember(request.paths, found, facts=facts)
        return found


def _commit(request: Request, repository: Repository, location: str, digest: str | None) -> tuple[str, str]:
    if digest is not None and (commit := repository.resolve(_ref(digest))) is not None and repository.has(commit):
        return commit, digest
    path = Path(location).expanduser()
    if _is_url(location):
        if digest is None:
            request.progress.warn(f"{location} is taken as it comes: add #sha256=… to have it checked")
        path = download.fetch(location, request.paths, progress=request.progress)
    request.progress.update("taking the digest")
    try:
        actual = file_digest(path)
    except OSError as reason:
        raise UserError(f"{location} cannot be read: {reason.strerror}") from reason
    try:
        if digest is not None and actual != digest:
            raise UserError(
                f"{location} is not the expected file: its SHA-256 is {actual}, expected {digest}",
                hint="it is cut short, altered, or another release; fetch it again or correct the digest",
            )
        commit = repository.resolve(_ref(actual))
        if commit is None or not repository.has(commit):
            commit = archive.import_tarball(
                repository, path, ref=_ref(actual), paths=request.paths, progress=request.progress, name=location
            )
    finally:
        if _is_url(location):
            path.unlink(missing_ok=True)
    return commit, actual


def _ref(digest: str) -> str:
    return f"refs/harness/archive/{digest}"


def _file_facts(location: str, digest: str | None) -> dict[str, str]:
    """What decides whether a file is still the one that was imported. With a digest, a missing file may be known."""
    path = Path(location).expanduser()
    try:
        status = path.stat()
    except OSError as reason:
        if digest is not None:
            return {"path": str(path.absolute())}
        raise UserError(
            f"there is no tarball {location}: {reason.strerror}", hint="a path, or a URL with http:// or https://"
        ) from reason
    if not path.is_file():
        raise UserError(f"{location} is not a file", hint=f"for an unpacked tree write tree:{location}")
    return {
        "path": str(path.absolute()),
        "size": str(status.st_size),
        "mtime_ns": str(status.st_mtime_ns),
        "inode": str(status.st_ino),
    }


KIND = Kind(
    prefix="tarball",
    form="tarball:PATH-or-URL[#sha256=DIGEST]",
    about="a source archive (tar, xz, gzip, bzip2, zstd)",
    plan=_plan,
    obtain=_obtain,
)
