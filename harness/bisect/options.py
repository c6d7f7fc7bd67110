# SPDX-License-Identifier: GPL-2.0-only
"""The Kconfig options that change an outcome: what is left between two configurations that differ as little as can be.

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002, the algorithm *dd*):
a mix of both configurations takes the place of the end that it is like, until nothing is left to mix. Each mix goes
through the tree's Kconfig first, which adds what it needs and takes what has no ground, so that ends and mixes are
always configurations that can be. Pure, but for the functions that are given.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.bisect.answer import Like
from harness.kconfig.dotconfig import difference

Values = Mapping[str, str]
Resolve = Callable[[Values], Values]
"""What the tree's Kconfig makes of some values."""
Ask = Callable[[Values, int], Like]
"""What a configuration is like; the number is how many options are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstOptions:
    """Two configurations that differ in ``options`` alone (old value, new value; None: not there) and in outcome.

    ``whole`` is False where parts of the options could not be told apart because mixes of them cannot be tested.
    """

    old: Values
    new: Values
    options: dict[str, tuple[str | None, str | None]]
    tested: int
    whole: bool


def search(old: Values, new: Values, *, resolve: Resolve, ask: Ask) -> FirstOptions:
    """Bring two configurations whose outcomes are known to differ as near to each other as Kconfig lets them."""
    parts = 2
    tested = 0
    untestable = False
    known: dict[tuple[tuple[str, str], ...], Like] = {}
    while True:
        differing = difference(old, new)
        left = [
            name for name in dict.fromkeys((*new, *old)) if name in differing
        ]  # as Kconfig has them: friends together
        if len(left) <= 1:
            break
        moved = False
        for chosen in _mixes(left, min(parts, len(left))):
            mix = resolve(_mixed(old, new, chosen))
            remaining = len(difference(old, new))
            # a mix that is an end again, or no nearer to either, gets nowhere
            if not (len(difference(mix, new)) < remaining and len(difference(old, mix)) < remaining):
                continue
            key = tuple(sorted(mix.items()))
            if key not in known:
                tested += 1
                known[key] = ask(mix, remaining)
            if known[key] is Like.NEITHER:
                untestable = True
                continue
            old, new = (mix, new) if known[key] is Like.OLD else (old, mix)
            moved = True
            break
        if moved:
            parts, untestable = 2, False
        elif parts >= len(left):
            break
        else:
            parts = min(2 * parts, len(left))
    return FirstOptions(
        old=old, new=new, options=difference(old, new), tested=tested, whole=not untestable or len(left) <= 1
    )


def leading_first(found: FirstOptions, resolve: Resolve) -> list[str]:
    """The options found, first the one that by itself brings most of the others (what Kconfig selects or derives)."""
    alone = {name: resolve(_mixed(found.old, found.new, [name])) for name in found.options}
    return sorted(found.options, key=lambda name: len(difference(alone[name], found.new)))


def _mixes(left: Sequence[str], parts: int) -> list[list[str]]:
    """Each of some parts of the options, and all but it."""
    bounds = [len(left) * number // parts for number in range(parts + 1)]
    pieces = [list(left[start:end]) for start, end in itertools.pairwise(bounds)]
    others = [[name for name in left if name not in piece] for piece in pieces] if parts > 2 else []
    return [*pieces, *others]


def _mixed(old: Values, new: Values, chosen: Sequence[str]) -> Values:
    """The old configuration with some options as the new one has them."""
    mixed = dict(old)
    for name in chosen:
        if name in new:
            mixed[name] = new[name]
        else:
            mixed.pop(name, None)
    return mixed
