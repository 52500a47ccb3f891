"""Matrix notation: its nodes and their shapes. `derive.recognize` reads index notation into it.

Every node denotes, for fixed batch indices, a table of two axes `shape = (row axis, column axis)`, where `None` is an axis of
length 1. A vector is a column `(n, None)` or a row `(None, n)`, a scalar is `(None, None)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeGuard, Union, get_args

from derive.expr import Expr, Idx

Shape = tuple[str | None, str | None]


@dataclass(frozen=True)
class Whole:
    """A tensor as it stands: its axes after the batch axes, in order, are the axes of `shape` that are not None."""

    tensor: str
    shape: Shape


@dataclass(frozen=True)
class Transpose:
    arg: Matrix


@dataclass(frozen=True)
class Product:
    """The matrix product of `factors`, left to right; neighbouring axes agree."""

    factors: tuple[Matrix, ...]


@dataclass(frozen=True)
class Hadamard:
    """The elementwise product; all shapes are equal."""

    factors: tuple[Matrix, ...]


@dataclass(frozen=True)
class Total:
    """The elementwise sum of `terms`; all shapes are equal."""

    terms: tuple[Matrix, ...]


@dataclass(frozen=True)
class Scale:
    """`scalar * arg`; the scalar is an index-notation expression without free indices other than the batch indices."""

    scalar: Expr
    arg: Matrix


@dataclass(frozen=True)
class Ones:
    """All ones: the column `(n, None)` or the row `(None, n)`."""

    shape: Shape


@dataclass(frozen=True)
class Map:
    """A scalar function, elementwise; all shapes are equal."""

    name: str
    args: tuple[Matrix, ...]


@dataclass(frozen=True)
class Power:
    """An elementwise power."""

    arg: Matrix
    exponent: Fraction


@dataclass(frozen=True)
class OneHot:
    """Row i has its single 1 in column `labels[i]`."""

    labels: str
    shape: Shape


@dataclass(frozen=True)
class Entries:
    """A table given entry by entry, such as the mask [j <= i]; it may mention `row`, `col` and the batch indices."""

    entry: Expr
    row: Idx | None
    col: Idx | None


@dataclass(frozen=True)
class Diag:
    """The square matrix with the column `arg` on its diagonal and 0 elsewhere; of a column of ones it is the identity."""

    arg: "Matrix"


@dataclass(frozen=True)
class RowSum:
    """The sum along each row: a column."""

    arg: Matrix


@dataclass(frozen=True)
class ColSum:
    """The sum down each column: a row."""

    arg: Matrix


@dataclass(frozen=True)
class EntrySum:
    """The sum of all entries: a scalar."""

    arg: Matrix


@dataclass(frozen=True)
class Inverse:
    """The inverse of a square matrix."""

    arg: Matrix


Matrix = Union[
    Whole, Transpose, Product, Hadamard, Total, Scale, Ones, Map, Power, OneHot, Entries, Diag, RowSum, ColSum, EntrySum, Inverse
]


def is_matrix(node: object) -> TypeGuard[Matrix]:
    """Whether a line of a proof is in matrix notation."""
    return isinstance(node, get_args(Matrix))


def shape(matrix: Matrix) -> Shape:
    """The two axes of a matrix expression; a mismatch inside it is a defect of ours and raises AssertionError."""
    if isinstance(matrix, (Whole, Ones, OneHot)):
        return matrix.shape
    if isinstance(matrix, Entries):
        return (None if matrix.row is None else matrix.row.dim), (None if matrix.col is None else matrix.col.dim)
    if isinstance(matrix, Transpose):
        rows, cols = shape(matrix.arg)
        return cols, rows
    if isinstance(matrix, Product):
        shapes = [shape(factor) for factor in matrix.factors]
        assert all(left[1] == right[0] for left, right in zip(shapes, shapes[1:])), matrix
        return shapes[0][0], shapes[-1][1]
    if isinstance(matrix, (Hadamard, Total, Map)):
        parts = matrix.factors if isinstance(matrix, Hadamard) else matrix.terms if isinstance(matrix, Total) else matrix.args
        shapes = [shape(part) for part in parts]
        assert len(set(shapes)) == 1, matrix
        return shapes[0]
    if isinstance(matrix, (Scale, Power, Inverse)):
        return shape(matrix.arg)
    if isinstance(matrix, Diag):
        return shape(matrix.arg)[0], shape(matrix.arg)[0]
    if isinstance(matrix, RowSum):
        return shape(matrix.arg)[0], None
    if isinstance(matrix, ColSum):
        return None, shape(matrix.arg)[1]
    return None, None


def parts(matrix: Matrix) -> tuple[Matrix, ...]:
    """The direct sub-matrices of a node."""
    if isinstance(matrix, (Product, Hadamard)):
        return matrix.factors
    if isinstance(matrix, Total):
        return matrix.terms
    if isinstance(matrix, Map):
        return matrix.args
    if isinstance(matrix, (Transpose, Scale, Power, Diag, RowSum, ColSum, EntrySum, Inverse)):
        return (matrix.arg,)
    return ()


def rebuild(matrix: Matrix, new: tuple[Matrix, ...]) -> Matrix:
    """The same node over other sub-matrices."""
    if isinstance(matrix, Product):
        return Product(new)
    if isinstance(matrix, Hadamard):
        return Hadamard(new)
    if isinstance(matrix, Total):
        return Total(new)
    if isinstance(matrix, Map):
        return Map(matrix.name, new)
    if isinstance(matrix, Scale):
        return Scale(matrix.scalar, new[0])
    if isinstance(matrix, Power):
        return Power(new[0], matrix.exponent)
    if isinstance(matrix, Transpose):
        return Transpose(new[0])
    if isinstance(matrix, Diag):
        return Diag(new[0])
    if isinstance(matrix, RowSum):
        return RowSum(new[0])
    if isinstance(matrix, ColSum):
        return ColSum(new[0])
    if isinstance(matrix, EntrySum):
        return EntrySum(new[0])
    if isinstance(matrix, Inverse):
        return Inverse(new[0])
    return matrix


def replace_whole(matrix: Matrix, values: Mapping[str, Matrix]) -> Matrix:
    """Put matrix expressions in place of whole tensors of the same shape (another orientation is left as it stands)."""
    if isinstance(matrix, Whole):
        new = values.get(matrix.tensor)
        return new if new is not None and shape(new) == matrix.shape else matrix
    return rebuild(matrix, tuple(replace_whole(part, values) for part in parts(matrix)))
