# SPDX-License-Identifier: GPL-2.0-only
"""Run a command whose two outputs are read as one stream, in the order in which they were written."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from harness.errors import DeadlineExceeded
from harness.process import Enclosure, spawn
from harness.store import disk_failure

_CHUNK = 1 << 16


def follow(
    argv: Sequence[str],
    *,
    deadline: float,
    env: Mapping[str, str | None],
    log: Path,
    on_line: Callable[[str], None],
    within: Enclosure,
) -> int:
    """Run a command to its end and return its exit status; ``log`` gets its output, ``on_line`` each line of it.

    Raises :class:`DeadlineExceeded` after ``deadline`` seconds; the command's whole process group is ended then.
    """
    until = time.monotonic() + deadline
    reading, writing = os.pipe()
    try:
        with (
            _open(log) as sink,
            spawn(argv, env=env, stdout=writing, stderr=writing, within=within) as child,
            selectors.DefaultSelector() as selector,
        ):
            os.close(writing)
            writing = -1
            selector.register(reading, selectors.EVENT_READ)
            partial = b""
            while chunk := _next_chunk(selector, reading, until):
                _write(sink, chunk, log)
                *lines, partial = (partial + chunk).split(b"\n")
                for line in lines:
                    on_line(line.decode("utf-8", "replace"))
            if partial:
                on_line(partial.decode("utf-8", "replace"))
            return child.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise DeadlineExceeded(
            f"{Path(argv[0]).name} did not end within {deadline:g} s and was stopped", command=argv, log=log
        ) from None
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)


def _next_chunk(selector: selectors.BaseSelector, reading: int, until: float) -> bytes:
    """What was written since the last call; empty at the end of the stream. Raises TimeoutExpired past ``until``."""
    while (remaining := until - time.monotonic()) > 0:
        if selector.select(min(remaining, 1.0)):
            return os.read(reading, _CHUNK)
    raise subprocess.TimeoutExpired((), 0)


def _open(path: Path) -> BinaryIO:
    try:
        return open(path, "wb", buffering=0)
    except OSError as reason:
        raise disk_failure(reason, "while opening a build log") from reason


def _write(sink: BinaryIO, chunk: bytes, log: Path) -> None:
    try:
        sink.write(chunk)
    except OSError as reason:
        raise disk_failure(reason, f"while writing {log}") from reason
