# SPDX-License-Identifier: GPL-2.0-only
"""Profiles: a named choice of source, series, fragments, topology and suites, in TOML.

A profile is a file ``ci/profiles/<name>.toml`` of the project, ``<name>.toml`` in the user's configuration folder
(which wins), or any path that ends in ``.toml``. Every field can be overridden by a flag of the command line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from harness.errors import UserError, nearest, unknown_name
from harness.paths import Paths

_LONGEST_STRESS = 7 * 86400
DUMP_POLICIES = ("auto", "never", "hang", "crash", "always")


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to run. ``series`` is empty for the unpatched tree; ``memory_mib`` and ``cpus`` override the topology.

    ``patches`` is how many patches of the series are on the tree, from the first; None: all.
    ``stress`` is how long each seeded test goes on (``30s``, ``10m``, ``8h``; empty: seconds), ``seed`` what it and the
    lifecycle suite draw from. ``dump`` says when a guest's memory is dumped (``auto``: on a crash or hang of a kernel
    that has debug information; ``never``, ``hang``, ``crash``, ``always``), ``dump_limit_mib`` is the most of a dump.
    ``sample_ms`` above 0 has a guest say its memory so often (``harness site`` draws it).
    ``sandbox = false`` lets code of the series and its tree run as the user does.
    """

    summary: str = ""
    source: str = "debian:6.12"
    series: str = ""
    patches: int | None = None
    config: tuple[str, ...] = ("base", "cxl", "numa", "cpuset", "memcg", "zswap", "swap", "net")
    topology: str = "direct"
    suites: tuple[str, ...] = ("smoke", "cxl", "cpuset", "zswap")
    qemu: str = "auto"
    accel: str = "auto"
    image: str = "test"
    memory_mib: int | None = None
    cpus: int | None = None
    append: str = ""
    jobs: int | None = None
    timeout_scale: float = 1.0
    require_feature: bool = False
    stress: str = ""
    seed: int = 1
    dump: str = "auto"
    dump_limit_mib: int = 2048
    sample_ms: int = 0
    sandbox: bool = True
    followed_source: str = ""
    followed_series: str = ""

    def __post_init__(self) -> None:
        if self.timeout_scale <= 0:
            raise ValueError("timeout_scale must be greater than 0")
        if self.patches is not None and self.patches < 0:
            raise ValueError("patches must be 0 (none of the series) or more")
        if self.memory_mib is not None and self.memory_mib < 256:
            raise ValueError("memory_mib must be at least 256")
        if self.cpus is not None and not 1 <= self.cpus <= 64:
            raise ValueError("cpus must be between 1 and 64")
        if not 0 <= self.seed < 1 << 31:
            raise ValueError("seed must be between 0 and 2147483647")
        if self.dump not in DUMP_POLICIES:
            raise ValueError(f"dump is '{self.dump[:40]}', expected one of {', '.join(DUMP_POLICIES)}")
        if self.dump_limit_mib < 1:
            raise ValueError("dump_limit_mib must be at least 1")
        if self.sample_ms and not 20 <= self.sample_ms <= 3_600_000:
            raise ValueError("sample_ms must be 0 (no samples) or from 20 to 3600000")
        if self.stress and not 0 < self.stress_seconds <= _LONGEST_STRESS:
            raise ValueError(f"stress is '{self.stress[:40]}', expected a length like 30s, 10m or 8h (at most 7 days)")

    @property
    def stress_seconds(self) -> int:
        """``stress`` in seconds; 0 where it is empty or no length."""
        found = re.fullmatch(r"(\d{1,6})([smh])", self.stress)
        return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]] if found else 0


def folders(paths: Paths) -> tuple[Path, ...]:
    """Where profiles are looked for, the user's own first."""
    return (platformdirs.user_config_path("n_private-harness") / "profiles", paths.project / "ci" / "profiles")


def names(paths: Paths) -> dict[str, Path]:
    """The known profiles and their files."""
    found: dict[str, Path] = {}
    for folder in reversed(folders(paths)):
        found.update({file.stem: file for file in sorted(folder.glob("*.toml"))})
    return found


def for_series(spec: str, *, paths: Paths) -> str:
    """The name of a profile that names a series: the default one where it does, else the first; else the default."""
    for name in sorted(names(paths), key=lambda name: name != "default"):
        if load(name, paths=paths).series == spec:
            return name
    return "default"


def load(name: str, *, paths: Paths) -> Profile:
    """Read a profile by name or path; raises :class:`UserError` that names the file, the key and the nearest one."""
    if name.endswith(".toml"):
        file = Path(name)
        if not file.is_file():
            raise UserError(f"there is no profile file {file}", hint=f"by name there are: {', '.join(names(paths))}")
    else:
        known = names(paths)
        if name not in known:
            raise unknown_name("profile", name, known)
        file = known[name]
    return parse(file.read_bytes(), where=str(file))


def parse(text: bytes, *, where: str) -> Profile:
    """A profile from TOML; ``where`` names it in errors."""
    try:
        return msgspec.toml.decode(text, type=Profile)
    except msgspec.ValidationError as reason:
        raise UserError(f"{where}: {_explain(str(reason))}") from None
    except msgspec.DecodeError as reason:
        raise UserError(f"{where} is not valid TOML: {reason}") from None


def override(profile: Profile, changes: Mapping[str, Any]) -> Profile:
    """The profile with the fields in ``changes`` that are not None put in their place."""
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        return msgspec.convert({**msgspec.structs.asdict(profile), **given}, Profile)
    except msgspec.ValidationError as reason:
        raise UserError(str(reason)) from None


def _explain(reason: str) -> str:
    """msgspec's reason, with the nearest known key for an unknown one."""
    unknown = re.search(r"unknown field `([^`]+)`", reason)
    if unknown is None:
        return reason
    close = nearest(unknown[1], Profile.__struct_fields__)
    hint = f"; did you mean '{close}'?" if close else f"; known: {', '.join(Profile.__struct_fields__)}"
    return f"unknown key '{unknown[1]}'{hint}"
