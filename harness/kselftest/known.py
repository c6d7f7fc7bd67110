# SPDX-License-Identifier: GPL-2.0-only
"""What is known of a target's selftests here, as data: ``known/<target>.toml`` (``/`` of a name written ``-``).

A file names what the target needs beside its ``config``, failures that are known, programs that are left out unless
they are named, and deadlines. Every entry says why; ``when`` limits one to a kernel, an accelerator, a topology.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from harness.errors import EnvironmentFailure

_FOLDER = Path(__file__).parent / "known"
_SYSCTL = re.compile(r"[a-z][a-z0-9_]*(?:/[a-z0-9_-]+)+\Z")
_WORD = re.compile(r"[A-Za-z0-9_-]+\Z")
_COMPARISON = re.compile(r"(<=|>=|<|>|=)\s*(\d+(?:\.\d+)*)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What ``when`` is held against: the kernel's version (``6.12.117``), the accelerator, the topology's name."""

    kernel: str
    accel: str
    topology: str


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition: every field that is given must hold. ``kernel`` is ``>=6.12, <6.15``; others: shell patterns."""

    kernel: str = ""
    accel: str = ""
    topology: str = ""

    def __post_init__(self) -> None:
        for part in filter(None, (part.strip() for part in self.kernel.split(","))):
            if not _COMPARISON.match(part):
                raise ValueError(f"'{part}' is no comparison of versions (write >=6.12, <6.15)")

    def holds(self, now: Circumstances) -> bool:
        """Whether it holds."""
        pairs = ((self.accel, now.accel), (self.topology, now.topology))
        if any(wanted and not fnmatchcase(actual, wanted) for wanted, actual in pairs):
            return False
        return all(_compare(now.kernel, part.strip()) for part in self.kernel.split(",") if part.strip())


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program that is many: each match of ``pattern`` (its first group) in its text is one, run with ``option``."""

    program: str
    option: str
    pattern: str


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A known failure: ``program`` and ``case`` are shell patterns; without ``case`` it is the program itself.

    ``sometimes``: it may pass as well.
    """

    program: str
    reason: str
    case: str = "program"
    sometimes: bool = False
    when: When = When()


class Skip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program that is not run unless it is named; or, with ``file``, a program that another one starts.

    ``arguments`` is a shell pattern on the words that it is started with, joined by blanks.
    """

    program: str
    reason: str
    file: str = ""
    arguments: str = "*"
    when: When = When()


class ExpectedSplat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A splat that programs provoke on purpose: ``pattern`` is a regular expression on its title or kind."""

    program: str
    pattern: str
    reason: str
    when: When = When()

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as wrong:
            raise ValueError(f"'{self.pattern}' is no regular expression: {wrong}") from None


class Sysctl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sysctl that programs are run with, where the kernel has it: a file below ``/proc/sys``, and a word for it."""

    program: str
    name: str
    value: str
    reason: str
    when: When = When()

    def __post_init__(self) -> None:
        if not _SYSCTL.match(self.name) or not _WORD.match(self.value):
            raise ValueError(f"'{self.name}={self.value}' is no sysctl (write kernel/sched_rt_runtime_us, and a word)")


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is known of a target. ``absent`` is why a tree may do without it, ``config`` lines as in a ``config``.

    ``timeouts`` maps programs (shell patterns) to seconds; ``memory_mib`` is what the guest needs at least;
    ``swap`` are the programs (shell patterns) that are run with swap on, ``zswap`` those run with zswap enabled,
    ``sysctl`` the sysctls that some are run with.
    """

    summary: str = ""
    absent: str = ""
    config: tuple[str, ...] = ()
    memory_mib: int = 0
    split: Split | None = None
    timeouts: dict[str, float] = {}
    swap: tuple[str, ...] = ()
    zswap: tuple[str, ...] = ()
    sysctl: tuple[Sysctl, ...] = ()
    fail: tuple[Failure, ...] = ()
    skip: tuple[Skip, ...] = ()
    splat: tuple[ExpectedSplat, ...] = ()

    def failures(self, program: str, now: Circumstances) -> tuple[Failure, ...]:
        """The known failures of a program."""
        return tuple(one for one in self.fail if fnmatchcase(program, one.program) and one.when.holds(now))

    def skips(self, program: str, now: Circumstances) -> tuple[Skip, ...]:
        """What is left out of a program, or why all of it is."""
        return tuple(one for one in self.skip if fnmatchcase(program, one.program) and one.when.holds(now))

    def splats(self, program: str, now: Circumstances) -> tuple[str, ...]:
        """The splats that a program provokes, as regular expressions."""
        return tuple(one.pattern for one in self.splat if fnmatchcase(program, one.program) and one.when.holds(now))

    def surroundings(self, program: str, now: Circumstances) -> tuple[str, ...]:
        """The options of ``guest/run.sh`` for what a program needs: swap (``-w``), zswap (``-z``), sysctls (``-c``)."""
        wanted = {"-w": self.swap, "-z": self.zswap}
        found = [option for option, names in wanted.items() if any(fnmatchcase(program, name) for name in names)]
        for one in self.sysctl:
            if fnmatchcase(program, one.program) and one.when.holds(now):
                found += ["-c", f"{one.name}={one.value}"]
        return tuple(found)

    def timeout(self, program: str) -> float | None:
        """A program's own deadline in seconds, where it has one."""
        return next((value for name, value in self.timeouts.items() if fnmatchcase(program, name)), None)


def load(target: str, *, folder: Path = _FOLDER) -> Known:
    """What is known of a target; nothing where it has no file. Raises :class:`EnvironmentFailure` for a faulty file."""
    path = folder / f"{target.replace('/', '-')}.toml"
    if not path.is_file():
        return Known()
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Known)
    except (msgspec.MsgspecError, OSError) as reason:
        raise EnvironmentFailure(f"{path} is wrong: {reason}") from reason


def absent_targets(*, folder: Path = _FOLDER) -> tuple[str, ...]:
    """The targets that a tree may do without."""
    return tuple(path.stem for path in sorted(folder.glob("*.toml")) if load(path.stem, folder=folder).absent)


def _compare(version: str, comparison: str) -> bool:
    match = _COMPARISON.match(comparison)
    assert match is not None, "checked when it was read"
    wanted = _numbers(match[2])
    actual = _numbers(version)[: len(wanted)]
    actual += [0] * (len(wanted) - len(actual))
    return {
        "<": actual < wanted,
        "<=": actual <= wanted,
        "=": actual == wanted,
        ">=": actual >= wanted,
        ">": actual > wanted,
    }[match[1]]


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version.partition("-")[0])]
