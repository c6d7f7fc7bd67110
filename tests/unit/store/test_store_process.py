# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness import process
from harness.errors import BuildError, DeadlineExceeded, EnvironmentFailure


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone_soon(pid: int) -> bool:
    until = time.monotonic() + 5
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(pid)


def test_output_status_and_time() -> None:
    done = process.run(["sh", "-c", "echo out; echo err >&2; exit 3"], deadline=10, check=False)
    assert (done.text, done.error_text, done.returncode) == ("out\n", "err\n", 3)


def test_a_failure_has_the_command_and_its_last_lines() -> None:
    with pytest.raises(BuildError) as caught:
        process.run(["sh", "-c", "seq 50 >&2; exit 2"], deadline=10, error=BuildError, failure="no kernel", hint="h")
    assert caught.value.message == "no kernel" and caught.value.details[-1] == "50" and len(caught.value.details) == 20
    assert caught.value.command is not None and caught.value.hint == "h"


def test_a_missing_program_is_named() -> None:
    with pytest.raises(EnvironmentFailure, match="'no-such-program' is not installed"):
        process.run(["no-such-program"], deadline=10)


def test_a_working_folder_that_is_not_there() -> None:
    with pytest.raises(EnvironmentFailure, match="cannot start"):
        process.run(["true"], deadline=10, cwd=Path("/no/such/folder"))


def test_the_deadline_ends_the_whole_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"did not end within 0\.5 s"):
        process.run(["sh", "-c", f"sleep 60 & echo $! > {pids}; wait"], deadline=0.5)
    assert time.monotonic() - started < 8
    assert gone_soon(int(pids.read_text()))


def test_the_deadline_holds_when_a_grandchild_keeps_the_pipe(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        process.run(["sh", "-c", "sleep 60 & exit 0"], deadline=0.5)
    assert time.monotonic() - started < 8


def test_a_command_whose_child_keeps_the_pipe_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LINGER_SECONDS", 0.2)
    done = process.run(["sh", "-c", "sleep 600 & echo said; exit 3"], deadline=300, check=False)
    assert (done.returncode, done.text) == (3, "said\n")


def test_a_command_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_TERM_GRACE_SECONDS", 0.2)
    with process.spawn(["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]) as child:
        time.sleep(0.2)
        pid = child.pid
    assert gone_soon(pid)


def test_a_stopped_command_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with process.spawn(["sleep", "60"]) as child:
        os.kill(child.pid, signal.SIGSTOP)
        started = time.monotonic()
    assert time.monotonic() - started < 3


def test_standard_input_is_fed_and_otherwise_closed() -> None:
    big = b"line\n" * 200_000
    assert process.run(["cat"], deadline=20, stdin=big).stdout == big
    assert process.run(["cat"], deadline=10).stdout == b""
    assert process.run(["true"], deadline=10, stdin=big).returncode == 0  # a reader that goes away


def test_lines_arrive_whole_and_the_log_has_both_streams(tmp_path: Path) -> None:
    lines: list[str] = []
    log = tmp_path / "log"
    process.run(
        ["sh", "-c", "printf 'one\\r\\ntw'; sleep 0.1; printf 'o\\nlast'; echo err >&2"],
        deadline=10,
        on_line=lines.append,
        log=log,
    )
    assert sorted(lines) == ["err", "last", "one", "two"]
    assert b"err" in log.read_bytes() and b"last" in log.read_bytes()


def test_bytes_that_are_no_text() -> None:
    done = process.run(["printf", "\\377ok"], deadline=10)
    assert done.stdout == b"\xffok" and done.text == "\N{REPLACEMENT CHARACTER}ok"


def test_the_environment_is_an_allow_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-j99")
    monkeypatch.setenv("LANG", "de_DE")
    monkeypatch.setenv("https_proxy", "proxy")
    env = process.environment({"EXTRA": "1", "HOME": None})
    assert "MAKEFLAGS" not in env and "LANG" not in env and "HOME" not in env
    assert env["LC_ALL"] == "C.UTF-8" and env["EXTRA"] == "1" and env["https_proxy"] == "proxy"


def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = (
        "import sys, time\n"
        "from harness import process\n"
        f"with process.spawn(['sh', '-c', 'sleep 60 & echo $! >{pid_file}.child; wait']) as child:\n"
        f"    open({str(pid_file)!r}, 'w').write(str(child.pid))\n"
        "    time.sleep(60)\n"
    )
    files = (pid_file, pid_file.with_name("pid.child"))
    with process.spawn([sys.executable, "-c", script], cwd=Path.cwd()) as parent:
        until = time.monotonic() + 10
        while not all(file.exists() and file.read_text() for file in files) and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(parent.pid, signal.SIGKILL)
        assert [gone_soon(int(file.read_text())) for file in files] == [True, True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_the_midst_of_a_start_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    started: list[int] = []
    popen = subprocess.Popen

    def interrupted(*words: Any, **named: Any) -> subprocess.Popen[bytes]:
        made = popen(*words, **named)
        started.append(made.pid)
        signal.raise_signal(number)
        return made

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), process.spawn(["sleep", "60"]):
            raise AssertionError("it is interrupted before")
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert gone_soon(started[0])


def test_a_start_that_a_killed_parent_does_not_see_ends(tmp_path: Path) -> None:
    """The parent is gone before the child can ask the kernel to end with it, and before the watch knows of it."""
    slow = tmp_path / "setpriv"
    slow.write_text(
        f"#!/bin/sh\necho $$ >{tmp_path}/new && mv {tmp_path}/new {tmp_path}/pid\n"
        f'until [ -e {tmp_path}/go ]; do sleep 0.02; done\nexec {process.which("setpriv")} "$@"\n'
    )
    slow.chmod(0o755)
    script = (
        "import os, time\n"
        "from harness import process\n"
        f"os.environ['PATH'] = '{tmp_path}:' + os.environ['PATH']\n"
        "process._watch.add = lambda group: None\n"
        "with process.spawn(['sleep', '60']):\n"
        "    time.sleep(60)\n"
    )
    with process.spawn([sys.executable, "-c", script], cwd=Path.cwd()) as parent:
        until = time.monotonic() + 10
        while not (tmp_path / "pid").exists() and time.monotonic() < until:
            time.sleep(0.02)
        parent.kill()
    pid = int((tmp_path / "pid").read_text())
    (tmp_path / "go").touch()
    ended = gone_soon(pid)
    if not ended:
        os.kill(pid, signal.SIGKILL)
    assert ended


def test_exit_in_words() -> None:
    assert process.describe_exit(2) == "exit status 2"
    assert process.describe_exit(-9) == "signal SIGKILL"
    assert process.describe_exit(-99) == "signal 99"


def test_which_knows_the_sbin_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert process.which("sh") is not None and process.which("no-such-program") is None


def test_an_interrupt_is_a_program_s_own_on_the_terminal_and_not_ours() -> None:
    """A program that finds SIGINT ignored (Python, and so drgn) would not heed Ctrl-C."""
    heeded = "import os, signal; os.kill(os.getppid(), 2); exit(signal.getsignal(2) is not signal.default_int_handler)"
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert process.replace([sys.executable, "-c", heeded]) == 0
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
