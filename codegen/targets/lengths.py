"""Whole numbers made of the lengths of axes and plain integers, as Python source."""

from __future__ import annotations

from collections.abc import Mapping

from derive.expr import Add, Expr, Fn, Mul, Num, Position, Ref, Size


def whole(expr: Expr, names: Mapping[str, str]) -> str:
    """The source of a length; `names` gives axes and plain integers their Python names."""
    return _text(expr, names)[0]


def _text(expr: Expr, names: Mapping[str, str]) -> tuple[str, int]:
    """The source, and how tightly its outermost operator binds: 0 a sum, 1 a product, 2 anything closed."""
    if isinstance(expr, Num):
        return str(expr.value), 2 if expr.value >= 0 else 0
    if isinstance(expr, Size):
        return names[expr.dim], 2
    if isinstance(expr, Position) and isinstance(expr.index, Ref):
        return names[expr.index.tensor], 2
    if isinstance(expr, Fn) and expr.name == "floor_div":
        top, bottom = (_text(arg, names) for arg in expr.args)
        return f"{_closed(top, 1)} // {_closed(bottom, 2)}", 1
    if isinstance(expr, Mul):
        first, *rest = expr.factors
        if first == Num(-1):  # type: ignore[arg-type]
            return f"-{' * '.join(_closed(_text(f, names), 2) for f in rest)}", 0
        # A quotient rounded down stands first: 2 * (a // b) is not (2 * a) // b.
        return " * ".join(_closed(_text(f, names), 2) for f in expr.factors), 1
    assert isinstance(expr, Add), expr
    text = ""
    for term in expr.terms:
        part = _closed(_text(term, names), 1) if not _text(term, names)[0].startswith("-") else _text(term, names)[0]
        text += part if not text else f" - {part[1:]}" if part.startswith("-") else f" + {part}"
    return text, 0


def _closed(text: tuple[str, int], level: int) -> str:
    return text[0] if text[1] >= level else f"({text[0]})"
