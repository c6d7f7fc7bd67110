# SPDX-License-Identifier: GPL-2.0-only
"""Whether the head is slower or larger than the base, from few and noisy samples. Pure.

How much: the Hodges-Lehmann estimate, the median of all ratios head/base, with the interval that goes with the exact
distribution of the Mann-Whitney statistic (Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", section
4.2 and 4.3; Lehmann 1963). It assumes no shape of the noise; with ``n`` and ``m`` samples the widest interval holds
``1 - 2/C(n+m, n)``, so that 3 and 3 give 90 %, 4 and 4 up to 97 %.

Whether that is more than noise, for many quantities at once: runs of the base and of the head are exchanged among each
other in every possible way, and the largest ratio of *any* quantity is looked at each time (the single-step maxT of
Westfall and Young, "Resampling-Based Multiple Testing", 1993). If base and head are the same, a quantity is called
worse in at most ``alpha`` of all comparisons, however many quantities there are and however they hang together.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
ALPHA = 0.05
"""The share of comparisons of two equal things that may call one of them worse."""

_MOST_EXCHANGES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A quantity of the head against the base, as a ratio; ``low`` to ``high`` hold the true one with ``confidence``.

    ``base`` and ``head`` are medians in the quantity's own unit; ``confidence`` is 0 where there are too few samples
    for any interval.
    """

    base: float
    head: float
    ratio: float
    low: float
    high: float
    confidence: float


def shift(base: Sequence[float], head: Sequence[float], *, confidence: float = CONFIDENCE) -> Shift:
    """The ratio of two sets of positive samples, with the widest interval of at most ``confidence`` that there is.

    Raises ValueError where a side has no sample, or one that is not positive.
    """
    if not base or not head or min(*base, *head) <= 0:
        raise ValueError("a shift needs positive samples of both sides")
    ratios = sorted(one / other for one in head for other in base)
    tail, held = _tail(len(base), len(head), (1 - confidence) / 2)
    return Shift(
        base=statistics.median(base),
        head=statistics.median(head),
        ratio=statistics.median(ratios),
        low=ratios[tail],
        high=ratios[-1 - tail],
        confidence=held,
    )


def _tail(n: int, m: int, most: float) -> tuple[int, float]:
    """How many ratios to leave out at each end so that at most ``most`` lies beyond it, and what the rest holds."""
    counts = _mann_whitney(n, m)
    total = math.comb(n + m, n)
    left_out, below = 0, counts[0]
    while (below + counts[left_out + 1]) / total <= most:
        left_out += 1
        below += counts[left_out]
    return left_out, max(0.0, 1 - 2 * below / total)


def _mann_whitney(n: int, m: int) -> list[int]:
    """How many of all orders of ``n`` and ``m`` samples have 0, 1, … ``n*m`` pairs in which the first is larger."""
    counts = [1]
    for number in range(1, n + 1):  # the Gaussian binomial coefficient, a factor (1 - q^(m+k)) / (1 - q^k) at a time
        product = [0] * (len(counts) + m + number)
        for power, count in enumerate(counts):
            product[power] += count
            product[power + m + number] -= count
        for power in range(number, len(product)):
            product[power] += product[power - number]
        counts = product[: number * m + 1]
    return counts


def worse(samples: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, seed: int = 1) -> dict[str, float]:
    """For each quantity (base, head) the chance to see one as much larger by noise alone, of all of them together.

    The samples of a quantity are positive and in the order of the runs; each quantity has the same number of each side.
    An empty answer where there is nothing to compare. More than some hundred exchanges are drawn, from ``seed``.
    """
    pooled = {name: [math.log(value) for value in (*base, *head)] for name, (base, head) in samples.items()}
    sizes = {(len(base), len(head)) for base, head in samples.values()}
    if not pooled:
        return {}
    if len(sizes) != 1:
        raise ValueError("every quantity needs a sample of each run")
    (n, m) = sizes.pop()
    seen = {name: _excess(logs, range(n, n + m)) for name, logs in pooled.items()}
    largest = [max(_excess(logs, heads) for logs in pooled.values()) for heads in _exchanges(n, m, seed)]
    tiny = 1e-12  # the same numbers in another order
    return {name: sum(one >= value - tiny for one in largest) / len(largest) for name, value in seen.items()}


def _exchanges(n: int, m: int, seed: int) -> Iterator[Sequence[int]]:
    """The runs that are called the head's: in every possible way, or as it was and some hundred ways drawn."""
    if math.comb(n + m, m) <= _MOST_EXCHANGES:
        yield from itertools.combinations(range(n + m), m)
        return
    draw = random.Random(seed)
    yield range(n, n + m)
    for _ in range(_MOST_EXCHANGES - 1):
        yield draw.sample(range(n + m), m)


def _excess(logs: Sequence[float], heads: Sequence[int]) -> float:
    """The Hodges-Lehmann estimate of a shift between logarithms."""
    mine = [logs[at] for at in heads]
    rest = [value for at, value in enumerate(logs) if at not in heads]
    found = sorted([one - other for one in mine for other in rest])
    middle = len(found) // 2
    return found[middle] if len(found) % 2 else (found[middle - 1] + found[middle]) / 2


def needed_runs(alpha: float) -> int:
    """How many runs of each side it takes before anything can be called worse."""
    return next(number for number in itertools.count(1) if 1 / math.comb(2 * number, number) <= alpha)
