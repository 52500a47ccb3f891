"""Rules for whole matrices: the derivatives of inverse, determinant and log-determinant, and what symmetry allows.

The derivatives hold where the matrix is not singular; a singular one has no inverse, and the kernels say so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from derive.equality import canonical
from derive.expr import Add, Equation, Expr, Fact, Idx, Index, MatrixFn, Ref, add, mul, num, total, transform, walk
from derive.indices import fresh, names, substitute
from derive.rules.derivatives import DERIVATIVES, inside


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
        if not isinstance(node, DERIVATIVES) or not isinstance(node.body, MatrixFn) or node.body.name != name:
            return None
        row, column = node.body.indices
        p = fresh(row, taken)
        q = fresh(column, {*taken, p.name})
        taken.update((p.name, q.name))
        entry = substitute(node.body.body, {row: p, column: q})
        return formula(node.body, p, q, inside(node, entry))

    return transform(expr, rule)


def name_matrix(node: MatrixFn, name: str, indices: tuple[Idx, ...]) -> tuple[Ref, Equation]:
    """inv(A)[i,j] = B[i,j] and det(A) = D, under a name: computed once, and there again for the gradients"""
    target = Ref(name, indices)
    return target, Equation(target, node)


# ---------------------------------------------------------------------------------------------------- symmetry


def symmetric(item: Fact) -> str | None:
    """The tensor that a fact `A[i,j] = A[j,i]` says is symmetric in its last two axes; None for any other fact."""
    left = item.left
    last = isinstance(left, Ref) and exchanged(item) == (len(left.indices) - 2, len(left.indices) - 1)
    return left.tensor if isinstance(left, Ref) and last else None


def exchanged(item: Fact) -> tuple[int, int] | None:
    """The two axes that a fact such as `A[i,j] = A[j,i]` says may change places; None for any other fact."""
    a, b = item.left, item.right
    if not isinstance(a, Ref) or not isinstance(b, Ref) or a.tensor != b.tensor or len(set(a.indices)) < len(a.indices):
        return None
    places = [n for n, (i, j) in enumerate(zip(a.indices, b.indices)) if i != j]
    if len(places) != 2 or (a.indices[places[0]], a.indices[places[1]]) != (b.indices[places[1]], b.indices[places[0]]):
        return None
    return places[0], places[1]


def symmetry(expr: Expr, target: Ref, tensors: Collection[str]) -> Expr:
    """A[j,i] = A[i,j] where A is symmetric; then inv(A) is too

    What is known to be symmetric is in `tensors`. Of the two ways to write an entry, the one whose first index is the target's
    first, or whose second index is the target's second, is taken, and in a sum the one that lets equal terms meet.
    """
    row, column = (*target.indices[-2:], None, None)[:2]

    def whole(node: Expr) -> bool:
        """Whether a node is an entry of a symmetric matrix."""
        if isinstance(node, MatrixFn):
            body = node.body
            inside = isinstance(body, Ref) and body.tensor in tensors and set(body.indices[-2:]) == set(node.indices)
            return inside and len(node.at) == 2
        return isinstance(node, Ref) and node.tensor in tensors

    def ends(node: Expr) -> tuple[Index, ...]:
        return node.at if isinstance(node, MatrixFn) else node.indices[-2:] if isinstance(node, Ref) else ()

    def over(node: Expr) -> Expr:
        if isinstance(node, MatrixFn):
            return MatrixFn(node.name, node.indices, node.body, node.at[::-1])
        assert isinstance(node, Ref)
        return Ref(node.tensor, (*node.indices[:-2], *node.indices[:-3:-1]))

    def rule(node: Expr) -> Expr | None:
        if not whole(node):
            return None
        first, second = ends(node)
        turned = row is not None and second == row != first
        return over(node) if turned or (column is not None and first == column != second) else node

    def settled(term: Expr) -> Expr:
        """Where both indices are summed, the way round that comes first in the order of canonical forms."""
        entries = [node for node in walk(term) if whole(node) and not {row, column} & set(ends(node))]
        for entry in list(dict.fromkeys(entries))[:MOST]:
            other = transform(term, lambda node, entry=entry: over(node) if node == entry else None)  # type: ignore[misc]
            term = min(term, other, key=lambda each: repr(canonical(each)))
        return term

    after = transform(expr, rule)
    return transform(after, lambda node: add(*map(settled, node.terms)) if isinstance(node, Add) else None)


MOST = 8
