# SPDX-License-Identifier: GPL-2.0-only
"""The night in KCIDB's terms: checkouts, builds and tests, valid by the schema that kcidb-io carries.

A checkout is a source with a series, a build is a kernel of it, a test is a case in a cell. ``SKIP`` means for KCIDB
that nothing is known of the code, ``ERROR`` that the test broke, ``MISS`` that it did not run; what the harness says
more exactly is in ``misc``.
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import Any

from harness import __version__
from harness.nightly.cells import Cell
from harness.nightly.inputs import series_name, source_name
from harness.nightly.report import CellReport, NightReport
from harness.results.record import CaseRecord
from harness.store import value_digest

_EXCERPT = 16384
_STATUS = {
    "PASS": "PASS", "FAIL": "FAIL", "CRASH": "FAIL", "BOOT": "FAIL", "SKIP": "SKIP", "XFAIL": "DONE", "XPASS": "PASS",
    "TIMEOUT": "ERROR", "LOST": "MISS", "INFRA": "MISS", "APPLY": "MISS", "BUILD": "MISS",
}  # fmt: skip


def kcidb(found: NightReport) -> dict[str, Any]:
    """The report as a KCIDB submission. Raises ``kcidb_io``'s or jsonschema's error where it is not valid."""
    from kcidb_io import schema  # here: it takes a third of a second

    made = _Submission(found)
    for one in found.ran:
        made.cell(one)
    version = {"major": schema.LATEST.major, "minor": schema.LATEST.minor}
    data = {
        "version": version,
        "checkouts": list(made.checkouts.values()),
        "builds": list(made.builds.values()),
        "tests": made.tests,
    }
    schema.LATEST.validate(data)
    return data


class _Submission:
    """The objects of a submission, each once."""

    def __init__(self, found: NightReport) -> None:
        self._found = found
        self._origin = found.matrix.origin
        self.checkouts: dict[str, dict[str, Any]] = {}
        self.builds: dict[str, dict[str, Any]] = {}
        self.tests: list[dict[str, Any]] = []

    def cell(self, one: CellReport) -> None:
        """A cell with its checkout and its build."""
        state = one.state
        if state is None:
            return
        checkout = self._checkout(one.cell, failed=state.verdict == "APPLY", reason=state.reason)
        if state.status != "done" or not self.checkouts[checkout]["valid"]:
            return
        build = self._build(one, checkout)
        common = {
            "build_id": build,
            "origin": self._origin,
            "environment": {
                "comment": f"QEMU, CXL topology {one.cell.topology}",
                "misc": {"topology": one.cell.topology, "run": state.run, "cell": one.cell.title},
            },
            "start_time": _stamp(state.started or self._found.night.started),
        }
        for number, case in enumerate(one.results.cases if one.results is not None else ()):
            self.tests.append({**common, **self._case(case, state.run, number)})
        if one.results is None or one.results.failure is not None:
            self.tests.append(
                {
                    **common,
                    "id": self._id("test", self._found.night.id, one.key, "run"),
                    "path": "boot" if state.verdict == "BOOT" else "run",
                    "status": _STATUS.get(state.verdict, "MISS"),
                    "log_excerpt": _excerpt(state.reason),
                    "misc": {"verdict": state.verdict},
                }
            )

    def _case(self, case: CaseRecord, run: str, number: int) -> dict[str, Any]:
        said = "\n".join(filter(None, (case.reason, case.splat, *case.diagnostics)))
        return {
            "id": self._id("test", run, case.suite, case.program, case.case, number),
            "path": ".".join(_part(part) for part in (*case.suite.split("/"), case.program, case.case)),
            "status": _STATUS.get(case.verdict, "ERROR"),
            "duration": case.seconds,
            "misc": {"verdict": case.verdict},
            **({"log_excerpt": _excerpt(said)} if said else {}),
        }

    def _checkout(self, cell: Cell, *, failed: bool, reason: str) -> str:
        night = self._found.night
        source, series = night.inputs[source_name(cell)], night.inputs[series_name(cell)]
        identity = self._id("checkout", night.id, source.pinned, source.digest, series.pinned, series.digest)
        if identity not in self.checkouts:
            commit = source.facts.get("commit", "")
            url = source.facts.get("url", "")
            patches = series.facts.get("patches", "").split()
            hashed = hashlib.sha256("".join(f"{one}\n" for one in patches).encode()).hexdigest() if patches else ""
            message_id = series.facts.get("message_id", "")
            self.checkouts[identity] = {
                "id": identity,
                "origin": self._origin,
                "tree_name": cell.source,
                "patchset_hash": hashed,
                "comment": f"{source.said}; {series.facts.get('title') or series.said}",
                "start_time": _stamp(night.started),
                "valid": not failed and not source.verdict and not series.verdict,
                "misc": {"source": source.pinned, "series": series.pinned, "harness": __version__},
                **({"git_commit_hash": commit} if re.fullmatch(r"[0-9a-f]{40}", commit) and url else {}),
                **({"git_repository_url": url} if url.startswith("https://") else {}),
                **({"message_id": message_id} if re.fullmatch(r"[^@\s]+@[^@\s]+", message_id) else {}),
                **({"log_excerpt": _excerpt(reason)} if failed else {}),
            }
        return identity

    def _build(self, one: CellReport, checkout: str) -> str:
        cell, state = one.cell, one.state
        assert state is not None
        identity = self._id("build", checkout, list(cell.profile.config))
        if identity not in self.builds:
            status = {"BUILD": "FAIL", "INFRA": "MISS"}.get(state.verdict, "PASS")
            if state.verdict == "INFRA" and one.results is not None and one.results.cases:
                status = "PASS"
            self.builds[identity] = {
                "id": identity,
                "checkout_id": checkout,
                "origin": self._origin,
                "architecture": "x86_64",
                "config_name": " ".join(cell.profile.config),
                "start_time": _stamp(self._found.night.started),
                "status": status,
                **({"log_excerpt": _excerpt(state.reason)} if status != "PASS" else {}),
            }
        elif state.verdict not in ("BUILD", "INFRA"):
            self.builds[identity]["status"] = "PASS"
            self.builds[identity].pop("log_excerpt", None)
        return identity

    def _id(self, *parts: object) -> str:
        return f"{self._origin}:{value_digest(*parts)[:40]}"


def _part(name: str) -> str:
    """A part of a test's path: KCIDB allows letters, digits, _ and -."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name) or "_"


def _excerpt(text: str) -> str:
    return text.replace("\0", "")[:_EXCERPT]


def _stamp(when: float) -> str:
    """RFC 3339, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(when))
