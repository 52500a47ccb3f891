"""Equality up to the order of terms and factors and the names of bound indices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from derive.expr import Add, Delta, Expr, Idx, Index, Iverson, MatrixFn, Max, Mul, Pow, Sum, children, rebuild
from derive.indices import _substitute


@lru_cache(maxsize=65536)
def canonical(expr: Expr) -> Expr:
    """One representative of all expressions equal up to the order of terms and factors and the names of bound indices."""
    return _canonical(expr, 0)


def _canonical(expr: Expr, depth: int) -> Expr:
    if isinstance(expr, (Sum, Max, MatrixFn)):
        # Bound indices are numbered by where they first stand once the body is sorted with them anonymous.
        anonymous: dict[Idx, Index] = {i: Idx(f"#{depth}", i.dim) for i in expr.indices}
        if isinstance(expr, MatrixFn):
            # A matrix has rows and columns: its two indices are numbered in their own order.
            row, column = (Idx(f"#{depth}.{n}", i.dim) for n, i in enumerate(expr.indices))
            body = _canonical(_substitute(expr.body, dict(zip(expr.indices, (row, column)))), depth + 1)
            return MatrixFn(expr.name, (row, column), body, expr.at)
        if len(expr.indices) == 1:
            mapping = {expr.indices[0]: Idx(f"#{depth}.0", expr.indices[0].dim)}
        else:
            ranked = sorted(expr.indices, key=lambda i: repr(_canonical(_substitute(expr.body, _lone(i, anonymous, depth)), depth + 1)))
            mapping = {index: Idx(f"#{depth}.{rank}", index.dim) for rank, index in enumerate(ranked)}
        body = _canonical(_substitute(expr.body, mapping), depth + 1)
        bound = tuple(sorted(mapping.values(), key=repr))
        return Sum(bound, body) if isinstance(expr, Sum) else Max(bound, body)
    parts = children(expr)
    if not parts:
        if isinstance(expr, Delta):
            first, second = sorted((expr.a, expr.b), key=repr)
            return Delta(first, second)
        return expr
    new = tuple(_canonical(part, depth) for part in parts)
    if isinstance(expr, Add):
        return Add(tuple(sorted(new, key=repr)))
    if isinstance(expr, Mul):
        return Mul(tuple(sorted(new, key=repr)))
    if isinstance(expr, Pow):
        return Pow(new[0], expr.exponent)
    if isinstance(expr, Iverson):
        if expr.relation in ("==", "!="):
            new = tuple(sorted(new, key=repr))
        return Iverson(expr.relation, new[0], new[1])
    return rebuild(expr, new)


def _lone(index: Idx, anonymous: Mapping[Idx, Index], depth: int) -> dict[Idx, Index]:
    return {**anonymous, index: Idx(f"#{depth}!", index.dim)}


def equal(a: Expr, b: Expr) -> bool:
    """Equal up to the order of terms and factors and the names of bound indices (not up to algebra)."""
    return a == b or canonical(a) == canonical(b)
