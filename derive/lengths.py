"""Lengths of axes that fit a layer: those it states by others, and small ones to try it with."""

from __future__ import annotations

import random
from math import prod

from derive.expr import Add, Expr, Fn, Mul, Num, Position, Ref, Size
from derive.spec import Layer

ENOUGH = 20


def length(value: Expr, sizes: dict[str, int]) -> int:
    """The value of a length, given the sizes of axes and the plain integers by name. Raises ZeroDivisionError for a quotient by 0."""
    if isinstance(value, Num):
        return int(value.value)
    if isinstance(value, Size):
        return sizes[value.dim]
    if isinstance(value, Position):
        assert isinstance(value.index, Ref)
        return sizes[value.index.tensor]
    if isinstance(value, Add):
        return sum(length(term, sizes) for term in value.terms)
    if isinstance(value, Mul):
        return prod(length(factor, sizes) for factor in value.factors)
    assert isinstance(value, Fn) and value.name == "floor_div"
    return length(value.args[0], sizes) // length(value.args[1], sizes)


def plain_integers(layer: Layer) -> tuple[str, ...]:
    """The inputs that are integers such as strides."""
    return tuple(tensor.name for tensor in layer.tensors if tensor.is_plain_integer)


def completed(layer: Layer, sizes: dict[str, int]) -> dict[str, int]:
    """`sizes`, with the lengths that the layer states by others."""
    found = dict(sizes)
    for each in layer.sizes:
        found[each.dim] = length(each.value, found)
    return found


def small_sizes(layer: Layer, start: int = 2) -> dict[str, int]:
    """Sizes of all axes and values of the plain integers, by name: small, at least `start`, pairwise distinct where they can be."""
    given = {each.dim for each in layer.sizes}
    axes = [dim for dim in layer.dims if dim not in given]
    integers = plain_integers(layer)
    if not given and not integers:
        return {dim: start + n for n, dim in enumerate(axes)}
    rng = random.Random(start)
    found: list[tuple[bool, int, int, dict[str, int]]] = []
    for attempt in range(2000):
        sizes = dict(zip(axes, rng.sample(range(start, start + len(axes) + attempt // 40), len(axes))))
        sizes.update({name: rng.choice((2, 3) if attempt < 1000 else (1, 2, 3)) for name in integers})
        sizes = completed(layer, sizes)
        lengths = [size for name, size in sizes.items() if name not in integers]
        if min(lengths) >= start:
            repeated = len(set(lengths)) < len(lengths)
            found.append((repeated, prod(lengths), attempt, sizes))
            if sum(not each[0] for each in found) == ENOUGH:
                break
    assert found, f"no small sizes fit {layer.name}"
    return min(found, key=lambda each: each[:3])[3]
