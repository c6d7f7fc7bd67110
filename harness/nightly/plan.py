# SPDX-License-Identifier: GPL-2.0-only
"""What a night will do: the kernels, the cells in their order, and how long that takes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness import topology as topologies
from harness.display import duration
from harness.errors import UserError
from harness.nightly.cells import Cell
from harness.nightly.matrix import Matrix
from harness.nightly.state import Book, Known
from harness.paths import Paths
from harness.profile import Profile
from harness.run import RunPlan
from harness.store import value_digest
from harness.values import Verdict
from harness.workers import Capacity

_QEMU_MIB = 400  # QEMU's own memory under TCG (its translated code) and the harness process of a cell
_BUILD_SECONDS = 400.0  # a build on two cores, where this matrix has built none yet
_CASE_SECONDS, _CELL_SECONDS = 0.3, 8.0
_LEAST_SECONDS = 3.0  # no cell boots and judges in less


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """A cell to run: ``kernel`` names the kernel that it shares, ``memory_mib`` what its guest takes of the host.

    ``seconds`` is how long it will take, ``known`` its last result.
    """

    cell: Cell
    run: RunPlan
    kernel: str
    memory_mib: int
    seconds: float
    known: Known | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Seconds of wall time: of the builds, of all, and what it takes at the very least; ``at_once`` cells."""

    builds: float
    wall: float
    least: float
    at_once: int


def kernel_key(profile: Profile, run: RunPlan) -> str:
    """What decides a kernel, as far as it is known before the sources are: cells with the same key share one."""
    return value_digest(
        profile.source, profile.series, profile.patches, list(profile.config), list(map(str, run.selftests))
    )[:16]


def todos(cells: Sequence[Cell], runs: Mapping[str, RunPlan], book: Book, *, paths: Paths) -> list[Todo]:
    """The cells with what is known of them, in the file's order."""
    found = []
    for cell in cells:
        topology = topologies.load(cell.profile.topology, paths=paths)
        extra = (cell.profile.memory_mib or topology.memory_mib) - topology.memory_mib
        known = book.known.get(cell.key)
        found.append(
            Todo(
                cell=cell,
                run=runs[cell.key],
                kernel=kernel_key(cell.profile, runs[cell.key]),
                memory_mib=topology.host_memory_mib + extra + _QEMU_MIB,
                seconds=known.seconds if known and known.seconds else _guess(cell, runs[cell.key]),
                known=known,
            )
        )
    return found


def ordered(found: Sequence[Todo], matrix: Matrix) -> list[Todo]:
    """In the order of the matrix' ``order``: what failed last first, then the longest, by default."""
    keys: dict[str, Callable[[Todo], float]] = {
        "failed": lambda one: one.known is None or Verdict(one.known.verdict).good,
        "longest": lambda one: -one.seconds,
        "shortest": lambda one: one.seconds,
    }
    return sorted(found, key=lambda one: tuple(keys[name](one) for name in matrix.order))


def kernels(found: Sequence[Todo]) -> dict[str, list[Todo]]:
    """The cells of each kernel, kernels in the order of their first cell."""
    groups: dict[str, list[Todo]] = {}
    for one in found:
        groups.setdefault(one.kernel, []).append(one)
    return groups


def estimate(found: Sequence[Todo], book: Book, capacity: Capacity) -> Estimate:
    """How long cells in this order take: each kernel once and by itself, then cells side by side."""
    built = {one.kernel for one in found if one.known is not None and one.known.verdict not in ("INFRA", "BUILD")}
    missing = [kernel for kernel in kernels(found) if kernel not in built]
    builds = len(missing) * (book.build_seconds or _BUILD_SECONDS)
    at_once = max(1, min(capacity.jobs, capacity.cores, _by_memory(found, capacity), len(found) or 1))
    least = sum(min(_LEAST_SECONDS, one.seconds) if one.known is None else one.seconds / 2 for one in found) / at_once
    return Estimate(builds=builds, wall=builds + _side_by_side(found, at_once), least=least, at_once=at_once)


def check_wall(matrix: Matrix, expected: Estimate, number: int) -> None:
    """Raise :class:`UserError` where even the least that the cells take is more than the night's limit."""
    if expected.least > matrix.limits.wall_seconds:
        raise UserError(
            f"{matrix.path}: limits.wall is {matrix.limits.wall}, and {number} cells, {expected.at_once} at once, "
            f"take {duration(expected.least)} at the very least",
            hint="raise limits.wall, or take values out of [matrix]",
        )


def _guess(cell: Cell, run: RunPlan) -> float:
    stress = cell.profile.stress_seconds * max(1, len(run.selections)) if run.draws else 0
    return _CELL_SECONDS + _CASE_SECONDS * len(run.cases) + stress


def _by_memory(found: Sequence[Todo], capacity: Capacity) -> int:
    largest = max((one.memory_mib for one in found), default=1)
    return capacity.memory_mib // max(1, largest)


def _side_by_side(found: Sequence[Todo], at_once: int) -> float:
    """When the last of them ends, each started as soon as a place is free."""
    free = [0.0] * at_once
    for one in found:
        soonest = free.index(min(free))
        free[soonest] += one.seconds
    return max(free)
