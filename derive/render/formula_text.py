"""Formulas for the terminal: Unicode or ASCII, broken at the width of the screen, shapes on the line below."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from derive import matrix as mx
from derive.expr import Equation, Expr
from derive.render import notation
from derive.render.breaking import Piece, deeper, lines, solid
from derive.render.layout import (
    Big,
    Call,
    Dotted,
    Entry,
    Frac,
    Inner,
    Inverted,
    Layout,
    Paren,
    Partial,
    Raised,
    RaisedTo,
    Relation,
    Root,
    Row,
    Shaped,
    Terms,
    Transposed,
    Word,
    is_open,
    of_expr,
)
from derive.render.matrix_layout import of_matrix
from derive.render.notation import Context

SYMBOLS = {
    "sum": ("Σ", "sum"),
    "max": ("max", "max"),
    "partial": ("∂", "d"),
    "total": ("∂⁺", "D"),
    "delta": ("δ", "delta"),
    "<": ("<", "<"),
    "<=": ("≤", "<="),
    ">": (">", ">"),
    ">=": ("≥", ">="),
    "==": ("=", "="),
    "!=": ("≠", "!="),
    "minus": ("−", "-"),
    "hadamard": ("∘", "o"),
    "times": ("×", "x"),
    "transpose": ("ᵀ", "^T"),
    "inverse": ("⁻¹", "^-1"),
    "inverse transpose": ("⁻ᵀ", "^-T"),
    "root": ("√", "sqrt"),
}
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def symbol(name: str, where: Context) -> str:
    return SYMBOLS[name][where.ascii]


def expr_text(expr: Expr, where: Context) -> str:
    """An index-notation expression on one line."""
    return flat(pieces(of_expr(expr, where), where))


def equation_text(equation: Equation, where: Context) -> str:
    return f"{expr_text(equation.target, where)} = {expr_text(equation.value, where)}"


def matrix_text(matrix: mx.Matrix, where: Context) -> str:
    """A matrix expression on one line, without shapes."""
    return flat(pieces(of_matrix(matrix, where, False), where))


def shape_text(shape: mx.Shape, where: Context) -> str:
    return symbol("times", where).join("1" if axis is None else notation.text_word(axis, where.ascii) for axis in shape)


def flat(run: list[Piece]) -> str:
    return "".join(piece.text for piece in run)


def wrapped(run: list[Piece], first: int, rest: int) -> list[str]:
    """The formula in lines of at most `first` and then `rest` columns, as far as it can be broken."""
    return [flat(line).strip() for line in lines(run, first, rest)]


def with_shapes(run: list[Piece], first: int, rest: int) -> list[tuple[str, str]]:
    """The formula in lines, each with the line of shapes that goes under it."""
    found = []
    for line in lines(run, first, rest):
        found.append((flat(line).rstrip(), "".join(p.below or " " * columns(p.text) for p in line).rstrip()))
    return found


# ---------------------------------------------------------------------------------------------------- boxes to pieces


def comparison(laid: Layout, where: Context) -> list[Piece]:
    """The pieces of a condition without its brackets, as a hypothesis states it."""
    assert isinstance(laid, Relation)
    return [*pieces(laid.left, where), _piece(f" {symbol(laid.relation, where)} "), *pieces(laid.right, where)]


def pieces(laid: Layout, where: Context) -> list[Piece]:
    """The pieces of a layout, with the places where a line may end."""
    if isinstance(laid, Word):
        return [_piece(_word(laid, where))]
    if isinstance(laid, Entry):
        return _entry(laid, where)
    if isinstance(laid, Paren):
        return [_piece("("), *deeper(pieces(laid.body, where)), _piece(")")]
    if isinstance(laid, Relation):
        return [_piece("["), *comparison(laid, where), _piece("]")]
    if isinstance(laid, Terms):
        return _terms(laid, where)
    if isinstance(laid, Row):
        return _row(laid, where)
    if isinstance(laid, Frac):
        return _fraction(pieces(_tight(laid.top, over=True), where), laid.bottom, where)
    if isinstance(laid, Raised):
        return [*pieces(laid.base, where), _piece(_exponent(laid.exponent, laid.elementwise, where))]
    if isinstance(laid, RaisedTo):
        return [*pieces(laid.base, where), _piece("^"), *solid(pieces(_tight(laid.exponent), where))]
    if isinstance(laid, Inverted):
        return [*pieces(laid.base, where), _piece(symbol("inverse transpose" if laid.transposed else "inverse", where))]
    if isinstance(laid, Transposed):
        return [*pieces(laid.base, where), _piece(symbol("transpose", where))]
    if isinstance(laid, Root):
        body = laid.body
        bare = isinstance(body, (Word, Entry, Paren)) and not where.ascii
        return [_piece(symbol("root", where)), *pieces(body if bare or isinstance(body, Paren) else Paren(body), where)]
    if isinstance(laid, Call):
        return _call(laid, where)
    if isinstance(laid, Big):
        names = ",".join(_running(laid, where))
        subscript = names if len(laid.indices) == 1 and not laid.axes else "{" + names + "}"
        return [_piece(f"{symbol(laid.kind, where)}_{subscript} "), *deeper(pieces(laid.body, where), 1)]
    if isinstance(laid, Partial):
        return _partial(laid, where)
    if isinstance(laid, Inner):
        first, last = ("<", ">") if where.ascii else ("⟨", "⟩")
        left, (head, *rest) = (deeper(pieces(side, where)) for side in (laid.left, laid.right))
        return [_piece(first), *left, _piece(", "), replace(head, cut=2), *rest, _piece(last)]
    if isinstance(laid, Dotted):
        first, last = ("t(", ")") if where.ascii else ("(", ")˙")
        return [_piece(first), *deeper(pieces(laid.body, where)), _piece(last)]
    assert isinstance(laid, Shaped)
    return _shaped(laid, where)


def _running(laid: Big, where: Context) -> list[str]:
    """The indices of a big operator, each with its range where one is asked for."""
    names = [flat(pieces(i, where)) for i in laid.indices]
    ends = [flat(pieces(axis, where)) + ("" if laid.start else f"{symbol('minus', where)}1") for axis in laid.axes]
    return [f"{name}={laid.start}..{end}" for name, end in zip(names, ends)] if ends else names


def _piece(text: str, cut: int | None = None) -> Piece:
    return Piece(text, columns(text), cut)


def columns(text: str) -> int:
    """The columns that a formula takes on a screen, where the dot over a letter takes none."""
    return len(text) - text.count(notation.DOT)


def _word(word: Word, where: Context) -> str:
    if word.role == "tensor":
        return notation.text_tensor(word.text, where)
    if word.role == "function":
        return symbol(word.text, where)
    return notation.text_word(word.text, where.ascii)


def _entry(laid: Entry, where: Context) -> list[Piece]:
    """An entry; a line may end before a place that is a formula of its own."""
    inner = [flat(pieces(i, where)) for i in laid.indices]
    found = [_piece(f"{flat(pieces(laid.head, where))}[")]
    for n, (index, text) in enumerate(zip(laid.indices, inner)):
        after = "," if n < len(inner) - 1 else "]"
        if isinstance(index, (Terms, Row)) and n:
            found.append(_piece(text + after, 4))
        else:
            found[-1] = _piece(found[-1].text + text + after, found[-1].cut)
    return found


def _terms(laid: Terms, where: Context) -> list[Piece]:
    minus = symbol("minus", where)
    found: list[Piece] = []
    for n, (negative, term) in enumerate(laid.items):
        inner = deeper(pieces(term, where), 1)
        if n:
            found.append(_piece(f" {minus if negative else '+'} ", 0))
        elif negative:
            found.append(_piece(minus))
        found.extend(inner)
    return found


def _row(laid: Row, where: Context) -> list[Piece]:
    items = list(laid.items)
    if laid.joint:
        gap = _piece(f" {symbol(laid.joint, where)} ", 1)
        return [p for n, item in enumerate(items) for p in ([gap] if n else []) + deeper(pieces(item, where))]
    head = items[0]
    if isinstance(head, Frac) and not any(is_open(i) or isinstance(i, Frac) for i in items[1:]):
        # A quotient is written at the end: a/c b would read as a/(c b).
        tops = items[1:] if head.top == Word("1", "number") else [head.top, *items[1:]]
        top = tops[0] if len(tops) == 1 else Row(tuple(_tight(i, over=True) for i in tops))
        return _fraction(pieces(_tight(top, over=True), where), head.bottom, where)
    found: list[Piece] = []
    for n, item in enumerate(items):
        if n:
            found.append(_piece(" ", 1))
        closed = isinstance(item, Frac) or (n < len(items) - 1 and isinstance(item, Partial))
        found.extend(deeper(pieces(Paren(item) if closed else item, where)))
    return found


def _tight(laid: Layout, over: bool = False) -> Layout:
    """The layout in parentheses unless it can stand as a divisor (or, with `over`, as what is divided)."""
    if isinstance(laid, (Word, Entry, Call, Inner, Dotted, Paren, Relation, Root, Raised, Shaped, Transposed, Inverted)):
        return laid
    if over and isinstance(laid, Row) and not laid.joint and not is_open(laid) and not any(isinstance(i, Frac) for i in laid.items):
        return laid
    return Paren(laid)


def _fraction(top: list[Piece], bottom: Layout, where: Context) -> list[Piece]:
    # A sum may stand last without brackets: nothing follows that it could reach over.
    under = pieces(bottom if isinstance(bottom, Big) else _tight(bottom), where)
    if flat(top).isdigit() and len(under) < 3 and isinstance(bottom, (Word, Root)):
        return [*top, _piece("/"), *solid(under)]
    return [*top, _piece(" / ", 1), *deeper(under)]


def _exponent(exponent: Fraction, elementwise: bool, where: Context) -> str:
    if exponent.denominator == 1 and exponent > 0 and not elementwise and not where.ascii:
        return str(exponent).translate(SUPERSCRIPTS)
    plain = str(exponent) if exponent.denominator == 1 and exponent > 0 else f"({str(exponent).replace('-', symbol('minus', where))})"
    return ("^" + symbol("hadamard", where) if elementwise else "^") + plain


def _call(laid: Call, where: Context) -> list[Piece]:
    found = [_piece(f"{laid.name}(")]
    for n, arg in enumerate(laid.args):
        if n:
            found.append(_piece(", ", 2))
        found.extend(deeper(pieces(arg, where)))
    return [*found, _piece(")")]


def _partial(laid: Partial, where: Context) -> list[Piece]:
    d = symbol("total" if laid.total else "partial", where)
    bottom = [_piece(f"/{d}"), *pieces(laid.bottom, where)]
    if isinstance(laid.top, (Word, Entry)):
        return [_piece(d), *pieces(laid.top, where), *bottom]
    top = laid.top if isinstance(laid.top, (Call, Paren)) else Paren(laid.top)
    return [_piece(d), *bottom, _piece(" "), *deeper(pieces(top, where))]


def _shaped(laid: Shaped, where: Context) -> list[Piece]:
    text = flat(pieces(laid.body, where))
    below = shape_text((laid.rows, laid.cols), where)
    wide = max(columns(text), len(below))
    return [Piece(text.center(wide + len(text) - columns(text)), wide, None, below.center(wide))]
