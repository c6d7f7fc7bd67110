# SPDX-License-Identifier: GPL-2.0-only
"""From a manifest back to what was run: the profile with everything that moves pinned. Pure.

What comes out of it has to be compared with the manifest (:func:`differences`): a checkout, a folder of patches or an
archive may not be any more what it was, and this machine may have another compiler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness import topology as topologies
from harness.errors import UserError
from harness.profile import Profile
from harness.results.record import Manifest
from harness.topology import Topology

_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """What :func:`harness.run.plan` takes to run the same again; ``decides`` is what its manifest has to say then."""

    profile: Profile
    selection: tuple[str, ...]
    keyword: str
    topology: Topology | None
    decides: Mapping[str, Any]


def repeat(manifest: Manifest, *, patches: Path | None = None) -> Repeat:
    """What a manifest says was run.

    ``patches`` is a folder with the patches as the run used them (``series/`` of a run folder), in place of where they
    came from; it need not be there. Raises :class:`UserError` where the manifest is not one of a run, or not complete
    enough.
    """
    decides, circumstances = manifest.decides, manifest.circumstances
    try:
        tests = decides["tests"]
        given = msgspec.convert(circumstances["profile"], Profile)
        guest = decides.get("guest", {})
        machine = decides.get("topology")
        profile = msgspec.structs.replace(
            given,
            source=_source(given.source, decides.get("source"), circumstances.get("source")),
            series=_series(given.series, circumstances.get("series"), patches),
            suites=tuple(tests["selection"]),
            topology=machine["name"] if machine is not None else given.topology,
            accel=decides.get("accel", given.accel),
            require_feature=tests["require_feature"],
            timeout_scale=tests["timeout_scale"],
            stress=tests["stress"],
            seed=tests["seed"],
            sandbox=True,  # who repeats a run from elsewhere says anew whether it may do without
            **{name: guest[name] for name in ("memory_mib", "cpus", "append") if name in guest},
        )
        topology = None
        if machine is not None:
            topology = topologies.from_definition(machine["definition"], name=machine["name"], path="the manifest")
        return Repeat(
            profile=profile,
            selection=tuple(tests["selection"]),
            keyword=tests["keyword"],
            topology=topology,
            decides=decides,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as reason:
        raise UserError(f"the manifest does not say what was run: {reason!r}") from None


def _source(spec: str, known: Mapping[str, Any] | None, came: Mapping[str, Any] | None) -> str:
    """The source with its version, commit or digest, so that it cannot have moved meanwhile."""
    if known is None or came is None:
        return spec
    origin, (kind, _, rest) = came["origin"], spec.partition(":")
    if kind == "debian" and "package_version" in origin:
        return f"debian:{rest.partition('=')[0]}={origin['package_version']}"
    if kind == "tarball" and "sha256" in origin:
        return f"tarball:{origin['location']}#sha256={origin['sha256']}"
    if kind == "git" and ("url" in origin or "path" in origin):
        return f"git:{origin.get('url') or origin['path']}@{known['commit']}"
    if kind == "tree" and "path" in origin:
        return f"tree:{origin['path']}"
    return spec


def _series(spec: str, came: Mapping[str, Any] | None, patches: Path | None) -> str:
    """The series: a range of commits by its ends, anything else as the patches that were kept, or as it was given."""
    if came is None:
        return spec
    if spec.startswith("git:"):
        path, at, _ = spec.removeprefix("git:").rpartition("@")
        commits = came["commits"]
        return f"git:{path}{at}{commits[0]}^..{commits[-1]}" if commits else spec
    return str(patches) if patches is not None and patches.is_dir() else spec


def differences(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> tuple[str, ...]:
    """What two ``decides`` do not have in common, a line each: ``kernel.digest: 1a2b… → 3c4d…``."""
    return tuple(_differing("", wanted, got))


def _differing(place: str, wanted: Any, got: Any) -> list[str]:
    if wanted == got:
        return []
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        names = [*wanted, *(name for name in got if name not in wanted)]
        inner = [_differing(f"{place}.{name}" if place else name, wanted.get(name), got.get(name)) for name in names]
        return [line for lines in inner for line in lines]
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        pairs = enumerate(zip(wanted, got, strict=True))
        return [line for number, (one, two) in pairs for line in _differing(f"{place}[{number}]", one, two)]
    return [f"{place}: {_short(wanted)} → {_short(got)}"]


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
