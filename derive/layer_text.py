"""A layer written in the text form, so that parsing it gives the layer back."""

from __future__ import annotations

from derive.expr import Affine, Delta, Equation, Expr, Fact, Index, MatrixFn, Max, Ref, Sum, transform, walk
from derive.indices import free_indices, refs, tensors_in
from derive.spec import Layer
from derive.write import spelt_out, write


def layer_text(layer: Layer) -> str:
    """The directives, then an equation a line. The batch indices are left out of the equations."""
    rows = []
    batch = len(layer.batch)
    axes = axes_of(layer)
    if axes:
        rows.append("axes " + " ".join(f"{name}:{axis}" for name, axis in axes.items()))
    if layer.batch:
        rows.append("batch " + " ".join(f"{index.name}:{index.dim}" for index in layer.batch))
    pinned = _pinned(layer)
    shaped = [tensor for tensor in layer.tensors if not {(tensor.name, n) for n in range(len(tensor.dims))} <= pinned]
    if shaped:
        rows.append("shape " + " ".join(f"{tensor.name}[{','.join(tensor.dims[batch:])}]" for tensor in shaped))
    integers = [tensor for tensor in layer.tensors if tensor.kind == "int"]
    if integers:
        rows.append("int " + " ".join(f"{t.name}:{t.values}" if t.values else t.name for t in integers))
    constants = [tensor.name for tensor in layer.tensors if tensor.kind == "const"]
    if constants:
        rows.append("const " + " ".join(constants))
    defined = {equation.target.tensor for equation in layer.equations}
    values = [*(e.value for e in layer.equations), *(length.value for length in layer.sizes)]
    appearing = tuple(dict.fromkeys(name for value in values for name in tensors_in(value) if name not in defined))
    if appearing != layer.inputs:
        rows.append("inputs " + " ".join(layer.inputs))
    if layer.wrt != tuple(name for name in layer.inputs if layer.tensor(name).kind == "real"):
        rows.append("wrt " + " ".join(layer.wrt))
    if layer.outputs != (layer.equations[-1].target.tensor,):
        rows.append("outputs " + " ".join(layer.outputs))
    for fact in layer.facts:
        rows.append("fact " + write(Fact(*(spelt_out(without_batch(side, batch)) for side in (fact.left, fact.right)))))
    rows += [write(length) for length in layer.sizes]
    for equation in layer.equations:
        target = _ref(equation.target, batch)
        rows.append(write(Equation(target, spelt_out(without_batch(equation.value, batch)))))
    return "\n".join(rows) + "\n"


def axes_of(layer: Layer) -> dict[str, str]:
    """The axis of each index that the equations name, in order of first appearance."""
    skip = {index.name for index in layer.batch}
    found: dict[str, str] = {}
    sides = [side for e in layer.equations for side in (e.target, e.value)] + [side for f in layer.facts for side in (f.left, f.right)]
    for side in sides:
        for node in walk(side):
            for index in (
                node.indices if isinstance(node, (Sum, Max, MatrixFn)) else free_indices(node) if isinstance(node, (Ref, Delta)) else ()
            ):
                if index.name not in skip:
                    found.setdefault(index.name, index.dim)
    return found


def _pinned(layer: Layer) -> set[tuple[str, int]]:
    """The axes of tensors, by number, that an index says: those at which one stands alone somewhere."""
    sides = [side for e in layer.equations for side in (e.target, e.value)] + [side for f in layer.facts for side in (f.left, f.right)]
    return {(ref.tensor, n) for side in sides for ref in refs(side) for n, index in enumerate(ref.indices) if not isinstance(index, Affine)}


def without_batch(expr: Expr, batch: int) -> Expr:
    def rule(node: Expr) -> Expr | None:
        if isinstance(node, MatrixFn):
            at = tuple(_plain(index, batch) for index in node.at)
            return MatrixFn(node.name, node.indices, without_batch(node.body, batch), at)
        if isinstance(node, Delta):
            return Delta(_plain(node.a, batch), _plain(node.b, batch))
        return _ref(node, batch) if isinstance(node, Ref) else None

    return transform(expr, rule)


def _ref(ref: Ref, batch: int) -> Ref:
    return Ref(ref.tensor, tuple(_plain(index, batch) for index in ref.indices[batch:]))


def _plain(index: Index, batch: int) -> Index:
    return _ref(index, batch) if isinstance(index, Ref) else index
