# SPDX-License-Identifier: GPL-2.0-only
"""Whether a final ``.config`` has every value that was asked for; where not, why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.display import many
from harness.errors import UserError
from harness.kconfig.dotconfig import same_value
from harness.kconfig.fragment import Assignment, config_line
from harness.kconfig.language import Symbols
from harness.kconfig.merge import Merged
from harness.kconfig.reason import Situation, why_not


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """An option that did not survive: what was asked, what it is now (None: not there), and the reason."""

    wanted: Assignment
    actual: str | None
    reason: str
    askers: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = ", ".join(f"'{name}'" for name in self.askers or (self.wanted.fragment,))
        return f"{self.wanted.line} (fragment {names}): {self.reason}"


def lost(merged: Merged, final: Mapping[str, str], symbols: Callable[[], Symbols]) -> tuple[Lost, ...]:
    """Every option whose final value is not the one asked for. ``symbols`` is called only where there is one."""
    missing = [wanted for wanted in merged.asked.values() if not same_value(wanted.value, final.get(wanted.option))]
    if not missing:
        return ()
    situation = Situation(symbols(), final, merged.asked)
    return tuple(
        Lost(
            wanted=wanted,
            actual=final.get(wanted.option),
            reason=why_not(wanted, situation),
            askers=merged.askers.get(wanted.option, ()),
        )
        for wanted in missing
    )


def judge(found: Sequence[Lost], *, strict: bool = True) -> tuple[str, ...]:
    """The warnings for what may be missing (all may where not ``strict``). Raises :class:`UserError` for the rest."""
    fatal = [one for one in found if strict and not one.wanted.optional]
    if fatal:
        raise UserError(
            f"{many(len(fatal), 'requested Kconfig option')} did not survive in this kernel",
            details=[str(one) for one in fatal],
            hint="add what is missing (--config CONFIG_X=y), or mark the line `# optional: why`; "
            "`harness config explain OPTION` says more",
        )
    return tuple(f"{one}{f' [{one.wanted.why}]' if one.wanted.why else ''}" for one in found)


def compared(wanted: Assignment, actual: str | None) -> str:
    """A requested line beside the final one, for people."""
    return f"{wanted.line} → {config_line(wanted.option, actual) if actual is not None else 'absent'}"
