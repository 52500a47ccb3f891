"""Conditions as arithmetic: a condition is a product of Iverson brackets, 1 where it holds and 0 where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import islice, product

from derive.affine import place
from derive.expr import ONE, ZERO, Add, Expr, Idx, Iverson, Mul, Num, Position, Size, add, iverson, mul, neg, opposite
from derive.indices import free_indices, substitute
from derive.inequalities import Row, contradiction


def compare(relation: str, left: Expr, right: Expr) -> Expr:
    """The bracket of `left relation right`, for any of < <= > >= == !=."""
    if relation in (">", ">="):
        return iverson(relation.replace(">", "<"), right, left)
    return iverson(relation, left, right)


def complement(condition: Expr) -> Expr:
    """1 exactly where `condition` is 0."""
    if isinstance(condition, Iverson):
        return opposite(condition)
    if isinstance(condition, Num):
        return ZERO if condition.value else ONE
    return add(ONE, neg(condition))


def choose(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """[condition] yes + [not condition] no"""
    return add(mul(condition, yes), mul(complement(condition), no))


# ---------------------------------------------------------------------------------------------------- what cannot hold

MOST_TERMS = 16  # alternatives of a product of sums that are looked at
Bound = tuple[Fraction, bool]  # a number, and whether it is itself excluded


def impossible(conditions: Sequence[Iverson]) -> tuple[Iverson, ...]:
    """One condition that can never hold, or two that exclude each other; nothing where neither is seen.

    Decided are bounds on one and the same expression, a position being a whole number from 0 to below the size of its axis.
    """
    read = [(condition, *_bounds(condition)) for condition in conditions]
    for n, (first, key, low, high, other) in enumerate(read):
        if _empty(key, low, high, other):
            return (first,)
        for second, key_2, low_2, high_2, other_2 in read[:n]:
            if key != key_2:
                continue
            lowest = max((b for b in (low, low_2) if b is not None), default=None)
            highest = min((b for b in (high, high_2) if b is not None), key=lambda b: (b[0], not b[1]), default=None)
            if any(_empty(key, lowest, highest, each) for each in (other, other_2)):
                return (second, first)
    return ()


def together_impossible(conditions: Sequence[Iverson]) -> tuple[Iverson, ...]:
    """Some of the conditions that exclude one another, however many it takes: `i < j`, `j < k` and `k < i`; nothing where none do."""
    rows: list[Row] = []
    for number, condition in enumerate(conditions):
        if condition.relation == "!=":
            continue
        rows.append(_row(add(condition.left, neg(condition.right)), condition.relation == "<", number))
        if condition.relation == "==":
            rows.append(_row(add(condition.right, neg(condition.left)), False, number))
    for each in dict.fromkeys(variable for row in rows for variable, _ in row.terms if isinstance(variable, Position)):
        rows.append(_row(neg(each), False))
        if isinstance(each.index, Idx):
            rows.append(_row(add(each, neg(Size(each.index.dim))), True))
    return tuple(conditions[number] for number in sorted(contradiction(rows)))


@lru_cache(maxsize=1024)
def surely_met(bound: tuple[Idx, ...], expr: Expr, given: tuple[Iverson, ...] = ()) -> bool:
    """Whether, whatever the other indices are, some entry of the sum of `expr` over `bound` meets all conditions that mention `bound`,
    where those that are given hold.

    Tried for each bound index are the other indices over its axis, and the axis's first and last labels: j <= i has j = i, and j < i
    has none of them where i is 0, but has j = k where k < i is given.
    """
    mentioned = tuple(tuple(c for c in each if set(free_indices(c)) & set(bound)) for each in _alternatives(expr))
    return any(_met(bound, each, given) for each in mentioned)


def _met(bound: tuple[Idx, ...], conditions: tuple[Iverson, ...], given: tuple[Iverson, ...]) -> bool:
    left = [c for c in conditions if c not in given and not _always(c)]
    moving = tuple(i for i in bound if any(i in free_indices(c) for c in left))
    if not left or not moving:
        return not left
    first, rest = moving[0], moving[1:]
    others = dict.fromkeys(i for c in (*left, *given) for i in free_indices(c) if i != first and i.dim == first.dim)
    ends = (place(ZERO, first.dim), place(add(Size(first.dim), Num(Fraction(-1))), first.dim))
    for witness in (*others, *ends):
        tried = [substitute(c, {first: witness}) for c in left]
        if ZERO not in tried and _met(rest, tuple(c for c in tried if isinstance(c, Iverson)), given):
            return True
    return False


def _always(condition: Iverson) -> bool:
    other = opposite(condition)
    return isinstance(other, Iverson) and bool(together_impossible([other]))


def _alternatives(expr: Expr) -> tuple[tuple[Iverson, ...], ...]:
    """The conditions under which an expression has a term: those of one term, or of another."""
    if isinstance(expr, Iverson):
        return ((expr,),)
    if isinstance(expr, Add):
        return tuple(each for term in expr.terms for each in _alternatives(term))
    if isinstance(expr, Mul):
        return tuple(tuple(c for part in parts for c in part) for parts in islice(product(*map(_alternatives, expr.factors)), MOST_TERMS))
    return ((),)


def _row(expr: Expr, strict: bool, number: int | None = None) -> Row:
    """expr < 0 or expr <= 0; among whole numbers the first is expr + 1 <= 0."""
    parts, constant = _linear(expr)
    whole = all(isinstance(part, (Position, Size)) and scale.denominator == 1 for part, scale in parts.items())
    if strict and whole and constant.denominator == 1:
        constant, strict = constant + 1, False
    origin = frozenset() if number is None else frozenset([number])
    return Row(tuple(sorted(parts.items(), key=repr)), constant, strict, origin)


def _bounds(condition: Iverson) -> tuple[Linear, Bound | None, Bound | None, Fraction | None]:
    """A condition as bounds on a sum without its constant: the sum, what it is above, what it is below, what it is not."""
    parts, constant = _linear(add(condition.left, neg(condition.right)))
    lead = min(parts.items(), key=lambda item: repr(item[0]))[1] if parts else Fraction(1)
    key = tuple(sorted(((expr, scale / lead) for expr, scale in parts.items()), key=repr))
    end = -constant / lead
    if condition.relation == "==":
        return key, (end, False), (end, False), None
    if condition.relation == "!=":
        return key, None, None, end
    strict = condition.relation == "<"
    return (key, None, (end, strict), None) if lead > 0 else (key, (end, strict), None, None)


Linear = tuple[tuple[Expr, Fraction], ...]


def _linear(expr: Expr) -> tuple[dict[Expr, Fraction], Fraction]:
    """A sum as multiples of what is no sum, and a constant."""
    found: dict[Expr, Fraction] = {}
    constant = Fraction(0)
    for term in expr.terms if isinstance(expr, Add) else (expr,):
        scale, rest = Fraction(1), term
        if isinstance(term, Mul) and isinstance(term.factors[0], Num):
            scale, rest = term.factors[0].value, mul(*term.factors[1:])
        if isinstance(rest, Num):
            constant += scale * rest.value
        elif isinstance(rest, Add):
            inner, number = _linear(rest)
            constant += scale * number
            for part, times in inner.items():
                found[part] = found.get(part, Fraction(0)) + scale * times
        else:
            found[rest] = found.get(rest, Fraction(0)) + scale
    return {part: scale for part, scale in found.items() if scale}, constant


def _empty(key: Linear, low: Bound | None, high: Bound | None, other: Fraction | None) -> bool:
    """Whether no number is above `low`, below `high` and not `other`."""
    if key and all(isinstance(part, (Position, Size)) and scale.denominator == 1 for part, scale in key):
        low = _whole(low, 1)
        high = _whole(high, -1)
        least, most = _range_of(key)
        low = max((b for b in (low, least) if b is not None), default=None)
        high = min((b for b in (high, most) if b is not None), default=None)
    if not key:
        # Both sides are numbers: 0 stands between the bounds or it does not.
        zero = Fraction(0)
        return other == 0 or any(b is not None and (b[0] * s > zero or b == (zero, True)) for b, s in ((low, 1), (high, -1)))
    if low is None or high is None:
        return False
    if low[0] != high[0]:
        return low[0] > high[0]
    return low[1] or high[1] or other == low[0]


def _whole(bound: Bound | None, step: int) -> Bound | None:
    """The nearest whole number that a bound admits, upwards (1) or downwards (-1)."""
    if bound is None:
        return None
    number, excluded = bound
    nearest = Fraction(-((-number) // 1) if step == 1 else number // 1)
    return (nearest + step if excluded and nearest == number else nearest, False)


def _range_of(key: Linear) -> tuple[Bound | None, Bound | None]:
    """Between which numbers a position lies, or its distance from the end of its axis."""
    if len(key) == 1 and isinstance(key[0][0], Position):
        return (Fraction(0), False), None
    positions = [part for part, scale in key if isinstance(part, Position) and scale == 1]
    sizes = [part for part, scale in key if isinstance(part, Size) and scale == -1]
    if len(key) == 2 and positions and sizes and isinstance(positions[0].index, Idx) and positions[0].index.dim == sizes[0].dim:
        return None, (Fraction(-1), False)
    return None, None
