# SPDX-License-Identifier: GPL-2.0-only
"""What a lasting output folder remembers from build to build: how many steps it took, and each target's warnings.

An incremental build repeats only the warnings of what it compiles again; a kernel's list is that of all its targets.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import msgspec

from harness import sandbox

_NAME = ".harness-state.json"


class BuildState(msgspec.Struct):
    """``steps`` done so far, whether a build has been ``complete``, ``warnings`` by target, then by source file.

    ``unfinished`` is the log of a build that has begun; still there at the next one, it was killed, and the log tells
    what it had compiled.
    """

    steps: int = 0
    complete: bool = False
    unfinished: str = ""
    warnings: dict[str, dict[str, list[str]]] = {}

    def note(self, steps: int, finished: dict[str, dict[str, list[str]]], output: Path) -> None:
        """Add a build: targets made again replace what they said before; those that are gone are forgotten."""
        if not self.complete:
            self.steps += steps
        for target, warnings in finished.items():
            self.warnings.pop(target, None)
            if warnings:
                self.warnings[target] = warnings
        self.warnings = {target: said for target, said in self.warnings.items() if _exists(output, target)}


def load(output: Path) -> BuildState:
    """The state of an output folder; an empty one where there is none or it cannot be read."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(sandbox.own_file(output / _NAME).read_bytes(), type=BuildState)
    return BuildState()


def save(state: BuildState, output: Path) -> None:
    """Keep the state in the output folder."""
    with contextlib.suppress(OSError):  # only progress and old warnings hang on it
        sandbox.own_file(output / _NAME).write_text(json.dumps(msgspec.to_builtins(state)))


def _exists(output: Path, target: str) -> bool:
    return (output / target).exists() or "/" not in target
