# SPDX-License-Identifier: GPL-2.0-only
"""What a gate was asked for, and what is looked at patch by patch."""

from __future__ import annotations

from dataclasses import dataclass

from harness import patchcheck
from harness.display import many
from harness.gate.ends import Ends, Wanted
from harness.gate.report import repeats_needed
from harness.patchcheck import Bench, Choice, PatchPlan
from harness.profile import Profile
from harness.series.answers import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePlan:
    """What was asked for. ``repeat`` runs of each side; ``boot`` ends or each; ``again`` uses no run that is kept."""

    wanted: Wanted
    choice: Choice
    boot: str = "ends"
    repeat: int = 1
    again: bool = False
    answers: tuple[Answer, ...] = ()

    @property
    def profile(self) -> Profile:
        """The head's profile."""
        return self.wanted.profile

    def lines(self, patches: PatchPlan | None, count: int) -> list[str]:
        """The plan as text; ``patches`` is None where the head does not apply."""
        shown = [f"head        {self.profile.series}: {many(count, 'patch')}", f"base        {self.wanted.base_text}"]
        shown.append(f"config      {' '.join(self.profile.config)}")
        if patches is None:
            return [*shown, "the head does not apply: nothing else is done"]
        shown += patches.lines
        suites = " ".join(self.choice.suites or self.profile.suites)
        times = f", {self.repeat} times each in turn" if self.repeat > 1 else ""
        shown.append(f"suites      base and head, topology {self.profile.topology}{times}: {suites}")
        if self.boot == "each":
            shown += patches.boots(patches.patches[:-1], "the same suites")
        if 1 < self.repeat < repeats_needed():
            shown.append(f"            times are told, not judged: that takes --repeat {repeats_needed()}")
        return shown


def plan(todo: GatePlan, ends: Ends, bench: Bench) -> PatchPlan | None:
    """What is looked at patch by patch; None where the head does not apply. Raises :class:`UserError`."""
    patchcheck.check_suites(todo.choice, bench)
    return patchcheck.plan(ends.head, todo.choice, bench) if ends.head is not None else None
