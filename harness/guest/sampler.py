# SPDX-License-Identifier: GPL-2.0-only
"""What a guest's memory does while its tests run: a small program in it, on an SSH channel of its own, into a file.

``samples.tsv`` has a head and a line a sample (``tests/guest/helpers/sample.c``). Sampling never decides anything: what
it cannot have is missing from the file.
"""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path
from typing import IO

from harness.errors import HarnessError
from harness.guest.lifetime import Guest
from harness.guest.talk import Talk

FILE = "samples.tsv"

_PROGRAM = "/opt/harness/bin/sample"
_LARGEST = 32 << 20  # bytes that are kept
_PATIENCE = 60.0  # seconds without a sample after which the thread looks whether it is to end
_STOP_SECONDS = 5.0
_LINE = re.compile(r"seconds(?:\t(?:node\d{1,4}|zswap)){1,70}|\d{1,12}\.\d{3}(?:\t\d{1,15}){1,70}")

_log = logging.getLogger(__name__)


class Sampler:
    """Samples of a guest each ``milliseconds``, until :meth:`close`."""

    def __init__(self, guest: Guest, folder: Path, *, milliseconds: int) -> None:
        self._talk: Talk | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="sampler", daemon=True)
        try:
            self._talk = guest.converse(f"exec {_PROGRAM} {milliseconds}")
            self._file: IO[str] = open(folder / FILE, "w", encoding="ascii")  # noqa: SIM115 (closed by the thread)
        except (HarnessError, OSError) as reason:
            _log.debug("no samples: %s", reason)
            return
        self._thread.start()

    def close(self) -> None:
        """End it; what was sampled is in the file."""
        self._stopping = True
        if self._talk is not None:
            self._talk.close()
            if self._thread.is_alive():
                self._thread.join(_STOP_SECONDS)

    def _work(self) -> None:
        assert self._talk is not None
        written = 0
        with self._file as file:
            while not self._stopping and written < _LARGEST:
                try:
                    lines = self._talk.hear(until="", deadline=_PATIENCE)
                except TimeoutError:
                    continue
                except Exception as reason:  # the guest or the way to it is gone
                    _log.debug("the samples end: %s", reason)
                    return
                for line in lines:
                    if _LINE.fullmatch(line):  # it is of the guest
                        file.write(f"{line}\n")
                        written += len(line) + 1
                try:
                    file.flush()
                except OSError as reason:
                    _log.debug("the samples end: %s", reason)
                    return
