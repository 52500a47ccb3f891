"""SymPy in, SymPy out: equations over `axes` and `tensors` read into the IR, and written back."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import sympy as sp

from derive.author_order import AuthorOrder
from derive.conditions import choose, compare, complement
from derive.errors import SpecError, near
from derive.expr import (
    ONE,
    Add,
    Affine,
    Delta,
    Equation,
    Expr,
    Fact,
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
    add,
    children,
    mul,
    num,
    rebuild,
    total,
)
from derive.functions import power_of
from derive.matrix_symbols import MatrixFunction
from derive.parse import OPEN, Raw, whole_matrix
from derive.scalar import SYMPY, delta, max_over, position
from derive.scalar import scalar_derivative as scalar_derivative
from derive.symbols import Scalar, TensorBase, axes, dimension, tensors
from derive.write import write

if TYPE_CHECKING:
    from derive.spec import Layer

_DEEPEST = 120


def read(raw: Raw, equations: Iterable[Any]) -> None:
    """Read SymPy equations (or finished IR equations) into `raw`. Raises SpecError naming what cannot be read."""
    layer = raw.layer
    if isinstance(equations, str) or not isinstance(equations, (Iterable, sp.Basic, Equation)):
        raise SpecError(f"{layer}: the equations are a list of Eq(Y[i, j], ...); a text is read by Layer.parse(name, text)")
    given = [equations] if isinstance(equations, (sp.Basic, Equation)) else list(equations)
    places: dict[str, int] = {}
    order = AuthorOrder()
    sizes = {axis for equation in given if isinstance(equation, sp.Basic) for axis in _sizes(equation)} | set(raw.axes.values())
    for number, equation in enumerate(given, 1):
        if isinstance(equation, Equation):
            made = Equation(_opened_ref(equation.target, raw), _opened(equation.value, raw))
        else:
            made = _equation(equation, _Reader(raw, places, sizes, order, f"{layer}: equation {number}, `{equation}`: "))
        raw.equations.append(made)
        raw.texts.append(write(made))
    if not raw.equations:
        raise SpecError(f"{layer}: the list of equations is empty; write Eq(Y[i, j], ...) over axes(...) and tensors(...)")
    order.leave()
    raw.order = sorted(places, key=lambda name: places[name])


def _sizes(equation: sp.Basic) -> set[str]:
    """The axes over which the indices and tensors of an equation are declared."""
    found: set[str] = set()
    for node in sp.preorder_traversal(equation):
        if isinstance(node, TensorBase):
            found.update(str(axis) for axis in node.shape)
        elif isinstance(node, sp.Idx) and node.upper is not None:
            found.add(str(node.upper + 1))
    return found


def read_fact(fact: Any, raw: Raw) -> None:
    """Read one fact, such as `Eq(Sum(T[i, j], j), 1)`, into `raw`."""
    reader = _Reader(raw, {}, _sizes(fact) if isinstance(fact, sp.Basic) else set(), AuthorOrder(), f"{raw.layer}: fact `{fact}`: ")
    if not isinstance(fact, sp.core.relational.Relational):
        raise SpecError(
            f"{reader.where}a fact is an equation or a comparison; write Eq(Sum(T[i, j], j), 1) or 'sum(j, T[i,j]) = 1', "
            "v[i] > 0 or 'v[i] > 0'"
        )
    reader.order.enter(fact)
    left, right = reader.expr(fact.lhs), reader.expr(fact.rhs)
    raw.facts.append(Fact(left, right) if isinstance(fact, sp.Eq) else Fact(compare(fact.rel_op, left, right), ONE))


def read_length(size: Any, raw: Raw) -> None:
    """Read the length of an axis, `Eq(I, L // 2)`, into `raw`."""
    where = f"{raw.layer}: the length `{size}`: "
    if not isinstance(size, sp.Eq) or not isinstance(size.lhs, sp.Symbol):
        raise SpecError(f"{where}write the axis and its length, as in Eq(I, (L - K) // 2 + 1), or 'size(i) = size(l) - 1'")
    reader = _Reader(
        raw, {}, {*raw.axes.values(), *(axis for dims in raw.dims.values() for axis in dims), size.lhs.name}, AuthorOrder(), where
    )
    raw.lengths.append((size.lhs.name, reader.whole(size.rhs)))


def _equation(equation: Any, reader: _Reader) -> Equation:
    if equation in (True, False, sp.true, sp.false):
        raise SpecError(f"{reader.where}SymPy has decided this equation by itself; the left of Eq is the tensor that the right defines")
    if isinstance(equation, str):
        raise SpecError(f"{reader.where}this is text; read it by Layer.parse(name, text)")
    if not isinstance(equation, sp.Eq):
        raise SpecError(f"{reader.where}this is no equation; write Eq(Y[i, j], ...)")
    reader.order.enter(equation)
    target = reader.expr(equation.lhs)
    if not isinstance(target, Ref):
        raise SpecError(f"{reader.where}the left of Eq is one tensor with its indices, as in Y[i, j]")
    return Equation(target, reader.expr(equation.rhs))


def _last_the_numbers(expr: Any) -> tuple[bool, bool, str]:
    """The order of a length's terms: those with a minus after the others, numbers last."""
    return expr.is_number, expr.could_extract_minus_sign(), str(expr)


class _Reader:
    """Reads the expressions of one equation, noting what they declare."""

    def __init__(self, raw: Raw, places: dict[str, int], sizes: set[str], order: AuthorOrder, where: str) -> None:
        self.raw = raw
        self.sizes = sizes
        self.order = order
        self.places = places
        self.where = where
        self.depth = 0
        self.compared = False  # inside a comparison, where an index stands for its value

    def expr(self, expr: Any) -> Expr:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise SpecError(f"{self.where[:200]}: nested more than {_DEEPEST} deep; name the inner parts by equations of their own")
        made = self._expr(expr)
        self.depth -= 1
        return made

    def _expr(self, expr: Any) -> Expr:
        if isinstance(expr, sp.Rational):
            return num(Fraction(int(expr.p), int(expr.q)))
        if isinstance(expr, sp.Float):
            # The shortest decimal that rounds to the float is what the author typed: 0.1 is 1/10.
            return num(Fraction(repr(float(expr))))
        if expr is sp.pi:
            return Fn("pi", ())
        if isinstance(expr, sp.Indexed):
            return self.entry(expr)
        if isinstance(expr, sp.Piecewise):
            return self.piecewise(expr)
        if isinstance(expr, sp.Idx) and self.compared:
            return Position(self.idx(expr))
        if isinstance(expr, (delta, sp.KroneckerDelta)):
            return self.delta(expr)
        if isinstance(expr, position):
            return Position(self.index(expr.args[0], expr))
        if isinstance(expr, sp.Idx):
            raise SpecError(f"{self.where}the index {expr} stands as a number; an index stands in brackets, as in X[{expr}]")
        if isinstance(expr, sp.Symbol):
            return self.symbol(expr)
        if isinstance(expr, sp.Add):
            return add(*(self.expr(arg) for arg in self.order.terms(expr.args)))
        if isinstance(expr, sp.Mul):
            return mul(*(self.expr(arg) for arg in sorted(expr.args, key=self.order.factor)))
        if isinstance(expr, sp.Pow):
            return power_of(self.expr(expr.base), self.expr(expr.exp))
        if isinstance(expr, sp.Sum):
            return total((self.bound(limit) for limit in expr.limits), self.expr(expr.function))
        if isinstance(expr, max_over):
            return Max(tuple(self.idx(index) for index in expr.args[1:]), self.expr(expr.args[0]))
        if isinstance(expr, MatrixFunction):
            return self.matrix_function(expr)
        if isinstance(expr, (sp.Max, sp.Min)):
            name = "max" if isinstance(expr, sp.Max) else "min"
            first, *others = (self.expr(arg) for arg in sorted(expr.args, key=self.order.term))
            for other in others:
                first = Fn(name, (first, other))
            return first
        for name, function in SYMPY.items():
            if type(expr) is function:
                arguments: tuple[Any, ...] = expr.args
                return Fn(name, tuple(self.expr(arg) for arg in arguments))
        raise SpecError(f"{self.where}{expr} cannot be read{self._instead(expr)}")

    def _instead(self, expr: Any) -> str:
        if isinstance(expr, sp.MatrixExpr):
            return "; write matrices in indices, over tensors('X[N,M]')"
        if isinstance(expr, sp.IndexedBase):
            return f"; give it its indices, as in {expr}[i, j]"
        if isinstance(expr, sp.Function):
            name = type(expr).__name__
            return f": there is no function {name}{near(name, SYMPY) or '; the functions are ' + ', '.join(sorted(SYMPY))}"
        return "; write sums, products, powers and functions of tensors' entries"

    def matrix_function(self, expr: Any) -> Expr:
        name, of, bound, at = expr.args
        read = tuple(self.index(index, expr) for index in at)
        if isinstance(of, TensorBase) and not bound:
            self.declare(str(of.label), tuple(str(axis) for axis in of.shape), of.role, of.position)
            whole = whole_matrix(Ref(str(of.label)))
            if len(of.shape) != 2:
                raise SpecError(f"{self.where}{of} has {len(of.shape)} axes; give its rows and columns: {name}({of}[n, i, j], i, j)")
            return MatrixFn(str(name), *whole, read)
        if len(bound) != 2 or not all(isinstance(index, sp.Idx) for index in bound):
            raise SpecError(f"{self.where}{name} takes a tensor of two axes, {name}(A), or an entry and two indices, {name}(A[i, j], i, j)")
        row, column = (self.idx(index) for index in bound)
        return MatrixFn(str(name), (row, column), self.expr(of), read)

    def piecewise(self, expr: Any) -> Expr:
        """[c1] a1 + [not c1] ([c2] a2 + ...): the pieces in order, each where no earlier one holds."""
        value: Expr = num(0)
        for piece, condition in reversed(expr.args):
            value = choose(self.condition(condition), self.expr(piece), value)
        return value

    def condition(self, condition: Any) -> Expr:
        if condition in (True, sp.true):
            return num(1)
        if condition in (False, sp.false):
            raise SpecError(f"{self.where}a condition never holds; leave out what it selects")
        if isinstance(condition, sp.Not):
            return complement(self.condition(condition.args[0]))
        if isinstance(condition, sp.And):
            return mul(*(self.condition(arg) for arg in sorted(condition.args, key=self.order.term)))
        if isinstance(condition, sp.Or):
            return complement(mul(*(complement(self.condition(arg)) for arg in sorted(condition.args, key=self.order.term))))
        if isinstance(condition, sp.core.relational.Relational):
            outer, self.compared = self.compared, True
            left, right = self.expr(condition.lhs), self.expr(condition.rhs)
            self.compared = outer
            return compare(condition.rel_op, left, right)
        raise SpecError(f"{self.where}{condition} is no condition; write comparisons such as j <= i, joined by And, Or, Not")

    def symbol(self, symbol: Any) -> Expr:
        if isinstance(symbol, Scalar):
            self.declare(symbol.name, (), symbol.role, symbol.position)
            return Ref(symbol.name)
        if symbol.name in self.sizes or symbol == dimension(symbol.name):
            return Size(symbol.name)
        raise SpecError(
            f"{self.where}the symbol {symbol} is neither a tensor nor an axis{near(symbol.name, self.sizes | set(self.raw.dims))}; "
            f"declare a scalar by tensors('{symbol}[]'), or tensors('{symbol}:const') when it is not differentiated"
        )

    def entry(self, entry: Any) -> Ref:
        base = entry.base
        name = str(base.label)
        if isinstance(base, TensorBase):
            self.declare(name, tuple(str(axis) for axis in base.shape), base.role, base.position)
        return Ref(name, tuple(self.index(index, entry) for index in entry.indices))

    def declare(self, name: str, dims: tuple[str, ...], kind: str, position: int) -> None:
        if self.raw.dims.setdefault(name, dims) != dims:
            first, second = ",".join(self.raw.dims[name]), ",".join(dims)
            raise SpecError(f"{self.where}{name} is declared as {name}[{first}] and as {name}[{second}]; give one of them another name")
        if kind != "real":
            self.raw.kinds[name] = kind
        self.places.setdefault(name, position)

    def index(self, index: Any, entry: Any) -> Index:
        if isinstance(index, sp.Indexed):
            return self.entry(index)
        if isinstance(index, sp.Idx):
            return self.idx(index)
        if isinstance(index, sp.Symbol) and not isinstance(index, Scalar):
            return Idx(index.name, OPEN)
        if isinstance(index, sp.Expr):
            return Affine(self.whole(index), OPEN)
        raise SpecError(f"{self.where}in {entry}, {index} is no place along an axis; write indices, as in X[2*i + k - 1]")

    def delta(self, expr: Any) -> Expr:
        first, second = (self.index(arg, expr) for arg in expr.args)
        if isinstance(first, Affine):
            first, second = second, first
        if isinstance(first, Affine):
            raise SpecError(f"{self.where}one side of {expr} is an index alone, as in delta(f, D*c + d)")
        return Delta(first, second)

    def whole(self, expr: Any) -> Expr:
        """A whole number: a place along an axis, or the length of one."""
        if isinstance(expr, sp.Integer):
            return num(int(expr))
        if isinstance(expr, position):
            return Position(self.index(expr.args[0], expr))
        if isinstance(expr, (sp.Idx, sp.Indexed)):
            return Position(self.index(expr, expr))
        if isinstance(expr, Scalar):
            if expr.role != "int":
                raise SpecError(f"{self.where}{expr} is no whole number; declare it by tensors('{expr}:int')")
            self.symbol(expr)
            return Position(Ref(expr.name))
        if isinstance(expr, sp.Symbol):
            return self.symbol(expr)
        if isinstance(expr, sp.Add):
            return add(*(self.whole(arg) for arg in sorted(expr.args, key=_last_the_numbers)))
        if isinstance(expr, sp.Mul):
            return mul(*(self.whole(arg) for arg in sorted(expr.args, key=_last_the_numbers)))
        if isinstance(expr, sp.floor):
            top, bottom = sp.together(expr.args[0]).as_numer_denom()
            return Fn("floor_div", (self.whole(sp.expand(top)), self.whole(bottom)))
        raise SpecError(f"{self.where}{expr} is no whole number of places; write sums of whole multiples, as in 2*i + k - 1")

    def idx(self, index: Any) -> Idx:
        name = str(index.label)
        if index.lower is not None:
            if index.lower != 0 or not isinstance(index.upper + 1, sp.Symbol):
                raise SpecError(
                    f"{self.where}the index {name} runs from {index.lower} to {index.upper}; "
                    f"an index runs over a whole axis, axes('{name}:N')"
                )
            axis = str(index.upper + 1)
            if self.raw.axes.setdefault(name, axis) != axis:
                raise SpecError(
                    f"{self.where}the index {name} runs over {self.raw.axes[name]} and over {axis}; give each axis its own index"
                )
        return Idx(name, OPEN)

    def bound(self, limit: Any) -> Idx:
        index, *ends = limit
        if not isinstance(index, (sp.Idx, sp.Symbol)):
            raise SpecError(f"{self.where}a sum runs over indices, not over {index}")
        made = self.idx(index) if isinstance(index, sp.Idx) else Idx(index.name, OPEN)
        if ends:
            low, high = ends
            axis = high + 1
            if low != 0 or not isinstance(axis, sp.Symbol) or self.raw.axes.setdefault(made.name, str(axis)) != str(axis):
                raise SpecError(
                    f"{self.where}the sum over {index} runs from {low} to {high}; a sum runs over a whole axis, as in Sum(x, {index})"
                )
        return made


# ---------------------------------------------------------------------------------------------------- finished IR


def _opened(expr: Expr, raw: Raw) -> Expr:
    """Finished IR with its axes noted in `raw` and opened again, so that it is read like everything else."""
    if isinstance(expr, Ref):
        return _opened_ref(expr, raw)
    if isinstance(expr, Position):
        return Position(_opened_index(expr.index, raw))
    if isinstance(expr, Delta):
        return Delta(_opened_index(expr.a, raw), _opened_index(expr.b, raw))
    parts = tuple(_opened(child, raw) for child in children(expr))
    if isinstance(expr, MatrixFn):
        row, column, *at = (_opened_index(i, raw) for i in (*expr.indices, *expr.at))
        return MatrixFn(expr.name, (row, column), parts[0], tuple(at))  # type: ignore[arg-type]
    if isinstance(expr, (Sum, Max)):
        return type(expr)(tuple(_opened_index(i, raw) for i in expr.indices), parts[0])  # type: ignore[misc]
    return rebuild(expr, parts)


def _opened_ref(ref: Ref, raw: Raw) -> Ref:
    return Ref(ref.tensor, tuple(_opened_index(i, raw) for i in ref.indices))


def _opened_index(index: Index, raw: Raw) -> Index:
    if isinstance(index, Ref):
        return _opened_ref(index, raw)
    if isinstance(index, Affine):
        return Affine(_opened(index.value, raw), OPEN)
    if raw.axes.setdefault(index.name, index.dim) != index.dim:
        raise SpecError(
            f"{raw.layer}: the index {index.name} runs over {raw.axes[index.name]} and over {index.dim}; give each axis its own index"
        )
    return Idx(index.name, OPEN)


# ---------------------------------------------------------------------------------------------------- SymPy out


def layer_sympy(layer: Layer) -> list[Any]:
    """The equations as `Eq`; the batch indices are left out, as in the text form."""
    from derive.layer_text import axes_of, without_batch

    kinds = {"real": "", "const": ":const", "int": ":int"}
    batch = len(layer.batch)
    words = " ".join(f"{t.name}[{','.join(t.dims[batch:])}]{kinds[t.kind]}" for t in layer.tensors)
    names = {tensor.name: made for tensor, made in zip(layer.tensors, tensors(words))}
    named = axes_of(layer)
    indices = dict(zip(named, axes(" ".join(f"{name}:{axis}" for name, axis in named.items())))) if named else {}
    writer = _Writer(names, indices)
    return [
        sp.Eq(writer.expr(without_batch(e.target, batch)), writer.expr(without_batch(e.value, batch)), evaluate=False)
        for e in layer.equations
    ]


class _Writer:
    """Writes expressions over the given SymPy tensors and indices."""

    def __init__(self, names: dict[str, Any], indices: dict[str, Any]) -> None:
        self.names = names
        self.indices = indices

    def index(self, index: Index) -> Any:
        if isinstance(index, Affine):
            # A place that is one index of another axis would read as that index.
            return self.expr(index.value) if isinstance(index.value, Position) else self.whole(index.value)
        return self.indices[index.name] if isinstance(index, Idx) else self.expr(index)

    def whole(self, expr: Expr) -> Any:
        """A place, in which an index stands for its value."""
        if isinstance(expr, Add):
            return sp.Add(*(self.whole(term) for term in expr.terms))
        if isinstance(expr, Mul):
            return sp.Mul(*(self.whole(factor) for factor in expr.factors))
        return self.index(expr.index) if isinstance(expr, Position) else self.expr(expr)

    def expr(self, expr: Expr) -> Any:
        if isinstance(expr, Num):
            return sp.Rational(expr.value.numerator, expr.value.denominator)
        if isinstance(expr, Size):
            return dimension(expr.dim)
        if isinstance(expr, Ref):
            base = self.names[expr.tensor]
            return base[tuple(self.index(i) for i in expr.indices)] if expr.indices else base
        if isinstance(expr, Add):
            return sp.Add(*(self.expr(term) for term in expr.terms))
        if isinstance(expr, Mul):
            return self.product(expr.factors)
        if isinstance(expr, Pow):
            return sp.Pow(self.expr(expr.base), sp.Rational(expr.exponent.numerator, expr.exponent.denominator))
        if isinstance(expr, Fn) and expr.name == "pi":
            return sp.pi
        if isinstance(expr, Fn):
            return SYMPY[expr.name](*(self.expr(arg) for arg in expr.args))
        if isinstance(expr, Sum):
            return sp.Sum(self.expr(expr.body), *(self.indices[i.name] for i in expr.indices))
        if isinstance(expr, Max):
            return max_over(self.expr(expr.body), *(self.indices[i.name] for i in expr.indices))
        if isinstance(expr, MatrixFn):
            bound = sp.Tuple(*(self.index(i) for i in expr.indices))
            return MatrixFunction(sp.Symbol(expr.name), self.expr(expr.body), bound, sp.Tuple(*(self.index(i) for i in expr.at)))
        if isinstance(expr, Position):
            return position(self.index(expr.index))
        if isinstance(expr, Delta):
            return delta(self.index(expr.a), self.index(expr.b))
        if isinstance(expr, Iverson):
            return sp.Piecewise((1, self.relation(expr)), (0, True))
        raise SpecError(f"{write(expr)} has no form in SymPy")

    def product(self, factors: tuple[Expr, ...]) -> Any:
        """Conditions in front of a product are the cases of its value; SymPy would move them to its end."""
        first = next((n for n, factor in enumerate(factors) if not isinstance(factor, Num)), 0)
        last = next((n for n, factor in enumerate(factors[first:], first) if not isinstance(factor, Iverson)), first)
        if first == last:
            return sp.Mul(*(self.expr(factor) for factor in factors))
        relations = [self.relation(factor) for factor in factors[first:last] if isinstance(factor, Iverson)]
        case = sp.Piecewise((self.product(factors[last:]), sp.And(*relations)), (0, True))
        return sp.Mul(*(self.expr(factor) for factor in factors[:first]), case)

    def relation(self, bracket: Iverson) -> Any:
        return sp.Rel(self.compared(bracket.left), self.compared(bracket.right), bracket.relation)

    def compared(self, side: Expr) -> Any:
        return self.index(side.index) if isinstance(side, Position) else self.expr(side)
