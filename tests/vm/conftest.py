# SPDX-License-Identifier: GPL-2.0-only
"""What VM tests share: the harness as its user has it (the same cache, so that a kernel is built once)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.vm.outcome import Harness, Outcome

DEADLINE = 1800.0


def command(data: Path, *words: str | Path) -> list[str]:
    """The harness's command line, with runs in a folder of the test."""
    return [sys.executable, "-m", "harness", "--data-dir", str(data), *map(str, words)]


def environment(data: Path, more: Mapping[str, str]) -> dict[str, str]:
    """This one's, with a history of the test's own: the user's is not for runs of tests."""
    return {**os.environ, "HARNESS_HISTORY": str(data / "history.sqlite"), **more}


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    """Run the command line to its end."""

    def call(*words: str | Path, env: dict[str, str] | None = None) -> Outcome:
        data = tmp_path / "data"
        with subprocess.Popen(
            command(data, *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(data, env or {}),
        ) as child:
            try:
                text, _ = child.communicate(timeout=DEADLINE)
            except BaseException:
                child.kill()
                raise
        return Outcome(status=child.returncode, text=text.decode(), data=data, pid=child.pid)

    return call


def _heed_interrupts() -> None:
    """A shell starts background jobs, and so perhaps this test run, with SIGINT ignored, which is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def interrupted(tmp_path: Path) -> Harness:
    """Run the command line, send it a signal once its output has a text, and give it ten seconds to end."""

    def call(*words: str | Path, after: str, number: signal.Signals) -> Outcome:
        data = tmp_path / "data"
        log = tmp_path / "terminal"
        with open(log, "wb") as stream:
            child = subprocess.Popen(
                command(data, *words),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=environment(data, {}),
                preexec_fn=_heed_interrupts,
            )
        try:
            until = time.monotonic() + DEADLINE
            while after not in log.read_text() and child.poll() is None and time.monotonic() < until:
                time.sleep(0.1)
            child.send_signal(number)
            child.wait(15)
        finally:
            child.kill()
            child.wait()
        return Outcome(status=child.returncode, text=log.read_text(), data=data, pid=child.pid)

    return call
