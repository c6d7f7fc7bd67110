# SPDX-License-Identifier: GPL-2.0-only
"""Runs make in a worktree: for the targets of a kernel, or for parts of one."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import sandbox, worktrees
from harness.build import nearest, state
from harness.build.failure import error_of, failing_command
from harness.build.log import BuildLog, Step, merged_warnings
from harness.build.plan import MakePlan, default_jobs, estimated_steps, make_plan
from harness.build.stream import follow
from harness.errors import EnvironmentFailure, UserError
from harness.paths import Paths, make_folder
from harness.process import Enclosure, run, which
from harness.progress import Progress
from harness.store import Store, disk_failure, value_digest
from harness.toolchain import Toolchain
from harness.values import AppliedSeries, KernelConfig

_FORMAT = 1  # of the entry: raise it when the way kernels are built or kept changes
_BUILD_SECONDS = 6 * 3600.0
STEP_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One build: what, with which configuration, where things are; ``log_name`` where it is not the whole kernel's."""

    applied: AppliedSeries
    config: KernelConfig
    toolchain: Toolchain
    paths: Paths
    store: Store
    progress: Progress
    jobs: int
    log_name: str = ""

    @property
    def key(self) -> str:
        """The content key of the kernel."""
        return kernel_key(self.applied, self.config, self.toolchain)

    @property
    def log(self) -> Path:
        """Where the build's output goes."""
        return make_folder(self.paths.cache / "logs") / f"build-{self.log_name or self.key[:16]}.log"

    def plan(self, worktree: worktrees.Worktree, wanted: Sequence[str], **variables: str) -> MakePlan:
        """The make command for targets."""
        ccache = make_folder(self.paths.cache / "ccache") if which("ccache") else None
        return make_plan(
            wanted,
            source=worktree.source,
            output=worktree.output,
            config=self.config,
            toolchain=self.toolchain,
            jobs=self.jobs,
            ccache=ccache,
            variables=variables,
        )

    def within(self, worktree: worktrees.Worktree, *writable: Path) -> Enclosure:
        """Where a make of this worktree runs; it writes its output, the compiler cache and ``writable``."""
        places = (worktree.output, make_folder(self.paths.cache / "ccache"), *writable)
        return sandbox.enclosure(self.paths, writable=places, readable=[worktree.source])


def kernel_key(applied: AppliedSeries, config: KernelConfig, toolchain: Toolchain) -> str:
    """The content key of a kernel."""
    return value_digest(_FORMAT, applied.tree_id, config.digest, toolchain.digest)


def new_job(
    applied: AppliedSeries,
    config: KernelConfig,
    toolchain: Toolchain,
    paths: Paths,
    store: Store,
    progress: Progress,
    jobs: int | None,
    *,
    log_name: str = "",
) -> Job:
    """A build that was asked for. Raises :class:`UserError` for jobs that make cannot work with."""
    if jobs is not None and jobs < 1:
        raise UserError(f"{jobs} is no number of jobs", hint="give --jobs 1 or more")
    return Job(
        applied=applied,
        config=config,
        toolchain=toolchain,
        paths=paths,
        store=store,
        progress=progress,
        jobs=jobs or default_jobs(),
        log_name=log_name,
    )


def run_make(
    job: Job,
    worktree: worktrees.Worktree,
    wanted: Sequence[str],
    *,
    variables: Mapping[str, str] | None = None,
    remember: bool = True,
) -> dict[str, list[str]]:
    """Run make for targets; returns the warnings of all that the output folder holds, by source file.

    Not to ``remember`` is for a look with other ``variables`` (``W=1``) at what was built before: the warnings are then
    those of this make alone, and the folder's state does not hear of them.
    """
    try:
        return _run_make(job, worktree, wanted, variables=variables or {}, remember=remember, afresh=False)
    except _ClockSkew:
        job.progress.warn("the clock was set back since the last build; this one is made from nothing")
        _start_over(worktree)
        return _run_make(job, worktree, wanted, variables=variables or {}, remember=remember, afresh=True)


class _ClockSkew(Exception):
    """Files of the worktree are from the future: make takes them for newer than what they are made of."""


def _start_over(worktree: worktrees.Worktree) -> None:
    """Empty the output folder, and have no source of the future, which make would build again and again."""
    now = time.time()
    try:
        for path in worktree.output.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for path in worktree.source.rglob("*"):
            if path.lstat().st_mtime > now:
                os.utime(path, follow_symlinks=False)
    except OSError as reason:
        raise disk_failure(reason, f"while emptying {worktree.output}") from reason


def _run_make(
    job: Job,
    worktree: worktrees.Worktree,
    wanted: Sequence[str],
    *,
    variables: Mapping[str, str],
    remember: bool,
    afresh: bool,
) -> dict[str, list[str]]:
    """As :func:`run_make`. Not ``afresh``, raises :class:`_ClockSkew` where make found files of the future."""
    _write_config(job.config, worktree.output)
    past = _past(job, worktree) if remember else state.BuildState()
    whole = not job.log_name and not past.complete
    expected = max(1, estimated_steps(job.config) - past.steps) if whole else None
    log = BuildLog(source=worktree.source, output=worktree.output, on_step=_Counter(job.progress, expected).step)
    plan = job.plan(worktree, wanted, **variables)
    returncode = -1
    skewed = False

    def take(line: str) -> None:
        nonlocal skewed
        skewed = skewed or "Clock skew detected." in line  # GNU make, src/remake.c
        log.feed(line)

    try:
        returncode = follow(
            plan.argv,
            deadline=_BUILD_SECONDS,
            env=plan.env,
            log=job.log,
            on_line=take,
            within=job.within(worktree),
        )
    finally:
        log.close()
        past.note(log.steps, log.finished, worktree.output)
        past.complete = past.complete or returncode == 0
        past.unfinished = ""
        if remember:
            state.save(past, worktree.output)
    if skewed and not afresh:
        raise _ClockSkew
    if returncode != 0:
        _check_source(worktree, log=job.log)
        command = _find_command(job, worktree, log)
        raise error_of(log, argv=plan.argv, command=command, file=job.log, returncode=returncode)
    return merged_warnings(past.warnings) if remember else log.warnings


def _check_source(worktree: worktrees.Worktree, *, log: Path) -> None:
    """Raise :class:`EnvironmentFailure` where the source is no longer the commit: then nobody's patch is to blame."""
    try:
        changed = worktree.git("diff", "--name-only", "HEAD").text.splitlines()
    except EnvironmentFailure as reason:
        changed = [reason.message]
    if changed:
        raise EnvironmentFailure(
            f"the source in {worktree.source} was changed or removed while it was built",
            details=changed[:10],
            log=log,
            hint="it belongs to the harness; run this again",
        )


def _past(job: Job, worktree: worktrees.Worktree) -> state.BuildState:
    """The folder's state, with what a build that was killed had done; marks the build that begins now."""
    past = state.load(worktree.output)
    with contextlib.suppress(OSError):
        if past.unfinished and Path(past.unfinished).parent == job.log.parent:
            log = BuildLog(source=worktree.source, output=worktree.output)
            for line in Path(past.unfinished).read_text(errors="replace").splitlines():
                log.feed(line)
            log.close()
            past.note(log.steps, log.finished, worktree.output)
    past.unfinished = str(job.log)
    state.save(past, worktree.output)
    return past


class _Counter:
    """Counts steps towards the number expected; an expectation that proves too small grows along."""

    def __init__(self, progress: Progress, expected: int | None) -> None:
        self._progress = progress
        self._expected = expected
        self._done = 0

    def step(self, step: Step) -> None:
        self._done += 1
        total = max(self._expected, self._done) if self._expected else None
        self._progress.update(f"{step.verb} {step.target}", done=self._done, total=total)


def _find_command(job: Job, worktree: worktrees.Worktree, log: BuildLog) -> list[str] | None:
    """The command behind the first failure: the one target again, with make saying what it runs."""
    target = log.failure.target if log.failure else ""
    if log.disk_full or not target.endswith((".o", ".s", ".i", ".lds")):
        return None
    plan = job.plan(worktree, (target,), V="1")
    done = run(plan.argv, deadline=STEP_SECONDS, env=plan.env, check=False, within=job.within(worktree))
    command = failing_command(done.text.splitlines(), target)
    try:
        words = shlex.split(command) if command else []
    except ValueError:
        return None
    if not words:
        return None
    # kbuild's commands run in the output folder; ours must run as it is shown
    return ["env", "-C", str(worktree.output), *(words[1:] if words[0] == "ccache" else words)]


def _write_config(config: KernelConfig, output: Path) -> None:
    """Put the ``.config`` in place; an equal one stays as it is, so that make sees no change."""
    path = sandbox.own_file(output / ".config")
    kept = sandbox.own_file(output / nearest.CONFIG)  # make writes its own head and order into .config
    try:
        if path.is_file() and kept.is_file() and kept.read_text() == config.text:
            return
        path.write_text(config.text)
        kept.write_text(config.text)
    except OSError as reason:
        raise disk_failure(reason, f"while writing {path}") from reason
