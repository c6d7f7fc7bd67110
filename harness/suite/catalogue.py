# SPDX-License-Identifier: GPL-2.0-only
"""Which guest tests there are: suites (folders), their programs, the programs' cases, and what they need.

A suite is a folder of ``tests/guest`` with programs ``test_*.sh`` and ``test_*.c``; ``lib``, ``helpers`` and
``modules`` are none.
Its ``config`` names the Kconfig options that it needs, as kselftest's do; its ``settings`` its deadlines.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import process
from harness.errors import DeadlineExceeded, UserError, nearest, unknown_name
from harness.values import CaseResult, KernelConfig

DEFAULT_TIMEOUT = 45.0  # seconds a program; kselftest's own default
GUEST_FOLDER = "/opt/harness/tests"

_NOT_SUITES = ("lib", "helpers", "modules")
_LIST_DEADLINE = 10.0
_C_CASE = re.compile(r"^KTAP_CASE\((\w+)\)", re.MULTILINE)
_CASE_NAME = re.compile(r"[\w.+-]{1,100}")
_OPTION = re.compile(r"(?:CONFIG_(\w+)=(.+)|# CONFIG_(\w+) is not set)$")
_STRESS = "HARNESS_STRESS"  # a program that goes on for that long names it
_ASKS = "/lib/host.sh"  # a program that asks something of the host has it
_MODULES = "module.sh"  # a program that asks test modules has this library
_LIBRARY = re.compile(r"/lib/([\w.-]+\.sh)")
_SETTINGS = ("timeout", "case_timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A test program. ``path`` is its source on the host, ``guest_path`` what is run in the guest.

    ``options`` maps Kconfig names (without ``CONFIG_``) to the value needed; ``timeout`` is in seconds for the whole
    program, ``case_timeout`` for one case or None, both before scaling. ``stress`` says that the program goes on for as
    long as the run's stress length says, which its deadlines are made longer by; ``asks`` that it has requests for the
    host (:mod:`harness.suite.host_requests`), ``modules`` that it loads test modules. ``hosted`` runs the cases from
    the host instead (the runner, the program, the cases → each result): nothing is started in the guest by the runner.
    """

    suite: str
    name: str
    path: Path
    cases: tuple[str, ...]
    options: Mapping[str, str]
    timeout: float
    case_timeout: float | None = None
    stress: bool = False
    asks: bool = False
    modules: bool = False
    hosted: Callable[[Any, Program, Sequence[str]], Iterator[CaseResult]] | None = None

    @property
    def full_name(self) -> str:
        """``suite/program``."""
        return f"{self.suite}/{self.name}"

    @property
    def guest_path(self) -> str:
        """Where it is in the guest: a shell program as it is, a C program compiled, without its suffix."""
        return f"{GUEST_FOLDER}/{self.suite}/{self.path.name if self.path.suffix == '.sh' else self.path.stem}"

    def missing(self, config: KernelConfig) -> tuple[str, ...]:
        """What the kernel's configuration lacks, a phrase each."""
        lacking = []
        for name, wanted in self.options.items():
            value = config.value(name) or "n"
            if value != wanted and not (wanted == "m" and value == "y"):
                lacking.append(
                    f"CONFIG_{name} is {value}, not {wanted}" if value != "n" else f"CONFIG_{name} is not set"
                )
        return tuple(lacking)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Cases of one program to run, in the program's order."""

    program: Program
    cases: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """``suite/program:case`` of each."""
        return tuple(f"{self.program.full_name}:{case}" for case in self.cases)


def suites(folder: Path) -> tuple[str, ...]:
    """The names of the suites in a folder of guest tests, sorted."""
    if not folder.is_dir():
        return ()
    found = (path for path in folder.iterdir() if path.is_dir() and path.name not in _NOT_SUITES)
    return tuple(sorted(path.name for path in found if path.name[0] not in "._"))


def programs(folder: Path, suite: str) -> tuple[Program, ...]:
    """A suite's programs, sorted by name; raises :class:`UserError` for a suite that is unknown, empty or faulty."""
    known = suites(folder)
    if suite not in known:
        raise unknown_name("suite", suite, known)
    home = folder / suite
    sources = sorted([*home.glob("test_*.sh"), *home.glob("test_*.c")])
    if not sources:
        raise UserError(
            f"the suite '{suite}' is empty: no test_*.sh and no test_*.c in {home}",
            hint="add a program (CONTRIBUTING says how) or take the suite off the list; an empty suite is never a pass",
        )
    return tuple(program(source) for source in sources)


def program(source: Path) -> Program:
    """The program of one source file; raises :class:`UserError` where it, its config or its settings are faulty."""
    home = source.parent
    twin = source.with_suffix(".c" if source.suffix == ".sh" else ".sh")
    if twin.exists():
        raise UserError(f"{source.name} and {twin.name} in {home} have the same name", hint="rename one of them")
    settings = read_settings(home / "settings")
    text = source.read_text("utf-8", "replace")
    return Program(
        suite=home.name,
        name=source.stem,
        path=source,
        cases=cases(source),
        options=read_options(home / "config"),
        timeout=settings.get("timeout", DEFAULT_TIMEOUT),
        case_timeout=settings.get("case_timeout"),
        stress=_STRESS in text,
        asks=_ASKS in text,
        modules=_MODULES in _libraries(text, home.parent / "lib"),
    )


def _libraries(text: str, folder: Path) -> set[str]:
    """The names of the shell libraries that a program has, those of its libraries included."""
    found: set[str] = set()
    todo = [text]
    while todo:
        for name in set(_LIBRARY.findall(todo.pop())) - found:
            found.add(name)
            if (folder / name).is_file():
                todo.append((folder / name).read_text("utf-8", "replace"))
    return found


def cases(source: Path) -> tuple[str, ...]:
    """The cases of a program: what a shell program's ``-l`` prints, a C program's ``KTAP_CASE(name)`` lines."""
    stat = source.stat()
    return _cases(source.absolute(), stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=1024)
def _cases(source: Path, modified: int, size: int) -> tuple[str, ...]:
    names = _C_CASE.findall(source.read_text("utf-8", "replace")) if source.suffix == ".c" else _listed(source)
    for name in names:
        if not _CASE_NAME.fullmatch(name):
            raise UserError(f"{source}: {name[:120]!r} is no case name", hint="letters, digits, '_', '.', '+', '-'")
    if not names:
        raise UserError(
            f"{source} has no case", hint="a shell program defines case_NAME(), a C program KTAP_CASE(NAME)"
        )
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise UserError(f"{source} has the case '{double}' twice")
    return tuple(names)


def _listed(source: Path) -> list[str]:
    """What ``sh PROGRAM -l`` prints; it must not touch the system, and has no time to."""
    try:
        listing = process.run(["sh", source, "-l"], deadline=_LIST_DEADLINE, cwd=source.parent, check=False)
    except DeadlineExceeded as reason:
        raise UserError(f"{source.name} -l cannot list its cases: {reason.message}") from reason
    if listing.returncode != 0:
        raise UserError(
            f"{source.name} -l failed with {process.describe_exit(listing.returncode)}",
            details=listing.error_text.splitlines()[-10:],
            hint=f"try it: sh {source} -l",
        )
    return listing.text.splitlines()


def read_options(file: Path) -> dict[str, str]:
    """The Kconfig options of a suite's ``config``: name without ``CONFIG_`` → value needed (``n`` for not set)."""
    options: dict[str, str] = {}
    for number, line in _lines(file):
        match = _OPTION.match(line)
        if match:
            options[match[1] or match[3]] = match[2].strip() if match[1] else "n"
        elif not line.startswith("#"):
            raise UserError(f"{file}:{number}: {line!r} is no CONFIG_NAME=value line")
    return options


def read_settings(file: Path) -> dict[str, float]:
    """A suite's ``settings``: ``timeout`` and ``case_timeout``, in seconds."""
    settings: dict[str, float] = {}
    for number, line in _lines(file):
        if line.startswith("#"):
            continue
        name, _, value = (part.strip() for part in line.partition("="))
        if name not in _SETTINGS:
            close = nearest(name, _SETTINGS)
            raise UserError(
                f"{file}:{number}: unknown setting '{name}'",
                hint=f"did you mean '{close}'?" if close else f"known: {', '.join(_SETTINGS)}",
            )
        try:
            settings[name] = float(value)
        except ValueError:
            raise UserError(f"{file}:{number}: {name} is {value!r}, not a number of seconds") from None
        if not 0 < settings[name] <= 86400:
            raise UserError(f"{file}:{number}: {name} must be more than 0 and at most 86400 seconds")
    return settings


def _lines(file: Path) -> list[tuple[int, str]]:
    if not file.is_file():
        return []
    lines = file.read_text("utf-8", "replace").splitlines()
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def select(
    folder: Path,
    wanted: Iterable[str],
    *,
    keyword: str = "",
    hosted: Mapping[str, Callable[[], tuple[Program, ...]]] | None = None,
    may_be_empty: bool = False,
) -> tuple[Selection, ...]:
    """The cases that ``wanted`` names, each once: ``suite``, ``suite/program`` or ``suite/program:case``.

    Order is that of ``wanted``. ``hosted`` are suites that are not in ``folder``, by name. ``keyword`` is an expression
    as ``pytest -k`` takes it, on the full names. Raises :class:`UserError` for an unknown name (saying the nearest), an
    empty suite, and when nothing is left, unless it ``may_be_empty``.
    """
    expression = Keyword(keyword)
    chosen: dict[str, tuple[Program, list[str]]] = {}
    for name in wanted:
        suite, _, rest = name.partition("/")
        program_name, _, case = rest.partition(":")
        for candidate in _named(_of(folder, suite, hosted or {}), program_name):
            names = _case_of(candidate, case)
            entry = chosen.setdefault(candidate.full_name, (candidate, []))
            entry[1].extend(name for name in names if name not in entry[1])
    found = []
    for candidate, named in chosen.values():
        kept = tuple(c for c in candidate.cases if c in named and expression.matches(f"{candidate.full_name}:{c}"))
        if kept:
            found.append(Selection(program=candidate, cases=kept))
    if not found and not may_be_empty:
        raise UserError("no case is selected", hint=f"nothing matches -k '{keyword}'" if keyword else "name a suite")
    return tuple(found)


def _of(folder: Path, suite: str, hosted: Mapping[str, Callable[[], tuple[Program, ...]]]) -> tuple[Program, ...]:
    if suite in hosted:
        return hosted[suite]()
    known = suites(folder)
    if suite not in known:
        raise unknown_name("suite", suite, (*known, *hosted))
    return programs(folder, suite)


def _named(candidates: tuple[Program, ...], name: str) -> tuple[Program, ...]:
    if not name:
        return candidates
    name = name.removesuffix(".sh").removesuffix(".c")
    found = tuple(
        candidate for candidate in candidates if name in (candidate.name, candidate.name.removeprefix("test_"))
    )
    if not found:
        raise unknown_name(f"program of the suite '{candidates[0].suite}'", name, (one.name for one in candidates))
    return found


def _case_of(candidate: Program, case: str) -> tuple[str, ...]:
    if case and case not in candidate.cases:
        raise unknown_name(f"case of {candidate.full_name}", case, candidate.cases)
    return (case,) if case else candidate.cases


class Keyword:
    """A ``-k`` expression: words joined by ``and``, ``or``, ``not`` and parentheses; a word matches as a substring."""

    def __init__(self, text: str) -> None:
        """Raises :class:`UserError` for what is no such expression."""
        self._text = text
        self._tokens = re.findall(r"[()]|[^\s()]+", text)
        if self._tokens:
            self._at = 0
            self._name = ""
            self._or()
            if self._at != len(self._tokens):
                raise self._error(f"'{self._tokens[self._at]}' is one too many")

    def matches(self, name: str) -> bool:
        """Whether a case's full name matches; an empty expression matches all."""
        if not self._tokens:
            return True
        self._name, self._at = name.lower(), 0
        return self._or()

    def _or(self) -> bool:
        value = self._and()
        while self._take("or"):
            value = self._and() or value
        return value

    def _and(self) -> bool:
        value = self._not()
        while self._take("and"):
            value = self._not() and value
        return value

    def _not(self) -> bool:
        if self._take("not"):
            return not self._not()
        if self._take("("):
            value = self._or()
            if not self._take(")"):
                raise self._error("a ')' is missing")
            return value
        if self._at == len(self._tokens) or self._tokens[self._at] in ("and", "or", ")"):
            raise self._error("a word is missing")
        self._at += 1
        return self._tokens[self._at - 1].lower() in self._name

    def _take(self, token: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == token:
            self._at += 1
            return True
        return False

    def _error(self, reason: str) -> UserError:
        return UserError(f"the expression -k '{self._text}' is not valid: {reason}", hint="e.g. -k 'region and not x'")
