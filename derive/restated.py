"""A layer's gradients derived anew in another convention: the proof that they are the ones that were derived before.

Both derivations become one layer, the equations of the first and of the second side by side, forward and backward. Each input and
upstream gradient of the second is that of the first, transposed where it lies so, and it is proved, with the means of
`derive equal`, that then every output and every gradient of the second is that of the first, transposed where it lies so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from derive.agreement import Agreement, proved
from derive.correspondence import Claim, Pair
from derive.engine import Derivation, backward_layer
from derive.expr import Equation, Expr, Idx, Ref, everywhere
from derive.spec import Layer
from derive.storage import swapped

Node = TypeVar("Node")


@dataclass(frozen=True)
class Place:
    """What a tensor of the second derivation is in the first: the tensor of that name, its last two axes exchanged if it is `turned`."""

    name: str
    turned: bool = False


def restated(first: Derivation, second: Derivation, places: Mapping[str, Place], upstream: Mapping[str, str] | None = None) -> Agreement:
    """The proof that `second` computes what `first` does; `places` has every input, output, upstream gradient and gradient of it.

    Other tensors of the second may be in `places`: a hint what they are. `upstream` says what its upstream gradients are called.
    """
    one, two = backward_layer(first), backward_layer(second)
    known = {t.name: t for t in one.tensors}
    called = {**_names(one, two, places), **(upstream or {})}
    bridges = tuple(
        Equation(Ref(called[name], indices), _entry(places[name], indices))
        for name in two.inputs
        if called[name] not in known
        for indices in (_indices(two, name),)
    )
    own = tuple(renamed(equation, called) for equation in two.equations)
    tensors = [*one.tensors, *(replace(t, name=called[t.name], kind="real") for t in two.tensors if called[t.name] not in known)]
    outputs = (*first.layer.outputs, *one.outputs)
    whole = Layer.of(
        first.layer.name,
        tensors,
        (*one.equations, *bridges, *own),
        one.facts,
        one.inputs,
        (*outputs, *(called[name] for name in (*second.layer.outputs, *two.outputs))),
        one.wrt,
        one.batch,
        first.layer.doc,
        one.sizes,
    )
    asked = {called[name] for name in (*second.layer.outputs, *two.outputs)}
    back = {called[name]: place for name, place in places.items() if name in called}
    meant: dict[str, Expr] = {}
    for equation in own:
        name = equation.target.tensor
        place = back.get(name)
        if place is not None and place.name in known and _fits(place, equation, known[place.name].dims):
            meant[name] = _entry(place, equation.target.indices)
    claims = tuple(Claim(equation, (meant[equation.target.tensor],)) for equation in own if equation.target.tensor in asked)
    both = Pair(whole, called, one.equations, bridges, own, claims)
    return proved(first.layer, second.layer, both, {name: value for name, value in meant.items() if name not in asked})


def renamed(node: Node, called: Mapping[str, str]) -> Node:
    """An expression or an equation with its tensors called otherwise."""

    def rule(part: object) -> Ref | None:
        return Ref(called.get(part.tensor, part.tensor), renamed(part.indices, called)) if isinstance(part, Ref) else None

    return everywhere(node, rule)


def _names(one: Layer, two: Layer, places: Mapping[str, Place]) -> dict[str, str]:
    """What the second one's tensors are called: an input that is the first one's has its name, the others are told apart by a 2."""
    taken = {*(t.name for t in (*one.tensors, *two.tensors)), *one.dims, *two.dims}
    suffix = "_2"
    while any(f"{t.name}{suffix}" in taken for t in two.tensors):
        suffix += "_2"
    found = {}
    for tensor in two.tensors:
        place = places.get(tensor.name)
        shared = tensor.name in two.inputs and place is not None and not place.turned
        found[tensor.name] = place.name if shared and place is not None else f"{tensor.name}{suffix}"
    return found


def _indices(layer: Layer, name: str) -> tuple[Any, ...]:
    """Indices for an entry of an input, those it is written with where they are plain."""
    tensor = layer.tensor(name)
    batch = layer.batch
    names: list[Idx] = list(batch)
    for dim in tensor.dims[len(batch) :]:
        letter = dim[0].lower() if dim[0].isalpha() else "i"
        while any(index.name == letter for index in names):
            letter += "'"
        names.append(Idx(letter, dim))
    return tuple(names)


def _entry(place: Place, indices: tuple[Any, ...]) -> Ref:
    return Ref(place.name, swapped(indices) if place.turned else indices)


def _fits(place: Place, equation: Equation, dims: tuple[str, ...]) -> bool:
    entry = _entry(place, equation.target.indices)
    return tuple(index.dim for index in entry.indices if isinstance(index, Idx)) == dims
