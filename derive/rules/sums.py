"""Rules that move, contract and exchange sums."""

from __future__ import annotations

from collections.abc import Iterator

from derive.affine import position, solved, within
from derive.conditions import surely_met
from derive.expr import (
    ONE,
    Add,
    Affine,
    Delta,
    Expr,
    Idx,
    Index,
    MatrixFn,
    Max,
    Mul,
    Num,
    Ref,
    Size,
    Sum,
    add,
    children,
    mul,
    rebuild,
    total,
    transform,
)
from derive.indices import free_indices, fresh, rename_apart, renamed, substitute, with_names
from derive.terms import (
    coefficient,
    factors,
    flat_sum,
    has_delta,
    pull,
    terms,
    unbounded,
)


def distribute(expr: Expr) -> Expr:
    """f (u + v) = f u + f v, sum(u + v) = sum(u) + sum(v), f sum(k, u) = sum(k, f u): as far as a delta needs it"""
    free = [i.name for i in free_indices(expr)]
    found: list[Expr] = []
    for term in terms(expr):
        apart = rename_apart(term, free)
        found += (with_names(part, renamed(term, apart)) for part in _expand(apart))
    return add(*found)


def _expand(expr: Expr) -> list[Expr]:
    if not has_delta(expr) or isinstance(expr, Delta):
        return [expr]
    if isinstance(expr, Add):
        return [part for term in expr.terms for part in _expand(term)]
    if isinstance(expr, Sum):
        return [flat_sum(expr.indices, part) for part in _expand(expr.body)]
    if isinstance(expr, Mul):
        products: list[Expr] = [ONE]
        for factor in expr.factors:
            products = [_times(left, right) for left in products for right in _expand(factor)]
        return products
    return [expr]


def _times(left: Expr, right: Expr) -> Expr:
    """The product of two terms, a sum that holds a delta made to enclose both."""
    for first, second in ((left, right), (right, left)):
        number, inside = coefficient(first)
        if isinstance(inside, Sum) and has_delta(inside):
            body = _times(inside.body, second) if first is left else _times(second, inside.body)
            return mul(Num(number), flat_sum(inside.indices, body))
    return mul(left, right)


def contract_delta(term: Expr) -> tuple[Expr, Idx, Index] | None:
    """sum(x, delta(x,a) f(x)) = f(a): of the sum over x only x = a survives

    A delta of places is solved for a summed index: delta(l, i + k) leaves i = l - k. What is read outside of an axis is 0; where
    nothing in f is so read, a condition says that a lies on the axis of x. Where some summed index has a multiple other than 1 or
    -1, as in delta(l, 2 i + k), the delta stays. Returns the shorter term, the index that was summed, and what it became; None where
    no delta has a summed index.
    """
    number, term = coefficient(term)
    if not isinstance(term, Sum):
        return None
    bound = term.indices
    found = None
    for factor, index, other in ((f, *each) for f in factors(term.body) if isinstance(f, Delta) for each in _candidates(f, bound)):
        # A place that is known from outside of the sum comes before one that still moves in it.
        moves = isinstance(other, Affine) and any(i in bound for i in free_indices(other.value))
        if found is None or not moves:
            found = factor, index, other
        if not moves:
            break
    if found is None:
        return None
    factor, index, other = found
    rest = mul(*(f for f in factors(term.body) if f is not factor))
    left = tuple(i for i in bound if i != index)
    return mul(Num(number), flat_sum(left, within(rest, substitute(rest, {index: other}), index, other))), index, other


def _candidates(factor: Delta, bound: tuple[Idx, ...]) -> Iterator[tuple[Idx, Index]]:
    """Summed indices for which a delta can be solved, and what they become."""
    for index, other in ((factor.a, factor.b), (factor.b, factor.a)):
        if not isinstance(index, Idx) or index not in bound:
            continue
        if isinstance(other, Idx) and other in bound and bound.index(other) > bound.index(index):
            continue
        if not isinstance(other, Idx) and index in free_indices(position(other)):
            continue
        yield index, other
    found = [(i, solved(factor.a, factor.b, i)) for i in bound if i in free_indices(factor)]
    if all(other is not None for _, other in found):
        yield from ((index, other) for index, other in found if other is not None)


def pull_out(expr: Expr) -> Expr:
    """sum(k, c f(k)) = c sum(k, f(k)), where c does not mention k

    A c that may have no value stays beside the conditions of f where they may exclude every k: such a sum is 0, whatever c is.
    """

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Sum):
            return None
        body = pull_out(node.body)
        if isinstance(body, Sum):
            return pull_out(flat_sum(node.indices, body))
        outside, inside = pull(node.indices, body)
        if any(unbounded(factor) for factor in outside) and not surely_met(node.indices, mul(*inside)):
            outside, inside = tuple(f for f in outside if not unbounded(f)), (*inside, *(f for f in outside if unbounded(f)))
        if not outside and body is node.body:
            return node
        return mul(*outside, total(node.indices, mul(*inside))) if inside else mul(*outside, Sum(node.indices, ONE))

    return transform(expr, rule)


def count_ones(expr: Expr) -> Expr:
    """sum(k, 1) = size(k)"""

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Sum):
            idle = [i for i in node.indices if i not in free_indices(node.body)]
            if idle:
                left = tuple(i for i in node.indices if i not in idle)
                return mul(*(Size(i.dim) for i in idle), total(left, count_ones(node.body)))
        return None

    return transform(expr, rule)


def exchange(expr: Expr) -> Expr:
    """sum(j, f(j) sum(e, g(j,e))) = sum(e, sum(j, f(j) g(j,e))): finite sums may be taken in either order"""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Sum):
            return None
        inner = rename_apart(node.body, [i.name for i in node.indices] + [i.name for i in free_indices(node)])
        plain = [f for f in factors(inner) if not isinstance(f, Sum)]
        sums = [f for f in factors(inner) if isinstance(f, Sum)]
        if not sums:
            return None
        bound = tuple(i for s in sums for i in s.indices)
        body = mul(*plain, *(s.body for s in sums))
        return flat_sum(bound + node.indices, body)

    return transform(expr, rule)


def rename_bound(expr: Expr, target: Ref | None = None) -> Expr:
    """sum(i', f(i')) = sum(i, f(i)), where i stands nowhere else, not in the target either"""
    free = {i.name for i in free_indices(expr)} | {i.name for i in (free_indices(target) if target is not None else ())}

    def visit(node: Expr, scope: set[str]) -> Expr:
        if isinstance(node, (Sum, Max, MatrixFn)):
            mapping: dict[Idx, Index] = {}
            bound: list[Idx] = []
            inner = {i.name for i in free_indices(node)} | scope
            for index in node.indices:
                plain = fresh(Idx(index.name.rstrip("'"), index.dim), inner | {b.name for b in bound})
                mapping[index] = plain
                bound.append(plain)
            body = visit(substitute(node.body, mapping), scope | {b.name for b in bound})
            if isinstance(node, MatrixFn):
                return MatrixFn(node.name, (bound[0], bound[1]), body, node.at)
            return total(bound, body) if isinstance(node, Sum) else Max(tuple(bound), body)
        parts = tuple(visit(part, scope) for part in children(node))
        return rebuild(node, parts) if parts else node

    return visit(expr, free)
