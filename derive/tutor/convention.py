"""The summation convention: an index that stands twice in a term, and not on the left, is summed there.

It is how a formula is read that has an index to sum and writes no sum at all; where one sum is written, one that is missing is a
mistake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace

from derive.tutor.tree import Node, walk

PRODUCT = ("times", "product", "divide", "negative")


def writes_sums(node: Node) -> bool:
    """Whether a formula has a sum of its own, over an index or an axis."""
    return any(part.kind in ("over", "reduce", "einsum") for part in walk(node))


def repeated(node: Node, left: Collection[str]) -> tuple[Node, tuple[str, ...]]:
    """The formula with its sums written, and the indices they run over: those not in `left` that stand twice in a term.

    The sum stands around the smallest product that has every factor with that index.
    """
    found: dict[str, None] = {}

    def visit(part: Node, bound: frozenset[str]) -> Node:
        if part.kind == "entry":
            here = [name for name, count in Counter(_indices(part)).items() if count > 1 and name not in bound]
            return over(here, part)
        if part.kind not in PRODUCT:
            return replace(part, parts=tuple(visit(inner, bound) for inner in part.parts))
        factors = _factors(part)
        counts = Counter(name for factor in factors for name in {*_named(factor)} - bound)
        here = sorted((name for name, count in counts.items() if count > 1), key=[n for f in factors for n in _named(f)].index)
        inside = bound | {*here}
        return over(here, _rebuilt(part, lambda factor: visit(factor, inside)))

    def over(names: list[str], part: Node) -> Node:
        found.update(dict.fromkeys(names))
        return Node("over", (part,), tuple(names), part.at) if names else part

    return visit(node, frozenset(left)), tuple(found)


def _indices(entry: Node) -> list[str]:
    return [name for part in entry.parts for name in ([str(part.value)] if part.kind == "name" else _indices(part))]


def _named(node: Node) -> list[str]:
    """The indices of the entries in a part, in order."""
    return [name for part in walk(node) if part.kind == "entry" for name in _indices(part)]


def _factors(node: Node) -> list[Node]:
    return [factor for part in node.parts for factor in _factors(part)] if node.kind in PRODUCT else [node]


def _rebuilt(node: Node, change: Callable[[Node], Node]) -> Node:
    if node.kind not in PRODUCT:
        return change(node)
    return replace(node, parts=tuple(_rebuilt(part, change) for part in node.parts))
