"""Invariants: sums over an axis of a gradient that vanish for every input, found and proved by the same rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from derive import rules
from derive.expr import ZERO, Equation, Expr, Idx, Ref, Sum
from derive.indices import rename_apart
from derive.proof import Proof
from derive.terms import terms
from derive.workings import Chain, Workings

if TYPE_CHECKING:
    from derive.engine import Derivation


def invariants(derivation: Derivation) -> tuple[Proof, ...]:
    """For each gradient and each of its axes, the proof that the sum over that axis is 0, where there is one."""
    found = []
    for proof in derivation.lemmas:
        if proof.kind != "lemma":
            continue
        for index in proof.goal.target.indices:
            if isinstance(index, Idx) and index not in derivation.layer.batch:
                invariant = _vanishes(proof, index, derivation)
                if invariant is not None:
                    found.append(invariant)
    return tuple(found)


def _vanishes(lemma: Proof, index: Idx, derivation: Derivation) -> Proof | None:
    for way in (
        ("pull_out", rules.pull_out, "what a sum does not run over leaves it"),
        ("exchange", rules.exchange, "finite sums change places"),
    ):
        found = _proved(lemma, index, derivation, *way)
        if found is not None:
            return found
    return None


def _proved(lemma: Proof, index: Idx, derivation: Derivation, rule: str, move: Callable[[Expr], Expr], note: str) -> Proof | None:
    """The proof that takes a product of sums apart (`pull_out`), or, under conditions that may exclude a whole row, makes it one sum."""
    workings = Workings(derivation.layer, derivation.prefix)
    for tensor in derivation.tensors:
        workings.tensors[tensor.name] = tensor
    workings.definitions.update({e.target.tensor: e for e in derivation.definitions})
    workings.results.update({p.result.target.tensor: p.result for p in derivation.lemmas})
    meanings = [p.goal for p in derivation.lemmas if p.kind == "name"]
    gradient = lemma.result
    left = tuple(i for i in gradient.target.indices if i != index)
    name = f"sum of {gradient.target.tensor} over {index.name}"
    target = Ref(workings.new_name((f"sum_{gradient.target.tensor}_{index.name}",)), left)
    workings.declare(target.tensor, [i for i in left if isinstance(i, Idx)])
    chain = Chain(name, "invariant", target, Sum((index,), gradient.target))
    chain.record("lemma", Sum((index,), rename_apart(gradient.value, [index.name])), f"the lemma of {gradient.target.tensor}", "full")
    chain.use([gradient.target.tensor])
    split = rules.split_terms(chain.current)
    chain.record("distribute", split, "every term gets its own sum", "full")
    if len(terms(split)) < 2:
        return None
    for meaning in meanings:
        opened = rules.unfold(chain.current, [meaning])
        if opened != chain.current:
            workings.meanings[meaning.target.tensor] = meaning
            workings.results.pop(meaning.target.tensor, None)
            chain.use([meaning.target.tensor])
            chain.record("unfold", opened, f"what {meaning.target.tensor} is", "full")
    chain.record(rule, move(chain.current), note, "full")
    # A known quotient such as P = exp(S)/Z is opened where the sum over it stands alone, so that its denominator can be summed.
    for equation in derivation.definitions:
        opened = rules.unfold(chain.current, [equation])
        if opened == chain.current:
            continue
        trial = move(opened)
        trial, used = rules.fold(trial, _others(trial, equation, workings))
        trial = rules.cancel(trial)
        if trial == ZERO:
            chain.use([equation.target.tensor, *(e.target.tensor for e in used)])
            chain.record("unfold", opened, f"what {equation.target.tensor} is", "full")
            chain.record(rule, move(chain.current), "", "full")
            chain.record("fold", rules.fold(chain.current, _others(chain.current, equation, workings))[0], "", "full")
    after, facts = rules.fact(chain.current, derivation.layer.facts)
    if facts:
        chain.facts.update(dict.fromkeys(facts))
        chain.record("fact", after, "by the declared hypothesis", "full")
    chain.record("cancel", rules.cancel(chain.current), "the terms cancel", "brief")
    return chain.proof(workings) if chain.current == ZERO else None


def _others(expr: Expr, equation: Equation, workings: Workings) -> tuple[Equation, ...]:
    """What may be put back in `expr`, the opened equation aside."""
    return tuple(each for each in workings.foldable(expr) if each != equation)
