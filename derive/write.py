"""The IR written in the text form that `derive.parse` reads back to the same IR."""

from __future__ import annotations

from fractions import Fraction

from derive.expr import (
    ONE,
    Add,
    Affine,
    Delta,
    Diff,
    Differential,
    Equation,
    Expr,
    Fact,
    Fn,
    Idx,
    Index,
    Iverson,
    Length,
    MatrixFn,
    Max,
    Mul,
    Num,
    Position,
    Pow,
    Ref,
    Size,
    Sum,
    power,
    transform,
)

# How tightly an operator holds its parts; a part that holds less tightly is bracketed.
_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(5)


def write(node: Expr | Equation | Fact | Length) -> str:
    """One line of the text form. A derivative, which no spec has, is written for messages only."""
    if isinstance(node, Length):
        return f"size({node.dim}) = {_compared(node.value)}"
    if isinstance(node, Equation):
        return f"{write(node.target)} = {write(node.value)}"
    if isinstance(node, Fact):
        if isinstance(node.left, Iverson) and node.right == ONE:
            return f"{_compared(node.left.left)} {node.left.relation} {_compared(node.left.right)}"
        return f"{write(node.left)} = {write(node.right)}"
    return _write(node, _SUM)


def write_index(index: Index) -> str:
    if isinstance(index, Affine):
        # A place that is one index of another axis would read as that index.
        return write(index.value) if isinstance(index.value, Position) else _compared(index.value)
    return index.name if isinstance(index, Idx) else write(index)


def _write(expr: Expr, holds: int) -> str:
    text, level = _text(expr)
    return text if level >= holds else f"({text})"


def _text(expr: Expr) -> tuple[str, int]:
    """The text and how tightly its outermost operator holds."""
    if isinstance(expr, Num):
        return str(expr.value), _number_level(expr.value)
    if isinstance(expr, Size):
        return f"size({expr.dim})", _ATOM
    if isinstance(expr, Ref):
        return expr.tensor + (f"[{','.join(write_index(i) for i in expr.indices)}]" if expr.indices else ""), _ATOM
    if isinstance(expr, Add):
        return _sum(expr.terms), _SUM
    if isinstance(expr, Mul):
        return _product(expr.factors)
    if isinstance(expr, Pow):
        return _power(expr)
    if isinstance(expr, Fn) and expr.name == "floor_div":
        return f"{_write(expr.args[0], _PRODUCT)}//{_write(expr.args[1], _SIGN)}", _PRODUCT
    if isinstance(expr, Fn):
        return f"{expr.name}({', '.join(write(arg) for arg in expr.args)})", _ATOM
    if isinstance(expr, (Sum, Max)):
        name = "sum" if isinstance(expr, Sum) else "max"
        return f"{name}({','.join(i.name for i in expr.indices)}, {write(expr.body)})", _ATOM
    if isinstance(expr, Delta):
        return f"delta({write_index(expr.a)},{write_index(expr.b)})", _ATOM
    if isinstance(expr, Position):
        return f"position({write_index(expr.index)})", _ATOM
    if isinstance(expr, Iverson):
        return f"where({_compared(expr.left)} {expr.relation} {_compared(expr.right)}, 1, 0)", _ATOM
    if isinstance(expr, MatrixFn):
        return _matrix_function(expr, True), _ATOM
    if isinstance(expr, Differential):
        return f"t({write(expr.body)})", _ATOM
    assert isinstance(expr, Diff)
    return f"d({write(expr.body)})/d({write(expr.wrt)})", _PRODUCT


def _matrix_function(expr: MatrixFn, short: bool) -> str:
    """`inv(A)[i,j]`, or `inv(k,l, A[k,l])[i,j]`, which names the rows and columns of the matrix."""
    body = expr.body
    at = f"[{','.join(write_index(i) for i in expr.at)}]" if expr.at else ""
    if short and isinstance(body, Ref) and body.indices[-2:] == expr.indices:
        return f"{expr.name}({write(Ref(body.tensor, body.indices[:-2]))}){at}"
    return f"{expr.name}({','.join(i.name for i in expr.indices)}, {write(body)}){at}"


def spelt_out(expr: Expr) -> Expr:
    """An expression to be written with the row and column of every matrix named, so that it reads back with the same names."""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, MatrixFn):
            return None
        return Ref(_matrix_function(MatrixFn(node.name, node.indices, spelt_out(node.body)), False), node.at)

    return transform(expr, rule)


def _compared(side: Expr) -> str:
    """One side of a comparison, where an index stands as its value."""
    return write(transform(side, lambda node: Ref(write_index(node.index)) if isinstance(node, Position) else None))


def _number_level(value: Fraction) -> int:
    if value < 0:
        return _SUM
    return _ATOM if value.denominator == 1 else _PRODUCT


def _sum(terms: tuple[Expr, ...]) -> str:
    text = ""
    for term in terms:
        part = _write(term, _PRODUCT) if not _negative(term) else _text(term)[0]
        if not text:
            text = part
        else:
            text += f" - {part[1:]}" if part.startswith("-") else f" + {part}"
    return text


def _negative(term: Expr) -> bool:
    number = term.factors[0] if isinstance(term, Mul) else term
    return isinstance(number, Num) and number.value < 0


def _product(factors: tuple[Expr, ...]) -> tuple[str, int]:
    text = ""
    level = _PRODUCT
    rest = list(factors)
    if isinstance(rest[0], Num) and rest[0].value < 0 and len(rest) > 1:
        level = _SUM
        text = "-"
        number = -rest.pop(0).value  # type: ignore[union-attr]
        if number != 1:
            rest.insert(0, Num(number))
    above = False
    while rest:
        below = []
        while rest and _inverse(rest[0]):
            below.append(_inverted(rest.pop(0)))
        if below:
            text += (
                ("" if above else "1")
                + "/"
                + (_write(below[0], _POWER) if len(below) == 1 else f"({'*'.join(_write(b, _SIGN) for b in below)})")
            )
            above = True
            continue
        text += ("*" if above else "") + _write(rest.pop(0), _PRODUCT if not above and not text else _SIGN)
        above = True
    return text, level


def _inverse(expr: Expr) -> bool:
    return isinstance(expr, Pow) and expr.exponent < 0


def _inverted(expr: Expr) -> Expr:
    assert isinstance(expr, Pow)
    return power(expr.base, -expr.exponent)


def _power(expr: Pow) -> tuple[str, int]:
    if expr.exponent == Fraction(1, 2):
        return f"sqrt({write(expr.base)})", _ATOM
    if expr.exponent < 0:
        return _product((expr,))
    exponent = str(expr.exponent) if expr.exponent.denominator == 1 else f"({expr.exponent})"
    return f"{_write(expr.base, _ATOM)}^{exponent}", _POWER
