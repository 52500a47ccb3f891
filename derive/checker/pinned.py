"""Bound indices of a sum that count at few places only, so that the others need not be gone through: there every term is 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Node = Any


def by_deltas(indices: list[Node], body: Node) -> dict[str, str]:
    """The bound indices that a delta, or a derivative by an entry, ties to another index in each term, with that: one that goes free."""
    bound = {index[1] for index in indices}
    ties = [pair for factor in (body[1] if body[0] == "mul" else [body]) for pair in _tied(factor) if pair[0][0] == pair[1][0] == "idx"]
    ends = [(one[1], other[1]) for pair in ties for one, other in (pair, pair[::-1]) if one[1] in bound and one[1] != other[1]]
    found: dict[str, str] = {}
    for outside in (True, False):
        for one, other in ends:
            if (other not in bound) == outside and not {one, other} & found.keys() and one not in found.values():
                found[one] = other
    return found


def _tied(factor: Node) -> list[tuple[Node, Node]]:
    """The indices that have to be equal for a factor not to be 0."""
    if factor[0] == "delta":
        return [(factor[1], factor[2])]
    if factor[0] != "diff" or _readings(factor[1], set(factor[3])) or factor[2][1] in factor[3]:
        return []
    readings = _readings(factor[1], {factor[2][1]})
    if not readings or _unsmooth(factor[1]):
        return []
    return [(index, at) for n, (index, at) in enumerate(zip(readings[0][2], factor[2][2])) if all(r[2][n] == index for r in readings)]


def _readings(body: Node, names: set[str]) -> list[Node]:
    """Every reading of the named tensors."""
    found: list[Node] = []
    stack = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, list) and node:
            if node[0] == "ref" and node[1] in names:
                found.append(node)
            stack.extend(node)
    return found


def _unsmooth(body: Node) -> bool:
    """Whether there is a maximum or a function of a matrix, which may have no derivative even by what does not move."""
    return isinstance(body, list) and bool(body) and (body[0] in ("max", "matrixfn") or any(_unsmooth(part) for part in body))


def by_entry(
    indices: list[Node], body: Node, sources: set[str], tensors_in: Callable[[Node], Iterable[str]], depends: Callable[[str], bool]
) -> dict[str, list[int]]:
    """The bound indices that stand in every reading of what one entry moves, with the places of that entry which they stand in.

    A reading elsewhere than at the entry does not move, nor does a term without one. Nothing is said of a body in which tensors move
    by their definitions, or with a maximum, whose derivative there may be none of besides.
    """
    if _unsmooth(body) or any(depends(name) for name in tensors_in(body) if name not in sources):
        return {}
    readings = _readings(body, sources)
    found: dict[str, list[int]] = {}
    for index in indices:
        places = [[n for n, read in enumerate(reading[2]) if read == index] for reading in readings]
        if places and all(places):
            found[index[1]] = list(dict.fromkeys(each[0] for each in places))
    return found
