# SPDX-License-Identifier: GPL-2.0-only
"""A whole run: the stages of the pipeline, then the selected cases in a guest, and a run folder at the end.

However it ends (verdict, failure, Ctrl-C), the run folder holds what is known by then.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from harness import kselftest, pipeline
from harness.again import with_debug_info
from harness.errors import EnvironmentFailure, HarnessError, UserError, shortage
from harness.guests import judge
from harness.lifecycle import suite as lifecycle
from harness.manifest import manifest
from harness.paths import Paths
from harness.pipeline import BuiltKernel, Machine, Made
from harness.profile import Profile
from harness.progress import View
from harness.rerun import rerun
from harness.results import folder as run_folders
from harness.results.folder import RunFolder
from harness.results.record import Results
from harness.results.recorder import Recorder
from harness.splat.decode import NO_DEBUG_INFORMATION, Decoder
from harness.store import Store, disk_failure, folder_digest, value_digest
from harness.suite import catalogue, described
from harness.suite import kselftest as foreign_suites
from harness.suite.catalogue import Selection
from harness.topology import Topology
from harness.values import CaseResult, KernelConfig, QemuPlan
from harness.worktrees import check_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What a run will do, as far as it can be known before anything is fetched: for ``--dry-run``.

    ``selftests`` are those of the kernel's tree: their programs are known, ``keyword`` is applied, once it is there.
    ``topology`` stands in place of the one that the profile names.
    """

    profile: Profile
    selections: tuple[Selection, ...]
    selftests: tuple[kselftest.Wanted, ...] = ()
    keyword: str = ""
    topology: Topology | None = None

    @property
    def cases(self) -> tuple[str, ...]:
        """Every selected case in order; of the tree's selftests what was asked for."""
        ours = tuple(name for selection in self.selections for name in selection.names)
        return (*ours, *map(str, self.selftests))

    @property
    def draws(self) -> bool:
        """Whether a case depends on the seed."""
        return any(one.program.stress or one.program.hosted is not None for one in self.selections)

    def from_the_host(self, paths: Paths) -> str | None:
        """The digest of what decides selected tests that run from the host: their code, their sequences, what is known.

        None where all that is selected runs from the guest tests' image.
        """
        parts: list[str] = []
        if any(one.program.hosted is not None for one in self.selections):
            parts += [folder_digest(paths.sequences), folder_digest(Path(lifecycle.__file__).parent, "*.py")]
        if self.selftests:
            parts.append(folder_digest(Path(kselftest.__file__).parent / "known"))
        return value_digest(parts) if parts else None


def plan(
    profile: Profile,
    *,
    selection: Sequence[str] = (),
    keyword: str = "",
    paths: Paths,
    topology: Topology | None = None,
) -> RunPlan:
    """Check what can be checked beforehand and select the cases; raises :class:`UserError`."""
    check_cache(paths)
    pipeline.check(profile, paths=paths, topology=topology)
    names = selection or profile.suites
    selftests = [wanted for name in names if kselftest.is_request(name) for wanted in kselftest.parse(name)]
    ours = [name for name in names if not kselftest.is_request(name)]
    catalogue.Keyword(keyword)
    selections: tuple[Selection, ...] = ()
    if ours or not selftests:
        hosted = {lifecycle.SUITE: _lifecycle(profile, paths).programs}
        selections = catalogue.select(
            paths.guest_tests, ours, keyword=keyword, hosted=hosted, may_be_empty=bool(selftests)
        )
    return RunPlan(
        profile=profile,
        selections=selections,
        selftests=tuple(dict.fromkeys(selftests)),
        keyword=keyword,
        topology=topology,
    )


def _lifecycle(profile: Profile, paths: Paths) -> lifecycle.Lifecycle:
    return lifecycle.Lifecycle(
        folder=paths.sequences,
        guest_tests=paths.guest_tests,
        seed=profile.seed,
        seconds=profile.stress_seconds or lifecycle.SECONDS,
    )


def prepare(todo: RunPlan, *, paths: Paths, store: Store, view: View) -> None:
    """All that a run does before its guest: image, QEMU, source, series, configuration, build. It stays in the cache.

    Raises what a stage raises.
    """
    pipeline.machine_for(todo.profile, paths=paths, store=store, stages=view)
    pipeline.kernel_for(todo.profile, paths=paths, store=store, stages=view, selftests=todo.selftests)


def execute(
    todo: RunPlan,
    *,
    paths: Paths,
    store: Store,
    view: View,
    command: Sequence[str] = (),
    folder: RunFolder | None = None,
    reruns: int = 0,
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[RunFolder, Results]:
    """Run it all; returns the run folder (a new one where none is given) and the results, whatever they are.

    Ctrl-C (or a signal like it) ends it early: the results say so (``interrupted``) and hold what is known by then.
    Afterwards each failed case is run ``reruns`` times again, on a fresh guest. The guest's time is a ``turn``: runs
    beside this one may have theirs first.
    """
    folder = folder or run_folders.create(paths)
    recorder = Recorder(folder, view)
    run = _Run(todo, folder=folder, recorder=recorder, paths=paths, store=store, command=tuple(command))
    run.turn = turn
    with folder.held():
        with recorded(recorder):
            run.go()
        run.write()
        if reruns and recorder.failed_cases and not recorder.interrupted:
            run.rerun(reruns, view)
    return folder, recorder.results()


@contextmanager
def recorded(recorder: Recorder) -> Iterator[None]:
    """What ends the block early, an error or Ctrl-C, is recorded and goes no further."""
    try:
        yield
    except HarnessError as error:
        recorder.failed(error)
    except OSError as reason:
        recorder.failed(disk_failure(reason, "during the run"))
    except KeyboardInterrupt:
        recorder.interrupted = True
    except Exception as bug:
        recorder.failed(shortage(bug) or _internal(bug, recorder.folder))


def _internal(bug: Exception, folder: RunFolder) -> EnvironmentFailure:
    """A mistake of ours: the run is written all the same, the traceback goes beside it."""
    trace = "".join(traceback.format_exception(bug))
    return EnvironmentFailure(
        f"internal error of the harness: {type(bug).__name__}: {bug}",
        log=folder.write("internal-error.txt", trace),
        hint="please report it with that file",
    )


class _Run:
    """One run's state while it goes on."""

    def __init__(
        self,
        todo: RunPlan,
        *,
        folder: RunFolder,
        recorder: Recorder,
        paths: Paths,
        store: Store,
        command: tuple[str, ...],
    ) -> None:
        self.todo = todo
        self.folder = folder
        self.recorder = recorder
        self.paths = paths
        self.store = store
        self.command = command
        self.started = time.time()
        self.made = Made()
        self.machine: Machine | None = None
        self.plan: QemuPlan | None = None
        self.config: KernelConfig | None = None
        self.decoder: Decoder | None = None
        self.selections: tuple[Selection, ...] = ()
        self.turn: Callable[[], AbstractContextManager[None]] = nullcontext

    def go(self) -> None:
        """All stages; raises what a stage raises."""
        profile = self.todo.profile
        self.machine = pipeline.machine_for(
            profile, paths=self.paths, store=self.store, stages=self.recorder, topology=self.todo.topology
        )
        try:
            built = pipeline.kernel_for(
                profile,
                paths=self.paths,
                store=self.store,
                stages=self.recorder,
                made=self.made,
                selftests=self.todo.selftests,
                modules=any(selection.program.modules for selection in self.todo.selections),
            )
        finally:
            self._keep_inputs()
        self.config = built.config
        self.decoder = Decoder(built.kernel, paths=self.paths)
        self.selections = (*self.todo.selections, *self._selftests(built, self.machine))
        if not self.selections:
            raise UserError("no case is selected", hint=f"nothing matches -k '{self.todo.keyword}'")
        self.plan = pipeline.guest_plan(profile, built, self.machine)
        self.write_manifest()
        self.folder.write("programs.json", described.written(self.selections))
        with self.turn():
            started = time.monotonic()
            try:
                with closing(self._judge(self.selections, self.recorder)) as results:
                    for result in results:
                        self.recorder.case(result)
            finally:
                self.recorder.guest_seconds = time.monotonic() - started

    def rerun(self, times: int, view: View) -> None:
        """Run what failed again, and write what came out. Whatever happens meanwhile, the verdicts of the run stay."""
        try:
            rerun(
                self.selections, times, recorder=self.recorder, view=view, judge=lambda one, to: self._judge([one], to)
            )
        except KeyboardInterrupt:
            view.say("interrupted: the rest is not run again", style="yellow")
        except HarnessError as error:
            view.say(f"the rest is not run again: {error.message}", style="yellow")
        except OSError as reason:
            view.say(disk_failure(reason, "while running failed cases again").message, style="yellow")
        except Exception as bug:
            view.say(f"the rest is not run again: {_internal(bug, self.folder).message}", style="yellow")
        try:
            self.folder.write_results(self.recorder.results())
        except HarnessError as error:
            view.say(f"what came out of the reruns is not kept: {error.message}", style="yellow")

    def _judge(self, selections: Iterable[Selection], recorder: Recorder) -> Generator[CaseResult, None, None]:
        assert self.plan is not None and self.config is not None
        profile, config = self.todo.profile, self.config
        judged = judge(
            self.plan,
            selections,
            profile=profile,
            config=config,
            recorder=recorder,
            paths=self.paths,
            command=self.command,
        )
        with closing(judged) as results:
            for result in results:
                yield self._decoded(result)

    def write(self) -> None:
        """Write the results and the manifest."""
        try:
            self._write()
        except KeyboardInterrupt:  # in the middle of it: the report says so, and is written
            self.recorder.interrupted = True
            self._write()

    def _write(self) -> None:
        try:
            self.folder.write_results(self.recorder.results())
            self.write_manifest()
        except HarnessError as error:  # a full disk: what is known is shown nevertheless
            self.recorder.failed(error)

    def _decoded(self, result: CaseResult) -> CaseResult:
        """The result with the source lines of its splat; or with the command that gives them."""
        if result.crash is None or self.decoder is None:
            return result
        crash = self.decoder.decoded(result.crash)
        if crash.note == NO_DEBUG_INFORMATION and self.command:
            again = with_debug_info(self.command, result.name)
            crash = replace(crash, note=f"{crash.note}; with them: {again}")
        return replace(result, crash=crash)

    def _selftests(self, built: BuiltKernel, machine: Machine) -> list[Selection]:
        """The programs of the tree's selftests, now that they are built."""
        found: list[Selection] = []
        now = pipeline.circumstances(built, machine)
        for one in built.targets:
            if one.built is None:
                found.append(foreign_suites.absent(one.target, one.known.absent))
                continue
            programs = foreign_suites.selections(
                one.built,
                one.known,
                wanted=one.wanted,
                whole=one.whole,
                keyword=self.todo.keyword,
                timeout=one.timeout,
                now=now,
            )
            if not one.built.programs and not one.built.unbuilt:
                programs = (foreign_suites.absent(one.target, "its Makefile names no program for this architecture"),)
            found += programs
        return found

    def write_manifest(self) -> None:
        """Write the manifest with what is decided by now."""
        self.folder.write_manifest(
            manifest(
                profile=self.todo.profile,
                selection=self.todo.cases,
                made=self.made,
                machine=self.machine,
                plan=self.plan,
                command=self.command,
                started=self.started,
                paths=self.paths,
                keyword=self.todo.keyword,
                from_the_host=self.todo.from_the_host(self.paths),
            )
        )

    def _keep_inputs(self) -> None:
        """The final configuration and the patches, as far as the run came: what a failed build is looked into with."""
        if self.made.config is not None:
            self.folder.write("config", self.made.config.text)
        for patch in self.made.series.patches if self.made.series is not None else ():
            self.folder.write(f"series/{patch.number:04d}.patch", patch.content)
