# SPDX-License-Identifier: GPL-2.0-only
"""The suite ``lifecycle``: a case for each kept sequence (``tests/lifecycle/*.steps``), and one for each seed.

A seed's case plays drawn sequences for its share of the time. What it finds is made shorter and written to the run
folder, as steps (to be kept in ``tests/lifecycle``) and as a script.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from harness.errors import GuestError, HarnessError
from harness.lifecycle import step as steps
from harness.lifecycle.draw import explore
from harness.lifecycle.play import HASTY, PATIENT, Difference, Found, Guests, LeftOut, Played, Player
from harness.lifecycle.script import script
from harness.lifecycle.session import LIBRARY, Session, TalkingMachine
from harness.lifecycle.shrink import shrink
from harness.lifecycle.step import Step
from harness.suite.catalogue import Program, read_options
from harness.values import CaseResult, Verdict

SUITE = "lifecycle"
SECONDS = 40.0  # for all seeds of a run, where nothing else is asked for

_SHARE = 10.0  # seconds of a seed, where there is time for no more than _SEEDS
_SEEDS = 240
_STEP_SECONDS = 60.0
_SHRINK_SECONDS = 150.0
_SHRINK_SHARE = 0.5
_SHOWN = 40
_HISTORY = 1500  # steps, at about a tenth of a second each


class Floor(Guests, Protocol):
    """What runs the suite: guests, and what it tells of them."""

    def case_begins(self, name: str) -> None:
        """A case (``suite/program:case``) begins."""

    def output(self, program: Program, line: str) -> None:
        """A line of a program's report."""

    def keep(self, name: str, text: str) -> Path | None:
        """Keep a file in the run folder; its path, or None where there is none."""

    @property
    def scale(self) -> float:
        """The factor on deadlines."""

    @property
    def require_feature(self) -> bool:
        """Whether what is left out is a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The suite for a project's tests: ``seconds`` for all seeds, the first of which is ``seed``."""

    folder: Path
    guest_tests: Path
    seed: int
    seconds: float = SECONDS

    @property
    def seeds(self) -> int:
        """How many seeds share the time."""
        return max(1, min(_SEEDS, int(self.seconds / _SHARE)))

    def programs(self) -> tuple[Program, ...]:
        """The kept sequences and the seeds, as programs."""
        files = sorted(self.folder.glob("*.steps"))
        for file in files:
            steps.read(file)
        found = [self._program("random", tuple(f"seed_{self.seed + number}" for number in range(self.seeds)))]
        if files:
            found.insert(0, self._program("kept", tuple(file.stem for file in files)))
        return tuple(found)

    def run(self, floor: Floor, program: Program, cases: Sequence[str]) -> Iterator[CaseResult]:
        """Run cases of a program; each result when it is certain."""
        floor.output(program, "KTAP version 1")
        floor.output(program, f"1..{len(cases)}")
        player = self._player(floor, program)
        try:
            for number, case in enumerate(cases, 1):
                floor.case_begins(f"{program.full_name}:{case}")
                result = _Case(self, floor, player, program, case).result()
                floor.output(program, _ktap(number, result))
                yield result
        finally:
            player.close()

    @property
    def library(self) -> str:
        """The shell library that both the suite and its scripts run on."""
        return (self.guest_tests / LIBRARY).read_text("utf-8")

    def _player(self, floor: Floor, program: Program) -> Player:
        def tell(line: str) -> None:
            floor.output(program, f"# {line}")

        def connect(machine: TalkingMachine) -> Session:
            return Session(machine, self.library, seconds=_STEP_SECONDS * floor.scale)

        return Player(floor, connect=connect, tell=tell)

    def _program(self, name: str, cases: tuple[str, ...]) -> Program:
        return Program(
            suite=SUITE,
            name=name,
            path=self.folder,
            cases=cases,
            options=read_options(self.folder / "config"),
            timeout=self.seconds,
            hosted=self.run,
        )


class _Case:
    """One case while it runs."""

    def __init__(self, suite: Lifecycle, floor: Floor, player: Player, program: Program, case: str) -> None:
        self._suite = suite
        self._floor = floor
        self._player = player
        self._program = program
        self._case = case
        self._started = time.monotonic()

    def result(self) -> CaseResult:
        """Run it."""
        try:
            if self._program.name == "kept":
                return self._kept()
            return self._drawn(int(self._case.removeprefix("seed_")))
        except LeftOut as reason:
            return self._skip(str(reason))
        except GuestError as reason:
            return self._result(Verdict.LOST, reason.message)

    def _kept(self) -> CaseResult:
        sequence = steps.read(self._suite.folder / f"{self._case}.steps")
        needs = {need for line in sequence.comment if line.startswith("needs:") for need in line.split()[1:]}
        if "private" in needs and not self._player.world.private:
            return self._skip("this kernel has no private regions")
        missing = _first_missing(sequence.steps, self._player)
        if missing:
            return self._skip(f"this machine has no {missing}, which the sequence names")
        difference = self._player.replay(sequence.steps)
        if difference is None:
            return self._result(Verdict.PASS, "", [f"{len(self._player.played)} steps with those that undo them"])
        return self._failed(difference, tuple(self._player.played), "")

    def _drawn(self, seed: int) -> CaseResult:
        player = self._player
        world = player.world
        player.sequences = player.steps = 0
        until = self._started + self._suite.seconds / self._suite.seeds
        found: Difference | None = None
        try:
            explore(player, seed=seed, until=until)
        except Found as difference:
            found = difference.difference
        spent = time.monotonic() - self._started
        said = [f"seed {seed}: {player.sequences} sequences, {player.steps} steps in {spent:.1f} s"]
        if found is not None:
            played, history = tuple(player.played), tuple(player.history[-_HISTORY:])
            player.abandon(found)
            self._keep_steps(found, played)  # as it is, should the run be ended before it is shorter
            found, played, how = self._shrink(found, played, history)
            return self._failed(found, played, f"{how}; after {spent:.0f} s", said)
        if world.private:
            return self._result(Verdict.PASS, "", said)
        why = "private steps left out: this kernel has no private regions"
        if self._floor.require_feature:
            return self._result(Verdict.FAIL, f"{why}, and every feature was required", said)
        return self._result(Verdict.PASS, why, said)

    def _shrink(
        self, found: Difference, played: tuple[Played, ...], history: tuple[Step, ...]
    ) -> tuple[Difference, tuple[Played, ...], str]:
        """The shortest sequence with the same difference, and how it was come by in words.

        ``history`` is what was played in that guest before and with it, for what does not show in a fresh one.
        """
        began = time.monotonic()
        limit = max(_SHRINK_SECONDS, self._suite.seconds / self._suite.seeds * _SHRINK_SHARE) * self._floor.scale
        best = (found, played)

        def plays(candidate: tuple[Step, ...], *, fresh: bool = False) -> tuple[Step, ...] | None:
            nonlocal best
            if fresh:
                self._player.renew()
            difference = self._player.replay(candidate)
            if difference is None or difference.key != found.key:
                return None
            best = (difference, tuple(self._player.played))
            return tuple(one.step for one in self._player.played)

        def over() -> bool:
            return time.monotonic() - began > limit

        self._floor.output(self._program, f"# found: {found.reason}; making {len(played)} steps fewer")
        whole = plays(tuple(one.step for one in played)) or plays(history, fresh=True)
        if whole is None:
            how = f"{len(played)} steps; a fresh guest did not show it, nor with what was played before"
            return found, played, how
        certain = best
        tries = 0
        # what a try that showed nothing has left in the kernel may make the next one show it: then each has a guest
        for fresh in (False, True):
            self._player.settle = HASTY
            try:
                left = shrink(whole, partial(plays, fresh=fresh), over=over)
                tries += left.tries
                self._player.settle = PATIENT
                if plays(left.steps, fresh=True) is not None:
                    seconds = time.monotonic() - began
                    fewer = f"{len(left.steps)} steps of {len(played)}, {tries} tries in {seconds:.0f} s"
                    return *best, fewer if left.whole else f"{fewer} (the time was over)"
            except HarnessError as reason:
                return *certain, f"not made shorter: {reason.message}"
            finally:
                self._player.settle = PATIENT
        return *certain, f"{len(whole)} steps; fewer do not always show it"

    def _failed(self, found: Difference, played: tuple[Played, ...], how: str, said: Sequence[str] = ()) -> CaseResult:
        kept = self._keep_steps(found, played)
        comment = [f"{self._program.full_name}:{self._case}: {found.reason}"]
        comment.append("In a guest: sh THIS. From the host: harness boot … --stdin -- sh -s <THIS")
        text = script(played, found, library=self._suite.library, comment=comment)
        shell = self._floor.keep(f"{SUITE}/{self._case}.sh", text)
        lines = [*said, *self._player.evidence, how, *(f"step: {one.step}" for one in played), *found.lines[:_SHOWN]]
        if shell is not None:
            lines.append(f"as a script: {shell}")
        if kept is not None:
            lines.append(f"to keep it: cp {kept} tests/lifecycle/")
        reason = found.reason + (f" ({how})" if how else "")
        result = self._result(found.verdict, reason, [line for line in lines if line])
        mark = found.crash.fingerprint if found.crash is not None else None
        return replace(result, splat=found.splat, crash=found.crash, fingerprint=mark)

    def _keep_steps(self, found: Difference, played: Sequence[Played]) -> Path | None:
        text = steps.write([one.step for one in played], *_comment(found, played))
        return self._floor.keep(f"{SUITE}/{self._case}.steps", text)

    def _skip(self, reason: str) -> CaseResult:
        if self._floor.require_feature:
            return self._result(Verdict.FAIL, f"skipped, and every feature was required: {reason}")
        return self._result(Verdict.SKIP, reason)

    def _result(self, verdict: Verdict, reason: str, lines: Sequence[str] = ()) -> CaseResult:
        return CaseResult(
            suite=SUITE,
            program=self._program.name,
            case=self._case,
            verdict=verdict,
            reason=reason,
            seconds=time.monotonic() - self._started,
            diagnostics=tuple(lines),
        )


def _comment(found: Difference, played: Sequence[Played]) -> list[str]:
    lines = [found.reason]
    words = {word for one in played for word in one.step.words}
    if "private" in words:
        lines.append("needs: private")
    return lines


def _first_missing(sequence: Sequence[Step], player: Player) -> str:
    """A window or a device that the steps name and the machine has not."""
    world = player.world
    for one in sequence:
        if one.verb == "create" and world.window(one.words[2]) is None:
            return f"window {one.words[2]} for RAM"
        if one.verb == "reserve":
            gone: Callable[[str], bool] = lambda name: world.device(name) is None  # noqa: E731
            missing = next((name for name in one.words[1:] if gone(name)), None)
            if missing:
                return f"device {missing} with RAM"
    return ""


def _ktap(number: int, result: CaseResult) -> str:
    if result.verdict is Verdict.SKIP:
        return f"ok {number} {result.case} # SKIP {result.reason}"
    return f"{'ok' if result.verdict.good else 'not ok'} {number} {result.case}"
