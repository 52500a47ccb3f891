"""How cost grows: time and memory against the length of attention and the size of a vocabulary, and deriving against depth."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import depth
from benchmarks.machine import equal_threads
from benchmarks.measure import one
from benchmarks.memory import peak
from benchmarks.plot import Panel, panels
from benchmarks.rows import Row, resized, rows

CONTESTANTS = ("ours NumPy", "ours torch", "eager", "plain")
LENGTHS = (512, 1024, 2048, 4096, 8192)
VOCABULARIES = (4096, 8192, 16384, 32768, 65536)
PLAIN_LENGTH = 4096
"""The longest sequence for which attention is composed of operators that store the square of it."""

Points = dict[str, dict[int, float]]
"""Contestant -> length -> seconds or megabytes."""


@dataclass(frozen=True)
class Growth:
    """What grows with what, and its points."""

    title: str
    axis: str
    unit: str
    points: Points


def slope(points: Mapping[int, float]) -> float:
    """The slope of the line through the larger half of the points, on logarithmic axes: 1 is linear, 2 a square."""
    kept = sorted(points.items())[len(points) // 2 - 1 if len(points) > 3 else 0 :]
    x, y = [math.log(a) for a, _ in kept], [math.log(max(b, 1e-9)) for _, b in kept]
    middle = statistics.mean(x)
    return sum((a - middle) * b for a, b in zip(x, y)) / sum((a - middle) ** 2 for a in x)


def measured(quick: bool = False) -> list[Growth]:
    """Every growth, smaller ones in a quick run."""
    equal_threads()
    large = {row.layer: row for row in reversed(rows("large"))}
    found = []
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        for layer, lengths, what, axis in (
            ("attention", LENGTHS, "attention, 4 heads of 64", "T, places"),
            ("linear_cross_entropy", VOCABULARIES, "linear + cross-entropy, 4096 x 128", "V, classes"),
        ):
            lengths = lengths[:3] if quick else lengths
            task = progress.add_task(what, total=2 * len(lengths))
            row = large[layer]
            seconds: Points = {}
            for length in lengths:
                timed = one(resized(row, length), _names(row, length), quick=True)
                for name in timed.seconds:
                    seconds.setdefault(name, {})[length] = timed.median(name)
                progress.advance(task)
            found.append(Growth(f"Time, {what}", axis, "s", seconds))
            megabytes: Points = {}
            for length in lengths:
                for name in _names(row, length):
                    held = peak(row.key, name, length)
                    if isinstance(held, float):
                        megabytes.setdefault(name, {})[length] = held
                progress.advance(task)
            found.append(Growth(f"Peak memory, {what}", axis, "MB", megabytes))
        progress.add_task("deriving transformers", total=None)
        depths = [blocks for blocks in depth.BLOCKS if blocks <= (4 if quick else 24)]
        depth.seconds([1], 1)
        found.append(Growth("Deriving all gradients of a transformer", "blocks", "s", {"ours": depth.seconds(depths, 1 if quick else 3)}))
    return found


def _names(row: Row, length: int) -> tuple[str, ...]:
    return CONTESTANTS if row.attends and length <= PLAIN_LENGTH else CONTESTANTS[:3]


def show(found: list[Growth], console: Console) -> None:
    """Print the points and the slopes."""
    for growth in found:
        printed = Table(title=f"{growth.title} ({growth.unit})", box=box.SIMPLE_HEAD, title_justify="left")
        printed.add_column(growth.axis)
        names = list(growth.points)
        for name in names:
            printed.add_column(name, justify="right")
        for length in dict.fromkeys(length for name in names for length in growth.points[name]):
            shown = [f"{growth.points[name][length]:.3g}" if length in growth.points[name] else "-" for name in names]
            printed.add_row(str(length), *shown)
        printed.add_row("slope", *(f"{slope(growth.points[name]):.2f}" if len(growth.points[name]) > 1 else "-" for name in names))
        console.print(printed)
    console.print("slope: of the larger half of the points, on logarithmic axes: 1 is linear, 2 a square")


def drawn(found: list[Growth]) -> str:
    """All of them as one SVG, a panel each; the legend gives the slopes."""
    drawings = []
    for growth in found:
        lines = {
            f"{name}, slope {slope(points):.1f}" if len(points) > 1 else name: points for name, points in growth.points.items() if points
        }
        drawings.append(Panel(growth.title, growth.axis, growth.unit, lines))
    return panels(drawings)
