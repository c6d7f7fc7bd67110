# SPDX-License-Identifier: GPL-2.0-only
"""Which selftests a tree has, and what they ask of Kconfig: read from the commit, without a checkout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.errors import UserError, nearest
from harness.kselftest.request import Wanted
from harness.progress import Progress
from harness.repository import Repository
from harness.store import Store, value_digest
from harness.values import AppliedSeries

FOLDER = "tools/testing/selftests"

SPARSE = (
    "/*",
    "!/drivers/*/",
    "!/sound/*/",
    "!/Documentation/*/",
    "/Documentation/netlink/",
    "!/arch/*/",
    "/arch/x86/",
)
"""What is checked out to build selftests, as gitignore(5) patterns: all but what no selftest reads, for its size."""

_FORMAT = 1
_KIND = "kselftest-tree"
_FOLDERS = ("tools/", "include/", "scripts/", "usr/", "arch/x86/include/", "arch/x86/entry/syscalls/")
_ABSENT = ("drivers/", "sound/", "Documentation/", "arch/")
_OPTION = re.compile(r"(?:CONFIG_(\w+)=(\S+)|# CONFIG_(\w+) is not set)\s*(?:#.*)?$")
_LISTED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Selftests:
    """The selftests of a tree: its targets, sorted, and the digest of all that decides what they compile to."""

    applied: AppliedSeries
    targets: tuple[str, ...]
    digest: str

    def options(self, target: str) -> dict[str, str]:
        """A target's ``config``: Kconfig name without ``CONFIG_`` → value. Other lines mean nothing, as there."""
        return read_options(self._file(target, "config"))

    def timeout(self, target: str) -> float | None:
        """The ``timeout`` of a target's ``settings`` in seconds for a program; 0 for none; None where it has none."""
        return read_timeout(self._file(target, "settings"))

    def _file(self, target: str, name: str) -> str:
        repository = Repository(self.applied.tree.repository)
        path = f"{self.applied.commit}:{FOLDER}/{target}/{name}"
        found = repository.git("cat-file", "blob", path, check=False)
        return found.text if found.returncode == 0 else ""


def read(applied: AppliedSeries, *, store: Store, progress: Progress) -> Selftests:
    """The selftests of a tree; kept by tree, so that git lists each tree once.

    Raises :class:`UserError` where the tree has none.
    """

    def make(_: object) -> dict[str, object]:
        progress.update("reading the tree's selftests")
        files = Repository(applied.tree.repository).ls_tree(applied.commit)
        return {"targets": targets_of(files), "digest": digest_of(files)}

    entry, _ = store.obtain(_KIND, value_digest(_FORMAT, applied.tree_id), make, progress=progress)
    targets = tuple(entry.meta["targets"])
    if not targets:
        raise UserError(f"{applied.tree.spec} has no selftests: there is no {FOLDER} with a Makefile in it")
    return Selftests(applied=applied, targets=targets, digest=str(entry.meta["digest"]))


def targets_of(files: Iterable[str]) -> list[str]:
    """The targets among the paths of a tree: folders below :data:`FOLDER` that have a Makefile."""
    below = re.compile(rf"{FOLDER}/(.+)/Makefile")
    return sorted(match[1] for path in files if (match := below.fullmatch(path)))


def digest_of(files: Mapping[str, str]) -> str:
    """The digest of what decides a selftest: ``tools``, build scripts, headers. Path → object name."""
    return value_digest(sorted((path, blob) for path, blob in files.items() if decides(path)))


def decides(path: str) -> bool:
    """Whether a file of the tree can change what a selftest compiles to."""
    if path.startswith(_FOLDERS) or "/" not in path:
        return True
    return path.endswith(".h") and not path.startswith(_ABSENT)


def resolve(wanted: Wanted, targets: Iterable[str], *, absent: Iterable[str] = ()) -> tuple[str, str]:
    """Target and program ("" for all of it) of what is wanted.

    ``absent`` are targets that a tree may do without, known by name. Raises :class:`UserError` for an unknown one.
    """
    names = set(targets)
    parts = wanted.path.split("/")
    for length in range(len(parts), 0, -1):
        target = "/".join(parts[:length])
        if target in names | set(absent) and len(parts) - length <= 1:
            return target, "/".join(parts[length:])
    raise _unknown(wanted.path, names)


def _unknown(name: str, names: set[str]) -> UserError:
    close = nearest(name, names) or nearest(name.partition("/")[0], names)
    mean = f"did you mean '{close}'? " if close else ""
    below = sorted(one for one in names if one.startswith(f"{name}/"))
    some = below or sorted(one for one in names if "/" not in one)
    listed = ", ".join(some[:_LISTED]) + (f", … ({len(some) - _LISTED} more)" if len(some) > _LISTED else "")
    return UserError(f"this tree has no selftest target '{name}' ({FOLDER}/{name})", hint=f"{mean}there are: {listed}")


def read_options(text: str) -> dict[str, str]:
    """The options of a target's ``config`` (n for not set)."""
    options: dict[str, str] = {}
    for line in text.splitlines():
        if match := _OPTION.match(line.strip()):
            options[match[1] or match[3]] = match[2] if match[1] else "n"
    return options


def read_timeout(text: str) -> float | None:
    """The ``timeout`` of a target's ``settings``, in seconds; None where there is none that is a number."""
    found = re.findall(r"^timeout=(\d{1,6}(?:\.\d+)?)\s*(?:#.*)?$", text, re.MULTILINE)
    return float(found[-1]) if found else None
