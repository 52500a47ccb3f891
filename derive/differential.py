"""The differential view: a second derivation of every gradient, by differentials, that ends in the index view's own lines.

The differential of each equation is taken (D(X W) = D(X) W + X D(W)). The loss moves by the bracket <dY, D(Y)>, the sum of all
entries of dY o D(Y). From the last equation to the first, what the output moves by is put in, everything but the differential of an
operand is moved to the other side of its bracket, and what then stands beside D(A) is the gradient dA, because D(A) is any
tensor of its axes. No derivative by an entry and no chain rule is used. Kernels are still printed from the index view's proofs:
this is another way to read why they are right.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from derive import rules
from derive.engine import active
from derive.equality import equal
from derive.errors import listing
from derive.expr import ZERO, Differential, Equation, Expr, Iverson, Ref, Tensor, add, mul, total
from derive.indices import tensors_in
from derive.lemma import CannotDerive, put_back, simplify, tidy
from derive.normal import Known, Line, normalised
from derive.proof import Proof, proof_json
from derive.recognize import bracket, finish
from derive.rules.expanding import TooLong
from derive.spec import Layer
from derive.terms import contains, has_derivative, unbounded
from derive.workings import Chain, Workings

if TYPE_CHECKING:
    from derive.engine import Derivation

PREFIX = "t"
LOSSES = ("L", "J", "F", "loss", "the_loss")
PROVED, CHECKED = "proved", "checked"


@dataclass(frozen=True)
class View:
    """The differential view of a derivation: `differentials` of its equations, and from the last equation to the first the `brackets`
    and the gradients read off them, with `whole`, what the loss moves by, at the end.

    `agreement` says of each gradient whether its last line is the index view's by rules alone (`proved`), or its equality with it
    rests on the checker's random numbers (`checked`).
    """

    derivation: "Derivation"
    loss: str
    differentials: tuple[Proof, ...]
    back: tuple[Proof, ...]
    whole: Proof
    agreement: tuple[tuple[str, str], ...]
    tensors: tuple[Tensor, ...]

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """The view's own proofs, in reading order."""
        return (*self.differentials, *self.back, self.whole)

    @property
    def gradients(self) -> tuple[Proof, ...]:
        return tuple(proof for proof in self.back if proof.kind == "lemma")

    @property
    def layer(self) -> Layer:
        return self.derivation.layer

    @cached_property
    def unproved(self) -> tuple[str, ...]:
        """The gradients whose agreement with the index view is checked and not proved."""
        return tuple(name for name, how in self.agreement if how != PROVED)

    def document(self) -> dict[str, Any]:
        """The JSON document that `derive.check` reads: the equations as prepared, the view's proofs, and the sums it has named."""
        document = self.derivation.document()
        own = (*self.derivation.prepare, *self.proofs)
        return {**document, "proofs": [proof_json(proof) for proof in own]}

    def check(self) -> Any:
        """The independent checker's report on every line."""
        from derive.check import check_document

        return check_document(self.document())


def differential_view(derivation: "Derivation") -> View:
    """Derive every gradient of a layer again, by differentials.

    Raises `derive.lemma.CannotDerive` for a form that no rule covers.
    """
    return _Deriving(derivation).view()


class _Deriving:
    def __init__(self, derivation: "Derivation") -> None:
        self.derivation = derivation
        self.layer = derivation.layer
        self.workings = workings = Workings(derivation.layer, derivation.prefix)
        workings.tensors.update({t.name: t for t in derivation.tensors})
        workings.definitions.update({e.target.tensor: e for e in derivation.definitions})
        workings.inner.update(dict.fromkeys(derivation.inner))
        self.alive = active(workings)
        self.batch = len(self.layer.batch)
        self.index_view = {proof.goal.target.tensor: proof for proof in derivation.lemmas}
        for name in (*self.layer.wrt, *workings.definitions):
            if name in self.alive and name not in workings.inner:
                workings.tensors[self.moved(name)] = Tensor(self.moved(name), workings.tensors[name].dims)
        self.moving = {self.moved(name): workings.indices_of(name) for name in workings.tensors if name in self.alive}
        self.beside: dict[str, list[Expr]] = {}
        self.agreement: dict[str, str] = {}

    def moved(self, name: str) -> str:
        """The differential of a tensor."""
        return f"{PREFIX}{name}"

    def view(self) -> View:
        workings = self.workings
        targets = [name for name in workings.definitions if name not in workings.inner and name in self.alive]
        differentials = []
        for name in targets:
            differentials.append(self.differential(name))
            workings.results[self.moved(name)] = differentials[-1].result
        back: list[Proof] = []
        waiting = dict.fromkeys(reversed(targets))
        consumers = {name: {t for t in workings.consumers(name) if t in waiting} for name in self.alive}
        for proof in self.derivation.lemmas:
            name = proof.goal.target.tensor
            if proof.kind != "lemma":
                workings.meanings[name] = proof.goal
                workings.results[name] = proof.result
                back.append(proof)
                continue
            source = self.source(name)
            for target in [t for t in waiting if t in consumers[source]]:
                found = self.bracket(target)
                back += [found] if found is not None else []
                del waiting[target]
            back.append(self.read_off(source, name, proof))
            workings.results[name] = proof.result
        whole = self.whole(targets)
        added = tuple(t for name, t in workings.tensors.items() if name not in {t.name for t in self.derivation.tensors})
        return View(self.derivation, whole.name, tuple(differentials), tuple(back), whole, tuple(self.agreement.items()), added)

    def source(self, adjoint: str) -> str:
        """The tensor whose gradient has this name."""
        return next(name for name in self.workings.tensors if name in self.alive and self.workings.adjoint(name) == adjoint)

    # ------------------------------------------------------------------------------------------------ the differential of an equation

    def differential(self, target: str) -> Proof:
        workings = self.workings
        equation = workings.definitions[target]
        operands = [name for name in workings.operands(target) if name in self.alive]
        inner = workings.inner_of(target)
        along = tuple((name, self.moved(name)) for name in operands)
        chain = Chain(
            self.moved(target), "tangent", Ref(self.moved(target), equation.target.indices), Differential(equation.value, along, inner)
        )
        chain.use(inner)
        definitions = workings.definitions
        while has_derivative(chain.current):
            before = chain.current
            chain.record("differential_of_sum", rules.differential_of_sum(before), "", "full")
            chain.record("differential_of_product", rules.differential_of_product(chain.current), "one factor at a time", "full")
            note = rules.length_note(chain.current, definitions)
            chain.record("differential_of_power", rules.differential_of_power(chain.current, definitions), note, "full")
            note = rules.subgradient_note(chain.current)
            chain.record("differential_of_function", rules.differential_of_function(chain.current), note, "full")
            chain.record("differential_of_maximum", rules.differential_of_maximum(chain.current), "at the largest entry", "full")
            chain.record("differential_of_inverse", rules.differential_of_inverse(chain.current), "", "full")
            singular = "where the matrix is not singular"
            chain.record("differential_of_determinant", rules.differential_of_determinant(chain.current), singular, "full")
            chain.record("differential_of_log_determinant", rules.differential_of_log_determinant(chain.current), "", "full")
            chain.record("differential_of_entry", rules.differential_of_entry(chain.current), "", "baby")
            chain.record("definition", rules.definition(chain.current, definitions), "what the inner sum is", "full")
            if chain.current == before:
                raise CannotDerive(f"no rule takes the differential of {target}")
        chain.record("exclude", rules.exclude(chain.current), "both conditions never hold", "baby")
        chain.record("own_sums", rules.own_sums(chain.current, self.moving), "every differential gets its own sum", "baby")
        put_back(chain, workings)
        chain.record("pull_out", rules.rename_bound(rules.pull_out(chain.current), chain.goal.target), "", "baby")
        chain.record("cancel", rules.cancel(chain.current), "like terms", "baby")
        chain.record("collect", rules.collect(chain.current), "the common factors are taken out", "full")
        put_back(chain, workings)
        tidy(chain, workings)
        return finish(chain.proof(workings), workings.tensors)

    # ------------------------------------------------------------------------------------------------ back through one equation

    def pair(self, name: str, weight: str) -> Expr:
        """The bracket of a gradient with a tensor's differential."""
        indices = self.workings.indices_of(name)
        return total(indices[self.batch :], mul(Ref(weight, indices), Ref(self.moved(name), indices)))

    def bracket(self, target: str) -> Proof | None:
        """What the loss moves by through an equation, in the differentials of its operands; None where none of them moves it."""
        workings = self.workings
        result = workings.results[self.moved(target)]
        if result.value == ZERO:
            return None
        name = workings.new_name((f"{target}_bracket",))
        workings.declare(name, self.layer.batch)
        chain = Chain(f"back through {target}", "bracket", Ref(name, self.layer.batch), self.pair(target, workings.adjoint(target)))
        chain.use((self.moved(target), target, *workings.inner_of(target)))
        at = chain.goal.target

        def plain(expr: Expr) -> Expr:
            return rules.rename_bound(expr, at)

        opened = rules.unfold(chain.current, [result])
        chain.record("lemma", plain(opened), f"the differential of {target}", "full")
        chain.record("split_bracket", plain(rules.split_bracket(chain.current, self.moving)), "a bracket for each differential", "full")
        moved = rules.move_across(chain.current, self.moving, self.batch)
        chain.record("move_across", plain(moved), "all but the differential goes to the other side", "full")
        joined = rules.beside(moved) if moved != ZERO else {}
        chain.record("join_brackets", plain(rules.in_brackets(joined, self.moving, self.batch)), "one bracket for each operand", "full")
        joined = {operand: rules.collect(rules.cancel(part)) for operand, part in joined.items()}
        chain.record("collect", plain(rules.in_brackets(joined, self.moving, self.batch)), "the common factors are taken out", "full")
        for operand, part in joined.items():
            self.beside.setdefault(operand, []).append(part)
        return self.in_matrix_form(chain, workings.adjoint(target))

    def in_matrix_form(self, chain: Chain, weight: str | None = None, given: tuple[Equation, ...] | None = None) -> Proof:
        """The proof, with each of its lines that has one read as a matrix expression; the first lines have `weight` in each bracket."""
        made = chain.proof(self.workings, given)
        moving = frozenset(self.moving)
        forms = []
        for n, line in enumerate((made.goal.value, *(step.after for step in made.steps))):
            if n and made.steps[n - 1].rule == "move_across":
                weight = None
            # Matrices have a value in every entry, also where a condition keeps an expression from being looked at.
            partial = contains(line, Iverson) and unbounded(line)
            form = None if partial else bracket(line, made.batch, moving, weight)
            forms += [] if form is None else [(n, form)]
        return replace(made, forms=tuple(forms))

    # ------------------------------------------------------------------------------------------------ reading off

    def read_off(self, source: str, adjoint: str, known: Proof) -> Proof:
        """The gradient: what stands beside the tensor's differential, brought to the form that the index view ends in."""
        workings = self.workings
        parts = self.beside.get(self.moved(source), [])
        target = known.goal.target
        own = [Ref(f"{workings.prefix}{source}", workings.indices_of(source))] if source in self.layer.outputs else []
        start = rules.rename_bound(add(*own, *parts), target)
        chain = Chain(adjoint, "lemma", target, start)
        for consumer in workings.consumers(source):
            chain.use((consumer, *workings.inner_of(consumer)))
        simplify(chain, workings)
        self.named(chain)
        chain.record("cancel", rules.cancel(chain.current), "", "baby")
        chain.record("collect", rules.collect(chain.current), "the common factors are taken out", "full")
        chain.record("cancel", rules.cancel(chain.current), "", "baby")
        put_back(chain, workings)
        self.named(chain)
        tidy(chain, workings)
        self.agree(chain, known)
        made = chain.proof(workings)
        # What a gradient that has cancelled rests on is declared as well.
        weights = (workings.adjoint(consumer) for consumer in workings.consumers(source) if consumer in self.alive)
        declared = workings.declared({*(tensor.name for tensor in made.tensors), *weights})
        return finish(replace(made, tensors=declared), workings.tensors)

    def named(self, chain: Chain) -> None:
        """Sums that the index view has given a name to are put under it."""
        folded, used = rules.fold(chain.current, self.workings.meanings_among(chain.current))
        if used:
            chain.use(e.target.tensor for e in used)
            chain.record("name_sum", folded, ", ".join(f"{e.target.tensor} is known" for e in used), "full")

    def agree(self, chain: Chain, known: Proof) -> None:
        """Go on to the index view's last line, by rules where they lead there."""
        wanted = known.result.value
        how = PROVED
        if not equal(chain.current, wanted):
            way = self.way(chain, wanted)
            for line in way or ():
                chain.record(line.rule, line.after, line.note, line.detail)
                chain.facts.update(dict.fromkeys(line.facts))
            if way is None:
                how = CHECKED
                chain.use(e.target.tensor for e in known.given)
                chain.facts.update(dict.fromkeys(known.facts))
                chain.record("agreement", wanted, "the index view's last line: equal at random numbers", "full")
        if chain.steps:
            chain.rewrite_last(wanted)  # the same up to the order of terms and factors and the names of summed indices
        else:
            chain.record("order_factors", wanted, "", "baby")
        self.agreement[chain.name] = how

    def way(self, chain: Chain, wanted: Expr) -> tuple[Line, ...] | None:
        """Lines from where the chain is to `wanted`, over a form that both have; None where they have none."""
        workings, target = self.workings, chain.goal.target
        facts = self.layer.facts
        values = {t.name: t.values for t in self.layer.tensors if t.values is not None}
        known = Known(facts, workings.definitions, values)
        opened = {**workings.definitions, **workings.meanings}

        def sides(expr: Expr, unfolded: bool) -> list[Line]:
            lines = [Line("given", expr)]
            used = [opened[name] for name in opened if name in tensors_in(expr)] if unfolded else []
            if used:
                chain.use(e.target.tensor for e in used)
                after = rules.rename_bound(rules.unfold(expr, used), target)
                lines.append(Line("unfold", after, ", ".join(f"what {e.target.tensor} is" for e in used)))
            return [*lines, *normalised(lines[-1].after, known, target)]

        for unfolded in (False, True):
            try:
                here, there = sides(chain.current, unfolded), sides(wanted, unfolded)
            except TooLong:
                return None
            met = next(((n, m) for n, a in enumerate(here) for m, b in enumerate(there) if equal(a.after, b.after)), None)
            if met is not None:
                lines = here[1 : met[0] + 1]
                for m in range(met[1], 0, -1):
                    rule = "fold" if there[m].rule == "unfold" else there[m].rule
                    lines.append(replace(there[m], rule=rule, after=there[m - 1].after))
                return tuple(lines)
        return None

    # ------------------------------------------------------------------------------------------------ all of it

    def whole(self, targets: list[str]) -> Proof:
        """What the loss moves by: from the outputs' brackets to those of the inputs, an equation a line."""
        workings = self.workings
        taken = workings.tensors
        name = next(f"{PREFIX}{loss}" for loss in LOSSES if loss not in taken and f"{PREFIX}{loss}" not in taken)
        workings.declare(name, self.layer.batch)
        target = Ref(name, self.layer.batch)
        start = self.cut(())
        assert start is not None
        chain = Chain(name, "differential", target, rules.rename_bound(start, target))
        passed: list[str] = []
        newly: list[str] = []
        for each in reversed(targets):
            passed.append(each)
            newly.append(each)
            line = self.cut(passed)
            if line is not None:
                chain.record("move_across", rules.rename_bound(line, target), f"through {listing(newly)}", "full")
                newly = []
        chain.facts.update(dict.fromkeys(f for proof in self.derivation.lemmas for f in proof.facts))
        return self.in_matrix_form(chain, given=(*workings.definitions.values(), *workings.results.values()))

    def cut(self, passed: Collection[str]) -> Expr | None:
        """The brackets of what stands before the passed equations; None where only a part of some gradient is known there."""
        workings = self.workings
        operands = {name: None for target in passed for name in workings.operands(target) if name in self.alive}
        parts = []
        for name in [name for name in workings.tensors if name in operands or name in self.layer.outputs]:
            weight = workings.adjoint(name)
            consumers = {target for target in workings.consumers(name) if target in self.alive}
            if name not in self.alive:
                continue
            if name in passed:
                if not consumers <= set(passed):
                    return None  # half of a recurrence
                continue
            if consumers.isdisjoint(passed) and name in self.layer.outputs:
                weight = f"{workings.prefix}{name}"
            elif not consumers <= set(passed):
                return None
            parts.append(self.pair(name, weight))
        return add(*parts)
