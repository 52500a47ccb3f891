"""Sizes of axes where some are given by others: plain integers (strides and the like) and lengths that fit them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import prod
from typing import Any

from derive.checker.arithmetic import CannotTell
from derive.checker.structure import Malformed

Node = Any
Sizes = dict[str, int]
DRAWS = 600
WIDE_DRAWS = 20_000  # where none of these fits
WIDE = (8, 12, 16, 24, 36, 60)
ENOUGH = 40  # of these to choose among
LARGEST = 4_000  # product of all sizes: a sum over all axes takes time


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
    if kind == "pow" and Fraction(node[2]).denominator == 1 and Fraction(node[2]) > 0:
        return int(length(node[1], sizes) ** int(node[2]))
    if kind == "fn" and node[1] == "floor_div":
        return length(node[2][0], sizes) // length(node[2][1], sizes)
    raise Malformed(f"{node!r} is no length of an axis")


def fitting(axes: list[str], integers: list[str], rules: list[Node], rng: random.Random, least: Mapping[str, int]) -> Sizes:
    """Sizes of axes and values of plain integers under which every axis has at least two places, those of the rules included.

    Of the draws that are not too large to go through, the one with the fewest axes of one size is taken. Where none fits, as where
    one axis has to be several times as long as another, axes are drawn that are much longer than others.
    """
    found: list[tuple[int, int, int, Sizes]] = []
    for attempt in range(DRAWS + WIDE_DRAWS):
        if attempt >= DRAWS and (len(found) >= ENOUGH or attempt == DRAWS and found):
            break
        widest = 3 + 6 * attempt // DRAWS if attempt < DRAWS else rng.choice(WIDE)
        sizes = {axis: max(rng.randint(2, widest if attempt < DRAWS else rng.choice((3, widest))), least.get(axis, 0)) for axis in axes}
        # A stride of 1 or a padding of 0 would hide a mistake about it, so they are tried last.
        sizes.update({name: rng.choice((2, 3) if attempt < DRAWS // 2 else (1, 2, 3)) for name in integers})
        for rule in rules:
            sizes[rule["axis"]] = length(rule["value"], sizes)
        lengths = [size for name, size in sizes.items() if name not in integers]
        if min(lengths, default=2) >= 2:
            repeated = len(lengths) - len(set(lengths))
            found.append((max(0, prod(lengths) - LARGEST), repeated, attempt, sizes))
    if not found:
        raise CannotTell("no small sizes of axes fit the lengths that the layer gives")
    return min(found, key=lambda each: each[:3])[3]
