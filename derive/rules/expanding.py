"""Rules that multiply out and read powers, exponentials and conditions in one way: two equal formulas become one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from derive.equality import canonical, equal
from derive.expr import (
    ONE,
    Add,
    Equation,
    Expr,
    Fn,
    Idx,
    Iverson,
    MatrixFn,
    Max,
    Mul,
    Num,
    Position,
    Pow,
    Ref,
    Sum,
    add,
    children,
    delta,
    mul,
    neg,
    num,
    power,
    rebuild,
    total,
    transform,
    walk,
)
from derive.indices import free_indices, names, rename_apart, substitute
from derive.matching import replace_product
from derive.rules.sums import contract_delta, pull_out, rename_bound
from derive.signs import Signs
from derive.terms import coefficient, common_factors, divide, factors, flat_sum, split_power

MOST_TERMS = 200
HIGHEST_POWER = 6


class TooLong(Exception):
    """An expression that would fill pages when it is multiplied out."""


def expand(expr: Expr, target: Ref | None = None) -> Expr:
    """f (u + v) = f u + f v, sum(k, u) sum(l, v) = sum(k, l, u v), (u + v)^2 = u^2 + 2 u v + v^2: multiplied out"""
    outside = names(target) if target is not None else set()
    taken = set(outside)

    def apart(node: Expr) -> Expr:
        moved = rename_apart(node, taken)
        taken.update(names(moved))
        return moved

    def visit(node: Expr) -> list[Expr]:
        if isinstance(node, Add):
            return [part for term in node.terms for part in visit(term)]
        if isinstance(node, Sum):
            return [flat_sum(node.indices, part) for part in visit(node.body)]
        if isinstance(node, Mul):
            return product([visit(factor) for factor in node.factors])
        if isinstance(node, Pow):
            base = add(*visit(node.base))
            whole = node.exponent.denominator == 1 and 1 < node.exponent <= HIGHEST_POWER
            if whole and isinstance(base, (Add, Sum)) or whole and isinstance(base, Mul) and any(isinstance(f, Sum) for f in base.factors):
                return product([visit(apart(base)) for _ in range(int(node.exponent))])
            return [power(base, node.exponent)]
        parts = children(node)
        return [rebuild(node, tuple(add(*visit(part)) for part in parts))] if parts else [node]

    def product(lists: list[list[Expr]]) -> list[Expr]:
        found: list[Expr] = [ONE]
        for each in lists:
            if len(found) * len(each) > MOST_TERMS:
                raise TooLong
            found = [_times(left, right) for left in found for right in each]
        return found

    taken.update(i.name for i in free_indices(expr))
    return rename_bound(pull_out(add(*visit(apart(expr)))), target)


def _times(left: Expr, right: Expr) -> Expr:
    """The product of two terms whose sums bind different indices, under one sum."""
    bound: tuple[Idx, ...] = ()
    plain: list[Expr] = []
    for factor in (*factors(left), *factors(right)):
        if isinstance(factor, Sum):
            bound += factor.indices
            plain.append(factor.body)
        else:
            plain.append(factor)
    return flat_sum(bound, mul(*plain))


def contract(expr: Expr) -> Expr:
    """sum(x, delta(x,a) f(x)) = f(a), of every sum"""

    def visit(node: Expr) -> Expr:
        parts = children(node)
        node = rebuild(node, tuple(visit(part) for part in parts)) if parts else node
        while isinstance(node, Sum):
            found = contract_delta(node)
            if found is None:
                return node
            node = found[0]
        return node

    return visit(expr)


def bracket_delta(expr: Expr, values: Mapping[str, str]) -> Expr:
    """[i = j] = delta(i,j), for two positions along one axis"""

    def axis(node: Expr) -> str | None:
        if not isinstance(node, Position):
            return None
        return values.get(node.index.tensor) if isinstance(node.index, Ref) else node.index.dim

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Iverson) and node.relation == "==" and axis(node.left) is not None and axis(node.left) == axis(node.right):
            assert isinstance(node.left, Position) and isinstance(node.right, Position)
            return delta(node.left.index, node.right.index)
        return None

    return transform(expr, rule)


def quotient(expr: Expr) -> Expr:
    """sum(k, f(k) / sum(k, f(k))) = 1: a sum divided by itself"""

    def visit(node: Expr) -> Expr:
        parts = children(node)
        node = rebuild(node, tuple(visit(part) for part in parts)) if parts else node
        if not isinstance(node, (Sum, Mul)):
            return node
        inside = factors(coefficient(node)[1])
        inner = [f for factor in inside for f in (factors(factor.body) if isinstance(factor, Sum) else (factor,))]
        for factor in inner:
            base, exponent = split_power(factor)
            if exponent > -1 or not isinstance(base, Sum):
                continue
            value = rename_apart(base, names(node))
            known = Equation(Ref("#sum", free_indices(base)), value)
            found = replace_product(known, node)
            if found is not None:
                return transform(found, lambda ref, base=base: base if isinstance(ref, Ref) and ref.tensor == "#sum" else None)  # type: ignore[misc]
        return node

    return pull_out(visit(expr))


def exp_of_sum(expr: Expr) -> Expr:
    """exp(u + v) = exp(u) exp(v), exp(n u) = exp(u)^n"""

    def visit(node: Expr) -> Expr:
        parts = children(node)
        node = rebuild(node, tuple(visit(part) for part in parts)) if parts else node
        if not isinstance(node, Fn) or node.name != "exp":
            return node
        terms = node.args[0].terms if isinstance(node.args[0], Add) else node.args
        made = []
        for term in terms:
            number, rest = coefficient(term)
            whole = number.denominator == 1 and rest != ONE
            made.append(power(Fn("exp", (rest,)), number) if whole else Fn("exp", (term,)))
        return mul(*made)

    return visit(expr)


def power_of_product(expr: Expr, signs: Signs) -> Expr:
    """(u v)^r = u^r v^r and (u^s)^r = u^(s r), where u and v are not negative or r is whole"""

    def visit(node: Expr) -> Expr:
        parts = children(node)
        node = rebuild(node, tuple(visit(part) for part in parts)) if parts else node
        if not isinstance(node, Pow) or node.exponent.denominator == 1:
            return node
        out: list[Expr] = []
        stay: list[Expr] = []
        for factor in factors(node.base):
            base, exponent = split_power(factor)
            if signs.positive(base) or (exponent > 0 and signs.not_negative(base)):
                out.append(power(base, exponent * node.exponent))
            else:
                stay.append(factor)
        # What stays under the root has to be not negative by itself: so it is once the rest is positive.
        if not out or any(not signs.positive(split_power(f)[0]) for f in factors(node.base) if f not in stay) and stay:
            return node
        return mul(*out, power(mul(*stay), node.exponent) if stay else ONE)

    return visit(expr)


def log_of_factors(expr: Expr, signs: Signs) -> Expr:
    """log(u v^n) = log u + n log v, where u and v are positive, and log(exp u) = u"""

    def visit(node: Expr) -> Expr:
        parts = children(node)
        node = rebuild(node, tuple(visit(part) for part in parts)) if parts else node
        if not isinstance(node, Fn) or node.name != "log":
            return node
        split = [split_power(f) for f in factors(node.args[0])]
        if not all(signs.positive(base) for base, _ in split):
            return node
        return add(*(mul(Num(exponent), _logarithm(base)) for base, exponent in split))

    return visit(expr)


def common_denominator(expr: Expr, signs: Signs) -> Expr:
    """(c u + c v)^r = c^r (u + v)^r, log(c u + c v) = log c + log(u + v): what all terms share goes, what divides one multiplies all"""

    def visit(node: Expr) -> Expr:
        parts = children(node)
        node = rebuild(node, tuple(visit(part) for part in parts)) if parts else node
        if isinstance(node, Fn) and node.name == "log" and isinstance(node.args[0], Add):
            _, shared, rest = _content(node.args[0], lambda base: signs.positive(base), lambda scale: Fraction(1))
            logs = (mul(Num(exponent), _logarithm(base)) for base, exponent in shared.items())
            return add(*logs, Fn("log", (rest,))) if shared else node
        if not isinstance(node, Pow) or not isinstance(node.base, Add) or node.exponent > 0 and node.exponent.denominator == 1:
            return node
        if node.exponent.denominator == 1:
            scale, shared, rest = _content(node.base, lambda base: True, lambda scale: scale)
        else:
            # A root is taken of what is positive alone.
            scale, shared, rest = _content(node.base, lambda base: signs.positive(base), abs)
        if not shared and scale == 1:
            return node
        outside = [power(base, exponent * node.exponent) for base, exponent in shared.items()]
        return mul(power(Num(scale), node.exponent), *outside, power(rest, node.exponent))

    return visit(expr)


def _content(
    base: Add, able: Callable[[Expr], bool], scaled: Callable[[Fraction], Fraction]
) -> tuple[Fraction, dict[Expr, Fraction], Expr]:
    """A number and powers whose product with the rest is `base`: what all its terms share, and the inverse of what divides any."""
    below: dict[Expr, Fraction] = {}
    for term in base.terms:
        for factor in factors(term):
            under, exponent = split_power(factor)
            if exponent < 0 and not isinstance(under, Num) and able(under):
                below[under] = min(below.get(under, Fraction(0)), exponent)
    terms = tuple(divide(term, below) for term in base.terms)
    shared = {under: exponent for under, exponent in common_factors(terms).items() if able(under)}
    for under, exponent in below.items():
        shared[under] = shared.get(under, Fraction(0)) + exponent
    shared = {under: exponent for under, exponent in shared.items() if exponent}
    first = min(terms, key=lambda term: repr(canonical(coefficient(term)[1])))
    scale = scaled(coefficient(first)[0])
    return scale, shared, add(*(mul(Num(1 / scale), divide(term, shared)) for term in base.terms))


def _logarithm(expr: Expr) -> Expr:
    return expr.args[0] if isinstance(expr, Fn) and expr.name == "exp" else Fn("log", (expr,))


def halve(expr: Expr) -> Expr:
    """sum(k, l, [k < l] f(k,l)) = (sum(k, l, f(k,l)) - sum(k, f(k,k))) / 2, where f(k,l) = f(l,k)"""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Sum):
            return None
        for factor in factors(node.body):
            pair = _ordered_pair(factor)
            if pair is None or not set(pair) <= set(node.indices):
                continue
            k, l = pair
            rest = mul(*(f for f in factors(node.body) if f is not factor))
            if not equal(substitute(substitute(substitute(rest, {k: Idx("#", k.dim)}), {l: k}), {Idx("#", k.dim): l}), rest):
                continue
            left = tuple(i for i in node.indices if i != l)
            diagonal = total(left, substitute(rest, {l: k}))
            sign = -1 if isinstance(factor, Iverson) and factor.relation == "<" else 1
            return mul(num(Fraction(1, 2)), add(Sum(node.indices, rest), mul(num(sign), diagonal)))
        return None

    return transform(expr, rule)


def _ordered_pair(factor: Expr) -> tuple[Idx, Idx] | None:
    if not isinstance(factor, Iverson) or factor.relation not in ("<", "<="):
        return None
    if not isinstance(factor.left, Position) or not isinstance(factor.right, Position):
        return None
    k, l = factor.left.index, factor.right.index
    return (k, l) if isinstance(k, Idx) and isinstance(l, Idx) and k.dim == l.dim else None


def elementary(expr: Expr) -> Expr:
    """sigmoid(u) = 1 / (1 + exp(-u)), tanh(u) = 1 - 2 / (1 + exp(2 u)), softplus(u) = log(1 + exp(u)), relu(u) = [u > 0] u"""

    def visit(node: Expr) -> Expr:
        parts = children(node)
        node = rebuild(node, tuple(visit(part) for part in parts)) if parts else node
        if not isinstance(node, Fn) or len(node.args) != 1:
            return node
        u = node.args[0]
        if node.name == "sigmoid":
            return power(add(ONE, Fn("exp", (neg(u),))), -1)
        if node.name == "tanh":
            return add(ONE, mul(num(-2), power(add(ONE, Fn("exp", (mul(num(2), u),))), -1)))
        if node.name == "softplus":
            return Fn("log", (add(ONE, Fn("exp", (u,))),))
        if node.name == "relu":
            return mul(Iverson("<", num(0), u), u)
        return node

    return visit(expr)


def divide_out(expr: Expr) -> Expr:
    """u / (u + v) = 1 - v / (u + v)"""

    def visit(node: Expr) -> Expr:
        parts = children(node)
        node = rebuild(node, tuple(visit(part) for part in parts)) if parts else node
        if not isinstance(node, Mul):
            return node
        for factor in node.factors:
            base, exponent = split_power(factor)
            if exponent >= 0 or exponent.denominator != 1 or not isinstance(base, Add):
                continue
            lead = min((t for t in base.terms if not isinstance(t, Num)), key=lambda t: repr(canonical(coefficient(t)[1])))
            scale, rest = coefficient(lead)
            have = dict(split_power(f) for f in node.factors)
            need = [split_power(f) for f in factors(rest)]
            if any(isinstance(b, Sum) for b, _ in need) or not all(have.get(b, Fraction(0)) >= e for b, e in need):
                continue
            other = add(*(t for t in base.terms if t != lead))
            outside = mul(divide(node, dict(need)), power(base, -exponent), Num(1 / scale))
            return mul(outside, add(power(base, exponent + 1), neg(mul(other, power(base, exponent)))))
        return node

    return visit(expr)


def symmetric_order(expr: Expr, tensors: Mapping[str, tuple[int, int]]) -> Expr:
    """A[i,j] = A[j,i], for a tensor that is declared symmetric, and for its inverse: every entry is written in one of the two ways"""
    bound = {i for node in walk(expr) if isinstance(node, (Sum, Max)) for i in node.indices}

    def order(index: object) -> tuple[bool, str]:
        return (index in bound, repr(index))

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, MatrixFn) and node.name == "inv" and isinstance(node.body, Ref) and node.body.tensor in tensors:
            places = [n for n, index in enumerate(node.body.indices) if index in node.indices]
            if tuple(places) == tensors[node.body.tensor] and order(node.at[1]) < order(node.at[0]):
                return MatrixFn(node.name, node.indices, node.body, (node.at[1], node.at[0]))
            return None
        if not isinstance(node, Ref) or node.tensor not in tensors:
            return None
        first, second = tensors[node.tensor]
        indices = list(node.indices)
        if order(indices[second]) < order(indices[first]):
            indices[first], indices[second] = indices[second], indices[first]
        return Ref(node.tensor, tuple(indices))

    return transform(expr, rule)
