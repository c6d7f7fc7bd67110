# SPDX-License-Identifier: GPL-2.0-only
"""A stand-in for ``harness run``: does as ``CONTROL/behaviour.json`` says for the cell's topology, and notes it.

``standin.py CONTROL --cache-dir C --data-dir D run --profile FILE [--prepare | --into FOLDER --turns FOLDER]``
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import tomllib
from pathlib import Path

from harness.workers import turn


def main() -> int:
    control, words = Path(sys.argv[1]), sys.argv[2:]
    profile = tomllib.loads(Path(words[words.index("--profile") + 1]).read_text())
    behaviours = json.loads((control / "behaviour.json").read_text())
    behaviour = behaviours.get(profile["topology"], behaviours.get(profile["series"], "PASS"))
    prepare = "--prepare" in words
    named = f"{profile['series'] or 'none'} {profile['topology']}"
    sys.stdout.write("✓ source    stand-in\n")
    sys.stdout.flush()
    if prepare:
        note(control, f"prepare {named}")
        return 3 if behaviour == "BUILD" else 0
    folder = Path(words[words.index("--into") + 1])
    with turn(Path(words[words.index("--turns") + 1])):
        note(control, f"run {named}")
        return run(control, folder, behaviour)


def note(control: Path, line: str) -> None:
    with open(control / "log", "a") as log:
        log.write(f"{line}\n")


def run(control: Path, folder: Path, behaviour: str) -> int:
    if behaviour == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "hang":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
        (control / "hanging").touch()
        time.sleep(600)
    failure = {"verdict": behaviour, "message": "the kernel does not build: mm/x.c:1"} if behaviour == "BUILD" else None
    case = {"suite": "smoke", "program": "test_x", "seconds": 0.1}
    cases = [{**case, "case": "boots", "verdict": "PASS"}, {**case, "case": "works", "verdict": behaviour}]
    if behaviour == "FAIL":
        cases[1]["reason"] = "it <does> not & it's \x1b[31mred"
        cases[1]["diagnostics"] = ["got 1", "expected 2"]
    results = {
        "version": 1, "run": folder.name, "verdict": behaviour, "seconds": 1.5, "guest_seconds": 1.0,
        "interrupted": False, "stages": [], "cases": [] if failure else cases, "failure": failure,
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results))
    return {"PASS": 0, "FAIL": 1, "BUILD": 3}[behaviour]


if __name__ == "__main__":
    sys.exit(main())
