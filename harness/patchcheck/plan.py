# SPDX-License-Identifier: GPL-2.0-only
"""Which checks of patches run, and on which of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from harness import kconfig, run
from harness.errors import UserError
from harness.patchcheck import cell as cells
from harness.patchcheck.bench import Bench, sparse_version
from harness.patchcheck.boots import Boots
from harness.patchcheck.builds import Builds, Look
from harness.patchcheck.cell import Cell
from harness.patchcheck.grid import Grid
from harness.repository import Repository
from harness.series.check import PatchCheck
from harness.series.stages import Stage, stage_of
from harness.values import AppliedSeries

GRIDS = ("none", "quick", "full")
BOOTS = ("none", "ends", "each")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a user chose. ``grid``: the last patch (quick) or each (full); ``boot``: the tree and the last, or each.

    ``cells`` stand in place of the grid's own, ``suites`` in place of the profile's; ``link`` links every cell.
    ``only`` are the numbers of the patches to look at; none: all. ``stages`` are those of the series.
    """

    grid: str = "quick"
    cells: tuple[str, ...] = ()
    boot: str = "ends"
    suites: tuple[str, ...] = ()
    link: bool = False
    only: tuple[int, ...] = ()
    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        if self.cells and self.grid == "none":
            raise UserError("--cell names cells of the grid, and --grid none leaves it out", hint="give --grid quick")

    def stage(self, number: int) -> Stage | None:
        """The stage of a patch; none where everything runs, and where suites were named."""
        return None if self.suites else stage_of(self.stages, number)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchPlan:
    """What will be done: ``patches`` are looked at, ``cells`` tried at ``grid_patches`` in ``folders``.

    Suites run at ``boot_patches`` (0: the tree).
    """

    choice: Choice
    patches: tuple[int, ...]
    folders: tuple[str, ...]
    cells: tuple[Cell, ...]
    grid_patches: tuple[int, ...]
    boot_patches: tuple[int, ...]
    sparse: str | None

    @property
    def lines(self) -> list[str]:
        """The plan as text."""
        config = "the profile's configuration"
        every = _patches(self.patches) if self.choice.only else "every patch"
        shown = [f"build       {every}, {config}; no new warning", "W=1         the .c files that a patch touches"]
        shown.append(f"sparse      {self.sparse or 'not installed: not run'}")
        if self.cells:
            names = " ".join(cell.name for cell in self.cells)
            what = "vmlinux" if self.choice.link or not self.folders else " ".join(self.folders)
            shown.append(f"grid        {names}; at {_patches(self.grid_patches)}: {what}")
        shown += self.boots(self.boot_patches, " ".join(self.choice.suites) or "the suites")
        return shown

    def boots(self, numbers: Sequence[int], suites: str) -> list[str]:
        """What runs at patches, as text: ``suites``, or at those of a stage what it says."""
        shown = []
        for stage, group in itertools.groupby(numbers, self.choice.stage):
            what = f"only what its stage names ({stage.reason})" if stage else suites
            shown.append(f"boot        {_patches(list(group))}: {what}")
        return shown


def _patches(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers if number)
    of_series = f"patch{'es' if ',' in shown else ''} {shown}"
    return f"the tree and {of_series}" if 0 in numbers else of_series


def check_suites(choice: Choice, bench: Bench) -> None:
    """Look for the suites that were named and those of the stages; raises :class:`UserError`, before any build."""
    for names in (choice.suites, *(one.suites for one in choice.stages)):
        run.plan(bench.profile, selection=names, paths=bench.paths)


def plan(applied: AppliedSeries, choice: Choice, bench: Bench) -> PatchPlan:
    """Decide what is checked where; raises :class:`UserError` for a cell or a patch that is not there."""
    count = len(applied.commits)
    numbers = tuple(sorted(set(choice.only))) or tuple(range(1, count + 1))
    if numbers[0] < 1 or numbers[-1] > count:
        raise UserError(f"the series has the patches 1 to {count}, not {numbers[0 if numbers[0] < 1 else -1]}")
    last = numbers[-1]
    patches = applied.series.patches if applied.series is not None else ()
    files = [path for patch in patches for path in patch.files]
    folders = tuple(folder for folder in cells.folders(files) if _has_makefile(applied, folder))
    grid = choice.grid != "none" and cells.decide_objects(files)
    return PatchPlan(
        choice=choice,
        patches=numbers,
        folders=folders,
        cells=_cells(applied, choice, bench, folders) if grid else (),
        grid_patches={"none": (), "quick": (last,), "full": numbers}[choice.grid],
        boot_patches={"none": (), "ends": (0, last), "each": (0, *numbers)}[choice.boot],
        sparse=sparse_version(),
    )


def checks(plan: PatchPlan, bench: Bench) -> list[PatchCheck]:
    """The checks of a plan, in the order in which they run on each patch."""
    builds = Builds(bench)
    found: list[PatchCheck] = [
        builds,
        Look("W=1", bench=bench, builds=builds, folders=plan.folders, variables={"W": "1"}),
    ]
    if plan.sparse is not None:
        variables = {"C": "2", "CHECK": "sparse"}
        found.append(
            Look("sparse", bench=bench, builds=builds, folders=plan.folders, variables=variables, tool=plan.sparse)
        )
    if plan.cells:
        quick = plan.choice.grid == "quick"
        found.append(
            Grid(
                bench=bench,
                builds=builds,
                cells=plan.cells,
                folders=plan.folders,
                patches=plan.grid_patches,
                against=lambda number: 0 if quick else number - 1,
                link=plan.choice.link,
            )
        )
    if plan.boot_patches:
        choice = plan.choice
        found.append(
            Boots(bench=bench, builds=builds, patches=plan.boot_patches, suites=choice.suites, stage=choice.stage)
        )
    return found


def _cells(applied: AppliedSeries, choice: Choice, bench: Bench, folders: Sequence[str]) -> tuple[Cell, ...]:
    with kconfig.tree_symbols(applied, paths=bench.paths, store=bench.store, progress=bench.progress) as symbols:
        known = symbols()
    values = bench.configured(applied).values
    tristates = cells.tristates_of(_makefiles(applied, folders), known, values)
    if choice.cells:
        return tuple(cells.parse_cell(text, known, tristates) for text in choice.cells)
    return cells.default_cells(choice.grid, known, tristates)


def _makefiles(applied: AppliedSeries, folders: Sequence[str]) -> list[str]:
    """The Makefiles below folders."""
    repository = Repository(applied.tree.repository)
    listed = repository.git("ls-tree", "-r", "--name-only", applied.commit, "--", *folders).text.splitlines()
    names = [path for path in listed if path.rpartition("/")[2] in ("Makefile", "Kbuild")] if folders else []
    return [repository.show(applied.commit, path).decode("utf-8", "replace") for path in names]


def _has_makefile(applied: AppliedSeries, folder: str) -> bool:
    repository = Repository(applied.tree.repository)
    return any(
        repository.git("cat-file", "-e", f"{applied.commit}:{folder}{name}", check=False).returncode == 0
        for name in ("Makefile", "Kbuild")
    )
