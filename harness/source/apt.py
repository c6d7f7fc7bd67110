# SPDX-License-Identifier: GPL-2.0-only
"""Packages through apt, without installing them and without root.

Which archives there are, and the keys that vouch for them, come from the host's own apt configuration. apt checks
the archive's signature, the index against it, and the package against the index; the package's SHA-256 is checked
once more here. Where the host's package lists do not know a package (or are stale), lists of our own are kept below
the cache; the host's are never written. What the host's archives do not have (Debian 12 without its security archive
has no 6.12) may be in Debian's stable release or its backports, on the mirror that the host uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from harness import process
from harness.debian import find_archive
from harness.errors import EnvironmentFailure
from harness.paths import Paths, make_folder
from harness.progress import Progress
from harness.store import Store, file_digest

_STABLE = "trixie"
_SAFE = (
    "-o", "APT::Get::AllowUnauthenticated=false",
    "-o", "Acquire::AllowInsecureRepositories=false",
    "-o", "Acquire::Retries=3",
    "-o", "APT::Sandbox::User=",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that the archives offer: ``sha256`` of its file, as the signed index says."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Lists:
    """A set of package lists: the host's (``root`` None), or our own below ``root``.

    ``sources`` (a file as sources.list(5)) is in place of the host's archives.
    """

    root: Path | None
    sources: Path | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """The options that make an apt command use these lists."""
        if self.root is None:
            return ()
        # the cache by name: images of containers switch it off, and each command then reads every list again
        ours = ("-o", f"Dir::State={self.root}/state", "-o", f"Dir::Cache={self.root}/cache",
                "-o", "Dir::Cache::pkgcache=pkgcache.bin",
                "-o", "Dir::State::status=/var/lib/dpkg/status")  # fmt: skip
        if self.sources is None:
            return ours
        return (*ours, "-o", f"Dir::Etc::SourceList={self.sources}", "-o", "Dir::Etc::SourceParts=/dev/null")


HOST = Lists(None)


def own_lists(paths: Paths, *, store: Store, progress: Progress) -> Lists:
    """Lists of our own, fetched now. Raises :class:`EnvironmentFailure` where an archive cannot be reached."""
    return _fetched(Lists(paths.cache / "apt"), store=store, progress=progress)


def stable_lists(paths: Paths, *, store: Store, progress: Progress) -> Lists:
    """The lists of Debian's stable release and its backports, fetched now.

    Its security archive is looked for beside the mirror, as deb.debian.org has it. Not every mirror has that, or the
    backports. Raises as :func:`own_lists` and :func:`find_archive` do.
    """
    archive = find_archive()
    security = replace(archive, mirror=f"{archive.mirror.rstrip('/')}-security")
    root = make_folder(paths.cache / "apt" / _STABLE)
    lists = Lists(root, root / "sources.list")
    lines = [archive.source(_STABLE), archive.source(f"{_STABLE}-backports"), security.source(f"{_STABLE}-security")]
    while True:
        (root / "sources.list").write_text("\n".join(lines) + "\n")
        try:
            return _fetched(lists, store=store, progress=progress)
        except EnvironmentFailure:
            if len(lines) == 1:
                raise
            lines.pop()


def _fetched(lists: Lists, *, store: Store, progress: Progress) -> Lists:
    assert lists.root is not None
    with store.lock("apt-lists", what="the package lists", progress=progress):
        for folder in ("state/lists/partial", "cache/archives/partial"):
            make_folder(lists.root / folder)
        progress.update("fetching package lists")
        process.run(
            ("apt-get", *_SAFE, *lists.options, "-o", "Acquire::Languages=none", "-q", "update"),
            deadline=600.0,
            failure="the package lists could not be fetched",
            hint="check the network and the archives in /etc/apt",
        )
    return lists


def find(lists: Lists, name: str, *, version: str | None = None) -> Package | None:
    """The package that apt would choose (or that version of it), or None where the lists have none."""
    wanted = f"{name}={version}" if version else name
    found = process.run(("apt-cache", *lists.options, "--no-all-versions", "show", wanted), deadline=60.0, check=False)
    return parse_show(found.text, name)


def parse_show(text: str, name: str) -> Package | None:
    """The first complete record for a package in the output of ``apt-cache show``."""
    for record in text.split("\n\n"):
        values = dict(re.findall(r"^(Package|Version|SHA256): (\S+)$", record, flags=re.M))
        if values.get("Package") == name and "Version" in values and "SHA256" in values:
            return Package(name=name, version=values["Version"], sha256=values["SHA256"])
    return None


def names(lists: Lists, prefix: str) -> list[str]:
    """The names of all packages that begin with a prefix."""
    found = process.run(("apt-cache", *lists.options, "pkgnames", prefix), deadline=60.0, check=False)
    return sorted(found.text.split())


def download(lists: Lists, package: Package, folder: Path) -> Path:
    """Fetch a package into a folder; apt verifies it. Raises :class:`EnvironmentFailure`."""
    process.run(
        ("apt-get", *_SAFE, *lists.options, "-q", "download", f"{package.name}={package.version}"),
        deadline=3600.0,
        cwd=folder,
        failure=f"{package.name} {package.version} could not be fetched",
        hint="check the network; `harness source update` fetches new package lists first",
    )
    files = list(folder.glob(f"{package.name}_*.deb"))
    if len(files) != 1:
        raise EnvironmentFailure(f"apt said it fetched {package.name}, and no package is there")
    if file_digest(files[0]) != package.sha256:
        raise EnvironmentFailure(
            f"{package.name} {package.version} is not the file that the signed index names",
            hint="try again; if it stays so, the archive or a proxy is broken",
        )
    return files[0]
