# SPDX-License-Identifier: GPL-2.0-only
"""Programs that the harness calls: there or not, their versions, whether what they promise works here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness import debian, process
from harness import sandbox as sandboxes
from harness.doctor.finding import Finding, Status
from harness.errors import EnvironmentFailure, HarnessError

_VERSION_DEADLINE_SECONDS = 10.0
_NUMBER = re.compile(r"\d+(?:\.\d+)+")

# Worth knowing when something behaves differently: how each says its version, and the oldest that works.
_VERSIONS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("gcc", "-dumpfullversion", (8, 1)),  # Documentation/process/changes.rst of 6.16
    ("make", "--version", (4, 0)),
    ("git", "--version", (2, 30)),
    ("ccache", "--version", (4, 0)),
    ("mmdebstrap", "--version", (1, 0)),
    ("bwrap", "--version", (0, 8)),  # --disable-userns
    ("mkfs.erofs", "--version", (1, 5)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A package of ci/packages.txt, what shows that it is there (a command, or a file's path), and why."""

    package: str
    evidence: str
    reason: str

    @property
    def present(self) -> bool:
        """Whether the command or file is there."""
        if self.evidence.startswith("/"):
            return Path(self.evidence).exists()
        return process.which(self.evidence) is not None


def read_needed(text: str) -> list[Needed]:
    """The lines of ci/packages.txt."""
    lines = [line.split(None, 2) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [Needed(package=package, evidence=evidence, reason=reason) for package, evidence, reason in lines]


def packages(listing: Path) -> list[Finding]:
    """All that ci/bootstrap installs, one finding for what is there and one for each that is not."""
    try:
        needed = read_needed(listing.read_text())
    except OSError as reason:
        raise EnvironmentFailure(
            f"cannot read {listing}: {reason.strerror}", hint="the checkout is not complete; HARNESS_PROJECT names one"
        ) from reason
    missing = [entry for entry in needed if not entry.present and not entry.evidence.startswith("/usr/share/doc/")]
    found = [Finding(name="programs", status=Status.OK, found=f"{len(needed) - len(missing)} of {len(needed)} there")]
    return found + [
        Finding(
            name=entry.package,
            status=Status.FAIL,
            found=f"{entry.evidence} is missing ({entry.reason})",
            fix=f"run ci/bootstrap, or: apt install {entry.package}",
        )
        for entry in missing
    ]


def versions() -> list[Finding]:
    """The versions of programs whose version matters; those that are missing are found by ``packages``."""
    return [_version(*entry) for entry in _VERSIONS if process.which(entry[0]) is not None]


def _version(program: str, option: str, oldest: tuple[int, ...]) -> Finding:
    try:
        done = process.run((program, option), deadline=_VERSION_DEADLINE_SECONDS, check=False)
    except HarnessError as error:
        return Finding(name=program, status=Status.FAIL, found=error.message, fix=f"reinstall {program}")
    return judge_version(program, f"{done.text}\n{done.error_text}", oldest)


def judge_version(program: str, output: str, oldest: tuple[int, ...]) -> Finding:
    """A program's version, taken from what it prints, against the oldest that works."""
    match = _NUMBER.search(output)
    if match is None:
        return Finding(name=program, status=Status.OK, found="there, version unknown")
    version = tuple(int(part) for part in match.group().split("."))
    if version >= oldest:
        return Finding(name=program, status=Status.OK, found=match.group())
    wanted = ".".join(str(part) for part in oldest)
    return Finding(name=program, status=Status.FAIL, found=match.group(), fix=f"{wanted} or newer is needed")


def archive() -> list[Finding]:
    """Whether Debian's archive is known to apt here."""
    try:
        found = debian.find_archive()
    except HarnessError as error:
        return [Finding(name="Debian archive", status=Status.FAIL, found=error.message, fix=error.hint)]
    return [Finding(name="Debian archive", status=Status.OK, found=found.mirror)]


def sandbox() -> list[Finding]:
    """Whether code of a series can be kept in its sandbox here."""
    if process.which("bwrap") is None:
        return []  # a missing program, found as such
    reason = sandboxes.unusable()
    if not reason:
        return [Finding(name="sandbox", status=Status.OK, found="bubblewrap works")]
    fix = f"{sandboxes.fix()}; until then only --no-sandbox builds"
    return [Finding(name="sandbox", status=Status.FAIL, found=": ".join(reason), fix=fix)]
