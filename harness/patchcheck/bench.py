# SPDX-License-Identifier: GPL-2.0-only
"""What checks of patches work with: a profile, and compilers whose answers are kept by content.

The answer for (tree, configuration, toolchain, folders) is kept, a compiler's error too; never what this machine is to
blame for (a full disk, a missing tool), nor a failure that no compiler or linker has put a name to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness import build, kconfig
from harness.build import Parts
from harness.errors import BuildError
from harness.kconfig.configure import Configured
from harness.patchcheck.cell import Cell
from harness.patchcheck.objects import Objects, read_objects
from harness.paths import Paths
from harness.process import run, which
from harness.profile import Profile
from harness.progress import Progress
from harness.store import Store, value_digest
from harness.toolchain import Toolchain
from harness.values import AppliedSeries, Kernel, KernelConfig

_KIND = "patchcheck"
_FORMAT = 2  # of what is kept: raise it when its meaning changes
_FILE = "compiled.json"
_CONTENT = re.compile(r":\d+: (?:fatal )?error: |undefined (?:reference|symbol)|modpost|multiple definition of")
DEFAULT = Cell(name="default")


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """Why something does not compile or link."""

    message: str
    details: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: BuildError) -> Broken:
        """What a build's error says."""
        return cls(message=error.message, details=error.details, command=error.command or ())

    @property
    def reason(self) -> str:
        """The message without its beginning, which every one has."""
        return self.message.removeprefix("the kernel does not build: ")


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """What compiling gave: warnings by file, symbols of the objects, or why it is broken.

    ``made`` are the targets among those asked for that this configuration has.
    """

    made: tuple[str, ...] = ()
    warnings: dict[str, tuple[str, ...]] = {}
    objects: Objects = Objects()
    broken: Broken | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A profile's configuration and the means to compile with it; ``toolchain`` compiles everything."""

    profile: Profile
    toolchain: Toolchain
    paths: Paths
    store: Store
    progress: Progress

    def configured(self, applied: AppliedSeries, cell: Cell = DEFAULT) -> Configured:
        """The final ``.config`` of a cell, and what of it was lost."""
        fragments = () if cell.seed is not None else self.profile.config
        requests = kconfig.parse_requests([*fragments, *cell.requests])
        return kconfig.attempt(applied, requests, seed=cell.seed, **self._tools)

    def config(self, applied: AppliedSeries) -> KernelConfig:
        """The profile's configuration; a lost option is a :class:`UserError`."""
        return kconfig.configure(applied, kconfig.parse_requests(self.profile.config), **self._tools)

    def kernel(self, applied: AppliedSeries) -> Kernel:
        """The whole kernel, from the cache where it is there. Raises :class:`BuildError`."""
        return build.build(applied, self.config(applied), jobs=self.profile.jobs, **self._tools)[0]

    def compiled(self, applied: AppliedSeries, config: KernelConfig, *, cell: Cell, targets: Sequence[str]) -> Compiled:
        """Folders (``mm/``) compiled in a cell's configuration, or ``vmlinux`` linked."""

        def work(parts: Parts) -> Compiled:
            warnings = parts.compile(targets)
            # make has nothing to do for a folder into which this configuration does not descend
            made = tuple(target for target in targets if (parts.output / target / "built-in.a").is_file())
            objects = read_objects(parts.output, made, within=parts.within)
            return Compiled(made=made, warnings=_frozen(warnings), objects=objects)

        return self._kept(applied, config, cell=cell, key=["compile", *targets], work=work)

    def looked(
        self,
        applied: AppliedSeries,
        config: KernelConfig,
        *,
        files: Sequence[str],
        folders: Sequence[str],
        variables: Mapping[str, str],
        tool: str = "",
    ) -> Compiled:
        """Source files compiled once more with other variables; those that the configuration leaves out are not.

        ``folders`` are made first, as usual, which tells what is left out; ``tool`` is the version of what looks.
        """
        names = [str(Path(file).with_suffix(".o")) for file in files if file.endswith(".c")]

        def work(parts: Parts) -> Compiled:
            if not folders:  # none of the files belongs to the kernel
                return Compiled()
            parts.compile(folders)
            there = [name for name in names if (parts.output / name).is_file()]
            warnings = parts.look(there, **variables) if there else {}
            return Compiled(made=tuple(there), warnings=_frozen(warnings))

        key = ["look", *names, variables, *folders, tool]
        return self._kept(applied, config, cell=DEFAULT, key=key, work=work)

    def _kept(
        self,
        applied: AppliedSeries,
        config: KernelConfig,
        *,
        cell: Cell,
        key: list[Any],
        work: Callable[[Parts], Compiled],
    ) -> Compiled:
        """The answer of ``work`` in the cell's output folder, from the cache where it is there."""
        # one folder a cell, whatever its configuration becomes from patch to patch
        profile = value_digest(self.profile.config, self.toolchain.digest)[:8]
        name, usual = f"{cell.folder}-{profile}", f"{DEFAULT.folder}-{profile}"
        like = usual if cell.seed is None else None

        def make(folder: Path) -> dict[str, Any]:
            with build.parts(applied, config, name=name, like=like, jobs=self.profile.jobs, **self._tools) as parts:
                found = _unless_broken(parts, work)
            (folder / _FILE).write_bytes(msgspec.json.encode(found, order="sorted"))
            return {}

        digest = value_digest(_FORMAT, applied.tree_id, config.digest, self.toolchain.digest, key)
        try:
            entry, _ = self.store.obtain(_KIND, digest, make, progress=self.progress)
        except BuildError as reason:  # not one to keep
            return Compiled(broken=Broken.of(reason))
        return msgspec.json.decode((entry.path / _FILE).read_bytes(), type=Compiled)

    @property
    def _tools(self) -> dict[str, Any]:
        return {
            "toolchain": self.toolchain, "paths": self.paths, "store": self.store, "progress": self.progress,
        }  # fmt: skip


def _unless_broken(parts: Parts, work: Callable[[Parts], Compiled]) -> Compiled:
    try:
        return work(parts)
    except BuildError as reason:
        if not any(_CONTENT.search(line) for line in (reason.message, *reason.details)):
            raise
        return Compiled(broken=Broken.of(reason))


def _frozen(warnings: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {file: tuple(said) for file, said in warnings.items()}


def sparse_version() -> str | None:
    """What sparse says of its version, or None where it is not installed."""
    return run(["sparse", "--version"], deadline=30).text.strip() if which("sparse") else None
