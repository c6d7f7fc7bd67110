# SPDX-License-Identifier: GPL-2.0-only
"""``debian:6.12``: the distribution's ``linux-source-<version>`` package, verified by apt and not installed.

``debian:6.12=6.12.117-1`` names one package version. Without it, what was found first is remembered and stays the
answer, with no look at the network, until ``harness source update`` asks the archives again: a kernel changes under
nobody's hands between two runs.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import IO

from harness import process
from harness.errors import EnvironmentFailure, UserError, unknown_name
from harness.repository import Repository
from harness.source import apt, archive, memory
from harness.source.kind import Kind, Request, archives, tree
from harness.values import Tree

_PACKAGE = "linux-source-"


def _parse(rest: str) -> tuple[str, str | None]:
    version, equals, package_version = rest.partition("=")
    if not re.fullmatch(r"\d[0-9A-Za-z.+~-]*", version) or (equals and not package_version):
        raise UserError(
            f"'debian:{rest}' names no kernel version",
            hint="write debian:6.12, or debian:6.12=PACKAGE-VERSION for one package version",
        )
    return version, package_version or None


def _plan(rest: str) -> tuple[str, ...]:
    version, package_version = _parse(rest)
    wanted = f"{_PACKAGE}{version}" + (f"={package_version}" if package_version else "")
    return (
        f"remembered answer for debian:{rest}, else:",
        f"apt-get download {wanted}   (verified by apt, not installed)",
        "import its tarball as one commit into the repository of archives",
    )


def _pin(rest: str, tree: Tree) -> str:
    version, _ = _parse(rest)
    return f"debian:{version}={tree.origin['package_version']}"


def _newest(request: Request) -> str:
    """The package version that the archives have now; what ``debian:6.12`` alone is remembered as stays."""
    version, package_version = _parse(request.rest)
    if package_version is not None:
        return request.spec
    _, package = _find(replace(request, refresh=True), version, None)
    return f"debian:{version}={package.version}"


def _obtain(request: Request) -> Tree:
    version, package_version = _parse(request.rest)
    if not request.refresh:
        remembered = memory.recall(request.paths, request.spec)
        if remembered is not None:
            return remembered.tree
    with request.store.lock("source-archives", what="the repository of archives", progress=request.progress):
        if not request.refresh and (remembered := memory.recall(request.paths, request.spec)) is not None:
            return remembered.tree
        lists, package = _find(request, version, package_version)
        repository = Repository.create(archives(request.paths))
        commit = repository.resolve(_ref(package))
        if commit is None or not repository.has(commit):
            package, commit = _import(request, lists, package, repository)
        origin = {"package": package.name, "package_version": package.version, "package_sha256": package.sha256}
        found = tree(repository, commit, request.spec, origin)
        memory.remember(request.paths, found, facts={})
        return found


def _ref(package: apt.Package) -> str:
    return f"refs/harness/archive/{package.sha256}"


def _find(request: Request, version: str, package_version: str | None) -> tuple[apt.Lists, apt.Package]:
    """The package: in the host's lists, else (or when looking for a newer one) in lists of our own fetched now: of the
    host's archives, then of Debian's stable release and its backports."""
    if process.which("apt-get") is None:
        raise EnvironmentFailure(
            f"{request.spec} needs apt, and this system has none",
            hint="use tarball:URL or git:URL@REF for the same kernel",
        )
    name = f"{_PACKAGE}{version}"
    request.progress.update(f"looking for {name}")
    if not request.refresh and (package := apt.find(apt.HOST, name, version=package_version)) is not None:
        return apt.HOST, package
    known: set[str] = set()
    for fetch in (apt.own_lists, apt.stable_lists):
        try:
            lists = fetch(request.paths, store=request.store, progress=request.progress)
        except EnvironmentFailure:
            if not known:
                raise
            break  # what the host's own archives have is all there is
        if (package := apt.find(lists, name, version=package_version)) is not None:
            return lists, package
        known |= {found.removeprefix(_PACKAGE) for found in apt.names(lists, _PACKAGE)}
    known = {found for found in known if found[:1].isdigit()}
    if package_version and version in known:
        raise UserError(
            f"the archives have no {name} {package_version}", hint=f"debian:{version} takes the one that they have"
        )
    raise unknown_name("kernel of this Debian release or the stable one with its backports", version, sorted(known))


def _import(
    request: Request, lists: apt.Lists, package: apt.Package, repository: Repository
) -> tuple[apt.Package, str]:
    with request.paths.scratch("debian") as scratch:
        package, deb = _download(request, lists, package, scratch)
        request.progress.update("unpacking")
        tarball = unpack_tarball(deb, scratch)
        deb.unlink()
        request.progress.update("importing the source")
        commit = archive.import_tarball(
            repository,
            tarball,
            ref=_ref(package),
            paths=request.paths,
            progress=request.progress,
            name=f"{package.name} {package.version}",
        )
        return package, commit


def _download(request: Request, lists: apt.Lists, package: apt.Package, scratch: Path) -> tuple[apt.Package, Path]:
    """The package's file. The host's lists may name a version that the archive no longer has: then the newer one."""
    request.progress.update(f"fetching {package.name} {package.version}")
    try:
        return package, apt.download(lists, package, scratch)
    except EnvironmentFailure:
        if lists != apt.HOST:
            raise
        own = apt.own_lists(request.paths, store=request.store, progress=request.progress)
        newer = apt.find(own, package.name)
        if newer is None or newer == package or "=" in request.rest:
            raise
        request.progress.warn(f"the archives have {newer.version} instead of {package.version}")
        return newer, apt.download(own, newer, scratch)


def unpack_tarball(deb: Path, folder: Path) -> Path:
    """The one source tarball inside a linux-source package, as a file in ``folder``.

    Read as a stream and written under a name of ours, so that no path in the package decides where anything lands.
    """
    with process.spawn(("dpkg-deb", "--fsys-tarfile", deb), stdout="pipe") as child:
        stream = child.popen.stdout
        assert stream is not None
        try:
            found = _copy_tarball(stream, folder / "source.tar")
            status = child.wait(60.0)
        except tarfile.TarError as reason:
            raise EnvironmentFailure(f"{deb.name} cannot be unpacked: {reason}") from reason
    if status != 0 or not found:
        raise EnvironmentFailure(f"{deb.name} holds no kernel source, or is damaged")
    return folder / "source.tar"


def _copy_tarball(stream: IO[bytes], target: Path) -> bool:
    found = False
    with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as package:
        for member in package:
            base = os.path.basename(member.name)  # noqa: PTH119 (a name inside an archive, not a path of this system)
            if member.isreg() and not found and re.fullmatch(r"linux-source-.*\.tar(\.\w+)?", base):
                content = package.extractfile(member)
                assert content is not None
                with open(target, "xb") as out:
                    shutil.copyfileobj(content, out, 1 << 20)
                found = True
    while stream.read(1 << 20):
        pass
    return found


KIND = Kind(
    prefix="debian",
    form="debian:VERSION[=PACKAGE-VERSION]",
    about="the distribution's kernel source package, through apt",
    plan=_plan,
    obtain=_obtain,
    pin=_pin,
    newest=_newest,
)
