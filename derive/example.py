"""A small worked example of a derivation, in exact numbers: the proved equations, evaluated on axes of two to four entries."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from derive.expr import (
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
    Tensor,
    walk,
)
from derive.indices import tensors_in
from derive.lengths import plain_integers, small_sizes
from derive.recurrence import Group, groups
from derive.signs import is_comparison

REAL = (1, 2, -1, 1, 0, 3, 2, -2, 1, -1, 2, 1)
POSITIVE = (1, 2, 1, 3, 2, 1, 2, 3, 1, 1, 2, 3)
LOGARITHMS = (2, 1, 3, 1, 1, 3, 2, 1, 2, 3, 1, 2)
UPSTREAM = (1, 0, -1, 2, 1, 0, 3, -1, 1, 2, 0, 1)
LABELS = (1, 0, 2, 1, 0, 2)


DIGITS = 20
LARGEST = 200
"""What the sizes of a layer that states lengths come to together: an example is read, and worked in exact numbers."""


class NoExample(Exception):
    """No small example could be worked out; the message says why."""


@dataclass(frozen=True)
class Value:
    """One tensor's entries, row by row: `entries` in the order of its indices, each a SymPy number."""

    name: str
    role: str
    shape: tuple[int, ...]
    entries: tuple[Any, ...]

    def rows(self) -> list[list[Any]]:
        """The entries as a table; a vector is one row."""
        width = self.shape[-1] if self.shape else 1
        return [list(self.entries[n : n + width]) for n in range(0, len(self.entries), width)]


@dataclass(frozen=True)
class Example:
    """Sizes by axis, and the values of inputs, forward tensors, upstream gradients and results, in reading order."""

    sizes: tuple[tuple[str, int], ...]
    values: tuple[Value, ...]


def decimal(value: Any) -> str | None:
    """Six digits of a number that is not exact, or too long to read exactly; None for any other."""
    import sympy

    if len(str(value)) <= 24 and not value.has(sympy.Float):
        return None
    rounded = str(value.evalf(6))
    return "0" if not value else rounded.rstrip("0").rstrip(".") if "." in rounded and "e" not in rounded else rounded


Table = dict[tuple[int, ...], Any]


def work(derivation: Any) -> Example:
    """The example of a `derive.engine.Derivation`; raises NoExample where exact numbers cannot be had.

    Where a tensor feeds an exponential, its entries are logarithms of small integers, so that softmax comes out in rationals;
    an axis whose length stands under a square root has length 4.
    """
    reason = "no choice of small numbers keeps every value finite"
    for rational, positive, scale in itertools.product((True, False), (False, True), (1, 2)):
        try:
            return _attempt(derivation, rational, positive, scale)
        except NoExample as found:
            reason = str(found)
    raise NoExample(reason)


def _attempt(derivation: Any, rational: bool, positive: bool, scale: int) -> Example:
    """One choice of inputs: with `rational` given up at the first exponential or root that is not rational, else decimal from there on."""
    layer = derivation.layer
    forward: tuple[Equation, ...] = derivation.definitions
    backward: tuple[Equation, ...] = derivation.results
    sizes = choose_sizes(derivation.tensors, layer.batch, forward)
    if layer.sizes or plain_integers(layer):
        sizes = small_sizes(layer, largest=LARGEST)
    tensors: dict[str, Tensor] = {t.name: t for t in derivation.tensors}
    exponents = feeds_exp(forward)
    tables: dict[str, Table] = {}
    values: list[Value] = []

    def enter(name: str, role: str, table: Table) -> None:
        tables[name] = table
        shown = tensors[name].dims[len(layer.batch) :]
        values.append(Value(name, role, tuple(sizes[d] for d in shown), tuple(table.values())))

    for offset, name in enumerate(layer.inputs):
        enter(name, "input", _input(tensors[name], sizes, layer.facts, positive, scale if name in exponents else 0, offset))
    evaluate = _Evaluator(tables, sizes, rational)
    for group in groups(forward):
        for name, table in evaluate.group(group).items():
            enter(name, "output" if name in layer.outputs else "forward", table)
    for offset, name in enumerate(derivation.upstream):
        entries = list(_places(tensors[name], sizes))
        enter(name, "upstream", {place: _integer(UPSTREAM[(n + offset) % len(UPSTREAM)]) for n, place in enumerate(entries)})
    for group in groups(backward):
        for name, table in evaluate.group(group).items():
            enter(name, "gradient" if name in derivation.gradients else "backward", table)
    hidden = {*(i.dim for i in layer.batch), *plain_integers(layer)}
    return Example(tuple((d, n) for d, n in sizes.items() if d not in hidden), tuple(values))


# ---------------------------------------------------------------------------------------------------- choosing numbers


def choose_sizes(tensors: Iterable[Tensor], batch: Iterable[Idx], equations: Iterable[Equation]) -> dict[str, int]:
    """2 and 3 in turn; 4 under a square root; 1 for batch axes."""
    rooted = {
        size.dim
        for equation in equations
        for node in walk(equation.value)
        if isinstance(node, Pow) and node.exponent.denominator == 2
        for size in walk(node.base)
        if isinstance(size, Size)
    }
    batched = {index.dim for index in batch}
    turn = itertools.cycle((2, 3))
    sizes: dict[str, int] = {}
    for tensor in tensors:
        for dim in (*tensor.dims, *((tensor.values,) if tensor.values else ())):
            if dim not in sizes:
                sizes[dim] = 1 if dim in batched else 4 if dim in rooted else next(turn)
    return sizes


def feeds_exp(equations: Iterable[Equation]) -> frozenset[str]:
    """The inputs that reach an exponential first: in each argument the first factor, traced back through the equations."""
    defined = {e.target.tensor: e.value for e in equations}
    found: set[str] = set()
    for value in defined.values():
        for node in walk(value):
            if isinstance(node, Fn) and node.name == "exp":
                names = tensors_in(node.args[0])
                seen: set[str] = set()
                while names and names[0] in defined and names[0] not in seen:
                    seen.add(names[0])
                    names = tensors_in(defined[names[0]])
                found.update(names[:1])
    return frozenset(found)


def _integer(value: int | Fraction) -> Any:
    import sympy

    fraction = Fraction(value)
    return sympy.Rational(fraction.numerator, fraction.denominator)


def _places(tensor: Tensor, sizes: Mapping[str, int]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(sizes[d]) for d in tensor.dims))


def _input(tensor: Tensor, sizes: Mapping[str, int], facts: Iterable[Fact], positive: bool, logarithm: int, offset: int) -> Table:
    import sympy

    places = list(_places(tensor, sizes))
    if tensor.is_plain_integer:
        return {(): sympy.Integer(sizes[tensor.name])}
    if tensor.kind == "int":
        assert tensor.values is not None
        return {place: sympy.Integer(LABELS[n % len(LABELS)] % sizes[tensor.values]) for n, place in enumerate(places)}
    about = [fact for fact in facts if tensor.name in tensors_in(fact.left)]
    if about and all(is_comparison(fact) for fact in about):
        pool = tuple(number for number in (*POSITIVE, Fraction(1, 2), Fraction(1, 4)) if all(_within(fact, number) for fact in about))
        if not pool:
            raise NoExample(f"no small number obeys the hypotheses about {tensor.name}")
        return {place: _integer(pool[(n + 2 * offset) % len(pool)]) for n, place in enumerate(places)}
    if about:
        return _obeying(tensor, about, sizes, places)
    if logarithm:
        return {place: logarithm * sympy.log(LOGARITHMS[(n + offset) % len(LOGARITHMS)]) for n, place in enumerate(places)}
    if tensor.kind == "const" and not tensor.dims:
        return {(): sympy.Rational(1, 2)}
    pool = POSITIVE if positive or tensor.kind == "const" else REAL
    return {place: sympy.Integer(pool[(n + 2 * offset) % len(pool)]) for n, place in enumerate(places)}


def _within(fact: Fact, number: int | Fraction) -> bool:
    """Whether an entry may be this number, for a hypothesis such as `v[i] > 0`."""
    bracket = fact.left
    assert isinstance(bracket, Iverson)
    low, high = (Fraction(number) if isinstance(s, Ref) else s.value if isinstance(s, Num) else None for s in (bracket.left, bracket.right))
    if low is None or high is None:
        raise NoExample("a hypothesis compares more than one entry with a number")
    return low < high or bracket.relation == "<=" and low == high


def _obeying(tensor: Tensor, facts: list[Fact], sizes: Mapping[str, int], places: list[tuple[int, ...]]) -> Table:
    """Entries that obey `sum(j, T[i,j]) = c`: shares of a half, a quarter, ..., in another order for each i."""
    left, right = facts[0].left, facts[0].right
    if (
        len(facts) > 1
        or not isinstance(left, Sum)
        or len(left.indices) != 1
        or not isinstance(left.body, Ref)
        or not isinstance(right, Num)
    ):
        raise NoExample(f"the hypothesis about {tensor.name} is not a plain sum")
    axis = left.body.indices.index(left.indices[0])
    count = sizes[tensor.dims[axis]]
    shares = [Fraction(1, 2**n) for n in range(1, count)] + [Fraction(1, 2 ** (count - 1))]
    if count == 2:
        shares = [Fraction(1, 4), Fraction(3, 4)]
    return {place: _integer(right.value * shares[sum(place) % count]) for place in places}


# ---------------------------------------------------------------------------------------------------- evaluating


def _axis(equation: Equation, axes: Mapping[str, int]) -> str:
    index = equation.target.indices[axes[equation.target.tensor]]
    assert isinstance(index, Idx)
    return index.dim


class _Evaluator:
    """Evaluates equations entry by entry on the tables there are."""

    def __init__(self, tables: dict[str, Table], sizes: Mapping[str, int], rational: bool) -> None:
        self.tables, self.sizes, self.rational = tables, sizes, rational

    def group(self, group: Group) -> dict[str, Table]:
        """The tensors of one equation, or of a recurrence, place by place along the axis that it walks."""
        axes = dict(group.axes)
        found: dict[str, Table] = {name: {} for name in group.members}
        if group.recurs:
            self.tables.update(found)
        length = self.sizes[_axis(group.equations[0], axes)] if group.recurs else 1
        for step in range(length - 1, -1, -1) if group.backwards else range(length):
            for equation in group.equations:
                name = equation.target.tensor
                indices = [i for i in equation.target.indices if isinstance(i, Idx)]
                for place in itertools.product(*(range(self.sizes[i.dim]) for i in indices)):
                    if not group.recurs or place[axes[name]] == step:
                        found[name][place] = self._entry(equation, dict(zip(indices, place)))
        return {name: dict(sorted(table.items())) for name, table in found.items()}

    def _entry(self, equation: Equation, at: dict[Idx, int]) -> Any:
        import sympy

        value = sympy.expand(self.value(equation.value, at))
        if value.has(sympy.zoo, sympy.nan, sympy.oo) or value.is_real is False:
            raise NoExample(f"{equation.target.tensor} is not finite")
        return value

    def index(self, index: Index, at: Mapping[Idx, int]) -> int:
        if isinstance(index, Idx):
            return at[index]
        if isinstance(index, Affine):
            return int(self.value(index.value, at))
        if not index.indices:
            return int(self.tables[index.tensor][()])
        return int(self.tables[index.tensor][tuple(self.index(i, at) for i in index.indices)])

    def exact(self, value: Any, whatever: bool) -> Any:
        if whatever or value.is_Rational:
            return value
        if self.rational:
            raise NoExample("a function's value is not rational")
        # Left exact, such values would grow from equation to equation beyond what anybody reads.
        return value.evalf(DIGITS)

    def value(self, expr: Expr, at: Mapping[Idx, int]) -> Any:
        import sympy

        if isinstance(expr, Num):
            return _integer(expr.value)
        if isinstance(expr, Size):
            return sympy.Integer(self.sizes[expr.dim])
        if isinstance(expr, Ref):
            place = tuple(self.index(i, at) for i in expr.indices)
            if any(isinstance(i, Affine) and not 0 <= n < self.sizes[i.dim] for i, n in zip(expr.indices, place)):
                return sympy.Integer(0)
            return self.tables[expr.tensor][place]
        if isinstance(expr, Delta):
            return sympy.Integer(self.index(expr.a, at) == self.index(expr.b, at))
        if isinstance(expr, Position):
            return sympy.Integer(self.index(expr.index, at))
        if isinstance(expr, Iverson):
            left, right = self.value(expr.left, at), self.value(expr.right, at)
            held = {"<": left < right, "<=": left <= right, "==": sympy.Eq(left, right), "!=": sympy.Ne(left, right)}[expr.relation]
            return sympy.Integer(1 if held == True else 0)  # noqa: E712 - SymPy's own truth
        if isinstance(expr, Add):
            return sympy.Add(*(self.value(t, at) for t in expr.terms))
        if isinstance(expr, Mul):
            return sympy.Mul(*(self.value(f, at) for f in expr.factors))
        if isinstance(expr, Pow):
            return self.exact(self.value(expr.base, at) ** _integer(expr.exponent), expr.exponent.denominator == 1)
        if isinstance(expr, Fn):
            return self.exact(_function(expr.name)(*(self.value(a, at) for a in expr.args)), expr.name in ("log", "xlogy"))
        if isinstance(expr, MatrixFn):
            size = range(self.sizes[expr.indices[0].dim])
            rows = [
                [self.value(expr.body, {**at, **dict(zip(expr.indices, place))}) for place in itertools.product([n], size)] for n in size
            ]
            matrix = sympy.Matrix(rows)
            if matrix.det() == 0:
                raise NoExample("a matrix is singular")
            if expr.name == "inv":
                return matrix.inv()[tuple(self.index(i, at) for i in expr.at)]
            return matrix.det() if expr.name == "det" else self.exact(sympy.log(sympy.Abs(matrix.det())), True)
        if isinstance(expr, (Sum, Max)):
            ranges = (range(self.sizes[i.dim]) for i in expr.indices)
            parts = [self.value(expr.body, {**at, **dict(zip(expr.indices, place))}) for place in itertools.product(*ranges)]
            return sympy.Add(*parts) if isinstance(expr, Sum) else sympy.Max(*parts)
        raise NoExample("a derivative was left over")


def _function(name: str) -> Callable[..., Any]:
    import sympy

    known: dict[str, Callable[..., Any]] = {
        "exp": lambda x: sympy.exp(sympy.expand(x)),
        "log": sympy.log,
        "tanh": sympy.tanh,
        "sin": sympy.sin,
        "cos": sympy.cos,
        "erf": sympy.erf,
        "abs": sympy.Abs,
        "sign": sympy.sign,
        "max": sympy.Max,
        "min": sympy.Min,
        "pow": lambda x, y: x**y,
        "xlogy": lambda x, y: x * sympy.log(y) if x else sympy.Integer(0),
        "relu": lambda x: sympy.Max(x, 0),
        "sigmoid": lambda x: 1 / (1 + sympy.exp(-x)),
        "softplus": lambda x: sympy.log(1 + sympy.exp(x)),
    }
    if name not in known:
        raise NoExample(f"{name} has no exact values")
    return known[name]
