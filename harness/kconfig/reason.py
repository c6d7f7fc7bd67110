# SPDX-License-Identifier: GPL-2.0-only
"""Why an option does not have the value that a fragment asks for. Pure: the tree's symbols and a final ``.config``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.kconfig.expression import Expression, both, evaluate, symbols, unmet
from harness.kconfig.fragment import Assignment
from harness.kconfig.language import Definition, Symbols

_MOST = 5


@dataclass(frozen=True, slots=True)
class Situation:
    """What reasons are found in: the tree's symbols, the final values, and which fragment asked for what."""

    symbols: Symbols
    values: Mapping[str, str]
    asked: Mapping[str, Assignment] = field(default_factory=dict)

    def value(self, name: str) -> str:
        """The final value of an option, n where it has none."""
        return self.values.get(name, "n")

    def told(self, name: str) -> str:
        """An option, its value and who asked for it: ``SWAP is n (fragment 'noswap')``."""
        asked = self.asked.get(name)
        by = f" (asked for as {asked.value} by '{asked.fragment}')" if asked else ""
        known = "" if name in self.symbols.definitions else ", unknown in this kernel"
        return f"{name} is {self.value(name)}{known}{by}"


def why_not(wanted: Assignment, situation: Situation) -> str:
    """Why ``wanted`` did not survive, in a line."""
    name, definitions = wanted.option, situation.symbols.definitions.get(wanted.option)
    if not definitions:
        return f"unknown in this kernel{_suggestion(name, situation.symbols)}"
    kind = situation.symbols.type_of(name)
    problem = _impossible_value(wanted.value, kind)
    if problem:
        return problem
    if wanted.value == "n":
        return _why_on(name, situation)
    prompts = situation.symbols.prompts(name)
    if not prompts:
        return f"it has no prompt: {_set_by(name, situation)}"
    if blocked := _blocked(prompts, situation, 1 if wanted.value == "m" or kind == "bool" else 2):
        return blocked
    return _choice(prompts, situation) or _range(wanted, prompts, situation) or _otherwise(wanted, kind, situation)


def requirements(definition: Definition) -> Expression:
    """All that must hold for a definition to ask the user: what it depends on, and its prompt's own condition."""
    return both(definition.depends, definition.prompt_condition)


def selectors(name: str, situation: Situation) -> list[str]:
    """The symbols that select an option now."""
    found = {
        by
        for by, condition in situation.symbols.selected_by.get(name, ())
        if situation.value(by) in ("y", "m") and evaluate(condition, situation.values) != 0
    }
    return sorted(found, key=lambda by: (by not in situation.asked, by))


def nearest_symbols(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The symbols whose names are closest to one that there is not; names that share its words count as close."""
    words = set(name.split("_"))
    candidates = [other for other in known if words & set(other.split("_")) or abs(len(other) - len(name)) <= 2]
    similar = difflib.get_close_matches(name, candidates, n=count, cutoff=0.72)
    return similar


def _suggestion(name: str, known: Symbols) -> str:
    close = nearest_symbols(name, known.definitions)
    return f" (nearest: {', '.join(f'CONFIG_{other}' for other in close)})" if close else ""


def _impossible_value(value: str, kind: str) -> str | None:
    if kind == "bool" and value == "m":
        return "it is a bool: y or n, never m"
    if kind in ("bool", "tristate") and value not in ("y", "m", "n"):
        return f"it is a {kind}, and {value} is no value of one"
    if kind in ("int", "hex"):
        try:
            int(value, 16 if kind == "hex" else 10)
        except ValueError:
            return f"it is {'an' if kind == 'int' else 'a'} {kind}, and {value} is no value of one"
    return None


def _why_on(name: str, situation: Situation) -> str:
    by = selectors(name, situation)
    if by:
        return f"selected by {_listed(situation, by)}"
    prompts = situation.symbols.prompts(name)
    if not prompts:
        return f"it has no prompt: {_set_by(name, situation)}"
    if any(definition.choice is not None for definition in prompts):
        return "it is a choice's default; ask for another of its members"
    return f"it cannot be turned off here: {_blocked(prompts, situation, 1) or 'its default holds'}"


def _blocked(prompts: list[Definition], situation: Situation, wanted: int) -> str | None:
    """The unmet conditions of the definition that is closest to being met, or None where one is met."""
    best: list[Expression] | None = None
    for definition in prompts:
        needs = requirements(definition)
        missing = unmet(needs, situation.values, wanted)
        if not missing:
            return None
        if best is None or len(missing) < len(best):
            best = missing
    if best is None:
        return None
    parts = list(dict.fromkeys(_unmet_part(part, situation) for part in best))
    return f"unmet dependency: {'; '.join(parts[:_MOST])}{'; …' if len(parts) > _MOST else ''}"


def _unmet_part(part: Expression, situation: Situation) -> str:
    if part.operator == "symbol":
        return f"{situation.told(part.text)}{_root(part.text, situation, {part.text})}"
    named = [situation.told(name) for name in symbols(part)]
    return f"{part} does not hold ({', '.join(named)})" if named else f"{part} does not hold"


def _root(name: str, situation: Situation, seen: set[str]) -> str:
    """Where an unmet dependency comes from itself: what it needs in turn, followed until something can be asked for."""
    prompts = situation.symbols.prompts(name)
    if not prompts:
        return f", which has no prompt: {_set_by(name, situation)}" if name in situation.symbols.definitions else ""
    for definition in prompts:
        if not unmet(requirements(definition), situation.values, 1):
            return "" if name in situation.asked else " and no fragment asks for it"
    missing = [part.text for part in unmet(requirements(prompts[0]), situation.values, 1) if part.operator == "symbol"]
    following = next((other for other in missing if other not in seen), None)
    if following is None or len(seen) > _MOST:
        return ""
    return f" because {situation.told(following)}{_root(following, situation, seen | {following})}"


def _set_by(name: str, situation: Situation) -> str:
    for definition in situation.symbols.definitions.get(name, ()):
        if definition.defaults and (missing := unmet(definition.depends, situation.values, 1)):
            return f"it depends on {missing[0]} ({', '.join(situation.told(other) for other in symbols(missing[0]))})"
    by = sorted({selecting for selecting, _ in situation.symbols.selected_by.get(name, ())})
    if by:
        return f"it is selected by {', '.join(by[:_MOST])}{' …' if len(by) > _MOST else ''}"
    conditions = [
        str(condition) if value in ("y", "m") else f"{value} if {condition}"
        for definition in situation.symbols.definitions.get(name, ())
        for value, condition in definition.defaults
    ]
    return f"its default follows {' or '.join(conditions[:_MOST])}" if conditions else "nothing sets it"


def _choice(prompts: list[Definition], situation: Situation) -> str | None:
    for definition in prompts:
        if definition.choice is not None:
            chosen = [member for member in definition.choice.members if situation.value(member) == "y"]
            if chosen:
                return f"the choice '{definition.choice.prompt}' has another: {situation.told(chosen[0])}"
    return None


def _range(wanted: Assignment, prompts: list[Definition], situation: Situation) -> str | None:
    for definition in prompts:
        for low, high, condition in definition.ranges:
            if evaluate(condition, situation.values) != 0:
                bounds = [situation.values.get(bound, bound) for bound in (low, high)]
                return f"its range is {bounds[0]} to {bounds[1]}; it is {situation.value(wanted.option)} now"
    return None


def _otherwise(wanted: Assignment, kind: str, situation: Situation) -> str:
    actual = situation.value(wanted.option)
    if actual in ("y", "m") and wanted.value in ("y", "m"):
        by = selectors(wanted.option, situation)
        if by:
            return f"it is {actual}: selected by {_listed(situation, by)}"
        if wanted.value == "m" and situation.value("MODULES") != "y":
            return f"it is {actual}: {situation.told('MODULES')}"
    return f"the tree's Kconfig made it {actual} (a {kind})"


def _listed(situation: Situation, names: list[str]) -> str:
    shown = [
        f"{name} (fragment '{situation.asked[name].fragment}')" if name in situation.asked else name
        for name in names[:_MOST]
    ]
    return ", ".join(shown) + (" …" if len(names) > _MOST else "")
