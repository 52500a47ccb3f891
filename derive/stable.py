"""Stability as proof steps: a shift inside every sum of exponentials, so that no kernel overflows.

For any m, exp(u) = exp(m) exp(u - m). Inside Z = sum(k, exp(u)) the factor exp(m) leaves the sum; in a quotient it cancels,
under a logarithm it becomes an addend. Because m is arbitrary in the proof, the code is free to take the maximum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from derive import rules
from derive.conditions import choose
from derive.expr import Add, Equation, Expr, Fn, Idx, Iverson, Max, Mul, Pow, Ref, Sum, add, children, mul, neg, num, rebuild, transform
from derive.indices import tensors_in
from derive.matching import unify
from derive.proof import Proof
from derive.terms import factors
from derive.workings import Chain, Workings

if TYPE_CHECKING:
    from derive.engine import Derivation


LOWEST = num(-(10**30))
"""What the maximum over no entry at all is taken to be: a row of a mask with nothing in it stays finite."""


@dataclass(frozen=True)
class Stable:
    """The equations a kernel computes, and the proofs that they are the derived ones."""

    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...]
    tangents: tuple[Equation, ...]
    proofs: tuple[Proof, ...]


@dataclass(frozen=True)
class Shift:
    """Z[o] = exp(m[o]) Zm[o], with Zm[o] = sum(k, exp(u - m[o]))."""

    source: Equation
    shift: Ref
    shifted: Equation
    largest: Equation


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

    def finite(equation: Equation) -> Equation:
        if equation.target.tensor in derivation.inner:
            return equation
        found = _apply(equation, shifts, workings)
        if found is None:
            return equation
        proofs.append(found)
        return found.result

    forward = [finite(e) for e in derivation.definitions]
    backward = [finite(e) for e in derivation.results]
    tangents = [finite(p.result) for p in derivation.tangent_proofs]
    if not shifts:
        return Stable(tuple(forward), tuple(backward), tuple(tangents), ())
    wanted = _wanted([*forward, *backward, *tangents], derivation)
    ordered: list[Equation] = []
    for equation in forward:
        own = next((s for s in shifts if s.source == equation), None)
        if own is not None:
            if own.shifted.target.tensor in wanted:
                ordered += [own.largest, own.shifted]
            if own.source.target.tensor in wanted:
                ordered.append(equation)
        elif equation.target.tensor in wanted or equation.target.tensor not in derivation.inner:
            ordered.append(equation)
    used = {name for e in ordered for name in tensors_in(e.value)}
    needed = {s.source.target for s in shifts if s.shifted.target.tensor in used}
    kept = [p for p in proofs if p.goal.target.tensor not in derivation.inner or p.goal.target in needed]
    return Stable(tuple(ordered), tuple(backward), tuple(tangents), tuple(kept))


def _wanted(equations: list[Equation], derivation: Derivation) -> set[str]:
    inner = set(derivation.inner)
    wanted = {name for e in equations if e.target.tensor not in inner for name in tensors_in(e.value)}
    for equation in reversed(equations):
        if equation.target.tensor in wanted:
            wanted.update(tensors_in(equation.value))
    return wanted


def _shift(definition: Equation, workings: Workings) -> tuple[Shift | None, Proof | None]:
    """The shift of a sum of exponentials; nothing where the sum has another form."""
    value = definition.value
    if not isinstance(value, Sum):
        return None, None
    exps = [f for f in factors(value.body) if isinstance(f, Fn) and f.name == "exp"]
    if len(exps) != 1:
        return None, None
    argument = exps[0].args[0]
    indices = tuple(i for i in definition.target.indices if isinstance(i, Idx))
    m = Ref(workings.new_name(("m", "c", "h")), indices)
    workings.declare(m.tensor, indices)
    shifted_exp = Fn("exp", (add(argument, neg(m)),))
    rest = [f for f in factors(value.body) if f is not exps[0]]
    shifted = Equation(Ref(workings.new_name((f"{definition.target.tensor}_m",)), indices), Sum(value.indices, mul(*rest, shifted_exp)))
    workings.declare(shifted.target.tensor, indices)
    workings.definitions[shifted.target.tensor] = shifted
    chain = Chain(definition.target.tensor, "stable", definition.target, value)
    front = Fn("exp", (m,))
    chain.record("shift_exponent", Sum(value.indices, Mul((front, *rest, shifted_exp))), f"for any {m.tensor}", "full")
    chain.record("pull_out", Mul((front, shifted.value)), f"{m.tensor} does not depend on the summed index", "full")
    chain.use([shifted.target.tensor])
    chain.record("name_sum", Mul((front, shifted.target)), "the shifted sum gets a name", "full")
    allowed = mul(*(f for f in rest if isinstance(f, Iverson)))
    largest = Max(value.indices, choose(allowed, argument, LOWEST))
    return Shift(definition, m, shifted, Equation(m, largest)), chain.proof(workings)


def _apply(equation: Equation, shifts: list[Shift], workings: Workings) -> Proof | None:
    """The equation with every sum of exponentials shifted, if exp(m) then disappears from it."""
    chain = Chain(equation.target.tensor, "stable", equation.target, equation.value)
    for shift in shifts:
        if shift.source.target.tensor not in tensors_in(chain.current):
            continue
        raw = _substitute_shift(chain.current, shift, build=False)
        finite = rules.rename_bound(_substitute_shift(chain.current, shift, build=True), equation.target)
        together = finite
        if _bare(finite, shift):
            # exp(m) may stand inside a sum that does not run over m's indices, while its inverse stands outside.
            finite = rules.pull_out(together)
        if _bare(finite, shift) or finite == chain.current:
            continue
        chain.use([shift.source.target.tensor, shift.shifted.target.tensor])
        chain.record(
            "shift_exponent", raw, f"exp(u) = exp({shift.shift.tensor}) exp(u - {shift.shift.tensor}), for any {shift.shift.tensor}", "full"
        )
        if finite != together:
            chain.record("collect", together, "", "baby")
        rule = "pull_out" if finite != together else "cancel"
        chain.record(rule, finite, f"exp({shift.shift.tensor}) cancels, or leaves the logarithm", "full")
    return chain.proof(workings) if chain.steps else None


def _substitute_shift(expr: Expr, shift: Shift, build: bool) -> Expr:
    """Put exp(m) Zm for Z and exp(m) exp(u - m) for exp(u); with `build` the products are simplified as they are made."""
    formal = tuple(i for i in shift.source.target.indices if isinstance(i, Idx))
    assert isinstance(shift.source.value, Sum)
    argument = next(f for f in factors(shift.source.value.body) if isinstance(f, Fn) and f.name == "exp").args[0]
    every = frozenset((*formal, *shift.source.value.indices))

    def visit(node: Expr) -> Expr:
        if isinstance(node, Ref) and node.tensor == shift.source.target.tensor:
            return Mul((Fn("exp", (Ref(shift.shift.tensor, node.indices),)), Ref(shift.shifted.target.tensor, node.indices)))
        if isinstance(node, Fn) and node.name == "exp":
            found = unify(argument, node.args[0], {}, every)
            if found is not None and all(i in found for i in formal):
                m = Ref(shift.shift.tensor, tuple(found[i] for i in formal))
                return rules.shift_exponent(node, m)
        parts = children(node)
        if not parts:
            return node
        new = tuple(visit(part) for part in parts)
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

    return visit(expr)


def _log(argument: Expr) -> Expr:
    """log(exp(m) Z) = m + log Z"""
    outside = [f.args[0] for f in factors(argument) if isinstance(f, Fn) and f.name == "exp"]
    inside = [f for f in factors(argument) if not (isinstance(f, Fn) and f.name == "exp")]
    return add(*outside, Fn("log", (mul(*inside),))) if inside else add(*outside)


def _bare(expr: Expr, shift: Shift) -> bool:
    """Whether exp(m) itself is still there."""
    hit: list[Expr] = []

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Fn) and node.name == "exp" and isinstance(node.args[0], Ref) and node.args[0].tensor == shift.shift.tensor:
            hit.append(node)
        return None

    transform(expr, rule)
    return bool(hit)
