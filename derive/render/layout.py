"""From the IR to a page's boxes: quotients, roots, signs and parentheses are settled here, once for every format.

A layout says what stands where and nothing of how it is drawn. What a reader must know to read it back: a product binds
tighter than a sum, and a big operator (sum, max) reaches over the product that follows it, up to the next + or -.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Union

from derive.expr import (
    Add,
    Affine,
    Delta,
    Diff,
    Differential,
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
)
from derive.render.notation import Context


@dataclass(frozen=True)
class Word:
    """A name or a number. `role` is tensor, index, axis, number or function."""

    text: str
    role: str


@dataclass(frozen=True)
class Entry:
    """A tensor read at indices; the Kronecker delta is the entry of `delta`. Its head may be an inverse."""

    head: "Layout"
    indices: tuple["Layout", ...]


@dataclass(frozen=True)
class Row:
    """Factors side by side; `joint` is what stands between: nothing (a product) or `hadamard`."""

    items: tuple["Layout", ...]
    joint: str = ""


@dataclass(frozen=True)
class Terms:
    """Terms with their signs (True is minus)."""

    items: tuple[tuple[bool, "Layout"], ...]


@dataclass(frozen=True)
class Frac:
    top: "Layout"
    bottom: "Layout"


@dataclass(frozen=True)
class Raised:
    """A power; `elementwise` marks the power of a matrix entry by entry."""

    base: "Layout"
    exponent: Fraction
    elementwise: bool = False


@dataclass(frozen=True)
class RaisedTo:
    """A power whose exponent is itself an expression."""

    base: "Layout"
    exponent: "Layout"


@dataclass(frozen=True)
class Transposed:
    base: "Layout"


@dataclass(frozen=True)
class Inverted:
    """The inverse of a matrix, or its transpose."""

    base: "Layout"
    transposed: bool = False


@dataclass(frozen=True)
class Root:
    body: "Layout"


@dataclass(frozen=True)
class Call:
    name: str
    args: tuple["Layout", ...]


@dataclass(frozen=True)
class Big:
    """A sum or a maximum over indices; `kind` is sum or max. With `axes`, each index is said to run over its axis, from `start` on."""

    kind: str
    indices: tuple["Layout", ...]
    body: "Layout"
    axes: tuple["Layout", ...] = ()
    start: int = 0


@dataclass(frozen=True)
class Partial:
    """The derivative of `top` by `bottom`; `total` where it goes through more than one equation."""

    top: "Layout"
    bottom: "Layout"
    total: bool = False


@dataclass(frozen=True)
class Inner:
    """The bracket of two matrices: the sum of all entries of their product entry by entry."""

    left: "Layout"
    right: "Layout"


@dataclass(frozen=True)
class Dotted:
    """The differential of what is no single tensor."""

    body: "Layout"


@dataclass(frozen=True)
class Paren:
    body: "Layout"


@dataclass(frozen=True)
class Shaped:
    """A box with the shape it has, rows and columns, to be written under it."""

    body: "Layout"
    rows: str | None
    cols: str | None


@dataclass(frozen=True)
class Relation:
    """A condition in square brackets: 1 where it holds, else 0."""

    left: "Layout"
    relation: str
    right: "Layout"


FLIPPED = {"<": ">", "<=": ">="}  # a number reads best on the right: x > 0

Layout = Union[
    Word, Entry, Row, Terms, Frac, Raised, RaisedTo, Transposed, Inverted, Root, Call, Big, Partial, Inner, Dotted, Paren, Relation, Shaped
]

ONE_WORD = Word("1", "number")


# ---------------------------------------------------------------------------------------------------- index notation


def of_index(index: Index, where: Context) -> Layout:
    if isinstance(index, Idx):
        return Word(index.name, "index")
    return of_expr(index.value if isinstance(index, Affine) else index, where)


def of_expr(expr: Expr, where: Context) -> Layout:
    """The layout of an index-notation expression."""
    if isinstance(expr, Num):
        return _number(expr.value)
    if isinstance(expr, Size):
        return Word(expr.dim, "axis")
    if isinstance(expr, Ref):
        shown = where.shown(expr)
        head = Word(expr.tensor, "tensor")
        return Entry(head, tuple(of_index(i, where) for i in shown.indices)) if shown.indices else head
    if isinstance(expr, Delta) and where.delta_is_a_tensor:
        return Relation(of_index(expr.a, where), "==", of_index(expr.b, where))
    if isinstance(expr, Delta):
        return Entry(Word("delta", "function"), (of_index(expr.a, where), of_index(expr.b, where)))
    if isinstance(expr, Position):
        return of_index(expr.index, where)
    if isinstance(expr, Iverson):
        if isinstance(expr.left, Num) and expr.relation in FLIPPED:
            return Relation(of_expr(expr.right, where), FLIPPED[expr.relation], of_expr(expr.left, where))
        return Relation(of_expr(expr.left, where), expr.relation, of_expr(expr.right, where))
    if isinstance(expr, Add):
        items: list[tuple[bool, Layout]] = []
        for term in expr.terms:
            laid = of_expr(term, where)
            # A sum among terms is left in parentheses: flattening is a rule, and a proof shows it.
            items.append(laid.items[0] if isinstance(laid, Terms) and len(laid.items) == 1 else (False, factor(laid)))
        return Terms(tuple(items))
    if isinstance(expr, Mul):
        return _product(expr.factors, where)
    if isinstance(expr, Pow):
        return _product((expr,), where) if expr.exponent < 0 else _power(expr.base, expr.exponent, where)
    if isinstance(expr, Fn):
        if expr.name == "pow":
            return RaisedTo(_power_base(of_expr(expr.args[0], where)), of_expr(expr.args[1], where))
        return Call(expr.name, tuple(of_expr(a, where) for a in expr.args))
    if isinstance(expr, (Sum, Max)):
        body = of_expr(expr.body, where)
        indices = tuple(of_index(i, where) for i in expr.indices)
        axes = () if where.ranges is None else tuple(Word(i.dim, "axis") for i in expr.indices)
        return Big("sum" if isinstance(expr, Sum) else "max", indices, factor(body), axes, where.ranges or 0)
    if isinstance(expr, MatrixFn):
        return _matrix_function(expr, where)
    if isinstance(expr, Differential):
        return Dotted(of_expr(expr.body, where))
    assert isinstance(expr, Diff)
    return Partial(of_expr(expr.body, where), of_expr(expr.wrt, where), where.through_everything(expr))


def _matrix_function(expr: MatrixFn, where: Context) -> Layout:
    """A function of a tensor's last two axes, or of a matrix given by its entries, which names their row and column."""
    body = expr.body
    whole = isinstance(body, Ref) and body.indices[-2:] == expr.indices
    inside = Ref(body.tensor, body.indices[:-2]) if isinstance(body, Ref) and whole else body
    args = (*(() if whole else (of_index(i, where) for i in expr.indices)), of_expr(inside, where))
    if expr.name != "inv":
        return Call(expr.name, args)
    head: Layout = Inverted(_power_base(args[0])) if whole else Call("inv", args)
    return Entry(head, tuple(of_index(i, where) for i in expr.at))


def factor(laid: Layout) -> Layout:
    """A layout made fit to stand in a product or under a big operator: sums and signs in parentheses."""
    return Paren(laid) if isinstance(laid, Terms) else laid


def signed(negative: bool, laid: Layout) -> Layout:
    return Terms(((True, factor(laid)),)) if negative else laid


def row(items: list[Layout]) -> Layout:
    """Factors side by side; a big operator that is not the last one is closed with parentheses."""
    if not items:
        return ONE_WORD
    if len(items) == 1:
        return items[0]
    items = [part for item in items for part in (item.items if isinstance(item, Row) and not item.joint else (item,))]
    last = len(items) - 1
    return Row(tuple(Paren(i) if isinstance(i, Terms) or (n < last and is_open(i)) else i for n, i in enumerate(items)))


def is_open(laid: Layout) -> bool:
    """Whether a big operator in `laid` would reach over a factor written after it."""
    return isinstance(laid, Big) or (isinstance(laid, Row) and is_open(laid.items[-1]))


def _number(value: Fraction) -> Layout:
    size = abs(value)
    laid: Layout = Word(str(size.numerator), "number")
    if size.denominator != 1:
        laid = Frac(laid, Word(str(size.denominator), "number"))
    return signed(value < 0, laid)


def _power_base(laid: Layout) -> Layout:
    return laid if isinstance(laid, (Word, Entry, Paren)) else Paren(laid)


def _power(base: Expr, exponent: Fraction, where: Context) -> Layout:
    """A power with a positive exponent."""
    laid = of_expr(base, where)
    if exponent == 1:
        return laid
    if exponent == Fraction(1, 2):
        return Root(laid)
    return Raised(_power_base(laid), exponent)


def _product(factors: tuple[Expr, ...], where: Context) -> Layout:
    """A product in the author's order, as one fraction up to its last divisor and the factors after it.

    `(1/sqrt(d)) * sum` and `sum / sqrt(d)` so stay apart, as they stand apart in the IR.
    """
    negative = False
    tops: list[Layout] = []
    bottoms: list[Layout] = []
    after: list[Layout] = []
    for part in factors:
        if isinstance(part, Num) and (part.value < 0 or part.value.denominator != 1):
            negative ^= part.value < 0
            numerator, denominator = abs(part.value.numerator), part.value.denominator
            if denominator != 1:
                tops, after = tops + after, []
                bottoms.append(Word(str(denominator), "number"))
            if numerator != 1:
                (tops if denominator != 1 else after).append(Word(str(numerator), "number"))
        elif isinstance(part, Pow) and part.exponent < 0:
            tops, after = tops + after, []
            bottoms.append(_power(part.base, -part.exponent, where))
        else:
            after.append(of_expr(part, where))
    if not bottoms:
        return signed(negative, row(after))
    fraction = Frac(row(tops), row(bottoms))
    return signed(negative, row([fraction, *after]))
