# SPDX-License-Identifier: GPL-2.0-only
"""A topology as a picture: windows above, what they reach below them, regions under the devices that they use.

Written by hand rather than by a drawing library: one self-contained file, no script, no link, no font but the
viewer's, its colours following the viewer's light or dark theme.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from harness.display import many
from harness.topology.model import Region, Topology
from harness.topology.tree import Part, bridges, device_detail, interleave

_COLUMN = 184
_BOX = 164
_TALL = 46
_SMALL = 26
_GAP = 34
_MARGIN = 24
_LANE = 34
_LETTER, _SMALL_LETTER = 8.0, 6.2  # how wide letters are at most, on average

_FONT = "13px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"
# selector → declarations with (light, dark) colours; plain rules, as not every viewer knows CSS variables
_RULES = {
    ".paper": ("fill: {}", "#ffffff", "#14181e"),
    "text": ("fill: {}", "#1c2430", "#e7ebf0"),
    ".soft": ("fill: {}; font-size: 11px", "#566170", "#aab4c1"),
    ".dot": ("fill: {}", "#1c2430", "#e7ebf0"),
    ".part": ("stroke: {}", "#c3cad4", "#3c4653"),
    ".way": ("fill: none; stroke-width: 1.5; stroke: {}", "#8d98a8", "#76828f"),
    ".cpu-node": ("fill: {}", "#eef1f5", "#232a33"),
    ".host-bridge": ("fill: {}", "#dfe9fb", "#1f3152"),
    ".root-port": ("fill: {}", "#f6f7f9", "#1d232b"),
    ".downstream-port": ("fill: {}", "#f6f7f9", "#1d232b"),
    ".switch": ("fill: {}", "#efe4fb", "#37264c"),
    ".device": ("fill: {}", "#def3e4", "#1d3d2a"),
    ".window": ("fill: {}", "#fdf0d5", "#47391a"),
    ".region": ("fill: {}", "#fbe0e0", "#4c2528"),
}


@dataclass(slots=True)
class _Canvas:
    """The picture so far: lines first, so that boxes cover their ends; and where each part's box is."""

    ways: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)
    places: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    height: float = 0.0

    def box(self, kind: str, name: str, lines: tuple[str, ...], middle: float, top: float, width: float) -> None:
        """A box of a part with its name and small lines under it; remembered by the name."""
        tall = _SMALL if not lines else _TALL + 14 * (len(lines) - 1)
        left = middle - width / 2
        self.boxes.append(
            f'<rect class="part {kind.lower().replace(" ", "-")}" x="{left:g}" y="{top:g}" width="{width:g}"'
            f' height="{tall:g}" rx="6"/>'
        )
        self.text(_fit(name if kind.endswith("port") else f"{kind} {name}", width), middle, top + 18, "name")
        for index, line in enumerate(lines):
            self.text(line, middle, top + 35 + 14 * index, "soft")
        self.places[f"{kind} {name}"] = (middle, top, top + tall)
        self.height = max(self.height, top + tall)

    def text(self, words: str, x: float, y: float, kind: str, anchor: str = "middle") -> None:
        """One line of text."""
        self.boxes.append(f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>')

    def way(self, start: tuple[float, float], end: tuple[float, float], kind: str = "way") -> None:
        """A connection with one bend halfway down."""
        half = (start[1] + end[1]) / 2
        self.ways.append(
            f'<path class="{kind}" d="M{start[0]:g} {start[1]:g} V{half:g} H{end[0]:g} V{end[1]:g}"/>'
        )  # fmt: skip


def draw_svg(topology: Topology) -> str:
    """The picture as the text of an SVG file."""
    canvas = _Canvas()
    roots = bridges(topology)
    columns = max(sum(part.leaves() for part in roots), len(topology.cpu_nodes), len(topology.windows), 2)
    width = 2 * _MARGIN + columns * _COLUMN
    canvas.text(topology.name, _MARGIN, _MARGIN + 12, "title", "start")
    top = float(_MARGIN + 30)
    for line in textwrap.wrap(topology.title, int((width - 2 * _MARGIN) / _SMALL_LETTER)):
        canvas.text(line, _MARGIN, top, "soft", "start")
        top += 15
    top = _cpu_nodes(canvas, topology, top, width)
    _bridges(canvas, topology, roots, top + (_TALL + 2 * _GAP if topology.windows else 0), width)
    _windows(canvas, topology, top, width)
    _regions(canvas, topology)
    height = canvas.height + _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
        f' height="{height:g}" role="img" aria-labelledby="t">'
    )
    title = f'<title id="t">{escape(topology.name)}: {escape(topology.title)}</title>'
    paper = f'<rect class="paper" width="{width:g}" height="{height:g}"/>'
    return "\n".join([head, title, f"<style>{_style()}</style>", paper, *canvas.ways, *canvas.boxes, "</svg>"]) + "\n"


def _fit(words: str, width: float) -> str:
    """The words, or as many letters of them as fit a box."""
    room = int((width - 12) / _LETTER)
    return words if len(words) <= room else f"{words[: room - 1]}…"


def _style() -> str:
    def rules(theme: int) -> str:
        return " ".join(f"{selector} {{ {rule[0].format(rule[theme])} }}" for selector, rule in _RULES.items())

    common = f"svg {{ font: {_FONT} }} .name {{ font-weight: 600 }} .title {{ font-size: 16px; font-weight: 600 }}"
    dashes = ".dashed { stroke-dasharray: 4 4 }"
    return f"{common} {dashes}\n{rules(1)}\n@media (prefers-color-scheme: dark) {{ {rules(2)} }}"


def _spread(count: int, index: int, width: float) -> tuple[float, float]:
    """Middle and width of one of ``count`` equal boxes in a row over the whole picture."""
    each = (width - 2 * _MARGIN) / count
    return _MARGIN + each * (index + 0.5), min(each - 12, 2.5 * _BOX)


def _cpu_nodes(canvas: _Canvas, topology: Topology, top: float, width: float) -> float:
    for number, node in enumerate(topology.cpu_nodes):
        middle, wide = _spread(len(topology.cpu_nodes), number, width)
        detail = f"{many(node.cpus, 'CPU')}, {node.memory_mib} MiB"
        canvas.box("CPU node", str(number), (detail,), middle, top, wide)
    return top + _TALL + _GAP


def _windows(canvas: _Canvas, topology: Topology, top: float, width: float) -> None:
    """The row of windows, and from each a dashed way to each target with its position."""
    for number, window in enumerate(topology.windows):
        middle, wide = _spread(len(topology.windows), number, width)
        detail = [f"{window.size_mib} MiB", interleave(len(window.targets), window.granularity)]
        canvas.box("window", str(number), (", ".join(filter(None, detail)),), middle, top, wide)
        for position, target in enumerate(window.targets):
            x, y, _ = canvas.places[f"host bridge {target}"]
            sharing = [index for index, other in enumerate(topology.windows) if target in other.targets]
            shift = (sharing.index(number) - (len(sharing) - 1) / 2) * 24
            start = middle + (position - (len(window.targets) - 1) / 2) * 24
            canvas.way((start, top + _TALL), (x + shift, y), "way dashed")
            if len(window.targets) > 1:
                canvas.text(str(position), x + shift + 8, y - 6, "soft")


def _bridges(canvas: _Canvas, topology: Topology, roots: tuple[Part, ...], top: float, width: float) -> None:
    """The trees below the host bridges: leaves get a column each, what is above stands over their middle."""
    depth = max((_depth(part) for part in roots), default=0)
    left = (width - sum(part.leaves() for part in roots) * _COLUMN) / 2
    for part in roots:
        _subtree(canvas, topology, part, left, top, depth)
        left += part.leaves() * _COLUMN


def _subtree(canvas: _Canvas, topology: Topology, part: Part, left: float, top: float, levels: int) -> None:
    middle = left + part.leaves() * _COLUMN / 2
    small = part.kind.endswith("port")
    if part.kind == "device":
        device = topology.device(part.name)
        lines = (*device_detail(device).split(" + "), f"serial {device.serial:#x}")
    else:
        lines = () if small or not part.detail else (part.detail,)
    name = f"{part.name} · {part.detail}" if small else part.name
    canvas.box(part.kind, name, lines, middle, top, _BOX)
    bottom = canvas.places[f"{part.kind} {name}"][2]
    for below in part.below:
        # devices stand in one row, however deep they hang: regions are drawn under them
        skipped = levels - 2 if below.kind == "device" else 0
        next_top = top + (1 + max(0, skipped)) * (_TALL + _GAP)
        x = left + below.leaves() * _COLUMN / 2
        canvas.way((middle, bottom), (x, next_top))
        _subtree(canvas, topology, below, left, next_top, levels - 1)
        left += below.leaves() * _COLUMN


def _depth(part: Part) -> int:
    return 1 + max((_depth(below) for below in part.below), default=0)


def _regions(canvas: _Canvas, topology: Topology) -> None:
    """A bar for each region under its devices, with a dot and the position where it uses one; no two overlap."""
    lanes: list[list[tuple[float, float]]] = []
    floor = canvas.height + 18
    for number, region in enumerate(topology.regions):
        middles = [canvas.places[f"device {name}"][0] for name in region.devices]
        start, end = min(middles) - _BOX / 2, max(middles) + _BOX / 2
        free = (lane for lane in lanes if all(end < taken[0] or start > taken[1] for taken in lane))
        lane = next(free, None)
        if lane is None:
            lane = []
            lanes.append(lane)
        lane.append((start, end))
        _region(canvas, number, region, middles, floor + lanes.index(lane) * _LANE)


def _region(canvas: _Canvas, number: int, region: Region, middles: list[float], top: float) -> None:
    start, end = min(middles) - _BOX / 2, max(middles) + _BOX / 2
    canvas.boxes.append(
        f'<rect class="part region" x="{start:g}" y="{top:g}" width="{end - start:g}" height="26" rx="13"/>'
    )
    words = [f"region {number}: {region.type} {region.size_mib} MiB", interleave(region.ways, region.granularity)]
    canvas.text(", ".join(filter(None, words)), (start + end) / 2, top + 17, "soft")
    if region.ways > 1:
        for position, x in enumerate(middles):
            canvas.boxes.append(f'<circle class="dot" cx="{x:g}" cy="{top:g}" r="3"/>')
            canvas.text(str(position), x + 9, top - 4, "soft")
    canvas.height = max(canvas.height, top + 26)
