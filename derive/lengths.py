"""Lengths of axes that fit a layer: those it states by others, and small ones to try it with."""

from __future__ import annotations

import random
from functools import cache
from math import prod

from derive.expr import Add, Expr, Fn, Mul, Num, Position, Pow, Ref, Size
from derive.spec import Layer

DRAWS = 2000


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
    if isinstance(value, Pow):
        return int(length(value.base, sizes) ** int(value.exponent))
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


def small_sizes(layer: Layer, start: int = 2, largest: int = 50_000) -> dict[str, int]:
    """Sizes of all axes and values of the plain integers, by name: at least `start`, few of one size, and all together
    not much above `largest` when multiplied."""
    return dict(_small_sizes(layer, start, largest))


@cache
def _small_sizes(layer: Layer, start: int, largest: int) -> dict[str, int]:
    given = {each.dim for each in layer.sizes}
    axes = [dim for dim in layer.dims if dim not in given]
    integers = plain_integers(layer)
    if not given and not integers:
        return {dim: start + n for n, dim in enumerate(axes)}
    rng = random.Random(start)
    found: list[tuple[int, int, int, dict[str, int]]] = []
    for attempt in range(DRAWS):
        sizes = {axis: rng.randint(start, start + 1 + 6 * attempt // DRAWS) for axis in axes}
        sizes.update({name: rng.randint(2 if attempt < DRAWS // 2 else 1, start + 1) for name in integers})
        sizes = completed(layer, sizes)
        lengths = [size for name, size in sizes.items() if name not in integers]
        if min(lengths) >= start:
            excess, repeated = max(0, prod(lengths) - largest), len(lengths) - len(set(lengths))
            if not excess and not repeated:  # no later draw is better
                return sizes
            found.append((excess, repeated, attempt, sizes))
    assert found, f"no small sizes fit {layer.name}"
    return min(found, key=lambda each: each[:3])[3]
