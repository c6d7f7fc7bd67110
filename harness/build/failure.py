# SPDX-License-Identifier: GPL-2.0-only
"""A failed build in the user's terms: the first failing command and what it said; a full disk; too little memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from harness.build.log import BuildLog, Failure
from harness.errors import BuildError, EnvironmentFailure, HarnessError, shortage_said

_MOST = 30
_KILLED = re.compile(r"Killed signal terminated program|fatal error: Killed|: Killed\b|internal compiler error: Killed")
_MISSING_TOOL = re.compile(
    r"sh: (?:\d+: |line \d+: )?(?P<tool>[\w.+-]+): (?:command )?not found|make: (?P<other>[\w.+-]+): No such file"
)
_MISSING_HEADER = re.compile(r"fatal error: (?P<header>(?:openssl|gelf|libelf|elf)[\w./]*\.h): No such file")


def error_of(
    log: BuildLog, *, argv: Sequence[str], command: Sequence[str] | None, file: Path, returncode: int
) -> HarnessError:
    """The error for a build that ended with ``returncode``.

    ``command`` is the one that failed where it is known, ``argv`` the make command, ``file`` the whole log.
    """
    failure = log.failure or Failure("", f"exit status {returncode}", ())
    details = _excerpt(failure.lines)
    if log.disk_full:
        hint = "free some space, or `harness cache prune`"
        return EnvironmentFailure("the disk is full while building the kernel", details=details, log=file, hint=hint)
    text = "\n".join(failure.lines)
    if _KILLED.search(text) or failure.how == "Killed":
        hint = "give fewer jobs (--jobs 1) or more memory"
        return EnvironmentFailure("the compiler was killed: too little memory", details=details, log=file, hint=hint)
    if why := shortage_said(failure.lines, status=returncode):
        message = f"the kernel could not be built: {why.message}"
        return EnvironmentFailure(message, details=details, log=file, hint=why.hint)
    if tool := _MISSING_TOOL.search(text):
        name = tool["tool"] or tool["other"]
        return EnvironmentFailure(f"the build needs '{name}'", details=details, log=file, hint="run ci/bootstrap")
    if header := _MISSING_HEADER.search(text):
        what = f"the build needs {header['header']}"
        return EnvironmentFailure(what, details=details, log=file, hint="run ci/bootstrap")
    what = f"{failure.target}: {failure.message}" if failure.target else failure.message or failure.how
    return BuildError(f"the kernel does not build: {what}", details=details, command=command or argv, log=file)


def failing_command(verbose_lines: Sequence[str], target: str) -> str | None:
    """The command that makes ``target``, found in the output of ``make V=1``: the last line that names its output."""
    # kbuild's V=1 prints the recipe: `set -e; … gcc … -o mm/x.o /src/mm/x.c ; …` or the bare command
    named = re.compile(rf"-o (?:\S*/)?{re.escape(target)}(?:\s|\Z)")
    candidates = [line for line in verbose_lines if named.search(line) and not line.startswith("#")]
    if not candidates:
        return None
    parts = re.split(r"\s*(?:;|&&)\s*", candidates[-1].strip())
    return next((part for part in reversed(parts) if named.search(part)), candidates[-1].strip())


def _excerpt(lines: Sequence[str]) -> list[str]:
    """The lines from the first error on, with the place that includes it."""
    start = next((number for number, line in enumerate(lines) if re.search(r"\berror\b|ERROR|undefined", line)), 0)
    while start > 0 and re.match(r"In file included from|\s+from |.*\b[Ii]n function", lines[start - 1]):
        start -= 1
    shown = list(lines[start : start + _MOST])
    return [*shown, f"… {len(lines) - start - _MOST} more lines"] if len(lines) - start > _MOST else shown
