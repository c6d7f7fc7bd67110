# SPDX-License-Identifier: GPL-2.0-only
"""Selected programs as data, and back: what a run writes down, so that its programs can be run again from its payload.

What is read back may come from a stranger's bundle: a name is a name and no path, and nothing of it is started here.
Programs that run from the host are named only; their code is the reader's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.suite.catalogue import Program, Selection
from harness.suite.foreign import ForeignProgram
from harness.values import Expectation, Verdict

_NAME = re.compile(r"(?!\.)[\w.:+-]{1,150}")
_SUITE = re.compile(rf"{_NAME.pattern}(/{_NAME.pattern}){{0,4}}")
_CASE = re.compile(r"[ -~]{1,300}")
_LONGEST = 7 * 86400.0
_LONGEST_PATTERN = 500


class ForeignRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a program of the kernel's own selftests has beside (:class:`ForeignProgram`)."""

    words: tuple[str, ...]
    known: tuple[Expectation, ...] = ()
    splats: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    refused: tuple[Verdict, str] | None = None


class ProgramRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program and its ``selected`` cases; ``file`` is its source's name, deadlines are in seconds before scaling."""

    suite: str
    name: str
    file: str
    cases: tuple[str, ...]
    selected: tuple[str, ...]
    options: dict[str, str] = {}
    timeout: float
    case_timeout: float | None = None
    stress: bool = False
    asks: bool = False
    hosted: bool = False
    foreign: ForeignRecord | None = None

    def __post_init__(self) -> None:
        if not _SUITE.fullmatch(self.suite) or not _NAME.fullmatch(self.name) or not _NAME.fullmatch(self.file):
            raise ValueError(f"{self.suite[:80]!r} / {self.name[:80]!r} ({self.file[:80]!r}) is no program's name")
        if bad := next((case for case in (*self.cases, *self.selected) if not _CASE.fullmatch(case)), None):
            raise ValueError(f"{bad[:80]!r} is no case's name")
        for seconds in (self.timeout, self.case_timeout):
            if seconds is not None and not 0 < seconds <= _LONGEST:
                raise ValueError(f"{seconds} is no number of seconds")
        for pattern in self.foreign.splats if self.foreign is not None else ():
            _check_pattern(pattern)


def describe(selections: Iterable[Selection]) -> tuple[ProgramRecord, ...]:
    """What was selected, as data."""
    return tuple(_record(one.program, one.cases) for one in selections)


def written(selections: Iterable[Selection]) -> bytes:
    """What was selected, as JSON."""
    return msgspec.json.format(msgspec.json.encode(describe(selections)), indent=1) + b"\n"


def read(text: bytes, *, where: str) -> tuple[ProgramRecord, ...]:
    """What :func:`written` wrote; raises :class:`UserError` naming ``where`` for anything else."""
    try:
        return msgspec.json.decode(text, type=tuple[ProgramRecord, ...])
    except (msgspec.MsgspecError, ValueError) as reason:
        raise UserError(f"{where} is damaged: {reason}") from None


def restore(
    records: Iterable[ProgramRecord], *, hosted: Mapping[str, Callable[[], Sequence[Program]]]
) -> tuple[Selection, ...]:
    """The selections again; ``hosted`` gives the programs of suites that run from the host, by the suite's name.

    Raises :class:`UserError` for such a program that this harness does not have.
    """
    return tuple(_selection(record, hosted) for record in records)


def _record(program: Program, selected: Sequence[str]) -> ProgramRecord:
    foreign = None
    if isinstance(program, ForeignProgram):
        foreign = ForeignRecord(
            words=program.words,
            known=program.known,
            splats=program.splats,
            only=program.only,
            refused=program.refused,
        )
    return ProgramRecord(
        suite=program.suite,
        name=program.name,
        file=program.path.name,
        cases=program.cases,
        selected=tuple(selected),
        options=dict(program.options),
        timeout=program.timeout,
        case_timeout=program.case_timeout,
        stress=program.stress,
        asks=program.asks,
        hosted=program.hosted is not None,
        foreign=foreign,
    )


def _selection(record: ProgramRecord, hosted: Mapping[str, Callable[[], Sequence[Program]]]) -> Selection:
    if record.hosted:
        programs = hosted[record.suite]() if record.suite in hosted else ()
        found = next((one for one in programs if one.name == record.name), None)
        if found is None or (lost := [case for case in record.selected if case not in found.cases]):
            what = f"{record.suite}/{record.name}" + (f":{lost[0]}" if found is not None else "")
            raise UserError(
                f"{what} runs from the host, and this harness does not have it",
                hint="use the harness, and the sequences in tests/lifecycle, that the run was made with",
            )
        return Selection(program=found, cases=record.selected)
    common = dict(
        suite=record.suite,
        name=record.name,
        path=Path(record.file),
        cases=record.cases,
        options=record.options,
        timeout=record.timeout,
        case_timeout=record.case_timeout,
        stress=record.stress,
        asks=record.asks,
    )
    if record.foreign is None:
        return Selection(program=Program(**common), cases=record.selected)  # type: ignore[arg-type]
    more = {name: getattr(record.foreign, name) for name in ("words", "known", "splats", "only", "refused")}
    return Selection(program=ForeignProgram(**common, **more), cases=record.selected)  # type: ignore[arg-type]


def _check_pattern(pattern: str) -> None:
    try:
        if len(pattern) > _LONGEST_PATTERN:
            raise ValueError(f"a pattern of {len(pattern)} characters")
        re.compile(pattern)
    except re.error as reason:
        raise ValueError(f"{pattern[:80]!r} is no pattern: {reason}") from None
