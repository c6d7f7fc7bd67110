# SPDX-License-Identifier: GPL-2.0-only
"""Guest tests as pytest sees them: a program is a file, each of its cases an item.

The first item of a program that runs starts it in the guest with all of its selected cases; each item takes its own
result from that stream. Where one is wanted that the stream does not have (a re-run, a distributed run), the program
is started again for that case alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from harness.errors import HarnessError
from harness.process import quoted
from harness.suite import catalogue
from harness.suite.attempt import Limits
from harness.suite.catalogue import Program
from harness.suite.judge import WHOLE_PROGRAM
from harness.suite.machine import Machine
from harness.suite.runner import Runner
from harness.values import CaseResult, Kernel, KernelConfig, Verdict

_CONSOLE = "console: "


class Provider(Protocol):
    """What runs guest tests: a kernel that is built when first asked for, and guests that boot it.

    All may raise :class:`harness.errors.HarnessError`, which fails the test that asked, in words.
    """

    @property
    def limits(self) -> Limits:
        """The factor on deadlines for this machine and kernel, and patience."""

    @property
    def require_feature(self) -> bool:
        """Whether a skip is a failure."""

    def kernel(self) -> Kernel:
        """The kernel, built once."""

    def config(self) -> KernelConfig | None:
        """Its configuration, where it is known."""

    def topology(self, name: str | None = None) -> Any:
        """A topology by name, or the chosen one."""

    def guest(self, *, topology: str | None = None) -> AbstractContextManager[Machine]:
        """A freshly booted guest, gone when the block is left."""


class Stage:
    """The guest that a session's guest tests share, and the program that runs in it."""

    def __init__(self, provider: Provider, *, one_by_one: bool) -> None:
        self._provider = provider
        self._one_by_one = one_by_one
        self._guests = contextlib.ExitStack()
        self._runner: Runner | None = None
        self._broken: HarnessError | None = None
        self._program: Program | None = None
        self._stream: Generator[CaseResult, None, None] | None = None
        self._pending: list[str] = []
        self._arrived: dict[str, CaseResult] = {}
        self._late: CaseResult | None = None  # a crash of a case that was reported already

    def prepare(self, program: Program, case: str, selected: list[str]) -> None:
        """Have the case's result on its way: boot a guest, start the program, where that is still to be done."""
        if self._program == program and (case in self._arrived or case in self._pending):
            return
        self._end_stream()
        runner = self._ready()
        self._program = program
        self._pending = [case] if self._one_by_one or case not in selected else list(selected)
        self._stream = runner.run(program, tuple(self._pending), config=self._provider.config())

    def result(self, program: Program, case: str) -> CaseResult:
        """The case's result, waiting for it. The last one of a program also answers for the program as a whole."""
        while case not in self._arrived and self._stream is not None:
            self._receive()
        if case not in self._arrived:
            return CaseResult(
                suite=program.suite,
                program=program.name,
                case=case,
                verdict=Verdict.LOST,
                reason="the program gave no result for it",
            )
        if not self._pending:
            while self._stream is not None:
                self._receive()
        found = self._arrived.pop(case)
        whole = self._arrived.pop(WHOLE_PROGRAM, None) if not self._pending else None
        late, self._late = self._late, None
        for more in (whole, late):
            found = _merged(found, more) if more is not None else found
        return found

    def close(self) -> None:
        """End the program and the guest."""
        self._end_stream()
        self._guests.close()
        self._runner = None

    def _receive(self) -> None:
        assert self._stream is not None
        result = next(self._stream, None)
        if result is None:
            self._stream = None
            return
        if self._program is not None and (result.suite, result.program) != (self._program.suite, self._program.name):
            self._late = replace(result, reason=f"{result.name}: {result.reason}")
            return
        self._arrived[result.case] = result
        if result.case in self._pending:
            self._pending.remove(result.case)

    def _end_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._program = None, None
        self._pending, self._arrived = [], {}

    def _ready(self) -> Runner:
        """The runner with its guest; what kept the first guest from booting keeps the others as well."""
        if self._broken is not None:
            raise self._broken
        if self._runner is None:
            try:
                machine = self._guests.enter_context(self._provider.guest())
            except HarnessError as reason:
                self._broken = reason
                raise
            self._runner = Runner(
                machine,
                fresh=self._another,
                limits=self._provider.limits,
                require_feature=self._provider.require_feature,
            )
        return self._runner

    def _another(self, old: Machine) -> Machine:
        self._guests.close()
        return self._guests.enter_context(self._provider.guest())


class ProgramFile(pytest.File):
    """A test program."""

    def collect(self) -> Iterator[CaseItem]:
        """An item for each case; its suite's name is its marker."""
        try:
            program, cases = self.found()
        except HarnessError as reason:
            raise self.CollectError(in_words(reason)) from None
        for name in (program.suite, "guest_test"):
            self.config.addinivalue_line("markers", f"{name}: tests that run inside a guest")
        for case in cases:
            yield CaseItem.from_parent(self, name=case, program=program)

    def found(self) -> tuple[Program, tuple[str, ...]]:
        """The program of the file, and the cases that are the file's; raises :class:`HarnessError`."""
        program = catalogue.program(self.path)
        return program, program.cases


class CaseItem(pytest.Item):
    """One case of a test program."""

    def __init__(self, *, program: Program, **rest: Any) -> None:
        super().__init__(**rest)
        self.program = program
        self.result: CaseResult | None = None
        self.add_marker(program.suite)
        self.add_marker("guest_test")

    def setup(self) -> None:
        """Boot the guest and start the program, where this is the first case that needs it."""
        with without_traceback():
            self._stage().prepare(self.program, self.name, self._selected())

    def runtest(self) -> None:
        """Wait for the result, and pass, skip or fail with it."""
        with without_traceback():
            self.result = self._stage().result(self.program, self.name)
        result = self.result
        self.user_properties.append(("verdict", result.verdict.value))
        if result.splat:
            self.user_properties.append(("splat", result.splat))
        said = [line for line in result.diagnostics if not line.startswith(_CONSOLE)]
        console = [line.removeprefix(_CONSOLE) for line in result.diagnostics if line.startswith(_CONSOLE)]
        for title, lines in (("diagnostics", said), ("console", console)):
            if lines:
                self.add_report_section("call", title, "\n".join(lines))
        if result.verdict is Verdict.SKIP:
            pytest.skip(result.reason)
        elif result.verdict is Verdict.XFAIL:
            pytest.xfail(result.reason)
        elif result.verdict is not Verdict.PASS:
            pytest.fail(f"{result.verdict}: {result.reason}", pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is, and its name as the harness writes it."""
        return self.path, None, f"{self.program.full_name}:{self.name}"

    def _stage(self) -> Stage:
        return stage_of(self.config)

    def _selected(self) -> list[str]:
        """The cases of this program that the session runs, in the program's order."""
        mine = {item.name for item in self.session.items if isinstance(item, CaseItem) and item.path == self.path}
        return [case for case in self.program.cases if case in mine]


_STAGE = pytest.StashKey[Stage]()
_PROVIDER = pytest.StashKey[Provider]()


def provider_of(config: pytest.Config) -> Provider:
    """The session's provider, from the first ``pytest_harness_provider`` hook that gives one."""
    if _PROVIDER not in config.stash:
        config.stash[_PROVIDER] = config.hook.pytest_harness_provider(config=config)
    return config.stash[_PROVIDER]


def stage_of(config: pytest.Config) -> Stage:
    """The session's stage, made when first asked for."""
    if _STAGE not in config.stash:
        distributed = hasattr(config, "workerinput")  # a worker of pytest-xdist does not know which items are its own
        config.stash[_STAGE] = Stage(provider_of(config), one_by_one=distributed)
    return config.stash[_STAGE]


def close_stage(config: pytest.Config) -> None:
    """End what the session's guest tests still have running, if there were any."""
    if _STAGE in config.stash:
        config.stash[_STAGE].close()
        del config.stash[_STAGE]


@contextlib.contextmanager
def without_traceback() -> Iterator[None]:
    """An error of the harness fails a test in words."""
    try:
        yield
    except HarnessError as reason:
        pytest.fail(f"{reason.verdict}: {in_words(reason)}", pytrace=False)


def in_words(error: HarnessError) -> str:
    """An error as a user reads it: what, the tool's reason, the command, the log, what to do next."""
    lines = [error.message, *(f"  | {line}" for line in error.details)]
    if error.command:
        lines.append(f"  command: {quoted(error.command)}")
    if error.log:
        lines.append(f"  log: {error.log}")
    if error.hint:
        lines.append(f"  → {error.hint}")
    return "\n".join(lines)


def _merged(last: CaseResult, whole: CaseResult) -> CaseResult:
    """The last case's result with what is wrong with the program as a whole."""
    reason = f"{whole.reason}; the case itself: {last.verdict}{' ' if last.reason else ''}{last.reason}"
    return CaseResult(
        suite=last.suite,
        program=last.program,
        case=last.case,
        verdict=whole.verdict if last.verdict.good else last.verdict,
        reason=f"the program as a whole: {reason}",
        seconds=last.seconds,
        diagnostics=last.diagnostics + whole.diagnostics,
        splat=last.splat,
    )
