"""A page for the terminal: lines of marked runs, plain or coloured, broken at the width of the screen."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable
from typing import Any

from derive.example import decimal
from derive.expr import Equation, Fact
from derive.proof import Proof
from derive.render import formula_text as formula
from derive.render import notation
from derive.render.blocks import Bullets, Chain, Formulas, Givens, Heading, Identities, Page, Paragraph, Result, Results, Worked
from derive.render.breaking import Piece
from derive.render.languages import speaker
from derive.render.layout import Layout, of_expr
from derive.render.matrix_layout import of_line, of_matrix
from derive.render.notation import Context
from derive.render.page import page, proof_page
from derive.signs import is_comparison

Run = tuple[str, str]
"""Text and what it is: plain, title, section, proof, reason, shape, name."""

Line = tuple[Run, ...]
WIDTH = 100


def document(derivation: Any, detail: str = "full", width: int = WIDTH, ascii: bool = False, report: Any = None) -> str:
    """The whole page of a derivation as plain text, ending in a newline."""
    return plain(page_lines(page(derivation, detail, report, ascii), width))


def proof(shown: Proof, detail: str = "full", width: int = WIDTH, ascii: bool = False) -> str:
    """One proof as plain text."""
    return plain(page_lines(proof_page(shown, detail, ascii), width))


def plain(lines: Iterable[Line]) -> str:
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)


def page_lines(made: Page, width: int = WIDTH) -> list[Line]:
    """Every line of a page, at most `width` columns where its formulas can be broken."""
    found: list[Line] = []
    for block in made.blocks:
        if isinstance(block, Heading):
            found += _heading(block, made.where)
        elif isinstance(block, Paragraph):
            found += _wrapped(block.text, width, "", "", "plain", made.where) + [()]
        elif isinstance(block, Bullets):
            for item in block.items:
                found += _wrapped(item, width, "  - ", "    ", "plain", made.where)
            found.append(())
        elif isinstance(block, Identities):
            wide = max(cells(name) for name, _ in block.rows) + 4
            for name, identity in block.rows:
                found += _wrapped(identity, width, f"  {name}" + " " * (wide - 2 - cells(name)), " " * wide, "plain", made.where)
            found.append(())
        elif isinstance(block, Givens):
            found += _givens(block, made.where)
        elif isinstance(block, Formulas):
            for entry in block.items:
                found += _formula(entry, made.where, width)
            found.append(())
        elif isinstance(block, Chain):
            found += _chain(block, made.where, width)
        elif isinstance(block, Results):
            found += _results(block, made.where, width)
        elif isinstance(block, Worked):
            found += _worked(block, made.where, width)
    while found and not found[-1]:
        found.pop()
    return found


def _heading(block: Heading, where: Context) -> list[Line]:
    if block.level == 1:
        return [((block.text, "title"),), (("=" * cells(block.text), "title"),), ()]
    if block.level == 2:
        return [((block.text, "section"),), (("-" * cells(block.text), "section"),), ()]
    return [((block.text, "proof"),), ()]


ASCII = str.maketrans(
    {
        "−": "-",
        "δ": "delta",
        "∂": "d",
        "∘": "o",
        "×": "x",
        "√": "sqrt",
        "Σ": "sum",
        "≥": ">=",
        "≤": "<=",
        "≠": "!=",
        "·": "*",
        "′": "'",
        "⟨": "<",
        "⟩": ">",
    }
)


def prose(text: str, where: Context) -> str:
    """A sentence as the terminal shows it: marks of formulas dropped, primes as primes, ASCII where asked for."""
    text = re.sub(r"`(t[A-Za-z]\w*)`", lambda found: notation.text_tensor(found.group(1), where), text)
    for name, other in where.called:
        text = re.sub(rf"\b{name}\b|`{other}`", notation.text_word(other, where.ascii), text)
    text = text.replace("`", "")
    if where.ascii:
        return text.replace("∂⁺", "D").translate(ASCII)
    return re.sub(r"\b([A-Za-z])('+)(?!\w)", lambda found: notation.text_word(found.group(0), False), text)


def _wrapped(text: str, width: int, first: str, rest: str, role: str, where: Context) -> list[Line]:
    shown = prose(text, where)
    if cells(first + shown) > len(first + shown):
        return [((line, role),) for line in _wide_lines(shown, width, first, rest)]
    lines = textwrap.wrap(
        shown, max(width, 20), initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return [((line, role),) for line in lines]


def cells(text: str) -> int:
    """The columns that a text takes on a screen, where a Chinese character takes two."""
    return sum(0 if c == notation.DOT else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _wide_lines(text: str, width: int, first: str, rest: str) -> list[str]:
    """A text in a script without spaces: a line may end after any of its characters."""
    lines: list[str] = []
    line = first
    for word in re.findall(r"[^\W\u2e80-\uffff]+[^\s\w]*\s*|.", text):
        if cells(line + word.rstrip()) > width and line.strip():
            lines.append(line.rstrip())
            line = rest
        line += word
    return [*lines, line.rstrip()]


def _givens(block: Givens, where: Context) -> list[Line]:
    names = [notation.text_tensor(name, where) for name, _, _ in block.rows]
    shapes = [_shape(dims, where) for _, dims, _ in block.rows]
    wide, tall = max(map(len, names)), max(map(cells, shapes))
    found: list[Line] = []
    for name, shape, (_, _, role) in zip(names, shapes, block.rows):
        found.append((("  " + name.ljust(wide), "name"), ("   " + shape + " " * (tall - cells(shape)), "shape"), ("   " + role, "plain")))
    return [*found, ()]


def _shape(dims: tuple[str, ...], where: Context) -> str:
    shown = [notation.text_word(d, where.ascii) for d in dims]
    return f" {formula.symbol('times', where)} ".join(shown) if shown else speaker(where.language)("scalar")


def _formula(item: Equation | Fact, where: Context, width: int) -> list[Line]:
    left, right = (item.target, item.value) if isinstance(item, Equation) else (item.left, item.right)
    if isinstance(item, Fact) and is_comparison(item):
        return [(("  " + formula.flat(formula.comparison(of_expr(left, where), where)), "plain"),)]
    head = f"  {formula.expr_text(left, where)} = "
    lines = formula.wrapped(formula.pieces(of_expr(right, where), where), width - len(head), width - len(head) - 2)
    return [((head if n == 0 else " " * (len(head) + 2), "plain"), (line, "plain")) for n, line in enumerate(lines)]


# ---------------------------------------------------------------------------------------------------- proofs


def _chain(block: Chain, where: Context, width: int) -> list[Line]:
    """One line a step: beside it its reason where all of them fit there, else each reason under its line."""
    head = "  " + formula.flat(formula.pieces(of_line(block.target, where), where))
    indent = "    = "
    runs = [
        formula.wrapped(formula.pieces(of_line(line, where), where), width - len(indent), width - len(indent) - 2)
        for line, _ in block.lines
    ]
    reasons = [prose(reason, where) for _, reason in block.lines]
    by = speaker(where.language)("by {}").partition("{")[0]
    widest = max(cells(line) for lines in runs for line in lines) + len(indent) + 3
    beside = all(len(lines) == 1 for lines in runs) and widest + max(map(cells, reasons)) <= width
    found: list[Line] = [((head, "name"),)]
    for lines, reason in zip(runs, reasons):
        for n, line in enumerate(lines):
            start = indent if n == 0 else " " * (len(indent) + 2)
            if beside:
                found.append(((start + line, "plain"), (" " * (widest - len(start) - cells(line)) + reason if reason else "", "reason")))
            else:
                found.append(((start + line, "plain"),))
        if reason and not beside:
            found += _wrapped(reason, width, " " * 8 + by, " " * (8 + cells(by)), "reason", where)
    return [*found, ()]


def _results(block: Results, where: Context, width: int) -> list[Line]:
    found: list[Line] = []
    for item in block.items:
        if not item.forms:
            found += _formula(item.entry, where, width)
            found.append(())
            continue
        for n, form in enumerate(item.forms):
            found += _matrix_lines(item, of_matrix(form, where), n, where, width)
        found.append(())
    return found


def _matrix_lines(item: Result, laid: Layout, number: int, where: Context, width: int) -> list[Line]:
    """A matrix equation over the line of its shapes; a second form continues under the first's equals sign."""
    name = notation.text_tensor(item.name, where)
    under = formula.shape_text(item.shape, where) if item.shape != (None, None) else ""
    wide = max(cells(name), len(under))
    head = "  " + (name.center(wide + len(name) - cells(name)) if number == 0 else " " * wide) + " = "
    below = "  " + (under.center(wide) if number == 0 else " " * wide) + "   "
    run: list[Piece] = formula.pieces(laid, where)
    found: list[Line] = []
    for n, (line, shapes) in enumerate(formula.with_shapes(run, width - len(head), width - len(head))):
        blank = " " * len(head)
        found.append((((head if n == 0 else blank) + line, "name"),))
        shown = ((below if n == 0 else blank) + shapes).rstrip()
        if shown:
            found.append(((shown, "shape"),))
    return found


# ---------------------------------------------------------------------------------------------------- worked example


def _worked(block: Worked, where: Context, width: int) -> list[Line]:
    """Tables of exact numbers, side by side as far as they fit."""
    found: list[Line] = []
    for role in ("input", "forward", "output", "upstream", "backward", "gradient"):
        tables = [_table(v.name, v.rows(), v.shape, where, width) for v in block.example.values if v.role == role and role in block.roles]
        row: list[list[str]] = []
        for table in [t for t in tables if t]:
            if row and 2 + sum(len(t[0]) + 4 for t in row) + len(table[0]) > width:
                found += _side_by_side(row)
                row = []
            row.append(table)
        if row:
            found += _side_by_side(row)
    return found


def _table(name: str, rows: list[list[Any]], shape: tuple[int, ...], where: Context, width: int) -> list[str]:
    """One table; where exact numbers would make it wider than the page, its longer ones are rounded."""
    exact = _drawn(name, [[number_text(value, where) for value in row] for row in rows], shape, where)
    if not exact or 2 + max(map(len, exact)) <= width:
        return exact
    return _drawn(name, [[_rounded(value, where) for value in row] for row in rows], shape, where)


def _rounded(value: Any, where: Context) -> str:
    text = number_text(value, where)
    if len(text) <= 10:
        return text
    return (("~" if where.ascii else "≈") + f"{float(value):.6g}").replace("-", "-" if where.ascii else "−")


def _drawn(name: str, cells: list[list[str]], shape: tuple[int, ...], where: Context) -> list[str]:
    if len(shape) > 2:
        return []
    head = f"{notation.text_tensor(name, where)} = "
    if not shape:
        return [head + cells[0][0]]
    wide = [max(len(row[n]) for row in cells) for n in range(len(cells[0]))]
    inner = ["  ".join(cell.rjust(w) for cell, w in zip(row, wide)) for row in cells]
    if len(inner) == 1:
        return [f"{head}[{inner[0]}]"]
    left, right = ("[" * len(inner), "]" * len(inner)) if where.ascii else _brackets(len(inner))
    middle = (len(inner) - 1) // 2
    return [(head if n == middle else " " * len(head)) + left[n] + line + right[n] for n, line in enumerate(inner)]


def _brackets(height: int) -> tuple[str, str]:
    return "⎡" + "⎢" * (height - 2) + "⎣", "⎤" + "⎥" * (height - 2) + "⎦"


def _side_by_side(tables: list[list[str]]) -> list[Line]:
    tall = max(map(len, tables))
    found: list[Line] = []
    for n in range(tall):
        parts = []
        for table in tables:
            top = (tall - len(table)) // 2
            line = table[n - top] if 0 <= n - top < len(table) else ""
            parts.append(line.ljust(max(map(len, table))))
        found.append((("  " + "    ".join(parts).rstrip(), "plain"),))
    return [*found, ()]


def number_text(value: Any, where: Context) -> str:
    """A SymPy number on a line: exact, or six digits where exact would be too long to read."""
    rounded = decimal(value)
    text = str(value).replace("*", " ") if rounded is None else ("~" if where.ascii else "≈") + rounded
    return text if where.ascii else text.replace("sqrt(2)", "√2").replace("sqrt(3)", "√3").replace("-", "−")
