# SPDX-License-Identifier: GPL-2.0-only
"""The shell that steps are played in, on this machine: what writes answer, hangs, ends, splats; and scripts."""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.errors import GuestError
from harness.lifecycle.play import Difference, Played
from harness.lifecycle.script import script
from harness.lifecycle.session import Hang, Session
from harness.lifecycle.state import Action, attempt
from harness.lifecycle.step import step
from harness.values import Verdict

LIBRARY = (Path(__file__).parents[2] / "guest" / "lib" / "steps.sh").read_text()


@pytest.fixture(autouse=True)
def files_of_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that is killed leaves its folder behind: in the test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@dataclass(frozen=True)
class Line:
    text: str


class Console:
    def __init__(self) -> None:
        self.listener: Callable[[Any], None] = lambda line: None

    def mark(self) -> int:
        return 0

    def subscribe(self, listener: Callable[[Any], None], *, since: int | None = None) -> Callable[[], None]:
        self.listener = listener
        return lambda: None


class LocalTalk:
    """A shell on this machine."""

    def __init__(self, command: str) -> None:
        self.shell = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.rest = b""

    def say(self, text: str) -> None:
        assert self.shell.stdin is not None
        self.shell.stdin.write(text.encode())
        self.shell.stdin.flush()

    def hear(self, *, until: str, deadline: float) -> list[str]:
        assert self.shell.stdout is not None
        end = time.monotonic() + deadline
        while f"\n{until}\n".encode() not in b"\n" + self.rest:
            if not select.select([self.shell.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError
            more = os.read(self.shell.stdout.fileno(), 1 << 16)
            if not more:
                raise GuestError("the command ended")
            self.rest += more
        lines = self.rest.decode().splitlines()
        self.rest = b""
        return lines[:-1]

    def close(self) -> None:
        self.shell.kill()
        self.shell.communicate()


class Local:
    """This machine, with a file for its kernel log that a thread reads as its console."""

    alive = True

    def __init__(self, kmsg: Path) -> None:
        os.mkfifo(kmsg)
        self.console = Console()
        self.reader = os.open(kmsg, os.O_RDWR)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        with open(self.reader, closefd=False) as lines:
            for line in lines:
                self.console.listener(Line(line.removeprefix("<3>").rstrip()))

    def converse(self, command: str) -> LocalTalk:
        return LocalTalk(command)

    def qmp(self, command: str, **arguments: Any) -> Any:
        raise NotImplementedError

    def run(self, command: str, *, deadline: float) -> None:
        raise NotImplementedError


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Session(Local(tmp_path / "kmsg"), LIBRARY, seconds=5.0, kmsg=str(tmp_path / "kmsg"))
    yield made
    made.command('rm -rf "$steps_tmp"')
    made.close()


def test_outcomes(session: Session, tmp_path: Path) -> None:
    good, missing = attempt(str(tmp_path / "missing"), 1), attempt("/dev/full", 1)
    file = tmp_path / "a b"
    file.touch()
    written = attempt(str(file), "it's $HOME")
    assert session.play("x", [written])[0] == ["done"]
    assert file.read_text() == "it's $HOME\n"
    assert session.ask([good, missing, Action(("answer", "sh", "-c", "echo EINVAL; exit 1"))]) == [
        "ENOENT",
        "ENOSPC",
        "EINVAL",
    ]
    assert session.ask([Action(("answer", "mkdir", str(tmp_path)))]) == ["EEXIST"]


def test_a_device_is_gone_when_its_driver_has_let_go(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link on the bus goes first: memory is still going offline then."""
    folder, link = tmp_path / "pci" / "mem0", tmp_path / "mem0"
    folder.mkdir(parents=True)
    (folder / "serial").write_text("0x7\n")
    link.symlink_to(folder)
    asked = []

    def release() -> None:
        time.sleep(0.5)
        (folder / "serial").unlink()
        folder.rmdir()

    def qmp(command: str, **arguments: Any) -> Any:
        asked.append(command)
        if command == "qom-list":
            return [{"type": "child<cxl-type3>", "name": "dev0"}]
        if command == "device_del":
            link.unlink()
            threading.Thread(target=release).start()
        return 7

    monkeypatch.setattr("harness.lifecycle.session.CXL", str(tmp_path))
    monkeypatch.setattr(session.machine, "qmp", qmp)
    assert session.play("unplug mem0", [Action(("unplug", "mem0"))])[0] == ["done"]
    assert asked[-1] == "device_del"
    assert not folder.exists()


def test_what_comes_after_a_refusal_is_left_out(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    outcomes, seen = session.play("x", [attempt("/dev/full", 1), attempt(str(file), 2)])
    assert outcomes == ["ENOSPC"]
    assert file.read_text() == ""
    assert any(path.endswith("/has_memory") for path in seen) or not Path("/sys/devices/system/node").exists()


def test_a_step_that_hangs(tmp_path: Path) -> None:
    session = Session(Local(tmp_path / "kmsg"), LIBRARY, seconds=0.3, kmsg=str(tmp_path / "kmsg"))
    with pytest.raises(Hang, match=r"did not end within 0.3 s"):
        session.command("sleep 1")
    session.close()


def test_a_shell_that_ends(tmp_path: Path) -> None:
    session = Session(Local(tmp_path / "kmsg"), LIBRARY, seconds=5.0, kmsg=str(tmp_path / "kmsg"))
    with pytest.raises(GuestError, match="ended"):
        session.command("exit 3")
    session.close()


def test_a_splat_belongs_to_its_step(session: Session, tmp_path: Path) -> None:
    session.command(f"echo '[ 1.000000] something' >{tmp_path}/kmsg")
    assert session.splats == []
    session.command(f"echo '[ 2.000000] WARNING: CPU: 0 PID: 1 at mm/zswap.c:1 zswap_x+0x1/0x2' >{tmp_path}/kmsg")
    assert [splat.kind for splat in session.splats] == ["warning"]


def test_a_taint_without_a_report_belongs_to_its_step(session: Session) -> None:
    session.command("cat() { echo 0; }")  # in place of /proc/sys/kernel/tainted
    assert session.splats == []
    session.command("cat() { echo 16; }")
    assert [splat.kind for splat in session.splats] == ["taint"]
    session.command("unset -f cat")


def run_script(tmp_path: Path, wanted: str, checks: tuple[tuple[str, str], ...]) -> subprocess.CompletedProcess[str]:
    """A script of one write and checks, without what only a guest has."""
    difference = Difference(verdict=Verdict.FAIL, key="x", reason="x", checks=checks)
    played = [Played(step("commit", "r1"), [(attempt("/dev/full", 1, wanted), "ENOSPC")])]
    text = script(played, difference, library=LIBRARY, comment=["why"])
    head, _, steps = text.partition("steps_policy=")
    steps = steps[steps.index("# commit r1") :]
    return subprocess.run(
        ["sh", "-s"],
        input="sleep() { :; }\n" + head + steps,
        capture_output=True,
        text=True,
        timeout=20,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )


@pytest.mark.parametrize(
    ("wanted", "checks", "status", "said"),
    [
        ("ENOSPC", (), 0, "ok: all is as it should be"),
        ("EINVAL|ENOSPC", (), 0, "ok: all"),
        ("refused", (("-", "/nonexistent"),), 0, "ok: all"),
        ("done", (), 1, "WRONG: attempt /dev/full 1: ENOSPC, expected done"),
        ("*", (("here", "/nonexistent"),), 1, "WRONG: /nonexistent reads '-', expected 'here'"),
    ],
)
def test_a_script_says_whether_it_is_there(
    tmp_path: Path, wanted: str, checks: tuple[tuple[str, str], ...], status: int, said: str
) -> None:
    ran = run_script(tmp_path, wanted, checks)
    assert said in ran.stdout, ran.stderr
    assert ran.returncode == status
    assert list(tmp_path.iterdir()) == []
