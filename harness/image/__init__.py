# SPDX-License-Identifier: GPL-2.0-only
"""The guest's root file system: packages of Debian, our own init, compressed erofs, kept by content.

``test`` is small and quick to boot, ``shell`` has what a person wants to look around. What is in them, and why, is in
``test.toml`` and ``shell.toml`` beside this file; the init is the C program in ``init/``.
"""

from __future__ import annotations

from pathlib import Path

from harness import debian
from harness.errors import unknown_name
from harness.image import erofs, tree
from harness.paths import Paths
from harness.progress import Progress
from harness.store import Entry, Store, value_digest
from harness.values import Rootfs

__all__ = ["KIND", "flavours", "key", "manifest", "plan", "rootfs"]

KIND = "image"

# Raised when what is made of the same input changes.
_FORMAT = 1
_HERE = Path(__file__).parent
_IMAGE = "rootfs.erofs"
_COMPRESSED = frozenset({"shell"})


def flavours() -> list[str]:
    """The names that ``rootfs`` knows."""
    return sorted(path.stem for path in _HERE.glob("*.toml"))


def manifest(flavour: str) -> debian.Manifest:
    """What is in a flavour; raises :class:`UserError` for an unknown one."""
    if flavour not in flavours():
        raise unknown_name("image flavour", flavour, flavours())
    return debian.load(_HERE / f"{flavour}.toml")


def key(flavour: str) -> str:
    """The content key: package list, suites, wanted files, our own files and the options they are packed with.

    Not the packages' versions: an image stays what it is until it is made again (``harness image build --rebuild``).
    """
    packing = [erofs.OPTIONS, erofs.COMPRESSION if flavour in _COMPRESSED else None]
    return value_digest(KIND, _FORMAT, manifest(flavour).digest, tree.digest(), packing)


def plan(flavour: str, *, store: Store, rebuild: bool = False) -> tuple[str, ...]:
    """What ``rootfs`` would do, a line each."""
    wanted = manifest(flavour)
    place = store.path(KIND, key(flavour))
    if place.is_dir() and not rebuild:
        return (f"use the {flavour} image in {place}",)
    return (
        f"fetch from Debian {', '.join(wanted.suites)}: {', '.join(package.name for package in wanted.package)}",
        f"take {len(wanted.keep)} sets of files and the libraries that they need",
        "compile the init, add the guest's own files",
        f"pack them as {'compressed ' if flavour in _COMPRESSED else ''}erofs into {place}",
    )


def rootfs(flavour: str = "test", *, paths: Paths, store: Store, progress: Progress, rebuild: bool = False) -> Rootfs:
    """The image of a flavour, made if it is not in the cache (about 10 s, and a network).

    ``rebuild`` makes it again, with the packages that the archive has today; what was there stays until then.

    Raises :class:`EnvironmentFailure` when it cannot be made.
    """
    wanted = manifest(flavour)

    def make(staging: Path) -> dict[str, object]:
        return _make(staging, wanted, flavour=flavour, paths=paths, progress=progress)

    entry, _ = store.obtain(KIND, key(flavour), make, progress=progress, again=rebuild)
    return _rootfs(entry, flavour)


def _rootfs(entry: Entry, flavour: str) -> Rootfs:
    return Rootfs(key=entry.key, image=entry.path / _IMAGE, digest=entry.meta["digest"], flavour=flavour)


def _make(
    staging: Path, wanted: debian.Manifest, *, flavour: str, paths: Paths, progress: Progress
) -> dict[str, object]:
    archive = debian.find_archive()
    with paths.scratch("image") as scratch:
        fetched = debian.fetch(archive, wanted, folder=scratch, progress=progress)
        progress.update("choosing the files of the image")
        root = scratch / "root"
        debian.unpack(fetched.tar, wanted, root)
        progress.update("compiling the guest's init")
        tree.complete(root)
        progress.update("packing the image")
        digest = erofs.pack(root, staging / _IMAGE, name=f"{flavour}-root", compress=flavour in _COMPRESSED)
    return {
        "flavour": flavour,
        "digest": digest,
        "suites": list(wanted.suites),
        "mirror": archive.mirror,
        "versions": fetched.versions,
    }
