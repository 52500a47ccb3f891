"""Sums of products taken apart and put together: the shape in which most rules read an expression."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from derive.expr import (
    Add,
    Delta,
    Diff,
    Differential,
    Expr,
    Fn,
    Idx,
    Iverson,
    MatrixFn,
    Max,
    Mul,
    Num,
    Pow,
    Ref,
    Size,
    Sum,
    children,
    mul,
    power,
    total,
    walk,
)
from derive.indices import free_indices


def terms(expr: Expr) -> tuple[Expr, ...]:
    """The terms of a sum; anything else is its own single term."""
    return expr.terms if isinstance(expr, Add) else (expr,)


def factors(expr: Expr) -> tuple[Expr, ...]:
    """The factors of a product; anything else is its own single factor."""
    return expr.factors if isinstance(expr, Mul) else (expr,)


def split_power(expr: Expr) -> tuple[Expr, Fraction]:
    """A factor as (base, exponent)."""
    return (expr.base, expr.exponent) if isinstance(expr, Pow) else (expr, Fraction(1))


def coefficient(expr: Expr) -> tuple[Fraction, Expr]:
    """A term as (number, the rest)."""
    if isinstance(expr, Num):
        return expr.value, Num(Fraction(1))
    if isinstance(expr, Mul) and isinstance(expr.factors[0], Num):
        return expr.factors[0].value, mul(*expr.factors[1:])
    return Fraction(1), expr


def contains(expr: Expr, kind: type | tuple[type, ...]) -> bool:
    return any(isinstance(node, kind) for node in walk(expr))


def mentions(expr: Expr, tensors: Iterable[str]) -> bool:
    """Whether `expr` mentions any of the tensors, indices included."""
    from derive.indices import tensors_in

    wanted = set(tensors)
    return any(name in wanted for name in tensors_in(expr))


def positive(expr: Expr, known: Iterable[str] = ()) -> bool:
    """Whether `expr` is surely above zero: exponentials, sizes, positive numbers, and what is built of them."""
    if isinstance(expr, Num):
        return expr.value > 0
    if isinstance(expr, Size):
        return True
    if isinstance(expr, Ref):
        return expr.tensor in known
    if isinstance(expr, Fn):
        return expr.name in ("exp", "sigmoid", "softplus")
    if isinstance(expr, (Mul, Add, Pow, Sum, Max)):
        return all(positive(child, known) for child in children(expr))
    return False


UNBOUNDED = ("exp", "log", "pow", "xlogy")


def plain(expr: Expr) -> bool:
    """Whether an expression is a number or made of lengths, the same for all entries of all arrays."""
    return isinstance(expr, (Num, Size)) or (isinstance(expr, (Add, Mul, Pow, Fn)) and all(plain(part) for part in children(expr)))


def unbounded(expr: Expr) -> bool:
    """Whether finite arguments may give an infinity, or no number: times the 0 of a condition, that is not 0 in floating point."""
    if plain(expr):
        return False
    if isinstance(expr, MatrixFn) or (isinstance(expr, Fn) and expr.name in UNBOUNDED):
        return True
    if isinstance(expr, Pow) and (expr.exponent < 0 or expr.exponent.denominator != 1):
        return True
    return any(unbounded(part) for part in children(expr))


def brackets(expr: Expr) -> tuple[Iverson, ...]:
    """The conditions among the factors of a product."""
    return tuple(f for f in factors(expr) if isinstance(f, Iverson))


def pull(bound: tuple[Idx, ...], body: Expr) -> tuple[tuple[Expr, ...], tuple[Expr, ...]]:
    """The factors of `body` that mention none of the bound indices, and the others."""
    inside: list[Expr] = []
    outside: list[Expr] = []
    for factor in factors(body):
        (inside if set(free_indices(factor)) & set(bound) else outside).append(factor)
    return tuple(outside), tuple(inside)


def common_factors(parts: tuple[Expr, ...]) -> dict[Expr, Fraction]:
    """The powers that divide every part: numbers aside, the exponent nearest to zero of each base that all of them share."""
    shared: dict[Expr, Fraction] | None = None
    for part in parts:
        powers = dict(split_power(f) for f in factors(part) if not isinstance(f, Num))
        if shared is None:
            shared = powers
            continue
        joint: dict[Expr, Fraction] = {}
        for base, exponent in shared.items():
            other = powers.get(base)
            if other is not None and (other > 0) == (exponent > 0):
                joint[base] = min(exponent, other, key=abs)
        shared = joint
    return shared or {}


def divide(part: Expr, powers: dict[Expr, Fraction]) -> Expr:
    return mul(part, *(power(base, -exponent) for base, exponent in powers.items()))


def flat_sum(bound: tuple[Idx, ...], body: Expr) -> Expr:
    """One sum where a sum stood directly inside a sum, with the number in front of it."""
    number, body = coefficient(body)
    while isinstance(body, Sum):
        bound = bound + body.indices
        inner, body = coefficient(body.body)
        number *= inner
    return mul(Num(number), total(bound, body))


def has_delta(expr: Expr) -> bool:
    return contains(expr, Delta)


def has_derivative(expr: Expr) -> bool:
    return contains(expr, (Diff, Differential))
