# SPDX-License-Identifier: GPL-2.0-only
"""How long a boot and a test may take: by what this machine and this kernel were measured at, and the present load.

A constant is wrong on both sides: it cuts off debug kernels on slow machines, and on fast ones it waits a minute for a
dead kernel. The first boot of a kernel has a nominal time by accelerator and config, with a wide margin over measured
boots (small kernel, 2 CPUs: 2 s under TCG), scaled by this machine's speed; later ones also what its boots took so far.
Tests are scaled by the boot of their own guest, which is the same kernel doing kernel work on this machine: a KASAN
kernel that boots five times as long gets five times as long. A kernel that panics or powers off is noticed at once
anyway, so deadlines only decide how long silence is borne.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
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

_REFERENCE_BOOT_SECONDS = 4.0
"""What a guest takes from QEMU's start to its first command where the deadlines of the suites fit as they are: a small
kernel under TCG on the machine that they were written on, with some margin (2 to 4 s, measured)."""

_BOOT_MARGIN = 8.0  # times the longest boot of a kernel so far
_CALIBRATION_ROUNDS = 15_000
_BOOTS_FILE = "boot-seconds.json"
_BOOTS_KEPT = 200
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
    return scaled(seconds, slowness=slowness(cache=cache), load=_load(), cpus=os.cpu_count() or 1)


def of_boot(nominal: float, *, kernel: str, cache: Path) -> float:
    """The deadline of a boot in seconds: ``nominal`` on this machine, and never less than a multiple of what boots of
    the kernel with this key took here before."""
    return max(on_this_machine(nominal, cache=cache), _BOOT_MARGIN * _boots(cache).get(kernel, 0.0))


def note_boot(seconds: float, *, kernel: str, cache: Path) -> None:
    """Remember the longest boot of a kernel on this machine, until the machine reboots."""
    known = _boots(cache)
    if not kernel or seconds <= known.get(kernel, 0.0):
        return
    known.pop(kernel, None)
    known[kernel] = round(seconds, 2)
    _keep(cache / _BOOTS_FILE, {"boot": _boot_id(), "seconds": dict(list(known.items())[-_BOOTS_KEPT:])})


def work_factor(boot_seconds: float, *, load: float, cpus: int) -> float:
    """What the deadlines of tests are multiplied with: how much longer than the reference their guest took to boot,
    or, where that is more, how crowded this machine is now. Between 1 and 20."""
    crowding = load / max(1, cpus)
    return min(_MAX_FACTOR, max(1.0, boot_seconds / _REFERENCE_BOOT_SECONDS, crowding))


def present_factor(boot_seconds: float) -> float:
    """:func:`work_factor` with this machine's present load."""
    return work_factor(boot_seconds, load=_load(), cpus=os.cpu_count() or 1)


def slowness(*, cache: Path) -> float:
    """This machine's time for a fixed piece of work over the reference's; remembered until the machine reboots."""
    path = cache / _SPEED_FILE
    boot = _boot_id()
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(path.read_text())
        if kept["boot"] == boot and kept["rounds"] == _CALIBRATION_ROUNDS:
            return float(kept["slowness"])
    measured = min(_calibrate() for _ in range(3)) / _REFERENCE_SECONDS
    _keep(path, {"boot": boot, "rounds": _CALIBRATION_ROUNDS, "slowness": measured})
    return measured


def _boots(cache: Path) -> dict[str, float]:
    """The longest boot in seconds of each kernel, by key; nothing where the note is of another boot of this machine."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        kept = json.loads((cache / _BOOTS_FILE).read_text())
        if kept["boot"] == _boot_id():
            return {str(key): float(seconds) for key, seconds in kept["seconds"].items()}
    return {}


def _keep(path: Path, value: object) -> None:
    """Write a note whole; where it cannot be written it is measured again."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with contextlib.suppress(OSError):
        try:
            fresh.write_text(json.dumps(value))
            fresh.replace(path)
        except BaseException:  # Ctrl-C too
            fresh.unlink(missing_ok=True)
            raise
        for left in path.parent.glob(f".{path.name}.*"):  # of one that was killed while it wrote
            if left != fresh and not Path("/proc", left.name.removeprefix(f".{path.name}.").partition(".")[0]).exists():
                left.unlink(missing_ok=True)


def _load() -> float:
    """The 1-minute load average."""
    with contextlib.suppress(OSError):
        return os.getloadavg()[0]
    return 0.0


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
