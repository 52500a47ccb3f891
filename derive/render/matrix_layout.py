"""From matrix notation to a page's boxes: transposes, brackets and shapes are settled here, as `derive.render.layout` does for indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from derive import matrix as mx
from derive.expr import Expr
from derive.render.layout import (
    ONE_WORD,
    Big,
    Call,
    Dotted,
    Frac,
    Inner,
    Inverted,
    Layout,
    Paren,
    Raised,
    Relation,
    Row,
    Shaped,
    Terms,
    Transposed,
    Word,
    factor,
    of_expr,
    signed,
)
from derive.render.notation import Context


def of_line(line: Expr | mx.Matrix, where: Context) -> Layout:
    """The layout of a proof's line, in index or in matrix notation, the latter without shapes."""
    return of_matrix(line, where, False) if mx.is_matrix(line) else of_expr(cast(Expr, line), where)


def of_matrix(matrix: mx.Matrix, where: Context, shapes: bool = True) -> Layout:
    """The layout of a matrix expression; with `shapes`, every factor has its shape to be written under it.

    A vector that stands in it as a column and as a row is transposed where it is the row.
    """
    return _Setter(where, shapes, _columns(matrix)).set(matrix)


def _columns(matrix: mx.Matrix) -> frozenset[str]:
    """The vectors that stand as columns."""
    if isinstance(matrix, mx.Whole):
        return frozenset([matrix.tensor] if matrix.shape[0] is not None and matrix.shape[1] is None else [])
    return frozenset(name for part in mx.parts(matrix) for name in _columns(part))


@dataclass(frozen=True)
class _Setter:
    where: Context
    shapes: bool
    columns: frozenset[str]

    def leaf(self, laid: Layout, node: mx.Matrix) -> Layout:
        if not self.shapes or mx.shape(node) == (None, None):
            return laid
        return Shaped(laid, *mx.shape(node))

    def set(self, matrix: mx.Matrix) -> Layout:
        if isinstance(matrix, mx.Entries):
            return self.leaf(_closed(of_expr(matrix.entry, self.where)), matrix)
        if isinstance(matrix, (mx.Whole, mx.Ones, mx.OneHot)):
            return self.leaf(self.bare(matrix), matrix)
        if isinstance(matrix, mx.Transpose):
            if isinstance(matrix.arg, (mx.Whole, mx.Ones, mx.OneHot)):
                return self.leaf(Transposed(self.bare(matrix.arg)), matrix)
            if isinstance(matrix.arg, mx.Inverse):
                return self.inverse(matrix.arg, True)
            return Transposed(_closed(self.set(matrix.arg)))
        if isinstance(matrix, mx.Inverse):
            return self.inverse(matrix, False)
        if isinstance(matrix, (mx.Product, mx.Hadamard)):
            joint = "" if isinstance(matrix, mx.Product) else "hadamard"
            items = [self.set(part) for part in matrix.factors]
            return Row(tuple(_closed(i) if isinstance(i, (Terms, Row, Frac)) else i for i in items), joint)
        if isinstance(matrix, mx.Total):
            terms: list[tuple[bool, Layout]] = []
            for part in matrix.terms:
                laid = self.set(part)
                terms.append(laid.items[0] if isinstance(laid, Terms) and len(laid.items) == 1 else (False, factor(laid)))
            return Terms(tuple(terms))
        if isinstance(matrix, mx.Scale):
            if matrix.arg == mx.Ones((None, None)):
                return of_expr(matrix.scalar, self.where)
            return _scaled(matrix.scalar, self.set(matrix.arg), self.where)
        if isinstance(matrix, mx.Map):
            return Call(matrix.name, tuple(self.set(a) for a in matrix.args))
        if isinstance(matrix, mx.Power):
            return Raised(_closed(self.set(matrix.arg)), matrix.exponent, elementwise=True)
        if isinstance(matrix, mx.Diag):
            return Call("diag", (self.set(matrix.arg),))
        if isinstance(matrix, mx.EntrySum) and isinstance(matrix.arg, mx.Hadamard):
            moving = [part for part in matrix.arg.factors if self.moves(part)]
            still = [part for part in matrix.arg.factors if part not in moving]
            if moving and still:
                left, right = (parts[0] if len(parts) == 1 else mx.Hadamard(tuple(parts)) for parts in (still, moving))
                return Inner(self.set(left), self.set(right))
        name = "rowsum" if isinstance(matrix, mx.RowSum) else "colsum" if isinstance(matrix, mx.ColSum) else "sum"
        return Call(name, (self.set(matrix.arg),))

    def moves(self, matrix: mx.Matrix) -> bool:
        """Whether a matrix has a differential in it."""
        if isinstance(matrix, mx.Whole):
            return self.where.split(matrix.tensor)[0] == "t"
        return any(self.moves(part) for part in mx.parts(matrix))

    def inverse(self, matrix: mx.Inverse, transposed: bool) -> Layout:
        if isinstance(matrix.arg, mx.Whole):
            return self.leaf(Inverted(self.bare(matrix.arg), transposed), matrix)
        return Inverted(_closed(self.set(matrix.arg)), transposed)

    def bare(self, leaf: mx.Whole | mx.Ones | mx.OneHot) -> Layout:
        if isinstance(leaf, mx.Ones):
            ones = ONE_WORD if leaf.shape == (None, None) else Word("1", "ones")
            return Transposed(ones) if leaf.shape[0] is None and leaf.shape[1] is not None else ones
        if isinstance(leaf, mx.OneHot):
            return Call("onehot", (Word(leaf.labels, "tensor"),))
        word = Word(leaf.tensor, "tensor")
        lies = leaf.shape[0] is None and leaf.shape[1] is not None
        return Transposed(word) if lies and leaf.tensor in self.columns else word


def _closed(laid: Layout) -> Layout:
    bare = laid.body if isinstance(laid, Shaped) else laid
    return laid if isinstance(bare, (Word, Call, Inner, Dotted, Paren, Relation)) else Paren(laid)


def _scaled(scalar: Expr, arg: Layout, where: Context) -> Layout:
    """`scalar * arg`, the scalar's fraction in front of the matrix."""
    laid = of_expr(scalar, where)
    negative = False
    if isinstance(laid, Terms) and len(laid.items) == 1:
        negative, laid = laid.items[0]
    if isinstance(arg, Terms) and len(arg.items) == 1:
        negative, arg = negative ^ arg.items[0][0], arg.items[0][1]
    if laid == ONE_WORD:
        return signed(negative, arg)
    front = list(laid.items) if isinstance(laid, Row) and not laid.joint else [laid]
    if isinstance(arg, Row) and not arg.joint:
        return signed(negative, Row((*(_open(f) for f in front), *arg.items)))
    arg = Paren(arg) if isinstance(arg, (Terms, Row)) else arg
    return signed(negative, Row((*(_open(f) for f in front), arg)))


def _open(laid: Layout) -> Layout:
    return Paren(laid) if isinstance(laid, (Terms, Big)) else laid
