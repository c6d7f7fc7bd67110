# SPDX-License-Identifier: GPL-2.0-only
"""Runs a night: looks what moved, builds each kernel once, runs its cells side by side, and ends with reports.

A cell is ``harness run`` as a process with a run folder of its own, from a profile that is a file of the night: a cell
that crashes, hangs or is killed by the kernel for its memory takes no other with it, ends with all that it started, and
can be run again by its command. What is done is on disk before the next begins; whatever ends the night, the next
``harness nightly`` goes on with what is left, with the sources and series as they were.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.display import duration, many
from harness.errors import UserError
from harness.history.place import OFF, Place
from harness.nightly import check, plan
from harness.nightly.cells import Cell
from harness.nightly.cells import cells as cells_of
from harness.nightly.inputs import Inputs, fingerprints, moves, pinned, safe, series_name, source_name
from harness.nightly.matrix import Matrix
from harness.nightly.outcomes import Outcomes
from harness.nightly.plan import Todo
from harness.nightly.state import Book, CellState, Desk, Night
from harness.nightly.view import NightView
from harness.paths import Paths, make_dated_folder
from harness.results import folder as run_folders
from harness.results.folder import RunFolder
from harness.run import RunPlan
from harness.store import Store, disk_failure, value_digest
from harness.values import Verdict
from harness.workers import Ended, Job, Workers, make_turns, this_machine

HARNESS = (sys.executable, "-P", "-m", "harness")
"""The command of a cell: this very harness, whatever folder it is called in."""

_LOOK_SECONDS = 0.5
_BUILD_DEADLINE = 4 * 3600.0
_READY = 1
_CACHED_SECONDS = 15.0  # a build that took less was a look into the cache
_NO_KERNEL = ("APPLY", "BUILD", "INFRA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A matrix with its cells, and what each runs."""

    matrix: Matrix
    cells: tuple[Cell, ...]
    runs: dict[str, RunPlan]
    digest: str


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a call: ``night`` is None where nothing had moved (``unmoved`` says what is as it was)."""

    night: Night | None
    unmoved: list[str] = field(default_factory=list)
    interrupted: bool = False
    resumed: bool = False


def planned(matrix: Matrix, *, paths: Paths) -> Planned:
    """Check a matrix as far as that goes before anything is fetched; raises :class:`UserError`."""
    found = cells_of(matrix, paths=paths)
    runs = check.check(matrix, found, paths=paths)
    _refuse_twins(matrix, found)
    digest = value_digest(msgspec.to_builtins(msgspec.structs.replace(matrix, path="", summary="")))
    return Planned(matrix=matrix, cells=found, runs=runs, digest=digest)


def execute(
    todo: Planned,
    *,
    desk: Desk,
    paths: Paths,
    store: Store,
    view: NightView,
    force: bool = False,
    anew: bool = False,
    history: Place | None = None,
    harness: Sequence[str] = HARNESS,
) -> Outcome:
    """Run the night, or what is left of the one that was interrupted. Ctrl-C ends it early: it can be gone on with.

    ``force`` runs every cell although nothing moved, ``anew`` begins again where one was interrupted. ``history`` is
    where cells record their runs (None: nowhere), ``harness`` the command that runs one.
    """
    work = _Work(todo, desk=desk, paths=paths, store=store, view=view, history=history, harness=tuple(harness))
    night = desk.book.night
    resumed = night is not None and night.going_on and not anew
    if resumed and night is not None and (night.digest != todo.digest or not work.knows(night)):
        view.say(f"the night of {night.id} was interrupted, and the matrix has changed since: begun anew", style="bold")
        resumed = False
    if resumed and night is not None:
        work.take_up(night)
    else:
        unmoved = work.begin(force=force)
        if unmoved is not None:
            return Outcome(night=None, unmoved=unmoved)
    night = desk.book.night
    assert night is not None
    try:
        work.go(night)
    except KeyboardInterrupt:
        return Outcome(night=night, interrupted=True, resumed=resumed)
    return Outcome(night=night, resumed=resumed)


def _refuse_twins(matrix: Matrix, cells: Sequence[Cell]) -> None:
    """Two cells that would run the very same thing under two names."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        key = value_digest(
            msgspec.to_builtins(msgspec.structs.replace(cell.profile, summary="")), _archived(matrix, cell)
        )
        if key in seen:
            raise UserError(
                f"{matrix.path}: the cells '{seen[key].title}' and '{cell.title}' run the very same thing",
                hint="two names of one value: take one out",
            )
        seen[key] = cell


def _archived(matrix: Matrix, cell: Cell) -> str:
    return cell.series if not isinstance(matrix.series.get(cell.series, ""), str) else ""


class _Work:
    """One night's state while it goes on."""

    def __init__(
        self,
        todo: Planned,
        *,
        desk: Desk,
        paths: Paths,
        store: Store,
        view: NightView,
        history: Place | None,
        harness: tuple[str, ...],
    ) -> None:
        self.todo = todo
        self.history = history
        self.harness = harness
        self.matrix = todo.matrix
        self.desk = desk
        self.paths = paths
        self.store = store
        self.view = view
        self.cells = {cell.key: cell for cell in todo.cells}
        limits = self.matrix.limits
        self.outcomes = Outcomes(desk.book, limit=limits.cell, paths=paths)
        # a cell more gets ready (half a second of imports and look-ups) while the others have their guests
        self.capacity = dataclasses.replace(
            this_machine(cells=limits.cells, memory_mib=limits.memory_mib), ready=_READY
        )
        self.begun = time.monotonic()
        self.spent = 0.0

    @property
    def _history(self) -> str:
        """The place of the history as ``HARNESS_HISTORY`` has it: in the environment, where a password is not seen."""
        if self.history is None:
            return OFF
        return str(self.history.file) if self.history.file is not None else self.history.url

    @property
    def book(self) -> Book:
        return self.desk.book

    def knows(self, night: Night) -> bool:
        """Whether the night's cells are the matrix' own."""
        return set(night.cells) <= set(self.cells)

    def begin(self, *, force: bool) -> list[str] | None:
        """Look what moved and begin a night; returns what did not where that is everything."""
        folder = make_dated_folder(self.desk.folder / "nights")
        begun = False
        try:
            night = self._look(folder, force=force)
            if not night.cells:
                return night.unmoved
            waiting = self._waiting(night)
            plan.check_wall(self.matrix, plan.estimate(waiting, self.book, self.capacity), len(waiting))
            if self.book.night is not None:
                self.outcomes.abandon(self.book.night)
            self.book.night = night
            self.desk.write()
            begun = True
        finally:
            if not begun:
                shutil.rmtree(folder, ignore_errors=True)
        self._tell_begin(night, len(plan.kernels(waiting)))
        return None

    def _look(self, folder: Path, *, force: bool) -> Night:
        """The night that is due: the cells that moved, or all by ``force``."""
        last = self.book.night
        with self.view.looking() as progress:
            inputs = Inputs(self.matrix, folder=folder, paths=self.paths, store=self.store, progress=progress)
            found = inputs.look(self.todo.cells)
        prints = fingerprints(self.todo.cells, found, paths=self.paths)
        wanted = [cell for cell in self.todo.cells if force or self._is_due(cell, prints[cell.key])]
        before = last.inputs if last is not None else {}
        moved, unmoved = moves(found, before, last.started if last is not None else 0.0)
        if last is not None and not moved and not force:
            moved = ["what the harness itself brings (code, guest tests, fragments), or cells that have no result yet"]
        night = Night(
            id=folder.name,
            matrix=self.matrix.path,
            digest=self.todo.digest,
            started=time.time(),
            moved=moved,
            unmoved=unmoved,
            inputs=found,
            cells={cell.key: self._new_state(cell, prints[cell.key]) for cell in wanted},
        )
        for cell in wanted:
            self._refuse_unavailable(cell, night)
        return night

    def _tell_begin(self, night: Night, number: int) -> None:
        self.view.say(f"{self.matrix.path}: {len(night.cells)} of {len(self.cells)} cells, {many(number, 'kernel')}")
        for line in night.moved:
            self.view.say(f"  moved      {line}")
        for line in night.unmoved:
            self.view.say(f"  unmoved    {line}", style="dim")

    def take_up(self, night: Night) -> None:
        """Go on with an interrupted night: what was running waits again; a run that came to its end counts."""
        night.interruptions += 1
        self.spent = night.wall
        for state in night.cells.values():
            if state.status == "missed":
                state.status = "waiting"
        self.outcomes.settle(night)
        self.desk.write()
        done = sum(state.status == "done" for state in night.cells.values())
        self.view.say(
            f"going on with the night of {night.id}: {done} of {len(night.cells)} cells are done", style="bold"
        )

    def go(self, night: Night) -> None:
        """Build and run what waits, up to the night's wall time."""
        try:
            with Workers(self.capacity) as workers:
                waiting = self._build_all(night, workers)
                self._run_all(night, workers, waiting)
        finally:
            night.wall = self._wall
            self.outcomes.settle(night)
            self.desk.write()
        left = [state for state in night.cells.values() if state.status == "waiting"]
        for state in left:
            state.status, state.reason = "missed", f"limits.wall ({self.matrix.limits.wall}) was reached before it ran"
        night.finished = time.time()
        self.desk.write()

    @property
    def _wall(self) -> float:
        return self.spent + time.monotonic() - self.begun

    @property
    def _time_left(self) -> float:
        return self.matrix.limits.wall_seconds - self._wall

    def _is_due(self, cell: Cell, fingerprint: str) -> bool:
        known = self.book.known.get(cell.key)
        return known is None or known.fingerprint != fingerprint

    def _new_state(self, cell: Cell, fingerprint: str) -> CellState:
        known = self.book.known.get(cell.key)
        return CellState(fingerprint=fingerprint, before=known.run if known is not None else "")

    def _refuse_unavailable(self, cell: Cell, night: Night) -> None:
        """A cell whose source or series cannot be had has its verdict now."""
        for name in (source_name(cell), series_name(cell)):
            found = night.inputs[name]
            state = night.cells[cell.key]
            if found.verdict and state.status == "waiting":
                state.status, state.verdict, state.reason = "done", found.verdict, f"{name}: {found.reason}"

    def _waiting(self, night: Night) -> list[Todo]:
        """The cells that wait, pinned to what their sources and series stand for, in order."""
        cells = [
            _with_profile(self.cells[key], night) for key, state in night.cells.items() if state.status == "waiting"
        ]
        found = plan.todos(cells, self.todo.runs, self.book, paths=self.paths)
        return plan.ordered(found, self.matrix)

    def _build_all(self, night: Night, workers: Workers) -> list[Todo]:
        """Build each kernel that cells wait for, by itself; returns the cells that are left to run."""
        waiting = self._waiting(night)
        groups = plan.kernels(waiting)
        for number, (kernel, group) in enumerate(groups.items(), start=1):
            if self._time_left <= 0:
                return []
            first = group[0]
            what = f"kernel {number}/{len(groups)}"
            job = self._job(first, night, what, words=("--prepare",), cores=0, log=f"build-{kernel}")
            ended = self._alone(workers, job, f"{what}: {first.cell.series}, {first.cell.fragments}")
            night.builds[kernel] = night.builds.get(kernel, 0.0) + round(ended.seconds, 3)
            if ended.seconds > _CACHED_SECONDS and ended.status == 0:
                self.book.build_seconds = round(ended.seconds, 1)
            named = f"{first.cell.series}, {first.cell.fragments} on {first.cell.source}"
            if ended.status == 0:
                self.view.say(f"✓ {what}  {named}  {duration(ended.seconds)}", style="green")
            else:
                self.view.say(f"✗ {what}  {named}  {duration(ended.seconds)}", style="bold red")
                waiting = self._without_kernel(night, workers, waiting, group)
            self.desk.write()
        return waiting

    def _without_kernel(self, night: Night, workers: Workers, waiting: list[Todo], group: list[Todo]) -> list[Todo]:
        """A kernel that could not be made: its first cell says why in a run of its own, the others say the same."""
        first, others = group[0], group[1:]
        self._start(first, night, workers, alone=True)
        while workers.running:
            self._collect(night, workers)
        waiting = [one for one in waiting if one is not first]
        state = night.cells[first.cell.key]
        if state.status == "done" and state.verdict in _NO_KERNEL and not state.counts:
            for one in others:
                other = night.cells[one.cell.key]
                other.status, other.verdict, other.reason = "done", state.verdict, state.reason
                other.run, other.like = state.run, first.cell.title
                self.outcomes.know(one.cell.key, other)
                self.view.say(f"✗ {state.verdict:<7} {one.cell.title}  as {first.cell.title}", style="bold red")
            waiting = [one for one in waiting if one not in others]
        return waiting

    def _run_all(self, night: Night, workers: Workers, waiting: list[Todo]) -> None:
        """Start what fits in the order of the cells, until none is left or the time is up."""
        queue = list(waiting)
        while queue or workers.running:
            for one in list(queue):
                if self._time_left > 0 and workers.fits(self._cell_job(one, night)):
                    queue.remove(one)
                    self._start(one, night, workers)
            if self._time_left <= 0:
                queue.clear()
                if workers.running:
                    self.view.say(
                        f"limits.wall ({self.matrix.limits.wall}) is reached: ending what goes on", style="bold"
                    )
                    workers.end()
                return
            self._collect(night, workers)

    def _collect(self, night: Night, workers: Workers) -> None:
        """Wait a moment, and take what ended."""
        done = sum(state.status == "done" for state in night.cells.values())
        self.view.show(workers.running, progress=f"{done} of {len(night.cells)} cells, {duration(self._wall)}")
        for ended in workers.wait(_LOOK_SECONDS):
            state = night.cells[ended.job.name]
            self.outcomes.take(ended, state)
            self._tell(ended.job.name, state)
            night.wall = self._wall
            self.desk.write()

    def _tell(self, key: str, state: CellState) -> None:
        good = Verdict(state.verdict).good
        number = " ".join(f"{count} {name}" for name, count in state.counts.items())
        reason = f"  {state.reason}" if state.reason else ""
        self.view.say(
            f"{'✓' if good else '✗'} {state.verdict:<7} {self.cells[key].title}  {number}  "
            f"{duration(state.seconds)}{reason}",
            style="green" if good else "bold red",
        )

    def _start(self, one: Todo, night: Night, workers: Workers, *, alone: bool = False) -> None:
        """Start a cell; it is on disk as running, with its run folder, before it is."""
        state = night.cells[one.cell.key]
        folder = run_folders.create(self.paths)
        state.status, state.run, state.started = "running", folder.name, time.time()
        state.seconds = 0.0
        self.desk.write()
        workers.start(self._cell_job(one, night, into=folder, alone=alone))

    def _cell_job(self, one: Todo, night: Night, *, into: RunFolder | None = None, alone: bool = False) -> Job:
        turns = self.desk.night_folder(night) / "turns"
        words: tuple[str, ...] = ()
        if into is not None:
            words = ("--into", str(into.path), "--turns", str(make_turns(turns, self.capacity.jobs)))
        job = self._job(one, night, one.cell.key, words=words, cores=0 if alone else 1, log=self._file(one.cell))
        return dataclasses.replace(job, turns=turns)

    def _job(self, one: Todo, night: Night, name: str, *, words: Sequence[str], cores: int, log: str) -> Job:
        folder = self.desk.night_folder(night)
        deadline = _BUILD_DEADLINE if cores == 0 else float(self.matrix.limits.cell_seconds)
        return Job(
            name=name,
            argv=(
                *self.harness, "--cache-dir", str(self.paths.cache), "--data-dir",
                str(self.paths.data), "run", "--profile", str(self._profile(one, night)), *words,
            ),
            log=folder / "logs" / f"{log}.log",
            deadline=min(deadline, max(1.0, self._time_left)) if cores == 0 else deadline,
            cores=cores,
            memory_mib=one.memory_mib,
            title=one.cell.title if name == one.cell.key else name,
            env={"HARNESS_PROJECT": str(self.paths.project), "HARNESS_HISTORY": self._history},
        )  # fmt: skip

    def _profile(self, one: Todo, night: Night) -> Path:
        """The cell's profile as a file, which anyone can run again: ``harness run --profile FILE``."""
        file = self.desk.night_folder(night) / "profiles" / f"{self._file(one.cell)}.toml"
        if not file.is_file():
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(profile_text(one.cell), "utf-8")
            except OSError as reason:
                raise disk_failure(reason, f"while writing {file}") from reason
        return file

    @staticmethod
    def _file(cell: Cell) -> str:
        return f"{safe(cell.title)}-{value_digest(cell.key)[:6]}"

    def _alone(self, workers: Workers, job: Job, what: str) -> Ended:
        workers.start(job)
        while True:
            self.view.show(workers.running, progress=what)
            if ended := workers.wait(_LOOK_SECONDS):
                return ended[0]


def profile_text(cell: Cell) -> str:
    """A cell's profile as TOML: strings, numbers, booleans and lists of strings are written as in JSON."""
    lines = ["# SPDX-License-Identifier: GPL-2.0-only"]
    for name, value in msgspec.to_builtins(cell.profile).items():
        if value is not None:
            lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def _with_profile(cell: Cell, night: Night) -> Cell:
    return dataclasses.replace(cell, profile=pinned(cell, night.inputs))
