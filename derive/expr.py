"""The index-notation IR: frozen nodes, free and bound indices, capture-free substitution.

The grammar, whole:

    Index = Idx(name, dim) | Ref | Affine(value, dim)  a Ref here is an entry of an integer tensor, as in Z[i, y[i]]
    Expr  = Num(value) | Size(dim) | Ref(tensor, indices) | Delta(a, b)
          | Add(terms) | Mul(factors) | Pow(base, exponent) | Fn(name, args)
          | Sum(indices, body) | Max(indices, body) | Diff(body, wrt, through) | Differential(body, along, through)
          | Position(index) | Iverson(relation, left, right) | MatrixFn(name, (row, column), body, at)

Nodes are data. Build them with `add`, `mul`, `power`, `total`, which keep the author's order of factors, fold numbers and
flatten, and do nothing else: distributing, contracting and cancelling sums are rules, because a proof has to show them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from typing import Any, TypeVar, Union


@dataclass(frozen=True)
class Idx:
    """An index `name` that runs over the axis `dim`: i in 0 .. size(dim) - 1."""

    name: str
    dim: str


@dataclass(frozen=True)
class Num:
    """An exact rational number."""

    value: Fraction


@dataclass(frozen=True)
class Size:
    """The length of axis `dim`, as a real number."""

    dim: str


@dataclass(frozen=True)
class Ref:
    """An entry of a tensor: `X[i,k]`; rank 0 (`L[]`) is a scalar."""

    tensor: str
    indices: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Delta:
    """The Kronecker delta: 1 where both indices are equal, else 0."""

    a: Index
    b: Index


@dataclass(frozen=True)
class Add:
    terms: tuple[Expr, ...]


@dataclass(frozen=True)
class Mul:
    factors: tuple[Expr, ...]


@dataclass(frozen=True)
class Pow:
    """`base` to a rational power; a quotient is a factor with power -1, a square root has power 1/2."""

    base: Expr
    exponent: Fraction


@dataclass(frozen=True)
class Fn:
    """A scalar function applied to scalars: exp, log, tanh, ..."""

    name: str
    args: tuple[Expr, ...]


@dataclass(frozen=True)
class Sum:
    """The sum of `body` over every value of the bound `indices`."""

    indices: tuple[Idx, ...]
    body: Expr


@dataclass(frozen=True)
class Max:
    """The largest value of `body` over the bound `indices`."""

    indices: tuple[Idx, ...]
    body: Expr


@dataclass(frozen=True)
class Diff:
    """The derivative of `body` with respect to the entry `wrt`.

    `through` names the tensors that vary with it, each by its own definition; every other tensor is held fixed. So the direct
    derivative of an equation and the total derivative of a whole layer are the same node with another `through`.
    """

    body: Expr
    wrt: Ref
    through: tuple[str, ...] = ()


@dataclass(frozen=True)
class Differential:
    """What `body` changes by, to first order, where each tensor A of `along` moves by the tensor beside it: (A, its differential).

    `through` names the tensors that move with them, each by its own definition; every other tensor stays as it is.
    """

    body: Expr
    along: tuple[tuple[str, str], ...]
    through: tuple[str, ...] = ()


@dataclass(frozen=True)
class Position:
    """The value of an index as a real number: the position i itself, as in `i - j`."""

    index: "Index"


@dataclass(frozen=True)
class Affine:
    """The place `value` along the axis `dim`, as in `X[2*i + k - 1]`: a sum of whole multiples of indices, lengths and integers.

    An entry read at a place outside of the axis is 0. Build one with `derive.affine.place`.
    """

    value: "Expr"
    dim: str


@dataclass(frozen=True)
class Iverson:
    """The Iverson bracket: 1 where `left relation right` holds, else 0; `relation` is one of RELATIONS."""

    relation: str
    left: "Expr"
    right: "Expr"


@dataclass(frozen=True)
class MatrixFn:
    """A function of the square matrix whose entry in row a and column b, the bound `indices`, is `body`.

    `name` is one of MATRIX_FUNCTIONS: the entry `at` of the inverse; the determinant; log |det|. The last two have no `at`.
    """

    name: str
    indices: tuple[Idx, Idx]
    body: "Expr"
    at: tuple["Index", ...] = ()


Index = Union[Idx, Ref, Affine]
Expr = Union[Num, Size, Ref, Delta, Add, Mul, Pow, Fn, Sum, Max, Diff, Differential, Position, Iverson, MatrixFn]
RELATIONS = ("<", "<=", "==", "!=")
MATRIX_FUNCTIONS = ("inv", "det", "logdet")
Reduction = (Sum, Max)


@dataclass(frozen=True)
class Equation:
    """`target = value`, for every value of the target's indices."""

    target: Ref
    value: Expr


@dataclass(frozen=True)
class Fact:
    """A declared hypothesis: `left = right` for every value of the free indices."""

    left: Expr
    right: Expr


@dataclass(frozen=True)
class Length:
    """The length of an axis that no input has, by those of others: `size(dim) = value`."""

    dim: str
    value: Expr


@dataclass(frozen=True)
class Tensor:
    """A tensor's declaration: its axes in order, and its kind: `real`, `const` (real, not differentiated) or `int`.

    The entries of an integer tensor are values of an index over the axis `values`; without one it is a plain integer, such as a
    stride.
    """

    name: str
    dims: tuple[str, ...]
    kind: str = "real"
    values: str | None = None

    @property
    def is_plain_integer(self) -> bool:
        return self.kind == "int" and self.values is None


ZERO = Num(Fraction(0))
ONE = Num(Fraction(1))


# ---------------------------------------------------------------------------------------------------- building


_UNIT = Fraction(1)  # numbers are slow to make: most factors have this exponent


def num(value: int | Fraction) -> Num:
    return Num(Fraction(value))


def add(*terms: Expr) -> Expr:
    """The sum of `terms`, in order: flattened, its numbers folded into one."""
    flat: list[Expr] = []
    constant, position = Fraction(0), 0
    for term in terms:
        for part in term.terms if isinstance(term, Add) else (term,):
            if isinstance(part, Num):
                position = position if constant else len(flat)
                constant += part.value
            else:
                flat.append(part)
    if constant:
        flat.insert(position, Num(constant))
    if not flat:
        return ZERO
    return flat[0] if len(flat) == 1 else Add(tuple(flat))


def mul(*factors: Expr) -> Expr:
    """The product of `factors`, in order: flattened, its numbers folded in front, powers of one base joined."""
    constant = _UNIT
    powers: dict[Expr, Fraction] = {}
    for factor in factors:
        for part in factor.factors if isinstance(factor, Mul) else (factor,):
            if isinstance(part, Num):
                constant *= part.value
            else:
                base, exponent = (part.base, part.exponent) if isinstance(part, Pow) else (part, _UNIT)
                before = powers.get(base)
                powers[base] = exponent if before is None else before + exponent
    if not constant:
        return ZERO
    flat = [base if exponent is _UNIT else power(base, exponent) for base, exponent in powers.items() if exponent]
    if any(isinstance(part, (Num, Mul)) for part in flat):
        return mul(Num(constant), *flat)
    if constant is not _UNIT and constant != 1:
        flat.insert(0, Num(constant))
    if not flat:
        return ONE
    return flat[0] if len(flat) == 1 else Mul(tuple(flat))


def power(base: Expr, exponent: int | Fraction) -> Expr:
    """`base ** exponent`, with numbers folded where the result is rational."""
    if not isinstance(exponent, Fraction):
        exponent = Fraction(exponent)
    if exponent == 1:
        return base
    if exponent == 0:
        return ONE
    if isinstance(base, Num) and exponent.denominator == 1 and (base.value or exponent > 0):
        return Num(base.value ** int(exponent))
    if isinstance(base, (Delta, Iverson)) and exponent > 0:
        return base  # 0 and 1 are their own powers
    if isinstance(base, Num) and base.value > 0:
        root = _exact_root(base.value, exponent)
        if root is not None:
            return Num(root)
    if isinstance(base, Pow) and (exponent.denominator == 1 or isinstance(base.base, Size)):
        return power(base.base, base.exponent * exponent)
    if isinstance(base, Mul) and exponent.denominator == 1:
        return mul(*(power(factor, exponent) for factor in base.factors))
    return Pow(base, exponent)


def _exact_root(value: Fraction, exponent: Fraction) -> Fraction | None:
    raised = value**exponent.numerator
    parts = []
    for part in (raised.numerator, raised.denominator):
        root = round(part ** (1.0 / exponent.denominator))
        if root**exponent.denominator != part:
            return None
        parts.append(root)
    return Fraction(parts[0], parts[1])


def neg(expr: Expr) -> Expr:
    return mul(num(-1), expr)


def iverson(relation: str, left: Expr, right: Expr) -> Expr:
    """The bracket, decided at once where both sides are numbers or the same expression."""
    if isinstance(left, Num) and isinstance(right, Num):
        a, b = left.value, right.value
        return ONE if {"<": a < b, "<=": a <= b, "==": a == b, "!=": a != b}[relation] else ZERO
    if left == right:
        return ONE if relation in ("<=", "==") else ZERO
    return Iverson(relation, left, right)


def opposite(bracket: Iverson) -> Expr:
    """The bracket that is 1 exactly where this one is 0."""
    if bracket.relation in ("==", "!="):
        return iverson("!=" if bracket.relation == "==" else "==", bracket.left, bracket.right)
    return iverson("<=" if bracket.relation == "<" else "<", bracket.right, bracket.left)


def total(indices: Iterable[Idx], body: Expr) -> Expr:
    """The sum of `body` over `indices`; with no index it is `body`."""
    bound = tuple(indices)
    return Sum(bound, body) if bound and body != ZERO else body


def delta(a: Index, b: Index) -> Expr:
    """The Kronecker delta of two indices; of an index with itself it is 1."""
    return ONE if a == b else Delta(a, b)


# ---------------------------------------------------------------------------------------------------- walking


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct subexpressions of a node (indices and the variable of a derivative are not among them)."""
    if isinstance(expr, Add):
        return expr.terms
    if isinstance(expr, Mul):
        return expr.factors
    if isinstance(expr, Pow):
        return (expr.base,)
    if isinstance(expr, Fn):
        return expr.args
    if isinstance(expr, (Sum, Max, Diff, Differential, MatrixFn)):
        return (expr.body,)
    if isinstance(expr, Iverson):
        return (expr.left, expr.right)
    return ()


def rebuild(expr: Expr, parts: tuple[Expr, ...]) -> Expr:
    """The same node over other children."""
    if isinstance(expr, Add):
        return add(*parts)
    if isinstance(expr, Mul):
        return mul(*parts)
    if isinstance(expr, Pow):
        return power(parts[0], expr.exponent)
    if isinstance(expr, Fn):
        return Fn(expr.name, parts)
    if isinstance(expr, Sum):
        return total(expr.indices, parts[0])
    if isinstance(expr, Max):
        return Max(expr.indices, parts[0])
    if isinstance(expr, Diff):
        return Diff(parts[0], expr.wrt, expr.through)
    if isinstance(expr, Differential):
        return Differential(parts[0], expr.along, expr.through)
    if isinstance(expr, MatrixFn):
        return MatrixFn(expr.name, expr.indices, parts[0], expr.at)
    if isinstance(expr, Iverson):
        return iverson(expr.relation, parts[0], parts[1])
    return expr


def walk(expr: Expr) -> Iterator[Expr]:
    """Every subexpression, the whole first, in reading order."""
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(children(node)[::-1])


def transform(expr: Expr, rule: Callable[[Expr], Expr | None]) -> Expr:
    """Rewrite top down: where `rule` answers, its answer stands and is not entered again; else the children are rewritten."""
    answer = rule(expr)
    if answer is not None:
        return answer
    parts = children(expr)
    if not parts:
        return expr
    new = tuple(transform(part, rule) for part in parts)
    if all(a is b for a, b in zip(new, parts)):
        return expr
    return rebuild(expr, new)


Node = TypeVar("Node")


def everywhere(node: Node, rule: Callable[[Any], Any]) -> Node:
    """An expression, an equation, a fact or a tuple of such with each part, indices too, replaced by what `rule` answers, if anything.

    An answer is not entered again. Nothing is folded: the nodes stay those that they are.
    """
    answer = rule(node)
    if answer is not None:
        return answer  # type: ignore[no-any-return]
    if isinstance(node, tuple):
        return tuple(everywhere(item, rule) for item in node)  # type: ignore[return-value]
    if is_dataclass(node) and not isinstance(node, type):
        return type(node)(*(everywhere(getattr(node, item.name), rule) for item in fields(node)))
    return node
