# SPDX-License-Identifier: GPL-2.0-only
"""How long a boot may take: by accelerator and kernel config, then scaled by this machine's speed and load.

A constant is wrong on both sides: it cuts off debug kernels on slow machines, and on fast ones it waits a minute for a
dead kernel. The nominal time holds a wide margin over measured boots (small kernel, 2 CPUs: 2 s under TCG); a kernel
that panics or powers off is noticed at once anyway, so the deadline only decides how long silence is borne.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from harness.values import Accel

_NOMINAL_SECONDS = {Accel.KVM: 15.0, Accel.TCG: 40.0}

# How many times longer a boot takes with an option (guesses on the safe side, from boots under TCG).
_SLOWER = {
    "KASAN": 5.0,
    "KMSAN": 8.0,
    "KCSAN": 5.0,
    "PROVE_LOCKING": 2.5,
    "DEBUG_PAGEALLOC": 2.0,
    "DEBUG_VM": 1.3,
    "PAGE_POISONING": 1.3,
    "SLUB_DEBUG_ON": 1.5,
    "DEBUG_KMEMLEAK": 2.0,
    "UBSAN": 1.5,
    "GCOV_KERNEL": 1.5,
    "FTRACE_STARTUP_TEST": 4.0,
    "KUNIT_ALL_TESTS": 4.0,
}

_REFERENCE_SECONDS = 0.006
"""What the calibration takes on the machine that the nominal times were measured on."""

_CALIBRATION_ROUNDS = 15_000
_SPEED_FILE = "machine-speed.json"
_MAX_FACTOR = 20.0
_MAX_DEBUG_FACTOR = 15.0


def nominal_boot_seconds(*, accel: Accel, config: str) -> float:
    """The deadline of a boot on an idle machine of reference speed, for a kernel with this ``.config`` (or "")."""
    enabled = {line.partition("=")[0].removeprefix("CONFIG_") for line in config.splitlines() if line.endswith("=y")}
    factor = 1.0
    for option, times in _SLOWER.items():
        if option in enabled:
            factor *= times
    return _NOMINAL_SECONDS[accel] * min(factor, _MAX_DEBUG_FACTOR)


def scaled(seconds: float, *, slowness: float, load: float, cpus: int) -> float:
    """Seconds on this machine: ``slowness`` is its calibration over the reference, ``load`` its 1-minute load average.

    A machine faster than the reference gets no shorter deadline; a load beyond the CPUs stretches it in proportion.
    """
    crowding = max(1.0, load / max(1, cpus))
    return seconds * min(_MAX_FACTOR, max(1.0, slowness) * crowding)


def on_this_machine(seconds: float, *, cache: Path) -> float:
    """Seconds scaled by this machine's speed (measured once a boot of it, kept in the cache) and present load."""
    try:
        load = os.getloadavg()[0]
    except OSError:
        load = 0.0
    return scaled(seconds, slowness=slowness(cache=cache), load=load, cpus=os.cpu_count() or 1)


def slowness(*, cache: Path) -> float:
    """This machine's time for a fixed piece of work over the reference's; remembered until the machine reboots."""
    path = cache / _SPEED_FILE
    boot = _boot_id()
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(path.read_text())
        if kept["boot"] == boot and kept["rounds"] == _CALIBRATION_ROUNDS:
            return float(kept["slowness"])
    measured = min(_calibrate() for _ in range(3)) / _REFERENCE_SECONDS
    with contextlib.suppress(OSError):
        fresh = path.with_name(f".{_SPEED_FILE}.{os.getpid()}")
        fresh.write_text(json.dumps({"boot": boot, "rounds": _CALIBRATION_ROUNDS, "slowness": measured}))
        fresh.replace(path)
    return measured


def _calibrate() -> float:
    """CPU seconds of a fixed piece of interpreter and hashing work (not wall time: other processes do not count)."""
    started = time.thread_time()
    digest = b""
    for _ in range(_CALIBRATION_ROUNDS):
        digest = hashlib.sha256(digest).digest()
    return time.thread_time() - started


def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""
