"""How a gradient lies: in the shape of its tensor, or in that of its transpose.

In *gradient* layout `dX` has the shape of X, and a vector's gradient lies as it comes out of the matrices around it. In
*denominator* layout it has the shape of X as well, a vector's as a column: for a scalar loss the two agree. In *numerator* layout the
loss has the rows: `dX` has the shape of the transpose of X, a vector's gradient is a row. A tensor of more axes is a stack of
matrices, its last two axes. A Jacobian of M outputs by N inputs is M x N in gradient and numerator layout, N x M in denominator layout.
"""

from __future__ import annotations

from dataclasses import replace

from derive.engine import Derivation
from derive.expr import Idx, Ref
from derive.proof import Proof
from derive.recognize import finish, recognize
from derive.storage import flipped, is_matrix, swapped

LAYOUTS = ("gradient", "numerator", "denominator")


def laid_out(derivation: Derivation, layout: str) -> Derivation:
    """The derivation of a layer with its gradients in that layout; one in gradient layout is laid out once."""
    if layout == "gradient":
        return derivation
    by = adjoints(derivation)
    turned = turned_in(derivation, layout)
    lies = layout == "numerator"

    def laid(proof: Proof) -> Proof:
        made = replace(
            proof,
            goal=flipped(proof.goal, turned),
            steps=flipped(proof.steps, turned),
            given=flipped(proof.given, turned),
            tensors=tuple(replace(t, dims=swapped(t.dims)) if t.name in turned else t for t in proof.tensors),
        )
        if proof.matrix is None:
            return made
        target, value = made.result.target, made.result.value
        if target.tensor in by and len(target.indices) - len(made.batch) == 1:
            return replace(made, matrix=recognize(target, value, made.batch, lies) or proof.matrix)
        return finish(made, {t.name: t for t in made.tensors})

    return replace(
        derivation,
        tensors=tuple(replace(t, dims=swapped(t.dims)) if t.name in turned else t for t in derivation.tensors),
        lemmas=tuple(laid(proof) for proof in derivation.lemmas),
        theorems=tuple(laid(proof) for proof in derivation.theorems),
        layout=layout,
    )


def adjoints(derivation: Derivation) -> tuple[str, ...]:
    """The names of all gradients, the upstream ones among them."""
    forward = (*derivation.layer.inputs, *(e.target.tensor for e in derivation.definitions))
    names = {f"{derivation.prefix}{name}{end}" for name in forward for end in ("", "_total")}
    return tuple(t.name for t in derivation.tensors if t.name in names)


def turned_in(derivation: Derivation, layout: str) -> tuple[str, ...]:
    """The gradients whose last two axes a layout exchanges."""
    if layout != "numerator":
        return ()
    return tuple(t.name for t in derivation.tensors if t.name in adjoints(derivation) and is_matrix(t, derivation.layer))


def jacobian_in(proof: Proof, layout: str, outer: int) -> Proof:
    """A Jacobian, whose first `outer` indices after the batch are the output's, in a layout: denominator layout has them last."""
    if layout != "denominator":
        return proof
    name = proof.goal.target.tensor
    indices = proof.goal.target.indices
    batch = len(proof.batch)
    order = (*indices[:batch], *indices[batch + outer :], *indices[batch : batch + outer])
    dims = tuple(i.dim for i in order if isinstance(i, Idx))
    made = replace(
        proof,
        goal=replace(proof.goal, target=Ref(name, order)),
        tensors=tuple(replace(t, dims=dims) if t.name == name else t for t in proof.tensors),
    )
    return finish(made, {t.name: t for t in made.tensors})
