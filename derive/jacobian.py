"""Jacobians and Hessians: the gradients read at a one-hot upstream gradient.

The gradient is linear in the upstream gradient, so its entry for dY[o'] = delta(o', o) is the derivative of the one entry Y[o].
The backward pass, written out and contracted with that delta, is the Jacobian; the backward pass of the backward pass is the
Hessian, times the upstream gradient dL of the scalar; with a direction in place of the delta it is the Hessian times that direction.
No rule is needed that a gradient did not need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from derive import rules
from derive.expr import ONE, ZERO, Diff, Equation, Expr, Idx, Ref, delta, mul, total, transform
from derive.indices import fresh, rename_apart
from derive.lemma import put_back, simplify, tidy
from derive.proof import Proof
from derive.recognize import finish
from derive.recurrence import recurrent
from derive.spec import SpecError
from derive.workings import Chain, Workings

if TYPE_CHECKING:
    from derive.engine import Derivation


def jacobian(derivation: "Derivation", name: str, output: str | None = None) -> Proof:
    """The proof of d Y[o] / d A[a] in closed form, for the input `name` and an output (the only one, if it is left out).

    The target is `J`, whose axes are the output's, then the input's: numerator layout, M x N for M outputs of N inputs. For a
    vector of outputs and a vector of inputs the proof carries a matrix. Raises KeyError where there is no such gradient.
    """
    layer = derivation.layer
    output = layer.outputs[0] if output is None else output
    gradient = derivation.gradient(name).equation
    workings = _workings(derivation)
    entry = Ref(name, gradient.target.indices)
    taken = {i.name for i in gradient.target.indices if isinstance(i, Idx)}
    at: list[Idx] = []
    for index in workings.definitions[output].target.indices:
        assert isinstance(index, Idx)
        at.append(index if index in layer.batch else fresh(index, taken))
        taken.add(at[-1].name)
    one_hot = {f"{derivation.prefix}{other}": (tuple(at) if other == output else None) for other in layer.outputs}
    start = Diff(Ref(output, tuple(at)), entry, tuple(workings.definitions))
    indices = (*at, *(i for i in entry.indices if isinstance(i, Idx) and i not in layer.batch))
    return _read_at(derivation.results, workings, "J", start, gradient, one_hot, indices)


def hessian(derivation: "Derivation", name: str, other: str | None = None) -> Proof:
    """The proof of dL d^2 L / d A[a] d B[b] in closed form, for a layer with one scalar output L (B is A if it is left out).

    The target is `H`, whose axes are A's, then B's. Raises ValueError for a layer whose output is no scalar, KeyError where
    there is no such gradient.
    """
    layer = derivation.layer
    if len(layer.outputs) != 1 or len(layer.tensor(layer.outputs[0]).dims) != len(layer.batch):
        raise ValueError(f"{layer.name}: a Hessian is of one scalar, but the output is {', '.join(layer.outputs)}")
    second = derivation.second
    other = name if other is None else other
    gradient = second.gradient(name).equation
    workings = _workings(second, derivation)
    taken = {i.name for i in gradient.target.indices if isinstance(i, Idx)}
    at: list[Idx] = []
    for index in derivation.gradient(other).equation.target.indices:
        assert isinstance(index, Idx)
        at.append(index if index in layer.batch else fresh(index, taken))
        taken.add(at[-1].name)
    one_hot = {f"{second.prefix}{each}": (tuple(at) if each == f"{derivation.prefix}{other}" else None) for each in second.layer.outputs}
    start = Diff(Ref(f"{derivation.prefix}{other}", tuple(at)), Ref(name, gradient.target.indices), tuple(workings.definitions))
    indices = (*(i for i in gradient.target.indices if isinstance(i, Idx)), *(i for i in at if i not in layer.batch))
    return _read_at((*derivation.results, *second.results), workings, "H", start, gradient, one_hot, indices)


def hessian_vector(derivation: "Derivation", name: str) -> Proof:
    """The proof of sum(b, d^2 L / d A[a] d A[b] V[b]) in closed form: the Hessian times a direction V of the shape of A.

    No Hessian is built on the way: the direction takes the place of the upstream gradient of the backward pass. For a layer whose
    output is no scalar, L is the sum of its entries times their upstream gradients. Raises KeyError where there is no such gradient.
    """
    second = derivation.second
    gradient = second.gradient(name).equation
    workings = _workings(second, derivation)
    batch = derivation.layer.batch
    indices = tuple(i for i in gradient.target.indices if isinstance(i, Idx))
    direction = workings.new_name(("V", "U", "D"))
    workings.declare(direction, indices)
    taken = {i.name for i in indices}
    at: list[Idx] = []
    for index in indices:
        at.append(index if index in batch else fresh(index, taken))
        taken.add(at[-1].name)
    first = f"{derivation.prefix}{name}"
    slope = Diff(Ref(first, tuple(at)), Ref(name, indices), tuple(workings.definitions))
    start = total((i for i in at if i not in batch), mul(slope, Ref(direction, tuple(at))))
    upstream = {f"{second.prefix}{each}": (direction if each == first else None) for each in second.layer.outputs}
    return _read_at((*derivation.results, *second.results), workings, "HV", start, gradient, upstream, indices)


def _workings(derivation: "Derivation", *before: "Derivation") -> Workings:
    """What is known of a derivation, and the facts that its results, and those `before` it, rest on."""
    workings = Workings(derivation.layer, derivation.prefix)
    for proof in (proof for each in (*before, derivation) for proof in each.lemmas):
        workings.facts.update(dict.fromkeys(fact for fact in proof.facts if fact in derivation.layer.facts))
    workings.tensors.update({t.name: t for t in derivation.tensors})
    workings.definitions.update({e.target.tensor: e for e in derivation.definitions})
    workings.inner.update(dict.fromkeys(derivation.inner))
    return workings


def _read_at(
    results: tuple[Equation, ...],
    workings: Workings,
    name: str,
    start: Expr,
    gradient: Equation,
    seeds: Mapping[str, tuple[Idx, ...] | str | None],
    indices: tuple[Idx, ...],
) -> Proof:
    """The chain of backward results of `gradient`, with every upstream gradient a delta at its place, or a given tensor, or 0."""
    circle = recurrent((*workings.definitions.values(), *results))
    if circle:
        raise SpecError(
            f"{workings.layer.name}: {sorted(circle)[0]} is computed by a recurrence, a step at a time, so that this derivative has no "
            "closed form; ask for gradients, whose kernels are differentiable twice"
        )
    name = workings.new_name((name,))
    workings.declare(name, indices)
    chain = Chain(name, "jacobian", Ref(name, indices), start)
    value = gradient.value
    chain.facts.update(workings.facts)
    workings.opened.update(dict.fromkeys(result.target.tensor for result in results))
    for result in reversed(results):
        if result.target.tensor != gradient.target.tensor:
            value = rules.unfold(value, [result])

    def upstream(node: Expr) -> Expr | None:
        if not isinstance(node, Ref) or node.tensor not in seeds:
            return None
        place = seeds[node.tensor]
        if place is None:
            return ZERO
        if isinstance(place, str):
            return Ref(place, node.indices)
        return mul(*(delta(i, o) for i, o in zip(node.indices, place))) if node.indices else ONE

    along = next((place for place in seeds.values() if isinstance(place, str)), None)
    note = f"the gradient for the upstream gradient {along}" if along else "the gradient for a one-hot upstream gradient"
    # The deltas bring their indices into the sums: no sum may bind one of them.
    value = rename_apart(value, [i.name for i in indices])
    chain.use(workings.definitions)
    chain.record("chain_rule", transform(value, upstream), note, "full")
    put_back(chain, workings)
    simplify(chain, workings)
    chain.record("cancel", rules.cancel(chain.current), detail="baby")
    tidy(chain, workings)
    return finish(chain.proof(workings), workings.tensors)
