"""Drawings as SVG, written out here: logarithmic panels and bars that read the same on a light page and on a dark one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.measure import Result

COLOURS = ("#2f7ed8", "#e4701e", "#8a8f98", "#b04fc4")
"""One for each contestant, in order; they stand out from white and from black."""
STYLE = """<style>
text { font: 11px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.grid { stroke: #d0d7de; stroke-width: 1; fill: none }
.line { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .grid { stroke: #3d444d } }
</style>"""
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 420, 290, 58, 30, 26, 38


@dataclass(frozen=True)
class Panel:
    """Lines by name, each a mapping from x to y; both axes are logarithmic."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Mapping[int, float]]


def panels(drawings: Iterable[Panel], columns: int = 2) -> str:
    """The panels in rows of so many, as one SVG."""
    drawings = list(drawings)
    rows = -(-len(drawings) // columns)
    parts = [_head(columns * WIDTH, rows * HEIGHT, "; ".join(panel.title for panel in drawings))]
    for n, panel in enumerate(drawings):
        parts.append(f'<g transform="translate({n % columns * WIDTH} {n // columns * HEIGHT})">')
        parts += _panel(panel)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _head(width: int, height: int, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">\n'
        f"<title>{escape(title)}</title>\n{STYLE}"
    )


def _panel(panel: Panel) -> list[str]:
    points = [(x, y) for line in panel.lines.values() for x, y in line.items() if y > 0]
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = _around([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / low_x) / (math.log(high_x / low_x) or 1)
        up = math.log(max(y, low_y) / low_y) / math.log(high_y / low_y)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, 16, panel.title, "title")]
    for x in sorted({x for x, _ in points}):
        across, _ = place(x, low_y)
        parts.append(f'<path class="grid" d="M{across:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(_text(across, HEIGHT - BOTTOM + 14, str(x), anchor="middle"))
    exponent = round(math.log10(low_y))
    while 10.0**exponent <= high_y * 1.0001:
        _, up = place(low_x, 10.0**exponent)
        parts.append(f'<path class="grid" d="M{LEFT} {up:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 5, up + 4, f"{10.0**exponent:g} {panel.y}", anchor="end"))
        exponent += 1
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, panel.x, anchor="middle"))
    for n, (name, line) in enumerate(panel.lines.items()):
        colour = COLOURS[n % len(COLOURS)]
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in (place(x, y) for x, y in sorted(line.items())))
        parts.append(f'<path class="line" stroke="{colour}" d="M{path}"/>')
        for x, y in sorted(line.items()):
            a, b = place(x, y)
            parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>')
        parts.append(f'<rect x="{LEFT + 8}" y="{TOP + 6 + 15 * n}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(LEFT + 23, TOP + 15 + 15 * n, name))
    return parts


def _around(values: list[float]) -> tuple[float, float]:
    """Powers of ten around the values."""
    low, high = 10.0 ** math.floor(math.log10(min(values))), 10.0 ** math.ceil(math.log10(max(values)))
    return low, max(high, 10 * low)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'


def bars(results: Iterable[Result], theirs: str = "eager") -> str:
    """How many times as fast as eager each kernel of ours is, a bar each; the scale is logarithmic and 1 is marked."""
    ours = ("ours NumPy", "ours torch")
    kept = [result for result in results if theirs in result.seconds and any(name in result.seconds for name in ours)]
    ratios = [(r.row.key, [(name, r.ratio(name, theirs)) for name in ours if name in r.seconds]) for r in kept]
    left, width, step, top = 190, 800, 32, 44
    every = [ratio for _, found in ratios for _, ratio in found] or [1.0]
    low, high = min(0.5, *every), max(2.0, *every)
    height = top + step * len(ratios) + 20

    def place(ratio: float) -> float:
        return left + (width - left - 60) * math.log(ratio / low) / math.log(high / low)

    parts = [_head(width, height, f"Times as fast as {theirs}"), _text(left, 18, f"Times as fast as torch's {theirs} operators", "title")]
    for n, name in enumerate(ours):
        parts.append(f'<rect x="{left + 290 + 110 * n}" y="9" width="10" height="10" fill="{COLOURS[n]}"/>')
        parts.append(_text(left + 305 + 110 * n, 18, name))
    for n, (key, found) in enumerate(ratios):
        y = top + step * n
        parts.append(_text(left - 8, y + 14, key, anchor="end"))
        for k, (name, ratio) in enumerate(found):
            start, end = sorted((place(1.0), place(ratio)))
            at = y + 11 * k
            parts.append(
                f'<rect x="{start:.1f}" y="{at}" width="{max(end - start, 1):.1f}" height="10" fill="{COLOURS[ours.index(name)]}"/>'
            )
            parts.append(_text(end + 4, at + 9, f"{ratio:.2f}"))
    parts.append(f'<path class="grid" d="M{place(1.0):.1f} {top - 8}V{height - 16}"/>')
    parts.append(_text(place(1.0), top - 12, "1", anchor="middle"))
    return "\n".join([*parts, "</svg>", ""])
