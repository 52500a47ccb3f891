"""Whether definitions that mention one another in a circle determine their tensors: recurrences along one axis.

They do where every tensor of a circle has one axis that all of them walk the same way: each reading stands there at the walked
index plus a fixed whole number, never of both signs, and the readings at the walked index itself make no circle. Then every
entry rests on entries nearer to one end of the axis, beyond which all are 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

Node = Any


def circles(mentions: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The names that rest on themselves, those that rest on one another together."""
    behind: dict[str, set[str]] = {name: {other for other in others if other in mentions} for name, others in mentions.items()}
    changed = True
    while changed:
        changed = False
        for others in behind.values():
            more = set().union(*(behind[other] for other in others)) - others
            if more:
                others |= more
                changed = True
    found: list[list[str]] = []
    for name in behind:
        if name in behind[name] and not any(name in circle for circle in found):
            found.append([other for other in behind if other in behind[name] and name in behind[other]])
    return found


def determined(equations: Mapping[str, Node]) -> bool:
    """Whether the equations of one circle determine their targets."""
    first = next(iter(equations))
    return any(_walks(equations, first, axis) for axis in range(len(equations[first]["target"][2])))


def _walks(equations: Mapping[str, Node], first: str, axis: int) -> bool:
    """Whether all walk one way along the axes that follow from one of the first's."""
    axes = {first: axis}
    here: dict[str, list[str]] = {name: [] for name in equations}
    signs = set()
    waiting = [first]
    while waiting:
        name = waiting.pop()
        walked = equations[name]["target"][2][axes[name]]
        for ref in _readings(equations[name]["value"], set(equations)):
            found = [_steps(index, walked) for index in ref[2]]
            if ref[1] not in axes:
                places = [n for n, steps in enumerate(found) if steps is not None]
                if not places:
                    return False
                axes[ref[1]] = places[0]
                waiting.append(ref[1])
            steps = found[axes[ref[1]]]
            if steps is None:
                return False
            if steps:
                signs.add(steps > 0)
            else:
                here[name].append(ref[1])
    return len(signs) == 1 and not circles(here)


def _readings(node: Node, names: set[str]) -> list[Node]:
    """Every entry of the named tensors, wherever it stands."""
    if not isinstance(node, list) or not node:
        return []
    found = [node] if node[0] == "ref" and node[1] in names else []
    for part in node:
        found += _readings(part, names)
    return found


def _steps(index: Node, walked: Node) -> int | None:
    """How far an index stands from the walked one; None where that is not one number."""
    if index == walked:
        return 0
    if index[0] != "affine" or index[2] != walked[2]:
        return None
    parts = index[1][1] if index[1][0] == "add" else [index[1]]
    rest = [part for part in parts if part != ["position", walked]]
    if len(rest) != len(parts) - 1 or any(part[0] != "num" for part in rest):
        return None
    total = sum((Fraction(part[1]) for part in rest), Fraction(0))
    return int(total) if total.denominator == 1 else None
