# SPDX-License-Identifier: GPL-2.0-only
"""A run folder as rows of the history. Pure but for reading the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from harness.display import printable
from harness.errors import UserError
from harness.results.folder import RunFolder, read_manifest, read_results
from harness.results.record import CaseRecord, Manifest, Results, counts, fingerprint
from harness.store import value_digest
from harness.values import Verdict

_REASON = 500  # characters of a reason that are kept; all of it is in the run folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """One run: the columns of ``run``; of each outcome and rerun the columns of its table, and the case's name."""

    run: dict[str, Any]
    outcomes: tuple[dict[str, Any], ...]
    reruns: tuple[dict[str, Any], ...]

    @property
    def cases(self) -> frozenset[str]:
        """The names of its cases."""
        return frozenset(row["case"] for row in (*self.outcomes, *self.reruns))


def read(folder: RunFolder) -> Rows:
    """The rows of a finished run; raises :class:`UserError` where its files are damaged or of a newer harness."""
    return rows(read_manifest(folder), read_results(folder), place=str(folder.path))


def rows(manifest: Manifest, results: Results, *, place: str) -> Rows:
    """The rows of a run; ``place`` is its folder, which errors name."""
    try:
        run = _run(manifest, results, place)
    except (KeyError, TypeError, AttributeError, ValueError) as reason:
        raise UserError(f"{place}/manifest.json is damaged: {reason!r}") from None
    return Rows(
        run=run,
        outcomes=tuple(_outcome(case) | {"position": number} for number, case in enumerate(results.cases)),
        reruns=tuple(_outcome(one) | {"attempt": one.attempt} for one in results.reruns),
    )


def _run(manifest: Manifest, results: Results, place: str) -> dict[str, Any]:
    decides, around = manifest.decides, manifest.circumstances
    started, host = around["started"], str(around["host"]["name"])
    profile, tests = around["profile"], decides["tests"]
    source, series = decides.get("source") or {}, decides.get("series") or {}
    labels = around.get("series") or {}
    config = decides.get("config") or {}
    topology = (decides.get("topology") or {}).get("name") or profile["topology"]
    name = profile.get("followed_series") or labels.get("name") or profile["series"]
    spec = profile.get("followed_source") or profile["source"]
    fragments = list(config.get("fragments") or profile["config"])
    accel = decides.get("accel", "")
    number, failure = counts(results.cases), results.failure
    guest = decides.get("guest") or {}
    followed = [spec, name, profile["patches"], sorted(profile["config"]), topology, accel, guest]
    return {
        "uid": value_digest(results.run, host, started)[:32],
        "name": _text(results.run, 80),
        "started": datetime.strptime(started, "%Y-%m-%dT%H:%M:%S%z").timestamp(),
        "seconds": float(results.seconds),
        "guest_seconds": float(results.guest_seconds),
        "verdict": Verdict(results.verdict).value,
        "interrupted": results.interrupted,
        "passed": number[Verdict.PASS.value] + number[Verdict.XFAIL.value],
        "bad": sum(many for verdict, many in number.items() if not Verdict(verdict).good),
        "skipped": number[Verdict.SKIP.value],
        "failure": _text(failure.message) if failure is not None else "",
        "fingerprint": fingerprint(failure.verdict, failure.message) if failure is not None else "",
        "decides": manifest.digest,
        "cell": value_digest(followed)[:12],
        "host": _text(host),
        "harness": _text(decides["harness"]),
        "source": _text(spec),
        "version": _text(source.get("version", "")),
        "base": str(source.get("commit", ""))[:64],
        "series": _text(name),
        "revision": _text(labels.get("revision") or ""),
        "series_digest": str(series.get("digest", ""))[:64],
        "patches": len(series.get("patches", ())),
        "commit": str(series.get("commit") or source.get("commit", ""))[:64],
        "fragments": _text(" ".join(fragments)),
        "config": str(config.get("digest", ""))[:64],
        "kernel": str((decides.get("kernel") or {}).get("digest", ""))[:64],
        "toolchain": _text(decides.get("toolchain", "")),
        "topology": _text(topology),
        "accel": str(accel)[:8],
        "qemu": _text((decides.get("qemu") or {}).get("version", "")),
        "seed": int(tests["seed"]),
        "folder": place,
        "payload": str((decides.get("payload") or {}).get("digest", ""))[:64],
        "rootfs": str((decides.get("rootfs") or {}).get("digest", ""))[:64],
        "guest": _text(" ".join(f"{name}={value}" for name, value in guest.items() if value)),
    }


def _outcome(case: CaseRecord) -> dict[str, Any]:
    return {
        "case": _text(case.name),
        "verdict": Verdict(case.verdict).value,
        "seconds": float(case.seconds),
        "reason": _text(case.reason),
        "fingerprint": case.fingerprint[:12],
    }


def _text(text: Any, limit: int = _REASON) -> str:
    """Text that any database takes: no NUL, no half a character."""
    return printable(str(text), limit=limit).encode("utf-8", "replace").decode("utf-8")[: limit + 40]


def cell_of(run: Mapping[str, Any]) -> str:
    """What is followed over time, in a few words: ``debian:6.12 + n_private-6.12, direct, tcg``."""
    series = f" + {run['series']}" if run["series"] else ""
    accel = f", {run['accel']}" if run["accel"] else ""
    return f"{run['source']}{series}, {run['topology']}{accel}"
