"""Plain one-line notation, for messages and debugging; `derive.render` prints for people."""

from __future__ import annotations

from fractions import Fraction

from derive.expr import (
    Add,
    Affine,
    Delta,
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


def show(expr: Expr) -> str:
    """Plain one-line notation, for messages and debugging; `derive.render` prints for people."""
    return _show(expr, 0)


def show_index(index: Index) -> str:
    return index.name if isinstance(index, Idx) else show(index.value if isinstance(index, Affine) else index)


def _show(expr: Expr, level: int) -> str:
    if isinstance(expr, Num):
        text = str(expr.value)
        return f"({text})" if level > 1 and ("/" in text or text.startswith("-")) else text
    if isinstance(expr, Size):
        return f"size({expr.dim})"
    if isinstance(expr, Ref):
        return expr.tensor + (f"[{','.join(show_index(i) for i in expr.indices)}]" if expr.indices else "")
    if isinstance(expr, Delta):
        return f"delta({show_index(expr.a)},{show_index(expr.b)})"
    if isinstance(expr, Add):
        text = " + ".join(_show(t, 1) for t in expr.terms).replace("+ -", "- ")
        return f"({text})" if level > 1 else text
    if isinstance(expr, Mul):
        if expr.factors[0] == Num(Fraction(-1)):
            return "-" + _show(Mul(expr.factors[1:]) if len(expr.factors) > 2 else expr.factors[1], 2)
        text = "*".join(_show(f, 2) for f in expr.factors)
        return f"({text})" if level > 2 else text
    if isinstance(expr, Pow):
        return f"{_show(expr.base, 3)}^{expr.exponent if expr.exponent.denominator == 1 else f'({expr.exponent})'}"
    if isinstance(expr, Fn):
        return f"{expr.name}({', '.join(_show(a, 0) for a in expr.args)})"
    if isinstance(expr, Position):
        return show_index(expr.index)
    if isinstance(expr, Iverson):
        return f"[{_show(expr.left, 0)} {expr.relation} {_show(expr.right, 0)}]"
    if isinstance(expr, (Sum, Max)):
        name = "sum" if isinstance(expr, Sum) else "max"
        return f"{name}({','.join(i.name for i in expr.indices)}, {_show(expr.body, 0)})"
    if isinstance(expr, MatrixFn):
        i, j = expr.indices
        at = f"[{','.join(show_index(k) for k in expr.at)}]" if expr.at else ""
        return f"{expr.name}({i.name},{j.name}, {_show(expr.body, 0)}){at}"
    if isinstance(expr, Differential):
        return f"t({_show(expr.body, 0)})"
    return f"d({_show(expr.body, 0)})/d({_show(expr.wrt, 0)})"
