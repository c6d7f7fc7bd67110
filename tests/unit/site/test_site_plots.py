# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from xml.etree import ElementTree as Xml

import pytest

from harness.site.plots import Chart, Line, svg, thinned


def drawn(*lines: Line, **more: object) -> Xml.Element:
    chart = Chart(title="a <title>", unit="s & more", lines=lines, ends=("first", "<last>"), **more)  # type: ignore[arg-type]
    return Xml.fromstring(svg(chart))


def test_a_chart_is_well_formed_and_within_its_box() -> None:
    points = [(1000.0 + n, float(n * n)) for n in range(20)]
    root = drawn(Line(name="a", points=points, bad=frozenset({3, 99})), Line(name="b", points=points[::2]), dots=True)
    texts = [one.text for one in root.iter("text")]
    assert {"a <title>", "s & more", "first", "<last>", "a", "b", "0", "400"} <= set(texts)
    circles = list(root.iter("circle"))
    assert len([one for one in circles if one.get("class") == "worse"]) == 1
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert all(0 <= float(one.attrib["cx"]) <= width and 0 <= float(one.attrib["cy"]) <= height for one in circles)


@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0, 5.0], [1e-9, 1e12], [-1.0, 2.0], [0.1, 0.3]])
def test_any_values_have_an_axis(values: list[float]) -> None:
    root = drawn(Line(name="", points=list(enumerate(values))))
    assert 2 <= len(list(root.iter("line"))) <= 6


def test_too_little_is_no_chart() -> None:
    assert svg(Chart(title="x", unit="s", lines=[])) == ""
    assert svg(Chart(title="x", unit="s", lines=[Line(name="a", points=[(1.0, 2.0)])])) == ""


def test_thinning_keeps_every_peak_and_both_ends() -> None:
    points = [(float(n), 1.0) for n in range(100_000)]
    points[77_777] = (77_777.0, 50.0)
    points[123] = (123.0, 0.0)
    found = thinned(points)
    assert len(found) < 500 and found == sorted(found)
    assert {points[0], points[123], points[77_777], points[-1]} <= set(found)
