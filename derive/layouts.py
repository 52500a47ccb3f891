"""How a gradient lies: in the shape of its tensor, or in that of its transpose.

In *gradient* layout `dX` has the shape of X, and a vector's gradient lies as it comes out of the matrices around it. In
*denominator* layout it has the shape of X as well, a vector's as a column: for a scalar loss the two agree. In *numerator* layout the
loss has the rows: `dX` has the shape of the transpose of X, a vector's gradient is a row. A tensor of more axes is a stack of
matrices, its last two axes. A Jacobian of M outputs by N inputs is M x N in gradient and numerator layout, N x M in denominator layout.
"""

from __future__ import annotations

from dataclasses import replace

from derive.engine import Derivation
from derive.expr import Equation, Idx, Ref, Tensor
from derive.proof import Proof, Step
from derive.recognize import finish, recognize
from derive.spec import Layer
from derive.storage import flipped, is_matrix, swapped


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


def jacobian_in(proof: Proof, layout: str | None, layer: Layer, name: str = "") -> Proof:
    """A Jacobian, the output's axes first, in a layout: denominator layout has them last; under another name where one is given."""
    if layout != "denominator":
        return proof
    target = proof.goal.target
    batch, outer = len(proof.batch), len(layer.tensor(layer.outputs[0]).dims)
    indices = target.indices
    order = (*indices[:batch], *indices[outer:], *indices[batch:outer])
    tensor = Tensor(name or target.tensor, tuple(i.dim for i in order if isinstance(i, Idx)))
    made = replace(
        proof,
        name=tensor.name,
        goal=Equation(Ref(tensor.name, order), proof.goal.value),
        tensors=tuple(tensor if t.name == target.tensor else t for t in proof.tensors),
    )
    return finish(made, {t.name: t for t in made.tensors})


def transposed_jacobian(proof: Proof, layer: Layer) -> tuple[Proof, Proof]:
    """A Jacobian in denominator layout, and the proof that it is the transpose of the one in numerator layout, `proof`."""
    own = proof.goal.target
    other = jacobian_in(proof, "denominator", layer, f"{own.tensor}_2")
    known = {t.name: t for t in (*other.tensors, *proof.tensors)}
    step = Step("fold", own, f"what {own.tensor} is", "brief")
    given = (*proof.given, proof.result)
    same = Proof(other.name, "equality", other.result, (step,), tuple(known.values()), given, other.facts, other.batch, None, other.sizes)
    return other, finish(same, known)
