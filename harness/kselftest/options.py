# SPDX-License-Identifier: GPL-2.0-only
"""What targets ask of Kconfig, as one fragment beside the profile's. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.kconfig import FragmentRequest
from harness.kconfig.fragment import config_line
from harness.kselftest.known import Known
from harness.kselftest.request import PREFIX
from harness.kselftest.tree import read_options


def fragment(
    wanted: Mapping[str, Mapping[str, str]], known: Mapping[str, Known], *, asked: Mapping[str, str]
) -> FragmentRequest | None:
    """The options of several targets: target → options of its ``config``. None where there is nothing to ask for.

    Each is optional: a tree may not know it, and a test that needs it says so. What the profile's own fragments decide
    (``asked``: option → value) stays as it is. ``=m`` becomes ``=y`` where the profile has no loadable modules.
    """
    modules = asked.get("MODULES") == "y"
    lines: dict[str, str] = {}
    for target, options in wanted.items():
        mine = {**options, **read_options("\n".join(known[target].config))}
        for name, value in mine.items():
            if name in asked or name in lines or value == "n":
                continue
            line = config_line(name, "y" if value == "m" and not modules else value)
            lines[name] = f"{line}  # optional: for the selftests of {target}"
    if not lines:
        return None
    return FragmentRequest(f"{PREFIX}:{names(list(wanted))}", body="\n".join(lines.values()) + "\n")


def names(targets: Sequence[str]) -> str:
    """Targets as a user writes them."""
    return ",".join(targets)
