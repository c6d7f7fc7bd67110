# SPDX-License-Identifier: GPL-2.0-only
"""The values that a run folder's JSON files hold, and what they add up to.

``manifest.json`` is everything that decides a run; a second part, ``circumstances``, holds what differs between two
runs of the same thing (host, paths, times). ``results.json`` is what came out. Both carry ``version``; a reader refuses
a newer one.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from harness.store import value_digest
from harness.values import CaseResult, Crash, Verdict

MANIFEST_VERSION = 2
RESULTS_VERSION = 2

# The gravest first: a run is as bad as the worst thing in it.
_GRAVITY = (
    Verdict.INFRA, Verdict.APPLY, Verdict.BUILD, Verdict.BOOT, Verdict.CRASH, Verdict.LOST, Verdict.TIMEOUT,
    Verdict.FAIL, Verdict.XPASS,
)  # fmt: skip

_EXIT = {Verdict.INFRA: 4, Verdict.APPLY: 3, Verdict.BUILD: 3, Verdict.BOOT: 3}


class StageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One stage: wall time in seconds, whether the cache had it, and what came out in a few words."""

    name: str
    seconds: float
    cached: bool = False
    outcome: str = ""


class CaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One case as it is written to ``results.json``; ``fingerprint`` is that of a failure (:func:`fingerprint`).

    ``crash`` is the splat behind a CRASH, with its decoded frames.
    """

    suite: str
    program: str
    case: str
    verdict: str
    reason: str = ""
    seconds: float = 0.0
    diagnostics: tuple[str, ...] = ()
    splat: str | None = None
    fingerprint: str = ""
    crash: Crash | None = None

    @property
    def name(self) -> str:
        """``suite/program:case``, as ``--case`` takes it."""
        return f"{self.suite}/{self.program}:{self.case}"


class RerunRecord(CaseRecord, frozen=True, kw_only=True):
    """A failed case run again on a fresh guest; ``attempt`` counts from 1. It changes nothing in the verdict."""

    attempt: int


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run did not reach its cases, or did not finish them; ``usage``: by what the user gave."""

    verdict: str
    message: str
    usage: bool = False
    hint: str | None = None
    command: tuple[str, ...] = ()
    log: str | None = None
    details: tuple[str, ...] = ()


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """``results.json``. ``verdict`` is the run's own; ``interrupted`` where the user stopped it.

    ``reruns`` (from version 2 on) are failed cases run again afterwards, which decide nothing.
    """

    version: int = RESULTS_VERSION
    run: str
    verdict: str
    seconds: float
    guest_seconds: float
    interrupted: bool
    stages: tuple[StageRecord, ...]
    cases: tuple[CaseRecord, ...]
    failure: Failure | None = None
    reruns: tuple[RerunRecord, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``manifest.json``: ``decides`` is what was run, by content; ``circumstances`` may differ between two runs."""

    version: int = MANIFEST_VERSION
    decides: dict[str, Any]
    circumstances: dict[str, Any]

    @property
    def digest(self) -> str:
        """The SHA-256 of ``decides``: two runs that have it in common ran the same thing."""
        return value_digest(self.decides)


def fingerprint(verdict: str, reason: str) -> str:
    """Twelve hex digits that a failure without a splat keeps from run to run: its verdict and reason, no numbers."""
    words = re.sub(r"0x[0-9a-fA-F]+|(?<![A-Za-z_])\d[\d.,:]*", "N", reason)
    return hashlib.sha256(f"{verdict}\n{' '.join(words.split())}".encode("utf-8", "replace")).hexdigest()[:12]


def case_record(result: CaseResult) -> CaseRecord:
    """A case's result in the form that is written."""
    return CaseRecord(**_written(result))


def rerun_record(result: CaseResult, attempt: int) -> RerunRecord:
    """The same of a case that was run again."""
    return RerunRecord(**_written(result), attempt=attempt)


def _written(result: CaseResult) -> dict[str, Any]:
    bad = not result.verdict.good
    return dict(
        suite=result.suite,
        program=result.program,
        case=result.case,
        verdict=result.verdict.value,
        reason=result.reason,
        seconds=round(result.seconds, 3),
        diagnostics=result.diagnostics,
        splat=result.splat,
        fingerprint=(result.fingerprint or fingerprint(result.verdict.value, result.splat or result.reason))
        if bad
        else "",
        crash=result.crash,
    )


def run_verdict(cases: Sequence[CaseRecord], failure: Failure | None, *, interrupted: bool) -> Verdict:
    """A run's verdict: the gravest of its cases and of its own failure.

    No case at all is not a pass but INFRA; only skipped cases make a SKIP; an interrupted run is LOST unless worse.
    """
    seen = {Verdict(case.verdict) for case in cases}
    if failure is not None:
        seen.add(Verdict(failure.verdict))
    if interrupted:
        seen.add(Verdict.LOST)
    for verdict in _GRAVITY:
        if verdict in seen:
            return verdict
    if not seen:
        return Verdict.INFRA
    return Verdict.PASS if Verdict.PASS in seen else Verdict.SKIP


def exit_status(verdict: Verdict, *, interrupted: bool = False, failure: Failure | None = None) -> int:
    """The command's exit status for a run's verdict and failure (DESIGN, "Verdicts")."""
    if interrupted:
        return 130
    if verdict is Verdict.INFRA and failure is not None and failure.usage:
        return 2
    return _EXIT.get(verdict, 0 if verdict.good else 1)


def counts(cases: Sequence[CaseRecord]) -> Counter[str]:
    """How many cases have each verdict."""
    return Counter(case.verdict for case in cases)
