# SPDX-License-Identifier: GPL-2.0-only
"""Runs test programs in a guest and yields each case's result as soon as it is certain.

A guest that crashed or hangs is replaced by a fresh one for the cases that remain; a case (or a program) that takes
guests down again and again is set aside.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import GuestError, HarnessError
from harness.splat import Splat
from harness.suite.attempt import Attempt, Limits
from harness.suite.catalogue import Program, Selection
from harness.suite.foreign import ForeignProgram
from harness.suite.machine import Examined, Machine
from harness.suite.watch import Watch
from harness.values import CaseResult, KernelConfig, Verdict

_CRASHES_ALLOWED = 2  # in a row
_LINES_SHOWN = 60


class Runner:
    """Runs programs, one after another, in a guest that it may replace.

    ``fresh`` ends the guest that it is given and returns another one; without it a guest that is gone stays gone, and
    one that crashed but runs is used on. ``limits`` scale the deadlines. ``on_start`` hears of each case that begins
    (``suite/program:case``), ``on_hang`` of a guest and a case that are over their deadline, or cut off from us, before
    anything is killed, ``on_crash`` of a guest and the case that crashed it; both say what they found. ``on_output``
    hears of each line that a program writes, as received (on another thread). With ``require_feature`` a skip is a
    failure. ``keep`` writes a file of a name to where the results go.

    A program that runs from the host gets the runner itself: :meth:`guest`, :meth:`spoil`, :meth:`examined`,
    :meth:`case_begins`, :meth:`output`, :meth:`keep`, ``scale`` and ``require_feature`` are for it.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        fresh: Callable[[Machine], Machine] | None = None,
        limits: Limits | None = None,
        require_feature: bool = False,
        on_start: Callable[[str], None] | None = None,
        on_hang: Callable[[Machine, str], Examined | None] | None = None,
        on_crash: Callable[[Machine, str], Examined | None] | None = None,
        on_output: Callable[[Program, str], None] | None = None,
        keep: Callable[[str, str], Path] | None = None,
    ) -> None:
        self.machine = machine
        self.replaced = 0  # guests that had to be replaced so far
        self._fresh = fresh
        self._limits = limits or Limits()
        self.require_feature = require_feature
        self._keep = keep
        self._on_start = on_start or _ignore
        self._case = ""  # of a program that runs from the host
        self._on_hang = on_hang or _ignore
        self._on_crash = on_crash or _ignore
        self._on_output = on_output or _ignore
        self._crashes: Counter[str] = Counter()
        self._watch = Watch()
        self._spoilt = ""  # why the guest must be replaced before the next program
        self._dead = ""  # why there is no guest any more

    def run_all(
        self, selections: Iterable[Selection], *, config: KernelConfig | None = None
    ) -> Generator[CaseResult, None, None]:
        """Run what was selected. With ``config``, programs that need options it lacks are skipped, naming them."""
        for selection in selections:
            with contextlib.closing(self.run(selection.program, selection.cases, config=config)) as results:
                yield from results
        yield from self.aftermath()

    def aftermath(self) -> Iterator[CaseResult]:
        """What the kernel said since the last case ended: that case again as a CRASH, where it did not announce it.

        :meth:`run` does this before and after each program, :meth:`run_all` at its end.
        """
        watch = self._watch
        if watch.heard is None or watch.last is None or self._spoilt or self._dead:
            return
        splats: list[Splat] = []
        until = time.monotonic() + self._limits.patience
        while True:
            lines: list[Any] = []
            self.machine.console.subscribe(lines.append, since=watch.heard)()
            watch.heard += len(lines)
            splats += [splat for line in lines for splat in watch.scanner.feed(line.text)]
            if not watch.scanner.open or time.monotonic() >= until or self.machine.console.closed:
                break
            time.sleep(0.05)
        watch.scanner.flush()
        splats = [splat for splat in splats if not any(map(splat.matches, watch.announced))]
        if not splats or watch.last.verdict is Verdict.CRASH:
            return
        title = splats[0].title
        self.spoil(f"{watch.last.name} left the kernel with: {title}")
        yield replace(
            watch.last,
            verdict=Verdict.CRASH,
            reason=f"{title}; after the case had ended with {watch.last.verdict}",
            diagnostics=tuple(f"console: {line}" for splat in splats[:5] for line in splat.lines[:_LINES_SHOWN]),
            splat=title,
            fingerprint=splats[0].fingerprint,
            crash=splats[0].crash(),
        )

    def run(
        self, program: Program, cases: Sequence[str] | None = None, *, config: KernelConfig | None = None
    ) -> Generator[CaseResult, None, None]:
        """Run cases of a program (all by default). Closing the iterator ends the program in the guest."""
        remaining = tuple(program.cases if cases is None else cases)
        if isinstance(program, ForeignProgram) and program.refused is not None:
            yield from (_result(program, case, *program.refused) for case in remaining)
            return
        lacking = program.missing(config) if config is not None else ()
        if lacking:
            yield from self._unsupported(program, remaining, lacking)
            return
        yield from self.aftermath()
        if program.hosted is not None:
            yield from program.hosted(self, program, remaining)
            self._watch = Watch()  # such a program listens itself
            return
        before_any_case = 0  # attempts in a row that spoilt the guest before the program came to a case
        while remaining:
            yield from self._aside(program, remaining)
            remaining = tuple(case for case in remaining if not self._is_aside(program, case))
            if not remaining:
                return
            self._ensure_guest()
            refused = f"not run: {self._dead}" if self._dead else ""
            if before_any_case >= _CRASHES_ALLOWED:
                refused = f"not run: {program.full_name} took {before_any_case} guests down before its first case"
            if refused:
                yield from (_result(program, case, Verdict.LOST, refused) for case in remaining)
                return
            attempt = self._attempt(program, remaining)
            try:
                with contextlib.closing(attempt.results()) as results:
                    for result in results:
                        if result.verdict in (Verdict.CRASH, Verdict.LOST):
                            self._crashes[result.name] += 1
                        else:
                            del self._crashes[result.name]
                        self._watch.last = result
                        yield result
            finally:
                self._spoilt = self._spoilt or attempt.spoilt
                if attempt.stuck and self._fresh is None:
                    self._dead = f"the guest is stuck: {self._spoilt or 'a program could not be ended'}"
            before_any_case = before_any_case + 1 if attempt.spoilt and not attempt.any_case_begun else 0
            assert len(attempt.remaining) < len(remaining), "an attempt decides at least one case"
            remaining = attempt.remaining
            yield from self.aftermath()

    @property
    def scale(self) -> float:
        """The factor on deadlines: what the user asked for, and by how much this guest is slow."""
        return self._limits.scale * self.machine.speed_factor

    def guest(self) -> Any:
        """A guest that is fit for use; raises :class:`GuestError` where none can be had."""
        self._ensure_guest()
        if self._dead:
            raise GuestError(f"there is no guest: {self._dead}")
        return self.machine

    def spoil(self, reason: str) -> None:
        """The guest must not be used any more."""
        self._spoilt = self._spoilt or reason

    def examined(self, *, crashed: bool) -> tuple[str, ...]:
        """What a look at the guest finds, now that the case crashed it, or hangs or is cut off, in lines."""
        if not crashed and not self.machine.alive:
            return ()
        found = (self._on_crash if crashed else self._on_hang)(self.machine, self._case)
        return tuple(line for line in (found.summary, *found.lines) if line) if found is not None else ()

    def case_begins(self, name: str) -> None:
        """A case begins (``suite/program:case``)."""
        self._case = name
        self._on_start(name)

    def output(self, program: Program, line: str) -> None:
        """A line of a program's report."""
        self._on_output(program, line)

    def keep(self, name: str, text: str) -> Path | None:
        """Keep a file; its path, or None where files are not kept."""
        return self._keep(name, text) if self._keep is not None else None

    def _attempt(self, program: Program, cases: Sequence[str]) -> Attempt:
        return Attempt(
            self.machine,
            program,
            cases,
            limits=self._limits,
            replaceable=self._fresh is not None,
            require_feature=self.require_feature,
            on_start=self._on_start,
            on_hang=self._on_hang,
            on_crash=self._on_crash,
            on_output=self._on_output,
            watch=self._watch,
        )

    def _ensure_guest(self) -> None:
        """Have a guest that is fit for the next program, or know why there is none."""
        if self._dead or (self.machine.alive and not self._spoilt):
            return
        reason = self._spoilt or "the guest is gone"
        if self._fresh is None:
            self._dead = "" if self.machine.alive else reason
            return
        try:
            self.machine = self._fresh(self.machine)
        except HarnessError as failed:
            self._dead = f"{reason}; and another guest did not come up: {failed.message}"
        else:
            self.replaced += 1
            self._spoilt = ""
            self._watch = Watch()

    def _unsupported(self, program: Program, cases: Sequence[str], lacking: Sequence[str]) -> Iterator[CaseResult]:
        verdict = Verdict.FAIL if self.require_feature else Verdict.SKIP
        reason = f"this kernel cannot run it: {', '.join(lacking)}"
        yield from (_result(program, case, verdict, reason) for case in cases)

    def _is_aside(self, program: Program, case: str) -> bool:
        return self._crashes[f"{program.full_name}:{case}"] >= _CRASHES_ALLOWED

    def _aside(self, program: Program, cases: Sequence[str]) -> Iterator[CaseResult]:
        reason = f"set aside: it took the guest down {_CRASHES_ALLOWED} times"
        yield from (_result(program, case, Verdict.CRASH, reason) for case in cases if self._is_aside(program, case))


def _result(program: Program, case: str, verdict: Verdict, reason: str) -> CaseResult:
    return CaseResult(suite=program.suite, program=program.name, case=case, verdict=verdict, reason=reason)


def _ignore(*_: object) -> None:
    """Nobody wants to hear of it."""
