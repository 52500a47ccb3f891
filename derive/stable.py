"""Stability as proof steps: a shift inside every sum of exponentials, so that no kernel overflows.

For any m, exp(u) = exp(m) exp(u - m). Inside Z = sum(k, exp(u)), or exp(s) + sum(k, exp(u)), the factor exp(m) leaves the sum; in
a quotient it cancels, under a logarithm it becomes an addend. Because m is arbitrary in the proof, the code is free to take the
maximum over all exponents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from derive import rules
from derive.exponentials import Exponent, exponents, largest, reach, shifted
from derive.expr import Add, Equation, Expr, Fn, Idx, Mul, Pow, Ref, Sum, add, children, mul, num, rebuild, transform, walk
from derive.indices import free_indices, rename_apart, tensors_in
from derive.matching import unify
from derive.proof import Proof
from derive.terms import factors, split_power
from derive.workings import Chain, Workings

if TYPE_CHECKING:
    from derive.engine import Derivation


@dataclass(frozen=True)
class Stable:
    """The equations a kernel computes, and the proofs that they are the derived ones."""

    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...]
    tangents: tuple[Equation, ...]
    proofs: tuple[Proof, ...]


@dataclass(frozen=True)
class Shift:
    """Z[o] = exp(m[o]) Zm[o], with Zm[o] = sum(k, exp(u - m[o])); m has those of the indices o that the exponents have."""

    source: Equation
    exponents: tuple[Exponent, ...]
    shift: Ref
    shifted: Equation
    largest: Equation
    scaled: list[Scaled] = field(default_factory=list)
    """Other sums of the same exponentials."""

    @property
    def name(self) -> str:
        return self.source.target.tensor

    @property
    def every(self) -> tuple[Shift | Scaled, ...]:
        """The sums that have the factor exp(m) in front."""
        return (self, *self.scaled)


@dataclass(frozen=True)
class Scaled:
    """T[o] = exp(m[o]) Tm[o]: a sum that the backward pass or forward mode has named."""

    source: Equation
    shift: Ref
    shifted: Equation


def _beside(own: Shift | Scaled, ref: Ref) -> Ref:
    """The entry of m that belongs to the entry `ref` of a sum."""
    at = dict(zip(own.source.target.indices, ref.indices))
    return Ref(own.shift.tensor, tuple(at[i] for i in own.shift.indices))


def stabilise(derivation: Derivation) -> Stable:
    """Every equation of a derivation in finite form, with only the helper sums that are still needed."""
    workings = Workings(derivation.layer, derivation.prefix)
    for tensor in (*derivation.tensors, *derivation.tangent_tensors):
        workings.tensors[tensor.name] = tensor
    workings.definitions.update({e.target.tensor: e for e in derivation.definitions})
    proofs: list[Proof] = []
    shifts: list[Shift] = []
    for name in derivation.inner:
        shift, proof = _shift(workings.definitions[name], workings)
        if shift is not None and proof is not None:
            shifts.append(shift)
            proofs.append(proof)

    sums = {p.goal.target.tensor for p in (*derivation.lemmas, *derivation.tangent_proofs) if p.kind == "name"}

    def finite(equation: Equation) -> list[Equation]:
        if equation.target.tensor in derivation.inner:
            return [equation]
        found = _apply(equation, shifts, workings)
        if found is not None:
            proofs.append(found)
            return [found.result]
        for shift in shifts if equation.target.tensor in sums else ():
            scaled, proof = _scale(equation, shift, workings)
            if scaled is not None and proof is not None:
                shift.scaled.append(scaled)
                proofs.append(proof)
                return [scaled.shifted, equation]
        return [equation]

    forward = [made for e in derivation.definitions for made in finite(e)]
    backward = [made for e in derivation.results for made in finite(e)]
    tangents = [made for p in derivation.tangent_proofs for made in finite(p.result)]
    if not shifts:
        return Stable(tuple(forward), tuple(backward), tuple(tangents), ())
    helpers = {*derivation.inner, *(each.source.target.tensor for shift in shifts for each in shift.scaled)}
    helpers |= {each.shifted.target.tensor for shift in shifts for each in shift.scaled}
    wanted = _wanted([*forward, *backward, *tangents], helpers)
    ordered: list[Equation] = []
    for equation in forward:
        own = next((s for s in shifts if s.source == equation), None)
        if own is not None:
            ordered += [own.largest] * (own.shift.tensor in wanted)
            ordered += [own.shifted] * (own.shifted.target.tensor in wanted)
            ordered += [equation] * (own.name in wanted)
        elif equation.target.tensor in wanted or equation.target.tensor not in helpers:
            ordered.append(equation)
    later = [[e for e in some if e.target.tensor in wanted or e.target.tensor not in helpers] for some in (backward, tangents)]
    used = {name for e in (*ordered, *later[0], *later[1]) for name in tensors_in(e.value)}
    replaced = {own.source.target: own.shifted.target for shift in shifts for own in shift.every}
    kept = [p for p in proofs if p.goal.target not in replaced or replaced[p.goal.target].tensor in used]
    return Stable(tuple(ordered), tuple(later[0]), tuple(later[1]), tuple(kept))


def _wanted(equations: list[Equation], helpers: set[str]) -> set[str]:
    """What the equations that are there for their own sake rest on."""
    wanted = {name for e in equations if e.target.tensor not in helpers for name in tensors_in(e.value)}
    for equation in reversed(equations):
        if equation.target.tensor in wanted:
            wanted.update(tensors_in(equation.value))
    return wanted


def _shift(definition: Equation, workings: Workings) -> tuple[Shift | None, Proof | None]:
    """The shift of a sum of exponentials; nothing where the sum has another form."""
    value = definition.value
    found = exponents(value)
    if found is None:
        return None, None
    indices = tuple(i for i in definition.target.indices if isinstance(i, Idx))
    over = tuple(i for i in indices if i in reach(found))
    m = Ref(workings.new_name(("m", "c", "h")), over)
    workings.declare(m.tensor, over)
    less = shifted(value, m)
    smaller = Equation(Ref(workings.new_name((f"{definition.target.tensor}_m",)), indices), less)
    workings.declare(smaller.target.tensor, indices)
    workings.definitions[smaller.target.tensor] = smaller
    chain = Chain(definition.target.tensor, "stable", definition.target, value)
    front = Fn("exp", (m,))
    chain.record("shift_exponent", shifted(value, m, (front,)), f"for any {m.tensor}", "full")
    chain.record("pull_out", Mul((front, less)), f"{m.tensor} does not depend on the summed index", "full")
    chain.use([smaller.target.tensor])
    chain.record("name_sum", Mul((front, smaller.target)), "the shifted sum gets a name", "full")
    return Shift(definition, found, m, smaller, Equation(m, largest(found))), chain.proof(workings)


def _scale(equation: Equation, shift: Shift, workings: Workings) -> tuple[Scaled | None, Proof | None]:
    """A named sum with exp(m) in front of it; nothing where its exponentials are others."""
    target, value = equation.target, equation.value
    raw = _substitute_shift(value, shift, build=False)
    together = rules.rename_bound(_substitute_shift(value, shift, build=True), target)
    finite = rules.pull_out(together)
    fronts = [f for f in factors(finite) if _is_front(f, shift)]
    rest = mul(*(f for f in factors(finite) if f not in fronts))
    if len(fronts) != 1 or _bare(rest, shift):
        return None, None
    front = fronts[0]
    assert isinstance(front, Fn) and isinstance(front.args[0], Ref)
    name = Ref(workings.new_name((f"{target.tensor}_m",)), target.indices)
    workings.declare(name.tensor, [i for i in target.indices if isinstance(i, Idx)])
    smaller = Equation(name, rest)
    chain = Chain(target.tensor, "stable", target, value)
    m = shift.shift.tensor
    chain.use(used for own in shift.every if own.source.target.tensor in tensors_in(value) for used in _both(own))
    chain.record("shift_exponent", raw, f"exp(u) = exp({m}) exp(u - {m}), for any {m}", "full")
    chain.record("pull_out", Mul((front, rest)), f"{m} does not depend on the summed index", "full")
    workings.definitions.update({target.tensor: equation, name.tensor: smaller})
    chain.use([name.tensor])
    chain.record("name_sum", Mul((front, name)), "the shifted sum gets a name", "full")
    return Scaled(equation, front.args[0], smaller), chain.proof(workings)


# ---------------------------------------------------------------------------------------------------- using it


def _apply(equation: Equation, shifts: list[Shift], workings: Workings) -> Proof | None:
    """The equation with every sum of exponentials shifted, if exp(m) then disappears from it."""
    chain = Chain(equation.target.tensor, "stable", equation.target, equation.value)
    for shift in shifts:
        for rule, start, divided in _starts(chain.current, shift, workings):
            raw = _substitute_shift(start, shift, build=False)
            together = rules.rename_bound(_substitute_shift(start, shift, build=True), equation.target)
            # exp(m) may stand inside a sum that does not run over m's indices, while its inverse stands outside.
            finite = rules.pull_out(together) if _bare(together, shift) else together
            finite = _inverses_written(finite, shift) if divided else finite
            if _bare(finite, shift) or finite == start:
                continue
            m = shift.shift.tensor
            if rule == "unfold":
                chain.use(name for name in tensors_in(chain.current) if name not in tensors_in(start))
            chain.use(name for own in shift.every if own.source.target.tensor in tensors_in(start) for name in _both(own))
            chain.record(rule, start, "each exponential in one product with its quotient", "baby")
            chain.record("shift_exponent", raw, f"exp(u) = exp({m}) exp(u - {m}), for any {m}", "full")
            if finite != together:
                chain.record("collect", together, "", "baby")
            last = "pull_out" if finite != together else "cancel"
            chain.record(last, finite, f"exp({m}) cancels, or leaves the logarithm", "full")
            break
    return chain.proof(workings) if chain.steps else None


def _both(own: Shift | Scaled) -> tuple[str, str]:
    return own.source.target.tensor, own.shifted.target.tensor


def _starts(expr: Expr, shift: Shift, workings: Workings) -> Iterator[tuple[str, Expr, bool]]:
    """Equal forms of an expression, by rules: in the later ones more exponentials stand in one product with 1/Z. The last resort
    is exp(-m) beside what is no exponential at all."""
    forms = [("pull_out", expr)]
    if {own.source.target.tensor for own in shift.every}.isdisjoint(tensors_in(expr)):
        # A value T = 1/Z may have been put back beside an exponential of Z; a recurrence would only be opened by one step.
        known = [e for name, e in workings.definitions.items() if name in tensors_in(expr) and name not in tensors_in(e.value)]
        quotients = [e for e in known if _divides(e.value, shift)]
        if not quotients or not any(_shift_of(node, shift, ()) for node in walk(expr) if isinstance(node, Fn)):
            return
        forms = [("unfold", rules.unfold(expr, quotients))]
    whole = forms[0][1]
    apart = rules.split_terms(whole)
    forms += [(rule, _inward(form, shift)) for rule, form in (("pull_out", whole), ("split_terms", apart))]
    forms.insert(2, ("split_terms", apart))
    for divided in (False, True):
        for rule, form in forms:
            if form != expr or rule == "pull_out":
                yield rule if whole is expr else "unfold", form, divided


def _divides(expr: Expr, shift: Shift) -> bool:
    """Whether an expression is a product with 1/Z among its factors."""
    bases = [split_power(f) for f in factors(expr)]
    return any(isinstance(base, Ref) and base.tensor == shift.name and exponent < 0 for base, exponent in bases)


def _inward(expr: Expr, shift: Shift) -> Expr:
    """exp(u) brought under the sums and into the brackets in which 1/Z stands."""

    def bring(exps: tuple[Expr, ...], node: Expr) -> Expr | None:
        if isinstance(node, Sum):
            inside = rename_apart(node, [i.name for f in exps for i in free_indices(f)])
            assert isinstance(inside, Sum)
            body = bring(exps, inside.body)
            return None if body is None else Sum(inside.indices, body)
        if isinstance(node, Add):
            terms = [bring(exps, term) for term in node.terms]
            return None if None in terms else add(*(term for term in terms if term is not None))
        if _divides(node, shift):
            return mul(*exps, node)
        holding = [f for f in factors(node) if isinstance(f, (Sum, Add)) and shift.name in tensors_in(f)]
        found = bring(exps, holding[0]) if len(holding) == 1 else None
        return None if found is None else mul(*(found if f is holding[0] else f for f in factors(node)))

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Mul) or _divides(node, shift):
            return None
        exps = tuple(f for f in node.factors if isinstance(base := split_power(f)[0], Fn) and base.name == "exp")
        rest = mul(*(rule(f) or f for f in node.factors if f not in exps))
        return bring(exps, rest) if exps else None

    return transform(expr, rule)


def _substitute_shift(expr: Expr, shift: Shift, build: bool) -> Expr:
    """Put exp(m) Zm for Z, and for every sum that goes with it, and exp(m) exp(u - m) for exp(u).

    With `build` the products are simplified as they are made.
    """

    known: dict[str, Shift | Scaled] = {own.source.target.tensor: own for own in shift.every}

    def visit(node: Expr, beside: tuple[Ref, ...]) -> Expr:
        own = known.get(node.tensor) if isinstance(node, Ref) else None
        if isinstance(node, Ref) and own is not None:
            return Mul((Fn("exp", (_beside(own, node),)), Ref(own.shifted.target.tensor, node.indices)))
        if isinstance(node, Fn) and node.name == "exp":
            m = _shift_of(node, shift, beside)
            if m is not None:
                return rules.shift_exponent(node, m)
        parts = children(node)
        if not parts:
            return node
        if isinstance(node, Mul):
            bases = (split_power(f)[0] for f in node.factors)
            beside = tuple(base for base in bases if isinstance(base, Ref) and base.tensor == shift.name) or beside
        new = tuple(visit(part, beside) for part in parts)
        if all(a is b for a, b in zip(new, parts)):
            return node
        if build:
            if isinstance(node, Fn) and node.name == "log":
                return _log(new[0])
            return rebuild(node, new)
        if isinstance(node, Mul):
            return Mul(new)
        if isinstance(node, Pow):
            return Pow(new[0], node.exponent)
        if isinstance(node, Add):
            return Add(new)
        return rebuild(node, new)

    return visit(expr, ())


def _shift_of(node: Fn, shift: Shift, beside: tuple[Ref, ...]) -> Ref | None:
    """The entry of m that belongs to an exponential: read off its exponent, or, where that has not all of m's indices, off the entry
    of Z in whose product it stands."""
    formal = tuple(i for i in shift.source.target.indices if isinstance(i, Idx))
    for each in shift.exponents:
        found = unify(each.value, node.args[0], {}, frozenset((*formal, *each.bound)))
        if found is None:
            continue
        if all(i in found for i in shift.shift.indices if isinstance(i, Idx)):
            return Ref(shift.shift.tensor, tuple(found[i] for i in shift.shift.indices if isinstance(i, Idx)))
        for ref in beside:
            own = dict(zip(formal, ref.indices))
            if all(own[i] == found.get(i, own[i]) for i in formal):
                return _beside(shift, ref)
    return None


def _inverses_written(expr: Expr, shift: Shift) -> Expr:
    """exp(m)^-n as exp(-n m): what is left where the numerator is no exponential."""

    def rule(node: Expr) -> Expr | None:
        base, exponent = split_power(node)
        return Fn("exp", (mul(num(exponent), base.args[0]),)) if exponent < 0 and isinstance(base, Fn) and _is_front(base, shift) else None

    return transform(expr, rule)


def _log(argument: Expr) -> Expr:
    """log(exp(m) Z) = m + log Z"""
    outside = [f.args[0] for f in factors(argument) if isinstance(f, Fn) and f.name == "exp"]
    inside = [f for f in factors(argument) if not (isinstance(f, Fn) and f.name == "exp")]
    return add(*outside, Fn("log", (mul(*inside),))) if inside else add(*outside)


def _is_front(expr: Expr, shift: Shift) -> bool:
    return isinstance(expr, Fn) and expr.name == "exp" and isinstance(expr.args[0], Ref) and expr.args[0].tensor == shift.shift.tensor


def _bare(expr: Expr, shift: Shift) -> bool:
    """Whether exp(m) itself is still there."""
    return any(_is_front(node, shift) for node in walk(expr))
