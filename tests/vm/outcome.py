# SPDX-License-Identifier: GPL-2.0-only
"""A command line of the harness that ended, as VM tests look at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """A command line that ended: status, what it printed, its data folder and its process id."""

    status: int
    text: str
    data: Path
    pid: int

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
