"""Rules that read a declared sign."""

from __future__ import annotations

from derive.expr import ONE, ZERO, Expr, Fn, Iverson, Num, children, iverson, mul, num, rebuild
from derive.signs import Signs
from derive.terms import factors


def known_sign(expr: Expr, signs: Signs) -> Expr:
    """|u| = u, relu(u) = u, sign(u) = 1, [u > 0] = 1, [u < 0] = 0 and [u v > 0] = [v > 0], where u > 0"""

    def without_positive(side: Expr) -> Expr:
        return mul(*(num(-1 if f.value < 0 else 1) if isinstance(f, Num) else f for f in factors(side) if not signs.positive(f)))

    def visit(node: Expr) -> Expr:
        parts = children(node)
        node = rebuild(node, tuple(visit(part) for part in parts)) if parts else node
        if isinstance(node, Fn) and node.name in ("abs", "relu") and signs.not_negative(node.args[0]):
            return node.args[0]
        if isinstance(node, Fn) and node.name == "sign" and signs.positive(node.args[0]):
            return ONE
        if isinstance(node, Iverson) and node.left == ZERO and signs.positive(node.right):
            return ZERO if node.relation == "==" else ONE
        if isinstance(node, Iverson) and node.right == ZERO and signs.positive(node.left):
            return ONE if node.relation == "!=" else ZERO
        if isinstance(node, Iverson) and ZERO in (node.left, node.right):
            left, right = (side if side == ZERO else without_positive(side) for side in (node.left, node.right))
            return iverson(node.relation, left, right)
        return node

    return visit(expr)
