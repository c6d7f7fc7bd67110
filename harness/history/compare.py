# SPDX-License-Identifier: GPL-2.0-only
"""Two runs side by side: the cases that changed, and those whose time changed by more than noise. Pure but for samples.

How much a case's time varies is learnt from earlier passes in the same kind of machine (host, accelerator, topology,
configuration): three standard deviations of a difference, estimated by the median absolute deviation, which a few odd
runs do not move. Where fewer than five are known, half as much again and two seconds is a change.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from harness.history.database import History
from harness.history.query import is_bad, is_good
from harness.history.schema import case, outcome, run
from harness.values import Verdict

Row = Mapping[str, Any]

_SAMPLES = 30  # runs
_ENOUGH = 5
_SIGMAS = 3 * 2**0.5  # of one measurement, for a difference of two
_MAD_TO_SIGMA = 1.4826
_LEAST_SHARE = 0.2
_LEAST_SECONDS = 0.5
_UNKNOWN_SHARE = 0.5
_UNKNOWN_SECONDS = 2.0

INPUTS = (
    "source", "version", "base", "series", "revision", "series_digest", "patches", "fragments", "config", "kernel",
    "toolchain", "payload", "rootfs", "topology", "guest", "accel", "qemu", "seed", "host",
)  # fmt: skip
"""What of two runs is compared, in the order in which it is told."""

LIKE = ("host", "accel", "topology", "config")
"""What two runs have in common whose times are alike."""

_UNKNOWN_IF_EMPTY = ("version", "base", "config", "kernel", "toolchain", "payload", "rootfs", "accel", "qemu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A case in two runs; a verdict is None where the run does not have it. Seconds of wall time."""

    case: str
    before: str | None
    after: str | None
    reason: str = ""
    seconds: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs. ``changed`` are verdicts that are neither broken nor fixed (a skip, another failure).

    ``inputs`` maps what differs in what was run to (before, after); ``untimed`` says why times are not compared.
    """

    before: Row
    after: Row
    broken: tuple[Change, ...]
    fixed: tuple[Change, ...]
    new: tuple[Change, ...]
    gone: tuple[Change, ...]
    changed: tuple[Change, ...]
    slower: tuple[Change, ...]
    faster: tuple[Change, ...]
    same: int
    inputs: Mapping[str, tuple[Any, Any]]
    untimed: str = ""

    @property
    def same_inputs(self) -> bool:
        """Whether both ran exactly the same."""
        return bool(self.before["decides"] == self.after["decides"])

    @property
    def worse(self) -> bool:
        """Whether a case is broken, or fails that was not there before."""
        return bool(self.broken) or any(is_bad(change.after or "PASS") for change in self.new)


def compare(
    before: tuple[Row, Sequence[Row]], after: tuple[Row, Sequence[Row]], samples: Mapping[str, Sequence[float]]
) -> Comparison:
    """Compare two runs (each with its outcomes); ``samples`` are seconds of earlier passes, by case."""
    one, other = _by_case(before[1]), _by_case(after[1])
    groups: dict[str, list[Change]] = defaultdict(list)
    same = 0
    untimed = _untimed(before[0], after[0])
    for name in dict.fromkeys((*other, *one)):
        group, change = _change(name, one.get(name), other.get(name))
        if group == "same":
            same += 1
            group = "" if untimed else _timing(change, samples.get(name, ()))
        if group:
            groups[group].append(change)
    for name in ("slower", "faster"):
        groups[name].sort(key=_seconds_apart, reverse=True)
    return Comparison(
        before=before[0],
        after=after[0],
        **{name: tuple(groups[name]) for name in ("broken", "fixed", "new", "gone", "changed", "slower", "faster")},
        same=same,
        inputs=_inputs(before[0], after[0]),
        untimed=untimed,
    )


def _inputs(before: Row, after: Row) -> dict[str, tuple[Any, Any]]:
    found = {name: (before.get(name), after.get(name)) for name in INPUTS}
    return {
        name: pair
        for name, pair in found.items()
        if pair[0] != pair[1] and not (name in _UNKNOWN_IF_EMPTY and not all(pair))
    }


def samples(history: History, runs: Sequence[Row]) -> dict[str, list[float]]:
    """Seconds of each case's passes in the last runs on the machine and configuration of one of ``runs``."""
    ways = [sa.and_(*(run.c[name] == one[name] for name in LIKE)) for one in runs]
    chosen = sa.select(run.c.id).where(sa.or_(*ways)).order_by(run.c.started.desc()).limit(_SAMPLES).subquery()
    query = (
        sa.select(case.c.name, outcome.c.seconds)
        .join_from(outcome, chosen, chosen.c.id == outcome.c.run_id)
        .join(case, case.c.id == outcome.c.case_id)
        .where(outcome.c.verdict == Verdict.PASS.value)
    )
    found: dict[str, list[float]] = defaultdict(list)
    with history.reading() as connection:
        for name, seconds in connection.execute(query):
            found[name].append(seconds)
    return found


def allowed(before: float, known: Sequence[float]) -> float:
    """By how many seconds a case's time may differ from ``before`` without being told, given its earlier times."""
    if len(known) < _ENOUGH:
        return max(_UNKNOWN_SHARE * before, _UNKNOWN_SECONDS)
    middle = statistics.median(known)
    sigma = _MAD_TO_SIGMA * statistics.median(abs(value - middle) for value in known)
    return max(_SIGMAS * sigma, _LEAST_SHARE * middle, _LEAST_SECONDS)


def _by_case(outcomes: Sequence[Row]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for row in outcomes:
        if row["name"] not in found or is_bad(row["verdict"]):
            found[row["name"]] = row
    return found


def _change(name: str, one: Row | None, other: Row | None) -> tuple[str, Change]:
    before, after = one["verdict"] if one else None, other["verdict"] if other else None
    seconds = (one["seconds"], other["seconds"]) if one and other else None
    reason = str((other or one or {})["reason"])
    change = Change(case=name, before=before, after=after, reason=reason, seconds=seconds)
    if before is None or after is None:
        return ("new" if before is None else "gone"), change
    if before == after and (one or {})["fingerprint"] == (other or {})["fingerprint"]:
        return "same", change
    if is_bad(after) and not is_bad(before):
        return "broken", change
    if is_bad(before) and is_good(after):
        return "fixed", change
    return "changed", change


def _untimed(before: Row, after: Row) -> str:
    differing = [name for name in ("host", "accel") if before[name] != after[name]]
    return f"times are not compared: another {' and '.join(differing)}" if differing else ""


def _timing(change: Change, known: Sequence[float]) -> str:
    if change.after != Verdict.PASS or change.seconds is None:
        return ""
    before, after = change.seconds
    if abs(after - before) <= allowed(before, known):
        return ""
    return "slower" if after > before else "faster"


def _seconds_apart(change: Change) -> float:
    return abs(change.seconds[1] - change.seconds[0]) if change.seconds is not None else 0.0
