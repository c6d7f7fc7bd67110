# SPDX-License-Identifier: GPL-2.0-only
"""Facts of the host's CPU that an emulated guest meets again."""

from __future__ import annotations

import re
from pathlib import Path

_FALLBACK_KHZ = 4_000_000
_CPUINFO = Path("/proc/cpuinfo")
_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")


def tsc_khz(*, cpuinfo: Path = _CPUINFO, frequency: Path = _FREQUENCY) -> int:
    """The rate of the host's time stamp counter in kHz, which TCG gives to its guests; never less than the real one.

    On bare metal it is not told to programs; the highest frequency of the CPU is its upper bound. In a virtual machine
    ``cpu MHz`` is that rate itself.
    """
    rates = [_read_khz(frequency), *_cpuinfo_khz(cpuinfo)]
    return max([rate for rate in rates if rate], default=_FALLBACK_KHZ)


def _read_khz(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _cpuinfo_khz(path: Path) -> list[int]:
    try:
        text = path.read_text()
    except OSError:
        return []
    return [round(float(mhz) * 1000) for mhz in re.findall(r"^cpu MHz\s*:\s*([\d.]+)$", text, re.MULTILINE)]
