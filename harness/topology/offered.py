# SPDX-License-Identifier: GPL-2.0-only
"""What a QEMU offers, asked of itself, and whether that is enough for a topology.

Two questions, each answered once for a QEMU and kept in the cache by its digest: which devices and properties it has
(so that a missing one can be named, with the release that brought it), and whether it takes the machine as a whole
(which finds all the rest: bus numbers that collide, options that exclude each other).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentFailure, UserError
from harness.process import run
from harness.progress import Progress, Quiet
from harness.store import Store, value_digest
from harness.topology.argv import qemu_arguments
from harness.topology.model import Topology, uses_cxl
from harness.values import Qemu

_DEVICES = ("pxb-cxl", "cxl-rp", "cxl-upstream", "cxl-downstream", "cxl-type3")
_DEADLINE = 60.0
_STOPPED = ("-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-S", "-qmp", "stdio")
_ANSWER = "answer.jsonl"

# The release that brought what is not in QEMU 7.1, the first with CXL: by its change logs, and seen in the QMP answers
# of 7.2, 10.0 and 11.1 that tests/unit/topology/recorded holds. The window restrictions are not in 11.1 yet.
_SINCE = {
    ("pxb-cxl", "hdm_for_passthrough"): "8.0",
    ("cxl-type3", "volatile-memdev"): "8.1",
    ("cxl-type3", "persistent-memdev"): "8.1",
    ("cxl-type3", "volatile-dc-memdev"): "9.1",
    ("cxl-type3", "num-dc-regions"): "9.1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """The parts of a QEMU that topologies lean on: the machine's properties, and those of each device it has."""

    version: tuple[int, int, int]
    machine: frozenset[str]
    devices: Mapping[str, frozenset[str]]


def check_against_qemu(topology: Topology, qemu: Qemu, *, store: Store, progress: Progress | None = None) -> None:
    """Raise where this QEMU cannot make this machine. Costs nothing once it was found that it can.

    :class:`EnvironmentFailure` where it lacks a device or property (which, and since which release it is there),
    :class:`UserError` with QEMU's own words where it has all of them and refuses the machine nevertheless.
    """
    progress = progress or Quiet()
    lacking = missing(topology, offered(qemu=qemu, store=store, progress=progress))
    if lacking:
        raise EnvironmentFailure(
            f"QEMU {qemu.version_text} cannot make topology {topology.name}: {lacking[0]}",
            details=lacking[1:],
            hint="`--qemu runtime` takes the harness's own QEMU; `harness doctor` says which is there",
        )
    _try_machine(topology, qemu=qemu, store=store, progress=progress)


def offered(*, qemu: Qemu, store: Store, progress: Progress) -> Offered:
    """What this QEMU has: from the cache, or asked over QMP of a machine that does not run (a quarter of a second)."""

    def ask(folder: Path) -> dict[str, Any]:
        progress.update(f"asking QEMU {qemu.version_text} what it offers")
        done = run(
            (*qemu.argv, *_STOPPED, "-machine", "q35", "-m", "64M"),
            deadline=_DEADLINE,
            env=dict(qemu.env),
            stdin=_questions(),
            failure=f"QEMU {qemu.version_text} does not start",
            hint="`harness doctor` looks closer; `--qemu` takes another one",
        )
        parse_answers(done.text)
        (folder / _ANSWER).write_bytes(done.stdout)
        return {"version": qemu.version_text}

    entry, _ = store.obtain("qemu-offered", value_digest(qemu.digest, _questions().decode()), ask, progress=progress)
    return parse_answers((entry.path / _ANSWER).read_text())


def parse_answers(text: str) -> Offered:
    """What QMP's answers to our questions say; raises :class:`EnvironmentFailure` where they are not complete."""
    answers: dict[str, Any] = {}
    try:
        for line in text.splitlines():
            message = json.loads(line)
            if "QMP" in message:
                answers["version"] = message["QMP"]["version"]["qemu"]
            elif "id" in message:
                answers[message["id"]] = message.get("return")  # None: an error, such a device is not there
        version = answers["version"]
        machine = frozenset(entry["name"] for entry in answers["machine"])
        devices = {
            name: frozenset(entry["name"] for entry in answers[name]) for name in _DEVICES if answers[name] is not None
        }
        number = (int(version["major"]), int(version["minor"]), int(version["micro"]))
    except (ValueError, KeyError, TypeError) as reason:
        raise EnvironmentFailure(
            "QEMU's answers to what it offers cannot be understood",
            details=text.splitlines()[-3:],
            hint="is it a QEMU? `--qemu` takes another one",
        ) from reason
    return Offered(version=number, machine=machine, devices=devices)


def missing(topology: Topology, qemu: Offered) -> tuple[str, ...]:
    """What a topology needs and this QEMU lacks, a phrase each."""
    lacking: list[str] = []
    for device, properties in _needs(topology).items():
        if device == "machine":
            lacking += [f"its q35 machine has no '{name}'" for name in properties if name not in qemu.machine]
        elif device not in qemu.devices:
            lacking.append(f"it has no device '{device}' (the first with CXL is 7.1)")
        else:
            for name in properties:
                if name not in qemu.devices[device]:
                    since = _SINCE.get((device, name))
                    lacking.append(f"its '{device}' has no '{name}'" + (f" (there since {since})" if since else ""))
    return tuple(lacking)


def _needs(topology: Topology) -> dict[str, list[str]]:
    """The devices and properties in a topology's options, in their order; ``machine`` for the machine itself."""
    needs: dict[str, list[str]] = {"machine": ["cxl"] if uses_cxl(topology) else []}
    if topology.windows:
        needs["machine"].append("cxl-fmw")
    words = qemu_arguments(topology)
    for option, value in zip(words[::2], words[1::2], strict=True):
        if option == "-device":
            device, *settings = value.split(",")
            names = needs.setdefault(device, [])
            properties = [setting.partition("=")[0] for setting in settings]
            names += [name for name in properties if name not in ("id", "bus", *names)]
    return needs


def _questions() -> bytes:
    """The QMP commands, each with an id to know its answer by."""
    commands: list[dict[str, Any]] = [{"execute": "qmp_capabilities"}]
    commands.append({"execute": "qom-list", "arguments": {"path": "/machine"}, "id": "machine"})
    commands += [
        {"execute": "device-list-properties", "arguments": {"typename": name}, "id": name} for name in _DEVICES
    ]
    return _lines(commands)


def _lines(commands: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(command) + "\n" for command in [*commands, {"execute": "quit"}]).encode()


def _try_machine(topology: Topology, *, qemu: Qemu, store: Store, progress: Progress) -> None:
    """Let QEMU make the machine, stopped, and end at once."""
    words = qemu_arguments(topology)

    def make(folder: Path) -> dict[str, Any]:
        progress.update(f"trying topology {topology.name} on QEMU {qemu.version_text}")
        run(
            (*qemu.argv, *_STOPPED, *words),
            deadline=_DEADLINE,
            env=dict(qemu.env),
            stdin=_lines([{"execute": "qmp_capabilities"}]),
            error=UserError,
            failure=f"{topology.path}: QEMU {qemu.version_text} refuses this machine",
            hint="`harness topology argv` shows the options that come of it",
        )
        return {"topology": topology.name, "version": qemu.version_text}

    store.obtain("qemu-machine", value_digest(qemu.digest, words), make, progress=progress)
