# SPDX-License-Identifier: GPL-2.0-only
"""Line charts as inline SVG, made here: a library would bring a script or a renderer for what are some paths.

Each line has a colour and a dash pattern of its own, and its name at its end in the legend: colour alone says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDE, _TALL = 720.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 12.0, 42.0, 26.0
_MOST = 400  # points of a line that are drawn
_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line: (x, y) in order of x; ``bad`` are the indexes of points that are ringed (a run that failed)."""

    name: str
    points: Sequence[tuple[float, float]]
    bad: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart: ``unit`` of y, words at both ends of x, ``dots`` where each point is a thing of its own."""

    title: str
    unit: str
    lines: Sequence[Line]
    ends: tuple[str, str] = ("", "")
    dots: bool = False


def svg(chart: Chart) -> Markup:
    """The chart, or nothing where no line has two points."""
    lines = [line for line in chart.lines if len(line.points) > 1][:_LINES]
    if not lines:
        return Markup("")
    xs = [x for line in lines for x, _ in line.points]
    low, high = min(xs), max(xs)
    step, top = _scale(max(y for line in lines for _, y in line.points))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - low) / ((high - low) or 1.0)
        return (
            _LEFT + across * (_WIDE - _LEFT - _RIGHT),
            _TALL - _BOTTOM - min(max(y, 0.0) / top, 1.0) * (_TALL - _TOP - _BOTTOM),
        )

    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDE:g} {_TALL:g}" role="img"><title>{escape(chart.title)}</title>',
        f'<text class="t" x="{_LEFT:g}" y="14">{escape(chart.title)}</text>',
        *_axis(step, top, chart.unit),
        *_legend(lines),
    ]
    for words, x, anchor in ((chart.ends[0], _LEFT, "start"), (chart.ends[1], _WIDE - _RIGHT, "end")):
        parts.append(f'<text x="{x:g}" y="{_TALL - 8:g}" text-anchor="{anchor}">{escape(words)}</text>')
    for number, line in enumerate(lines):
        placed = [place(x, y) for x, y in thinned(line.points)]
        path = " ".join(f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(placed))
        parts.append(f'<path class="c{number}" d="{path}"/>')
        if chart.dots and len(line.points) <= _MOST:
            parts += [f'<circle class="c{number}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in placed]
            ringed = [placed[index] for index in sorted(line.bad) if index < len(placed)]
            parts += [f'<circle class="worse" cx="{x:.1f}" cy="{y:.1f}" r="5"/>' for x, y in ringed]
    return Markup("".join([*parts, "</svg>"]))


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most about :data:`_MOST` points: of each stretch its lowest and its highest, in order, so no peak is lost."""
    if len(points) <= _MOST:
        return list(points)
    size = math.ceil(2 * len(points) / _MOST)
    found = [points[0]]
    for begin in range(0, len(points), size):
        some = points[begin : begin + size]
        found += sorted({min(some, key=lambda one: one[1]), max(some, key=lambda one: one[1])})
    return [*found, points[-1]]


def _scale(largest: float) -> tuple[float, float]:
    """The distance of the lines across, and the upper end of the axis: both round."""
    largest = largest if largest > 0 and math.isfinite(largest) else 1.0
    power = 10.0 ** math.floor(math.log10(largest / 4))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power * 4 >= largest * 0.999)
    return step, step * max(1, math.ceil(largest / step - 1e-9))


def _axis(step: float, top: float, unit: str) -> list[str]:
    found = []
    for number in range(round(top / step) + 1):
        y = _TALL - _BOTTOM - number * step / top * (_TALL - _TOP - _BOTTOM)
        found.append(f'<line class="axis" x1="{_LEFT:g}" x2="{_WIDE - _RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}"/>')
        found.append(f'<text x="{_LEFT - 6:g}" y="{y + 4:.1f}" text-anchor="end">{number * step:g}</text>')
    return [*found, f'<text x="6" y="14">{escape(unit)}</text>']


def _legend(lines: Sequence[Line]) -> list[str]:
    if len(lines) < 2:
        return []
    found, x = [], _LEFT
    for number, line in enumerate(lines):
        found.append(f'<path class="c{number}" d="M{x:.0f} 25 H{x + 24:.0f}"/>')
        found.append(f'<text x="{x + 29:.0f}" y="29">{escape(line.name[:30])}</text>')
        x += 48.0 + 6.4 * len(line.name[:30])
    return found
