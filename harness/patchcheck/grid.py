# SPDX-License-Identifier: GPL-2.0-only
"""The grid: what a series touches still compiles with options off, and as modules; and nothing that it needs is lost.

Only the folders that the series touches are compiled. Whether their objects would link is seen by their symbols,
compared with those of the same folders before the patches; only where these cannot tell is vmlinux linked. A file in
another folder that uses what a header of the series changed is compiled by the profile's configuration alone, and only
modpost knows of namespaces that a module does not import: ``--link`` does both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from harness.kconfig.configure import Configured
from harness.kconfig.dotconfig import difference, same_value
from harness.patchcheck.bench import DEFAULT, Bench, Broken, Compiled
from harness.patchcheck.builds import Builds, does_not_build, not_run, warned
from harness.patchcheck.cell import Cell
from harness.patchcheck.compare import new_warnings
from harness.patchcheck.objects import Unresolved, unresolved
from harness.repository import Repository
from harness.series import at_patch
from harness.series.finding import Finding, Level
from harness.store import value_digest
from harness.values import AppliedSeries, KernelConfig, Patch

_SHOWN = 5


def check_name(cell: Cell) -> str:
    """What findings of a cell are called."""
    return f"grid {cell.name}"


class Grid:
    """Cells at some patches; each against the tree at the patch that ``against`` gives for it."""

    def __init__(
        self,
        *,
        bench: Bench,
        builds: Builds,
        cells: Sequence[Cell],
        folders: Sequence[str],
        patches: Collection[int],
        against: Callable[[int], int],
        link: bool = False,
    ) -> None:
        self._bench = bench
        self._builds = builds
        self._cells = cells
        self._folders = folders
        self._patches = patches
        self._against = against
        self._link = link or not folders

    def __call__(self, applied: AppliedSeries, patch: Patch) -> Iterator[Finding]:
        """Findings of every cell at this patch."""
        if patch.number not in self._patches:
            return
        for count, cell in enumerate(self._cells, start=1):
            if patch.number not in self._builds.kernels:
                yield not_run(check_name(cell), patch.number, "the patch does not build")
                continue
            message = f"{cell.name} at patch {patch.number}"
            self._bench.progress.update(message, done=count, total=len(self._cells))
            yield from self._cell(cell, applied, patch.number)

    def _cell(self, cell: Cell, applied: AppliedSeries, number: int) -> Iterator[Finding]:
        check = check_name(cell)
        head = self._bench.configured(applied, cell)
        if why := _not_possible(cell, head):
            yield Finding(check=check, level=Level.WARNING, patch=number, message=f"not checked: {why}")
            return
        if not difference(self._bench.configured(applied).values, head.values):
            yield not_run(check, number, "the profile's configuration is the same")
            return
        before = at_patch(applied, self._against(number))
        where = f" with {cell.name}"
        base = self._bench.configured(before, cell)
        if cell.seed is not None and base.text != head.text:
            yield not_run(check, number, "the series changes Kconfig, so that the tree draws another configuration")
            return
        for one in (before, applied) if not self._link else ():
            self._usual(one)  # the cells' output folders begin as copies of its own
        base_made = self._compiled(cell, before, base)
        made = self._compiled(cell, applied, head)
        if made.broken is not None:
            if base_made.broken is not None:
                why = f"does not build{where}, nor does it without the patches: {base_made.broken.reason}"
                yield Finding(check=check, level=Level.NOTE, patch=number, message=why)
            else:
                yield does_not_build(check, number, made.broken, where)
            return
        new = self._builds.unsaid(number, new_warnings(base_made.warnings, made.warnings))
        yield from warned(check, number, new, where)
        how = "links" if self._link else f"compiles ({' '.join(made.made)})"
        if not self._link and base_made.broken is None:
            left = self._unresolved(applied, base_made, made)
            if left.missing or left.not_exported:
                yield _lost(check, number, left, where)
                return
            unsure, broken = self._elsewhere(cell, applied, head, left)
            if broken is None and unsure and cell.seed is not None:  # linking a random kernel takes hours
                message = f"not checked: only a link (--link) tells of {_listed(unsure)}"
                yield Finding(check=check, level=Level.WARNING, patch=number, message=message)
                return
            if broken is None and unsure:
                how = "links"
                broken = self._compiled(cell, applied, head, link=True).broken
            if broken is not None:
                yield does_not_build(check, number, broken, where)
                return
        if not new:
            yield Finding(check=check, level=Level.OK, patch=number, message=f"{how}, no new warning")

    def _elsewhere(
        self, cell: Cell, applied: AppliedSeries, head: Configured, left: Unresolved
    ) -> tuple[tuple[str, ...], Broken | None]:
        """The names of which only a link tells, once the folders that export the others have been compiled."""
        found = _exporters(Repository(applied.tree.repository), applied.commit, left.elsewhere)
        if not found:
            return (*left.elsewhere, *left.unsure), None
        made = self._compiled(cell, applied, head, folders=sorted(set(found.values())))
        rest = (name for name in left.elsewhere if name not in made.objects.defined)
        return (*rest, *left.unsure), made.broken

    def _compiled(
        self,
        cell: Cell,
        applied: AppliedSeries,
        configured: Configured,
        *,
        folders: Sequence[str] = (),
        link: bool = False,
    ) -> Compiled:
        config = KernelConfig(
            text=configured.text, digest=value_digest(configured.text), fragments=configured.merged.names
        )
        targets = list(folders or self._folders)
        if link or self._link:
            targets = ["vmlinux", "modules"] if config.enabled("MODULES") else ["vmlinux"]
        return self._bench.compiled(applied, config, cell=cell, targets=targets)

    def _usual(self, applied: AppliedSeries) -> Compiled:
        """The folders in the profile's own configuration."""
        return self._bench.compiled(applied, self._bench.config(applied), cell=DEFAULT, targets=self._folders)

    def _unresolved(self, applied: AppliedSeries, base: Compiled, head: Compiled) -> Unresolved:
        """Where new references lead."""
        repository = Repository(applied.tree.repository)
        return unresolved(
            base.objects,
            head.objects,
            usual=self._usual(applied).objects.defined,
            exported=lambda names: _exported(repository, applied.commit, names),
            mentioned=lambda names: _mentioned(repository, applied.commit, names),
        )


def _not_possible(cell: Cell, configured: Configured) -> str | None:
    """Why the final ``.config`` is not the cell's, or None. Of many modules those that can be are enough."""
    if cell.seed is not None:
        return None
    lost = [one for one in configured.lost if (one.wanted.option, one.wanted.value) in cell.assignments]
    wanted = [option for option, value in cell.assignments if value == "m" and option != "MODULES"]
    if len(wanted) > 1 and any(same_value("m", configured.values.get(option)) for option in wanted):
        return None
    return str(lost[0].reason) if lost else None


def _lost(check: str, number: int, left: Unresolved, where: str) -> Finding:
    parts = []
    if left.missing:
        parts.append(f"undefined: {_listed(left.missing)}")
    if left.not_exported:
        parts.append(f"needed by a module and not exported: {_listed(left.not_exported)}")
    message = f"does not link{where}: {'; '.join(parts)}"
    return Finding(check=check, level=Level.ERROR, patch=number, message=message, status=3)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _exported(repository: Repository, commit: str, names: Iterable[str]) -> set[str]:
    """Which of some names a file of the tree exports."""
    wanted = sorted(names)
    patterns = [word for name in wanted for word in ("-e", f"EXPORT_SYMBOL[A-Z_]*({name}[,)]")]
    said = repository.git("grep", "-h", "-o", *patterns, commit, "--", "*.c", "*.S", check=False).text if wanted else ""
    found = set(re.findall(r"\((\w+)", said))
    return found & set(wanted)


def _exporters(repository: Repository, commit: str, names: Sequence[str]) -> dict[str, str]:
    """The folder of the file that exports each of some names, where there is one."""
    patterns = [word for name in names for word in ("-e", f"EXPORT_SYMBOL[A-Z_]*({name}[,)]")]
    if not patterns:
        return {}
    said = repository.git("grep", "-o", *patterns, commit, "--", "*.c", check=False).text
    found = re.findall(r"^[^:]+:([^:]+)/[^/:]+:\w+\((\w+)", said, re.MULTILINE)
    return {name: f"{folder}/" for folder, name in found}


def _mentioned(repository: Repository, commit: str, names: Iterable[str]) -> set[str]:
    """Which of some names still stand in a source file of the tree."""
    wanted = sorted(names)
    patterns = [word for name in wanted for word in ("-e", name)]
    files = ("*.c", "*.h", "*.S")
    said = repository.git("grep", "-h", "-o", "-w", "-F", *patterns, commit, "--", *files, check=False).text
    return set(said.split()) & set(wanted) if wanted else set()
