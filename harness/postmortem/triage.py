# SPDX-License-Identifier: GPL-2.0-only
"""The triage report of a dump: drgn in the sandbox, with a deadline, since a dump is a guest's word."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from harness import sandbox
from harness.display import printable
from harness.errors import HarnessError
from harness.paths import Paths
from harness.process import run

FILE = "triage.txt"
_SUMMARY = "# "
_LONGEST = 8 << 20


class NoTriage(Exception):
    """There is no report, for the reason in the message."""


def write(
    dump: Path, vmlinux: Path, target: Path, *, about: Sequence[str] = (), paths: Paths, deadline: float
) -> tuple[str, ...]:
    """Write the report on a dump, headed by what it is ``about``; returns its summary, a line a fact.

    Raises :class:`NoTriage`.
    """
    argv = [sys.executable, "-m", "harness.postmortem.report", str(dump), str(vmlinux)]
    try:
        within = sandbox.enclosure(paths, writable=[], hide=False)
        environment = {"PYTHONPATH": _packages(), "PYTHONDONTWRITEBYTECODE": "1", "DEBUGINFOD_URLS": None}
        done = run(argv, deadline=deadline, check=False, env=environment, within=within)
    except HarnessError as error:
        raise NoTriage(error.message) from error
    text = printable(done.text, limit=_LONGEST)
    if done.returncode != 0 or not text:
        why = printable(done.error_text).strip().splitlines()
        raise NoTriage(f"drgn could not read the dump: {why[-1] if why else f'exit status {done.returncode}'}")
    try:
        target.write_text("".join(f"{_SUMMARY}{printable(line)}\n" for line in about) + text)
    except OSError as reason:
        raise NoTriage(f"{reason.strerror} while writing {target}") from reason
    return tuple(line.removeprefix(_SUMMARY) for line in text.splitlines() if line.startswith(_SUMMARY))


def _packages() -> str:
    """Where the harness's own package is, for a Python that starts in another folder."""
    return str(Path(__file__).resolve().parents[2])
