"""Rules that read a declared sign."""

from __future__ import annotations

from derive.expr import ONE, ZERO, Expr, Fn, Iverson, children, rebuild
from derive.signs import Signs


def known_sign(expr: Expr, signs: Signs) -> Expr:
    """|u| = u, relu(u) = u, sign(u) = 1, [u > 0] = 1 and [u < 0] = 0, where u > 0"""

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
        return node

    return visit(expr)
