"""Rules that differentiate functions of a whole matrix: inverse, determinant, logarithm of the determinant.

All three hold where the matrix is not singular; a singular one has no inverse, and the kernels say so.
"""

from __future__ import annotations

from collections.abc import Callable

from derive.expr import Diff, Expr, Idx, MatrixFn, mul, num, total, transform
from derive.indices import fresh, names, substitute


def inverse_rule(expr: Expr) -> Expr:
    """d inv(A)[i,j] / dx = -sum(p,q, inv(A)[i,p] dA[p,q]/dx inv(A)[q,j])"""

    def formula(body: MatrixFn, p: Idx, q: Idx, change: Expr) -> Expr:
        i, j = body.at
        left, right = (MatrixFn("inv", body.indices, body.body, at) for at in ((i, p), (q, j)))
        return mul(num(-1), total((p, q), mul(left, change, right)))

    return _differentiated(expr, "inv", formula)


def determinant_rule(expr: Expr) -> Expr:
    """d det(A) / dx = det(A) sum(p,q, inv(A)[q,p] dA[p,q]/dx)"""

    def formula(body: MatrixFn, p: Idx, q: Idx, change: Expr) -> Expr:
        return mul(body, total((p, q), mul(MatrixFn("inv", body.indices, body.body, (q, p)), change)))

    return _differentiated(expr, "det", formula)


def log_determinant_rule(expr: Expr) -> Expr:
    """d log|det(A)| / dx = sum(p,q, inv(A)[q,p] dA[p,q]/dx)"""

    def formula(body: MatrixFn, p: Idx, q: Idx, change: Expr) -> Expr:
        return total((p, q), mul(MatrixFn("inv", body.indices, body.body, (q, p)), change))

    return _differentiated(expr, "logdet", formula)


def _differentiated(expr: Expr, name: str, formula: Callable[[MatrixFn, Idx, Idx, Expr], Expr]) -> Expr:
    """Every derivative of the function `name` of a matrix in `expr` replaced; `formula` gets dA[p,q]/dx for a new p and q."""
    taken = names(expr)

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Diff) or not isinstance(node.body, MatrixFn) or node.body.name != name:
            return None
        row, column = node.body.indices
        p = fresh(row, taken)
        q = fresh(column, {*taken, p.name})
        taken.update((p.name, q.name))
        entry = substitute(node.body.body, {row: p, column: q})
        return formula(node.body, p, q, Diff(entry, node.wrt, node.through))

    return transform(expr, rule)
