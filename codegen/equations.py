"""One equation in index notation -> ops: every subexpression becomes an op over the indices that it mentions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from codegen.masks import Masked, branches, guarded, masked
from codegen.program import Op, Read
from codegen.recurrences import scan, walked_equations
from derive.affine import position
from derive.conditions import surely_met
from derive.expr import (
    Add,
    Affine,
    Delta,
    Diff,
    Equation,
    Expr,
    Fn,
    Idx,
    Index,
    Iverson,
    MatrixFn,
    Max,
    Mul,
    Num,
    Position,
    Pow,
    Ref,
    Size,
    Sum,
    mul,
)
from derive.indices import free_indices, substitute, substitute_index
from derive.plain import show
from derive.recurrence import Group, groups
from derive.terms import unbounded

COMPARISONS = {"<": "less", "<=": "less_equal", "==": "equal", "!=": "not_equal"}


class Lowering:
    """Collects the ops of one block; temporaries are called %1, %2, ..."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self._count = 0
        self._scope: tuple[Idx, ...] = ()
        self._comparing = False

    def equations(self, equations: Iterable[Equation]) -> None:
        """Append the ops of equations, each after those it needs, and those of a recurrence together."""
        for group in groups(equations):
            if group.recurs:
                self._recurrence(group)
            else:
                self.equation(group.equations[0])

    def _recurrence(self, group: Group) -> None:
        start = len(self.ops)
        walked, equations = walked_equations(group)
        for equation in equations:
            self.equation(equation)
        self._count += 1
        outer, results = scan(f"%{self._count}", group, walked, self.ops[start:])
        self.ops[start:] = [*outer, *results]

    def equation(self, equation: Equation) -> None:
        """Append the ops of `target = value`; the last of them makes the target, its axes in the target's order."""
        target = equation.target
        axes = tuple(i for i in target.indices if isinstance(i, Idx))
        if len(axes) < len(target.indices) or len(set(axes)) < len(axes):
            raise NotImplementedError(f"no kernel for the target {show(target)}: its indices must be distinct")
        self._scope = axes
        before = len(self.ops)
        read = self.expr(equation.value)
        last = self.ops[-1] if len(self.ops) > before else None
        if last is not None and last.out == read.value and set(last.axes) == set(axes) and last.kind not in ("number", "size"):
            self.ops[-1] = replace(_oriented(last, axes), out=target.tensor, source=equation)
        else:
            self.ops.append(Op(target.tensor, "expand", axes, (read,), source=equation))

    def expr(self, expr: Expr) -> Read:
        """The value of an expression, read along its own indices."""
        if isinstance(expr, Num):
            return self._emit("number", number=expr.value)
        if isinstance(expr, Size):
            return self._emit("size", dim=expr.dim)
        if isinstance(expr, Ref):
            return self._ref(expr)
        if isinstance(expr, Delta):
            return self._map("delta", (self._position(expr.a), self._position(expr.b)))
        if isinstance(expr, Position):
            position = self._position(expr.index)
            return position if self._comparing else self._map("real", (position,))
        if isinstance(expr, Iverson):
            return self._map("real", (self._bracket(expr),))
        if isinstance(expr, Add):
            return self._add(expr)
        if isinstance(expr, Mul):
            return self._mul(expr.factors)
        if isinstance(expr, Pow):
            return self._map("power", (self.expr(expr.base),), expr.exponent)
        if isinstance(expr, Fn):
            return self._map(expr.name, tuple(self.expr(arg) for arg in expr.args)) if expr.args else self._emit("number", fn=expr.name)
        if isinstance(expr, MatrixFn):
            return self._matrix_function(expr)
        if isinstance(expr, Max):
            return self._max(expr)
        if isinstance(expr, Sum):
            return self._sum(expr.indices, expr.body)
        assert isinstance(expr, Diff)
        raise NotImplementedError(f"no kernel for a derivative that is not worked out: {show(expr)}")

    # ------------------------------------------------------------------------------------------------ pieces

    def _emit(
        self,
        kind: str,
        axes: tuple[Idx, ...] = (),
        args: tuple[Read, ...] = (),
        over: tuple[Idx, ...] = (),
        fn: str = "",
        number: Fraction | None = None,
        dim: str = "",
        at: tuple[Affine, ...] = (),
    ) -> Read:
        self._count += 1
        op = Op(f"%{self._count}", kind, axes, args, over, fn, number, dim, at=at)
        self.ops.append(op)
        return Read(op.out, axes)

    def _map(self, fn: str, args: tuple[Read, ...], number: Fraction | None = None) -> Read:
        return self._emit("map", self._union(args), args, fn=fn, number=number)

    def _union(self, args: Iterable[Read]) -> tuple[Idx, ...]:
        """The indices of all arguments: in the order of an argument that has them all, else in the order of the equation."""
        reads = tuple(args)
        every = dict.fromkeys(i for read in reads for i in read.axes)
        for read in reads:
            if set(read.axes) == set(every):
                return read.axes
        return tuple(sorted(every, key=self._rank))

    def _rank(self, index: Idx) -> int:
        return self._scope.index(index) if index in self._scope else len(self._scope)

    def _position(self, index: Index) -> Read:
        if isinstance(index, Affine):
            outer, self._comparing = self._comparing, True
            value = self.expr(index.value)
            self._comparing = outer
            return value
        if isinstance(index, Ref) and not index.indices:
            return self._emit("size", dim=index.tensor)  # a plain integer, known like the length of an axis
        return self._emit("position", (index,), dim=index.dim) if isinstance(index, Idx) else self._ref(index)

    def _add(self, expr: Add) -> Read:
        """A sum; two terms of which one is chosen by a condition and one by its complement are a single choice between them."""
        terms = list(expr.terms)
        chosen = []
        while (found := branches(terms)) is not None:
            first, second, condition, yes, no = found
            chosen.append(self._map("where", (self._condition(condition), self._mul(yes), self._mul(no))))
            terms = [term for n, term in enumerate(terms) if n not in (first, second)]
        reads = (*chosen, *(self.expr(term) for term in terms))
        return reads[0] if len(reads) == 1 else self._map("add", reads)

    def _mul(self, factors: Sequence[Expr]) -> Read:
        """A product; what stands beside Iverson brackets is selected by them, never multiplied, lest 0 meet an infinity."""
        found = masked(factors)
        if found is None:
            return self._product([self.expr(factor) for factor in factors])
        outside = [self.expr(factor) for factor in found.numbers]
        return self._product([*outside, self._masked(found, found.rest)])

    def _masked(self, found: Masked, rest: Sequence[Expr]) -> Read:
        condition = self._condition(found.brackets)
        return self._map("where", (condition, self._product([self.expr(f) for f in rest]))) if rest else self._map("real", (condition,))

    def _product(self, reads: Sequence[Read]) -> Read:
        return reads[0] if len(reads) == 1 else self._map("mul", tuple(reads)) if reads else self._emit("number", number=Fraction(1))

    def _condition(self, brackets: Sequence[Iverson]) -> Read:
        """Where all of the brackets are 1."""
        reads = tuple(self._bracket(bracket) for bracket in brackets)
        return reads[0] if len(reads) == 1 else self._map("and", reads)

    def _bracket(self, expr: Iverson) -> Read:
        """Where a comparison holds; positions in it stay integers."""
        outer, self._comparing = self._comparing, True
        args = (self.expr(expr.left), self.expr(expr.right))
        self._comparing = outer
        return self._map(COMPARISONS[expr.relation], args)

    def _ref(self, ref: Ref) -> Read:
        """An entry of an array: a plain read, a diagonal, or a gather by integer arrays."""
        axes: list[Idx] = []
        placeholders: list[Idx] = []
        labels: list[Read] = []
        for n, index in enumerate(ref.indices):
            if isinstance(index, Ref):
                labels.append(self._ref(index))
                placeholders.append(Idx(f"@{n}", f"@{n}"))
                axes.append(placeholders[-1])
            elif isinstance(index, Idx):
                axes.append(index)
            else:
                axes += free_indices(index.value)
        read = Read(self._read(ref), tuple(axes))
        if len(set(axes)) < len(axes):
            read = self._emit("diagonal", tuple(dict.fromkeys(axes)), (read,))
        if not labels:
            return read
        free: dict[Idx, None] = {}
        for axis in read.axes:
            if axis in placeholders:
                free.update(dict.fromkeys(labels[placeholders.index(axis)].axes))
            else:
                free[axis] = None
        return self._emit("gather", tuple(free), (read, *labels), tuple(placeholders))

    def _matrix_function(self, expr: MatrixFn) -> Read:
        """A determinant, or an inverse read like any other array."""
        row, column, body = *expr.indices, expr.body
        at = tuple(i for i in dict.fromkeys(expr.at) if isinstance(i, Idx) and i not in free_indices(body))
        if len(at) == 2:
            # An inverse as it stands: its rows and columns are those it is read at.
            body, row, column = substitute(body, dict(zip(expr.indices, at))), *at
        self._enter((row, column))
        arg = self.expr(body)
        rest = tuple(i for i in arg.axes if i not in (row, column))
        axes = (*rest, row, column) if expr.at else rest
        found = self._emit("matrix", axes, (arg,), (row, column), expr.name)
        return found if len(at) == 2 else self._ref(Ref(found.value, (*rest, *expr.at))) if expr.at else found

    def _read(self, ref: Ref) -> str:
        """The array of an entry with every place along an axis made indices of its own, in order."""
        if not any(isinstance(index, Affine) for index in ref.indices):
            return ref.tensor
        own = [Idx(f"@{n}", "" if isinstance(index, Ref) else index.dim) for n, index in enumerate(ref.indices)]
        every = [i for index in ref.indices for i in ((index,) if isinstance(index, Idx) else free_indices(position(index)))]
        if len(set(every)) == len(every):
            own = [index if isinstance(index, Idx) else mine for index, mine in zip(ref.indices, own)]
        axes: list[Idx] = []
        at: list[Affine] = []
        for index, mine in zip(ref.indices, own):
            if isinstance(index, Affine):
                # Where the same index stands twice, each place gets indices of its own.
                apart = len(set(every)) < len(every)
                inner = {i: Idx(f"{mine.name}.{i.name}", i.dim) if apart else i for i in free_indices(index.value)}
                moved = substitute_index(index, inner)
                assert isinstance(moved, Affine)
                at.append(moved)
                axes += inner.values()
            else:
                axes.append(mine)
        over = tuple(mine for index, mine in zip(ref.indices, own) if isinstance(index, Affine))
        return self._emit("read", tuple(axes), (Read(ref.tensor, tuple(own)),), over, at=tuple(at)).value

    # ------------------------------------------------------------------------------------------------ reductions

    def _max(self, expr: Max) -> Read:
        self._enter(expr.indices)
        arg = self.expr(expr.body)
        over = tuple(i for i in expr.indices if i in arg.axes)
        return self._emit("reduce", tuple(i for i in arg.axes if i not in over), (arg,), over, "max") if over else arg

    def _enter(self, bound: tuple[Idx, ...]) -> None:
        self._scope += tuple(i for i in bound if i not in self._scope)

    def _sum(self, bound: tuple[Idx, ...], body: Expr) -> Read:
        """A sum of a product is a contraction; what the bound indices do not reach stands outside."""
        self._enter(bound)
        while isinstance(body, Sum):
            self._enter(body.indices)
            bound, body = bound + body.indices, body.body
        if isinstance(body, Add) and _splits(body):
            return self._map("add", tuple(self._sum(bound, term) for term in body.terms))
        factors = body.factors if isinstance(body, Mul) else (body,)
        for factor in factors:
            placed = self._placed(bound, factor, [f for f in factors if f is not factor]) if isinstance(factor, Delta) else None
            if placed is not None:
                return placed
        outside = [f for f in factors if not set(free_indices(f)) & set(bound)]
        inside = [f for f in factors if f not in outside]
        given = tuple(f for f in outside if isinstance(f, Iverson))
        if masked(inside) is not None and any(map(unbounded, outside)) and not surely_met(bound, mul(*inside), given):
            # Where the conditions exclude every entry, what may be infinite is selected by them too: the sum is 0.
            inside += [f for f in outside if unbounded(f)]
            outside = [f for f in outside if not unbounded(f)]
        reached = {i for f in inside for i in free_indices(f)}
        outside += [Size(i.dim) for i in bound if i not in reached]
        over = tuple(i for i in bound if i in reached)
        condition = masked(outside)
        rest = [self.expr(factor) for factor in ((*condition.numbers, *condition.rest) if condition is not None else outside)]
        if inside:
            args = self._summands(inside)
            axes = tuple(i for i in self._union(args) if i not in over)
            if len(args) == 1:
                rest.append(self._emit("reduce", axes, args, over, "sum"))
            else:
                rest.append(self._emit("contract", tuple(sorted(axes, key=self._rank)), args, over))
        product = self._product(rest)
        return product if condition is None else self._map("where", (self._condition(condition.brackets), product))

    def _placed(self, bound: tuple[Idx, ...], delta: Delta, others: Sequence[Expr]) -> Read | None:
        """sum(x, delta(l, a x + b) f(x)): every entry of f goes to its place along l; None where the delta has another form."""
        at, index = (delta.a, delta.b) if isinstance(delta.a, Affine) else (delta.b, delta.a)
        if not isinstance(at, Affine) or not isinstance(index, Idx) or index in bound:
            return None
        moving = free_indices(at.value)
        along = [f for f in others if index in free_indices(f)]
        if not set(moving) <= set(bound) or any(set(free_indices(f)) & set(bound) for f in along):
            return None
        rest = mul(*(f for f in others if f not in along))
        left = tuple(i for i in bound if i not in moving)
        value = self._sum(left, rest) if left else self.expr(rest)
        if not set(moving) <= set(value.axes):
            axes = (*value.axes, *(i for i in moving if i not in value.axes))
            value = self._emit("expand", tuple(sorted(axes, key=self._rank)), (value,))
        axes = tuple(i for i in value.axes if i not in moving)
        found = self._emit("place", tuple(sorted((*axes, index), key=self._rank)), (value,), moving, at=(at,))
        return self._product([self._mul(along), found]) if along else found

    def _summands(self, factors: Sequence[Expr]) -> tuple[Read, ...]:
        """The factors of a summed product. Brackets select those that may be infinite, or that have all of their indices, and
        the rest stays apart, so that a sum over more indices than any factor has remains a matrix product."""
        found = masked(factors)
        if found is None:
            return tuple(self.expr(factor) for factor in factors)
        rest = (*found.numbers, *found.rest)
        inside = guarded(found.brackets, rest)
        return (self._masked(found, inside), *(self.expr(factor) for factor in rest if factor not in inside))


def _splits(body: Add) -> bool:
    """Whether a summed sum is better summed term by term: some term is a product over more indices than any one of its factors."""
    for term in body.terms:
        factors = term.factors if isinstance(term, Mul) else (term,)
        if not any(set(free_indices(f)) == set(free_indices(term)) for f in factors):
            return True
    return False


def _oriented(op: Op, axes: tuple[Idx, ...]) -> Op:
    """The same op with its result's axes in another order."""
    return replace(op, axes=axes)
