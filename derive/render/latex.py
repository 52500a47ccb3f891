"""A page in LaTeX: a fragment to include, or a document that compiles by itself with amsmath, amssymb and geometry."""

from __future__ import annotations

import re
from typing import Any

from derive.example import decimal
from derive.expr import Equation, Fact
from derive.proof import Proof
from derive.render import formula_latex as formula
from derive.render import notation
from derive.render.breaking import width
from derive.render.formula_latex import LINE, escaped, pieces, prose
from derive.render.layout import of_expr, of_matrix
from derive.render.notation import Context
from derive.render.page import Bullets, Chain, Formulas, Givens, Heading, Identities, Page, Paragraph, Results, Worked, page, proof_page
from derive.signs import is_comparison

PREAMBLE = r"""\documentclass[10pt,a4paper,fleqn]{article}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb}
\usepackage[margin=2.2cm]{geometry}
\setlength{\parindent}{0pt}
\setlength{\mathindent}{1.5em}
\setlength{\parskip}{4pt plus 1pt}
\emergencystretch=3em
\allowdisplaybreaks
"""


def document(derivation: Any, detail: str = "full", report: Any = None) -> str:
    """A standalone document; pdflatex compiles it."""
    return page_document(page(derivation, detail, report))


def page_document(made: Page) -> str:
    """Any page as a standalone document."""
    return PREAMBLE + "\\begin{document}\n" + "\n".join(_blocks(made)) + "\n\\end{document}\n"


def fragment(derivation: Any, detail: str = "full", report: Any = None) -> str:
    """The body alone, for a document that loads amsmath and amssymb; its sections are \\section* and \\subsection*."""
    return "\n".join(_blocks(page(derivation, detail, report))) + "\n"


def proof(shown: Proof, detail: str = "full") -> str:
    """One proof, to include in a document that loads amsmath and amssymb."""
    return "\n".join(_blocks(proof_page(shown, detail))).strip() + "\n"


def _blocks(made: Page) -> list[str]:
    where = made.where
    found: list[str] = []
    for block in made.blocks:
        if isinstance(block, Heading):
            command = ("section*", "subsection*", "paragraph")[block.level - 1]
            found.append(f"\n\\{command}{{{prose(block.text, where)}}}")
        elif isinstance(block, Paragraph):
            found.append(prose(block.text, where) + "\n")
        elif isinstance(block, Bullets):
            items = "\n".join(f"  \\item {prose(item, where)}" for item in block.items)
            found.append(f"\\begin{{itemize}}\\setlength{{\\itemsep}}{{1pt}}\n{items}\n\\end{{itemize}}")
        elif isinstance(block, Identities):
            rows = "\n".join(f"  \\item[{escaped(name)}] \\texttt{{{escaped(identity)}}}" for name, identity in block.rows)
            found.append(f"\\begin{{description}}\\setlength{{\\itemsep}}{{1pt}}\\raggedright\\footnotesize\n{rows}\n\\end{{description}}")
        elif isinstance(block, Givens):
            found.append(_givens(block, where))
        elif isinstance(block, Formulas):
            found.append(_display([line for item in block.items for line in equation_lines(item, where)]))
        elif isinstance(block, Chain):
            found.append(_chain(block, where))
        elif isinstance(block, Results):
            found.append(_display([line for item in block.items for line in result_lines(item, where)], gap="6pt"))
        else:
            assert isinstance(block, Worked)
            found.append(_worked(block, where))
    return found


def _display(lines: list[str], gap: str = "") -> str:
    newline = f" \\\\[{gap}]\n" if gap else " \\\\\n"
    return "\\begin{align*}\n" + newline.join(lines) + "\n\\end{align*}"


def _givens(block: Givens, where: Context) -> str:
    rows = []
    for name, dims, role in block.rows:
        shape = "\\(" + " \\times ".join(notation.latex_word(d) for d in dims) + "\\)" if dims else "scalar"
        rows.append(f"  \\({notation.latex_tensor(name, where)}\\) & {shape} & {prose(role, where)} \\\\")
    return "\\begin{center}\n\\begin{tabular}{lll}\n" + "\n".join(rows) + "\n\\end{tabular}\n\\end{center}"


def equation_lines(item: Equation | Fact, where: Context) -> list[str]:
    left, right = (item.target, item.value) if isinstance(item, Equation) else (item.left, item.right)
    if isinstance(item, Fact) and is_comparison(item):
        return [f"  & {formula.joined(formula.comparison(of_expr(left, where), where))}"]
    head = pieces(of_expr(left, where), where)
    room = LINE - width(head) - 1.5
    lines = formula.wrapped(pieces(of_expr(right, where), where), room, room - 2)
    return [aligned(formula.joined(head) if n == 0 else "", line, n == 0) for n, line in enumerate(lines)]


def aligned(left: str, line: str, equals: bool) -> str:
    return f"  {left} &" + ("= " if equals else "\\qquad ") + line


def _chain(block: Chain, where: Context) -> str:
    """One line a step, its reason beside it where there is room, else on the next line."""
    head = pieces(of_expr(block.target, where), where)
    room = LINE - width(head) - 1.5
    lines: list[str] = []
    for n, (expr, reason) in enumerate(block.lines):
        run = pieces(of_expr(expr, where), where)
        broken = formula.wrapped(run, room, room - 2)
        left = formula.joined(head) if n == 0 else ""
        for m, line in enumerate(broken):
            lines.append(aligned(left if m == 0 else "", line, m == 0))
        if not reason:
            continue
        text = "\\text{\\footnotesize\\itshape " + prose(reason, where) + "}"
        if len(broken) == 1 and width(run) + 2.5 + 0.42 * len(reason) <= room:
            lines[-1] += f" \\qquad {text}"
        else:
            wide = f"{max(room - 3, 10):.0f}em"
            lines.append(f"  &\\qquad \\parbox[t]{{{wide}}}{{\\footnotesize\\itshape by {prose(reason, where)}}}")
    return _display(lines)


def result_lines(item: Any, where: Context) -> list[str]:
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


# ---------------------------------------------------------------------------------------------------- worked example


def _worked(block: Worked, where: Context) -> str:
    return "\n".join("\\[\n" + " \\qquad\n".join(line) + "\n\\]" for line in worked_lines(block, where))


def worked_lines(block: Worked, where: Context) -> list[list[str]]:
    """The values of the worked example, as many on a line as have room."""
    groups: list[list[str]] = []
    for role in ("input", "forward", "output", "upstream", "backward", "gradient"):
        shown = [v for v in block.example.values if v.role == role and role in block.roles and len(v.shape) < 3]
        line: list[str] = []
        filled = 0.0
        for value in shown:
            tex, wide = table(value.name, value.rows(), value.shape, where)
            if line and filled + wide > LINE:
                groups.append(line)
                line, filled = [], 0.0
            line.append(tex)
            filled += wide + 2
        if line:
            groups.append(line)
    return groups


def table(name: str, rows: list[list[Any]], shape: tuple[int, ...], where: Context) -> tuple[str, float]:
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
