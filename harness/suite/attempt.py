# SPDX-License-Identifier: GPL-2.0-only
"""One run of a program in a guest: two streams merged in order of arrival, deadlines, and an end in any case."""

from __future__ import annotations

import contextlib
import logging
import queue
import shlex
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import GuestError, GuestSilent, HarnessError
from harness.suite.catalogue import Program
from harness.suite.foreign import ForeignJudge, ForeignProgram
from harness.suite.host_requests import HostedMachine, HostRequests
from harness.suite.judge import SIGNAL_STATUS, Judge
from harness.suite.machine import CommandResult, Examined, Machine
from harness.suite.watch import Watch
from harness.values import CaseResult, Verdict

_log = logging.getLogger(__name__)

_PID_FILE = "/run/harness/suite-program"
_STOP_GRACE = 5.0  # seconds between SIGTERM, on which a program cleans up, and SIGKILL
_STOP_DEADLINE = 10.0
_MARGIN = 60.0  # seconds that the guest's own deadline is behind ours
_SLOWEST = 20.0  # the factor that it allows for
_CRASHED_GRACE = 20.0  # seconds that a case is given to end once the kernel has crashed, if there can be another guest
_TICK = 0.2
_LOOK_SECONDS = 3.0  # far more than between two looks at the streams
_BACKLOG = 20_000  # lines that may wait before their source has to
_CONSOLE_BACKLOG = (
    200_000  # the console cannot be made to wait: beyond this its lines are dropped, and a case cannot pass
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long an attempt may take: ``scale`` on the program's own deadlines, ``patience`` seconds for the console.

    ``stress`` is how many seconds a stress program goes on (0: as long as it likes itself), beside which it has its
    deadlines; ``seed`` is what it draws from.
    """

    scale: float = 1.0
    patience: float = 2.0
    stress: int = 0
    seed: int = 1

    @property
    def environment(self) -> dict[str, str]:
        """What a program is told: ``HARNESS_SEED``, and ``HARNESS_STRESS`` where a length was chosen."""
        return {"HARNESS_SEED": str(self.seed)} | ({"HARNESS_STRESS": f"{self.stress}s"} if self.stress else {})

    def seconds(self, program: Program, allowed: float) -> float:
        """What a deadline of a program comes to."""
        return (allowed + (self.stress if program.stress else 0)) * self.scale


@dataclass(frozen=True, slots=True)
class _Line:
    text: str


@dataclass(frozen=True, slots=True)
class _ConsoleLine:
    text: str
    asked: bool = False  # it came while we looked at the guest, and so perhaps because of that


@dataclass(frozen=True, slots=True)
class _Unheard:
    lines: int


@dataclass(frozen=True, slots=True)
class _End:
    result: CommandResult | None
    error: BaseException | None


class Attempt:
    """A program and some of its cases in one guest; :meth:`results` runs it, leaving that iterator early ends it.

    Afterwards ``remaining`` are the cases that have no result, and ``spoilt`` says why the guest must not be used for
    anything else (empty where it may); ``stuck`` is True where the program could not be ended. ``replaceable`` says
    that another guest can be had, so that nothing has to run on in one that crashed.
    """

    def __init__(
        self,
        machine: Machine,
        program: Program,
        cases: Sequence[str],
        *,
        limits: Limits,
        replaceable: bool,
        require_feature: bool,
        on_start: Callable[[str], None],
        on_hang: Callable[[Machine, str], Examined | None],
        on_crash: Callable[[Machine, str], Examined | None],
        on_output: Callable[[Program, str], None],
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch or Watch()
        self._dropped = 0
        self.spoilt = ""
        self.stuck = False
        self.remaining = tuple(cases)
        self._machine = machine
        self._program = program
        self._cases = tuple(cases)
        self._limits = limits
        self._replaceable = replaceable
        self._on_start = on_start
        self._on_hang = on_hang
        self._on_crash = on_crash
        self._factor = 1.0  # on deadlines, by the guest's speed: the highest so far
        self._on_output = on_output
        self._queue: queue.SimpleQueue[_Line | _ConsoleLine | _Unheard | _End] = queue.SimpleQueue()
        self._host = HostRequests(machine) if program.asks and isinstance(machine, HostedMachine) else None
        self._stopping = False
        self._looking = False
        self._ended = False
        self._shown: str | None = None
        self._crashed: float | None = None  # when the running case's first splat was seen
        self._started = time.monotonic()
        self._case_started = self._looked = self._started
        self._judge: Judge | ForeignJudge
        if isinstance(program, ForeignProgram):
            self._judge = ForeignJudge(program, now=self._started, require_feature=require_feature, watch=self._watch)
        else:
            self._judge = Judge(program, cases, now=self._started, require_feature=require_feature, watch=self._watch)
        self._thread = threading.Thread(target=self._work, name=f"suite {program.full_name}", daemon=True)

    @property
    def any_case_begun(self) -> bool:
        """Whether the program came as far as a case."""
        return self._judge.any_case_begun

    def results(self) -> Generator[CaseResult, None, None]:
        """Run the program; each result as soon as it is certain."""
        console = self._machine.console
        if self._watch.heard is None:
            self._watch.heard = console.mark()
        unsubscribe = console.subscribe(self._hear, since=self._watch.heard)
        self._thread.start()
        try:
            for result in self._events():
                if result.case in self.remaining:
                    self.remaining = tuple(case for case in self.remaining if case != result.case)
                if result.verdict is Verdict.CRASH:
                    result = _with_evidence(result, self._on_crash(self._machine, result.name))
                yield result
                if left := self._left_by(result):
                    self.spoilt = self.spoilt or left
                    if self._replaceable:
                        return
        except KeyboardInterrupt:
            self.spoilt = "interrupted"
            self._ended = True  # the guest goes with the run: nothing in it is worth waiting for
            raise
        finally:
            if not self._ended and not (self.spoilt and self._replaceable):  # a guest to be replaced ends with it
                self._stop(gently=True)
                self.stuck = self._thread.is_alive()
            self._stopping = True
            unsubscribe()
            if self._host is not None:
                self._host.close()
            if isinstance(self._program, ForeignProgram):
                self.remaining = ()  # what it would have run is not known: it is one thing, run once

    def _left_by(self, result: CaseResult) -> str:
        """Why the guest is not fit for another case after this one, empty where it is."""
        if result.verdict is Verdict.CRASH:
            return f"{result.name} left the kernel with: {result.splat}"
        why = self._judge.spoilt_by.get(result.case)
        return f"{result.name} needs it gone: {why}" if why else ""

    def _events(self) -> Iterator[CaseResult]:
        """What the judge makes of the streams, until the program's end."""
        end: _End | None = None
        while end is None:
            self._announce()
            item = self._next(_TICK)
            now = self._look()
            if isinstance(item, _End):
                end = item
            elif item is not None:
                yield from self._take(item, now)
            else:
                yield from self._judge.tick(now, patience=self._limits.patience)
            if end is None and (why := self._overdue(now)):
                yield from self._hang(why)
                return
        self._ended = True
        yield from self._settle()
        yield from self._conclude(end)

    def _look(self) -> float:
        """Now, on the monotonic clock. While this process did not run (Ctrl-Z, a machine that was suspended, a terminal
        that takes nothing) nobody could see what the guest did: that time is on no deadline.
        """
        now = time.monotonic()
        missed = now - self._looked - _LOOK_SECONDS
        if missed > 0:
            self._started += missed
            self._case_started += missed
            self._crashed = self._crashed + missed if self._crashed is not None else None
        self._looked = now
        return now

    def _take(self, item: _Line | _ConsoleLine | _Unheard, now: float) -> list[CaseResult]:
        if isinstance(item, _Line):
            return self._judge.line(item.text, now)
        assert self._watch.heard is not None
        if isinstance(item, _Unheard):
            self._watch.heard += item.lines
            self._judge.unheard(item.lines)
            return []
        self._watch.heard += 1
        return self._judge.console(item.text, now, asked=item.asked)

    def _announce(self) -> None:
        running = self._judge.running
        if running is not None and running != self._shown:
            self._shown = running
            self._case_started = time.monotonic()
            self._crashed = None
            self._on_start(f"{self._program.full_name}:{running}")

    def _overdue(self, now: float) -> str | None:
        limits = self._limits
        self._factor = max(self._factor, self._machine.speed_factor)
        program_limit = limits.seconds(self._program, self._program.timeout) * self._factor
        if now - self._started > program_limit:
            return f"the program did not end within {program_limit:g} s"
        if self._replaceable and self._judge.crashed:
            self._crashed = self._crashed or now
            grace = _CRASHED_GRACE * limits.scale * self._factor
            if now - self._crashed > grace:
                return f"the kernel crashed, and the case did not end within {grace:g} s"
        case_timeout = self._program.case_timeout
        case_limit = limits.seconds(self._program, case_timeout) * self._factor if case_timeout else 0.0
        if case_limit and self._judge.running is not None and now - self._case_started > case_limit:
            return f"the case did not end within {case_limit:g} s"
        return None

    def _hang(self, why: str) -> Iterator[CaseResult]:
        """The deadline passed: look at the guest while it hangs, end the program, hear what it still says.

        A crashed guest that will be replaced is not asked to end anything.
        """
        self.spoilt = why
        late = self._judge.running  # while it is looked at, the guest may end this case and begin another
        alive = self._machine.alive
        if alive:
            why = self._looked_at().added_to(why)
        alive = alive and self._machine.alive
        if self._crashed is None:
            self._stop(gently=True)
        self._ended, self.stuck = True, self._thread.is_alive()
        yield from self._settle()
        now = time.monotonic()
        if alive:
            yield from self._judge.overdue(why, now, case=late)
        else:
            yield from self._judge.lost(f"the guest is gone, and {why}", now, case=late)

    def _tell_dropped(self) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self._judge.unheard(dropped)

    def _looked_at(self) -> Examined:
        """What a look at the guest found; the evidence goes to the running case."""
        self._looking = True
        try:
            case = self._judge.running or self._cases[-1]
            found = self._on_hang(self._machine, f"{self._program.full_name}:{case}")
        finally:
            self._looking = False
        found = found or Examined()
        for line in found.lines:
            self._judge.note(line)
        return found

    def _settle(self) -> Iterator[CaseResult]:
        """Wait until the console has come as far as the results, with patience but not for ever."""
        until = time.monotonic() + self._limits.patience
        console = self._machine.console
        while True:
            enough = console.closed or self._judge.settled or time.monotonic() >= until
            item = self._next(0.0 if enough else _TICK / 4)
            if isinstance(item, (_ConsoleLine, _Unheard)):
                yield from self._take(item, time.monotonic())
            elif item is None and enough:
                self._tell_dropped()
                return

    def _conclude(self, end: _End) -> Iterator[CaseResult]:
        now = time.monotonic()
        if end.error is not None:
            if not isinstance(end.error, HarnessError):
                raise end.error
            self.spoilt = why = end.error.message
            late, stuck = self._judge.running, False
            if self._machine.alive:
                found = self._looked_at()
                why = found.added_to(why)
                stuck = found.stuck and isinstance(end.error, GuestSilent)  # as at the case's own deadline a bit later
                yield from self._settle()
            judged = self._judge.overdue if stuck else self._judge.lost
            yield from judged(why, time.monotonic(), case=late)
            return
        result = end.result
        if result is None or result.exit_status is None:
            self.spoilt = "the program had to be ended"
            yield from self._judge.overdue("the program was ended at the guest's own deadline", now)
            return
        if not isinstance(self._program, ForeignProgram) and result.exit_status in SIGNAL_STATUS:
            signal = result.exit_status - 128
            self.spoilt = f"signal {signal} ended {self._program.full_name}, its clean-ups did not run"
        yield from self._judge.ended(result.exit_status, now, stderr=result.stderr)

    def _next(self, wait: float) -> _Line | _ConsoleLine | _Unheard | _End | None:
        with contextlib.suppress(queue.Empty):
            return self._queue.get(timeout=wait) if wait > 0 else self._queue.get_nowait()
        return None

    def _work(self) -> None:
        """On a thread of its own: run the program to its end."""
        deadline = self._limits.seconds(self._program, self._program.timeout) * _SLOWEST + _MARGIN
        environment = {"KTAP_PROGRAM": self._program.full_name} | self._limits.environment
        environment |= {"KTAP_HOST": "yes"} if self._host is not None else {}
        try:
            result = self._machine.run(
                command(self._program, self._cases), deadline=deadline, on_line=self._read, env=environment
            )
            self._queue.put(_End(result, None))
        except BaseException as reason:
            self._queue.put(_End(None, reason))

    def _read(self, line: str) -> None:
        self._on_output(self._program, line)
        while self._queue.qsize() > _BACKLOG and not self._stopping:
            time.sleep(0.01)  # a flood waits in the guest, not in our memory
        if not self._stopping:
            self._queue.put(_Line(line))
            if self._host is not None:
                self._host.hear(line)

    def _hear(self, line: Any) -> None:
        if self._stopping:
            return
        if self._queue.qsize() >= _CONSOLE_BACKLOG:
            self._dropped += 1
            return
        if self._dropped:
            self._queue.put(_Unheard(self._dropped))
            self._dropped = 0
        self._queue.put(_ConsoleLine(line.text, self._looking))

    def _stop(self, *, gently: bool) -> None:
        """End the program: SIGTERM and time to clean up where ``gently``, then SIGKILL, to its whole group."""
        self._stopping = True
        for number in ("TERM", "KILL") if gently else ("KILL",):
            if not self._thread.is_alive() or not self._machine.alive:
                return
            try:
                self._machine.run(f"read -r group <{_PID_FILE} && kill -{number} -$group", deadline=_STOP_DEADLINE)
            except GuestError as reason:
                _log.debug("cannot end %s: %s", self._program.full_name, reason.message)
                return
            self._thread.join(_STOP_GRACE)


def _with_evidence(result: CaseResult, found: Examined | None) -> CaseResult:
    if found is None:
        return result
    return replace(result, diagnostics=(*result.diagnostics, *found.lines))


def command(program: Program, cases: Sequence[str]) -> str:
    """The shell command that runs some cases of a program in the guest, its process group's number kept in a file."""
    if isinstance(program, ForeignProgram):
        return f"echo $$ >{_PID_FILE}; exec {shlex.join(program.words)}"
    words = [program.guest_path]
    if tuple(cases) != program.cases:
        for case in cases:
            words += ["-t", case]
    if program.path.suffix == ".sh":
        words.insert(0, "sh")
    return f"echo $$ >{_PID_FILE}; exec {shlex.join(words)}"
