"""Two layers that differ in how one tensor lies: the proof that their gradients are each other's transposes.

`Y = X W` and `Y = X W^T` compute the same function of W and its transpose. Such a twin is recognised from the equations alone:
exchanging the two axes of one input turns one layer's equations into the other's.
"""

from __future__ import annotations

from dataclasses import dataclass

from derive import rules
from derive.engine import Derivation, derive
from derive.equality import equal
from derive.expr import Equation, Idx, Index, Ref
from derive.proof import Proof
from derive.recognize import finish
from derive.spec import Layer
from derive.storage import flipped
from derive.workings import Chain, Workings


@dataclass(frozen=True)
class Twin:
    """`second` is `first` with the two axes of the input `tensor` exchanged; `proofs` relate their gradients."""

    first: Layer
    second: Layer
    tensor: str
    proofs: tuple[Proof, ...]


def transposed_input(first: Layer, second: Layer) -> str | None:
    """The input whose axes have to be exchanged to turn `second` into `first`; None if there is no single one."""
    if first.inputs != second.inputs or [e.target for e in first.equations] != [e.target for e in second.equations]:
        return None
    different = [name for name in first.inputs if first.tensor(name) != second.tensor(name)]
    if len(different) != 1 or len(first.tensor(different[0]).dims) - len(first.batch) != 2:
        return None
    name = different[0]
    same = all(equal(a.value, flipped(b.value, (name,))) for a, b in zip(first.equations, second.equations))
    return name if same else None


def twin(first: Derivation, second: Derivation) -> Twin | None:
    """The proofs that the gradients of two such layers agree, that of the exchanged input up to a transpose; None if they are no twins.

    In each proof the second layer is evaluated at the first one's tensors, so its entry W[j,k] reads W[k,j].
    """
    tensor = transposed_input(first.layer, second.layer)
    if tensor is None:
        return None
    results = {proof.result.target.tensor: proof for proof in first.lemmas}
    proofs = []
    for lemma in second.lemmas:
        own = results.get(lemma.result.target.tensor)
        if own is None or lemma.kind != "lemma":
            continue
        proof = _agree(own.result, lemma.result, tensor, first)
        if proof is None:
            return None
        proofs.append(proof)
    return Twin(first.layer, second.layer, tensor, tuple(proofs))


def in_catalogue(derivation: Derivation) -> tuple[Proof, ...]:
    """The proofs relating a layer to its twin among those that the catalogue declares equal; a layer without one has none."""
    from derive.layers import layer
    from derive.layers.equals import equals_of

    name = derivation.layer.name
    for other in (layer(same.second if same.first == name else same.first) for same in equals_of(name)):
        if transposed_input(derivation.layer, other) is not None:
            found = twin(derivation, derive(other))
            return () if found is None else found.proofs
    return ()


def _agree(own: Equation, other: Equation, tensor: str, first: Derivation) -> Proof | None:
    workings = Workings(first.layer, first.prefix)
    workings.tensors.update({t.name: t for t in first.tensors})
    workings.results[own.target.tensor] = own
    name = workings.new_name((f"{own.target.tensor}_t",))
    indices = tuple(i for i in other.target.indices if isinstance(i, Idx))
    workings.declare(name, indices)
    chain = Chain(name, "twin", Ref(name, indices), flipped(other.value, (tensor,)))
    folded, used = rules.fold(chain.current, [own])
    if not used:
        # A result that is no single product is compared whole.
        mapping = dict(zip(own.target.indices, _matching(own, other, tensor, first)))
        entry = Ref(own.target.tensor, tuple(mapping[i] for i in own.target.indices))
        if not equal(rules.unfold(entry, [own]), chain.current):
            return None
        folded = entry
    chain.use([own.target.tensor])
    chain.record("fold", folded, f"the lemma of {own.target.tensor}, read from right to left", "brief")
    return finish(chain.proof(workings), workings.tensors) if isinstance(folded, Ref) else None


def _matching(own: Equation, other: Equation, tensor: str, first: Derivation) -> tuple[Index, ...]:
    indices = other.target.indices
    exchanged = own.target.tensor == f"{first.prefix}{tensor}"
    return (*indices[:-2], indices[-1], indices[-2]) if exchanged else indices
