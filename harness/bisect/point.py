# SPDX-License-Identifier: GPL-2.0-only
"""One kernel of a bisect, built and asked."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from harness import again, guest, pipeline, run
from harness.bisect.answer import Answer, Outcome, of_run, of_runs
from harness.errors import BootError, BuildError, EnvironmentFailure, KernelError, UserError
from harness.paths import Paths
from harness.profile import Profile
from harness.progress import View
from harness.results import folder as run_folders
from harness.results.folder import RunFolder
from harness.results.record import Results
from harness.run import RunPlan
from harness.store import Store
from harness.values import Verdict

BUILD = "build"
BOOT = "boot"

Execute = Callable[[RunPlan], tuple[RunFolder, Results]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Asks a kernel about a case: ``case`` as ``--suite`` takes it, or ``build`` or ``boot`` for the kernel itself.

    A case is run up to ``repeat`` times, each in a fresh guest, and fails if it ever does. ``profile_name`` is that
    of the profile that the user named, for the command that shows the answer.
    """

    case: str
    repeat: int
    paths: Paths
    store: Store
    view: View
    profile_name: str = "default"
    execute: Execute | None = None

    def check(self, profile: Profile) -> None:
        """Raise :class:`UserError` where there is no such case (with the nearest), or another name is wrong."""
        if self.case in (BUILD, BOOT):
            pipeline.check(profile, paths=self.paths)
        else:
            run.plan(profile, selection=[self.case], paths=self.paths)

    def ask(self, profile: Profile) -> Answer:
        """What the profile's kernel makes of the case. Raises what says nothing of the kernel."""
        if self.case in (BUILD, BOOT):
            return self._kernel(profile)
        answers: list[Answer] = []
        for _ in range(self.repeat):
            answers.append(self._run(profile))
            if answers[-1].outcome is not Outcome.PASSES:
                break
        return of_runs(answers)

    def shown_by(self, profile: Profile) -> str:
        """The command that shows what the profile's kernel makes of the case."""
        if self.case == BUILD:
            return shlex.join(self._words(profile, "build"))
        if self.case == BOOT:
            return shlex.join([*self._words(profile, "boot"), "--", "true"])
        return shlex.join([*self._words(profile), "--suite", self.case])

    def _words(self, profile: Profile, word: str = "run") -> tuple[str, ...]:
        return again.of_profile(profile, paths=self.paths, name=self.profile_name, word=word)

    def _run(self, profile: Profile) -> Answer:
        todo = run.plan(profile, selection=[self.case], paths=self.paths)
        if self.execute is not None:
            folder, results = self.execute(todo)
        else:
            folder, results = run.execute(
                todo, paths=self.paths, store=self.store, view=self.view, command=self._words(profile)
            )
        if results.interrupted:
            raise KeyboardInterrupt
        failure = results.failure
        if failure is not None and failure.verdict == Verdict.INFRA.value:
            error = UserError if failure.usage else EnvironmentFailure
            raise error(failure.message, hint=failure.hint, details=(*failure.details, f"run folder: {folder.path}"))
        return of_run(results)

    def _kernel(self, profile: Profile) -> Answer:
        """Whether the kernel builds, or boots."""
        try:
            built = pipeline.kernel_for(profile, paths=self.paths, store=self.store, stages=self.view)
        except BuildError as reason:
            failed = Outcome.FAILS if self.case == BUILD else Outcome.UNTESTABLE
            return Answer(outcome=failed, reason=f"BUILD: {reason.message}")
        except KernelError as reason:
            return Answer(outcome=Outcome.UNTESTABLE, reason=f"{reason.verdict}: {reason.message}")
        if self.case == BUILD:
            return Answer(outcome=Outcome.PASSES)
        machine = pipeline.machine_for(profile, paths=self.paths, store=self.store, stages=self.view)
        plan = pipeline.guest_plan(profile, built, machine)
        for _ in range(self.repeat):
            folder = run_folders.create(self.paths)
            try:
                with (
                    self.view.stage("boot") as stage,
                    guest.start(plan, folder=folder.folder("guests", "1"), paths=self.paths, progress=stage),
                ):
                    stage.result("boots")
            except BootError as reason:
                return Answer(outcome=Outcome.FAILS, reason=f"BOOT: {reason.message}", runs=(folder.name,))
        return Answer(outcome=Outcome.PASSES)
