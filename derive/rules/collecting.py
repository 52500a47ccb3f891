"""Rules that collect, cancel and order terms and factors."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from derive.conditions import impossible
from derive.equality import canonical
from derive.expr import ONE, ZERO, Add, Expr, Mul, Num, Ref, Sum, add, mul, neg, power, total, transform
from derive.terms import (
    brackets,
    coefficient,
    common_factors,
    divide,
    unbounded,
)


def cancel(expr: Expr) -> Expr:
    """c t + d t = (c + d) t, and a term with coefficient 0 goes"""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Add):
            return None
        groups: dict[Expr, tuple[Fraction, Expr]] = {}
        for term in node.terms:
            scale, rest = coefficient(cancel(term))
            key = canonical(rest)
            previous = groups.get(key)
            groups[key] = (scale + (previous[0] if previous else Fraction(0)), previous[1] if previous else rest)
        return add(*(mul(Num(scale), rest) for scale, rest in groups.values() if scale))

    return transform(expr, rule)


def exclude(expr: Expr) -> Expr:
    """[a] [b] f = 0, where a and b cannot both hold"""
    return transform(expr, lambda node: ZERO if isinstance(node, Mul) and impossible(brackets(node)) else None)


def collect(expr: Expr) -> Expr:
    """f u + f v = f (u + v)"""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Add) or len(node.terms) < 2:
            return None
        parts = tuple(collect(term) for term in node.terms)
        shared = _beside_conditions(common_factors(parts), parts)
        scales = [abs(coefficient(part)[0]) for part in parts]
        scale = scales[0] if all(s == scales[0] for s in scales) else Fraction(1)
        rest = [mul(Num(1 / scale), divide(part, shared)) for part in parts]
        # A sum reads best with a positive term in front; if all are negative the sign goes outside.
        signs = [coefficient(part)[0] < 0 for part in rest]
        if all(signs):
            rest, scale = [neg(part) for part in rest], -scale
        elif signs[0]:
            first = signs.index(False)
            rest.insert(0, rest.pop(first))
        inside = add(*rest)
        if not shared and scale == 1:
            return inside
        return mul(Num(scale), *(power(base, exponent) for base, exponent in shared.items()), inside)

    return transform(expr, rule)


def _beside_conditions(shared: dict[Expr, Fraction], parts: tuple[Expr, ...]) -> dict[Expr, Fraction]:
    """Without the factors that may have no value where a condition does not hold, if every term has a condition and not the same."""
    if any(not brackets(part) for part in parts) or all(bracket in shared for part in parts for bracket in brackets(part)):
        return shared
    return {base: exponent for base, exponent in shared.items() if not unbounded(power(base, exponent))}


def order_factors(expr: Expr, first: Iterable[str]) -> Expr:
    """u v = v u: numbers, then the entries of the tensors in `first`, then the rest in the order they stood"""
    leading = set(first)

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Mul):
            return None
        parts = [order_factors(f, leading) for f in node.factors]
        return Mul(tuple(sorted(parts, key=lambda f: 0 if isinstance(f, Num) else 1 if isinstance(f, Ref) and f.tensor in leading else 2)))

    return transform(expr, rule)


def split_terms(expr: Expr) -> Expr:
    """(u + v) f = u f + v f, everywhere outside functions: the inverse of collecting"""

    def visit(node: Expr) -> list[Expr]:
        if isinstance(node, Add):
            return [part for term in node.terms for part in visit(term)]
        if isinstance(node, Sum):
            return [total(node.indices, part) for part in visit(node.body)]
        if isinstance(node, Mul):
            products: list[Expr] = [ONE]
            for factor in node.factors:
                products = [mul(left, right) for left in products for right in visit(factor)]
            return products
        return [node]

    return add(*visit(expr))
