# SPDX-License-Identifier: GPL-2.0-only
"""What decides a run, as the data of ``manifest.json``; :mod:`harness.repeat` turns it back into a profile.

``decides`` holds no absolute path, time, host or name that somebody gave: two runs with equal ``decides`` run the same
thing. What differs between two such runs, and where things came from, goes to ``circumstances``.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness import __version__, topology
from harness.paths import Paths
from harness.pipeline import Machine, Made
from harness.profile import Profile
from harness.results.record import Manifest
from harness.series import named
from harness.series.apply import commit_of
from harness.series.assemble import series_digest
from harness.store import value_digest
from harness.values import KernelConfig, Payload, QemuPlan, Series, Tree

_PLACES = ("path", "location", "url")  # of what a source says of its origin


def manifest(
    *,
    profile: Profile,
    selection: Sequence[str],
    made: Made,
    machine: Machine | None,
    plan: QemuPlan | None,
    command: Sequence[str],
    started: float,
    paths: Paths,
    keyword: str = "",
    from_the_host: str | None = None,
) -> Manifest:
    """The manifest of a run, as complete as the stages that it reached; ``started`` in seconds since the epoch.

    ``from_the_host`` is the digest of what tests that run from the host are made of, where some are selected.
    """
    decides: dict[str, Any] = {"harness": __version__, "tests": _tests(profile, selection, keyword, from_the_host)}
    decides |= _kernel(made)
    if machine is not None:
        decides |= _machine(profile, machine, made.payload or machine.payload)
    if plan is not None:
        decides["argv"] = portable_argv(plan, made, machine, paths.cache)
        decides["accel"] = plan.accel.value
        decides["disks"] = dict(plan.disks)
    circumstances = {
        "command": list(command),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
        "host": {
            "name": platform.node(),
            "kernel": platform.release(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "python": sys.version.split()[0],
        },
        "cache": str(paths.cache),
        "sandbox": "bubblewrap" if paths.sandboxed else "off: code of the series and its tree ran as the user",
        "profile": msgspec.to_builtins(_absolute(profile, paths)),
        "source": _source(made.tree) if made.tree is not None else None,
        "series": _series(made.series) if made.series is not None else None,
        "keys": _keys(made, machine),
        "qemu": {"origin": machine.qemu.origin, "argv": list(machine.qemu.argv)} if machine is not None else None,
        "acceleration": machine.acceleration.reason if machine is not None else None,
        "deadline_seconds": {"boot": plan.boot_deadline} if plan is not None else {},
    }
    return Manifest(decides=decides, circumstances=circumstances)


def portable_argv(plan: QemuPlan, made: Made, machine: Machine | None, cache: Path) -> list[str]:
    """QEMU's argv with each file of this machine named by what it is: ``{qemu}``, ``{kernel}``, ``{rootfs}`` …"""
    names: list[tuple[str, str]] = []
    words = list(plan.argv)
    if machine is not None:
        names += [(str(machine.rootfs.image), "{rootfs}"), (str(machine.payload.image), "{payload}")]
        prefix = list(machine.qemu.argv)
        if words[: len(prefix)] == prefix:
            words[: len(prefix)] = ["{qemu}"]
    if made.payload is not None:
        names.append((str(made.payload.image), "{payload}"))
    if made.kernel is not None:
        names += [(str(made.kernel.vmlinux), "{kernel}")]
        names += [(str(made.kernel.bzimage), "{kernel}")] if made.kernel.bzimage else []
    names.append((str(cache), "{cache}"))
    for path, name in names:
        words = [word.replace(path.replace(",", ",,"), name).replace(path, name) for word in words]
    return words


def _tests(profile: Profile, selection: Sequence[str], keyword: str, from_the_host: str | None) -> dict[str, Any]:
    return {
        "selection": list(selection),
        "keyword": keyword,
        "require_feature": profile.require_feature,
        "timeout_scale": profile.timeout_scale,
        "stress": profile.stress,
        "seed": profile.seed,
        "from_the_host": from_the_host,
    }


def _kernel(made: Made) -> dict[str, Any]:
    known: dict[str, Any] = {}
    if made.tree is not None:
        tree = made.tree
        known["source"] = {"version": tree.version, "commit": tree.commit, "tree": tree.tree_id}
    if made.series is not None:
        digests = [patch.digest for patch in made.series.patches]
        known["series"] = {
            "digest": series_digest(digests),
            "patches": [{"title": patch.title, "digest": patch.digest} for patch in made.series.patches],
        }
        if made.applied is not None:
            known["series"] |= {"commit": made.applied.commit, "tree": made.applied.tree_id}
    elif made.applied is not None:
        known["series"] = None
    if made.config is not None:
        known["config"] = {"fragments": _fragments(made.config), "digest": made.config.digest}
    if made.kernel is not None:
        known["toolchain"] = made.kernel.toolchain
        known["kernel"] = {"release": made.kernel.release, "digest": made.kernel.digest}
    return known


def _fragments(config: KernelConfig) -> list[str]:
    """The fragments in merge order; of a file of the user's its name alone."""
    return [re.sub(r"^[^:]*/", "", fragment) for fragment in config.fragments]


def _machine(profile: Profile, machine: Machine, payload: Payload) -> dict[str, Any]:
    definition = topology.definition(machine.topology)
    return {
        "rootfs": {"flavour": machine.rootfs.flavour, "digest": machine.rootfs.digest},
        "payload": {"digest": payload.digest},
        "topology": {"name": machine.topology.name, "digest": value_digest(definition), "definition": definition},
        "guest": {"memory_mib": profile.memory_mib, "cpus": profile.cpus, "append": profile.append},
        "qemu": {"version": machine.qemu.version_text, "digest": machine.qemu.digest},
    }


def _source(tree: Tree) -> dict[str, Any]:
    """Where the tree came from; places on this machine in full."""
    origin = {name: _full(value) if name in _PLACES else value for name, value in tree.origin.items()}
    return {"spec": tree.spec, "origin": origin}


def _series(series: Series) -> dict[str, Any]:
    """Where the series came from; ``commits`` are those that its patches were made of, where git wrote them."""
    return {
        "name": series.name,
        "spec": series.spec,
        "title": series.title,
        "revision": series.revision,
        "message_id": series.message_id,
        "base": series.base,
        "commits": [commit for patch in series.patches if (commit := commit_of(patch)) is not None],
    }


def _keys(made: Made, machine: Machine | None) -> dict[str, str]:
    """What things are called in this machine's cache."""
    keys = {"kernel": made.kernel.key} if made.kernel is not None else {}
    payload = made.payload or (machine.payload if machine is not None else None)
    keys |= {"payload": payload.key} if payload is not None else {}
    return keys | ({"rootfs": machine.rootfs.key} if machine is not None else {})


def _absolute(profile: Profile, paths: Paths) -> Profile:
    """The profile as it can be used from any working folder."""
    file = "/" in profile.topology or profile.topology.endswith(".toml")
    return msgspec.structs.replace(
        profile,
        source=_after_kind(profile.source),
        series=profile.series if profile.series in ("", *named.names(paths)) else _after_kind(profile.series),
        config=tuple(_fragment(text) for text in profile.config),
        topology=_full(profile.topology) if file else profile.topology,
        qemu=_full(profile.qemu) if "/" in profile.qemu else profile.qemu,
    )


def _after_kind(spec: str) -> str:
    """``kind:PATH…`` or ``PATH`` with the path in full, where there is one."""
    kind, colon, rest = spec.partition(":")
    if not colon or Path(spec).exists():
        return _full(spec)
    path, at, ref = rest.partition("@")
    return f"{kind}:{_full(path)}{at}{ref}"


def _fragment(text: str) -> str:
    name, colon, parameters = text.partition(":")
    return f"{_full(name)}{colon}{parameters}" if "/" in name else text


def _full(place: str) -> str:
    """A path in full; what is none (a name, a URL) as it is."""
    path = Path(place).expanduser()
    return str(path.absolute()) if "://" not in place and path.exists() else place
