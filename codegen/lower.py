"""Derivation -> Program: the equations at the ends of the proofs become blocks of ops.

What the backward block saves is inferred from what it mentions, never declared. Nothing here knows a layer by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from codegen.equations import Lowering
from codegen.passes.dead import pruned
from codegen.program import Block, Op, Program, needed
from derive.equality import equal
from derive.expr import ZERO, Equation, Idx, Ref, Tensor


def lower(derivation: Any) -> Program:
    """The program of a `derive.engine.Derivation`; its inputs, outputs and gradients keep their names."""
    layer = derivation.layer
    second = derivation.second
    arrays = _arrays(derivation)
    forward_ops = _ops(_complete(derivation.forward, layer.outputs, arrays))
    backward_ops = _ops(_complete(derivation.backward, derivation.gradients, arrays))
    read = _external(backward_ops, derivation.gradients)
    saved = tuple(n for n in layer.inputs if n in read) + tuple(op.out for op in forward_ops if op.out in read)
    forward = pruned(Block(layer.inputs, forward_ops, (*layer.outputs, *(n for n in saved if n not in (*layer.inputs, *layer.outputs)))))
    backward = pruned(Block((*saved, *derivation.upstream), backward_ops, derivation.gradients))
    tangents = tuple(f"t{name}" for name in layer.outputs)
    tangent = _block(
        (*derivation.forward, *_complete(derivation.tangents, tangents, arrays)),
        (*layer.inputs, *(f"t{name}" for name in layer.wrt)),
        (*layer.outputs, *tangents),
        arrays,
    )
    first_order = {e.target.tensor: e for e in (*derivation.forward, *derivation.backward)}
    # A saved value stands in for its equation in the second order only where both mean the same.
    second_forward = {e.target.tensor: e for e in second.forward}
    known = tuple(n for n in saved if n in layer.inputs or (n in second_forward and _same(second_forward[n], first_order.get(n))))
    rest = tuple(e for e in second.forward if e.target.tensor not in known)
    derived = {e.target.tensor for e in second.backward}
    second_gradients = tuple((name, gradient) for name, gradient in zip(second.layer.wrt, second.gradients) if gradient in derived)
    second_outputs = tuple(gradient for _, gradient in second_gradients)
    second_ops = _ops((*rest, *second.backward))
    second_tangents = tuple(f"t{name}" for name in derivation.gradients)
    tangent_ops = _ops((*rest, *_complete(second.tangents, second_tangents, arrays)))
    second_read = _external(second_ops, second_outputs)
    tangent_read = _external(tangent_ops, second_tangents)
    differentiated = {name for name, _ in second_gradients}
    moved = _external(pruned(replace(tangent, outputs=tangents)).ops, tangents)
    kept = tuple(n for n in layer.inputs if n in read | moved | second_read | tangent_read | differentiated)
    kept += tuple(n for n in saved if n not in kept)
    upstream = (*derivation.upstream, *second.upstream)
    moving = tuple(f"t{name}" for name in (*layer.wrt, *derivation.upstream))
    return Program(
        name=layer.name,
        arrays=tuple(arrays.values()),
        inputs=layer.inputs,
        outputs=layer.outputs,
        wrt=layer.wrt,
        upstream=derivation.upstream,
        gradients=derivation.gradients,
        forward=forward,
        saved=saved,
        backward=backward,
        tangent=tangent,
        kept=kept,
        second=pruned(Block(_read_in_order((*kept, *upstream), second_read, arrays), second_ops, second_outputs)),
        second_tangent=pruned(
            Block(_read_in_order((*kept, *derivation.upstream, *moving), tangent_read, arrays), tangent_ops, second_tangents)
        ),
        second_gradients=second_gradients,
    )


def lower_equations(equations: Sequence[Equation], inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Block:
    """Plain equations as a block, for a reference to compare with."""
    return pruned(Block(inputs, _ops(equations), outputs))


def _arrays(derivation: Any) -> dict[str, Tensor]:
    """Every declared array by name: the layer's, its gradients, its tangents, and those of the second order."""
    found: dict[str, Tensor] = {}
    for tensor in (*derivation.layer.tensors, *derivation.tensors, *derivation.second.tensors):
        found.setdefault(tensor.name, tensor)
    second = derivation.second
    for equation in (*derivation.forward, *derivation.backward, *second.forward, *second.backward):
        # The sums that a stable form adds are declared by their equations alone.
        dims = tuple(i.dim for i in equation.target.indices if isinstance(i, Idx))
        found.setdefault(equation.target.tensor, Tensor(equation.target.tensor, dims))
    for tensor in tuple(found.values()):
        if tensor.kind != "int":
            found.setdefault(f"t{tensor.name}", Tensor(f"t{tensor.name}", tensor.dims))
    return found


def _ops(equations: Iterable[Equation]) -> tuple[Op, ...]:
    lowering = Lowering()
    lowering.equations(equations)
    return tuple(lowering.ops)


def _block(equations: Iterable[Equation], inputs: Iterable[str], outputs: Iterable[str], arrays: dict[str, Tensor]) -> Block:
    wanted = tuple(outputs)
    return pruned(Block(tuple(inputs), _ops(_complete(tuple(equations), wanted, arrays)), wanted))


def _complete(equations: Sequence[Equation], outputs: Iterable[str], arrays: dict[str, Tensor]) -> tuple[Equation, ...]:
    """The equations, and zero for an output that none of them defines: nothing depends on it."""
    defined = {e.target.tensor for e in equations}
    zeros = []
    for name in outputs:
        if name not in defined:
            dims = arrays[name].dims if name in arrays else arrays[name[1:]].dims
            zeros.append(Equation(Ref(name, tuple(Idx(f"a{n}", dim) for n, dim in enumerate(dims))), ZERO))
    return (*equations, *zeros)


def _external(ops: tuple[Op, ...], outputs: Iterable[str]) -> set[str]:
    """What the outputs read from outside the block."""
    return needed(ops, outputs) - {op.out for op in ops}


def _read_in_order(names: tuple[str, ...], read: set[str], arrays: dict[str, Tensor]) -> tuple[str, ...]:
    """The inputs of a block; where it reads no real number, one that gives the results their element type."""
    found = tuple(dict.fromkeys(n for n in names if n in read))
    if any(arrays[n].kind != "int" for n in found):
        return found
    return (*found, next(n for n in names if arrays[n].kind != "int"))


def _same(a: Equation, b: Equation | None) -> bool:
    return b is not None and (a == b or (a.target == b.target and equal(a.value, b.value)))
