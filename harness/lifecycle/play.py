# SPDX-License-Identifier: GPL-2.0-only
"""Sequences on a guest and its model side by side: the first difference ends one.

A :class:`Player` keeps a guest from one sequence to the next, as long as it is what it was at the begin; a guest that a
sequence has spoilt is replaced.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from harness.errors import GuestError
from harness.lifecycle.model import Model
from harness.lifecycle.session import Hang, NoUnplug, Session, TalkingMachine
from harness.lifecycle.state import Action, permitted
from harness.lifecycle.step import Step
from harness.lifecycle.world import ZSWAP, World
from harness.splat import Splat
from harness.values import Crash, Verdict

# Seconds between looks at what follows a step late (cpusets do); the second where it is only looked for again.
PATIENT = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 2.0)
HASTY = (0.05, 0.1, 0.2, 0.3, 0.5)
_UNDO_LIMIT = 200

# What is set for the length of a case.
PREPARE = f"""\
steps_policy=$(cat /sys/devices/system/memory/auto_online_blocks)
echo offline >/sys/devices/system/memory/auto_online_blocks
steps_controls=$(cat /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null)
for each in cpuset memory; do
grep -qs $each /sys/fs/cgroup/cgroup.controllers && echo "+$each" >/sys/fs/cgroup/cgroup.subtree_control; done
if [ -e {ZSWAP}/enabled ] && [ -b /dev/harness/swap ]; then
steps_zswap=$(cat {ZSWAP}/enabled); steps_percent=$(cat {ZSWAP}/max_pool_percent)
echo Y >{ZSWAP}/enabled; echo 50 >{ZSWAP}/max_pool_percent; mkswap /dev/harness/swap >/dev/null; fi"""
RESTORE = f"""\
echo "$steps_policy" >/sys/devices/system/memory/auto_online_blocks
for each in cpuset memory; do case " $steps_controls " in *" $each "*) ;;
*) [ ! -e /sys/fs/cgroup/cgroup.controllers ] || echo "-$each" >/sys/fs/cgroup/cgroup.subtree_control;; esac; done
if [ -n "${{steps_zswap:-}}" ]; then
echo "$steps_zswap" >{ZSWAP}/enabled; echo "$steps_percent" >{ZSWAP}/max_pool_percent; fi
rm -rf "$steps_tmp\""""


class Guests(Protocol):
    """Where guests come from."""

    def guest(self) -> TalkingMachine:
        """A guest that is fit for use; raises GuestError where none can be had."""

    def spoil(self, reason: str) -> None:
        """The guest must not be used for anything else: the next :meth:`guest` is another one."""

    def examined(self, *, crashed: bool) -> tuple[str, ...]:
        """What a look at the guest finds, now that it crashed, hangs or is cut off, in lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What was found. ``key`` stays the same when a sequence is made shorter; ``checks`` are (wanted, path) to show it.

    ``wrong`` is the action that answered what it may not, where that is what was found.
    """

    verdict: Verdict
    key: str
    reason: str
    lines: tuple[str, ...] = ()
    splat: str | None = None
    crash: Crash | None = None
    checks: tuple[tuple[str, str], ...] = ()


class Found(BaseException):
    """A difference; not an Exception, so that hypothesis lets it through at once."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(difference.reason)
        self.difference = difference


class LeftOut(Exception):
    """The machine or the kernel cannot do what is asked for; says why."""


@dataclass(slots=True)
class Played:
    """A step that was played: its actions with their outcomes, then the questions with theirs."""

    step: Step
    actions: list[tuple[Action, str]] = field(default_factory=list)
    questions: list[tuple[Action, str]] = field(default_factory=list)


class Player:
    """Plays sequences. ``played`` and ``model`` are those of the sequence that is on or has just ended; ``evidence`` is
    what a look at the first guest found that crashed, hung or was lost.

    ``settle`` is how often to look at what is not as it should be, with which pauses. ``connect`` opens a session in a
    guest, ``tell`` gets a line for each step.
    """

    def __init__(
        self,
        guests: Guests,
        *,
        connect: Callable[[TalkingMachine], Session],
        tell: Callable[[str], None],
    ) -> None:
        self.played: list[Played] = []
        self.sequences = 0
        self.steps = 0
        self.replaced = 0
        self.evidence: tuple[str, ...] = ()
        self.settle: tuple[float, ...] = PATIENT
        self.history: list[Step] = []  # all that was played in this guest, those that undo included
        self._guests = guests
        self._connect = connect
        self._tell = tell
        self._session: Session | None = None
        self._world: World | None = None
        self._model: Model | None = None
        self._nodes: dict[str, int] = {}
        self._seen: dict[str, str] = {}
        self._pristine: dict[str, str] = {}
        self._whole: list[str] = []
        self._over = True
        self._plugs = True  # until a device did not go

    @property
    def model(self) -> Model:
        """The model of the sequence."""
        assert self._model is not None
        return self._model

    @property
    def world(self) -> World:
        """What the machine has; boots a guest when first asked for. Raises :class:`LeftOut` where it has nothing."""
        self._ready()
        assert self._world is not None
        return self._world

    def begin(self) -> None:
        """Begin a sequence on a guest that is as it was; raises :class:`Found` where there is none."""
        self.played = []
        try:
            self._ready()
            assert self._world is not None and self._session is not None
            self._model = Model(self._world, self._nodes)
            self._seen = self._session.look()
        except GuestError as reason:
            raise self._gone(Verdict.LOST, reason.message) from reason
        self.sequences += 1
        self._over = False

    def may(self, step: Step) -> bool:
        """Whether a step makes sense now."""
        return self.model.plan(step, self._seen) is not None

    def play(self, step: Step) -> None:
        """Play a step that makes sense now; raises :class:`Found`."""
        actions = self.model.plan(step, self._seen)
        assert actions is not None
        record = Played(step)
        self.played.append(record)
        self.history.append(step)
        self.steps += 1
        session = self._session
        assert session is not None
        try:
            outcomes, self._seen = session.play(str(step), actions)
            record.actions = list(zip(actions, outcomes, strict=False))
            self._tell(f"{step}: {outcomes[-1] if outcomes else 'nothing'}")
            self._judge_splats()
            self._judge_actions(record.actions, len(actions))
            wrong = self.model.learn(step, outcomes, self._seen)
            if wrong:
                raise Found(_different(f"learn {step.verb}", wrong[0], wrong))
            self._judge_files()
            questions = self.model.questions(step)
            record.questions = list(zip(questions, session.ask(questions), strict=False))
            self._judge_splats()
            self._judge_actions(record.questions, len(questions))
        except NoUnplug as reason:
            self._tell(f"{step}: not here: {reason}")
            self._plugs = False
            self.played.pop()
            self.model.spent = str(reason)
        except Hang as reason:
            raise self._gone(Verdict.TIMEOUT, f"{step}: {reason.message}") from reason
        except GuestError as reason:
            raise self._gone(Verdict.LOST, f"{step}: {reason.message}") from reason

    def finish(self) -> None:
        """Undo what the sequence has done, step by step and as strictly; then everything must be as before."""
        if self._over:
            return
        undone = 0
        while not self.model.spent and (steps := self.model.undo()):
            undone += 1
            if undone > _UNDO_LIMIT:
                raise Found(_different("undo", "the sequence cannot be undone", [str(step) for step in steps]))
            before = self.model.undo()
            self.play(steps[0])
            if self.model.undo() == before and steps[0].verb == "offline":
                self.model.spent = f"{steps[0]} was refused"
        self._over = True
        if self.model.spent:
            self._replace(self.model.spent)
        elif not self.model.at_begin:
            self._replace("some of the sequence cannot be undone")
        else:
            try:
                self._judge_whole()
            except GuestError as reason:
                raise self._gone(Verdict.LOST, f"when all was undone: {reason.message}") from reason

    def abandon(self, found: Difference) -> None:
        """The sequence ended with a difference: another guest for the next, after a look at the first that failed."""
        self._over = True
        if not self.evidence and found.verdict in (Verdict.CRASH, Verdict.TIMEOUT, Verdict.LOST):
            self.evidence = self._guests.examined(crashed=found.verdict is Verdict.CRASH)
        self._replace("a difference was found in it")

    def renew(self) -> None:
        """Have a fresh guest for the next sequence."""
        if self._session is not None:
            self._replace("a sequence is played from a fresh guest")

    def close(self) -> None:
        """Leave the guest as it was found."""
        if self._session is not None:
            if not self._over:
                self._replace("a sequence did not end")
                return
            try:
                self._session.command(RESTORE)
            except GuestError as reason:
                self._guests.spoil(reason.message)
            self._session.close()
            self._session = None

    def replay(self, steps: Iterable[Step]) -> Difference | None:
        """Play a sequence from begin to end, leaving out what makes no sense by then; what was found, if anything."""
        try:
            self.begin()
            for step in steps:
                if self.may(step):
                    self.play(step)
            self.finish()
        except Found as found:
            self.abandon(found.difference)
            return found.difference
        return None

    def _ready(self) -> None:
        if self._session is not None:
            return
        self._session = self._connect(self._guests.guest())
        self.history = []
        try:
            world = self._session.discover()
            if why := world.missing():
                self.close()
                raise LeftOut(why)
            self._session.command(PREPARE)
            self._world = replace(world, plugs=self._plugs)
            self._pristine = _lasting(self._session.look())
            self._whole = self._look_whole()
        except GuestError as reason:
            self._replace(reason.message)
            raise

    def _replace(self, reason: str) -> None:
        self._guests.spoil(reason)
        self.replaced += 1
        if self._session is not None:
            self._session.close()
            self._session = None

    def _look_whole(self) -> list[str]:
        assert self._session is not None
        return [line for line in self._session.command("whole") if line.startswith("whole:")]

    def _gone(self, verdict: Verdict, reason: str) -> Found:
        """The guest hangs or is gone; with a splat it has crashed."""
        splats = self._session.splats if self._session is not None else []
        if splats:
            return Found(_crash(splats[0], f"; then {reason}"))
        verb = self.played[-1].step.verb if self.played else ""
        return Found(Difference(verdict=verdict, key=f"{verdict.value} {verb}", reason=reason))

    def _judge_splats(self) -> None:
        assert self._session is not None
        if self._session.splats:
            time.sleep(0.3)  # for the rest of it
            splat = self._session.splats[0]
            raise Found(_crash(splat, f" at {self.played[-1].step}"))

    def _judge_actions(self, asked: Sequence[tuple[Action, str]], planned: int) -> None:
        """Each answered, as it may; what comes after a refusal was not run."""
        for number, (action, outcome) in enumerate(asked):
            last = number + 1 == planned
            if not action.permits(outcome) or (not last and outcome != "done" and action.words[0] == "attempt"):
                words = " ".join(action.words)
                wanted = action.allowed.replace("|", " or ")
                kind = action.words[2] if action.words[0] == "task" else action.words[0]
                place = action.words[1].rpartition("/")[2] if action.words[0] == "attempt" else ""
                raise Found(
                    _different(
                        f"{kind} {place} {outcome.split(' ')[0]}",
                        f"{self.played[-1].step}: '{words}' answers '{outcome}', expected '{wanted}'",
                    )
                )

        if len(asked) < planned:
            raise GuestError(f"{planned - len(asked)} of {planned} answers did not come")

    def _judge_files(self) -> None:
        """Every file reads what it must; what does not yet is looked at again for a while."""
        assert self._session is not None
        wrong = self._wrong_files()
        for pause in self.settle:
            if not wrong[0] and not wrong[1]:
                return
            time.sleep(pause)
            self._seen = self._session.look()
            wrong = self._wrong_files()
        checks, said = wrong
        if not checks and not said:
            return
        lines = [f"{path} reads {_shown(self._seen.get(path))}, expected {_shown(want)}" for want, path in checks]
        lines += said
        key = checks[0][1].rpartition("/")[2] if checks else said[0].split(":")[0]
        raise Found(_different(f"file {key}", f"after {self.played[-1].step}: {lines[0]}", lines, checks=tuple(checks)))

    def _wrong_files(self) -> tuple[list[tuple[str, str]], list[str]]:
        expected = self.model.expected()
        checks = [(want, path) for path, want in expected.items() if not permitted(want, self._seen.get(path, "-"))]
        return checks, self.model.unexpected(self._seen)

    def _judge_whole(self) -> None:
        """Everything is as before the sequence."""
        assert self._session is not None
        now: list[str] = []
        seen: dict[str, str] = {}
        for pause in (0.0, *self.settle):
            time.sleep(pause)
            now, seen = self._look_whole(), _lasting(self._session.look())
            if now == self._whole and seen == self._pristine:
                return
        lines = [f"- {line}" for line in self._whole if line not in now]
        lines += [f"+ {line}" for line in now if line not in self._whole]
        for path in sorted(self._pristine.keys() | seen.keys()):
            before, after = self._pristine.get(path), seen.get(path)
            if before != after:
                lines.append(f"{path} was {_shown(before)}, is {_shown(after)}")
        raise Found(_different("left behind", f"after all was undone: {lines[0]}", lines))


def _lasting(seen: dict[str, str]) -> dict[str, str]:
    """What is read, without the names that are handed out next."""
    return {path: value for path, value in seen.items() if "/create_" not in path}


def _different(
    key: str, reason: str, lines: Sequence[str] = (), *, checks: tuple[tuple[str, str], ...] = ()
) -> Difference:
    return Difference(verdict=Verdict.FAIL, key=key, reason=reason, lines=tuple(lines), checks=checks)


def _crash(splat: Splat, rest: str) -> Difference:
    return Difference(
        verdict=Verdict.CRASH,
        key=f"splat {splat.title}",
        reason=f"{splat.title}{rest}",
        lines=tuple(splat.lines[:60]),
        splat=splat.title,
        crash=splat.crash(),
    )


def _shown(value: str | None) -> str:
    if value is None or value == "-":
        return "nothing (it is not there)"
    return " or ".join(f"'{one}'" for one in value.split("|"))
