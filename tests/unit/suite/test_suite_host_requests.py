# SPDX-License-Identifier: GPL-2.0-only
"""What a program in the guest may ask of the host, with the schema that QEMU 11.1.3 gives, and real programs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import GuestError
from harness.suite.attempt import Limits
from harness.suite.host_requests import HostRequests
from harness.suite.machine import Machine
from harness.suite.runner import Runner
from tests.unit.suite.fakes import LocalMachine, guest_tests, shell_program, verdicts

SCHEMA = json.loads((Path(__file__).parent / "recorded" / "qmp-schema-cxl.json").read_text())
ARGV = (
    *("-object", "memory-backend-ram,id=node0.ram,size=1024M"),
    *("-object", "memory-backend-ram,id=mem0.volatile,size=512M", "-object", "memory-backend-ram,id=mem0,size=2M"),
    *("-device", "cxl-rp,id=rp0,bus=hb0", "-device", "virtio-net-pci,netdev=net0"),
    *("-device", "cxl-type3,id=mem0,bus=rp0,sn=0x1,volatile-memdev=mem0.volatile"),
    *("-device", "cxl-type3,id=mem1,bus=rp1,sn=0x2,volatile-memdev=mem1.volatile"),
)


class RefusedByQemu(GuestError):
    error_class = "GenericError"


class Qemu:
    """A monitor with two devices; remembers what it was told to do."""

    def __init__(self) -> None:
        self.devices = {"mem0": 1, "mem1": 2}
        self.objects = ["node0.ram", "mem0.volatile", "mem0"]
        self.done: list[tuple[str, dict[str, Any]]] = []
        self.gone = False

    def __call__(self, command: str, *, deadline: float = 10.0, **arguments: Any) -> Any:
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        if self.gone:
            raise GuestError("QEMU's monitor is gone")
        if command == "query-qmp-schema":
            return SCHEMA
        if command == "qom-list" and named["path"] == "/objects":
            return [{"name": name, "type": "child<memory-backend-ram>"} for name in self.objects]
        if command == "qom-list":
            others = [{"name": "rp0", "type": "child<cxl-rp>"}, {"name": "type", "type": "string"}]
            return [*others, *({"name": name, "type": "child<cxl-type3>"} for name in self.devices)]
        if command == "qom-get":
            return self.devices[named["path"].rpartition("/")[2]]
        self.done.append((command, named))
        if command == "device_del":
            del self.devices[named["id"]]
        if command == "human-monitor-command":
            words = dict(word.partition("=")[::2] for word in named["command-line"].split(","))
            if named["command-line"].startswith("object_add "):
                self.objects.append(words["id"])
                return ""
            memory = words["volatile-memdev"]
            if memory not in self.objects or memory == "mem0.volatile":
                return f"Error: memory backend {memory} can't be used multiple times.\r\n"
            self.devices[words["id"]] = int(words["sn"], 0)
            return ""
        if named.get("start") == 13:
            raise RefusedByQemu("QEMU refused cxl-inject-poison: Poison start address must be 64 byte aligned")
        return {}


class Guest:
    """The way to the guest and back, without one."""

    def __init__(self) -> None:
        self.qmp = Qemu()
        self.plan = SimpleNamespace(argv=ARGV)
        self.commands: list[str] = []
        self.said: list[str] = []

    def converse(self, command: str) -> Any:
        self.commands.append(command)
        return SimpleNamespace(say=self.said.append, close=lambda: None)


Ask = Callable[[str], str]


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def ask(guest: Guest) -> Ask:
    requests = HostRequests(guest)

    def one(words: str) -> str:
        guest.said.clear()
        requests.hear(f"# host: /tmp/ktap.7/host 3.1 {words}")
        (line,) = guest.said
        assert line.startswith("3.1 ") and line.endswith("\n") and line.count("\n") == 1
        return line[4:-1]

    return one


def test_devices_commands_and_values_are_those_of_qemu(ask: Ask) -> None:
    assert ask("device 0x2") == "ok mem1"
    assert ask("device 9").startswith("refused QEMU has no CXL memory device with the serial number 0x9")
    assert ask("device nine").startswith("refused 'nine' is no number")
    assert ask("members cxl-inject-poison") == "ok path start length"
    assert "maint-op-class?" in ask("members cxl-inject-dram-event").split()
    assert ask("values cxl-inject-poison start").startswith("refused")
    assert ask("values cxl-inject-correctable-error type").split()[1] == "cache-data-ecc"
    assert "cxl-ide-rx" in ask("values cxl-inject-uncorrectable-errors type").split(), "of a list's elements"
    assert ask("members cxl-inject-nonsense") == "refused this QEMU has no command cxl-inject-nonsense"


def test_injection_is_of_a_device_of_the_machine(guest: Guest, ask: Ask) -> None:
    assert ask('inject mem0 cxl-inject-poison {"start": 64, "length": 128}') == "ok"
    arguments = {"start": 64, "length": 128, "path": "/machine/peripheral/mem0"}
    assert guest.qmp.done == [("cxl-inject-poison", arguments)]
    assert ask('inject mem0 cxl-inject-poison {"start": 13, "length": 64}').startswith("refused QEMU refused")
    assert ask('inject mem7 cxl-inject-poison {"start": 0}') == "refused QEMU has no cxl-type3 device 'mem7'"


def test_a_burst_finds_the_machine_standing_still(guest: Guest, ask: Ask) -> None:
    assert ask('burst 3 mem1 cxl-inject-poison {"start": 0, "length": 64}') == "ok"
    assert [command for command, _ in guest.qmp.done] == ["stop", *["cxl-inject-poison"] * 3, "cont"]
    guest.qmp.done.clear()
    assert ask('burst 2 mem1 cxl-inject-poison {"start": 13, "length": 64}').startswith("refused")
    assert guest.qmp.done[-1][0] == "cont", "a refusal must not leave it standing"
    assert ask('burst 100000 mem1 cxl-inject-poison {"start": 0, "length": 64}').startswith(
        "refused a burst is of 1 to"
    )


def test_a_device_goes_and_comes_back_as_it_was(guest: Guest, ask: Ask) -> None:
    assert ask("plugged mem0") == "ok yes"
    assert ask("plug mem0") == "refused mem0 is plugged in"
    assert ask("unplug mem0") == "ok"
    assert ask("plugged mem0") == "ok no"
    assert ask("unplug mem0") == "refused QEMU has no cxl-type3 device 'mem0'"
    assert ask("plug mem0") == "ok"
    added = [named["command-line"] for command, named in guest.qmp.done if command == "human-monitor-command"]
    assert added == [
        "object_add memory-backend-ram,id=mem0.volatile.2,size=512M",
        "device_add cxl-type3,id=mem0,bus=rp0,sn=0x1,volatile-memdev=mem0.volatile.2",
    ], "with memory of its own: QEMU does not give that of an unplugged device to another"
    assert ask("device 1") == "ok mem0"
    assert (ask("unplug mem0"), ask("plug mem0")) == ("ok", "ok")
    assert guest.qmp.objects[-1] == "mem0.volatile.3"
    assert (ask("unplug mem1"), ask("plug mem1")) == ("ok", "refused Error: memory backend mem1.volatile"
        " can't be used multiple times.")  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        "",
        "run rm -rf /",
        "inject mem0 human-monitor-command {}",
        'inject mem0 migrate {"uri": "exec:id"}',
        "inject mem0 device_del {}",
        'inject mem0 cxl-inject-poison {"path": "/machine", "start": 0, "length": 64}',
        'inject mem0 cxl-inject-poison {"deadline": 1e9, "start": 0, "length": 64}',
        'inject mem0 cxl-inject-poison {"command": "quit"}',
        'inject mem0 cxl-inject-poison ["start"]',
        'inject mem0 cxl-inject-poison {"start":',
        "inject rp0 cxl-inject-poison {}",
        "unplug rp0",
        "unplug ",
        "plug rp0",
        "plug net0",
        "burst",
        "burst -1 mem0 cxl-inject-poison {}",
        "members human-monitor-command",
        "values device_del id",
    ],
)
def test_nothing_else_is_done(guest: Guest, ask: Ask, words: str) -> None:
    assert ask(words).startswith("refused ")
    assert not guest.qmp.done


@pytest.mark.parametrize(
    "line",
    [
        "ok 1 case",
        "# host",
        "# host: ",
        "# host: /tmp/a;reboot 1.1 plugged mem0",
        "# host: $(id) 1.1 plugged mem0",
        "# host: host 1.1 plugged mem0",
        "# host: /tmp/host 1;1 plugged mem0",
    ],
)
def test_what_is_no_request_has_no_answer(guest: Guest, line: str) -> None:
    HostRequests(guest).hear(line)
    assert not guest.commands and not guest.said


def test_an_answer_is_one_line_of_bounded_length(guest: Guest, ask: Ask) -> None:
    answer = ask("unplug \x1b[2J" + "x" * 100_000)
    assert "\x1b" not in answer and len(answer) < 5000


def test_the_way_back_is_kept_and_ended(guest: Guest) -> None:
    requests = HostRequests(guest)
    for number in range(3):
        requests.hear(f"# host: /tmp/ktap.7/host 1.{number} plugged mem0")
    requests.hear("# host: /tmp/ktap.8/host 1.1 plugged mem0")
    assert guest.commands == ["exec cat >/tmp/ktap.7/host", "exec cat >/tmp/ktap.8/host"]
    requests.close()
    requests.close()


def test_a_guest_that_is_gone_is_no_refusal(guest: Guest, ask: Ask) -> None:
    guest.qmp.gone = True
    with pytest.raises(GuestError, match="monitor is gone"):
        ask("plugged mem0")


# -- a real program, with its library --


class HostedLocalMachine(LocalMachine):
    """Programs on this machine, the way back by a pipe of theirs, and a monitor beside it."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        super().__init__(folder, scratch)
        self.qmp = Qemu()
        self.plan = SimpleNamespace(argv=ARGV)
        self.talks: list[subprocess.Popen[str]] = []

    def converse(self, command: str) -> Any:
        talk = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, text=True)
        self.talks.append(talk)
        assert talk.stdin is not None
        stdin = talk.stdin

        def say(text: str) -> None:
            stdin.write(text)
            stdin.flush()

        return SimpleNamespace(say=say, close=stdin.close)


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[HostedLocalMachine]:
    machine = HostedLocalMachine(guest_tests(tmp_path), tmp_path / "scratch")
    yield machine
    for talk in machine.talks:
        assert talk.wait(30) == 0, "the way back ended with the program"


ASKING = """
. "${0%/*}/../lib/host.sh"
setup_program() { host_setup; need_command cxl-inject-poison; }
case_asks() {
	must device 1
	device=$reply
	must inject "$device" cxl-inject-poison '{"start": 64, "length": 64}'
	! host inject "$device" cxl-inject-poison '{"start": 13, "length": 64}' || fail "not refused"
	expect_match "$reply" "*64 byte aligned"
	defer must plug "$device"
	must unplug "$device"
}
case_is_refused() { must unplug mem5; }
case_needs_more() { need_command cxl-inject-earthquake; }
"""


def test_a_program_asks_and_is_answered(hosted: HostedLocalMachine, tmp_path: Path) -> None:
    program = shell_program(tmp_path / "guest", ASKING)
    assert program.asks
    results = list(Runner(hosted, limits=Limits(patience=0.3)).run(program))
    assert verdicts(results) == {"asks": "PASS", "is_refused": "FAIL", "needs_more": "SKIP"}
    assert results[1].reason == "the host refused 'unplug mem5': QEMU has no cxl-type3 device 'mem5'"
    assert results[2].reason == "this QEMU has no command cxl-inject-earthquake"
    assert [command for command, _ in hosted.qmp.done] == [
        *("cxl-inject-poison", "cxl-inject-poison", "device_del", "human-monitor-command", "human-monitor-command")
    ]


def test_without_a_host_it_skips(tmp_path: Path) -> None:
    program = shell_program(guest_tests(tmp_path), ASKING)
    machine = LocalMachine(tmp_path / "guest", tmp_path / "scratch")
    results = list(Runner(machine, limits=Limits(patience=0.3)).run(program))
    assert set(verdicts(results).values()) == {"SKIP"}
    assert "nobody to ask" in results[0].reason


def test_a_host_that_is_gone_loses_the_case(hosted: HostedLocalMachine, tmp_path: Path) -> None:
    program = shell_program(tmp_path / "guest", ASKING.replace("need_command cxl-inject-poison", ":"))
    hosted.qmp.gone = True
    results = list(Runner(hosted, limits=Limits(patience=0.3)).run(program))
    assert verdicts(results)["asks"] == "LOST"
    hosted.talks.clear()


def test_a_case_that_spoils_its_guest_gets_the_next_one_another(tmp_path: Path) -> None:
    folder = guest_tests(tmp_path)
    body = """
case_spoils() { spoil "a device is gone"; echo left >"$KTAP_TMP/left"; }
case_next() { :; }
case_leaves() { echo more >>"$KTAP_TMP/left"; }
"""
    program = shell_program(folder, body)
    machines = [LocalMachine(folder, tmp_path / f"scratch{number}") for number in range(3)]
    used: list[Machine] = [machines[0]]

    def fresh(old: Machine) -> Machine:
        used.append(machines[len(used)])
        return used[-1]

    runner = Runner(machines[0], fresh=fresh, limits=Limits(patience=0.3))
    results = list(runner.run(program))
    assert verdicts(results) == {"spoils": "PASS", "next": "PASS", "leaves": "FAIL"}
    assert runner.replaced == 1
    # and the last one of a program spoils it for the next program
    assert verdicts(list(runner.run(program, ["spoils"]))) == {"spoils": "PASS"}
    assert verdicts(list(runner.run(program, ["next"]))) == {"next": "PASS"}
    assert runner.replaced == 2


def test_a_case_that_died_spoils_its_guest(tmp_path: Path) -> None:
    folder = guest_tests(tmp_path)
    body = """
case_dies() { echo left >"$KTAP_TMP/left"; defer rm "$KTAP_TMP/left"; kill -9 $(sh -c 'echo $PPID'); }
case_next() { [ ! -e "$KTAP_TMP/left" ]; }
"""
    program = shell_program(folder, body)
    machines = [LocalMachine(folder, tmp_path / f"scratch{number}") for number in range(2)]
    runner = Runner(machines[0], fresh=lambda old: machines[1], limits=Limits(patience=0.3))
    results = list(runner.run(program))
    assert verdicts(results) == {"dies": "FAIL", "next": "PASS"}
    assert results[0].reason == "the case died with status 137, its clean-ups did not run"
    assert runner.replaced == 1


def test_without_another_guest_a_spoilt_one_is_used_on(tmp_path: Path) -> None:
    folder = guest_tests(tmp_path)
    body = 'case_spoils() { spoil "gone"; echo left >"$KTAP_TMP/left"; }\ncase_next() { :; }'
    program = shell_program(folder, body)
    results = list(Runner(LocalMachine(folder, tmp_path / "scratch"), limits=Limits(patience=0.3)).run(program))
    assert verdicts(results) == {"spoils": "PASS", "next": "PASS"}
