# SPDX-License-Identifier: GPL-2.0-only
"""``debian:`` against a stand-in for apt: a folder of packages, and a record of what it was asked."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import source
from harness.errors import EnvironmentFailure, UserError
from harness.paths import Paths
from harness.source import apt, debian
from harness.store import Store
from harness.values import Tree
from tests.unit.source.trees import MAKEFILE, Heard

Obtain = Callable[..., Tree]

_APT_CACHE = """#!/bin/sh
echo "apt-cache $*" >>{log}
case "$*" in
*pkgnames*) echo linux-source-6.1; echo linux-source-6.12; echo linux-source-doc ;;
*"show linux-source-6.12="*) grep -qx "Version: ${{*##*=}}" {archive}/record || exit 100; cat {archive}/record ;;
*"show linux-source-6.12") cat {archive}/record ;;
*) exit 100 ;;
esac
"""
_APT_GET = """#!/bin/sh
echo "apt-get $*" >>{log}
case "$*" in
*update) exit {update_status} ;;
*download*) cp {archive}/*.deb . ;;
esac
"""


class Archive:
    """The stand-in's packages; ``log`` has every command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self.script("apt-cache", _APT_CACHE)
        self.script("apt-get", _APT_GET)
        self.publish("6.12.7-1")

    def script(self, name: str, text: str, update_status: int = 0) -> None:
        path = self.bin / name
        path.write_text(text.format(log=self.log, archive=self.folder, update_status=update_status))
        path.chmod(0o755)

    def publish(self, version: str, *, extra: str = "", sha256: str | None = None) -> None:
        """Offer this version only."""
        for old in self.folder.glob("*.deb"):
            old.unlink()
        root = self.folder / f"root-{version}"
        (root / "DEBIAN").mkdir(parents=True)
        (root / "DEBIAN/control").write_text(
            f"Package: linux-source-6.12\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: Nobody <nobody@example.org>\nDescription: test\n"
        )
        (root / "usr/src").mkdir(parents=True)
        tree = self.folder / f"tree-{version}"
        tree.mkdir()
        (tree / "Makefile").write_text(MAKEFILE + extra)
        with tarfile.open(root / "usr/src/linux-source-6.12.tar.xz", "w:xz") as tar:
            tar.add(tree, "linux-source-6.12")
        deb = self.folder / f"linux-source-6.12_{version}_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", root, deb], check=True, capture_output=True)
        digest = sha256 or hashlib.sha256(deb.read_bytes()).hexdigest()
        (self.folder / "record").write_text(
            f"Package: linux-source-6.12\nVersion: {version}\nDescription: x\n y\nSHA256: {digest}\n\n"
        )

    def asked(self) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    made = Archive(tmp_path / "archive")
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    return made


@pytest.fixture
def obtain(paths: Paths, store: Store, heard: Heard) -> Obtain:
    return lambda spec, **more: source.obtain(spec, paths=paths, store=store, progress=heard, **more)


def test_fetched_once_then_remembered_without_asking_apt(archive: Archive, obtain: Obtain) -> None:
    tree = obtain("debian:6.12")
    assert tree.version == "6.12.7-rc1" and tree.origin["package_version"] == "6.12.7-1"
    asked = archive.asked()
    assert any("AllowUnauthenticated=false" in line and "download linux-source-6.12=6.12.7-1" in line for line in asked)
    assert not any("install" in line for line in asked)
    assert obtain("debian:6.12") == tree
    assert archive.asked() == []


def test_refresh_takes_a_newer_one_through_lists_of_our_own(archive: Archive, obtain: Obtain, paths: Paths) -> None:
    old = obtain("debian:6.12")
    archive.publish("6.12.8-1", extra="# newer\n")
    assert obtain("debian:6.12") == old
    archive.asked()
    new = obtain("debian:6.12", refresh=True)
    assert new.commit != old.commit and new.origin["package_version"] == "6.12.8-1"
    assert all(f"Dir::State={paths.cache}/apt/state" in line for line in archive.asked())
    assert obtain("debian:6.12") == new


def test_refresh_with_nothing_new_downloads_nothing(archive: Archive, obtain: Obtain) -> None:
    obtain("debian:6.12")
    archive.asked()
    obtain("debian:6.12", refresh=True)
    assert not any("download" in line for line in archive.asked())


def test_a_package_that_is_not_the_signed_one(archive: Archive, obtain: Obtain, paths: Paths) -> None:
    archive.publish("6.12.9-1", sha256="0" * 64)
    with pytest.raises(EnvironmentFailure, match="not the file that the signed index names"):
        obtain("debian:6.12")
    assert list((paths.cache / "scratch").glob("*")) == []


def test_unknown_version_names_the_nearest(archive: Archive, obtain: Obtain) -> None:
    with pytest.raises(UserError, match=r"unknown kernel of this Debian release .*'6.13'") as caught:
        obtain("debian:6.13")
    assert caught.value.hint is not None and "6.1, 6.12" in caught.value.hint and "did you mean" in caught.value.hint
    with pytest.raises(UserError, match=r"no linux-source-6\.12 1\.2"):
        obtain("debian:6.12=1.2")


def test_what_the_hosts_archives_lack_comes_from_the_stable_release(
    archive: Archive, obtain: Obtain, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_DEBIAN_MIRROR", "http://mirror.invalid/debian")
    guarded = _APT_CACHE.replace(
        'case "$*" in', 'case "$*" in\n*SourceList*) ;;\n*show*) exit 100 ;;\nesac\ncase "$*" in'
    )
    archive.script("apt-cache", guarded)
    assert obtain("debian:6.12").origin["package_version"] == "6.12.7-1"
    stable, backports, security = (paths.cache / "apt" / "trixie" / "sources.list").read_text().splitlines()
    assert stable.startswith("deb [signed-by=") and stable.endswith("http://mirror.invalid/debian trixie main")
    assert backports.endswith("http://mirror.invalid/debian trixie-backports main")
    assert security.endswith("http://mirror.invalid/debian-security trixie-security main")
    downloads = [line for line in archive.asked() if " download " in line]
    assert len(downloads) == 1 and f"SourceList={paths.cache}/apt/trixie/sources.list" in downloads[0]


@pytest.mark.parametrize(("lacks", "last"), [("security", "trixie-backports"), ("backports", "trixie")])
def test_a_mirror_that_lacks_an_archive(
    archive: Archive, obtain: Obtain, paths: Paths, monkeypatch: pytest.MonkeyPatch, lacks: str, last: str
) -> None:
    monkeypatch.setenv("HARNESS_DEBIAN_MIRROR", "http://mirror.invalid/debian")
    sources = paths.cache / "apt" / "trixie" / "sources.list"
    archive.script("apt-get", _APT_GET.replace("*update)", f"*update) grep -qs -e -{lacks} {sources} && exit 100;"))
    with pytest.raises(UserError, match="unknown kernel"):
        obtain("debian:6.13")
    assert sources.read_text().endswith(f"{last} main\n")


def test_no_network(archive: Archive, obtain: Obtain) -> None:
    archive.script("apt-get", _APT_GET, update_status=100)
    with pytest.raises(EnvironmentFailure, match="package lists could not be fetched"):
        obtain("debian:6.13")


@pytest.mark.parametrize("rest", ["six", "../x", "6.12=", "-o", "6.12 x"])
def test_no_version(rest: str, obtain: Obtain) -> None:
    with pytest.raises(UserError, match="names no kernel version"):
        obtain(f"debian:{rest}")


def test_damaged_package(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"!<arch>\ndamaged")
    with pytest.raises(EnvironmentFailure, match=r"damaged|cannot be unpacked"):
        debian.unpack_tarball(tmp_path / "x.deb", tmp_path)


def test_parse_show_wants_the_package_itself() -> None:
    text = "Package: other\nVersion: 1\nSHA256: aa\n\nPackage: linux-source-6.12\nVersion: 2\nSHA256: bb\n"
    assert apt.parse_show(text, "linux-source-6.12") == apt.Package(name="linux-source-6.12", version="2", sha256="bb")
    assert apt.parse_show("Package: linux-source-6.12\nVersion: 2\n", "linux-source-6.12") is None


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("debain:6.12", "did you mean 'debian:6.12'"),
        ("6.12", "known: debian:"),
        ("debian:", "write debian:"),
        ("/", "write tree:/"),
    ],
)
def test_unknown_sources(spec: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        source.parse(spec)
    assert caught.value.hint is not None and hint in caught.value.hint


def test_the_newest_is_another_name_and_the_remembered_one_stays(
    archive: Archive, obtain: Obtain, paths: Paths, store: Store, heard: Heard
) -> None:
    old = obtain("debian:6.12")
    common = {"paths": paths, "store": store, "progress": heard}
    assert source.newest("debian:6.12", **common) == "debian:6.12=6.12.7-1"  # type: ignore[arg-type]
    archive.publish("6.12.8-1", extra="# newer\n")
    newest = source.newest("debian:6.12", **common)  # type: ignore[arg-type]
    assert newest == "debian:6.12=6.12.8-1"
    assert obtain(newest).commit != old.commit
    assert obtain("debian:6.12") == old
    assert source.newest("debian:6.12=6.12.7-1", **common) == "debian:6.12=6.12.7-1"  # type: ignore[arg-type]
    assert source.newest("tree:.", **common) == "tree:."  # type: ignore[arg-type]
