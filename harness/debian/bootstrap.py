# SPDX-License-Identifier: GPL-2.0-only
"""Download packages with their dependencies, unpacked into one tar file, through mmdebstrap(1).

The *extract* variant runs no package script and so needs no privilege: as root mmdebstrap's root mode, else its
chrootless mode (not even user namespaces).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from harness import process
from harness.debian.archive import Archive
from harness.debian.manifest import Manifest
from harness.errors import DeadlineExceeded, EnvironmentFailure
from harness.progress import Progress

_DEADLINE_SECONDS = 1800.0
_NEEDED_BYTES = 1 << 30  # the packages, what is unpacked of them, the tar file

_DOWNLOADED = re.compile(r"^Get:\d+ \S+ \S+ \S+ (?P<name>\S+) (?P<architecture>\S+) (?P<version>\S+) \[")
_NETWORK = re.compile(
    r"Could not (?:resolve|connect)|Temporary failure|Network is unreachable|Connection (?:failed|timed out|refused)|"
    r"Failed to fetch|Unable to connect",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(
    r"is not signed|NO_PUBKEY|BADSIG|EXPKEYSIG|signatures? (?:were|was|couldn't|could not)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The tar file, and the version of each package in it."""

    tar: Path
    versions: dict[str, str]


def fetch(archive: Archive, manifest: Manifest, *, folder: Path, progress: Progress) -> Fetched:
    """Download what ``manifest`` names into ``folder`` (scratch, of ours).

    Raises :class:`EnvironmentFailure` that says whether it was the network, a signature, the disk or something else.
    """
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise EnvironmentFailure(
            f"{free >> 20} MiB are free in {folder.parent}, downloading packages takes {_NEEDED_BYTES >> 20} MiB",
            hint="free some space, or `harness cache prune`",
        )
    tar = folder / "packages.tar"
    argv = mmdebstrap_arguments(archive, manifest, tar=tar, as_root=os.geteuid() == 0)
    versions: dict[str, str] = {}
    try:
        process.run(
            argv,
            deadline=_DEADLINE_SECONDS,
            env={"TMPDIR": str(folder), "SOURCE_DATE_EPOCH": "0"},
            on_line=_listener(versions, progress),
            failure="the packages cannot be fetched",
        )
    except DeadlineExceeded:
        raise
    except EnvironmentFailure as failure:
        raise explain(failure, archive) from failure
    return Fetched(tar=tar, versions=dict(sorted(versions.items())))


def mmdebstrap_arguments(archive: Archive, manifest: Manifest, *, tar: Path, as_root: bool) -> tuple[str, ...]:
    """The command that writes the packages of a manifest to ``tar``."""
    base, *newer = manifest.suites
    preferred = [f'--aptopt=APT::Default-Release "{newer[-1]}"'] if newer else []
    assumed = [f"--setup-hook={_assume([package.name for package in manifest.assume])}"] if manifest.assume else []
    return (
        "mmdebstrap",
        "--verbose",
        f"--mode={'root' if as_root else 'chrootless'}",
        "--variant=extract",
        "--architectures=amd64",
        "--format=tar",
        *(f"--aptopt={option.removesuffix(';')}" for option in archive.options),
        *preferred,
        *assumed,
        f"--include={','.join(package.name for package in manifest.package)}",
        base,
        str(tar),
        *(archive.source(suite) for suite in manifest.suites),
    )


def _assume(names: list[str]) -> str:
    """A hook that writes packages to dpkg's status file as installed, so that apt does not fetch them."""
    stanza = (
        "Package: %s\\nStatus: install ok installed\\nVersion: 99:0\\nArchitecture: amd64\\nMulti-Arch: same\\n"
        "Maintainer: nobody <nobody@localhost>\\nDescription: assumed\\n\\n"
    )
    return f'printf "{stanza}" {shlex.join(names)} >> "$1/var/lib/dpkg/status"'


def _listener(versions: dict[str, str], progress: Progress) -> Callable[[str], None]:
    phases = {"running apt-get update": "reading the package lists", "extracting archives": "unpacking packages"}

    def listen(line: str) -> None:
        downloaded = _DOWNLOADED.match(line)
        if downloaded:
            versions[downloaded["name"]] = unquote(downloaded["version"])
            progress.update(f"fetching {downloaded['name']}", done=len(versions))
        for start, message in phases.items():
            if line.startswith(f"I: {start}"):
                progress.update(message)

    return listen


def explain(failure: EnvironmentFailure, archive: Archive) -> EnvironmentFailure:
    """The failure of mmdebstrap in the user's terms."""
    text = "\n".join(failure.details)
    message, hint = failure.message, "run again with -v to see the command; `harness doctor` checks this machine"
    if "No space left on device" in text or "Disk quota exceeded" in text:
        message, hint = "the disk is full while fetching packages", "free some space, or `harness cache prune`"
    elif _SIGNATURE.search(text):
        message = f"the signature of {archive.mirror} does not verify with {archive.keyring}"
        hint = "update debian-archive-keyring, and check this machine's clock and mirror"
    elif _NETWORK.search(text):
        message = f"Debian's archive at {archive.mirror} cannot be reached"
        hint = "check the network and the proxy in /etc/apt/apt.conf.d; what is in the cache works without a network"
    return EnvironmentFailure(
        message, hint=hint, command=failure.command, log=failure.log, details=_telling(failure.details)
    )


def _telling(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines that say what went wrong, rather than those about it being tidied up."""
    errors = [line for line in lines if line.startswith(("E:", "W:", "Err:", "Error"))]
    return tuple((errors or list(lines))[-8:])
