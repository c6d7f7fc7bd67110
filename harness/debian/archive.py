# SPDX-License-Identifier: GPL-2.0-only
"""Where Debian's archive is for this machine, and how apt is told to reach it.

The mirror, proxies and certificates are those of the host's apt configuration (apt.conf(5), ``apt-get indextargets``);
the signature is always checked against debian-archive-keyring.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from harness import process
from harness.errors import EnvironmentFailure

_KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
_TARGET_FORMAT = "$(REPO_URI)\t$(ORIGIN)\t$(LABEL)\t$(COMPONENT)\t$(CREATED_BY)"
_REACHABLE = ("http://", "https://", "file:", "copy:")
_MIRROR_VARIABLE = "HARNESS_DEBIAN_MIRROR"

# What of the host's apt configuration decides how an archive is reached. Nothing that lowers the demand for a
# signature (AllowInsecureRepositories, AllowWeakRepositories …) is passed on.
_PASSED_OPTION = re.compile(
    r"^Acquire::(?:(?:http|https|socks)(?:::|$)|(?:Check-Valid-Until|Check-Date|Max-ValidTo|Min-ValidTo|Retries|"
    r"ForceIPv4|ForceIPv6|Queue-Mode)\b)"
)
_NEVER_PASSED = re.compile(r"Verify-(?:Peer|Host)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A Debian archive: ``mirror`` (its URI), ``keyring`` that its signature must come from, ``options`` of apt.

    ``options`` are lines of apt.conf(5).
    """

    mirror: str
    keyring: Path
    options: tuple[str, ...] = ()

    def source(self, suite: str) -> str:
        """The sources.list(5) line of a suite's main component."""
        return f"deb [signed-by={self.keyring}] {self.mirror} {suite} main"


def find_archive() -> Archive:
    """The archive after the host's apt configuration; ``HARNESS_DEBIAN_MIRROR`` in the environment overrides it.

    Raises :class:`EnvironmentFailure` where there is no apt, no Debian mirror or no keyring.
    """
    if process.which("apt-get") is None:
        raise EnvironmentFailure(
            "this system has no apt, so that Debian's archive cannot be read",
            hint="run the harness on Debian 12 or 13, or in a container of it",
        )
    keyring = next((path for path in _KEYRINGS if path.is_file()), None)
    if keyring is None:
        raise EnvironmentFailure(
            "the keys that sign Debian's archive are not installed",
            hint="run ci/bootstrap, or: apt install debian-archive-keyring",
        )
    mirror = os.environ.get(_MIRROR_VARIABLE) or mirror_of(_ask("apt-get", "indextargets", "--format", _TARGET_FORMAT))
    if mirror is None:
        raise EnvironmentFailure(
            "this machine's apt configuration names no Debian mirror",
            hint=f"name one: {_MIRROR_VARIABLE}=https://…/debian harness …",
        )
    return Archive(mirror=mirror, keyring=keyring, options=passed_options(_ask("apt-config", "dump")))


def mirror_of(targets: str) -> str | None:
    """The URI of the first Debian main archive among ``apt-get indextargets`` lines, or None.

    Before the first ``apt-get update`` apt knows no Origin; then a repository that is called ``debian`` is taken.
    """
    guess = None
    for line in targets.splitlines():
        uri, origin, label, component, created_by = (line.split("\t") + [""] * 5)[:5]
        if created_by != "Packages" or component != "main" or not uri.startswith(_REACHABLE):
            continue
        if (origin, label) == ("Debian", "Debian"):
            return uri
        if guess is None and not origin and uri.rstrip("/").endswith("/debian"):
            guess = uri
    return guess


def passed_options(dump: str) -> tuple[str, ...]:
    """Of ``apt-config dump`` the lines that say how an archive is reached: proxies, certificates, retries, clock."""
    lines = [line for line in dump.splitlines() if _PASSED_OPTION.match(line) and not _NEVER_PASSED.search(line)]
    kept = [line for line in lines if not line.endswith(' "";')]
    # Passwords for a mirror (apt_auth.conf(5)) stay in their own files.
    return (*kept, 'Dir::Etc::netrc "/etc/apt/auth.conf";', 'Dir::Etc::netrcparts "/etc/apt/auth.conf.d";')


def _ask(*argv: str) -> str:
    return process.run(argv, deadline=60, failure="apt's configuration cannot be read").text
