"""Conditions as arithmetic: a condition is a product of Iverson brackets, 1 where it holds and 0 where it does not."""

from __future__ import annotations

from derive.expr import ONE, ZERO, Expr, Iverson, Num, add, iverson, mul, neg, opposite


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
