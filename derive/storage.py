"""How tensors lie: which axes are examples, which inputs are weights, and a layer with some of its tensors transposed.

Nothing of it is declared. A tensor of two or more axes is read as matrices over its last two, the row axis and the column axis, one
for each value of the axes before them. What counts are the differentiable inputs and the outputs.

An *example axis* is the row axis of every matrix that has it: in `X[B,N] W[N,M]` that is B, while N and M hold features. Where axes
lead the outputs' matrices, as a batch or heads do, the matrices that have an example axis are led by one of them too, a weight by
none; such an axis may then be a column axis as well, as in a bias of N queries by M keys. An axis that labels choose from is
none, nor is a matrix with an axis that windows slide over one of examples. A matrix whose row axis is an example axis is *data*.

A *weight* is an input that has neither an example axis nor an axis that leads the outputs' matrices. In some equation one of its last
two axes is summed in a product with data, and the other one goes on to the equation's target: the axis in, and the axis out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

from derive.expr import Affine, Expr, Idx, Ref, Sum, Tensor, children, everywhere
from derive.indices import free_indices
from derive.spec import Layer
from derive.terms import factors

Node = TypeVar("Node")

IN_OUT, OUT_IN = "in_out", "out_in"


def flipped(node: Node, names: Collection[str]) -> Node:
    """An expression, an equation or a fact with the last two indices of every entry of the named tensors exchanged."""

    def rule(part: object) -> Ref | None:
        if not isinstance(part, Ref):
            return None
        indices = flipped(part.indices, names)
        return Ref(part.tensor, swapped(indices) if part.tensor in names else indices)

    return everywhere(node, rule)


Items = TypeVar("Items", bound=tuple)  # type: ignore[type-arg]


def swapped(items: Items) -> Items:
    """A tuple with its last two items exchanged."""
    return (*items[:-2], items[-1], items[-2])  # type: ignore[return-value]


def transposed(layer: Layer, names: Collection[str]) -> Layer:
    """The same layer with the last two axes of the named tensors exchanged, wherever they stand."""
    if not names:
        return layer
    return layer.changed(
        tensors=tuple(replace(t, dims=swapped(t.dims)) if t.name in names else t for t in layer.tensors),
        equations=flipped(layer.equations, names),
        facts=flipped(layer.facts, names),
    )


# ---------------------------------------------------------------------------------------------------- examples


def data(layer: Layer) -> tuple[str, ...]:
    """The tensors that hold an example in each row, in the layer's order."""
    examples = example_axes(layer)
    return tuple(t.name for t in layer.tensors if is_matrix(t, layer) and t.dims[-2] in examples and t.kind != "int")


def is_matrix(tensor: Tensor, layer: Layer) -> bool:
    """Whether a tensor has two axes or more besides the batch."""
    return len(tensor.dims) - len(layer.batch) >= 2


def example_axes(layer: Layer) -> tuple[str, ...]:
    """The axes that count examples: see the first lines of this file."""
    seen = [t for t in layer.tensors if t.name in (*layer.inputs, *layer.outputs) and t.kind == "real" and is_matrix(t, layer)]
    windows, chosen = set(_windows(layer.equations)), {t.values for t in layer.tensors}
    seen = [t for t in seen if t.dims[-2] != t.dims[-1] and windows.isdisjoint(t.dims[-2:])]
    leading = _leading(layer)

    def led(tensors: list[Tensor]) -> bool:
        return all(leading & set(t.dims[:-2]) for t in tensors)

    found = []
    for axis in dict.fromkeys(t.dims[-2] for t in seen):
        rows, columns = ([t for t in seen if t.dims[end] == axis] for end in (-2, -1))
        elsewhere = any(axis in t.dims[:-2] for t in seen)
        if axis not in chosen and not elsewhere and (led([*rows, *columns]) if leading else not columns):
            found.append(axis)
    return tuple(found)


def _leading(layer: Layer) -> set[str]:
    """The axes that lead the outputs' matrices, those of the batch among them."""
    return {axis for t in layer.tensors if t.name in layer.outputs and is_matrix(t, layer) for axis in t.dims[:-2]}


def _windows(node: object) -> Iterator[str]:
    """The axes that are read at places of two or more indices, and those of these indices."""
    if isinstance(node, Affine):
        inside = free_indices(node.value)
        if len(inside) > 1:
            yield node.dim
            yield from (index.dim for index in inside)
    if isinstance(node, tuple):
        for item in node:
            yield from _windows(item)
    elif is_dataclass(node):
        for item in fields(node):
            yield from _windows(getattr(node, item.name))


# ---------------------------------------------------------------------------------------------------- weights


def weights(layer: Layer) -> dict[str, str]:
    """How each weight lies, `in_out` or `out_in`; one that is used in both ways is left out."""
    apart = {*example_axes(layer), *_leading(layer)}
    able = {t.name for t in layer.tensors if t.name in layer.inputs and t.kind != "int" and is_matrix(t, layer)}
    able = {t.name for t in layer.tensors if t.name in able and apart.isdisjoint(t.dims)}
    found: dict[str, set[str]] = {}
    for equation in layer.equations:
        for name, way in _ways(equation.value, frozenset(), set(free_indices(equation.target)), able, apart):
            found.setdefault(name, set()).add(way)
    return {name: min(found[name]) for name in layer.inputs if len(found.get(name, ())) == 1}


def _ways(expr: Expr, summed: frozenset[Idx], kept: set[Idx], able: set[str], apart: set[str]) -> Iterator[tuple[str, str]]:
    """Which of `able` are contracted with data in `expr`, under sums over `summed`, and in which way."""
    if isinstance(expr, Sum):
        summed = summed | set(expr.indices)
    parts = factors(expr.body) if isinstance(expr, Sum) else ()
    for n, part in enumerate(parts):
        if not isinstance(part, Ref) or part.tensor not in able:
            continue
        ends = part.indices[-2:]
        others = [other for m, other in enumerate(parts) if m != n]
        for way, inner, outer in ((IN_OUT, ends[0], ends[1]), (OUT_IN, ends[1], ends[0])):
            partners = [o for o in others if inner in free_indices(o) and any(i.dim in apart for i in free_indices(o))]
            if inner in summed and outer in kept and partners:
                yield part.tensor, way
    for child in children(expr):
        yield from _ways(child, summed, kept, able, apart)
