# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel build is told: the make command, its environment, its targets, how many jobs. Pure but for the last."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.toolchain import Toolchain, make_argv
from harness.values import KernelConfig

CCACHE_SIZE = "8G"
_MEMORY_PER_JOB_MIB = 700  # a compiler at its largest, or a share of the final link

# Documentation/kbuild/reproducible-builds.rst; an empty LOCALVERSION also keeps setlocalversion from asking git
_REPRODUCIBLE = {
    "KBUILD_BUILD_TIMESTAMP": "1970-01-01 00:00:00 UTC",
    "KBUILD_BUILD_VERSION": "1",
    "KBUILD_BUILD_USER": "harness",
    "KBUILD_BUILD_HOST": "harness",
    "LOCALVERSION": "",
}
# beside what the tree itself maps: the paths that ccache makes relative to the output folder
_PREFIX_MAP = "-ffile-prefix-map=../source/="


@dataclass(frozen=True, slots=True, kw_only=True)
class MakePlan:
    """A make command, decided."""

    argv: tuple[str, ...]
    env: dict[str, str | None]


def targets(config: KernelConfig) -> tuple[str, ...]:
    """What to make: ``vmlinux`` where it has the PVH entry that QEMU boots, else ``bzImage`` too; modules and the gdb
    scripts if any."""
    wanted = ["vmlinux"]
    if not config.enabled("PVH"):
        wanted.append("bzImage")
    if config.enabled("MODULES"):
        wanted.append("modules")
    if config.enabled("GDB_SCRIPTS"):
        wanted.append("scripts_gdb")
    return tuple(wanted)


def make_plan(
    wanted: Sequence[str],
    *,
    source: Path,
    output: Path,
    config: KernelConfig,
    toolchain: Toolchain,
    jobs: int,
    ccache: Path | None,
    variables: dict[str, str] | None = None,
) -> MakePlan:
    """The make command for targets of a configured tree; the same wherever ``source`` and ``output`` are.

    ``ccache`` is the compiler cache's folder, or None to go without.
    """
    given = {"KCPPFLAGS": _PREFIX_MAP, **(variables or {})}
    if _has_debug_info(config):
        given["KCPPFLAGS"] += f" -fdebug-prefix-map={output}=. -fdebug-prefix-map={source}/="
    env: dict[str, str | None] = dict(_REPRODUCIBLE)
    if ccache is not None:
        given["CC"] = f"ccache {toolchain.cc}"
        env |= {
            "CCACHE_DIR": str(ccache),
            "CCACHE_MAXSIZE": CCACHE_SIZE,
            "CCACHE_BASEDIR": str(output.parent),
            "CCACHE_NOHASHDIR": "1",
            "CCACHE_DEPEND": "1",  # no preprocessor run: a miss costs 9 % more than the bare compiler, not 30 %
            "CCACHE_SLOPPINESS": "time_macros",
            "CCACHE_COMPILERCHECK": f"string:{toolchain.digest}",
        }
    options = (f"-j{jobs}", "--output-sync=target", "--no-print-directory")
    argv = make_argv(wanted, source=source, output=output, toolchain=toolchain, variables=given, options=options)
    return MakePlan(argv=argv, env=env)


def estimated_steps(config: KernelConfig) -> int:
    """About how many steps a build from nothing has, by the options that are on (measured on 6.12)."""
    return 480 + 2 * sum(1 for line in config.text.splitlines() if line.endswith("=y"))


def default_jobs() -> int:
    """As many jobs as this process may use cores, and as its available memory carries; at least one."""
    cores = len(os.sched_getaffinity(0))
    found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    available_mib = int(found[1]) // 1024 if found else cores * _MEMORY_PER_JOB_MIB
    return max(1, min(cores, available_mib // _MEMORY_PER_JOB_MIB))


def _has_debug_info(config: KernelConfig) -> bool:
    return config.enabled("DEBUG_INFO")
