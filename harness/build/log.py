# SPDX-License-Identifier: GPL-2.0-only
"""The output of a kernel build, line by line: steps, warnings per file, and the first failure. Pure.

Expects ``make --output-sync=target`` with both outputs in one stream: what a target says follows its ``CC …`` line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_STEP = re.compile(r"  (?P<verb>[A-Z][A-Z0-9_.+-]*(?: \[M\])?) +(?P<target>\S.*)\Z")
_SAID = re.compile(
    r"(?P<file>[^\s:][^:]*?):(?P<line>\d+)(?::\d+)?: (?P<kind>warning|error|fatal error): (?P<message>.*)\Z"
)
_TOOL_WARNING = re.compile(
    r"(?:(?P<file>[^\s:]+): )?(?P<kind>warning|WARNING): (?P<message>(?:objtool|modpost|.*section|.*ld).*)\Z"
)
_FAILED = re.compile(
    r"make(?:\[\d+\])?: \*\*\* \[(?:(?P<place>[^\]:]*:\d+): )?(?P<target>[^\]]+)\] (?P<how>Error \d+|\w[\w ]*)"
    r"(?: \(core dumped\))?\Z"
)
_NO_RULE = re.compile(r"make(?:\[\d+\])?: \*\*\* (?P<message>(?!\[|Waiting for).*)\Z")
_NOISE = re.compile(r"make(?:\[\d+\])?: (?:Entering|Leaving|\*\*\* Waiting|Target )|\s*\Z")
_MOST_LINES = 400


@dataclass(slots=True)
class Step:
    """One target: ``CC`` and ``mm/page_alloc.o``, what it said, and its warnings by source file."""

    verb: str
    target: str
    lines: list[str] = field(default_factory=list)
    warnings: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """The first target that failed: what it said, and how make puts it (``Error 1``, ``Killed``)."""

    target: str
    how: str
    lines: tuple[str, ...]

    @property
    def message(self) -> str:
        """The first error in what it said, in a line."""
        found = (line for line in self.lines if re.search(r"\berror\b|undefined reference|ERROR|No space left", line))
        return next(found, self.lines[0] if self.lines else self.how)


class BuildLog:
    """Takes a build's lines one by one. ``on_step`` is called with each step as it begins."""

    def __init__(self, *, source: Path, output: Path, on_step: Callable[[Step], None] | None = None) -> None:
        self.steps = 0
        self.finished: dict[str, dict[str, list[str]]] = {}
        self.failure: Failure | None = None
        self.disk_full = False
        self._source = str(source)
        self._output = str(output)
        # ccache says again what the compiler said where it ran first: in the worktree of another configuration
        self._beside = re.compile(rf"{re.escape(str(source.parent.parent))}/[^/\s]+/{re.escape(source.name)}/")
        self._on_step = on_step
        self._current = Step("", "")
        self._recent: list[Step] = []

    def feed(self, line: str) -> None:
        """One line, without its end."""
        if found := _STEP.match(line):
            self._begin(Step(found["verb"], self._short(found["target"].split(" ")[0])))
            return
        if "No space left on device" in line or "Disk quota exceeded" in line:
            self.disk_full = True
        failed = _FAILED.match(line)
        if failed and self.failure is None:  # the innermost make speaks first
            self._fail(self._short(failed["target"]), failed["how"])
        elif failed is None and self.failure is None and (no_rule := _NO_RULE.match(line)):
            self._current.lines.append(line)
            self.failure = Failure("", no_rule["message"], (line,))
        elif failed is None and not _NOISE.match(line):
            self._said(line)

    def close(self) -> None:
        """The end of the output."""
        self._end()

    @property
    def warnings(self) -> dict[str, list[str]]:
        """The warnings of all steps that ran, by source file."""
        return merged_warnings(self.finished)

    def _begin(self, step: Step) -> None:
        self._end()
        self._current = step
        self.steps += 1
        if self._on_step is not None:
            self._on_step(step)

    def _end(self) -> None:
        if self._current.lines or self._current.target:
            self._recent = [*self._recent[-63:], self._current]
        if self._current.target:
            self.finished[self._current.target] = self._current.warnings
        self._current = Step("", "")

    def _said(self, line: str) -> None:
        if len(self._current.lines) < _MOST_LINES:
            self._current.lines.append(line)
        found = _SAID.match(line)
        # a checker's error is a remark: it does not stop the build (make C=1, sparse)
        if found and (found["kind"] == "warning" or self._current.verb == "CHECK"):
            where = f"{found['line']}: {found['message']}"
            self._warn(self._short(found["file"]), where)
        elif tool := _TOOL_WARNING.match(line):
            self._warn(self._short(tool["file"] or self._current.target or "(build)"), tool["message"])

    def _warn(self, file: str, message: str) -> None:
        messages = self._current.warnings.setdefault(file, [])
        if message not in messages:
            messages.append(message)

    def _fail(self, target: str, how: str) -> None:
        """Find what the failed target said: its own step, else what was said last by anything."""
        steps = [*self._recent, self._current]
        own = [step for step in steps if step.target and _same_target(step.target, target) and step.lines]
        telling = own or [step for step in steps if any("error" in line.lower() for line in step.lines)] or steps
        self.failure = Failure(target, how, tuple(self._relative(line) for line in telling[-1].lines))

    def _relative(self, line: str) -> str:
        """A line with the paths in it as the tree names them."""
        for folder in (self._source, self._output, "../source"):
            line = line.replace(folder + "/", "")
        return self._beside.sub("", line)

    def _short(self, path: str) -> str:
        """A path as the tree names it: without the source or output folder in front."""
        if path.startswith(".."):
            path = os.path.normpath(os.path.join(self._output, path))  # noqa: PTH118 - text, not a file
        for folder in (self._source, self._output):
            path = path.removeprefix(folder + "/")
        return self._beside.sub("", path, count=1).removeprefix("./")


def merged_warnings(finished: dict[str, dict[str, list[str]]]) -> dict[str, list[str]]:
    """Warnings by source file, over all targets; one that several targets give (a header's) is there once."""
    merged: dict[str, list[str]] = {}
    for warnings in finished.values():
        for file, messages in warnings.items():
            known = merged.setdefault(file, [])
            known += [message for message in messages if message not in known]
    return {file: merged[file] for file in sorted(merged)}


def _same_target(one: str, other: str) -> bool:
    return one == other or one.endswith("/" + other) or other.endswith("/" + one)
