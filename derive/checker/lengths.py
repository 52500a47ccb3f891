"""Sizes of axes where some are given by others: plain integers (strides and the like) and lengths that fit them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from fractions import Fraction
from math import prod
from typing import Any

from derive.checker.arithmetic import CannotTell
from derive.checker.structure import Malformed

Node = Any
Sizes = dict[str, int]
DRAWS = 400
ENOUGH = 12  # draws that fit, of which the smallest is taken


def plain_integers(tensors: Iterable[Node]) -> list[str]:
    """The integer tensors whose entries are places of no axis."""
    return [tensor["name"] for tensor in tensors if tensor["kind"] == "int" and tensor["values"] is None]


def length(node: Node, sizes: Sizes) -> int:
    """The value of a length. Raises Malformed for what is none, ZeroDivisionError for a quotient by 0."""
    kind = node[0]
    if kind == "num" and Fraction(node[1]).denominator == 1:
        return int(node[1])
    if kind == "size":
        return sizes[node[1]]
    if kind == "position" and node[1][0] == "ref" and node[1][1] in sizes:
        return sizes[node[1][1]]
    if kind == "add":
        return sum(length(part, sizes) for part in node[1])
    if kind == "mul":
        return prod(length(part, sizes) for part in node[1])
    if kind == "fn" and node[1] == "floor_div":
        return length(node[2][0], sizes) // length(node[2][1], sizes)
    raise Malformed(f"{node!r} is no length of an axis")


def fitting(draw: Callable[[int], Sizes], integers: list[str], rules: list[Node], rng: random.Random) -> Sizes:
    """Sizes and integers under which every axis has at least two places, all sizes differing as far as can be.

    `draw` draws the sizes of the axes that no rule gives, from a range that widens with its argument.
    """
    if not rules and not integers:
        return draw(0)
    found: list[tuple[bool, int, int, Sizes]] = []
    for attempt in range(DRAWS):
        sizes = draw(attempt // 10)
        # A stride of 1 or a padding of 0 would hide a mistake about it, so they are tried last.
        sizes.update({name: rng.choice((2, 3) if attempt < DRAWS // 2 else (1, 2, 3)) for name in integers})
        for rule in rules:
            sizes[rule["axis"]] = length(rule["value"], sizes)
        lengths = [size for name, size in sizes.items() if name not in integers]
        if min(lengths, default=2) < 2:
            continue
        distinct = len(set(lengths)) == len(lengths)
        found.append((not distinct, prod(lengths), attempt, sizes))
        if sum(not each[0] for each in found) == ENOUGH or (attempt > DRAWS // 2 and len(found) > ENOUGH):
            break
    if not found:
        raise CannotTell("no small sizes of axes fit the lengths that the layer gives")
    return min(found, key=lambda each: each[:3])[3]
