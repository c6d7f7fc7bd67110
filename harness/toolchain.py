# SPDX-License-Identifier: GPL-2.0-only
"""The compiler and linker of a kernel, and how ``make`` is called with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import EnvironmentFailure
from harness.process import run
from harness.store import value_digest

ARCHITECTURE = "x86_64"
"""The architecture of the kernels built here, as ``make ARCH=`` takes it (its Kconfig is in ``arch/x86``)."""

SOURCE_ARCHITECTURE = "x86"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """The programs that turn a tree and a configuration into a kernel.

    ``cc`` and ``ld`` are commands as ``make`` takes them, ``versions`` the first line that each says about itself,
    ``digest`` the SHA-256 of what of these decides a kernel's bits.
    """

    cc: str
    ld: str
    versions: Mapping[str, str] = field(default_factory=dict)
    digest: str

    @property
    def text(self) -> str:
        """The toolchain in a line, for people."""
        return ", ".join(self.versions.values())


def host_toolchain(*, cc: str = "gcc", ld: str = "ld") -> Toolchain:
    """The host's own compiler and linker.

    Raises :class:`EnvironmentFailure` where one is not installed or does not say its version.
    """
    versions = {"cc": _version(cc), "ld": _version(ld)}
    return Toolchain(cc=cc, ld=ld, versions=versions, digest=value_digest(ARCHITECTURE, cc, ld, versions))


def make_argv(
    targets: Sequence[str],
    *,
    source: Path,
    output: Path,
    toolchain: Toolchain,
    variables: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> tuple[str, ...]:
    """The ``make`` command for targets of a kernel tree, out of tree (``O=``). Pure.

    ``variables`` go to the command line, where they win over the environment; ``CC`` and ``LD`` may be among them.
    """
    given = {"ARCH": ARCHITECTURE, "CC": toolchain.cc, "LD": toolchain.ld, **(variables or {})}
    words = [f"{name}={value}" for name, value in given.items()]
    return ("make", "-C", str(source), f"O={output}", *options, *words, *targets)


def _version(program: str) -> str:
    completed = run([program, "--version"], deadline=30)
    line = completed.text.partition("\n")[0].strip()
    if not line:
        raise EnvironmentFailure(f"'{program} --version' says nothing", command=completed.argv, hint="run ci/bootstrap")
    return line
