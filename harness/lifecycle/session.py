# SPDX-License-Identifier: GPL-2.0-only
"""A shell in a guest that plays actions: one SSH channel for all of a sequence, one exchange a step.

What the kernel says on its console meanwhile is scanned for splats; each step leaves a mark there.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.errors import GuestError
from harness.lifecycle.state import DONE, Action
from harness.lifecycle.world import CGROUPS, CXL, DISCOVER, MEMORY, NODES, TIERS, World, parse
from harness.splat import Splat, SplatScanner
from harness.splat.taint import TaintWatch, taint_splat

LIBRARY = Path("lib") / "steps.sh"
_END = "=== end"
_MARK = "steps: mark "
_CONSOLE_SECONDS = 2.0
_START_SECONDS = 30.0
_UNPLUG_SECONDS = 20.0  # the slot's attention button gives the guest five before it begins

# What is looked at after each step. Globs stay as they are where nothing matches, and such a path is not there.
_OBSERVE = f"""observe() {{
look {CXL}/decoder*/create_ram_region {CXL}/decoder*/create_private_region {CXL}/decoder*/dpa_size \
{CXL}/decoder*/region {NODES}/has_memory {NODES}/has_normal_memory {NODES}/has_private_memory {NODES}/online \
{NODES}/node[1-9]*/meminfo {TIERS}/memory_tier*/nodelist {MEMORY}/auto_online_blocks {MEMORY}/memory*/state
for steps_region in {CXL}/region*; do
[ -e "$steps_region/mode" ] || continue
look "$steps_region"/mode "$steps_region"/commit "$steps_region"/size "$steps_region"/interleave_ways \
"$steps_region"/private_type "$steps_region"/resource "$steps_region"/driver "$steps_region"/dax_region* \
"$steps_region"/dax_region*/dax*/target_node
done
for steps_group in {CGROUPS} {CGROUPS}/lifecycle-* {CGROUPS}/lifecycle-*/lifecycle-*; do
look "$steps_group/cpuset.mems" "$steps_group/cpuset.mems.effective" "$steps_group/cpuset.mems.sysram"
done
}}
"""


class Talk(Protocol):
    """A command in the guest that is written to and read from while it runs."""

    def say(self, text: str) -> None:
        """Write to its standard input."""

    def hear(self, *, until: str, deadline: float) -> list[str]:
        """Its lines up to one that is ``until``; raises GuestError when it ended, TimeoutError past the deadline."""

    def close(self) -> None:
        """End it."""


class TalkingMachine(Protocol):
    """A guest as :class:`harness.suite.machine.Machine`, that a command can be talked to in."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""

    @property
    def console(self) -> Any:
        """Its console."""

    def run(self, command: str, *, deadline: float) -> Any:
        """Run a command to its end."""

    def converse(self, command: str) -> Talk:
        """Start a command to talk to."""

    def qmp(self, command: str, **arguments: Any) -> Any:
        """Run a QMP command; raises GuestError where it is refused."""


class NoUnplug(Exception):
    """The machine does not let a device be taken out; says why."""


class Hang(GuestError):
    """A step did not end within its deadline."""


class Session:
    """A shell in a guest. ``splats`` are those seen so far; ``seconds`` is a step's deadline, ``kmsg`` takes marks."""

    def __init__(self, machine: TalkingMachine, library: str, *, seconds: float, kmsg: str = "/dev/kmsg") -> None:
        self.machine = machine
        self.splats: list[Splat] = []
        self._seconds = seconds
        self._kmsg = kmsg
        self._scanner = SplatScanner()
        self._taint = TaintWatch()
        self._marked = threading.Condition()
        self._mark_seen = 0
        self._mark = 0
        self._talk = machine.converse("sh -s 2>&1")
        self._unsubscribe: Callable[[], None] = machine.console.subscribe(self._hear, since=machine.console.mark())
        try:
            self._talk.say(f"{library}\n{_OBSERVE}\n")
            self._exchange("", deadline=_START_SECONDS)
        except BaseException:
            self.close()
            raise

    def discover(self) -> World:
        """What the machine has; raises GuestError where that cannot be made out."""
        lines = self._exchange(DISCOVER, deadline=_START_SECONDS)
        try:
            return parse("\n".join(lines))
        except (ValueError, LookupError) as reason:
            raise GuestError(
                f"what the guest says of its CXL devices cannot be read: {reason}", details=lines[-20:]
            ) from None

    def play(self, label: str, actions: Sequence[Action]) -> tuple[list[str], dict[str, str]]:
        """Run actions up to the first that is not done, then look; outcomes and what each file reads.

        Raises :class:`NoUnplug` where a device cannot be taken out.
        """
        if actions and actions[0].words[0] == "unplug":
            self._unplug(actions[0].words[1])
            return [DONE], self.look()
        lines = ["go=1"]
        for number, action in enumerate(actions):
            goes_on = "" if number + 1 == len(actions) else '; [ "$outcome" = done ] || go='
            lines.append(f'[ -z "$go" ] || {{ {shlex.join(action.words)}; echo "> $outcome"{goes_on}; }}')
        said = self._exchange("\n".join([*lines, "observe"]), label=label)
        outcomes = [line.removeprefix("> ") for line in said if line.startswith("> ")]
        return outcomes, _files(said)

    def ask(self, actions: Sequence[Action]) -> list[str]:
        """The outcome of each action, done or not."""
        if not actions:
            return []
        text = "\n".join(f'{shlex.join(action.words)}; echo "> $outcome"' for action in actions)
        return [line.removeprefix("> ") for line in self._exchange(text) if line.startswith("> ")]

    def look(self) -> dict[str, str]:
        """What each file reads."""
        return _files(self._exchange("observe"))

    def command(self, text: str) -> list[str]:
        """What a shell command says."""
        return self._exchange(text)

    def close(self) -> None:
        """End the shell."""
        self._unsubscribe()
        self._talk.close()

    def _unplug(self, memdev: str) -> None:
        """Take a device out of the machine by QMP, and wait until the guest has let it go."""
        serial = int("".join(self._exchange(f"cat {CXL}/{memdev}/serial")), 0)
        name = _qemu_name(self.machine, serial)
        if not name:
            raise NoUnplug(f"QEMU has no device of ours with the serial number {serial:#x}")
        # the kernel takes the link on the bus away first, then the driver, and with it regions and their memory, then
        # the folder of the device (device_del() in drivers/base/core.c)
        folder = shlex.quote("".join(self._exchange(f"readlink -f {CXL}/{memdev}")))
        try:
            self.machine.qmp("device_del", id=name)
        except GuestError as reason:
            raise NoUnplug(reason.message) from reason
        until = time.monotonic() + _UNPLUG_SECONDS
        while time.monotonic() < until:
            if not self._exchange(f"[ ! -e {folder} ] || echo there"):
                return
            time.sleep(0.2)
        raise NoUnplug(f"{memdev} is still there {_UNPLUG_SECONDS:g} s after device_del")

    def _exchange(self, text: str, *, label: str = "", deadline: float | None = None) -> list[str]:
        self._mark += 1
        taint = '" taint=$(cat /proc/sys/kernel/tainted 2>/dev/null)"'
        mark = f"echo '<3>{_MARK}{self._mark}{' ' if label else ''}{label}'{taint} >{self._kmsg}"
        self._talk.say(f"{text}\n{mark}\necho '{_END}'\n")
        seconds = deadline or self._seconds
        try:
            lines = self._talk.hear(until=_END, deadline=seconds)
        except TimeoutError:
            raise Hang(f"the step did not end within {seconds:g} s") from None
        except GuestError:
            time.sleep(min(1.0, _CONSOLE_SECONDS))  # the console says why, a little later
            raise
        self._await_console()
        return lines

    def _await_console(self) -> None:
        """The console has come as far as the mark: what the step made the kernel say is here."""
        with self._marked:
            self._marked.wait_for(lambda: self._mark_seen >= self._mark, _CONSOLE_SECONDS)

    def _hear(self, line: Any) -> None:
        text = str(line.text)
        at = text.find(_MARK)
        if at >= 0:
            number = text[at + len(_MARK) :].split(" ")[0]
            tainted = taint_splat(self._taint.mark(text[at:]), {splat.kind for splat in self.splats})
            self.splats += [tainted] if tainted is not None else []
            with self._marked:
                self._mark_seen = max(self._mark_seen, int(number) if number.isdigit() else 0)
                self._marked.notify_all()
            return
        self.splats += self._scanner.feed(text)


def _qemu_name(machine: TalkingMachine, serial: int) -> str:
    """QEMU's name of the CXL device with a serial number, or ""."""
    for each in machine.qmp("qom-list", path="/machine/peripheral"):
        if each["type"] == "child<cxl-type3>":
            path = f"/machine/peripheral/{each['name']}"
            if machine.qmp("qom-get", path=path, property="sn") == serial:
                return str(each["name"])
    return ""


def _files(lines: Sequence[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        path, equals, value = line.partition("=")
        if equals and path.startswith("/"):
            found[path] = value
    return found
