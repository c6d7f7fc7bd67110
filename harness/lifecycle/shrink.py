# SPDX-License-Identifier: GPL-2.0-only
"""The shortest sequence that still shows a difference.

Steps are left out, in runs that get shorter (ddmin, Zeller and Hildebrandt 2002), then one by one until none can be.
A sequence is played with what makes no sense left out, so that any selection of steps is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shrunk(Generic[T]):
    """What is left; ``tries`` is what it took, ``whole`` is False where the time was over before it was done."""

    steps: tuple[T, ...]
    tries: int
    whole: bool


def shrink(
    steps: Sequence[T], shows: Callable[[tuple[T, ...]], tuple[T, ...] | None], *, over: Callable[[], bool]
) -> Shrunk[T]:
    """Make a sequence shorter while ``shows`` it.

    ``shows`` plays a sequence and returns the steps that were really played when the difference came, else None;
    ``over`` says when to give up.
    """
    best = tuple(steps)
    tries = 0
    run = max(1, len(best) // 2)
    while True:
        shorter = False
        at = max(0, len(best) - run)
        while at >= 0:
            if over():
                return Shrunk(best, tries, whole=False)
            candidate = best[:at] + best[at + run :]
            tries += 1
            left = shows(candidate) if candidate else None
            if left is not None and len(left) < len(best):
                best, shorter = left, True
                at = min(at, len(best))
            if at == 0:
                break
            at = max(0, at - run)
        if run > 1:
            run //= 2
        elif not shorter:
            return Shrunk(best, tries, whole=True)
