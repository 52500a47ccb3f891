"""Displayed formulas as lines of LaTeX, shared by every format that sets mathematics: equations, results, tables of numbers."""

from __future__ import annotations

import re
from typing import Any

from derive.example import decimal
from derive.expr import Equation, Fact
from derive.render import formula_latex as formula
from derive.render import notation
from derive.render.blocks import Result, Worked
from derive.render.breaking import width
from derive.render.formula_latex import LINE, pieces
from derive.render.layout import of_expr
from derive.render.matrix_layout import of_matrix
from derive.render.notation import Context
from derive.signs import is_comparison

ROLES = ("input", "forward", "output", "upstream", "backward", "gradient")
"""The parts of a worked example in reading order."""


def aligned(left: str, line: str, equals: bool) -> str:
    """A line of an alignment at its equals sign; a line that continues another stands a little to the right of it."""
    return f"  {left} &" + ("= " if equals else "\\qquad ") + line


def equation_lines(item: Equation | Fact, where: Context) -> list[str]:
    left, right = (item.target, item.value) if isinstance(item, Equation) else (item.left, item.right)
    if isinstance(item, Fact) and is_comparison(item):
        return [f"  & {formula.joined(formula.comparison(of_expr(left, where), where))}"]
    head = pieces(of_expr(left, where), where)
    room = LINE - width(head) - 1.5
    lines = formula.wrapped(pieces(of_expr(right, where), where), room, room - 2)
    return [aligned(formula.joined(head) if n == 0 else "", line, n == 0) for n, line in enumerate(lines)]


def result_lines(item: Result, where: Context) -> list[str]:
    """A result in matrix form, every factor over its shape; several equal forms continue under the first's equals sign."""
    if not item.forms:
        return equation_lines(item.entry, where)
    under = formula.shape_latex(item.shape)
    name = notation.latex_tensor(item.name, where)
    head = f"\\underset{{{under}}}{{{name}}}" if item.shape != (None, None) else name
    lines = []
    for n, form in enumerate(item.forms):
        for m, line in enumerate(formula.wrapped(pieces(of_matrix(form, where), where), LINE - 6, LINE - 8)):
            lines.append(aligned(head if n + m == 0 else "", line, m == 0))
    return lines


def tables(block: Worked, where: Context, room: float = LINE) -> list[list[str]]:
    """The worked example's tables in LaTeX, in rows that are each at most `room` em wide where that can be."""
    groups: list[list[str]] = []
    for role in ROLES:
        shown = [v for v in block.example.values if v.role == role and role in block.roles and len(v.shape) < 3]
        line: list[str] = []
        filled = 0.0
        for value in shown:
            tex, wide = _table(value.name, value.rows(), value.shape, where)
            if line and filled + wide > room:
                groups.append(line)
                line, filled = [], 0.0
            line.append(tex)
            filled += wide + 2
        if line:
            groups.append(line)
    return groups


def _table(name: str, rows: list[list[Any]], shape: tuple[int, ...], where: Context) -> tuple[str, float]:
    cells = [[number_latex(value) for value in row] for row in rows]
    head = f"{notation.latex_tensor(name, where)} = "
    if not shape:
        return head + cells[0][0][0], 4 + cells[0][0][1]
    body = " \\\\ ".join(" & ".join(tex for tex, _ in row) for row in cells)
    wide = sum(max(row[n][1] for row in cells) + 1 for n in range(len(cells[0])))
    return head + "\\begin{pmatrix} " + body + " \\end{pmatrix}", 4 + wide


def number_latex(value: Any) -> tuple[str, float]:
    """A SymPy number, exact or to six digits where exact would be too long to read, and about its width in em."""
    import sympy

    rounded = decimal(value)
    if rounded is not None:
        return rounded, 0.55 * len(rounded)
    tex: str = sympy.latex(value, fold_short_frac=True)
    return re.sub(r"\\log\{\\left\((\d+) \\right\)\}", r"\\log \1", tex), 0.55 * len(str(value))
