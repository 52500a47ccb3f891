"""The computation graph of a layer: tensors in ranks from inputs down to outputs, values flowing down, gradients flowing up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from derive.indices import tensors_in
from derive.render.notation import Context
from derive.render.picture import Box, Curve, Item, Picture, Point, Text, shape_label, tensor_label

RANK = 86.0
"""From one rank to the next."""
HEIGHT = 26.0
GAP = 30.0
MARGIN = 14.0
TOP = 12.0
SMALL = 11.5


@dataclass
class _Place:
    """A tensor, or a bend of an edge that passes its rank (`name` is then empty)."""

    name: str
    width: float
    rank: int
    x: float = 0.0
    above: list["_Place"] = field(default_factory=list)
    below: list["_Place"] = field(default_factory=list)


def graph(derivation: Any, where: Context) -> Picture | None:
    """The graph of the author's equations, each edge with the shape of what flows along it; None where nothing is computed."""
    layer = derivation.layer
    uses = {e.target.tensor: tuple(dict.fromkeys(tensors_in(e.value))) for e in layer.equations}
    if not any(uses.values()):
        return None
    shapes = {t.name: t.dims[len(layer.batch) :] for t in layer.tensors}
    has_gradient = {p.name for p in derivation.lemmas} | set(derivation.upstream)
    coming = {name: len(sources) for name, sources in uses.items()}
    leaving = {name: sum(name in sources for sources in uses.values()) + (name in layer.outputs) for name in shapes}
    boxes = {name: _box(name, max(coming.get(name, 0), leaving[name]), where) for name in shapes}
    places, routes = _arranged(uses, {name: max(boxes[name], _labels(name, shapes[name], where)) for name in shapes})
    least = min(p.x - p.width / 2 for p in places) - MARGIN
    items: list[Item] = []
    labels: list[Item] = []
    for route in routes:
        source, target = route[0].name, route[-1].name
        both = f"{derivation.prefix}{source}" in has_gradient and f"{derivation.prefix}{target}" in has_gradient
        aside = 5.0 if both else 0.0
        outside = [math.inf] if source in layer.outputs else []
        start = route[0].x + _port([*(r[1].x for r in routes if r[0] is route[0]), *outside], route[1].x)
        end = route[-1].x + _port([r[-2].x for r in routes if r[-1] is route[-1]], route[-2].x)
        line = [start, *(p.x for p in route[1:-1]), end]
        points = [(x - least, _y(p.rank)) for x, p in zip(line, route)]
        down = _ends([(x - aside, y) for x, y in points])
        items.append(Curve(down, "forward"))
        siblings = [r[1].x for r in routes if r[0] is route[0]]
        # One label is enough for all edges that leave a tensor: they carry the same.
        if route[1].x == min(siblings):
            x, y = _near_start(down)
            labels.append(Text(x - 5, y, shape_label(shapes[source], where), "forward", "end", SMALL))
        if both:
            up = _ends([(x + aside, y) for x, y in reversed(points)])
            items.append(Curve(up, "gradient"))
            if route[1].x == max(siblings):
                x, y = _near_start(up[::-1])
                labels.append(Text(x + 5, y, tensor_label(f"{derivation.prefix}{source}", where), "gradient", "start", SMALL))
    for place in places:
        if place.name:
            x, y = place.x - least, _y(place.rank)
            wide = boxes[place.name]
            items.append(Box(x - wide / 2, y - HEIGHT / 2, wide, HEIGHT, "forward" if place.name in uses else "plain"))
            labels.append(Text(x, y, tensor_label(place.name, where), "plain"))
    height = _y(max(p.rank for p in places)) + HEIGHT / 2 + TOP
    for place in places:
        if place.name in layer.outputs:
            # What comes from outside: the gradient of each output, to the right of what leaves it.
            x = place.x - least + _port([*(r[1].x for r in routes if r[0] is place), math.inf], math.inf)
            y = _y(place.rank) + HEIGHT / 2
            name = f"{derivation.prefix}{place.name}"
            items.append(Curve(((x, y + 34), (x, y)), "gradient"))
            labels.append(Text(x + 6, y + 26, tensor_label(name, where), "gradient", "start", SMALL))
            height = max(height, y + 34 + TOP)
    width = max(p.x + p.width / 2 for p in places) - least + MARGIN
    words = "; ".join(f"{target} is computed from {', '.join(sources)}" for target, sources in uses.items() if sources)
    return Picture(width, height, (*items, *labels), words)


def _labels(name: str, dims: tuple[str, ...], where: Context) -> float:
    """The room for the labels of an edge below a tensor."""
    return shape_label(dims, where).width * 0.9 + tensor_label(f"d{name}", where).width + 26


def _box(name: str, edges: int, where: Context) -> float:
    return max(34.0, tensor_label(name, where).width + 18, 24.0 * edges)


def _port(others: list[float], mine: float) -> float:
    """Where on a box an edge ends: edges side by side in the order of their other ends."""
    return 24.0 * (sorted(others).index(mine) - (len(others) - 1) / 2)


def _y(rank: int) -> float:
    return TOP + HEIGHT / 2 + rank * RANK


def _ends(points: list[Point]) -> tuple[Point, ...]:
    """A route that starts and ends at the boxes' edges and not in their middle."""
    (x, y), (to_x, to_y) = points[0], points[-1]
    down = 1 if to_y > y else -1
    return ((x, y + down * HEIGHT / 2), *points[1:-1], (to_x, to_y - down * HEIGHT / 2))


def _near_start(points: tuple[Point, ...]) -> Point:
    """A point of a curve's first stretch where its label stands, near the tensor that it is the value or the gradient of."""
    (x, y), (to_x, to_y) = points[:2]
    t = 0.2
    across = 3 * t * t * (1 - t) + t**3  # the curve is vertical at both of its ends
    along = 1.5 * t * (1 - t) ** 2 + 1.5 * t * t * (1 - t) + t**3
    return x + (to_x - x) * across, y + (to_y - y) * along


# ---------------------------------------------------------------------------------------------------- layout


def _arranged(uses: dict[str, tuple[str, ...]], widths: dict[str, float]) -> tuple[list[_Place], list[list[_Place]]]:
    """Places in ranks, and for every edge the places it runs through.

    After Sugiyama, Tagawa and Toda (1981): ranks by longest path (an input as near to its first use as it can be), long edges cut
    at every rank, the order in a rank by the mean of the neighbours', then positions that move towards them.
    """
    ranks = _ranks(uses)
    places = {name: _Place(name, widths[name], rank) for name, rank in ranks.items()}
    every = list(places.values())
    routes: list[list[_Place]] = []
    for target, sources in uses.items():
        for source in sources:
            route = [places[source]]
            for rank in range(ranks[source] + 1, ranks[target]):
                route.append(_Place("", 34.0, rank))
                every.append(route[-1])
            route.append(places[target])
            for upper, lower in zip(route, route[1:]):
                upper.below.append(lower)
                lower.above.append(upper)
            routes.append(route)
    rows: list[list[_Place]] = [[] for _ in range(max(ranks.values()) + 1)]
    for place in every:
        rows[place.rank].append(place)
    for row in rows:
        _spread(row)
    for sweep in range(12):
        down = sweep % 2 == 0
        for row in rows if down else rows[::-1]:
            row.sort(key=lambda place: _mean(place, place.above if down else place.below))
            _spread(row)
    for sweep in range(24):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            _settle(row, [_mean(place, place.above + place.below) for place in row])
    return every, routes


def _ranks(uses: dict[str, tuple[str, ...]]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for target, sources in uses.items():
        for source in sources:
            ranks.setdefault(source, 0)
        ranks[target] = 1 + max((ranks[source] for source in sources), default=-1)
    for name in ranks:
        if name not in uses:
            ranks[name] = min(ranks[target] for target, sources in uses.items() if name in sources) - 1
    return ranks


def _mean(place: _Place, others: list[_Place]) -> float:
    return sum(other.x for other in others) / len(others) if others else place.x


def _spread(row: list[_Place]) -> None:
    """Side by side in the order of the row, the whole row centred."""
    at = 0.0
    for place in row:
        place.x = at + place.width / 2
        at += place.width + GAP
    for place in row:
        place.x -= (at - GAP) / 2


def _settle(row: list[_Place], wanted: list[float]) -> None:
    """Move each place of a row as near to where it is wanted as its neighbours let it.

    Places that would overlap form a block, which stands at the mean of what its members want (isotonic regression); an input
    gives way to what is computed.
    """
    offsets: list[float] = []
    at = 0.0
    for n, place in enumerate(row):
        at += (row[n - 1].width + place.width) / 2 + GAP if n else 0.0
        offsets.append(at)
    blocks: list[tuple[float, float, int]] = []
    for place, want, offset in zip(row, wanted, offsets):
        blocks.append((want - offset, 1.0 if place.name and not place.above else 4.0, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (left, heavy, many), (right, other, more) = blocks[-2:]
            blocks[-2:] = [((left * heavy + right * other) / (heavy + other), heavy + other, many + more)]
    starts = [start for start, _, many in blocks for _ in range(many)]
    for place, start, offset in zip(row, starts, offsets):
        place.x = start + offset
