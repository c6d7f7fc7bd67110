# SPDX-License-Identifier: GPL-2.0-only
"""Run folders of older versions, read as this version has them. Pure.

Version 1 of ``manifest.json`` had the profile (with the paths that were given), the names of the source and the series
and the keys of this machine's cache in ``decides``, and QEMU's own place in ``argv``; no keyword and no digest of the
tests that run from the host. Version 1 of ``results.json`` had no fingerprints and no reruns.
"""

from __future__ import annotations

from typing import Any

import msgspec

from harness.profile import Profile
from harness.results.record import CaseRecord, Manifest, Results, fingerprint
from harness.values import Verdict

_FIRST_OPTION = "-nodefaults"  # of every argv: what stands before it starts QEMU


def results(read: Results) -> Results:
    """Results with the fingerprints that their version did not have yet."""
    if read.version > 1:
        return read
    return msgspec.structs.replace(read, cases=tuple(_with_fingerprint(case) for case in read.cases))


def _with_fingerprint(case: CaseRecord) -> CaseRecord:
    if case.fingerprint or Verdict(case.verdict).good:
        return case
    return msgspec.structs.replace(case, fingerprint=fingerprint(case.verdict, case.splat or case.reason))


def manifest(read: Manifest) -> Manifest:
    """A manifest in today's form; raises KeyError and its like where it is not what its version says."""
    if read.version > 1:
        return read
    before = read.decides
    profile = msgspec.to_builtins(Profile()) | before["profile"]  # it got more fields while version 1 lasted
    source, series, qemu = before.get("source"), before.get("series"), before.get("qemu")
    decides: dict[str, Any] = {
        "harness": before["harness"],
        "tests": {name: profile[name] for name in ("require_feature", "timeout_scale", "stress", "seed")}
        | {"selection": before["selection"], "keyword": "", "from_the_host": None},
    }
    if source is not None:
        decides["source"] = {name: source[name] for name in ("version", "commit", "tree")}
    if "series" in before:
        kept = ("digest", "patches", "commit")
        decides["series"] = {name: series[name] for name in kept if name in series} if series is not None else None
    decides |= {name: before[name] for name in ("config", "toolchain", "topology", "accel") if name in before}
    parts: tuple[tuple[str, tuple[str, ...]], ...]
    parts = (("kernel", ("release", "digest")), ("rootfs", ("flavour", "digest")), ("payload", ("digest",)))
    decides |= {name: {key: before[name][key] for key in kept} for name, kept in parts if name in before}
    if qemu is not None:
        decides["qemu"] = {"version": qemu["version"], "digest": qemu["digest"]}
        decides["guest"] = {name: profile[name] for name in ("memory_mib", "cpus", "append")}
    if "argv" in before:
        decides["argv"] = ["{qemu}", *before["argv"][before["argv"].index(_FIRST_OPTION) :]]
    circumstances = read.circumstances | {
        "profile": profile,
        "source": {"spec": source["spec"], "origin": source["origin"]} if source is not None else None,
        "series": _labels(series) if series is not None else None,
        "keys": {name: before[name]["key"] for name in ("kernel", "rootfs", "payload") if name in before},
        "qemu": {"origin": qemu["origin"], "argv": []} if qemu is not None else None,
    }
    decides |= {name: before[name] for name in ("mutants", "full") if name in before}
    return Manifest(version=read.version, decides=decides, circumstances=circumstances)


def _labels(series: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "spec", "title", "revision", "message_id", "base")
    return {name: series[name] for name in names} | {"commits": []}
