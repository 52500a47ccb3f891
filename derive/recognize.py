"""Reading index notation as matrix notation: which sums are products, which indices need a transpose."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations

from derive import matrix as mx
from derive.conditions import surely_met
from derive.expr import Add, Delta, Expr, Fn, Idx, Iverson, MatrixFn, Max, Mul, Position, Pow, Ref, Sum, Tensor, mul, num, walk
from derive.indices import free_indices, substitute
from derive.proof import Proof
from derive.terms import factors, terms, unbounded


class NoMatrix(Exception):
    """The expression has no matrix form: a tensor of more than two axes, a diagonal, a gather, a cycle of indices."""


def finish(proof: Proof, tensors: Mapping[str, Tensor]) -> Proof:
    """The proof with its last line read as a matrix expression, where there is one."""
    return replace(proof, matrix=recognize(proof.result.target, proof.result.value, proof.batch))


def recognize(target: Ref, value: Expr, batch: tuple[Idx, ...], lies: bool | None = None) -> mx.Matrix | None:
    """`value` as a matrix whose rows and columns are the target's indices after the batch; None where there is no such form.

    A vector lies as a row or stands as a column as `lies` says; else as it comes out of the matrices in `value`.
    """
    indices = tuple(i for i in target.indices if isinstance(i, Idx) and i not in batch)
    if len(indices) > 2:
        return None
    reader = _Reader(batch)
    row: Idx | None = None
    col: Idx | None = None
    if len(indices) == 2:
        row, col = indices
    elif len(indices) == 1:
        row, col = (None, indices[0]) if (_stands_second(indices[0], value, batch) if lies is None else lies) else (indices[0], None)
    try:
        return reader.read(value, row, col)
    except NoMatrix:
        return None


def bracket(line: Expr, batch: tuple[Idx, ...], moving: Collection[str], weight: str | None = None) -> mx.Matrix | None:
    """A line of brackets <A, B>, each the sum of the entries of A o B, with one side in every term given: an entry of the tensor
    `weight` first, else, where there is none, an entry of a tensor of `moving` last. None where some term has no such form."""
    found = []
    for term in terms(line):
        form = _bracket(term, batch, moving, weight)
        if form is None:
            return None
        found.append(form)
    return mx.Total(tuple(found)) if len(found) > 1 else found[0]


def _bracket(term: Expr, batch: tuple[Idx, ...], moving: Collection[str], weight: str | None) -> mx.Matrix | None:
    reader = _Reader(batch)
    product = factors(term)
    sums = [f for f in product if isinstance(f, Sum)]
    scalars = mul(*(f for f in product if not isinstance(f, Sum)))
    if len(sums) != 1 or not reader.is_scalar(scalars):
        return recognize(Ref("", batch), term, batch)
    inside = factors(sums[0].body)
    known = [f for f in inside if isinstance(f, Ref) and (f.tensor == weight if weight else f.tensor in moving)]
    if not known or {*known[0].indices} - {*batch} != {*sums[0].indices} or len(sums[0].indices) > 2:
        return recognize(Ref("", batch), term, batch)
    entry, rest = known[0], mul(*(f for f in inside if f is not known[0]))
    row, col = (*(i for i in entry.indices if isinstance(i, Idx) and i not in batch), None)[:2]
    if col is None and row is not None and _stands_second(row, rest, batch):
        row, col = None, row
    try:
        sides = (reader.read(entry, row, col), reader.read(rest, row, col))
    except NoMatrix:
        return None
    return _scaled(scalars, mx.EntrySum(mx.Hadamard(sides if weight else sides[::-1])))


def _stands_second(index: Idx, value: Expr, batch: tuple[Idx, ...]) -> bool:
    """Whether a lone index is first met as the column of a matrix, so that the vector lies as a row."""
    for node in walk(value):
        if isinstance(node, Ref):
            own = [i for i in node.indices if i not in batch]
            if len(own) == 2 and index in own:
                return own[1] == index
    return False


def explain(matrix: mx.Matrix | None) -> tuple[str, ...]:
    """Why each transpose stands where it does, a sentence each."""
    found: dict[str, None] = {}

    def visit(node: mx.Matrix) -> None:
        if isinstance(node, mx.Transpose) and isinstance(node.arg, mx.Whole):
            rows, cols = node.arg.shape
            found[
                f"{node.arg.tensor} is {rows} x {cols}, but here its axis {cols} counts the rows and {rows} the columns: its transpose"
            ] = None
        for part in mx.parts(node):
            visit(part)

    if matrix is not None:
        visit(matrix)
    return tuple(found)


class _Reader:
    def __init__(self, batch: tuple[Idx, ...]) -> None:
        self.batch = set(batch)

    def free(self, expr: Expr) -> frozenset[Idx]:
        return frozenset(free_indices(expr)) - self.batch

    def is_scalar(self, expr: Expr) -> bool:
        """Whether `expr` is one number for the whole table, with no sum over another table in it."""
        return not self.free(expr) and not any(isinstance(n, (Sum, Max, Delta)) for n in walk(expr))

    def read(self, expr: Expr, row: Idx | None, col: Idx | None) -> mx.Matrix:
        """`expr` as a table over `row` and `col`, spread along the ones it does not mention."""
        free = self.free(expr)
        if self.is_scalar(expr):
            if isinstance(expr, Ref) and row is None and col is None and all(i in self.batch for i in expr.indices):
                return mx.Whole(expr.tensor, (None, None))
            ones = mx.Ones((_dim(row), _dim(col)))
            return ones if expr == num(1) else mx.Scale(expr, ones)
        if isinstance(expr, Mul):
            scalars, parts = self.split(expr)
            if scalars != num(1):
                return _scaled(scalars, self.read(mul(*parts), row, col))
        if row is not None and row not in free and col is not None and not isinstance(expr, Add):
            return mx.Product((mx.Ones((row.dim, None)), self.read(expr, None, col)))
        if col is not None and col not in free and row is not None and not isinstance(expr, Add):
            return mx.Product((self.read(expr, row, None), mx.Ones((None, col.dim))))
        if isinstance(expr, Add):
            return mx.Total(tuple(self.read(term, row, col) for term in expr.terms))
        if isinstance(expr, Ref):
            return self.whole(expr, row, col)
        if isinstance(expr, Delta) and {expr.a, expr.b} == {row, col}:
            return self.elementwise((expr,), row, col)
        if isinstance(expr, Delta):
            return self.one_hot(expr, row, col)
        if isinstance(expr, (Iverson, Position)) and self.free(expr) <= {row, col}:
            return mx.Entries(expr, row, col)
        if isinstance(expr, MatrixFn):
            return self.inverse(expr, row, col)
        if isinstance(expr, Fn):
            return mx.Map(expr.name, tuple(self.read(arg, row, col) for arg in expr.args))
        if isinstance(expr, Pow):
            return mx.Power(self.read(expr.base, row, col), expr.exponent)
        if isinstance(expr, Mul):
            return self.elementwise(expr.factors, row, col)
        if isinstance(expr, Sum):
            scalars, body = self.split(expr.body)
            if unbounded(scalars) and not surely_met(expr.indices, mul(*body)):
                raise NoMatrix
            return _scaled(scalars, self.contraction(set(expr.indices), body, row, col))
        raise NoMatrix

    def split(self, expr: Expr) -> tuple[Expr, tuple[Expr, ...]]:
        """A product as (scalar part, factors with indices)."""
        plain = [f for f in factors(expr) if self.is_scalar(f)]
        return mul(*plain), tuple(f for f in factors(expr) if f not in plain)

    def elementwise(self, parts: tuple[Expr, ...], row: Idx | None, col: Idx | None) -> mx.Matrix:
        """A product without a sum: Hadamard, with an outer product where the factors share no index."""
        same = tuple(f for f in parts if isinstance(f, Delta) and {f.a, f.b} == {row, col})
        if same and row is not None and col is not None:
            # [row = col] times the rest is the rest on a diagonal: every other index of the pair reads as the row.
            rest = substitute(mul(*(f for f in parts if f not in same)), {col: row})
            return mx.Diag(self.read(rest, row, None))
        if len(parts) == 1:
            return self.read(parts[0], row, col)
        rows = tuple(f for f in parts if row is not None and col is not None and self.free(f) == {row})
        cols = tuple(f for f in parts if row is not None and col is not None and self.free(f) == {col})
        if rows and cols and len(rows) + len(cols) == len(parts) and not _torn((rows, cols)):
            return mx.Product((self.elementwise(rows, row, None), self.elementwise(cols, None, col)))
        return mx.Hadamard(tuple(self.read(f, row, col) for f in parts))

    def whole(self, ref: Ref, row: Idx | None, col: Idx | None) -> mx.Matrix:
        own = tuple(i for i in ref.indices if i not in self.batch)
        if any(not isinstance(i, Idx) for i in own):
            raise NoMatrix
        wanted = tuple(i for i in (row, col) if i is not None)
        if own == wanted:
            return mx.Whole(ref.tensor, (_dim(row), _dim(col)))
        if len(own) == 2 and own == wanted[::-1]:
            return mx.Transpose(mx.Whole(ref.tensor, (_dim(col), _dim(row))))
        raise NoMatrix

    def inverse(self, expr: MatrixFn, row: Idx | None, col: Idx | None) -> mx.Matrix:
        if expr.name != "inv" or not self.free(expr.body) <= set(expr.indices):
            raise NoMatrix
        inverse = mx.Inverse(self.read(expr.body, *expr.indices))
        if expr.at == (row, col):
            return inverse
        if expr.at == (col, row):
            return mx.Transpose(inverse)
        raise NoMatrix

    def one_hot(self, delta: Delta, row: Idx | None, col: Idx | None) -> mx.Matrix:
        for label, value in ((delta.a, delta.b), (delta.b, delta.a)):
            if isinstance(label, Ref) and isinstance(value, Idx) and len(label.indices) == 1:
                position = label.indices[0]
                if (position, value) == (row, col):
                    return mx.OneHot(label.tensor, (_dim(row), _dim(col)))
                if (position, value) == (col, row):
                    return mx.Transpose(mx.OneHot(label.tensor, (_dim(col), _dim(row))))
        raise NoMatrix

    def contraction(self, bound: set[Idx], parts: tuple[Expr, ...], row: Idx | None, col: Idx | None) -> mx.Matrix:
        """A sum of products: a path of indices from the row to the column is a matrix product, a dead end a row or column sum."""
        groups: dict[frozenset[Idx], list[Expr]] = {}
        for part in parts:
            own = self.free(part)
            if not own or len(own) > 2:
                raise NoMatrix
            groups.setdefault(own, []).append(part)
        ends = {i for i in (row, col) if i is not None}
        aside = [key for key in groups if key <= ends]
        outside = [f for key in aside for f in groups.pop(key)]
        if any(unbounded(f) for f in outside) and not surely_met(tuple(sorted(bound, key=str)), mul(*parts)):
            raise NoMatrix
        if _torn(groups.values()):
            raise NoMatrix
        inner = self.path(bound, groups, row, col)
        if not outside:
            return inner
        return mx.Hadamard((*(self.read(f, row, col) for f in outside), inner))

    def path(self, bound: set[Idx], groups: dict[frozenset[Idx], list[Expr]], row: Idx | None, col: Idx | None) -> mx.Matrix:
        edges = {key: tuple(found) for key, found in groups.items() if len(key) == 2}
        loops = {next(iter(key)): tuple(found) for key, found in groups.items() if len(key) == 1}
        start = row if row is not None else self._dead_end(bound, edges, loops, col)
        chain: list[mx.Matrix] = []
        here: Idx = start
        left = dict(edges)
        if row is None and here in loops:
            chain.append(self.elementwise(loops.pop(here), None, here))
            opened = True
        else:
            opened = row is not None
        seen = {here}
        while left and here != col:
            nearby = [key for key in left if here in key]
            if len(nearby) != 1:
                raise NoMatrix
            there = next(i for i in nearby[0] if i != here)
            if there in seen:
                raise NoMatrix
            seen.add(there)
            chain.append(self.elementwise(left.pop(nearby[0]), here, there))
            here = there
            if here in loops and (left or here == col):
                # A vector in the middle of a chain scales the columns of what came so far.
                chain.append(mx.Diag(self.elementwise(loops.pop(here), here, None)))
        if left or not bound <= seen | ({start} if row is None else set()):
            raise NoMatrix
        closed = here == col
        if not closed and here in loops:
            chain.append(self.elementwise(loops.pop(here), here, None))
            closed = True
        if loops or not chain or (col is not None and here != col):
            raise NoMatrix
        inner = chain[0] if len(chain) == 1 else mx.Product(tuple(chain))
        if opened and closed:
            return inner
        if opened:
            return mx.RowSum(inner)
        if closed:
            inside = inner.factors if isinstance(inner, mx.Product) else (inner,)
            return mx.Product((mx.Ones((None, mx.shape(inner)[0])), *inside))
        return mx.EntrySum(inner)

    def _dead_end(
        self, bound: set[Idx], edges: dict[frozenset[Idx], tuple[Expr, ...]], loops: dict[Idx, tuple[Expr, ...]], col: Idx | None
    ) -> Idx:
        """Where a chain without a row index starts: the summed index at its far end, one that carries a vector first."""
        degree = {i: sum(1 for key in edges if i in key) for i in bound}
        ends = sorted((i for i in bound if degree[i] <= 1), key=lambda i: (i not in loops, i.name))
        if not ends:
            raise NoMatrix
        if col is None and not loops:
            first = next(iter(edges.values()), None)
            if first is not None:
                order = [i for i in free_indices(first[0]) if i in ends]
                if order:
                    return order[0]
        return ends[0]


def _torn(groups: Iterable[Sequence[Expr]]) -> bool:
    """Whether a condition stands in one factor of a product of matrices, and in another what it may leave without a value."""
    return any(any(isinstance(f, Iverson) for f in one) and any(unbounded(f) for f in other) for one, other in permutations(groups, 2))


def _dim(index: Idx | None) -> str | None:
    return None if index is None else index.dim


def _scaled(scalar: Expr, matrix: mx.Matrix) -> mx.Matrix:
    if scalar == num(1):
        return matrix
    if isinstance(matrix, mx.Scale):
        return mx.Scale(mul(scalar, matrix.scalar), matrix.arg)
    return mx.Scale(scalar, matrix)
