"""Sums of exponentials: what counts as one, its exponents, and the form in which every one of them has lost the same shift."""

from __future__ import annotations

from dataclasses import dataclass

from derive.conditions import choose
from derive.expr import ZERO, Add, Expr, Fn, Idx, Iverson, Max, Mul, Ref, Sum, add, mul, neg, num, total
from derive.indices import free_indices
from derive.terms import factors

LOWEST = num(-(10**30))
"""What the maximum over no entry at all is taken to be: a row of a mask with nothing in it stays finite."""


@dataclass(frozen=True)
class Exponent:
    """One u of the terms c [condition] exp(u), summed over `bound`; a term that is no exponential has u = 0."""

    value: Expr
    bound: tuple[Idx, ...]
    conditions: tuple[Iverson, ...]


def exponents(expr: Expr) -> tuple[Exponent, ...] | None:
    """The exponents of a sum whose terms hold one exponential each, or none; None for anything else."""
    if not isinstance(expr, (Add, Sum)) or not _holds(expr):
        return None
    return _exponents(expr, (), ())


def _exponents(expr: Expr, bound: tuple[Idx, ...], conditions: tuple[Iverson, ...]) -> tuple[Exponent, ...] | None:
    if not _holds(expr):
        return (Exponent(ZERO, bound, (*conditions, *(f for f in factors(expr) if isinstance(f, Iverson)))),)
    if isinstance(expr, Fn):
        return (Exponent(expr.args[0], bound, conditions),)
    if isinstance(expr, Sum):
        return _exponents(expr.body, bound + expr.indices, conditions)
    if isinstance(expr, Mul):
        holding = [f for f in expr.factors if _holds(f)]
        inner = (*conditions, *(f for f in expr.factors if isinstance(f, Iverson)))
        return _exponents(holding[0], bound, inner) if len(holding) == 1 else None
    assert isinstance(expr, Add)
    found = [_exponents(term, bound, conditions) for term in expr.terms]
    return None if None in found else tuple(each for part in found for each in part or ())


def _holds(expr: Expr) -> bool:
    """Whether there is an exponential in an expression, no other function around it."""
    if isinstance(expr, Fn):
        return expr.name == "exp"
    if isinstance(expr, Sum):
        return _holds(expr.body)
    return isinstance(expr, (Add, Mul)) and any(_holds(part) for part in (expr.terms if isinstance(expr, Add) else expr.factors))


def reach(found: tuple[Exponent, ...]) -> set[Idx]:
    """The indices along which the largest exponent differs."""
    return {i for each in found for part in (each.value, *each.conditions) for i in free_indices(part) if i not in each.bound}


def largest(found: tuple[Exponent, ...]) -> Expr:
    """The largest exponent of all."""
    value: Expr | None = None
    for each in dict.fromkeys(found):
        body = choose(mul(*each.conditions), each.value, LOWEST)
        over = tuple(i for i in each.bound if i in free_indices(body))
        part = Max(over, body) if over else body
        value = part if value is None else Fn("max", (value, part))
    assert value is not None
    return value


def shifted(expr: Expr, shift: Ref, front: tuple[Expr, ...] = ()) -> Expr:
    """A sum of exponentials with exp(u - m) in the place of exp(u), each behind the factors `front`."""
    if not _holds(expr):
        return _beside((expr,), front, Fn("exp", (neg(shift),)))
    if isinstance(expr, Fn):
        return _beside((), front, Fn("exp", (add(expr.args[0], neg(shift)),)))
    if isinstance(expr, Sum):
        return total(expr.indices, shifted(expr.body, shift, front))
    if isinstance(expr, Mul):
        others = tuple(f for f in expr.factors if not _holds(f))
        (holding,) = (f for f in expr.factors if _holds(f))
        if isinstance(holding, Fn):
            return _beside(others, front, Fn("exp", (add(holding.args[0], neg(shift)),)))
        return mul(*others, shifted(holding, shift, front))
    assert isinstance(expr, Add)
    return add(*(shifted(term, shift, front) for term in expr.terms))


def _beside(others: tuple[Expr, ...], front: tuple[Expr, ...], exponential: Expr) -> Expr:
    """A product in which the factors of the shift stand apart; `mul` would not keep exp(m) and exp(-m) from meeting."""
    parts = tuple(f for f in (*front, *others, exponential) if f != num(1))
    return Mul(parts) if front and len(parts) > 1 else mul(*parts)
