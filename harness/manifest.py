# SPDX-License-Identifier: GPL-2.0-only
"""What decides a run, as the data of ``manifest.json``.

``decides`` holds no absolute path, time or host: two runs with equal ``decides`` run the same thing. What differs
between two such runs goes to ``circumstances``.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness import __version__, topology
from harness.pipeline import Machine, Made
from harness.profile import Profile
from harness.results.record import Manifest
from harness.store import value_digest
from harness.values import Payload, QemuPlan, Series


def manifest(
    *,
    profile: Profile,
    selection: Sequence[str],
    made: Made,
    machine: Machine | None,
    plan: QemuPlan | None,
    command: Sequence[str],
    started: float,
    cache: Path,
) -> Manifest:
    """The manifest of a run, as complete as the stages that it reached; ``started`` in seconds since the epoch."""
    decides: dict[str, Any] = {
        "harness": __version__,
        "profile": msgspec.to_builtins(profile),
        "selection": list(selection),
    }
    decides |= _kernel(made)
    if machine is not None:
        decides |= _machine(machine, made.payload or machine.payload)
    if plan is not None:
        decides["argv"] = portable_argv(plan, made, machine, cache)
        decides["accel"] = plan.accel.value
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
        "cache": str(cache),
        "acceleration": machine.acceleration.reason if machine is not None else None,
        "deadline_seconds": {"boot": plan.boot_deadline} if plan is not None else {},
    }
    return Manifest(decides=decides, circumstances=circumstances)


def portable_argv(plan: QemuPlan, made: Made, machine: Machine | None, cache: Path) -> list[str]:
    """QEMU's argv with each file of the cache named by what it is: ``{kernel}``, ``{rootfs}``, ``{payload}``."""
    names: list[tuple[str, str]] = []
    if machine is not None:
        names += [(str(machine.rootfs.image), "{rootfs}"), (str(machine.payload.image), "{payload}")]
    if made.payload is not None:
        names.append((str(made.payload.image), "{payload}"))
    if made.kernel is not None:
        names += [(str(made.kernel.vmlinux), "{kernel}")]
        names += [(str(made.kernel.bzimage), "{kernel}")] if made.kernel.bzimage else []
    names.append((str(cache), "{cache}"))
    words = []
    for word in plan.argv:
        for path, name in names:
            word = word.replace(path, name)
        words.append(word)
    return words


def _kernel(made: Made) -> dict[str, Any]:
    known: dict[str, Any] = {}
    if made.tree is not None:
        tree = made.tree
        known["source"] = {
            "spec": tree.spec,
            "version": tree.version,
            "commit": tree.commit,
            "tree": tree.tree_id,
            "origin": dict(tree.origin),
        }
    if made.series is not None:
        known["series"] = _series(made.series) | ({"commit": made.applied.commit} if made.applied is not None else {})
    elif made.applied is not None:
        known["series"] = None
    if made.config is not None:
        known["config"] = {"fragments": list(made.config.fragments), "digest": made.config.digest}
    if made.kernel is not None:
        known["toolchain"] = made.kernel.toolchain
        known["kernel"] = {"key": made.kernel.key, "release": made.kernel.release, "digest": made.kernel.digest}
    return known


def _series(series: Series) -> dict[str, Any]:
    return {
        "name": series.name,
        "spec": series.spec,
        "title": series.title,
        "revision": series.revision,
        "message_id": series.message_id,
        "base": series.base,
        "digest": series.digest,
        "patches": [{"title": patch.title, "digest": patch.digest} for patch in series.patches],
    }


def _machine(machine: Machine, payload: Payload) -> dict[str, Any]:
    definition = topology.definition(machine.topology)
    return {
        "rootfs": {
            "flavour": machine.rootfs.flavour,
            "key": machine.rootfs.key,
            "digest": machine.rootfs.digest,
        },
        "payload": {"key": payload.key, "digest": payload.digest},
        "topology": {"name": machine.topology.name, "digest": value_digest(definition), "definition": definition},
        "qemu": {
            "version": machine.qemu.version_text,
            "origin": machine.qemu.origin,
            "digest": machine.qemu.digest,
        },
    }
