"""Linear arithmetic of indices: a place along an axis as a sum of whole multiples of indices, lengths and integers.

A place is kept in one order of terms (indices first, those with a minus after those without, then what does not move), so that
equal places are equal nodes.
"""

from __future__ import annotations

from fractions import Fraction

from derive.expr import (
    ZERO,
    Add,
    Affine,
    Delta,
    Expr,
    Fn,
    Idx,
    Index,
    Iverson,
    Mul,
    Num,
    Position,
    Pow,
    Ref,
    Size,
    Sum,
    add,
    children,
    iverson,
    mul,
    walk,
)

Monomials = dict[tuple[Expr, ...], Fraction]


class NotLinear(Exception):
    """What stands as a place is no sum of whole multiples of indices; the message says where."""


def position(index: Index) -> Expr:
    """The value of an index as a number."""
    return index.value if isinstance(index, Affine) else Position(index)


def place(value: Expr, dim: str) -> Index:
    """The place `value` along the axis `dim`; an index over that axis, where it is one."""
    terms = monomials(value)
    made = _sum(terms)
    if isinstance(made, Position) and isinstance(made.index, Idx) and made.index.dim == dim:
        return made.index
    return Affine(made, dim)


def monomials(value: Expr) -> Monomials:
    """A polynomial in positions and lengths: its terms, as sorted factors, with their numbers. Raises NotLinear for anything else."""
    if isinstance(value, Num):
        return {(): value.value} if value.value else {}
    if isinstance(value, (Size, Position)):
        return {(value,): Fraction(1)}
    if isinstance(value, Add):
        found: Monomials = {}
        for term in value.terms:
            for key, number in monomials(term).items():
                found[key] = found.get(key, Fraction(0)) + number
        return {key: number for key, number in found.items() if number}
    if isinstance(value, Mul):
        found = {(): Fraction(1)}
        for factor in value.factors:
            found = _times(found, monomials(factor))
        return found
    if isinstance(value, Pow) and value.exponent.denominator == 1 and value.exponent > 0:
        return monomials(Mul((value.base,) * int(value.exponent)))
    raise NotLinear(f"{type(value).__name__}")


def _times(left: Monomials, right: Monomials) -> Monomials:
    found: Monomials = {}
    for a, x in left.items():
        for b, y in right.items():
            key = tuple(sorted((*a, *b), key=_factor_order))
            found[key] = found.get(key, Fraction(0)) + x * y
    return {key: number for key, number in found.items() if number}


def _factor_order(factor: Expr) -> tuple[bool, str]:
    return isinstance(factor, Position) and isinstance(factor.index, Idx), repr(factor)


def _moving(key: tuple[Expr, ...]) -> tuple[Idx, ...]:
    return tuple(factor.index for factor in key if isinstance(factor, Position) and isinstance(factor.index, Idx))


def _sum(terms: Monomials) -> Expr:
    def order(item: tuple[tuple[Expr, ...], Fraction]) -> tuple[bool, bool, str]:
        key, number = item
        moving = _moving(key)
        return not moving, number < 0 if key else True, f"{[i.name for i in moving]}{key!r}"

    return add(*(mul(Num(number), *key) for key, number in sorted(terms.items(), key=order)))


def coefficients(value: Expr) -> tuple[dict[Idx, Expr], Expr]:
    """The multiple of each index, in order, and the rest. Raises NotLinear for a product of indices or a broken number."""
    by_index: dict[Idx, Monomials] = {}
    rest: Monomials = {}
    for key, number in monomials(value).items():
        moving = _moving(key)
        if number.denominator != 1:
            raise NotLinear(f"the number {number} is not whole")
        if len(moving) > 1:
            raise NotLinear(f"{' and '.join(i.name for i in moving)} are multiplied")
        if moving:
            by_index.setdefault(moving[0], {})[key[:-1]] = number
        else:
            rest[key] = number
    return {index: _sum(terms) for index, terms in by_index.items()}, _sum(rest)


def solved(a: Index, b: Index, index: Idx) -> Index | None:
    """What `index` is where `a` and `b` are equal; None unless its multiple in their difference is 1 or -1."""
    difference = add(position(a), mul(Num(Fraction(-1)), position(b)))
    try:
        multiples, _ = coefficients(difference)
    except NotLinear:
        return None
    multiple = multiples.get(index)
    if not isinstance(multiple, Num) or abs(multiple.value) != 1:
        return None
    # c x + r = 0 with c = 1 or -1, so x = -c r.
    rest = add(difference, mul(Num(-multiple.value), Position(index)))
    return place(mul(Num(-multiple.value), rest), index.dim)


def inside(at: Affine) -> Expr:
    """1 where the place is one of its axis, else 0."""
    return mul(iverson("<=", ZERO, at.value), iverson("<", at.value, Size(at.dim)))


def within(before: Expr, after: Expr, index: Idx, at: Index) -> Expr:
    """`after`, which is `before` with an index replaced by the place `at`, made 0 where that is none of the index's axis.

    Nothing has to be said where it is 0 there by itself, because an entry is read at the index.
    """
    return after if not isinstance(at, Affine) or vanishes(before, index) else mul(inside(at), after)


VANISHING = ("relu", "tanh", "sin", "abs", "sign", "erf")


def vanishes(expr: Expr, index: Idx) -> bool:
    """Whether `expr` becomes 0, and does not merely lose its value, where entries read at `index` are 0."""
    if expr == ZERO:
        return True
    if isinstance(expr, Ref):
        return index in expr.indices
    if isinstance(expr, Delta):
        return any(one == index and isinstance(other, Idx) for one, other in ((expr.a, expr.b), (expr.b, expr.a)))
    if isinstance(expr, Mul):
        return (
            any(vanishes(f, index) for f in expr.factors) and not any(_breaks(f, index) for f in expr.factors) and not _guards(expr, index)
        )
    if isinstance(expr, Add):
        return all(vanishes(term, index) for term in expr.terms)
    if isinstance(expr, Sum):
        return vanishes(expr.body, index)
    if isinstance(expr, Pow):
        return expr.exponent > 0 and vanishes(expr.base, index)
    return isinstance(expr, Fn) and expr.name in VANISHING and vanishes(expr.args[0], index)


def _guards(expr: Mul, index: Idx) -> bool:
    """Whether a condition on the index keeps what may have no value out of a product: outside of the axis it keeps out nothing."""
    from derive.terms import unbounded

    conditions = [f for f in expr.factors if isinstance(f, Iverson)]
    there = any(isinstance(node, Position) and node.index == index for f in conditions for node in walk(f))
    return there and any(unbounded(f) for f in expr.factors)


def _breaks(expr: Expr, index: Idx) -> bool:
    """Whether `expr` may have no value where what is read at `index` is 0."""
    if (
        isinstance(expr, Pow)
        and (expr.exponent < 0 or expr.exponent.denominator != 1)
        or isinstance(expr, Fn)
        and expr.name in ("log", "pow")
    ):
        return any(_mentions(node, index) for node in walk(expr))
    return any(_breaks(child, index) for child in children(expr))


def _mentions(node: Expr, index: Idx) -> bool:
    """Whether an entry, a delta or a position is read at `index`."""
    found = node.indices if isinstance(node, Ref) else (node.a, node.b) if isinstance(node, Delta) else ()
    found = (node.index,) if isinstance(node, Position) else found
    for each in found:
        if each == index or isinstance(each, Ref) and _mentions(each, index):
            return True
        if isinstance(each, Affine) and any(_mentions(part, index) for part in walk(each.value)):
            return True
    return False
