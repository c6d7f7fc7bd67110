# SPDX-License-Identifier: GPL-2.0-only
"""A command line of the harness that ended, as VM tests look at it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEBUG = ("--add-config", "debuginfo")
"""With these a kernel has debug information."""


@dataclass(frozen=True)
class Outcome:
    """A command line that ended: status, what it printed, its data folder and its process id."""

    status: int
    text: str
    data: Path
    pid: int

    @property
    def why(self) -> str:
        """What to show where it ended otherwise than expected: what went wrong first, as CI cuts reports short."""
        lines = self.text.splitlines()
        good = re.compile(r"\s*(✓|(\S\s+)?(PASS|SKIP)|$)")
        wrong = [line for line in lines if not good.match(line)]
        return "\n".join([f"status {self.status}", *wrong[-60:], "… and all of it:", *lines[-200:]])

    @property
    def folder(self) -> Path:
        """The one run's folder."""
        (folder,) = (self.data / "runs").iterdir()
        return folder

    @property
    def results(self) -> dict[str, Any]:
        """The one run's results.json."""
        answer: dict[str, Any] = json.loads((self.folder / "results.json").read_text())
        return answer

    def verdicts(self) -> dict[str, str]:
        """Verdict by case."""
        return {f"{c['suite']}/{c['program']}:{c['case']}": c["verdict"] for c in self.results["cases"]}


Harness = Callable[..., Outcome]
