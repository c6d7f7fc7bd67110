# SPDX-License-Identifier: GPL-2.0-only
"""Everything about one option: what it is, what it is set to, who asked, what it needs, why it is off. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UserError
from harness.kconfig.expression import YES, evaluate, symbols
from harness.kconfig.fragment import Assignment
from harness.kconfig.language import Definition, Symbols
from harness.kconfig.merge import Merged
from harness.kconfig.reason import Situation, nearest_symbols, requirements, selectors, why_not


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One definition of an option: where, its prompt (None: it cannot be asked for), what it depends on."""

    place: str
    prompt: str | None
    depends: str | None
    met: bool | None
    values: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An option explained. ``value`` is None where the final ``.config`` does not have it; ``why`` where it is off."""

    option: str
    type: str
    value: str | None
    asked: str | None
    askers: tuple[str, ...]
    places: tuple[Place, ...]
    selected_by: tuple[str, ...]
    selects: tuple[str, ...]
    why: str | None
    help: str


def explain(option: str, *, known: Symbols, values: dict[str, str], merged: Merged) -> Explanation:
    """Explain an option (with or without ``CONFIG_``). Raises :class:`UserError` where the kernel does not have it."""
    name = option.strip().removeprefix("CONFIG_")
    situation = Situation(known, values, merged.asked)
    definitions = known.definitions.get(name)
    if not definitions:
        close = nearest_symbols(name, known.definitions) or nearest_symbols(name.upper(), known.definitions)
        hint = f"nearest: {', '.join(f'CONFIG_{other}' for other in close)}" if close else None
        raise UserError(f"this kernel has no option CONFIG_{name}", hint=hint)
    asked = merged.asked.get(name)
    return Explanation(
        option=name,
        type=known.type_of(name),
        value=values.get(name),
        asked=asked.value if asked else None,
        askers=merged.askers.get(name, ()),
        places=tuple(_place(definition, situation) for definition in definitions),
        selected_by=tuple(selectors(name, situation)),
        selects=tuple(sorted({target for definition in definitions for target, _ in definition.selects})),
        why=_why(name, asked, situation),
        help=next((definition.help for definition in definitions if definition.help), ""),
    )


def lines(told: Explanation) -> list[str]:
    """An explanation as text for a terminal."""
    shown = [f"CONFIG_{told.option} ({told.type}) is {told.value or 'n, not in the final .config'}"]
    if told.askers:
        shown.append(f"  asked for as {told.asked} by {', '.join(told.askers)}")
    elif not told.selected_by:
        shown.append("  no fragment asks for it")
    if told.selected_by:
        shown.append(f"  selected by {', '.join(told.selected_by)}")
    if told.why:
        shown.append(f"  why: {told.why}")
    for place in told.places:
        shown.append(f"  {place.place}: {place.prompt if place.prompt is not None else '(no prompt)'}")
        if place.depends:
            state = {True: "holds", False: "does not hold", None: "depends on the compiler"}[place.met]
            shown.append(f"    depends on {place.depends}  [{state}]")
            shown += [f"      {name} = {value}" for name, value in place.values.items()]
    if told.selects:
        shown.append(f"  selects {', '.join(told.selects)}")
    if told.help:
        shown += ["", *(f"  {line}".rstrip() for line in told.help.splitlines())]
    return shown


def _place(definition: Definition, situation: Situation) -> Place:
    needs = requirements(definition)
    value = evaluate(needs, situation.values)
    return Place(
        place=definition.place,
        prompt=definition.prompt,
        depends=None if needs == YES else str(needs),
        met=None if value is None else value > 0,
        values={name: situation.value(name) for name in symbols(needs)},
    )


def _why(name: str, asked: Assignment | None, situation: Situation) -> str | None:
    value = situation.value(name)
    if asked is not None and asked.value != value:
        return why_not(asked, situation)
    if value != "n":
        return None
    wanted = Assignment(option=name, value="y", fragment="", optional=True)
    if situation.symbols.type_of(name) not in ("bool", "tristate"):
        return None
    reason = why_not(wanted, situation)
    can = reason.startswith("the tree's Kconfig made it")
    return f"it is free to be set and nobody asks: --config CONFIG_{name}=y" if can else reason
