# SPDX-License-Identifier: GPL-2.0-only
"""Noise is not told as a regression, and a regression is found: counted over many drawn gates."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from harness.gate.report import BOOT_TIME, measured, repeats_needed
from harness.gate.shift import ALPHA, _mann_whitney, needed_runs, shift, worse

Samples = dict[str, tuple[list[float], list[float]]]

GATES = 150
CASES = 12


def gate(draw: random.Random, *, runs: int, noise: float, slower: float = 1.0) -> Samples:
    """Durations of cases on both sides; a busy machine slows a whole run; the first case is slower on the head."""
    sides: list[list[list[float]]] = []
    for side in range(2):
        of_runs = []
        for _ in range(runs):
            busy = math.exp(draw.gauss(0, noise / 2))
            of_runs.append([
                busy * (1 + case) * math.exp(draw.gauss(0, noise)) * (slower if side and case == 0 else 1)
                for case in range(CASES)
            ])  # fmt: skip
        sides.append(of_runs)
    return {f"s/t:{case}": ([r[case] for r in sides[0]], [r[case] for r in sides[1]]) for case in range(CASES)}


def alarms(runs: int, noise: float) -> float:
    draw = random.Random(f"{runs} {noise}")
    return sum(min(worse(gate(draw, runs=runs, noise=noise)).values()) <= ALPHA for _ in range(GATES)) / GATES


def beyond_chance(rate: float) -> float:
    """More alarms than this of GATES are no chance (four standard deviations)."""
    return rate + 4 * math.sqrt(rate * (1 - rate) / GATES)


@pytest.mark.parametrize(("runs", "noise"), [(3, 0.1), (4, 0.1), (4, 0.5), (5, 0.3)])
def test_two_equal_kernels_are_called_different_no_more_often_than_promised(runs: int, noise: float) -> None:
    assert alarms(runs, noise) <= beyond_chance(ALPHA)


def test_judging_each_case_by_itself_would_not_keep_that_promise() -> None:
    draw = random.Random(1)
    found = 0
    for _ in range(GATES):
        samples = gate(draw, runs=4, noise=0.3)
        found += min(worse({name: pair})[name] for name, pair in samples.items()) <= ALPHA
    assert found / GATES > beyond_chance(ALPHA)


@pytest.mark.parametrize("runs", [4, 5])
def test_thirty_per_cent_are_found_and_only_the_case_that_has_them(runs: int) -> None:
    draw = random.Random(7)
    right = wrong = 0
    for _ in range(60):
        chances = worse(gate(draw, runs=runs, noise=0.04, slower=1.3))
        right += chances["s/t:0"] <= ALPHA
        wrong += any(chance <= ALPHA for name, chance in chances.items() if name != "s/t:0")
    assert right >= 57
    assert wrong <= 6


def test_a_whole_gate_calls_equal_kernels_different_no_more_often_than_promised() -> None:
    draw = random.Random(11)
    found = 0
    for _ in range(GATES):
        cases = gate(draw, runs=4, noise=0.4)
        boot = tuple([2 * math.exp(draw.gauss(0, 0.4)) for _ in range(4)] for _ in range(2))
        memory = tuple([200 * math.exp(draw.gauss(0, 0.1)) for _ in range(4)] for _ in range(2))
        found += any(one.worse for one in measured((boot[0], boot[1]), (memory[0], memory[1]), cases))
    assert found / GATES <= beyond_chance(ALPHA)


def test_a_difference_that_is_sure_and_small_is_no_reason() -> None:
    (boot,) = measured(([2.0, 2.01, 2.0, 2.02], [2.1, 2.11, 2.1, 2.12]), ([], []), {})
    assert boot.chance < 0.02 and boot.low > 1 and not boot.worse
    (boot,) = measured(([2.0, 2.01, 2.0, 2.02], [2.6, 2.61, 2.6, 2.62]), ([], []), {})
    assert boot.name == BOOT_TIME and boot.worse


def test_faster_is_no_reason() -> None:
    (boot,) = measured(([2.6, 2.61, 2.6, 2.62], [2.0, 2.01, 2.0, 2.02]), ([], []), {})
    assert boot.ratio < 0.8 and not boot.worse


def test_too_few_runs_say_nothing_however_large_the_difference() -> None:
    (boot,) = measured(([1.0, 1.0, 1.0], [9.0, 9.0, 9.0]), ([], []), {})
    assert not boot.worse
    assert repeats_needed() == 4 and needed_runs(ALPHA) == 3


def test_the_exact_distribution_is_that_of_counting_all_orders() -> None:
    for n, m in ((1, 1), (2, 3), (3, 3), (4, 2)):
        counts = [0] * (n * m + 1)
        for chosen in itertools.combinations(range(n + m), n):
            rest = [at for at in range(n + m) if at not in chosen]
            counts[sum(one > other for one in chosen for other in rest)] += 1
        assert _mann_whitney(n, m) == counts


@pytest.mark.parametrize("runs", [3, 4, 5, 8])
def test_the_interval_holds_the_true_ratio_as_often_as_it_says(runs: int) -> None:
    draw = random.Random(runs)
    held, confidence = 0, 0.0
    for _ in range(1000):
        base = [math.exp(draw.gauss(0, 0.3)) for _ in range(runs)]
        head = [1.3 * math.exp(draw.gauss(0, 0.3)) for _ in range(runs)]
        found = shift(base, head)
        held += found.low <= 1.3 <= found.high
        confidence = found.confidence
    assert held / 1000 >= confidence - 4 * math.sqrt(confidence * (1 - confidence) / 1000)
    assert confidence == pytest.approx({3: 0.9, 4: 0.971, 5: 0.968, 8: 0.950}[runs], abs=0.001)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        shift([0.0], [1.0])
    with pytest.raises(ValueError, match="each run"):
        worse({"a": ([1.0], [1.0]), "b": ([1.0, 2.0], [1.0])})
    assert worse({}) == {}
