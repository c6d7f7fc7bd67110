# SPDX-License-Identifier: GPL-2.0-only
"""What a test program in the guest asks of the host: errors injected into CXL devices, devices unplugged and plugged.

A program with ``lib/host.sh`` writes a line ``# host: FIFO TOKEN VERB WORDS…`` among its results; the answer is a line
``TOKEN ok TEXT`` or ``TOKEN refused TEXT`` in that pipe of the guest. The kernel under test may be hostile, so there is
a list of what may be asked, and all of it is about the guest's own CXL memory devices:

    device SERIAL                 QEMU's name of the CXL memory device with a serial number
    members COMMAND               the arguments of an injecting command, those that may be left out with a ``?``
    values COMMAND MEMBER         what an argument (of a list's elements, too) takes, where that is an enumeration
    inject DEVICE COMMAND JSON    run it on a device; JSON are its other arguments
    burst COUNT DEVICE COMMAND JSON   the same COUNT times while the machine stands still
    unplug DEVICE                 ask the guest to let it go (``device_del``); it is gone when ``plugged`` says no
    plug DEVICE                   plug it in again, as it was when the machine started, but for the content
    plugged DEVICE                ``yes`` or ``no``

Commands and their arguments are those of the running QEMU (``query-qmp-schema``).
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from harness.errors import GuestError

PREFIX = "# host: "

_FIFO = re.compile(r"/[A-Za-z0-9_./-]{1,200}")
_TOKEN = re.compile(r"[a-z0-9.]{1,40}")
_INJECTS = re.compile(r"cxl-(?:inject|add|release)-[a-z-]{1,60}")
_DRIVER = "cxl-type3"
_PERIPHERAL = "/machine/peripheral"
_LONGEST_ANSWER = 4000
_LONGEST_BURST = 1000
_SCHEMA_SECONDS = 30.0


class Refused(Exception):
    """What was asked cannot be done; says why."""


class Talk(Protocol):
    """A command in the guest that is written to."""

    def say(self, text: str) -> None:
        """Write to its standard input; raises GuestError when it is gone."""

    def close(self) -> None:
        """End it."""


@runtime_checkable
class HostedMachine(Protocol):
    """A guest whose QEMU can be asked, too."""

    @property
    def plan(self) -> Any:
        """What it was started with: ``argv``."""

    def converse(self, command: str) -> Talk:
        """Start a command in the guest to talk to."""

    def qmp(self, command: str, *, deadline: float = 10.0, **arguments: Any) -> Any:
        """Run a QMP command; raises GuestError, which has an ``error_class`` where QEMU refused it."""


class HostRequests:
    """Answers one program's requests; :meth:`close` ends the way back."""

    def __init__(self, machine: HostedMachine) -> None:
        self._machine = machine
        self._talk: Talk | None = None
        self._fifo = ""
        self._schema: dict[str, dict[str, Any]] = {}
        self._verbs: dict[str, Callable[[str], str]] = {
            "device": self._device,
            "members": self._members,
            "values": self._values,
            "inject": self._inject,
            "burst": self._burst,
            "unplug": self._unplug,
            "plug": self._plug,
            "plugged": self._plugged,
        }

    def hear(self, line: str) -> None:
        """Do what a line asks, if it is a request, and answer; raises :class:`GuestError` where the guest is gone."""
        if not line.startswith(PREFIX):
            return
        fifo, token, verb, rest = (*line.removeprefix(PREFIX).split(" ", 3), "", "", "", "")[:4]
        if not _FIFO.fullmatch(fifo) or not _TOKEN.fullmatch(token):
            return  # nobody to answer to
        try:
            if verb not in self._verbs:
                raise Refused(f"the host does not know '{verb}' (it knows {', '.join(self._verbs)})")
            status, text = "ok", self._verbs[verb](rest.strip())
        except Refused as reason:
            status, text = "refused", str(reason)
        except GuestError as reason:
            if not hasattr(reason, "error_class"):
                raise
            status, text = "refused", reason.message
        plain = "".join(char if char.isprintable() else " " for char in text)[:_LONGEST_ANSWER]
        self._answer(fifo, f"{token} {status} {plain}".rstrip() + "\n")

    def close(self) -> None:
        """End the way back."""
        if self._talk is not None:
            self._talk.close()
        self._talk, self._fifo = None, ""

    def _answer(self, fifo: str, line: str) -> None:
        if self._talk is None or self._fifo != fifo:
            self.close()
            self._talk, self._fifo = self._machine.converse(f"exec cat >{shlex.quote(fifo)}"), fifo
        self._talk.say(line)

    # -- the verbs: the rest of the line in, the answer out --

    def _device(self, rest: str) -> str:
        serial = _number(rest)
        for name in self._devices():
            if self._machine.qmp("qom-get", path=f"{_PERIPHERAL}/{name}", property="sn") == serial:
                return name
        raise Refused(f"QEMU has no CXL memory device with the serial number {serial:#x}")

    def _members(self, rest: str) -> str:
        members = self._object(self._command(rest)["arg-type"])["members"]
        return " ".join(f"{one['name']}{'?' if 'default' in one else ''}" for one in members)

    def _values(self, rest: str) -> str:
        command, _, wanted = rest.partition(" ")
        for member, kind in self._flat(self._command(command)["arg-type"]):
            if member == wanted and kind["meta-type"] == "enum":
                return " ".join(str(value["name"]) for value in kind["members"])
        raise Refused(f"{command} has no argument '{wanted}' that is an enumeration")

    def _inject(self, rest: str) -> str:
        command, arguments = self._injection(rest)
        self._machine.qmp(command, **arguments)
        return ""

    def _burst(self, rest: str) -> str:
        count, _, what = rest.partition(" ")
        times = _number(count)
        if not 0 < times <= _LONGEST_BURST:
            raise Refused(f"a burst is of 1 to {_LONGEST_BURST}, not {times}")
        command, arguments = self._injection(what)
        self._machine.qmp("stop")
        try:
            for _ in range(times):
                self._machine.qmp(command, **arguments)
        finally:
            self._machine.qmp("cont")
        return ""

    def _unplug(self, rest: str) -> str:
        self._machine.qmp("device_del", id=self._known(rest))
        return ""

    def _plug(self, rest: str) -> str:
        if rest in self._devices():
            raise Refused(f"{rest} is plugged in")
        options = _options(self._machine.plan.argv, "-device", _DRIVER)
        if rest not in options:
            raise Refused(f"the machine was not started with a {_DRIVER} device '{rest}'")
        self._human(f"device_add {self._with_new_memory(options[rest])}")
        return ""

    def _plugged(self, rest: str) -> str:
        return "yes" if rest in self._devices() else "no"

    def _with_new_memory(self, device: str) -> str:
        """A device's options with memory of its own: QEMU (11.1) gives that of an unplugged device to no other."""
        objects = _options(self._machine.plan.argv, "-object", "memory-backend-ram")
        taken = {str(one["name"]) for one in self._machine.qmp("qom-list", path="/objects")}
        words = []
        for word in device.split(","):
            name, _, value = word.partition("=")
            if name != "id" and value in objects:
                new = next(f"{value}.{number}" for number in itertools.count(2) if f"{value}.{number}" not in taken)
                self._human(f"object_add {objects[value].replace(f'id={value},', f'id={new},')}")
                word = f"{name}={new}"
            words.append(word)
        return ",".join(words)

    def _human(self, line: str) -> None:
        """A line of the human monitor, which takes options as the command line does, and is silent when it did it."""
        said = str(self._machine.qmp("human-monitor-command", command_line=line)).strip()
        if said:
            raise Refused(said)

    # -- what QEMU has --

    def _devices(self) -> list[str]:
        found = self._machine.qmp("qom-list", path=_PERIPHERAL)
        return [str(one["name"]) for one in found if one["type"] == f"child<{_DRIVER}>"]

    def _known(self, name: str) -> str:
        if name not in self._devices():
            raise Refused(f"QEMU has no {_DRIVER} device '{name[:60]}'")
        return name

    def _injection(self, rest: str) -> tuple[str, dict[str, Any]]:
        name, command, text = (*rest.split(" ", 2), "", "", "")[:3]
        known = {str(one["name"]) for one in self._object(self._command(command)["arg-type"])["members"]} - {"path"}
        try:
            arguments = json.loads(text)
        except ValueError as reason:
            raise Refused(f"the arguments of {command} are no JSON: {reason}") from None
        if not isinstance(arguments, dict):
            raise Refused(f"the arguments of {command} are no object")
        if unknown := sorted(set(arguments) - known):
            raise Refused(f"{command} of this QEMU has no argument '{unknown[0][:60]}'")
        return command, {**arguments, "path": f"{_PERIPHERAL}/{self._known(name)}"}

    def _command(self, name: str) -> dict[str, Any]:
        """A command that may be run, from the schema."""
        if not _INJECTS.fullmatch(name):
            raise Refused(f"'{name[:60]}' is no command that a guest may ask for")
        if not self._schema:
            answer = self._machine.qmp("query-qmp-schema", deadline=_SCHEMA_SECONDS)
            self._schema = {entity["name"]: entity for entity in answer}
        found = self._schema.get(name)
        if found is None or found["meta-type"] != "command":
            raise Refused(f"this QEMU has no command {name}")
        return found

    def _object(self, name: str) -> dict[str, Any]:
        return self._schema[name]

    def _flat(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every argument with its type, those of lists' elements included (the commands nest no deeper than that)."""
        for member in self._object(name)["members"]:
            kind = self._schema[member["type"]]
            yield str(member["name"]), kind
            if kind["meta-type"] == "array" and self._schema[kind["element-type"]]["meta-type"] == "object":
                yield from self._flat(kind["element-type"])


def _options(argv: Sequence[str], wanted: str, kind: str) -> dict[str, str]:
    """What the options ``wanted`` (``-device``) of a kind have, by their ``id``."""
    found = {}
    for option, value in itertools.pairwise(argv):
        words = value.split(",")
        if option == wanted and words[0] == kind:
            named = dict(word.partition("=")[::2] for word in words[1:])
            if "id" in named:
                found[named["id"]] = value
    return found


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise Refused(f"'{text[:40]}' is no number") from None
