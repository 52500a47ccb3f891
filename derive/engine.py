"""Reverse accumulation over a layer's equations; forward mode; a second order from the first.

From the last equation to the first, every tensor that matters gets one lemma: the chain rule over the equations that mention
it, brought to a closed form by `derive.lemma`. The theorem of an input is its chain of lemmas. A backward pass is again a list
of equations, so the second order is this engine applied to its own output.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from derive import rules
from derive.expr import Diff, Equation, Expr, Idx, Ref, Tensor, add, mul, total
from derive.indices import free_indices, fresh, instantiate, tensors_in
from derive.lemma import CannotDerive, first_line, prove
from derive.matrix import Matrix
from derive.prepare import prepare
from derive.proof import FORMAT, Proof, equation_json, expr_json, fact_json, proof_json, sizes_json, tensor_json
from derive.recurrence import Unordered, groups
from derive.signs import is_comparison
from derive.spec import Layer
from derive.workings import Chain, Workings


@dataclass(frozen=True)
class Gradient:
    """One gradient: its name (`dX`), its equation in index notation, its matrix form where there is one, and its proof."""

    name: str
    equation: Equation
    matrix: Matrix | None
    proof: Proof


@dataclass(frozen=True)
class Derivation:
    """Everything derived about a layer; every equation in it is the last line of a proof in it."""

    layer: Layer
    prefix: str
    tensors: tuple[Tensor, ...]
    definitions: tuple[Equation, ...]
    """The forward equations, prepared: the author's and the named inner sums, in order."""
    inner: tuple[str, ...]
    prepare: tuple[Proof, ...]
    lemmas: tuple[Proof, ...]
    theorems: tuple[Proof, ...]
    upstream: tuple[str, ...]
    gradients: tuple[str, ...]
    layout: str = "gradient"
    """How gradients lie: see `derive.layouts`."""

    @cached_property
    def results(self) -> tuple[Equation, ...]:
        """The backward pass as proved: each gradient and named sum, in the order in which they can be computed."""
        return tuple(proof.result for proof in self.lemmas)

    @cached_property
    def _stable(self) -> Any:
        from derive.stable import stabilise

        return stabilise(self)

    @property
    def stable(self) -> tuple[Proof, ...]:
        """Proofs that let the kernels stay finite: the shifts inside sums of exponentials."""
        proofs: tuple[Proof, ...] = self._stable.proofs
        return proofs

    @property
    def computed(self) -> tuple[Proof, ...]:
        """The proofs that end in what kernels compute, beside the layer's own equations."""
        return (*self.prepare, *self.lemmas, *self.stable, *self.tangent_proofs)

    @property
    def forward(self) -> tuple[Equation, ...]:
        """What a kernel computes forward, in order, in finite form."""
        equations: tuple[Equation, ...] = self._stable.forward
        return equations

    @property
    def backward(self) -> tuple[Equation, ...]:
        """What a kernel computes backward, in order, in finite form."""
        equations: tuple[Equation, ...] = self._stable.backward
        return equations

    @property
    def tangents(self) -> tuple[Equation, ...]:
        """Forward mode: `tX` is the tangent of X."""
        equations: tuple[Equation, ...] = self._stable.tangents
        return equations

    @cached_property
    def _tangents(self) -> tuple[tuple[Proof, ...], tuple[Tensor, ...]]:
        return tangent_lemmas(self)

    @property
    def tangent_proofs(self) -> tuple[Proof, ...]:
        return self._tangents[0]

    @property
    def tangent_tensors(self) -> tuple[Tensor, ...]:
        """The tangents and the sums that were named among them."""
        return self._tangents[1]

    @cached_property
    def invariants(self) -> tuple[Proof, ...]:
        """Sums over an axis of a gradient that are always zero."""
        from derive.invariant import invariants

        return invariants(self)

    @cached_property
    def second(self) -> Derivation:
        """The derivation of the backward pass as a layer of its own; its gradient of A is `d2A`.

        What a fact has simplified is right at a point only, so it is not differentiated again by a tensor of that fact.
        """
        equations = (fact for fact in self.layer.facts if not is_comparison(fact))
        about = {name for item in equations for name in (*tensors_in(item.left), *tensors_in(item.right))}
        plain = self.general if about & set(self.layer.wrt) else None
        return derive(backward_layer(plain or self), prefix="d2")

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """Every proof of the forward and the backward pass, in reading order."""
        tangents = {proof.goal.target.tensor for proof in self.tangent_proofs}
        stable = tuple(proof for proof in self.stable if proof.goal.target.tensor not in tangents)
        return (*self.prepare, *self.lemmas, *self.theorems, *stable, *self.invariants)

    @property
    def forward_mode(self) -> tuple[Proof, ...]:
        """The proofs of forward mode, in reading order."""
        tangents = {proof.goal.target.tensor for proof in self.tangent_proofs}
        return (*self.tangent_proofs, *(proof for proof in self.stable if proof.goal.target.tensor in tangents))

    def proof(self, name: str) -> Proof:
        """The lemma that ends in the gradient of `name` (or in the tensor called `name` itself); KeyError if there is none."""
        for proof in self.lemmas:
            if proof.name in (f"{self.prefix}{name}", name):
                return proof
        raise KeyError(f"{self.layer.name}: no gradient of {name}; there are {', '.join(p.name for p in self.lemmas)}")

    def gradient(self, name: str) -> Gradient:
        """The gradient of the input `name`: `.equation`, `.matrix`, `.proof`; KeyError if it was not derived."""
        proof = self.proof(name)
        return Gradient(proof.name, proof.result, proof.matrix, proof)

    @cached_property
    def general(self) -> "Derivation | None":
        """The derivation without the declared equations about inputs, where some result rests on one; None where none does.

        Comparisons stay: they say where the layer is defined.
        """
        if all(is_comparison(fact) for proof in self.lemmas for fact in proof.facts):
            return None
        layer = self.layer
        kept = tuple(fact for fact in layer.facts if is_comparison(fact))
        from derive.layouts import laid_out

        return laid_out(derive(layer.changed(facts=kept), self.prefix), self.layout)

    @cached_property
    def twins(self) -> tuple[Proof, ...]:
        """The proofs that this layer's gradients are those of a layer of the catalogue that stores one input transposed."""
        from derive.twins import in_catalogue

        return in_catalogue(self) if self.layout == "gradient" else ()

    @cached_property
    def equals(self) -> tuple[Any, ...]:
        """The proofs (`derive.agreement.Agreement`) that layers of the catalogue compute the same as this one does."""
        from derive.agreement import in_catalogue

        return in_catalogue(self.layer)

    def document(self, proofs: tuple[Proof, ...] | None = None) -> dict[str, Any]:
        """The JSON document that `derive.check` reads (schema: `derive.proof`), of every proof or of some."""
        layer = self.layer
        shown = (*self.proofs, *self.forward_mode, *self.twins) if proofs is None else proofs
        return {
            "format": FORMAT,
            "layer": {
                "name": layer.name,
                "tensors": [tensor_json(t) for t in layer.tensors],
                "equations": [equation_json(e) for e in layer.equations],
                "facts": [fact_json(f) for f in layer.facts],
                "inputs": list(layer.inputs),
                "outputs": list(layer.outputs),
                "wrt": list(layer.wrt),
                "batch": [expr_json(i) for i in layer.batch],
                **sizes_json(layer.sizes),
                **({"layout": self.layout} if self.layout == "numerator" else {}),
            },
            "proofs": [proof_json(p) for p in shown],
        }

    def documents(self) -> tuple[dict[str, Any], ...]:
        """The layer's document, that of its general form without facts, those of its equals, and that of its backward pass as a layer."""
        general = () if self.general is None else (self.general.document(),)
        return (self.document(), *general, *(equal.document for equal in self.equals), self.second.document())

    def check(self) -> Any:
        """The independent checker's report on every line of every proof."""
        from derive.check import check_document

        return check_document(self.document())

    def _repr_html_(self) -> str:
        from derive.render.notebook import as_html

        return as_html(self)

    def _repr_markdown_(self) -> str:
        from derive.render.notebook import as_markdown

        return as_markdown(self)

    def _repr_latex_(self) -> str:
        from derive.render.notebook import as_latex

        return as_latex(self)


def derive(layer: Layer, prefix: str = "d") -> Derivation:
    """Derive every gradient of a layer, with proofs.

    Raises `derive.lemma.CannotDerive` for a form that no rule covers; a layer that was read is otherwise always derived.
    """
    workings = Workings(layer, prefix)
    prepared = prepare(workings)
    for output in layer.outputs:
        workings.tensors[f"{prefix}{output}"] = Tensor(f"{prefix}{output}", workings.tensors[output].dims)
    order = _order(workings)
    for name in order:
        if workings.recurs(name):  # the gradients of a recurrence mention one another
            workings.tensors[workings.adjoint(name)] = Tensor(workings.adjoint(name), workings.tensors[name].dims)
    lemmas: list[Proof] = []
    for name in order:
        lemmas.extend(_lemma(name, workings))
    every = (*workings.definitions.values(), *workings.results.values())
    if any(group.recurs for group in workings.groups):
        try:
            groups(every)
        except Unordered as error:
            raise CannotDerive(f"{layer.name}: the gradients of a recurrence have no order in which to be computed: {error.why}") from None
    mentioned = tuple(dict.fromkeys(name for e in every for name in (e.target.tensor, *tensors_in(e.value))))
    theorems = tuple(proof for name in layer.wrt for proof in _theorem(name, workings, mentioned))
    return Derivation(
        layer=layer,
        prefix=prefix,
        tensors=tuple(workings.tensors.values()),
        definitions=tuple(workings.definitions.values()),
        inner=tuple(workings.inner),
        prepare=prepared,
        lemmas=tuple(lemmas),
        theorems=theorems,
        upstream=tuple(f"{prefix}{name}" for name in layer.outputs),
        gradients=tuple(f"{prefix}{name}" for name in layer.wrt),
    )


def active(workings: Workings) -> set[str]:
    """The tensors on a way from a differentiable input to an output."""
    layer = workings.layer
    reached = set(layer.wrt)
    for group in workings.groups:
        members = [target for target in group.members if target not in workings.inner]
        if any(reached & set(workings.operands(target)) for target in members):
            reached.update(members)
    needed = set(layer.outputs)
    for group in reversed(workings.groups):
        if needed & set(group.members):
            needed.update(operand for target in group.members for operand in workings.operands(target))
    return reached & needed


def _order(workings: Workings) -> list[str]:
    """The tensors in the order in which their gradients can be computed, from the last equation to the first."""
    alive = active(workings)
    inputs = set(workings.layer.inputs)
    ordered: dict[str, None] = {}
    place = {name: n for n, name in enumerate(name for group in workings.groups for name in group.members)}
    for group in reversed(workings.groups):
        # The members of a recurrence need one another's gradients, and all that comes later has its own by now.
        ordered.update(dict.fromkeys(n for n in reversed(group.members) if group.recurs and n in alive and n not in workings.inner))
        for target in reversed(group.members):
            if target in workings.inner:
                continue
            # Where a chain ends comes before where it goes on.
            for name in sorted(workings.operands(target), key=lambda operand: operand not in inputs):
                first = min(workings.consumers(name), key=place.__getitem__, default=None)
                if first == target and name in alive and name not in ordered:
                    ordered[name] = None
    # An output nobody consumes has its upstream gradient; an input that nobody consumes has gradient zero and no lemma.
    return list(ordered)


def _lemma(name: str, workings: Workings) -> tuple[Proof, ...]:
    adjoint = workings.adjoint(name)
    indices = workings.indices_of(name)
    start = first_line(workings, name, indices)
    workings.tensors[adjoint] = Tensor(adjoint, workings.tensors[name].dims)
    chain = Chain(adjoint, "lemma", Ref(adjoint, indices), start)
    proofs = prove(chain, workings)
    workings.results[adjoint] = proofs[-1].result
    return tuple(_with_matrix(proof, workings) for proof in proofs)


def _with_matrix(proof: Proof, workings: Workings) -> Proof:
    from derive.recognize import finish

    return finish(proof, workings.tensors)


def _theorem(name: str, workings: Workings, mentioned: tuple[str, ...]) -> tuple[Proof, ...]:
    """The whole gradient of an input: the derivative through every equation equals the end of its chain of lemmas.

    `mentioned` are the tensors in all definitions and results, on which every theorem rests.
    """
    layer = workings.layer
    adjoint = workings.adjoint(name)
    if adjoint not in workings.results:
        return ()
    if set(workings.consumers(name)) <= set(layer.outputs) and not any(
        output in workings.operands(other) for output in layer.outputs for other in workings.consumers(name)
    ):
        return ()
    indices = workings.indices_of(name)
    entry = Ref(name, indices)
    through = tuple(workings.definitions)
    outputs = {output: workings.definitions[output].target for output in layer.outputs}
    parts = [rules.chain_rule(f"{workings.prefix}{n}", ref, entry, through, len(layer.batch)) for n, ref in outputs.items()]
    chain = Chain(f"{adjoint} in full", "theorem", Ref(adjoint, indices), add(*parts))
    chain.record("chain_rule", first_line(workings, name, indices), "gradients of the later equations are known", "full")
    chain.record("lemma", workings.results[adjoint].value, f"the lemma of {adjoint}", "brief")
    chain.facts.update(workings.facts)
    given = (*workings.definitions.values(), *(e for n, e in workings.results.items() if n != adjoint))
    return (chain.proof(workings, given=given, also=mentioned),)


# ---------------------------------------------------------------------------------------------------- forward mode


def tangent_lemmas(derivation: Derivation) -> tuple[tuple[Proof, ...], tuple[Tensor, ...]]:
    """tT[o] = sum over A and a of dT[o]/dA[a] tA[a], for every equation on a way from the inputs to the outputs."""
    workings = Workings(derivation.layer, "t")
    prepare(workings)
    alive = active(workings)
    for name in workings.layer.wrt:
        workings.tensors[f"t{name}"] = Tensor(f"t{name}", workings.tensors[name].dims)
    proofs: list[Proof] = []
    targets = [target for group in workings.groups for target in group.members if target not in workings.inner and target in alive]
    for target in targets:
        if workings.recurs(target):
            workings.tensors[f"t{target}"] = Tensor(f"t{target}", workings.tensors[target].dims)
    for target in targets:
        entry = workings.definitions[target].target
        taken = {i.name for i in free_indices(entry)}
        batch = len(workings.layer.batch)
        parts: list[Expr] = []
        for operand in workings.operands(target):
            if operand not in alive:
                continue
            indices: list[Idx] = []
            names = set(taken)
            for position, index in enumerate(workings.indices_of(operand)):
                new = index if position < batch else fresh(index, names)
                names.add(new.name)
                indices.append(new)
            source = Ref(operand, tuple(indices))
            recurs = workings.recurs(target)
            body = workings.definitions[target].value if recurs else entry
            if recurs:
                body = instantiate(workings.definitions[target], entry, {*names, *(i.name for i in source.indices if isinstance(i, Idx))})
            slope = Diff(body, source, (*(() if recurs else (target,)), *workings.inner_of(target)))
            parts.append(total(indices[batch:], mul(slope, Ref(f"t{operand}", tuple(indices)))))
        name = f"t{target}"
        workings.tensors[name] = Tensor(name, workings.tensors[target].dims)
        chain = Chain(name, "tangent", Ref(name, entry.indices), add(*parts))
        found = prove(chain, workings, tuple(f"t{pool}" for pool in ("D", "F", "R", "C")))
        workings.results[name] = found[-1].result
        proofs.extend(found)
    known = {tensor.name for tensor in derivation.tensors}
    return tuple(proofs), tuple(tensor for name, tensor in workings.tensors.items() if name not in known)


# ---------------------------------------------------------------------------------------------------- second order


def backward_layer(derivation: Derivation) -> Layer:
    """The backward pass as a layer: inputs and upstream gradients in, gradients out, the forward equations among its own.

    Inner sums are written out again, since their names belong to the first derivation.
    """
    layer = derivation.layer
    helpers = [e for e in derivation.definitions if e.target.tensor in derivation.inner]

    def written_out(equation: Equation) -> Equation:
        value = equation.value
        for helper in reversed(helpers):
            value = rules.unfold(value, [helper])
        return Equation(equation.target, rules.rename_bound(value, equation.target))

    forward = tuple(written_out(e) for e in derivation.definitions if e not in helpers)
    backward = tuple(written_out(e) for e in derivation.results)
    tensors = {t.name: t for t in derivation.tensors}
    inputs = (*layer.inputs, *derivation.upstream)
    return Layer.of(
        name=f"{layer.name}_backward",
        tensors=tuple(tensors[name] for name in (*inputs, *(e.target.tensor for e in (*forward, *backward)))),
        equations=(*forward, *backward),
        facts=layer.facts,
        inputs=inputs,
        outputs=derivation.gradients,
        wrt=(*layer.wrt, *derivation.upstream),
        batch=layer.batch,
        doc=f"The backward pass of {layer.name}.",
        sizes=layer.sizes,
    )
